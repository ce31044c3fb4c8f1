"""Splitters: which samples train and which test, as scikit-learn's are called (rules K1-K4); `kk.splits`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import comb
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kernelkit.data.durations import duration
from kernelkit.errors import UsageError, arguments, message
from kernelkit.study import purged as masking

if TYPE_CHECKING:
    import pandas as pd

__all__ = ("anchored", "blocked", "combinatorial", "expanding", "holdout", "purged", "rolling")

Run = tuple[int, int]
Int64s = NDArray[np.int64]

FEWEST = 2  # samples of a last test window, below which it is left out


@dataclass(frozen=True)
class Split:
    """Runs of samples, each ``(first, stop)``, in their order: those that train, and those that test."""

    train: tuple[Run, ...]
    test: tuple[Run, ...]

    def shifted(self, by: int) -> Split:
        """The same, so many samples later."""
        return Split(*(tuple((a + by, b + by) for a, b in runs) for runs in (self.train, self.test)))


class Splitter(ABC):
    """What all splitters do; `split` and `get_n_splits` are scikit-learn's, `windows` says the same in runs."""

    @abstractmethod
    def windows(self, samples: Any) -> list[Split]:
        """The splits of anything that has a length; with times, where durations are asked for."""

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[Int64s, Int64s]]:
        """The places of the samples that train, and of those that test, split by split; ``y``, ``groups`` are unused.

        >>> [(a.tolist(), b.tolist()) for a, b in rolling(3, 2).split(range(7))]
        [([0, 1, 2], [3, 4]), ([2, 3, 4], [5, 6])]
        """
        for one in self.windows(X):
            yield places(one.train), places(one.test)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """How many splits there are of ``X``; raises UsageError where that hangs on it and it is not given.

        >>> combinatorial(6, 2).get_n_splits(), rolling(3, 2).get_n_splits(range(7))
        (15, 2)
        """
        if X is None:
            fix = "Pass the samples: get_n_splits(X)."
            raise UsageError(message("number of splits", "no samples", "those that are split", fix))
        return len(self.windows(X))


@dataclass(frozen=True)
class Rolling(Splitter):
    """Windows one after another; see `rolling` and `anchored`."""

    train: int | str
    test: int | str
    gap: int | str = 0
    step: int | str | None = None
    anchored: bool = False

    def windows(self, samples: Any) -> list[Split]:
        """K4: the last test window may be shorter; it is kept if it holds at least two samples."""
        n, lengths = length(samples), [self.train, self.test, *([] if self.step is None else [self.step])]
        if all(is_number(one) for one in lengths):
            edges = self._by_number(n)
        elif all(isinstance(one, str) for one in lengths):
            edges = self._by_date(times(samples, "windows by the calendar"), n)
        else:
            found = f"train={self.train!r}, test={self.test!r}, step={self.step!r}"
            raise UsageError(
                message("windows", found, "all numbers, or all durations", 'Write train=500 or train="2Y".')
            )
        out = []
        for first, cut, stop in edges:
            end = before(samples, cut, self.gap)
            if cut <= first:
                continue
            if end <= first:
                fix = "Take a shorter gap, or a longer training window."
                raise UsageError(message("gap", repr(self.gap), f"less than the training window, {self.train}", fix))
            out.append(Split(((first, end),), ((cut, min(stop, n)),)))
        if not out:
            found = f"{self.train} and {self.test}"
            raise UsageError(
                message("train and test", found, f"windows that fit into {_told(samples)}", "Shorten them.")
            )
        return out

    def _by_number(self, n: int) -> Iterator[tuple[int, int, int]]:
        train, test, step = (int(n) for n in (self.train, self.test, self.test if self.step is None else self.step))
        if min(train, test, step) < 1:
            fix = "Write train=500, test=100."
            raise UsageError(message("windows", f"{self.train}, {self.test}, {self.step}", "numbers above 0", fix))
        first = 0
        while min(first + train, n) + FEWEST <= n:
            yield 0 if self.anchored else first, first + train, first + train + test
            first += step

    def _by_date(self, index: pd.DatetimeIndex, n: int) -> Iterator[tuple[int, int, int]]:
        train, test = duration(str(self.train), "train"), duration(str(self.test), "test")
        step = test if self.step is None else duration(str(self.step), "step")
        origin = moved = index[0]
        while True:
            first, cut, stop = (
                int(index.searchsorted(d))
                for d in (origin if self.anchored else moved, moved + train, moved + train + test)
            )
            if min(cut, n) + FEWEST > n:
                return
            yield first, cut, stop
            moved = moved + step


@dataclass(frozen=True)
class Expanding(Splitter):
    """Equal test windows up to the last sample; see `expanding`."""

    n: int
    gap: int | str = 0

    def __post_init__(self) -> None:
        _count(self.n, "n")

    def windows(self, samples: Any) -> list[Split]:
        """As many as asked for; UsageError where there are too few samples."""
        n = length(samples)
        size = n // (self.n + 1)
        cuts = [n - size * k for k in range(self.n, 0, -1)]
        ends = [before(samples, cut, self.gap) for cut in cuts] if size else [0]
        if min(ends) < 1:
            fix = "Take fewer splits, or a shorter gap."
            raise UsageError(message("splits", f"{self.n} of {n} samples", "some samples to train on in each", fix))
        return [Split(((0, end),), ((cut, cut + size),)) for end, cut in zip(ends, cuts, strict=True)]

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """As many as asked for."""
        return self.n


@dataclass(frozen=True)
class Blocked(Splitter):
    """Blocks apart; see `blocked`."""

    n: int
    test: float = 0.2
    gap: int | str = 0

    def __post_init__(self) -> None:
        _count(self.n, "n")
        if not (_share(self.test) and self.test < 1.0):
            raise UsageError(message("test", repr(self.test), "a share between 0 and 1", "Write test=0.2."))

    def windows(self, samples: Any) -> list[Split]:
        """One of each block."""
        bounds = masking.bounds_of(length(samples), self.n)
        out = []
        for first, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            cut = stop - max(1, int((stop - first) * self.test + 0.5))
            end = before(samples, cut, self.gap)
            if end <= first:
                fix = "Take fewer blocks, or a shorter gap."
                raise UsageError(message(f"block of {stop - first} samples", "none to train on", "some", fix))
            out.append(Split(((first, end),), ((cut, stop),)))
        return out

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """As many as asked for."""
        return self.n


@dataclass(frozen=True)
class Holdout(Splitter):
    """One split, and samples that are in neither part; see `holdout`."""

    train: float = 0.7
    validation: float = 0.2
    gap: int | str = 0

    def __post_init__(self) -> None:
        both = _share(self.train) and _share(self.validation)
        if not (both and self.train + self.validation <= 1.0 + 1e-9):
            found = f"{self.train!r} and {self.validation!r}"
            raise UsageError(message("train and validation", found, "shares of at most 1 together", "Write 0.7, 0.2."))

    def cuts(self, samples: Any) -> tuple[int, int]:
        """The first sample of the validation, and the first that is sealed."""
        n = length(samples)
        a, b = (min(n, int(n * share + 0.5)) for share in (self.train, self.train + self.validation))
        return a, b

    def windows(self, samples: Any) -> list[Split]:
        """The only one."""
        cut, stop = self.cuts(samples)
        end = before(samples, cut, self.gap)
        if not 0 < end <= cut < stop:
            fix = "Load more, or take a shorter gap."
            raise UsageError(message("samples", length(samples), "some to train on, some to validate", fix))
        return [Split(((0, end),), ((cut, stop),))]

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """One."""
        return 1


@dataclass(frozen=True, eq=False)
class Combinatorial(Splitter):
    """Groups of which some are tested, in all ways; see `combinatorial` and `purged`."""

    groups: int
    tests: int
    label: Any = 0
    embargo: Any = 0

    def __post_init__(self) -> None:
        _count(self.groups, "groups")
        _count(self.tests, "tests")

    def windows(self, samples: Any) -> list[Split]:
        """K1, K2: runs end where groups do."""
        decided, used, embargo = self._spans(samples)
        found = masking.masks(decided, used, self.groups, self.tests, embargo)
        bounds = found.bounds
        pairs = list(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True))
        out = []
        for k, tested in enumerate(found.tested.tolist()):
            out.append(Split(runs_of(found.train(k), bounds), tuple(pairs[g] for g in tested)))
        return out

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """C(groups, tests)."""
        return comb(self.groups, self.tests)

    def _spans(self, samples: Any) -> tuple[Any, Any, Any]:
        """When each sample is decided and the last time that its label uses, and the embargo: all places, or times."""
        n, by_number = length(samples), is_number(self.embargo)
        place = np.arange(n)
        if is_number(self.label):
            if self.label < 0:
                raise UsageError(message("label", self.label, "a number of samples, 0 or more", "Leave it out for 0."))
            if by_number:
                return place, place + self.label, self.embargo
            at = _instants(samples)
            return at, at[np.minimum(place + self.label, n - 1)], exact(self.embargo, "embargo")
        lasting = isinstance(self.label, str) or np.asarray(self.label).dtype.kind == "m" or np.ndim(self.label) == 0
        ends = None if lasting else np.asarray(self.label)
        if ends is not None and ends.shape != (n,):
            raise UsageError(
                message("label", f"shape {ends.shape}", f"an end for each of {n} samples", "Pass as many.")
            )
        if ends is not None and ends.dtype.kind != "M":
            return place, ends, self.embargo
        at = _instants(samples)
        used = at + exact(self.label, "label") if ends is None else ends.astype("datetime64[ns]")
        if by_number:
            if np.isnat(used).any():
                fix = "Leave out samples whose label is not known."
                raise UsageError(message("label", "NaT", "an end for each sample", fix))
            return place, np.searchsorted(at, used, side="right") - 1, self.embargo
        return at, used, exact(self.embargo, "embargo")


@arguments()
def rolling(train: int | str, test: int | str, *, gap: int | str = 0, step: int | str | None = None) -> Rolling:
    """Train on a window, test on the next one, move on by ``step`` (the test window, if not said). Rule K4.

    All three are numbers of samples, or durations of the calendar (5Y, 6M, 8W, 90D); ``gap``, either, is left out at
    the end of each training window.

    >>> rolling(4, 2, gap=1).windows(range(8))
    [Split(train=((0, 3),), test=((4, 6),)), Split(train=((2, 5),), test=((6, 8),))]
    """
    return Rolling(train, test, gap, step)


@arguments()
def anchored(train: int | str, test: int | str, *, gap: int | str = 0, step: int | str | None = None) -> Rolling:
    """As `rolling`, but each training window begins with the first sample: ``train`` is the length of the first one.

    >>> anchored(4, 2).windows(range(8))
    [Split(train=((0, 4),), test=((4, 6),)), Split(train=((0, 6),), test=((6, 8),))]
    """
    return Rolling(train, test, gap, step, True)


@arguments()
def expanding(n: int, *, gap: int | str = 0) -> Expanding:
    """``n`` test windows of equal length up to the last sample, each after all that lies before it, less the ``gap``.

    Scikit-learn's ``TimeSeriesSplit``.

    >>> expanding(2).windows(range(7))
    [Split(train=((0, 3),), test=((3, 5),)), Split(train=((0, 5),), test=((5, 7),))]
    """
    return Expanding(n, gap)


@arguments()
def blocked(n: int, *, test: float = 0.2, gap: int | str = 0) -> Blocked:
    """``n`` blocks that share nothing: each trains on its beginning, less the ``gap``, and tests the rest, a share.

    >>> blocked(2, test=0.25).windows(range(8))
    [Split(train=((0, 3),), test=((3, 4),)), Split(train=((4, 7),), test=((7, 8),))]
    """
    return Blocked(n, test, gap)


@arguments()
def holdout(train: float = 0.7, validation: float = 0.2, *, gap: int | str = 0) -> Holdout:
    """Train on the first share, validate on the next; what is left, the newest, is sealed: no split has it.

    `kk.cross_validate` seals it in the ledger, too, which counts the looks at it (rule J9).

    >>> holdout().windows(range(10)), holdout().cuts(range(10))
    ([Split(train=((0, 7),), test=((7, 9),))], (7, 9))
    """
    return Holdout(train, validation, gap)


@arguments()
def purged(n: int, *, label: Any = 0, embargo: Any = 0) -> Combinatorial:
    """``n`` groups, each tested once by a split that trains on the others, purged and embargoed. Rules K1, K2.

    ``label`` says how far the label of a sample reaches: a number of samples more, an exact duration ("5D", "12h", a
    timedelta), or the last time that each uses (datetime64, or places); ``embargo`` is a number of samples or an exact
    duration.

    >>> purged(3, label=1).windows(range(9))[1]
    Split(train=((0, 2), (7, 9)), test=((3, 6),))
    """
    return Combinatorial(n, 1, label, embargo)


@arguments()
def combinatorial(groups: int = 6, tests: int = 2, *, label: Any = 0, embargo: Any = 0) -> Combinatorial:
    """All ways to test ``tests`` of ``groups``, purged and embargoed as `purged` is. Rules K1-K3.

    >>> combinatorial(4, 2, embargo=1).windows(range(8))[1]
    Split(train=((3, 4), (7, 8)), test=((0, 2), (4, 6)))
    """
    return Combinatorial(groups, tests, label, embargo)


def places(runs: Sequence[Run]) -> Int64s:
    """The samples of runs.

    >>> places(((0, 2), (5, 6))).tolist()
    [0, 1, 5]
    """
    return np.concatenate([np.arange(a, b) for a, b in runs] or [np.zeros(0, np.int64)])


def runs_of(chosen: NDArray[np.bool_], bounds: Int64s) -> tuple[Run, ...]:
    """Runs of what is chosen, which end where groups do, too.

    >>> runs_of(np.array([True, True, True, False, True]), np.array([0, 2, 5]))
    ((0, 2), (2, 3), (4, 5))
    """
    edge = np.flatnonzero(np.diff(chosen, prepend=False, append=False))
    inside = bounds[1:-1]
    inside = inside[chosen[inside] & chosen[inside - 1]]
    ends = np.sort(np.r_[edge, inside, inside]).tolist()
    return tuple(zip(ends[::2], ends[1::2], strict=True))


def is_number(value: Any) -> bool:
    """Whether it is a whole number.

    >>> is_number(3), is_number("3D"), is_number(True)
    (True, False, False)
    """
    return isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.timedelta64))


def length(samples: Any) -> int:
    """How many samples there are: along ``time``, if they have that dim, else along their first.

    >>> length(np.zeros((5, 2))), length(range(3))
    (5, 3)
    """
    sizes, shape = getattr(samples, "sizes", None), getattr(samples, "shape", None)
    if sizes is not None and "time" in sizes:
        return int(sizes["time"])
    return int(shape[0]) if shape else len(samples)


def times(samples: Any, what: str) -> pd.DatetimeIndex:
    """The times of samples; raises UsageError that says ``what`` they are needed for where there are none."""
    import pandas as pd

    indexes = getattr(samples, "indexes", None)
    found = indexes.get("time") if indexes is not None else getattr(samples, "index", samples)
    if not isinstance(found, pd.DatetimeIndex):
        fix = "Pass bars, or a table by dates; or say numbers of samples."
        raise UsageError(message(what, f"samples without times ({type(samples).__name__})", "dates", fix))
    return found


def before(samples: Any, cut: int, gap: int | str) -> int:
    """Where training before sample ``cut`` ends: the gap earlier. Raises UsageError for a negative gap."""
    if is_number(gap):
        if int(gap) < 0:
            raise UsageError(message("gap", gap, "0 or more", "Leave it out for none."))
        return cut - int(gap)
    index = times(samples, "a gap by the calendar")
    return min(cut, int(index.searchsorted(index[min(cut, len(index) - 1)] - duration(str(gap), "gap"))))


def exact(text: Any, name: str) -> np.timedelta64:
    """A duration that is always as long; raises UsageError for what is none.

    >>> exact("36h", "embargo")
    np.timedelta64(129600000000000,'ns')
    """
    import pandas as pd

    try:
        return np.timedelta64(pd.Timedelta(text).as_unit("ns").value, "ns")
    except (ValueError, TypeError) as error:
        wanted, fix = "a number of samples, or an exact duration", f'Write {name}="5D".'
        raise UsageError(message(name, repr(text), wanted, fix)) from error


def _instants(samples: Any) -> NDArray[np.datetime64]:
    found: NDArray[np.datetime64] = times(samples, "spans of labels").values.astype("datetime64[ns]")
    return found


def _count(n: Any, name: str) -> int:
    if not is_number(n) or n < 1:
        raise UsageError(message(name, repr(n), "a whole number above 0", f"Write {name}=5."))
    return int(n)


def _share(value: Any) -> bool:
    """Whether it is a number above 0."""
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool) and bool(value > 0.0)


def _told(samples: Any) -> str:
    """The samples, as a message names them."""
    import pandas as pd

    indexes = getattr(samples, "indexes", None)
    index = indexes.get("time") if indexes is not None else getattr(samples, "index", samples)
    if isinstance(index, pd.DatetimeIndex) and len(index):
        return f"{index[0].date()} ... {index[-1].date()}"
    return f"{length(samples)} samples"
