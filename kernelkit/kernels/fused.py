"""Runs many trials side by side on an engine of their strategy's own, and computes the indicators they share once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from kernelkit.kernels import layout as L
from kernelkit.kernels.drive import Job, Outcome, Session, Stop, header_of, ring_length, slots_of

if TYPE_CHECKING:
    from kernelkit.kernels.compile import Fused

TILE, LEAST_TILE = 4096, 256  # bars
PANEL_WORDS = 1 << 18  # shared values of one tile: 2 MiB stay in the cache
GROUP = 1024  # trials, at most; about 12 KiB of state each
GROUP_BARS = 200_000_000  # of a group, at most: about half a second until it counts as done


class Tiles(Session):
    """A session that runs groups of trials through the bars, tile by tile."""

    def __init__(self, job: Job, engine: Fused) -> None:
        super().__init__(job)
        self.engine = engine

    def run(
        self,
        outcome: Outcome,
        first: int,
        last: int,
        stop: Stop | None = None,
        tick: Callable[[int], None] | None = None,
    ) -> None:
        """Run trials [first, last); those that stop for a reason run again in the first tier, which deals with it."""
        bars = self.trials["i1"] - self.trials["trade_from"]
        size = max(1, min(GROUP, GROUP_BARS // max(1, int(bars.max()))))
        for a in range(first, last, size):
            b = min(a + size, last)
            status = self.group(outcome, a, b, stop)
            outcome.done[a:b] = status == L.DONE
            if tick is not None:
                tick(int((status == L.DONE).sum()))
            for k in np.flatnonzero((status != L.DONE) & (status != L.PAUSED)):
                super().run(outcome, a + int(k), a + int(k) + 1, stop, tick)

    def group(self, outcome: Outcome, first: int, last: int, stop: Stop | None) -> np.ndarray:
        """Bring trials [first, last) to their ends; the status of each, int64 (trial,)."""
        n, trials = last - first, self.trials[first:last]
        used = int(header_of(self.template)["off_orders"])
        state = np.zeros((n, self.template.size), "u1")  # what lies beyond `used` is touched by live orders alone
        state[:, :used] = self.template[:used]
        state[:, : L.HEADER.itemsize].view(L.HEADER)["i"][:, 0] = trials["trade_from"]
        at = int(header_of(self.template)["off_strategy"])
        words = state[:, at : at + 8 * int(header_of(self.template)["n_slot"])].view("i8")
        words[:, : self.params.shape[1]] = self.params[first:last]
        panel, rows, _keep = self.shared(first, last, words)
        width = panel.shape[1] - 1
        status = np.full(n, L.PAUSED, "i8")
        for bar in range(0, int(trials["i1"].max()), width):
            if stop is not None and stop.is_set():
                break
            panel[:, 0] = panel[:, width]
            self.engine.refresh(self.frame.ctypes.data, rows.ctypes.data, len(rows), bar, bar + width)
            self.frame["panel"] = panel.ctypes.data + 8 - 8 * bar
            self.engine.tile(
                self.frame.ctypes.data,
                state.ctypes.data,
                state.shape[1],
                trials.ctypes.data,
                self.tables.ctypes.data,
                status.ctypes.data,
                outcome.headline[first:].ctypes.data,
                0 if outcome.blocks is None else outcome.blocks[first:].ctypes.data,
                outcome.meta[first:].ctypes.data,
                n,
                bar + width,
            )
        return status

    def shared(self, first: int, last: int, words: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The indicators of trials [first, last), each once: values (indicator, 1 + bar), SHARED records, their slots.

        Value 0 of a row is that of the bar before the tile. Where a trial finds its own is written into its `words`.
        """
        plan, datasets = self.job.plan, self.trials["dataset"][first:last]
        names = list(plan.params)
        found: list[tuple[int, np.ndarray, np.ndarray]] = []  # first trial, and each trial's row, by site
        for site in plan.sites:
            used = [names.index(a) for a in site.arguments if a in names]
            keys = np.column_stack([datasets, self.params[first:last][:, used]])
            _, index, row = np.unique(keys, axis=0, return_index=True, return_inverse=True)
            found.append((sum(len(i) for _, i, _ in found), index, row.reshape(-1)))
        count = sum(len(index) for _, index, _ in found)
        width = max(LEAST_TILE, min(TILE, PANEL_WORDS // max(1, count)))
        panel, rows = np.full((count, 1 + width), np.nan), np.zeros(count, L.SHARED)
        template = slots_of(self.template)
        sizes = [
            s.rolling.words + (2 * ring_length(self.job, j) if s.rolling.ring else 0) for j, s in enumerate(plan.sites)
        ]
        slots = np.zeros(sum(size * len(index) for size, (_, index, _) in zip(sizes, found, strict=True)), "i8")
        at = 0
        for j, (site, size, (before, index, row)) in enumerate(zip(plan.sites, sizes, found, strict=True)):
            words[:, site.slot] = 8 * (1 + width) * (before + row)
            for k, trial in enumerate(index):
                slot = slots[at : at + size]
                slot[: site.rolling.words] = template[site.slot : site.slot + site.rolling.words]
                if site.rolling.ring:
                    slot[2] = 8 * site.rolling.words
                rows[before + k] = (
                    j,
                    self.instruments.ctypes.data + L.INSTRUMENT_BYTES * int(datasets[trial]),
                    slot.ctypes.data,
                    self.params[first + trial :].ctypes.data,
                    panel[before + k, 1:].ctypes.data,
                )
                at += size
        return panel, rows, slots
