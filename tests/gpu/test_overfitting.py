"""Cross-validation of blocks on a CUDA device is that on the host."""

from __future__ import annotations

import numpy as np
import pytest

from kernelkit.inference.overfitting import Measure, block_sums, splits

cupy = pytest.importorskip("cupy", reason='needs pip install "kernelkit[gpu]"')
if not cupy.cuda.is_available():
    pytest.skip("needs a CUDA device", allow_module_level=True)


@pytest.mark.parametrize("by", ["sharpe_ratio", "mean"])
def test_splits(by: Measure) -> None:
    sums = block_sums(np.random.default_rng(3).normal(0.0, 0.01, (640, 200)), 12)
    there, here = splits(sums, by, device=True), splits(sums, by)
    np.testing.assert_array_equal(there.best, here.best)
    for found, wanted in zip(there[1:], here[1:], strict=True):
        assert isinstance(found, np.ndarray)
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)
