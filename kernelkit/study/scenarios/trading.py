"""Shocks of what trading costs and of venues (rules Z11-Z14)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from kernelkit.data.actions import NAMES, with_actions
from kernelkit.errors import UsageError, arguments, message
from kernelkit.market.halts import Outage, duration
from kernelkit.market.several import Venues
from kernelkit.market.slippage import fraction
from kernelkit.market.venue import Venue
from kernelkit.study.scenarios.world import Scenario, World, check_number, lasting, marked, place


@arguments()
@dataclass(frozen=True)
class Liquidity(Scenario):
    """Z11: volumes in the window are ``factor`` times what they were, down to whole lots.

    What a venue lets fill of a bar's volume falls with it, and impact that is by volume rises as the mean of 20 bars
    falls.

    >>> Liquidity(0.1).text
    'Volumes are 0.1 times what they were all the time.'
    """

    factor: float
    start: Any = None
    end: Any = None
    asset: str | None = None

    def __post_init__(self) -> None:
        check_number("factor of Liquidity", self.factor, 0.0, 1e3, "0.1 leaves a tenth.", ends=True)

    @property
    def text(self) -> str:
        """What it does, in a sentence."""
        return f"Volumes are {self.factor:g} times what they were {lasting(self.start, self.end)}."

    @property
    def label(self) -> str:
        """With its factor."""
        return f"Liquidity(x{self.factor:g})"

    def felt(self, world: World) -> tuple[int, int]:
        """The window."""
        return world.rows(self.start, self.end)

    def apply(self, world: World) -> World:
        """The world with the other volumes."""
        first, last = self.felt(world)
        volume = world.bars["volume"].values.copy()
        for a in world.chosen(self.asset):
            lot = float(world.bars["lot"].values[a])
            volume[first:last, a] = np.floor(volume[first:last, a] * self.factor / lot + 1e-9) * lot
        bars = world.bars.assign(volume=(("time", "asset"), volume, world.bars["volume"].attrs))
        return replace(world, bars=marked(bars, self.text))


@arguments()
@dataclass(frozen=True)
class Spread(Scenario):
    """Z12: slippage in the window is ``factor`` times what the venue's model answers, and ``add`` (a fraction) more.

    It is that of market and stop orders, as always (rule C1). ``venue`` is the name of one of several.

    >>> Spread(5.0, add=0.001).text
    'Slippage is 5 times what it was, and 0.001 of the price more, all the time.'
    """

    factor: float = 1.0
    add: float = 0.0
    start: Any = None
    end: Any = None
    venue: str | None = None

    def __post_init__(self) -> None:
        check_number("factor of Spread", self.factor, 0.0, 1e4, "5 makes it five times as wide.", ends=True)
        check_number("add of Spread", self.add, 0.0, 0.99, "0.001 is 10 basis points.", ends=True)

    @property
    def text(self) -> str:
        """What it does, in a sentence."""
        more = f" and {self.add:g} of the price more," if self.add else ""
        return f"Slippage is {self.factor:g} times what it was,{more} {lasting(self.start, self.end)}."

    @property
    def label(self) -> str:
        """With its numbers."""
        return f"Spread(x{self.factor:g}" + (f"+{self.add:g})" if self.add else ")")

    def felt(self, world: World) -> tuple[int, int]:
        """The window."""
        return world.rows(self.start, self.end)

    def apply(self, world: World) -> World:
        """The world with the other slippage."""
        first, last = self.felt(world)
        start, end = _times(world, first, last)

        def dearer(venue: Venue) -> Venue:
            model = venue.slippage and venue.slippage.during(start, end, self.factor)
            if self.add:
                more = fraction(self.add).during(start, end, 1.0, outside=0.0)
                model = more if model is None else model + more
            return replace(venue, slippage=model)

        return replace(world, venue=at_venue(world, self.venue, dearer))


@arguments()
@dataclass(frozen=True)
class Down(Scenario):
    """Z13: the venue is down for ``length`` from the open of the bar ``at`` on (rule H2).

    ``orders`` and ``matching`` are those of `kk.Outage`; ``venue`` is the name of one of several.

    >>> Down("4h").text
    'The venue is down for 4h in the middle; orders are rejected.'
    """

    length: str
    at: Any = None
    orders: Literal["reject", "delay"] = "reject"
    matching: bool = True
    venue: str | None = None

    def __post_init__(self) -> None:
        if duration(self.length, "length of Down", 'Write "4h".') == 0:
            raise UsageError(message("length of Down", repr(self.length), "a duration above 0", 'Write "4h".'))

    @property
    def text(self) -> str:
        """What it does, in a sentence."""
        what = "rejected" if self.orders == "reject" else "delayed"
        return f"The venue is down for {self.length} {place(self.at)}; orders are {what}."

    @property
    def label(self) -> str:
        """With its length."""
        return f"Down({self.length})"

    def felt(self, world: World) -> tuple[int, int]:
        """The bars that overlap it."""
        at = world.row(self.at, "Down")
        opened = world.bars["open_at"].values.astype("datetime64[ns]").astype("i8")
        return at, int(np.searchsorted(opened, opened[at] + self.ns))

    @property
    def ns(self) -> int:
        """Its length in ns."""
        return duration(self.length, "length of Down", "")

    def apply(self, world: World) -> World:
        """The world with the outage."""
        start = world.bars["open_at"].values[world.row(self.at, "Down")]
        outage = Outage(start, start + np.timedelta64(self.ns, "ns"), self.orders, self.matching)
        return replace(world, venue=at_venue(world, self.venue, lambda v: replace(v, outages=(*v.outages, outage))))


@arguments()
@dataclass(frozen=True)
class Funding(Scenario):
    """Z14: in the window holders of long positions pay ``rate`` of their value every so often; below 0 they get it.

    It takes the place of funding that the bars have there, at whole multiples of ``every`` since 1970 (UTC), on the
    close that was known last (rule E5).

    >>> Funding(0.003).text
    'Funding is 0.003 every 8h all the time.'
    """

    rate: float
    every: str = "8h"
    start: Any = None
    end: Any = None
    asset: str | None = None

    def __post_init__(self) -> None:
        check_number("rate of Funding", self.rate, -1.0, 1.0, "0.003 is 30 basis points.")
        if duration(self.every, "every of Funding", 'Write "8h".') == 0:
            raise UsageError(message("every of Funding", repr(self.every), "a duration above 0", 'Write "8h".'))

    @property
    def text(self) -> str:
        """What it does, in a sentence."""
        return f"Funding is {self.rate:g} every {self.every} {lasting(self.start, self.end)}."

    @property
    def label(self) -> str:
        """With its rate."""
        return f"Funding({self.rate:g})"

    def felt(self, world: World) -> tuple[int, int]:
        """The window."""
        return world.rows(self.start, self.end)

    def apply(self, world: World) -> World:
        """The world with the funding."""
        import pandas as pd

        first, last = self.felt(world)
        start, end = _times(world, first, last)
        step = duration(self.every, "every of Funding", "")
        times = np.arange(-(-start // step) * step, end, step)
        names = [str(world.bars["asset"].values[a]) for a in world.chosen(self.asset)]
        told = {"time": "action_time", "asset": "action_asset", "kind": "action_kind", "value": "action_value"}
        told["price"] = "action_price"
        rows = [
            pd.DataFrame({"time": times.view("datetime64[ns]"), "asset": name, "kind": "funding", "value": self.rate})
            for name in names
        ]
        if NAMES[0] in world.bars.variables:
            old = pd.DataFrame({k: world.bars[v].values for k, v in told.items()})
            at = old["time"].to_numpy().astype("datetime64[ns]").astype("i8")
            gone = (old["kind"] == "funding") & old["asset"].isin(names) & (at >= start) & (at < end)
            rows.insert(0, old[~gone.to_numpy()])
        frame = pd.concat([r for r in rows if len(r)])
        return replace(world, bars=marked(with_actions(world.bars, frame), self.text))


def at_venue(world: World, name: str | None, change: Callable[[Venue], Venue]) -> Venue | Venues:
    """The venue, each venue or the one of this name, changed; raises UsageError where there is none of that name."""
    known = world.venue.by_asset if isinstance(world.venue, Venues) else {"": world.venue}
    names = sorted({v.name for v in known.values()})
    if name is not None and name not in names:
        raise UsageError(message("venue of a scenario", repr(name), f"one of {', '.join(names)}", "Check it."))
    out = {a: change(v) if name in (None, v.name) else v for a, v in known.items()}
    return Venues(out) if isinstance(world.venue, Venues) else out[""]


def _times(world: World, first: int, last: int) -> tuple[int, int]:
    """From the open of the first row up to the open of the one after the last; after the end of bars; ns UTC."""
    opened, known = (world.bars[n].values.astype("datetime64[ns]").astype("i8") for n in ("open_at", "known_at"))
    return int(opened[first]), int(opened[last]) if last < len(opened) else int(known[-1]) + 1
