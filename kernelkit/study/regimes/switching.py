"""Regimes as hidden states: a Gaussian hidden Markov model and Markov switching, by forward filters (rules Y4, Y5)."""

from __future__ import annotations

import itertools
import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from kernelkit.errors import UsageError, arguments, message
from kernelkit.study.regimes.labels import (
    NONE,
    Fit,
    Floats,
    Found,
    Int64s,
    Order,
    Schedule,
    check_states,
    check_whole,
    kernel_of,
    labelled,
    series_of,
)

ROUNDS, TOLERANCE = 500, 1e-8  # of the estimate: steps, and the gain of log-likelihood per sample that ends it
FLOOR = 1e-6  # least variance of a state, as a share of that of all samples
_BESIDE = {"probability": (("state",), "1", "probability of the state, given the samples so far")}
_FITTED = {
    "mean": (("state",), "of the series", "mean of the state"),
    "deviation": (("state",), "of the series", "standard deviation of the state"),
    "transition": (("state", "to"), "1", "probability of the next state"),
    "log_likelihood": ((), "1", "logarithm of the likelihood of the samples that it was estimated from"),
    "converged": ((), "1", "1 where the estimate has converged"),
}


@dataclass(frozen=True)
class Model:
    """An estimate: of each state a mean and a deviation, the transitions, and coefficients on `lags` past samples."""

    mean: Floats
    deviation: Floats
    transition: Floats
    log_likelihood: float
    converged: bool
    lags: tuple[float, ...] = ()

    def ordered(self, order: Order) -> Model:
        """The same with its states by ascending volatility or mean (Y1), the other of the two where those are equal."""
        first, second = (self.deviation, self.mean) if order == "volatility" else (self.mean, self.deviation)
        by = np.lexsort((second, first))
        transition = np.ascontiguousarray(self.transition[np.ix_(by, by)])
        return Model(self.mean[by], self.deviation[by], transition, self.log_likelihood, self.converged, self.lags)

    @property
    def numbers(self) -> tuple[Any, ...]:
        """In the order of `_FITTED`, and the lags where there are any."""
        own = (self.mean, self.deviation, self.transition, self.log_likelihood, float(self.converged))
        return (*own, *self.lags)


@arguments()
def hmm(
    data: xr.Dataset | xr.DataArray,
    *,
    states: int = 2,
    order: Order = "volatility",
    refit: str | None = "1Y",
    min_train: str = "2Y",
    window: str | None = None,
) -> xr.Dataset:
    """Regimes of a Gaussian hidden Markov model: the likeliest state at each bar, given the returns up to it (Y4).

    Each state has a mean and a variance of its own. Parameters are estimated by expectation and maximisation (Baum,
    Petrie, Soules and Weiss, 1970) from samples before the moment alone, and labels come from the forward filter
    (Rabiner, 1989; Hamilton, 1989), never from smoothed states, nor from Viterbi's path, which both know the future.
    States are numbered by ascending `order` after every estimate: state 0 is the calmest (``"volatility"``) or the
    worst (``"mean"``) of each, so that a number means the same all along.

    `data` and the moments (`refit`, `min_train`, `window`) are those of `kk.regimes.volatility`. Returns `regime`
    (time), `probability` (time, state), and of each `fit`, the label from which it holds: `mean`, `deviation`
    (standard deviation per bar), `transition` (state, to), `log_likelihood`, `converged`. Where an estimate fails
    (a series without variance) the one before it goes on. Raises DataError and UsageError.

    >>> import kernelkit as kk
    >>> found = kk.regimes.hmm(kk.data.load("sp500_index"), min_train="3Y", refit="3Y")
    >>> found["regime"].sel(time=["2000-12-29", "2005-06-30", "2008-10-31"]).values
    array([-1,  0,  1])
    >>> bool((found["deviation"].diff("state") > 0.0).all())
    True
    """
    check_states("hmm", states, order)
    series = series_of("hmm", data, level=False)

    def formula(x: Floats, fits: list[Fit], _: Int64s) -> Found:
        return _filtered(x, fits, states, order, lambda known: estimate(known, states))

    schedule = Schedule(refit, min_train, window)
    return labelled("hmm", series, schedule, formula, _BESIDE, _FITTED, states, order=order)


@arguments()
def markov(
    data: xr.Dataset | xr.DataArray,
    *,
    states: int = 2,
    lags: int = 0,
    switching_variance: bool = True,
    order: Order = "mean",
    refit: str | None = "1Y",
    min_train: str = "5Y",
    window: str | None = None,
) -> xr.Dataset:
    """Regimes of Hamilton's (1989) Markov switching autoregression: means that switch, `lags` that do not (Y5).

    `y(t) - m(s(t)) = a(1) (y(t-1) - m(s(t-1))) + ... + e`; the variance of e switches, too, or is one for all states.
    Maximum likelihood is that of statsmodels, from samples before the moment alone; labels come from Hamilton's filter,
    which begins with the long-run probabilities of the states. Where it would be the same, `hmm` is much the faster.

    Arguments and what is returned are those of `kk.regimes.hmm`, with the autoregression beside it as `lag_1`, ....
    Raises DataError and UsageError.

    >>> draw = np.random.default_rng(1)
    >>> months = np.arange("1960-01", "2000-01", dtype="M8[M]").astype("M8[ns]")
    >>> cycle = np.where(np.arange(480) % 60 < 48, 1.0, -1.0)
    >>> grows = xr.DataArray(cycle + draw.normal(0.0, 0.5, 480), {"time": months}, "time")
    >>> found = markov(grows, switching_variance=False, min_train="20Y", refit="10Y")
    >>> bool(((found["regime"] == 1) == (grows > 0.0))[240:].mean() > 0.95)
    True
    """
    check_states("markov", states, order)
    check_whole("markov", "lags", lags, 0, int(math.log(256.5, states)) - 1)  # 256 states with their past
    if order == "volatility" and not switching_variance:
        fix = "Write order='mean', or switching_variance=True."
        raise UsageError(message("markov: order", "'volatility' of one variance for all", "what differs", fix))
    series = series_of("markov", data, level=False)

    def formula(x: Floats, fits: list[Fit], _: Int64s) -> Found:
        return _filtered(x, fits, states, order, lambda known: likeliest(known, states, int(lags), switching_variance))

    fitted = _FITTED | {f"lag_{k + 1}": ((), "1", f"coefficient on {k + 1} samples ago") for k in range(lags)}
    schedule = Schedule(refit, min_train, window, fewest=30 + 2 * int(lags))
    settings = {"order": order, "lags": lags, "switching_variance": int(switching_variance)}
    return labelled("markov", series, schedule, formula, _BESIDE, fitted, states, **settings)


def _filtered(x: Floats, fits: list[Fit], states: int, order: Order, estimated: Any) -> Found:
    """Each fit's model filters from its first sample on, and labels its own stretch."""
    labels, probability = np.full(len(x), NONE), np.full((len(x), states), np.nan)
    model, numbers = None, list[Any]()
    for fit in fits:
        known = x[fit.first : fit.at]
        found = estimated(known) if np.ptp(known) > 0.0 else None
        numbers.append(None if found is None else found.ordered(order).numbers)
        model = model if found is None else found.ordered(order)
        if model is not None:
            here = slice(fit.at, fit.stop)
            probability[here] = filtered(model, x[fit.first : fit.stop])[fit.at - fit.first :]
            labels[here] = np.argmax(probability[here], axis=1)
    return Found(labels, (probability,), numbers)


def filtered(model: Model, x: Floats) -> Floats:
    """Y4, Y5: the probability of each state given the samples so far (time, state); NaN of the first `lags` samples.

    >>> model = Model(np.array([-1.0, 1.0]), np.ones(2), np.array([[0.9, 0.1], [0.1, 0.9]]), 0.0, True)
    >>> filtered(model, np.array([1.0, 2.0, -3.0])).round(3)
    array([[0.119, 0.881],
           [0.004, 0.996],
           [0.979, 0.021]])
    """
    k, p = len(model.mean), len(model.lags)
    if p == 0:
        return _forward(_log_densities(x[:, None], model.mean, model.deviation), model.transition, uniform(k))[0]
    past = np.array(list(itertools.product(range(k), repeat=p + 1)))  # the state now, then those before it
    off = [x[p - j : len(x) - j, None] - model.mean[past[:, j]] for j in range(p + 1)]
    error = off[0] - sum(a * one for a, one in zip(model.lags, off[1:], strict=True))
    follows = (past[:, None, :-1] == past[None, :, 1:]).all(axis=2)
    transition = np.where(follows, model.transition[past[:, 0][:, None], past[:, 0]], 0.0)
    start = long_run(model.transition)[past[:, -1]]
    for j in range(p):
        start = start * model.transition[past[:, j + 1], past[:, j]]
    joint = _forward(_log_densities(error, np.zeros(len(past)), model.deviation[past[:, 0]]), transition, start)[0]
    out = np.full((len(x), k), np.nan)
    out[p:] = joint.reshape(len(joint), k, -1).sum(axis=2)
    return out


def uniform(states: int) -> Floats:
    """As many equal probabilities."""
    return np.full(states, 1.0 / states)


def long_run(transition: Floats) -> Floats:
    """The share of time in each state in the long run.

    >>> long_run(np.array([[0.9, 0.1], [0.3, 0.7]])).round(12)
    array([0.75, 0.25])
    """
    k = len(transition)
    rows = np.vstack([transition.T - np.eye(k), np.ones(k)])
    found: Floats = np.linalg.lstsq(rows, np.append(np.zeros(k), 1.0), rcond=None)[0]
    return np.maximum(found, 0.0)


def _log_densities(x: Floats, mean: Floats, deviation: Floats) -> Floats:
    z = (x - mean) / deviation
    return np.ascontiguousarray(-0.5 * (z * z) - np.log(deviation) - 0.5 * math.log(2.0 * math.pi))


def _forward(logs: Floats, transition: Floats, before: Floats) -> tuple[Floats, float]:
    out = np.empty_like(logs)
    return out, float(kernel_of("forward")(logs, np.ascontiguousarray(transition), before.copy(), out))


def estimate(x: Floats, states: int) -> Model:
    """Y4: the hidden Markov model of the samples, by expectation and maximisation from two starts, the better one.

    >>> x = np.random.default_rng(1).normal(0.0, np.where(np.arange(2000) % 400 < 200, 1.0, 3.0))
    >>> found = estimate(x, 2).ordered("volatility")
    >>> found.deviation.round(1), bool((np.diag(found.transition) > 0.98).all())
    (array([1., 3.]), True)
    """
    scale, middle = float(np.std(x)), float(np.mean(x))
    z = (x - middle) / scale
    # apart in size, and apart in level: what begins alike in both stays alike
    starts = [np.argsort(np.argsort(key, kind="stable"), kind="stable") * states // len(z) for key in (np.abs(z), z)]
    best = max((_maximise(z, start, states) for start in starts), key=lambda one: one.log_likelihood)
    return Model(
        middle + scale * best.mean,
        scale * best.deviation,
        best.transition,
        best.log_likelihood - len(x) * math.log(scale),
        best.converged,
    )


def _maximise(z: Floats, start: Any, states: int) -> Model:
    """Expectation and maximisation until the log-likelihood gains no more."""
    backward, n = kernel_of("backward"), len(z)
    smoothed = np.eye(states)[start] * 0.9 + 0.1 / states
    counts = np.eye(states) * 0.9 * n + 0.1 * n / states
    gained, last = math.inf, -math.inf
    for _ in range(ROUNDS):
        weight = smoothed.sum(axis=0)
        mean = smoothed.T @ z / weight
        deviation = np.sqrt(np.maximum(np.einsum("ts,ts->s", smoothed, (z[:, None] - mean) ** 2) / weight, FLOOR))
        transition = counts / counts.sum(axis=1, keepdims=True)
        probability, likelihood = _forward(_log_densities(z[:, None], mean, deviation), transition, uniform(states))
        gained, last = likelihood - last, likelihood
        if gained < TOLERANCE * n:
            break
        counts = np.zeros((states, states))
        backward(probability, transition, uniform(states), smoothed, counts)
    return Model(mean, deviation, transition, last, gained < TOLERANCE * n)


def likeliest(x: Floats, states: int, lags: int, switching_variance: bool) -> Model | None:
    """Y5: the switching autoregression with the largest likelihood, by statsmodels; None where it finds none."""
    from statsmodels.tsa.regime_switching.markov_autoregression import MarkovAutoregression
    from statsmodels.tsa.regime_switching.markov_regression import MarkovRegression

    scale, middle = float(np.std(x)), float(np.mean(x))
    z = (x - middle) / scale  # its optimiser takes steps of one size
    how = {"k_regimes": states, "switching_variance": switching_variance}
    model = MarkovAutoregression(z, order=lags, switching_ar=False, **how) if lags else MarkovRegression(z, **how)
    fits = []
    for start in _starts(z, states, lags, switching_variance):
        given = np.array([start[name] for name in model.param_names])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `converged` says it
            try:
                found = model.fit(given, disp=False, cov_type="none")
                fits.append((float(found.llf), found))
            except np.linalg.LinAlgError:  # of a likelihood without bounds, as where a state has one value
                continue
    fits = [one for one in fits if np.isfinite(one[0]) and np.isfinite(one[1].params).all()]
    if not fits:
        return None
    likelihood, fit = max(fits, key=lambda one: one[0])
    by = dict(zip(model.param_names, np.asarray(fit.params), strict=True))
    variance = [by[f"sigma2[{j}]" if switching_variance else "sigma2"] for j in range(states)]
    return Model(
        middle + scale * np.array([by[f"const[{j}]"] for j in range(states)]),
        scale * np.sqrt(np.maximum(variance, FLOOR)),
        np.ascontiguousarray(model.regime_transition_matrix(fit.params)[..., 0].T),
        likelihood - (len(x) - lags) * math.log(scale),
        bool(fit.mle_retvals["converged"]),
        tuple(float(by[f"ar.L{j + 1}"]) for j in range(lags)),
    )


def _starts(z: Floats, states: int, lags: int, switching_variance: bool) -> list[dict[str, float]]:
    """Parameters of statsmodels, by their names: states apart in level, and in size where variances may differ."""
    stay = {f"p[{i}->{j}]": 0.9 if i == j else 0.1 / (states - 1) for i in range(states) for j in range(states - 1)}
    still = {f"ar.L{j + 1}": 0.0 for j in range(lags)} | {"sigma2": 0.5}
    middles = (np.arange(states) + 0.5) / states
    sizes = np.quantile(np.abs(z), middles)
    apart = [(np.quantile(z, middles), np.full(states, 0.5))]
    apart += [(np.zeros(states), np.maximum(sizes**2, FLOOR))] if switching_variance else []
    return [
        stay | still | {f"const[{j}]": m[j] for j in range(states)} | {f"sigma2[{j}]": v[j] for j in range(states)}
        for m, v in apart
    ]
