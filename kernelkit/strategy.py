"""A function becomes a strategy: its source, what it captures and its parameters, addressed by content."""

from __future__ import annotations

import ast
import copy
import hashlib
import inspect
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, overload

import numpy as np

from kernelkit.errors import StrategyError, message
from kernelkit.kernels import context
from kernelkit.kernels.entries import Returns, entries
from kernelkit.kernels.layout import FRAME
from kernelkit.kernels.lower import Lowering
from kernelkit.kernels.plan import Plan, Ring, Site
from kernelkit.kernels.source import Source, emit, read_source
from kernelkit.kernels.tools import PRELUDE, TAIL, TOOLS, offset, safe

FRAME_I = offset(FRAME, "i")
ALLOWED_MODULES = ("math", "numpy")
SCALARS = (bool, int, float)
REWRITE = "Rewrite it with numbers, or run with debug=True."


def ring(n: int) -> Ring:
    """Declare state that keeps the last ``n`` floats: ``.push(x)``, ``[0]`` the newest, ``[-1]`` the one before.

    ``.count`` is how many were ever pushed. Raises StrategyError unless ``n`` is a positive int.

    >>> ring(3).n
    3
    """
    if type(n) is not int or n < 1:
        raise StrategyError(message("ring", n, "a positive number of values", "Write kk.ring(20)."))
    return Ring(n)


def captured(function: FunctionType, tree: ast.FunctionDef) -> dict[str, Any]:
    """Global and closure values that the function's body really names (attribute names do not count)."""
    cells = dict(zip(function.__code__.co_freevars, (c.cell_contents for c in function.__closure__ or ()), strict=True))
    out = {}
    for node in ast.walk(ast.Module(tree.body, [])):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            if node.id in cells:
                out[node.id] = cells[node.id]
            elif node.id in function.__globals__ and node.id not in function.__code__.co_varnames:
                out[node.id] = function.__globals__[node.id]
    return out


def first_use(tree: ast.FunctionDef, name: str) -> ast.AST:
    """Where a function's body first names something."""
    uses = [n for n in ast.walk(ast.Module(tree.body, [])) if isinstance(n, ast.Name) and n.id == name]
    return min(uses, key=lambda n: (n.lineno, n.col_offset))


@dataclass(frozen=True)
class Program:
    """A strategy bound to parameter types: the text to compile and the plan of its slots; plain data, it travels."""

    name: str
    text: str
    plan: Plan

    @property
    def key(self) -> str:
        """Content address."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:20]

    def entry(self) -> int:
        """Compile, or load from the cache; the entry's machine address, valid in this process."""
        from kernelkit.kernels import compile as native

        try:
            return native.entry(self.text, "strategy")
        except native.compile_errors() as error:
            raise StrategyError(self.explain(str(error))) from None

    def explain(self, text: str) -> str:
        """A compiler message in terms of the user's line."""
        lines = self.text.splitlines()
        numbers = [int(a or b) for a, b in re.findall(r"line (\d+)|\((\d+)\)", text)]
        missing = re.search(r"name '(\w+)' is not defined", text)
        if missing:  # the compiler does not say where
            numbers = [k for k, line in enumerate(lines, 1) if re.search(rf"\b{missing[1]}\b", line)][::-1]
        said = [t for t in text.splitlines() if t and not t.startswith(("Failed in", "During"))] or [text.strip()]
        first = re.sub(r",? defined at \S+( \(\d+\))?", "", said[0]).strip().replace(TAIL, "")
        for number in reversed(numbers):
            if 0 < number <= len(lines) and "# L" in lines[number - 1]:
                code, _, line = lines[number - 1].rpartition("# L")
                what = code.strip().replace(TAIL, "")
                return f"{self.name}, line {line}: cannot be compiled: `{what}`. {first}. {REWRITE}"
        return f"{self.name} cannot be compiled: {first}. {REWRITE}"


class Indicator:
    """An own causal indicator, ``f(s, x, *arguments)``: state per call site, updated every bar."""

    def __init__(self, function: FunctionType, state: Mapping[str, Any]) -> None:
        self.function, self.state, self.name = function, dict(state), function.__name__
        self.source = read_source(function)
        self.arguments = list(inspect.signature(function).parameters)
        if len(self.arguments) < 2:
            raise StrategyError(
                message(f"indicator {self.name}", self.arguments, "(s, x, ...)", "Take the state and the value first.")
            )
        self.text(Plan({}, {}))

    @property
    def words(self) -> int:
        """Words of state."""
        return sum(v.n + 1 if isinstance(v, Ring) else 1 for v in self.state.values())

    def text(self, strategy: Plan) -> str:
        """Kernel source of the update; the strategy's plan hears whether it can raise, and what cannot be compiled."""
        plan = Plan({}, self.state)
        plan.places = {n: p + context.FIRST_WORD for n, p in plan.places.items()}
        lowering = Lowering(self.source, plan, None, self.arguments[0], {}, 1)
        body = [Returned(self.name).visit(lowering.visit(n)) for n in copy_body(self.source.tree)]
        strategy.raises = strategy.raises or plan.raises
        strategy.uncompilable = strategy.uncompilable or plan.uncompilable
        extra = "".join(f", {safe(a)}" for a in self.arguments[2:])
        return (
            f"def {self.name}_value(_s, {safe(self.arguments[1])}{extra}):\n"
            + "\n".join(emit(self.source, [ast.fix_missing_locations(n) for n in body]))
            + f"\n\ndef {self.name}_update(frame, slot, c{extra}):\n"
            + f"    value = {self.name}_value(slot, f8(column_at(frame, c, i8(frame + {FRAME_I}))){extra})\n"
            + "    put_f8(slot + 8, f8(slot))\n    put_f8(slot, float(value))\n    return float(value)\n"
        )

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


class Strategy:
    """An event-driven strategy: ``f(ctx, **params)``, or ``f(ctx, s, **params)`` with declared state."""

    def __init__(
        self,
        function: FunctionType,
        state: Mapping[str, Any] | None = None,
        warmup: int | Callable[[Any], int] | None = None,
    ) -> None:
        self.function, self.name, self.warmup = function, function.__name__, warmup
        self.state = dict(state or {})
        self.source = read_source(function)
        signature = list(inspect.signature(function).parameters.values())
        skip = 2 if self.state else 1
        if len(signature) < skip:
            found, fix = f"{len(signature)} parameters", "The first is ctx, with state the second is s."
            raise StrategyError(message(f"strategy {self.name}", found, f"at least {skip}", fix))
        self.ctx, self.s = signature[0].name, signature[1].name if self.state else None
        for p in signature[skip:]:
            if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
                raise StrategyError(
                    message(f"strategy {self.name}", str(p), "named parameters", "Name each parameter.")
                )
        self.defaults = {p.name: p.default for p in signature[skip:]}
        for name, value in self.state.items():
            if not isinstance(value, (*SCALARS, Ring)):
                wanted, fix = "a number, a bool or kk.ring(n)", "Declare state=dict(x=0.0)."
                raise StrategyError(message(f"state {name!r} of {self.name}", type(value).__name__, wanted, fix))
        self.program(
            {n: type(v) if isinstance(v, (*SCALARS, str)) else int for n, v in self.defaults.items()},
            {n: v for n, v in self.defaults.items() if isinstance(v, str)},
        )

    def __repr__(self) -> str:
        text = ", ".join(n if d is inspect.Parameter.empty else f"{n}={d!r}" for n, d in self.defaults.items())
        return f"<strategy {self.name}({text})>"

    def parts(self) -> tuple[dict[str, str], list[str], dict[str, Indicator]]:
        """What the function captures: roles by name, module text, own indicators."""
        roles: dict[str, str] = {}
        texts: list[str] = []
        own: dict[str, Indicator] = {}
        seen: dict[str, Any] = {}

        def collect(function: FunctionType, source: Source, context_name: str | None) -> None:
            for name, value in captured(function, source.tree).items():
                value = getattr(value, "py_func", value)
                if name in seen and not (seen[name] is value or (isinstance(value, SCALARS) and seen[name] == value)):
                    source.refuse(
                        first_use(source.tree, name), f"two different values are called `{name}`", "rename one of them"
                    )
                if name in seen or name == context_name:
                    continue
                seen[name] = value
                if isinstance(value, Indicator):
                    roles[name], own[name] = f"indicator {value.words} {value.name}", value
                    collect(value.function, value.source, None)
                elif isinstance(value, (*SCALARS, str)):
                    roles[name] = "constant"
                    texts.append(f"{safe(name)} = {constant(value)}")
                elif isinstance(value, ModuleType) and value.__name__ in ALLOWED_MODULES:
                    roles[name] = "module"
                    texts.append(f"import {value.__name__} as {safe(name)}")
                elif getattr(value, "__module__", None) in ("math", "builtins") and callable(value):
                    roles[name] = "function"
                    if value.__module__ == "math":
                        texts.append(f"from math import {value.__name__} as {safe(name)}")
                elif isinstance(value, FunctionType):
                    roles[name] = "helper"
                    inner = read_source(value)
                    passed = passes_context(source.tree, name, context_name)
                    own_context = inner.tree.args.args[passed].arg if passed is not None else None
                    collect(value, inner, own_context)
                    helpers.append((name, inner, own_context, value.__defaults__ or ()))
                else:
                    source.refuse(
                        first_use(source.tree, name),
                        f"it captures `{name}`, a {type(value).__name__}",
                        "only numbers, math, numpy and functions can be captured; "
                        "arrays would be a way to see the future and enter with kk.feature",
                    )

        helpers: list[tuple[str, Source, str | None, tuple[Any, ...]]] = []
        collect(self.function, self.source, self.ctx)
        self.helpers = helpers
        return roles, texts, own

    def program(self, types: Mapping[str, type], strings: Mapping[str, str] | None = None) -> Program:
        """Lower for these parameter types; string parameters are constants of the text."""
        strings = dict(strings or {})
        roles, texts, own = self.parts()
        plan = Plan({n: t for n, t in types.items() if t is not str}, self.state)
        for name, inner, context_name, defaults in self.helpers:
            prepare_helper(name, inner, context_name, defaults, plan, roles, texts)
        indicators = [i.text(plan) for i in own.values()]
        lowering = Lowering(self.source, plan, self.ctx, self.s, roles)
        body = [lowering.visit(node) for node in copy_body(self.source.tree)]
        body = flatten([Returns().visit(node) for node in body])
        lines = emit(self.source, [ast.fix_missing_locations(n) for n in body], 2 if plan.raises else 1)
        text = (
            "\n".join(
                [
                    PRELUDE,
                    tools_text(),
                    *indicators,
                    *texts,
                    *[f"{safe(n)} = {v!r}" for n, v in strings.items()],
                    entries(plan, lines),
                ]
            )
            + "\n"
        )
        return Program(self.name, text, plan)

    def bars_needed(self, program: Program, params: Mapping[str, Any]) -> int:
        """Bars before the first decision: declared, or inferred from the indicators' windows and the history read."""
        declared: Any = self.warmup(Params(params)) if callable(self.warmup) else self.warmup
        if declared is not None:
            if not isinstance(declared, (int, np.integer)) or isinstance(declared, bool) or declared < 0:
                fix = "Write warmup=100, or warmup=lambda p: p.slow."
                raise StrategyError(message(f"warmup of {self.name}", declared, "a number of bars, 0 or more", fix))
            return int(declared)
        need = program.plan.reach
        for site in program.plan.sites:
            if not site.custom:
                need = max(need, site_period(site, params) + site.rolling.late + min(program.plan.reach, 1))
        return need


@dataclass(frozen=True)
class Params:
    """Bound parameters by attribute, for ``warmup=lambda p: p.slow``."""

    values: Mapping[str, Any]

    def __getattr__(self, name: str) -> Any:
        try:
            return self.values[name]
        except KeyError:
            raise AttributeError(f"no parameter {name!r}; there are {', '.join(self.values)}") from None


def site_period(site: Site, params: Mapping[str, Any]) -> int:
    """The window of an indicator under these parameters."""
    text = site.arguments[0]
    return int(params[text]) if text in params else int(ast.literal_eval(text))


def constant(value: Any) -> str:
    """A scalar as source text.

    >>> constant(0.1), constant(float("inf"))
    ('0.1', "float('inf')")
    """
    if isinstance(value, float) and not math.isfinite(value):
        return f"float({str(value)!r})"
    return repr(value)


def copy_body(tree: ast.FunctionDef) -> list[ast.stmt]:
    """A fresh copy of the function's statements, line numbers kept (lowering rewrites in place)."""
    return copy.deepcopy(tree.body)


def flatten(statements: list[Any]) -> list[ast.stmt]:
    """One level of lists, as a transformer may return two statements for one."""
    out: list[ast.stmt] = []
    for s in statements:
        out += s if isinstance(s, list) else [s]
    return out


def passes_context(tree: ast.FunctionDef, helper: str, context_name: str | None) -> int | None:
    """Which argument of `helper` receives the context, if any."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == helper:
            for k, a in enumerate(node.args):
                if isinstance(a, ast.Name) and a.id == context_name:
                    return k
    return None


def prepare_helper(
    name: str,
    source: Source,
    context_name: str | None,
    defaults: tuple[Any, ...],
    plan: Plan,
    roles: dict[str, str],
    texts: list[str],
) -> None:
    """Lower a captured function and add its text; a default is the value that it had when the function was defined."""
    arguments = ["frame" if a.arg == context_name else safe(a.arg) for a in source.tree.args.args]
    for k, (value, node) in enumerate(zip(reversed(defaults), reversed(source.tree.args.defaults), strict=True)):
        if not isinstance(value, SCALARS):
            source.refuse(node, f"a default of type {type(value).__name__}", "helpers take numbers")
        arguments[-1 - k] += f"={constant(value)}"
    lowering = Lowering(source, plan, context_name, None, roles, 1)
    body = [lowering.visit(n) for n in copy_body(source.tree)]
    head = f"def {safe(name)}({', '.join(arguments)}):\n"
    if context_name:
        head += f"    _i = i8(frame + {FRAME_I})\n"
    text = head + "\n".join(emit(source, [ast.fix_missing_locations(n) for n in body]))
    if text not in texts:
        texts.append(text)


@cache
def tools_text() -> str:
    """What lowered code may call: its tools and the indicator kernels. Only what an entry reaches is compiled."""
    from kernelkit.kernels.compile import bare

    source = (Path(__file__).parent / "kernels" / "indicators.py").read_text()
    kept = [n for n in bare(source).body if getattr(n, "name", "") not in TOOLS and not isinstance(n, ast.ImportFrom)]
    return "".join(TOOLS.values()) + ast.unparse(ast.Module(kept, []))


class Signal:
    """A vectorised strategy: ``f(ds, **params)`` returns targets over ``time``; NaN leaves the position as it is."""

    def __init__(self, function: FunctionType, units: str = "weight") -> None:
        if units not in ("weight", "quantity"):
            raise StrategyError(
                message("units of a signal", units, "'weight' or 'quantity'", "Leave it out for weights.")
            )
        self.function, self.name, self.units = function, function.__name__, units
        signature = list(inspect.signature(function).parameters.values())
        if not signature:
            raise StrategyError(message(f"signal {self.name}", "no parameters", "(ds, ...)", "Take the bars first."))
        self.defaults = {p.name: p.default for p in signature[1:]}
        self.source = read_source(function)
        self.follower = follow_quantity if units == "quantity" else follow_weight

    def __repr__(self) -> str:
        return f"<signal {self.name}({', '.join(self.defaults)})>"


@overload
def strategy(function: Callable[..., Any], /) -> Strategy: ...
@overload
def strategy(
    *, state: Mapping[str, Any] | None = None, warmup: int | Callable[[Any], int] | None = None
) -> Callable[[Callable[..., Any]], Strategy]: ...
def strategy(function: Any = None, /, *, state: Any = None, warmup: Any = None) -> Any:
    """Make ``f(ctx, **params)`` an event-driven strategy: it runs after each bar has closed, its orders act later (T5).

    With ``state`` it is ``f(ctx, s, **params)``. ``warmup`` is the bars before the first decision, or a function of
    the parameters; without it they are inferred. Raises StrategyError for what cannot be compiled, with its line.

    >>> @strategy(state=dict(entry=0.0), warmup=10)
    ... def hold(ctx, s, weight=1.0):
    ...     ctx.target_percent(weight)
    >>> hold
    <strategy hold(weight=1.0)>
    """
    if function is not None:
        return Strategy(function)
    return lambda f: Strategy(f, state, warmup)


def signal(function: Any = None, /, *, units: str = "weight") -> Any:
    """Make ``f(ds, **params)``, which returns targets (time,) or (time, asset), a strategy.

    Row ``t`` is traded at the open of ``t + 1``; ``units`` says whether it is an equity ``"weight"`` or a
    ``"quantity"`` in base units. Only `kk.audit` can show that such a function is blind to the future.

    >>> @signal
    ... def trend(ds, n=20):
    ...     return (ds["close"] > ds["close"].rolling(time=n).mean()) * 1.0
    >>> trend
    <signal trend(n)>
    """
    if function is not None:
        return Signal(function, units)
    return lambda f: Signal(f, units)


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
    if function is not None:
        return Indicator(function, {})
    return lambda f: Indicator(f, state or {})


@strategy
def follow_weight(ctx):  # type: ignore[no-untyped-def]
    """What a signal of weights trades (rule S3)."""
    w = ctx.x.target[0]
    if w == w:
        ctx.target_percent(w)


@strategy
def follow_quantity(ctx):  # type: ignore[no-untyped-def]
    """What a signal of quantities trades (rule S4)."""
    q = ctx.x.target[0]
    if q == q:
        ctx.target(q)
