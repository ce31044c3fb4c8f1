"""The trade inspector: a table of all trades, the chart of the one that is selected, and what became of its orders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import traitlets

from kernelkit.errors import UsageError, arguments, message
from kernelkit.notebook.bundle import rounded
from kernelkit.notebook.widgets.base import packed
from kernelkit.notebook.widgets.panes import Chart
from kernelkit.notebook.widgets.scene import Scene
from kernelkit.why import why

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from kernelkit.notebook.widgets.selection import Selection

ORDERS = 40  # of one trade that the card lists
SHOWN = 12  # trades of the static picture
TEXTS = ("asset", "side", "venue")


@arguments()
def trade_inspector(
    res: xr.Dataset,
    bars: xr.Dataset | None = None,
    *,
    height: int = 380,
    selection: Selection | None = None,
) -> TradeInspector:
    """Every trade of a result's selected trial in a table, with the chart and the orders of the one selected.

    A card says of each order why it traded (`kk.why`), its prices, slippage and fees, and of the trade how far it went
    against and for it (`kk.metrics.excursions`). Raises UsageError for a result without the simulator behind it.

    >>> import kernelkit as kk
    >>> @kk.strategy
    ... def flip(ctx):
    ...     ctx.target(1.0 if ctx.i % 1000 < 500 else -1.0)
    >>> shown = trade_inspector(kk.backtest(kk.data.load("sp500_index"), flip))
    >>> shown.table["n"], [column["name"] for column in shown.table["columns"]][:4]
    (10, ['asset', 'side', 'opened', 'closed'])
    """
    return TradeInspector(res, bars, height=height, selection=selection)


class TradeInspector(Chart):
    """The widget of `trade_inspector`."""

    _name: ClassVar[str] = "inspector"

    table = traitlets.Dict().tag(sync=True)
    card: Any = traitlets.Dict(default_value=None, allow_none=True).tag(sync=True)

    def heard(self, kind: str, content: Mapping[str, Any]) -> None:
        """Answer also why an order did what it did."""
        if kind == "why":
            number = int(content["order"])
            self.tell("why", order=number, html=why(self.scene.trial, number)._repr_html_())
        else:
            super().heard(kind, content)

    def fallback(self) -> str:
        """The trades that made and lost most, above the picture of the equity."""
        trades = simulated(self.scene)
        most = trades["pnl"].abs().sort_values(ascending=False).index[:SHOWN]
        head = f"<p style='margin:0'>The {len(most)} of {len(trades):,} trades that made or lost most</p>"
        table = trades.loc[sorted(most)].to_html(border=0, float_format=lambda v: f"{v:,.6g}")
        return f"{head}{table}{super().fallback()}"

    def _shown(self) -> dict[str, Any]:
        return super()._shown() | {"table": table_of(self.scene), "card": None}

    def _go_to_trade(self, change: Any = None) -> None:
        super()._go_to_trade(change)
        self.card = None if self.trade is None else card_of(self.scene, self.trade["number"])


def simulated(scene: Scene) -> pd.DataFrame:
    """The trades of a scene; raises UsageError where the simulator that would list them is gone."""
    if scene.trades is None:
        fix = "Keep what kk.backtest or kk.walk_forward has returned."
        raise UsageError(message("result", "no trades: it was loaded from a store", "one with its simulator", fix))
    return scene.trades


def table_of(scene: Scene) -> dict[str, Any]:
    """All trades by column: numbers and times as arrays, texts as codes and their words."""
    trades = simulated(scene)
    opened, closed = scene.trade_rows
    columns: dict[str, Any] = {name: trades[name].to_numpy() for name in ("asset", "side", "opened", "closed")}
    sign = np.where(trades["side"] == "long", 1.0, -1.0)
    columns["bars"] = closed - opened
    columns |= {name: trades[name].to_numpy("f8") for name in ("quantity", "entry", "exit", "pnl")}
    columns["return"] = sign * (columns["exit"] / columns["entry"] - 1.0)
    if scene.excursions is not None:
        columns |= {name: scene.excursions[name].values for name in ("mae", "mfe")}
    columns |= {"slippage": slippage_of(scene), "fees": trades["fees"].to_numpy("f8")}
    if "venue" in trades:
        columns["venue"] = trades["venue"].to_numpy()
    return {"n": len(trades), "columns": [column(name, values) for name, values in columns.items()]}


def column(name: str, values: Any) -> dict[str, Any]:
    """One column as the browser reads it.

    >>> column("side", np.array(["long", "short", "long"], object))["words"]
    ['long', 'short']
    """
    values = np.asarray(values)
    if name in TEXTS:  # whatever their type: that of an empty column says nothing
        words, codes = np.unique(values.astype(str), return_inverse=True)
        return {"name": name, "kind": "text", "words": words.tolist(), "values": packed(codes.astype("i4"))}
    kinds = {"M": "time", "i": "number", "f": "number"}
    numbers = values if values.dtype.kind == "M" else values.astype("f8")
    return {"name": name, "kind": kinds[values.dtype.kind], "values": packed(numbers)}


def slippage_of(scene: Scene) -> np.ndarray:
    """What the fills of each trade lost to slippage, in quote currency."""
    fill, trade, share = scene.shares
    lost = np.zeros(0) if scene.fills is None else scene.fills["slippage"].to_numpy("f8")[fill] * share
    found: np.ndarray = np.bincount(trade, lost, len(simulated(scene)))
    return found


def card_of(scene: Scene, number: int) -> dict[str, Any]:
    """The orders behind one trade: what each asked for, the prices that it met and what its part in the trade cost."""
    fills = scene.fills
    own = scene.shares.trade == number
    if fills is None or not own.any():
        return {"trade": number, "orders": [], "more": 0}
    parts = fills.iloc[scene.shares.fill[own]].assign(share=scene.shares.share[own])
    groups = list(parts.groupby("order", sort=False))
    found = [told(scene, int(order), part) for order, part in groups[:ORDERS]]
    return {"trade": number, "orders": found, "more": len(groups) - len(found)}


def told(scene: Scene, order: int, part: pd.DataFrame) -> dict[str, Any]:
    """One order of a card; ``part`` is its fills, each with the share that is the trade's."""
    asked = scene.orders.loc[order]
    met = scene.executions.isel(order=int(np.flatnonzero(scene.executions["order"].values == order)[0]))
    numbers = {name: asked[name] for name in ("quantity", "limit", "trigger")}
    numbers |= {name: met[name] for name in ("decision", "arrival", "reference", "price", "passive")}
    numbers |= {name: (part[name] * part["share"]).sum() for name in ("slippage", "fee")}
    numbers["filled"] = (part["quantity"] * part["share"]).sum()
    return {
        "order": order,
        **{name: str(asked[name]) for name in ("kind", "tif", "side", "status", "sentence")},
        "submitted": milliseconds(asked["submitted"]),
        "done": milliseconds(part["time"].iloc[-1]),
        "fills": len(part),
        "at": ", ".join(dict.fromkeys(part["at"])),
        **{name: rounded(float(value), 12) for name, value in numbers.items()},
    }


def milliseconds(when: Any) -> float | None:
    """A time as the browser has it; None for none."""
    moment = np.datetime64(when, "ns")
    return None if np.isnat(moment) else float(moment.astype("i8")) / 1e6
