"""Metrics on a CUDA device equal those on the host."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gpu.check_metrics import difference
from tests.metrics.cases import DEVICE_CASES

cupy = pytest.importorskip("cupy", reason='needs pip install "kernelkit[gpu]"')
if not cupy.cuda.is_available():
    pytest.skip("needs a CUDA device", allow_module_level=True)


@pytest.mark.parametrize("labelled", [False, True], ids=["arrays", "labelled"])
@pytest.mark.parametrize(("name", "settings"), DEVICE_CASES.values(), ids=DEVICE_CASES.keys())
def test_cupy_is_numpy(name: str, settings: dict[str, Any], labelled: bool) -> None:
    assert difference(name, settings, labelled) <= 1.0
