"""The runner of studies: each case is the backtest that it says, bit by bit, whatever runs beside it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import kernelkit as kk
from kernelkit.kernels import layout as L
from kernelkit.progress import Progress, listen
from kernelkit.study.run import Case, Common, run
from kernelkit.working import Means


@kk.strategy
def cross(ctx, fast=10, slow=50):
    if ctx.close.sma(fast) > ctx.close.ema(slow):
        ctx.target_percent(1.0)
    else:
        ctx.target_percent(0.0)


@kk.strategy
def fails(ctx, at=100):
    if ctx.i == at:
        raise ValueError("no more")


@kk.portfolio
def equal(ctx, part=0.5):
    for k in ctx.tradable:
        ctx[k].target_percent(part)


@kk.signal
def above(ds, n=20):
    return (ds["close"] > ds["close"].rolling(time=n).mean()).astype(float)


GRID = {"fast": [5, 10], "slow": [30, 60]}


@pytest.fixture(scope="module")
def bars() -> xr.Dataset:
    return kk.data.synthetic.minute_bars(6_000)


def alone(bars: xr.Dataset, strategy: Any, **settings: Any) -> xr.Dataset:
    return kk.backtest(bars, strategy, outputs=("metrics", "blocks"), **settings).load()


def assert_is(found: xr.Dataset, dim: str, k: int, expected: xr.Dataset) -> None:
    for name in (*L.HEADLINE, "blocks"):
        one, other = found[name].isel({dim: k}), expected[name]
        if name == "blocks":
            one, other = one.isel(block=slice(0, other.sizes["block"])), other
        np.testing.assert_array_equal(one.values, other.values, err_msg=name)


def test_each_case_is_its_backtest(bars: xr.Dataset) -> None:
    at, other = bars["time"].values, kk.data.synthetic.minute_bars(3_000, seed=5)
    settings: list[dict[str, Any]] = [
        {"start": at[500], "end": at[1500]},
        {"start": at[1000], "end": at[4000]},
        {},
        {"venue": kk.Venue(fees=kk.fees.fraction(0.001))},
        {"venue": kk.Venue(slippage=kk.slippage.ticks(2))},
        {"fill_model": "zipline"},
        {"account": kk.Account(cash=777.0)},
    ]
    cases = [Case(k, settings=own) for k, own in enumerate(settings)]
    cases += [Case(len(cases), lambda: other), Case(len(cases) + 1, other, {"end": other["time"].values[2000]})]
    found = run("case", cases, Common(bars, cross, grid=GRID), role="scenario", blocks=True)
    assert found.sizes["case"] == len(cases)
    for k, own in enumerate([*settings, {}, {"end": other["time"].values[2000]}]):
        data = other if k >= len(settings) else bars
        assert_is(found, "case", k, alone(data, cross, grid=GRID, **own))
    assert (found["error"] == "").all()


def test_cases_differ_in_parameters_and_strategies(bars: xr.Dataset) -> None:
    @kk.strategy
    def hold(ctx, fast=1, slow=2):
        ctx.target_percent(1.0)

    cases = [Case("a", settings={"params": {"fast": 7}}), Case("b", settings={"strategy": hold})]
    found = run("case", cases, Common(bars, cross, {"slow": 44}), role="sensitivity", blocks=True)
    assert_is(found, "case", 0, alone(bars, cross, params={"fast": 7, "slow": 44}))
    assert_is(found, "case", 1, alone(bars, hold))


@pytest.mark.parametrize("strategy", [equal, above])
def test_portfolios_and_signals_run_as_ever(strategy: Any) -> None:
    two = kk.data.load("sp500_index")
    both = xr.concat([two, two.assign_coords(asset=["b"], asset_id=("asset", ["b"]))], "asset", data_vars="all")
    both.attrs = two.attrs
    years = [Case(y, settings={"start": str(y), "end": str(y + 2)}) for y in (2003, 2008)]
    found = run("year", years, Common(both, strategy), role="scenario", blocks=True)
    for k, case in enumerate(years):
        assert_is(found, "year", k, alone(both, strategy, **case.settings))


def test_what_fails_is_told_and_the_study_goes_on(bars: xr.Dataset) -> None:
    at = bars["time"].values
    cases = [
        Case("fine", settings={"end": at[50]}),
        Case("fails", settings={"end": at[500]}),
        Case("too short", settings={"start": "1990", "end": "1991"}),
        Case("fine again", settings={"end": at[60]}),
    ]
    found = run("case", cases, Common(bars, fails, grid={"at": [100, 10_000]}), role="scenario", blocks=True)
    assert np.isnan(found["total_return"]).values.tolist() == [[False] * 2, [True, False], [True, True], [False] * 2]
    errors = found["error"].values
    assert errors[1, 0] == "ValueError: no more"
    assert errors[2, 0] == errors[2, 1]
    assert errors[2, 0].startswith("UsageError: start and end")
    assert (errors[[0, 3]] == "").all()
    assert found.attrs["failed"] == 3


def test_where_all_fail_the_first_reason_is_raised(bars: xr.Dataset) -> None:
    with pytest.raises(kk.errors.UsageError, match="parameter 'slwo'"):
        run("case", [Case(1), Case(2)], Common(bars, cross, {"slwo": 3}), role="scenario")
    with pytest.raises(kk.errors.UsageError, match="cases of case: found none"):
        run("case", [], Common(bars, cross), role="scenario")


def test_cases_with_other_axes_do_not_fit(bars: xr.Dataset) -> None:
    cases = [Case(1), Case(2, settings={"params": {"fast": [1, 2]}})]
    with pytest.raises(kk.errors.UsageError, match="case 2: found other axes or assets"):
        run("case", cases, Common(bars, cross), role="scenario")
    with pytest.raises(kk.errors.UsageError, match="setting of case 1: found grid, wanted one of account"):
        run("case", [Case(1, settings={"grid": {}})], Common(bars, cross), role="scenario")


def test_progress_counts_cases(bars: xr.Dataset) -> None:
    heard: list[Progress] = []
    cases = (Case(k, lambda k=k: kk.data.synthetic.minute_bars(500, seed=k)) for k in range(30))
    with listen(heard.append):
        found = run("path", cases, Common(None, cross), role="path", total=30)
    assert (heard[-1].label, heard[-1].done, heard[-1].total) == ("path: 30 cases", 30, 30)
    for k in (0, 17):
        one = alone(kk.data.synthetic.minute_bars(500, seed=k), cross)
        assert float(found["total_return"][k]) == float(one["total_return"])


def test_an_interrupt_keeps_what_is_done(bars: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    import kernelkit.study.run as module

    monkeypatch.setattr(module, "BATCH_TRIALS", 8)
    done: list[int] = []
    whole = module.run_trials

    def twice(*args: Any) -> Any:
        done.append(1)
        outcome, interrupted = whole(*args)
        return outcome, interrupted or len(done) == 2

    monkeypatch.setattr(module, "run_trials", twice)
    at = bars["time"].values
    cases = [Case(k, settings={"end": at[500 + k]}) for k in range(10)]
    found = run("case", cases, Common(bars, cross, grid=GRID), role="scenario")
    assert found.sizes["case"] == 4
    assert found.attrs["interrupted"] == "16 trials of 4 cases done, of 10 cases"


MEASURE = """
import sys
import kernelkit as kk

@kk.strategy
def hold(ctx, a=1, b=1):
    ctx.target_percent(1.0)

bars = kk.data.load("sp500_index")
kk.backtest(bars, hold, grid={"a": [1, 2]})
def peak():
    # its own: what getrusage tells goes back to the process that has started this one
    (line,) = (line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    return int(line.split()[1])

before = peak()
grid = {"a": range(200), "b": range(200)}
with kk.ledger.role("scenario"):  # whose block summaries the ledger does not want
    res = kk.backtest(bars.isel(time=slice(0, 900)), hold, grid=grid, memory_limit=sys.argv[1])
assert float(res["blocks"].isel(a=150, b=3, block=0).sel(summary="n")) > 0
print(peak() - before)
"""


def test_a_memory_limit_holds(tmp_path: Path) -> None:
    (tmp_path / "measure.py").write_text(MEASURE)
    environment = os.environ | {"PYTHONPATH": str(Path.cwd()), "KERNELKIT_LEDGER": str(tmp_path / "ledger")}

    def peak(limit: str) -> int:
        """kB above what was there before."""
        command = [sys.executable, "measure.py", limit]
        found = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert (found.returncode, found.stderr) == (0, "")
        return int(found.stdout)

    blocks = 40_000 * L.MAX_CELLS * L.NODE.itemsize // 1000
    free, limited = peak("10GB"), peak("20MB")
    assert limited < free - blocks // 4


@pytest.mark.parametrize("size", ["2 apples", True, -1, "GB"])
def test_what_no_size_is(bars: xr.Dataset, size: Any) -> None:
    with pytest.raises(kk.errors.UsageError, match="memory_limit: found"):
        kk.backtest(bars, cross, memory_limit=size)
    with pytest.raises(kk.errors.UsageError, match="memory_limit: found"):
        run("case", [Case(1)], Common(bars, cross), role="scenario", means=Means(memory_limit=size))
