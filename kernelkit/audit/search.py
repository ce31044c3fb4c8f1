"""What was handed over ready-made, and no rerun makes anew: searched for the marks of the future, and named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernelkit.audit import closure, trust
from kernelkit.audit.future import foreign, variables
from kernelkit.audit.world import is_bars
from kernelkit.schema import FEATURE, PRICES

if TYPE_CHECKING:
    import xarray as xr

Floats = NDArray[np.float64]


class Mark(NamedTuple):
    """What shows that something was made with the future: its name, the kind of proof, row, asset, and the words."""

    name: str
    kind: str
    row: int
    asset: str
    what: str


def columns(bars: xr.Dataset, ready: Mapping[str, Floats]) -> Iterator[Mark]:
    """Columns (time, asset or 1) that only the future explains."""
    valid = bars["valid"].values
    for name, values in ready.items():
        for a, asset in enumerate(map(str, bars["asset"].values)):
            rows = np.flatnonzero(valid[:, a])
            prices = {n: bars[n].values[rows, a] for n in PRICES}
            found = trust.suspect(values[rows, a if values.shape[1] > 1 else 0], prices)
            if found is not None:
                yield Mark(name, "column", int(rows[found[0]]), asset, found[1])


def ready_made(bars: xr.Dataset) -> dict[str, str]:
    """Columns of the bars beside those of the market, which were made before, and why they are taken on trust."""
    features = {n: bars[n].attrs.get("trusted") for n in variables(bars) if n.startswith(FEATURE)}
    told = {None: "no known_at", 1: "trusted=True", 0: "its known_at"}
    return {n: told[None if k is None else int(k)] for n, k in features.items()} | dict.fromkeys(
        foreign(bars), told[None]
    )


def numbers_of(bars: xr.Dataset) -> dict[str, float]:
    """Computed numbers that came with the bars: variables without a dim, and attrs."""
    alone = {str(n): v.values[()] for n, v in bars.variables.items() if not v.dims}
    return closure.numbers({f"bars[{n!r}]": v for n, v in alone.items()} | {"bars.attrs": dict(bars.attrs)}, bars)


def constants(bars: xr.Dataset, numbers: Mapping[str, float]) -> Iterator[Mark]:
    """Numbers that are a statistic of the whole series."""
    valid, many = bars["valid"].values, bars.sizes["asset"] > 1
    for a, asset in enumerate(map(str, bars["asset"].values) if numbers else ()):
        rows = np.flatnonzero(valid[:, a])
        own = {n: bars[n].values[rows, a] for n in variables(bars) if bars[n].dtype.kind == "f"}
        known = trust.Statistics({f"{n} of {asset}" if many else n: x for n, x in own.items()})
        for name, number in numbers.items():
            what = known.match(number)
            if what is not None:
                yield Mark(name, "constant", 0, asset, f"it is {what} over the whole series")


def handed_over(bars: xr.Dataset, captured: Mapping[str, Any]) -> dict[str, Floats]:
    """Columns of one number a bar (and asset) among captured values, but for copies of the bars' own."""
    own = [bars[n].values for n in (*PRICES, "volume", "valid")]
    shapes = (1, bars.sizes["asset"])
    out = {}
    for name, value in closure.held(captured, bars).items():
        for each, column in trust.columns_of(name, value, bars.sizes["time"]).items():
            copied = any(np.array_equal(column, x, equal_nan=True) for x in own)
            if not copied and column.shape[1] in shapes:
                out[each] = column
    return out


def assumed(bars: xr.Dataset, captured: Mapping[str, Any], how: str) -> list[str]:
    """Names of what a rerun takes as it is: columns made before, computed numbers, and what nobody can look into."""
    lying = [n for n, v in closure.held(captured, bars).items() if not _is_own(bars, v)]
    numbers = [f"{n} = {v:.6g}" for n, v in closure.numbers(captured, bars).items()]
    return [f"{name} ({how})" for name in [*lying, *numbers, *closure.opaque(captured, bars)]]


def _is_own(bars: xr.Dataset, value: Any) -> bool:
    """Whether it is the bars, or one of their columns."""
    if is_bars(value, bars):
        return True
    made = trust.columns_of("", value, bars.sizes["time"])
    own = [bars[n].values for n in (*PRICES, "volume", "valid")]
    return bool(made) and all(any(np.array_equal(c, x, equal_nan=True) for x in own) for c in made.values())
