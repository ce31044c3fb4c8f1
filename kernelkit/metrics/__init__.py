"""Metrics: each public function takes one named dim off returns, all other dims stay.

Every function made with `kernelkit.metrics.metric.metric` is public here by its own name; so are those that
take the tables of `kk.trades`, `kk.orders` and `kk.fills`, or arrays of several dims.
"""

from __future__ import annotations

from typing import Any

from kernelkit.metrics import (
    attribution,
    benchmark,
    changes,
    curve,
    drawdown,
    equity,
    events,
    execution,
    factors,
    forecasts,
    overview,
    ratios,
    risk,
    trades,
    var_tests,
)
from kernelkit.metrics.attribution import brinson, factor_attribution, link
from kernelkit.metrics.benchmark import market_portfolio, peer_rank, risk_free
from kernelkit.metrics.blocks import from_blocks
from kernelkit.metrics.events import event_study
from kernelkit.metrics.execution import (
    best_execution,
    executions,
    fill_ratio,
    implementation_shortfall,
    price_improvement,
    slippage,
)
from kernelkit.metrics.factors import factor_model, fama_macbeth
from kernelkit.metrics.forecasts import ic_decay, information_coefficient, quantile_returns
from kernelkit.metrics.metric import METRICS
from kernelkit.metrics.trades import excursions, hold_time, trades_by

__all__ = (
    "METRICS",
    "attribution",
    "benchmark",
    "best_execution",
    "brinson",
    "changes",
    "curve",
    "drawdown",
    "equity",
    "event_study",
    "events",
    "excursions",
    "execution",
    "executions",
    "factor_attribution",
    "factor_model",
    "factors",
    "fama_macbeth",
    "fill_ratio",
    "forecasts",
    "from_blocks",
    "hold_time",
    "ic_decay",
    "implementation_shortfall",
    "information_coefficient",
    "link",
    "market_portfolio",
    "overview",
    "peer_rank",
    "price_improvement",
    "quantile_returns",
    "ratios",
    "risk",
    "risk_free",
    "slippage",
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
