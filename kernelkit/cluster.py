"""The trials of a recipe on a dask.distributed cluster: data sent once, strategies as text, results as they arrive."""

from __future__ import annotations

import contextlib
import itertools
import math
import warnings
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from kernelkit.errors import RunError, UsageError, extra, message
from kernelkit.kernels.job import Job, Outcome, Table, spread
from kernelkit.kernels.layout import FIRST_FEATURE, MAX_CELLS
from kernelkit.kernels.session import simulate
from kernelkit.recipe import Recipe, with_target
from kernelkit.reuse import CANDLES_PER_S

# A task costs about 5 ms of scheduling, so a block takes 0.2 s or more; what runs cannot be stopped, so 10 s or less.
LEAST_S, MOST_S = 0.2, 10.0
TARGET_BYTES = 1 << 26  # of a signal's targets in one block
KEPT_TABLES = 8  # data sets that stay on the workers of a client between calls
ATTEMPTS = 5

Take = Callable[[int, int, Outcome], None]


class Client(Protocol):
    """What is used of a dask.distributed Client."""

    asynchronous: bool
    loop: Any

    def scatter(self, data: list[Any], *, broadcast: bool, hash: bool) -> list[Any]:
        """Send data to the workers."""

    def submit(self, function: Callable[..., Any], *arguments: Any, pure: bool) -> Any:
        """Run a function on a worker."""

    def run(self, function: Callable[..., Any]) -> dict[str, Any]:
        """Run a function on every worker."""

    def nthreads(self) -> dict[str, int]:
        """Threads of every worker."""

    def cancel(self, futures: list[Any]) -> None:
        """Forget these."""


_sent: WeakKeyDictionary[Client, OrderedDict[str, Any]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Targets:
    """What a signal's trials need beside the bars: for each a target column, and the asset whose bars it goes with."""

    columns: list[NDArray[np.float64]]
    tables: list[int]


def run_on(client: Any, recipe: Recipe, blocks: bool, take: Take, tick: Callable[[int], None]) -> bool:
    """Run all trials of ``recipe`` on a cluster, ``client`` being a dask.distributed Client or an address.

    Hands each finished block to ``take(first, last, outcome)`` and its size to ``tick``, in the order of arrival. What
    a dying worker had not delivered is computed again, and comes out the same. Returns whether it was interrupted.

    Raises `MissingExtraError` without distributed, `UsageError` for another kind of client, `RunError` where workers
    keep dying or the address does not answer. Warns once, naming them, of workers with another build of kernelkit.
    """
    distributed = extra("distributed", "cluster")
    with _connected(distributed, client) as connected:
        _check_builds(connected)
        return _Feed(distributed, connected, recipe, blocks).run(take, tick)


@contextlib.contextmanager
def _connected(distributed: Any, client: Any) -> Iterator[Client]:
    """The client that is meant; that of an address is closed again, as it would look for its cluster for ever."""
    if not isinstance(client, str | distributed.Client):
        wanted = "a dask.distributed Client, or its scheduler's address"
        raise UsageError(message("client", type(client).__name__, wanted, "Pass client=Client('tcp://...')."))
    if not isinstance(client, str):
        if client.asynchronous:
            wanted, fix = "a synchronous Client", "Create it outside a coroutine."
            raise UsageError(message("client", "an asynchronous Client", wanted, fix))
        yield client
        return
    try:
        own = distributed.Client(client, set_as_default=False)
    except (OSError, ValueError) as error:
        fix = "Start it with `dask scheduler`, and check the address."
        raise RunError(message(f"cluster at {client!r}", str(error), "a scheduler that answers", fix)) from error
    with own:
        yield own


def build() -> str:
    """Return the build id of this process: what decides its machine code."""
    from kernelkit.kernels.cache import build_id

    return build_id()


def _check_builds(client: Client) -> None:
    here = build()
    others = {worker: found for worker, found in client.run(build).items() if found != here}
    if others:
        names = ", ".join(f"{worker} ({found})" for worker, found in sorted(others.items()))
        text = f"These workers run another build of kernelkit than this process ({here}): {names}."
        fix = "Their results can differ in the last bits; install the same versions on processors of the same kind."
        warnings.warn(f"{text} {fix}", RuntimeWarning, stacklevel=2)


def pieces_of(recipe: Recipe, workers: int) -> list[tuple[int, int]]:
    """Cut the trials into blocks of about `LEAST_S` to `MOST_S`; those of a signal hold whole cells."""
    trials, assets = recipe.job.trials, len(recipe.assets)
    bars = max(1.0, float((trials["i1"] - trials["i0"]).mean()))
    unit = 1 if recipe.signal is None else assets
    n = len(trials) // unit
    seconds = unit * bars / CANDLES_PER_S
    most = max(1, int(MOST_S / seconds))
    if recipe.signal is not None:
        most = max(1, min(most, int(TARGET_BYTES / (8 * unit * bars))))
    count = max(len(spread(n, workers, math.ceil(LEAST_S / seconds))), math.ceil(n / most))
    edges = [unit * (n * k // count) for k in range(count + 1)]
    return list(itertools.pairwise(edges))


class _Feed:
    """Keeps a cluster busy with blocks of one recipe."""

    def __init__(self, distributed: Any, client: Client, recipe: Recipe, blocks: bool) -> None:
        from dask.base import tokenize

        self.distributed, self.client, self.recipe, self.blocks = distributed, client, recipe, blocks
        workers = max(1, sum(client.nthreads().values()))
        self.todo = deque(pieces_of(recipe, workers))
        # Targets are computed here, so no more of them wait than keeps the workers busy.
        self.limit = len(self.todo) if recipe.signal is None else 2 * workers
        self.flying: dict[Any, tuple[int, int]] = {}
        self.tried: Counter[tuple[int, int]] = Counter()
        self.tables = {f"table-{tokenize(table)}": table for table in recipe.job.tables}
        self.names = list(self.tables)
        self.held = _sent.setdefault(client, OrderedDict())
        self.header: Any = None

    def run(self, take: Take, tick: Callable[[int], None]) -> bool:
        """Feed until all is done; True when interrupted before that."""
        arrivals = self.distributed.as_completed(loop=self.client.loop)
        try:
            while self.todo or self.flying:
                while self.todo and len(self.flying) < self.limit:
                    piece = self.todo.popleft()
                    future = self._submit(*piece)
                    self.flying[future] = piece
                    arrivals.add(future)
                future = next(arrivals)
                piece = self.flying.pop(future)
                part = self._result(future, piece)
                if part is None:
                    self.todo.append(piece)
                else:
                    take(*piece, part)
                    tick(piece[1] - piece[0])
        except KeyboardInterrupt:
            return True
        finally:
            self.client.cancel(list(self.flying))
        return False

    def _submit(self, first: int, last: int) -> Any:
        job = self.recipe.job
        if self.header is None or self.header.status != "finished":
            bare = replace(job, tables=[], trials=job.trials[:0], params=job.params[:0])
            (self.header,) = self.client.scatter([bare], broadcast=True, hash=False)
        rows = (job.trials[first:last], job.params[first:last])
        targets = None
        if self.recipe.signal is not None:
            (targets,) = self.client.scatter([_targets(self.recipe, first, last)], broadcast=False, hash=False)
        return self.client.submit(work, self.header, self._data(), rows, targets, self.blocks, pure=False)

    def _data(self) -> list[Any]:
        """The tables as they lie on the workers: sent once, however many calls use them, and again where lost."""
        for name in self.names:
            if name not in self.held or self.held[name].status != "finished":
                (self.held[name],) = self.client.scatter([self.tables[name]], broadcast=True, hash=False)
            self.held.move_to_end(name)
        while len(self.held) > max(KEPT_TABLES, len(self.names)):
            self.held.popitem(last=False)
        return [self.held[name] for name in self.names]

    def _result(self, future: Any, piece: tuple[int, int]) -> Outcome | None:
        """The outcome of a block, or None when it was lost with its worker."""
        try:
            part: Outcome = future.result()
        except (self.distributed.KilledWorker, CancelledError) as error:
            self.tried[piece] += 1
            if self.tried[piece] == ATTEMPTS:
                found = f"trials {piece[0]} to {piece[1] - 1} lost with their worker {ATTEMPTS} times"
                fix = "Look at the workers' logs: memory is the usual reason."
                raise RunError(message("cluster", found, "workers that live", fix)) from error
            return None
        if part.blocks is not None:
            whole = np.zeros((len(part.blocks), MAX_CELLS), part.blocks.dtype)
            whole[:, : part.blocks.shape[1]] = part.blocks
            part.blocks = whole
        return part


def _targets(recipe: Recipe, first: int, last: int) -> Targets:
    """Compute the targets of trials [first, last), which are whole cells."""
    tables = with_target(recipe, first, last).tables
    columns = [table.columns[FIRST_FEATURE] for table in tables]
    return Targets(columns, [k % len(recipe.assets) for k in range(first, last)])


def work(job: Job, tables: list[Table], rows: tuple[Any, Any], targets: Targets | None, blocks: bool) -> Outcome:
    """Simulate one block of trials; runs on a worker. Block summaries come back only as wide as they are full."""
    trials, params = rows
    if targets is not None:
        whole = [tables[a] for a in targets.tables]
        tables = [table.aimed(column) for table, column in zip(whole, targets.columns, strict=True)]
        trials = trials.copy()
        trials["dataset"] = np.arange(len(trials))
    outcome = simulate(replace(job, tables=tables, trials=trials, params=params), 0, len(trials), blocks)
    if outcome.blocks is not None:
        outcome.blocks = np.ascontiguousarray(outcome.blocks[:, : int(outcome.meta[:, 0].max(initial=1))])
    return outcome
