"""What lowering learned about a strategy: its slots, indicators, features and records."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kernelkit.kernels.context import Rolling
from kernelkit.kernels.layout import FIRST_FEATURE


def plain(value: Any) -> Any:
    """A NumPy scalar as Python's own number, which its kind is told by; anything else as it is.

    >>> plain(np.float64(0.5)), plain("text")
    (0.5, 'text')
    """
    return value.item() if isinstance(value, np.generic) else value


@dataclass(frozen=True)
class Ring:
    """Declared user state that remembers the last `n` values; `[0]` is the newest."""

    n: int


@dataclass(frozen=True)
class Each:
    """Declared state of a portfolio with a number for each asset."""

    value: float


@dataclass(frozen=True)
class Site:
    """One rolling indicator of a strategy: its kernel function, column, argument expressions and slot.

    `timeframe` is its number in Plan.timeframes, -1 for the bars' own.
    """

    kind: str
    column: int
    arguments: tuple[str, ...]
    rolling: Rolling
    slot: int
    custom: str = ""
    timeframe: int = -1


@dataclass
class Plan:
    """What lowering learned about a strategy: slots, indicators, features, records, how far back it looks."""

    params: dict[str, type]
    state: dict[str, object]
    features: list[str] = field(default_factory=list)
    sites: list[Site] = field(default_factory=list)
    records: list[str] = field(default_factory=list)
    reach: int = 0
    raises: bool = False  # the decision can
    risky: list[str] = field(default_factory=list)  # kernel functions of own indicators that can
    uncompilable: str = ""  # the first thing that only debug mode accepts, as the error will say it
    words: int = 0
    sizes: bool = False  # it asks for quantities by ctx.size, which are those of linear contracts
    closing: bool = False  # it orders at the close (O12): the bars must say when their sessions close
    shared: bool = False  # a portfolio's: its assets share an account
    by_asset: bool = False  # of a portfolio, a strategy of one asset: it is called for each (X9)
    timeframes: dict[str, int] = field(default_factory=dict)  # higher ones by name, and how far back each is looked at
    # T8: the moments at which its hooks run, bits of a column that follows the features (see `clocked`)
    moments: list[str] = field(default_factory=list)
    told: int = 0  # T7: what its hooks are told of, bits of FRAME.told
    timed: bool = False  # a hook reads when something happened

    def __post_init__(self) -> None:
        self.words = len(self.params)
        self.places: dict[str, int] = {}
        # Words of state for each asset. How many assets there are is not known yet: they follow all else.
        self.own_words = sum(isinstance(value, Each) for value in self.state.values())
        at = 0 if self.by_asset else self.words
        for name, value in self.state.items():
            if not isinstance(value, Each):
                self.places[name] = at
                at += value.n + 1 if isinstance(value, Ring) else 1
        if self.by_asset:
            self.own_words = at
        else:
            self.words = at

    @property
    def clocked(self) -> bool:
        """Whether its moments are those of its portfolio's clock, not of each asset's own bars."""
        return self.shared and not self.by_asset

    @property
    def moments_at(self) -> int:
        """The column that says which moments a bar is."""
        return FIRST_FEATURE + (0 if self.clocked else 2 * len(self.features))

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kernel of each indicator, "" for an own one."""
        return tuple("" if s.custom else s.kind for s in self.sites)

    @property
    def keeping(self) -> list[Site]:
        """The indicators that may have no bar in a stretch of bars: their values but one outlive it."""
        return [s for s in self.sites if self.shared or s.timeframe >= 0]

    def look(self, timeframe: int, back: int) -> None:
        """A bar so far back is read: of a timeframe, or with -1 of the bars themselves."""
        if timeframe < 0:
            self.reach = max(self.reach, back)
        else:
            name = list(self.timeframes)[timeframe]
            self.timeframes[name] = max(self.timeframes[name], back)
