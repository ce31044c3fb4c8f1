"""Strategies that every user knows, by name: something to begin with, and to compare with."""

from __future__ import annotations

from typing import Any

from kernelkit.strategy import strategy


@strategy
def sma_cross(ctx: Any, fast: int = 20, slow: int = 100) -> None:
    """Hold while the fast average of closes is above the slow one."""
    if ctx.close.sma(fast) > ctx.close.sma(slow):
        ctx.target_percent(1.0)
    else:
        ctx.target_percent(0.0)


@strategy
def momentum(ctx: Any, span: int = 120, flat: float = 0.0) -> None:
    """Hold while the close is above that of ``span`` bars before by more than the fraction ``flat``."""
    if ctx.i >= span and ctx.close[0] > (1.0 + flat) * ctx.close[-span]:
        ctx.target_percent(1.0)
    else:
        ctx.target_percent(0.0)


@strategy
def rsi_reversal(ctx: Any, n: int = 5, low: float = 30.0, high: float = 60.0) -> None:
    """Buy where the relative strength index falls below ``low``, sell where it rises above ``high``."""
    strength = ctx.close.rsi(n)
    if strength < low:
        ctx.target_percent(1.0)
    elif strength > high:
        ctx.target_percent(0.0)


@strategy
def buy_and_hold(ctx: Any, weight: float = 1.0) -> None:
    """Hold all along."""
    ctx.target_percent(weight)
