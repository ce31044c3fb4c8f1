"""The lots of a target weight (S2, S5)."""

from __future__ import annotations

import math

from tests.reference.account import Fund
from tests.reference.config import ModelView
from tests.reference.costs import ask
from tests.reference.holding import Holding


def target_lots(  # noqa: PLR0913  what S2 names
    account: Fund, holding: Holding, weight: float, lots: int, worth: float, ticks: int, bar: int, time: int, slip: bool
) -> int | None:
    """S2: the lots from `lots` held to a weight of `worth` at `ticks`, before bar `bar` of the asset.

    `slip` reserves for slippage, at the decision. None for more than can be counted (O5).
    """
    grid, config, purse = holding.grid, holding.config, account.purse_of[holding.number]
    p = abs(grid.worth(ticks))
    held = float(lots)
    wanted = ((weight * worth) / p) / grid.unit
    gap = wanted - held
    if abs(wanted) > abs(held) or wanted * held < 0.0:
        view = ModelView(
            side=1.0 if gap > 0.0 else -1.0,
            quantity=abs(gap) * grid.lot,
            price=grid.price(ticks),
            notional=p * (abs(gap) * grid.unit),
            filled=0.0,
            paid=0.0,
            volume=holding.own.mean_volume(bar),
            position=float(holding.position) * grid.lot,
            equity=purse.equity,
            time=time,
            maker=0.0,
            tick=grid.price(1),
            volatility=holding.own.volatility(bar, grid),
            traded=account.traded_before(time if slip else holding.bars.open_at[holding.last], holding.venue),
            filled_notional=0.0,
        )
        f = ask("fee", config.fee, view) / view.notional
        s = ask("slippage", config.slippage, view) if slip else 0.0
        gap = gap / ((1.0 + f) + s)
    return math.trunc(gap) if abs(gap) < 2**53 else None
