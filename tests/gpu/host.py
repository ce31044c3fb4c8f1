"""A device that is this process: its memory is other memory, its threads are a loop.

What the real one adds is the compiler of PTX. That a program is rightly made of the kernels' texts, and that every
address is translated, is found out here, without compiling anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kernelkit.kernels.device import PYTHON, Device
from kernelkit.kernels.fleet import Fleet
from kernelkit.kernels.job import Job, Outcome, new_outcome
from kernelkit.kernels.session import Stop


class Host:
    """The device; `launches` are the threads that were started, by entry."""

    binding = PYTHON

    def __init__(self) -> None:
        self.launches: list[tuple[str, int]] = []

    def empty(self, size: int) -> Any:
        return np.full(-(-size // 8), 0x7FF8DEADBEEF0000, "i8").view("u1")  # NaN, and an address of nothing

    def address(self, there: Any) -> int:
        return int(there.ctypes.data)

    def put(self, there: Any, here: np.ndarray) -> None:
        there[: here.nbytes] = here.reshape(-1).view("u1")

    def get(self, there: Any, here: np.ndarray) -> None:
        here.reshape(-1).view("u1")[:] = there[: here.nbytes]

    def launcher(self, device: Device) -> Callable[..., None]:
        entries = {name: device.program.entry(name) for name in ("one_row", "one_trial")}

        def launch(name: str, n: int, *arguments: int) -> None:
            self.launches.append((name, n))
            with np.errstate(all="ignore"):
                for k in range(n):
                    entries[name](k, *arguments)

        return launch


def flown(job: Job, host: Host | None = None) -> tuple[Outcome, np.ndarray]:
    """The outcome of a job on a device, and which trials are left for the processor."""
    outcome = new_outcome(len(job.trials), True)
    left = Fleet(job, host or Host()).run_all(outcome, Stop(), lambda n: None)
    return outcome, left
