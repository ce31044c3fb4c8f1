"""Real windows of stress, and their replay (rules Z3, Z4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.errors import DataError, UsageError, arguments, message
from kernelkit.recipe import span
from kernelkit.schema import PRICES
from kernelkit.study.scenarios.world import Path, Scenario, World, check_number, prices_of, repriced, split_factor

if TYPE_CHECKING:
    import xarray as xr


@arguments()
@dataclass(frozen=True)
class Window:
    """A time of stress, from the close of ``start`` to the close of ``end`` (dates), in a ``market``."""

    name: str
    start: str
    end: str
    market: str
    what: str
    reference: str


_CLOSES = "daily closes of the S&P 500"
_TABLE = (
    Window("dotcom", "2000-03-24", "2002-10-09", "equity", "The bubble of the internet ends.", _CLOSES),
    Window("crisis_2008", "2007-10-09", "2009-03-09", "equity", "The financial crisis.", _CLOSES),
    Window(
        "flash_crash_2010",
        "2010-05-05",
        "2010-05-07",
        "equity",
        "US shares fall within minutes of 6 May and come back.",
        "CFTC and SEC, Findings regarding the market events of May 6, 2010 (2010)",
    ),
    Window(
        "downgrade_2011",
        "2011-07-22",
        "2011-08-08",
        "equity",
        "Public debt: Standard & Poor's takes the best rating from the United States on 5 August.",
        "Standard & Poor's, press release of 5 August 2011; " + _CLOSES,
    ),
    Window(
        "volatility_2018",
        "2018-01-26",
        "2018-02-08",
        "equity",
        "Products that were short of volatility buy it back on 5 February.",
        "Sushko and Turner, The equity market turbulence of 5 February, BIS Quarterly Review (March 2018)",
    ),
    Window("december_2018", "2018-09-20", "2018-12-24", "equity", "Rates rise, shares fall.", _CLOSES),
    Window("covid_2020", "2020-02-19", "2020-03-23", "equity", "The pandemic.", _CLOSES),
    Window("inflation_2022", "2022-01-03", "2022-10-12", "equity", "Inflation, and rates that follow it.", _CLOSES),
    Window(
        "black_thursday_2020",
        "2020-03-11",
        "2020-03-13",
        "crypto",
        "Coins fall by half in two days, and derivatives are liquidated.",
        "Maker Foundation, The Market Collapse of March 12-13, 2020: How It Impacted MakerDAO (2020)",
    ),
    Window(
        "china_2021",
        "2021-05-11",
        "2021-05-23",
        "crypto",
        "China's regulators turn against payments and mining; the largest fall is on 19 May.",
        "Notice of three Chinese associations of payments and banks of 18 May 2021; State Council, 21 May 2021",
    ),
    Window(
        "terra_2022",
        "2022-05-06",
        "2022-05-12",
        "crypto",
        "The coin TerraUSD loses its peg, and Luna its value.",
        "Cornelli, Doerr, Frost and Gambacorta, Crypto shocks and retail losses, BIS Bulletin (2023)",
    ),
    Window(
        "ftx_2022",
        "2022-11-05",
        "2022-11-10",
        "crypto",
        "The exchange FTX fails; it files for bankruptcy on 11 November.",
        "Cornelli, Doerr, Frost and Gambacorta, Crypto shocks and retail losses, BIS Bulletin (2023)",
    ),
    Window(
        "usdc_2023",
        "2023-03-09",
        "2023-03-13",
        "crypto",
        "USD Coin falls to 0.88 as part of its reserve lies at Silicon Valley Bank.",
        "Circle, An Update on USDC and Silicon Valley Bank (2023)",
    ),
)
WINDOWS: Mapping[str, Window] = {w.name: w for w in _TABLE}


def market_of(bars: xr.Dataset) -> str:
    """The market whose windows are likely to matter: crypto for bars that never close, else equity.

    >>> from kernelkit.data import load
    >>> market_of(load("sp500_index"))
    'equity'
    """
    return "crypto" if bars.attrs["calendar"] == "24/7" else "equity"


def covered(bars: xr.Dataset, window: Window) -> tuple[int, int]:
    """Rows [first, last) of a window; raises DataError where the bars do not reach over all of it.

    >>> from kernelkit.data import load
    >>> covered(load("sp500_index"), WINDOWS["flash_crash_2010"])
    (2851, 2854)
    """
    days = bars.indexes["time"].normalize()
    start, end = (np.datetime64(day, "D") for day in (window.start, window.end))
    if not days[0].to_datetime64() <= start or not days[-1].to_datetime64() >= end:
        found = f"bars from {days[0].date()} to {days[-1].date()}"
        fix = "Load bars that have it, or give source= with the bars of another asset."
        raise DataError(message(f"window {window.name}", found, f"{window.start} to {window.end}", fix))
    first, last = span(bars, window.start, window.end)
    if last - first < 2:
        fix = "Load bars without the gap."
        raise DataError(message(f"window {window.name}", f"{last - first} bars in it", "two or more", fix))
    return first, last


@arguments()
@dataclass(frozen=True)
class Replay(Scenario):
    """A real window again. Without ``source`` the strategy is run over it, on its own bars, which must reach over it.

    With ``source``, bars of one asset, its moves after the first close of the window take the place of the bars' own
    from ``at`` on, bar by bar: each open, high, low and close as a ratio to the close before, to the power ``beta``;
    later bars go on from there. ``window`` is a name of `WINDOWS` or a `Window`.

    Raises UsageError for an unknown name, DataError where bars do not cover the window, are of another length than the
    source's, or are too few from ``at`` on.

    >>> Replay("covid_2020").text
    'Replays 2020-02-19 to 2020-03-23 (covid_2020): The pandemic.'
    """

    window: str | Window
    source: xr.Dataset | None = field(default=None, compare=False, repr=False)
    at: Any = None
    beta: float = 1.0
    asset: str | None = None

    def __post_init__(self) -> None:
        check_number("beta of Replay", self.beta, -100.0, 100.0, "1 is the move itself.")
        if isinstance(self.window, str):
            if self.window not in WINDOWS:
                fix = "Or give a kk.scenarios.Window of your own."
                raise UsageError(message("window of Replay", repr(self.window), f"one of {', '.join(WINDOWS)}", fix))
            object.__setattr__(self, "window", WINDOWS[self.window])
        if self.source is not None and self.source.sizes["asset"] != 1:
            found = f"{self.source.sizes['asset']} assets"
            raise UsageError(message("source of Replay", found, "one", "Select it: bars.sel(asset=[name])."))

    @property
    def real(self) -> Window:
        """The window."""
        window: Any = self.window
        found: Window = window
        return found

    @property
    def text(self) -> str:
        """What it does, in a sentence."""
        w = self.real
        told = f"Replays {w.start} to {w.end} ({w.name})"
        if self.source is not None:
            told += f" of {self.source['asset'].values[0]}, times {self.beta:g},"
            told += " in the middle" if self.at is None else f" from {self.at} on"
        return f"{told}: {w.what}"

    @property
    def reference(self) -> str:
        """Where the window is described."""
        return self.real.reference

    @property
    def label(self) -> str:
        """The window's name."""
        return self.real.name

    def felt(self, world: World) -> tuple[int, int]:
        """The window's rows, or those that take its moves."""
        if self.source is None:
            return covered(world.bars, self.real)
        first, last = covered(self.source, self.real)
        at = world.row(self.at, self.label)
        return at, min(at + last - first - 1, world.bars.sizes["time"])

    def apply(self, world: World) -> World:
        """The same bars with the window alone to be evaluated, or with its moves in them."""
        if self.source is None:
            start, stop = covered(world.bars, self.real)
            return replace(world, start=start, stop=stop)
        there, here = self.source.attrs["bar"], world.bars.attrs["bar"]
        if there != here:
            fix = "Resample one of them."
            raise DataError(message(f"bars of the source of {self.label}", there, f"{here}, as the others", fix))
        first, last = covered(self.source, self.real)
        valid = np.flatnonzero(self.source["valid"].values[first:last, 0]) + first
        units = split_factor(self.source, 0)[np.searchsorted(np.flatnonzero(self.source["valid"].values[:, 0]), valid)]
        prices = {n: np.log(self.source[n].values[valid, 0] * units) for n in PRICES}
        moves = {n: self.beta * (p[1:] - prices["close"][:-1]) for n, p in prices.items()}
        if self.beta < 0.0:
            moves["high"], moves["low"] = moves["low"], moves["high"]
        return replace(world, bars=_grafted(world, self, moves))


def _grafted(world: World, replay: Replay, moves: Mapping[str, np.ndarray]) -> xr.Dataset:
    """The bars with these log moves from each close before in the place of their own."""
    n, at, paths = len(moves["close"]), world.row(replay.at, replay.label), {}
    for a in world.chosen(replay.asset):
        k, known = int(np.searchsorted(world.where(a), at)), prices_of(world, a)
        own, units = {name: getattr(known, name).copy() for name in PRICES}, split_factor(world.bars, a)
        if k == 0 or k + n > len(known.close):
            found, wanted = f"{k} before it, {len(known.close) - k} from it on", f"1 before it, {n} from it on"
            raise DataError(message(f"bars for {replay.label}", found, wanted, "Move at=, or load more bars."))
        first, last = (np.log(known.close[row] * units[row]) for row in (k - 1, k + n - 1))
        closes = first + np.cumsum(moves["close"])
        before = np.concatenate([[first], closes[:-1]])
        after = np.exp(closes[-1] - last)
        for name, move in moves.items():
            own[name][k : k + n] = np.exp(before + move) / units[k : k + n]
            own[name][k + n :] *= after
        paths[a] = Path(**own)
    return repriced(world.bars, paths, replay.text)
