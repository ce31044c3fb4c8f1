"""Counter-based draws: known answers, independence of order, distribution."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from kernelkit import rng
from kernelkit.errors import UsageError

# The vectors for philox4x32-10 in kat_vectors of Random123 1.14: counter, key, result.
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    (
        (0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF),
        (0xFFFFFFFF, 0xFFFFFFFF),
        (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
    ),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]
WORD = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize(("counter", "key", "result"), KNOWN)
@pytest.mark.oracle("Random123", covers="random numbers")
def test_philox__known_answers(counter, key, result):
    words = rng.philox(tuple(np.array([word], dtype=np.uint32) for word in counter), key)
    assert tuple(int(word[0]) for word in words) == result


@settings(deadline=None)
@given(seed=st.integers(0, 2**64 - 1), path=WORD, step=st.integers(0, 2**63 - 1), stream=WORD)
def test_bits__are_the_halves_of_one_philox_block(seed, path, step, stream):
    block = step // 2
    counter = tuple(np.array([w], dtype=np.uint32) for w in (block & 0xFFFFFFFF, block >> 32, path, stream))
    words = [int(word[0]) for word in rng.philox(counter, (seed & 0xFFFFFFFF, seed >> 32))]
    low, high = words[2:] if step % 2 else words[:2]
    assert int(rng.bits(seed, path, step, stream)[()]) == high << 32 | low


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**64 - 1),
    steps=st.lists(st.integers(0, 10_000), min_size=1, max_size=50),
    paths=st.lists(WORD, min_size=1, max_size=5),
)
def test_normal__does_not_depend_on_order_or_company(seed, steps, paths):
    together = rng.normal(seed, np.array(paths)[:, None], np.array(steps))
    alone = [[float(rng.normal(seed, path, step)[()]) for step in steps] for path in paths]
    assert together.tolist() == alone


def test_draws__differ_between_seeds_paths_and_streams():
    steps = np.arange(1000)
    draws = [rng.uniform(*lane) for lane in ((0, 0, steps, 0), (1, 0, steps, 0), (0, 1, steps, 0), (0, 0, steps, 1))]
    assert np.unique(np.concatenate(draws)).size == 4000
    assert np.abs(np.corrcoef(draws) - np.eye(4)).max() < 4.0 / math.sqrt(1000)


def test_uniform__is_uniform_and_never_an_end():
    u = rng.uniform(3, 0, np.arange(200_000))
    assert 0.0 < u.min()
    assert u.max() < 1.0
    assert stats.kstest(u, "uniform").pvalue > 0.001
    assert 1.0 - 2.0**-53 == ((2**52 - 1) + 0.5) * 2.0**-52 < 1.0


def test_normal__has_the_moments_of_the_normal():
    z = rng.normal(4, 0, np.arange(400_000))
    assert stats.kstest(z, "norm").pvalue > 0.001
    assert abs(z.mean()) < 4.0 / math.sqrt(z.size)
    assert abs(stats.kurtosis(z)) < 4.0 * math.sqrt(24.0 / z.size)


def test_normal__of_neighbouring_steps_are_uncorrelated():
    z = rng.normal(5, 0, np.arange(100_001))
    for lag in (1, 2):
        assert abs(np.mean(z[lag:] * z[:-lag])) < 4.0 / math.sqrt(z.size)


@pytest.mark.oracle("SciPy", covers="random numbers")
def test_normal_quantile__equals_scipy():
    p = np.concatenate([np.linspace(1e-9, 1.0 - 1e-9, 100_001), np.logspace(-300, -1, 2_000)])
    np.testing.assert_allclose(rng.normal_quantile(p), special.ndtri(p), rtol=2e-15, atol=1e-15)


@settings(deadline=None)
@given(st.floats(1e-300, 1e300))
def test_log__within_one_unit_in_the_last_place(x):
    exact = math.log(x)
    assert abs(float(rng.log(np.array([x]))[0]) - exact) <= math.ulp(exact)


@pytest.mark.parametrize(
    ("lane", "match"),
    [
        ((-1, 0, 0, 0), "seed: found -1"),
        ((2**64, 0, 0, 0), "seed"),
        ((0, 2**32, 0, 0), "path"),
        ((0, 0, -1, 0), "step"),
        ((0, 0, 0, 2**32), "stream"),
        ((0, 0, 1.5, 0), "step: found dtype float64, wanted integers"),
    ],
)
def test_bits__refuses_numbers_it_would_have_to_fold(lane, match):
    with pytest.raises(UsageError, match=match):
        rng.bits(*lane)
