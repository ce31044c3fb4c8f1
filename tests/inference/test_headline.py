"""The headline test from block sums (I7-I9): against a slow bootstrap, and what must not matter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelkit.errors import DataError
from kernelkit.inference.bootstrap import studentised_maximum
from kernelkit.inference.draws import block_counts
from kernelkit.inference.headline import Sums, dependence, headline, without_market

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


def test_i7__beta_times_the_market_is_no_skill() -> None:
    x = daily(3)
    b = np.random.default_rng(9).normal(0.0, 0.01, (len(x), 1))

    def block(a: np.ndarray) -> np.ndarray:
        return np.broadcast_to(a, x.shape).reshape(BLOCKS, PER, -1).sum(axis=1)

    held = x + b * np.linspace(0.0, 2.0, x.shape[1])
    sums, beta = without_market(
        block(np.ones(x.shape)), block(held), block(held * held), block(b), block(b * b), block(held * b)
    )
    ols = [np.polyfit(b[:, 0], held[:, j], 1)[0] for j in range(x.shape[1])]
    np.testing.assert_allclose(beta, ols, rtol=1e-9)
    np.testing.assert_allclose(sums.s1, block(held - beta * b), atol=1e-12)
    np.testing.assert_allclose(sums.s2, block((held - beta * b) ** 2), atol=1e-12)


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
