"""A decision in plain Python: a strategy's hooks and its main function, in their order (rules T6-T8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from kernelkit.hooks import Hook
from kernelkit.kernels import indicators, memory
from kernelkit.kernels import layout as L
from kernelkit.kernels.events import events_of, forget_events
from kernelkit.kernels.lower_hooks import TOLD
from kernelkit.kernels.plan import Plan


def decide(
    frame: int,
    main: Callable[..., Any],
    hooks: Sequence[Hook],
    plan: Plan,
    head: list[Any],
    params: Mapping[str, Any],
    events: int,
) -> None:
    """What the compiled `decide` does: call them all, with ctx and state (``head``) and the parameters they take.

    So many events are told; of a strategy that is called for each asset, those of the asset in focus.
    """
    f = memory.at(frame, L.FRAME)
    i = int(f.clock if plan.clocked else f.i)
    bits = int(memory.i8(indicators.column_at(frame, plan.moments_at, i))) if plan.moments else 0
    now = [name for k, name in enumerate(plan.moments) if bits >> k & 1]

    def at_moment(kind: str) -> None:
        for hook in hooks:
            if hook.kind == kind and hook.when in now:
                hook.function(*head, **{n: params[n] for n in hook.params})

    at_moment("on_session_open")
    tell(frame, hooks, plan.by_asset, head, params, events)
    at_moment("schedule")
    main(*head, **params)
    at_moment("on_session_close")


def happened(frame: int) -> int:
    """How many events there are to tell (T7)."""
    return int(memory.at(events_of(frame), L.EVENTS).n) if memory.at(frame, L.FRAME).told != 0 else 0


def tell(frame: int, hooks: Sequence[Hook], by_asset: bool, head: list[Any], params: Mapping[str, Any], n: int) -> None:
    """T7: tell hooks what has happened, each thing once; whoever tells ``by_asset`` forgets it when all have heard."""
    place, asset = events_of(frame) + L.EVENTS_BYTES, memory.at(frame, L.FRAME).asset
    for k in range(n):
        e = memory.at(place + L.EVENT_BYTES * k, L.EVENT)
        for hook in hooks:
            if hook.kind in TOLD and TOLD[hook.kind][0] == e.what and (not by_asset or e.asset == asset):
                fields = TOLD[hook.kind][1].items()
                told = {name: getattr(e, field) for name, field in fields}
                event = SimpleNamespace(**{n: int(v) if isinstance(v, int) else v for n, v in told.items()})
                hook.function(*head, event, **{n: params[n] for n in hook.params})
    if n and not by_asset:
        forget_events(frame, n)
