"""Does a result stand when parameters, time or features change a little (B11, B13, B14)?"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import scipy.special
import xarray as xr
from numpy.typing import NDArray

from kernelkit.errors import DataError, UsageError, arguments, message
from kernelkit.inference.checks import along, differ, fraction, whole

Floats = NDArray[np.float64]


@arguments()
def parameter_plateau(
    values: xr.DataArray, *, over: Sequence[Hashable], radius: int = 1, share: float = 0.8
) -> xr.Dataset:
    """Is the best of a grid a plateau or a peak? Of a metric over the dims of parameters `over`, larger is better; B11.

    A neighbour of a cell is at most `radius` steps away in every parameter. A Dataset of `smoothed` and `worst` (mean
    and smallest value of a cell and its neighbours), `stability` (mean of the neighbours over the cell's own value:
    near 1 on a plateau, low on a peak; NaN where that is not above 0) and `region` (whether it is joined to the best,
    step by step, by cells of at least `share` of its value), by cell; `plateau`, the share of all cells that are in the
    region, and `best_stability`: one number.
    NaN cells (excluded by `where=`) are no neighbours. `smoothed` is what to choose by, if parameters are chosen.

    >>> grid = xr.DataArray([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 2.0]], dims=("fast", "slow"))
    >>> found = parameter_plateau(grid, over=("fast", "slow"))
    >>> round(float(found["plateau"]), 3), round(float(found["best_stability"]), 3), float(found["smoothed"].max())
    (0.111, 0.167, 1.0)
    """
    reach = whole("parameter_plateau", "radius", radius, 1)
    fraction("parameter_plateau", "share", share)
    dims = [over] if isinstance(over, str) else list(over)
    if not dims:
        raise UsageError(message("parameter_plateau: over", "no dims", "the dims of parameters", "Name them."))
    (given,) = along("parameter_plateau", tuple(dims), values)  # type: ignore[arg-type]

    def of(x: Floats) -> tuple[Any, ...]:
        from scipy.ndimage import convolve, label, minimum_filter

        size = (2 * reach + 1,) * x.ndim
        there = ~np.isnan(x)
        if not there.any():
            return (x,) * 3 + (there, np.nan, np.nan)
        ones = np.ones(size)
        total, number = (convolve(v, ones, mode="constant") for v in (np.where(there, x, 0.0), there.astype("f8")))
        own = np.where(there, x, np.nan)
        around = (total - own) / np.where(number > 1.0, number - 1.0, np.nan)
        worst = minimum_filter(np.where(there, x, np.inf), size, mode="constant", cval=np.inf)
        stability = around / np.where(own > 0.0, own, np.nan)
        best = np.unravel_index(np.nanargmax(x), x.shape)
        regions, _ = label(np.where(there, x, -np.inf) >= share * x[best])
        region = (regions == regions[best]) & (x[best] > 0.0)
        plateau = np.sum(region) / np.sum(there) if x[best] > 0.0 else np.nan
        return (
            np.where(there, total / np.where(there, number, 1.0), np.nan),
            np.where(there, worst, np.nan),
            stability,
            region,
            plateau,
            stability[best],
        )

    found = xr.apply_ufunc(
        of, given, input_core_dims=[dims], output_core_dims=[dims, dims, dims, dims, [], []], vectorize=True
    )
    texts = {
        "smoothed": "mean of the cell and its neighbours",
        "worst": "smallest value of the cell and its neighbours",
        "stability": "mean of the neighbours over the cell's own value",
        "region": "whether the cell is joined to the best at much the same value",
        "plateau": "share of cells joined to the best at much the same value",
        "best_stability": "stability of the best cell",
    }
    arrays = {k: one.assign_attrs(long_name=text) for (k, text), one in zip(texts.items(), found, strict=True)}
    return xr.Dataset(arrays, attrs={"radius": reach, "share": share})


@arguments()
def out_of_sample(
    inside: xr.DataArray, outside: xr.DataArray, *, over: Hashable = "fold", level: float = 0.9
) -> xr.Dataset:
    """What is left of performance out of sample: `inside` and `outside` are annual Sharpe ratios along `over`; B13.

    Along folds it says how a walk-forward did, along trials how far choosing helps. A Dataset of `efficiency` (outside
    over inside, by label; NaN where inside is not above 0), its `median`, `low` and `high` (the middle `level` of
    them), `positive` (the share of labels with outside above 0), `decay` (1 less the ratio of the means: the share that
    is lost), `slope` and `intercept` of outside on inside by least squares, and `rank_correlation` (Spearman). Labels
    with NaN are left out. Raises `DataError` for labels that differ.

    >>> inside = xr.DataArray([1.0, 2.0, 1.5, -0.5], dims="fold")
    >>> found = out_of_sample(inside, 0.5 * inside)
    >>> float(found["median"]), float(found["decay"]), float(found["slope"]), float(found["positive"])
    (0.5, 0.5, 0.5, 0.75)
    """
    fraction("out_of_sample", "level", level)
    given = along("out_of_sample", (over,), inside, outside)  # type: ignore[arg-type]
    tails = [(1.0 - level) / 2.0, 0.5, (1.0 + level) / 2.0]

    def of(a: Floats, b: Floats) -> tuple[Any, ...]:
        from scipy.stats import spearmanr

        known = ~np.isnan(a) & ~np.isnan(b)
        ratio = np.where(known & (a > 0.0), b / np.where(a > 0.0, a, 1.0), np.nan)
        x, y = a[known], b[known]
        quantiles = np.quantile(ratio[~np.isnan(ratio)], tails) if (~np.isnan(ratio)).any() else [np.nan] * 3
        decay = 1.0 - y.mean() / x.mean() if len(x) and x.mean() > 0.0 else np.nan
        slope, rank = np.nan, np.nan
        if len(x) > 2 and np.ptp(x) > 0.0:
            off = x - x.mean()
            slope = float(off @ y / (off @ off))
            rank = spearmanr(x, y).statistic if np.ptp(y) > 0.0 else np.nan
        intercept = y.mean() - slope * x.mean() if len(x) else np.nan
        positive = np.mean(y > 0.0) if len(y) else np.nan
        return ratio, quantiles[1], quantiles[0], quantiles[2], positive, decay, slope, intercept, rank

    try:
        found = xr.apply_ufunc(
            of,
            *given,
            input_core_dims=[[over], [over]],
            output_core_dims=[[over], *[[]] * 8],
            join="exact",
            vectorize=True,
        )
    except xr.AlignmentError as error:
        raise differ("out_of_sample") from error
    texts = {
        "efficiency": "performance outside over inside",
        "median": "median efficiency",
        "low": "lower end of the efficiencies",
        "high": "upper end of the efficiencies",
        "positive": "share with a performance above 0 outside",
        "decay": "share of the mean performance that is lost outside",
        "slope": "performance outside per unit inside",
        "intercept": "performance outside at 0 inside",
        "rank_correlation": "rank correlation of inside and outside",
    }
    arrays = {
        k: one.assign_attrs(long_name=text, units="1") for (k, text), one in zip(texts.items(), found, strict=True)
    }
    return xr.Dataset(arrays, attrs={"over": str(over), "level": level})


@arguments()
def importance_stability(
    importances: xr.DataArray, *, top: int, over: Hashable = "feature", folds: Hashable = "fold", level: float = 0.95
) -> xr.Dataset:
    """Are the same features important in every fold? B14.

    A Dataset of `rank_correlation`, the mean of Spearman's over all pairs of folds, and `selection`, the stability of
    the choice of the `top` features (Nogueira, Sechidis and Brown, On the stability of feature selection algorithms,
    2018): 1 if always the same, 0 as by chance, with `low` and `high` at `level` by its asymptotic error. Of equal
    importances each has the middle of their ranks, and what has a rank of at most `top` is chosen: a fold in which few
    features were used chooses those alone. NaN where no fold chooses any, or all choose all. Raises `DataError` for
    NaN, fewer than two folds and no choice.

    >>> x = xr.DataArray([[0.5, 0.3, 0.2, 0.0], [0.4, 0.5, 0.0, 0.1]], dims=("fold", "feature"))
    >>> found = importance_stability(x, top=2)
    >>> round(float(found["rank_correlation"]), 3), float(found["selection"])
    (0.6, 1.0)
    """
    fraction("importance_stability", "level", level)
    (given,) = along("importance_stability", (folds, over), importances)  # type: ignore[arg-type]
    number, features = given.sizes[folds], given.sizes[over]
    chosen = whole("importance_stability", "top", top, 1)
    if number < 2 or chosen >= features or bool(given.isnull().any()):
        found = f"{number} folds, {features} features, top={top}, NaN: {bool(given.isnull().any())}"
        wanted = "at least two folds, fewer chosen than there are, no NaN"
        raise DataError(message("importance_stability", found, wanted, "Fill in 0 for features that were not used."))
    z = float(scipy.special.ndtri((1.0 + level) / 2.0))

    def of(x: Floats) -> tuple[float, ...]:
        from scipy.stats import rankdata

        ranks = rankdata(x, axis=1)
        off = ranks - ranks.mean(axis=1, keepdims=True)
        size = np.sqrt(np.sum(off * off, axis=1))
        pairs = [off[a] @ off[b] / (size[a] * size[b]) for a, b in combinations(range(number), 2)]
        found, error = selection_stability((features + 1.0 - ranks <= chosen).astype("f8"))
        return float(np.mean(pairs)), found, found - z * error, found + z * error

    with np.errstate(divide="ignore", invalid="ignore"):
        found = xr.apply_ufunc(of, given, input_core_dims=[[folds, over]], output_core_dims=[[]] * 4, vectorize=True)
    texts = {
        "rank_correlation": "mean rank correlation of pairs of folds",
        "selection": "stability of the choice of features",
        "low": "lower end of the stability of the choice",
        "high": "upper end of the stability of the choice",
    }
    arrays = {
        k: one.assign_attrs(long_name=text, units="1") for (k, text), one in zip(texts.items(), found, strict=True)
    }
    return xr.Dataset(arrays, attrs={"top": chosen, "level": level})


def selection_stability(picked: Floats) -> tuple[float, float]:
    """Nogueira's stability of choices (fold, feature) of 0 and 1, and its standard error.

    >>> selection_stability(np.array([[1.0, 0.0], [0.0, 1.0]]))
    (-1.0, 0.0)
    """
    m, d = picked.shape
    share, sizes = picked.mean(axis=0), picked.sum(axis=1)
    k = sizes.mean()
    chance = k / d * (1.0 - k / d)
    found = 1.0 - np.mean(m / (m - 1.0) * share * (1.0 - share)) / chance
    terms = picked @ share / d - sizes * k / d**2
    terms = (terms + found / 2.0 * (2.0 * k * sizes / d**2 - sizes / d - k / d + 1.0)) / chance
    return float(found), float(2.0 / m * np.sqrt(np.sum((terms - terms.mean()) ** 2)))
