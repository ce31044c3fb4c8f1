"""The ledger keeps every trial: recorded before it is seen, through kills, forks and several writers at once."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import kernelkit as kk
from kernelkit import ledger
from kernelkit.errors import StrategyError, UsageError
from kernelkit.ledger.log import HEAD, parted, records, unpacked
from kernelkit.ledger.tables import params_of
from kernelkit.ledger.trials import DONE, FAILED, FIELDS, NONE, SHARED
from tests.ledger.conftest import python


def rows(home: Path) -> list[dict[str, Any]]:
    """All calls of all logs, in the order of their time."""
    return sorted(ledger.rows("trials", at=str(home / ".kernelkit" / "ledger")), key=lambda row: float(row["at"]))


def read(log: Path) -> Iterator[dict[str, Any]]:
    """The rows of one log; raises DamagedLog."""
    return (unpacked(*parted(body)) for _, body in records(log.read_bytes(), log.name))


@pytest.fixture(scope="module")
def bars() -> xr.Dataset:
    out: xr.Dataset = kk.data.load("sp500_index").isel(time=slice(0, 300))
    return out


@kk.strategy
def trend(ctx, n=20, weight=1.0):  # type: ignore[no-untyped-def]
    if ctx.close[0] > 1e9:
        raise ValueError("never")
    ctx.target_percent(weight if ctx.close[0] > ctx.close.sma(n) else 0.0)


@kk.strategy
def fails(ctx, n=20):  # type: ignore[no-untyped-def]
    if ctx.i == 100:
        raise ValueError("at a hundred")
    ctx.target_percent(0.5)


@kk.signal
def above(ds, n=20):  # type: ignore[no-untyped-def]
    return (ds["close"] > ds["close"].rolling(time=n).mean()) * 1.0


def test_root_is_the_nearest_ledger_then_the_git_root(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "a" / "b").mkdir(parents=True)
    (home / "a" / ".git").mkdir()
    monkeypatch.chdir(home / "a" / "b")
    assert ledger.root() == home / ".kernelkit"
    (home / ".kernelkit").rmdir()
    assert ledger.root() == home / "a" / ".kernelkit"
    (home / "a" / ".git").rmdir()
    if not any((p / ".git").exists() or (p / ".kernelkit").is_dir() for p in home.parents):
        assert ledger.root() == home / "a" / "b" / ".kernelkit"


def test_a_row_says_what_was_tried(home: Path, bars: xr.Dataset) -> None:
    venue = kk.Venue("mine", kk.fees.fraction(0.001), cash_rule="reject", band=0.01)
    grid = {"n": [10, 20, 30], "weight": [0.5, 1.0]}
    res = kk.backtest(bars, trend, grid=grid, where="n < 30 or weight < 1", venue=venue, account=kk.Account(5e4))
    (row,) = rows(home)
    assert (row["strategy"], row["role"], row["lineage"]) == ("trend", "rival", bars.attrs["lineage"])
    assert (row["cells"], row["trials"]) == (5, 5)
    assert row["span"] == [int(t) for t in bars["time"].values[[29, -1]].astype("datetime64[ns]").astype("i8")]
    assert row["venue"] == "mine: fees fraction(rate=0.001)"
    assert (row["axes"], row["bound"], row["asset_ids"]) == (grid, {}, ["index:SPX"])
    assert row["call"] == res.attrs["ledger"]
    params = list(params_of(row))
    assert len(params) == len(row["final_equity"]) == 5
    for cell, equity, sharpe in zip(params, row["final_equity"], row["sharpe_ratio"], strict=True):
        assert float(res["final_equity"].sel(**cell)) == equity
        assert float(res["sharpe_ratio"].sel(**cell)) == sharpe
    assert abs(row["at"] - time.time()) < 60


def test_a_row_has_the_block_summaries(home: Path, bars: xr.Dataset) -> None:
    """In single precision, on the same blocks; of wealth the logarithms."""
    res = kk.backtest(bars, trend, grid={"n": [10, 20]}, where="n < 20", outputs=("metrics", "blocks"))
    (row,) = rows(home)
    blocks = res["blocks"].sel(n=10)
    edges = row["edges"][0]
    np.testing.assert_array_equal(edges[edges > NONE], blocks.sel(summary="index").values)
    for j, name in enumerate(FIELDS):
        found = row["blocks"][0, :, j]
        wanted = blocks.sel(summary=name.removeprefix("log_")).values
        np.testing.assert_allclose(found, np.log(wanted) if name.startswith("log_") else wanted, rtol=1e-6, atol=1e-12)
    for j, name in enumerate(SHARED):
        np.testing.assert_array_equal(row["shared"][0, :, j], blocks.sel(summary=name).values)


def keys_of(home: Path, *calls: Callable[[], object]) -> list[str]:
    for call in calls:
        call()
    return [row["key"].tobytes() for row in rows(home)]


def test_the_key_is_what_was_tried(home: Path, bars: xr.Dataset) -> None:
    """The same trial has the same key however often it is run; another one has another."""

    def other(scale: float) -> Any:
        def half(x: float) -> float:
            return scale * x

        @kk.strategy
        def helped(ctx):  # type: ignore[no-untyped-def]
            ctx.target_percent(half(1.0))

        return helped

    same = keys_of(
        home, *[lambda: kk.backtest(bars, trend, {"n": 20})] * 2, lambda: kk.backtest(bars, trend, debug=True)
    )
    assert len(set(same)) == 1
    tried: list[Callable[[], object]] = [
        lambda: kk.backtest(bars, trend, {"n": 21}),
        lambda: kk.backtest(bars, trend, {"n": 20, "weight": 1}),
        lambda: kk.backtest(bars, trend, end="1999-12-31"),
        lambda: kk.backtest(bars, trend, start="1999-06-01"),
        lambda: kk.backtest(bars, trend, account=kk.Account(10.0)),
        lambda: kk.backtest(bars, trend, fill_model=kk.FillModel(limit="touch")),
        lambda: kk.backtest(bars, trend, venue=kk.Venue(band=0.1)),
        lambda: kk.backtest(bars, trend, venue=kk.Venue(cash_rule="debt")),
        lambda: kk.backtest(bars, trend, venue=kk.Venue(fees=kk.fees.fraction(0.0123456))),
        lambda: kk.backtest(bars, trend, venue=kk.Venue(fees=kk.fees.fraction(0.0123457))),
        lambda: kk.backtest(bars, above),
        lambda: kk.backtest(bars, kk.signal(above.function, units="quantity")),
        lambda: kk.backtest(bars, other(0.5)),
        lambda: kk.backtest(bars, other(0.25)),
    ]
    assert len(set(keys_of(home, *tried))) == 1 + len(tried)


def test_a_cell_of_a_grid_is_the_trial_that_it_is_alone(home: Path, bars: xr.Dataset) -> None:
    """The same parameters over the same span: one key, however they came about."""
    kk.backtest(bars, trend, grid={"weight": [0.5, 1.0], "n": [10, 20]}, start="1999-06-01")
    kk.backtest(bars, trend, {"n": 20}, start="1999-06-01")
    kk.backtest(bars, trend, {"weight": 0.5}, grid={"n": [10, 11]}, start="1999-06-01")
    grid, one, row = rows(home)
    assert grid["key"][3] == one["key"][0]
    assert grid["key"][0] == row["key"][0]
    assert len(set(map(bytes, [*grid["key"], *row["key"]]))) == 5


def test_every_call_is_recorded(home: Path, bars: xr.Dataset) -> None:
    """Repeats, signals, single numbers, debug mode, runs, errors: each leaves its row."""
    kk.backtest(bars, trend)
    kk.backtest(bars, trend)
    kk.backtest(bars, above, outputs=("final_equity",))
    kk.backtest(bars, trend, debug=True)
    kk.start(bars, trend).result()
    for debug in (False, True):
        with pytest.raises(ValueError, match="at a hundred"):
            kk.backtest(bars, fails, debug=debug)
    found = [(row["strategy"], row["role"], row["status"].tolist()) for row in rows(home)]
    assert found == [
        ("trend", "rival", [DONE]),
        ("trend", "rival", [DONE]),
        ("above", "rival", [DONE]),
        ("trend", "debug", [DONE]),
        ("trend", "rival", [DONE]),  # a run is recorded as it starts, and when its result is asked for
        ("trend", "rival", [DONE]),
        ("fails", "rival", [FAILED]),
        ("fails", "debug", [FAILED]),
    ]
    equity = {float(row["final_equity"][0]) for row in rows(home) if row["strategy"] == "trend"}
    assert len(equity) == 1


def test_trials_that_finished_beside_a_failed_one_are_recorded(home: Path, bars: xr.Dataset) -> None:
    top = float(bars["close"].max())

    @kk.strategy
    def picky(ctx, limit=1e9):  # type: ignore[no-untyped-def]
        if ctx.close[0] >= limit:
            raise ValueError("above the limit")

    with pytest.raises(ValueError, match="above the limit"):
        kk.backtest(bars, picky, grid={"limit": [2 * top, top, 3 * top]})
    (row,) = rows(home)
    assert row["trials"] == 3
    assert row["status"].tolist() == [DONE, FAILED, DONE]
    np.testing.assert_array_equal(row["final_equity"], [1e6, np.nan, 1e6])
    assert list(row["errors"]) == ["1"]


def test_what_was_never_tried_is_not_recorded(home: Path, bars: xr.Dataset) -> None:
    with pytest.raises(UsageError):
        kk.backtest(bars, trend, {"zz": 1})

    @kk.strategy
    def lists(ctx):  # type: ignore[no-untyped-def]
        ctx.order(max([1.0, 2.0]))

    with pytest.raises(StrategyError):
        kk.backtest(bars, lists)
    assert not (home / ".kernelkit" / "ledger").exists()


def test_recorded_before_it_is_returned(home: Path, bars: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Building the result comes after the row; a result whose row cannot be written is not handed out."""
    monkeypatch.setattr("kernelkit.result.build", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        kk.backtest(bars, trend)
    assert [row["trials"] for row in rows(home)] == [1]
    monkeypatch.undo()
    monkeypatch.chdir(home)

    def full(*_: object) -> int:
        raise OSError("full")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="full"):
        kk.backtest(bars, trend)


def test_after_a_failed_write_the_log_still_reads(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a record reached the disk: what follows goes into another file, whose chain is whole."""
    ledger.record([{"at": 1.0}])
    write = os.write

    def half(handle: int, data: Any) -> int:
        write(handle, data[: len(data) // 2])
        raise OSError("full")

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(OSError, match="full"):
        ledger.record([{"at": 2.0}])
    monkeypatch.setattr(os, "write", write)
    ledger.record([{"at": 3.0}])
    ledger.record([{"at": 4.0}])
    found = sorted(readable(log) for log in (home / ".kernelkit" / "ledger").glob("*.log"))
    assert found == [([1.0], "torn tail"), ([3.0, 4.0], "")]


def readable(log: Path) -> tuple[list[float], str]:
    """What can be read of a log, and how it ends: "", "torn tail" or "altered"."""
    out: list[float] = []
    found = read(log)
    while True:
        try:
            out.append(next(found)["at"])
        except StopIteration:
            return out, ""
        except ValueError as error:
            return out, next(word for word in ("torn tail", "altered") if word in str(error))


def test_role_of_training(home: Path, bars: xr.Dataset) -> None:
    with ledger.role("training"):
        kk.backtest(bars, trend, grid={"n": [5, 10]})
    kk.backtest(bars, trend)
    assert [row["role"] for row in rows(home)] == ["training", "rival"]


def test_role_does_not_leak_into_other_threads(home: Path) -> None:
    inside, done = threading.Event(), threading.Event()

    def training() -> None:
        with ledger.role("training"):
            inside.set()
            done.wait(10)

    thread = threading.Thread(target=training)
    thread.start()
    inside.wait(10)
    header = {"bound": {}, "axes": {}, "assets": ["A"], "together": False}
    ledger.record(list(ledger.trials_rows(header, [{}], np.array([0]), _outcome())))
    done.set()
    thread.join()
    assert [row["role"] for row in rows(home)] == ["rival"]


def _outcome() -> Any:
    from kernelkit.kernels.job import new_outcome

    return new_outcome(1, False)


WRITER = """
    import sys
    from kernelkit import ledger
    for k in range(400):
        ledger.record([{"at": float(k), "pad": "x" * (k % 900)}])
        if k == 20:
            print("started", flush=True)
"""


def test_two_processes_write_at_once(home: Path) -> None:
    writers = [python(WRITER, home) for _ in range(2)]
    for w in writers:
        assert w.communicate(timeout=60)[1] == ""
    logs = sorted((home / ".kernelkit" / "ledger").glob("*.log"))
    assert len(logs) == 2
    for log in logs:
        assert [row["at"] for row in read(log)] == list(range(400))


def test_killed_while_writing(home: Path) -> None:
    """kill -9: the log reads up to its last whole row."""
    endless = WRITER.replace("range(400)", "range(10**9)").replace("900", "90000")
    writer = python(endless, home)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "started\n"
    time.sleep(0.05)
    writer.kill()
    writer.communicate()
    (log,) = (home / ".kernelkit" / "ledger").glob("*.log")
    kept, _ = readable(log)
    assert len(kept) > 20
    assert kept == list(range(len(kept)))


@pytest.mark.parametrize("keep", [-1, -40, HEAD.size - 1])
def test_a_torn_tail_is_told_from_an_alteration(home: Path, keep: int) -> None:
    for k in range(5):
        ledger.record([{"at": float(k)}])
    (log,) = (home / ".kernelkit" / "ledger").glob("*.log")
    raw = log.read_bytes()
    whole = [i for i, _ in _records(raw)]
    log.write_bytes(raw[:keep] if keep < 0 else raw[: whole[-1] + keep])
    assert readable(log) == ([0.0, 1.0, 2.0, 3.0], "torn tail")


def _records(raw: bytes) -> list[tuple[int, int]]:
    at, out = 0, []
    while at < len(raw):
        n = HEAD.unpack(raw[at : at + HEAD.size])[0]
        out.append((at, n))
        at += HEAD.size + n
    return out


def _rewritten(raw: bytes, k: int) -> bytes:
    """Record k with other content and a CRC that fits: only the chain can tell."""
    import zlib

    at, n = _records(raw)[k]
    body = raw[at + HEAD.size : at + HEAD.size + n].replace(b"2.0", b"9.0")
    chain = HEAD.unpack(raw[at : at + HEAD.size])[2]
    return raw[:at] + HEAD.pack(n, zlib.crc32(body), chain) + body + raw[at + HEAD.size + n :]


def test_an_altered_record_is_found(home: Path) -> None:
    for k in range(5):
        ledger.record([{"at": float(k)}])
    (log,) = (home / ".kernelkit" / "ledger").glob("*.log")
    raw = log.read_bytes()
    at = _records(raw)[2][0]
    flipped = bytearray(raw)
    flipped[at + HEAD.size + 3] ^= 1
    second, third = _records(raw)[1][0], at
    without = raw[:second] + raw[third:]
    for damaged, good in ((bytes(flipped), 2), (_rewritten(raw, 2), 3), (without, 1)):
        log.write_bytes(damaged)
        found, how = readable(log)
        assert (len(found), how) == (good, "altered")


FORKED = """
    import os, threading, time
    from kernelkit import ledger
    from kernelkit.ledger import writing
    ledger.record([{"at": 0.0, "who": "parent"}])
    held = threading.Event()
    def hold():
        with writing._lock:
            held.set()
            time.sleep(0.5)
    threading.Thread(target=hold).start()
    held.wait()
    pid = os.fork()  # while another thread holds the lock
    if pid == 0:
        ledger.record([{"at": 1.0, "who": "child"}])
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    ledger.record([{"at": 2.0, "who": "parent"}])
    raise SystemExit(status)
"""


def test_a_forked_child_writes_its_own_log(home: Path) -> None:
    done = python(FORKED, home)
    out, error = done.communicate(timeout=60)
    assert (done.returncode, out, error) == (0, "", "")
    logs = sorted((home / ".kernelkit" / "ledger").glob("*.log"), key=lambda p: len(p.read_bytes()))
    assert [[row["who"] for row in read(log)] for log in logs] == [["child"], ["parent", "parent"]]
    assert len({log.name.split("-")[-2] for log in logs}) == 2  # processes


def test_what_json_does_not_know_is_written_as_text(home: Path, bars: xr.Dataset) -> None:
    """A signal may be bound to anything."""

    @kk.signal
    def weighted(ds, weights=None):  # type: ignore[no-untyped-def]
        return np.full(ds.sizes["time"], float(np.asarray(weights)[0]))

    kk.backtest(bars, weighted, {"weights": kk.fixed(np.array([0.25, 0.5]))})
    (row,) = rows(home)
    assert list(params_of(row)) == [row["bound"]]
    assert "0.25" in row["bound"]["weights"]


def test_summary(home: Path, bars: xr.Dataset) -> None:
    """All logs of the project together, by strategy and role; a torn one counts as far as it goes, and is told."""
    assert kk.ledger.summary().empty
    for _ in range(2):
        kk.backtest(bars, trend, grid={"n": [5, 10, 20]})
    kk.backtest(bars, trend, debug=True)
    kk.backtest(bars, above)
    found = kk.ledger.summary().set_index(["strategy", "role"])
    counted = ["calls", "trials", "distinct", "failed"]
    assert found.loc[("trend", "rival"), counted].tolist() == [2, 6, 3, 0]
    assert found.loc[("trend", "debug"), counted].tolist() == [1, 1, 1, 0]
    assert found.loc[("above", "rival"), counted].tolist() == [1, 1, 1, 0]
    assert (found["first"] <= found["last"]).all()
    (log,) = (home / ".kernelkit" / "ledger").glob("*.log")
    torn = log.rename(log.with_name("elsewhere-1-0.log"))  # this process is still at its own
    torn.write_bytes(torn.read_bytes()[:-10])
    with pytest.warns(RuntimeWarning, match=f"{torn.name}: torn tail"):
        again = kk.ledger.summary()
    assert int(again["trials"].sum()) == int(found["trials"].sum()) - 1


WAIT = 3


def helper(x: float) -> float:
    return x * WAIT


def test_identity_follows_what_is_captured(home: Path, bars: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """A warm-up's global, a helper of a helper of a signal, prices that were edited: each is another trial."""

    @kk.strategy(warmup=lambda p: WAIT * p.n)
    def waits(ctx, n=2):  # type: ignore[no-untyped-def]
        pass

    def outer(x: float) -> float:
        return helper(x)

    @kk.signal
    def helped(ds):  # type: ignore[no-untyped-def]
        return np.full(ds.sizes["time"], outer(0.1))

    edited = bars.assign({n: 2.0 * bars[n] for n in ("open", "high", "low", "close")})
    for subject in (waits, helped):
        kk.backtest(bars, subject)
        kk.backtest(edited, subject)
        monkeypatch.setitem(globals(), "WAIT", WAIT + 1)
        kk.backtest(bars, subject)
    keys = [row["key"].tobytes() for row in rows(home)]
    assert len(keys) == len(set(keys)) == 6


def test_what_a_signal_captures_makes_another_trial(home: Path, bars: xr.Dataset) -> None:
    """An array, an object's attribute, a variable of the bars: no text tells, what it came to does."""
    weights = np.zeros(3)

    @kk.signal
    def mixed(ds):  # type: ignore[no-untyped-def]
        x = ds["close"] / ds["close"].shift(time=1) - 1
        return (sum(weights[k] * x.shift(time=k) for k in range(3)) > 0) * 1.0

    for seed in range(4):
        weights = np.random.default_rng(seed).normal(size=3)
        kk.backtest(bars, mixed)
    kk.backtest(bars, mixed)
    keys = [row["key"].tobytes() for row in rows(home)]
    assert len(set(keys)) == 4
    assert keys[-1] == keys[-2]


def test_a_run_is_recorded_before_its_equity_can_be_seen(home: Path, bars: xr.Dataset) -> None:
    run = kk.start(bars.isel(time=slice(0, 200)), trend)
    assert [row["role"] for row in rows(home)] == ["rival"]
    run.feed(bars)
    assert [row["role"] for row in rows(home)] == ["rival", "continued"]
    assert [float(row["final_equity"][0]) for row in rows(home)][-1] == run.equity


def test_a_run_that_fails_is_recorded(home: Path, bars: xr.Dataset) -> None:
    """As it starts it is a rival, as any backtest that fails; with new bars it was one before."""
    with pytest.raises(ValueError, match="at a hundred"):
        kk.start(bars, fails)
    with pytest.raises(ValueError, match="at a hundred"):
        kk.backtest(bars, fails)
    started, tested = rows(home)
    assert [row["role"] for row in (started, tested)] == ["rival", "rival"]
    assert started["status"].tolist() == tested["status"].tolist() == [FAILED]
    assert started["span"] == tested["span"]
    assert bytes(started["key"][0]) == bytes(tested["key"][0])
    run = kk.start(bars.isel(time=slice(0, 90)), fails)
    equity = run.equity
    with pytest.raises(ValueError, match="at a hundred"):
        run.feed(bars)
    assert (run.bars, run.equity) == (90, equity)
    begun, fed = rows(home)[2:]
    assert (begun["role"], begun["status"].tolist()) == ("rival", [DONE])
    assert (fed["role"], fed["status"].tolist()) == ("continued", [FAILED])
