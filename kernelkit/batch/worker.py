"""The process of one run of a batch; started by `kernelkit.batch.pool`."""

from __future__ import annotations

import signal
import sys

from kernelkit.batch._process import Interrupted
from kernelkit.batch.pool import work

if __name__ == "__main__":
    try:
        sys.exit(work())
    except Interrupted as stop:
        # the record says cancelled; die of the signal, so that whoever waits sees it
        signal.signal(stop.signum, signal.SIG_DFL)
        signal.raise_signal(stop.signum)
