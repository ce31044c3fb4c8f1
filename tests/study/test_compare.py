"""Strategies side by side are the backtests of each, and tests of each pair (rule Z21)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import kernelkit as kk
from kernelkit import ledger
from kernelkit.errors import UsageError
from kernelkit.kernels import layout as L


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ledger of the test's own."""
    (tmp_path / ".kernelkit").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@kk.strategy
def hold(ctx):
    ctx.target_percent(1.0)


@kk.strategy
def trend(ctx, n=20):
    ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else -1.0)


@kk.signal
def above(ds, n=20):
    return (ds["close"] > ds["close"].rolling(time=n).mean()).astype(float)


BARS = kk.data.load("sp500_index").sel(time=slice("2004", "2006"))
SHORT = kk.inference.Resampling("circular", replications=199)
SEVERAL = {"hold": hold, "fast": trend, "slow": trend, "signal": above}
PARAMS = {"fast": {"n": 5}, "slow": {"n": 100}}
VENUE = kk.Venue("v", kk.fees.fraction(0.001))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> xr.Dataset:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("own"))
        Path(".kernelkit").mkdir()
        ds = kk.compare(SEVERAL, BARS, params=PARAMS, venue=VENUE, resampling=SHORT)
        assert set(ledger.trials()["role"]) == {"rival"}
        assert len(ledger.trials()) == 4
    return ds


def alone(name: str) -> Any:
    start = BARS["time"].values[99]  # the slowest average has its 100 bars
    return kk.backtest(BARS, SEVERAL[name], PARAMS.get(name), venue=VENUE, start=start)


@pytest.mark.parametrize("name", SEVERAL)
def test_z21__each_is_its_backtest_from_where_all_have_warmed_up(found: xr.Dataset, name: str) -> None:
    plain = alone(name)
    for metric in L.HEADLINE:
        np.testing.assert_array_equal(found[metric].sel(strategy=name).values, plain[metric].values, err_msg=metric)
    equity = np.concatenate([[1e6], plain["equity"].values])
    np.testing.assert_allclose(found["returns"].sel(strategy=name).values, equity[1:] / equity[:-1] - 1.0, atol=1e-14)


def test_z21__pairs_are_those_of_the_test_of_two(found: xr.Dataset) -> None:
    names = list(SEVERAL)
    for a in names:
        for b in names:
            cell = found.sel(strategy=a, other=b)
            x, y = (kk.metrics.returns(alone(n)["equity"], initial=1e6) for n in (a, b))
            assert float(cell["correlation"]) == pytest.approx(float(np.corrcoef(x, y)[0, 1]), abs=1e-12)
            if a == b:
                assert np.isnan(cell["p_value"])
                continue
            first, second = (x, y) if names.index(a) > names.index(b) else (y, x)
            sign = 1.0 if first is x else -1.0
            wanted = kk.inference.sharpe_difference(first, second, resampling=SHORT)
            assert float(cell["p_value"]) == float(wanted["p_value"])
            assert float(cell["difference"]) == pytest.approx(sign * float(wanted["estimate"]), rel=1e-9)
            ends = sorted(sign * float(wanted[n]) for n in ("low", "high"))
            np.testing.assert_allclose([float(cell[n]) for n in ("low", "high")], ends, rtol=1e-9)
    ratios = found["sharpe_ratio"].values
    np.testing.assert_allclose(
        found["difference"].values[np.triu_indices(4, 1)],
        (ratios[:, None] - ratios[None, :])[np.triu_indices(4, 1)],
        rtol=1e-9,
    )


@kk.strategy
def fails(ctx: Any, n: int = 1) -> None:
    ctx.target_percent(1 // (n - n))


def test_z21__one_that_fails_is_left_out_with_its_reason() -> None:
    ds = kk.compare({"a": fails, "b": trend, "c": hold}, BARS, resampling=SHORT)
    two = kk.compare({"b": trend, "c": hold}, BARS, resampling=SHORT)
    assert ds["error"].values.tolist() == ["ZeroDivisionError: integer division or modulo by zero", "", ""]
    for name in ("returns", "sharpe_ratio"):
        assert ds[name].sel(strategy="a").isnull().all()
        np.testing.assert_array_equal(ds[name].sel(strategy=["b", "c"]).values, two[name].values)
    for name in ("correlation", "difference", "p_value", "low", "high"):
        assert ds[name].sel(strategy="a").isnull().all()
        assert ds[name].sel(other="a").isnull().all()
        part = ds[name].sel(strategy=["b", "c"], other=["b", "c"])
        np.testing.assert_allclose(part.values, two[name].values, rtol=1e-12)


def test_z21__where_all_fail_it_is_the_first_ones_error() -> None:
    with pytest.raises(ZeroDivisionError):
        kk.compare({"a": fails, "b": fails}, BARS)


def test_what_cannot_be_compared_is_refused() -> None:
    wrong: list[tuple[Any, dict[str, Any], str]] = [
        ([hold], {}, "strategies to compare: found 1"),
        ([hold, hold], {}, "two called 'hold'"),
        ([hold, trend], {"params": {"fast": {}}}, "params: found some of 'fast'"),
        ([hold, trend], {"params": 3}, "params of kk.compare: found 3, wanted a dict"),
        ([hold, trend], {"params": {"trend": 3}}, "params of trend: found 3, wanted a dict"),
    ]
    for strategies, settings, what in wrong:
        with pytest.raises(UsageError, match=what):
            kk.compare(strategies, BARS, **settings)
    both = xr.concat([BARS, BARS.assign_coords(asset=["X"])], "asset")
    with pytest.raises(UsageError, match="found 2 accounts"):
        kk.compare([hold, trend], both)
