"""Arrays over trials that are computed when they are looked at, one trial at a time, without a graph per trial."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from xarray.backends import BackendArray
from xarray.core import indexing

from kernelkit.errors import UsageError, message

LIMIT_BYTES = 1 << 30


class TrialArray(BackendArray):
    """An array over (cells, what a trial has); `read(trial)` gives one trial's part, cells without a trial are NaN."""

    def __init__(
        self, name: str, numbers: np.ndarray, tail: tuple[int, ...], read: Callable[[int], np.ndarray], keep: object
    ) -> None:
        self.name, self.numbers, self.read_trial, self.keep = name, numbers, read, keep
        self.shape, self.dtype = (*numbers.shape, *tail), np.dtype("f8")

    def __deepcopy__(self, memo: dict[int, Any]) -> TrialArray:
        """Itself: it is never written."""
        return self

    def __reduce__(self) -> str:
        """Raise UsageError: a pickle would have to simulate all its trials, or leave out what they are."""
        found = f"{self.name!r}, which is computed when it is looked at"
        fix = "Write kk.save(res, path), pickle res.load() after a .sel, or ask for outputs=('metrics',)."
        raise UsageError(message("pickling a result", found, "values", fix))

    def __getitem__(self, key: Any) -> Any:
        """What xarray calls with one of its indexers."""
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self.read)

    def read(self, key: tuple[Any, ...]) -> np.ndarray:
        """Compute the chosen trials, then choose within them."""
        cells = self.numbers.ndim
        picked = [np.arange(n)[k] for n, k in zip(self.shape, key, strict=True)]
        trials = self.numbers[np.ix_(*map(np.atleast_1d, picked[:cells]))] if cells else self.numbers
        inside = np.ix_(*map(np.atleast_1d, picked[cells:]))
        size = 8 * trials.size * int(np.prod(self.shape[cells:]))
        if size > LIMIT_BYTES:
            found = f"{size / 1e9:.1f} GB of {trials.size} trials"
            wanted = f"at most {LIMIT_BYTES / 1e9:.1f} GB at once"
            fix = "Choose trials first, with .sel or .isel; or .chunk() and reduce with dask."
            raise UsageError(message(f"loading {self.name!r}", found, wanted, fix))
        out = np.full((*trials.shape, *(np.size(p) for p in picked[cells:])), np.nan)
        for where, trial in np.ndenumerate(trials):
            if trial >= 0:
                out[where] = self.read_trial(int(trial))[inside]
        return out.reshape([np.size(p) for p in picked if np.ndim(p)])


def lazy(name: str, numbers: np.ndarray, tail: tuple[int, ...], read: Callable[[int], np.ndarray], keep: object) -> Any:
    """A `TrialArray` as a variable's data; `keep` lives as long as it does."""
    return indexing.LazilyIndexedArray(TrialArray(name, numbers, tail, read, keep))
