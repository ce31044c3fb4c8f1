"""What a mandate, a broker or a law forbids an account: limits as data, and those of known laws (rules R1-R8)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kernelkit import offers
from kernelkit.errors import OrderError, arguments, message
from kernelkit.kernels import layout as L
from kernelkit.kernels.rules import INF

__all__ = ("Limits", "find", "pattern_day_trading", "ssr_201")
AMOUNTS = ("position", "notional", "leverage", "concentration", "turnover")
ON_BREACH = ("reject", "cut")


@arguments()
@dataclass(frozen=True)
class Limits:
    """What an account may have at worst, asked of each order before it lives (rules R1-R8); None asks nothing.

    ``position`` (base units) and ``notional`` (quote currency) are the largest of one asset, ``concentration`` its
    largest part of the equity, ``leverage`` that of all assets together, ``turnover`` what may be traded in a session,
    as a part of the equity. ``short`` is True, False, the assets that may be sold short, or how much of each (base
    units, True for any quantity). ``day_trades`` is how many there may be in five sessions while the equity is below
    ``day_trade_equity``; ``short_sale_price`` the fall, as a fraction, after which short sales must be above the last
    price. ``on_breach`` says what becomes of an order: ``"reject"``, or ``"cut"`` to what the limit allows.
    Raises OrderError for anything else.

    >>> Limits(leverage=1.5, short=False).short
    False
    """

    position: float | None = None
    notional: float | None = None
    leverage: float | None = None
    concentration: float | None = None
    turnover: float | None = None
    short: bool | Iterable[str] | Mapping[str, float | bool] = True
    day_trades: int | None = None
    day_trade_equity: float = 25_000.0
    short_sale_price: float | None = None
    on_breach: str = "reject"

    def __post_init__(self) -> None:
        for name in (*AMOUNTS, "day_trade_equity"):
            value = getattr(self, name)
            if value is not None:
                if not (is_number(value) and value > 0):
                    raise OrderError(message(f"limit {name}", repr(value), "a number above 0", "None is no limit."))
                object.__setattr__(self, name, float(value))
        n: Any = self.day_trades
        if n is not None and not (isinstance(n, int) and not isinstance(n, bool) and 0 <= n <= L.TRIPS):
            fix = "FINRA's pattern day traders begin at 4: write 3."
            raise OrderError(message("limit day_trades", repr(n), f"a whole number from 0 to {L.TRIPS}", fix))
        fall: Any = self.short_sale_price
        if fall is not None and not (is_number(fall) and 0.0 < fall < 1.0):
            fix = "SEC Rule 201 has 0.1."
            raise OrderError(message("limit short_sale_price", repr(fall), "a fraction between 0 and 1", fix))
        if self.on_breach not in ON_BREACH:
            fix = "Choose what becomes of an order that is too much."
            raise OrderError(message("on_breach", repr(self.on_breach), f"one of {', '.join(ON_BREACH)}", fix))
        object.__setattr__(self, "short", self._short())

    def _short(self) -> bool | tuple[tuple[str, float], ...]:
        """What may be sold short, and how much of it, in an order of its own."""
        short: Any = self.short
        if isinstance(short, bool):
            return short
        fix = 'Write short=False, short=["AAPL"] or short={"AAPL": 100.0}.'
        if isinstance(short, str) or not isinstance(short, Iterable):
            raise OrderError(message("limit short", repr(short), "True, False or names of assets", fix))
        named = short.items() if isinstance(short, Mapping) else short
        pairs = [one if isinstance(one, tuple) else (one, True) for one in named]
        out = {}
        for name, most in pairs:
            quantity = {True: INF, False: 0.0}[most] if isinstance(most, bool) else most
            if not (isinstance(quantity, (int, float)) and quantity >= 0):
                raise OrderError(message(f"limit short of {name}", repr(most), "a quantity, True or False", fix))
            out[str(name)] = float(quantity)
        return tuple(sorted(out.items()))

    def shorts(self, assets: list[str]) -> tuple[float, ...]:
        """The largest short position of each asset, () for no limit; raises OrderError for an asset that is not there.

        >>> Limits(short={"B": 5.0}).shorts(["A", "B"])
        (0.0, 5.0)
        """
        short: Any = self.short
        if isinstance(short, bool):
            return () if short else (0.0,) * len(assets)
        unknown = [name for name, _ in short if name not in assets]
        if unknown:
            found, fix = ", ".join(unknown), "Check the names."
            raise OrderError(message("limit short", found, f"assets of the bars: {', '.join(assets)}", fix))
        return tuple(dict(short).get(name, 0.0) for name in assets)

    def numbers(self) -> dict[str, Any]:
        """The limits as `Rules` have them, but for the assets of ``short``."""
        told = {name: INF if getattr(self, name) is None else getattr(self, name) for name in AMOUNTS}
        told |= {"day_trades": -1 if self.day_trades is None else self.day_trades, "cut": self.on_breach == "cut"}
        return told | {"day_trade_equity": self.day_trade_equity, "fall": self.short_sale_price or 0.0}


def is_number(value: Any) -> bool:
    """Whether it is a finite number, Python's or NumPy's, and no bool."""
    kinds = int, float, np.integer, np.floating
    return isinstance(value, kinds) and not isinstance(value, bool) and math.isfinite(value)


@arguments()
def pattern_day_trading(**others: Any) -> Limits:
    """No fourth day trade in five sessions below 25,000 of equity (rule R6); ``others`` are further limits.

    FINRA Rule 4210(f)(8)(B): four day trades in five business days make a pattern day trader, who must have 25,000.

    >>> pattern_day_trading(leverage=2.0).day_trades
    3
    """
    return Limits(**({"day_trades": 3, "day_trade_equity": 25_000.0} | others))


@arguments()
def ssr_201(**others: Any) -> Limits:
    """Short sales above the last price alone, once the price has fallen by a tenth (rule R7); ``others`` as above.

    SEC Rule 201 of Regulation SHO, 17 CFR 242.201, for the rest of the session and the next.

    >>> ssr_201().short_sale_price
    0.1
    """
    return Limits(**({"short_sale_price": 0.1} | others))


@arguments()
def find(name: str, **settings: Any) -> Limits:
    """The limits that an installed package offers by this name, as a house does for its mandates.

    An entry point of ``kernelkit.limits`` is a `Limits`, or a function that makes one of ``settings``. Raises
    UsageError for a name that no package offers, OrderError for what is no `Limits`.

    >>> find("mandate")
    Traceback (most recent call last):
    kernelkit.errors.UsageError: limits: found 'mandate', wanted none. Install the package that offers it.
    """
    offered, place = offers.load("limits", name)
    found = offered(**settings) if callable(offered) else offered
    if not isinstance(found, Limits) or (settings and not callable(offered)):
        got = type(found).__name__ if not isinstance(found, Limits) else f"settings {', '.join(settings)}"
        fix = "Return kk.Limits(...)." if not isinstance(found, Limits) else "Leave them out."
        raise OrderError(message(f"limits {name!r} ({place})", got, "a kk.Limits", fix))
    return found
