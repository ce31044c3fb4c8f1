"""What must not change, and how the rest must, when returns are scaled, shifted, repeated or put in another order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import kernelkit as kk

m = kk.metrics
SERIES = arrays.arrays(np.float64, st.integers(12, 40), elements=st.integers(-400, 400).map(lambda v: v / 4096.0))
SCALE = st.sampled_from([0.25, 0.5, 2.0])

LEVEL_FREE = {  # unchanged by scale
    "sharpe_ratio": dict(periods=12),
    "sortino_ratio": dict(periods=12),
    "omega_ratio": {},
    "kappa_ratio": dict(order=3),
    "gain_loss_ratio": {},
    "profit_factor": {},
    "win_rate": {},
    "payoff_ratio": {},
    "sqn": {},
    "upside_potential_ratio": {},
    "skewness": {},
    "kurtosis": {},
    "tail_ratio": {},
    "hhi": {},
}
IN_PROPORTION = {  # scale with the returns
    "volatility": dict(periods=12),
    "downside_deviation": dict(periods=12),
    "semi_deviation": dict(periods=12),
    "expectancy": {},
    "value_at_risk": {},
    "expected_shortfall": {},
    "entropic_value_at_risk": {},
}
LOSSES = ("value_at_risk", "expected_shortfall", "entropic_value_at_risk")
STILL = {  # unchanged by a shift
    "volatility": dict(periods=12),
    "semi_deviation": dict(periods=12),
    "skewness": {},
    "kurtosis": {},
}


def alike(found: float, wanted: float, size: float = 1.0) -> None:
    np.testing.assert_allclose(found, wanted, rtol=1e-7, atol=1e-9 * size)


@settings(deadline=None)
@given(SERIES, SCALE)
def test_scale(x: np.ndarray, scale: float) -> None:
    for name, how in LEVEL_FREE.items():
        metric = getattr(m, name)
        alike(metric(scale * x, **how), metric(x, **how))
    for name, how in IN_PROPORTION.items():
        metric = getattr(m, name)
        alike(metric(scale * x, **how), scale * metric(x, **how))


@settings(deadline=None)
@given(SERIES, st.sampled_from([-0.125, 0.0625]))
def test_shift(x: np.ndarray, shift: float) -> None:
    for name, how in STILL.items():
        metric = getattr(m, name)
        alike(metric(x + shift, **how), metric(x, **how))
    for name in LOSSES:
        metric = getattr(m, name)
        alike(metric(x + shift), metric(x) - shift)
    for method in ("gaussian", "cornish_fisher"):
        alike(m.value_at_risk(x + shift, method=method), m.value_at_risk(x, method=method) - shift)


@settings(deadline=None)
@given(SERIES)
def test_order_of_tail_measures(x: np.ndarray) -> None:
    """VaR <= ES <= EVaR <= largest loss; the mean loss is below all of them."""
    found = [m.value_at_risk(x), m.expected_shortfall(x), m.entropic_value_at_risk(x), -np.min(x)]
    gaps = np.diff([-np.mean(x), *found])
    assert gaps[1] >= -1e-12
    assert gaps[2] >= -1e-9
    assert gaps[3] >= -1e-9
    assert found[1] >= -np.mean(x) - 1e-9


@settings(deadline=None)
@given(SERIES)
def test_a_series_upon_itself(x: np.ndarray) -> None:
    varies = np.var(x) > 0
    alike(m.beta(x, x), 1.0 if varies else np.nan)
    alike(m.correlation(x, x), 1.0 if varies else np.nan)
    alike(m.alpha(x, x, periods=12), 0.0 if varies else np.nan)
    assert m.tracking_error(x, x, periods=12) == 0.0
    alike(m.up_capture(x, x, periods=12), 1.0 if (x > 0).any() else np.nan)
    alike(m.m2(x, x, periods=12), 12 * np.mean(x) if varies else np.nan)


@settings(deadline=None)
@given(SERIES, st.data())
def test_moments_do_not_know_the_order(x: np.ndarray, data: st.DataObject) -> None:
    turned = np.array(data.draw(st.permutations(x.tolist())))
    for name in ("sharpe_ratio", "sortino_ratio", "volatility", "cagr"):
        alike(getattr(m, name)(turned, periods=12), getattr(m, name)(x, periods=12))
    for name in ("omega_ratio", "skewness", "value_at_risk", "expected_shortfall", "total_return"):
        alike(getattr(m, name)(turned), getattr(m, name)(x))


@settings(deadline=None)
@given(SERIES, st.integers(1, 11))
def test_m11__the_drawdown_of_a_whole_from_its_parts(x: np.ndarray, cut: int) -> None:
    """M3's join, on wealth ratios."""
    a, b = x[:cut], x[cut:]
    up, down = np.cumprod(1.0 + a), np.cumprod(1.0 + b)
    high, low = max(1.0, up.max()), min(1.0, down.min())
    joined = max(m.max_drawdown(a), m.max_drawdown(b), 1.0 - up[-1] * low / high)
    alike(m.max_drawdown(x), joined)


@settings(deadline=None)
@given(SERIES)
def test_m11__the_past_of_a_curve_does_not_change(x: np.ndarray) -> None:
    whole = m.underwater(x)
    for t in (1, len(x) // 2, len(x) - 1):
        np.testing.assert_array_equal(m.underwater(x[:t]), whole[:t])


def slow_spells(x: np.ndarray) -> list[tuple[float, int, int, int | None]]:
    """Depth, peak, trough and recovery of each drawdown, one sample at a time."""
    found, level, peak, at, worst, trough = [], 1.0, 1.0, -1, 0.0, -1
    for i, one in enumerate(x):
        level *= max(1.0 + one, 0.0)
        loss = 1.0 - level / peak
        if loss > 2.0**-40:
            if loss > worst:
                worst, trough = loss, i
            continue
        if worst > 0.0:
            found.append((worst, at, trough, i))
            worst = 0.0
        peak, at = max(peak, level), i
    return [*found, (worst, at, trough, None)] if worst > 0.0 else found


@settings(deadline=None)
@given(SERIES)
def test_m11__spells_one_by_one(x: np.ndarray) -> None:
    wanted = sorted(slow_spells(x), key=lambda s: -s[0])
    table = m.drawdown_table(x, top=len(x) + 3)
    n = int(np.sum(~np.isnan(table["depth"])))
    assert n == len(wanted) == m.drawdown_durations(x)["n"]
    for k, (depth, peak, trough, recovery) in enumerate(wanted):
        alike(table["depth"][k], depth)
        same_depth = [s for s in wanted if abs(s[0] - depth) < 1e-12]
        if len(same_depth) == 1:
            assert (table["peak"][k], table["trough"][k]) == (peak, trough)
            assert np.isnan(table["recovery"][k]) if recovery is None else table["recovery"][k] == recovery
            last = len(x) - 1 if recovery is None else recovery
            assert table["length"][k] == last - peak
    if wanted:
        alike(m.average_drawdown(x), np.mean([s[0] for s in wanted]))
        lengths = [(len(x) - 1 if s[3] is None else s[3]) - s[1] for s in wanted]
        assert m.drawdown_durations(x)["max_length"] == max(lengths)
    deep = [s for s in wanted if s[0] >= 0.1]
    back = m.conditional_recovery(x, depth=0.1)
    assert back["reached"] == len(deep)
    if deep:
        alike(back["recovered"], np.mean([s[3] is not None for s in deep]))


@pytest.mark.parametrize("name", sorted(LEVEL_FREE))
def test_constant_and_single_samples_do_not_warn(name: str) -> None:
    for x in (np.zeros(5), np.full(5, 0.01), np.array([0.01])):
        getattr(m, name)(x, **LEVEL_FREE[name])
