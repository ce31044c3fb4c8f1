"""Bars with something else in the place of what comes after a cut."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kernelkit import rng
from kernelkit.schema import AGE, EXTRA, FEATURE, PRICES, VARIABLES

if TYPE_CHECKING:
    import xarray as xr

Floats = NDArray[np.float64]

SHUFFLE, VALIDITY = 100, 101  # streams of random numbers beside those of the groups of cuts
# Later prices go four times up or down: beyond what a price of the past did, so that an extreme of the whole moves too.
FACTOR = 4.0
LOST = 8  # one in so many later bars vanishes where validity is corrupted


def variables(bars: xr.Dataset) -> list[str]:
    """Name everything a strategy can read from ``bars``, features as ``x.<name>``."""
    more = [str(v) for v in bars.data_vars if _is_feature(bars, str(v)) or v in (*EXTRA, "universe")]
    return [*PRICES, "volume", "valid", *more]


def _is_feature(bars: xr.Dataset, name: str) -> bool:
    return name.startswith(FEATURE) and AGE + name[len(FEATURE) :] in bars


def foreign(bars: xr.Dataset) -> list[str]:
    """Name the columns along time that came into ``bars`` as nothing that they have: without `kk.feature`, say."""
    own = {*VARIABLES, *variables(bars), *bars.indexes}
    return [
        name
        for name in map(str, bars.variables)
        if "time" in bars[name].dims and name not in own and not name.startswith(AGE)
    ]


def corrupted(bars: xr.Dataset, cut: int, names: Iterable[str], up: bool, seed: int) -> xr.Dataset:
    """Return ``bars`` with the variables ``names`` made wrong after row ``cut``, and untouched up to it.

    The later bars change places and move by `FACTOR`, on the tick grid; corrupting all four prices keeps their order.
    """
    names = list(names)
    valid = bars["valid"].values
    later = [cut + 1 + np.flatnonzero(valid[cut + 1 :, a]) for a in range(valid.shape[1])]
    source = [rows[np.argsort(rng.uniform(seed, a, rows, SHUFFLE), kind="stable")] for a, rows in enumerate(later)]
    changed = {}
    for name in names:
        if name == "valid":
            continue
        values = np.array(bars[name].values)
        for a, (rows, taken) in enumerate(zip(later, source, strict=True)):
            if name in PRICES:
                values[rows, a] = _moved(values[taken, a], float(bars["tick"][a]), int(bars["inverse"][a]), up)
            elif name == "universe":
                values[rows, a] = ~values[taken, a]
            elif name.startswith(FEATURE):
                known = values[np.isfinite(values[:, a]), a]
                far = float(np.abs(known).max(initial=0.0))  # in the place of NaN, which a later value may fill
                values[rows, a] = np.nan_to_num(values[taken, a], nan=far) * (FACTOR if up else -FACTOR) + 1.0
            else:
                values[rows, a] = np.nan_to_num(values[taken, a]) * (FACTOR if up else 1.0 / FACTOR) + float(up)
        changed[name] = values
        if name.startswith(FEATURE):
            age = AGE + name[len(FEATURE) :]
            changed[age] = np.array(bars[age].values)
            changed[age][cut + 1 :] = np.maximum(changed[age][cut + 1 :], 0) + 1
    if "valid" in names:
        changed |= _lose(bars, cut, changed, seed)
    return bars.assign({name: bars[name].copy(data=values) for name, values in changed.items()})


def finer_of(finer: xr.Dataset, original: xr.Dataset, bars: xr.Dataset) -> xr.Dataset:
    """Return the finer bars (rule F16) that go with ``bars``, which are ``original`` cut short or made wrong somewhere.

    They end where those end; those of a bar that was made wrong run through the range of that, each of them.
    """
    times = {name: bars[name].values.astype("datetime64[ns]").astype(np.int64) for name in ("open_at", "known_at")}
    opened = finer["open_at"].values.astype("datetime64[ns]").astype(np.int64)
    short = finer.isel(time=slice(0, int(np.searchsorted(opened, times["known_at"][-1]))))
    names = (*PRICES, "volume", *(n for n in EXTRA if n in finer and n in bars))
    n, own = bars.sizes["time"], {name: bars[name].values for name in names}
    wrong = np.logical_or.reduce(
        [~np.isclose(own[k], original[k].values[:n], rtol=0.0, atol=0.0, equal_nan=True) for k in names]
    )
    bar = np.maximum(np.searchsorted(times["open_at"], opened[: short.sizes["time"]], side="right") - 1, 0)
    taken = wrong[bar] & short["valid"].values & bars["valid"].values[bar]
    changed = {k: short[k].copy(data=np.where(taken, own[k][bar], short[k].values)) for k in names}
    return short.assign(changed)


def _moved(prices: Floats, tick: float, inverse: int, up: bool) -> Floats:
    ticks = np.rint(prices / tick if inverse == 0 else prices * float(inverse))
    ticks = np.maximum(1.0, np.rint(ticks * (FACTOR if up else 1.0 / FACTOR)))
    return ticks * tick if inverse == 0 else ticks / float(inverse)


def _lose(bars: xr.Dataset, cut: int, changed: dict[str, Floats], seed: int) -> dict[str, NDArray[np.bool_]]:
    """Take some later bars away: their flag, and their prices among those already corrupted."""
    valid = np.array(bars["valid"].values)
    rows = np.arange(cut + 1, len(valid))
    lost = rows[rng.bits(seed, 0, rows, VALIDITY) % np.uint64(LOST) == 0]
    valid[lost] = False
    for name in PRICES:
        if name in changed:
            changed[name][lost] = np.nan
    return {"valid": valid}
