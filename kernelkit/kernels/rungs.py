"""Trials that go side by side from rung to rung, where some are given up: the others go on from the state they have."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kernelkit.kernels import layout as L
from kernelkit.kernels.job import Job, Outcome, new_outcome
from kernelkit.kernels.session import ENDLESS, FIRST_SLICE, Session, Stop


class Rungs(Session):
    """All trials of a job, laid out at once on this thread: some 40 kB each.

    Indicators are shared, as in any group: what one of them needs stays in the block of the trial that lends it, also
    where that has been given up. So whoever is kept has the bits of a run that nobody has stopped.
    """

    def __init__(self, job: Job, stop: Stop) -> None:
        trials = job.trials.copy()
        trials["i1"] = ENDLESS
        super().__init__(replace(job, trials=trials), timed=False)
        self.alive = np.arange(len(trials))
        self.failed: dict[int, tuple[int, int, int]] = {}
        self.at = 0
        self.lay(0, len(trials))
        self.listen(stop)

    def running(self) -> tuple[np.ndarray, np.ndarray, int]:
        """Those that are alive."""
        return self.blocks[self.alive], self.trials[self.alive], 0

    def keep(self, places: np.ndarray) -> None:
        """Go on with these alone, counted among those that are alive."""
        self.alive = self.alive[places]

    def climb(self, until: int) -> None:
        """Bring those that are alive to bar ``until``, unless it is stopped before."""
        outcome, width = new_outcome(len(self.alive), False), int(self.frame["width"][0])
        step = max(1, FIRST_SLICE // (max(1, len(self.alive)) * width)) * width
        while self.at < until and len(self.alive) and not self.stop.is_set():
            self.at = min(until, self.at + step)
            self.call(outcome, self.at)
        status = self.statuses()[self.alive]
        for k in np.flatnonzero(status != L.PAUSED):
            i, argument = (int(x) for x in outcome.meta[k, :2])
            self.failed.setdefault(int(self.alive[k]), (int(status[k]), i, argument))

    def so_far(self) -> Outcome:
        """What those that are alive would have come to if the data ended here, computed on a copy."""
        outcome = new_outcome(len(self.alive), True)
        state, larger, blocks, trials = self.state, self.larger, self.blocks, self.trials
        self.state, self.larger = state.copy(), {k: block.copy() for k, block in larger.items()}
        self.blocks = self.state.ctypes.data + state.shape[1] * np.arange(len(state))
        for k, block in self.larger.items():
            self.blocks[k] = block.ctypes.data
        self.trials = trials.copy()
        self.trials["i1"] = self.at
        self.locate()
        try:
            self.call(outcome, self.at)
            outcome.done[:] = self.statuses()[self.alive] == L.DONE
        finally:
            self.state, self.larger, self.blocks, self.trials = state, larger, blocks, trials
            self.locate()
        for k, trial in enumerate(self.alive.tolist()):
            if trial in self.failed:
                outcome.errors[k] = self.failed[trial]
        return outcome
