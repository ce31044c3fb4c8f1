"""The workloads as loops written by hand, with every metric of a result computed on the way.

What an engine with these outputs is to be measured against.
"""

from __future__ import annotations

from math import ceil, floor

from tests.bench.hand import jit
from tests.bench.meter import NOTHING, begin, bought, mark, next_session, report, sold


@jit
def full_mark(market, cash, held):
    """No strategy at all: mark `held` units at every close and measure the account."""
    m = begin(market, 0, cash)
    equity = cash
    for t in range(len(market.close)):
        if market.session[t] != m.day:
            m = next_session(m, market, t, equity)
        equity = cash + held * market.close[t]
        m = mark(m, equity, market.known_at[t], False, held != 0.0)
    return report(m, NOTHING, market, cash, equity)


@jit
def full_cross(market, fast, slow, cash, fee, start):
    """W1 and W2: one unit while the fast average is above the slow one; the account starts at bar `start`."""
    c = market.close
    fast_sum = 0.0
    slow_sum = 0.0
    per_fast = 1.0 / fast
    per_slow = 1.0 / slow
    for t in range(start):
        fast_sum += c[t] - (c[t - fast] if t >= fast else 0.0)
        slow_sum += c[t] - (c[t - slow] if t >= slow else 0.0)
    m = begin(market, start, cash)
    y = NOTHING
    money = cash
    equity = cash
    held = False
    wanted = False
    for t in range(start, len(c)):
        if market.session[t] != m.day:
            m = next_session(m, market, t, equity)
        traded = wanted != held
        if traded:
            price = market.open[t]
            cost = price * fee
            if wanted:
                y = bought(y, price, cost, equity)
                money -= price + cost
            else:
                y = sold(y, price, cost, equity)
                money += price - cost
            held = wanted
        fast_sum += c[t]
        slow_sum += c[t]
        if t >= fast:
            fast_sum -= c[t - fast]
        if t >= slow:
            slow_sum -= c[t - slow]
        equity = money + (c[t] if held else 0.0)
        m = mark(m, equity, market.known_at[t], traded, held)
        if t >= slow - 1:
            wanted = fast_sum * per_fast > slow_sum * per_slow
    return report(m, y, market, cash, equity)


@jit
def full_sweep(market, fasts, slows, cash, fee, out):
    """W2: one combination after the other; each row of `out` takes one's metrics."""
    for k in range(len(fasts)):
        values = full_cross(market, fasts[k], slows[k], cash, fee, 0)
        for j in range(len(values)):
            out[k, j] = values[j]


@jit
def full_bracket(market, cash, fee, limit, life, stop, target, window):
    """W4: a limit entry that expires, then a stop and a target."""
    flat, pending, holding = 0, 1, 2
    c = market.close
    start = window - 1
    total = 0.0
    for t in range(start):
        total += c[t]
    m = begin(market, start, cash)
    y = NOTHING
    money = cash
    equity = cash
    state = flat
    entry, stop_at, target_at = 0.0, 0.0, 0.0
    expires = 0
    for t in range(start, len(c)):
        if market.session[t] != m.day:
            m = next_session(m, market, t, equity)
        price = 0.0
        if state == holding:
            if market.low[t] <= stop_at:
                price = min(market.open[t], stop_at)
            elif market.high[t] >= target_at:
                price = max(market.open[t], target_at)
            if price != 0.0:
                y = sold(y, price, price * fee, equity)
                money += price - price * fee
                state = flat
        elif state == pending:
            if market.low[t] <= entry:
                price = min(market.open[t], entry)
                y = bought(y, price, price * fee, equity)
                money -= price + price * fee
                stop_at = entry * (1.0 - stop)
                target_at = entry * (1.0 + target)
                state = holding
            elif t >= expires:
                state = flat
        total += c[t]
        if t >= window:
            total -= c[t - window]
        equity = money + (c[t] if state == holding else 0.0)
        m = mark(m, equity, market.known_at[t], price != 0.0, state == holding)
        if state == flat and c[t] > total / window:
            entry = c[t] * (1.0 - limit)
            expires = t + life
            state = pending
    return report(m, y, market, cash, equity)


@jit
def full_ema(market, cash, fee, fast, slow, stop_loss, take_profit, per_unit):
    """Two exponential averages: buy at the open; stop and target rest, from the fill, on a grid of 1 / `per_unit`."""
    c = market.close
    start = slow - 1
    rate_fast = 2.0 / (fast + 1.0)
    rate_slow = 2.0 / (slow + 1.0)
    mean_fast = c[0]
    mean_slow = c[0]
    for t in range(1, start):
        mean_fast += rate_fast * (c[t] - mean_fast)
        mean_slow += rate_slow * (c[t] - mean_slow)
    m = begin(market, start, cash)
    y = NOTHING
    money = cash
    equity = cash
    ordered = False
    holding = False
    stop_at, target_at = 0.0, 0.0
    for t in range(start, len(c)):
        if market.session[t] != m.day:
            m = next_session(m, market, t, equity)
        price = 0.0
        if holding:
            if market.open[t] >= target_at:
                price = market.open[t]
            elif market.low[t] <= stop_at:
                price = min(market.open[t], stop_at)
            elif market.high[t] >= target_at:
                price = target_at
            if price != 0.0:
                y = sold(y, price, price * fee, equity)
                money += price - price * fee
                holding = False
        elif ordered:
            price = market.open[t]
            y = bought(y, price, price * fee, equity)
            money -= price + price * fee
            stop_at = floor(price * (1.0 - stop_loss) * per_unit) / per_unit
            target_at = ceil(price * (1.0 + take_profit) * per_unit) / per_unit
            holding = True
        mean_fast += rate_fast * (c[t] - mean_fast)
        mean_slow += rate_slow * (c[t] - mean_slow)
        equity = money + (c[t] if holding else 0.0)
        m = mark(m, equity, market.known_at[t], price != 0.0, holding)
        ordered = not holding and mean_fast > mean_slow
    return report(m, y, market, cash, equity)
