"""Equity, drawdown and returns of a result as lines: one trial, several strategies or paths, and what stands beside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.errors import UsageError, message
from kernelkit.metrics import returns
from kernelkit.report import drawing
from kernelkit.report.colours import BLUE, GREY, RED, series
from kernelkit.report.shown import Shown, curve_name, shown
from kernelkit.report.thinning import kept

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

OWN = "this result"


@dataclass(frozen=True)
class Lines:
    """Growth of 1 by line over time, what the lines are, whether they are equals of which the middle is drawn apart."""

    table: pd.DataFrame
    about: str
    many: bool = False

    @property
    def log(self) -> bool:
        """Whether equal ratios should be equally high."""
        low, high = np.nanmin(self.table.values), np.nanmax(self.table.values)
        return bool(low > 0.0 and high / low > drawing.LOG_FROM)


def lines_of(res: xr.Dataset, beside: Mapping[str, xr.Dataset], trial: Mapping[str, Any] | None) -> Lines:
    """The lines of a result: of each strategy or path, or of the trial that is shown, and of results beside it."""
    if "returns" in res and res["returns"].ndim == 2:
        (dim,) = (str(d) for d in res["returns"].dims if d != "time")
        table = (1.0 + res["returns"].dropna(dim, how="all")).cumprod("time").transpose("time", dim).to_pandas()
        return Lines(table, f" of each {dim}")
    name = curve_name(res, "equity")
    if name is not None and "path" in res[name].dims and not trial:
        level = res[name].transpose("time", "path")
        growth = level / _cash(res).transpose("path").values
        return Lines(growth.to_pandas(), f" on {res.sizes['path']} paths{_sample(name).replace(',', '')}", many=True)
    one = shown(res, trial)
    table = growth_of(one).rename(str(one.res.attrs.get("title") or one.res.attrs.get("strategy") or OWN)).to_frame()
    for label, other in beside.items():
        table[label] = growth_of(shown(other)).reindex(table.index, method="ffill")
    about = f" of {one.title}" if one.how else ""
    return Lines(table, f"{about}{_sample(curve_name(one.res, 'equity') or '')}")


def _sample(name: str) -> str:
    return ", out of sample" if name.endswith("_oos") else ""


def _cash(res: xr.Dataset) -> xr.DataArray:
    return res["final_equity"] / (1.0 + res["total_return"])


def growth_of(one: Shown) -> pd.Series:
    """What the account of a trial was worth over time, as a multiple of its cash."""
    equity = one.curve("equity").to_series()
    first = one.cash
    found: pd.Series = equity / (first if np.isfinite(first) else equity.iloc[0])
    return found


def equity(res: xr.Dataset, beside: Mapping[str, xr.Dataset], trial: Mapping[str, Any] | None, log: bool | None) -> Any:
    """The growth of 1 as lines over time."""
    lines = lines_of(res, beside, trial)
    return _lined(lines, lines.table, "Growth of 1", {"logy": lines.log if log is None else log, "yformatter": "%.2f"})


def drawdown(res: xr.Dataset, beside: Mapping[str, xr.Dataset], trial: Mapping[str, Any] | None) -> Any:
    """How far below their last peak the same lines are, in percent, from zero down."""
    lines = lines_of(res, beside, trial)
    peak = lines.table.cummax().clip(lower=1.0)  # the cash is the first peak
    under = 100.0 * (lines.table / peak - 1.0)
    low = min(-1.0, 1.05 * float(np.nanmin(under.values)))
    return _lined(
        lines, under, "Drawdown", {"yformatter": "%.0f %%", "height": 240, "ylim": (low, 0.0), "legend": "bottom_left"}
    )


def _lined(lines: Lines, table: pd.DataFrame, what: str, more: Mapping[str, Any]) -> Any:
    table = table.iloc[kept(table.values)]
    title = f"{what}{lines.about}"
    look = drawing.look(**{"ylabel": _axis(what), "xlabel": "", "legend": "top_left", **more})
    if lines.many:
        each = drawing.hvplot(table).line(color=BLUE, alpha=0.35, line_width=1, **look | {"legend": False})
        middle = drawing.hvplot(table.median(axis=1).rename("median")).line(
            color=RED, line_width=2, **look | {"legend": "top_left"}
        )
        return (each * middle).opts(title=f"{title}, and their median")
    n = table.shape[1]
    colours = [BLUE, GREY, *series(n + 1)[1:]][:n] if n < 3 else series(n)
    shown_ = drawing.hvplot(table).line(color=colours, group_label="account", **look)
    return shown_.opts(title=title)


def _axis(what: str) -> str:
    return "times the cash at first" if what.startswith("Growth") else "below the last peak"


def session_returns(res: xr.Dataset, trial: Mapping[str, Any] | None) -> tuple[np.ndarray, Shown]:
    """Returns of the sessions of the trial that is shown, float64 (session,)."""
    one = shown(res, trial)
    cash = one.cash
    found = returns(one.curve("equity"), initial=cash if np.isfinite(cash) else None).values
    found = found[np.isfinite(found)]
    if len(found) < 2:
        fix = "Run it over a longer span."
        raise UsageError(message("this picture of returns", f"{len(found)} sessions", "two at least", fix))
    return found, one


def histogram(res: xr.Dataset, trial: Mapping[str, Any] | None) -> Any:
    """How often a session returned how much, with the mean and the mean of the worst twentieth marked."""
    import holoviews as hv
    import pandas as pd

    values, one = session_returns(res, trial)
    worst = np.sort(values)[: max(1, len(values) // 20)].mean()
    said = f"mean {_percent(values.mean())} (dashed), mean of the worst 5 % {_percent(worst)} (line)"
    look = drawing.look(ylabel="sessions", height=280, legend=False, xlabel=f"return of a session, %: {said}")
    bars = drawing.hvplot(pd.Series(100.0 * values, name="return")).hist(bins=60, color=BLUE, line_width=0, **look)
    mean = hv.VLine(100.0 * values.mean()).opts(color=GREY, line_dash="dashed", line_width=2)
    tail = hv.VLine(100.0 * worst).opts(color=RED, line_width=2)
    return (bars * mean * tail).opts(title=f"Returns of {len(values):,} sessions of {one.title}")


def _percent(value: float) -> str:
    return f"{100.0 * value:.2f} %".replace("-", "−")
