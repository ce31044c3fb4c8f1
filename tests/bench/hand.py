"""The workloads as loops written by hand: the raw limit, with the final equity alone.

Orders act from the bar after their decision, positions are one unit, fees a fraction of the traded value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

jit: Callable[[Callable[..., Any]], Callable[..., Any]] = njit(nogil=True, error_model="numpy")


@jit
def raw_cross(o, c, fast, slow, cash, fee):
    """W1: hold one unit while the fast average is above the slow one. Returns final equity, closed trades."""
    fast_sum = 0.0
    slow_sum = 0.0
    per_fast = 1.0 / fast
    per_slow = 1.0 / slow
    held = 0
    wanted = 0
    trades = 0
    for t in range(len(c)):
        if wanted != held:
            price = o[t]
            if wanted == 1:
                cash -= price + price * fee
            else:
                cash += price - price * fee
                trades += 1
            held = wanted
        fast_sum += c[t]
        slow_sum += c[t]
        if t >= fast:
            fast_sum -= c[t - fast]
        if t >= slow:
            slow_sum -= c[t - slow]
        if t >= slow - 1:
            wanted = 1 if fast_sum * per_fast > slow_sum * per_slow else 0
    return cash + held * c[-1], trades


@jit
def raw_sweep(o, c, fasts, slows, cash, fee, equity, trades):
    """W2: one pass after the other, parameters in scalars."""
    for k in range(len(fasts)):
        equity[k], trades[k] = raw_cross(o, c, fasts[k], slows[k], cash, fee)


@jit
def raw_bracket(o, h, lo, c, cash, fee, limit, life, stop, target, window):
    """W4: a limit entry that expires, then a stop and a target. Returns final equity, closed trades."""
    flat, pending, holding = 0, 1, 2
    state = flat
    entry = 0.0
    expires = 0
    stop_at = 0.0
    target_at = 0.0
    total = 0.0
    trades = 0
    for t in range(len(c)):
        if state == holding:
            if lo[t] <= stop_at:
                price = min(o[t], stop_at)
                cash += price - price * fee
                state = flat
                trades += 1
            elif h[t] >= target_at:
                price = max(o[t], target_at)
                cash += price - price * fee
                state = flat
                trades += 1
        elif state == pending:
            if lo[t] <= entry:
                price = min(o[t], entry)
                cash -= price + price * fee
                stop_at = entry * (1.0 - stop)
                target_at = entry * (1.0 + target)
                state = holding
            elif t >= expires:
                state = flat
        total += c[t]
        if t >= window:
            total -= c[t - window]
        if state == flat and t >= window - 1 and c[t] > total / window:
            entry = c[t] * (1.0 - limit)
            expires = t + life
            state = pending
    return cash + (c[-1] if state == holding else 0.0), trades


def numpy_cross(o: np.ndarray, c: np.ndarray, fast: int, slow: int, cash: float, fee: float) -> tuple[np.ndarray, int]:
    """W1 as a notebook writes it: averages from one cumulative sum, equity from the flows. And closed trades."""
    total = np.concatenate([[0.0], np.cumsum(c)])
    above = np.zeros(len(c), bool)
    above[slow - 1 :] = (total[slow:] - total[:-slow]) / slow < ((total[fast:] - total[:-fast]) / fast)[slow - fast :]
    held = np.concatenate([[False], above[:-1]])
    change = np.diff(held.astype(np.int8), prepend=np.int8(0))
    at = np.flatnonzero(change)
    flow = np.zeros(len(c))
    flow[at] = -change[at] * o[at] - o[at] * fee
    return cash + np.cumsum(flow) + held * c, int((change < 0).sum())
