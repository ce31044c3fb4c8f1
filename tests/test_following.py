"""A run that follows a feed is the backtest of all its bars, whatever they come in and whatever ends it meanwhile."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kernelkit as kk
from kernelkit import following, journal
from kernelkit.data.synthetic import minute_bars
from kernelkit.errors import DataError, RunError, UsageError
from kernelkit.standing import Update

ROOT = Path(__file__).parents[1]
BARS = minute_bars(400)
VENUE = kk.venues.fraction(0.001, 0.0005)


@kk.strategy
def channel(ctx, n=20):  # type: ignore[no-untyped-def]
    if ctx.close[0] > ctx.close.sma(n):
        ctx.limit(1.0, 0.9995 * ctx.close[0], tif="DAY")
    elif ctx.position > 0.0:
        ctx.target(0.0)


@kk.strategy
def weekly(ctx, n=3):  # type: ignore[no-untyped-def]
    ctx.target_percent(1.0 if ctx.close[0] > ctx.tf("1h").close.sma(n) else 0.0)


@kk.portfolio
def both(ctx):  # type: ignore[no-untyped-def]
    for k in ctx.tradable:
        ctx[k].target_percent(0.5 if ctx[k].close[0] > ctx[k].close.sma(5) else 0.1)


@pytest.fixture(autouse=True)
def own_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".kernelkit").mkdir()
    monkeypatch.chdir(tmp_path)


def part(a: int, b: int, bars: xr.Dataset = BARS) -> xr.Dataset:
    return bars.isel(time=slice(a, b))


def frame(a: int, b: int) -> pd.DataFrame:
    found: pd.DataFrame = part(a, b).isel(asset=0, drop=True).to_dataframe()
    return found[["open", "high", "low", "close", "volume"]]


def same(found: xr.Dataset, res: xr.Dataset) -> None:
    for name in res.data_vars:
        np.testing.assert_array_equal(found[name], res[name], err_msg=str(name))
    assert found.attrs["lineage"] == res.attrs["lineage"]
    assert kk.fills(found).equals(kk.fills(res))
    assert kk.orders(found).equals(kk.orders(res))


WHOLE = kk.backtest(BARS, channel, venue=VENUE)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cuts=st.sets(st.integers(101, 399), max_size=12),
    restarts=st.sets(st.integers(0, 12), max_size=4),
    history=st.integers(1, 100),
    frames=st.booleans(),
    small=st.booleans(),
)
def test_follow__is_the_backtest_of_all_bars_in_whatever_pieces_they_come(
    tmp_path: Path, cuts: set[int], restarts: set[int], history: int, frames: bool, small: bool
) -> None:
    into = tmp_path / f"run{time.monotonic_ns()}"
    edges, updates = [history, *sorted(cuts), 400], list[Update]()
    live = kk.follow([], channel, into=into, bars=part(0, history), venue=VENUE)
    with pytest.MonkeyPatch.context() as patch:
        if small:
            patch.setattr(following, "JOURNAL", 3)
            patch.setattr(following, "PART", 1000)
            patch.setattr(following, "PIECE", 7)
        for k, (a, b) in enumerate(itertools.pairwise(edges)):
            if k in restarts:
                live = kk.follow([], into=into)
            live._feed = [frame(a, b) if frames else part(a, b)]
            updates += live
    same(live.result(), WHOLE)
    same(kk.resume(into).result(), WHOLE)
    assert [u.bar for u in updates] == list(range(history, 400))
    known = BARS["known_at"].values[history:]
    np.testing.assert_array_equal([u.time for u in updates], known)
    equity = WHOLE["equity"].to_series().reindex(BARS["time"].values).fillna(1e6).to_numpy()
    np.testing.assert_array_equal([u.equity for u in updates], equity[history:])
    position = WHOLE["position"].to_series().reindex(BARS["time"].values).fillna(0.0).to_numpy()
    np.testing.assert_array_equal([u.position["SYNTH"] for u in updates], position[history:])


def test_the_orders_of_an_update__are_those_that_wait_for_the_next_bar(tmp_path: Path) -> None:
    updates = list(kk.follow([part(100, 400)], channel, into=tmp_path / "run", bars=part(0, 100), venue=VENUE))
    orders = kk.orders(WHOLE).set_index("order")
    seen = 0
    for update in updates[:-1]:
        given = orders[orders["submitted"] <= update.time]
        # a bar begins when the one before is known: what ended then was live after that one, or was not
        least, most = given[~(given["ended"] <= update.time)], given[~(given["ended"] < update.time)]
        assert set(least.index) <= {o.order for o in update.orders} <= set(most.index)
        for order in update.orders:
            row = orders.loc[order.order]
            assert (order.asset, order.kind, order.tif) == (row["asset"], row["kind"], row["tif"])
            assert order.limit == row["limit"] or (np.isnan(order.limit) and np.isnan(row["limit"]))
            assert abs(order.quantity) <= row["quantity"]
            assert np.sign(order.quantity) == {"buy": 1, "sell": -1}[row["side"]]
            seen += 1
    assert seen > 50


def test_on_orders__hears_the_last_bar_that_arrived_once_and_no_history(tmp_path: Path) -> None:
    heard = list[int]()
    into = tmp_path / "run"

    def hear(update: Update) -> None:
        assert kk.resume(into).bars == update.bar + 1
        heard.append(update.bar)

    list(kk.follow([part(100, 101), part(101, 110)], channel, into=into, bars=part(0, 100), on_orders=hear))
    list(kk.follow([part(90, 110), part(105, 112)], into=into, on_orders=hear))
    assert heard == [100, 109, 111]


def test_bars_handed_over_again__are_passed_by_and_changed_or_late_ones_refused(tmp_path: Path) -> None:
    live = kk.follow([part(50, 60), part(40, 62)], channel, into=tmp_path / "run", bars=part(0, 50))
    assert [u.bar for u in live] == list(range(50, 62))
    revised = part(60, 64).copy(deep=True)
    revised["volume"][1] += 1.0
    live._feed = [revised]
    with pytest.raises(DataError, match=r"found volume .* wanted .* as it came before. What a run has seen"):
        list(live)
    late = kk.follow([part(0, 30)], channel, into=tmp_path / "late", bars=part(5, 20))
    with pytest.raises(DataError, match="which comes late, wanted bars in the order"):
        list(late)
    assert (live.run.bars, late.run.bars) == (62, 15)


def test_what_is_no_feed__is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a feed: found int, wanted bars"):
        list(kk.follow([3], channel, into=tmp_path / "run", bars=part(0, 50)))
    for wrong in ({"every": -1.0}, {"every": float("nan")}, {"idle": -1.0}, {"every": None}):
        with pytest.raises(UsageError, match=rf"{next(iter(wrong))} of kk.follow"):
            kk.follow([], channel, into=tmp_path / "own", bars=part(0, 50), **wrong)
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="found a file, wanted the folder"):
        kk.follow([], channel, into=tmp_path / "file", bars=part(0, 50))


@pytest.mark.parametrize("strategy", [weekly, both])
def test_what_looks_further_back__follows_too(tmp_path: Path, strategy: Any) -> None:
    bars = minute_bars(900)
    if strategy is both:
        frames = {"A": bars.isel(asset=0, drop=True).to_dataframe()[["open", "high", "low", "close"]]}
        frames["B"] = frames["A"] * 1.5
        bars = kk.data.from_pandas(frames, label="open", bar="1min", calendar="24/7")
    pieces = [part(a, b, bars) for a, b in ((700, 701), (701, 704), (704, 900))]
    live = kk.follow(pieces, strategy, into=tmp_path / "run", bars=part(0, 700, bars))
    assert len(list(live)) == 200
    same(live.result(), kk.backtest(bars, strategy))
    same(kk.resume(tmp_path / "run").result(), kk.backtest(bars, strategy))


def test_a_file_that_grows__is_followed_line_by_line(tmp_path: Path) -> None:
    file = tmp_path / "bars.csv"
    text = frame(100, 120).to_csv()
    lines = text.splitlines(keepends=True)
    file.write_text("".join(lines[:3]) + lines[3][:20])
    live = kk.follow(file, channel, into=tmp_path / "run", bars=part(0, 100), every=0.01, idle=0.05)
    assert [u.bar for u in live] == [100, 101]
    file.write_text("".join(lines[:8]))
    assert [u.bar for u in kk.follow(file, into=tmp_path / "run", every=0.01, idle=0.0)] == list(range(102, 107))
    with pytest.raises(UsageError, match=r"found '.xlsx', wanted a .csv with a header"):
        list(kk.follow(tmp_path / "bars.xlsx", into=tmp_path / "run"))


def test_bars_that_are_saved_again__are_followed(tmp_path: Path) -> None:
    place = tmp_path / "bars.zarr"
    kk.data.store.save(part(0, 105), place)
    live = kk.follow(place, channel, into=tmp_path / "run", bars=part(0, 100), every=0.01, idle=0.3)
    bars = list[int]()
    for update in live:
        bars.append(update.bar)
        if update.bar == 104:
            kk.data.store.save(part(0, 110), place, overwrite=True)
    assert bars == list(range(100, 110))


def test_a_function__is_asked_for_the_latest_bars(tmp_path: Path) -> None:
    asked = iter([101, 101, 104, 110])

    def latest() -> xr.Dataset | None:
        end = next(asked, None)
        return None if end is None else part(end - 10, end)

    live = kk.follow(latest, channel, into=tmp_path / "run", bars=part(0, 100), every=0.01, idle=0.05)
    assert [u.bar for u in live] == list(range(100, 110))


def test_a_function_that_always_has_the_latest_bars__is_asked_now_and_then_and_ends(tmp_path: Path) -> None:
    asked, now = list[float](), [0.0]

    def latest() -> xr.Dataset:
        asked.append(now[0])
        assert len(asked) < 100, "it is asked without end"
        return part(90, 105)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.monotonic", lambda: now[0])
        patch.setattr("time.sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
        live = kk.follow(latest, channel, into=tmp_path / "run", bars=part(0, 100), every=1.0, idle=5.0)
        assert [u.bar for u in live] == list(range(100, 105))
    assert asked == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


def test_a_feed_that_has_no_bars__is_waited_for(tmp_path: Path) -> None:
    nothing: list[Any] = [part(0, 0), frame(0, 0), {"SYNTH": frame(0, 0)}, None]
    live = kk.follow(nothing, channel, into=tmp_path / "run", bars=part(0, 100))
    assert list(live) == []
    asked = iter([*nothing, part(100, 101)])
    live = kk.follow(lambda: next(asked, None), into=tmp_path / "run", every=0.01, idle=0.2)
    assert [u.bar for u in live] == [100]


def test_an_asynchronous_feed__is_followed_with_async_for(tmp_path: Path) -> None:
    async def feed() -> AsyncIterator[xr.Dataset]:
        for k in range(100, 105):
            await asyncio.sleep(0)
            yield part(k, k + 1)

    async def main() -> list[int]:
        live = kk.follow(feed(), channel, into=tmp_path / "run", bars=part(0, 100))
        with pytest.raises(UsageError, match="Write async for"):
            next(iter(live))
        return [update.bar async for update in live]

    assert asyncio.run(main()) == list(range(100, 105))


def test_the_ledger__has_one_rival_and_what_it_went_on_with(tmp_path: Path) -> None:
    into = tmp_path / "run"
    list(kk.follow([part(k, k + 1) for k in range(10, 100)], channel, into=into, bars=part(0, 10)))
    list(kk.follow([part(k, k + 1) for k in range(100, 150)], into=into))
    roles = kk.ledger.trials("channel")["role"].value_counts()
    assert roles["rival"] == 1
    assert 2 <= roles["continued"] <= 4


def test_a_bar_at_which_the_strategy_fails__is_not_taken(tmp_path: Path) -> None:
    @kk.strategy
    def breaks(ctx, at=105.0):  # type: ignore[no-untyped-def]
        if ctx.i == at:
            raise ValueError("no")
        ctx.target_percent(1.0)

    live = kk.follow([part(100, 103), part(103, 110)], breaks, into=tmp_path / "run", bars=part(0, 100))
    with pytest.raises(ValueError, match="no"):
        list(live)
    assert live.run.bars == kk.resume(tmp_path / "run").bars == 103
    assert live.run.now() == kk.resume(tmp_path / "run").now()


def test_a_run_goes_on_as_it_was_started_and_alone(tmp_path: Path) -> None:
    into = tmp_path / "run"
    live = kk.follow([part(50, 52)], channel, {"n": 10}, into=into, bars=part(0, 50), venue=VENUE)
    again = kk.follow([], channel, {"n": 10}, into=into, bars=part(0, 51), venue=VENUE)
    assert again.run.bars == 51
    with pytest.raises(RunError, match="bars of another process"):
        list(live)
    with pytest.raises(RunError, match=r"parameters of the run: found .*30.* wanted .*10"):
        kk.follow([], channel, {"n": 30}, into=into, venue=VENUE)
    with pytest.raises(RunError, match="venue of the run"):
        kk.follow([], channel, {"n": 10}, into=into)
    with pytest.raises(UsageError, match="venue without a strategy"):
        kk.follow([], into=into, venue=VENUE)
    with pytest.raises(UsageError, match="none, and no strategy and bars"):
        kk.follow([], into=tmp_path / "other")
    updates = iter(kk.follow([part(51, 52), part(52, 53)], into=into))
    next(updates)
    with pytest.raises(RunError, match="another process that follows into it"):
        list(kk.follow([part(52, 53)], into=into))


def test_features__are_refused_as_they_are_added_to_whole_bars(tmp_path: Path) -> None:
    @kk.strategy
    def reads(ctx):  # type: ignore[no-untyped-def]
        ctx.target_percent(ctx.x.pred[0])

    series = pd.Series(0.5, BARS["time"].values)
    bars = kk.feature(BARS, "pred", series, known_at=BARS["known_at"].values)
    with pytest.raises(UsageError, match="found the features pred"):
        kk.follow([], reads, into=tmp_path / "run", bars=bars)


KILLED = """
    import sys
    import kernelkit as kk
    from kernelkit import following
    from kernelkit.data.synthetic import minute_bars
    from tests.test_following import VENUE, channel
    following.JOURNAL, following.PART = 40, 1000
    bars = minute_bars(400)
    feed = (bars.isel(time=slice(max(0, k - 3), k + 1)) for k in range(50, 400))
    for update in kk.follow(feed, channel, into=sys.argv[1], bars=bars.isel(time=slice(0, 50)), venue=VENUE):
        print(update.bar, flush=True)
"""


def test_a_killed_follower__goes_on_without_a_gap_or_a_bar_twice(tmp_path: Path) -> None:
    into, told, kills = tmp_path / "run", list[list[int]](), 0
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for wait in (3, 41, 85, 120, 400):
        command = [sys.executable, "-c", textwrap.dedent(KILLED), str(into)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        assert process.stdout is not None
        bars = list[int]()
        for line in process.stdout:
            bars.append(int(line))
            if len(bars) == wait:
                os.kill(process.pid, signal.SIGKILL)
                kills += 1
                break
        bars += [int(line) for line in process.stdout]
        process.stdout.close()
        process.wait()
        told.append(bars)
    assert kills == 4
    found = [bar for bars in told for bar in bars]
    assert found == sorted(set(found))  # none twice
    assert 350 - len(found) <= kills  # at most the one in flight was not told of
    same(kk.resume(into).result(), kk.backtest(BARS, channel, venue=VENUE))


def test_a_torn_record__is_dropped_and_comes_again(tmp_path: Path) -> None:
    into = tmp_path / "run"
    list(kk.follow([part(100, 101), part(101, 102)], channel, into=into, bars=part(0, 100), venue=VENUE))
    path = journal.place(into)
    path.write_bytes(path.read_bytes()[:-5])
    live = kk.follow([part(100, 400)], into=into)
    assert live.run.bars == 101
    assert [u.bar for u in live] == list(range(101, 400))
    same(live.result(), WHOLE)
    same(kk.resume(into).result(), WHOLE)


def seconds(n: int, tmp_path: Path) -> float:
    bars = minute_bars(n + 150)

    def feed() -> Iterator[xr.Dataset]:
        for k in range(n, n + 150):
            yield part(k, k + 1, bars)

    times = [time.perf_counter()]
    for _ in kk.follow(feed(), channel, into=tmp_path / str(n), bars=part(0, n, bars)):
        times.append(time.perf_counter())
    return float(np.median(np.diff(times)))


def test_a_bar__costs_the_same_behind_a_hundred_times_as_many(tmp_path: Path) -> None:
    assert seconds(200_000, tmp_path) < 3.0 * seconds(2_000, tmp_path)
