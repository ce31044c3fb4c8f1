"""Every metric, in every convention, once more as one obvious line of numpy: signs, divisors, exponents, years."""

from __future__ import annotations

import inspect
import itertools
import math
import typing
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest
import scipy.optimize
import scipy.special
import scipy.stats

from kernelkit.metrics import METRICS

RNG = np.random.default_rng(21)
N, A = 160, 52.0
X = np.round(0.002 + 0.02 * RNG.standard_t(5, N), 4)
X[::16] = 0.0
B = 0.7 * X + np.round(0.01 * RNG.normal(size=N) + 0.001, 4)
V = 0.015 + 0.01 * RNG.random(N)
S = V + 0.008
E = 100.0 * np.cumprod(1.0 + X)
T, RF, LEVEL = 0.003, 0.0007, 0.9
ORDER = np.sort(X)


def wealth(x: np.ndarray) -> float:
    return math.prod((1.0 + x).tolist())


def cagr(x: np.ndarray) -> float:
    return wealth(x) ** (A / len(x)) - 1.0


def under(x: np.ndarray) -> np.ndarray:
    """One sample at a time."""
    level, peak, out = 1.0, 1.0, []
    for one in x:
        level *= 1.0 + one
        peak = max(peak, level)
        out.append((peak - level) / peak)
    return np.array(out)


def spells(x: np.ndarray) -> list[tuple[float, int, int, int, bool]]:
    """Depth, peak, trough, last and whether it recovered, of each run under water."""
    found = []
    below = under(x) > 1e-12
    for key, group in itertools.groupby(range(len(x)), lambda i: bool(below[i])):
        run = list(group)
        if key:
            depths = under(x)[run]
            back = run[-1] + 1 < len(x)
            found.append((depths.max(), run[0] - 1, run[int(depths.argmax())], run[-1] + back, back))
    return found


def rows(x: np.ndarray, top: int) -> dict[str, np.ndarray]:
    deepest = sorted(spells(x), key=lambda s: -s[0])[:top]
    return {
        "depth": np.array([s[0] for s in deepest]),
        "peak": np.array([s[1] for s in deepest]),
        "trough": np.array([s[2] for s in deepest]),
        "recovery": np.array([s[3] if s[4] else np.nan for s in deepest]),
        "length": np.array([s[3] - s[1] for s in deepest]),
        "to_trough": np.array([s[2] - s[1] for s in deepest]),
        "to_recovery": np.array([s[3] - s[2] if s[4] else np.nan for s in deepest]),
    }


def durations(x: np.ndarray, depth: float) -> dict[str, float]:
    deep = [s for s in spells(x) if s[0] > depth]
    return {
        "n": len(deep),
        "mean_length": np.mean([s[3] - s[1] for s in deep]),
        "max_length": max(s[3] - s[1] for s in deep),
        "mean_to_trough": np.mean([s[2] - s[1] for s in deep]),
        "mean_to_recovery": np.mean([s[3] - s[2] for s in deep if s[4]]),
    }


def recovery(x: np.ndarray, depth: float) -> dict[str, float]:
    waits, further, back = [], [], []
    for deepest, peak, _, last, recovered in spells(x):
        if deepest >= depth:
            first = next(i for i in range(peak + 1, last + 1) if under(x)[i] >= depth)
            further.append(deepest - under(x)[first])
            back.append(recovered)
            waits += [last - first] if recovered else []
    return {
        "reached": len(back),
        "recovered": np.mean(back),
        "mean_samples": np.mean(waits),
        "further": np.mean(further),
    }


def worst(x: np.ndarray, level: float) -> float:
    """The mean of the worst share, its last sample in part."""
    share, taken, lost = len(x) * (1.0 - level), 0.0, 0.0
    for one in sorted(x):
        part = min(1.0, share - taken)
        if part <= 1e-12:
            break
        taken, lost = taken + part, lost - part * one
    return lost / share


def beyond(x: np.ndarray, level: float) -> float:
    return -float(np.mean(x[x <= np.quantile(x, 1.0 - level)]))


def cornish_fisher(z: float) -> float:
    s, k = scipy.stats.skew(X), scipy.stats.kurtosis(X)
    return float(z + (z**2 - 1) * s / 6 + (z**3 - 3 * z) * k / 24 - (2 * z**3 - 5 * z) * s**2 / 36)


def modified_shortfall(level: float, ddof: int) -> float:
    """Boudt, Peterson and Croux (2008), equation 13 as it stands, by integrals I of powers."""
    a, s, k = 1.0 - level, scipy.stats.skew(X), scipy.stats.kurtosis(X)
    g = cornish_fisher(float(scipy.stats.norm.ppf(a)))
    phi = float(scipy.stats.norm.pdf(g))

    def power(q: int) -> float:  # of even q: sum of products of even numbers; of odd q with the normal distribution
        if q % 2 == 0:
            return sum(
                math.prod(range(2, q + 1, 2)) / math.prod(range(2, 2 * i + 1, 2)) * g ** (2 * i) * phi
                for i in range(q // 2 + 1)
            )
        odd = math.prod(range(1, q + 1, 2))
        tail = sum(odd / math.prod(range(1, 2 * i + 2, 2)) * g ** (2 * i + 1) * phi for i in range((q - 1) // 2 + 1))
        return tail - odd * float(scipy.stats.norm.cdf(g))

    kurtosis = (power(4) - 6 * power(2) + 3 * phi) * k / 24
    skewness = (power(3) - 3 * power(1)) * s / 6
    both = (power(6) - 15 * power(4) + 45 * power(2) - 15 * phi) * s**2 / 72
    return float(-X.mean() + np.std(X, ddof=ddof) * (phi + kurtosis + skewness + both) / a)


def pareto(level: float, tail: float) -> tuple[float, float]:
    """Hosking and Wallis (1987): a0, a1 with plotting positions (j - 0.35) / m in ascending order."""
    u = float(np.quantile(-X, tail))
    excess = np.sort(-X[-X > u] - u)
    m = len(excess)
    p = (np.arange(1, m + 1) - 0.35) / m
    a0, a1 = excess.mean(), np.mean((1.0 - p) * excess)
    k, alpha = a0 / (a0 - 2 * a1) - 2, 2 * a0 * a1 / (a0 - 2 * a1)  # their k is -xi
    law = scipy.stats.genpareto(-k, scale=alpha)
    value = u + float(law.isf((1.0 - level) / (m / N)))
    return value, value + float((alpha - k * (value - u)) / (1 + k))


def filtered(decay: float) -> tuple[np.ndarray, float]:
    v, scaled = float(np.mean(X**2)), []
    for one in X:
        scaled.append(one / math.sqrt(v))
        v = decay * v + (1 - decay) * one**2
    return np.array(scaled), math.sqrt(v)


def entropic(level: float) -> float:
    bound = lambda t: t * (scipy.special.logsumexp(-X / t) - math.log(N) - math.log(1 - level))  # noqa: E731
    return float(scipy.optimize.minimize_scalar(lambda u: bound(math.exp(u)), (-9, -4), tol=1e-12).fun)


def lo(lags: int) -> float:
    off, q = X - RF - np.mean(X - RF), int(A)
    rho = [np.sum(off[k:] * off[: N - k]) / np.sum(off**2) for k in range(1, lags + 1)]
    eta = q / math.sqrt(q + 2 * sum((q - k) * r for k, r in enumerate(rho, 1)))
    return float(eta * np.mean(X - RF) / np.std(X, ddof=1))


def capture(where: np.ndarray, growth: str) -> float:
    if growth == "arithmetic":
        return float(np.mean(X[where]) / np.mean(B[where]))
    return cagr(X[where]) / cagr(B[where])


def kupiec(level: float) -> dict[str, float]:
    k, p = int(np.sum(X < -V)), 1.0 - level
    log = lambda q: scipy.stats.binom.logpmf(k, N, q)  # noqa: E731
    statistic = 2 * (log(k / N) - log(p))
    return {"exceptions": k, "statistic": statistic, "p_value": scipy.stats.chi2(1).sf(statistic)}


def christoffersen(level: float) -> dict[str, float]:
    hit = (X < -V).astype(int)
    table = np.zeros((2, 2))
    for was, now in itertools.pairwise(hit):
        table[was, now] += 1
    alone = scipy.stats.chi2_contingency(table, correction=False, lambda_="log-likelihood")[0]
    both = alone + kupiec(level)["statistic"]
    return {
        "independence": alone,
        "independence_p_value": scipy.stats.chi2(1).sf(alone),
        "conditional": both,
        "conditional_p_value": scipy.stats.chi2(2).sf(both),
    }


def traffic(level: float) -> dict[str, float]:
    k = int(np.sum(X < -V))
    p = scipy.stats.binom(N, 1 - level).cdf(k)
    return {"exceptions": k, "probability": p, "zone": float(p >= 0.95) + float(p >= 0.9999)}


def acerbi(level: float) -> dict[str, float]:
    hits = X[X < -V] / S[X < -V]
    return {"z1": np.mean(hits) + 1, "z2": np.sum(hits) / (N * (1 - level)) + 1}


def streaks(x: np.ndarray) -> dict[str, float]:
    won = [one > 0 for one in x]
    runs = [(key, len(list(group))) for key, group in itertools.groupby(won)]
    w, n = sum(won), len(won)
    mean = 2 * w * (n - w) / n + 1
    var = 2 * w * (n - w) * (2 * w * (n - w) - n) / (n**2 * (n - 1))
    z = (len(runs) - mean) / math.sqrt(var)
    after = {was: [b for a, b in itertools.pairwise(won) if a == was] for was in (True, False)}
    return {
        "runs": len(runs),
        "z": z,
        "p_value": 2 * scipy.stats.norm.sf(abs(z)),
        "longest_gains": max(k for key, k in runs if key),
        "longest_losses": max(k for key, k in runs if not key),
        "win_after_win": np.mean(after[True]),
        "win_after_loss": np.mean(after[False]),
    }


def distribution(x: np.ndarray) -> dict[str, float]:
    quantiles = {f"q{q:02d}": np.percentile(x, q) for q in (5, 25, 50, 75, 95)}
    spread = {"n": len(x), "mean": np.mean(x), "deviation": np.std(x, ddof=1), "smallest": min(x), "largest": max(x)}
    return spread | quantiles


def summary() -> dict[str, float]:
    return {
        "total_return": wealth(X) - 1,
        "cagr": cagr(X),
        "volatility": np.std(X, ddof=1) * math.sqrt(A),
        "sharpe_ratio": np.mean(X) / np.std(X, ddof=1) * math.sqrt(A),
        "sortino_ratio": np.mean(X) / math.sqrt(np.mean(np.minimum(X, 0) ** 2)) * math.sqrt(A),
        "calmar_ratio": cagr(X) / max(under(X)),
        "max_drawdown": max(under(X)),
        "max_drawdown_length": durations(X, 0.0)["max_length"],
        "ulcer_index": math.sqrt(np.mean(under(X) ** 2)),
        "pain_index": np.mean(under(X)),
        "martin_ratio": cagr(X) / math.sqrt(np.mean(under(X) ** 2)),
        "skewness": scipy.stats.skew(X),
        "kurtosis": scipy.stats.kurtosis(X),
        "omega_ratio": sum(X[X > 0]) / -sum(X[X < 0]),
        "win_rate": len(X[X > 0]) / N,
    }


UP, DOWN = np.maximum(X - T, 0.0), np.maximum(T - X, 0.0)
GAINS, LOSSES = X[X > 0], -X[X < 0]
FREE = (1 + RF) ** A - 1
OVER, MARKET = X - RF, B - RF
BETS = OVER[OVER != 0.0]
RATES = np.round(0.0004 + 0.002 * RNG.random(N), 5)
BETA = float(np.polyfit(MARKET, OVER, 1)[0])
Z = float(scipy.stats.norm.ppf(1 - LEVEL))
SCALED, AHEAD = filtered(0.9)

Case = tuple[dict[str, Any], Callable[[], Any]]
PLAIN: dict[str, list[Case]] = {
    "returns": [
        (dict(initial=97.0), lambda: E / np.append(97.0, E[:-1]) - 1),
        (dict(sampling="bar"), lambda: np.append(np.nan, E[1:] / E[:-1] - 1)),
    ],
    "total_return": [({}, lambda: wealth(X) - 1)],
    "cagr": [(dict(periods=A), lambda: cagr(X))],
    "sharpe_ratio": [
        (dict(periods=A, rf=RF, ddof=k), lambda k=k: np.mean(OVER) / np.std(X, ddof=k) * math.sqrt(A)) for k in (0, 1)
    ]
    + [
        (dict(periods=A, rf=RF, autocorrelation="lo"), lambda: lo(51)),
        (dict(periods=A, rf=RF, autocorrelation="lo", lags=3), lambda: lo(3)),
    ],
    "sortino_ratio": [
        (dict(periods=A, threshold=T), lambda: np.mean(X - T) / math.sqrt(np.mean(DOWN**2)) * math.sqrt(A))
    ],
    "calmar_ratio": [(dict(periods=A), lambda: cagr(X) / max(under(X)))],
    "sterling_ratio": [
        (dict(periods=A, excess=0.05), lambda: cagr(X) / (max(under(X)) + 0.05)),
        (
            dict(periods=A, excess=0.05, convention="average"),
            lambda: cagr(X) / (np.mean([s[0] for s in spells(X)]) + 0.05),
        ),
    ],
    "martin_ratio": [(dict(periods=A, rf=RF), lambda: (cagr(X) - FREE) / math.sqrt(np.mean(under(X) ** 2)))],
    "pain_ratio": [(dict(periods=A, rf=RF), lambda: (cagr(X) - FREE) / np.mean(under(X)))],
    "recovery_factor": [({}, lambda: (wealth(X) - 1) / max(under(X)))],
    "omega_ratio": [(dict(threshold=T), lambda: np.sum(UP) / np.sum(DOWN))],
    "kappa_ratio": [(dict(threshold=T, order=3), lambda: np.mean(X - T) / np.cbrt(np.mean(DOWN**3)))],
    "upside_potential_ratio": [
        (dict(threshold=T), lambda: np.mean(UP) / math.sqrt(np.mean(DOWN**2))),
        (dict(threshold=T, over="beyond"), lambda: np.mean(UP[UP > 0]) / math.sqrt(np.mean(DOWN[DOWN > 0] ** 2))),
    ],
    "gain_loss_ratio": [
        ({}, lambda: np.sum(GAINS) / np.sum(LOSSES)),
        (dict(convention="schwager"), lambda: np.sum(X) / np.sum(LOSSES)),
    ],
    "information_ratio": [
        (
            dict(periods=A, growth=how, ddof=k),
            lambda how=how, k=k: (
                (A * np.mean(X - B) if how == "arithmetic" else cagr(X) - cagr(B))
                / (np.std(X - B, ddof=k) * math.sqrt(A))
            ),
        )
        for how in ("arithmetic", "geometric")
        for k in (0, 1)
    ],
    "treynor_ratio": [
        (dict(periods=A, rf=RF), lambda: A * np.mean(OVER) / BETA),
        (dict(periods=A, rf=RF, growth="geometric"), lambda: cagr(OVER) / BETA),
        (dict(periods=A, rf=RATES), lambda: A * np.mean(X - RATES) / np.polyfit(B - RATES, X - RATES, 1)[0]),
    ],
    "m2": [
        (
            dict(periods=A, rf=rf, ddof=k),
            lambda rf=rf, k=k: A * (np.mean(X - rf) / np.std(X - rf, ddof=k) * np.std(B - rf, ddof=k) + np.mean(rf)),
        )
        for rf in (RF, RATES)
        for k in (0, 1)
    ],
    "profit_factor": [({}, lambda: np.sum(GAINS) / np.sum(LOSSES))],
    "win_rate": [({}, lambda: len(GAINS) / N)],
    "payoff_ratio": [({}, lambda: np.mean(GAINS) / np.mean(LOSSES))],
    "expectancy": [({}, lambda: (np.sum(GAINS) - np.sum(LOSSES)) / N)],
    "sqn": [
        (dict(cap=cap, ddof=k), lambda cap=cap, k=k: math.sqrt(cap or N) * np.mean(X) / np.std(X, ddof=k))
        for cap in (None, 100)
        for k in (0, 1)
    ],
    "kelly_fraction": [(dict(rf=RF, ddof=k), lambda k=k: np.mean(OVER) / np.var(X, ddof=k)) for k in (0, 1)]
    + [
        (
            dict(rf=RF, convention="binary"),
            lambda: np.mean(BETS > 0) - np.mean(BETS < 0) / (np.mean(BETS[BETS > 0]) / -np.mean(BETS[BETS < 0])),
        )
    ],
    "volatility": [(dict(periods=A, ddof=k), lambda k=k: np.std(X, ddof=k) * math.sqrt(A)) for k in (0, 1)],
    "skewness": [
        ({}, lambda: scipy.stats.skew(X)),
        (dict(convention="sample"), lambda: scipy.stats.skew(X, bias=False)),
    ],
    "kurtosis": [
        ({}, lambda: scipy.stats.kurtosis(X)),
        (dict(convention="sample"), lambda: scipy.stats.kurtosis(X, bias=False)),
    ],
    "downside_deviation": [
        (dict(periods=A, threshold=T), lambda: math.sqrt(A * np.mean(DOWN**2))),
        (dict(periods=A, threshold=T, over="below"), lambda: math.sqrt(A * np.mean(DOWN[DOWN > 0] ** 2))),
    ],
    "semi_deviation": [
        (dict(periods=A), lambda: math.sqrt(A * np.sum((X[X < X.mean()] - X.mean()) ** 2) / N)),
        (dict(periods=A, over="below"), lambda: math.sqrt(A * np.mean((X[X < X.mean()] - X.mean()) ** 2))),
    ],
    "value_at_risk": [
        (dict(level=LEVEL), lambda: -np.quantile(X, 1 - LEVEL)),
        *(
            (dict(level=LEVEL, method="gaussian", ddof=k), lambda k=k: -np.mean(X) - Z * np.std(X, ddof=k))
            for k in (0, 1)
        ),
        *(
            (
                dict(level=LEVEL, method="cornish_fisher", ddof=k),
                lambda k=k: -np.mean(X) - cornish_fisher(Z) * np.std(X, ddof=k),
            )
            for k in (0, 1)
        ),
        (dict(level=0.97, method="evt", tail=0.85), lambda: pareto(0.97, 0.85)[0]),
        (dict(level=LEVEL, method="filtered", decay=0.9), lambda: -np.quantile(SCALED, 1 - LEVEL) * AHEAD),
    ],
    "expected_shortfall": [
        (dict(level=0.93), lambda: worst(X, 0.93)),
        (dict(level=0.93, convention="quantile"), lambda: beyond(X, 0.93)),
        *(
            (
                dict(level=LEVEL, method="gaussian", ddof=k),
                lambda k=k: -np.mean(X) + np.std(X, ddof=k) * scipy.stats.norm.pdf(Z) / (1 - LEVEL),
            )
            for k in (0, 1)
        ),
        *((dict(level=0.95, method="cornish_fisher", ddof=k), lambda k=k: modified_shortfall(0.95, k)) for k in (0, 1)),
        (dict(level=0.97, method="evt", tail=0.85), lambda: pareto(0.97, 0.85)[1]),
        (dict(level=0.93, method="filtered", decay=0.9), lambda: worst(SCALED, 0.93) * AHEAD),
        (
            dict(level=0.93, method="filtered", decay=0.9, convention="quantile"),
            lambda: beyond(SCALED, 0.93) * AHEAD,
        ),
    ],
    "conditional_drawdown": [
        (dict(level=0.93), lambda: worst(-under(X), 0.93)),
        (dict(level=0.93, convention="quantile"), lambda: beyond(-under(X), 0.93)),
    ],
    "entropic_value_at_risk": [(dict(level=LEVEL), lambda: entropic(LEVEL))],
    "ulcer_index": [({}, lambda: math.sqrt(np.mean(under(X) ** 2)))],
    "pain_index": [({}, lambda: np.mean(under(X)))],
    "tail_ratio": [(dict(level=0.92), lambda: np.quantile(X, 0.92) / abs(np.quantile(X, 0.08)))],
    "beta": [(dict(rf=RF), lambda: BETA), (dict(rf=RATES), lambda: np.polyfit(B - RATES, X - RATES, 1)[0])],
    "alpha": [(dict(periods=A, rf=RF), lambda: A * np.polyfit(MARKET, OVER, 1)[1])],
    "tracking_error": [(dict(periods=A, ddof=k), lambda k=k: math.sqrt(A) * np.std(X - B, ddof=k)) for k in (0, 1)],
    "up_capture": [
        (dict(periods=A, growth=how), lambda how=how: capture(B > 0, how)) for how in ("arithmetic", "geometric")
    ],
    "down_capture": [
        (dict(periods=A, growth=how), lambda how=how: capture(B < 0, how)) for how in ("arithmetic", "geometric")
    ],
    "hhi": [
        ({}, lambda: sum((abs(X) / sum(abs(X))) ** 2)),
        (dict(normalised="yes"), lambda: (N * sum((abs(X) / sum(abs(X))) ** 2) - 1) / (N - 1)),
    ],
    "correlation": [({}, lambda: np.corrcoef(X, B)[0, 1])],
    "underwater": [({}, lambda: under(X))],
    "max_drawdown": [({}, lambda: max(under(X)))],
    "average_drawdown": [({}, lambda: np.mean([s[0] for s in spells(X)]))],
    "drawdown_table": [(dict(top=4), lambda: rows(X, 4))],
    "drawdown_durations": [(dict(depth=0.02), lambda: durations(X, 0.02))],
    "drawdown_frequency": [(dict(depth=0.02, periods=A), lambda: durations(X, 0.02)["n"] / (N / A))],
    "conditional_recovery": [(dict(depth=0.03), lambda: recovery(X, 0.03))],
    "distribution": [({}, lambda: distribution(X))],
    "streaks": [({}, lambda: streaks(X))],
    "kupiec": [(dict(level=0.93), lambda: kupiec(0.93))],
    "christoffersen": [(dict(level=0.93), lambda: christoffersen(0.93))],
    "basel_traffic_light": [(dict(level=level), lambda level=level: traffic(level)) for level in (0.8, 0.9, 0.97)],
    "acerbi_szekely": [(dict(level=0.93), lambda: acerbi(0.93))],
    "summary": [(dict(periods=A), summary)],
}
GIVEN = {
    "returns": X,
    "outcomes": X,
    "shares": X,
    "benchmark": B,
    "equity": E,
    "value_at_risk": V,
    "expected_shortfall": S,
}
CASES = [(name, settings, plain) for name, cases in PLAIN.items() for settings, plain in cases]


@pytest.mark.parametrize(
    ("name", "settings", "plain"), CASES, ids=[f"{name}-{','.join(settings)}" for name, settings, _ in CASES]
)
def test_a_metric_is_its_plain_line(name: str, settings: dict[str, Any], plain: Callable[[], Any]) -> None:
    parameters = inspect.signature(METRICS[name]).parameters.values()
    given = [GIVEN[p.name] for p in parameters if p.kind is not inspect.Parameter.KEYWORD_ONLY]
    found, wanted = METRICS[name](*given, **settings), plain()
    near = 1e-6 if name == "entropic_value_at_risk" else 1e-9
    if isinstance(wanted, dict):
        assert set(found) == set(wanted)
        for key, value in wanted.items():
            np.testing.assert_allclose(found[key], value, rtol=near, atol=1e-12, err_msg=key)
    else:
        np.testing.assert_allclose(found, wanted, rtol=near, atol=1e-12)
        assert np.any(np.abs(wanted) > 1e-6)  # an answer that a change of sign or exponent would change


# what is fitted by loops or by other libraries is held against those in tests of its own
FITTED = ("curve", "changes", "benchmark", "forecasts", "factors", "events", "attribution")
HERE = [name for name in METRICS if METRICS[name].__module__.rpartition(".")[2] not in FITTED]


@pytest.mark.parametrize("name", HERE)
def test_every_metric_and_convention_has_its_plain_line(name: str) -> None:
    for key, hint in typing.get_type_hints(METRICS[name].__wrapped__).items():
        default = inspect.signature(METRICS[name]).parameters[key].default if key != "return" else None
        asked = [settings.get(key, default) for settings, _ in PLAIN[name]]
        if typing.get_origin(hint) is Literal:
            assert set(typing.get_args(hint)) <= set(asked), key
        if key == "ddof" and name not in ("value_at_risk", "expected_shortfall"):
            assert {0, 1} <= set(asked)
