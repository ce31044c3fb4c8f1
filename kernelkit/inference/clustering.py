"""How alike strategies are: correlations and clusters of them (I23), and how many trials they amount to (B12)."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kernelkit.errors import DataError, UsageError, arguments, message
from kernelkit.inference.checks import along, choice, whole

Floats = NDArray[np.float64]
Method = Literal["pearson", "spearman"]
Linkage = Literal["average", "complete", "single", "ward"]
Estimator = Literal["average_correlation", "effective_rank", "clusters"]

OTHER = "other_"  # the second of two equal dims
ALIKE = 200  # trials whose correlations are looked at: every k-th of more
MERGERS = 16  # of a tree that are done before an interrupt is heard


@arguments()
def strategy_correlation(
    returns: xr.DataArray, *, over: str, method: Method = "pearson", dim: str = "time"
) -> xr.DataArray:
    """Correlations of all strategies along `over`: dims `over` and `other_<over>`, the last two.

    ``"pearson"``, or ``"spearman"`` of ranks. A strategy that is NaN throughout or does not vary has NaN. Raises
    `DataError` for gaps.

    >>> x = np.array([[1.0, 2.0, 0.0], [2.0, 4.0, 1.0], [4.0, 8.0, -1.0]])
    >>> strategy_correlation(xr.DataArray(x, dims=("time", "trial")), over="trial")[0].values.round(4).tolist()
    [1.0, 1.0, -0.6547]
    """
    choice("strategy_correlation", method=(method, Method))
    given = _given("strategy_correlation", returns, over, dim)

    def of(x: Floats) -> Floats:
        if method == "spearman":
            from scipy.stats import rankdata

            x = np.where(np.isnan(x), np.nan, rankdata(x, axis=-2))
        off = x - x.mean(axis=-2, keepdims=True)
        size = np.sqrt(np.sum(off * off, axis=-2))
        flat = size <= 1e-12 * np.sqrt(np.sum(x * x, axis=-2))
        unit = off / np.where(flat, np.nan, size)[..., None, :]
        found = np.clip(np.swapaxes(unit, -1, -2) @ unit, -1.0, 1.0)
        place = np.arange(found.shape[-1])
        found[..., place, place] = np.where(np.isnan(found[..., place, place]), np.nan, 1.0)
        return np.asarray(found)

    other = OTHER + over
    found: xr.DataArray = xr.apply_ufunc(of, given, input_core_dims=[[dim, over]], output_core_dims=[[over, other]])
    if over in given.coords:
        found = found.assign_coords({other: given[over].values})
    attrs = {"long_name": "correlation of strategies", "units": "1", "method": method}
    return found.rename("correlation").assign_attrs(attrs)


@arguments()
def strategy_clusters(
    returns: xr.DataArray,
    *,
    over: str,
    clusters: int | None = None,
    linkage: Linkage = "average",
    method: Method = "pearson",
    dim: str = "time",
) -> xr.Dataset:
    """Groups of strategies that move together, by hierarchical clustering of their correlations; I23.

    Distance `sqrt((1 - correlation) / 2)` (Mantegna, 1999); `clusters` None takes the number of largest mean silhouette
    (Rousseeuw, 1987). A Dataset of `cluster` (1 is that of the first strategy, and so on in their order), `silhouette`
    and `order` (the place of each in the drawn tree, which puts like beside like). Raises `DataError` for gaps, for
    strategies without samples or variance, and for fewer than three.

    >>> draw = np.random.default_rng(1).normal(size=(300, 2))
    >>> x = draw[:, [0, 1, 0, 1]] + 0.3 * np.random.default_rng(2).normal(size=(300, 4))
    >>> strategy_clusters(xr.DataArray(x, dims=("time", "trial")), over="trial")["cluster"].values
    array([1, 2, 1, 2])
    """
    choice("strategy_clusters", linkage=(linkage, Linkage))
    correlation = strategy_correlation(returns, over=over, method=method, dim=dim)
    strategies = correlation.sizes[over]
    if clusters is not None and not 1 <= whole("strategy_clusters", "clusters", clusters, 1) <= strategies:
        raise UsageError(message("strategy_clusters: clusters", clusters, f"at most {strategies}", "Leave it out."))
    if strategies < 3 or bool(correlation.isnull().any()):
        found = f"{strategies} strategies, {int(correlation.isnull().any(OTHER + over).sum())} without correlations"
        raise DataError(message("strategy_clusters", found, "at least three that vary", "Select those."))

    def of(c: Floats) -> tuple[Any, ...]:
        return grouped(c, clusters, linkage)

    found = xr.apply_ufunc(
        of,
        correlation,
        input_core_dims=[[over, OTHER + over]],
        output_core_dims=[[over]] * 3,
        vectorize=True,
        output_dtypes=[np.int64, np.float64, np.int64],
    )
    arrays = dict(zip(("cluster", "silhouette", "order"), found, strict=True))
    for name, text in (
        ("cluster", "number of its cluster"),
        ("silhouette", "how well it fits there"),
        ("order", "place"),
    ):
        arrays[name].attrs = {"long_name": text}
    return xr.Dataset(arrays, attrs={"linkage": linkage, "method": method, "distance": "sqrt((1 - correlation) / 2)"})


def grouped(correlation: Floats, clusters: int | None, linkage: Linkage) -> tuple[NDArray[np.int64], Floats, Any]:
    """Cluster, silhouette and place in the tree of each row of a correlation matrix.

    >>> grouped(np.array([[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, 1.0]]), None, "average")[0]
    array([1, 1, 2])
    """
    from scipy.cluster import hierarchy
    from scipy.spatial.distance import squareform

    distance = np.sqrt(np.maximum(1.0 - correlation, 0.0) / 2.0)
    distance = (distance + distance.T) / 2.0
    np.fill_diagonal(distance, 0.0)
    tree = hierarchy.linkage(squareform(distance), linkage)
    number = best_number(distance, tree) if clusters is None else clusters
    labels = hierarchy.fcluster(tree, number, "maxclust")
    _, first = np.unique(labels, return_index=True)
    place = np.argsort(np.argsort(first)) + 1
    return place[labels - 1], silhouettes(distance, labels), np.argsort(hierarchy.leaves_list(tree))


def best_number(distance: Floats, tree: Floats) -> int:
    """The number of clusters, 2 to M - 1, with the largest mean silhouette of the tree's cuts; of equals the smallest.

    Of mergers at the same height a cut has all or none (`fcluster`): fewer clusters than asked for.

    >>> from scipy.cluster.hierarchy import linkage
    >>> best_number(np.array([[0.0, 1.0, 4.0], [1.0, 0.0, 4.0], [4.0, 4.0, 0.0]]), linkage([1.0, 4.0, 4.0]))
    2
    """
    from kernelkit.kernels.compile import kernel  # numba: only those wait for it who ask for this
    from kernelkit.kernels.silhouettes import TYPES

    n = len(distance)
    means = np.zeros(n)
    slots, (own, near, alive) = np.empty(2 * n - 1, np.int64), np.empty((3, n), np.int64)
    sums, (sizes, room), up_the_tree = distance.copy(), np.empty((2, n)), kernel("silhouettes", "up_the_tree", TYPES)
    for first in range(0, n - 2, MERGERS):
        end = min(first + MERGERS, n - 2)
        up_the_tree(first, end, sums, tree, slots, sizes, own, near, alive, room, means)
    height = np.append(tree[:, 2], np.inf)
    whole = height[n - np.arange(2, n)] > height[n - 1 - np.arange(2, n)]  # whether a cut has as many as asked for
    made = np.maximum.accumulate(np.where(whole, np.arange(2, n), 1))
    return 2 + int(np.argmax(np.round(np.where(made > 1, means[made], 0.0), 12)))


def silhouettes(distance: Floats, labels: NDArray[np.int64]) -> Floats:
    """Of each row `(b - a) / max(a, b)`: mean distance within its cluster, and to the nearest other; 0 of one alone.

    >>> silhouettes(np.array([[0.0, 1.0, 4.0], [1.0, 0.0, 4.0], [4.0, 4.0, 0.0]]), np.array([1, 1, 2]))
    array([0.75, 0.75, 0.  ])
    """
    member = (labels[:, None] == np.unique(labels)).astype("f8")
    sizes, sums = member.sum(axis=0), distance @ member
    own = np.argmax(member, axis=1)
    row = np.arange(len(labels))
    within = sums[row, own] / np.maximum(sizes[own] - 1.0, 1.0)
    means = sums / sizes
    means[row, own] = np.inf
    nearest = means.min(axis=1)
    scale = np.where(np.isfinite(nearest), np.maximum(within, nearest), 0.0)
    known = (sizes[own] > 1.0) & (scale > 0.0)
    gap = np.where(known, nearest, 0.0) - np.where(known, within, 0.0)
    return np.asarray(gap / np.where(known, scale, 1.0))


@arguments()
def effective_trials(
    returns: xr.DataArray, *, over: str, estimator: Estimator = "average_correlation", dim: str = "time"
) -> xr.DataArray:
    """How many independent trials the strategies along `over` amount to; B12. Three estimators, which differ.

    ``"average_correlation"``: `r + (1 - r) M` with the mean correlation r of all pairs, at least 0 (Bailey and López de
    Prado, 2014, A.3); ``"effective_rank"``: the exponential of the entropy of the eigenvalues (Roy and Vetterli,
    2007); ``"clusters"``: the number of `strategy_clusters` by silhouette. None is a licence to test less: see
    `deflated_sharpe_ratio`.

    >>> draw = np.random.default_rng(1).normal(size=(300, 2))
    >>> x = draw[:, [0, 1, 0, 1]] + 0.3 * np.random.default_rng(2).normal(size=(300, 4))
    >>> x = xr.DataArray(x, dims=("time", "trial"))
    >>> [round(float(effective_trials(x, over="trial", estimator=e)), 1) for e in ("effective_rank", "clusters")]
    [2.4, 2.0]
    """
    choice("effective_trials", estimator=(estimator, Estimator))
    if estimator == "clusters":
        found = strategy_clusters(returns, over=over, dim=dim)["cluster"].max(over).astype("f8")
    else:
        correlation = strategy_correlation(returns, over=over, dim=dim)
        count = trials_of_correlation if estimator == "average_correlation" else effective_rank
        core = [[over, OTHER + over]]
        found = xr.apply_ufunc(count, correlation, input_core_dims=core, vectorize=True)
    attrs = {"long_name": "effective number of trials", "units": "1", "estimator": estimator}
    return found.rename("effective_trials").assign_attrs(attrs)


def worth(means: Floats) -> dict[str, float]:
    """How many independent trials those with these (block, trial) means are worth, by estimator, in words; B12.

    Correlations are those of at most `ALIKE` trials. Empty where fewer than three vary.

    >>> {name: round(n, 1) for name, n in worth(np.random.default_rng(1).normal(size=(500, 4))).items()}
    {'average correlation': 4.0, 'effective rank': 4.0, 'clusters': 2.0}
    """
    varying = means[:, np.ptp(means, axis=0) > 0.0]
    many = varying.shape[1]
    if many < 3:
        return {}
    c: Floats = np.asarray(np.corrcoef(varying[:, :: -(-many // ALIKE)].T))
    r = 1.0 - (trials_of_correlation(c) - 1.0) / (len(c) - 1.0)
    found = {"average correlation": r + (1.0 - r) * many, "effective rank": effective_rank(c)}
    return found | {"clusters": float(grouped(c, None, "average")[0].max())}


def trials_of_correlation(correlation: Floats) -> float:
    """`r + (1 - r) M` of a correlation matrix, NaN rows left out.

    >>> round(trials_of_correlation(np.full((100, 100), 0.3) + 0.7 * np.eye(100)), 9)
    70.3
    """
    c = _known(correlation)
    m = len(c)
    if m < 2:
        return float(m)
    r = max(float((c.sum() - np.trace(c)) / (m * (m - 1.0))), 0.0)
    return r + (1.0 - r) * m


def effective_rank(correlation: Floats) -> float:
    """The exponential of the entropy of the eigenvalues of a correlation matrix, NaN rows left out.

    >>> round(effective_rank(np.eye(3)), 9)
    3.0
    """
    c = _known(correlation)
    if not len(c):
        return 0.0
    share = np.maximum(np.linalg.eigvalsh(c), 0.0) / len(c)
    share = share[share > 0.0]
    return float(np.exp(-np.sum(share * np.log(share))))


def _known(correlation: Floats) -> Floats:
    there = ~np.isnan(np.diagonal(correlation))
    return np.asarray(correlation[np.ix_(there, there)])


def _given(function: str, returns: xr.DataArray, over: str, dim: str) -> xr.DataArray:
    (given,) = along(function, (dim, over), returns)
    missing = given.isnull()
    if bool((missing.any(dim) & ~missing.all(dim)).any()):
        fix = "Select the time that all of them have, as x.dropna(dim) does."
        raise DataError(message(function, "NaN at some samples", "the same samples of all", fix))
    return given
