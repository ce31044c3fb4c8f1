"""Capacity: each label is the backtest with that capital and its impact (rule Z20)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import kernelkit as kk
from kernelkit import ledger
from kernelkit.errors import DataError, UsageError
from kernelkit.kernels import layout as L
from kernelkit.study.capacity import calibrated, half_at
from tests.study.test_scenarios import ONE, THREE


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ledger of the test's own."""
    (tmp_path / ".kernelkit").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@kk.strategy
def reverse(ctx, n=5):
    ctx.target_percent(1.0 if ctx.close[0] < ctx.close.sma(n) else 0.0)


CAPITALS = [1e3, 1e4, 1e5]


@pytest.mark.parametrize("slippage", [None, kk.slippage.fraction(0.001)])
def test_z20__each_capital_is_its_own_backtest_bit_for_bit(slippage: Any) -> None:
    impact = kk.slippage.square_root(0.02)
    venue = kk.Venue("v", kk.fees.fraction(0.001), slippage)
    found = kk.capacity(ONE, reverse, capitals=CAPITALS, impact=impact, venue=venue, grid={"n": [5, 9]})
    both = impact if slippage is None else slippage + impact
    for cash in CAPITALS:
        dear = kk.Venue("v", kk.fees.fraction(0.001), both)
        plain = kk.backtest(ONE, reverse, grid={"n": [5, 9]}, account=kk.Account(cash), venue=dear)
        for name in L.HEADLINE:
            np.testing.assert_array_equal(found[name].sel(capital=cash).values, plain[name].values, err_msg=name)
        profit = plain["final_equity"].values - cash
        np.testing.assert_array_equal(found["net_profit"].sel(capital=cash).values, profit)
    assert set(ledger.trials()["role"]) == {"sensitivity", "rival"}
    assert len(ledger.trials(role="sensitivity")) == found.attrs["trials"] == 6
    assert found["best_capital"].dims == ("n",)


def test_z20__impact_grows_with_the_root_of_capital() -> None:
    """One purchase and nothing else: what it loses against free trading is the impact."""

    @kk.strategy
    def once(ctx):
        if ctx.i == 30:
            ctx.buy(float(ctx.cash // (2.0 * ctx.close[0])))

    # of volumes of hundreds of shares these buy from a tenth to a thousandfold
    found = kk.capacity(ONE, once, capitals=[1e4, 1e6], impact=kk.slippage.square_root(1e-3))
    free = [kk.backtest(ONE, once, account=kk.Account(c)) for c in (1e4, 1e6)]
    lost = [float(f["final_equity"]) - float(found["final_equity"][k]) for k, f in enumerate(free)]
    ratio = (lost[1] / 1e6) / (lost[0] / 1e4)
    assert ratio == pytest.approx(10.0, rel=0.1)  # prices are whole ticks


def test_z20__the_default_is_the_square_root_law_of_the_bars_own_volatility() -> None:
    returns = np.diff(np.log(THREE["close"].values), axis=0)
    assert calibrated(THREE, 2.0).values == (("coefficient", pytest.approx(2.0 * returns.std(axis=0, ddof=1).mean())),)
    found = kk.capacity(ONE, reverse, capitals=CAPITALS)
    assert found.attrs["impact"] == repr(calibrated(ONE))
    silent = ONE.assign(volume=xr.full_like(ONE["volume"], np.nan))
    with pytest.raises(DataError, match="bars of A: found no volume"):
        kk.capacity(silent, reverse, capitals=CAPITALS)


@pytest.mark.parametrize(
    ("ratios", "wanted"),
    [
        ([1.0, 0.8, 0.2], 10.0 ** (1.0 + 0.5)),
        ([1.0, 0.5, 0.2], 10.0),
        ([1.0, 0.9, 0.8], np.nan),
        ([-1.0, -2.0, -3.0], np.nan),
        ([2.0, np.nan, 0.0], np.nan),
        ([2.0, 0.0, 2.0], 10.0**0.5),
    ],
)
def test_z20__half_of_a_sharpe_ratio(ratios: list[float], wanted: float) -> None:
    found = half_at(np.array([1.0, 10.0, 100.0]), np.array(ratios))
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_what_is_no_ladder_of_capital_is_refused() -> None:
    for capitals in ([1e6], [1e6, 1e5], [0.0, 1.0], [1.0, np.inf]):
        with pytest.raises(UsageError, match="capitals"):
            kk.capacity(ONE, reverse, capitals=capitals)
    with pytest.raises(UsageError, match="capacity: found Accounts"):
        kk.capacity(ONE, reverse, capitals=CAPITALS, account=kk.Accounts({"a": kk.Account()}))
