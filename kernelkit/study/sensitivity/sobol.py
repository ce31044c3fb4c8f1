"""How much of a metric's variance each parameter accounts for: Sobol indices (rules N4, N8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.errors import UsageError, arguments, message
from kernelkit.inference.intervals import interval
from kernelkit.inference.resampling import Resampling
from kernelkit.market.account import Account
from kernelkit.market.fill_model import FillModel
from kernelkit.market.several import Accounts, Venues
from kernelkit.market.venue import Venue
from kernelkit.recipe import resolve
from kernelkit.reuse import Cache
from kernelkit.strategy import Signal, Strategy
from kernelkit.study.run import Common
from kernelkit.study.sensitivity.points import (
    SAMPLE,
    SEEDS,
    Floats,
    Ranges,
    check_metric,
    check_share,
    evaluated,
    gaps_told,
    named_apart,
    point_of,
    ranges_of,
    rows_of,
    stacked,
    whole,
    without_gaps,
)
from kernelkit.working import Means

if TYPE_CHECKING:
    import xarray as xr

ROW, ORDER = "row", "order"
ORDERS = ("first_order", "total_order")
TEXTS = {
    "first_order": "share of the variance due to the parameter alone",
    "total_order": "share of the variance due to the parameter and all that it does together with others",
}


def design(n: int, k: int, seed: int) -> Floats:
    """N8: points of the unit cube, float64 (k + 2, n, k): A, B, and A with each column in turn that of B.

    >>> a, b, ab = design(8, 1, seed=1)
    >>> bool((ab == b).all()), a.shape
    (True, (8, 1))
    """
    from scipy.stats import qmc

    drawn = qmc.Sobol(2 * k, scramble=True, rng=np.random.default_rng(seed)).random(n)
    out = np.tile(drawn[:, :k], (k + 2, 1, 1))
    out[1] = drawn[:, k:]
    for i in range(k):
        out[2 + i, :, i] = drawn[:, k + i]
    return out


def indices(a: xr.DataArray, b: xr.DataArray, ab: xr.DataArray, over: str = ROW) -> xr.DataArray:
    """N8: first and total order (dim ``order``) of values at A and B, and at AB by ``parameter``; ``over`` is reduced.

    NaN where the values do not vary. Sources: Saltelli et al., Variance based sensitivity analysis of model output,
    Computer Physics Communications 181 (2010), table 2 (b) and (f), the latter of Jansen (1999).

    >>> import xarray as xr
    >>> x, y = design(64, 1, seed=1)[:2, :, 0]
    >>> a, b = xr.DataArray(x, dims="row"), xr.DataArray(y, dims="row")
    >>> indices(a, b, b).round(1).values.tolist()
    [1.0, 1.0]
    """
    import xarray as xr

    variance = 0.5 * (a * a + b * b).mean(over) - (0.5 * (a + b).mean(over)) ** 2
    variance = variance.where(variance > 0.0)
    first, total = (b * (ab - a)).mean(over) / variance, 0.5 * ((a - ab) ** 2).mean(over) / variance
    return xr.concat([first, total], ORDER)


def estimated(values: xr.DataArray, names: Sequence[str], level: float, resampling: Resampling) -> xr.Dataset:
    """N4, N8: indices by ``parameter``, with intervals, of values of dims ``matrix`` (A, B, AB ...) and ``row``.

    Rows with a NaN are left out; where fewer than half are whole all is NaN, and so is what does not vary.
    """
    import xarray as xr

    kept = values.isel({ROW: np.flatnonzero(without_gaps(values, ROW).values)})
    out: dict[str, xr.DataArray] = {}
    empty = xr.full_like(values.isel({ROW: 0, "matrix": slice(2, None)}, drop=True).rename(matrix="parameter"), np.nan)
    found = None
    if 2 * kept.sizes[ROW] >= values.sizes[ROW]:
        base = kept.isel(matrix=slice(0, 2))
        varies = base.max(("matrix", ROW)) > base.min(("matrix", ROW))
        a, b, *_ = centred = kept - base.mean(("matrix", ROW))
        ab = centred[2:].rename(matrix="parameter")
        found = interval(indices, a, b, ab, dim=ROW, level=level, resampling=resampling).where(varies)
    for k, name in enumerate(ORDERS):
        for end, what, text in (("", "estimate", ""), ("_low", "low", "lower end: "), ("_high", "high", "upper end: ")):
            one = empty if found is None else found[what].isel({ORDER: k})
            attrs = {"long_name": text + TEXTS[name], "units": "1"}
            out[name + end] = one.drop_attrs().assign_attrs(attrs).transpose("parameter", ...)
    ds = xr.Dataset(out).assign_coords(parameter=list(names))
    return ds.assign_attrs(gaps_told(kept.sizes[ROW], values.sizes[ROW], "rows", str(values.name)))


@arguments(account=Account, venue=Venue, fill_model=FillModel)
def sobol(  # noqa: PLR0913  its settings are keywords of the public interface
    bars: xr.Dataset,
    strategy: Strategy | Signal,
    params: Mapping[str, Any] | None = None,
    *,
    ranges: Ranges,
    n: int = 256,
    metric: str = "sharpe_ratio",
    level: float = 0.95,
    replications: int = 999,
    seed: int = 0,
    start: Any = None,
    end: Any = None,
    account: Account | Accounts | None = None,
    venue: Venue | Venues | Mapping[str, Venue] | None = None,
    fill_model: FillModel | str | None = None,
    client: Any = None,
    cache: Cache = None,
    memory_limit: int | str | None = None,
) -> xr.Dataset:
    """Part the variance of ``metric`` over ``ranges`` of parameters among them: Sobol indices, with intervals.

    Parameters are independent and uniform over their ranges, whole numbers each as likely as any other; those without a
    range stay as ``params`` have them. ``n``, a power of two, rows of scrambled Sobol points take ``n (k + 2)`` runs
    for k parameters. ``first_order`` is the share of the variance due to a parameter alone, ``total_order`` that with
    all it does together with others: a parameter with a total near 0 could be fixed, and totals that sum to more than 1
    tell of interactions. ``_low`` and ``_high`` hold each with probability ``level``: a bootstrap of the rows, which
    sees them as independent draws, and is wide rather than narrow. Estimates may lie below 0, or above 1.

    A Dataset with these by ``parameter``, and along ``evaluation`` the parameters and all metrics of each run. Rows in
    which a run has no ``metric`` (it failed, or never traded) are left out, as ``attrs["left_out"]`` and
    ``attrs["note"]`` say; what is left is then a share of the variance where there is one. Where fewer than half are
    whole, or the metric does not vary, indices are NaN. In the ledger all have the role ``sensitivity``. Raises
    UsageError for ranges that do not fit and ``n`` that is no power of two, and what `kk.backtest` raises.

    Sources: Sobol' (2001); Saltelli et al., Computer Physics Communications 181 (2010); Jansen (1999).

    >>> import kernelkit as kk
    >>> ranges = {"fast": (5, 50), "slow": (60, 200)}
    >>> found = sobol(kk.data.load("sp500_index"), kk.strategies.find("sma_cross"), ranges=ranges, n=16)
    >>> found.sizes["evaluation"], found["total_order"].dims, bool((found["total_order"] >= 0).all())
    (64, ('parameter',), True)
    """
    check_metric("sobol", metric, better=False)
    check_share("sobol", "level", level)
    size = whole("sobol", "n", n, 8)
    if size & (size - 1):
        fix = f"Write n={2 ** round(np.log2(size))}: the points are balanced in powers of two."
        raise UsageError(message("kk.sensitivity.sobol: n", size, "a power of two", fix))
    number = whole("sobol", "seed", seed, 0, SEEDS)
    resampling = Resampling("iid", replications=replications, seed=number)
    strategy = resolve(strategy)
    known = ranges_of("sobol", strategy, params, ranges)
    names = [r.name for r in known]
    named_apart("sobol", names, (SAMPLE, "parameter", *ORDERS))
    point = point_of("sobol", strategy, params, known)
    cube = design(size, len(known), number).reshape(-1, len(known))
    columns = {r.name: r.drawn(cube[:, k]) for k, r in enumerate(known)}
    common = Common(bars, strategy, point, None, None, start, end, account, venue, fill_model)
    ds = evaluated(rows_of(point, columns), common, Means(client, cache, memory_limit))
    values = ds[metric].drop_vars(SAMPLE)
    found = estimated(stacked(values, len(known) + 2, "matrix", ROW), names, level, resampling)
    ds = ds.assign_coords({name: (SAMPLE, column) for name, column in columns.items()}).merge(found)
    told = {"study": "sobol", "metric": metric, "n": size, "level": level, "replications": replications, "seed": seed}
    return ds.assign_attrs(told | found.attrs)
