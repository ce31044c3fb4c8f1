"""Own causal indicators: a function of one value a bar, with state of its own at every call site."""

from __future__ import annotations

import ast
import copy
import inspect
from collections.abc import Mapping
from types import FunctionType
from typing import Any

from kernelkit.errors import StrategyError, arguments, message
from kernelkit.kernels import context
from kernelkit.kernels.layout import FAILED
from kernelkit.kernels.lower import Lowering
from kernelkit.kernels.plan import Plan, Ring, plain
from kernelkit.kernels.source import emit, read_source
from kernelkit.kernels.tools import safe


class Indicator:
    """An own causal indicator, ``f(s, x, *arguments)``: state per call site, updated every bar."""

    def __init__(self, function: FunctionType, state: Mapping[str, Any]) -> None:
        self.source = read_source(function)
        self.function, self.state, self.name = function, {n: plain(v) for n, v in state.items()}, function.__name__
        self.arguments = list(inspect.signature(function).parameters)
        if len(self.arguments) < 2:
            raise StrategyError(
                message(f"indicator {self.name}", self.arguments, "(s, x, ...)", "Take the state and the value first.")
            )
        self.text(Plan({}, {}))

    @property
    def kind(self) -> str:
        """The name of its kernel."""
        return f"_own_{self.name}_update"

    @property
    def words(self) -> int:
        """Words of state."""
        return sum(v.n + 1 if isinstance(v, Ring) else 1 for v in self.state.values())

    def text(self, strategy: Plan) -> str:
        """Kernel source of the update; the strategy's plan hears whether it can raise, and what cannot be compiled.

        One that can gives, from the bar on at which it does, a NaN that names that bar.
        """
        plan = Plan({}, self.state)
        plan.places = {n: p + context.FIRST_WORD for n, p in plan.places.items()}
        lowering = Lowering(self.source, plan, None, self.arguments[0], {}, 1)
        body = [Returned(self.name).visit(lowering.visit(n)) for n in copy.deepcopy(self.source.tree.body)]
        strategy.uncompilable = strategy.uncompilable or plan.uncompilable
        named = "".join(f", {safe(a)}" for a in self.arguments[2:])
        given = "".join(f", _a{k}" for k in range(len(self.arguments) - 2))
        name, value = f"_own_{self.name}", f"float(_own_{self.name}_value(slot, f8(column + 8 * i){given}))"
        lines = [f"def {name}_value(_s, {safe(self.arguments[1])}{named}):"]
        lines += emit(self.source, [ast.fix_missing_locations(n) for n in body])
        if plan.raises:
            strategy.risky.append(self.kind)
            lines += [
                f"def {name}_guarded(slot, column, i{given}):",
                "    value = f8(slot)",
                f"    if bits(value) >> 32 == {FAILED}:",
                "        return value",
                "    try:",
                f"        return {value}",
                "    except Exception:",
                f"        return unbits({FAILED << 32} | i)",
            ]
            value = f"{name}_guarded(slot, column, i{given})"
        lines += [
            f"def {self.kind}(frame, slot, c, first, last, out{given}):",
            "    column = column_at(frame, c, 0)",
            "    for i in range(first, last):",
            f"        value = {value}",
            "        put_f8(out + 8 * (i - first), value)",
            *(["        put_f8(slot, value)"] if plan.raises else []),
        ]
        return "\n".join(lines) + "\n"

    def __call__(self, series: Any, *arguments: Any) -> Any:
        """In debug mode: the site's present value."""
        return series.own(self, arguments)


class Returned(ast.NodeTransformer):
    """An indicator must return its value."""

    def __init__(self, name: str) -> None:
        self.name = name

    def visit_Return(self, node: ast.Return) -> ast.AST:
        """Refuse a bare return."""
        if node.value is None:
            raise StrategyError(
                message(
                    f"indicator {self.name}", "a bare return", "a value", "Return a float; nan while there is none."
                )
            )
        return node


@arguments()
def indicator(function: Any = None, /, *, state: Mapping[str, Any] | None = None) -> Any:
    """Make ``f(s, x, *arguments)`` a causal indicator with its own state per call site, called for every bar.

    Raises StrategyError for fewer than two parameters and for a bare return.

    >>> @indicator(state=dict(e=0.0))
    ... def decay(s, x, rate):
    ...     s.e += rate * (x - s.e)
    ...     return s.e
    >>> decay.words
    1
    """

    def made(f: Any) -> Indicator:
        return Indicator(f, state or {})

    return made if function is None else made(function)
