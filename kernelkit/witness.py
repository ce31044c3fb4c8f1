"""What the kernels do to one order, heard while they run in Python: every call that concerns it, with its numbers.

The replay is the engine itself, uncompiled; Python tells a profile function of each call, so nothing is computed twice.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from kernelkit.kernels import accept, actions, amend, costs, fills, guard, matching, orders, paths, power, triggers
from kernelkit.kernels import layout as L
from kernelkit.kernels.account import book, value_at
from kernelkit.kernels.memory import at

STEPS: dict[Any, str] = {
    matching.expire: "expire",
    matching.end_immediate: "end",
    matching.follow_range: "trail",
    matching.fill_alone: "alone",
    paths.leg: "path",
    orders.close_out: "close_out",
    guard.liquidate: "liquidation",
    orders.act: "decision",
    orders.steer: "decision",
    orders.weigh: "decision",
    matching.end_all: "end_all",
}
HEARD = (
    *(orders.new_order, orders.bracket, fills.sized_gap, accept.fault, accept.refused, accept.above_maximum),
    *(accept.below_minimum, accept.would_take, accept.off_tick, amend.amend, matching.price_in, matching.pass_orders),
    *(matching.settle_order, matching.trigger_stop, triggers.move_trail, fills.fill, fills.exchange, fills.end_one),
    *(actions.split_order, fills.wake, power.affordable, power.cut, costs.slipped, costs.fee_of, book),
)
# what a decision asks of an order before it lives; would_take is asked of one that lives, too
CHECKS = ("fault", "bracket", "sized_gap", "above_maximum", "below_minimum", "would_take", "off_tick")


@dataclass
class Heard:
    """One thing that happened: what, in which step of the bar, with which numbers, in which bar of the asset."""

    what: str
    step: str
    said: dict[str, Any]
    bar: dict[str, Any] = field(default_factory=dict)


@dataclass
class Witness:
    """Listens for order ``id`` while the kernels run in this thread."""

    id: int
    events: list[Heard] = field(default_factory=list)
    asked: Heard | None = None  # the call of the strategy that submitted it, and the checks of that call
    checks: list[Heard] = field(default_factory=list)
    _steps: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    _call: list[Heard] = field(default_factory=list)
    _before: int = 0  # the trigger before it moves
    _tried: int = 0  # events before an attempt to fill
    _cash: dict[str, Any] | None = None  # the last question whether cash pays

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hear what runs here. A profiler that was there before is put back."""
        before = sys.getprofile()
        sys.setprofile(self._hear)
        try:
            yield
        finally:
            sys.setprofile(before)
            self._steps.clear()

    @property
    def step(self) -> str:
        """The step of the bar that runs."""
        return self._steps[-1][0] if self._steps else ""

    def _hear(self, frame: FrameType, event: str, answer: Any) -> None:
        if event not in ("call", "return"):
            return
        code = frame.f_code
        name = NAMES.get(code)
        if name is None:
            return
        if code in STEP_OF:
            self._turn(STEP_OF[code], event, frame.f_locals)
        elif name == "pass_orders":
            self._turn(("open", "stops", "limits", "late", "woken")[frame.f_locals["step"]], event, frame.f_locals)
        elif self.step == "decision" and event == "return" and name in CHECKS:
            self._call.append(Heard(name, "decision", {**frame.f_locals, "answer": answer}))
        elif hasattr(self, f"_{event}_{name}"):
            getattr(self, f"_{event}_{name}")(dict(frame.f_locals), answer)

    def _turn(self, step: str, event: str, said: dict[str, Any]) -> None:
        if event == "return":
            if self._steps:
                self._steps.pop()
            return
        self._steps.append((step, dict(said)))
        if step == "decision":
            self._call = []

    def _mine(self, said: dict[str, Any]) -> bool:
        return int(at(said["order_at"], L.ORDER).id) == self.id

    def _note(self, what: str, frame: int | None, **said: Any) -> None:
        self.events.append(Heard(what, self.step, said, bar_of(frame) if frame is not None else {}))

    def _return_new_order(self, said: dict[str, Any], answer: Any) -> None:
        if answer and int(at(answer, L.ORDER).id) == self.id:
            step, given = self._steps[-1] if self._steps else ("", {})
            self.asked = Heard("asked", step, given, bar_of(said["frame"]))
            self.checks = self._call

    def _return_would_take(self, said: dict[str, Any], answer: Any) -> None:
        if self.step != "decision" and self._mine(said):
            self._note("would_take", None, k=int(said["k"]), answer=bool(answer))

    def _return_amend(self, said: dict[str, Any], answer: Any) -> None:
        if said["number"] == float(self.id):
            kept = {n: float(said[n]) for n in ("q", "p", "trigger")}
            self._note("replace", said["frame"], given=int(said["given"]), answer=int(answer), **kept)

    def _return_price_in(self, said: dict[str, Any], answer: Any) -> None:
        if self._mine(said):
            self._note("look", said["frame"], reference=int(answer), order=record_of(said["order_at"]))

    def _call_settle_order(self, said: dict[str, Any], _: Any) -> None:
        if self._mine(said):
            self._note("act", said["frame"], reference=int(said["reference"]), order=record_of(said["order_at"]))

    def _call_trigger_stop(self, said: dict[str, Any], _: Any) -> None:
        if self._mine(said):
            kept = {"reference": int(said["reference"]), "time": int(said["time"])}
            self._note("trigger", said["frame"], order=record_of(said["order_at"]), **kept)

    def _call_move_trail(self, said: dict[str, Any], _: Any) -> None:
        if self._mine(said):
            self._before = int(at(said["order_at"], L.ORDER).trigger)

    def _return_move_trail(self, said: dict[str, Any], _: Any) -> None:
        if self._mine(said):
            now = int(at(said["order_at"], L.ORDER).trigger)
            if now != self._before:
                self._note("trail", said["frame"], was=self._before, now=now)

    def _return_wake(self, said: dict[str, Any], _: Any) -> None:
        f = at(said["frame"], L.FRAME)
        for j in range(int(at(f.state, L.HEADER).n_live)):
            c_at = f.orders + j * L.ORDER_BYTES
            c = at(c_at, L.ORDER)
            if int(c.id) == self.id and c.status == L.LIVE and not c.marks & L.WAITING:
                self._note("wake", said["frame"], order=record_of(c_at), parent=int(c.parent))

    def _call_fill(self, said: dict[str, Any], _: Any) -> None:
        if self._mine(said):
            self._tried = len(self.events)

    def _return_fill(self, said: dict[str, Any], _: Any) -> None:
        order = at(said["order_at"], L.ORDER)
        if self._mine(said) and len(self.events) == self._tried and order.status == L.LIVE:
            self._note("no_volume", said["frame"])

    def _return_exchange(self, said: dict[str, Any], _: Any) -> None:
        if self._mine(said):
            names = ("held", "wanted", "asked", "lots", "k", "fee", "paid_for", "reference", "how", "rule", "time")
            self._note("exchange", said["frame"], **{n: said[n] for n in names if n in said})

    def _return_affordable(self, said: dict[str, Any], answer: Any) -> None:
        f = at(said["frame"], L.FRAME)
        p, held = abs(value_at(f.instrument, said["k"])), int(at(f.positions, L.POSITION).lots)
        need = (p * (float(abs(held + said["lots"])) * at(f.instrument, L.INSTRUMENT).unit)) * at(
            f.venue, L.VENUE
        ).initial
        kept = {"lots": int(said["lots"]), "fee": float(said["fee"]), "k": int(said["k"]), "held": held}
        have = float(power.power_at(said["frame"], said["k"]))
        self._cash = {**kept, "need": float(need), "have": have, "answer": bool(answer)}

    def _return_cut(self, said: dict[str, Any], answer: Any) -> None:
        if self._mine(said):
            self._note("cut", said["frame"], lots=int(said["lots"]), answer=int(answer), cash=self._cash)

    def _call_book(self, said: dict[str, Any], _: Any) -> None:
        if self._mine(said):
            f = at(said["frame"], L.FRAME)
            lots, k, reference = (int(said[n]) for n in ("lots", "k", "reference"))
            unit = at(f.instrument, L.INSTRUMENT).unit
            value = value_at(f.instrument, k) * (float(lots) * unit)
            slip = value - value_at(f.instrument, reference) * (float(lots) * unit)
            cash = self._cash if self.step not in ("close_out", "liquidation") else None
            left = allowed_of(said["frame"])
            kept = {"fee": float(said["fee"]), "time": int(said["time"]), "rule": int(said["rule"])}
            self._note(
                "fill",
                said["frame"],
                lots=lots,
                k=k,
                reference=reference,
                slippage=float(slip),
                cash=cash,
                left=left,
                order=record_of(said["order_at"]),
                **kept,
            )

    def _return_split_order(self, said: dict[str, Any], _: Any) -> None:
        if self._mine(said):
            kept = {"ratio": float(said["ratio"]), "time": int(said["time"])}
            self._note("split", said["frame"], order=record_of(said["order_at"]), **kept)

    def _call_end_one(self, said: dict[str, Any], _: Any) -> None:
        if self._mine(said):
            names = ("status", "reason", "time")
            self._note("end", said["frame"], **{n: int(said[n]) for n in names}, order=record_of(said["order_at"]))


NAMES = {f.__code__: f.__name__ for f in (*STEPS, *HEARD)}
STEP_OF = {f.__code__: step for f, step in STEPS.items()}


def record_of(order_at: int) -> dict[str, Any]:
    """An order as it stands: its fields as plain numbers."""
    raw = at(order_at, L.ORDER)
    return {n: getattr(raw, n).item() for n in L.ORDER.names or ()}


def bar_of(frame: int) -> dict[str, Any]:
    """The bar that a frame speaks of, prices in ticks, with how its asset counts; empty before the first."""
    f = at(frame, L.FRAME)
    if f.i < 0 or f.columns == 0:
        return {}
    names = ("open", "high", "low", "close")
    out: dict[str, Any] = {n: int(fills.column(frame, c, f.i)) for c, n in enumerate(names)}
    out |= {n: int(fills.column(frame, c, f.i)) for n, c in (("open_at", L.C_OPEN_AT), ("known_at", L.C_KNOWN_AT))}
    return out | {"volume": float(fills.column_f(frame, L.C_VOLUME, f.i)), "finer": bool(f.coarse != 0)}


def allowed_of(frame: int) -> int | None:
    """P1: the lots that the bar's volume still allows before a fill, None where the venue does not ask."""
    f = at(frame, L.FRAME)
    if at(f.venue, L.VENUE).participation == 0.0:
        return None
    return int(fills.allowed(frame, 1 << 52))
