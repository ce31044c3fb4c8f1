"""Metrics of several results side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kernelkit import schema
from kernelkit.errors import UsageError, message
from kernelkit.report import words

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


def compare(results: Mapping[str, xr.Dataset]) -> pd.DataFrame:
    """A table with one row per metric and one column per result, as text in the units of each.

    Every result holds one trial, or is the stitched curve of a walk-forward. Raises UsageError where there are several.

    >>> import kernelkit as kk
    >>> from kernelkit.notebook.benchmark import buy_and_hold
    >>> held = buy_and_hold(kk.data.load("sp500_index"), start="2009", end="2009")
    >>> compare({"hold": held}).loc["Total return", "hold"]
    '20.0 %'
    """
    import pandas as pd

    columns = {}
    for title, res in results.items():
        several = [str(d) for n in schema.METRICS if n in res for d in res[n].dims]
        if several:
            found, fix = f"several trials along {several[0]}", f"Choose one: res.sel({several[0]}=...)."
            raise UsageError(message(f"result {title!r}", found, "one trial", fix))
        columns[title] = {words.label(n): words.number(n, float(res[n])) for n in schema.METRICS if n in res}
    return pd.DataFrame(columns).fillna(words.DASH)
