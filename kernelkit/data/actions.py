"""Corporate actions and funding: facts of assets with their times, kept beside the bars along dim ``action``."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.data.sessions import DAY, stamp
from kernelkit.errors import DataError, arguments, message
from kernelkit.schema import check_bars, utc

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

KINDS = ("split", "dividend", "funding", "delisting")
LEAST = 0.2  # of a split that prices can tell of, as the logarithm of its ratio: markets move further than smaller ones
NAMES = ("action_time", "action_asset", "action_kind", "action_value", "action_price")


class AdjustedWarning(UserWarning):
    """Splits were given for prices that seem to be adjusted for them already."""


@arguments()
def with_actions(bars: xr.Dataset, actions: pd.DataFrame) -> xr.Dataset:
    """Return ``bars`` with what happened to its assets by the calendar, which the account then lives through (E1-E5).

    ``actions`` is a frame with the columns ``time`` (UTC where it says no zone), ``asset``, ``kind``, ``value`` and,
    for funding, ``price``; the bars' prices must be raw. By kind ``value`` is: of a ``"split"`` the new units for each
    old one (7.0 is seven for one); of a ``"dividend"`` the cash a unit, at the start of the ex-date; of ``"funding"``
    the rate of the interval, with ``price`` the mark (NaN: the last close); of a ``"delisting"`` the cash a unit that
    holders got (NaN: the price of the last bar); on the day of the asset's last bar, or later, it takes effect with
    that bar.

    They replace actions that the bars had. Prices that do not move where they should, at most of the asset's splits,
    are warned of with an `AdjustedWarning`: an account would split them a second time. Raises DataError for what is no
    frame, an unknown asset or kind, a time that is none, and a value that cannot be.

    >>> import pandas as pd
    >>> from kernelkit.data import load
    >>> bars = load("sp500_index")
    >>> paid = {"time": ["2010-06-18"], "asset": ["SPX"], "kind": ["dividend"], "value": [5.5]}
    >>> with_actions(bars, pd.DataFrame(paid))["action_value"].values.tolist()
    [5.5]
    """
    import pandas as pd

    check_bars(bars)
    if not isinstance(actions, pd.DataFrame):
        fix = "Write pd.DataFrame(actions), with the columns time, asset, kind and value."
        raise DataError(message("actions", type(actions).__name__, "a DataFrame, a row for each action", fix))
    lacking = [name for name in ("time", "asset", "kind", "value") if name not in actions]
    if lacking:
        have = ", ".join(map(str, actions.columns)) or "no columns"
        fix = "Give the columns time, asset, kind, value, and price for funding."
        raise DataError(message("actions", have, f"a column {lacking[0]}", fix))
    times = _times(actions["time"])
    when = times.tz_localize(None).as_unit("ns").asi8.copy()
    whose = np.array([str(a) for a in actions["asset"]], object)
    what = np.array([str(k) for k in actions["kind"]], object)
    value = _numbers(actions["value"])
    price = _numbers(actions["price"]) if "price" in actions else np.full(len(value), np.nan)
    _check(bars, times, whose, what, value, price)
    for k in np.flatnonzero(what == "delisting"):
        day, known_at = _last_bar(bars, whose[k], when[k])
        when[k] = known_at if when[k] >= day else when[k]
    _warn_of_adjusted(bars, when, whose, np.where(what == "split", value, np.nan))
    order = np.argsort(when, kind="stable")
    columns = when[order].astype("datetime64[ns]"), whose[order].astype(str), what[order].astype(str)
    kept = (*columns, value[order], np.array(price, "f8")[order])
    out = bars.drop_vars([n for n in NAMES if n in bars.variables])
    return out.assign_coords({name: ("action", column) for name, column in zip(NAMES, kept, strict=True)})


def _times(column: pd.Series) -> pd.DatetimeIndex:
    """The column as times; raises DataError naming the first row that is none."""
    import pandas as pd

    for k, value in enumerate(column):
        try:
            stamp(value)
        except ValueError as error:
            what, wanted = f"row {k} of the actions, time", "a time, in UTC where it says no zone"
            raise DataError(message(what, f"{value!r} ({error})", wanted, 'Write "2020-08-31".')) from None
    return pd.DatetimeIndex(pd.to_datetime(column, utc=True, format="mixed"))


def _numbers(column: pd.Series) -> Any:
    """The column as float64; raises DataError naming the first row that is no number."""
    import pandas as pd

    found = pd.to_numeric(column, errors="coerce").to_numpy("f8", na_value=np.nan).copy()
    wrong = np.flatnonzero(np.isnan(found) & column.notna().to_numpy())
    if wrong.size:
        what = f"row {wrong[0]} of the actions, {column.name}"
        raise DataError(message(what, repr(column.iloc[wrong[0]]), "a number, or NaN where none is known", "Drop it."))
    return found


def _check(bars: xr.Dataset, times: Any, whose: Any, what: Any, value: Any, price: Any) -> None:
    assets = [str(a) for a in bars["asset"].values]
    good = {
        "split": (value > 0.0) & np.isfinite(value),
        "dividend": (value >= 0.0) & np.isfinite(value),
        "funding": np.isnan(value) | (np.abs(value) < 1.0),
        "delisting": np.isnan(value) | ((value >= 0.0) & np.isfinite(value)),
    }
    wanted = {
        "split": "new units for each old one, above 0",
        "dividend": "cash a unit, 0 or more",
        "funding": "a fraction, below 1",
        "delisting": "cash a unit, 0 or more, or NaN for the last price",
    }
    delisted: set[str] = set()
    for k, (name, kind) in enumerate(zip(whose, what, strict=True)):
        row = f"row {k} of the actions"
        if times[k] is np.nan or np.isnat(times[k].to_datetime64()):
            raise DataError(message(row, "no time", "the time at which it happened", "Drop the row, or fill it in."))
        if name not in assets:
            fix = "Actions are by asset, whatever its ticker was then; drop what is none of these assets'."
            raise DataError(message(row, f"the asset {name!r}", f"one of {', '.join(assets)}", fix))
        if kind not in KINDS:
            fix = "Another company under this name is another asset; a new name is none: kk.data.with_symbols."
            raise DataError(message(row, f"the kind {kind!r}", f"one of {', '.join(KINDS)}", fix))
        if not good[kind][k]:
            raise DataError(message(f"{row}, value of a {kind}", value[k], wanted[kind], "Look at the source."))
        if price[k] <= 0.0:
            raise DataError(message(f"{row}, price", price[k], "a price above 0, or NaN", "Look at the source."))
        if kind == "delisting" and name in delisted:
            raise DataError(message(row, f"a second delisting of {name}", "one", "Another company is another asset."))
        if kind == "delisting":
            delisted.add(name)


def _warn_of_adjusted(bars: xr.Dataset, when: Any, whose: Any, ratio: Any) -> None:
    """Warn of each asset whose prices at most of its splits lie nearer to those before than to what a split leaves."""
    opened = bars["open_at"].values.astype("datetime64[ns]").astype("i8")
    told = np.abs(np.log(ratio)) >= LEAST
    for name in sorted(set(whose[told])):
        one = bars.sel(asset=name)
        rows = np.flatnonzero(one["valid"].values)
        prices = np.stack([one["open"].values[rows], one["close"].values[rows]])
        mine = np.flatnonzero(told & (whose == name))
        bar = np.searchsorted(opened[rows], when[mine])
        mine, bar = mine[(bar > 0) & (bar < len(rows))], bar[(bar > 0) & (bar < len(rows))]
        moved = prices[1, bar - 1] / prices[:, bar]  # by the open and by the close: neither may have moved
        still = (np.abs(np.log(moved)) < 0.5 * np.abs(np.log(ratio[mine]))).all(axis=0)
        if 2 * still.sum() > len(mine):
            k = int(np.argmax(still))
            found = f"a price before the split of {utc(when[mine[k]])} that is {moved[0, k]:.4g} times the one after it"
            wanted = f"about {ratio[mine[k]]:.4g}, as prices that nobody has adjusted have it"
            fix = f"Load raw prices, or leave out the splits: at {still.sum()} of {len(mine)} of them it is so."
            warnings.warn(message(f"bars of {name}", found, wanted, fix), AdjustedWarning, stacklevel=4)


def _last_bar(bars: xr.Dataset, name: str, when: int) -> tuple[int, int]:
    """The day of the asset's last bar, and when that bar is known."""
    rows = np.flatnonzero(bars["valid"].sel(asset=name).values)
    if rows.size == 0:
        found, fix = f"a delisting at {utc(when)}, no bars", "Drop the action, or load the bars."
        raise DataError(message(f"asset {name}", found, "bars that it was delisted from", fix))
    known_at = bars["known_at"].values[rows[-1]].astype("datetime64[ns]").astype("i8")
    return int(bars["session"].values[rows[-1]]) * DAY, int(known_at)
