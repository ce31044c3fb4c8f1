"""Ratios: what was earned over what was risked for it.

`periods` are the samples per year (M10); `rf`, `threshold` are returns per sample, numbers or series. A ratio over
nothing (no variance, no loss, no drawdown) is NaN.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from kernelkit.metrics.drawdown import mean_depth
from kernelkit.metrics.metric import Periods, metric
from kernelkit.metrics.series import (
    Array,
    annual_ratio,
    column,
    count,
    deviation,
    final_wealth,
    growth,
    largest,
    mean,
    pain,
    partial_moment,
    positive,
    slope,
    total,
    ulcer,
    underwater,
    variance,
)

Growth = Literal["arithmetic", "geometric"]


def annual(x: Array, periods: float, kind: str) -> Array:
    """The growth of a year: `periods` times the mean, or compound (M11)."""
    return mean(x) * periods if kind == "arithmetic" else growth(x, periods)


@metric()
def total_return(returns: Array) -> Array:
    """Compound return of the whole series, M11.

    >>> float(total_return(np.array([0.5, -0.5])))
    -0.25
    """
    return final_wealth(returns) - 1.0


@metric()
def cagr(returns: Array, *, periods: Periods = None) -> Array:
    """Compound annual growth rate, M11: `wealth ** (periods / n) - 1`.

    The engine's counts elapsed days instead (M5): ``periods=n / years`` gives the same here.

    >>> round(float(cagr(np.array([0.1, 0.1]), periods=2)), 12)
    0.21
    """
    return growth(returns, periods)


@metric()
def sharpe_ratio(
    returns: Array,
    *,
    rf: float = 0.0,
    periods: Periods = None,
    ddof: int = 1,
    autocorrelation: Literal["none", "lo"] = "none",
    lags: int | None = None,
) -> Array:
    """Annual Sharpe ratio (Sharpe, 1994), M5: mean over standard deviation of the excess returns, times sqrt(periods).

    ``autocorrelation="lo"`` annualises by `q / sqrt(q + 2 sum_k (q - k) rho_k)`, k = 1 ... `lags`, with q the whole
    number of periods (Lo, 2002, equation 20); `lags` is q - 1 unless said, and at most that: a year has no longer ones.
    NaN where the series has no more samples than lags, or the sum says that the variance of a year is not positive.

    >>> round(float(sharpe_ratio(np.array([0.01, -0.02, 0.03, 0.01]), periods=252)), 4)
    5.7752
    """
    excess = returns - rf
    if autocorrelation == "none":
        return annual_ratio(mean(excess), deviation(excess, ddof), periods)
    return annual_ratio(mean(excess), deviation(excess, ddof), 1.0) * _lo(excess, int(periods), lags)


def _lo(x: Array, q: int, lags: int | None) -> Array:
    off = x - column(mean(x))
    own = total(off * off)
    most = q - 1 if lags is None else min(lags, q - 1)
    within = q + 0.0 * own
    for k in range(1, min(most, x.shape[-1] - 1) + 1):
        within = within + 2.0 * (q - k) * total(off[..., k:] * off[..., :-k]) / own
    return np.where(count(x) > most, q / np.sqrt(positive(within)), np.nan)


@metric()
def sortino_ratio(returns: Array, *, threshold: float = 0.0, periods: Periods = None) -> Array:
    """Annual Sortino ratio, M5: mean excess over the downside deviation of all samples, times sqrt(periods).

    The downside deviation divides by the number of all samples, not of those below (Sortino and Price, 1994).

    >>> round(float(sortino_ratio(np.array([0.02, -0.01]), periods=1)), 4)
    0.7071
    """
    risk = np.sqrt(partial_moment(returns, threshold, 2.0, -1))
    return annual_ratio(mean(returns - threshold), risk, periods)


@metric()
def calmar_ratio(returns: Array, *, periods: Periods = None) -> Array:
    """Compound annual growth over the largest drawdown (Young, 1991).

    >>> round(float(calmar_ratio(np.array([0.2, -0.1]), periods=2)), 12)
    0.8
    """
    return growth(returns, periods) / positive(largest(underwater(returns)))


@metric("1", "Sterling ratio")
def sterling_ratio(
    returns: Array,
    *,
    excess: float = 0.1,
    convention: Literal["largest", "average"] = "largest",
    periods: Periods = None,
) -> Array:
    """Compound annual growth over the largest drawdown plus ``excess``, as PerformanceAnalytics has it (Kestner, 1996).

    ``convention="average"``: over the mean depth of all drawdowns (`average_drawdown`, 0 of none) plus ``excess``
    (Bacon, 2008).

    >>> x = np.array([0.2, -0.1, 0.2, -0.2, 0.5])
    >>> [round(float(sterling_ratio(x, convention=c, periods=5)), 4) for c in ("largest", "average")]
    [1.8507, 2.2208]
    """
    depth = largest(underwater(returns))
    if convention == "average":
        depth = np.where(depth > 0.0, mean_depth(returns), depth)
    return growth(returns, periods) / positive(depth + excess)


@metric("1", "Martin ratio")
def martin_ratio(returns: Array, *, rf: float = 0.0, periods: Periods = None) -> Array:
    """Compound annual growth in excess of that of `rf` over the Ulcer index (Martin and McCann, 1989).

    >>> round(float(martin_ratio(np.array([0.2, -0.1]), periods=2)), 4)
    1.1314
    """
    free = growth(returns * 0.0 + rf, periods)
    return (growth(returns, periods) - free) / positive(ulcer(returns))


@metric("1", "pain ratio")
def pain_ratio(returns: Array, *, rf: float = 0.0, periods: Periods = None) -> Array:
    """Compound annual growth in excess of that of `rf` over the pain index (Becker, 2006).

    >>> round(float(pain_ratio(np.array([0.2, -0.1]), periods=2)), 12)
    1.6
    """
    free = growth(returns * 0.0 + rf, periods)
    return (growth(returns, periods) - free) / positive(pain(returns))


@metric("1", "recovery factor")
def recovery_factor(returns: Array) -> Array:
    """Total return over the largest drawdown.

    >>> round(float(recovery_factor(np.array([0.2, -0.1]))), 12)
    0.8
    """
    return (final_wealth(returns) - 1.0) / positive(largest(underwater(returns)))


@metric("1", "Omega ratio")
def omega_ratio(returns: Array, *, threshold: float = 0.0) -> Array:
    """Gains beyond the threshold over losses beyond it (Keating and Shadwick, 2002).

    >>> float(omega_ratio(np.array([0.02, -0.01])))
    2.0
    """
    return partial_moment(returns, threshold, 1.0, 1) / positive(partial_moment(returns, threshold, 1.0, -1))


@metric("1", "Kappa ratio")
def kappa_ratio(returns: Array, *, threshold: float = 0.0, order: float = 3.0) -> Array:
    """Mean excess over the root of the lower partial moment of this order (Kaplan and Knowles, 2004); per sample.

    Order 1 is Omega less 1, order 2 the Sortino ratio with ``periods=1``.

    >>> round(float(kappa_ratio(np.array([0.02, -0.01]), order=1)), 12)
    1.0
    """
    risk = partial_moment(returns, threshold, order, -1) ** (1.0 / order)
    return mean(returns - threshold) / positive(risk)


@metric("1", "upside potential ratio")
def upside_potential_ratio(returns: Array, *, threshold: float = 0.0, over: Literal["all", "beyond"] = "all") -> Array:
    """Mean gain beyond the threshold over the root mean square of the losses beyond it (Sortino et al., 1999).

    Both are means over all samples, or each over the samples on its side (``over="beyond"``). Per sample.

    >>> round(float(upside_potential_ratio(np.array([0.02, -0.01]))), 4)
    1.4142
    """
    up, down = partial_moment(returns, threshold, 1.0, 1), partial_moment(returns, threshold, 2.0, -1)
    if over == "beyond":
        up, down = up / share(returns, threshold, 1), down / share(returns, threshold, -1)
    return up / positive(np.sqrt(down))


def share(x: Array, threshold: Array, side: int) -> Array:
    """The share of samples beyond the threshold on this side."""
    return np.sum(side * (x - threshold) > 0.0, axis=-1) / count(x)


@metric("1", "gain-loss ratio")
def gain_loss_ratio(returns: Array, *, convention: Literal["bernardo_ledoit", "schwager"] = "bernardo_ledoit") -> Array:
    """Sum of the gains over the sum of the losses (Bernardo and Ledoit, 2000), which is Omega at 0.

    ``convention="schwager"``: the gain-to-pain ratio, the sum of all returns over that of the losses: 1 less.

    >>> round(float(gain_loss_ratio(np.array([0.02, -0.01]), convention="schwager")), 12)
    1.0
    """
    gained = total(np.maximum(returns, 0.0)) if convention == "bernardo_ledoit" else total(returns)
    return gained / positive(-total(np.minimum(returns, 0.0)))


@metric("1", "information ratio")
def information_ratio(
    returns: Array, benchmark: Array, *, periods: Periods = None, growth: Growth = "arithmetic", ddof: int = 1
) -> Array:
    """Annual growth above the benchmark's over the tracking error (Goodwin, 1998).

    >>> x, b = np.array([0.02, -0.01, 0.03]), np.array([0.01, 0.0, 0.01])
    >>> round(float(information_ratio(x, b, periods=1)), 4)
    0.4364
    """
    active = annual(returns, periods, growth) - annual(benchmark, periods, growth)
    return active / positive(deviation(returns - benchmark, ddof) * np.sqrt(periods))


@metric("1", "Treynor ratio")
def treynor_ratio(
    returns: Array,
    benchmark: Array,
    *,
    rf: float = 0.0,
    periods: Periods = None,
    growth: Growth = "arithmetic",
) -> Array:
    """Annual growth of the excess returns over beta (Treynor, 1965).

    >>> x = np.array([0.02, -0.01, 0.03])
    >>> round(float(treynor_ratio(x, x / 2.0, periods=1)), 6)
    0.006667
    """
    excess, market = returns - rf, benchmark - rf
    beta = slope(excess, market)
    return annual(excess, periods, growth) / np.where(beta != 0.0, beta, np.nan)


@metric("1", "M2: growth at the benchmark's volatility")
def m2(returns: Array, benchmark: Array, *, rf: float = 0.0, periods: Periods = None, ddof: int = 1) -> Array:
    """Annual return, arithmetic, if leverage gave it the benchmark's volatility (Modigliani and Modigliani, 1997).

    >>> x = np.array([0.02, -0.01, 0.03])
    >>> round(float(m2(x, 2.0 * x, periods=1)), 6)
    0.026667
    """
    excess = returns - rf
    ratio = mean(excess) / positive(deviation(excess, ddof))
    free = mean(returns * 0.0 + rf)
    return (ratio * deviation(benchmark - rf, ddof) + free) * periods


@metric("1", "gains over losses", gaps="skip")
def profit_factor(outcomes: Array) -> Array:
    """Sum of the gains over the sum of the losses of trades, M5, in no order (M14); NaN without a loss.

    >>> float(profit_factor(np.array([200.0, -100.0, 0.0])))
    2.0
    """
    return total(np.maximum(outcomes, 0.0)) / positive(-total(np.minimum(outcomes, 0.0)))


@metric("1", "share of gains", gaps="skip")
def win_rate(outcomes: Array) -> Array:
    """Share of the outcomes (trades or returns) above 0, M5, in no order (M14).

    >>> win_rate(np.array([200.0, -100.0, 0.0, 50.0]))
    np.float64(0.5)
    """
    return share(outcomes, 0.0, 1)


@metric("1", "mean gain over mean loss", gaps="skip")
def payoff_ratio(outcomes: Array) -> Array:
    """Mean of the gains over mean of the losses, in no order (M14); outcomes of 0 are neither.

    >>> float(payoff_ratio(np.array([200.0, 100.0, -100.0, 0.0])))
    1.5
    """
    gains, losses = partial_moment(outcomes, 0.0, 1.0, 1), partial_moment(outcomes, 0.0, 1.0, -1)
    return (gains / share(outcomes, 0.0, 1)) / positive(losses / share(outcomes, 0.0, -1))


@metric("of the outcomes", "expectancy", gaps="skip")
def expectancy(outcomes: Array) -> Array:
    """What an outcome is worth on average: win rate x mean gain - loss rate x mean loss, which is their mean (M14).

    >>> float(expectancy(np.array([200.0, -100.0])))
    50.0
    """
    return mean(outcomes)


@metric("1", "system quality number", gaps="skip")
def sqn(outcomes: Array, *, cap: int | None = None, ddof: int = 1) -> Array:
    """System quality number: sqrt(n) mean / standard deviation of the trades (Tharp, 2008), in no order (M14).

    ``cap=100`` counts no more than 100 trades, as Tharp does where systems that trade often are compared.

    >>> round(float(sqn(np.array([2.0, -1.0, 2.0, -1.0]))), 4)
    0.5774
    """
    n = count(outcomes)
    size = n if cap is None else np.minimum(n, cap)
    return np.sqrt(size) * mean(outcomes) / positive(deviation(outcomes, ddof))


@metric("1", "Kelly fraction")
def kelly_fraction(
    returns: Array, *, rf: float = 0.0, convention: Literal["continuous", "binary"] = "continuous", ddof: int = 1
) -> Array:
    """Share of the capital that makes it grow fastest (Kelly, 1956): mean over variance of the excess (Thorp, 2006).

    ``convention="binary"``: `p - (1 - p) / b` with the share p of gains among gains and losses and the payoff ratio b;
    `rf` shifts both.

    >>> round(float(kelly_fraction(np.array([1.0, 1.0, 1.0, -1.0, -1.0]), convention="binary")), 12)
    0.2
    """
    excess = returns - rf
    if convention == "continuous":
        return mean(excess) / positive(variance(excess, ddof))
    wins, losses = share(excess, 0.0, 1), share(excess, 0.0, -1)
    payoff = (partial_moment(excess, 0.0, 1.0, 1) / wins) / positive(partial_moment(excess, 0.0, 1.0, -1) / losses)
    won = wins / positive(wins + losses)
    return won - (1.0 - won) / payoff
