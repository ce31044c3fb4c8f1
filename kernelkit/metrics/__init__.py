"""Metrics: each public function takes one named dim off returns, all other dims stay.

Every function made with `kernelkit.metrics.metric.metric` is public here by its own name; those of trades that take
the table of `kk.trades` are so, too.
"""

from __future__ import annotations

from typing import Any

from kernelkit.metrics import drawdown, equity, overview, ratios, risk, trades, var_tests
from kernelkit.metrics.metric import METRICS
from kernelkit.metrics.trades import excursions, hold_time, trades_by

__all__ = (
    "METRICS",
    "drawdown",
    "equity",
    "excursions",
    "hold_time",
    "overview",
    "ratios",
    "risk",
    "trades",
    "trades_by",
    "var_tests",
)


def __getattr__(name: str) -> Any:
    """Public metrics by name."""
    if name in METRICS:
        return METRICS[name]
    raise AttributeError(f"kernelkit.metrics has no attribute {name!r}; there are {', '.join(sorted(METRICS))}")


def __dir__() -> list[str]:
    return sorted((*__all__, *METRICS))
