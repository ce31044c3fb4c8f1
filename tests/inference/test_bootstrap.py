"""Block bootstrap by counts, the studentised maximum and superior ability (I5, I6)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kernelkit as kk
from kernelkit import rng
from kernelkit.errors import DataError, UsageError
from kernelkit.inference import bootstrap, draws
from tests.metrics.duck import Duck, wrap

i = kk.inference
N, LENGTH = 12, 3


def exact(scheme: str) -> np.ndarray:
    """The covariances of the counts: kernels of Politis and Romano less what sums to n always."""
    lag = np.abs(np.subtract.outer(np.arange(N), np.arange(N)))
    stays = 1 - 1 / LENGTH
    kernel = {
        "iid": (lag == 0).astype("f8"),
        "stationary": (1 - lag / N) * stays**lag + lag / N * stays ** (N - lag),
        "circular": np.maximum(1 - lag / LENGTH, 0) + np.maximum(1 - (N - lag) / LENGTH, 0),
    }[scheme]
    centring = np.eye(N) - 1 / N
    return centring @ kernel @ centring


@pytest.mark.parametrize("scheme", ["iid", "stationary", "circular"])
def test_i5__counts_have_the_moments_of_their_scheme(scheme: Any) -> None:
    w = i.block_counts(N, 40_000, length=1 if scheme == "iid" else LENGTH, scheme=scheme, seed=3)
    assert (w.sum(axis=1) == N).all()
    np.testing.assert_allclose(w.mean(axis=0), 1.0, atol=0.03)
    np.testing.assert_allclose(np.cov(w.T), exact(scheme), atol=0.04)


def drawn(n: int, replication: int, length: float, scheme: str, seed: int) -> list[int]:
    """The samples of one replication, one block after the other."""
    taken: list[int] = []
    tail = np.cumprod(np.full(n, 1 - 1 / length))
    for block in range(n):
        size = 1 + int(np.sum(tail >= rng.uniform(seed, replication, block, 1))) if scheme == "stationary" else length
        starts = n - int(length) + 1 if scheme == "moving" else n
        begin = int(rng.uniform(seed, replication, block) * starts)
        taken += [(begin + k) % n for k in range(int(size))]
    return taken[:n]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["stationary", "circular", "moving", "iid"]),
    st.integers(1, 300),
    st.floats(0.0, 1.0),
    st.integers(0, 2**64 - 1),
)
def test_i5__draws_are_the_slow_text(scheme: Any, n: int, share: float, seed: int) -> None:
    length = {"iid": 1.0, "stationary": 1.0 + share * (n - 1)}.get(scheme, 1.0 + int(share * (n - 1)))
    found = i.block_counts(n, 3, length=length, scheme=scheme, seed=seed)
    for k, row in enumerate(found):
        taken = drawn(n, k, length, scheme, seed)
        np.testing.assert_array_equal(row, np.bincount(taken, minlength=n))
        at = draws.block_indices(n, np.array([k]), length=length, scheme=scheme, seed=seed)
        np.testing.assert_array_equal(at[0], taken)


def test_i5__draws_in_pieces_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = i.block_counts(30, 50, length=4.5, seed=8)
    monkeypatch.setattr(draws, "PIECE", 90)
    np.testing.assert_array_equal(i.block_counts(30, 50, length=4.5, seed=8), whole)


def test_i5__moving_blocks_stay_within_the_sample() -> None:
    w = i.block_counts(N, 40_000, length=LENGTH, scheme="moving", seed=3)
    at = np.arange(N)
    covering = np.minimum.reduce([at + 1, N - at, np.full(N, LENGTH)])
    np.testing.assert_allclose(w.mean(axis=0), N / LENGTH * covering / (N - LENGTH + 1), atol=0.03)
    whole = i.block_counts(N, 5, length=N, scheme="moving")
    assert (whole == 1.0).all()


def test_i5__more_replications_begin_with_the_same() -> None:
    few, many = (i.block_counts(30, b, length=4.5, seed=8) for b in (10, 50))
    np.testing.assert_array_equal(many[:10], few)
    assert not np.array_equal(i.block_counts(30, 10, length=4.5, seed=9), few)


def slow(x: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """t and step-down p-values, one replication and one hypothesis after the other."""
    n = len(x)

    def of(sample: np.ndarray, mean: np.ndarray) -> np.ndarray:
        return np.asarray(n**0.5 * (sample.mean(axis=0) - mean) / sample.std(axis=0, ddof=1))

    t = of(x, np.zeros(x.shape[1]))
    draws = [of(np.repeat(x, row.astype(int), axis=0), x.mean(axis=0)) for row in counts]
    p, least, left = np.empty(len(t)), 0.0, list(range(len(t)))
    while left:
        best = max(left, key=lambda k: t[k])
        least = max(least, (1 + sum(d[left].max() >= t[best] for d in draws)) / (len(draws) + 1))
        p[best] = least
        left.remove(best)
    return t, p


def test_i5__max_sharpe_test_is_the_slow_text(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(6).normal(0.15, 1.0, (40, 7)) * np.arange(1, 8)
    counts = i.block_counts(40, 150, length=2.0)
    t, p = slow(x, counts)
    assert p.min() < 0.1 < p.max()
    for cells in (bootstrap._CELLS, 70):  # in one part, in many
        monkeypatch.setattr(bootstrap, "_CELLS", cells)
        found = i.max_sharpe_test(x, counts)
        np.testing.assert_allclose(found.t, t, rtol=1e-12)
        np.testing.assert_allclose(found.adjusted, p, rtol=1e-12)
        assert found.p_value == p.min()
        assert found.error == pytest.approx((p.min() * (1 - p.min()) / 150) ** 0.5)


def test_i5_i6__rescaling_a_trial_changes_nothing() -> None:
    x = np.random.default_rng(6).normal(0.1, 1.0, (60, 5))
    scaled = x * [1.0, 1000.0, 1.0, 0.01, 1.0]
    counts = i.block_counts(60, 300, length=3.0)
    assert i.max_sharpe_test(x, counts).p_value == i.max_sharpe_test(scaled, counts).p_value
    assert i.superior_ability(x, counts, length=3.0) == i.superior_ability(scaled, counts, length=3.0)
    plain = [i.superior_ability(y, counts, length=3.0, studentised=False) for y in (x, scaled)]
    assert plain[0] != plain[1]


def test_i5__blocks_of_several_sizes_are_the_slow_text() -> None:
    """Trials that were there for some of the time; in a few replications one has a sample or none, and no variance."""
    draw = np.random.default_rng(5)
    n = draw.integers(0, 3, (20, 6)).astype("f8") * [1, 1, 1, 1, 1, 0.0]
    n[:2, 5] = 1.0
    off = draw.normal(size=n.shape) * (n > 0.0)
    counts, t = i.block_counts(20, 200, scheme="iid", seed=4), draw.normal(1.5, 1.0, 6)
    found = bootstrap.studentised_maximum(t, off, off * off, n, counts)
    best = []
    for row in counts:
        many, sums, squares = row @ n, row @ off, row @ (off * off)
        with np.errstate(divide="ignore", invalid="ignore"):
            var = (squares - sums * sums / many) / (many - 1.0)
            best.append(np.where(var > 0.0, sums / np.sqrt(many) / np.sqrt(var), np.inf).max())
    np.testing.assert_allclose(found.p, [(1 + np.sum(np.array(best) >= one)) / 201 for one in t], rtol=1e-12)
    assert 0.1 < np.mean(np.isinf(best)) < 1.0


def test_i6__omega_is_the_double_sum() -> None:
    x = np.random.default_rng(2).normal(size=(31, 3))
    off, stays = x - x.mean(axis=0), 1 - 1 / 4.5
    lag = np.abs(np.subtract.outer(np.arange(31), np.arange(31)))
    weight = (1 - lag / 31) * stays**lag + lag / 31 * stays ** (31 - lag)
    wanted = np.sqrt(np.einsum("ik,ij,jk->k", off, weight, off) / 31)
    np.testing.assert_allclose(bootstrap._omega(off, 4.5), wanted, rtol=1e-12)


def test_arrays_of_a_device_never_leave_it() -> None:
    x = np.random.default_rng(6).normal(0.1, 1.0, (60, 5))
    counts = i.block_counts(60, 300, length=3.0)
    there, here = i.max_sharpe_test(wrap(x), wrap(counts)), i.max_sharpe_test(x, counts)
    for found, wanted in zip(there, here, strict=True):
        if isinstance(wanted, np.ndarray):
            assert isinstance(found, Duck)
            np.testing.assert_array_equal(found.inside, wanted)
        else:
            assert found == wanted
    for how in (True, False):
        found = i.superior_ability(wrap(x), wrap(counts), length=3.0, studentised=how)
        assert found == i.superior_ability(x, counts, length=3.0, studentised=how)


def test_i6__p_values_are_in_their_order() -> None:
    x = np.random.default_rng(1).normal(0.0, 1.0, (80, 20)) - np.linspace(0, 1.5, 20)
    found = i.superior_ability(x, i.block_counts(80, 400, length=2.0), length=2.0)
    assert found.lower <= found.consistent < found.upper


def test_i5__luck_is_called_skill_in_one_of_twenty() -> None:
    """200 families of 30 trials without skill, 64 blocks: standard error 1.5 %."""
    draw = np.random.default_rng(12)
    counts = i.block_counts(64, 299, seed=1)
    p = np.array([i.max_sharpe_test(draw.normal(size=(64, 30)), counts).p_value for _ in range(200)])
    assert np.mean(p <= 0.05) == pytest.approx(0.05, abs=0.035)
    skilled = draw.normal(size=(64, 30))
    skilled[:, 4] += 0.8
    found = i.max_sharpe_test(skilled, counts)
    assert found.p_value <= 0.01
    assert np.flatnonzero(found.adjusted <= 0.05).tolist() == [4]


X = np.random.default_rng(1).normal(size=(10, 2))


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: i.block_counts(9, 2, scheme="wild"), UsageError, "scheme: found 'wild', wanted one of 'stationary'"),
        (lambda: i.block_counts(0, 2), UsageError, "n: found 0, wanted at least 1"),
        (lambda: i.block_counts(9, 0), UsageError, "replications: found 0, wanted at least 1"),
        (lambda: i.block_counts(9, 2, length=2.5, scheme="moving"), UsageError, "wanted a whole number from 1 to 9"),
        (lambda: i.block_counts(9, 2, length=0.5), UsageError, "length: found 0.5, wanted 1 to 9"),
        (lambda: i.block_counts(9, 2, length=2, scheme="iid"), UsageError, "length: found 2, wanted 1"),
        (lambda: i.block_counts(9, 2, seed=-1), UsageError, "seed: found -1, wanted at least 0 and below"),
        (lambda: i.max_sharpe_test(X, np.ones((5, 9))), DataError, r"found shapes \(10, 2\) and \(5, 9\)"),
        (
            lambda: i.max_sharpe_test(X * [1, 0], np.ones((5, 10))),
            DataError,
            "found trials that have NaN or do not vary",
        ),
        (lambda: i.superior_ability(X * [1, np.nan], np.ones((5, 10)), length=1), DataError, "have NaN"),
    ],
)
def test_what_makes_no_sense_is_refused(call: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        call()
