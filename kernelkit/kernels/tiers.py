"""Which engine runs a set of trials: the one for every strategy, or one of the strategy's own.

The second has the decision compiled into its loop: the same source, the same bits, several times the speed in a sweep.
It takes seconds to compile, so a process beside this one does that once the strategy has run over many bars, and the
disk cache keeps it. Until then, and where there are logs, curves or strategies that can raise, the first tier runs.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kernelkit.errors import StrategyError
from kernelkit.kernels.job import Job, Outcome, new_outcome
from kernelkit.kernels.layout import FILL_MODEL, KEEP
from kernelkit.kernels.session import Session, Stop

if TYPE_CHECKING:
    from kernelkit.kernels.compile import Fused

HOT = 200_000_000  # bars of one strategy in this process, after which an engine of its own will pay for itself
WORTH_LOADING = 5_000_000  # bars of one call, for which one is read from the disk
ABANDONED_S = 120.0  # after which a compilation that has not ended is taken for dead

_log = logging.getLogger("kernelkit")
_engines: dict[tuple[str, bool], Fused] = {}
_bars: dict[tuple[str, bool], int] = {}
_lock = threading.Lock()


def bars_of(job: Job) -> int:
    """Bars of all trials together."""
    return int((job.trials["i1"] - job.trials["i0"]).sum())


def fits(job: Job) -> bool:
    """Whether the second tier can run a job: it has no way to report an exception, and no last bar that closes out."""
    close_out = FILL_MODEL.names.index("close_out")
    return not job.plan.raises and all(model[close_out] == KEEP for model in job.fill_models)


def own_engine(job: Job) -> Fused | None:
    """The strategy's own engine, where there is one and these trials are worth reading it from the disk."""
    key = job.text, job.measure
    if not fits(job):
        return None
    with _lock:
        if key not in _engines and bars_of(job) >= WORTH_LOADING and ready(*key).exists():
            make(*key)
        return _engines.get(key)


def make(text: str, measure: bool) -> Fused:
    """Compile a strategy's own engine, or read it from the disk; from then on `own_engine` has it."""
    from kernelkit.kernels import compile as native

    key = text, measure
    with native.LOCK:
        if key not in _engines:
            _engines[key] = native.Fused(*key)
            ready(*key).touch()
        return _engines[key]


def ready(text: str, measure: bool) -> Path:
    """The file that says that the engine lies in the disk cache."""
    from kernelkit.kernels.cache import module_path
    from kernelkit.kernels.compile import fused_text

    return module_path(fused_text(text, measure), "fused").with_suffix(".ready")


def warmed(job: Job) -> None:
    """Count the bars of a strategy without an engine of its own; a hot one gets it, made by a process beside this."""
    key = job.text, job.measure
    if not fits(job):
        return
    with _lock:
        _bars[key] = _bars.get(key, 0) + bars_of(job)
        if _bars[key] >= HOT:
            make_beside(*key)


def make_beside(text: str, measure: bool) -> None:
    """Compile the engine in another process, unless one is at it, or has failed: what it said lies beside the cache."""
    from kernelkit.kernels.cache import module_path

    done = ready(text, measure)
    mark, said = done.with_suffix(".begun"), done.with_suffix(".failed")
    try:
        if said.exists():
            return
        if mark.exists() and time.time() - mark.stat().st_mtime > ABANDONED_S:
            mark.unlink(missing_ok=True)
        mark.touch(exist_ok=False)
    except (FileExistsError, FileNotFoundError):  # another process was first
        return
    except OSError as error:
        _log.warning("sweeps stay in the first tier: %s", error)
        return
    root = str(Path(__file__).parents[2])  # the child finds this package as this process did
    code = f"import sys; sys.path.append({root!r}); from kernelkit.kernels.tiers import main; main()"
    maker = subprocess.Popen(
        [sys.executable, "-c", code, str(module_path(text, "strategy")), str(int(measure))],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,  # an interrupt of the sweep is not meant for it
    )
    threading.Thread(target=_attend, args=(maker, said), daemon=True).start()


def _attend(maker: subprocess.Popen[bytes], said: Path) -> None:
    """Wait for the process; keep what it said when it failed, and say so once."""
    _, errors = maker.communicate()
    if maker.returncode > 0:
        said.write_bytes(errors)
        _log.warning("sweeps stay in the first tier: the second could not be compiled, see %s", said)


def prepare(job: Job) -> None:
    """Compile, or load, what a job needs, so that no trial's time contains it."""
    from kernelkit.kernels import compile as native

    if job.plan.uncompilable:
        raise StrategyError(job.plan.uncompilable)
    native.engine()
    native.strategy(job.text)
    own_engine(job)


def simulate(
    job: Job,
    first: int,
    last: int,
    blocks: bool = True,
    stop: Stop | None = None,
    tick: Callable[[int], None] | None = None,
) -> Outcome:
    """Trials [first, last) of a job, on this thread; the outcome's rows count from `first`."""
    part = replace(job, trials=job.trials[first:last], params=job.params[first:last])
    outcome = new_outcome(last - first, blocks)
    engine = own_engine(part)
    if engine is None:
        warmed(part)
    Session(part, engine=engine).run(outcome, 0, last - first, stop, tick)
    return outcome


def main() -> None:
    """What the other process does: make the engine of a strategy, whose file and 0 or 1 for metrics are given."""
    os.nice(10)
    make(Path(sys.argv[1]).read_text(), bool(int(sys.argv[2])))
