"""The draws of paths (G1, G2): the words of Philox, what they become, and that nothing else decides them."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from kernelkit import rng
from kernelkit.kernels import compile as compile_module
from kernelkit.kernels.compile import whole
from kernelkit.paths.model import Draws


def words(seed: int, paths: np.ndarray, block: int, stream: int) -> list[np.ndarray]:
    """The four words of a block for each path, by NumPy."""
    one = np.ones(len(paths), np.uint32)
    counter = (one * (block & 0xFFFFFFFF), one * (block >> 32), paths.astype(np.uint32), one * stream)
    return [w.astype(np.uint64) for w in rng.philox(counter, (seed & 0xFFFFFFFF, seed >> 32))]


def turned(w: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Cosine less sine, cosine plus sine of the angle of 30 bits about 0, and two signs."""
    angle = ((w & np.uint64(0x3FFFFFFF)).astype(float) + 0.5 - 2.0**29) * (np.pi / 2 / 2**30)
    one, two = (1.0 - 2.0 * ((w >> np.uint64(bit)) & np.uint64(1)).astype(float) for bit in (31, 30))
    return np.cos(angle) - np.sin(angle), np.cos(angle) + np.sin(angle), one, two


def slow_normals(seed: int, paths: np.ndarray, steps: int, stream: int) -> np.ndarray:
    """G1 as it is written, (step, path)."""
    rows = []
    for block in range(steps // 4):
        w = words(seed, paths, block, stream)
        for a, b in ((w[0], w[1]), (w[2], w[3])):
            r = np.sqrt(-np.log((a.astype(float) + 0.5) / 2**32))
            c, s, one, two = turned(b)
            rows += [one * r * c, two * r * s]
    return np.array(rows)


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**64 - 1),
    first=st.integers(0, 2**32 - 40),
    many=st.integers(1, 33),
    stream=st.integers(0, 2**32 - 1),
)
def test_g1__normals_are_the_slow_text(seed: int, first: int, many: int, stream: int) -> None:
    out = np.empty((12, many))
    Draws(seed, first, many).normals(0, stream, out)
    slow = slow_normals(seed, np.arange(first, first + many), 12, stream)
    np.testing.assert_allclose(out, slow, rtol=1e-12, atol=1e-13)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**64 - 1), df=st.floats(2.05, 200.0))
def test_g1__students_are_the_slow_text(seed: int, df: float) -> None:
    out, paths = np.empty((4, 9)), np.arange(9)
    Draws(seed, 0, 9).students(0, 3, out, df)
    for step in range(4):
        w = words(seed, paths, step // 2, 3)
        a, b = w[2 * (step % 2)], w[2 * (step % 2) + 1]
        r2 = ((a.astype(float) + 0.5) / 2**32) ** (-2.0 / df) - 1.0
        c, _, one, _ = turned(b)
        np.testing.assert_allclose(out[step], one * np.sqrt((df / 2 - 1) * r2) * c, rtol=1e-9, atol=1e-8)


def test_g1__uniforms_are_words() -> None:
    out = Draws(7, 0, 5).uniforms(0, 2, 8)
    slow = np.array([w for block in (0, 1) for w in words(7, np.arange(5), block, 2)])
    np.testing.assert_array_equal(out, (slow + 0.5) / 2**32)


@settings(max_examples=30, deadline=None)
@given(step=st.integers(0, 2**40), first=st.integers(0, 1000), many=st.integers(1, 20), seed=st.integers(0, 9))
def test_g2__a_draw_does_not_depend_on_company(step: int, first: int, many: int, seed: int) -> None:
    step *= 4
    whole, one, later = np.empty((8, many)), np.empty((8, 1)), np.empty((4, many))
    Draws(seed, first, many).normals(step, 1, whole)
    Draws(seed, first + many - 1, 1).normals(step, 1, one)
    Draws(seed, first, many).normals(step + 4, 1, later)
    np.testing.assert_array_equal(whole[:, -1:], one)
    np.testing.assert_array_equal(whole[4:], later)


def test_g2__streams_seeds_and_steps_far_apart_differ() -> None:
    seen = set()
    for seed in (0, 1, 1 << 32):
        for step in (0, 4, 1 << 36):
            for stream in (0, 1):
                out = np.empty((4, 3))
                Draws(seed, 0, 3).normals(step, stream, out)
                seen |= set(out.ravel().tolist())
    assert len(seen) == 3 * 3 * 2 * 12


WHAT = """
import hashlib, kernelkit as kk
from kernelkit.paths.model import Draws
found = hashlib.sha256()
for model in (kk.paths.GBM(0.1, 0.2), kk.paths.Kou(0.1, 0.2, 20.0, 0.4, 60.0, 40.0)):
    found.update(model.reduced(Draws(3, 5, 40), 100).tobytes())
    found.update(model.log_bars(Draws(3, 5, 7), 40)[0].tobytes())
print(found.hexdigest())
"""


def test_kernels__take_functions_from_others_by_text() -> None:
    assert whole("draws") == (Path(compile_module.__file__).parent / "draws.py").read_text()
    text = whole("walks")
    assert text.index("def philox(") < text.index("def heston(")
    assert [line for line in text.splitlines() if "import" in line and "kernelkit" in line] == [
        "from kernelkit.kernels.machine import bits, unbits"
    ]


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="there are older processors of this kind")
def test_g1__bits_are_those_of_an_older_processor(tmp_path: Path) -> None:
    """Compiled for one that has neither wide vectors nor fused operations."""
    old = {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": "", "KERNELKIT_CACHE": str(tmp_path)}
    made = [
        subprocess.run([sys.executable, "-c", WHAT], env=os.environ | more, capture_output=True, text=True, check=True)
        for more in ({}, old)
    ]
    assert made[0].stdout == made[1].stdout != ""


def test_normals__are_normal_and_independent() -> None:
    z = np.empty((2000, 500))
    Draws(11, 0, 500).normals(0, 0, z)
    assert stats.kstest(z.ravel(), "norm").pvalue > 1e-3
    for shift in (1, 2, 3, 4):
        assert abs(np.mean(z[shift:] * z[:-shift])) < 4e-3
        assert abs(np.mean(z[shift:] ** 2 * z[:-shift] ** 2) - 1.0) < 0.012
    assert abs(np.mean(z[:, 1:] * z[:, :-1])) < 4e-3
    tail = np.abs(z) > 4.0
    assert tail.sum() == pytest.approx(2 * stats.norm.sf(4.0) * z.size, abs=4 * 8)


@pytest.mark.parametrize("df", [2.5, 4.0, 30.0])
def test_students__have_their_distribution(df: float) -> None:
    z = np.empty((1000, 500))
    Draws(5, 0, 500).students(0, 0, z, df)
    assert stats.kstest(z.ravel() * np.sqrt(df / (df - 2)), "t", args=(df,)).pvalue > 1e-3
    assert abs(np.mean(np.sign(z[1:]) * np.sign(z[:-1]))) < 6e-3


def test_antithetic__second_of_a_pair_is_the_mirror_image() -> None:
    z, alone = np.empty((8, 6)), np.empty((8, 3))
    Draws(3, 10, 6, antithetic=True).normals(0, 0, z)
    Draws(3, 5, 3).normals(0, 0, alone)
    np.testing.assert_array_equal(z[:, ::2], alone)
    np.testing.assert_array_equal(z[:, 1::2], -alone)
    odd = np.empty((8, 2))
    Draws(3, 11, 2, antithetic=True).normals(0, 0, odd)
    np.testing.assert_array_equal(odd, z[:, 1:3])
