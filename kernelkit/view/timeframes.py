"""What a strategy sees of a higher timeframe in plain Python."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernelkit.errors import LookaheadError, StrategyError, message
from kernelkit.kernels import context
from kernelkit.kernels.timeframe import canonical
from kernelkit.view import Ctx, Series, Value


class HigherSeries(Series):
    """A column of a higher timeframe: ``[0]`` the last bar that has closed, ``[-k]`` those before it."""

    def __init__(self, ctx: Ctx, column: int, timeframe: int) -> None:
        super().__init__(ctx, column)
        self._timeframe = timeframe

    def __getitem__(self, k: int) -> np.float64:
        k = int(k)
        if k > 0:
            raise LookaheadError(
                message(f"bar {self._ctx.i}", f"index [{k}]", "0 for the last closed bar, -1 before it", "Not ahead.")
            )
        return np.float64(self._ctx._past(self._timeframe, self._column, k))

    def _value(self, kind: str, arguments: tuple[Any, ...]) -> Value:
        return self._ctx._value(kind, self._column, arguments, self._timeframe)


class Timeframe:
    """``ctx.tf("1h")``: series and indicators of the bars that have closed."""

    def __init__(self, ctx: Ctx, name: str) -> None:
        self._ctx, self._number = ctx, list(ctx._plan.timeframes).index(canonical(name))

    def __getattr__(self, name: str) -> Any:
        if name in context.SERIES:
            return HigherSeries(self._ctx, context.SERIES[name], self._number)
        if name in context.BAR_ROLLING:
            return lambda n: self._ctx._value(context.BAR_ROLLING[name].price, 0, (n,), self._number)
        known = ", ".join([*context.SERIES, *context.BAR_ROLLING])
        raise StrategyError(message(f"a timeframe's {name}", "nothing", f"one of {known}", "Check the name."))
