"""Backtest overfitting: does the strategy that was best on one half of the time stay good on the other half?

Combinatorially symmetric cross-validation (rules B1-B4) of Bailey, Borwein, López de Prado and Zhu, "The probability of
backtest overfitting", Journal of Computational Finance 20 (2016). All of it follows from sums over blocks of time.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.util import find_spec
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kernelkit import rng
from kernelkit.errors import DataError, UsageError, arguments, extra, message
from kernelkit.gpu import Gpu, choose
from kernelkit.inference import products

Floats = NDArray[np.float64]
Measure = Literal["sharpe_ratio", "mean"]

FEWEST = 10  # strategies: among fewer, one neighbour turns the answer
MOST_BLOCKS = 20  # 184,756 splits
WORTH = 10**9  # performances for which a device is worth it, some 3 s of one core
PIECE = 2**23  # performances a call of the kernel, some 25 ms: an interrupt is answered between two

OUTPUTS = {
    "pbo": ("1", "probability of backtest overfitting"),
    "null_low": ("1", "lower end of the band of pbo without skill"),
    "null_high": ("1", "upper end of the band of pbo without skill"),
    "p_value": ("1", "chance of a pbo as low as this without skill"),
    "p_loss": ("1", "share of splits in which the best in sample lost out of sample"),
    "slope": ("1", "performance degradation: out of sample per unit in sample"),
    "intercept": ("1", "performance degradation: out of sample at 0 in sample"),
    "first_order": ("", "the selected dominate the mean strategy out of sample, first order"),
    "second_order": ("", "the selected dominate the mean strategy out of sample, second order"),
    "n_trials": ("", "strategies compared"),
}
SPLITS = {
    "in_sample": ("1", "performance of the best in sample"),
    "out_of_sample": ("1", "its performance out of sample"),
    "rank": ("", "its rank out of sample, 1 is the worst, ties in the middle"),
    "logit": ("1", "log odds of its relative rank out of sample"),
    "mean_out_of_sample": ("1", "mean performance of all strategies out of sample"),
}


class Sums(NamedTuple):
    """Of each block of time, oldest first: samples (block), sums of returns and of squares (block, strategy)."""

    n: Floats
    s1: Floats
    s2: Floats


class Splits(NamedTuple):
    """Of each split: who was best in sample, how good there and on the other half, its rank there, the mean there."""

    best: NDArray[np.int64]
    inside: Floats
    outside: Floats
    rank: Floats
    mean: Floats


class Halves(NamedTuple):
    """The subsets of S/2 blocks by size, then by bits, as `kernels.cscv` wants them; the blocks of each split."""

    place: NDArray[np.int64]
    sizes: NDArray[np.int64]
    starts: NDArray[np.int64]
    masks: NDArray[np.int64]


@arguments()
def pbo(  # noqa: PLR0913  its settings are keywords of the public interface
    returns: xr.DataArray,
    *,
    dim: str = "time",
    over: Hashable | Sequence[Hashable] | None = None,
    blocks: int = 16,
    by: Measure = "sharpe_ratio",
    draws: int = 199,
    level: float = 0.9,
    seed: int = 0,
    gpu: Gpu = False,
) -> xr.Dataset:
    """Probability of backtest overfitting: the share of splits with the best in sample in the lower half out of sample.

    `returns` (excess, per sample) along `dim`, one strategy per label of the dims `over` (all others, if None), which
    are removed; a strategy that is NaN throughout is none. `blocks` is the S of B1. Each output is one number; first_
    and second_order are True where the selected dominate; null_low and null_high hold `level` of the pbo of `draws`
    worlds without skill (B4), in which p_value is the chance of one as low as this. Performances are per sample.

    In the place of returns block summaries may be given, such as the ``blocks`` of `kk.cross_validate`, along `dim` and
    ``summary``: these are then the blocks of B1, of whatever length, an even number of them.

    ``gpu=True`` computes splits on a CUDA device by CuPy, to 1e-9 of what the processor says; ``"auto"`` does where
    there is one and it is worth it. ``attrs["gpu"]`` then says what was done.

    Raises DataError for fewer than 10 strategies, gaps, and fewer than two samples a block; UsageError for settings
    that do not fit. Rules B1-B4; Bailey et al. (2016).

    >>> x = np.random.default_rng(1).normal(0, 0.01, (640, 20))
    >>> x[:, 3] += 0.005
    >>> found = pbo(xr.DataArray(x, dims=("time", "trial")), draws=19)
    >>> float(found["pbo"]), bool(found["first_order"]), float(found["p_value"])
    (0.0, True, 0.05)
    """
    chosen, summed = _dims(returns, dim, over), "summary" in returns.dims
    if summed:
        blocks = returns.sizes[dim]
    _check(blocks, by)
    if not (int(draws) == draws and draws >= 1 and 0.0 < level < 1.0):
        wanted = "draws of at least 1, a level between 0 and 1"
        raise UsageError(message("pbo", f"draws={draws}, level={level}", wanted, "Leave them out: 199 and 0.9."))

    device, said = _device("pbo", gpu, returns, blocks, draws + 1)

    def reduce(x: Floats) -> tuple[Any, ...]:
        sums = _sums_in(x) if summed else _sums_of(x, blocks)[0]
        return numbers(sums, by, draws, level, seed, device=device)

    types = [np.dtype(bool) if k.endswith("_order") else np.dtype("f8") for k in OUTPUTS]
    core = [dim, *chosen]
    if summed:
        returns, core = returns.sel(summary=list(Sums._fields)), [*core, "summary"]
    found = _apply(reduce, returns, core, [[]] * len(OUTPUTS), types)
    attrs = {"blocks": blocks, "by": by, "omega": "mid-rank / (N + 1)", "draws": draws, "level": level, "seed": seed}
    return _dataset(found, OUTPUTS, attrs | said)


@arguments()
def cscv(
    returns: xr.DataArray,
    *,
    dim: str = "time",
    over: Hashable | Sequence[Hashable] | None = None,
    blocks: int = 16,
    by: Measure = "sharpe_ratio",
    gpu: Gpu = False,
) -> xr.Dataset:
    """Every split behind `pbo`, along a dim `split`, in the order of `itertools.combinations` of the blocks in sample.

    A variable named after each dim of `over` says which strategy was the best in sample. Arguments and errors are
    those of `pbo`. Rules B1-B3.

    >>> values = np.random.default_rng(1).normal(0, 0.01, (64, 12))
    >>> found = cscv(xr.DataArray(values, {"n": range(10, 22)}, ("time", "n")), blocks=4)
    >>> found.sizes["split"], int(found["n"][0]), float(found["rank"][0])
    (6, 19, 11.0)
    """
    chosen = _dims(returns, dim, over)
    _check(blocks, by)
    order = np.argsort(_earliest_first(halves(blocks).masks, blocks))
    device, said = _device("cscv", gpu, returns, blocks, 1)

    def reduce(x: Floats) -> tuple[Any, ...]:
        sums, kept = _sums_of(x, blocks)
        s = splits(sums, by, device)
        found = (s.inside, s.outside, s.rank, logit(s.rank, sums.s1.shape[1]), s.mean, kept[s.best])
        return tuple(one[order] for one in found)

    types = [np.dtype("f8")] * len(SPLITS) + [np.dtype("i8")]
    *found, best = _apply(reduce, returns, [dim, *chosen], [["split"]] * (len(SPLITS) + 1), types)
    result = _dataset(tuple(found), SPLITS, {"blocks": blocks, "by": by, "omega": "mid-rank / (N + 1)"} | said)
    places = np.unravel_index(best.values, [returns.sizes[d] for d in chosen])
    for d, place in zip(chosen, places, strict=True):
        result[d] = (best.dims, returns[d].values[place], {"long_name": f"{d} of the best in sample"})
    return result


def splits(sums: Sums, by: Measure = "sharpe_ratio", device: bool = False) -> Splits:
    """Every split of an even number of blocks into halves, from their sums (B1, B2); `halves` says which it is.

    On a ``device`` by CuPy.

    >>> s1 = np.array([[1.0, 2.0]] * 4)
    >>> found = splits(Sums(np.full(4, 10.0), s1, np.full((4, 2), 5.0)))
    >>> found.best.tolist(), found.rank.tolist()
    ([1, 1, 1, 1, 1, 1], [2.0, 2.0, 2.0, 2.0, 2.0, 2.0])
    """
    if device:
        cupy = extra("cupy", "gpu")
        n, s1, s2, masks = (cupy.asarray(a) for a in (*sums, halves(len(sums.n)).masks))
        return Splits(*map(cupy.asnumpy, products.splits(cupy, n, s1, s2, masks, by == "mean")))
    from kernelkit.kernels import compile as native  # numba: only those wait for it who ask for this
    from kernelkit.kernels.cscv import SUBSET_TYPES, TYPES

    subset_sums = native.kernel("cscv", "subset_sums", SUBSET_TYPES)
    kernel = native.kernel("cscv", "cscv", TYPES)
    blocks, strategies = sums.s1.shape
    h, half = halves(blocks), blocks // 2
    subsets = 2**half
    row = np.empty(subsets)
    tables = np.empty((2, 2, strategies, subsets))  # half, moment
    n = np.empty((2, 1, subsets))
    for k, cut in enumerate((slice(None, half), slice(half, None))):
        subset_sums(np.ascontiguousarray(sums.n[cut, None]), h.place, row, n[k])
        for moment in (0, 1):
            subset_sums(np.ascontiguousarray(sums[1 + moment][cut]), h.place, row, tables[k, moment])
    width = int(np.diff(h.sizes).max())
    work, whose = np.empty((2 * strategies + 8) * width), np.empty((2, width), np.int64)
    best, out = np.empty(len(h.masks), np.int64), np.empty((4, len(h.masks)))
    step = max(1, PIECE // (2 * strategies * width))
    for first in range(0, subsets // 2, step):
        end = min(first + step, subsets // 2)
        kernel(first, end, *tables, n[:, 0].copy(), h.sizes, h.starts, by == "mean", work, whose, best, out)
    return Splits(best, *out)


@cache
def halves(blocks: int) -> Halves:
    """The subsets of half of the blocks; `masks` has the bits of the blocks in sample, by split.

    >>> [f"{m:04b}" for m in halves(4).masks]
    ['1100', '0101', '1001', '0110', '1010', '0011']
    """
    half = blocks // 2
    bits = np.arange(2**half)
    size = np.bitwise_count(bits).astype(np.int64)
    order = np.argsort(size, kind="stable")
    sizes = np.searchsorted(size[order], np.arange(half + 2))
    later = [order[sizes[half - k] : sizes[half - k + 1]] for k in size[order]]
    starts = np.cumsum([0, *(len(one) for one in later[:-1])])
    masks = np.concatenate([m | (one << half) for m, one in zip(order, later, strict=True)])
    return Halves(np.argsort(order), sizes, starts, masks)


def block_sums(x: Floats, blocks: int) -> Sums:
    """B1: sums over blocks of equal length of (time, strategy) returns; what is left over is dropped from the oldest.

    >>> block_sums(np.array([[9.0], [1.0], [2.0], [3.0], [4.0]]), 2).s1.ravel().tolist()
    [3.0, 7.0]
    """
    length = len(x) // blocks
    pieces = np.ascontiguousarray(x[len(x) - blocks * length :]).reshape(blocks, length, x.shape[1])
    return Sums(np.full(blocks, float(length)), pieces.sum(axis=1), (pieces * pieces).sum(axis=1))


def logit(rank: Floats, n: int) -> Floats:
    """B3: log odds of the relative rank `rank / (n + 1)`.

    >>> float(logit(np.array([2.0]), 3)[0])
    0.0
    """
    return np.log(rank / (n + 1.0 - rank))


def null(sums: Sums, by: Measure, draws: int, seed: int, device: bool = False) -> Floats:
    """B4: the pbo of `draws` worlds in which no strategy has skill: blocks drawn from recentred ones, the same for all.

    >>> x = np.random.default_rng(2).normal(0, 0.01, (160, 10))
    >>> null(block_sums(x, 4), "sharpe_ratio", 3, seed=1).shape
    (3,)
    """
    blocks = len(sums.n)
    mean = sums.s1.sum(axis=0) / sums.n.sum()
    n = sums.n[:, None]
    s1, s2 = sums.s1 - n * mean, sums.s2 - mean * (2.0 * sums.s1 - n * mean)
    picks = (rng.uniform(seed, np.arange(draws)[:, None], np.arange(blocks)) * blocks).astype(np.int64)

    def one(pick: NDArray[np.int64]) -> float:
        return _pbo(splits(Sums(sums.n[pick], s1[pick], s2[pick]), by, device), s1.shape[1])

    with ThreadPoolExecutor(1 if device else os.cpu_count()) as pool:
        return np.array(list(pool.map(one, picks)))


def _pbo(found: Splits, n: int) -> float:
    return float(np.mean(2.0 * found.rank <= n + 1.0))  # B3: the logit is not above 0


def numbers(
    sums: Sums, by: Measure, draws: int, level: float, seed: int, step: int = 1, *, device: bool = False
) -> tuple[Any, ...]:
    """What `pbo` returns, in its order, from the sums of an even number of blocks.

    The worlds without skill are of every `step`-th strategy.

    >>> x = np.random.default_rng(2).normal(0, 0.01, (160, 10))
    >>> 0.0 <= numbers(block_sums(x, 4), "sharpe_ratio", 3, 0.9, seed=1)[0] <= 1.0
    True
    """
    found, n = splits(sums, by, device), sums.s1.shape[1]
    share = _pbo(found, n)
    some = slice(None, None, step)
    without = null(Sums(sums.n, sums.s1[:, some], sums.s2[:, some]), by, draws, seed, device)
    low, high = np.quantile(without, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    p_value = (1.0 + np.sum(without <= share)) / (draws + 1.0)
    slope, intercept = _line(found.inside, found.outside)
    ahead = np.sort(found.outside) - np.sort(found.mean)  # quantile by quantile
    orders = bool(np.all(ahead >= 0.0)), bool(np.all(np.cumsum(ahead) >= 0.0))
    return share, low, high, p_value, float(np.mean(found.outside < 0.0)), slope, intercept, *orders, float(n)


def _line(x: Floats, y: Floats) -> tuple[float, float]:
    """Least squares of y on x; NaN where x is always the same."""
    away = x - x.mean()
    squares = float(away @ away)
    if squares == 0.0:
        return np.nan, np.nan
    slope = float(away @ y) / squares
    return slope, float(y.mean() - slope * x.mean())


def _earliest_first(masks: NDArray[np.int64], blocks: int) -> NDArray[np.int64]:
    """Numbers that sort halves as `itertools.combinations` does: minus the bits, the earliest block's the highest."""
    places = np.arange(blocks)
    bits = (masks[:, None] >> places) & 1
    return np.asarray(-np.sum(bits << places[::-1], axis=1))


def _sums_of(x: Floats, blocks: int) -> tuple[Sums, NDArray[np.int64]]:
    """The sums of (time, ...) returns, and which strategies they are of."""
    x = x.reshape(len(x), -1)
    missing = np.isnan(x)
    kept = np.flatnonzero(~missing.all(axis=0))
    gaps = int(np.sum(missing[:, kept].any(axis=0)))
    if gaps:
        fix = "Select the time that all of them have, as returns.dropna(dim) does."
        raise DataError(
            message("returns", f"{gaps} strategies with NaN at some samples", "the same samples of all", fix)
        )
    if len(kept) < FEWEST:
        fix = "Compare more strategies: among few, one neighbour turns the answer."
        raise DataError(message("returns", f"{len(kept)} strategies", f"at least {FEWEST}", fix))
    if len(x) < 2 * blocks:
        fix = "Pass a smaller blocks=, or take a longer span."
        raise DataError(message("returns", f"{len(x)} samples in {blocks} blocks", "at least two a block", fix))
    if not np.isfinite(x[:, kept]).all():
        raise DataError(message("returns", "infinite values", "finite ones", "Look for prices of 0."))
    return block_sums(x[:, kept], blocks), kept


def _sums_in(x: Floats) -> Sums:
    """The sums of block summaries (block, ..., [n, s1, s2]) of the strategies that have any."""
    x = x.reshape(len(x), -1, 3)
    missing: NDArray[np.bool_] = np.isnan(x).max(axis=2)
    kept = ~missing.all(axis=0)
    x = x[:, kept]
    if missing[:, kept].any() or (x[..., 0] != x[:, :1, 0]).any():
        fix = "Leave out strategies that failed somewhere."
        raise DataError(message("blocks", "other samples of some strategies", "the same samples of all", fix))
    if x.shape[1] < FEWEST:
        fix = "Compare more strategies: among few, one neighbour turns the answer."
        raise DataError(message("blocks", f"{x.shape[1]} strategies", f"at least {FEWEST}", fix))
    if (x[..., 0] < 2.0).any():
        raise DataError(message("blocks", "fewer than two samples in one", "two at least", "Take fewer blocks."))
    n, s1, s2 = (np.ascontiguousarray(x[..., k]) for k in range(3))
    return Sums(n[:, 0].copy(), s1, s2)


def _dims(returns: Any, dim: str, over: Hashable | Sequence[Hashable] | None) -> list[Hashable]:
    """The dims that strategies lie along."""
    if not isinstance(returns, xr.DataArray):
        fix = "Wrap it: xr.DataArray(values, dims=('time', 'trial'))."
        raise DataError(message("returns", type(returns).__name__, "a DataArray", fix))
    named = [over] if isinstance(over, str) or not isinstance(over, Sequence) else list(over)
    chosen = [d for d in returns.dims if d not in (dim, "summary")] if over is None else named
    lacking = [d for d in (dim, *chosen) if d not in returns.dims]
    if lacking or dim in chosen or not chosen:
        fix = "Name the dim of samples by dim=, those of strategies by over=."
        found = f"dims {returns.dims}, dim={dim!r}, over={over!r}"
        raise DataError(message("returns", found, "a dim of samples and others of strategies", fix))
    return chosen


def _device(what: str, gpu: Gpu, returns: xr.DataArray, blocks: int, worlds: int) -> tuple[bool, dict[str, str]]:
    """Whether a device is to do it, and the `attrs` that say so."""

    def obstacle() -> str:
        return "" if find_spec("cupy") else 'CuPy is not installed: pip install "kernelkit[gpu]"'

    many = returns.size // max(1, returns.sizes["summary"] * blocks if "summary" in returns.dims else len(returns))
    return choose(what, gpu, obstacle, len(halves(blocks).masks) * many * worlds >= WORTH)


def _check(blocks: int, by: str) -> None:
    if int(blocks) != blocks or blocks % 2 or not 4 <= blocks <= MOST_BLOCKS:
        wanted = f"an even number from 4 to {MOST_BLOCKS}"
        raise UsageError(message("blocks", blocks, wanted, "Leave it out: 16 blocks have 12,870 splits."))
    if by not in get_args(Measure):
        raise UsageError(message("by", repr(by), " or ".join(map(repr, get_args(Measure))), "Leave it out."))


def _apply(
    reduce: Any, returns: xr.DataArray, core: list[Hashable], outputs: list[list[str]], types: list[np.dtype[Any]]
) -> tuple[xr.DataArray, ...]:
    found: tuple[xr.DataArray, ...] = xr.apply_ufunc(
        reduce, returns.astype("f8").compute(), input_core_dims=[core], output_core_dims=outputs, vectorize=True
    )
    return tuple(one.astype(t) for one, t in zip(found, types, strict=True))


def _dataset(found: tuple[xr.DataArray, ...], texts: dict[str, tuple[str, str]], attrs: dict[str, Any]) -> xr.Dataset:
    arrays = {}
    for (name, (units, long_name)), one in zip(texts.items(), found, strict=True):
        arrays[name] = one.assign_attrs({"long_name": long_name} | ({"units": units} if units else {}))
    return xr.Dataset(arrays, attrs=attrs)
