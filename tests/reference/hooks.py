"""The functions of a strategy, and the order in which a decision runs them (T6-T9)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.reference.moments import Moment, Moments
from tests.reference.telling import Fill

Hook = Callable[[Any], object]


def nothing(*_: Any) -> None:
    """A hook that is not there."""


@dataclass
class Hooks:
    """Each takes the view; those of T7 also what they are told."""

    main: Hook
    session_open: Hook = nothing
    session_close: Hook = nothing
    fill: Callable[[Any, Any], object] = nothing
    order: Callable[[Any, Any], object] = nothing
    schedules: Sequence[tuple[Moment, Hook]] = ()

    def decide(self, ctx: Any, moments: Moments, t: int) -> None:
        """T6: one decision at bar `t`; what is told is settled before any of them runs."""
        told = ctx.told()
        if moments.opens(t):
            self.session_open(ctx)
        for event in told:
            (self.fill if isinstance(event, Fill) else self.order)(ctx, event)
        for moment, hook in self.schedules:
            if moments.comes(moment, t):
                hook(ctx)
        self.main(ctx)
        if self.session_close is not nothing and moments.closes(t):
            self.session_close(ctx)
