"""Drawdowns: the curve, its spells, how deep, how long and how they ended (M11). Depths are positive fractions."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from kernelkit.metrics import series
from kernelkit.metrics.metric import Periods, metric
from kernelkit.metrics.series import Array, column, count, largest, positions, running_max, running_max_since, whole

SPELL = {
    "depth": ("1", "loss from the peak to the trough"),
    "peak": ("", "last sample before the drawdown"),
    "trough": ("", "first sample at the lowest wealth"),
    "recovery": ("", "first sample that is no longer below the peak"),
    "length": ("sample", "samples from the peak to the recovery, or to the end"),
    "to_trough": ("sample", "samples from the peak to the trough"),
    "to_recovery": ("sample", "samples from the trough to the recovery"),
}


class Spells(NamedTuple):
    """Spells under water, each told at its last sample: arrays like the returns, of use where `ends` is set."""

    ends: Array
    depth: Array
    peak: Array
    trough: Array
    recovered: Array


def spells(x: Array) -> Spells:
    """M11: every spell under water. A peak at the place before the first sample is the initial wealth."""
    curve = series.underwater(x)
    below = whole(curve) > 0.0
    place = positions(x)
    depth = running_max_since(whole(curve), ~below)
    edge = np.zeros_like(depth[..., :1])
    deeper = below & (depth > np.concatenate([edge, depth[..., :-1]], axis=-1))
    follows = np.concatenate([whole(curve)[..., 1:] > 0.0, edge > 0.0], axis=-1)
    exists = np.concatenate([~np.isnan(curve)[..., 1:], edge > 0.0], axis=-1)
    return Spells(
        ends=below & ~follows,
        depth=depth,
        peak=running_max(np.where(below, -1.0, place)),
        trough=running_max(np.where(deeper, place, -1.0)),
        recovered=exists,
    )


def mean_depth(x: Array) -> Array:
    """The mean depth of the spells, NaN of none."""
    found = spells(x)
    return np.sum(np.where(found.ends, found.depth, 0.0), axis=-1) / np.sum(found.ends, axis=-1)


@metric("1", "drawdown", shape="curve")
def underwater(returns: Array) -> Array:
    """Loss from the highest wealth so far, the initial one included; the dim is kept.

    >>> underwater(np.array([-0.5, 1.0, 0.5, -0.5]))
    array([0.5, 0. , 0. , 0.5])
    """
    return series.underwater(returns)


@metric()
def max_drawdown(returns: Array) -> Array:
    """Largest drawdown, M11; a loss in the first sample counts.

    >>> round(float(max_drawdown(np.array([-0.1, 0.05, -0.02]))), 12)
    0.1
    """
    return largest(series.underwater(returns))


@metric("1", "mean depth of the drawdowns")
def average_drawdown(returns: Array) -> Array:
    """Mean depth of all drawdowns, the one that is still open included; NaN of none.

    >>> round(float(average_drawdown(np.array([-0.1, 0.5, -0.3]))), 12)
    0.2
    """
    return mean_depth(returns)


@metric(outputs=SPELL, shape="rows", labels=("peak", "trough", "recovery"))
def drawdown_table(returns: Array, *, top: int = 5) -> Any:
    """The ``top`` deepest drawdowns along a new dim `drawdown`, deepest first, NaN where there are fewer.

    Peak, trough and recovery are labels of the dim (of plain arrays: positions); the peak is missing (-1) where it is
    the initial wealth, the recovery while it is open.

    >>> {k: v.tolist() for k, v in drawdown_table(np.array([0.5, -0.5, 0.5, 1.0]), top=1).items()}
    {'depth': [0.5], 'peak': [0.0], 'trough': [1.0], 'recovery': [3.0],
     'length': [3.0], 'to_trough': [1.0], 'to_recovery': [2.0]}
    """
    found = spells(returns)
    place = positions(returns)
    key = np.where(found.ends, found.depth, -1.0)
    order = np.argsort(-key, axis=-1, kind="stable")[..., :top]

    def chosen(values: Array, where: Array) -> Array:
        rows = np.take_along_axis(np.where(where, values, np.nan), order, axis=-1)
        none = [np.full_like(rows[..., :1], np.nan)] * (top - rows.shape[-1])
        return np.concatenate([rows, *none], axis=-1)

    back = found.ends & found.recovered
    last = place + found.recovered
    first = column(np.argmax(~np.isnan(returns), axis=-1))
    return (
        chosen(found.depth, found.ends),
        chosen(np.where(found.peak >= first, found.peak, -1.0), found.ends),
        chosen(found.trough, found.ends),
        chosen(last, back),
        chosen(last - found.peak, found.ends),
        chosen(found.trough - found.peak, found.ends),
        chosen(last - found.trough, back),
    )


@metric(
    outputs={
        "n": ("1", "number of drawdowns"),
        "mean_length": ("sample", "mean of the samples from peak to recovery, or to the end"),
        "max_length": ("sample", "most samples from peak to recovery, or to the end"),
        "mean_to_trough": ("sample", "mean of the samples from peak to trough"),
        "mean_to_recovery": ("sample", "mean of the samples from trough to recovery, of those recovered"),
    }
)
def drawdown_durations(returns: Array, *, depth: float = 0.0) -> Any:
    """How many drawdowns are deeper than ``depth``, and how long they take, in samples.

    >>> {k: float(v) for k, v in drawdown_durations(np.array([0.5, -0.5, 0.5, 1.0, -0.1])).items()}
    {'n': 2.0, 'mean_length': 2.0, 'max_length': 3.0, 'mean_to_trough': 1.0, 'mean_to_recovery': 2.0}
    """
    found = spells(returns)
    counted = found.ends & (found.depth > depth)
    last = positions(returns) + found.recovered
    length = np.where(counted, last - found.peak, np.nan)
    fall = np.where(counted, found.trough - found.peak, np.nan)
    rise = np.where(counted & found.recovered, last - found.trough, np.nan)
    n = np.where(count(returns) > 0.0, count(length), np.nan)
    longest = largest(np.where(counted, length, returns * 0.0))  # 0 without a drawdown
    return n, series.mean(length), longest, series.mean(fall), series.mean(rise)


@metric("1/year", "drawdowns a year")
def drawdown_frequency(returns: Array, *, depth: float = 0.0, periods: Periods = None) -> Array:
    """Drawdowns deeper than ``depth`` per year.

    >>> float(drawdown_frequency(np.array([0.5, -0.5, 0.5, 1.0, -0.1, 0.0]), periods=12))
    4.0
    """
    found = spells(returns)
    return np.sum(found.ends & (found.depth > depth), axis=-1) / count(returns) * periods


@metric(
    outputs={
        "reached": ("1", "drawdowns that reached the depth"),
        "recovered": ("1", "share of them that recovered"),
        "mean_samples": ("sample", "mean of the samples from reaching the depth to the recovery, of those recovered"),
        "further": ("1", "mean further loss after the depth was reached, as a fraction of the peak"),
    }
)
def conditional_recovery(returns: Array, *, depth: float = 0.1) -> Any:
    """What happened once a drawdown had reached ``depth``: known then, unlike its trough.

    >>> {k: round(float(v), 3) for k, v in conditional_recovery(np.array([-0.2, -0.1, 0.5, -0.1]), depth=0.15).items()}
    {'reached': 1.0, 'recovered': 1.0, 'mean_samples': 2.0, 'further': 0.08}
    """
    found = spells(returns)
    place = positions(returns)
    curve = whole(series.underwater(returns))
    deep = curve >= depth
    below = curve > 0.0
    # since a spell began: has it been deep before this sample
    been = running_max_since((deep & below).astype("f8"), ~below)
    before = np.concatenate([been[..., :1] * 0.0, been[..., :-1]], axis=-1)
    first = running_max(np.where((been > 0.0) & (before == 0.0) & below, place, -1.0))
    counted = found.ends & (found.depth >= depth) & (found.depth > 0.0)
    n = np.sum(counted, axis=-1).astype("f8")
    wait = np.where(counted & found.recovered, place + 1.0 - first, np.nan)
    at = np.take_along_axis(curve, np.maximum(first, 0.0).astype("i8"), axis=-1)
    more = np.where(counted, found.depth - at, np.nan)
    return n, np.sum(counted & found.recovered, axis=-1) / n, series.mean(wait), series.mean(more)
