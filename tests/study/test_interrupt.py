"""An interrupt keeps what is done: what has a meaning by itself is returned and says so, all else is in the cache."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import kernelkit as kk
from kernelkit import reuse, working
from kernelkit.kernels.job import Outcome
from kernelkit.study import run as module

BARS = kk.data.load("sp500_index").isel(time=slice(0, 800))
GRID = {"n": [5, 20], "m": [1, 2]}


@kk.strategy
def trend(ctx, n=5, m=1):
    ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else 0.0)


@kk.strategy
def hold(ctx):
    ctx.target_percent(1.0)


@pytest.fixture
def stop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[int, int], None]:
    """Interrupt the call of the runner with this number, after so many of its trials."""
    monkeypatch.setenv("KERNELKIT_LEDGER", str(tmp_path / "ledger"))
    monkeypatch.setattr(reuse, "WORTH", 0.0)

    def at(call: int, trials: int) -> None:
        calls, whole = list[int](), module.run_trials

        def cut(*arguments: Any) -> tuple[Outcome, bool]:
            calls.append(1)
            outcome, interrupted = whole(*arguments)
            if len(calls) != call:
                return outcome, interrupted
            outcome.done[trials:], outcome.headline[trials:] = False, np.nan
            return outcome, True

        monkeypatch.setattr(module, "run_trials", cut)

    return at


def forward(**own: Any) -> xr.Dataset:
    found: xr.Dataset = kk.walk_forward(BARS, trend, grid=GRID, train=200, test=100, **own)
    return found


def test_a_walk_forward_trades_the_folds_that_were_trained(stop: Callable[[int, int], None]) -> None:
    whole = forward()
    stop(1, 10)  # of four cells a fold two folds are whole
    found = forward()
    assert found.attrs["interrupted"] == f"2 of {whole.sizes['fold']} folds done"
    assert "interrupted" not in whole.attrs
    np.testing.assert_array_equal(found["n"], whole["n"][:2])
    np.testing.assert_array_equal(found["equity_oos"], whole["equity_oos"][: found.sizes["time"]])
    assert found.sizes["time"] == 200
    stop(1, 3)
    with pytest.raises(KeyboardInterrupt):
        forward()


def test_a_searcher_that_is_interrupted_leaves_the_folds_before(stop: Callable[[int, int], None]) -> None:
    def searcher(seen: xr.Dataset, *_: Any) -> dict[str, int]:
        if seen.sizes["time"] > 400:
            raise KeyboardInterrupt
        return {"n": 5, "m": 1}

    found = forward(searcher=searcher)
    assert found.sizes["fold"] == 3
    assert found.attrs["interrupted"] == "3 of 6 folds done"


def test_reverse_stress_knows_what_whole_scans_have_found(stop: Callable[[int, int], None]) -> None:
    def run() -> xr.Dataset:
        found: xr.Dataset = kk.reverse_stress(BARS, hold, shock=lambda size: kk.scenarios.Gap(-size), steps=4)
        return found

    whole = run()
    stop(3, 1)
    found = run()
    assert found.attrs["interrupted"] == "1 scans done, and a part of another"
    assert found["size"].values.tolist()[0] == 0.0
    assert 5 <= found.sizes["size"] < whole.sizes["size"]
    assert float(found["smallest"]) >= float(whole["smallest"])
    stop(1, 0)
    with pytest.raises(KeyboardInterrupt):
        run()


def test_the_worst_so_far_is_a_bound(stop: Callable[[int, int], None]) -> None:
    stop(2, 4)
    found = kk.adversarial(BARS, trend, n=40, blocks=2)
    assert found.search.attrs["interrupted"] == "12 of 40 paths tried"
    assert float(found.result["total_return"]) == float(found.search["total_return"].min())


@pytest.mark.parametrize("study", ["cross_validate", "compare"])
def test_what_has_no_meaning_in_part_is_in_the_cache(
    stop: Callable[[int, int], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, study: str
) -> None:
    def run(cache: Any) -> xr.Dataset:
        found: xr.Dataset
        if study == "compare":
            found = kk.compare({"a": trend, "b": trend}, BARS, params={"b": {"n": 9}}, cache=cache)
        else:
            found = kk.cross_validate(BARS, trend, grid=GRID, splits=kk.splits.combinatorial(4, 2), cache=cache)
        return found.load().drop_attrs()

    whole = run(False)
    stop(1, 1)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "results")
    monkeypatch.undo()
    monkeypatch.setattr(reuse, "WORTH", 0.0)
    monkeypatch.setenv("KERNELKIT_LEDGER", str(tmp_path / "ledger"))
    for name in ("run", "run_further"):
        monkeypatch.setattr(working, name, None)  # nothing is left to be computed
    xr.testing.assert_identical(run(tmp_path / "results"), whole)
