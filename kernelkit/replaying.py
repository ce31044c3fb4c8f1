"""One order's life run again: compiled from bar to bar, in Python where something happens to the order."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from kernelkit.kernels import layout as L
from kernelkit.kernels.block import header_of
from kernelkit.kernels.job import Job, new_outcome
from kernelkit.kernels.session import Session
from kernelkit.kernels.switching import advance, switch
from kernelkit.view import binding
from kernelkit.witness import Heard, Witness

FIELDS = tuple(L.ORDER.names or ())
MOST = 400  # bars of one order that are run in Python: each takes some milliseconds


@dataclass
class Life:
    """What was heard of one order, by bar of the trial; ``quiet`` are the bars in which its price was not reached."""

    witness: Witness
    events: list[tuple[int, Heard]] = field(default_factory=list)
    born: int = -1
    last: int = -1
    quiet: list[int] = field(default_factory=list)
    unheard: int = 0  # bars beyond MOST
    state: np.ndarray | None = None  # after the decision that submitted it


@dataclass
class Replay:
    """A trial's job, to be run again around one of its orders; ``final`` is what the log says of that in the end."""

    recipe: Any
    job: Job  # of one trial
    final: Any

    def live(self) -> Life:
        """Run it from the order's submission to its end."""
        life = Life(Witness(int(self.final["id"])))
        python = uncompiled(self.recipe, self.job)
        own = binding(self.recipe, self.job, None) if self.recipe.python is None else self.recipe.python(self.job)
        try:
            self.stepper, self.slow = Session(self.job, python), Session(self.job, own)
            self._birth(life)
            if self.alive(self.stepper.block, life.witness.id) is not None:
                self._walk(life)
        finally:
            own.close()
            if python is not None:
                python.close()
        return life

    @property
    def end(self) -> int:
        """The bar after the trial's last."""
        return int(self.job.trials[0]["i1"])

    @property
    def clock(self) -> tuple[np.ndarray, np.ndarray]:
        """When the trial's bars open and when they are known, ns."""
        columns = self.job.tables[int(self.job.trials[0]["dataset"])].columns
        return columns[L.C_OPEN_AT], columns[L.C_KNOWN_AT]

    def alive(self, block: np.ndarray, number: int) -> Any:
        """The record of a live order in a state block, None where it is not."""
        found = [o for o in live_orders(block) if int(o["id"]) == number]
        return found[0] if found else None

    def _step(self, bar: int) -> None:
        advance(self.stepper, bar, self.recipe.switches)

    def _birth(self, life: Life) -> None:
        """Find the bar at which it was submitted: times alone may fit the bar after, too (F9)."""
        begin = int(self.job.trials[0]["trade_from"])
        bar = max(begin, int(np.searchsorted(self.clock[1], int(self.final["t_submit"]))))
        while True:
            if bar > 0:
                self._step(bar)
            elif self.stepper.group == (0, 0):
                self.stepper.lay(0, 1)
            before = self.stepper.block.copy()
            self._listen(life, before, bar)
            if life.witness.asked is not None or bar >= self.end - 1:
                break
            bar += 1
        life.born = life.last = bar
        life.state = self.slow.block.copy()
        if bar < self.end - 1:
            self._step(bar + 1)

    def _walk(self, life: Life) -> None:
        """From the bar after that on, until it is no longer live."""
        number = life.witness.id
        bar = life.born + 1
        while True:
            block = self.stepper.block.copy()
            record = self.alive(block, number)
            bar = self._next(record, bar, life)
            if bar > int(header_of(block)["i"]):
                self._step(bar)
                block = self.stepper.block.copy()
                record = self.alive(block, number)
                if record is None:  # O16 or O9 came in between
                    raise RuntimeError("an order ended in a bar that was passed over")
            last = bar == self.end - 1
            after = None
            if not last:
                self._step(bar + 1)
                after = self.alive(self.stepper.block, number)
            if last or after is None or self._matters(record, after, bar):
                self._listen(life, block, bar)
            else:
                life.quiet.append(bar)
            life.last = bar
            if last or after is None:
                return
            bar += 1

    def _next(self, record: Any, bar: int, life: Life) -> int:
        """The next bar that must be looked at: bars that do not reach a resting order's price need not."""
        if self.recipe.shared or int(record["touch_lo"]) == L.FAR or int(self.final["t_replace"]) != 0:
            return bar
        columns = self.job.tables[int(self.job.trials[0]["dataset"])].columns
        stop = min(int(np.searchsorted(self.clock[1], int(self.final["t_end"]))), self.end - 1)
        if record["marks"] & L.WAITING:
            stop = min(stop, int(np.searchsorted(self.clock[1], max(1, int(self.final["t_active"])))))
        stop = max(bar, stop)
        low, high = columns[L.C_LOW][bar:stop], columns[L.C_HIGH][bar:stop]
        lo, hi = int(record["touch_lo"]) + 1, int(record["touch_hi"]) - 1  # a tick earlier: F5's `through` is told
        reached = np.flatnonzero((low <= lo) | (high >= hi) | self.down(int(record["asset"]), bar, stop))
        found = bar + int(reached[0]) if reached.size else stop
        life.quiet += range(bar, found)
        return found

    def down(self, asset: int, bar: int, stop: int) -> np.ndarray:
        """Whether the venue is down when it hears what each of these bars decides (H2, H5)."""
        known = self.clock[1][bar:stop]
        rules = self.job.venue_of(self.job.trials[0], asset).rules
        if rules is None or not rules.outages:
            return np.zeros(len(known), bool)
        known = known + rules.latency
        starts, ends, _ = np.array(rules.outages).T
        k = np.searchsorted(starts, known, side="right") - 1
        return np.asarray((k >= 0) & (known < ends[np.maximum(k, 0)]))

    def _matters(self, before: Any, after: Any, bar: int) -> bool:
        """Whether a bar that the order has survived did something to it, or reached its price."""
        names = [n for n in FIELDS if n not in ("touch_lo", "touch_hi", "session", "marks")]
        if any(before[n] != after[n] for n in names):
            return True
        if self.down(int(before["asset"]), bar, bar + 1).any():
            return True
        seen = L.SEEN | L.FRESH | L.SHOWN
        if int(before["marks"]) & ~seen != int(after["marks"]) & ~seen or before["marks"] & L.WAITING:
            return int(before["marks"]) & ~seen != int(after["marks"]) & ~seen
        return self.reached(before, bar)

    def reached(self, order: Any, bar: int) -> bool:
        """Whether a bar reaches what the order waits for, as far as prices go: an order at the market always."""
        if order["t_active"] >= self.clock[1][bar]:  # T2: not even the last of its finer bars
            return False
        if self.recipe.shared or order["kind"] == L.MARKET or order["tif"] >= L.IOC or not order["marks"] & L.SEEN:
            return True
        columns = self.job.tables[int(self.job.trials[0]["dataset"])].columns
        low, high = int(columns[L.C_LOW][bar]), int(columns[L.C_HIGH][bar])
        triggered, buy = bool(order["marks"] & L.TRIGGERED), order["lots"] > 0
        limit = order["kind"] == L.LIMIT or (triggered and order["price"] > 0)
        if triggered and not limit:
            return True
        touched = order["kind"] in (L.MARKET_TOUCHED, L.LIMIT_TOUCHED) and not triggered
        level = int(order["price"] if limit else order["trigger"])
        return low <= level if buy == (limit or touched) else high >= level

    def bar(self, order: Any, bar: int) -> dict[str, Any]:
        """The bar of an order's asset, as `witness.bar_of` has it."""
        shared = self.recipe.shared
        table = self.job.tables[1 + int(order["asset"]) if shared else int(self.job.trials[0]["dataset"])]
        i = bar
        if shared and self.job.bars is not None:
            i = int(self.job.bars[bar, int(order["asset"])])
            if i < 0:
                return {}
        names = ("open", "high", "low", "close")
        out: dict[str, Any] = {n: int(table.columns[c][i]) for c, n in enumerate(names)}
        out |= {"open_at": int(table.columns[L.C_OPEN_AT][i]), "known_at": int(table.columns[L.C_KNOWN_AT][i])}
        return out | {"volume": float(table.columns[L.C_VOLUME][i]), "finer": False}

    def _listen(self, life: Life, block: np.ndarray, bar: int) -> None:
        """Run one bar in Python, from the state before it."""
        if len({b for b, _ in life.events}) >= MOST and bar < self.end - 1 and life.born >= 0:
            if self.alive(self.stepper.block, life.witness.id) is not None:
                life.unheard += 1
                return
        known = len(life.witness.events)
        life.witness.shut = False
        self.slow.restore(block)
        self.slow.frame["inert"] = self.stepper.frame["inert"]
        with life.witness.listening():
            self.slow.call(new_outcome(1, True), max(bar, int(self.job.trials[0]["trade_from"])) + 1)
            for one in self.recipe.switches:
                if one.bar == bar + 1:
                    life.witness.between(partial(switch, self.slow, one))
        heard = life.witness.events[known:]
        if not heard and life.born >= 0:  # the venue, or the engine, passed the bar by
            record = self.alive(block, life.witness.id)
            said = {"reference": 0, "order": {n: record[n].item() for n in FIELDS}}
            what = "dark" if life.witness.shut else "look"
            heard = [Heard(what, "limits", said, self.bar(record, bar))]
        life.events += [(bar, e) for e in heard]


def live_orders(block: np.ndarray) -> np.ndarray:
    """The live orders of a state block, as records."""
    header = header_of(block)
    begin = int(header["off_orders"])
    found: np.ndarray = block[begin : begin + int(header["n_live"]) * L.ORDER.itemsize].view(L.ORDER)
    return found


def uncompiled(recipe: Any, job: Job) -> Any:
    """The Python binding of a trial that cannot be compiled, None of any other."""
    return recipe.python(job) if job.plan.uncompilable else None


def one_job(recipe: Any, trial: int) -> Job:
    """The job of a single trial of a recipe, targets of a signal computed."""
    from kernelkit.recipe import with_target

    job: Job = recipe.job
    if recipe.signal is not None:
        return with_target(recipe, trial, trial + 1)
    return replace(job, trials=job.trials[trial : trial + 1].copy(), params=job.params[trial : trial + 1])
