"""The curve that stands for a run, read from results that were really kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

import kernelkit as kk
from kernelkit.batch import context, curves
from kernelkit.batch.runs import Run
from kernelkit.errors import RunError


@kk.strategy
def trend(ctx, n=100):
    ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else 0.0)


@pytest.fixture(scope="module")
def bars() -> xr.Dataset:
    return kk.data.load("sp500_index").sel(time=slice("2010", "2015"))


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[xr.Dataset], curves.Curve]:
    """Keep a result as the notebook of a run does, and read the curve of that run."""
    monkeypatch.setenv(context.RUN_DIR, str(tmp_path))

    def read(res: xr.Dataset) -> curves.Curve:
        context.keep(res)
        store = f"{context.MAIN}{context.SUFFIX}"
        return curves.read(tmp_path, Run(id="a-1", name="a", template="t", status="done", store=store))

    return read


GRID: dict[str, Any] = {"n": [20, 50]}


def test_read__a_trial_that_nobody_chose_has_fixed_parameters(bars, read) -> None:
    found = read(kk.backtest(bars, trend, {"n": 50}))
    assert (found.name, found.sample) == ("equity", "fixed parameters")


def test_read__a_trial_of_a_grid_is_in_sample(bars, read) -> None:
    assert read(kk.backtest(bars, trend, grid=GRID).sel(n=50)).sample == "in sample"


def test_read__the_best_of_a_search_is_in_sample(bars, read) -> None:
    study = kk.search(bars, trend, {"n": kk.integer(20, 60)}, n=3, method="random")
    assert read(study.sel(trial=study.attrs["best"])).sample == "in sample"


def test_read__a_walk_forward_is_out_of_sample(bars, read) -> None:
    study = kk.walk_forward(bars, trend, grid=GRID, train="2Y", test="1Y")
    found = read(study)
    assert (found.name, found.sample) == ("equity_oos", "out of sample")
    assert found.equity[-1] == study["equity_oos"].values[-1]


def test_read__of_a_result_that_does_not_tell_its_trials_is_in_sample(bars, read) -> None:
    """As of one that was made by hand: what is not known is not taken for honest."""
    res = kk.backtest(bars, trend, {"n": 50})[["equity"]].load()
    assert read(xr.Dataset({"equity": res["equity"]})).sample == "in sample"


def test_read__a_whole_grid_has_no_curve(bars, read) -> None:
    with pytest.raises(RunError, match="without its equity"):
        read(kk.backtest(bars, trend, grid=GRID))
