"""`res.kk`: where it is, and that each picture says for which results it is."""

from __future__ import annotations

import subprocess
import sys

import pytest
import xarray as xr

import kernelkit as kk
from kernelkit.errors import UsageError
from kernelkit.notebook.accessor import Accessor
from kernelkit.report.plots import Plots

pytestmark = pytest.mark.usefixtures("own_ledger")

BARS = kk.data.load("sp500_index").sel(time=slice("2006", "2009"))
WIDGETS = ("chart", "trade_inspector", "explorer", "fan", "waterfall", "monthly", "weights", "correlation", "verdict")


@kk.strategy
def trend(ctx, n=50):
    ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else 0.0)


@pytest.fixture(scope="module")
def res():
    return kk.backtest(BARS, trend)


def test_accessor__is_there_for_whoever_has_a_result(res):
    assert isinstance(res.kk, Accessor)
    assert isinstance(res.kk.plot, Plots)


def test_accessor__has_a_static_picture_for_each_widget():
    assert all(callable(getattr(kind, name)) for kind in (Accessor, Plots) for name in WIDGETS)


def test_accessor__of_a_stored_result(res, tmp_path):
    with xr.open_zarr(kk.save(res, tmp_path / "kept.zarr", ["equity"]), consolidated=False) as stored:
        assert stored.load().kk.plot.monthly() is not None


@pytest.mark.parametrize("first", ["import xarray, kernelkit", "import kernelkit, xarray; kernelkit.backtest"])
def test_accessor__comes_with_kernelkit(first):
    code = f"{first}\nprint(hasattr(xarray.Dataset, 'kk'))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "True\n"


def test_importing_kernelkit_alone__still_loads_no_xarray():
    code = "import sys, kernelkit; print('xarray' in sys.modules, 'numba' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False False\n"


@pytest.mark.parametrize("where", ["kk", "kk.plot"])
@pytest.mark.parametrize(
    ("name", "says"), [("fan", "dim path"), ("waterfall", "dim scenario"), ("correlation", "several strategies")]
)
def test_picture__says_for_which_results_it_is(res, where, name, says):
    owner = res.kk.plot if where == "kk.plot" else res.kk
    with pytest.raises(UsageError, match=says):
        getattr(owner, name)()


def test_picture__of_curves_that_were_not_saved(res):
    with pytest.raises(UsageError, match="without that curve"):
        res.drop_vars("equity").kk.monthly()
