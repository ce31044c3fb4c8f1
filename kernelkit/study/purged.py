"""Combinatorial purged cross-validation: which samples each split trains on and tests, and the paths of its tests.

López de Prado, "Advances in Financial Machine Learning" (2018), chapters 7 and 12 (rules K1-K3). Arrays in, arrays out.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernelkit.errors import UsageError, message

Array = NDArray[Any]
Int64s = NDArray[np.int64]
Bools = NDArray[np.bool_]

WORD = 64  # samples in a word of a mask
LIMIT_BYTES = 1 << 30


@dataclass(frozen=True)
class Masks:
    """Every split: ``tested`` (split, place), the groups that it tests, ascending, in `itertools.combinations`' order.

    Group g is the samples ``bounds[g]:bounds[g + 1]``; ``words`` (split, word) are the training samples, a bit each,
    the first the lowest: 12,870 splits of 5,000 samples are 8 MB.
    """

    tested: Int64s
    bounds: Int64s
    words: NDArray[np.uint64]

    def train(self, split: int) -> Bools:
        """Whether a split trains on each sample."""
        n = int(self.bounds[-1])
        return np.unpackbits(self.words[split].view(np.uint8), bitorder="little", count=n).view(np.bool_)

    def test(self, split: int) -> Bools:
        """Whether a split tests each sample."""
        return np.repeat(np.isin(np.arange(len(self.bounds) - 1), self.tested[split]), np.diff(self.bounds))

    def sizes(self) -> Int64s:
        """How many samples each split trains on."""
        return np.asarray(np.bitwise_count(self.words).sum(axis=1, dtype=np.int64))


def masks(decided: Array, used: Array, groups: int | Sequence[int], tests: int, embargo: Any = 0) -> Masks:
    """Purge and embargo all ``C(N, tests)`` splits of samples into N consecutive ``groups``.

    They are as equal as can be, the first ones larger by one; or ``groups`` lists the first sample of each.

    Sample i spans the closed interval from its decision ``decided[i]`` to ``used[i]``, the last time that its label
    uses (both (sample,), ascending decisions; numbers, or datetime64). A split trains on the samples outside its test
    groups whose span meets no span of a test sample, group by group, and which were not decided within ``embargo`` (a
    number, or timedelta64) after the last time that a run of test groups uses, that time excluded, its end included.

    Raises UsageError for spans that are none (NaN, NaT, an end before its decision), decisions out of order, groups
    that the samples do not fill, a number of test groups that leaves nothing to train on, a negative embargo, and masks
    of more than 1 GiB. Rules K1, K2.

    >>> day = np.arange(12)
    >>> found = masks(day, day + 1, groups=3, tests=2)
    >>> found.tested.tolist()
    [[0, 1], [0, 2], [1, 2]]
    >>> [np.flatnonzero(found.train(k)).tolist() for k in range(3)]
    [[9, 10, 11], [5, 6], [0, 1, 2]]
    """
    after = _length(embargo, decided)
    decided, used = _spans(decided, used)
    n = len(decided)
    bounds = bounds_of(n, groups)
    _check(n, len(bounds) - 1, tests, after)
    lost = np.zeros((len(bounds) - 1, -(-n // WORD) * WORD), np.bool_)
    ordered = decided.dtype.kind == used.dtype.kind == "i" and not (np.diff(used) < 0).any()
    for g in range(len(lost)):
        group = slice(bounds[g], bounds[g + 1])
        if ordered:
            lost[g, slice(*_near(decided, used, group, after))] = True
        else:
            lost[g, :n] = _lost(decided, used, group, after)
    lost[:, n:] = True  # what fills the last word is no sample
    words = np.packbits(lost, axis=1, bitorder="little").view(np.uint64)
    tested = np.array(list(itertools.combinations(range(len(lost)), tests)))
    out = words[tested[:, 0]]
    taken = np.empty_like(out)
    for place in range(1, tests):
        np.take(words, tested[:, place], axis=0, out=taken)
        out |= taken
    np.invert(out, out=out)
    return Masks(tested, bounds, out)


def n_paths(groups: int, tests: int) -> int:
    """How often each group is tested: ``tests / groups * C(groups, tests)``, the number of paths. Rule K3.

    >>> n_paths(6, 2), n_paths(16, 8)
    (5, 6435)
    """
    return comb(groups, tests) * tests // groups


def paths(groups: int, tests: int) -> Int64s:
    """The split from which each path takes each group (path, group): path p the p-th split that tests it. Rule K3.

    Each test of each split is in one path, and every path is made of each group once.

    >>> paths(4, 2).tolist()
    [[0, 0, 1, 2], [1, 3, 3, 4], [2, 4, 5, 5]]
    """
    _check(groups, groups, tests, 0)
    tested = np.array(list(itertools.combinations(range(groups), tests)))
    order = np.argsort(tested.ravel(), kind="stable") // tests
    return np.ascontiguousarray(order.reshape(groups, -1).T)


def _lost(decided: Int64s, used: Int64s, group: slice, embargo: int) -> Bools:
    """Samples that no split trains on which tests the group: they are in it, meet it, or follow it too closely."""
    begun = np.searchsorted(decided[group], used, side="right")
    over = np.searchsorted(np.sort(used[group]), decided, side="left")
    end = used[group].max()
    # A span that is over has begun: what has begun and is not over is met.
    found: Bools = (begun > over) | ((decided > end) & (decided - end <= embargo))
    found[group] = True
    return found


def _near(decided: Int64s, used: Int64s, group: slice, embargo: Any) -> tuple[int, int]:
    """`_lost` where no label ends before that of an earlier sample: one run, found without looking at every sample."""
    first = int(np.searchsorted(used, decided[group.start], side="left"))
    last = min(int(used[group.stop - 1]) + int(embargo), np.iinfo(np.int64).max)
    return min(first, group.start), max(int(np.searchsorted(decided, last, side="right")), group.stop)


def bounds_of(n: int, groups: int | Sequence[int]) -> Int64s:
    """Where each group begins, and the end."""
    if isinstance(groups, (int, np.integer)):
        number, size, larger = np.arange(groups + 1), *divmod(n, max(groups, 1))
        return number * size + np.minimum(number, larger)
    bounds = np.array([*groups, n], np.int64)
    if bounds[0] != 0 or (np.diff(bounds) <= 0).any():
        fix = "Write the first sample of each group: [0, 250, 500]."
        raise UsageError(message("groups", list(groups), f"ascending samples from 0 to below {n}", fix))
    return bounds


def _spans(decided: Array, used: Array) -> tuple[Int64s, Int64s]:
    starts, ends = _numbers(decided, "decided"), _numbers(used, "used")
    if starts.shape != ends.shape or starts.ndim != 1:
        found = f"shapes {starts.shape} and {ends.shape}"
        raise UsageError(message("spans", found, "one decision and one end for each sample", "Pass two equal arrays."))
    for wrong, found, fix in (
        (ends < starts, "an end before its decision", "A label uses its own time at least."),
        (np.diff(starts, prepend=starts[:1]) < 0, "an earlier decision than before", "Sort the samples by decision."),
    ):
        if wrong.any():
            raise UsageError(message(f"sample {int(wrong.argmax())}", found, "spans in order", fix))
    return starts, ends


def _numbers(times: Any, name: str) -> Array:
    """Times as numbers that can be told apart and subtracted."""
    array = np.asarray(times)
    if array.dtype.kind == "M":
        array = array.astype("datetime64[ns]")
    if array.dtype.kind not in "Miuf" or np.isnan(array).any():
        found = "NaN or NaT" if array.dtype.kind in "Mf" else f"values of {array.dtype}"
        raise UsageError(message(name, found, "times, or numbers", "Leave out samples whose label is not known."))
    return array.astype(np.int64) if array.dtype.kind in "Miu" else array


def _length(embargo: Any, decided: Any) -> Any:
    """The embargo in the unit of the times."""
    lasting, dated = isinstance(embargo, (np.timedelta64, timedelta)), np.asarray(decided).dtype.kind == "M"
    if lasting != dated and not (dated and embargo == 0):
        fix = "Write np.timedelta64(5, 'D') beside dates, a number beside numbers."
        raise UsageError(message("embargo", repr(embargo), "a duration in the unit of the times", fix))
    return int(np.timedelta64(embargo).astype("timedelta64[ns]").astype(np.int64)) if lasting else embargo


def _check(n: int, groups: int, tests: int, embargo: Any) -> None:
    if not (2 <= groups <= n and 1 <= tests < groups):
        found, fix = f"{tests} of {groups} groups of {n} samples", "Leave at least one group to train on."
        raise UsageError(message("splits", found, "1 <= tests < groups <= samples", fix))
    if not embargo >= 0:
        raise UsageError(message("embargo", embargo, "a duration, 0 or more", "Leave it out for none."))
    size = comb(groups, tests) * -(-n // WORD) * 8
    if size > LIMIT_BYTES:
        found, fix = f"{comb(groups, tests):,} splits, {size / 2**30:.0f} GiB", "Take fewer groups, or fewer tests."
        raise UsageError(message("splits", found, "masks of at most 1 GiB", fix))
