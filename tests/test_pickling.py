"""What travels by pickle and what is copied: strategies as functions do, results as values or not at all."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import xarray as xr

import kernelkit as kk
from kernelkit.errors import UsageError


@pytest.fixture(autouse=True)
def own_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".kernelkit").mkdir()
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def bars() -> xr.Dataset:
    out: xr.Dataset = kk.data.load("sp500_index").isel(time=slice(0, 400))
    return out


@kk.strategy(state=dict(seen=0))
def named(ctx, s, n=20):  # type: ignore[no-untyped-def]
    ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else 0.0)


@named.on_fill
def counted(ctx, s, fill):  # type: ignore[no-untyped-def]
    s.seen = s.seen + 1
    if s.seen > 3:
        ctx.cancel_all()


@kk.signal
def always(ds, weight=1.0):  # type: ignore[no-untyped-def]
    return ds["close"] * 0.0 + weight


def test_a_strategy_of_a_module_is_pickled_by_its_name() -> None:
    for one in (named, always):
        assert pickle.loads(pickle.dumps(one)) is one
        assert copy.deepcopy({"of": one})["of"] is one
    assert len(pickle.dumps(named)) < 200


def test_any_other_by_value(bars: xr.Dataset) -> None:
    factor = 0.5

    @kk.strategy(state=dict(seen=0), warmup=3)
    def local(ctx, s, n=20):  # type: ignore[no-untyped-def]
        ctx.target_percent(factor if ctx.close[0] > ctx.close.sma(n) else 0.0)

    @local.schedule("month_start")
    def reset(ctx, s):  # type: ignore[no-untyped-def]
        s.seen = 0

    @kk.signal
    def flat(ds):  # type: ignore[no-untyped-def]
        return ds["close"] * 0.0 + factor

    wanted: Any = kk.backtest(bars, local)["final_equity"]  # what it has compiled stays behind
    there = pickle.loads(pickle.dumps(local))
    assert (there.identity, there.warmup, [h.when for h in there.hooks]) == (local.identity, 3, ["month_start"])
    assert float(kk.backtest(bars, there)["final_equity"]) == float(wanted)
    there = pickle.loads(pickle.dumps(flat))
    assert float(kk.backtest(bars, there)["final_equity"]) == float(kk.backtest(bars, flat)["final_equity"])


def test_one_of_a_script_reaches_another_process(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        "import pickle, sys, kernelkit as kk\n@kk.strategy\ndef hold(ctx, w=0.5):\n    ctx.target_percent(w)\n"
        "sys.stdout.buffer.write(pickle.dumps(hold))\n"
    )
    sent = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, check=True).stdout
    there = pickle.loads(sent)
    bars = kk.data.load("sp500_index").isel(time=slice(0, 200))
    assert repr(there) == "<strategy hold(w=0.5)>"
    assert int(kk.backtest(bars, there)["n_fills"]) >= 1


def test_a_result_is_copied_but_pickled_as_values_only(bars: xr.Dataset) -> None:
    grid = kk.backtest(bars, named, grid={"n": [10, 20]})
    walk = kk.walk_forward(bars, named, grid={"n": [10, 20]}, train="6M", test="3M")
    blocks = kk.backtest(bars, named, outputs=("metrics", "blocks"))
    for res in (grid, walk, blocks):
        twin = copy.deepcopy(res)
        xr.testing.assert_identical(twin.drop_attrs(), res.drop_attrs())
        with pytest.raises(UsageError, match=r"pickling a result: found '.*', .*wanted values. Write kk.save\(res"):
            pickle.dumps(res)
    pd.testing.assert_frame_equal(kk.fills(copy.deepcopy(grid).sel(n=10)), kk.fills(grid.sel(n=10)))
    metrics = kk.backtest(bars, named, grid={"n": [10, 20]}, outputs=("metrics",))
    for res in (metrics, grid.sel(n=10).load()):
        xr.testing.assert_identical(pickle.loads(pickle.dumps(res)), res)


def test_a_run_is_kept_as_a_folder(bars: xr.Dataset) -> None:
    run = kk.start(bars, named)
    for keep in (pickle.dumps, copy.deepcopy):
        with pytest.raises(UsageError, match=r"pickling or copying a run.*kk\.resume"):
            keep(run)
