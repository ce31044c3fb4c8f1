"""How alike the parts of a result move: correlations in an order that puts like beside like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.errors import UsageError, message
from kernelkit.inference.clustering import grouped, strategy_correlation
from kernelkit.metrics import returns
from kernelkit.report import drawing, words
from kernelkit.report.colours import signed
from kernelkit.report.shown import curve_name, places
from kernelkit.report.source import bars_of

if TYPE_CHECKING:
    import xarray as xr

MOST = 500  # that a screen can tell apart: every k-th of more


@dataclass(frozen=True)
class Correlation:
    """Correlations ``values`` float64 (one, other) of ``labels``, clusters beside each other.

    ``cluster`` int64 (one,) is each one's group, from 1 on, all 1 of fewer than three; ``of`` says what moves,
    ``trials`` has the labels of each by dim where it is a trial of the result, ``left_out`` how many are not shown.
    """

    labels: tuple[str, ...]
    values: np.ndarray
    cluster: np.ndarray
    of: str
    trials: tuple[dict[str, Any] | None, ...]
    left_out: int = 0

    @property
    def mean(self) -> float:
        """The mean over all pairs, NaN of a single one."""
        pairs = self.values[np.triu_indices(len(self.labels), 1)]
        known = pairs[np.isfinite(pairs)]
        return float(known.mean()) if known.size else float("nan")


def correlation_of(res: xr.Dataset, bars: xr.Dataset | None = None) -> Correlation:
    """Correlations of session returns: of strategies compared, of accounts, of a portfolio's assets, or of trials.

    A portfolio's assets are taken from ``bars``, by default those that it remembers, over its span. Rows follow the
    tree of an average-linkage clustering (`kk.inference.strategy_clusters`). Raises UsageError for a result that holds
    one series alone, RunError where its bars or curves are gone.
    """
    table, labels, of, trials = _found(res, bars)
    left = len(labels)
    known = np.flatnonzero(np.isfinite(np.diag(table)))
    known = known[:: -(-max(1, len(known)) // MOST)]
    table, labels = table[np.ix_(known, known)], [labels[k] for k in known]
    own = [trials[k] if trials else None for k in known]
    if len(labels) < 2:
        fix = "It takes several strategies, assets or parameters that trade."
        raise UsageError(message("correlation of this result", f"{len(labels)} series that vary", "two at least", fix))
    cluster, order = np.ones(len(labels), "i8"), np.arange(len(labels))
    if len(labels) > 2 and np.isfinite(table).all():
        cluster, _, place = grouped(table, None, "average")
        order = np.argsort(place)
    ordered = table[np.ix_(order, order)]
    return Correlation(
        tuple(labels[k] for k in order), ordered, cluster[order], of, tuple(own[k] for k in order), left - len(labels)
    )


def _found(res: xr.Dataset, bars: xr.Dataset | None) -> tuple[np.ndarray, list[str], str, list[dict[str, Any]]]:
    """The matrix in the result's order, its labels, what they are, and which trials."""
    if "correlation" in res and res["correlation"].ndim == 2:
        dim = str(res["correlation"].dims[0])
        return res["correlation"].values, [str(v) for v in res[dim].values], f"session returns of each {dim}", []
    along = [d for d in places(res) if res.sizes[d] > 1]
    name = curve_name(res, "equity")
    if along and name is not None:
        stacked = res[name].stack(one=along).transpose("one", "time")
        step = -(-stacked.sizes["one"] // MOST)
        stacked = stacked.isel(one=slice(None, None, step))
        each = [
            dict(zip(map(str, along), v if isinstance(v, tuple) else (v,), strict=True)) for v in stacked["one"].values
        ]
        trials = [{name: getattr(v, "item", lambda v=v: v)() for name, v in one.items()} for one in each]
        kept = stacked.drop_vars(["one", *map(str, along)]).load()
        of = f"session returns of {'accounts' if along == ['asset'] else 'trials'}"
        return _matrix(kept), [words.params(one) for one in trials], of, trials
    position = curve_name(res, "position")
    if position is None or "asset" not in res[position].dims:
        wanted = "several strategies, accounts, assets or trials"
        fix = "It is for kk.compare, grids, and portfolios of several assets."
        raise UsageError(message("correlation of this result", "one series alone", wanted, fix))
    bars = bars_of(res, bars, "correlation")
    close = bars["close"].transpose("asset", "time").sel(time=slice(*res["time"].values[[0, -1]]))
    if "session" in bars:
        close = close.assign_coords(session=bars["session"].sel(time=close["time"]))
    labels = [str(a) for a in close["asset"].values]
    return _matrix(close.drop_vars("asset").rename(asset="one")), labels, "session returns of assets", []


def _matrix(level: xr.DataArray) -> np.ndarray:
    """Correlations of the session returns of levels (one, time), over the sessions that all of them have."""
    moved = returns(level.drop_attrs()).dropna("time", how="any")
    found: np.ndarray = strategy_correlation(moved.reset_coords(drop=True), over="one").values
    return found


def static(found: Correlation) -> Any:
    """The matrix as a heat map, with numbers while there is room for them."""
    import holoviews as hv
    import pandas as pd

    n, other = len(found.labels), "other"
    table = pd.DataFrame(found.values, pd.Index(found.labels, name="one"), found.labels).reset_index()
    table = table.melt("one", var_name=other, value_name="correlation")
    side = min(900, max(480, 200 + 34 * n))
    look = drawing.look(width=side, height=side - 40, xlabel="", ylabel="", rot=40, grid=False)
    heat = drawing.hvplot(table).heatmap(other, "one", "correlation", cmap=signed(), clim=(-1.0, 1.0), **look)
    if n <= 16:
        texts = {"text_font_size": "8pt", "text_color": "#1f2937"}
        heat = heat * hv.Labels(table.round(2), [other, "one"], "correlation").opts(**texts)
    mean = f"mean {found.mean:.2f}".replace("-", "−")
    return heat.opts(title=f"Correlation of {found.of}; {mean}", invert_yaxis=True)
