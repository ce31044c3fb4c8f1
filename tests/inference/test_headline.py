"""The headline test from block sums (I7-I9, I32): against a slow bootstrap, and what must not matter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelkit.errors import DataError
from kernelkit.inference.bootstrap import studentised_maximum
from kernelkit.inference.draws import block_counts
from kernelkit.inference.headline import Beyond, Sums, dependence, headline, without_market

BLOCKS, PER = 40, 25


def daily(seed: int, trials: int = 12, rho: float = 0.0) -> np.ndarray:
    """Returns (session, trial)."""
    x = np.random.default_rng(seed).normal(0.0, 0.01, (BLOCKS * PER, trials))
    for t in range(1, len(x)):
        x[t] += rho * x[t - 1]
    return x


def sums_of(x: np.ndarray, on: np.ndarray | None = None) -> Sums:
    on = np.ones(x.shape, bool) if on is None else on
    parts = [np.where(on, a, 0.0).reshape(BLOCKS, PER, -1).sum(axis=1) for a in (np.ones(x.shape), x, x * x)]
    return Sums(*parts)


EDGES = np.arange(BLOCKS) + 1_000


def slow(sums: Sums, scale: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """t and p-values as I7 says them, one replication and one trial after the other."""
    trials = sums.n.shape[1]
    n, s1, s2 = (a.sum(axis=0) for a in sums)
    mean = s1 / n
    t = mean * np.sqrt(n / ((s2 - n * mean**2) / (n - 1)))
    largest = []
    for c in counts:
        stars = []
        for j in range(trials):
            many = c @ sums.n[:, j]
            off = c @ (sums.s1[:, j] - mean[j] * sums.n[:, j]) * scale[j]
            squares = c @ (sums.s2[:, j] - 2 * mean[j] * sums.s1[:, j] + mean[j] ** 2 * sums.n[:, j])
            stars.append(off / np.sqrt(many) / np.sqrt((squares - off**2 / many) / (many - 1)))
        largest.append(max(stars))
    return t, np.array([(1 + sum(x >= one for x in largest)) / (len(counts) + 1) for one in t])


def test_i7__is_the_bootstrap_of_the_rule() -> None:
    x = daily(1)
    x[:, 3] += 0.002
    on = np.ones(x.shape, bool)
    on[: 10 * PER, 5] = on[30 * PER :, 6] = False
    sums = sums_of(x, on)
    found = headline(sums, EDGES, replications=200, seed=4)
    assert found is not None
    assert found.merged == 1
    t, p = slow(sums, dependence(sums).scale, block_counts(BLOCKS, 200, scheme="iid", seed=4))
    np.testing.assert_allclose(found.t, t, rtol=1e-9)
    np.testing.assert_allclose(found.p, p, rtol=1e-12)
    assert found.p[3] == np.min(found.p) == np.min(found.adjusted)
    assert (found.adjusted <= found.p + 1e-12).all()


def test_i7__of_single_samples_it_is_i5() -> None:
    x = daily(2, trials=5)[:200]
    counts = block_counts(200, 99, scheme="iid", seed=1)
    from kernelkit.inference.bootstrap import max_sharpe_test

    one = max_sharpe_test(x, counts)
    off = x - x.mean(axis=0)
    other = studentised_maximum(one.t, off, off * off, np.ones(x.shape), counts)
    np.testing.assert_array_equal(one.p, other.p)
    np.testing.assert_array_equal(one.adjusted, other.adjusted)


@settings(max_examples=20, deadline=None)
@given(st.floats(1e-3, 1e3), st.integers(0, 10_000), st.randoms(use_true_random=False))
def test_i7__size_of_positions_and_order_of_trials_do_not_matter(by: float, seed: int, random: Any) -> None:
    x = daily(seed)
    x[:, 0] += 0.001
    order = list(range(x.shape[1]))
    random.shuffle(order)
    scaled = x.copy()
    scaled[:, 1] *= by
    plain, other = (headline(sums_of(a), EDGES, replications=99) for a in (x, scaled[:, order]))
    assert plain is not None
    assert other is not None
    np.testing.assert_allclose(other.p, plain.p[order], atol=1e-12)


def blocks(a: np.ndarray) -> np.ndarray:
    return a.reshape(BLOCKS, PER, -1).sum(axis=1)


def beyond(x: np.ndarray, b: np.ndarray, on: np.ndarray | None = None) -> Beyond:
    """Of returns and the asset's own (session, trial)."""
    on = np.ones(x.shape) if on is None else on.astype("f8")
    return without_market(*(blocks(a * on) for a in (np.ones(x.shape), x, x * x, b, b * b, x * b)))


def quarters(x: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Of one trial, session by session: the covariance of beta and the asset's mean between quarters, and the noise."""
    parts = list(zip(np.split(x, 4), np.split(b, 4), strict=True))
    betas = np.array([np.polyfit(market, own, 1)[0] for own, market in parts])
    shift = np.cov(betas, [market.mean() for _, market in parts], ddof=1)[0, 1] / 4
    return shift, 7 / 3 * np.var(betas, ddof=1) / 4 * np.var(b) / len(b)


def test_i7__beta_times_the_market_is_no_skill() -> None:
    x = daily(3)
    b = np.broadcast_to(np.random.default_rng(9).normal(0.0, 0.01, (len(x), 1)), x.shape)
    held = x + b * np.linspace(0.0, 2.0, x.shape[1])
    on = np.ones(x.shape, bool)
    on[: 20 * PER, 4] = on[12 * PER :, 7] = False
    sums, beta, noise = beyond(held, b, on)
    for j in range(x.shape[1]):
        there = on[:, j]
        own, market = held[there, j], b[there, j]
        ols = np.polyfit(market, own, 1)[0]
        shift, error = quarters(own, market)
        y = np.where(there, held[:, j] - ols * b[:, j] + shift, 0.0)
        np.testing.assert_allclose(beta[j], ols, rtol=1e-9)
        np.testing.assert_allclose(sums.s1[:, j], blocks(y)[:, 0], atol=1e-12)
        np.testing.assert_allclose(sums.s2[:, j], blocks(y * y)[:, 0], atol=1e-12)
        np.testing.assert_allclose(noise[j], error, rtol=1e-9)


def followers(trials: int) -> tuple[np.ndarray, np.ndarray]:
    """Exposures (0 or 1) of rules that each follow the trend of their own market, and its returns, (session, trial)."""
    b = np.random.default_rng(12).normal(5e-4, 0.01, (BLOCKS * PER + 60, trials))
    past = np.cumsum(b, axis=0)
    return (past[59:-1] > past[:-60]).astype("f8"), b[60:]


def test_i32__who_follows_a_trend_is_no_worse_than_chance() -> None:
    held, b = followers(3_000)
    bias = (held.mean(axis=0) * (b - 5e-4).mean(axis=0)).mean()  # Kendall's: the sum over a product of two means
    sums, beta, noise = beyond(held * b, b)
    mean, plain = sums.s1.sum(axis=0) / len(b), (held * b - beta * b).mean(axis=0)
    assert bias > 0.2 * plain.std() / 2
    assert (mean - plain).mean() == pytest.approx(bias, rel=0.25)  # a tenth is of lags from one quarter to the next
    var = sums.s2.sum(axis=0) / len(b) - mean**2
    assert np.std(mean / np.sqrt(var / len(b) + noise)) == pytest.approx(1.0, abs=0.03)
    assert np.std(mean / np.sqrt(var / len(b))) > 1.03
    found = headline(Sums(*(a[:, :12] for a in sums)), EDGES, noise=noise[:12], replications=99)
    assert found is not None
    np.testing.assert_allclose(found.t, (mean / np.sqrt(var / (len(b) - 1) + noise))[:12], rtol=1e-9)


def test_i32__without_a_market_in_every_quarter_no_bias_is_known() -> None:
    x = daily(3)
    b = np.random.default_rng(9).normal(0.0, 0.01, x.shape)
    b[: 10 * PER] = 0.0
    sums, beta, noise = beyond(x, b)
    np.testing.assert_allclose(sums.s1, blocks(x - beta * b), atol=1e-12)
    assert not noise.any()


def test_i7__too_little_data_is_said_and_never_significant() -> None:
    x = daily(4)
    x[:, 0] = 0.0
    x[: 15 * PER, 0] = 0.01 + np.random.default_rng(1).normal(0.0, 1e-4, 15 * PER)  # 15 blocks, ever so good
    found = headline(sums_of(x), EDGES, replications=99)
    assert found is not None
    assert found.entered.tolist() == [False] + [True] * 11
    assert np.isnan(found.p[0])
    assert headline(Sums(*(a[:15] for a in sums_of(x))), EDGES[:15], replications=99) is None


def test_i7__where_it_was_not_there_is_nothing_not_zero() -> None:
    x = daily(5)
    on = np.ones(x.shape, bool)
    on[20 * PER :, 2] = False
    found = headline(sums_of(x, on), EDGES, replications=99)
    alone = x[: 20 * PER, 2]
    assert found is not None
    assert found.t[2] == pytest.approx(np.sqrt(len(alone)) * alone.mean() / alone.std(ddof=1), rel=1e-9)


def test_i8__autocorrelation_is_found_and_merges_blocks() -> None:
    none, some = (dependence(sums_of(daily(6, 60, rho))) for rho in (0.0, 0.5))
    assert np.max(none.length) < 0.2
    assert np.mean(some.length) == pytest.approx((2 * 0.5 / 0.75) ** (2 / 3) * 10 / 25, rel=0.1)
    short = daily(7, 60, 0.5)[:200].reshape(40, 5, -1)  # five sessions a block are too few for this
    sums = Sums(np.full((40, 60), 5.0), short.sum(axis=1), (short**2).sum(axis=1))
    found = headline(sums, np.arange(40) * 2, replications=99)
    assert found is not None
    assert (found.merged, found.blocks) == (4, 20)
    longer = headline(sums, np.arange(40), replications=99)
    assert longer is not None
    assert (longer.merged, longer.blocks) == (2, 20)


def test_arrays_that_do_not_fit_are_refused() -> None:
    sums = sums_of(daily(8))
    with pytest.raises(DataError, match=r"sums and edges: found .40, 12. and .40, 12. and .40, 12. and .3,., wanted"):
        headline(sums, EDGES[:3])
