"""Inference: how sure one may be of what many trials found."""

from __future__ import annotations

from kernelkit.inference import bootstrap, multiplicity, overfitting, significance
from kernelkit.inference.block_length import block_length
from kernelkit.inference.bootstrap import block_counts, max_sharpe_test, superior_ability
from kernelkit.inference.intervals import interval, replications
from kernelkit.inference.multiplicity import adjusted_p_values, haircut_sharpe_ratio
from kernelkit.inference.overfitting import cscv, pbo
from kernelkit.inference.resampling import Resampling
from kernelkit.inference.significance import (
    deflated_sharpe_ratio,
    expected_max_sharpe,
    min_backtest_length,
    min_track_record_length,
    probabilistic_sharpe_ratio,
)

__all__ = (
    "Resampling",
    "adjusted_p_values",
    "block_counts",
    "block_length",
    "bootstrap",
    "cscv",
    "deflated_sharpe_ratio",
    "expected_max_sharpe",
    "haircut_sharpe_ratio",
    "interval",
    "max_sharpe_test",
    "min_backtest_length",
    "min_track_record_length",
    "multiplicity",
    "overfitting",
    "pbo",
    "probabilistic_sharpe_ratio",
    "replications",
    "significance",
    "superior_ability",
)
