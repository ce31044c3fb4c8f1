"""The account: its money at the start, what cash earns and debt costs, what borrowed units cost, its margin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from kernelkit.errors import OrderError, arguments, message
from kernelkit.market.limits import Limits, is_number
from kernelkit.market.margins import Margin


@dataclass(frozen=True)
class Rates:
    """A yearly rate that changes: from ``times[k]`` (ns UTC) on it is ``values[k]``, before the first 0."""

    times: tuple[int, ...]
    values: tuple[float, ...]

    def at(self, times: np.ndarray) -> np.ndarray:
        """The rate as it stood at each of ``times``, int64 ns.

        >>> Rates((10, 20), (0.01, 0.02)).at(np.array([5, 10, 25])).tolist()
        [0.0, 0.01, 0.02]
        """
        k = np.searchsorted(self.times, times, side="right")
        found: np.ndarray = np.array([0.0, *self.values])[k]
        return found


Rate = float | Rates


@arguments(limits=Limits, margin=Margin)
@dataclass(frozen=True)
class Account:
    """Money at the start, in quote currency, and what it costs and earns there (rules E6, E7, L1, R1).

    ``interest`` is the yearly rate that the account's own cash earns, ``loan`` the one that debt costs (None: the
    same), ``borrow`` what borrowed units of a short position cost, for all assets or a mapping by asset. A rate is a
    fraction, or a pandas Series of fractions by the time (UTC) from which each holds. ``margin`` says what a position
    must be backed with (None: its full value), ``limits`` what the account may do (rules R1-R8). Raises OrderError for
    anything else.

    >>> Account(cash=10_000).cash
    10000.0
    >>> Account(interest=0.04, borrow={"GME": 0.3}).borrow
    {'GME': 0.3}
    """

    cash: float = 1_000_000.0
    _: KW_ONLY
    interest: Any = 0.0
    loan: Any = None
    borrow: Any = 0.0
    margin: Margin | None = None
    limits: Limits | None = None

    def __post_init__(self) -> None:
        cash: Any = self.cash
        if not (is_number(cash) and cash > 0):
            raise OrderError(message("cash of the account", cash, "a positive amount", "Write Account(cash=1e6)."))
        object.__setattr__(self, "cash", float(cash))
        object.__setattr__(self, "interest", rate_of("interest", self.interest))
        if self.loan is not None:
            object.__setattr__(self, "loan", rate_of("loan", self.loan))
        borrow: Any = self.borrow
        if isinstance(borrow, Mapping):
            rates: Any = {str(asset): rate_of(f"borrow of {asset}", r) for asset, r in borrow.items()}
        else:
            rates = rate_of("borrow", borrow)
        object.__setattr__(self, "borrow", rates)
        margin: Any = self.margin
        if margin is not None and not isinstance(margin, Margin):
            fix = "Write margin=kk.Margin(initial=0.5, maintenance=0.25), or kk.margins.reg_t()."
            raise OrderError(message("margin of the account", repr(margin), "a kk.Margin", fix))
        limits: Any = self.limits
        if limits is not None and not isinstance(limits, Limits):
            fix = "Write limits=kk.Limits(leverage=2.0)."
            raise OrderError(message("limits of the account", repr(limits), "kk.Limits", fix))


def rate_of(name: str, rate: Any) -> Rate:
    """A rate as the account keeps it; raises OrderError for what is none."""
    import pandas as pd

    what, fix = f"{name} of the account", "A rate of 5 % a year is 0.05."
    if isinstance(rate, Rates):
        return rate
    if isinstance(rate, pd.Series):
        index = rate.index
        if not isinstance(index, pd.DatetimeIndex) or index.hasnans or not index.is_monotonic_increasing:
            raise OrderError(message(what, "a Series without times in order", "a DatetimeIndex that rises", "Sort it."))
        if not index.is_unique:
            found, clean = f"two rates from {index[index.duplicated()][0]} on", "Keep one: s[~s.index.duplicated()]."
            raise OrderError(message(what, found, "one rate for each time", clean))
        values = pd.to_numeric(rate, errors="coerce").to_numpy("f8", na_value=np.nan)
        if not (np.abs(values) < 1.0).all():
            wrong = rate[~(np.abs(values) < 1.0)].iloc[0]
            raise OrderError(message(what, repr(wrong), "fractions a year", fix))
        naive = index.tz_convert(None) if index.tz is not None else index
        return Rates(tuple(naive.as_unit("ns").asi8.tolist()), tuple(values.tolist()))
    if not (is_number(rate) and abs(rate) < 1.0):
        raise OrderError(message(what, repr(rate), "a fraction a year, or a Series of them", fix))
    return float(rate)
