"""Which assets may be opened when: membership enters the bars as it was known (rule U1)."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kernelkit.data import lineage
from kernelkit.data.features import Int64s, as_of, known_times, ns_of
from kernelkit.errors import DataError, arguments, message
from kernelkit.schema import check_bars, utc, variable

NAME = "universe"


@arguments()
def with_universe(bars: xr.Dataset, mask: Any, known_at: Any = None) -> xr.Dataset:
    """Return ``bars`` with ``universe``: whether each asset may be opened at each bar's decision (rule U1).

    ``mask`` says by date who is a member: a DataFrame with one column per asset, or a DataArray (time, asset), of bool.
    Without ``known_at`` it has exactly the times of the bars, and row t must have been known when bar t was. With
    ``known_at``, each row's time of publication or one delay ("1D"; "0D" for dates in UTC that were known beforehand),
    a row counts from the first bar that is known then, until the next one; before the first nobody is a member.
    Raises DataError for other assets than the bars', shifted times, and values that are not bool.

    >>> import pandas as pd
    >>> from kernelkit.data.catalog import load
    >>> bars = load("sp500_index")
    >>> member = pd.DataFrame({"SPX": [True, False]}, index=pd.to_datetime(["2000-01-03", "2001-04-18"]))
    >>> bars = with_universe(bars, member, known_at="0D")
    >>> bars["universe"].sel(time=["1999-12-31", "2001-04-17", "2001-04-18"]).values.ravel().tolist()
    [False, True, False]
    """
    check_bars(bars)
    assets = [str(a) for a in bars["asset"].values]
    member, index = _member(mask, assets)
    now = bars["known_at"].values.astype("datetime64[ns]").astype(np.int64)
    if known_at is None:
        _check_times(index, bars["time"].values.astype("datetime64[ns]").astype(np.int64))
        found = member
    else:
        rows, _ = as_of(now, known_times(NAME, known_at, index, len(member)), index)
        found = (rows >= 0)[:, None] & member[np.maximum(rows, 0)]
    row = variable(NAME)
    attrs = {"units": row.units, "long_name": row.long_name}
    out = bars.assign({NAME: (row.dims, np.ascontiguousarray(found), attrs)})
    out.attrs["lineage"] = lineage.with_feature(out, (NAME,))
    return out


def _member(mask: Any, assets: list[str]) -> tuple[NDArray[np.bool_], Int64s]:
    """Return membership (row, asset) in the order of ``assets``, and the times of its rows in ns UTC."""
    import pandas as pd

    if isinstance(mask, xr.DataArray):
        if set(mask.dims) != {"time", "asset"}:
            fix = "Name its dims so, or pass a DataFrame."
            raise DataError(message("dims of the universe", mask.dims, "(time, asset)", fix))
        mask = mask.transpose("time", "asset").to_pandas()
    if not isinstance(mask, pd.DataFrame) or not isinstance(mask.index, pd.DatetimeIndex) or mask.empty:
        wanted = "a DataFrame by date with a column per asset, or a DataArray (time, asset)"
        fix = "Name rows and columns."
        raise DataError(message("universe", type(mask).__name__, wanted, fix))
    columns = [str(c) for c in mask.columns]
    odd = sorted(set(columns) ^ set(assets)) or [c for c in columns if columns.count(c) > 1]
    if odd:
        fix = "Give one column per asset of the bars: mask[list(bars['asset'].values)]."
        raise DataError(message("assets of the universe", ", ".join(odd[:5]), "the assets of the bars, each once", fix))
    mask = mask.set_axis(columns, axis=1)[assets]
    kinds = sorted({str(d) for d in mask.dtypes} - {"bool"})
    if kinds:
        found, fix = ", ".join(kinds), "Say what a missing value means: mask.fillna(False)."
        raise DataError(message("values of the universe", found, "bool", fix))
    return mask.to_numpy(dtype=bool), ns_of(mask.index, "index of the universe")


def _check_times(index: Int64s, times: Int64s) -> None:
    """Raise DataError unless the mask has the times of the bars."""
    fix = "Give one row per bar, or pass known_at= for the dates of changes."
    if len(index) != len(times):
        raise DataError(message("universe", f"{len(index)} rows", f"{len(times)} rows", fix))
    bad = np.flatnonzero(index != times)
    if bad.size:
        i = int(bad[0])
        raise DataError(message(f"row {i} of the universe", utc(index[i]), utc(times[i]), fix))
