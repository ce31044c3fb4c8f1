"""What a scenario changes, and how prices are changed so that they stay bars (rules Z1, Z2)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kernelkit.data import grid as grids
from kernelkit.data import lineage
from kernelkit.data.actions import NAMES
from kernelkit.errors import DataError, UsageError, arguments, message
from kernelkit.market.account import Account
from kernelkit.market.limits import is_number
from kernelkit.market.several import Accounts, Venues
from kernelkit.market.venue import Venue
from kernelkit.recipe import span
from kernelkit.schema import EXTRA, PRICES

if TYPE_CHECKING:
    import xarray as xr

Floats = NDArray[np.float64]


@arguments()
@dataclass(frozen=True)
class World:
    """What a strategy is run in: bars, venue, account, and the rows [start, stop) of ``time`` that are evaluated."""

    bars: xr.Dataset
    venue: Venue | Venues
    account: Account | Accounts
    start: int
    stop: int

    def row(self, at: Any, what: str) -> int:
        """The first evaluated row whose label is at or after ``at``; the middle one for None. UsageError for none."""
        if at is None:
            return self.start + (self.stop - self.start) // 2
        first, _ = span(self.bars, at, None)
        if not self.start <= first < self.stop:
            times = self.bars["time"].values[[self.start, self.stop - 1]]
            wanted = f"a bar from {times[0]} to {times[1]}, which are evaluated"
            raise UsageError(message(f"time of {what}", at, wanted, "Move it, or start= and end=."))
        return first

    def rows(self, start: Any, end: Any) -> tuple[int, int]:
        """Rows [first, last) from ``start`` to ``end``, both inclusive; None is where the evaluation begins and ends.

        Raises UsageError where no evaluated bar is among them.
        """
        first, last = span(self.bars, start, end)
        first, last = self.start if start is None else first, self.stop if end is None else last
        if not max(first, self.start) < min(last, self.stop):
            wanted = "a window that meets the bars that are evaluated"
            raise UsageError(message("window of a scenario", f"{start} ... {end}", wanted, "Move it."))
        return first, last

    def chosen(self, asset: str | None) -> list[int]:
        """The number of this asset, or of all; raises UsageError where there is none of that name."""
        names = [str(a) for a in self.bars["asset"].values]
        if asset is None:
            return list(range(len(names)))
        if asset not in names:
            raise UsageError(message("asset of a scenario", repr(asset), f"one of {', '.join(names)}", "Check it."))
        return [names.index(asset)]

    def where(self, a: int) -> NDArray[np.intp]:
        """The rows at which asset ``a`` has a bar."""
        return np.flatnonzero(self.bars["valid"].values[:, a])

    def logs(self, a: int) -> Floats:
        """Log closes of asset ``a`` as its splits leave them (Z2), float64 (time,), NaN where it has no bar."""
        rows, out = self.where(a), np.full(self.bars.sizes["time"], np.nan)
        out[rows] = np.log(self.bars["close"].values[rows, a] * split_factor(self.bars, a))
        return out


class Scenario(ABC):
    """A pure transformation of a `World`; the same scenario of the same world is the same world. ``a + b`` is both."""

    @property
    @abstractmethod
    def text(self) -> str:
        """What it does, in a sentence."""

    @property
    def reference(self) -> str:
        """Where its form is described."""
        return ""

    @property
    def label(self) -> str:
        """What it is called among others."""
        return type(self).__name__

    @abstractmethod
    def felt(self, world: World) -> tuple[int, int]:
        """The rows [first, last) in which it is felt."""

    @abstractmethod
    def apply(self, world: World) -> World:
        """The world under it. Raises UsageError and DataError where it does not fit the bars."""

    def __add__(self, other: Scenario) -> Combined:
        if not isinstance(other, Scenario):
            return NotImplemented
        parts = [s.scenarios if isinstance(s, Combined) else (s,) for s in (self, other)]
        return Combined((*parts[0], *parts[1]))


@arguments()
@dataclass(frozen=True)
class Combined(Scenario):
    """Several scenarios, one after the other: each is applied to what the ones before have left.

    >>> from kernelkit.study.scenarios import Gap, Volatility
    >>> (Gap(-0.1) + Volatility(2.0)).label
    'Gap(-10%) + Volatility(x2)'
    """

    scenarios: Sequence[Scenario]

    def __post_init__(self) -> None:
        if not self.scenarios or not all(isinstance(s, Scenario) for s in self.scenarios):
            raise UsageError(message("Combined", repr(self.scenarios), "scenarios", "Write Gap(-0.1) + Volatility(2)."))
        object.__setattr__(self, "scenarios", tuple(self.scenarios))

    @property
    def text(self) -> str:
        """The sentences of all."""
        return " ".join(s.text for s in self.scenarios)

    @property
    def reference(self) -> str:
        """The references of all, each once."""
        return "; ".join(dict.fromkeys(s.reference for s in self.scenarios if s.reference))

    @property
    def label(self) -> str:
        """All labels."""
        return " + ".join(s.label for s in self.scenarios)

    def felt(self, world: World) -> tuple[int, int]:
        """From the first to the last row in which one of them is felt."""
        found = []
        for scenario in self.scenarios:
            found.append(scenario.felt(world))
            world = scenario.apply(world)
        return min(a for a, _ in found), max(b for _, b in found)

    def apply(self, world: World) -> World:
        """The world under all of them."""
        return reduce(lambda known, scenario: scenario.apply(known), self.scenarios, world)


def check_number(what: str, value: Any, least: float, most: float, fix: str, ends: bool = False) -> None:
    """Raise UsageError unless ``value`` is a number between ``least`` and ``most``, which it may be if ``ends``.

    >>> check_number("depth", 0.5, 0.0, 1.0, "")
    """
    good = is_number(value) and (least <= value <= most if ends else least < value < most)
    if not good:
        between = f"a number {'from' if ends else 'between'} {least:g} {'to' if ends else 'and'} {most:g}"
        raise UsageError(message(what, repr(value), between, fix))


def place(at: Any) -> str:
    """When it happens, in words.

    >>> place(None), place("2008")
    ('in the middle', 'at 2008')
    """
    return "in the middle" if at is None else f"at {at}"


def lasting(start: Any, end: Any) -> str:
    """From when to when, in words.

    >>> lasting("2008", None)
    'from 2008 to the end'
    """
    if start is None and end is None:
        return "all the time"
    return f"from {'the start' if start is None else start} to {'the end' if end is None else end}"


@dataclass(frozen=True)
class Path:
    """The prices of the bars of one asset, float64, one for each bar, before they are put on its tick grid."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats


def prices_of(world: World, a: int) -> Path:
    """The prices that the bars of one asset have."""
    rows = world.where(a)
    return Path(*(world.bars[n].values[rows, a] for n in PRICES))


def split_factor(bars: xr.Dataset, a: int) -> Floats:
    """E2: how many units a unit of asset ``a`` has become by each of its bars, float64 (bar,): 1 before any split."""
    rows = np.flatnonzero(bars["valid"].values[:, a])
    out = np.ones(len(rows))
    if NAMES[0] in bars.variables:
        when, whose, what, value, _ = (bars[name].values for name in NAMES)
        opened = bars["open_at"].values[rows].astype("datetime64[ns]")
        mine = (whose.astype(str) == str(bars["asset"].values[a])) & (what.astype(str) == "split")
        for k in np.flatnonzero(mine):
            out[int(np.searchsorted(opened, when[k].astype("datetime64[ns]"), side="left")) :] *= float(value[k])
    return out


def reshaped(bars: Path, opened: Floats, closed: Floats, shadow: float = 1.0) -> Path:
    """Z2: bars that open and close elsewhere; their shadows keep the ratio to the body, to the power ``shadow``.

    >>> one = Path(*(np.array([p]) for p in (10.0, 12.0, 8.0, 10.0)))
    >>> reshaped(one, one.open, 0.5 * one.close).low.tolist()
    [4.0]
    """
    above, below = bars.high / np.maximum(bars.open, bars.close), bars.low / np.minimum(bars.open, bars.close)
    high, low = np.maximum(opened, closed) * above**shadow, np.minimum(opened, closed) * below**shadow
    still = (opened == bars.open) & (closed == bars.close) & (shadow == 1.0)
    return Path(opened, np.where(still, bars.high, high), np.where(still, bars.low, low), closed)


def repriced(bars: xr.Dataset, paths: Mapping[int, Path], text: str) -> xr.Dataset:
    """Z2: the bars with other prices of some assets, on their tick grids and one tick at least.

    Amounts of dividends and delistings and marks of funding go with the close before them. Raises DataError for prices
    with more ticks than are counted exactly.
    """
    arrays = {n: bars[n].values.copy() for n in (*PRICES, *EXTRA) if n in bars}
    factors = {}
    for a, path in paths.items():
        rows = np.flatnonzero(bars["valid"].values[:, a])
        grid = grids.Grid(float(bars["tick"].values[a]), int(bars["inverse"].values[a]))
        before = {n: column[rows, a] for n, column in arrays.items()}
        after = {}
        for name in PRICES:
            ticks = np.maximum(grid.ticks(getattr(path, name)), 1.0)
            grids.check_range(ticks, grid, f"{bars['asset'].values[a]} under stress")
            after[name] = grid.prices(ticks)
        after["high"] = np.maximum.reduce([after[n] for n in ("high", "open", "close")])
        after["low"] = np.minimum.reduce([after[n] for n in ("low", "open", "close")])
        if "vwap" in before:
            moved = np.sqrt(after["open"] / before["open"] * (after["close"] / before["close"]))
            mean = np.clip(before["vwap"] * moved, after["low"], after["high"])
            same = np.logical_and.reduce([after[n] == before[n] for n in PRICES])
            after["vwap"] = np.where(same, before["vwap"], mean)
        for name, values in after.items():
            arrays[name][rows, a] = values
        factors[a] = after["close"] / before["close"]
    out = bars.assign({n: (("time", "asset"), v, bars[n].attrs) for n, v in arrays.items()})
    return marked(_with_actions(out, bars, factors), text)


def _with_actions(out: xr.Dataset, bars: xr.Dataset, factors: Mapping[int, Floats]) -> xr.Dataset:
    """The bars with amounts and marks of their actions moved as the last close that was known before them."""
    if NAMES[0] not in bars.variables:
        return out
    when, whose, what, value, price = (bars[name].values.copy() for name in NAMES)
    known = bars["known_at"].values.astype("datetime64[ns]").astype("i8")
    times, names = when.astype("datetime64[ns]").astype("i8"), [str(a) for a in bars["asset"].values]
    for k, (name, kind) in enumerate(zip(whose, what, strict=True)):
        a = names.index(str(name))
        if a not in factors:
            continue
        row = int(np.searchsorted(known[np.flatnonzero(bars["valid"].values[:, a])], times[k], side="right")) - 1
        factor = factors[a][row] if row >= 0 else 1.0
        if kind in ("dividend", "delisting"):
            value[k] *= factor
        price[k] *= factor
    return out.assign_coords({NAMES[3]: ("action", value), NAMES[4]: ("action", price)})


def marked(bars: xr.Dataset, text: str) -> xr.Dataset:
    """Bars that are no longer what was observed: they say so, and are known as others."""
    out = bars.copy()
    note = " ".join(part for part in (str(bars.attrs.get("note", "")), f"Under stress: {text}") if part)
    out.attrs = {**bars.attrs, "synthetic": 1, "note": note}
    out.attrs.update(lineage.identify(out))
    return out


def scaled(world: World, assets: Sequence[int], at_open: Floats, at_close: Floats, text: str) -> World:
    """The world with prices times ``exp(at_open)`` and ``exp(at_close)``, float64 (time,) or (time, asset)."""
    paths = {}
    for k, a in enumerate(assets):
        rows, known = world.where(a), prices_of(world, a)
        logs = [m[rows] if m.ndim == 1 else m[rows, k] for m in (at_open, at_close)]
        paths[a] = reshaped(known, known.open * np.exp(logs[0]), known.close * np.exp(logs[1]))
    return replace(world, bars=repriced(world.bars, paths, text))


def log_closes(world: World, assets: Sequence[int], first: int, last: int, what: str) -> Floats:
    """Log returns of the closes at rows [first, last) of these assets, from the close before each; (row, asset).

    Raises DataError where one of them has no bar there.
    """
    if not world.bars["valid"].values[first - 1 : last, assets].all():
        fix = "Choose a window, or assets, without gaps."
        raise DataError(message(f"bars in the window of {what}", "gaps", "a bar of each asset at each time", fix))
    logs: Floats = np.stack([world.logs(a)[first - 1 : last] for a in assets], axis=1)
    return np.diff(logs, axis=0)
