"""Metrics of many series at once: series a second and core."""

from __future__ import annotations

import numpy as np

import kernelkit as kk

SERIES, DAYS = 1_000, 2_520


def test_summary__fifteen_metrics_in_one_pass(compare, hold):
    x = np.random.default_rng(1).normal(3e-4, 0.01, (SERIES, DAYS))
    pair = compare(
        "summary", lambda: kk.metrics.summary(x, periods=252), lambda: (x.mean(axis=-1), x.std(axis=-1)), SERIES
    )
    hold("summary", pair.ratio, f"{pair.rate:,.0f} series/s per core", f"{pair.yardstick_rate:,.0f} series/s per core")
