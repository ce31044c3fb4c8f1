"""Transaction costs: the orders of every selected trial, beside the prices of the bars that they met."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from kernelkit.errors import UsageError, arguments, message
from kernelkit.kernels import layout as L
from kernelkit.metrics import execution
from kernelkit.result import Records, curves_of, fills, orders, selected, trial_numbers

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


@arguments()
def executions(
    res: xr.Dataset,
    *,
    horizon: Literal["order", "end"] = "order",
    span: Literal["order", "session"] = "order",
    **sel: Any,
) -> xr.Dataset:
    """Every order of the trials that a result, at ``sel``, has: what it asked for, what it got, prices beside it (M16).

    `kernelkit.metrics.executions` of each trial, one after the other along `order`, labelled by the parameters (or fill
    models, or assets) that tell them apart; each trial is simulated again. Excluded cells have no orders. Raises
    UsageError where no trial is left, or several are told apart by a name that the table has.

    >>> import kernelkit as kk
    >>> @kk.strategy
    ... def hold(ctx, w=1.0):
    ...     ctx.target_percent(w)
    >>> venue = kk.Venue(slippage=kk.slippage.fraction(0.001))
    >>> res = kk.backtest(kk.data.load("sp500_index"), hold, grid=dict(w=[0.5, 0.9]), start="2018", venue=venue)
    >>> done = executions(res)
    >>> done["w"].values[[0, -1]].tolist(), kk.metrics.slippage(done, "reference").round(1).values[0].item()
    ([0.5, 0.9], 10.0)
    """
    import xarray as xr

    recipe, res = curves_of(res).recipe, selected(res, sel)
    axes = [name for name in (*recipe.axes, "asset") if name in res.dims and not (name == "asset" and recipe.shared)]
    known = {*execution.COLUMNS, *execution.LABELS, "order"} - {"asset"}
    if taken := [name for name in axes if name in known]:
        fix = f"Choose its value: kk.executions(res, {taken[0]}=...)."
        raise UsageError(message("parameter of the result", taken[0], "a name that no order's table has", fix))
    numbers = trial_numbers(recipe)
    places = {name: list(values) for name, values in recipe.axes.items()}
    if len(recipe.accounts) > 1:
        places["asset"] = list(recipe.assets)
    found = []
    for labels in itertools.product(*(res[name].values.tolist() for name in axes)):
        one = res.sel(dict(zip(axes, labels, strict=True)))
        where = tuple(places[name].index(one[name].values.ravel()[0].item()) for name in places)
        if numbers[where] < 0:
            continue
        asked, filled = orders(one), fills(one)
        done = execution.executions(
            asked, filled, recipe.bars, actions=_actions(Records(one, "orders")), horizon=horizon, span=span
        )
        told = {name: ("order", np.full(len(asked), label)) for name, label in zip(axes, labels, strict=True)}
        found.append(done.assign_coords({k: v for k, v in told.items() if k != "asset"}))
    if not found:
        fix = "Choose another cell."
        raise UsageError(message("these cells", "excluded by where=", "a trial that was run", fix))
    return xr.concat(found, "order") if len(found) > 1 else found[0]


def _actions(records: Records) -> pd.DataFrame:
    """The splits of all assets of a trial."""
    import pandas as pd

    rows = [
        (when, name, "split")
        for table, name in zip(records.tables, records.names, strict=True)
        for when in table.actions["time"][table.actions["kind"] == L.ACTIONS.index("split")]
    ]
    return pd.DataFrame(rows, columns=["time", "asset", "kind"])
