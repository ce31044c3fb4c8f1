"""Drives the compiled engine: lays out groups of trials, runs them, enlarges and flushes what the kernel asks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from kernelkit.errors import StrategyError
from kernelkit.kernels import layout as L
from kernelkit.kernels.block import header_of, slot_shifts, slots_of, template_block
from kernelkit.kernels.job import Job, Logs, Outcome, instruments_of, new_outcome
from kernelkit.kernels.rules import Rulebook
from kernelkit.kernels.tools import reads

# the engine's functions that do for several assets what others do for one (X10, X11, L7)
SIDE_BY_SIDE = {"guard": "guard_each", "walk": "walk_all", "finer": "finer_all"}
OFF_CELL = int(L.METRICS.fields["cell"][1])
SLICE_S = 0.02  # a kernel call should come back this often, so that an interrupt is felt
FIRST_SLICE = 1 << 17  # bars
TILE, LEAST_TILE = 4096, 256  # bars
PANEL_WORDS = 1 << 18  # indicators' values of one tile: 2 MiB stay in the cache
GROUP = 1024  # trials side by side, at most; about 40 KiB of state each, of which most are orders that few have
MOST_STATE = 64 << 20  # bytes of a group's blocks, about
GROUP_S = 0.5  # how long a group should take: its trials are done together
ENDLESS = 1 << 60  # the bar at which a run that may always go on would end
GROWTH = 8  # a group's size over that of the one before: later trials may be dearer


class Failed(Exception):
    """A trial stopped: status, bar, argument."""

    def __init__(self, status: int, i: int, argument: int) -> None:
        super().__init__(status, i, argument)
        self.status, self.i, self.argument = status, i, argument


class Stop(threading.Event):
    """Set it to make running trials come back, in the middle of a slice: after one trial's tile at most."""

    def __init__(self) -> None:
        super().__init__()
        self.word = np.zeros(1, "i8")

    def set(self) -> None:
        """Tell those that wait, and the kernels, which look at the word before each tile of a trial."""
        self.word[0] = 1
        super().set()


@dataclass
class Pace:
    """Bars a second of one thread, as its last slice has shown; the threads of a call share what they find."""

    speed: float = FIRST_SLICE / SLICE_S
    group: int = 0  # trials of the last group

    def show(self, bars: int, seconds: float) -> None:
        """A slice took so long. What comes next may be dearer: of a gain only the first is believed whole."""
        found = bars / max(seconds, 1e-9)
        self.speed = found if self.group == 0 else min(found, 2.0 * self.speed)

    def most(self, longest: int) -> int:
        """How many trials of that many bars the next group may have: the first shows what they take."""
        wanted = FIRST_SLICE / longest
        if self.group:
            wanted = min(GROWTH * self.group, GROUP_S * self.speed / longest)
        return max(1, int(min(GROUP, wanted)))


def nothing() -> None:
    """What uncompiled kernels have to check after a call."""


def compiled(unit: str) -> int:
    """Machine address of one of the engine's functions."""
    from kernelkit.kernels import compile as native

    return native.engine().unit(unit)


def units_of(job: Job) -> dict[str, str]:
    """The engine's functions that fill models, venues and the calendar need, by FRAME's fields.

    Orders besides those at the market bring their own.
    """
    fill_models = coded(job)
    guarded = any(v.backing.long for v in job.venues)
    shared = job.plan.shared
    apart = any(v.backing.isolated for v in job.venues)
    own = job.homes is not None and len(job.homes.cash) > 0
    need = {
        "close_out": (fill_models["close_out"] != L.KEEP).any(),
        "match": guarded
        or (fill_models["market"] != L.NEXT_OPEN).any()
        or (fill_models["path"] == L.FINER).any()
        or any(v.participation or v.limits & L.WAITS for v in job.venues),
        "walk": ((fill_models["path"] >= L.HIGH_FIRST) & (fill_models["path"] != L.FINER)).any(),
        "finer": (fill_models["path"] == L.FINER).any(),
        "happen": any(len(table.actions) for table in job.tables),
        "guard": apart if shared else guarded,
        "guard_all": shared and any(v.backing.long and not v.backing.isolated for v in job.venues),
        "judge": job.limits & L.JUDGED,
        "mark": own,
        "arrive": own,
    }
    names = {"mark": "mark_each"} | (SIDE_BY_SIDE if shared else {})
    return {unit: names.get(unit, unit) for unit, by in need.items() if by}


def coded(job: Job) -> np.ndarray:
    """A job's fill models as records; raises ValueError where the tables lack what one of them reads."""
    found = np.array([tuple(m) for m in job.fill_models], L.FILL_MODEL)
    for model in found[(found["path"] == L.FINER) | (found["market"] == L.NEXT_VWAP)]:
        for table in job.tables[int(job.plan.shared) :]:
            matched = table.finer if model["path"] == L.FINER else table
            if matched is None or (model["market"] == L.NEXT_VWAP and matched.vwap is None):
                raise ValueError("path=finer takes tables with finer ones, market=next_vwap some with a vwap")
    return found


class Session:
    """Tables laid out in memory for one thread, and the calls into the engine.

    With `python`, a binding such as `view.Python`, the same kernels run uncompiled, one trial and one bar at a time.
    Without `timed` orders carry no times, unless a cost model reads them: no log and no checkpoint will show any.
    """

    def __init__(self, job: Job, python: object | None = None, timed: bool = True) -> None:
        if job.trials["i0"].any():
            raise ValueError("trials must begin at bar 0: indicators look back from there")
        self.job, self.python = job, python
        self.template = template_block(job)
        self.state = np.zeros((0, 0), "u1")  # (trial, byte): the blocks of the group that is laid out
        self.larger: dict[int, np.ndarray] = {}  # in the place of those that needed more room
        self.blocks = np.zeros(0, "i8")  # where each of them lies
        self.group = (0, 0)  # its trials
        self.frame = np.zeros(1, L.FRAME)
        self.listen(Stop())
        self.model = np.zeros(1, L.MODEL)
        self.instruments = instruments_of(job.tables)
        self.call_from(job.called)
        self.venues = np.zeros(len(job.venues), L.VENUE)
        self.fill_models = coded(job)
        frame = self.frame
        if python is None:
            from kernelkit.kernels import compile as native

            if job.plan.uncompilable:
                raise StrategyError(job.plan.uncompilable)
            self.sweep: Callable[..., int] = native.engine().sweep
            self.check: Callable[[], None] = native.engine().check
            model = native.model
            addresses, self.kernels = native.strategy(job.text, job.plan.kinds, job.plan.shared)
            for field, unit in units_of(job).items():
                frame[field] = compiled(unit)
        else:
            self.sweep, model, addresses, self.kernels = python.bind()  # type: ignore[attr-defined]
            self.check = nothing
        for name, value in addresses.items():
            frame[name] = value
        self.rulebook, universe = Rulebook([v.rules for v in job.venues], job.hours), job.limits & L.UNIVERSE
        timed = timed or job.limits & L.WAITS != 0
        self.sizes = [np.array(v.sizes_of(job.n_asset), "f8") for v in job.venues]
        for k, (venue, v) in enumerate(zip(self.venues, job.venues, strict=True)):
            venue["rules"] = self.rulebook.address(k)
            backing = v.backing
            venue["initial"], venue["margin_fee"] = backing.initial, backing.fee
            venue["isolated"], venue["protected"] = backing.isolated, backing.protected
            for name, numbers in backing.tiers.items():
                venue[name] = numbers
            venue["cash_rule"], venue["band"], venue["rebates"] = v.cash_rule, v.band, v.rebates
            venue["participation"], venue["off_tick"] = v.participation, v.off_tick
            venue["limits"] = v.limits | universe
            venue["sizes"] = self.sizes[k].ctypes.data
            venue["fee"] = model(v.fee) if v.fee else 0
            venue["slippage"] = model(v.slippage) if v.slippage else 0
            for cost, text in (("fee", v.fee), ("slippage", v.slippage)):
                venue[f"{cost}_reads"] = sum(bit for name, bit in L.READS.items() if reads(text, name))
                timed = timed or reads(text, "time")
            venue["fee_slots"][: len(v.fee_slots)] = v.fee_slots
            venue["slippage_slots"][: len(v.slippage_slots)] = v.slippage_slots
        self.trials = np.ascontiguousarray(job.trials)
        self.params = np.ascontiguousarray(job.params)
        frame["model"], frame["measure"], frame["n_record"] = (
            self.model.ctypes.data,
            job.measure,
            job.n_record,
        )
        timed, frame["told"] = timed or job.plan.timed, job.plan.told
        frame["keeps"] = job.plan.told
        frame["timed"], frame["n_asset"], frame["shared"] = timed, job.n_asset, job.plan.shared
        self.scratch = np.zeros((L.SCRATCH, job.n_asset), "i8")
        frame["scratch"], frame["held"] = self.scratch.ctypes.data, self.scratch[L.HELD_AT :].ctypes.data
        frame["late"], frame["way"] = self.scratch[L.LATE_AT :].ctypes.data, self.scratch[L.WAY_AT :].ctypes.data
        if job.bars is not None:
            frame["bars"] = job.bars.ctypes.data
        if job.plan.shared and job.tables[0].finer is not None:
            self.fine = instruments_of([table.finer for table in job.tables if table.finer is not None])
            frame["fine"] = self.fine.ctypes.data
            if job.fine_bars is not None:
                frame["fine_bars"] = job.fine_bars.ctypes.data
        if job.homes is not None:
            frame["homes"], frame["n_venue"] = job.homes.pairs.ctypes.data, job.homes.n
            frame["own"] = len(job.homes.cash) > 0
            frame["purses"], frame["ways"] = job.homes.purses.ctypes.data, job.homes.ways.ctypes.data
        frame["instruments"], frame["venues"], frame["fill_models"] = (
            self.instruments.ctypes.data,
            self.venues.ctypes.data,
            self.fill_models.ctypes.data,
        )

    def listen(self, stop: Stop) -> None:
        """Let kernels come back when this is set."""
        self.stop = stop
        self.frame["halt"] = stop.word.ctypes.data

    @property
    def block(self) -> np.ndarray:
        """The state of the one trial that is laid out: the checkpoint."""
        return self.larger[0] if self.larger else self.state[0]

    def statuses(self) -> np.ndarray:
        """How each trial of the group stands, int64 (trial,)."""
        out = self.state[:, : L.HEADER.itemsize].view(L.HEADER)["status"][:, 0].copy()
        for k, block in self.larger.items():
            out[k] = header_of(block)["status"]
        return out

    @property
    def words(self) -> np.ndarray:
        """The strategy's words of each block of the group, int64 (trial, word)."""
        if self.larger:  # of the one trial that is laid out: groups are shared out before they run
            return slots_of(self.block)[None]
        header = header_of(self.template)
        start = int(header["off_strategy"])
        return self.state[:, start : start + 8 * int(header["n_slot"])].view("i8")

    def lay(self, first: int, last: int) -> None:
        """Lay out trials [first, last) as the group that runs, before its first bar."""
        header = header_of(self.template)
        begin, orders = int(header["off_strategy"]), int(header["off_orders"])
        shape = last - first, self.template.size
        if self.state.shape != shape:
            self.state = np.zeros(shape, "u1")
        # Orders and the blocks' summaries, which are written before they are read, stay as they are.
        told = orders + L.ORDER_BYTES * int(header["capacity"])  # nothing lies there where no hook is told anything
        for part in (
            slice(0, int(header["off_metrics"]) + OFF_CELL),
            slice(begin, orders),
            slice(told, told + L.EVENTS_BYTES),
        ):
            self.state[:, part] = self.template[part]
        self.state[:, : L.HEADER.itemsize].view(L.HEADER)["status"] = L.PAUSED
        self.larger, self.blocks = {}, self.state.ctypes.data + shape[1] * np.arange(shape[0])
        self.words[:, : self.params.shape[1]] = self.params[first:last]
        self.group = first, last
        self.share()
        self.frame["last"] = self.frame["refreshed"] = 0

    def share(self) -> None:
        """Find the indicators of the group, each once for all trials whose data set and arguments are the same.

        The first of those trials lends its slot; where its values lie is written into the slots of all.
        """
        plan, (first, last) = self.job.plan, self.group
        datasets, words = self.trials["dataset"][first:last], self.words
        names = list(plan.params)
        owners: list[np.ndarray] = []  # of each indicator, by site: its first trial
        uses: list[np.ndarray] = []  # of each trial: its indicator
        for site in plan.sites:
            used = [names.index(a) for a in site.arguments if a in names]
            if last - first == 1:
                owner = use = np.zeros(1, "i8")
            else:
                keys = np.column_stack([datasets, self.params[first:last][:, used]])
                _, owner, use = np.unique(keys, axis=0, return_index=True, return_inverse=True)
            owners.append(owner)
            uses.append(use.reshape(-1) + sum(len(o) for o in owners[:-1]))
        self.owners = np.concatenate([*owners, np.zeros(0, "i8")])
        assets = self.job.n_asset
        self.owners = np.repeat(self.owners, assets)
        count = len(self.owners)
        width = self.tile(count)
        # A row begins with the last two values before the tile; kernels write in fours. Of a higher timeframe one bar
        # more than a tile has may close in it.
        row = 2 + -(-(width + bool(plan.timeframes)) // 4) * 4
        self.panel = np.zeros((count, row))
        self.rows = rows = np.zeros(count, L.ROW)
        rows["asset"] = np.tile(np.arange(assets), count // assets)
        instrument = datasets[self.owners] + (1 + rows["asset"] if self.job.plan.shared else 0)
        rows["instrument"] = self.instruments.ctypes.data + L.INSTRUMENT_BYTES * instrument
        rows["out"] = self.panel.ctypes.data + 8 * row * np.arange(count) + 16
        shifts = slot_shifts(self.job)
        self.sites, self.own, at = np.zeros(count, "i8"), np.zeros(count, bool), 0
        kept = int(header_of(self.template)["n_slot"]) - assets * len(plan.keeping)  # where the values but one begin
        self.before = np.full(count, -1)
        for k, (site, owner, use) in enumerate(zip(plan.sites, owners, uses, strict=True)):
            words[:, site.slot + 1] = 8 * row * assets * use
            owner = np.repeat(owner, assets)
            mine, at = rows[at : at + len(owner)], at + len(owner)
            mine["kernel"], mine["column"] = self.kernels[k], site.column
            self.sites[at - len(owner) : at] = site.slot + shifts[mine["asset"]]
            self.own[at - len(owner) : at] = site.custom != ""
            if site in plan.keeping:
                self.before[at - len(owner) : at] = kept + assets * plan.keeping.index(site) + mine["asset"]
            if site.timeframe >= 0:
                its = self.instruments["higher"][instrument[at - len(owner) : at]]
                mine["instrument"] = its + L.INSTRUMENT_BYTES * site.timeframe
            if not site.custom:
                (n,) = site.arguments
                mine["n"] = words[owner, names.index(n)] if n in names else int(n)
        self.locate()
        self.frame["values"], self.frame["width"] = self.panel.ctypes.data, width
        self.frame["row_bytes"] = 8 * row
        self.frame["rows"], self.frame["n_rows"] = rows.ctypes.data, count

    def tile(self, count: int) -> int:
        """How many bars of so many indicators are computed before trials run over them."""
        if self.python:
            return 1
        return max(LEAST_TILE, min(TILE // max(1, self.job.n_asset // 8), PANEL_WORDS // max(1, count)))

    def locate(self) -> None:
        """Tell the indicators where their slots are: in the blocks of the trials that lend them."""
        words = self.blocks[self.owners] + int(header_of(self.template)["off_strategy"])
        self.rows["slot"] = words + 8 * self.sites
        self.rows["n"][self.own] = words[self.own]
        self.rows["before"] = np.where(self.before >= 0, words + 8 * self.before, 0)

    def call_from(self, called: np.ndarray | None) -> None:
        """X9: call the strategy of each asset from this one of its bars on, int64 (asset,)."""
        if called is not None:
            self.instruments["called"][1 : 1 + self.job.n_asset] = called

    def lengthen(self, job: Job) -> None:
        """Go on over the tables of ``job``, which begin as its own do and have no higher timeframes."""
        self.job = job
        self.instruments[:] = instruments_of(job.tables)

    def restore(self, block: np.ndarray) -> None:
        """Go on with trial 0 where the session that `block` comes from has stopped."""
        self.lay(0, 1)
        self.put(0, block)
        self.share()
        self.frame["last"] = int(header_of(block)["i"])

    def running(self) -> tuple[np.ndarray, np.ndarray, int]:
        """Of the trials that run: where their blocks lie, what they are, and where their outcomes begin."""
        first, last = self.group
        return self.blocks, self.trials[first:last], first

    def call(self, outcome: Outcome, until: int) -> None:
        """Bring the group to bar `until`, with room for all that it asks for."""
        while True:
            blocks, trials, first = self.running()
            status = self.sweep(
                self.frame.ctypes.data,
                blocks.ctypes.data,
                trials.ctypes.data,
                outcome.headline[first:].ctypes.data,
                0 if outcome.blocks is None else outcome.blocks[first:].ctypes.data,
                outcome.meta[first:].ctypes.data,
                len(blocks),
                until,
            )
            self.check()
            if status == L.GROW:
                self.grow()
            elif status == L.FLUSH:
                self.flush()
            elif status == L.LOAD:
                self.frame["match"] = compiled("match")
            else:
                return

    def advance(self, until: int) -> None:
        """Bring trial 0 to bar `until` without ending it; its `i1` must lie beyond. The block is then the checkpoint.

        Raises Failed when the strategy, an order or a model stops it.
        """
        if self.group == (0, 0):
            self.lay(0, 1)
        outcome = new_outcome(1, False)
        while (at := int(header_of(self.block)["i"])) < until:
            self.call(outcome, min(until, at + FIRST_SLICE))
            status = int(header_of(self.block)["status"])
            if status != L.PAUSED:
                raise Failed(status, int(outcome.meta[0, 0]), int(outcome.meta[0, 1]))

    def ended(self, at: int) -> Outcome:
        """The outcome if the data ended before bar `at`, computed on a copy: the session can go on."""
        outcome, block, trials = new_outcome(1, True), self.block, self.trials
        self.trials = trials.copy()  # the job's own are never written
        self.trials["i1"] = at
        self.put(0, block.copy())
        try:
            self.call(outcome, at)
        finally:
            self.trials = trials
            self.put(0, block)
        outcome.done[:] = True
        return outcome

    def put(self, k: int, block: np.ndarray) -> None:
        """Let this be the state of trial `k` of the group."""
        self.larger[k], self.blocks[k] = block, block.ctypes.data
        self.locate()

    def grow(self) -> None:
        """Twice the room for the trial that has asked: for orders, or, where those have enough, for events."""
        k = int(np.flatnonzero(self.blocks == self.frame["state"][0])[0])
        block = self.larger.get(k, self.state[k])
        h = header_of(block)
        capacity, events = int(h["capacity"]), 0
        if capacity - int(h["n_live"]) < L.SLOTS + 4 * (int(h["n_asset"]) - 1):
            capacity *= 2
        else:
            at = int(h["off_orders"]) + L.ORDER_BYTES * capacity
            events = 2 * int(block[at : at + L.EVENTS_BYTES].view(L.EVENTS)["most"][0])
        self.put(k, L.grown(block, capacity, events))

    def flush(self) -> None:
        """Make room in the logs; this session has none, so being asked is a defect."""
        raise RuntimeError("a log is full, but this run keeps no logs")

    def run(
        self,
        outcome: Outcome,
        first: int,
        last: int,
        stop: Stop | None = None,
        tick: Callable[[int], None] | None = None,
        pace: Pace | None = None,
    ) -> None:
        """Run trials [first, last), group by group, in slices of about SLICE_S; `tick` hears how many have ended."""
        own = self.trials[first:last]
        longest = max(1, int((own["i1"] - own["trade_from"]).max()))  # before that it is not called
        pace = pace or Pace()
        each = self.template.size  # bytes of a trial
        at = first
        while at < last and not (stop is not None and stop.is_set()):
            most = 1 if self.python else max(1, min(pace.most(longest), MOST_STATE // each))
            self.lay(at, min(at + most, last))
            self.finish(outcome, pace, stop, tick)
            pace.group = max(pace.group, self.group[1] - self.group[0])
            each = self.template.size + sum(b.size for b in self.larger.values()) // len(self.blocks)
            at = self.group[1]

    def finish(self, outcome: Outcome, pace: Pace, stop: Stop | None, tick: Callable[[int], None] | None) -> None:
        """Run the group to its end."""
        first, last = self.group
        end, width = int(self.trials["i1"][first:last].max()), int(self.frame["width"][0])
        self.listen(stop or self.stop)
        until = done = 0
        while until < end and not (stop is not None and stop.is_set()):
            before, tiles = until, int(pace.speed * SLICE_S / ((last - first) * width))
            until = min(end, until + max(1, tiles) * width)
            began = time.perf_counter()
            self.call(outcome, until)
            pace.show((until - before) * (last - first), time.perf_counter() - began)
            status = self.statuses()
            ended = int((status != L.PAUSED).sum())  # one that failed has, too
            if tick is not None:
                tick(ended - done)
            done = ended
            if (status != L.PAUSED).all():
                break
        status = self.statuses()
        outcome.done[first:last] = status == L.DONE
        for k in np.flatnonzero((status != L.DONE) & (status != L.PAUSED)):
            i, argument = (int(x) for x in outcome.meta[first + k, :2])
            outcome.errors[first + int(k)] = int(status[k]), i, argument
            outcome.meta[first + k] = 0


class Recorder(Session):
    """A session that logs: for one trial, everything it did up to its end, or to bar `last` where it has none."""

    ROWS = 4096

    def __init__(
        self, job: Job, trial: int, step: int = 1, python: object | None = None, last: int | None = None
    ) -> None:
        one = replace(job, trials=job.trials[trial : trial + 1], params=job.params[trial : trial + 1])
        super().__init__(one, python)
        row = self.trials[0]
        end = int(row["i1"]) if last is None else last
        n = (end - int(row["trade_from"]) + step - 1) // step
        self.buffers = {
            "fills": np.zeros(self.ROWS, L.FILL),
            "ended": np.zeros(self.ROWS, L.ORDER),
            "trades": np.zeros(self.ROWS, L.TRADE),
            "happened": np.zeros(self.ROWS, L.HAPPENED),
            "changes": np.zeros(self.ROWS, L.CHANGE),
            "breaches": np.zeros(self.ROWS if job.limits & L.JUDGED else 0, L.BREACH),
        }
        self.kept: dict[str, list[np.ndarray]] = {name: [] for name in self.buffers}
        self.curves = np.full((n, 2 + job.n_asset + 2 * (len(job.homes.cash) if job.homes else 0)), np.nan)
        self.records = np.full((n, max(1, job.n_record)), np.nan)
        frame = self.frame
        frame["logging"] = frame["keeps"] = 1
        for name, buffer in self.buffers.items():
            frame[name], frame[f"cap_{name}"] = buffer.ctypes.data, len(buffer)
        frame["curve"], frame["curve_0"], frame["curve_step"] = self.curves.ctypes.data, int(row["trade_from"]), step
        if python is None:
            frame["log"] = compiled("log_curve")
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
        return self.logs()

    def logs(self) -> Logs:
        """What was done so far; the next ones begin empty."""
        self.flush()
        joined = {name: np.concatenate(parts) for name, parts in self.kept.items()}
        return Logs(
            joined["fills"],
            joined["ended"],
            joined["trades"],
            self.curves,
            self.records[:, : self.job.n_record],
            joined["happened"],
            joined["breaches"],
            joined["changes"],
        )


def prepare(job: Job) -> None:
    """Compile, or load, what a job needs, so that no trial's time contains it."""
    from kernelkit.kernels import compile as native

    if job.plan.uncompilable:
        raise StrategyError(job.plan.uncompilable)
    native.strategy(job.text, job.plan.kinds, job.plan.shared)
    for unit in units_of(job).values():
        compiled(unit)
    for text in {t for v in job.venues for t in (v.fee, v.slippage) if t}:
        native.model(text)


def simulate(
    job: Job,
    first: int,
    last: int,
    blocks: bool = True,
    stop: Stop | None = None,
    tick: Callable[[int], None] | None = None,
    pace: Pace | None = None,
) -> Outcome:
    """Trials [first, last) of a job, on this thread; the outcome's rows count from `first`."""
    part = replace(job, trials=job.trials[first:last], params=job.params[first:last])
    outcome = new_outcome(last - first, blocks)
    Session(part, timed=False).run(outcome, 0, last - first, stop, tick, pace)
    return outcome
