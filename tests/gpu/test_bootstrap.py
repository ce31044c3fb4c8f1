"""The bootstrap of a family on a CUDA device is that on the host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.gpu.check_bootstrap import CHECKS, check

cupy = pytest.importorskip("cupy", reason='needs pip install "kernelkit[gpu]"')
if not cupy.cuda.is_available():
    pytest.skip("needs a CUDA device", allow_module_level=True)


@pytest.mark.parametrize("function", CHECKS)
def test_cupy_is_numpy(function: Callable[[Any, Any], list[Any]]) -> None:
    check(function)
