"""The bootstrap of a family on cupy arrays against numpy: `python -m tests.gpu.check_bootstrap` needs no pytest."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from kernelkit.inference.bootstrap import max_sharpe_test, superior_ability

X = np.random.default_rng(3).normal(0.05, 1.0, (64, 500)) * np.linspace(0.5, 2.0, 500)
COUNTS = np.random.default_rng(4).multinomial(64, np.full(64, 1 / 64), size=499).astype("f8")


def maximum(x: Any, counts: Any) -> list[Any]:
    """t, p of the best, p of each."""
    found = max_sharpe_test(x, counts)
    return [found.t, found.p_value, found.error, found.adjusted]


def ability(x: Any, counts: Any) -> list[Any]:
    """Three p-values, studentised and not."""
    return [p for how in (True, False) for p in superior_ability(x, counts, length=2.0, studentised=how)]


CHECKS: list[Callable[[Any, Any], list[Any]]] = [maximum, ability]


def check(function: Callable[[Any, Any], list[Any]]) -> None:
    """Raises AssertionError where the device says anything else, or where its arrays have left it."""
    import cupy

    there = function(cupy.asarray(X), cupy.asarray(COUNTS))
    for found, wanted in zip(there, function(X, COUNTS), strict=True):
        assert isinstance(found, cupy.ndarray) == isinstance(wanted, np.ndarray), type(found).__name__
        host = found.get() if isinstance(found, cupy.ndarray) else found
        np.testing.assert_allclose(host, wanted, rtol=1e-9, atol=1e-12)


def main() -> int:
    """One line a check; raises at the first that does not agree."""
    for function in CHECKS:
        check(function)
        sys.stdout.write(f"{function.__name__}: ok\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
