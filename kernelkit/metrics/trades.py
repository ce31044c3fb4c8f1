"""Trades: what their outcomes are like, in what order they came, how far they went and when they were opened.

`outcomes` are the P&L or returns of trades along a dim: `xr.DataArray(kk.trades(res)["pnl"], dims="trade")`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr

from kernelkit.errors import DataError, UsageError, arguments, message
from kernelkit.metrics import series
from kernelkit.metrics.labels import check_table, zoned
from kernelkit.metrics.metric import metric
from kernelkit.metrics.ratios import profit_factor, win_rate
from kernelkit.metrics.series import Array, count, largest, mean, positions, positive, quantile, running_max, special

if TYPE_CHECKING:
    import pandas as pd

SPREAD = (0.05, 0.25, 0.5, 0.75, 0.95)
TRADE = ("asset", "side", "opened", "closed", "entry", "exit")
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
DAY = 86_400_000_000_000  # ns
EXCURSIONS = {
    "mae": "largest loss against the entry while it was open, as a fraction of the entry",
    "mfe": "largest gain against the entry while it was open, as a fraction of the entry",
    "entry_efficiency": "share of the range that lay ahead of the entry, 1 at the best price",
    "exit_efficiency": "share of the range that lay behind the exit, 1 at the best price",
    "total_efficiency": "share of the range that was taken, -1 to 1",
}


@metric(
    outputs={
        "n": ("1", "number of outcomes"),
        "mean": ("of the outcomes", "mean"),
        "deviation": ("of the outcomes", "standard deviation"),
        "smallest": ("of the outcomes", "smallest"),
        **{f"q{100 * q:02.0f}": ("of the outcomes", f"quantile of {q:g}") for q in SPREAD},
        "largest": ("of the outcomes", "largest"),
    },
    gaps="skip",
)
def distribution(outcomes: Array) -> Any:
    """Number, mean, standard deviation and quantiles (M13) of outcomes, in no order (M14).

    >>> found = distribution(np.array([3.0, 1.0, 2.0]))
    >>> float(found["n"]), float(found["mean"]), float(found["q50"]), float(found["largest"])
    (3.0, 2.0, 2.0, 3.0)
    """
    spread = (quantile(outcomes, q) for q in SPREAD)
    n = count(outcomes)
    return n, mean(outcomes), series.deviation(outcomes), -largest(-outcomes), *spread, largest(outcomes)


@metric(
    outputs={
        "runs": ("1", "runs of gains and of losses"),
        "z": ("1", "runs beyond those of chance, in standard deviations"),
        "p_value": ("1", "its two-sided p-value"),
        "longest_gains": ("1", "most gains in a row"),
        "longest_losses": ("1", "most losses in a row"),
        "win_after_win": ("1", "share of gains after a gain"),
        "win_after_loss": ("1", "share of gains after a loss"),
    }
)
def streaks(outcomes: Array) -> Any:
    """Do gains follow gains? Runs test (Wald and Wolfowitz, 1940), normal approximation; what is not above 0 is a loss.

    The outcomes are in order: one that is not known between two others is a gap (M9).

    Fewer runs than of chance (z below 0) are streaks. z is NaN where all are gains or all losses.

    >>> found = streaks(np.array([1.0, 1.0, 1.0, -1.0, -1.0, 1.0]))
    >>> float(found["runs"]), float(found["longest_gains"]), round(float(found["z"]), 4)
    (3.0, 3.0, -0.7071)
    """
    won = np.where(np.isnan(outcomes), np.nan, (outcomes > 0.0).astype("f8"))
    wins, n = series.total(won), count(won)
    losses = n - wins
    was, now = won[..., :-1], won[..., 1:]
    runs = np.where(n > 0.0, 1.0 + np.sum(was == 1.0 - now, axis=-1), np.nan)
    expected = 1.0 + 2.0 * wins * losses / n
    var = (expected - 1.0) * (expected - 2.0) / positive(n - 1.0)
    z = (runs - expected) / np.sqrt(positive(var))
    pairs = [np.sum((was == k) & (now == j), axis=-1).astype("f8") for k in (1.0, 0.0) for j in (1.0, 0.0)]
    return (
        runs,
        z,
        special(z).erfc(np.abs(z) / math.sqrt(2.0)),
        _longest(won == 1.0, n),
        _longest(won == 0.0, n),
        pairs[0] / positive(pairs[0] + pairs[1]),
        pairs[2] / positive(pairs[2] + pairs[3]),
    )


def _longest(among: Array, n: Array) -> Array:
    place = positions(among.astype("f8"))
    length = place - running_max(np.where(among, -1.0, place))
    return np.where(n > 0.0, np.max(np.where(among, length, 0.0), axis=-1), np.nan)


@arguments()
def excursions(trades: pd.DataFrame, bars: xr.Dataset) -> xr.Dataset:
    """How far each round trip of `kk.trades` went while it was open, and how much of that it took (Sweeney, 1997).

    Along a new dim `trade`: `mae`, `mfe` and efficiencies. The range is that of the bars that were not over when it was
    opened and had begun when it was closed, and of its entry and exit. A fill at the open has all of its bar ahead. One
    inside a bar is stamped with the bar's end (T3), and what the bar did before or after it is not known: a bar in
    which the trade was opened so does not count, one in which it was closed so counts whole. NaN where there is no
    exit. Raises DataError for an asset that the bars do not have.

    >>> import kernelkit as kk, pandas as pd
    >>> bars = kk.data.load("sp500_index").isel(time=slice(0, 10))
    >>> entry, end = float(bars["open"][1, 0]), float(bars["open"][4, 0])
    >>> opened, closed = bars["open_at"].values[[1, 4]]
    >>> trade = dict(asset="SPX", side="long", opened=opened, closed=closed, entry=entry, exit=end)
    >>> found = excursions(pd.DataFrame([trade]), bars)
    >>> bool(found["mfe"][0] == bars["high"][1:4, 0].max() / entry - 1.0)
    True
    """
    import pandas as pd

    check_table("excursions", trades, pd.DataFrame, TRADE, "kk.trades")
    check_table("excursions: bars", bars, xr.Dataset, ["asset", "low", "high"], "kk.data.load")
    assets = [str(a) for a in bars["asset"].values]
    unknown = sorted(set(trades["asset"]) - set(assets))
    if unknown:
        have = ", ".join(assets)
        raise DataError(message("assets of the trades", ", ".join(unknown), have, "Pass the bars that were traded."))
    open_at, known_at = (bars[name].values.astype("M8[ns]").astype("i8") for name in ("open_at", "known_at"))
    low, high = bars["low"].values, bars["high"].values
    import pandas as pd

    check_table("hold_time", trades, pd.DataFrame, ("opened", "closed"), "kk.trades")
    opened, closed = (trades[name].to_numpy("M8[ns]").astype("i8") for name in ("opened", "closed"))
    first = np.searchsorted(known_at, opened, side="right")
    last = np.searchsorted(open_at, closed, side="left")
    entry, end = trades["entry"].to_numpy("f8"), trades["exit"].to_numpy("f8")
    bottom, top = np.minimum(entry, end), np.maximum(entry, end)
    for k, asset in enumerate(trades["asset"]):
        column, span = assets.index(asset), slice(first[k], last[k])
        bottom[k] = np.fmin.reduce(low[span, column], initial=bottom[k])
        top[k] = np.fmax.reduce(high[span, column], initial=top[k])
    missing = np.isnan(end)
    long = (trades["side"] == "long").to_numpy()
    best, worst = np.where(long, top, bottom), np.where(long, bottom, top)
    sign, room = np.where(long, 1.0, -1.0), positive(top - bottom)
    found = {
        "mae": sign * (entry - worst) / entry,
        "mfe": sign * (best - entry) / entry,
        "entry_efficiency": sign * (best - entry) / room,
        "exit_efficiency": sign * (end - worst) / room,
        "total_efficiency": sign * (end - entry) / room,
    }
    return xr.Dataset(
        {
            name: ("trade", np.where(missing, np.nan, value), {"units": "1", "long_name": EXCURSIONS[name]})
            for name, value in found.items()
        }
    )


@arguments()
def hold_time(trades: pd.DataFrame) -> xr.DataArray:
    """Days from the opening to the closing of each round trip of `kk.trades`, along a new dim `trade`.

    >>> import pandas as pd
    >>> times = pd.to_datetime(["2024-01-01 00:00", "2024-01-03 12:00"])
    >>> hold_time(pd.DataFrame({"opened": times[:1], "closed": times[1:]})).values
    array([2.5])
    """
    import pandas as pd

    check_table("hold_time", trades, pd.DataFrame, ("opened", "closed"), "kk.trades")
    opened, closed = (trades[name].to_numpy("M8[ns]").astype("i8") for name in ("opened", "closed"))
    attrs = {"units": "day", "long_name": "time from opening to closing"}
    return xr.DataArray((closed - opened) / DAY, dims="trade", attrs=attrs, name="hold_time")


@arguments()
def trades_by(
    trades: pd.DataFrame, by: Literal["weekday", "hour"], *, at: Literal["opened", "closed"] = "opened", tz: str = "UTC"
) -> xr.Dataset:
    """Number, sum and mean of P&L, win rate and profit factor by weekday or hour (of the clocks of `tz`), as a dim.

    All seven weekdays, or 24 hours; where there is no trade, the means are NaN. Raises DataError for another `by`.

    >>> import pandas as pd
    >>> opened = pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-08"])
    >>> table = pd.DataFrame({"opened": opened, "pnl": [1.0, 2.0, -3.0]})
    >>> found = trades_by(table, "weekday")
    >>> found["n"].values[:3].tolist(), found["pnl"].sel(weekday="Monday").item()
    ([2, 1, 0], -2.0)
    """
    import pandas as pd

    if by not in ("weekday", "hour"):
        raise DataError(message("by", repr(by), "'weekday' or 'hour'", "Choose one."))
    if at not in ("opened", "closed"):
        raise UsageError(message("trades_by: at", repr(at), "'opened' or 'closed'", "Choose one."))
    check_table("trades_by", trades, pd.DataFrame, (at, "pnl"), "kk.trades")
    local = zoned("trades_by", pd.DatetimeIndex(trades[at]), tz)
    key = (local.day_of_week if by == "weekday" else local.hour).to_numpy()
    labels = list(WEEKDAYS) if by == "weekday" else list(range(24))
    pnl = np.where(key == np.arange(len(labels))[:, None], trades["pnl"].to_numpy("f8"), np.nan)
    # each row keeps its trades and puts them first: gaps between trades are no gaps in a series (M9)
    order = np.argsort(np.isnan(pnl), axis=-1, kind="stable")
    grouped = xr.DataArray(np.take_along_axis(pnl, order, axis=-1), {by: labels}, (by, "trade"))
    n = grouped.notnull().sum("trade")
    money = {"units": "quote", "long_name": "sum of P&L"}
    return xr.Dataset(
        {
            "n": n.assign_attrs(units="1", long_name="number of trades"),
            "pnl": grouped.sum("trade").assign_attrs(money),
            "mean_pnl": grouped.mean("trade").assign_attrs(money, long_name="mean P&L"),
            "win_rate": win_rate(grouped, dim="trade"),
            "profit_factor": profit_factor(grouped, dim="trade"),
        },
        attrs={"by": by, "at": at, "tz": tz},
    )
