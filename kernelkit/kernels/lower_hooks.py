"""Lowering of a strategy's hooks, and the decision that calls them in their order (rules T6-T8)."""

import ast
import re
from typing import NamedTuple

from kernelkit.kernels import layout as L
from kernelkit.kernels.context import FILL_FIELDS, ORDER_FIELDS
from kernelkit.kernels.entries import DECIDE, failed, guarded, higher_bars, kernels, placed, read, value_at
from kernelkit.kernels.lower import Lowering
from kernelkit.kernels.plan import Plan
from kernelkit.kernels.tools import HOOK, offset, safe

EVENT = "_own_event"  # where what a hook is told lies
OPENS, CLOSES = "session_open", "session_close"
# of each kind of hook that is told something: the bit of FRAME.told, and what its last argument has
TOLD = {"on_fill": (L.TELL_FILLS, FILL_FIELDS), "on_order": (L.TELL_ENDS, ORDER_FIELDS)}
SINGLE = "frame, _i, _state, _account, _positions, _s, _panel, _cash, _held, _mark, _close, _open"
SHARED = "frame"


class Event(Lowering):
    """Beside another lowering: what the last argument of an `on_fill` or `on_order` hook has."""

    fields: dict[str, str]

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id == self.event:
            fix = f"use its attributes: {', '.join(self.known())}"
            self.source.refuse(node, f"`{node.id}` cannot be stored or passed on as a value", fix)
        return super().visit_Name(node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if not (isinstance(node.value, ast.Name) and node.value.id == self.event):
            return super().visit_Attribute(node)
        if not isinstance(node.ctx, ast.Load):
            self.source.refuse(node, f"{self.event}.{node.attr} is read-only", "keep own values in declared state")
        if node.attr not in self.known():
            self.source.refuse(node, f"`{self.event}` has no `{node.attr}`", f"it has {', '.join(self.known())}")
        if node.attr == "time":
            self.plan.timed = True
        field = self.fields[node.attr]
        load = "f8" if L.EVENT.fields[field][0].kind == "f" else "i8"
        return self.expression(f"{load}({EVENT} + {offset(L.EVENT, field)})", node)

    def known(self) -> list[str]:
        """What it has: an account of one asset need not say which."""
        return [n for n in self.fields if n != "asset" or self.plan.shared]


def lowering_of(base: type[Lowering], kind: str, event: str | None) -> type[Lowering]:
    """The lowering of a hook whose last argument is `event`."""
    if event is None:
        return base
    return type("HookLowering", (Event, base), {"event": event, "fields": TOLD[kind][1]})


class Part(NamedTuple):
    """A function of a strategy that has hooks: its kind, the moment of a schedule, its name, parameters and lines."""

    kind: str  # "" for the main function
    when: str
    name: str
    params: tuple[str, ...]
    lines: list[str]


def part_text(plan: Plan, k: int, part: Part) -> str:
    """A hook, or the main function, as a function of its own: it reads what it uses."""
    names = list(plan.params)
    head = "frame: int" if plan.shared else DECIDE.partition("(")[2].rpartition(")")[0].strip()
    if part.kind in TOLD:
        head = f"{head}, {EVENT}: int"
    out = [f"def {HOOK}{k}({' '.join(head.split())}) -> int:  # in {part.name}"]
    if plan.shared:
        out += placed(plan)
    for name in part.params:
        if name in plan.params:  # a text is compiled in
            out.append(f"    {safe(name)} = {read(plan.params[name], f'_s + {8 * names.index(name)}')}")
    reads = []
    for site in () if plan.clocked else plan.sites:
        for value, place in ((f"_v{site.slot}", value_at(site)), (f"_p{site.slot}", f"{value_at(site)} - 8")):
            if any(re.search(rf"\b{value}\b", line) for line in part.lines):
                reads.append((site, f"    {value} = f8({place})"))
    out += [*higher_bars(site for site, _ in reads), *(line for _, line in reads)]
    return "\n".join([*out, *guarded(plan, part.lines), "    return 0"])


def turn_lines(plan: Plan, parts: list[Part]) -> list[str]:
    """T6: call the functions of a strategy in their order; the first one that raises ends the decision.

    `events` are told, of a strategy that is called for each asset those of the asset in focus.
    """
    given = SHARED if plan.shared else SINGLE
    mine = f" and i8(event + {offset(L.EVENT, 'asset')}) == i8(frame + {offset(L.FRAME, 'asset')})"

    def calls(k: int, indent: str, more: str = "") -> list[str]:
        return [f"{indent}if {HOOK}{k}({given}{more}) != 0:", f"{indent}    return {L.RAISED}"]

    def at_moment(k: int, when: str) -> list[str]:
        bit = 1 << plan.moments.index(when)
        return [f"    if moments & {bit} != 0:", *calls(k, "        ")]

    by_kind: dict[str, list[int]] = {}
    for k, part in enumerate(parts):
        by_kind.setdefault(part.kind, []).append(k)
    out = []
    if plan.moments:
        out.append(f"    moments = i8(column_at(frame, {plan.moments_at}, _i))")
    for k in by_kind.get("on_session_open", ()):
        out += at_moment(k, OPENS)
    if plan.told:
        out += [
            "    if events > 0:",
            f"        event = events_of(frame) + {L.EVENTS_BYTES}",
            "        for k in range(events):",
        ]
        for kind in (kind for kind in TOLD if kind in by_kind):
            is_it = f"i8(event + {offset(L.EVENT, 'what')}) == {TOLD[kind][0]}"
            out.append(f"            if {is_it}{mine if plan.by_asset else ''}:")
            out += calls(by_kind[kind][0], " " * 16, ", event")
        out.append(f"            event += {L.EVENT_BYTES}")
        if not plan.by_asset:
            out.append("        forget_events(frame, events)")
    for k in by_kind.get("schedule", ()):
        out += at_moment(k, parts[k].when)
    out += calls(by_kind[""][0], "    ")
    for k in by_kind.get("on_session_close", ()):
        out += at_moment(k, CLOSES)
    return out


def entries_of(plan: Plan, parts: list[Part]) -> str:
    """What `entries` makes of a strategy, of one with hooks."""
    functions = [part_text(plan, k, part) for k, part in enumerate(parts)]
    if plan.shared:
        head = [f"EACH = {plan.words}", *functions, "def decide(frame: int) -> int:", *placed(plan)]
    else:
        risky = [site for site in plan.sites if site.kind in plan.risky]
        values = [f"    _v{site.slot} = f8({value_at(site)})" for site in risky]
        head = [*functions, DECIDE, *higher_bars(risky), *values, *failed(plan)]
    told = [f"    events = i8(events_of(frame) + {offset(L.EVENTS, 'n')})"] if plan.told else []
    return "\n\n".join(["\n".join([*head, *told, *turn_lines(plan, parts), "    return 0"]), *kernels(plan)])
