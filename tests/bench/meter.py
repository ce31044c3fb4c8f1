"""Metrics for loops written by hand (rules M1-M6): equity enters bar by bar, metrics come out at the end.

Values travel in named tuples, which compile to registers: a loop keeps no memory but its block summaries.
"""

from __future__ import annotations

from math import exp, log, nan, sqrt
from typing import NamedTuple

import numpy as np

from tests.bench.hand import jit
from tests.bench.series import Series

BLOCKS = 64
FIELDS = ("n", "active", "s1", "s2", "s3", "s4", "d2", "sb", "sbb", "sxb", "w", "hi", "lo", "mdd")
DAY_NS = 86400e9
PERIODS = 365.0


class Market(NamedTuple):
    """Columns of the bars, and where block summaries go: block `b` covers sessions from `b << width` on."""

    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    session: np.ndarray
    known_at: np.ndarray
    blocks: np.ndarray
    width: int


class Meter(NamedTuple):
    """What is running: of this session `base`, `hi`, `low` (since `hi`), `lo`, `mdd`; of the whole `peak` and below."""

    start: int
    day: int
    before: float
    base: float
    hi: float
    low: float
    lo: float
    mdd: float
    active: bool
    peak: float
    t_peak: int
    under: bool
    longest: int
    exposed: int


class Tally(NamedTuple):
    """What the fills came to; `paid` is what the open position cost."""

    fills: int
    trades: int
    wins: int
    profit: float
    loss: float
    turnover: float
    fees: float
    paid: float


def market_of(s: Series) -> Market:
    """A series, with blocks of the smallest power of two of sessions of which 64 are enough (M4)."""
    session, width = s.session, 0
    while (session[-1] >> width) - (session[0] >> width) >= BLOCKS:
        width += 1
    blocks = np.zeros((BLOCKS, len(FIELDS)))
    return Market(s.open, s.high, s.low, s.close, session, s.known_at, blocks, width)


NOTHING = Tally(0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0)


@jit
def begin(market, start, cash):
    """The account starts with `cash` at bar `start`."""
    market.blocks[:] = 0.0
    market.blocks[:, 10:13] = 1.0
    close = market.close[start]
    day = market.session[start]
    now = market.known_at[start]
    return Meter(start, day, close, cash, cash, cash, cash, 0.0, False, cash, now, False, 0, 0)


@jit
def join(block, w, hi, lo, mdd):
    """Wealth ratio, extremes and drawdown of a later stretch join those of a block."""
    block[13] = max(block[13], mdd, 1.0 - block[10] * lo / block[11])
    block[11] = max(block[11], block[10] * hi)
    block[12] = min(block[12], block[10] * lo)
    block[10] *= w


@jit
def close_session(m, market, t, equity):
    """The session that ended with bar `t` and this equity joins its block."""
    block = market.blocks[(m.day >> market.width) - (market.session[m.start] >> market.width)]
    w = equity / m.base
    x = w - 1.0
    benchmark = market.close[t] / m.before - 1.0
    block[0] += 1.0
    block[1] += m.active
    block[2] += x
    block[3] += x * x
    block[4] += x * x * x
    block[5] += (x * x) * (x * x)
    if x < 0.0:
        block[6] += x * x
    block[7] += benchmark
    block[8] += benchmark * benchmark
    block[9] += x * benchmark
    join(block, w, m.hi / m.base, m.lo / m.base, max(m.mdd, 1.0 - m.low / m.hi))


@jit
def next_session(m, market, t, equity):
    """Bar `t` opens a new session; `equity` is the mark before it."""
    close_session(m, market, t - 1, equity)
    day = market.session[t]
    before = market.close[t - 1]
    return Meter(
        m.start,
        day,
        before,
        equity,
        equity,
        equity,
        equity,
        0.0,
        False,
        m.peak,
        m.t_peak,
        m.under,
        m.longest,
        m.exposed,
    )


@jit
def mark(m, equity, now, traded, held):
    """One bar's equity; whether it traded, and whether a position is held at its close."""
    hi = m.hi
    low = m.low
    lo = m.lo
    mdd = m.mdd
    if equity > hi:
        mdd = max(mdd, 1.0 - low / hi)
        hi = equity
        low = equity
    elif equity < low:
        low = equity
        lo = min(lo, equity)
    peak = m.peak
    t_peak = m.t_peak
    longest = m.longest
    under = equity < peak
    if not under:
        if m.under:
            longest = max(longest, now - t_peak)
        peak = equity
        t_peak = now
    active = m.active or traded or held
    exposed = m.exposed + held
    return Meter(m.start, m.day, m.before, m.base, hi, low, lo, mdd, active, peak, t_peak, under, longest, exposed)


@jit
def bought(y, price, fee, equity):
    """One unit bought for `price` and `fee`; `equity` is the mark before it."""
    return Tally(
        y.fills + 1, y.trades, y.wins, y.profit, y.loss, y.turnover + price / equity, y.fees + fee, price + fee
    )


@jit
def sold(y, price, fee, equity):
    """The unit held sold again."""
    gain = price - fee - y.paid
    won = gain > 0.0
    profit = y.profit + (gain if won else 0.0)
    loss = y.loss - (0.0 if won else gain)
    return Tally(y.fills + 1, y.trades + 1, y.wins + won, profit, loss, y.turnover + price / equity, y.fees + fee, 0.0)


@jit
def ratio(a, b):
    """a / b, NaN where b is not positive."""
    return a / b if b > 0.0 else nan


@jit
def report(m, y, market, cash, equity):
    """The metrics of `kernelkit.kernels.layout.HEADLINE`, in its order."""
    last = len(market.close) - 1
    close_session(m, market, last, equity)
    whole = np.zeros(len(FIELDS))
    whole[10:13] = 1.0
    for block in market.blocks:
        whole[:10] += block[:10]
        join(whole, block[10], block[11], block[12], block[13])
    n, s1, s2, mdd = whole[0], whole[2], whole[3], whole[13]
    deviation = sqrt(max(0.0, (s2 - s1 * s1 / n) / (n - 1.0)))
    now = market.known_at[last]
    years = (now - market.known_at[m.start]) / DAY_NS / 365.25
    cagr = exp(log(equity / cash) / years) - 1.0
    longest = max(m.longest, now - m.t_peak) if m.under else m.longest
    return (
        equity / cash - 1.0,
        cagr,
        deviation * sqrt(PERIODS),
        ratio(s1 / n, deviation) * sqrt(PERIODS),
        ratio(s1 / n, sqrt(whole[6] / n)) * sqrt(PERIODS),
        ratio(cagr, mdd),
        mdd,
        longest / DAY_NS,
        float(y.fills),
        float(y.trades),
        ratio(y.wins, y.trades),
        ratio(y.profit, y.loss),
        m.exposed / (last + 1 - m.start),
        y.turnover / years,
        y.fees,
        equity,
    )
