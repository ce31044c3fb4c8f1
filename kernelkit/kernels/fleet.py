"""Trials of a job on a device, one thread each: what a `Session` lays out in memory, there.

A session's records hold addresses of this process. Every array that they point to gets a place on the device, and the
copies that go there point to those places.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from kernelkit.kernels import layout as L
from kernelkit.kernels.device import Binding, Device, device_of
from kernelkit.kernels.job import Job, Outcome
from kernelkit.kernels.session import Session, Stop, coded
from kernelkit.kernels.threads import FRAME_WORDS, MODEL_BYTES

PANEL_BYTES = 1 << 28  # of indicators' values at once
STATE_BYTES = 1 << 30  # of trials' states at once, about
ADDRESSES = {
    "instruments": ("columns", "actions", "vwap", "higher", "closed"),
    "venues": ("sizes",),
    "rows": ("instrument", "slot", "out", "before"),
    "frame": ("rows", "values", "instruments", "venues", "fill_models", "halt"),
}


class Backend(Protocol):
    """A device: its memory, and how a program's threads are started on it."""

    binding: Binding

    def empty(self, size: int) -> Any:
        """So many bytes there."""

    def address(self, there: Any) -> int:
        """Where they begin."""

    def put(self, there: Any, here: np.ndarray) -> None:
        """Copy to them."""

    def get(self, there: Any, here: np.ndarray) -> None:
        """Copy from them."""

    def launcher(self, device: Device) -> Callable[..., None]:
        """`launch(name, n, *arguments)` runs `n` threads of one of the functions of `threads`, and waits for them."""


def obstacle(job: Job) -> str:
    """Why a job's trials cannot run on a device, "" where they can."""
    plan = job.plan
    found = {
        "a portfolio, whose assets share an account": plan.shared or job.homes is not None,
        f"a strategy that only debug mode accepts: {plan.uncompilable}": plan.uncompilable,
        "a decision or an indicator that can raise": plan.raises or plan.risky,
        "a cost model that can raise": any(
            "\n    try:" in text for v in job.venues for text in (v.fee, v.slippage) if text
        ),
        "hooks": plan.told or plan.moments,
        "a venue with limits, hours, outages or latency": job.hours or any(v.rules for v in job.venues),
        "orders that are matched in finer bars": (coded(job)["path"] == L.FINER).any(),
    }
    return next((text for text, there in found.items() if there), "")


class Places:
    """Where arrays of this process lie on a device."""

    def __init__(self, backend: Backend, arrays: list[np.ndarray]) -> None:
        self.backend = backend
        sizes: dict[int, int] = {}
        for array in arrays:
            at = array.ctypes.data
            sizes[at] = max(array.nbytes, sizes.get(at, 1))
        self.starts = np.array(sorted(sizes), "i8")
        self.sizes = np.array([sizes[at] for at in self.starts.tolist()], "i8")
        self.there = {at: backend.empty(size) for at, size in sizes.items()}
        self.bases = np.array([backend.address(self.there[at]) for at in self.starts.tolist()], "i8")

    def translated(self, addresses: np.ndarray) -> np.ndarray:
        """Addresses of this process as those of the device; 0 stays 0. Raises ValueError for one that is unknown."""
        k = np.maximum(np.searchsorted(self.starts, addresses, "right") - 1, 0)
        off = addresses - self.starts[k]
        if ((addresses != 0) & ((off < 0) | (off >= self.sizes[k]))).any():
            raise ValueError("an address that no array here has")
        return np.where(addresses == 0, 0, self.bases[k] + off)

    def of(self, array: np.ndarray) -> int:
        """Where an array lies there."""
        return int(self.translated(np.array([array.ctypes.data]))[0])

    def put(self, array: np.ndarray, as_it_is: np.ndarray | None = None) -> None:
        """Copy an array, or what stands for it there."""
        self.backend.put(self.there[array.ctypes.data], array if as_it_is is None else as_it_is)

    def get(self, array: np.ndarray) -> None:
        """Copy an array back."""
        self.backend.get(self.there[array.ctypes.data], array)


class Fleet(Session):
    """A session whose trials run on a device."""

    def __init__(self, job: Job, backend: Backend) -> None:
        self.backend, self.device = backend, device_of(job, backend.binding)
        super().__init__(job, python=self, timed=False)
        self.python = None  # its kernels are compiled
        self.launch = backend.launcher(self.device)

    def bind(self) -> tuple[Any, Any, dict[str, int], list[int]]:
        """What a session asks of a binding: here, numbers in the place of addresses."""
        return None, self.device.model, self.device.addresses, self.device.kernels

    def tile(self, count: int) -> int:
        """All bars, if there is room for their indicators."""
        longest = max(table.n_bars for table in self.job.tables)
        return max(1, min(longest, PANEL_BYTES // (8 * max(1, count))))

    def run_all(self, outcome: Outcome, stop: Stop, tick: Callable[[int], None]) -> np.ndarray:
        """Run all trials; which of them have to run elsewhere, bool (trial,): they failed, or need more room."""
        n, left = len(self.trials), np.ones(len(self.trials), bool)
        most = max(1, STATE_BYTES // self.template.size)
        for first in range(0, n, most):
            if stop.is_set():
                break
            last = min(n, first + most)
            self.lay(first, last)
            done = self.fly(outcome, stop) == L.DONE
            left[first:last], outcome.done[first:last] = ~done, done
            tick(int(done.sum()))
        return left

    def fly(self, outcome: Outcome, stop: Stop) -> np.ndarray:
        """Run the group that is laid out; how each trial stands, int64 (trial,)."""
        first, last = self.group
        n, rows = last - first, len(self.rows)
        cells = np.zeros(0, L.NODE) if outcome.blocks is None else outcome.blocks[first:last]
        outs, meta, status = outcome.headline[first:last], outcome.meta[first:last], np.full(n, L.PAUSED)
        trials = self.trials[first:last]
        places = self.landed([trials, outs, cells, meta, status])
        thread = 8 * FRAME_WORDS + MODEL_BYTES + 8 * L.SCRATCH * self.job.n_asset
        frames = self.backend.empty(max(n, rows) * thread)
        head = places.of(self.frame), self.backend.address(frames)
        at = [places.of(a) for a in (self.blocks, trials, outs, cells, meta, status)]
        if outcome.blocks is None:
            at[3] = 0
        end, width = int(trials["i1"].max()), int(self.frame["width"][0])
        for begin in range(0, end, width):
            until = min(end, begin + width)
            if rows:
                self.launch("one_row", rows, *head, begin, until)
            self.launch("one_trial", n, *head, *at, begin, until)
            if stop.is_set():
                break
        for array in (outs, cells, meta, status):
            places.get(array)
        outs[status != L.DONE], meta[status != L.DONE] = np.nan, 0
        return status

    def landed(self, own: list[np.ndarray]) -> Places:
        """All that a trial can reach, and these arrays, copied to the device, each address as it is there."""
        tables = [*self.job.tables, *(h.table for table in self.job.tables for h in table.higher)]
        pointers, records = [t.pointers for t in tables], {name: getattr(self, name) for name in ADDRESSES}
        plain = [*own, *(c for t in tables for c in t.columns), *(t.actions for t in tables)]
        plain += [t.vwap for t in tables if t.vwap is not None]
        plain += [h.closed for table in self.job.tables for h in table.higher]
        plain += [*self.sizes, self.fill_models, self.stop.word, self.state, self.panel]
        places = Places(self.backend, [*plain, *pointers, *records.values(), self.blocks])
        for array in plain:
            places.put(array)
        for table in pointers:
            places.put(table, np.column_stack([places.translated(table[:, 0]), table[:, 1]]))
        for name, record in records.items():
            copy = record.copy()
            for field in ADDRESSES[name]:
                copy[field] = places.translated(copy[field])
            if name == "rows":  # an own indicator is shown the strategy's words there
                copy["n"][self.own] = places.translated(copy["n"][self.own])
            places.put(record, copy)
        places.put(self.blocks, places.translated(self.blocks))
        return places
