"""The parameters of a strategy bound to values: what is bound once, and the axes that vary."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kernelkit.capture import SCALARS
from kernelkit.errors import UsageError, arguments, message
from kernelkit.kernels.lower import RESULT
from kernelkit.kernels.plan import plain
from kernelkit.strategy import Program, Signal, Strategy


@dataclass(frozen=True)
class Fixed:
    """A sequence bound as one value, not as an axis."""

    value: Any


@arguments()
def fixed(value: Any) -> Fixed:
    """Bind a sequence as a value: ``grid=dict(hours=kk.fixed([9, 10]))``.

    >>> fixed([9, 10]).value
    [9, 10]
    """
    return Fixed(value)


@dataclass(frozen=True)
class Sweep:
    """The parameters of a set of trials: what is bound once, and the axes that vary."""

    scalars: dict[str, Any]
    axes: dict[str, list[Any]]
    cells: np.ndarray  # trial of each cell, -1 where `where` excludes it
    combos: list[tuple[Any, ...]]  # axis values of each trial

    def bound(self, trial: int) -> dict[str, Any]:
        """All parameters of one trial, by name."""
        return self.scalars | dict(zip(self.axes, self.combos[trial], strict=True))


def checked(what: str, given: Any, fix: str = "Write params={'n': 20}.") -> Mapping[str, Any]:
    """This dict of names and values, an empty one for None; raises UsageError for anything else.

    >>> checked("params of hold", {"n": 20})
    {'n': 20}
    """
    if given is not None and not isinstance(given, Mapping):
        raise UsageError(message(what, repr(given), "a dict of names and values", fix))
    return {} if given is None else given


def bind(
    strategy: Strategy | Signal, params: Mapping[str, Any] | None, grid: Mapping[str, Any] | None
) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """Scalars and axes by parameter name; defaults fill in, ``grid`` wins over ``params``.

    Raises UsageError for an unknown name, an empty axis, one that a result has a name for, a repeated value, NaN on an
    axis, or a parameter without a value.

    >>> from kernelkit.strategy import strategy
    >>> @strategy
    ... def hold(ctx, weight=1.0, n=20):
    ...     ctx.target_percent(weight)
    >>> bind(hold, {"weight": 0.5}, {"n": range(10, 30, 10)})
    ({'weight': 0.5}, {'n': [10, 20]})
    """
    scalars = {n: d for n, d in strategy.defaults.items() if d is not inspect.Parameter.empty}
    axes: dict[str, list[Any]] = {}
    params = checked(f"params of {strategy.name}", params)
    grid = checked(f"grid of {strategy.name}", grid, "Write grid={'n': 20}.")
    for source in (params, grid):
        for name, value in source.items():
            if name not in strategy.defaults:
                raise UsageError(
                    message(
                        f"parameter {name!r} of {strategy.name}",
                        name,
                        f"one of {', '.join(strategy.defaults) or 'none'}",
                        "Check the name.",
                    )
                )
            if isinstance(value, Fixed):
                scalars[name] = value.value
            elif source is grid or (isinstance(value, Iterable) and not isinstance(value, str)):
                values = [
                    plain(v) for v in (value if isinstance(value, Iterable) and not isinstance(value, str) else [value])
                ]
                if not values:
                    raise UsageError(
                        message(
                            f"axis {name!r}", "no values", "at least one", f"Write grid=dict({name}=range(5, 50, 5))."
                        )
                    )
                if any(v != v for v in values):
                    fix = "A cell is found by its label, and NaN equals none: take a number that means it, such as -1."
                    raise UsageError(message(f"axis {name!r}", "NaN", "values that can be selected", fix))
                if len(set(values)) != len(values):
                    raise UsageError(
                        message(f"axis {name!r}", "repeated values", "distinct values", "Remove the duplicates.")
                    )
                axes[name] = values
                scalars.pop(name, None)
            else:
                scalars[name] = plain(value)
                axes.pop(name, None)
    taken = [n for n in axes if n in RESULT]
    if taken:
        fix = f"Give the parameter another name, such as {taken[0]}_wanted."
        raise UsageError(message(f"axis {taken[0]!r}", "what a result calls its own", "a name beside those", fix))
    missing = [n for n in strategy.defaults if n not in scalars and n not in axes]
    if missing:
        raise UsageError(
            message(
                f"parameter {missing[0]!r} of {strategy.name}",
                "no value",
                "a value or a default",
                f"Pass params=dict({missing[0]}=...).",
            )
        )
    return scalars, axes


def kind_of(name: str, values: Sequence[Any], default: Any) -> type:
    """The slot type of a parameter: its default's, widened to float where a value needs it.

    Raises UsageError for values that are not numbers or text, and for values of several types.

    >>> kind_of("k", [1, 2.5], 3).__name__
    'float'
    """
    for v in values:
        if not isinstance(v, (*SCALARS, str)):
            raise UsageError(
                message(
                    f"parameter {name!r}",
                    f"{v!r} ({type(v).__name__})",
                    "an int, float, bool or str",
                    "Bind numbers; arrays enter with kk.feature.",
                )
            )
    kinds = {type(v) for v in values} | ({type(default)} if isinstance(default, SCALARS) else set())
    if len(kinds) == 1:
        return kinds.pop()
    if kinds <= {int, float}:
        return float
    raise UsageError(
        message(
            f"parameter {name!r}",
            f"values of types {', '.join(sorted(k.__name__ for k in kinds))}",
            "one type",
            "Bind values of one type.",
        )
    )


def param_words(
    program: Program, combos: Sequence[tuple[Any, ...]], axes: Sequence[str], scalars: Mapping[str, Any]
) -> np.ndarray:
    """Parameter slots (trial, slot) as int64 words."""
    windows = {a for s in program.plan.sites if not s.custom for a in s.arguments}
    out = np.zeros((len(combos), len(program.plan.params)), "i8")
    for k, (name, kind) in enumerate(program.plan.params.items()):
        values = [c[list(axes).index(name)] for c in combos] if name in axes else [scalars[name]] * len(combos)
        if name in windows and min(values) < 1:
            fix = "A window counts bars."
            raise UsageError(message(f"parameter {name!r}", min(values), "a positive window", fix))
        if kind is int and not -(1 << 63) <= min(values) <= max(values) < 1 << 63:
            found = max(values, key=abs)
            raise UsageError(message(f"parameter {name!r}", found, "an integer of 64 bits", f"Write {float(found)}."))
        out[:, k] = np.array(values, "f8").view("i8") if kind is float else np.array(values, "i8")
    return out


def extremes(combos: Sequence[tuple[Any, ...]]) -> Iterable[tuple[Any, ...]]:
    """The combinations that can need the longest inferred warm-up: a window is one parameter, so each one's largest.

    >>> sorted(extremes([(a, b) for a in range(10) for b in range(10) if a + b < 12]))
    [(0, 9), (9, 0)]
    """
    return {max(combos, key=lambda c, k=k: c[k]) for k in range(len(combos[0]))} or combos  # type: ignore[misc]
