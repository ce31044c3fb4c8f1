"""Metrics of any union of a result's blocks, without the bars: summaries of blocks are joined (M3, M30)."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import xarray as xr

from kernelkit.errors import DataError, UsageError, arguments, message
from kernelkit.kernels import layout as L
from kernelkit.metrics.labels import check_names
from kernelkit.metrics.metric import schema_text
from kernelkit.metrics.period import periods_of
from kernelkit.metrics.series import central_sums, compound, positive, spread, standard_moment

PIECE = 2**21  # nodes a call, some 20 ms: an interrupt is answered between two

OUTPUTS = {
    "n_sessions": ("", "sessions"),
    "mean": ("1", "mean return per session"),
    **{name: schema_text(name) for name in ("volatility", "sharpe_ratio", "sortino_ratio")},
    "skewness": ("1", "skewness"),
    "kurtosis": ("1", "excess kurtosis"),
    **{name: schema_text(name) for name in ("total_return", "cagr", "max_drawdown", "calmar_ratio")},
}


@arguments()
def from_blocks(blocks: xr.DataArray, *, dim: str = "block", periods: float | None = None) -> xr.Dataset:
    """Metrics of the sessions of these blocks, joined in their order: ``res["blocks"]``, or some of its blocks.

    M30: summaries are joined by M3, from the left; of all blocks of a trial `volatility`, `sharpe_ratio`,
    `sortino_ratio` and `max_drawdown` are those of its result to the last bit. `cagr` and `calmar_ratio` grow by M11:
    by sessions, not by elapsed days. Dims `dim` and `summary` are removed, all others stay; blocks that are NaN are
    none, so that ``blocks.where(...)`` chooses, too. `periods` are sessions a year, the result's where not said.
    Skewness and kurtosis are from sums of powers about 0, which lose digits where the mean is large beside the
    deviation. Raises DataError for what are no blocks.

    >>> import kernelkit as kk
    >>> @kk.strategy
    ... def hold(ctx):
    ...     ctx.target_percent(1.0)
    >>> res = kk.backtest(kk.data.load("sp500_index"), hold)
    >>> found = from_blocks(res["blocks"])
    >>> bool(found["sharpe_ratio"] == res["sharpe_ratio"]), bool(found["max_drawdown"] == res["max_drawdown"])
    (True, True)
    >>> int(from_blocks(res["blocks"][10:20])["n_sessions"])
    884
    """
    _check(blocks, dim)
    annual = periods_of(blocks, dim) if periods is None else float(periods)
    if not annual > 0.0:
        raise UsageError(message("from_blocks: periods", periods, "a number above 0", "Leave it out, or pass 252."))

    def reduce(x: np.ndarray) -> tuple[np.ndarray, ...]:
        return tuple(one.reshape(x.shape[:-2]) for one in metrics_of(x.reshape(-1, *x.shape[-2:]), annual))

    found = xr.apply_ufunc(
        reduce,
        blocks.sel(summary=list(L.NODE_FIELDS)),
        input_core_dims=[[dim, "summary"]],
        output_core_dims=[[]] * len(OUTPUTS),
        dask="parallelized",
        output_dtypes=[np.float64] * len(OUTPUTS),
        dask_gufunc_kwargs={"allow_rechunk": True},
    )
    attrs = {"periods_per_year": annual, "ddof": 1}
    arrays = {}
    for (name, (units, long_name)), one in zip(OUTPUTS.items(), found, strict=True):
        arrays[name] = one.assign_attrs({"units": units, "long_name": long_name} if units else {"long_name": long_name})
    return xr.Dataset(arrays, attrs=attrs)


def _check(blocks: Any, dim: str) -> None:
    fix = "Pass the variable of a result, res['blocks'], or some of its blocks."
    if not isinstance(blocks, xr.DataArray):
        raise DataError(message("blocks", type(blocks).__name__, "a DataArray", fix))
    if not {dim, "summary"} <= set(blocks.dims) or not blocks.sizes[dim]:
        raise DataError(message("blocks", f"sizes {dict(blocks.sizes)}", f"the dims {dim!r} and 'summary'", fix))
    lacking = [name for name in L.NODE_FIELDS if name not in blocks.get_index("summary")]
    if lacking:
        raise DataError(message("blocks", f"no summary {', '.join(lacking)}", "all that a result has", fix))
    check_names("from_blocks", [blocks], OUTPUTS)


def metrics_of(x: np.ndarray, periods: float) -> tuple[np.ndarray, ...]:
    """The `OUTPUTS` of (trial, block, summary), each (trial,); blocks that are NaN are none."""
    s, ratios = _joined(x, periods)
    n, s1, s2 = s["n"].astype("f8"), s["s1"], s["s2"]
    with np.errstate(divide="ignore", invalid="ignore"):  # a ratio over nothing is NaN, and says so
        m2, m3, m4 = central_sums(n, s1, s2, s["s3"], s["s4"])
        even, growth = spread(n, m2, s2, 0), compound(s["w"], n, periods)
        found = (
            s1 / n,
            *ratios.T,
            standard_moment(m3 / n, even, 3),
            standard_moment(m4 / n, even, 4) - 3.0,
            s["w"] - 1.0,
            growth,
            s["mdd"],
            growth / positive(s["mdd"]),
        )
    return n, *(np.where(n > 0.0, one, np.nan) for one in found)


def join(nodes: np.ndarray, periods: float) -> tuple[np.ndarray, np.ndarray]:
    """Each row of nodes, `layout.NODE` (row, block), as one, and its volatility, Sharpe and Sortino ratio (M3, M5).

    By the engine's own code; nodes without samples are none. The nodes are overwritten.
    """
    from kernelkit.kernels.compile import engine  # numba: only those wait for it who ask for this

    address, word = engine().unit("join_rows"), ctypes.c_int64
    kernel = ctypes.CFUNCTYPE(None, word, word, word, ctypes.c_double, word)(address)
    ratios = np.empty((len(nodes), 3))
    kernel(nodes.ctypes.data, *nodes.shape, periods, ratios.ctypes.data)
    return nodes[:, 0], ratios


def _joined(x: np.ndarray, periods: float) -> tuple[np.ndarray, np.ndarray]:
    """Each row's blocks as one node, and its ratios."""
    rows, n = x.shape[:2]
    joined, ratios = np.empty(rows, L.NODE), np.empty((rows, 3))
    step = max(1, PIECE // n)
    for k in range(0, rows, step):
        some = x[k : k + step]
        nodes = np.zeros(some.shape[:2], L.NODE)
        present = ~np.isnan(some[..., L.NODE_FIELDS.index("n")])
        for j, name in enumerate(L.NODE_FIELDS):
            nodes[name] = np.where(present, some[..., j], 0.0)
        joined[k : k + step], ratios[k : k + step] = join(nodes, periods)
    return joined, ratios
