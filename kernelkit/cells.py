"""The cells of a grid: every combination of its axes, without those that a condition excludes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kernelkit.errors import UsageError, message

MOST_CELLS = 10_000_000  # of a grid: each is laid out in memory, about 1 kB with its result


def condition(where: str | Callable[..., Any], what: str = "where") -> Callable[..., Any]:
    """``where`` as a function of the parameters; text is compiled once, and sees nothing but them.

    ``what`` is what a message calls it.

    Raises UsageError for what is neither a function nor an expression.

    >>> condition("fast < slow")(fast=5, slow=20)
    True
    """
    if not isinstance(where, str):
        if not callable(where):
            raise UsageError(message(what, repr(where), "text or a function", f'Write {what}="fast < slow".'))
        return where
    try:
        code = compile(where.strip(), f"<{what}>", "eval")
    except SyntaxError as error:
        found = f"{error.msg} at {error.offset}"
        raise UsageError(message(f"{what}={where!r}", found, "an expression", f'Write {what}="fast < slow".')) from None
    return lambda **names: eval(code, {"__builtins__": {}}, names)  # the user's own expression


def told(error: Exception) -> str:
    """What an error of somebody's condition says, its name where it says nothing.

    >>> told(RuntimeError()), told(ValueError("no"))
    ('RuntimeError', 'no')
    """
    return str(error) or type(error).__name__


def chosen(
    axes: Mapping[str, list[Any]], scalars: Mapping[str, Any], where: str | Callable[..., Any] | None
) -> tuple[np.ndarray, list[tuple[Any, ...]]]:
    """Trial number of every cell (-1: excluded) and the axis values of every trial.

    Raises UsageError for more than `MOST_CELLS` cells, and for a ``where`` that fails, or leaves no cell.

    >>> cells, combos = chosen({"fast": [5, 9], "slow": [8]}, {}, "fast < slow")
    >>> cells.tolist(), combos
    ([[0], [-1]], [(5, 8)])
    """
    shape = tuple(len(v) for v in axes.values())
    if math.prod(shape) > MOST_CELLS:
        found = f"{' x '.join(map(str, shape))} = {math.prod(shape):,} combinations"
        fix = "Take coarser steps, or fewer parameters at a time."
        raise UsageError(message("grid", found, f"at most {MOST_CELLS:,}", fix))
    combos = list(itertools.product(*axes.values()))
    keep = np.ones(len(combos), bool)
    if where is not None:
        holds = condition(where)
        for k, combo in enumerate(combos):
            names = dict(scalars) | dict(zip(axes, combo, strict=True))
            try:
                keep[k] = bool(holds(**names))
            except Exception as error:
                given = ", ".join(f"{n}={v!r}" for n, v in names.items())
                fix = 'Write where="fast < slow"; a function takes all of them by name.'
                raise UsageError(message(f"where={where!r}", told(error), f"a condition on {given}", fix)) from error
        if not keep.any():
            raise UsageError(message(f"where={where!r}", "no cell left", "at least one", "Check the condition."))
    cells = np.where(keep, np.cumsum(keep) - 1, -1).reshape(shape)
    return cells, [c for c, k in zip(combos, keep, strict=True) if k]
