"""Results that are kept: found again, bit by bit what a run without them gives, and never in the place of others."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import kernelkit as kk
from kernelkit import reuse, working
from kernelkit.kernels.job import new_outcome
from kernelkit.reuse import Results


@kk.strategy
def cross(ctx, fast=10, slow=50):
    if ctx.close.sma(fast) > ctx.close.ema(slow):
        ctx.target_percent(1.0)
    else:
        ctx.target_percent(0.0)


GRID = {"fast": [5, 10, 15], "slow": [40, 60, 80, 100, 120, 140]}
SOME = {"fast": [5, 10], "slow": [40]}


@pytest.fixture(scope="module")
def bars() -> xr.Dataset:
    return kk.data.synthetic.minute_bars(20_000)


@pytest.fixture(autouse=True)
def worth(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Runs as short as those of tests are kept too; no other test writes to the ledger."""
    monkeypatch.setenv("KERNELKIT_LEDGER", str(tmp_path / "ledger"))
    monkeypatch.setattr(reuse, "WORTH", 0.0)


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many trials each call of the engine has had."""
    calls: list[int] = []
    simulate, further = working.simulate, working.run_further

    def counted(job: Any, a: int, b: int, *args: Any, **named: Any) -> Any:
        calls.append(b - a)
        return simulate(job, a, b, *args, **named)

    def counted_further(job: Any, *args: Any) -> Any:
        calls.append(len(job.trials))
        return further(job, *args)

    monkeypatch.setattr(working, "simulate", counted)
    monkeypatch.setattr(working, "run_further", counted_further)
    return calls


def run(bars: xr.Dataset, cache: Any, **settings: Any) -> xr.Dataset:
    return kk.backtest(bars, cross, cache=cache, outputs=("metrics", "blocks"), **settings).load()


def assert_same(a: xr.Dataset, b: xr.Dataset) -> None:
    xr.testing.assert_identical(a.drop_attrs(), b.drop_attrs())


@pytest.mark.parametrize("grid", [GRID, SOME, {}])
def test_what_is_kept_is_what_was_found(
    bars: xr.Dataset, tmp_path: Path, simulated: list[int], grid: dict[str, Any]
) -> None:
    plain = run(bars, False, grid=grid)
    first = run(bars, tmp_path, grid=grid)
    done = sum(simulated)
    again = run(bars, tmp_path, grid=grid)
    assert sum(simulated) == done
    assert_same(plain, first)
    assert_same(plain, again)


def test_of_a_wider_grid_only_the_new_trials_are_run(bars: xr.Dataset, tmp_path: Path, simulated: list[int]) -> None:
    run(bars, tmp_path, grid=GRID)
    before = sum(simulated)
    wider = GRID | {"fast": [5, 7, 10, 15]}
    found = run(bars, tmp_path, grid=wider)
    assert sum(simulated) - before == len(GRID["slow"])
    assert_same(found, run(bars, False, grid=wider))


def test_results_are_those_of_no_other_run(bars: xr.Dataset, tmp_path: Path) -> None:
    other = bars.copy(deep=True)
    other["close"].values[-1] = other["high"].values[-1]
    settings: list[dict[str, Any]] = [
        {},
        {"start": bars["time"].values[5_000]},
        {"end": bars["time"].values[15_000]},
        {"venue": kk.Venue(fees=kk.fees.fraction(0.001))},
        {"account": kk.Account(cash=5_000.0)},
        {"account": kk.Account(interest=0.05)},
        {"fill_model": "zipline"},
        {"fill_model": ["conservative", "zipline"]},
        {"fill_model": "backtesting.py"},
    ]
    for data in (bars, other):
        for own in settings:
            assert_same(run(data, tmp_path, grid=SOME, **own), run(data, False, grid=SOME, **own))


def test_more_bars_go_on_from_the_last_one(bars: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []
    restore = working.Session.restore

    def noted(self: Any, block: np.ndarray) -> None:
        restore(self, block)
        begun.append(int(self.frame["last"][0]))

    monkeypatch.setattr(working.Session, "restore", noted)
    for stop in (12_000, 15_000, 20_000):
        part = bars.isel(time=slice(0, stop))
        assert_same(run(part, tmp_path, grid=SOME), run(part, False, grid=SOME))
    assert begun == [12_000, 12_000, 15_000, 15_000]
    changed = bars.copy(deep=True)
    changed["open"].values[100] = changed["low"].values[100]
    assert_same(run(changed, tmp_path, grid=SOME), run(changed, False, grid=SOME))
    assert len(begun) == 4


@kk.strategy
def waits(ctx, n=5):
    ctx.target_percent(1.0 if ctx.i % 50 > 10.0 * n / 5.0 else 0.0)


def test_a_parameter_of_another_type_is_another_trial(bars: xr.Dataset, tmp_path: Path) -> None:
    part = bars.isel(time=slice(0, 9_000))
    for data, grid in ((part, {"n": [1]}), (bars, {"n": [1, 2.5]}), (bars, {"n": [1]})):
        found, plain = (kk.backtest(data, waits, grid=grid, cache=c, outputs=("metrics",)) for c in (tmp_path, False))
        assert_same(found, plain)


def test_a_folder_that_cannot_be_written_is_told_of_first(bars: xr.Dataset, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(kk.errors.UsageError, match="wanted a folder that can be written"):
        run(bars, tmp_path / "file" / "results", grid=SOME)
    assert len(kk.ledger.trials()) == 0


def test_a_full_disk_costs_no_result(bars: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Results, "_write", full)
    with pytest.warns(RuntimeWarning, match="results cannot be kept") as told:
        found = run(bars, tmp_path, grid=GRID)
    assert len(told) == 1
    assert_same(found, run(bars, False, grid=GRID))


@pytest.mark.parametrize("named", ["true", "1", "results"])
def test_the_variable_says_on_off_or_a_folder(bars: xr.Dataset, monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    monkeypatch.setenv("KERNELKIT_RESULTS", named)
    with pytest.raises(kk.errors.UsageError, match="wanted on, off or a folder"):
        run(bars, None, grid=SOME)


def test_a_damaged_pack_is_told_of_and_computed_again(bars: xr.Dataset, tmp_path: Path) -> None:
    plain = run(bars, tmp_path, grid=GRID)
    for pack in Results(tmp_path).packs("trials"):
        pack.path.write_bytes(pack.path.read_bytes()[:-100])
    damaged = Results(tmp_path).verify()
    assert len(damaged) == len(Results(tmp_path).packs("trials"))
    with pytest.warns(RuntimeWarning, match="kernelkit cache prune"):
        assert_same(run(bars, tmp_path, grid=GRID), plain)
    assert Results(tmp_path).verify() == []  # the same trials came to the same pack
    damaged[0].path.write_bytes(b"")
    assert [pack.path for pack in Results(tmp_path).prune()] == [damaged[0].path]


@pytest.mark.parametrize("where", [b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"])
def test_a_damaged_archive_is_a_damaged_pack(bars: xr.Dataset, tmp_path: Path, where: bytes) -> None:
    plain = run(bars, tmp_path, grid=GRID)
    for pack in Results(tmp_path).packs("trials"):
        content = bytearray(pack.path.read_bytes())
        content[content.index(where)] ^= 1
        pack.path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        assert_same(run(bars, tmp_path, grid=GRID), plain)


def test_equal_bars_at_several_venues_are_several_trials(bars: xr.Dataset, tmp_path: Path) -> None:
    other = bars.assign_coords(asset=["B"], asset_id=("asset", ["B"]))
    two = xr.concat([bars, other], "asset", data_vars="all", combine_attrs="override")
    venue = {"SYNTH": kk.Venue("cheap"), "B": kk.Venue("dear", fees=kk.fees.fraction(0.001))}
    plain = run(two, False, grid=SOME, venue=venue)
    assert not np.array_equal(plain["fees"][..., 0], plain["fees"][..., 1])
    for _ in range(2):
        assert_same(run(two, tmp_path, grid=SOME, venue=venue), plain)


def test_packs_of_another_version_are_left_alone(tmp_path: Path) -> None:
    store, keys = Results(tmp_path), np.arange(6, dtype="u8").view("V16")
    for k in range(3):
        outcome = new_outcome(1, False)
        outcome.done[:] = True
        store.put(keys[k : k + 1], outcome)
    wide = {"key": np.zeros((2, 2), "u8"), "headline": np.zeros((2, 99)), "meta": np.zeros((2, 3), "i8")}
    store._write("trials", wide)
    store.merge()
    store.find(keys, found := new_outcome(3, False))
    assert found.done.all()


def test_a_flipped_bit_does_not_pass(bars: xr.Dataset, tmp_path: Path) -> None:
    run(bars, tmp_path, grid=GRID)
    (pack,) = Results(tmp_path).packs("trials")[:1]
    content = bytearray(pack.path.read_bytes())
    content[len(content) // 2] ^= 1
    pack.path.write_bytes(content)
    assert [damaged.path for damaged in Results(tmp_path).verify()] == [pack.path]


def test_small_packs_are_merged_without_loss(tmp_path: Path) -> None:
    keys = np.arange(2 * 300, dtype="u8").view("V16")
    store = Results(tmp_path)
    for k in range(300):
        outcome = new_outcome(1, k % 2 == 0)
        outcome.done[:], outcome.headline[:] = True, k
        store.put(keys[k : k + 1], outcome)
    assert len(store.packs()) <= reuse.MANY + 2
    found = new_outcome(300, False)
    Results(tmp_path).find(keys, found)
    assert found.done.all()
    assert found.headline[:, 0].tolist() == list(range(300))


def test_states_that_a_newer_one_goes_on_from_are_left_out(bars: xr.Dataset, tmp_path: Path) -> None:
    store = Results(tmp_path)
    for stop in range(12_000, 20_000, 1_000):
        run(bars.isel(time=slice(0, stop)), tmp_path, grid=SOME)
        (pack,) = store.packs("states")
        arrays = store._read(pack, ("bars",))
        assert arrays is not None
        assert arrays["bars"].tolist() == [stop] * 2
    part = bars.isel(time=slice(0, 19_500))
    run(part, tmp_path, params={"fast": 5, "slow": 40})  # one of both goes on
    assert sorted(len(store._read(p, ("bars",))["bars"]) for p in store.packs("states")) == [1, 1]  # type: ignore[index]
    assert store.verify() == []
    assert_same(run(bars, tmp_path, grid=SOME), run(bars, False, grid=SOME))


def test_many_packs_of_states_become_one(tmp_path: Path) -> None:
    store = Results(tmp_path)
    for k in range(reuse.MANY + 2):
        block = np.full(100, k, "u1")
        store.keep({k.to_bytes(16, "little"): reuse.State(k, "ab" * 32, block)}, {})
    assert len(store.packs("states")) <= 2
    for k in (0, reuse.MANY):
        (found,) = Results(tmp_path).states(k.to_bytes(16, "little"))
        assert (found.bars, found.seen, found.block.tolist()) == (k, "ab" * 32, [k] * 100)


def test_packs_are_merged_and_found_by_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reuse, "ROWS", 7)
    store, keys, rng = Results(tmp_path), np.arange(2 * 60, dtype="u8").view("V16"), np.random.default_rng(1)
    outcome = new_outcome(60, True)
    outcome.done[:], outcome.meta[:, 0] = True, rng.integers(1, 9, 60)
    outcome.headline[:] = rng.normal(size=outcome.headline.shape)
    assert outcome.blocks is not None
    outcome.blocks["w"] = np.where(np.arange(outcome.blocks.shape[1]) < outcome.meta[:, :1], 1.5, 0.0)
    for a, b in ((0, 20), (20, 25), (25, 60)):
        store.put(keys[a:b], outcome.part(a, b))
    store.merge()
    (pack,) = store.packs()
    assert store.verify() == []
    asked = rng.permutation(60)[:41]
    store.find(keys[asked], found := new_outcome(41, True))
    assert found.done.all()
    np.testing.assert_array_equal(found.headline, outcome.headline[asked])
    np.testing.assert_array_equal(found.blocks, outcome.blocks[asked])  # type: ignore[arg-type]
    content = bytearray(pack.path.read_bytes())
    content[len(content) // 2] ^= 1
    pack.path.write_bytes(content)
    store.put(keys[:5], outcome.part(0, 5))
    store.merge()  # which joins nothing with what is damaged
    assert len(store.packs()) == 2


def decide(ds: xr.Dataset) -> dict[str, Any]:
    """A pipeline that knows the whole: what is bought on the first bar hangs on the last."""
    best = max((5, 50), key=lambda n: float(kk.backtest(ds, cross, {"fast": n})["total_return"]))
    return {"position": ds["close"] * 0.0 + best}


def test_what_an_audit_is_told_hangs_on_no_result_that_is_kept(
    bars: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bars with another future are other bars: their trials are found as those of no others, before and after."""
    part, found = bars.isel(time=slice(0, 400)), []
    for named in ("off", str(tmp_path / "results"), str(tmp_path / "results")):
        monkeypatch.setenv("KERNELKIT_RESULTS", named)
        found.append(kk.audit(part, decide, cuts=1, start=part["time"].values[200]))
    for report in found:
        assert not report.blind
        assert report.leaks.to_dict() == found[0].leaks.to_dict()
    assert Results(tmp_path / "results").packs("trials")


def test_prune_takes_the_oldest(tmp_path: Path) -> None:
    store, keys = Results(tmp_path), np.arange(20, dtype="u8").view("V16")
    for k in range(10):
        outcome = new_outcome(1, False)
        outcome.done[:], outcome.headline[:] = True, k
        store.put(keys[k : k + 1], outcome)
        os.utime(store.packs()[-1].path, (time.time() - 100 + k, time.time() - 100 + k))
    size = store.packs()[0].bytes
    store.prune(keep_bytes=3 * size + size // 2)
    store.find(keys, found := new_outcome(10, False))
    assert found.done.tolist() == [False] * 7 + [True] * 3
    assert len(store.prune(older_than=0.0)) == 3


SCRIPT = """
import sys
import kernelkit as kk
from kernelkit import reuse, working
reuse.WORTH, working.PIECE_S = 0.0, 0.002
from tests.test_reuse import cross, study
study(sys.argv[1])
"""


def study(cache: Any) -> xr.Dataset:
    """Folds, each with a grid."""
    from kernelkit.study.run import Case, Common, run

    bars = kk.data.synthetic.minute_bars(20_000)
    at = bars["time"].values
    spans = [Case(k, settings={"start": at[1_000 + k * 900], "end": at[2_500 + k * 900]}) for k in range(20)]
    return run(
        "fold", spans, Common(bars, cross, grid=GRID), role="training", blocks=True, means=working.Means(cache=cache)
    )


def test_a_killed_study_goes_on(tmp_path: Path, simulated: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    expected = study(False)
    total, rng = sum(simulated), np.random.default_rng(1)
    environment = os.environ | {"KERNELKIT_LEDGER": str(tmp_path / "ledger"), "PYTHONPATH": str(Path.cwd())}
    for _ in range(2):
        shutil.rmtree(tmp_path / "results", ignore_errors=True)
        process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(tmp_path / "results")], env=environment)
        wanted, began = rng.integers(1, 6), time.monotonic()
        while len(Results(tmp_path / "results").packs()) < wanted and process.poll() is None:
            assert time.monotonic() - began < 60
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()
        monkeypatch.setattr(reuse, "WORTH", 0.0)
        before = sum(simulated)
        assert_same(study(tmp_path / "results"), expected)
        assert sum(simulated) - before < total


def test_several_processes_share_a_folder(tmp_path: Path) -> None:
    expected = study(False)
    environment = os.environ | {"KERNELKIT_LEDGER": str(tmp_path / "ledger"), "PYTHONPATH": str(Path.cwd())}
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "results")]
    running = [subprocess.Popen(command, env=environment) for _ in range(2)]
    assert [process.wait() for process in running] == [0, 0]
    assert Results(tmp_path / "results").verify() == []
    assert_same(study(tmp_path / "results"), expected)


@pytest.mark.parametrize("wrong", [3, 0.5, ["x"], "", "on"])
def test_what_no_cache_is(bars: xr.Dataset, wrong: Any) -> None:
    with pytest.raises(kk.errors.UsageError, match=r"cache: found .*wanted True, False or a folder"):
        run(bars, wrong)
