"""Generated one-minute bars that resemble a crypto perpetual; the price is a fair game, so nothing can be won.

The log volatility is the sum of three autoregressions (minutes, an hour, a day) and an independent part, times an
hour-of-day profile; returns are normal given the volatility. Highs and lows are exact extremes of a Brownian bridge
between open and close. `TARGETS` is what was measured, and the tests hold the generator to it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kernelkit import rng
from kernelkit.errors import DataError, message

if TYPE_CHECKING:
    import xarray as xr

Float64s = NDArray[np.float64]
Int64s = NDArray[np.int64]

# Measured on 45,030 one-minute log returns of the BTCUSDT perpetual, January 2022.
TARGETS: Mapping[str, float] = {
    "annual_volatility": 0.7159,
    "excess_kurtosis": 23.27,
    "acf_abs_1": 0.3251,
    "acf_abs_10": 0.2361,
    "acf_abs_50": 0.1769,
    "zero_return_share": 0.0213,
}
# Annualised volatility of the same returns by UTC hour.
HOURLY_VOLATILITY = (
    *(0.6508, 0.5393, 0.5011, 0.6054, 0.5475, 0.5009, 0.4872, 0.4998, 0.7178, 0.5776, 0.6962, 0.6707),
    *(0.6538, 0.8114, 0.9212, 0.8585, 0.8019, 0.7840, 0.8066, 0.9212, 0.9412, 0.8153, 0.8682, 0.6725),
)

MINUTES_PER_YEAR = 365 * 24 * 60
START = 1_577_836_800_000_000_000  # 2020-01-01
MINUTE = 60_000_000_000
FIRST_PRICE = 47_000.0
TICK, LOT = 1.0, 0.001

# Variance and memory (minutes) of log volatility, solved from kurtosis and autocorrelations of a lognormal volatility.
PARTS = ((0.14, 6.0), (0.10, 60.0), (0.20, 1400.0))
INDEPENDENT = 0.10
# One open in ten is not the previous close, and then a few ticks away.
GAP_SHARE, GAP_TICKS = 0.095, 3.0
# Volume follows the volatility, with log noise of its own: median 31, correlation 0.8 with the log range, as measured.
VOLUME, VOLUME_POWER, VOLUME_NOISE = 68.0, 1.3, 0.52

LEVEL = TARGETS["annual_volatility"] / math.sqrt(MINUTES_PER_YEAR)
STREAMS = ("part0", "part1", "part2", "independent", "shock", "gap", "gap_size", "high", "low", "volume")
# Arrays of this length stay in the cache: 1.9 s a million bars instead of 4.4 s as whole columns.
PIECE = 32_768


def minute_bars(n: int = 100_000, seed: int = 0) -> xr.Dataset:
    """Return ``n`` one-minute bars from 2020-01-01 on; fewer bars of a ``seed`` are the beginning of more.

    Raises `DataError` where ``n`` is below 1, or so large that the price has fallen below one tick.

    >>> minute_bars(3, seed=7)["close"].values[:, 0]
    array([47033., 46973., 46966.])
    """
    import pandas as pd

    from kernelkit.data.frames import from_pandas

    if n < 1:
        raise DataError(message("n", n, "at least one bar", "Pass for example n=100_000."))
    index = pd.DatetimeIndex((START + MINUTE * np.arange(n)).view("datetime64[ns]"))
    about = {
        "asset_id": {"SYNTH": f"synthetic:minute:{seed}"},
        "source": f"kernelkit.data.synthetic.minute_bars, seed {seed}",
        "licence": "BSD-3-Clause",
        "synthetic": 1,
        "note": "Generated, not observed: a fair game with realistic volatility. No result on it says anything real.",
    }
    frame = pd.DataFrame(columns(n, seed), index=index)
    return from_pandas(
        {"SYNTH": frame},
        label="open",
        bar="1min",
        calendar="24/7",
        tick_size=TICK,
        lot_size=LOT,
        name="synthetic_minute",
        about=about,
    )


@dataclass
class _Carry:
    """What one piece of bars hands to the next."""

    parts: list[Float64s]
    log_price: float = 0.0
    close: float = FIRST_PRICE


def columns(n: int, seed: int) -> dict[str, Float64s]:
    """Return open, high, low, close on the tick and volume on the lot, each of length ``n``."""
    carry = _Carry([np.zeros(1) for _ in PARTS])
    pieces = [_piece(np.arange(first, min(first + PIECE, n)), seed, carry) for first in range(0, n, PIECE)]
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}


def _piece(steps: Int64s, seed: int, carry: _Carry) -> dict[str, Float64s]:
    draws = {name: rng.uniform(seed, 0, steps, stream) for stream, name in enumerate(STREAMS)}
    volatility = _volatility(steps, draws, carry)
    shock = volatility * rng.normal_quantile(draws["shock"])
    # Half the variance is taken off, so that the price itself, not its logarithm, has no drift.
    move = shock - 0.5 * volatility * volatility
    move[0] += carry.log_price
    path = np.cumsum(move)
    close = np.rint(FIRST_PRICE * _exp(path) / TICK) * TICK
    opened = np.concatenate([[carry.close], close[:-1]]) + TICK * _gaps(steps, draws)
    carry.log_price, carry.close = float(path[-1]), float(close[-1])
    scale = opened * volatility
    high, low = (_extreme(opened, close, scale, draws[name], up) for name, up in (("high", 1), ("low", -1)))
    log_volume = VOLUME_POWER * rng.log(volatility / LEVEL) + VOLUME_NOISE * rng.normal_quantile(draws["volume"])
    volume = np.rint(VOLUME * _exp(log_volume) / LOT) * LOT
    return {"open": opened, "high": high, "low": low, "close": close, "volume": volume}


def _volatility(steps: Int64s, draws: Mapping[str, Float64s], carry: _Carry) -> Float64s:
    """Return the standard deviation of each bar's log return."""
    log = math.sqrt(INDEPENDENT) * rng.normal_quantile(draws["independent"])
    for i, (variance, memory) in enumerate(PARTS):
        noise = rng.normal_quantile(draws[f"part{i}"])
        log += math.sqrt(variance) * _autoregression(noise, 1.0 - 1.0 / memory, steps, i, carry)
    total = INDEPENDENT + sum(variance for variance, _ in PARTS)
    root = math.sqrt(math.fsum(v * v for v in HOURLY_VOLATILITY) / 24)
    profile = np.array(HOURLY_VOLATILITY) / root
    return np.asarray(LEVEL * profile[steps // 60 % 24] * _exp(log - total))


def _autoregression(noise: Float64s, phi: float, steps: Int64s, part: int, carry: _Carry) -> Float64s:
    """Return a stationary first-order autoregression of unit variance, one step after the other."""
    from scipy.signal import lfilter

    scaled = noise * math.sqrt(1.0 - phi * phi)
    if steps[0] == 0:
        scaled[0] = noise[0]
    values, carry.parts[part] = lfilter([1.0], [1.0, -phi], scaled, zi=carry.parts[part])
    return np.asarray(values)


def _gaps(steps: Int64s, draws: Mapping[str, Float64s]) -> Float64s:
    """Return the distance of each open from the previous close in whole ticks, mostly zero."""
    draw = draws["gap"]
    size = np.ceil(-GAP_TICKS * rng.log(draws["gap_size"]))
    sign = np.where(draw < 0.5 * GAP_SHARE, -1.0, 1.0)
    return np.where((draw < GAP_SHARE) & (steps > 0), sign * size, 0.0)


def _extreme(opened: Float64s, close: Float64s, scale: Float64s, draw: Float64s, up: int) -> Float64s:
    """Return the maximum (``up`` 1) or minimum (-1) of a Brownian bridge from ``opened`` to ``close``, on the tick."""
    move = up * (close - opened)
    reach = 0.5 * (move + np.sqrt(move * move - 2.0 * scale * scale * rng.log(draw)))
    edge = np.rint((opened + up * reach) / TICK) * TICK
    outer = np.maximum if up > 0 else np.minimum
    return np.asarray(outer(edge, outer(opened, close)))


def _exp(x: Float64s) -> Float64s:
    """Return e to the ``x`` by + - x / alone, to about 1e-15 relative, so that all machines make the same bars."""
    k = np.rint(x / (rng.LN2_HIGH + rng.LN2_LOW))
    r = (x - k * rng.LN2_HIGH) - k * rng.LN2_LOW
    value = np.ones_like(r)
    for i in range(14, 0, -1):
        value = 1.0 + value * (r / i)
    return np.asarray(np.ldexp(value, k.astype(np.int64)))
