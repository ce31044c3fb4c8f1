"""The closed trades of one backtest in other orders, or drawn anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from kernelkit import rng
from kernelkit.errors import DataError, UsageError, arguments, message
from kernelkit.inference.checks import choice, is_number, whole
from kernelkit.inference.draws import Blocks, block_indices
from kernelkit.result import one_trial
from kernelkit.trips import trades

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

Draw = Literal["permutation", "bootstrap"]
Stakes = Literal["compounded", "additive"]
Floats = NDArray[np.float64]

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
FEWEST = 10
STREAM = 9
CELLS = 2**22  # trades of orders at a time
MOST = 2**28  # of all orders: 2 GB
TEXTS = {
    "terminal": "equity after the last trade over the cash at first",
    "lowest": "lowest equity after a trade over the cash at first",
    "max_drawdown": "largest loss from an earlier high, after trades",
    "longest_loss_run": "trades in a row without a gain",
    "equity_band": "equity after each trade over the cash at first, by quantile of the orders",
    "drawdown_band": "largest drawdown, by quantile of the orders",
    "probability_of_ruin": "share of orders in which the equity was ever at or below `ruin`",
    "observed": "of the trades as they came",
    "rank": "share of orders at or below what was observed",
}


@arguments()
def reshuffle(  # noqa: PLR0913  its settings are keywords of the public interface
    res: xr.Dataset,
    *,
    draw: Draw = "permutation",
    stakes: Stakes = "compounded",
    length: float = 1,
    scheme: Blocks = "iid",
    replications: int = 1000,
    ruin: float = 0.5,
    quantiles: Sequence[float] = QUANTILES,
    seed: int = 0,
) -> xr.Dataset:
    """Put the closed trades of one trial in other orders: how much of its drawdown was their order? G18.

    ``"permutation"`` takes each trade once: the same trades, the same end, other drawdowns. ``"bootstrap"`` draws as
    many anew, with places as `kk.inference.block_counts` has them (``length``, ``scheme``: blocks of trades in a row
    keep runs of wins and losses): other trades, another end. ``stakes`` says what a trade's profit hangs on:
    ``"compounded"``: a share of the equity at its entry; ``"additive"``: an amount, the same whatever the equity.

    Returns by ``path`` ``terminal``, ``lowest``, ``max_drawdown`` and ``longest_loss_run``, ``observed`` and ``rank``
    by ``metric``, ``equity_band`` by ``quantile`` and ``trade``, ``drawdown_band`` and ``probability_of_ruin``.

    What it cannot tell: trades are taken as if each came after the other and none hung on those before, or on the
    market's mood, so trades that overlap (``attrs["overlap"]``, their share), or lose together, have deeper drawdowns
    than these; equity within a trade is not looked at; and trades that were chosen for their profit stay chosen.
    `kk.monte_carlo` runs the strategy itself. Raises UsageError, and DataError below 10 trades.

    >>> import kernelkit as kk
    >>> res = kk.backtest(kk.data.load("sp500_index"), kk.strategies.find("sma_cross"))
    >>> found = reshuffle(res, replications=500)
    >>> bool(np.ptp(found["terminal"].values) < 1e-9), found.sizes["trade"] == len(kk.trades(res))
    (True, True)
    """
    import xarray as xr

    choice("reshuffle", draw=(draw, Draw), stakes=(stakes, Stakes))
    count = whole("reshuffle", "replications", replications, 2)
    seed = whole("reshuffle", "seed", seed, 0, 2**64 - 1)
    given = [*quantiles] if isinstance(quantiles, (list, tuple, np.ndarray)) else []
    shares = bool(given) and all(is_number(q) and 0.0 <= q <= 1.0 for q in given)
    if not (is_number(ruin) and 0.0 <= ruin < 1.0) or not shares:
        found, wanted = f"ruin={ruin!r}, quantiles={quantiles!r}", "a share of the cash below 1, numbers from 0 to 1"
        raise UsageError(message("reshuffle", found, wanted, "See help(kk.reshuffle)."))
    levels = np.array(given, "f8")
    if not (is_number(length) and length >= 1):
        raise UsageError(message("reshuffle: length", repr(length), "a number from 1 on", "See help(kk.reshuffle)."))
    if draw == "permutation" and (length != 1 or scheme != "iid"):
        found, wanted = f"length={length}, scheme={scheme!r} of a permutation", "them of a bootstrap"
        raise UsageError(message("reshuffle", found, wanted, "Pass draw='bootstrap'."))
    curves, trial = one_trial(res)
    table = trades(res).sort_values("closed", kind="stable")
    n = len(table)
    if n < FEWEST:
        raise DataError(message("reshuffle", f"{n} closed trades", f"at least {FEWEST}", "Backtest more bars."))
    if count > MOST // n:
        fix = "All orders are held in memory for their bands: take fewer."
        raise UsageError(message("reshuffle: replications", f"{count} of {n} trades", f"at most {MOST // n}", fix))
    x = _shares(table, float(curves.recipe.job.trials[trial]["cash"]), stakes)
    equity = np.empty((count, n))
    measured = np.empty((count, 4))
    step = max(1, CELLS // n)
    for first in range(0, count, step):
        paths = np.arange(first, min(first + step, count))
        if draw == "permutation":
            places = np.argsort(rng.uniform(seed, paths[:, None], np.arange(n), STREAM), axis=1, kind="stable")
        else:
            places = block_indices(n, paths, length=length, scheme=scheme, seed=seed)
        equity[first : first + step] = _equity(x[places], stakes)
        measured[first : first + step] = _measured(equity[first : first + step], x[places])
    observed = _measured(_equity(x[None], stakes), x[None])[0]
    names = list(TEXTS)[:4]
    alike = 1e-9 * np.abs(observed)  # sums in another order are not the same to the last bit
    columns: dict[str, Any] = {name: ("path", measured[:, k]) for k, name in enumerate(names)}
    columns |= {
        "equity_band": (("quantile", "trade"), np.quantile(equity, levels, axis=0)),
        "drawdown_band": ("quantile", np.quantile(measured[:, 2], levels)),
        "probability_of_ruin": float(np.mean(measured[:, 1] <= ruin)),
        "observed": ("metric", observed),
        "rank": ("metric", np.mean(measured <= observed + alike, axis=0)),
    }
    coords = {"path": np.arange(count), "trade": np.arange(1, n + 1), "quantile": levels, "metric": names}
    out = xr.Dataset(columns, coords)
    for name, text in TEXTS.items():
        out[name].attrs = {"long_name": text, "units": "1"}
    attrs = {"draw": draw, "stakes": stakes, "length": length, "scheme": scheme, "ruin": ruin, "seed": seed}
    overlap = float(np.mean(table["opened"].values[1:] < np.maximum.accumulate(table["closed"].values[:-1])))
    return out.assign_attrs(study="reshuffle", replications=count, overlap=overlap, **attrs)


def _shares(table: pd.DataFrame, cash: float, stakes: Stakes) -> Floats:
    """Profits over the cash at first, or over what the account was worth by the trades closed before the entry."""
    profit = table["pnl"].to_numpy("f8")
    if stakes == "additive":
        return np.asarray(profit / cash)
    closed_before = np.searchsorted(table["closed"].values, table["opened"].values, side="right")
    worth = cash + np.concatenate([[0.0], np.cumsum(profit)])[closed_before]
    if not (worth > 0.0).all():
        what = "an account that its closed trades have ruined"
        raise DataError(message("reshuffle", what, "one that goes on", "Pass stakes='additive'."))
    return np.asarray(profit / worth)


def _equity(x: Floats, stakes: Stakes) -> Floats:
    """After each trade, over the cash at first (order, trade)."""
    if stakes == "additive":
        return np.asarray(1.0 + np.cumsum(x, axis=1))
    return np.asarray(np.maximum(1.0 + x, 0.0).cumprod(axis=1), np.float64)


def _measured(equity: Floats, x: Floats) -> Floats:
    """End, lowest, largest drawdown and longest run without a gain of each order, (order, 4)."""
    high = np.maximum(np.maximum.accumulate(equity, axis=1), 1.0)
    place = np.arange(1, x.shape[1] + 1)
    last_gain = np.maximum.accumulate(np.where(x > 0.0, place, 0), axis=1)
    lowest = np.minimum(equity.min(axis=1), 1.0)
    run = (place - last_gain).max(axis=1).astype("f8")
    return np.stack([equity[:, -1], lowest, (1.0 - equity / high).max(axis=1), run], axis=1)
