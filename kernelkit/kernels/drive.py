"""Drives the compiled engine: lays out the tables of a job, runs trials, enlarges and flushes what the kernel asks.

A `Job` is plain data (arrays, text and numbers): the same object runs on a thread, in another process or on a cluster.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise

import numpy as np

from kernelkit.errors import StrategyError
from kernelkit.kernels import layout as L
from kernelkit.kernels.plan import Plan, Ring
from kernelkit.kernels.tools import reads_volume

CAPACITY = 2 * L.RESERVE
SLICE_S = 0.02  # a kernel call should come back this often, so that an interrupt is felt
FIRST_SLICE = 1 << 17  # bars


@dataclass(frozen=True)
class Table:
    """The columns of one asset as the kernel reads them, with its instrument.

    Columns are contiguous, 8 bytes an item, in the order of layout.COLUMNS; features follow, value and age in turn.
    """

    columns: tuple[np.ndarray, ...]
    inverse: int
    tick: float
    lot: float
    multiplier: float
    periods: float

    @property
    def n_bars(self) -> int:
        """Bars loaded."""
        return len(self.columns[0])

    @property
    def instrument(self) -> tuple[int, float, float, float, float]:
        """What its prices and quantities are counted in, and how its metrics are annualised."""
        return self.inverse, self.tick, self.lot, self.multiplier, self.periods

    @cached_property
    def most_ticks(self) -> int:
        """The highest price."""
        return int(self.columns[L.C_HIGH].max())

    @cached_property
    def digest(self) -> str:
        """Hash of all that a run over it can read."""
        return self.digest_of(self.n_bars)

    def digest_of(self, stop: int) -> str:
        """Hash of all that a run over the first `stop` bars can read."""
        found = hashlib.sha256(repr(self.instrument).encode())
        for k, c in enumerate(self.columns):
            if not L.C_OPEN_P <= k <= L.C_CLOSE_P:  # these are the ticks once more
                found.update(c[:stop].tobytes())
        return found.hexdigest()


@dataclass(frozen=True)
class Costs:
    """A venue as the kernel sees it: texts of its models (None: free), their parameters, cash rule and band.

    `rebates` is False where the fee is known never to be negative.
    """

    fee: str | None = None
    fee_slots: tuple[float, ...] = ()
    slippage: str | None = None
    slippage_slots: tuple[float, ...] = ()
    cash_rule: int = 0
    band: float = 0.005
    rebates: bool = False


@dataclass
class Job:
    """Everything that a set of trials needs."""

    text: str
    plan: Plan
    tables: list[Table]
    venues: list[Costs]
    fill_models: list[list[int]]
    trials: np.ndarray
    params: np.ndarray
    measure: bool = True
    custom_state: list[tuple[int, object]] = field(default_factory=list)
    # by site, where later parameters may need more than these trials do
    ring_sizes: dict[int, int] = field(default_factory=dict)


@dataclass
class Outcome:
    """What trials came to: headline (trial, metric), block summaries (trial, cell) or None, errors by trial.

    meta is (trial, [cells, level, ruined]), int64; an error is (status, bar, argument).
    """

    headline: np.ndarray
    blocks: np.ndarray | None
    meta: np.ndarray
    done: np.ndarray
    errors: dict[int, tuple[int, int, int]]

    def take(self, first: int, part: Outcome) -> None:
        """Write the outcome of the trials from `first` on into this one."""
        rows = slice(first, first + len(part.done))
        self.headline[rows], self.meta[rows], self.done[rows] = part.headline, part.meta, part.done
        if self.blocks is not None and part.blocks is not None:
            self.blocks[rows] = part.blocks
        self.errors.update({first + k: e for k, e in part.errors.items()})


@dataclass
class Logs:
    """What one trial did: fills, ended orders and trades (records of layout), curves and own records.

    Curves are (bar, [equity, cash, position]), records (bar, name), both float64 from the first decision on.
    """

    fills: np.ndarray
    orders: np.ndarray
    trades: np.ndarray
    curves: np.ndarray
    records: np.ndarray


class Failed(Exception):
    """A trial stopped: status, bar, argument."""

    def __init__(self, status: int, i: int, argument: int) -> None:
        super().__init__(status, i, argument)
        self.status, self.i, self.argument = status, i, argument


class Stop(threading.Event):
    """Set it to make running trials come back."""


def pointers(table: Table) -> np.ndarray:
    """(address, stride) of every column; the loop over bars takes the stride to be 8 bytes.

    Raises ValueError for another stride.
    """
    out = np.empty((len(table.columns), 2), "i8")
    for k, c in enumerate(table.columns):
        out[k] = c.ctypes.data, c.strides[0]
    if (out[:, 1] != 8).any():
        raise ValueError("the loop over bars takes contiguous columns")
    return out


def template_block(job: Job, capacity: int = CAPACITY) -> np.ndarray:
    """A state block as every trial begins: declared state, scratch rings, nothing else."""
    plan = job.plan
    rings = {s.slot: ring_length(job, k) for k, s in enumerate(plan.sites) if s.rolling.ring}
    n_slot = plan.words + 2 * sum(rings.values())
    block = L.new_block(1, capacity, n_slot)
    words = slots_of(block)
    for name, value in plan.state.items():
        if not isinstance(value, Ring):
            words[plan.places[name]] = np.float64(value).view("i8") if isinstance(value, float) else int(value)
    for slot, value in job.custom_state:
        words[slot] = np.float64(value).view("i8") if isinstance(value, float) else int(value)
    nan = np.float64("nan").view("i8")
    at = plan.words
    for site in plan.sites:
        words[site.slot] = words[site.slot + 1] = nan
        if site.rolling.ring:
            words[site.slot + 2] = 8 * (at - site.slot)
            at += 2 * rings[site.slot]
    return block


def ring_length(job: Job, k: int) -> int:
    """The largest window that any trial binds to indicator `k`."""
    if k in job.ring_sizes:
        return job.ring_sizes[k]
    text = job.plan.sites[k].arguments[0]
    if text in job.plan.params:
        column = job.params[:, list(job.plan.params).index(text)]
        return int(column.max())
    return int(text)


def slots_of(block: np.ndarray) -> np.ndarray:
    """The strategy's words of a block, as int64."""
    header = header_of(block)
    start = int(header["off_strategy"])
    return block[start : start + 8 * int(header["n_slot"])].view("i8")


def header_of(block: np.ndarray) -> np.void:
    """A block's header record."""
    return block[: L.HEADER.itemsize].view(L.HEADER)[0]


class Session:
    """Tables laid out in memory for one thread, and the calls into the engine.

    With `python`, a binding such as `view.Python`, the same kernels run uncompiled.
    """

    def __init__(self, job: Job, python: object | None = None) -> None:
        if job.trials["i0"].any():
            raise ValueError("trials must begin at bar 0: indicators look back from there")
        self.job = job
        self.block = template_block(job)
        self.template = self.block.copy()
        self.frame = np.zeros(1, L.FRAME)
        self.model = np.zeros(1, L.MODEL)
        self.keep: list[np.ndarray] = []
        self.instruments = instruments = np.zeros(len(job.tables), L.INSTRUMENT)
        for k, t in enumerate(job.tables):
            columns = pointers(t)
            self.keep.append(columns)
            instruments[k] = (
                columns.ctypes.data,
                t.n_bars,
                t.inverse,
                t.tick,
                t.lot,
                t.multiplier,
                t.lot * t.multiplier,
                t.periods,
            )
        venues = np.zeros(len(job.venues), L.VENUE)
        if python is None:
            from kernelkit.kernels import compile as native

            if job.plan.uncompilable:
                raise StrategyError(job.plan.uncompilable)
            self.sweep: Callable[..., int]
            self.sweep = native.engine().sweep
            self.frame["act"] = native.address(native.engine().enter_orders)
            self.entry = native.entry(job.text, "strategy")

            def model_entry(text: str | None) -> int:
                return native.entry(text, "model") if text else 0
        else:
            self.sweep, self.entry, model_entry = python.bind(self)  # type: ignore[attr-defined]
        for k, v in enumerate(job.venues):
            venues[k]["cash_rule"], venues[k]["band"] = v.cash_rule, v.band
            venues[k]["fee"], venues[k]["slippage"] = model_entry(v.fee), model_entry(v.slippage)
            venues[k]["rebates"] = v.rebates
            venues[k]["fee_reads_volume"] = reads_volume(v.fee)
            venues[k]["slippage_reads_volume"] = reads_volume(v.slippage)
            venues[k]["fee_slots"][: len(v.fee_slots)] = v.fee_slots
            venues[k]["slippage_slots"][: len(v.slippage_slots)] = v.slippage_slots
        models = np.array([tuple(m) for m in job.fill_models], L.FILL_MODEL)
        self.keep += [venues, models]
        self.tables = np.array([instruments.ctypes.data, venues.ctypes.data, models.ctypes.data], "i8")
        self.trials = np.ascontiguousarray(job.trials)
        self.params = np.ascontiguousarray(job.params)
        self.frame["model"] = self.model.ctypes.data
        self.frame["measure"] = job.measure
        self.frame["n_record"] = len(job.plan.records)

    def call(self, outcome: Outcome, first: int, last: int, budget: int) -> int:
        """One kernel call over trials [first, last)."""
        blocks = outcome.blocks.ctypes.data if outcome.blocks is not None else 0
        return int(
            self.sweep(
                self.frame.ctypes.data,
                self.entry,
                self.block.ctypes.data,
                self.template.ctypes.data,
                self.trials.ctypes.data,
                self.params.ctypes.data,
                self.params.shape[1],
                self.tables.ctypes.data,
                outcome.headline.ctypes.data,
                blocks,
                outcome.meta.ctypes.data,
                first,
                last,
                budget,
            )
        )

    def advance(self, until: int) -> None:
        """Bring trial 0 to bar `until` without ending it; its `i1` must lie beyond. The block is then the checkpoint.

        Raises Failed when the strategy, an order or a model stops it.
        """
        outcome = new_outcome(1, False)
        if not int(self.frame[0]["resume"]):
            self.call(outcome, 0, 1, 0)  # lays the trial out and stops before its first bar
        while (left := until - int(header_of(self.block)["i"])) > 0:
            if self.call(outcome, 0, 1, min(left, FIRST_SLICE)) < 0:
                status = int(header_of(self.block)["status"])
                if status != L.GROW:
                    raise Failed(status, int(self.frame[0]["i"]), int(self.frame[0]["error_arg"]))
                self.grow()

    def ended(self, at: int) -> Outcome:
        """The outcome if the data ended before bar `at`, computed on a copy: the session can go on."""
        outcome, block, trials = new_outcome(1, True), self.block, self.trials
        self.block, self.trials = block.copy(), trials.copy()  # the job's own trials are never written
        self.trials["i1"] = at
        self.call(outcome, 0, 1, 1)
        self.block, self.trials = block, trials
        self.frame["resume"] = 1
        outcome.done[:] = True
        return outcome

    def act(self, verb: int, *numbers: float) -> int:
        """One order between two bars, as if decided at the last bar: what a walk-forward switch does."""
        from kernelkit.kernels import compile as native

        return int(
            native.engine().enter_orders.ctypes(self.frame.ctypes.data, verb, 0, *numbers, *[0.0] * (6 - len(numbers)))
        )

    def grow(self) -> None:
        """Twice the room for orders."""
        capacity = 2 * int(header_of(self.block)["capacity"])
        self.block = L.grown(self.block, capacity)
        self.template = L.grown(self.template, capacity)

    def run(
        self,
        outcome: Outcome,
        first: int,
        last: int,
        stop: Stop | None = None,
        tick: Callable[[int], None] | None = None,
    ) -> None:
        """Run trials [first, last), in slices of about SLICE_S."""
        budget = FIRST_SLICE
        k = first
        while k < last and not (stop is not None and stop.is_set()):
            began = time.perf_counter()
            result = self.call(outcome, k, last, budget)
            took = time.perf_counter() - began
            status = int(header_of(self.block)["status"])
            reached = -1 - result if result < 0 else result
            outcome.done[k:reached] = True
            if tick is not None:
                tick(reached - k)
            k = reached
            if result < 0:
                if status == L.GROW:
                    self.grow()
                elif status == L.FLUSH:
                    self.flush()
                else:
                    outcome.errors[k] = (status, int(self.frame[0]["i"]), int(self.frame[0]["error_arg"]))
                    outcome.headline[k] = np.nan
                    self.frame["resume"] = 0
                    self.frame["error"] = 0
                    k += 1
            elif took < SLICE_S / 2:
                budget = min(budget * 2, 1 << 40)
            elif took > SLICE_S * 2:
                budget = max(budget // 2, 1 << 10)

    def flush(self) -> None:
        """Make room in the logs; this session has none, so being asked is a defect."""
        raise RuntimeError("a log is full, but this run keeps no logs")


def new_outcome(n: int, blocks: bool) -> Outcome:
    """Room for the results of `n` trials, NaN until they are done.

    >>> new_outcome(2, False).headline.shape == (2, len(L.HEADLINE))
    True
    """
    headline = np.full((n, len(L.HEADLINE)), np.nan)
    return Outcome(
        headline, np.zeros((n, L.MAX_CELLS), L.NODE) if blocks else None, np.zeros((n, 3), "i8"), np.zeros(n, bool), {}
    )


class Recorder(Session):
    """A session that logs: for one trial, everything it did."""

    ROWS = 4096

    def __init__(self, job: Job, trial: int, step: int = 1, python: object | None = None) -> None:
        one = replace(job, trials=job.trials[trial : trial + 1], params=job.params[trial : trial + 1])
        super().__init__(one, python)
        row = self.trials[0]
        n = (int(row["i1"]) - int(row["trade_from"]) + step - 1) // step
        self.buffers = {
            "fills": np.zeros(self.ROWS, L.FILL),
            "ended": np.zeros(self.ROWS, L.ORDER),
            "trades": np.zeros(self.ROWS, L.TRADE),
        }
        self.kept: dict[str, list[np.ndarray]] = {"fills": [], "ended": [], "trades": []}
        self.curves = np.full((n, len(L.CURVES)), np.nan)
        self.records = np.full((n, max(1, len(job.plan.records))), np.nan)
        frame = self.frame
        frame["logging"] = 1
        for name, buffer in self.buffers.items():
            frame[name], frame[f"cap_{name}"] = buffer.ctypes.data, len(buffer)
        frame["curve"], frame["curve_0"], frame["curve_step"] = self.curves.ctypes.data, int(row["trade_from"]), step
        frame["records"] = self.records.ctypes.data if job.plan.records else 0
        self.outcome = new_outcome(1, True)

    def flush(self) -> None:
        """Move the kernel's logs out and give it empty ones; larger ones when a single bar needs them."""
        moved = 0
        for name, buffer in self.buffers.items():
            n = int(self.frame[f"n_{name}"][0])
            self.kept[name].append(buffer[:n].copy())
            self.frame[f"n_{name}"] = 0
            moved += n
        if moved == 0:
            for name in self.buffers:
                self.buffers[name] = np.zeros(2 * len(self.buffers[name]), self.buffers[name].dtype)
                self.frame[name], self.frame[f"cap_{name}"] = self.buffers[name].ctypes.data, len(self.buffers[name])

    def all(self) -> Logs:
        """Run to the end and hand over the logs."""
        self.run(self.outcome, 0, 1)
        self.flush()
        joined = {name: np.concatenate(parts) for name, parts in self.kept.items()}
        return Logs(
            joined["fills"],
            joined["ended"],
            joined["trades"],
            self.curves,
            self.records[:, : len(self.job.plan.records)],
        )


def spread(n: int, workers: int, least: int = 1, each: int = 4) -> Sequence[tuple[int, int]]:
    """`n` trials in contiguous pieces of `least` or more: `each` for a worker, so that they finish together.

    >>> spread(10, 1, 3)
    [(0, 3), (3, 6), (6, 10)]
    """
    pieces = max(1, min(each * workers, n // max(1, least)))
    edges = [n * k // pieces for k in range(pieces + 1)]
    return [(a, b) for a, b in pairwise(edges) if b > a]
