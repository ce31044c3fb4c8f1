"""A run cut anywhere, carried on from its bytes, saved, killed and taken up again is the run that was never cut."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kernelkit as kk
from kernelkit.data import store
from kernelkit.errors import DataError, KernelkitError, OrderError, RunError, UsageError
from kernelkit.kernels import layout as L
from kernelkit.kernels import session
from kernelkit.kernels.block import header_of
from kernelkit.kernels.job import Job, Logs, Outcome
from kernelkit.kernels.session import Recorder
from tests.programs import Case, job, run_engine, run_reference
from tests.reference import Bars, Config, Grid
from tests.test_engine_is_reference import DAY, cases

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def own_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".kernelkit").mkdir()
    monkeypatch.chdir(tmp_path)


def chunked(whole: Job, cuts: list[int]) -> tuple[Logs, Outcome]:
    """The job's one trial in pieces: each a session of its own, which sees no bar beyond its piece."""
    n, trade_from = int(whole.trials[0]["i1"]), int(whole.trials[0]["trade_from"])
    block, begin = None, 0
    kept: dict[str, list[Any]] = {"fills": [], "ended": [], "trades": [], "happened": [], "changes": []}
    curves = np.full((n - trade_from, len(L.CURVES)), np.nan)
    for stop in [*sorted(set(cuts)), n]:
        table = whole.tables[0]
        seen = table.actions[table.actions["bar"] < stop]
        table = replace(table, columns=tuple(c[:stop].copy() for c in table.columns), actions=seen)
        piece = Recorder(replace(whole, tables=[table]), 0)
        if block is not None:
            piece.restore(block.copy())
        else:
            piece.lay(0, 1)
        piece.call(piece.outcome, stop)
        piece.outcome.done[:] = stop == n
        piece.flush()
        for name, parts in kept.items():
            parts += piece.kept[name]
        rows = slice(max(0, begin - trade_from), max(0, stop - trade_from))
        curves[rows] = piece.curves[rows]
        block, begin = piece.block, stop
    joined = {name: np.concatenate(parts) for name, parts in kept.items()}
    logs = (joined[name] for name in ("fills", "ended", "trades"))
    found = Logs(*logs, curves, piece.records[:, :0], joined["happened"], changes=joined["changes"])
    return found, piece.outcome


def assert_same(a: tuple[Logs, Outcome], b: tuple[Logs, Outcome]) -> None:
    for name in ("fills", "orders", "trades", "curves", "happened", "changes"):
        assert getattr(a[0], name).tobytes() == getattr(b[0], name).tobytes(), name
    assert a[1].headline.tobytes() == b[1].headline.tobytes()
    assert a[1].blocks is not None
    assert b[1].blocks is not None
    assert a[1].blocks.tobytes() == b[1].blocks.tobytes()
    assert a[1].meta.tobytes() == b[1].meta.tobytes()


def recorded(one: Job) -> tuple[Logs, Outcome]:
    recorder = Recorder(one, 0)
    return recorder.all(), recorder.outcome


@settings(max_examples=80, deadline=None)
@given(cases(), st.data())
def test_chunked_is_whole__random_programs(case: Case, data: st.DataObject) -> None:
    one = job(case)
    cuts = data.draw(st.lists(st.integers(1, max(1, int(one.trials[0]["i1"]) - 1)), min_size=1, max_size=6))
    cuts = [c for c in cuts if c < int(one.trials[0]["i1"])]
    assert_same(chunked(one, cuts), recorded(one))


@settings(max_examples=60, deadline=None)
@given(cases(), st.integers(1, 9))
def test_sliced_is_whole__random_programs(case: Case, first: int) -> None:
    """A kernel call that comes back early changes no bit."""
    whole = recorded(job(case))
    with mock.patch.multiple(session, FIRST_SLICE=first, TILE=first, LEAST_TILE=first):
        assert_same(recorded(job(case)), whole)


@pytest.mark.parametrize("first", [1, 13, 1000])
def test_sliced_is_whole__sweeps(first: int) -> None:
    """Slices that end inside a trial, at its end, and several trials later."""
    bars, grid = part(0, 400), {"n": [20, 40, 60], "k": [1.0, 2.0]}
    whole = kk.backtest(bars, channel, grid=grid, venue=VENUE)
    with mock.patch.multiple(session, FIRST_SLICE=first, SLICE_S=1e-9, TILE=first, LEAST_TILE=first):
        assert facts(kk.backtest(bars, channel, grid=grid, venue=VENUE)) == facts(whole)


def crowd(n_bars: int, per_bar: int) -> Case:
    """Bars that stay away from ever more resting orders, then sweep through all of them."""
    price = [1000] * n_bars + [400, 1600, 1000, 1000]
    n = len(price)
    bars = Bars(
        [t * DAY for t in range(n)], [(t + 1) * DAY for t in range(n)], list(range(n)), price,
        [p + 2 for p in price], [p - 2 for p in price], price, [100.0] * n,
    )  # fmt: skip
    # verb 6 form 2: a bracket entered at a limit, three orders each; verb 2: a limit
    rows = [
        [(6.0, 2.0, 2.0, 0.0, 12.0, 0.05, 0.05, 9.0 - 0.01 * t), (2.0, 0.0, -1.0, 12.0 + 0.01 * t, 0.0, 0.0, 0.0, 0.0)]
        for t in range(n)
    ]
    program: list[list[tuple[float, ...]]] = [list(r[:per_bar]) if t < n_bars else [] for t, r in enumerate(rows)]
    return Case(bars, Grid(0.01, 100, 1.0), Config(cash=1e6, cash_rule="debt"), program)


def test_more_orders_than_room() -> None:
    """The state grows when it must (GROW), and what grew equals the simulator that has lists."""
    case = crowd(80, 2)
    recorder = Recorder(job(case), 0)
    logs = recorder.all()
    assert int(header_of(recorder.block)["capacity"]) >= 4 * L.RESERVE
    expected = run_reference(case)
    assert len(expected.orders) > 128
    assert max(int(o["id"]) for o in expected.orders) == int(logs.orders["id"].max())
    assert [(int(r["order"]), int(r["lots"]), int(r["ticks"])) for r in logs.fills] == [
        (f["order"], f["lots"], f["ticks"]) for f in expected.fills
    ]
    ended = {int(r["id"]): (L.STATUSES[r["status"]], L.REASONS[r["reason"]], int(r["filled"])) for r in logs.orders}
    assert ended == {o["id"]: (o["status"], o["reason"] or "", o["filled"]) for o in expected.orders}
    assert run_engine(case)[1]["final_equity"] == expected.metrics["final_equity"]
    assert logs.curves[:, 0].tolist() == expected.equity
    assert_same(chunked(job(case), [10, 40, 41, 79, 81]), (logs, recorder.outcome))


def hourly(n: int, seed: int = 3) -> xr.Dataset:
    draw = np.random.default_rng(seed)
    close = np.round(50.0 * np.exp(np.cumsum(draw.normal(0.0, 0.01, n))), 2)
    opens = np.r_[close[0], close[:-1]]
    spread = draw.integers(0, 60, (2, n)) / 100.0
    frame = pd.DataFrame(
        {
            "open": opens,
            "high": np.round(np.maximum(opens, close) + spread[0], 2),
            "low": np.round(np.minimum(opens, close) - spread[1], 2),
            "close": close,
            "volume": np.round(draw.exponential(5000.0, n), 1),
        },
        index=pd.date_range("2021-03-01", periods=n, freq="1h", tz="UTC"),
    )
    bars: xr.Dataset = kk.data.from_pandas(frame, label="open", bar="1h", calendar="24/7", tick_size=0.01)
    return bars


@kk.indicator(state=dict(e=0.0, past=kk.ring(5)))
def tilt(s, x, rate):  # type: ignore[no-untyped-def]
    s.e += rate * (x - s.e)
    s.past.push(s.e)
    return s.e - s.past[-4]


@kk.strategy(state=dict(high=0.0, trades=0, armed=True, last=kk.ring(4)))
def channel(ctx, s, n=48, m=20, k=2.0, rate=0.1):  # type: ignore[no-untyped-def]
    s.last.push(ctx.close[0])
    s.high = max(s.high, ctx.high[0])
    top, bottom = ctx.high.max(n), ctx.low.min(n)
    band = ctx.close.std(m) + 0.01 * ctx.close.volatility(m) + 0.001 * ctx.volume.std(m)
    lean = tilt(ctx.close, rate)
    if s.armed and ctx.close[0] > top - k * band and lean > 0:
        s.trades += 1
        ctx.bracket(ctx.size.risk(0.01, stop=2.0 * ctx.atr(14)), stop_loss=0.02, take_profit=0.03)
        s.armed = False
    elif ctx.close[0] < bottom + band or s.last[0] < s.last[-3]:
        s.armed = True
        if ctx.orders > 6:
            ctx.cancel_all()
        ctx.trailing_stop(-10.0, fraction=0.02, tif="DAY")
    if ctx.i % 61 == 0:
        ctx.target_percent(0.2 if ctx.close.rsi(14) > 50 else -0.1)
    if ctx.vwap(30) > ctx.close.ema(12) and ctx.i % 7 == 0:
        ctx.limit(5.0, ctx.close[0] * 0.995)


VENUE = kk.Venue("tight", kk.fees.per_unit(0.005, 1.0), kk.slippage.square_root(0.01))
BARS = hourly(2300)


def part(a: int | None, b: int | None) -> xr.Dataset:
    return BARS.isel(time=slice(a, b))


def facts(res: xr.Dataset) -> dict[str, bytes]:
    """The bits of everything in a result that is not a curve."""
    return {str(n): v.values.tobytes() for n, v in res.data_vars.items() if "time" not in v.dims}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> xr.Dataset:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("whole"))
        res: xr.Dataset = kk.backtest(BARS, channel, dict(n=40), venue=VENUE)
        assert int(res["n_fills"]) > 200
        assert len(facts(res)) == len(L.HEADLINE) + 1
        return res


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 2299), min_size=1, max_size=4, unique=True))
def test_fed_is_whole__indicators_and_state(whole: xr.Dataset, cuts: list[int]) -> None:
    """Rings of max and min, standard deviations across their restart at bar 1024, own state, brackets in flight."""
    edges = [*sorted(cuts), None]
    run = kk.start(part(0, edges[0]), channel, dict(n=40), venue=VENUE)
    for a, b in itertools.pairwise(edges):
        run.feed(part(a, b))
    res = run.result()
    assert facts(res) == facts(whole)
    assert res.attrs["costs"] == whole.attrs["costs"]
    np.testing.assert_array_equal(res["equity"].values, whole["equity"].values)
    np.testing.assert_array_equal(res["time"].values, whole["time"].values)


def test_one_bar_at_a_time() -> None:
    short = part(0, 130)
    run = kk.start(part(0, 60), channel, dict(n=40), venue=VENUE)
    for i in range(60, 130):
        run.feed(part(i, i + 1))
        assert run.bars == i + 1
    assert facts(run.result()) == facts(kk.backtest(short, channel, dict(n=40), venue=VENUE))
    assert run.equity == float(run.result()["final_equity"])
    assert repr(run) == f"<run of channel: 130 bars, equity {run.equity:.2f}>"


def test_result_on_the_way_changes_nothing(whole: xr.Dataset) -> None:
    run = kk.start(part(0, 900), channel, dict(n=40), venue=VENUE)
    for a in range(900, 2300, 350):
        assert facts(run.result()) == facts(kk.backtest(part(0, a), channel, dict(n=40), venue=VENUE))
        run.feed(part(a, min(a + 350, 2300)))
    assert facts(run.result()) == facts(whole)


def test_start_later() -> None:
    first = str(BARS["time"].values[1500])[:19]
    run = kk.start(part(0, 1600), channel, start=first).feed(part(1600, 1700)).feed(part(1700, None))
    assert facts(run.result()) == facts(kk.backtest(BARS, channel, start=first))
    with pytest.raises(UsageError, match=r"found 2021-05-02T12:00:00 .*, wanted a span inside"):
        kk.start(part(0, 1500), channel, start=first)


def test_all_of_it_warm_up() -> None:
    run = kk.start(part(0, 30), channel, dict(n=40))
    with pytest.raises(RunError, match="30 bars, all of them warm-up"):
        run.result()
    assert run.equity == 1e6
    run.feed(part(30, 200))
    assert facts(run.result()) == facts(kk.backtest(part(0, 200), channel, dict(n=40)))


@kk.strategy
def moody(ctx, n=9):  # type: ignore[no-untyped-def]
    if ctx.x.mood[0] > 0.5 and ctx.x.mood.sma(n) > 0.0 and ctx.x.mood.age < 7_200_000_000_001:
        ctx.target_percent(0.5)
    elif ctx.x.mood[0] < -0.5:
        ctx.target_percent(-0.5)


def with_mood(bars: xr.Dataset) -> xr.Dataset:
    index = BARS.indexes["time"][::3]
    mood = pd.Series(np.sin(0.1 * np.arange(len(index))), index=index)
    out: xr.Dataset = kk.feature(bars, "mood", mood, known_at=index)
    return out


def test_features_are_fed_with_the_whole() -> None:
    run = kk.start(with_mood(part(0, 500)), moody).feed(with_mood(part(0, 1100))).feed(with_mood(BARS))
    expected = kk.backtest(with_mood(BARS), moody)
    assert int(expected["n_fills"]) > 20
    assert facts(run.result()) == facts(expected)


RESUME = """
    import json, sys
    from pathlib import Path
    import kernelkit as kk
    from kernelkit.data import store
    out = {}
    for name in sys.argv[2:]:
        folder = Path(sys.argv[1])
        run = kk.resume(folder / name)
        run.feed(store.load(folder / f"{name}.rest"))
        res = run.result()
        out[name] = {n: v.values.tobytes().hex() for n, v in res.data_vars.items() if "time" not in v.dims}
        out[name]["equity"] = res["equity"].values.tobytes().hex()
        out[name]["attrs"] = [res.attrs[k] for k in ("costs", "strategy", "venue", "lineage", "fill_model")]
    print(json.dumps(out))
"""


def python(code: str, *arguments: object) -> str:
    """What a new process prints."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_resumed_in_a_new_process_is_whole(tmp_path: Path, whole: xr.Dataset) -> None:
    """Cut before, at and after the restart of the float sums, and within the warm-up."""
    expected = {}
    for cut in (17, 700, 1024, 1901):
        kk.start(part(0, cut), channel, dict(n=40), venue=VENUE).save(tmp_path / f"c{cut}")
        store.save(part(cut, None), tmp_path / f"c{cut}.rest")
        expected[f"c{cut}"] = whole
    kk.start(with_mood(part(0, 800)), moody, fill_model=kk.FillModel(limit="touch")).save(tmp_path / "mood")
    store.save(with_mood(BARS), tmp_path / "mood.rest")
    expected["mood"] = kk.backtest(with_mood(BARS), moody, fill_model=kk.FillModel(limit="touch"))
    found = json.loads(python(RESUME, tmp_path, *expected))
    for name, res in expected.items():
        wanted: dict[str, Any] = {n: b.hex() for n, b in facts(res).items()}
        wanted["equity"] = res["equity"].values.tobytes().hex()
        wanted["attrs"] = [res.attrs[k] for k in ("costs", "strategy", "venue", "lineage", "fill_model")]
        assert found[name] == wanted, name


def test_saved_again_is_the_later_one(tmp_path: Path) -> None:
    run = kk.start(part(0, 500), channel, dict(n=40), venue=VENUE)
    run.save(tmp_path / "run")
    run.feed(part(500, 900)).save(tmp_path / "run")
    again = kk.resume(tmp_path / "run")
    assert (again.bars, again.equity) == (900, run.equity)
    assert facts(again.feed(part(900, 1000)).result()) == facts(run.feed(part(900, 1000)).result())
    assert [p.name for p in tmp_path.iterdir() if "run" in p.name] == ["run"]


KILLED = """
    import json, os, shutil, sys
    from pathlib import Path
    import kernelkit as kk
    from kernelkit.data import store
    folder = Path(sys.argv[1])
    os.chdir(folder)
    later = kk.resume(folder / "run").feed(store.load(folder / "run.rest"))
    calls, last, turn = 0, 0, 0
    def dying(name, function):
        def call(*args, **kwargs):
            global calls, turn
            calls += 1
            if name in ("replace", "rename") and str(args[1]).endswith("run.json"):
                turn = calls
            if calls == last:
                os.kill(os.getpid(), 9)
            return function(*args, **kwargs)
        return call
    for name in ("fsync", "replace", "rename", "open", "mkdir", "unlink", "rmdir"):
        setattr(os, name, dying(name, getattr(os, name)))
    later.save(folder / "count")
    total, commit, found = calls, turn, {}
    for k in sorted({*range(1, commit - 6, commit // 6), *range(commit - 3, commit + 3), (commit + total) // 2, total}):
        target = folder / f"killed{k}"
        shutil.copytree(folder / "run", target)
        pid = os.fork()
        if pid == 0:
            calls, last = 0, k
            later.save(target)
            os._exit(0)
        status = os.waitpid(pid, 0)[1]
        run = kk.resume(target)
        run.save(target)
        found[k] = [status, run.bars, run.equity, sorted(p.name.partition("-")[0] for p in target.iterdir())]
    print(json.dumps([commit, found]))
"""


def test_killed_while_saving_loses_nothing(tmp_path: Path) -> None:
    """kill -9 at one call into the file system after the other: what is there is the old run, or the new one.

    The next save clears away what the killed one left.
    """
    run = kk.start(part(0, 300), channel, dict(n=40))
    run.save(tmp_path / "run")
    store.save(part(300, 310), tmp_path / "run.rest")
    old = [300, run.equity]
    new = [310, run.feed(part(300, 310)).equity]
    commit, found = json.loads(python(KILLED, tmp_path))
    for k, (status, bars, equity, files) in found.items():
        # dying at the very call that puts run.json in place is dying before it
        assert (status, [bars, equity]) == (9, old if int(k) <= commit else new), k
        assert files == ["bars", "run.json", "state"], k
    assert {int(k) <= commit for k in found} == {True, False}


def damage(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def saved(tmp_path: Path) -> Path:
    path: Path = kk.start(part(0, 300), channel, dict(n=40)).save(tmp_path / "run")
    return path


@pytest.mark.parametrize("pattern", ["run.json", "state-*.bin", "bars-*.zarr/close/c/0/0"])
@pytest.mark.parametrize("how", [damage, cut_short, Path.unlink])
def test_a_damaged_run_is_refused(tmp_path: Path, pattern: str, how: Any) -> None:
    path = saved(tmp_path)
    (file,) = path.glob(pattern)
    how(file)
    with pytest.raises((RunError, DataError), match=r"(run at|content of|path) .*: found .*, wanted .*\. \w"):
        kk.resume(path)


def test_another_build_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path)
    monkeypatch.setattr("kernelkit.saved.build_id", lambda: "0123456789abcdef")
    with pytest.raises(RunError, match="this build, 0123456789abcdef"):
        kk.resume(path)


def test_another_strategy_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path)
    with pytest.raises(RunError, match="found another moody, wanted the saved channel"):
        kk.resume(path, moody)
    assert kk.resume(path, channel).bars == 300


def test_what_is_not_of_the_run_stays_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    for name in ("state-of-the-art.txt", "run-2021.json"):
        (tmp_path / "run" / name).write_text("mine")
    run = kk.resume(saved(tmp_path))
    run.save(tmp_path / "run")
    assert (tmp_path / "run" / "state-of-the-art.txt").read_text() == "mine"
    assert len(list((tmp_path / "run").iterdir())) == 5


def test_a_failed_save_leaves_the_older_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path)
    later = kk.resume(path).feed(part(300, 400))
    with monkeypatch.context() as patch:
        patch.setattr("kernelkit.saved.digest", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            later.save(path)
    assert len(list(path.iterdir())) == 3
    assert kk.resume(path).bars == 300


@kk.strategy
def fragile(ctx, limit=1e9):  # type: ignore[no-untyped-def]
    ctx.target_percent(0.1 + 0.1 * (ctx.i % 7))
    if ctx.high[0] > limit:
        raise ValueError("too high")


def test_a_failed_feed_leaves_the_run_as_it_was() -> None:
    high = BARS["high"].values[:, 0]
    limit = float(high[:400].max())
    first = int(np.flatnonzero(high > limit)[0])
    run = kk.start(part(0, 400), fragile, dict(limit=limit))
    before = facts(run.result())
    with pytest.raises(ValueError, match="too high") as caught:
        run.feed(part(400, None))
    assert f"fragile, bar {first} (" in caught.value.__notes__[0]
    assert facts(run.result()) == before
    assert run.bars == 400
    after = run.feed(part(400, first)) if first > 400 else run
    assert facts(after.result()) == facts(kk.backtest(part(0, first), fragile, dict(limit=limit)))


def test_an_exception_in_a_resumed_run(tmp_path: Path) -> None:
    """With its strategy it has the user's traceback; without, the error says how to get it."""
    limit = float(BARS["high"].values[:400].max())
    path = kk.start(part(0, 400), fragile, dict(limit=limit), venue=VENUE).save(tmp_path / "run")
    with pytest.raises(RunError, match=r"fragile, bar \d+ .*Pass strategy= to kk\.resume to see its traceback"):
        kk.resume(path).feed(part(400, None))
    with pytest.raises(ValueError, match="too high") as caught:
        kk.resume(path, fragile).feed(part(400, None))
    assert caught.traceback[-1].name == "fragile"


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (lambda: part(399, 500), "1 bars before the end"),
        (lambda: part(500, 600), "sessions without bars"),
        (lambda: hourly(500, 4), "history has changed"),
        (lambda: part(0, 500).assign(lot=2.0 * part(0, 500)["lot"]), "bars that differ|history has changed"),
        (lambda: part(0, 500).assign_coords(asset=["other"]), "found the assets other, wanted those that it runs"),
    ],
)
def test_bars_that_do_not_follow(wrong: Any, text: str) -> None:
    run = kk.start(part(0, 400), fragile)
    before = run.equity
    with pytest.raises(KernelkitError, match=text):
        run.feed(wrong())
    assert (run.bars, run.equity) == (400, before)


def test_what_cannot_be_started() -> None:
    @kk.signal
    def trend(ds):  # type: ignore[no-untyped-def]
        return ds["close"]

    two = xr.concat([BARS, BARS.assign_coords(asset=["other"])], "asset", data_vars="minimal", coords="minimal")
    for error, text, bars, strategy, more in (
        (UsageError, "a function of whole arrays", BARS, trend, {}),
        (OrderError, "does not know its last bar", BARS, fragile, {"fill_model": kk.FillModel(close_out="last_open")}),
        (UsageError, "found 2 assets, wanted one", two, fragile, {}),
        (UsageError, r"Use kk\.backtest for a grid", BARS, fragile, {"params": {"limit": [1.0, 2.0]}}),
    ):
        with pytest.raises(error, match=text):
            kk.start(bars, strategy, **more)
