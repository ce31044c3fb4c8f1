"""What the kernels do to one order, heard while they run in Python: every call that concerns it, with its numbers.

The replay is the engine itself, uncompiled; Python tells a profile function of each call, so nothing is computed twice.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from kernelkit.kernels import (
    abreast,
    accept,
    actions,
    amend,
    costs,
    fills,
    guard,
    halts,
    limits,
    matching,
    orders,
    paths,
    power,
    sharing,
    triggers,
)
from kernelkit.kernels import layout as L
from kernelkit.kernels.account import book, value_at
from kernelkit.kernels.memory import at, i8
from kernelkit.kernels.rules import INF

STEPS: dict[Any, str] = {
    matching.expire: "expire",
    matching.end_immediate: "end",
    matching.follow_range: "trail",
    matching.fill_alone: "alone",
    paths.leg: "path",
    abreast.leg_all: "path",
    orders.close_out: "close_out",
    guard.liquidate: "liquidation",
    orders.act: "decision",
    orders.steer: "decision",
    orders.weigh: "decision",
    matching.end_all: "end_all",
    matching.end_asset: "end_all",
}
HEARD = (
    *(orders.new_order, orders.bracket, fills.sized_gap, accept.fault, accept.refused, accept.above_maximum),
    *(accept.below_minimum, accept.would_take, accept.off_tick, amend.amend, matching.price_in, matching.pass_orders),
    *(matching.settle_order, matching.trigger_stop, triggers.move_trail, fills.fill, fills.exchange, fills.end_one),
    *(actions.split_order, fills.wake, power.affordable, power.cut, costs.slipped, costs.fee_of, book),
    *(orders.off_market, limits.broken, limits.most_lots, limits.outside, halts.send, halts.call_off, halts.renew),
    *(halts.dark, sharing.ration),
)
# what a decision asks of an order before it lives; would_take is asked of one that lives, too
CHECKS = ("fault", "bracket", "sized_gap", "above_maximum", "below_minimum", "would_take", "off_tick", "off_market")


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
    _apart: bool = False  # whether orders are looked at to share cash, which does nothing to them (X5)
    shut: bool = False  # whether the bar that runs is one that the venue does not match

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

    def between(self, act: Callable[[], None]) -> None:
        """Hear what a switch of a walk-forward does (T9): it is no decision of the strategy."""
        known, asked = len(self.events), self.asked
        act()
        for e in self.events[known:]:
            e.step = "switch"
        if self.asked is not None and self.asked is not asked:
            self.asked.step = "switch"

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
            place = 0 if name == "bracket" else len(self._call)  # it comes back last, and has looked at numbers first
            self._call.insert(place, Heard(name, "decision", {**frame.f_locals, "answer": answer}))
        elif hasattr(self, f"_{event}_{name}"):
            said = dict(frame.f_locals)
            if name == "most_lots" and frame.f_back is not None:  # a limit is asked for what the one before has left
                said |= {n: frame.f_back.f_locals[n] for n in ("lots", "reducing")}
            getattr(self, f"_{event}_{name}")(said, answer)

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
        if self.step == "decision" and frame is not None:
            said.setdefault("time", int(fills.decided_at(frame)))
        self.events.append(Heard(what, self.step, said, bar_of(frame) if frame is not None else {}))

    def _return_new_order(self, said: dict[str, Any], answer: Any) -> None:
        if answer and int(at(answer, L.ORDER).id) == self.id:
            step, given = self._steps[-1] if self._steps else ("", {})
            self.asked = Heard("asked", step, given, bar_of(said["frame"]))
            self.checks = self._call

    def _judge(self, frame: int, what: str, done: str, **said: Any) -> None:
        """A check of a rule, which left the order, or what is to replace it, as it was where nothing is `done`."""
        if at(frame, L.FRAME).judging == L.NEW:
            self._call.append(Heard(what, "decision", {"done": done, **said}))
        elif done:
            self._note("judged", frame, check=Heard(what, "decision", {"done": done, **said}))

    def _return_most_lots(self, said: dict[str, Any], answer: Any) -> None:
        frame, reason, base, lots = (int(said[n]) for n in ("frame", "reason", "base", "lots"))
        if self._mine(said) and asks(frame, reason, int(said["side"])):
            left = max(int(said["reducing"]), int(answer) - base)
            f = at(frame, L.FRAME)
            cuts = left > 0 and f.judging == L.NEW and at(at(f.venue, L.VENUE).rules, L.RULES).cut != 0
            limit, found = (
                limits.limit_of_rule(frame, reason),
                limits.found_of(frame, said["order_at"], reason, base, lots),
            )
            done = "" if lots <= left else L.DEEDS[L.D_CUT if cuts else L.D_REJECTED]
            kept = {"reason": reason, "limit": float(limit), "found": float(found), "lots": lots, "left": left}
            kept["reduces"] = lots <= int(said["reducing"])
            self._judge(frame, "limit", done, **kept)

    def _return_outside(self, said: dict[str, Any], answer: Any) -> None:
        frame = said["frame"]
        if int(at(at(frame, L.FRAME).judged, L.ORDER).id) == self.id:
            self._judge(frame, "universe", L.DEEDS[L.D_REJECTED] if answer else "")

    def _return_broken(self, said: dict[str, Any], _: Any) -> None:
        if self._mine(said) and said["base"] + said["size"] <= 0:
            self._judge(said["frame"], "reduces", "")

    def _return_send(self, said: dict[str, Any], _: Any) -> None:
        if not self._mine(said):
            return
        frame = said["frame"]
        v = at(at(frame, L.FRAME).venue, L.VENUE)
        r, outage = at(v.rules, L.RULES), said["outage"]
        time = i8(outage + 8) if outage else halts.arrival(frame)

        def judge(reason: int, until: int, rejects: bool, **said: Any) -> None:
            done = "" if until == 0 else L.DEEDS[L.D_REJECTED if rejects else L.D_DELAYED]
            self._judge(frame, "venue", done, reason=reason, until=until, **said)

        if v.limits & L.OUTAGES:
            judge(L.R_DOWN, int(i8(outage + 8)) if outage else 0, bool(outage) and halts.turns_away(outage))
        if "slot" in said:
            late = said["slot"] > time
            found = float(r.rate) + 1.0 if late else float(at(at(frame, L.FRAME).member, L.ACCOUNT).sent)
            until = int(said["slot"]) if late else 0
            judge(L.R_RATE, until, r.rate_rejects != 0, limit=float(r.rate), found=found)
            time = max(time, said["slot"])
        if "opens" in said:
            judge(L.R_CLOSED_MARKET, int(said["opens"]) if said["opens"] != time else 0, r.closed_rejects != 0)

    def _return_call_off(self, said: dict[str, Any], answer: Any) -> None:
        if self._mine(said) and said["outage"]:
            until = int(i8(said["outage"] + 8)) if said.get("heard") else 0
            self._note("call_off", said["frame"], until=until)

    def _return_renew(self, said: dict[str, Any], _: Any) -> None:
        if self._mine(said):
            self._note("renew", said["frame"], time=int(at(said["order_at"], L.ORDER).t_replace))

    def _return_dark(self, said: dict[str, Any], answer: Any) -> None:
        self.shut = bool(answer)

    def _return_would_take(self, said: dict[str, Any], answer: Any) -> None:
        if self.step != "decision" and self._mine(said):
            self._note("would_take", None, k=int(said["k"]), answer=bool(answer))

    def _return_amend(self, said: dict[str, Any], answer: Any) -> None:
        if said["number"] == float(self.id):
            kept = {n: float(said[n]) for n in ("q", "p", "trigger")}
            refused = said.get("late") and at(said["frame"], L.FRAME).sent_at == L.FAR  # H5: when it gets there
            until = int(at(said["o_at"], L.ORDER).t_change) if said.get("late") and not refused else 0
            answer = 0 if refused else answer
            self._note("replace", said["frame"], given=int(said["given"]), answer=int(answer), until=until, **kept)

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
            if now != self._before and not self._apart:
                self._note("trail", said["frame"], was=self._before, now=now)

    def _call_ration(self, said: dict[str, Any], _: Any) -> None:
        self._apart = True

    def _return_ration(self, said: dict[str, Any], _: Any) -> None:
        self._apart = False

    def _return_wake(self, said: dict[str, Any], _: Any) -> None:
        f, entry = at(said["frame"], L.FRAME), int(at(said["entry_at"], L.ORDER).id)
        for j in range(int(at(f.state, L.HEADER).n_live)):
            c_at = f.orders + j * L.ORDER_BYTES
            c = at(c_at, L.ORDER)
            if (int(c.id), int(c.parent)) == (self.id, entry) and c.status == L.LIVE and not c.marks & L.WAITING:
                self._note("wake", said["frame"], order=record_of(c_at), parent=entry, time=int(said["time"]))

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


def asks(frame: int, reason: int, side: int) -> bool:
    """R2-R7: whether the account has this limit, and it is one for orders of this side."""
    f = at(frame, L.FRAME)
    r = at(at(f.venue, L.VENUE).rules, L.RULES)
    if reason == L.R_SHORT:
        return side < 0 and bool(limits.most_short(frame) < INF)
    if reason == L.R_DAY_TRADES:
        return bool(r.day_trades >= 0 and at(f.account, L.ACCOUNT).equity < r.day_trade_equity)
    if reason == L.R_SHORT_PRICE:
        return side < 0 and bool(r.fall > 0.0)
    names = {L.R_POSITION: "position", L.R_NOTIONAL: "notional", L.R_CONCENTRATION: "concentration"}
    names |= {L.R_LEVERAGE: "leverage", L.R_TURNOVER: "turnover"}
    return bool(getattr(r, names[reason]) < INF)


def allowed_of(frame: int) -> int | None:
    """P1: the lots that the bar's volume still allows before a fill, None where the venue does not ask."""
    f = at(frame, L.FRAME)
    if at(f.venue, L.VENUE).participation == 0.0:
        return None
    return int(fills.allowed(frame, 1 << 52))
