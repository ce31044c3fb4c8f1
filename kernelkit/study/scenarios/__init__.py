"""Scenarios: what bars, venue and account would be under stress, as pure transformations that add up (rules Z1-Z16)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernelkit.errors import arguments
from kernelkit.study.scenarios.joint import Correlation, FactorShock, nearest_correlation
from kernelkit.study.scenarios.prices import BlackSwan, Depeg, FatTails, FlashCrash, Gap, Volatility
from kernelkit.study.scenarios.trading import Down, Funding, Liquidity, Spread
from kernelkit.study.scenarios.windows import WINDOWS, Replay, Window, market_of
from kernelkit.study.scenarios.world import Combined, Scenario, World

if TYPE_CHECKING:
    import xarray as xr

__all__ = (
    "WINDOWS",
    "BlackSwan",
    "Combined",
    "Correlation",
    "Depeg",
    "Down",
    "FactorShock",
    "FatTails",
    "FlashCrash",
    "Funding",
    "Gap",
    "Liquidity",
    "Replay",
    "Scenario",
    "Spread",
    "Volatility",
    "Window",
    "World",
    "nearest_correlation",
    "standard",
)


@arguments()
def standard(bars: xr.Dataset) -> list[Scenario]:
    """The scenarios that `kk.stress` runs unless it is told which: windows of the bars' market, and common shocks.

    Bars of several assets have the correlation of 1 among them, those that never close the shocks of crypto.

    >>> from kernelkit.data import load
    >>> [s.label for s in standard(load("sp500_index"))][-2:]
    ['Liquidity(x0.1) + Spread(x5+0.001)', 'Gap(-10%) + Volatility(x2)']
    """
    market = market_of(bars)
    out: list[Scenario] = [Replay(w) for w in WINDOWS.values() if w.market == market]
    out += [Gap(-0.1), Gap(0.1), FlashCrash(0.1), BlackSwan(100.0), Volatility(2.0), FatTails(3.0)]
    if bars.sizes["asset"] > 1:
        out.append(Correlation(1.0))
    if market == "crypto":
        out += [Funding(0.003), Down("4h"), Depeg(0.1)]
    return [*out, Liquidity(0.1) + Spread(5.0, add=0.001), Gap(-0.1) + Volatility(2.0)]
