"""Where a strategy comes from: its sources as a tree of edits, what each found, and which kinds of edit have helped."""

from __future__ import annotations

import ast
import difflib
import html
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.errors import UsageError, arguments, message
from kernelkit.ledger.place import place
from kernelkit.ledger.store import rows
from kernelkit.ledger.trials import DONE, UNTOUCHED

if TYPE_CHECKING:
    import pandas as pd

ALIKE = 0.6  # likeness from which on a source under a new name is taken for an edit of another
KINDS = {
    "parameters": "arguments of the function or their defaults",
    "constants": "numbers and texts inside it",
    "inputs": "what it reads: prices, indicators, features",
    "conditions": "if, while, comparisons",
    "orders": "what it sends",
    "state": "what it remembers, warm-up, settings",
    "layout": "names and order of lines",
}
ORDERS = ("order", "limit", "stop", "bracket", "target", "cancel", "replace", "weights", "trail", "oco")


@dataclass
class Version:
    """One source of a strategy: its hash, the version it was edited from, and what its trials came to."""

    source: str
    strategy: str
    text: str | None
    first: float
    last: float = 0.0
    parent: Version | None = None
    kinds: tuple[str, ...] = ()
    trials: set[bytes] = field(default_factory=set)
    failed: int = 0
    sharpes: list[float] = field(default_factory=list)
    stitched: list[float] = field(default_factory=list)

    @property
    def best(self) -> float:
        """The best annual Sharpe ratio in sample, NaN without."""
        return max(self.sharpes, default=float("nan"))

    @property
    def out_of_sample(self) -> float:
        """The annual Sharpe ratio of the last walk-forward's stitched curve, NaN without."""
        return self.stitched[-1] if self.stitched else float("nan")

    @property
    def diff(self) -> str:
        """The lines that it changed in its parent; none without a parent, or where a text is not kept."""
        if self.parent is None or self.text is None or self.parent.text is None:
            return ""
        lines = difflib.unified_diff(self.parent.text.splitlines(), self.text.splitlines(), lineterm="", n=0)
        return "\n".join(line for line in lines if not line.startswith(("---", "+++", "@@")))


@dataclass(frozen=True)
class Lineage:
    """A tree of versions. Print it, or see ``table`` (a row a version), ``kinds`` (a row a kind of edit), `diff`."""

    versions: tuple[Version, ...]

    @property
    def table(self) -> pd.DataFrame:
        """One row for each version: strategy, source, parent, kinds, trials, failed, Sharpe ratios, first and last."""
        import pandas as pd

        lines = [
            {
                "strategy": v.strategy,
                "source": v.source[:8],
                "parent": v.parent.source[:8] if v.parent else "",
                "edit": ", ".join(v.kinds),
                "trials": len(v.trials),
                "failed": v.failed,
                "best_sharpe_ratio": v.best,
                "oos_sharpe_ratio": v.out_of_sample,
                "first": pd.Timestamp(v.first, unit="s", tz="UTC"),
                "last": pd.Timestamp(v.last, unit="s", tz="UTC"),
            }
            for v in self.versions
        ]
        return pd.DataFrame(lines)

    @property
    def kinds(self) -> pd.DataFrame:
        """What became of the Sharpe ratio by kind of edit: how many edits, how many raised and lowered it, mean change.

        ``oos`` columns compare walk-forward curves, the others the best in sample. An edit of several kinds counts in
        each.
        """
        import pandas as pd

        changes: dict[str, list[tuple[float, float]]] = {}
        for v in self.versions:
            if v.parent is not None:
                change = v.best - v.parent.best, v.out_of_sample - v.parent.out_of_sample
                for kind in v.kinds:
                    changes.setdefault(kind, []).append(change)
        lines = []
        for kind, found in sorted(changes.items()):
            line: dict[str, Any] = {"edit": kind, "edits": len(found)}
            for name, column in zip(("", "oos_"), np.array(found).T, strict=True):
                known = column[np.isfinite(column)]
                line |= {f"{name}raised": int((known > 0).sum()), f"{name}lowered": int((known < 0).sum())}
                line[f"{name}mean_change"] = float(known.mean()) if len(known) else float("nan")
            lines.append(line)
        return pd.DataFrame(lines)

    def of(self, strategy: str) -> Lineage:
        """The versions of one strategy, and what they come from; raises UsageError where there are none."""
        kept = {id(v) for v in self.versions if v.strategy == strategy}
        if not kept:
            known = ", ".join(sorted({v.strategy for v in self.versions})) or "none yet"
            wanted = f"one of the ledger at {place()}: {known}"
            raise UsageError(message("strategy", repr(strategy), wanted, "Run it first."))
        for v in self.versions:
            if v.strategy == strategy:
                while v.parent is not None and id(v.parent) not in kept:
                    v = v.parent
                    kept.add(id(v))
        return Lineage(tuple(v for v in self.versions if id(v) in kept))

    def diff(self, source: str) -> str:
        """The lines that a version (the beginning of its hash) changed in its parent; raises UsageError."""
        found = [v for v in self.versions if v.source.startswith(source)]
        if len(found) != 1 or not source:
            wanted = "the beginning of one of " + ", ".join(v.source[:8] for v in self.versions)
            raise UsageError(message("source of a version", repr(source), wanted, "See .table."))
        return found[0].diff

    def __str__(self) -> str:
        lines: list[str] = []
        for v in self.versions:
            if v.parent is None:
                self._tell(v, 0, lines)
        return "\n".join(lines)

    def _tell(self, v: Version, depth: int, lines: list[str]) -> None:
        pad = "  " * depth
        sharpe = "no result" if np.isnan(v.best) else f"best Sharpe {v.best:.2f}"
        out = "" if np.isnan(v.out_of_sample) else f", walk-forward {v.out_of_sample:.2f}"
        failed = f", {v.failed} failed" if v.failed else ""
        edit = f"  [{', '.join(v.kinds)}]" if v.kinds else ""
        many = "1 trial" if len(v.trials) == 1 else f"{len(v.trials)} trials"
        lines.append(f"{pad}{v.strategy} {v.source[:8]}  {_day(v.first)}  {many}{failed}, {sharpe}{out}{edit}")
        lines += [f"{pad}    {line}" for line in v.diff.splitlines()]
        for child in self.versions:
            if child.parent is v:
                self._tell(child, depth + 1, lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def _day(at: float) -> str:
    return str(np.datetime64(int(at), "s").astype("datetime64[D]"))


@arguments()
def lineage(strategy: str | None = None) -> Lineage:
    """How a strategy came about (None: all of them): its sources as a tree, the Sharpe ratios and trials of each.

    A source is an edit of the one whose trial its first was proposed from (`proposed_from`); else of the one of its
    name that ran last before it; under a new name, of the one that it is most like, if it is alike at all. Raises
    UsageError for a strategy that the ledger does not know.

    >>> lineage("never tried")
    Traceback (most recent call last):
    kernelkit.errors.UsageError: strategy: found 'never tried', wanted one of the ledger at ... Run it first.
    """
    texts = {row["source"]: row["text"] for row in rows("source")}
    found: dict[tuple[str, str], Version] = {}
    last: dict[str, Version] = {}  # of each name, what ran last
    owner: dict[str, Version] = {}  # of each key
    for row in sorted(rows("trials", heavy=False), key=lambda row: float(row["at"])):
        own = row["source"], row["strategy"]
        if own not in found:
            v = Version(*own, texts.get(own[0]), row["at"])
            v.parent = owner.get(row.get("parent", "")) or last.get(v.strategy) or _likest(v, [*found.values()])
            v.kinds = kinds_of(v.parent.text, v.text) if v.parent is not None else ()
            found[own] = v
        v = last[row["strategy"]] = found[own]
        v.last = row["at"]
        owner |= dict.fromkeys([k.hex() for k in row["key"].tolist()], v)
        if row["role"] == "rival":
            touched, done = row["status"] != UNTOUCHED, row["status"] == DONE
            v.trials.update(row["key"][touched].tolist())
            v.failed += int((touched & ~done).sum())
            known = row["sharpe_ratio"][done & np.isfinite(row["sharpe_ratio"])].tolist()
            (v.stitched if row["switches"] else v.sharpes).extend(known)
    whole = Lineage(tuple(found.values()))
    return whole if strategy is None else whole.of(strategy)


def _likest(v: Version, before: list[Version]) -> Version | None:
    near = [(_likeness(b.text, v.text), k) for k, b in enumerate(before) if b.text is not None and v.text is not None]
    likeness, k = max(near, default=(0.0, 0))
    return before[k] if likeness >= ALIKE else None


def _likeness(a: str, b: str) -> float:
    """Of two sources, names of the functions apart: 1 for the same lines, 0 for none in common."""
    return difflib.SequenceMatcher(None, a.splitlines()[1:], b.splitlines()[1:], autojunk=False).ratio()


def kinds_of(before: str | None, after: str | None) -> tuple[str, ...]:
    """What kinds of edit lead from one source to another: names of `KINDS`; none where a text is not kept.

    >>> kinds_of("def f(ctx, n=5):\\n    ctx.order(1)", "def f(ctx, n=6):\\n    ctx.order(2)")
    ('parameters', 'constants')
    """
    if before is None or after is None:
        return ()
    a, b = _features(before), _features(after)
    changed = tuple(kind for kind in KINDS if kind != "layout" and a[kind] != b[kind])
    return changed or ("layout",)


def _features(text: str) -> dict[str, Any]:
    """By kind of edit, what of a source it would change."""
    out: dict[str, Any] = {kind: Counter() for kind in KINDS}
    code = text.splitlines()
    rest: list[str] = []
    while code:  # a source is code, then lines that tell of state, warm-up and what it captures
        try:
            tree = ast.parse("\n".join(code))
            break
        except SyntaxError:
            rest.insert(0, code.pop())
    else:
        return out | {"state": rest}
    out["state"] = rest
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    out["parameters"] = [ast.dump(f.args) for f in functions]
    for f in functions:
        for node in (n for line in f.body for n in ast.walk(line)):
            if isinstance(node, ast.Constant):
                out["constants"][repr(node.value)] += 1
            elif isinstance(node, (ast.If, ast.While, ast.IfExp)):
                out["conditions"][type(node).__name__] += 1
            elif isinstance(node, (ast.Compare, ast.BoolOp)):
                out["conditions"][",".join(type(o).__name__ for o in getattr(node, "ops", [node]))] += 1
            elif isinstance(node, ast.Attribute):
                sends = re.match("|".join(ORDERS), node.attr) is not None
                out["orders" if sends else "inputs"][node.attr] += 1
    return out
