"""A function becomes a strategy: its source, what it captures and its parameters, addressed by content."""

from __future__ import annotations

import ast
import copy
import inspect
import re
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any, overload

import numpy as np

from kernelkit.capture import SCALARS, Capture, captured, code_of, snapshot
from kernelkit.errors import StrategyError, arguments, message
from kernelkit.hooks import MOMENTS, Hook, hook_of, moment, placed
from kernelkit.kernels.entries import Returns, entries
from kernelkit.kernels.lower import Lowering
from kernelkit.kernels.lower_assets import PortfolioLowering
from kernelkit.kernels.lower_each import EachLowering, entries_each
from kernelkit.kernels.lower_hooks import TOLD, Part, entries_of, lowering_of
from kernelkit.kernels.plan import Each, Plan, Ring, Site, plain
from kernelkit.kernels.source import emit, read_source
from kernelkit.kernels.timeframe import timeframed
from kernelkit.kernels.tools import PRELUDE, TAIL, TOOLS, safe
from kernelkit.travelling import Travelling

REWRITE = "Rewrite it with numbers, or run with debug=True."


@arguments()
def ring(n: int) -> Ring:
    """Declare state that keeps the last ``n`` floats: ``.push(x)``, ``[0]`` the newest, ``[-1]`` the one before.

    ``.count`` is how many were ever pushed. Raises StrategyError unless ``n`` is a positive int.

    >>> ring(3).n
    3
    """
    if type(n) is not int or n < 1:
        raise StrategyError(message("ring", n, "a positive number of values", "Write kk.ring(20)."))
    return Ring(n)


@arguments()
def each(value: Any = 0.0) -> Each:
    """Declare state of a portfolio with a number for each asset: ``s.w[k]``, or whole in ``ctx.weights(s.w)``.

    All begin with ``value``. Raises StrategyError unless it is a number.

    >>> each().value
    0.0
    """
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise StrategyError(message("each", value, "the number that all assets begin with", "Write kk.each(0.0)."))
    return Each(float(value))


@dataclass(frozen=True)
class Program:
    """A strategy bound to parameter types: the text to compile and the plan of its slots; plain data, it travels."""

    name: str
    text: str
    plan: Plan

    def load(self) -> None:
        """Compile, or load from the cache."""
        from kernelkit.kernels import compile as native

        try:
            native.strategy(self.text, self.plan.kinds, self.plan.shared)
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
                place = [line for line in lines[: number - 1] if line.startswith("def ")][-1]
                within = f", in {place.rpartition('# in ')[2]}" if "  # in " in place else ""
                return f"{self.name}{within}, line {line}: cannot be compiled: `{what}`. {first}. {REWRITE}"
        return f"{self.name} cannot be compiled: {first}. {REWRITE}"


class Strategy(Travelling):
    """An event-driven strategy: ``f(ctx, **params)``, or ``f(ctx, s, **params)`` with declared state."""

    lowering: type[Lowering] = Lowering  # of its functions
    helpers: type[Lowering] = Lowering  # of those that they call
    shared = False  # whether its assets share an account
    by_asset = False  # whether it is called for each of those
    declares: tuple[type, ...] = (*SCALARS, Ring)

    def __init__(
        self,
        function: FunctionType,
        state: Mapping[str, Any] | None = None,
        warmup: int | Callable[[Any], int] | None = None,
    ) -> None:
        self.source = read_source(function)
        self.function, self.name, self.warmup = function, function.__name__, warmup
        self.state = {n: plain(v) for n, v in (state or {}).items()}
        self._hooks: tuple[Hook, ...] = ()
        self._memory: tuple[Hashable, list[Any], Capture, dict[Any, Any]] | None = None
        signature = list(inspect.signature(function).parameters.values())
        skip = 2 if self.state else 1
        if len(signature) < skip:
            found, fix = f"{len(signature)} parameters", "The first is ctx, with state the second is s."
            raise StrategyError(message(f"strategy {self.name}", found, f"at least {skip}", fix))
        if self.state and isinstance(signature[1].default, (*SCALARS, str)):
            found, wanted = f"the parameter {signature[1]} second", "the argument that state is read from"
            raise StrategyError(message(f"strategy {self.name}", found, wanted, f"Write {self.name}(ctx, s, ...)."))
        self.ctx, self.s = signature[0].name, signature[1].name if self.state else None
        for p in signature[skip:]:
            if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
                raise StrategyError(
                    message(f"strategy {self.name}", str(p), "named parameters", "Name each parameter.")
                )
        self.defaults = {p.name: plain(p.default) for p in signature[skip:]}
        for name, value in self.state.items():
            if not isinstance(value, self.declares):
                wanted, fix = "a number, a bool or kk.ring(n)", "Declare state=dict(x=0.0)."
                raise StrategyError(message(f"state {name!r} of {self.name}", type(value).__name__, wanted, fix))
        self._check()

    @property
    def hooks(self) -> tuple[Hook, ...]:
        """The functions beside its main one, in the order of their definition."""
        return self._hooks

    def _check(self) -> None:
        """Raise StrategyError for what can be refused before anything is bound."""
        self.program(
            {n: type(v) if isinstance(v, (*SCALARS, str)) else int for n, v in self.defaults.items()},
            {n: v for n, v in self.defaults.items() if isinstance(v, str)},
        )

    def on_fill(self, function: FunctionType, /) -> FunctionType:
        """Call ``f(ctx, fill, ...)``, with state ``f(ctx, s, fill, ...)``, for each fill since the last decision (T7).

        ``fill`` has order, quantity (base units, positive to buy), price, fee, time (ns) and, in a portfolio, asset.
        Further arguments are the strategy's parameters, by name. Returns the function itself, as all hooks do. Raises
        StrategyError for other arguments, for a second such hook and for what cannot be compiled, with its line.

        >>> @strategy(state=dict(entry=0.0))
        ... def trend(ctx, s, n=20):
        ...     ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else 0.0)
        >>> @trend.on_fill
        ... def booked(ctx, s, fill):
        ...     if fill.quantity > 0:
        ...         s.entry = fill.price
        >>> [hook.kind for hook in trend.hooks]
        ['on_fill']
        """
        return self._add("on_fill", "", function)

    def on_order(self, function: FunctionType, /) -> FunctionType:
        """Call ``f(ctx, order, ...)``, with state ``f(ctx, s, order, ...)``, for each order that has ended (T7).

        ``order`` has id, status (`kk.Status`), reason (`kk.Reason`), quantity, filled (base units, signed), price (its
        limit, else its trigger, else NaN) and, in a portfolio, asset. Raises StrategyError as `on_fill` does.
        """
        return self._add("on_order", "", function)

    def on_session_open(self, function: FunctionType, /) -> FunctionType:
        """Call ``f(ctx, ...)``, with state ``f(ctx, s, ...)``, before all else at the first bar of a session (T6, T8).

        Raises StrategyError as `on_fill` does.
        """
        return self._add("on_session_open", MOMENTS["on_session_open"], function)

    def on_session_close(self, function: FunctionType, /) -> FunctionType:
        """Call ``f(ctx, ...)``, with state ``f(ctx, s, ...)``, after all else at the last bar of a session (T6, T8).

        Which that is says the calendar of the data. Raises StrategyError as `on_fill` does.
        """
        return self._add("on_session_close", MOMENTS["on_session_close"], function)

    def schedule(self, when: str = "", at: str | None = None) -> Callable[[FunctionType], FunctionType]:
        """Call ``f(ctx, ...)``, with state ``f(ctx, s, ...)``, at these bars, before the main function (T6, T8).

        ``when`` is one of week_start, week_end, month_start, month_end, quarter_start, quarter_end, or a time of day of
        the exchange such as "15:30": the first bar of a session that is known then or later. With ``at``, such a time,
        it is that bar of the first or last session of the week, month or quarter; a half day that closes earlier has
        none. Raises StrategyError for anything else, and as `on_fill` does.

        >>> @strategy
        ... def monthly(ctx):
        ...     pass
        >>> @monthly.schedule("month_end")
        ... def rebalance(ctx):
        ...     ctx.target_percent(0.6)
        >>> monthly.hooks[0].when
        'month_end'
        """
        bar = moment(self.name, when, at)
        return lambda function: self._add("schedule", bar, function)

    def _add(self, kind: str, when: str, function: FunctionType) -> FunctionType:
        new = hook_of(self.name, self.s is not None, self.defaults, kind, when, function)
        before, self._hooks = self._hooks, placed(self._hooks, new)
        try:
            self._check()
        except BaseException:
            self._hooks = before
            raise
        return function

    def __repr__(self) -> str:
        text = ", ".join(n if d is inspect.Parameter.empty else f"{n}={d!r}" for n, d in self.defaults.items())
        return f"<strategy {self.name}({text})>"

    def remembered(self, what: Any, make: Callable[[Capture], Any]) -> Any:
        """What `make` makes of what the function captures; once, as long as that is the same."""
        kept = [snapshot(f) for f in (self.function, *(hook.function for hook in self.hooks))]
        key = tuple(k for k, _ in kept), tuple((hook.kind, hook.when) for hook in self.hooks)
        memory = self._memory
        if memory is None or memory[0] != key:
            readers = [(self.function, self.source, self.ctx), *((h.function, h.source, h.ctx) for h in self.hooks)]
            memory = self._memory = (key, [held for _, held in kept], Capture.of(*readers), {})
        if what not in memory[3]:
            memory[3][what] = make(memory[2])
        return memory[3][what]

    @property
    def capture(self) -> Capture:
        """What the function captures at present."""
        found: Capture = self.remembered("capture", lambda capture: capture)
        return found

    @property
    def identity(self) -> str:
        """All text that decides what it does: source without comments and layout, state, warm-up, what it captures."""

        def describe(capture: Capture) -> str:
            helpers = [f"{ast.unparse(h.source.tree)} {h.defaults!r}" for h in capture.helpers]
            own = [f"{ast.unparse(i.source.tree)}\n{i.state!r}" for i in capture.own.values()]
            return "\n".join([*capture.texts, *helpers, *own])

        warmup = code_of(self.warmup) if callable(self.warmup) else repr(self.warmup)
        hooks = [hook.text for hook in self.hooks]
        return "\n".join([self.source.text, repr(self.state), warmup, *hooks, self.remembered("identity", describe)])

    def program(self, types: Mapping[str, type], strings: Mapping[str, str] | None = None) -> Program:
        """Lower for these parameter types; string parameters are constants of the text."""
        key = tuple(types.items()), tuple((strings or {}).items())
        made: Program = self.remembered(key, lambda capture: self._lower(capture, types, strings or {}))
        return made

    def _lower(self, capture: Capture, types: Mapping[str, type], strings: Mapping[str, str]) -> Program:
        numbers = {n: t for n, t in types.items() if t is not str}
        plan = Plan(numbers, self.state, shared=self.shared, by_asset=self.by_asset)
        captured = capture.lower(plan, self.helpers)
        source = timeframed(self.source, self.ctx)
        bodies = [(source, lowered(self.lowering(source, plan, self.ctx, self.s, capture.roles)))]
        for hook in self.hooks:
            source, kind = timeframed(hook.source, hook.ctx), lowering_of(self.lowering, hook.kind, hook.event)
            one = kind(source, plan, hook.ctx, hook.s, capture.roles, params=hook.params)
            bodies.append((source, lowered(one)))
            plan.told |= TOLD[hook.kind][0] if hook.kind in TOLD else 0
            if hook.when and hook.when not in plan.moments:
                plan.moments.append(hook.when)
        lines = [emit(source, body, 2 if plan.raises else 1) for source, body in bodies]
        heads = [("", "", self.name, tuple(self.defaults))]
        heads += [(h.kind, h.when, h.function.__name__, h.params) for h in self.hooks]
        parts = [Part(*head, own) for head, own in zip(heads, lines, strict=True)]
        if self.by_asset:
            decision = entries_each(plan, parts)
        else:
            decision = entries_of(plan, parts) if self.hooks else entries(plan, lines[0])
        constants = [f"{safe(n)} = {v!r}" for n, v in strings.items()]
        text = "\n".join([PRELUDE, around(plan.shared), *captured, *constants, decision])
        return Program(self.name, f"{text}\n", plan)

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
            if site.timeframe < 0 and not site.custom:
                need = max(need, site_period(site, params) + site.rolling.late + min(program.plan.reach, 1))
        return need

    def closed_needed(self, program: Program, params: Mapping[str, Any]) -> list[int]:
        """W7: by timeframe, how many of its bars must have closed for the first decision; none where it is declared."""
        plan = program.plan
        need = [back + 1 for back in plan.timeframes.values()]
        for site in (s for s in plan.sites if s.timeframe >= 0 and not s.custom):
            late = site.rolling.late + 1 + min(list(plan.timeframes.values())[site.timeframe], 1)
            need[site.timeframe] = max(need[site.timeframe], site_period(site, params) + late)
        return need if self.warmup is None else [0] * len(need)


class Portfolio(Strategy):
    """The strategy of a portfolio: it is called once for all assets, which share an account (rules X1-X8)."""

    lowering: type[Lowering] = PortfolioLowering
    shared = True
    declares: tuple[type, ...] = (*SCALARS, Ring, Each)

    def __repr__(self) -> str:
        return super().__repr__().replace("<strategy", "<portfolio", 1)


class EachAsset(Portfolio):
    """A strategy of one asset as that of a portfolio: it is called for each asset, on the account of all (rule X9)."""

    lowering = helpers = EachLowering
    by_asset = True
    declares = Strategy.declares

    def __init__(self, strategy: Strategy) -> None:
        self.strategy = strategy
        super().__init__(strategy.function, strategy.state, strategy.warmup)

    @property
    def hooks(self) -> tuple[Hook, ...]:
        """The strategy's own, also those that it gets later."""
        return self.strategy.hooks

    @property
    def identity(self) -> str:
        """All text that decides what it does."""
        return f"for each asset of an account\n{super().identity}"

    def _add(self, kind: str, when: str, function: FunctionType) -> FunctionType:
        found, fix = f"{kind} of its portfolio", f"Write @{self.name}.{kind}: it is the strategy's, here and alone."
        raise StrategyError(message(f"hook {function.__name__} of {self.name}", found, "one of the strategy", fix))

    def __repr__(self) -> str:
        return super().__repr__().replace("<portfolio", "<portfolio of", 1)


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


def lowered(lowering: Lowering) -> list[ast.stmt]:
    """The statements of a function that decides something, as they are compiled."""
    body = [lowering.visit(node) for node in copy.deepcopy(lowering.source.tree.body)]
    return [ast.fix_missing_locations(n) for n in flatten([Returns().visit(node) for node in body])]


def flatten(statements: list[Any]) -> list[ast.stmt]:
    """One level of lists, as a transformer may return two statements for one."""
    out: list[ast.stmt] = []
    for s in statements:
        out += s if isinstance(s, list) else [s]
    return out


@cache
def around(shared: bool) -> str:
    """What a decision is compiled with, beside what all strategies share: tools of any type, the hot loop.

    That of a portfolio is not: it calls the decision once for many assets.
    """
    from kernelkit.kernels.compile import PARTS, bare

    tools = [text for name, text in TOOLS.items() if name not in PARTS]
    if shared:
        return "".join(tools)
    body = bare((Path(__file__).parent / "kernels" / "coast.py").read_text()).body
    return "".join(tools) + ast.unparse(ast.Module([n for n in body if getattr(n, "name", "") == "coast"], []))


class Signal(Travelling):
    """A vectorised strategy: ``f(ds, **params)`` returns targets over ``time``; NaN leaves the position as it is."""

    def __init__(self, function: FunctionType, units: str = "weight") -> None:
        if units not in ("weight", "quantity"):
            raise StrategyError(
                message("units of a signal", units, "'weight' or 'quantity'", "Leave it out for weights.")
            )
        self.source = read_source(function)
        self.function, self.name, self.units = function, function.__name__, units
        signature = list(inspect.signature(function).parameters.values())
        if not signature:
            raise StrategyError(message(f"signal {self.name}", "no parameters", "(ds, ...)", "Take the bars first."))
        self.defaults = {p.name: p.default for p in signature[1:]}
        self.follower = follow_quantity if units == "quantity" else follow_weight

    @property
    def identity(self) -> str:
        """All text that decides what it does. Of captured values only numbers, text and functions count."""
        values = captured(self.function, self.source).items()
        known = [f"{n} = {v!r}" for n, v in values if isinstance(v, (*SCALARS, str))]
        helpers = [code_of(v) for _, v in values if isinstance(v, FunctionType) and v is not self.function]
        return "\n".join([self.source.text, self.units, *known, *helpers])

    def __repr__(self) -> str:
        return f"<signal {self.name}({', '.join(self.defaults)})>"


@overload
def strategy(
    function: Callable[..., Any],
    /,
    *,
    state: Mapping[str, Any] | None = None,
    warmup: int | Callable[[Any], int] | None = None,
) -> Strategy: ...
@overload
def strategy(
    *, state: Mapping[str, Any] | None = None, warmup: int | Callable[[Any], int] | None = None
) -> Callable[[Callable[..., Any]], Strategy]: ...
@arguments()
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

    def made(f: Any) -> Strategy:
        return Strategy(f, state, warmup)

    return made if function is None else made(function)


@overload
def portfolio(strategy: Strategy, /) -> EachAsset: ...
@overload
def portfolio(
    function: Callable[..., Any],
    /,
    *,
    state: Mapping[str, Any] | None = None,
    warmup: int | Callable[[Any], int] | None = None,
) -> Portfolio: ...
@overload
def portfolio(
    *, state: Mapping[str, Any] | None = None, warmup: int | Callable[[Any], int] | None = None
) -> Callable[[Callable[..., Any]], Portfolio]: ...
@arguments()
def portfolio(function: Any = None, /, *, state: Any = None, warmup: Any = None) -> Any:
    """Make ``f(ctx, **params)`` the strategy of a portfolio: all assets share one account (rules X1-X9).

    It runs once a bar of the clock, after the bars of all assets have closed. ``ctx[k]`` is asset ``k`` with its
    series, indicators and orders, ``for k in ctx.tradable`` goes over those that have a bar now, ``ctx.rank`` and
    ``ctx.weights`` take a `kk.each` of the declared state. ``warmup`` counts bars of the clock. Raises StrategyError
    for what cannot be compiled, with its line.

    A `@kk.strategy` in the place of ``f`` is called for each asset that has a bar, once its windows are full (X9): with
    bars, orders, hooks, state and records of that asset, as if it were alone, and cash and equity of the account.
    ``target_percent`` is of that equity: pass each asset its share.

    >>> @portfolio(state=dict(w=each()))
    ... def equal(ctx, s):
    ...     for k in ctx.tradable:
    ...         s.w[k] = 1.0 / ctx.n
    ...     ctx.weights(s.w)
    >>> equal
    <portfolio equal()>
    >>> @strategy
    ... def cross(ctx, fast=20, slow=100, weight=0.1):
    ...     ctx.target_percent(weight if ctx.close.sma(fast) > ctx.close.sma(slow) else 0.0)
    >>> portfolio(cross)
    <portfolio of cross(fast=20, slow=100, weight=0.1)>
    """

    def made(f: Any) -> Portfolio:
        if isinstance(f, (Portfolio, Signal)) or (isinstance(f, Strategy) and (state, warmup) != (None, None)):
            found = (
                repr(f) if isinstance(f, (Portfolio, Signal)) else "state or warmup beside a strategy that has its own"
            )
            fix = "Write kk.portfolio(strategy), or put @kk.portfolio above a def."
            raise StrategyError(message("a portfolio", found, "a @kk.strategy, or a function", fix))
        return EachAsset(f) if isinstance(f, Strategy) else Portfolio(f, state, warmup)

    return made if function is None else made(function)


@arguments()
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
