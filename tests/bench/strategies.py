"""The strategies that speed is measured with, and the venue and fill model that their hand-written loops assume."""

from __future__ import annotations

import numpy as np

import kernelkit as kk

FEE = 0.001
CASH = 1_000_000.0
FAST, SLOW = 20, 100
CROSS = FAST, SLOW
LIMIT_BRACKET = LIMIT, LIFE, STOP, TARGET, WINDOW = 0.001, 10, 0.005, 0.005, 20
EMA = EMA_FAST, EMA_SLOW, STOP_LOSS, TAKE_PROFIT = 12, 48, 0.02, 0.03
GRID = {"fast": range(5, 45), "slow": range(50, 300, 10)}

VENUE = kk.Venue("bench", fees=kk.fees.fraction(FEE), band=0.0)
FILLS = kk.FillModel(limit="touch", same_bar="next")
SETTINGS = {"venue": VENUE, "fill_model": FILLS}


@kk.strategy
def empty(ctx):
    """Does nothing: what remains is the loop itself."""


@kk.strategy
def cross(ctx, fast=FAST, slow=SLOW):
    """W1: one unit while the fast average is above the slow one."""
    if ctx.close.sma(fast) > ctx.close.sma(slow):
        ctx.target(1.0)
    else:
        ctx.target(0.0)


@kk.strategy(warmup=0)
def sweep(ctx, fast=FAST, slow=SLOW):
    """W2: the same, but every combination begins when its own averages are full, as a loop over combinations does."""
    if ctx.close.sma(fast) > ctx.close.sma(slow):
        ctx.target(1.0)
    else:
        ctx.target(0.0)


@kk.strategy(state=dict(expires=0))
def limit_bracket(ctx, s, window=WINDOW):
    """W4: above its average, a limit order below the close that lives for ten bars, with a stop and a target."""
    close = ctx.close[0]
    mean = ctx.close.sma(window)
    if ctx.position == 0.0:
        if ctx.orders > 0 and ctx.i >= s.expires:
            ctx.cancel_all()
        if ctx.orders == 0 and close > mean:
            price = close * (1.0 - LIMIT)
            ctx.bracket(1.0, entry=price, stop=price * (1.0 - STOP), limit=price * (1.0 + TARGET))
            s.expires = ctx.i + LIFE


@kk.strategy
def ema_bracket(ctx, fast=EMA_FAST, slow=EMA_SLOW):
    """While the fast exponential average is above the slow one: buy, with a resting stop and target."""
    if ctx.position == 0.0 and ctx.orders == 0 and ctx.close.ema(fast) > ctx.close.ema(slow):
        ctx.bracket(1.0, stop_loss=STOP_LOSS, take_profit=TAKE_PROFIT)


@kk.indicator(state=dict(total=0.0, seen=0, window=kk.ring(301)))
def running_mean(s, x, n):
    """An average that rounds as most engines' do: a running float64 sum times 1 / n. Not yet a mean before bar `n`."""
    s.window.push(x)
    s.total += x
    s.seen += 1
    if s.seen > n:
        s.total -= s.window[-n]
    return s.total * (1.0 / n)


@kk.strategy(warmup=0)
def float_cross(ctx, fast=FAST, slow=SLOW):
    """W1 and W2 with running float64 sums in the place of exact ones."""
    if ctx.i >= slow - 1 and running_mean(ctx.close, fast) > running_mean(ctx.close, slow):
        ctx.target(1.0)
    else:
        ctx.target(0.0)


@kk.signal(units="quantity")
def numpy_cross(ds, fast=FAST, slow=SLOW):
    """W1 as a vectorised signal, its averages from one cumulative float64 sum."""
    total = np.concatenate([[0.0], np.cumsum(ds["close"].values[:, 0])])

    def mean(n):
        return np.concatenate([np.full(n - 1, np.nan), (total[n:] - total[:-n]) / n])

    return (mean(fast) > mean(slow)) * 1.0


@kk.strategy
def hold_some(ctx, lots=1, pause=1):
    """Many cheap trials: what is measured is everything around them."""
    if ctx.i % pause == 0:
        ctx.target(float(lots))
