"""What a set of trials needs and what it comes to, as plain data: arrays, text and numbers.

The same `Job` runs on a thread, in another process or on a cluster.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise

import numpy as np

from kernelkit.kernels import layout as L
from kernelkit.kernels.plan import Plan
from kernelkit.kernels.rules import Rules

PIECE = 1 << 16  # bars


@dataclass(frozen=True)
class Table:
    """The columns of one asset as the kernel reads them, with its instrument.

    Columns are contiguous, 8 bytes an item, in the order of layout.COLUMNS; features follow, value and age in turn.
    """

    columns: tuple[np.ndarray, ...]
    inverse: int
    tick: float
    lot: float
    multiplier: float
    periods: float
    closing: int = 0  # the column, after all others, that says when the bar's session closes (O12); 0 is none
    # of an inverse contract the column, after all others, of what a unit is worth at the close
    mark: int = L.C_CLOSE_P
    # layout.ACTION, in the order in which they take effect (E1)
    actions: np.ndarray = field(default_factory=lambda: np.zeros(0, L.ACTION))
    higher: tuple[Higher, ...] = ()  # by timeframe of the strategy
    vwap: np.ndarray | None = None  # F10: float64 by bar, NaN where nothing was traded
    finer: Table | None = None  # F16
    edges: np.ndarray | None = None  # int64: the finer bars of bar t are [edges[t], edges[t + 1])
    universe: int = 0  # the one that says whether the asset may be opened (U1), int64; 0 is none

    @property
    def n_bars(self) -> int:
        """Bars loaded."""
        return len(self.columns[0])

    @property
    def instrument(self) -> tuple[int, float, float, float, float]:
        """What its prices and quantities are counted in, and how its metrics are annualised."""
        return self.inverse, self.tick, self.lot, self.multiplier, self.periods

    @cached_property
    def pointers(self) -> np.ndarray:
        """(address, stride) of every column, in this process; the loop over bars takes the stride to be 8 bytes.

        Raises ValueError for another stride.
        """
        out = np.array([(c.ctypes.data, c.strides[0]) for c in self.columns], "i8")
        if self.n_bars > 1 and (out[:, 1] != 8).any():
            raise ValueError("the loop over bars takes contiguous columns")
        return out

    @cached_property
    def record(self) -> tuple[float, ...]:
        """It as layout.INSTRUMENT, in this process."""
        at, unit = self.pointers.ctypes.data, self.lot * self.multiplier
        contract = L.LINEAR if self.mark == L.C_CLOSE_P else L.INVERSE
        ints = at, self.n_bars, self.inverse, self.closing, self.universe, self.mark, contract
        acts = self.actions.ctypes.data, len(self.actions)
        vwap, edges = (0 if a is None else a.ctypes.data for a in (self.vwap, self.edges))
        finer = 0 if self.finer is None else self.finer.instrument_record.ctypes.data
        numbers = self.tick, self.lot, self.multiplier, unit, self.periods
        return (*ints, *acts, vwap, finer, edges, *numbers, 0, 0, 0, 0)

    @cached_property
    def instrument_record(self) -> np.ndarray:
        """`record` where a kernel can find it."""
        return np.array([self.record], L.INSTRUMENT)

    @cached_property
    def packed(self) -> bytes:
        """The same as bytes: those of hundreds of assets are joined at each call."""
        return self.instrument_record.tobytes()

    def aimed(self, target: np.ndarray) -> Table:
        """This with a signal's target, float64 (bar,), as its first feature."""
        own, more = self.columns[: L.FIRST_FEATURE], self.columns[L.FIRST_FEATURE :]
        columns = (*own, target, np.zeros(len(target), "i8"), *more)
        universe, mark = (c + 2 if c >= L.FIRST_FEATURE else c for c in (self.universe, self.mark))
        return replace(self, columns=columns, universe=universe, mark=mark)

    def __reduce__(self) -> object:
        more = self.mark, self.actions, self.higher, self.vwap, self.finer, self.edges, self.universe
        return Table, (self.columns, *self.instrument, self.closing, *more)

    def begins(self, longer: Table) -> bool:
        """Whether these are the first bars of the other, with all that a run over them can read; finer ones apart."""
        if len(self.columns) != len(longer.columns) or len(self.higher) != len(longer.higher):
            return False
        pairs = [*zip(self.columns, longer.columns, strict=True)]
        if self.vwap is not None and longer.vwap is not None:
            pairs.append((self.vwap, longer.vwap))
        past = longer.actions[longer.actions["bar"] < self.n_bars]
        return (
            self.instrument == longer.instrument
            and all(np.array_equal(a, b[: len(a)], equal_nan=a.dtype.kind == "f") for a, b in pairs)
            and all(a.begins(b) for a, b in zip(self.higher, longer.higher, strict=True))
            and np.array_equal(past.view("u1"), self.actions.view("u1"))
        )

    def ready(self, closed: Sequence[int]) -> int:
        """W7: the first bar by which so many bars of each timeframe have closed; the number of bars where none is."""
        first = [int(np.searchsorted(h.closed[1:], n)) for h, n in zip(self.higher, closed, strict=True)]
        return max(first, default=0)

    @cached_property
    def most_ticks(self) -> int:
        """The highest price."""
        return int(self.columns[L.C_HIGH].max(initial=0))

    @cached_property
    def digest(self) -> str:
        """Hash of all that a run over it can read, its finer bars apart."""
        return self.digest_of(self.n_bars)

    @cached_property
    def pieces(self) -> list[bytes]:
        """Hashes of each `PIECE` whole bars: with them the digests of all beginnings cost little more than one."""
        return [self._hash(a, a + PIECE) for a in range(0, self.n_bars - PIECE + 1, PIECE)]

    def _hash(self, first: int, stop: int) -> bytes:
        found = hashlib.sha256()
        for k, c in enumerate(self.columns):
            if not L.C_OPEN_P <= k <= L.C_CLOSE_P:  # these are the ticks once more
                found.update(np.ascontiguousarray(c[first:stop]).data)
        return found.digest()

    def digest_of(self, stop: int) -> str:
        """Hash of all that a run over the first `stop` bars can read."""
        whole = stop // PIECE
        found = hashlib.sha256(repr(self.instrument).encode())
        found.update(b"".join([*self.pieces[:whole], self._hash(whole * PIECE, stop)]))
        if len(self.actions):
            found.update(self.actions[self.actions["bar"] < stop].tobytes())
        for h in self.higher:
            found.update(h.closed[: stop + 1].tobytes())
            found.update(h.table.digest_of(int(h.closed[stop])).encode())
        if self.vwap is not None:
            found.update(self.vwap[:stop].tobytes())
        return found.hexdigest()


@dataclass(frozen=True)
class Backing:
    """What an account's positions must be backed with (L1, L2), as the kernel sees it; tiers are (floor, rate)."""

    initial: float = 1.0
    long: tuple[tuple[float, float], ...] = ()  # none: it is never liquidated
    short: tuple[tuple[float, float], ...] = ()
    fee: float = 0.0
    isolated: bool = False
    protected: bool = True

    @cached_property
    def tiers(self) -> dict[str, np.ndarray]:
        """VENUE's floors, rates and deductions: of long positions, then of short ones, padded with inf."""
        out = {name: np.zeros(2 * L.TIERS) for name in ("floors", "rates", "deductions")}
        out["floors"][:] = np.inf
        for at, tiers in ((0, self.long), (L.TIERS, self.short)):
            for k, ((floor, rate), deduction) in enumerate(zip(tiers, deductions(tiers), strict=True)):
                out["floors"][at + k], out["rates"][at + k], out["deductions"][at + k] = floor, rate, deduction
        return out


def deductions(tiers: Sequence[tuple[float, float]]) -> list[float]:
    """L2: what each tier, (floor, rate), takes off ``rate * value``, so that the margin is continuous.

    >>> [round(d, 6) for d in deductions([(0, 0.01), (5_000, 0.02), (50_000, 0.025)])]
    [0.0, 50.0, 300.0]
    """
    out = [0.0] * min(1, len(tiers))
    for (_, before), (floor, rate) in pairwise(tiers):
        out.append(out[-1] + floor * (rate - before))
    return out


@dataclass(frozen=True)
class Higher:
    """The bars of a higher timeframe that have closed, and how many of them there are before each base bar.

    ``closed`` is int64 (n + 1,) for n base bars: the last one counts all.
    """

    table: Table
    closed: np.ndarray

    def begins(self, longer: Higher) -> bool:
        """Whether these are the first bars of the other."""
        return np.array_equal(self.closed, longer.closed[: len(self.closed)]) and self.table.begins(longer.table)


def instruments_of(tables: Sequence[Table]) -> np.ndarray:
    """The tables as records of layout.INSTRUMENT, in this process; those of their higher timeframes follow."""
    higher = [h for table in tables for h in table.higher]
    packed = b"".join([t.packed for t in (*tables, *(h.table for h in higher))])
    out = np.frombuffer(bytearray(packed), L.INSTRUMENT)  # which is writable, as bytes are not
    at = len(tables)
    for k, table in enumerate(tables if higher else ()):  # else hundreds of assets' worth of nothing
        out["higher"][k] = out.ctypes.data + L.INSTRUMENT_BYTES * at
        for h in table.higher:
            out["closed"][at], out["n_base"][at] = h.closed.ctypes.data, table.n_bars
            at += 1
    return out


@dataclass(frozen=True)
class Costs:
    """A venue as the kernel sees it: texts of its models (None: free), their parameters, cash rule and band.

    `rebates` is False where the fee is known never to be negative.
    """

    fee: str | None = None
    fee_slots: tuple[float, ...] = ()
    slippage: str | None = None
    slippage_slots: tuple[float, ...] = ()
    cash_rule: int = 0
    band: float = 0.005
    rebates: bool = False
    participation: float = 0.0  # 0 is no limit
    min_quantity: float = 0.0
    max_quantity: float = 0.0  # 0 is no limit
    min_notional: float = 0.0
    off_tick: bool = False  # whether prices off the grid are rejected, not rounded
    backing: Backing = Backing()
    rules: Rules | None = None
    sizes: tuple[tuple[float, float, float], ...] = ()  # by asset: these three, where they differ

    @property
    def limits(self) -> int:
        """Which rules refuse orders, as bits of layout: their size (O15), and `rules`."""
        return (L.SIZES if any(map(any, self.sizes_of(1))) else 0) | (self.rules.flags if self.rules else 0)

    def sizes_of(self, n: int) -> tuple[tuple[float, float, float], ...]:
        """What one order of each of ``n`` assets may be (O15): smallest, largest, worth at least."""
        return self.sizes or ((self.min_quantity, self.max_quantity, self.min_notional),) * n


@dataclass(frozen=True)
class Homes:
    """Where each asset of a portfolio trades (V1): the place of its venue in `Job.venues`, whose ``names`` these are.

    ``cash`` has what the account of each venue begins with, () where they share one; ``delays`` (ns) and ``fees`` are
    of a transfer from each to each in turn (V5).
    """

    venue: tuple[int, ...]
    names: tuple[str, ...]
    cash: tuple[float, ...] = ()
    delays: tuple[int, ...] = ()
    fees: tuple[float, ...] = ()

    @property
    def n(self) -> int:
        """How many venues."""
        return len(self.names)

    @cached_property
    def pairs(self) -> np.ndarray:
        """FRAME's homes: the venue of each asset, and how many assets its account has; int64 (asset, 2)."""
        venue = np.array(self.venue, "i8")
        many = np.bincount(venue, minlength=self.n)[venue] if self.cash else np.full(len(venue), len(venue))
        return np.ascontiguousarray(np.stack([venue, many], axis=1), "i8")

    @cached_property
    def purses(self) -> np.ndarray:
        """FRAME's purses, float64 (venue,)."""
        return np.array(self.cash, "f8")

    @cached_property
    def ways(self) -> np.ndarray:
        """FRAME's ways, a delay and the bits of a fee for each; int64 (venue * venue, 2)."""
        return np.ascontiguousarray(
            np.stack([np.array(self.delays, "i8"), np.array(self.fees, "f8").view("i8")], axis=1)
        )


@dataclass
class Job:
    """Everything that a set of trials needs."""

    text: str
    plan: Plan
    tables: list[Table]
    venues: list[Costs]
    fill_models: list[list[int]]
    trials: np.ndarray
    params: np.ndarray
    measure: bool = True
    custom_state: list[tuple[int, object]] = field(default_factory=list)
    # by site, where later parameters may need more than these trials do
    ring_sizes: dict[int, int] = field(default_factory=dict)
    # of a portfolio: its assets' last bars, (bar of the clock, asset), -1 before the first; None where each has all of
    # the clock's. tables[0] is then the clock, and the assets follow.
    bars: np.ndarray | None = None
    # by timeframe, how many of its bars must have closed before a run that goes on may begin (W7)
    waits: tuple[int, ...] = ()
    # H1: when the calendars of its venues open and close in turn, int64 ns, by name
    hours: dict[str, np.ndarray] = field(default_factory=dict)
    homes: Homes | None = None  # V1: of a portfolio at several venues
    called: np.ndarray | None = None  # X9: int64 (asset,), the first of its bars at which the strategy is called
    fine_bars: np.ndarray | None = None  # X11: `bars` of its finer ones, by bar of their clock

    @property
    def limits(self) -> int:
        """What any of its venues, or its bars (U1), asks of orders, as bits of layout."""
        universe = L.UNIVERSE if any(t.universe for t in self.tables) else 0
        return int(np.bitwise_or.reduce([v.limits for v in self.venues])) | universe

    def venue_of(self, trial: np.void, asset: int) -> Costs:
        """The venue of an asset of a trial (V1)."""
        return self.venues[int(trial["venue"]) if self.homes is None else self.homes.venue[asset]]

    @property
    def n_asset(self) -> int:
        """How many assets an account holds."""
        return len(self.tables) - 1 if self.plan.shared else 1

    @property
    def n_record(self) -> int:
        """Columns of own records: one for each name, or for each name and asset (X9)."""
        return len(self.plan.records) * (self.n_asset if self.plan.by_asset else 1)


@dataclass
class Outcome:
    """What trials came to: headline (trial, metric), block summaries (trial, cell) or None, errors by trial.

    meta is (trial, [cells, level, ruined]), int64; an error is (status, bar, argument).
    """

    headline: np.ndarray
    blocks: np.ndarray | None
    meta: np.ndarray
    done: np.ndarray
    errors: dict[int, tuple[int, int, int]]

    def part(self, first: int, last: int) -> Outcome:
        """The outcome of trials [first, last), counted from `first`."""
        blocks = None if self.blocks is None else self.blocks[first:last]
        errors = {k - first: e for k, e in self.errors.items() if first <= k < last}
        return Outcome(self.headline[first:last], blocks, self.meta[first:last], self.done[first:last], errors)

    def take(self, at: int | np.ndarray, part: Outcome) -> None:
        """Write the outcome of other trials into this one: into the rows from ``at`` on, or those that it names."""
        rows = slice(at, at + len(part.done)) if isinstance(at, int) else at
        self.headline[rows], self.meta[rows], self.done[rows] = part.headline, part.meta, part.done
        if self.blocks is not None and part.blocks is not None:
            self.blocks[rows] = part.blocks
        self.errors.update({at + k if isinstance(at, int) else int(at[k]): e for k, e in part.errors.items()})


@dataclass
class Logs:
    """What one trial did: fills, ended orders, trades, actions, rules hit, changes of orders, curves, own records.

    Curves are (bar, [equity, cash, position of each asset]), records (bar, name), of a strategy that is called for each
    asset (bar, name * asset); float64 from the first decision on.
    """

    fills: np.ndarray
    orders: np.ndarray
    trades: np.ndarray
    curves: np.ndarray
    records: np.ndarray
    happened: np.ndarray
    breaches: np.ndarray = field(default_factory=lambda: np.zeros(0, L.BREACH))
    changes: np.ndarray = field(default_factory=lambda: np.zeros(0, L.CHANGE))


def new_outcome(n: int, blocks: bool) -> Outcome:
    """Room for the results of `n` trials, NaN until they are done.

    >>> new_outcome(2, False).headline.shape == (2, len(L.HEADLINE))
    True
    """
    headline = np.full((n, len(L.HEADLINE)), np.nan)
    return Outcome(
        headline, np.zeros((n, L.MAX_CELLS), L.NODE) if blocks else None, np.zeros((n, 3), "i8"), np.zeros(n, bool), {}
    )


def spread(n: int, workers: int, least: int = 1, ample: int = 1) -> Sequence[tuple[int, int]]:
    """`n` trials in contiguous pieces of `least` or more: one for a worker, or up to four, which end together.

    Each piece computes its indicators anew: there are more of them only where each has `ample` trials.

    >>> spread(10, 1, 3)
    [(0, 3), (3, 6), (6, 10)]
    >>> spread(10, 2, 1, 5)
    [(0, 5), (5, 10)]
    """
    each = min(4, max(1, n // (workers * ample)))
    pieces = max(1, min(each * workers, n // max(1, least)))
    edges = [n * k // pieces for k in range(pieces + 1)]
    return [(a, b) for a, b in pairwise(edges) if b > a]
