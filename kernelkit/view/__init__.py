"""The engine in plain Python: the user's own function, its prints and breakpoints, over the memory of compiled code."""

from __future__ import annotations

import ast
import ctypes
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.errors import LookaheadError, StrategyError, message
from kernelkit.indicator import Indicator
from kernelkit.kernels import (
    actions,
    bars,
    coast,
    context,
    events,
    fills,
    finer,
    guard,
    higher,
    indicators,
    limits,
    matching,
    memory,
    orders,
    paths,
    transfers,
)
from kernelkit.kernels import layout as L
from kernelkit.kernels.job import Job, Outcome, new_outcome
from kernelkit.kernels.plan import Plan, Ring, Site, plain
from kernelkit.kernels.session import Session, units_of
from kernelkit.kernels.verbs import SETTINGS, order_of
from kernelkit.strategy import Strategy
from kernelkit.view import calls

if TYPE_CHECKING:
    from kernelkit.market.several import Venues
    from kernelkit.market.venue import Venue
    from kernelkit.recipe import Recipe
    from kernelkit.view.timeframes import Timeframe


# What a job may need besides; that it is there changes what the kernels do.
UNITS = {"happen": actions.happen, "guard": guard.guard, "guard_all": guard.guard_all}
UNITS |= {"guard_each": guard.guard_each, "mark_each": transfers.mark_each, "arrive": transfers.arrive}


class Failed(BaseException):
    """An order has ended the trial: nothing that the strategy does after it counts."""


class Value(np.float64):
    """An indicator's value, with the previous bar's at ``[-1]``. As compiled, 1.0 / 0.0 of it is inf."""

    before: float

    def __getitem__(self, k: int) -> float:
        if k == 0:
            return np.float64(self)
        if k == -1:
            return self.before
        raise LookaheadError(message("index of an indicator", k, "0 or -1", "Keep older values in a kk.ring."))


class Series:
    """A column as a strategy sees it: ``[0]`` the bar that has just closed, ``[-k]`` earlier ones, and indicators."""

    def __init__(self, ctx: Ctx, column: int) -> None:
        self._ctx, self._column = ctx, column

    def __getitem__(self, k: int) -> np.float64:
        i, k = self._ctx.i, int(k)  # as compiled: no number of bars raises
        if k > 0:
            raise LookaheadError(
                message(
                    f"bar {i}",
                    f"index [{k}]",
                    "0 for the present bar, -1 for the one before",
                    "A positive index is a bar that has not happened yet.",
                )
            )
        return np.float64(fills.column_f(self._ctx._frame, self._column, i + k) if i + k >= 0 else "nan")

    def __getattr__(self, name: str) -> Any:
        if name == "age" and self._column >= L.FIRST_FEATURE:
            return int(fills.column(self._ctx._frame, self._column + 1, self._ctx.i))
        if name not in context.ROLLING:
            raise StrategyError(
                message(
                    f"series.{name}", "no such indicator", f"one of {', '.join(context.ROLLING)}", "Check the name."
                )
            )
        rolling = context.ROLLING[name]
        kind = rolling.price if self._column in [context.SERIES[p] for p in context.PRICES] else rolling.other
        return lambda n: self._value(kind, (n,))

    def own(self, indicator: Indicator, arguments: tuple[Any, ...]) -> Value:
        """The value of an own indicator on this series."""
        return self._value(indicator.kind, arguments)

    def _value(self, kind: str, arguments: tuple[Any, ...]) -> Value:
        return self._ctx._value(kind, self._column, arguments, -1)


class Features:
    """``ctx.x``."""

    def __init__(self, ctx: Ctx) -> None:
        self._ctx = ctx

    def __getattr__(self, name: str) -> Series:
        return Series(self._ctx, L.FIRST_FEATURE + 2 * self._ctx._plan.features.index(name))


class Sizes:
    """``ctx.size``: quantities in base units."""

    def __init__(self, ctx: Ctx) -> None:
        self._ctx = ctx

    def risk(self, fraction: float, stop: float) -> np.float64:
        """Lose ``fraction`` of the equity when the price moves by ``stop``."""
        return np.float64(fraction * self._ctx.equity / (stop * self._ctx._instrument.multiplier))

    def notional(self, value: float) -> np.float64:
        """A position worth ``value``."""
        return np.float64(value / (self._ctx.close[0] * self._ctx._instrument.multiplier))

    def vol_target(self, volatility: float, n: int = 20) -> np.float64:
        """A position with this annual volatility, from the last ``n`` bar returns."""
        sigma = np.float64(self._ctx.close.volatility(n) * self._ctx._instrument.periods**0.5)
        one = self._ctx.close[0] * self._ctx._instrument.multiplier
        return np.float64(volatility * self._ctx.equity / (one * sigma))


class Slots:
    """Declared state, read and written in the trial's own block."""

    def __init__(self, base: int, places: dict[str, int], declared: dict[str, Any]) -> None:
        self.__dict__.update(_base=base, _places=places, _declared=declared)

    def __getattr__(self, name: str) -> Any:
        if name not in self._declared:
            raise StrategyError(
                message(
                    f"state {name!r}",
                    "not declared",
                    f"one of {', '.join(self._declared)}",
                    f"Declare it: state=dict({name}=0.0).",
                )
            )
        value, at = self._declared[name], self._base + 8 * self._places[name]
        if isinstance(value, Ring):
            return RingView(at, value.n)
        return (
            memory.f8(at)
            if isinstance(value, float)
            else (bool(memory.i8(at)) if isinstance(value, bool) else int(memory.i8(at)))
        )

    def __setattr__(self, name: str, value: Any) -> None:
        declared = self._declared.get(name)
        if declared is None or isinstance(declared, Ring):
            raise StrategyError(
                message(
                    f"state {name!r}",
                    "cannot be set",
                    f"one of {', '.join(self._declared)}",
                    "Rings take .push(value).",
                )
            )
        at = self._base + 8 * self._places[name]
        if isinstance(declared, float):
            memory.put_f8(at, value)
        else:
            memory.put_i8(at, int(value))


class RingView:
    """A ring of the last ``n`` values."""

    def __init__(self, at: int, n: int) -> None:
        self._at, self._n = at, n

    @property
    def count(self) -> int:
        """How many values were ever pushed."""
        return int(memory.i8(self._at))

    def push(self, value: float) -> None:
        """Add the newest value."""
        memory.put_f8(self._at + 8 + 8 * (self.count % self._n), value)
        memory.put_i8(self._at, self.count + 1)

    def __getitem__(self, k: int) -> np.float64:
        k = int(k)
        if k > 0 or -k >= min(self.count, self._n):
            return np.float64("nan")
        return memory.f8(self._at + 8 + 8 * ((self.count - 1 + k) % self._n))


class Ctx:
    """What a strategy sees, by `context.py`'s tables."""

    def __init__(self, frame: int, plan: Plan, slots: dict[tuple[Any, ...], int]) -> None:
        f = memory.at(frame, L.FRAME)
        self.__dict__.update(
            _frame=frame,
            _plan=plan,
            _slots=slots,
            _words=int(f.strategy),
            _panel=int(f.panel),
            _instrument=memory.at(f.instrument, L.INSTRUMENT),
            i=int(f.i),
            x=Features(self),
            size=Sizes(self),
        )

    def __setattr__(self, name: str, value: Any) -> None:
        raise StrategyError(
            message(
                f"ctx.{name}",
                "an assignment",
                "reading",
                "Orders change the account; keep own values in declared state.",
            )
        )

    def __getattr__(self, name: str) -> Any:
        frame = self._frame
        f = memory.at(frame, L.FRAME)
        if name in context.SERIES:
            return Series(self, context.SERIES[name])
        if name in context.VERBS:
            return lambda *a, **k: self._order(name, a, k)
        if name in context.BAR_ROLLING:
            return lambda n: self._value(context.BAR_ROLLING[name].price, 0, (n,), -1)
        account = memory.at(f.account, L.ACCOUNT)
        if name == "time":
            return int(fills.column(frame, L.C_KNOWN_AT, f.i))
        if name == "position":
            return np.float64(memory.at(f.positions, L.POSITION).quantity)
        if name == "orders":
            return int(memory.at(f.state, L.HEADER).n_live)
        if name in ("cash", "equity"):
            return getattr(account, name)
        raise StrategyError(
            message(
                f"ctx.{name}",
                "nothing",
                f"one of {', '.join([*context.ATTRIBUTES, *context.SERIES, *context.VERBS])}",
                "Check the name.",
            )
        )

    def tf(self, name: str) -> Timeframe:
        """The bars of a higher timeframe."""
        from kernelkit.view.timeframes import Timeframe

        return Timeframe(self, name)

    def _past(self, timeframe: int, column: int, back: int) -> float:
        return higher.higher_past(self._frame, timeframe, column, self.i, back)

    def _value(self, kind: str, column: int, arguments: tuple[Any, ...], timeframe: int) -> Value:
        slot = self._words + 8 * self._slots[kind, column, exact(arguments), timeframe]
        place = self._panel + 8 * self.i
        if timeframe >= 0:
            place = higher.higher_place(self._frame, timeframe, self.i)
        place += memory.i8(slot + 8)
        value = Value(memory.f8(place))
        value.before = float(memory.f8(place - 8))
        return value

    def record(self, name: str, value: float) -> None:
        """Keep a value for this bar; it appears as ``res[name]``."""
        f = memory.at(self._frame, L.FRAME)
        row = int(f.i) - int(f.curve_0)
        if f.records != 0 and row % int(f.curve_step) == 0:
            memory.put_f8(
                f.records + 8 * ((row // int(f.curve_step)) * int(f.n_record) + self._plan.records.index(name)), value
            )

    def _order(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
        verb = context.VERBS[name]
        given = dict(zip((*verb.arguments, "tif"), args, strict=False)) | kwargs
        settings = {n: given.pop(n) for n in SETTINGS if n in given}
        call = order_of(name, given, settings)
        if "expires" in given:
            given["expires"] = instant(given["expires"])
        numbers = [np.float64(given[n]) if n else np.float64(0.0) for n in call.numbers]
        numbers[0] *= verb.sign
        number = self._submit(call.code, call.word, numbers)
        if memory.at(self._frame, L.FRAME).error != 0:
            raise Failed
        return number

    def _submit(self, code: int, tif: int, numbers: list[Any]) -> int:
        if code in (L.V_TARGET, L.V_WEIGHT):
            return int(orders.steer(self._frame, code, numbers[0]))
        return int(orders.act(self._frame, code, tif, *numbers))


def instant(ns: float) -> np.float64:
    """O11: a time as it travels to the engine, as the bits of a number; 0 where it is none."""
    return memory.unbits(int(ns) if ns == ns and abs(ns) < 9.2e18 else 0)


class Unheard(Exception):
    """An own indicator raised before the bars that run here: at bar ``bar`` of asset ``asset``; ``key`` is which."""

    def __init__(self, key: tuple[int, int], asset: int, bar: int) -> None:
        super().__init__(key, asset, bar)
        self.key, self.asset, self.bar = key, asset, bar


class Python:
    """Binds a session to the uncompiled kernels and a strategy's own function."""

    def __init__(self, strategy: Strategy, own: dict[str, Indicator], job: Job, venue: Venue | Venues | None) -> None:
        self.strategy, self.own, self.job, self.venue = strategy, own, job, venue
        self.hooks = strategy.hooks
        self.handles: list[int] = []
        # of own indicators, by place of the data among FRAME.instruments and bar of those: raised when a decision needs
        # the value
        self.errors: dict[tuple[int, int], Exception] = {}
        self.texts = {n: d for n, d in strategy.defaults.items() if isinstance(d, str)}

    def handle(self, function: Callable[..., Any]) -> int:
        """A callable's number; the callable is kept alive here."""
        key = memory.handle(function)
        self.handles.append(key)
        return key

    def bind(self) -> tuple[Callable[..., int], Callable[[str], int], dict[str, int], list[int]]:
        """What Session needs: the sweep, handles of cost models, of FRAME's functions and of indicators' kernels."""
        models = {m.text: m for m in self.venue.models} if self.venue is not None else {}

        def model(text: str) -> int:
            if text not in models:  # a resumed run has no Python of its models
                return self.handle(compiled_model(text))
            found = models[text]  # as fee and as slippage it may have other parameters: MODEL says which

            def ask(at: int) -> float:
                m = memory.at(at, L.MODEL)
                return float(found.ask(m, lambda k: float(memory.f8(m.slots + 8 * k))))

            return self.handle(ask)

        def sweep(*args: int) -> int:
            with np.errstate(all="ignore"):
                return int(bars.sweep(*args))

        frame: dict[str, Callable[..., Any]] = {
            "coast": coast.coast,
            "meet": bars.meet,
            "match": matching.match,
            "walk": paths.walk,
            "finer": finer.finer,
            "judge": limits.judge,
            "log": bars.log_curve,
            "close_out": orders.close_out,
            "ruin": bars.ruin,
            "decide": self.decide,
        }
        frame |= {field: UNITS[unit] for field, unit in units_of(self.job).items() if unit in UNITS}
        if self.job.plan.told:
            frame["tell"] = events.tell
        if self.strategy.shared:
            from kernelkit.view import assets

            frame |= assets.functions()
        kernels = [self.kernel(site) for site in self.job.plan.sites]
        return sweep, model, {name: self.handle(f) for name, f in frame.items()}, kernels

    def params(self, words: int) -> dict[str, Any]:
        """The parameters of a trial, by name."""
        out: dict[str, Any] = {}
        for k, (name, kind) in enumerate(self.job.plan.params.items()):
            at = words + 8 * k
            out[name] = memory.f8(at) if kind is float else (bool if kind is bool else int)(memory.i8(at))
        return out

    def kernel(self, site: Site) -> int:
        """The handle of an indicator's kernel; an own indicator finds its arguments in the strategy's words."""
        if not site.custom:
            return self.handle(getattr(indicators, site.kind))
        own = self.own[site.custom]
        places = Plan({}, own.state).places

        def kernel(frame: int, slot: int, column: int, first: int, last: int, out: int, words: int) -> None:
            state, arguments = Slots(slot + 8 * context.FIRST_WORD, places, own.state), self.arguments(site, words)
            f = memory.at(frame, L.FRAME)
            its = int(f.instrument - f.instruments)
            for i in range(first, last):
                value = memory.f8(slot)
                if failed_at(value) is None:
                    try:
                        value = np.float64(own.function(state, fills.column_f(frame, column, i), *arguments))
                    except Exception as error:  # noqa: BLE001  whatever it is, it is raised where it counts
                        self.errors[its, i] = error
                        value = memory.unbits(L.FAILED << 32 | i)
                memory.put_f8(out + 8 * (i - first), value)
                memory.put_f8(slot, value)

        return self.handle(kernel)

    def arguments(self, site: Site, words: int) -> list[Any]:
        """An indicator's arguments, of a trial with these words."""
        params = self.params(words)
        return [params[a] if a in params else ast.literal_eval(a) for a in site.arguments]

    def decide(self, frame: int) -> int:
        """What the compiled `decide` does, by the user's own function."""
        words, plan, strategy = int(memory.at(frame, L.FRAME).strategy), self.job.plan, self.strategy
        params = self.texts | self.params(words)
        slots: dict[tuple[Any, ...], int] = {}
        for site in plan.sites:
            slots[site.kind, site.column, exact(self.arguments(site, words)), site.timeframe] = site.slot

        def call(head: list[Any], events: int) -> None:
            calls.decide(frame, strategy.function, self.hooks, plan, head, params, events)

        with suppress(Failed):  # FRAME.error and FRAME.stop say the rest
            if not plan.shared:
                self.check(frame, int(memory.at(frame, L.FRAME).panel))
                slot = [Slots(words, plan.places, strategy.state)] if strategy.s is not None else []
                call([Ctx(frame, plan, slots), *slot], calls.happened(frame))
            else:
                from kernelkit.view import assets

                if plan.by_asset:
                    assets.each(frame, plan, slots, strategy.state, self.check, call)
                else:
                    head = assets.arguments(frame, plan, slots, strategy.state, self.raised)
                    call(head, calls.happened(frame))
        return 0

    def check(self, frame: int, panel: int) -> None:
        """Raise what an own indicator of the asset in focus has; ``panel`` is where values of its bar 0 would lie."""
        f = memory.at(frame, L.FRAME)
        failed: list[tuple[int, int, int]] = []
        for site in self.job.plan.sites:
            j = site.timeframe
            place = panel + 8 * f.i if j < 0 else higher.higher_place(frame, j, f.i)
            value = memory.f8(int(place + memory.i8(f.strategy + 8 * site.slot + 8)))
            i = failed_at(value)
            if i is not None:
                its = int((f.instrument if j < 0 else higher.timeframe_at(frame, j)) - f.instruments)
                failed.append((i if j < 0 else int(higher.failing_bar(frame, j, value)), its, i))
        if failed:
            bar, *key = min(failed)
            raise self.raised((key[0], key[1]), int(f.asset), bar)

    def raised(self, key: tuple[int, int], asset: int, bar: int) -> Exception:
        """What an own indicator raised at this bar of an asset."""
        return self.errors.get(key) or Unheard(key, asset, bar)

    def close(self) -> None:
        """Forget the handles."""
        for key in self.handles:
            memory.release(key)


def exact(arguments: Sequence[Any]) -> tuple[tuple[str, int], ...]:
    """What tells an indicator's arguments from others: NaN is itself, 0.0 is not -0.0, and 2 is not 2.0.

    >>> exact([float("nan"), 1]) == exact([np.float64("nan"), 1]), exact([0.0]) == exact([-0.0])
    (True, False)
    """
    numbers = [plain(a) for a in arguments]
    return tuple((type(n).__name__, int(memory.bits(n)) if isinstance(n, float) else n) for n in numbers)


def failed_at(value: float) -> int | None:
    """The bar at which an own indicator raised, where that is what its value says."""
    word = int(memory.bits(value))
    return word & 0xFFFFFFFF if word >> 32 == L.FAILED else None


def compiled_model(text: str) -> Callable[[int], Any]:
    """A cost model's compiled code, to be called from Python with the address of a MODEL record."""
    from kernelkit.kernels import compile as native

    return ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_int64)(native.model(text))


def binding(recipe: Recipe, job: Job, venue: Any) -> Python:
    """The Python binding of a recipe's strategy."""
    strategy = recipe.strategy if isinstance(recipe.strategy, Strategy) else recipe.strategy.follower
    python = Python(strategy, strategy.capture.own, job, venue)
    python.hooks = recipe.hooks or ()
    python.texts |= {n: v for n, v in recipe.params.items() if n in strategy.defaults and isinstance(v, str)}
    return python


def run_in_python(recipe: Recipe, venue: Venue | Venues) -> Outcome:
    """All trials of a recipe in plain Python, one after the other, exceptions straight from the user's lines."""
    from kernelkit.recipe import with_target

    n = len(recipe.job.trials)
    job = recipe.job if recipe.signal is None else with_target(recipe, 0, n)
    outcome = new_outcome(n, True)
    python = binding(recipe, job, venue)
    try:
        Session(job, python).run(outcome, 0, n)
    finally:
        python.close()
    return outcome


def replay(recipe: Recipe, trial: int, i: int, venue: Any, where: str) -> None:
    """Run bar ``i`` of a trial in Python, from the state that compiled code had before it.

    Raises the strategy's own exception, with the user's traceback and a note that says ``where``.
    """
    from dataclasses import replace

    from kernelkit.recipe import with_target

    if recipe.signal is None:
        job = replace(
            recipe.job, trials=recipe.job.trials[trial : trial + 1].copy(), params=recipe.job.params[trial : trial + 1]
        )
    else:
        job = with_target(recipe, trial, trial + 1)
    python = binding(recipe, job, venue)
    try:
        try:
            run_from(job, python, i, max(i, int(job.trials["trade_from"][0])))  # an indicator warms up too
        except Unheard as earlier:
            bar = int(recipe.places[earlier.asset][earlier.bar]) if recipe.shared else earlier.bar
            run_from(job, python, bar, bar)
            raise python.errors[earlier.key] from None
    except Exception as error:
        error.add_note(where)
        raise
    finally:
        python.close()


def run_from(job: Job, python: Python, first: int, last: int) -> None:
    """Run bars ``first`` to ``last`` of a job's only trial in Python, from the state that compiled code had before."""
    native = Session(job)
    native.advance(first)
    session = Session(job, python)
    session.restore(native.block)
    session.call(new_outcome(1, True), last + 1)
