"""Real fills beside simulated ones: where the money between them went, to the cent (RC)."""

from __future__ import annotations

import html
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.errors import UsageError, arguments, message
from kernelkit.kernels import layout as L
from kernelkit.reconcile.broker import read
from kernelkit.reconcile.market import Market
from kernelkit.reconcile.pairing import Fills, pair
from kernelkit.reconcile.refit import Slippage, refit
from kernelkit.result import Records, curves_of, fills, one_trial, orders, selected

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

PARTS = ("signal", "timing", "price", "fees", "missed")
WORDS = {
    "signal": "what only one of them decided to trade",
    "timing": "the market moved between both fills",
    "price": "worse or better than the market, beyond what was simulated",
    "fees": "fees beyond those simulated",
    "missed": "simulated, and never filled",
}
# Bars on either side of a simulated fill in which a real one may be the same.
BARS = 5
FARTHEST = 4 * 10**18  # ns, more than any span; with a time it still fits in 64 bits
NS = "datetime64[ns]"


@dataclass(frozen=True)
class Reconciliation:
    """The gap between real and simulated profit, in quote currency, and the parts that it is the sum of.

    `pieces` has a row for each part of a fill: asset, side, quantity, notional (the simulated one, where there is one),
    both times, prices and fees (none on the side that it is missing from), the market's price at both times, the gap
    and its parts. `slippage` is refitted to the real fills.
    """

    real: float
    simulated: float
    pieces: pd.DataFrame
    slippage: Slippage

    @property
    def gap(self) -> float:
        """Real less simulated profit, of the fills alone (RC1)."""
        return self.real - self.simulated

    @property
    def parts(self) -> dict[str, float]:
        """The gap by cause (RC4); they add up to it."""
        return {name: float(self.pieces[name].sum()) for name in PARTS}

    @property
    def matched(self) -> float:
        """Which part of the simulated notional was really traded, 0 to 1."""
        own = self.pieces[self.pieces["simulated_time"].notna()]
        value = own["notional"]
        return float(value[own["real_time"].notna()].sum() / value.sum()) if len(own) else 1.0

    def by(self, *columns: str) -> pd.DataFrame:
        """The gap and its parts, summed by columns of `pieces`, such as ``"asset"`` or ``"side"``."""
        known = list(self.pieces.columns)
        unknown = [c for c in columns if c not in known]
        if unknown or not columns:
            wanted = f"columns of {', '.join(self.pieces.columns)}"
            raise UsageError(message("by", unknown[0] if unknown else "nothing", wanted, 'Write by("asset").'))
        return self.pieces.groupby(list(columns))[["gap", *PARTS]].sum()

    def __repr__(self) -> str:
        rows = [f"  {name:<8} {value:>16,.2f}  {WORDS[name]}" for name, value in self.parts.items()]
        told = f"real {self.real:,.2f}, simulated {self.simulated:,.2f}: a gap of {self.gap:,.2f}"
        head = f"{told}, {self.matched:.1%} of the simulated notional was traded"
        return "\n".join([head, *rows, f"  slippage {self.slippage}"])

    def _repr_html_(self) -> str:
        head, *rest = repr(self).split("\n")
        rows = "".join(
            f"<tr><th style='text-align:left'>{name}</th><td style='text-align:right'>{value:,.2f}</td>"
            f"<td style='text-align:left'>{html.escape(WORDS[name])}</td></tr>"
            for name, value in self.parts.items()
        )
        return f"<p>{html.escape(head)}</p><table>{rows}</table><p>{html.escape(rest[-1].strip())}</p>"


@arguments()
def reconcile(
    res: xr.Dataset,
    broker_fills: Any,
    *,
    bars: xr.Dataset | None = None,
    columns: Mapping[str, str] | None = None,
    within: Any = None,
    sent: Iterable[int] | None = None,
    **sel: Any,
) -> Reconciliation:
    """Match a broker's fills to those of a result, and split the gap in profit by cause; rules RC1 to RC6.

    ``broker_fills`` is a DataFrame with time (UTC where it has no zone), asset (of several), quantity (signed, or with
    a side), price, and where known fee, order (the number in `kk.orders`) and reference (the market's price when it was
    sent); ``columns`` says what is called otherwise. ``bars`` are finer bars that say where the market was, instead of
    the result's own. ``within`` is the largest distance of two fills that are the same, five bars if left out.
    ``sent`` has the numbers of the simulation's orders that were really sent; all, if left out. ``sel`` narrows the
    result down to one trial.

    Raises DataError for fills that cannot be read or lie outside the bars, UsageError for several trials, and where a
    split or an inverse contract is in the way.

    Source of the parts: Perold, The Implementation Shortfall: Paper versus Reality, Journal of Portfolio Management 14
    (1988), which tells execution from opportunity cost.

    >>> import kernelkit as kk
    >>> @kk.strategy
    ... def hold(ctx):
    ...     if ctx.position == 0.0:
    ...         ctx.buy(100.0)
    >>> res = kk.backtest(kk.data.load("sp500_index"), hold, start="2018")
    >>> real = kk.fills(res)[["time", "side", "quantity", "price"]].assign(fee=7.0)
    >>> real["price"] += 0.5
    >>> {name: round(value, 2) for name, value in reconcile(res, real).parts.items()}
    {'signal': 0.0, 'timing': 0.0, 'price': -50.0, 'fees': -7.0, 'missed': 0.0}
    """
    res = selected(res, sel)
    numbers = None if sent is None else _numbers(sent)
    curves, trial = one_trial(res)
    recipe = curves.recipe
    _check(res)
    market = Market(recipe.bars if bars is None else bars, recipe, trial)
    ours, theirs = fills(res), read(broker_fills, columns, market.assets)
    market.check(theirs["time"].to_numpy(), theirs["asset"])
    window = _window(within, market)
    pieces = _pieces(ours, theirs, market, window, numbers)
    real, simulated = (market.profit(table) for table in (theirs, _signed(ours)))
    return Reconciliation(real, simulated, pieces, _slippage(theirs, pieces, orders(res), market))


def _numbers(sent: Iterable[int]) -> set[int]:
    """The numbers of orders."""
    try:
        return {operator.index(order) for order in sent}
    except TypeError:
        fix = "Write sent=range(1, 9), or take them from kk.orders(res)."
        raise UsageError(message("sent", repr(sent)[:80], "numbers of orders", fix)) from None


def _check(res: xr.Dataset) -> None:
    """Raise for what a price times a quantity does not measure."""
    recipe = curves_of(res).recipe
    if "split" in Records(res, "happened").text("kind", L.ACTIONS):
        fix = "Reconcile the time before and the time after it: kk.backtest(..., start=, end=)."
        raise UsageError(message("this result", "a split", "one unit of quantity", fix))
    if any(table.mark != L.C_CLOSE_P for table in recipe.job.tables):
        fix = "Convert both sides' fills to quote currency first."
        raise UsageError(message("this result", "an inverse contract", "profit that is linear in the price", fix))


def _window(within: Any, market: Market) -> int:
    import pandas as pd

    if within is None:
        return BARS * market.step
    try:
        found = pd.Timedelta(within)
    except (ValueError, TypeError) as error:
        raise UsageError(message("within", f"{within!r} ({error})", "a duration", "Write '30min'.")) from None
    if found is pd.NaT or found < pd.Timedelta(0):
        raise UsageError(message("within", within, "a duration, 0 or more", "Write '30min'."))
    return min(int(found.as_unit("ns").value), FARTHEST)


def _signed(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(quantity=np.where(table["side"] == "buy", 1.0, -1.0) * table["quantity"])


def _pieces(
    ours: pd.DataFrame, theirs: pd.DataFrame, market: Market, within: int, sent: set[int] | None
) -> pd.DataFrame:
    import pandas as pd

    rows = []
    for asset in market.assets:
        for side in (1.0, -1.0):
            own = ours[(ours["asset"] == asset) & ((ours["side"] == "buy") == (side > 0.0))]
            real = theirs[(theirs["asset"] == asset) & (np.sign(theirs["quantity"]) == side)]
            for found in pair(_fills(own), _fills(real), within):
                simulated = None if found.simulated < 0 else ours.loc[found.simulated]
                rows.append(
                    _piece(
                        asset,
                        side,
                        found.quantity,
                        simulated,
                        None if found.real < 0 else theirs.loc[found.real],
                        market,
                    )
                    | _order(simulated, sent)
                )
    names = ["asset", "side", "quantity", "notional", "simulated_time", "real_time", "simulated_price", "real_price"]
    names += ["simulated_fee", "real_fee", "simulated_market", "real_market", "gap", *PARTS, "order"]
    table = pd.DataFrame(rows, columns=[*names, "unsent"])
    moved = table.pop("unsent").to_numpy(bool) & table["real_time"].isna().to_numpy()
    table.loc[moved, "signal"], table.loc[moved, "missed"] = table.loc[moved, "missed"], 0.0
    table["when"] = table["real_time"].fillna(table["simulated_time"])
    table["real"] = table["real_time"].notna()
    return table.sort_values(["when", "asset"], kind="stable", ignore_index=True).drop(columns=["when", "real"])


def _order(simulated: pd.Series | None, sent: set[int] | None) -> dict[str, Any]:
    order = 0 if simulated is None else int(simulated["order"])
    return {"order": order, "unsent": sent is not None and order > 0 and order not in sent}


def _fills(table: pd.DataFrame) -> Fills:
    return Fills(
        table["time"].to_numpy().astype(NS).astype("i8"),
        np.abs(table["quantity"].to_numpy("f8")),
        table["order"].to_numpy("i8"),
        table.index.to_numpy("i8"),
    )


def _piece(
    asset: str, side: float, quantity: float, ours: pd.Series | None, theirs: pd.Series | None, market: Market
) -> dict[str, Any]:
    """One part with its gap (RC4, RC5); parts that do not apply are 0."""
    row: dict[str, Any] = {"asset": asset, "side": "buy" if side > 0.0 else "sell", "quantity": quantity}
    row |= dict.fromkeys(PARTS, 0.0)
    worth: dict[str, float] = {}
    for name, one in (("simulated", ours), ("real", theirs)):
        share = 0.0 if one is None else quantity / abs(float(one["quantity"]))
        fee = np.nan if one is None else share * float(one["fee"])
        row |= {f"{name}_time": None if one is None else one["time"], f"{name}_fee": fee}
        row[f"{name}_price"] = np.nan if one is None else float(one["price"])
        end = market.end[asset]
        worth[name] = 0.0 if one is None else market.value(asset, side * quantity, end - row[f"{name}_price"]) - fee
    row["simulated_market"], row["real_market"] = market.at(asset, ours, theirs)
    price = row["real_price" if ours is None else "simulated_price"]
    row["notional"] = abs(market.value(asset, quantity, price))
    row["gap"] = worth["real"] - worth["simulated"]
    if ours is None or theirs is None:
        row["signal" if ours is None else "missed"] = row["gap"]
        return row
    moved = row["simulated_market"] - row["real_market"]
    dearer = (row["simulated_price"] - row["simulated_market"]) - (row["real_price"] - row["real_market"])
    row["timing"] = market.value(asset, side * quantity, moved)
    row["price"] = market.value(asset, side * quantity, dearer)
    row["fees"] = row["simulated_fee"] - row["real_fee"]
    return row


def _slippage(theirs: pd.DataFrame, pieces: pd.DataFrame, asked: pd.DataFrame, market: Market) -> Slippage:
    """RC6 on the real fills of which a simulated one takes from the market."""
    taking = [order for order, kind in zip(asked["order"], asked["kind"], strict=True) if "limit" not in kind]
    found = pieces[pieces["real_time"].notna() & pieces["order"].isin(taking)]
    keys = ["asset", "side", "real_time", "real_price", "real_market"]
    each = found.groupby(keys, sort=False, as_index=False)["quantity"].sum()
    side = np.where(each["side"] == "buy", 1.0, -1.0)
    paid = side * (each["real_price"] - each["real_market"]) / each["real_market"].abs()
    share = [
        quantity / market.volume_before(asset, time)
        for asset, time, quantity in zip(each["asset"], each["real_time"], each["quantity"], strict=True)
    ]
    return refit(paid.to_numpy("f8"), np.array(share, "f8"))
