"""Inference: how sure one may be of what many trials found.

Every function made with `kernelkit.metrics.metric.metric` for this home is public here by its own name.
"""

from __future__ import annotations

from kernelkit.inference import significance
from kernelkit.inference.significance import (
    deflated_sharpe_ratio,
    expected_max_sharpe,
    min_backtest_length,
    min_track_record_length,
    probabilistic_sharpe_ratio,
)

__all__ = (
    "deflated_sharpe_ratio",
    "expected_max_sharpe",
    "min_backtest_length",
    "min_track_record_length",
    "probabilistic_sharpe_ratio",
    "significance",
)
