"""Shocks of prices and of their distribution (rules Z5-Z10)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from kernelkit.errors import DataError, UsageError, arguments, message
from kernelkit.metrics.risk import value_at_risk
from kernelkit.study.scenarios.world import (
    Floats,
    Path,
    Scenario,
    World,
    check_number,
    lasting,
    place,
    prices_of,
    repriced,
    reshaped,
    scaled,
    split_factor,
)

Shape = Literal["linear", "early", "late"]
SHAPES = {"linear": lambda s: s, "early": lambda s: 1.0 - (1.0 - s) ** 2, "late": lambda s: s**2}


def jump(world: World, at: int, size: Floats | float) -> tuple[Floats, Floats]:
    """Log factors at the open and at the close of each row: ``size`` from row ``at`` on, before that none."""
    width = np.shape(size)
    after = np.zeros((world.bars.sizes["time"], *width))
    after[at:] = size
    return after, after


@arguments()
@dataclass(frozen=True)
class Gap(Scenario):
    """Z5: prices are ``size`` higher (a fraction; -0.1 is a fall of a tenth) from the open of the bar ``at`` on.

    >>> Gap(-0.1, at="2008-10-15").text
    'Prices gap by -10% at 2008-10-15 and stay there.'
    """

    size: float
    at: Any = None
    asset: str | None = None

    def __post_init__(self) -> None:
        check_number("size of Gap", self.size, -1.0, 1e6, "-0.1 is a fall of a tenth.")

    @property
    def text(self) -> str:
        """What it does, in a sentence."""
        return f"Prices gap by {100 * self.size:+.4g}% {place(self.at)} and stay there."

    @property
    def label(self) -> str:
        """With its size."""
        return f"Gap({100 * self.size:+.4g}%)"

    def felt(self, world: World) -> tuple[int, int]:
        """From the gap on."""
        return world.row(self.at, "Gap"), world.stop

    def apply(self, world: World) -> World:
        """The world with the gap."""
        logs = jump(world, world.row(self.at, "Gap"), float(np.log1p(self.size)))
        return scaled(world, world.chosen(self.asset), *logs, self.text)


def dip(n: int, at: int, depth: float, fall: int, recovery: int, recovered: float, shape: str) -> tuple[Floats, Floats]:
    """Z6: log factors at the open and at the close of ``n`` bars, of a move to ``depth`` (a log) and its recovery.

    >>> dip(5, 1, -1.0, 1, 2, 1.0, "linear")[1] + 0.0
    array([ 0. , -1. , -0.5,  0. ,  0. ])
    """
    down = depth * np.arange(1, fall + 1) / fall
    share = np.array([SHAPES[shape](s) for s in np.arange(1, recovery + 1) / recovery]) if recovery else np.zeros(0)
    after = depth * (1.0 - recovered)
    if not recovery:
        down[-1] = after
    closes = np.zeros(n)
    path = np.concatenate([down, depth * (1.0 - recovered * share)])[: n - at]
    closes[at : at + len(path)] = path
    closes[at + len(path) :] = after
    return np.concatenate([[0.0], closes[:-1]]), closes


def check_dip(what: str, fall: Any, recovery: Any, recovered: Any, shape: str) -> None:
    """Raise UsageError for what is no fall and recovery."""
    for name, value, least in (("fall", fall, 1), ("recovery", recovery, 0)):
        if not (isinstance(value, int) and value >= least):
            raise UsageError(message(f"{name} of {what}", repr(value), f"{least} bars or more", "Count bars."))
    if not 0.0 <= recovered <= 1.0:
        raise UsageError(message(f"recovered of {what}", recovered, "a share from 0 to 1", "1 is all of it."))
    if shape not in SHAPES:
        raise UsageError(message(f"shape of {what}", repr(shape), f"one of {', '.join(SHAPES)}", "Choose one."))


@dataclass(frozen=True)
class Dip(Scenario):
    """What falls by ``depth`` over ``fall`` bars from ``at`` on, and comes back over ``recovery`` bars."""

    depth: float
    at: Any = None
    fall: int = 1
    recovery: int = 5
    recovered: float = 1.0
    shape: Shape = "linear"
    asset: str | None = None

    @property
    def label(self) -> str:
        """With its depth."""
        return f"{type(self).__name__}({100 * self.depth:.4g}%)"

    @property
    def how(self) -> tuple[int, int, float, Shape]:
        """Its form, as `dip` takes it."""
        return self.fall, self.recovery, self.recovered, self.shape

    def felt(self, world: World) -> tuple[int, int]:
        """The fall and the recovery."""
        at = world.row(self.at, type(self).__name__)
        return at, min(at + self.fall + self.recovery, world.bars.sizes["time"])


@arguments()
@dataclass(frozen=True)
class FlashCrash(Dip):
    """Z6: prices fall by ``depth`` over ``fall`` bars from ``at`` on and come back over ``recovery`` bars.

    ``recovered`` is the share (of the log of the fall) that comes back; ``shape`` says how: ``"linear"``, ``"early"``
    (fast at first) or ``"late"``. With a recovery of 0 bars the last bar of the fall touches the depth and closes
    recovered.

    >>> FlashCrash(0.09, at="2010-05-06", recovery=0, recovered=0.7).label
    'FlashCrash(9%)'
    """

    def __post_init__(self) -> None:
        check_number("depth of FlashCrash", self.depth, 0.0, 1.0, "0.1 is a fall of a tenth.")
        check_dip("FlashCrash", *self.how)

    @property
    def text(self) -> str:
        """What it does, in a sentence."""
        back = f"{100 * self.recovered:.4g}% of it come back over {self.recovery} bars ({self.shape})"
        return f"Prices fall by {100 * self.depth:.4g}% {place(self.at)} over {self.fall} bars; {back}."

    @property
    def reference(self) -> str:
        """Where such a crash is described."""
        return "CFTC and SEC, Findings regarding the market events of May 6, 2010 (2010)"

    def apply(self, world: World) -> World:
        """The world with the crash."""
        at, depth, paths = world.row(self.at, "FlashCrash"), float(np.log1p(-self.depth)), {}
        for a in world.chosen(self.asset):
            known, k = prices_of(world, a), int(np.searchsorted(world.where(a), at))
            first, last = dip(len(known.close), k, depth, *self.how)
            path = reshaped(known, known.open * np.exp(first), known.close * np.exp(last))
            bottom = k + self.fall - 1
            if bottom < len(known.low):
                path.low[bottom] = known.low[bottom] * (1.0 - self.depth)
            paths[a] = path
        return replace(world, bars=repriced(world.bars, paths, self.text))


@arguments()
@dataclass(frozen=True)
class Depeg(Dip):
    """Z7: a stablecoin loses ``depth`` of its peg over ``fall`` bars, and comes back as in `FlashCrash`.

    With ``asset`` that asset's price falls. Without, the coin is what the bars are quoted in: prices rise to
    ``1 / (1 - depth)``, as a unit of the coin buys less, and results stay in units of the coin.

    >>> Depeg(0.12).text
    'The quote currency loses 12% of its peg in the middle over 1 bars; 100% of it come back over 3 bars.'
    """

    recovery: int = 3

    def __post_init__(self) -> None:
        check_number("depth of Depeg", self.depth, 0.0, 1.0, "0.12 is a coin at 0.88.")
        check_dip("Depeg", *self.how)

    @property
    def text(self) -> str:
        """What it does, in a sentence."""
        who = "The quote currency" if self.asset is None else self.asset
        back = f"{100 * self.recovered:.4g}% of it come back over {self.recovery} bars"
        return f"{who} loses {100 * self.depth:.4g}% of its peg {place(self.at)} over {self.fall} bars; {back}."

    @property
    def reference(self) -> str:
        """Where such losses are described."""
        return "Cornelli, Doerr, Frost and Gambacorta, Crypto shocks and retail losses, BIS Bulletin (2023)"

    def apply(self, world: World) -> World:
        """The world with the peg lost."""
        sign = -1.0 if self.asset is None else 1.0
        at, size = world.row(self.at, "Depeg"), sign * float(np.log1p(-self.depth))
        logs = dip(world.bars.sizes["time"], at, size, *self.how)
        return scaled(world, world.chosen(self.asset), *logs, self.text)


@arguments()
@dataclass(frozen=True)
class BlackSwan(Scenario):
    """Z8: a gap as large as the bars before ``at`` let expect once in ``years``, by their extreme values.

    The size is the value at risk of the log returns of closes (``side="down"``; of their negatives for ``"up"``) at the
    level ``1 - 1 / (years * bars per year)``, of a generalised Pareto tail beyond the ``tail`` quantile of the losses:
    `kernelkit.metrics.value_at_risk` with ``method="evt"``. Each asset has its own. Raises DataError where fewer than
    10 losses are beyond that quantile.

    >>> BlackSwan(100).text
    'A fall that extreme values before it let expect once in 100 years, in the middle.'
    """

    years: float
    at: Any = None
    side: Literal["down", "up"] = "down"
    tail: float = 0.9
    asset: str | None = None

    def __post_init__(self) -> None:
        check_number("years of BlackSwan", self.years, 0.0, 1e9, "100 is once in a century.")
        check_number("tail of BlackSwan", self.tail, 0.0, 1.0, "0.9 fits a tail to a tenth of the losses.")
        if self.side not in ("down", "up"):
            raise UsageError(message("side of BlackSwan", repr(self.side), "down or up", "Choose one."))

    @property
    def text(self) -> str:
        """What it does, in a sentence."""
        what = "fall" if self.side == "down" else "rise"
        return f"A {what} that extreme values before it let expect once in {self.years:g} years, {place(self.at)}."

    @property
    def reference(self) -> str:
        """Of the estimate."""
        return "McNeil and Frey, Journal of Empirical Finance 7 (2000); Hosking and Wallis, Technometrics 29 (1987)"

    @property
    def label(self) -> str:
        """With its years."""
        return f"BlackSwan({self.years:g} years)"

    def felt(self, world: World) -> tuple[int, int]:
        """From the gap on."""
        return world.row(self.at, "BlackSwan"), world.stop

    def sizes(self, world: World) -> Floats:
        """The log of the gap of each asset, float64 (asset,)."""
        at, out = world.row(self.at, "BlackSwan"), []
        year = _bars_a_year(world)
        sign = 1.0 if self.side == "down" else -1.0
        for a in world.chosen(self.asset):
            rows = world.where(a)
            returns = np.diff(world.logs(a)[rows[rows < at]])
            level = 1.0 - 1.0 / (self.years * year)
            size = float("nan")
            if len(returns) >= 2 and level > 0.0:
                size = float(value_at_risk(sign * returns, level=level, method="evt", tail=self.tail))
            if not size > 0.0:
                found = f"{len(returns)} returns before it, and no tail of losses"
                wanted = "10 or more losses beyond the quantile, and a level that is further out"
                raise DataError(
                    message("bars of BlackSwan", found, wanted, "Move at=, lower tail=, or take more years.")
                )
            out.append(-sign * size)
        return np.array(out)

    def apply(self, world: World) -> World:
        """The world with the gap."""
        sizes = self.sizes(world)
        logs = jump(world, world.row(self.at, "BlackSwan"), sizes)
        return scaled(world, world.chosen(self.asset), *logs, self.text)


def _bars_a_year(world: World) -> float:
    """Sessions a year times the mean number of bars of a session."""
    sessions = len(np.unique(world.bars["session"].values))
    return float(world.bars.attrs["periods_per_year"]) * world.bars.sizes["time"] / sessions


def _in_window(world: World, a: int, first: int, last: int) -> tuple[int, int]:
    """The numbers [k, m) of asset ``a``'s own bars in these rows; its first bar, which has no close before, not."""
    rows = world.where(a)
    return max(1, int(np.searchsorted(rows, first))), int(np.searchsorted(rows, last))


@arguments()
@dataclass(frozen=True)
class Volatility(Scenario):
    """Z9: in the window log moves from the close before, less the mean return, are ``factor`` times what they were.

    So is the standard deviation of the returns; their mean, and with it the price after the window, stays.

    >>> Volatility(3.0, "2008").text
    'Volatility is 3 times what it was from 2008 to the end.'
    """

    factor: float
    start: Any = None
    end: Any = None
    asset: str | None = None

    def __post_init__(self) -> None:
        check_number("factor of Volatility", self.factor, 0.0, 1e3, "2 doubles it.")

    @property
    def text(self) -> str:
        """What it does, in a sentence."""
        return f"Volatility is {self.factor:g} times what it was {lasting(self.start, self.end)}."

    @property
    def label(self) -> str:
        """With its factor."""
        return f"Volatility(x{self.factor:g})"

    def felt(self, world: World) -> tuple[int, int]:
        """The window."""
        return world.rows(self.start, self.end)

    def apply(self, world: World) -> World:
        """The world with the other volatility."""
        first, last = self.felt(world)
        paths = {}
        for a in world.chosen(self.asset):
            k, m = _in_window(world, a, first, last)
            known = prices_of(world, a)
            if m - k < 2:
                continue
            units = split_factor(world.bars, a)
            logs = {n: np.log(getattr(known, n) * units) for n in ("open", "high", "low", "close")}
            before = logs["close"][k - 1 : m - 1]
            returns = logs["close"][k:m] - before
            mean = returns.mean()
            closes = logs["close"][k - 1] + np.cumsum(mean + self.factor * (returns - mean))
            start = np.concatenate([logs["close"][k - 1 : k], closes[:-1]])
            own = {n: getattr(known, n).copy() for n in logs}
            for name, values in own.items():
                values[k:m] = np.exp(start + mean + self.factor * (logs[name][k:m] - before - mean)) / units[k:m]
            paths[a] = Path(**own)
        return replace(world, bars=repriced(world.bars, paths, self.text))


@arguments()
@dataclass(frozen=True)
class FatTails(Scenario):
    """Z10: returns of closes in the window keep their order, mean and standard deviation, and get Student's tails.

    The k-th smallest of n becomes the quantile of ``(k - 1/2) / n`` of Student's t with ``df`` degrees of freedom,
    brought to the mean and standard deviation that they had. The price after the window stays.

    >>> FatTails(3.0).label
    'FatTails(t3)'
    """

    df: float = 3.0
    start: Any = None
    end: Any = None
    asset: str | None = None

    def __post_init__(self) -> None:
        check_number("df of FatTails", self.df, 2.0, 1e6, "Of 2 or less the variance is infinite.")

    @property
    def text(self) -> str:
        """What it does, in a sentence."""
        return f"Returns have the tails of Student's t with {self.df:g} degrees {lasting(self.start, self.end)}."

    @property
    def reference(self) -> str:
        """Of the distribution."""
        return "Blattberg and Gonedes, Journal of Business 47 (1974)"

    @property
    def label(self) -> str:
        """With its degrees of freedom."""
        return f"FatTails(t{self.df:g})"

    def felt(self, world: World) -> tuple[int, int]:
        """The window."""
        return world.rows(self.start, self.end)

    def apply(self, world: World) -> World:
        """The world with the other tails."""
        from scipy.special import stdtrit
        from scipy.stats import rankdata

        first, last = self.felt(world)
        paths = {}
        for a in world.chosen(self.asset):
            k, m = _in_window(world, a, first, last)
            if m - k < 3:
                continue
            known = prices_of(world, a)
            returns = np.diff(world.logs(a)[world.where(a)])[k - 1 : m - 1]
            drawn = stdtrit(self.df, (rankdata(returns, method="ordinal") - 0.5) / len(returns))
            moved = returns.mean() + drawn / drawn.std() * returns.std()
            logs = np.zeros(len(known.close))
            logs[k:m] = np.cumsum(moved - returns)
            opened = np.concatenate([[0.0], logs[:-1]])
            paths[a] = reshaped(known, known.open * np.exp(opened), known.close * np.exp(logs))
        return replace(world, bars=repriced(world.bars, paths, self.text))
