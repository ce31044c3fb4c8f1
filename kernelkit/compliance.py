"""What the limits of an account, and the hours and failures of its venue, did to orders (rule R9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.errors import arguments
from kernelkit.kernels import layout as L
from kernelkit.result import Records

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

RULES = {
    L.R_POSITION: "R2 position",
    L.R_NOTIONAL: "R2 notional",
    L.R_CONCENTRATION: "R2 concentration",
    L.R_LEVERAGE: "R3 leverage",
    L.R_TURNOVER: "R4 turnover",
    L.R_SHORT: "R5 short",
    L.R_DAY_TRADES: "R6 day_trades",
    L.R_SHORT_PRICE: "R7 short_sale_price",
    L.R_UNIVERSE: "U1 universe",
    L.R_DOWN: "H2 outages",
    L.R_CLOSED_MARKET: "H1 hours",
    L.R_RATE: "H3 rate",
}
COUNTLESS = (L.R_UNIVERSE, L.R_DOWN, L.R_CLOSED_MARKET)  # these have no number


@arguments()
def compliance(res: xr.Dataset, **sel: Any) -> pd.DataFrame:
    """Every limit, outage, closing or rate that hit an order of the selected trial, in order of time (rule R9).

    ``rule`` names the rule and its number, ``limit`` and ``found`` are its number and what stood in its place at worst
    (NaN for rules without one), ``done`` is rejected, cut or delayed: from ``quantity`` to ``left`` (base units; of a
    cancel or replacement of a live order both are its quantity), or ``until`` a time (UTC, else NaT). An order that
    nothing hit has no row. ``sel`` narrows the result down to one trial; raises UsageError where several are left.

    >>> import kernelkit as kk
    >>> @kk.strategy
    ... def hold(ctx):
    ...     if ctx.i == 0:
    ...         ctx.buy(10.0)
    >>> limited = kk.Account(limits=kk.Limits(position=4.0, on_breach="cut"))
    >>> res = kk.backtest(kk.data.load("sp500_index"), hold, account=limited)
    >>> compliance(res)[["rule", "limit", "found", "done", "quantity", "left"]].to_dict("records")
    [{'rule': 'R2 position', 'limit': 4.0, 'found': 10.0, 'done': 'cut', 'quantity': 10.0, 'left': 4.0}]
    """
    import pandas as pd

    r = Records(res, "breaches", sel)
    told = ~np.isin(r["reason"], COUNTLESS)
    table = pd.DataFrame(
        {
            "time": r["time"].astype("datetime64[ns]"),
            "asset": r.asset,
            "order": r["order"],
            "rule": [RULES[int(k)] for k in r["reason"]],
            "limit": np.where(told, r["limit"], np.nan),
            "found": np.where(told, r["found"], np.nan),
            "done": r.text("done", L.DEEDS),
            "quantity": np.abs(r["before"]) * r.lot,
            "left": np.abs(r["after"]) * r.lot,
            "until": r.times("until").astype("datetime64[ns]"),
            **r.venues,
        }
    )
    return table.astype(dict.fromkeys(("asset", "rule", "done"), "str"))
