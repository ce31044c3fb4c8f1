"""What a portfolio's strategy sees in plain Python: the account, its assets by number, a number for each of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.errors import LookaheadError, StrategyError, message
from kernelkit.kernels import context, fills, focus, higher, memory, orders, reach, transfers
from kernelkit.kernels import layout as L
from kernelkit.kernels.plan import Each
from kernelkit.kernels.verbs import order_of
from kernelkit.view import Ctx, Failed, Series, Slots, Value, exact, failed_at
from kernelkit.view.calls import happened

if TYPE_CHECKING:
    from kernelkit.kernels.plan import Plan

Raised = Callable[[tuple[int, int], int, int], Exception]  # `Python.raised`


def checked(frame: int, value: Any) -> Any:
    """The value, unless what gave it has ended the trial."""
    if memory.at(frame, L.FRAME).error != 0:
        raise Failed
    return value


class AssetSeries(Series):
    """A column of one asset: ``[0]`` its last bar, ``[-k]`` earlier ones of its own."""

    _ctx: Asset

    def __getitem__(self, k: int) -> np.float64:
        k = int(k)
        if k > 0:
            raise LookaheadError(
                message(f"bar {self._ctx.i}", f"index [{k}]", "0 for its last bar, -1 for the one before", "Not ahead.")
            )
        frame = self._ctx._frame
        return np.float64(checked(frame, reach.asset_past(frame, self._ctx._number, self._column, k)))

    def __getattr__(self, name: str) -> Any:
        if name == "age" and self._column >= L.FIRST_FEATURE:
            frame = self._ctx._frame
            return int(checked(frame, reach.asset_age(frame, self._ctx._number, self._column + 1)))
        return super().__getattr__(name)


class AssetFeatures:
    """``ctx[k].x``."""

    def __init__(self, asset: Asset) -> None:
        self._asset = asset

    def __getattr__(self, name: str) -> AssetSeries:
        return AssetSeries(self._asset, L.FIRST_FEATURE + 2 * self._asset._plan.features.index(name))


class Asset(Ctx):
    """``ctx[k]``."""

    _number: int
    _raised: Raised

    def __init__(self, frame: int, plan: Plan, slots: dict[tuple[Any, ...], int], number: int, raised: Raised) -> None:
        super().__init__(frame, plan, slots)
        self.__dict__.update(_number=number, _raised=raised, x=AssetFeatures(self))

    def __getattr__(self, name: str) -> Any:
        frame = self._frame
        if name in context.SERIES:
            return AssetSeries(self, context.SERIES[name])
        if name in context.ASSET_ATTRIBUTES:
            return checked(frame, getattr(reach, f"asset_{name}")(frame, self._number))
        if name in context.BAR_ROLLING or (name in context.VERBS and name not in context.BY_ID):
            return super().__getattr__(name)
        known = (*context.ASSET_ATTRIBUTES, *context.SERIES, *context.VERBS, *context.BAR_ROLLING, "x")
        raise StrategyError(
            message(f"ctx[{self._number}].{name}", "nothing", f"one of {', '.join(known)}", "Check the name.")
        )

    def _past(self, timeframe: int, column: int, back: int) -> float:
        frame = self._frame
        return float(checked(frame, higher.asset_higher(frame, self._number, timeframe, column, back)))

    def _value(self, kind: str, column: int, arguments: tuple[Any, ...], timeframe: int) -> Value:
        place = self._words + 8 * self._slots[kind, column, exact(arguments), timeframe] + 8
        frame, k = self._frame, self._number

        def at(back: int) -> float:
            if timeframe >= 0:
                return higher.asset_higher_value(frame, k, timeframe, place, back)
            return reach.asset_value(frame, k, place, back)

        now = at(0)
        bar = failed_at(now)
        if bar is not None:
            f = memory.at(frame, L.FRAME)
            base = timeframe < 0
            its = f.instrument_0 + L.INSTRUMENT_BYTES * k if base else higher.asset_timeframe(frame, k, timeframe)
            began = bar if base else int(higher.closing_bar(its, bar))
            raise self._raised((int(its - f.instruments), bar), k, began)
        value = Value(checked(frame, now))
        value.before = float(at(-1))
        return value

    def _submit(self, code: int, tif: int, numbers: list[Any]) -> int:
        frame, k = self._frame, self._number
        if code in (L.V_TARGET, L.V_WEIGHT):
            return int(reach.asset_aim(frame, k, code, numbers[0]))
        return int(reach.asset_order(frame, k, code, tif, *numbers))


class OwnCtx(Ctx):
    """``ctx`` of a strategy that is called for each asset (X9): that in focus, on an account of several."""

    def __init__(self, frame: int, plan: Plan, slots: dict[tuple[Any, ...], int]) -> None:
        super().__init__(frame, plan, slots)
        self.__dict__.update(_panel=int(reach.own_panel(frame)))

    def __getattr__(self, name: str) -> Any:
        return int(reach.own_orders(self._frame)) if name == "orders" else super().__getattr__(name)

    def record(self, name: str, value: float) -> None:
        """Keep a value of this asset for this bar; it appears as ``res[name]``."""
        reach.own_record(self._frame, self._plan.records.index(name), value)

    def _submit(self, code: int, tif: int, numbers: list[Any]) -> int:
        if code in (L.V_TARGET, L.V_WEIGHT):
            return int(orders.weigh(self._frame, code, numbers[0], -1.0))
        return super()._submit(code, tif, numbers)


class PortfolioCtx:
    """``ctx`` of a portfolio."""

    def __init__(self, frame: int, plan: Plan, slots: dict[tuple[Any, ...], int], raised: Raised) -> None:
        self._frame, self._plan, self._slots, self._raised = frame, plan, slots, raised
        f = memory.at(frame, L.FRAME)
        self.i, self.n = int(f.clock), int(f.n_asset)

    def __getitem__(self, k: int) -> Asset:
        checked(self._frame, reach.is_asset(self._frame, int(k)))
        return Asset(self._frame, self._plan, self._slots, int(k), self._raised)

    @property
    def tradable(self) -> list[int]:
        """The assets that have a bar now."""
        return [k for k in range(self.n) if focus.has_bar(self._frame, k)]

    @property
    def time(self) -> int:
        """When the bar is known, ns."""
        return int(fills.column(self._frame, L.C_KNOWN_AT, self.i))

    @property
    def session(self) -> int:
        """The bar's session, a day number."""
        return int(fills.column(self._frame, L.C_SESSION, self.i))

    @property
    def cash(self) -> float:
        """What is not invested."""
        return float(memory.at(memory.at(self._frame, L.FRAME).account, L.ACCOUNT).cash)

    @property
    def equity(self) -> float:
        """What the account is worth."""
        return float(memory.at(memory.at(self._frame, L.FRAME).account, L.ACCOUNT).equity)

    @property
    def orders(self) -> int:
        """How many orders live."""
        return int(memory.at(memory.at(self._frame, L.FRAME).state, L.HEADER).n_live)

    def rank(self, values: EachView, ranks: EachView) -> int:
        """Rank 1 for the largest; how many are ranked."""
        return int(reach.rank(self._frame, values.place, ranks.place))

    def weights(self, weights: EachView, band: float = -1.0) -> int:
        """X7; how many orders that took."""
        return int(checked(self._frame, reach.weights(self._frame, weights.place, np.float64(band))))

    def transfer(self, amount: float, source: int, target: int) -> float:
        """V5; what was sent."""
        return float(
            checked(self._frame, transfers.send_money(self._frame, np.float64(amount), int(source), int(target)))
        )

    def cancel(self, order_id: float) -> int:
        """O9."""
        return self._act(L.V_CANCEL, order_id)

    def cancel_all(self) -> int:
        """O9, over all assets."""
        return self._act(L.V_CANCEL_ALL)

    def oco(self, first: float, second: float) -> int:
        """O9."""
        return self._act(L.V_OCO, first, second)

    def replace(self, order_id: float, *numbers: float, **named: float) -> int:
        """O16."""
        given = dict(zip(context.VERBS["replace"].optional, numbers, strict=False)) | named
        call = order_of("replace", given, {})
        return self._act(call.code, order_id, *(given.get(n, 0.0) for n in call.numbers[1:4]), word=call.word)

    def record(self, name: str, value: float) -> None:
        """Keep a value for this bar; it appears as ``res[name]``."""
        Ctx(self._frame, self._plan, self._slots).record(name, value)

    def _act(self, verb: int, *numbers: float, word: int = 0) -> int:
        six = [np.float64(x) for x in numbers] + [np.float64(0.0)] * (6 - len(numbers))
        return int(checked(self._frame, orders.act(self._frame, verb, word, *six)))


class EachView:
    """``s.w``: a number for each asset."""

    def __init__(self, frame: int, place: int) -> None:
        self._frame, self.place = frame, place

    def __getitem__(self, k: int) -> np.float64:
        return memory.f8(checked(self._frame, reach.each_place(self._frame, self.place, int(k))))

    def __setitem__(self, k: int, value: float) -> None:
        memory.put_f8(checked(self._frame, reach.each_place(self._frame, self.place, int(k))), value)


class PortfolioSlots(Slots):
    """Declared state, in the trial's own block."""

    def __init__(self, frame: int, plan: Plan, declared: dict[str, Any]) -> None:
        f = memory.at(frame, L.FRAME)
        super().__init__(int(f.strategy), plan.places, declared)
        each = [name for name, value in declared.items() if isinstance(value, Each)]
        views = {n: EachView(frame, f.strategy + 8 * (plan.words + j * int(f.n_asset))) for j, n in enumerate(each)}
        self.__dict__.update(_each=views)

    def __getattr__(self, name: str) -> Any:
        return self._each[name] if name in self.__dict__.get("_each", {}) else super().__getattr__(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._each:
            raise StrategyError(
                message(f"state {name!r}", "set as a whole", "a number of one asset", f"Write s.{name}[k] = x.")
            )
        super().__setattr__(name, value)


def arguments(
    frame: int, plan: Plan, slots: dict[tuple[Any, ...], int], declared: dict[str, Any], raised: Raised
) -> list[Any]:
    """What a portfolio's function is called with before its parameters."""
    head: list[Any] = [PortfolioCtx(frame, plan, slots, raised)]
    return [*head, PortfolioSlots(frame, plan, declared)] if declared else head


def each(
    frame: int,
    plan: Plan,
    slots: dict[tuple[Any, ...], int],
    declared: dict[str, Any],
    check: Callable[[int, int], None],
    call: Callable[[list[Any], int], None],
) -> None:
    """X9: ``call`` with what a strategy of one asset is called with, and how many events it is told; for each asset.

    Before that ``check`` hears where the asset's indicators have their values.
    """
    f = memory.at(frame, L.FRAME)
    events = happened(frame)
    try:
        for k in range(int(f.n_asset)):
            if reach.is_called(frame, k):
                focus.focus(frame, k)
                check(frame, int(reach.own_panel(frame)))
                state = int(f.strategy) + 8 * (plan.words + plan.own_words * k)
                call([OwnCtx(frame, plan, slots), *([Slots(state, plan.places, declared)] if declared else [])], events)
    finally:
        focus.defocus(frame)
    if events:
        reach.forget_told(frame, events)


def functions() -> dict[str, Callable[..., int]]:
    """FRAME's functions of a portfolio, uncompiled."""
    from kernelkit.kernels import abreast, sharing

    return {
        "coast": sharing.march,
        "meet": sharing.meet_all,
        "twice": sharing.twice,
        "walk": abreast.walk_all,
        "finer": abreast.finer_all,
        "act": orders.act,
        "weigh": orders.weigh,
    }
