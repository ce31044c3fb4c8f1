"""Metrics: each public function takes one named dim off returns, all other dims stay.

Every function made with `kernelkit.metrics.metric.metric` is public here by its own name.
"""

from __future__ import annotations

from typing import Any

from kernelkit.metrics import drawdown, equity, overview, ratios, risk, var_tests
from kernelkit.metrics.metric import METRICS

__all__ = ("METRICS", "drawdown", "equity", "overview", "ratios", "risk", "var_tests")


def __getattr__(name: str) -> Any:
    """Public metrics by name."""
    if name in METRICS:
        return METRICS[name]
    raise AttributeError(f"kernelkit.metrics has no attribute {name!r}; there are {', '.join(sorted(METRICS))}")


def __dir__() -> list[str]:
    return sorted((*__all__, *METRICS))
