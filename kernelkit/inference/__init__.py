"""Inference: how sure one may be of what many trials found."""

from __future__ import annotations

from kernelkit.inference import bootstrap, multiplicity, overfitting, significance
from kernelkit.inference.block_length import block_length
from kernelkit.inference.bootstrap import max_sharpe_test, superior_ability
from kernelkit.inference.classical import (
    anderson_darling,
    jarque_bera,
    kolmogorov_smirnov,
    ljung_box,
    mann_whitney,
    t_test,
    z_test,
)
from kernelkit.inference.clustering import effective_trials, strategy_clusters, strategy_correlation
from kernelkit.inference.comparison import equivalence_test, rank_intervals, sharpe_difference
from kernelkit.inference.confidence_set import model_confidence_set
from kernelkit.inference.discovery import critical_sharpe_ratio, false_discovery_rate, sharpe_power
from kernelkit.inference.draws import block_counts
from kernelkit.inference.drift import adwin, monitor, page_hinkley
from kernelkit.inference.effects import effect_size
from kernelkit.inference.intervals import interval, replications
from kernelkit.inference.moments import bootstrap_moments
from kernelkit.inference.multiplicity import adjusted_p_values, haircut_sharpe_ratio
from kernelkit.inference.overfitting import cscv, pbo
from kernelkit.inference.permutation import permutation_test
from kernelkit.inference.resampling import Resampling
from kernelkit.inference.seasonality import seasonality
from kernelkit.inference.sequential import sequential_test
from kernelkit.inference.sharpe_error import sharpe_ratio_error
from kernelkit.inference.significance import (
    deflated_sharpe_ratio,
    expected_max_sharpe,
    min_backtest_length,
    min_track_record_length,
    probabilistic_sharpe_ratio,
)
from kernelkit.inference.stability import importance_stability, out_of_sample, parameter_plateau

__all__ = (
    "Resampling",
    "adjusted_p_values",
    "adwin",
    "anderson_darling",
    "block_counts",
    "block_length",
    "bootstrap",
    "bootstrap_moments",
    "critical_sharpe_ratio",
    "cscv",
    "deflated_sharpe_ratio",
    "effect_size",
    "effective_trials",
    "equivalence_test",
    "expected_max_sharpe",
    "false_discovery_rate",
    "haircut_sharpe_ratio",
    "importance_stability",
    "interval",
    "jarque_bera",
    "kolmogorov_smirnov",
    "ljung_box",
    "mann_whitney",
    "max_sharpe_test",
    "min_backtest_length",
    "min_track_record_length",
    "model_confidence_set",
    "monitor",
    "multiplicity",
    "out_of_sample",
    "overfitting",
    "page_hinkley",
    "parameter_plateau",
    "pbo",
    "permutation_test",
    "probabilistic_sharpe_ratio",
    "rank_intervals",
    "replications",
    "seasonality",
    "sequential_test",
    "sharpe_difference",
    "sharpe_power",
    "sharpe_ratio_error",
    "significance",
    "strategy_clusters",
    "strategy_correlation",
    "superior_ability",
    "t_test",
    "z_test",
)
