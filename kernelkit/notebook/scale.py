"""Scales and ticks: from data to the units of a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_MONTHS = (1, 2, 3, 6, 12, 24, 60, 120, 240, 600)
_SECONDS = (60, 300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86400, 2 * 86400, 5 * 86400, 10 * 86400)
_MONTH_S = 30.44 * 86400


@dataclass(frozen=True)
class Scale:
    """A linear or logarithmic map of [lo, hi] to [start, stop], with round ticks."""

    lo: float
    hi: float
    start: float
    stop: float
    ticks: tuple[float, ...]
    log: bool = False

    def at(self, value: float) -> float:
        """Where a value lies."""
        lo, hi, value = (math.log(v) for v in (self.lo, self.hi, value)) if self.log else (self.lo, self.hi, value)
        return self.start + (value - lo) / (hi - lo) * (self.stop - self.start)


def number_scale(lo: float, hi: float, start: float, stop: float, log: bool = False) -> Scale:
    """A scale for numbers; an empty range is widened, so that a constant is a line in the middle.

    >>> number_scale(0.0, 10.0, 100.0, 0.0).ticks
    (0.0, 5.0, 10.0)
    """
    if hi <= lo:
        wide = abs(lo) * 0.05 or 1.0
        lo, hi, log = lo - wide, hi + wide, False
    steps = max(2, round(abs(stop - start) / 42))
    return Scale(lo, hi, start, stop, tuple(log_ticks(lo, hi) if log else round_ticks(lo, hi, steps)), log)


def round_ticks(lo: float, hi: float, count: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten inside [lo, hi], in at most `count` steps.

    >>> round_ticks(-0.33, 0.0, 3)
    [-0.2, 0.0]
    """
    rough = (hi - lo) / count
    exponent = math.floor(math.log10(rough))
    step = next(m for m in (1, 2, 5, 10) if m * 10.0**exponent >= rough * (1 - 1e-9))
    if step == 10:
        step, exponent = 1, exponent + 1
    unit = step * 10.0**exponent
    first, last = math.ceil(lo / unit - 1e-9), math.floor(hi / unit + 1e-9)
    # from whole numbers: adding up steps would show 0.30000000000000004
    return [float(f"{k * step}e{exponent}") for k in range(first, last + 1)]


def log_ticks(lo: float, hi: float) -> list[float]:
    """Round numbers in equal ratios, more or less, inside [lo, hi].

    >>> log_ticks(8e5, 6e6)
    [1000000.0, 1500000.0, 2000000.0, 3000000.0, 5000000.0]
    """
    decades = math.log10(hi / lo)
    digits = (1, 1.5, 2, 3, 5, 7) if decades < 1 else (1, 2, 5) if decades < 3 else (1,)
    powers = range(math.floor(math.log10(lo)), math.floor(math.log10(hi)) + 1)
    return [v for e in powers for d in digits if lo <= (v := float(f"{d}e{e}")) <= hi]


def seconds(times: Sequence[str]) -> list[float]:
    """ISO times as seconds since 1970."""
    stamps = np.array([t.removesuffix("Z") for t in times], "datetime64[s]")
    return [float(v) for v in stamps.astype("i8")]


def time_ticks(lo: float, hi: float, count: int) -> list[tuple[float, str]]:
    """At most about `count` round UTC moments between lo and hi (seconds since 1970), with their labels.

    >>> [text for _, text in time_ticks(946684800.0, 1546300800.0, 5)]
    ['2000', '2005', '2010', '2015']
    """
    short = next((s for s in _SECONDS if (hi - lo) / s <= count), None)
    if short is not None:
        first = math.ceil(lo / short)
        moments = [float(k * short) for k in range(first, math.floor(hi / short) + 1)]
        return [(m, _label(m, "D", 5) if short >= 86400 else _label(m, "m", 11)) for m in moments]
    months = next((m for m in _MONTHS if (hi - lo) / (m * _MONTH_S) <= count), _MONTHS[-1])
    found = []
    start, stop = (int(np.datetime64(int(v), "s").astype("datetime64[M]").astype("i8")) for v in (lo, hi))
    # counted from year 0, so that steps of five years fall on years that end in 0 or 5
    for k in range(-(-(start + 23640) // months) * months - 23640, stop + 1, months):
        moment = float(np.datetime64(k, "M").astype("datetime64[s]").astype("i8"))
        if moment >= lo:
            found.append((moment, _label(moment, "M", 0)[: 4 if months >= 12 else 7]))
    return found


def _label(moment: float, unit: str, start: int) -> str:
    return str(np.datetime64(int(moment), "s").astype(f"datetime64[{unit}]"))[start:]
