"""What an audit found, in plain words."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kernelkit.errors import LookaheadError, message

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("bar", "time", "asset", "variable", "kind", "what", "was", "became", "cut", "ahead")


@dataclass(frozen=True, repr=False)
class AuditReport:
    """The outcome of `kernelkit.audit`.

    ``leaks`` has one row for each cut, kind and variable: the decision (``bar``, ``time``, ``asset``) that changed, the
    ``variable`` it knew too early, the ``kind`` of proof, in ``what`` it showed, what that ``was`` and ``became``, the
    last known bar (``cut``) and how many bars ``ahead`` the decision looked at least (0: from its open into its own
    bar). ``assumed`` lists what no rerun could check, ``rounding`` is the largest relative difference that was taken
    for rounding.
    """

    strategy: str
    data: str
    compared: str
    corrupted: tuple[str, ...]
    planned: int
    cuts: tuple[int, ...]
    runs: int
    leaks: pd.DataFrame
    assumed: tuple[str, ...] = ()
    rounding: float = 0.0

    @property
    def blind(self) -> bool:
        """Whether no decision was found to depend on the future."""
        return len(self.leaks) == 0

    def sentences(self) -> list[str]:
        """The report, sentence by sentence; the first is the verdict."""
        verdict = "is blind to the future" if self.blind else "looks into the future"
        if self.blind and self.assumed:
            verdict += ", but for what was taken on trust"
        out = [f"{self.strategy} on {self.data} {verdict}."]
        if self.blind:
            out.append(
                f"{len(self.cuts)} cuts, {self.runs} runs: with the bars after a cut taken away, and with every "
                f"{', '.join(self.corrupted)} after it corrupted, {self.compared} up to the cut stayed the same."
            )
        else:
            first = self.leaks.drop_duplicates(["kind", "variable"])
            out += [self._leak(row) for row in first.itertuples(index=False)]
            if len(self.cuts) < self.planned:
                out.append(f"The audit stopped after {len(self.cuts)} of {self.planned} cuts: that is enough to know.")
        if self.assumed:
            out.append(f"Taken on trust, as no rerun can check it: {'; '.join(self.assumed)}.")
        if self.rounding:
            out.append(f"Targets that differ by rounding alone (relative {self.rounding:.0e} at most) count as equal.")
        return out

    def _leak(self, row: Any) -> str:
        when = f"{row.time:%Y-%m-%d}" if row.time == row.time.normalize() else f"{row.time:%Y-%m-%d %H:%M:%S}"
        where = f"bar {row.bar} ({when})"
        if row.kind == "constant":
            return f"{row.variable} was made with the future: {row.what}."
        if row.kind == "column":
            return f"{row.variable} was made with the future, as {where} shows: {row.what}."
        change = f"in {where} the {row.what} was {row.was} and became {row.became}"
        if row.kind == "repeat":
            return f"It does not repeat itself: {change} when the same bars were run again."
        if row.kind == "truncation":
            return f"{change.capitalize()} without the bars after {row.cut}: {self._known(row)}."
        return f"{change.capitalize()} with another {row.variable} after bar {row.cut}: {self._known(row)}."

    def _known(self, row: Any) -> str:
        if row.ahead == 0:
            return f"{row.variable} of the bar itself was known at its open"
        return f"{row.variable} was known at least {row.ahead} {'bar' if row.ahead == 1 else 'bars'} early"

    def raise_if_leaking(self) -> None:
        """Raise `LookaheadError` with the first leak unless the strategy is blind."""
        if not self.blind:
            found = " ".join(self.sentences()[1:])
            fix = "Let row t use rows up to t alone, or add the column with kk.feature(..., known_at=...)."
            raise LookaheadError(message(f"audit of {self.strategy} on {self.data}", found, "blindness", fix))

    def __repr__(self) -> str:
        return "\n".join(self.sentences())

    def _repr_html_(self) -> str:
        verdict, *rest = (html.escape(s) for s in self.sentences())
        text = "".join(f"<li>{s}</li>" for s in rest)
        table = "" if self.blind else self.leaks.to_html(index=False, max_rows=20, border=0)
        return f"<div><strong>{verdict}</strong><ul>{text}</ul>{table}</div>"
