"""Spaces of parameters: what a search may propose, laid out on the unit cube (rules D1, D2)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernelkit import rng
from kernelkit.binding import bind, checked
from kernelkit.cells import MOST_CELLS, condition, told
from kernelkit.errors import UsageError, arguments, message
from kernelkit.inference.checks import is_number
from kernelkit.kernels.plan import plain
from kernelkit.strategy import Signal, Strategy

Floats = NDArray[np.float64]
Condition = str | Callable[..., Any] | None

LARGEST = 2**53  # whole numbers that a float has, beside all smaller ones
MISSES = 10_000  # points in a row that do not fit: then hardly anything does
CORNERS = 1 << 10  # of a space that are looked at for the longest warm-up


@dataclass(frozen=True)
class Integer:
    """Whole numbers from ``low`` to ``high`` by ``step``."""

    low: int
    high: int
    step: int = 1
    log: bool = False
    when: Condition = None

    @property
    def values(self) -> Sequence[int]:
        """All of them."""
        return range(self.low, self.high + 1, self.step)

    @property
    def ends(self) -> tuple[int, int]:
        """The smallest and the largest."""
        return self.low, self.high

    def at(self, u: float) -> int:
        """The value at a place of the unit interval: each has a part of it, in logarithms where that is said."""
        if self.log:
            low, high = math.log(self.low - 0.5), math.log(self.high + 0.5)
            return min(max(round(math.exp(low + u * (high - low))), self.low), self.high)
        return self.values[min(int(u * len(self.values)), len(self.values) - 1)]

    def place(self, value: int) -> float:
        """The middle of the part that a value has."""
        if self.log:
            low, high = math.log(self.low - 0.5), math.log(self.high + 0.5)
            return (math.log(value) - low) / (high - low)
        return (self.values.index(value) + 0.5) / len(self.values)


@dataclass(frozen=True)
class Real:
    """Numbers from ``low`` to ``high``."""

    low: float
    high: float
    log: bool = False
    when: Condition = None

    @property
    def ends(self) -> tuple[float, float]:
        """The smallest and the largest."""
        return self.low, self.high

    def at(self, u: float) -> float:
        """The value at a place of the unit interval."""
        if self.log:
            return min(max(self.low * math.pow(self.high / self.low, u), self.low), self.high)
        return min(max(self.low + u * (self.high - self.low), self.low), self.high)

    def place(self, value: float) -> float:
        """Where a value lies."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


@dataclass(frozen=True)
class Choice:
    """One of several values, in no order."""

    values: tuple[Any, ...]
    when: Condition = None

    @property
    def texts(self) -> bool:
        """Whether they are text, which is compiled in."""
        return isinstance(self.values[0], str)

    @property
    def ends(self) -> tuple[Any, Any]:
        """The smallest and the largest; of text the first."""
        return (self.values[0],) * 2 if self.texts else (min(self.values), max(self.values))

    def at(self, u: float) -> Any:
        """The value at a place of the unit interval, of which each has the same part."""
        return self.values[min(int(u * len(self.values)), len(self.values) - 1)]

    def place(self, value: Any) -> float:
        """The middle of the part that a value has."""
        return (self.values.index(value) + 0.5) / len(self.values)


Axis = Integer | Real | Choice


def written(axis: Axis) -> str:
    """An axis as the call that makes it.

    >>> written(choice(["a", "b"], when="n > 5"))
    "choice(['a', 'b'], when='n > 5')"
    """
    ends = [repr([*axis.values])] if isinstance(axis, Choice) else [repr(end) for end in axis.ends]
    named = [f"step={axis.step}"] if isinstance(axis, Integer) and axis.step != 1 else []
    named += ["log=True"] if not isinstance(axis, Choice) and axis.log else []
    named += [f"when={axis.when!r}"] if axis.when is not None else []
    return f"{type(axis).__name__.lower()}({', '.join((*ends, *named))})"


known = lru_cache(condition)  # a text is asked for every point


@arguments()
def integer(low: int, high: int, *, step: int = 1, log: bool = False, when: Condition = None) -> Integer:
    """Whole numbers from ``low`` to ``high``, both included where ``step`` reaches them.

    ``log`` spreads them evenly in logarithms (``low`` from 1 on, steps of 1). ``when``, an expression such as
    ``"kind == 'a'"`` or a function of the parameters before it, says where there is a choice at all: elsewhere the
    parameter has the value that ``params``, or its default, gives it (rule D1). Raises UsageError for other numbers,
    those beyond 2^53 among them, which a float does not tell apart.

    >>> list(integer(5, 22, step=5).values)
    [5, 10, 15, 20]
    """
    given: list[Any] = [low, high, step]  # whatever the annotations say
    whole = [isinstance(v, (int, np.integer)) and not isinstance(v, bool) for v in given]
    fits = all(whole) and step >= 1 and low + step <= high and not (log and (low < 1 or step != 1))
    if not fits or not -LARGEST <= low < high <= LARGEST:
        wanted = "whole numbers from -2^53 to 2^53, low + step <= high; with log=True low >= 1 and step=1"
        found = f"({low!r}, {high!r}, step={step!r}{', log=True' if log else ''})"
        raise UsageError(message("kk.integer", found, wanted, "Write kk.integer(5, 50, step=5)."))
    low, high, step = int(low), int(high), int(step)
    check_when(when)
    return Integer(low, range(low, high + 1, step)[-1], step, bool(log), when)


@arguments()
def real(low: float, high: float, *, log: bool = False, when: Condition = None) -> Real:
    """Numbers from ``low`` to ``high``; ``log`` spreads them evenly in logarithms. ``when`` as in `integer`.

    Raises UsageError for ends that are not finite, or in another order, and for ``log`` with ``low`` not above 0.

    >>> real(0.01, 1.0, log=True).at(0.5).__round__(6)
    0.1
    """
    given: list[Any] = [low, high]
    fits = all(map(is_number, given)) and low < high and not (log and not low > 0.0)
    if not fits or not math.isfinite(float(high) / float(low) if log else float(high) - float(low)):
        wanted = "finite numbers, and a finite way between them, low < high; with log=True low > 0"
        raise UsageError(message("kk.real", f"({low!r}, {high!r})", wanted, "Write kk.real(0.1, 2.0, log=True)."))
    check_when(when)
    return Real(float(low), float(high), bool(log), when)


@arguments()
def choice(values: Sequence[Any], *, when: Condition = None) -> Choice:
    """One of ``values``: numbers, booleans or texts, in no order. ``when`` as in `integer`.

    Raises UsageError for fewer than two, one twice, and anything else.

    >>> choice(["a", "b"]).at(0.7)
    'b'
    """
    several: object = values
    given = [plain(v) for v in several] if isinstance(several, Iterable) and not isinstance(several, str) else []
    kinds = {isinstance(v, str) for v in given}
    fine = all(isinstance(v, (bool, int, float, str)) and v == v for v in given)
    if len(given) < 2 or not fine or len(set(given)) < len(given) or len(kinds) > 1:
        wanted, fix = "two or more numbers, or texts, each once", 'Write kk.choice([1, 2]) or kk.choice(["a", "b"]).'
        raise UsageError(message("kk.choice", repr(values), wanted, fix))
    check_when(when)
    return Choice(tuple(given), when)


def check_when(when: Any) -> None:
    """Raise UsageError for a condition of an axis that is none."""
    if when is not None:
        condition(when, "when")


@dataclass(frozen=True)
class Space:
    """Axes by parameter, what else is bound (among it what an axis has where it is no choice), and the constraint."""

    axes: dict[str, Axis]
    scalars: dict[str, Any]
    where: Condition = None

    @classmethod
    def of(
        cls, strategy: Strategy | Signal, axes: Mapping[str, Axis], params: Mapping[str, Any] | None, where: Condition
    ) -> Space:
        """A strategy's; raises UsageError for what is no axis, an unknown parameter, and one that lacks a value."""
        own: Any = axes
        if not isinstance(own, Mapping) or not own:
            fix = "Write dict(fast=kk.integer(5, 50), slow=kk.integer(60, 200))."
            raise UsageError(message("space of a search", repr(axes), "a dict of parameters and what they may be", fix))
        for name, axis in own.items():
            if not isinstance(axis, Axis):
                fix = f"Write {name}=kk.choice([...]); what is fixed belongs to params=."
                wanted = "kk.integer, kk.real or kk.choice"
                raise UsageError(message(f"{name!r} of a space", repr(axis), wanted, fix))
        given = checked(f"params of {strategy.name}", params)
        scalars, lists = bind(strategy, given, {n: list(dict.fromkeys(axis.ends)) for n, axis in axes.items()})
        other = [n for n in lists if n not in axes]
        if other:
            fix = f"Put it into the space: {other[0]}=kk.choice([...])."
            raise UsageError(message(f"parameter {other[0]!r} of a search", "several values", "one", fix))
        for name, axis in axes.items():
            if axis.when is None:
                continue
            value = plain(given.get(name, strategy.defaults[name]))
            if not isinstance(value, (bool, int, float, str)):
                fix = f"Pass params=dict({name}=...), which holds where there is no choice."
                raise UsageError(message(f"conditional parameter {name!r}", "no default", "a value", fix))
            scalars[name] = value
        if where is not None:
            condition(where)
        return cls(dict(axes), scalars, where)

    @property
    def names(self) -> list[str]:
        """The parameters."""
        return list(self.axes)

    @property
    def texts(self) -> list[str]:
        """Those that are text."""
        return [n for n, axis in self.axes.items() if isinstance(axis, Choice) and axis.texts]

    def chosen(self, pick: Callable[[str, Axis], Any]) -> tuple[Any, ...]:
        """Values by axis: ``pick`` is asked in order for each that is a choice, given those before it."""
        values = dict(self.scalars)
        for name, axis in self.axes.items():
            if axis.when is None or self._holds(f"when of {name}", axis.when, values):
                values[name] = pick(name, axis)
        return tuple(values[n] for n in self.axes)

    def fits(self, values: Sequence[Any]) -> bool:
        """Whether ``where`` allows these values."""
        return self.where is None or self._holds("where", self.where, {**self.scalars, **self.named(values)})

    def named(self, values: Sequence[Any]) -> dict[str, Any]:
        """Values by name."""
        return dict(zip(self.axes, values, strict=True))

    def at(self, point: Sequence[float]) -> tuple[Any, ...] | None:
        """The values at a point of the unit cube; None where they do not fit."""
        places = dict(zip(self.axes, point, strict=True))
        values = self.chosen(lambda name, axis: axis.at(float(places[name])))
        return values if self.fits(values) else None

    def place(self, values: Sequence[Any]) -> list[float]:
        """Where these values lie in the unit cube; a half along an axis that has no such value."""
        out = []
        for axis, value in zip(self.axes.values(), values, strict=True):
            low, high = axis.ends
            known = value in axis.values if not isinstance(axis, Real) else low <= value <= high
            out.append(axis.place(value) if known else 0.5)
        return out

    def sample(self, seed: int, number: int, stream: int = 0) -> tuple[Any, ...]:
        """The random point of this ``number`` (rule D2); raises UsageError where hardly anything fits."""
        d, block = len(self.axes), 16
        for first in range(0, MISSES, block):
            steps = d * np.arange(first, first + block)[:, None] + np.arange(d)
            for point in rng.uniform(seed, number, steps, stream):
                values = self.at(point)
                if values is not None:
                    return values
        raise self.empty()

    def samples(self, seed: int, numbers: Sequence[int], stream: int = 0) -> list[tuple[Any, ...]]:
        """The random points of these numbers; the first attempts of all are drawn at once."""
        paths = np.asarray(numbers, "i8")[:, None]
        first = rng.uniform(seed, paths, np.arange(len(self.axes)), stream)
        found = zip(numbers, map(self.at, first), strict=True)
        return [self.sample(seed, k, stream) if values is None else values for k, values in found]

    def empty(self) -> UsageError:
        """That hardly anything fits."""
        found = f"no point in {MISSES:,} that fits"
        return UsageError(message(f"where={self.where!r}", found, "a space that has some", "Widen it, or its limits."))

    def cells(self) -> Iterator[tuple[Any, ...]]:
        """All points, those that fit, in the order of a grid; raises UsageError for a real axis, and too many."""
        parts = []
        for name, axis in self.axes.items():
            if isinstance(axis, Real):
                fix = "Write kk.choice([...]), or choose another method."
                raise UsageError(message(f"{name!r} of a grid", "kk.real", "a number of values", fix))
            parts.append(axis.values)
        many = math.prod(map(len, parts))
        if many > MOST_CELLS:
            fix = "Take coarser steps, or another method."
            raise UsageError(message("grid", f"{many:,} combinations", f"at most {MOST_CELLS:,}", fix))
        had = set[tuple[Any, ...]]()  # where an axis is no choice its values are one point
        for combo in itertools.product(*parts):
            wanted = self.named(combo)
            values = self.chosen(lambda name, _, wanted=wanted: wanted[name])  # type: ignore[misc]
            if values not in had and self.fits(values):
                had.add(values)
                yield values

    def corners(self) -> list[tuple[Any, ...]]:
        """Points whose warm-up is the longest that any point can need (D2), text by the first: ends of all axes."""
        ends = [
            tuple(dict.fromkeys((*axis.ends, *((self.scalars[n],) if axis.when is not None else ()))))
            for n, axis in self.axes.items()
            if n not in self.texts
        ]
        if math.prod(map(len, ends)) <= CORNERS:
            return [*itertools.product(*ends)]
        low, high = (tuple(pick(end) for end in ends) for pick in (min, max))
        return [low, *((*low[:k], high[k], *low[k + 1 :]) for k in range(len(ends))), high]

    def text(self) -> str:
        """The space as its author would write it, for the record.

        >>> Space({"n": integer(5, 50, step=5)}, {}, "n > 5").text()
        "n=integer(5, 50, step=5); where='n > 5'"
        """
        axes = ", ".join(f"{n}={written(axis)}" for n, axis in self.axes.items())
        return axes + (f"; where={self.where!r}" if self.where is not None else "")

    def _holds(self, what: str, asked: str | Callable[..., Any], values: Mapping[str, Any]) -> bool:
        holds = asked if callable(asked) else known(asked)
        try:
            return bool(holds(**values))
        except Exception as error:
            given = ", ".join(f"{n}={v!r}" for n, v in values.items())
            fix = "Name parameters of the strategy; a function takes all of them by name."
            raise UsageError(message(f"{what}={asked!r}", told(error), f"a condition on {given}", fix)) from error
