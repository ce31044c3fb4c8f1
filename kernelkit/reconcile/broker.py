"""Fills as a broker tells them, read into one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.errors import DataError, UsageError, message

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("time", "asset", "quantity", "price", "fee", "order", "reference")
NEEDED = ("time", "quantity", "price")
SIDES = {"buy": 1.0, "b": 1.0, "bot": 1.0, "sell": -1.0, "s": -1.0, "sld": -1.0}


def read(given: Any, columns: Mapping[str, str] | None, assets: Sequence[str]) -> pd.DataFrame:
    """Real fills by time (UTC): asset, signed quantity, price, fee, order (0: unknown), reference (NaN: unknown).

    ``columns`` says what is called otherwise, as in ``{"price": "AvgPx"}``. A side (buy, sell, b, s, bot, sld) beside
    positive quantities is as good as signs. Times without a zone are UTC. Raises DataError, which names the row.
    """
    import pandas as pd

    table = _frame(given)
    if not isinstance(columns, Mapping | None):
        raise UsageError(message("columns", repr(columns)[:80], "a dict by name", "Write {'price': 'AvgPx'}."))
    names = {**{name: name for name in (*COLUMNS, "side")}, **(columns or {})}
    if unknown := set(names) - {*COLUMNS, "side"}:
        wanted = ", ".join((*COLUMNS, "side"))
        raise UsageError(message("columns", sorted(unknown)[0], f"names of {wanted}", "Write {'price': 'AvgPx'}."))
    if missing := [names[n] for n in (*NEEDED, *(columns or {})) if names[n] not in table.columns]:
        have = ", ".join(map(str, table.columns)) or "no columns"
        raise DataError(message("broker's fills", f"no {missing[0]}", f"one of {have}", "Pass columns={...}."))
    found = pd.DataFrame(index=range(len(table)))
    found["time"] = _times(table[names["time"]])
    found["asset"] = _assets(table, names["asset"], assets)
    for name in ("quantity", "price"):
        found[name] = _numbers(table[names[name]], name)
    if names["side"] in table.columns:
        found["quantity"] = np.abs(found["quantity"]) * _sides(table[names["side"]])
    for name, nothing in (("fee", 0.0), ("reference", np.nan)):
        given_too = names[name] in table.columns
        found[name] = _numbers(table[names[name]], name, empty=True).fillna(nothing) if given_too else nothing
    found["order"] = _orders(table[names["order"]]) if names["order"] in table.columns else 0
    for name in ("price", "reference"):
        if (wrong := np.flatnonzero(found[name] <= 0.0)).size:
            value, fix = found[name][wrong[0]], "Take the row out, or correct it."
            raise DataError(message(f"{name} of fill {wrong[0]}", value, "one above 0", fix))
    if (idle := np.flatnonzero(found["quantity"] == 0.0)).size:
        raise DataError(message(f"quantity of fill {idle[0]}", 0.0, "what was traded", "Take the row out."))
    return found.sort_values("time", kind="stable", ignore_index=True)


def _frame(given: Any) -> pd.DataFrame:
    import pandas as pd
    import xarray as xr

    if isinstance(given, xr.Dataset):
        return given.to_dataframe().reset_index()
    if not isinstance(given, pd.DataFrame):
        wanted = "a DataFrame with a row for each fill"
        raise DataError(message("broker's fills", type(given).__name__, wanted, "Read it with pandas.read_csv."))
    named = given.index.name in (*COLUMNS, "side")
    return given.reset_index() if named else given.reset_index(drop=True)


def _times(column: pd.Series) -> Any:
    import pandas as pd

    try:
        times = pd.to_datetime(column, utc=True)
    except (ValueError, TypeError) as error:
        raise DataError(message("time of the broker's fills", error, "times", "Parse them with a format.")) from None
    if times.isna().any():
        row = int(np.flatnonzero(times.isna())[0])
        raise DataError(message(f"time of fill {row}", "none", "a time", "Take the row out."))
    return times.dt.tz_convert(None).astype("datetime64[ns]").to_numpy()


def _assets(table: pd.DataFrame, name: str, assets: Sequence[str]) -> Any:
    if name not in table.columns:
        if len(assets) > 1:
            wanted = f"a column with {', '.join(assets[:4])}"
            raise DataError(message("broker's fills", "no asset", wanted, "Pass columns={'asset': 'Symbol'}."))
        return assets[0]
    found = table[name].astype(str).to_numpy(object)
    for row, asset in enumerate(found):
        if asset not in assets:
            wanted, fix = f"one of {', '.join(assets[:8])}", "Rename it, or leave out what the strategy does not trade."
            raise DataError(message(f"asset of fill {row}", asset, wanted, fix))
    return found


def _numbers(column: pd.Series, name: str, empty: bool = False) -> pd.Series:
    import pandas as pd

    try:
        numbers = pd.to_numeric(column).astype("f8").reset_index(drop=True)
    except (ValueError, TypeError) as error:
        raise DataError(
            message(f"{name} of the broker's fills", error, "numbers", "Take out units and commas.")
        ) from None
    wrong = np.flatnonzero(np.isinf(numbers) | (numbers.isna() & (not empty)))
    if wrong.size:
        fix = "Take the row out, or correct it."
        raise DataError(message(f"{name} of fill {wrong[0]}", numbers[wrong[0]], "a number", fix))
    return numbers


def _sides(column: pd.Series) -> Any:
    words = column.astype(str).str.strip().str.lower()
    for row, word in enumerate(words):
        if word not in SIDES:
            raise DataError(message(f"side of fill {row}", word, f"one of {', '.join(SIDES)}", "Translate it."))
    return words.map(SIDES).to_numpy()


def _orders(column: pd.Series) -> Any:
    """The numbers of the simulation's orders; 0 where the broker does not say."""
    numbers = _numbers(column, "order", empty=True).fillna(0.0)
    wrong = np.flatnonzero((numbers < 0) | (numbers != np.floor(numbers)))
    if wrong.size:
        wanted = "the number of an order of kk.orders(res), or nothing"
        raise DataError(message(f"order of fill {wrong[0]}", numbers[wrong[0]], wanted, "Leave it empty."))
    return numbers.astype("i8")
