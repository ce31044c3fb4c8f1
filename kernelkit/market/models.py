"""Cost models: one small function each, compiled alone and called by the engine through its address (rules C1-C5)."""

from __future__ import annotations

import ast
import inspect
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import accumulate
from operator import add
from types import ModuleType
from typing import Annotated, Any, Protocol

from kernelkit.errors import StrategyError, UsageError, arguments, message, misfit
from kernelkit.kernels.layout import MODEL_SLOTS
from kernelkit.kernels.source import Source, read_source
from kernelkit.kernels.tools import during_text, model_text, total_text


class Trade(Protocol):
    """What a cost model sees of one trade (rule C3).

    ``side`` is +1 or -1; ``quantity``, ``filled`` (of this order, before) and ``volume`` (mean of the 20 bars before)
    are in base units, ``price``, ``notional``, ``paid`` (fees of this order, before) and ``equity`` in quote currency;
    ``position`` is signed, ``time`` in ns since 1970, UTC. ``maker`` is 1 for a limit order that is met where it rests,
    else 0; ``tick`` is the step of prices; ``volatility`` the standard deviation of the up to 20 returns of bars
    before; ``traded`` what the account traded in the 30 days before this one, and ``filled_notional`` what this order
    did before, both in quote currency.
    """

    side: float
    quantity: float
    price: float
    notional: float
    filled: float
    paid: float
    volume: float
    position: float
    equity: float
    time: int
    maker: float
    tick: float
    volatility: float
    traded: float
    filled_notional: float


# A parameter that is a fraction of the traded value: below 1, or percent was meant.
Rate = Annotated[float, "a fraction of the traded value"]


Value = float | tuple[float, ...]


@dataclass(frozen=True)
class CostModel:
    """A model with its parameters bound. Plain data: the text travels to workers, the function serves debug mode.

    ``a + b`` is the model that answers with the sum of both; it has ``parts`` and no function of its own, and so has
    one with a ``scale``: factor, factor outside, first time and end (ns), of its only part.
    """

    name: str
    text: str
    values: tuple[tuple[str, Value], ...]
    function: Callable[..., float] | None
    parts: tuple[CostModel, ...] = ()
    scale: tuple[float, ...] = ()

    def __repr__(self) -> str:
        if self.scale:
            factor, outside = (f"{f:g}" for f in self.scale[:2])
            return f"{factor} * {self.parts[0]!r} for a time" + (f", else {outside} * that" if outside != "1" else "")
        if self.parts:
            return " + ".join(map(repr, self.parts))
        return f"{self.name}({', '.join(f'{n}={_written(v)}' for n, v in self.values)})"

    def __reduce__(self) -> Any:
        function = None if self.parts else _travelled
        return (CostModel, (self.name, self.text, self.values, function, self.parts, self.scale))

    def __add__(self, other: CostModel) -> CostModel:
        """The sum of two models, of either kind: from the left, ``(a + b) + c``.

        Raises StrategyError where their numbers together are more than MODEL_SLOTS.
        """
        if not isinstance(other, CostModel):
            return NotImplemented
        parts = (*self.terms, *other.terms)
        return _fitting(CostModel("total", total_text([p.text for p in parts]), (), None, parts))

    @property
    def terms(self) -> tuple[CostModel, ...]:
        """What it is the sum of: itself, where it is none."""
        return self.parts if self.parts and not self.scale else (self,)

    def during(self, start: int, end: int, factor: float, outside: float = 1.0) -> CostModel:
        """What it answers, times ``factor`` from ``start`` up to but not at ``end`` (ns UTC), times ``outside`` else.

        Of a sum each part. Raises StrategyError for a factor that is negative or not finite.

        >>> from kernelkit.market.slippage import fraction
        >>> fraction(0.001).during(0, 10, 5.0)
        5 * fraction(rate=0.001) for a time
        """
        for value in (factor, outside):
            if not (math.isfinite(value) and value >= 0.0):
                fix = "1 changes nothing, 5 makes it five times as dear."
                raise StrategyError(message(f"factor of {self!r}", value, "a finite number, 0 or more", fix))
        scale = (float(factor), float(outside), float(start), float(end))
        each = [_fitting(CostModel("during", during_text(p.text), (), None, (p,), scale)) for p in self.terms]
        return reduce(add, each)

    @cached_property
    def words(self) -> list[float]:
        """The numbers as compiled code finds them: parameters, a table as its place and length, then the tables.

        Of a sum: where the words of each part begin, then those words; of a scaled model its scale first.
        """
        if self.scale:
            return [*self.scale, *self.parts[0].words]
        if self.parts:
            ends = list(accumulate((len(p.words) for p in self.parts), initial=len(self.parts)))
            return [*map(float, ends[:-1]), *(word for p in self.parts for word in p.words)]
        head: list[float] = []
        tail: list[float] = []
        first = sum(2 if isinstance(v, tuple) else 1 for _, v in self.values)
        for _, v in self.values:
            head += [float(first + len(tail)), float(len(v))] if isinstance(v, tuple) else [v]
            tail += v if isinstance(v, tuple) else ()
        return head + tail

    @cached_property
    def slots(self) -> list[float]:
        """The words as the VENUE record takes them, padded with zeros to MODEL_SLOTS."""
        return self.words + [0.0] * (MODEL_SLOTS - len(self.words))

    def ask(self, m: Any, word: Callable[[int], float]) -> float:
        """What the Python function answers to the view ``m``; ``word(k)`` reads a number from the slots."""
        if self.scale:
            factor, outside, start, end = (word(k) for k in range(4))
            return self.parts[0].ask(m, _from(4, word)) * (factor if start <= m.time < end else outside)
        if self.parts:
            return reduce(add, (p.ask(m, _from(int(word(k)), word)) for k, p in enumerate(self.parts)))
        function: Any = self.function
        arguments: list[Value] = []
        at = 0
        for _, value in self.values:
            if isinstance(value, tuple):
                place, size = int(word(at)), int(word(at + 1))
                arguments.append(tuple(word(place + j) for j in range(size)))
            else:
                arguments.append(word(at))
            at += 2 if isinstance(value, tuple) else 1
        return float(function(m, *arguments))

    def entry(self) -> int:
        """Machine address, valid in this process."""
        from kernelkit.kernels import compile as native

        return native.model(self.text)

    @property
    def charges(self) -> bool:
        """Whether it is known never to answer with less than zero: one of `kernelkit.fees`, with no negative number."""
        if self.parts:
            return all(p.charges for p in self.parts)
        return getattr(self.function, "__module__", "") == "kernelkit.market.fees" and all(v >= 0.0 for v in self.words)


def _from(place: int, word: Callable[[int], float]) -> Callable[[int], float]:
    return lambda k: word(place + k)


def _written(value: Value) -> str:
    if not isinstance(value, tuple):
        return f"{value:g}"
    return f"({', '.join(f'{v:g}' for v in value)}{',' if len(value) == 1 else ''})"


def _fitting(model: CostModel) -> CostModel:
    if len(model.words) > MODEL_SLOTS:
        wanted, fix = f"at most {MODEL_SLOTS} in all, with 2 more for each table", "Shorten its tables."
        raise StrategyError(message(f"cost model {model.name}", f"{len(model.words)} numbers", wanted, fix))
    return model


def _travelled(*_: Any) -> float:
    raise StrategyError(
        "a cost model that came from another process runs compiled only; use debug=True where it was defined"
    )


@arguments()
def cost_model(function: Callable[..., float]) -> Callable[..., CostModel]:
    """Turn ``f(m, a=..., b=...)`` into a factory of models with their numbers bound (rules C1-C5).

    ``m`` is a `Trade`. A fee model answers in quote currency, a slippage model with a fraction of the price. A
    parameter that is annotated as a tuple is a table of numbers, read as ``table[i]`` and ``len(table)``. Raises
    StrategyError for what cannot be compiled, and for a parameter that is not a finite number.

    >>> @cost_model
    ... def half_spread(m, ticks=1.0):
    ...     return 0.5 * ticks / m.price
    >>> half_spread(ticks=2)
    half_spread(ticks=2)
    """
    source = read_source(function)
    parameters = list(inspect.signature(function).parameters.values())
    if not parameters or len(parameters) - 1 > MODEL_SLOTS:
        raise StrategyError(
            message(
                f"cost model {function.__name__}",
                f"{len(parameters)} parameters",
                f"m and at most {MODEL_SLOTS} numbers",
                "Shorten it.",
            )
        )
    names = [p.name for p in parameters[1:]]
    tables = {p.name for p in parameters[1:] if _is_table(p.annotation)}
    text = model_text(source, parameters[0].name, names, imports_of(function, source), tables)
    signature = inspect.Signature(parameters[1:])

    def factory(*args: Value, **kwargs: Value) -> CostModel:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError:
            raise UsageError(misfit(factory, factory, args, kwargs, {})) from None
        bound.apply_defaults()
        values = _finite(function.__name__, bound.arguments, tables)
        for name, value in values:
            rate = signature.parameters[name].annotation in (Rate, "Rate")
            if rate and not isinstance(value, tuple) and abs(value) >= 1.0:
                wanted, fix = "a fraction of the traded value, below 1", "0.001 is 10 basis points, 0.02 is 2 percent."
                raise StrategyError(message(f"{name} of {function.__name__}", value, wanted, fix))
        return _fitting(CostModel(function.__name__, text, values, function))

    factory.__name__, factory.__doc__, factory.__qualname__ = function.__name__, function.__doc__, function.__qualname__
    factory.__module__ = function.__module__
    factory.__signature__ = signature  # type: ignore[attr-defined]
    return factory


def imports_of(function: Any, source: Source) -> dict[str, str]:
    """How a compiled model imports what it uses of math and numpy; raises StrategyError for any other global."""
    known = function.__globals__ | dict(inspect.getclosurevars(function).nonlocals)
    nodes = [n for part in source.tree.body for n in ast.walk(part) if isinstance(n, ast.Name)]
    own = {n.id for n in nodes if isinstance(n.ctx, ast.Store)} | set(inspect.signature(function).parameters)
    out = {}
    for node in (n for n in nodes if n.id in known and n.id not in own):
        value = known[node.id]
        if isinstance(value, ModuleType) and value.__name__ in ("math", "numpy"):
            out[node.id] = f"import {value.__name__}"
        elif getattr(value, "__module__", "") == "math":
            out[node.id] = f"from math import {value.__name__}"
        else:
            fix = "make it a parameter of the model; of other names it may use math and numpy"
            source.refuse(node, f"it captures `{node.id}`, a {type(value).__name__}", fix)
    return out


def _is_table(annotation: Any) -> bool:
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    return text.startswith("tuple")


def _finite(name: str, values: Mapping[str, Any], tables: Collection[str]) -> tuple[tuple[str, Value], ...]:
    out: list[tuple[str, Value]] = []
    for key, value in values.items():
        numbers = value if key in tables and isinstance(value, (tuple, list)) and value else [value]
        good = all(isinstance(v, (int, float)) and math.isfinite(v) for v in numbers)
        if not good or (key in tables and numbers is not value):
            wanted = "a sequence of finite numbers" if key in tables else "a finite number"
            example = "(0.001, 0.0005)" if key in tables else "0.001"
            raise StrategyError(message(f"{key} of {name}", value, wanted, f"Write {name}({key}={example})."))
        out.append((key, tuple(map(float, numbers)) if key in tables else float(value)))
    return tuple(out)
