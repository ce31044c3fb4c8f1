"""Cost models: one small function each, compiled alone and called by the engine through its address (rules C1-C5)."""

from __future__ import annotations

import ast
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any, NewType, Protocol

from kernelkit.errors import StrategyError, message
from kernelkit.kernels.layout import MODEL_SLOTS
from kernelkit.kernels.source import Source, read_source
from kernelkit.kernels.tools import model_text


class Trade(Protocol):
    """What a cost model sees of one trade (rule C3).

    ``side`` is +1 or -1; ``quantity``, ``filled`` (of this order, before) and ``volume`` (mean of the 20 bars before)
    are in base units, ``price``, ``notional``, ``paid`` (fees of this order, before) and ``equity`` in quote currency;
    ``position`` is signed, ``time`` in ns since 1970, UTC.
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


Rate = NewType("Rate", float)  # a parameter that is a fraction of the traded value: below 1, or percent was meant


@dataclass(frozen=True)
class CostModel:
    """A model with its parameters bound. Plain data: the text travels to workers, the function serves debug mode."""

    name: str
    text: str
    values: tuple[tuple[str, float], ...]
    function: Callable[..., float]

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(f'{n}={v:g}' for n, v in self.values)})"

    def __reduce__(self) -> Any:
        return (CostModel, (self.name, self.text, self.values, _travelled))

    @cached_property
    def slots(self) -> list[float]:
        """Parameter values as the VENUE record takes them, padded with zeros to MODEL_SLOTS."""
        return [v for _, v in self.values] + [0.0] * (MODEL_SLOTS - len(self.values))

    def entry(self) -> int:
        """Machine address, valid in this process."""
        from kernelkit.kernels import compile as native

        return native.model(self.text)

    @property
    def charges(self) -> bool:
        """Whether it is known never to answer with less than zero: one of `kernelkit.fees`, with no negative number."""
        return self.function.__module__ == "kernelkit.market.fees" and all(v >= 0.0 for _, v in self.values)


def _travelled(*_: Any) -> float:
    raise StrategyError(
        "a cost model that came from another process runs compiled only; use debug=True where it was defined"
    )


def cost_model(function: Callable[..., float]) -> Callable[..., CostModel]:
    """Turn ``f(m, a=..., b=...)`` into a factory of models with their numbers bound (rules C1-C5).

    ``m`` is a `Trade`. A fee model answers in quote currency, a slippage model with a fraction of the price. Raises
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
    text = model_text(source, parameters[0].name, names, imports_of(function, source))
    signature = inspect.Signature(parameters[1:])

    def factory(*args: float, **kwargs: float) -> CostModel:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        values = _finite(function.__name__, bound.arguments)
        for name, value in values:
            if signature.parameters[name].annotation in (Rate, "Rate") and abs(value) >= 1.0:
                wanted, fix = "a fraction of the traded value, below 1", "0.001 is 10 basis points, 0.02 is 2 percent."
                raise StrategyError(message(f"{name} of {function.__name__}", value, wanted, fix))
        return CostModel(function.__name__, text, values, function)

    factory.__name__, factory.__doc__, factory.__qualname__ = function.__name__, function.__doc__, function.__qualname__
    factory.__module__ = function.__module__
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


def _finite(name: str, values: Mapping[str, Any]) -> tuple[tuple[str, float], ...]:
    for key, value in values.items():
        if not isinstance(value, (int, float)) or not math.isfinite(value):
            raise StrategyError(message(f"{key} of {name}", value, "a finite number", f"Write {name}({key}=0.001)."))
    return tuple((k, float(v)) for k, v in values.items())
