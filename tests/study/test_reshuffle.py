"""Reshuffled trades (G18): against orders put together by hand, and what must be so in all of them."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import xarray as xr

import kernelkit as kk
from kernelkit.errors import DataError, UsageError
from kernelkit.inference.draws import block_indices
from kernelkit.study import reshuffle as module


@pytest.fixture(scope="module")
def res() -> xr.Dataset:
    return kk.backtest(kk.data.load("sp500_index"), kk.strategies.find("sma_cross"), venue=kk.venues.us_equity())


def slow(pnl: np.ndarray, worth: np.ndarray, places: np.ndarray, compounded: bool) -> tuple[float, float, float, int]:
    """End, lowest, drawdown and losing run of one order, trade by trade."""
    equity = high = low = 1.0
    fall, run, longest = 0.0, 0, 0
    for k in places:
        equity = max(0.0, equity * (1.0 + pnl[k] / worth[k])) if compounded else equity + pnl[k] / 1e6
        high, low = max(high, equity), min(low, equity)
        fall = max(fall, 1.0 - equity / high)
        run = 0 if pnl[k] > 0 else run + 1
        longest = max(longest, run)
    return equity, low, fall, longest


@pytest.mark.parametrize("stakes", ["compounded", "additive"])
@pytest.mark.parametrize(
    "how", [{"draw": "permutation"}, {"draw": "bootstrap"}, {"draw": "bootstrap", "length": 4, "scheme": "moving"}]
)
def test_g18__each_order_is_what_its_trades_are(res: xr.Dataset, stakes: Any, how: Any) -> None:
    found = kk.reshuffle(res, replications=40, seed=3, stakes=stakes, **how)
    pnl = kk.trades(res)["pnl"].to_numpy()
    n = len(pnl)
    worth = 1e6 + np.concatenate([[0.0], np.cumsum(pnl)[:-1]])  # no trade of one asset overlaps
    observed = slow(pnl, worth, np.arange(n), stakes == "compounded")
    np.testing.assert_allclose(found["observed"], observed, rtol=1e-9)
    assert found["observed"].sel(metric="terminal") - 1.0 == pytest.approx(pnl.sum() / 1e6)
    assert found.attrs["overlap"] == 0.0
    if how["draw"] == "permutation":
        places = orders(3, 40, n)
    else:
        more = {"length": 1, "scheme": "iid"} | {k: v for k, v in how.items() if k != "draw"}
        places = block_indices(n, np.arange(40), seed=3, **more)
    for path in (0, 7, 39):
        mine = [float(found[name][path]) for name in ("terminal", "lowest", "max_drawdown", "longest_loss_run")]
        np.testing.assert_allclose(mine, slow(pnl, worth, places[path], stakes == "compounded"), rtol=1e-9)
    fewer = kk.reshuffle(res, replications=7, seed=3, stakes=stakes, **how)
    np.testing.assert_array_equal(fewer["max_drawdown"], found["max_drawdown"][:7])


def orders(seed: int, replications: int, n: int) -> np.ndarray:
    from kernelkit import rng

    return np.argsort(rng.uniform(seed, np.arange(replications)[:, None], np.arange(n), 9), axis=1, kind="stable")


def test_g18__an_order_changes_the_drawdown_and_never_the_end(res: xr.Dataset) -> None:
    for stakes in ("compounded", "additive"):
        found = kk.reshuffle(res, replications=200, stakes=stakes)
        np.testing.assert_allclose(found["terminal"], found["observed"].sel(metric="terminal"), rtol=1e-9)
        assert float(found["rank"].sel(metric="terminal")) == 1.0
        assert np.ptp(found["max_drawdown"].values) > 0.05
        band = found["equity_band"].isel(trade=-1)
        np.testing.assert_allclose(band, band[0], rtol=1e-9)
    assert np.ptp(kk.reshuffle(res, draw="bootstrap", replications=50)["terminal"].values) > 0.1


def test_g18__bands_and_ruin_are_counted(res: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    found = kk.reshuffle(res, draw="bootstrap", replications=300, ruin=0.9, quantiles=(0.1, 0.5))
    assert float(found["probability_of_ruin"]) == np.mean(found["lowest"].values <= 0.9)
    assert 0.0 < float(found["probability_of_ruin"]) < 1.0
    np.testing.assert_allclose(found["drawdown_band"], np.quantile(found["max_drawdown"], (0.1, 0.5)))
    drawdown = float(found["observed"].sel(metric="max_drawdown"))
    assert float(found["rank"].sel(metric="max_drawdown")) == np.mean(found["max_drawdown"].values <= drawdown)
    monkeypatch.setattr(module, "CELLS", 1000)
    assert kk.reshuffle(res, draw="bootstrap", replications=300, ruin=0.9, quantiles=(0.1, 0.5)).equals(found)


def test_g18__permutations_are_all_as_likely() -> None:
    found = orders(1, 6000, 3)
    counts = [int((found == order).all(axis=1).sum()) for order in itertools.permutations(range(3))]
    assert sum(counts) == 6000
    assert np.abs(np.array(counts) - 1000).max() < 4 * (6000 / 6 * 5 / 6) ** 0.5


def test_g18__trades_that_overlap_are_told_of() -> None:
    bars = xr.concat(
        [kk.data.load("sp500_index").assign_coords(asset=[a], asset_id=("asset", [a])) for a in "ab"],
        "asset",
        data_vars="all",
    )

    @kk.portfolio
    def staggered(ctx):
        for k in ctx.tradable:
            ctx[k].target_percent(0.4 if (ctx.i + 30 * k) % 100 < 60 else 0.0)

    bars.attrs = kk.data.load("sp500_index").attrs
    assert 0.5 < kk.reshuffle(kk.backtest(bars, staggered), replications=5).attrs["overlap"] < 1.0


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"draw": "shuffle"}, "draw"),
        ({"stakes": "fixed"}, "stakes"),
        ({"replications": 1}, "replications"),
        ({"ruin": 1.0}, "ruin"),
        ({"quantiles": (5.0,)}, "quantiles"),
        ({"length": 3}, "permutation"),
        ({"length": "x"}, "length: found 'x', wanted a number from 1 on"),
        ({"seed": "x"}, r"seed: found 'x', wanted a whole number from 0 to .* See help\(kk.reshuffle\)"),
        ({"seed": 1.5}, "seed: found 1.5"),
        ({"seed": 2**64}, "seed: found 18446744073709551616"),
        ({"quantiles": "x"}, "quantiles='x'"),
        ({"quantiles": ["a"]}, r"quantiles=\['a'\]"),
        ({"replications": 10**12}, "replications: found 1000000000000 of .* trades, wanted at most"),
    ],
)
def test_errors__name_what_does_not_fit(res: xr.Dataset, how: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        kk.reshuffle(res, **how)


def test_errors__of_too_few_trades_and_an_account_in_ruins() -> None:
    bars = kk.data.load("sp500_index")
    with pytest.raises(DataError, match="closed trades"):
        kk.reshuffle(kk.backtest(bars, kk.strategies.find("buy_and_hold")))
    table = kk.trades(kk.backtest(bars, kk.strategies.find("sma_cross")))
    with pytest.raises(DataError, match="ruined"):
        module._shares(table, 1e4, "compounded")
