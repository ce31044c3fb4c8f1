"""What the limits of turnover and of day trades count, and how far a price has fallen (R4, R6, R7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.reference.market import Bars, Grid

SESSIONS = 5  # R6: the one of the decision, and four before it
MOST = 16  # R6


@dataclass
class Tally:
    """The fills of an account, by session of its clock."""

    sessions: list[int] = field(default_factory=list)  # those that have had bars, the last one running
    turnovers: dict[int, float] = field(default_factory=dict)  # R4: of each session
    opened: dict[int, int] = field(
        default_factory=dict
    )  # R6: assets in which a fill could become a day trade, and when
    day_trades: list[int] = field(default_factory=list)  # R6: the session of each

    def begin_bar(self, session: int) -> None:
        """A bar of the clock begins, perhaps a session."""
        if not self.sessions or self.sessions[-1] != session:
            self.sessions.append(session)

    def count(self, asset: int, session: int, held: int, lots: int, weight: float) -> None:
        """R4, R6: a fill of `lots` in a bar of `session` by an account that holds `held`; `weight` is A9's term."""
        self.turnovers[session] = self.turnovers.get(session, 0.0) + weight
        final = held + lots
        if held * lots < 0 and self.opened.get(asset) == session:
            self.day_trades.append(session)
            del self.opened[asset]
        if abs(final) > abs(held) or final * held < 0:
            self.opened[asset] = session

    def recent(self) -> int:
        """R6: D."""
        return sum(session >= self.sessions[-SESSIONS:][0] for session in self.day_trades[-MOST:])

    @property
    def turnover(self) -> float:
        """R4: T."""
        return self.turnovers.get(self.sessions[-1], 0.0)

    def could_become(self) -> int:
        """R6: the assets in which a fill of this session could still become a day trade."""
        return sum(session == self.sessions[-1] for session in self.opened.values())


def fell(bars: Bars, grid: Grid, splits: Sequence[tuple[int, float]], last: int, x: float) -> bool:
    """R7: in the session of bar `last` up to it, or in the session before, a low by `x` below the close before.

    Each of the `splits` has the asset's bar that begins with it.
    """
    sessions = sorted(set(bars.session[: last + 1]))
    for k in range(max(1, len(sessions) - 2), len(sessions)):
        close = max(u for u in range(last + 1) if bars.session[u] == sessions[k - 1])
        for u in [u for u in range(last + 1) if bars.session[u] == sessions[k]]:
            before = grid.price(bars.c[close])
            for begins, r in splits:
                before = before / r if close < begins <= u else before
            if grid.price(bars.l[u]) <= before * (1.0 - x):
                return True
    return False
