"""Equity curves: levels to returns."""

from __future__ import annotations

import numpy as np

from kernelkit.metrics.metric import Sampling, metric
from kernelkit.metrics.series import Array, positions, running_max


@metric("1", "return", shape="curve", gaps="carry")
def returns(equity: Array, *, initial: float | None = None, sampling: Sampling = "session") -> Array:
    """Simple returns of a level (equity, a price), M1: `E / E_prev - 1`; the dim is kept.

    Samples are session closes, M15, where a coordinate `session` says of which session each level is, as it does of
    bars and of a result's curves: the dim then has each session's last label. ``sampling="bar"`` takes every level.
    The first return is counted from ``initial`` (an account's cash); without it the first level has none: NaN. A level
    that is missing between others is carried: its return is 0, the next one spans the gap. What falls to 0 or below
    returns -1 then, 0 ever after. Raises DataError for several levels a day that no session is told of.

    >>> returns(np.array([110.0, np.nan, 99.0]), initial=100.0).round(12)
    array([ 0.1,  0. , -0.1])
    """
    place = np.where(np.isnan(equity), -1.0, positions(equity))
    last = running_max(place)
    level = np.take_along_axis(equity, np.maximum(last, 0.0).astype("i8"), axis=-1)
    from_ = np.nan if initial is None else initial
    before = np.concatenate([np.full_like(level[..., :1], np.nan), level[..., :-1]], axis=-1)
    start = np.concatenate([last[..., :1] * 0.0 - 1.0, last[..., :-1]], axis=-1) < 0.0
    before = np.where(start, from_, before)
    after = running_max(place[..., ::-1])[..., ::-1] < 0.0  # no level from here on
    ruined = running_max((before <= 0.0).astype("f8")) > 0.0  # never a return again, whatever the level
    change = np.where(ruined, 0.0, np.maximum(level / before, 0.0) - 1.0)
    return np.where(after | (last < 0.0), np.nan, change)
