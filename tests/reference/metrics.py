"""Samples, the tree of blocks and the headline (M1-M8)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.reference.account import Fund
from tests.reference.config import Record
from tests.reference.holders import Steps

DAY_NS = 86400e9


@dataclass(frozen=True)
class Track:
    """One entry per bar of the span, as marked."""

    session: Sequence[int]
    known_at: Sequence[int]
    equity: Sequence[float]
    close: Sequence[float]
    held: Sequence[bool]
    active: Sequence[bool]
    cash0: float
    steps: Steps = field(default_factory=dict)  # E8: what `c_prev` goes through in a bar


def leaves(track: Track) -> dict[int, Record]:
    """M1, M2, E8: one leaf per session."""
    found: dict[int, Record] = {}
    equity_before, close_before = track.cash0, track.close[0]
    start = 0
    for t in range(len(track.session)):
        for how, x in track.steps.get(t, []):
            close_before = close_before / x if how == "divide" else close_before * x
        if t + 1 < len(track.session) and track.session[t + 1] == track.session[t]:
            continue
        found[track.session[t]] = leaf(
            track.equity[start : t + 1], equity_before, track.close[t], close_before, any(track.active[start : t + 1])
        )
        equity_before, close_before = track.equity[t], track.close[t]
        start = t + 1
    return found


def quotient(a: float, b: float) -> float:
    """IEEE's quotient: an index of assets that paid nothing may be zero (X8)."""
    if b != 0.0:
        return a / b
    return math.nan if a == 0.0 or math.isnan(a) else math.copysign(math.inf, a)


def leaf(equities: Sequence[float], before: float, close: float, close_before: float, active: bool) -> Record:
    """M2: the summary of one session; after ruin its sample is 0.0 and it is neutral in merges."""
    b = quotient(close, close_before) - 1.0
    if before == 0.0:
        x, wealth, high, low, worst = 0.0, 1.0, 1.0, 1.0, 0.0
    else:
        x, wealth = equities[-1] / before - 1.0, equities[-1] / before
        largest = smallest = before
        worst = 0.0
        for equity in equities:
            largest, smallest = max(largest, equity), min(smallest, equity)
            worst = max(worst, 1.0 - equity / largest)
        high, low = largest / before, smallest / before
    s2 = x * x
    return {
        "n": 1,
        "active": int(active),
        "s1": x,
        "s2": s2,
        "s3": s2 * x,
        "s4": s2 * s2,
        "d2": s2 if x < 0 else 0.0,
        "w": wealth,
        "hi": high,
        "lo": low,
        "mdd": worst,
        "sb": b,
        "sbb": b * b,
        "sxb": x * b,
    }


def merge(a: Record, b: Record) -> Record:
    """M3: the summary of `a` followed by `b`."""
    sums = ("n", "active", "s1", "s2", "s3", "s4", "d2", "sb", "sbb", "sxb")
    merged = {name: a[name] + b[name] for name in sums}
    merged["w"] = a["w"] * b["w"]
    merged["hi"] = max(a["hi"], a["w"] * b["hi"])
    merged["lo"] = min(a["lo"], a["w"] * b["lo"])
    merged["mdd"] = max(max(a["mdd"], b["mdd"]), 1.0 - (a["w"] * b["lo"]) / a["hi"])
    return merged


def node(found: dict[int, Record], j: int, i: int) -> Record | None:
    """M4: node (j, i) of the binary tree over session numbers; None where it holds no session."""
    if not any(session >> j == i for session in found):
        return None
    if j == 0:
        return found[i]
    early, late = node(found, j - 1, 2 * i), node(found, j - 1, 2 * i + 1)
    if early is None or late is None:
        return late if early is None else early
    return merge(early, late)


def blocks(found: dict[int, Record]) -> tuple[int, list[Record]]:
    """M4: the level k and its non-empty nodes, each with its number `i`."""
    first, last = min(found), max(found)
    k = 0
    while (last >> k) - (first >> k) >= 64:
        k += 1
    cut: list[Record] = []
    for i in range(first >> k, (last >> k) + 1):
        inside = {session: summary for session, summary in found.items() if session >> k == i}
        summary = node(inside, k, i)
        if summary is not None:
            cut.append({"i": i, **summary})
    return k, cut


def fold(cut: Sequence[Record]) -> Record:
    """M5: the left fold of the blocks."""
    total = cut[0]
    for block in cut[1:]:
        total = merge(total, block)
    return total


def ratio(a: float, b: float) -> float:
    """a / b, NaN for b = 0."""
    return a / b if b != 0 else math.nan


def variance(n: float, s1: float, s2: float) -> float:
    """M5: the variance of the samples, 0.0 where they are equal up to rounding, NaN for fewer than two."""
    if n < 2.0:
        return math.nan
    var = (s2 - (s1 * s1) / n) / (n - 1.0)
    return 0.0 if var <= ((n * 2.0**-52) * s2) / (n - 1.0) else var


def yearly_growth(growth: float, years: float, ruined: bool) -> float:
    """M5: the compound growth per year."""
    if ruined:
        return -1.0
    if years == 0.0:
        return math.nan
    exponent = math.log(growth) / years
    return math.exp(exponent) - 1.0 if exponent < 709.0 else math.inf


def headline(track: Track, total: Record, account: Fund, periods_per_year: int) -> dict[str, float]:
    """M5, M6: the metrics of the run."""
    n, s1, yearly = float(total["n"]), total["s1"], float(periods_per_year)
    mean = s1 / n
    var = variance(n, s1, total["s2"])
    downside = math.sqrt(total["d2"] / n)
    final = track.equity[-1]
    years = (float(track.known_at[-1] - track.known_at[0]) / DAY_NS) / 365.25
    cagr = yearly_growth(final / track.cash0, years, account.ruined)
    wins = gross_profit = gross_loss = 0.0
    for trade in account.trades:
        if trade["pnl"] > 0:
            wins, gross_profit = wins + 1, gross_profit + trade["pnl"]
        else:
            gross_loss = gross_loss + -trade["pnl"]
    return {
        "total_return": final / track.cash0 - 1.0,
        "cagr": cagr,
        "volatility": math.sqrt(var * yearly),
        "sharpe_ratio": (mean / math.sqrt(var)) * math.sqrt(yearly) if var > 0 else math.nan,
        "sortino_ratio": (mean / downside) * math.sqrt(yearly) if total["d2"] != 0 else math.nan,
        "calmar_ratio": ratio(cagr, total["mdd"]),
        "max_drawdown": total["mdd"],
        "max_drawdown_duration": longest_drawdown(track),
        "n_fills": float(len(account.fills)),
        "n_trades": float(len(account.trades)),
        "win_rate": ratio(wins, len(account.trades)),
        "profit_factor": ratio(gross_profit, gross_loss),
        "exposure": float(sum(track.held)) / float(len(track.held)),
        "turnover": ratio(account.turnover_sum, years),
        "fees": account.fees,
        "final_equity": final,
        "ruined": float(account.ruined),
        "debt": account.debt,
    }


def longest_drawdown(track: Track) -> float:
    """M6: days from a peak to the first bar at or above it, over spells with at least one bar below."""
    peak, since, below, longest = track.cash0, track.known_at[0], False, 0
    for equity, time in zip(track.equity, track.known_at, strict=True):
        if equity < peak:
            below = True
            continue
        if below:
            longest = max(longest, time - since)
        peak, since, below = equity, time, False
    if below:
        longest = max(longest, track.known_at[-1] - since)
    return float(longest) / DAY_NS
