"""The ledger as tables: what was tried by strategy, every trial, and copies of it for others."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.errors import UsageError, arguments, message
from kernelkit.ledger.family import declared
from kernelkit.ledger.log import Row
from kernelkit.ledger.markets import every_market
from kernelkit.ledger.store import rows
from kernelkit.ledger.trials import DONE, FAILED, PRUNED, STATUSES, UNTOUCHED, accounts_of, values_at

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow.compute as pc

NAMES = (
    *("at", "notebook", "strategy", "source", "role", "asset", "start", "end", "venue", "params"),
    *("status", "final_equity", "sharpe_ratio", "key", "parent"),
)
FAMILY = ("market", "assets", "generated", "start", "end", "runs", "distinct", "failed", "declared")
PART_OF = ("cell", "key", "status", "final_equity", "sharpe_ratio", "parents", "blocks")  # arrays by trial


@arguments()
def summary() -> pd.DataFrame:
    """What was tried in this project so far, by strategy and role, and what was declared, by its note.

    ``calls`` and ``trials`` count every run, ``distinct`` each trial once, ``failed`` the runs that came to no result,
    ``pruned`` those that a search ended; ``first`` and ``last`` are times (UTC). A log that is torn or was altered
    counts as far as it can be read, with a warning.

    >>> list(summary())
    ['strategy', 'role', 'calls', 'trials', 'distinct', 'failed', 'pruned', 'first', 'last']
    """
    import pandas as pd

    keys: dict[tuple[str, str], set[bytes]] = {}
    lines = []
    for row in rows("trials", heavy=False):
        own, status = (row["strategy"], row["role"]), row["status"]
        keys.setdefault(own, set()).update(row["key"][status != UNTOUCHED].tolist())
        ended = int((status == FAILED).sum()), int((status == PRUNED).sum())
        lines.append((*own, int(row.get("part", [0])[0] == 0), row["trials"], *ended, row["at"], row["at"]))
    lines += [(row["note"], "declared", 1, row["trials"], 0, 0, row["at"], row["at"]) for row in rows("declared")]
    told = pd.DataFrame(lines, columns=["strategy", "role", "calls", "trials", "failed", "pruned", "first", "last"])
    how = {"calls": "sum", "trials": "sum", "failed": "sum", "pruned": "sum", "first": "min", "last": "max"}
    table = told.groupby(["strategy", "role"], as_index=False).agg(how)
    many = [len(keys.get((s, r), ())) or n for s, r, n in table[["strategy", "role", "trials"]].itertuples(index=False)]
    table.insert(4, "distinct", many)
    for name in ("first", "last"):
        table[name] = pd.to_datetime(table[name], unit="s", utc=True)
    return table


@arguments()
def families() -> pd.DataFrame:
    """What was tried in this project so far, by market: one row for the family of all its time, real or generated.

    Columns: ``market`` (its first id), ``assets`` (the permanent ids that are this market, J7), ``generated``,
    ``start`` and ``end`` of what was covered (UTC), ``runs`` of rivals, ``distinct``, ``failed`` and ``declared`` as of
    J8. A call on several assets in one account is of every market that it holds.

    >>> list(families())
    ['market', 'assets', 'generated', 'start', 'end', 'runs', 'distinct', 'failed', 'declared']
    """
    import pyarrow.compute as pc

    found = Families()
    for row in rows("trials", where=pc.field("role") == "rival", heavy=False):
        found.take(row)
    return found.table()


class Families:
    """What was tried by market: rows of trials are taken one by one, `table` is that of `families`."""

    def __init__(self) -> None:
        self._same = every_market()
        self._found: dict[tuple[str, int], _Tried] = {}

    def take(self, row: Row) -> None:
        """Add a row of rivals."""
        n_account, ids = accounts_of(row), row["asset_ids"]
        for a in range(n_account):
            places = slice(a, None, n_account)
            own = ids if row["together"] else [ids[a]]
            for asset_id in own:
                tried = self._found.setdefault((self._same.of(asset_id), row["synthetic"]), _Tried())
                tried.assets.add(asset_id)
                tried.spans.append(row["span"])
            for market in {self._same.of(i) for i in own}:
                self._found[market, row["synthetic"]].take(row["key"][places], row["status"][places])

    def table(self) -> pd.DataFrame:
        """One row for each market, those of generated data apart."""
        import pandas as pd

        lines = [
            {
                "market": market,
                "assets": sorted(tried.assets),
                "generated": bool(synthetic),
                "start": min(begin for begin, _ in tried.spans),
                "end": max(end for _, end in tried.spans),
                "runs": tried.runs,
                "distinct": len(tried.keys),
                "failed": len(tried.keys - tried.ended),
                "declared": declared({market}, self._same, synthetic=synthetic),
            }
            for (market, synthetic), tried in sorted(self._found.items())
        ]
        table = pd.DataFrame(lines, columns=[*FAMILY])
        for name in ("start", "end"):
            table[name] = pd.to_datetime(table[name], unit="ns", utc=True)
        return table


@dataclass
class _Tried:
    """What was tried on a market."""

    assets: set[str] = field(default_factory=set)
    spans: list[tuple[int, int]] = field(default_factory=list)
    keys: set[bytes] = field(default_factory=set)
    ended: set[bytes] = field(default_factory=set)
    runs: int = 0

    def take(self, key: np.ndarray, status: np.ndarray) -> None:
        """Add the trials of one account of a call."""
        reached = key[status != UNTOUCHED].tolist()
        self.runs += len(reached)
        self.keys.update(reached)
        self.ended.update(key[status == DONE].tolist())


@arguments()
def trials(strategy: str | None = None, *, role: str | None = None) -> pd.DataFrame:
    """Every trial that was recorded, one row for each run of it, in the order of time.

    Columns: ``at`` (UTC), ``notebook``, ``strategy``, ``source`` (hash), ``role``, ``asset``, ``start`` and ``end`` of
    the span, ``venue``, ``params`` (dict), ``status``, ``final_equity`` (quote currency), ``sharpe_ratio`` (annual),
    ``key``, ``parent`` (the key of the trial that it was proposed from, or of what a search says in its place) and
    ``seen``: 1 for the first run of a trial, 2 for the second.

    >>> list(trials("none of that name"))[:5]
    ['at', 'notebook', 'strategy', 'source', 'role']
    """
    import pandas as pd

    parts = [pd.DataFrame(_columns(row)) for row in rows("trials", where=_called(strategy, role), heavy=False)]
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=[*NAMES])
    table = table.sort_values("at", kind="stable", ignore_index=True)
    table["seen"] = table.groupby("key").cumcount() + 1
    table["at"] = pd.to_datetime(table["at"], unit="s", utc=True)
    for name in ("start", "end"):
        table[name] = pd.to_datetime(table[name], unit="ns", utc=True)
    return table


def _called(strategy: str | None, role: str | None) -> pc.Expression | None:
    import pyarrow.compute as pc

    given: dict[str, Any] = {"strategy": strategy, "role": role}
    for name, value in given.items():
        if value is not None and not isinstance(value, str):
            fix = "Write it as kk.ledger.summary() does."
            raise UsageError(message(f"{name} of trials", repr(value), "its name, a text", fix))
    asked = [pc.field(n) == v for n, v in given.items() if v is not None]
    return asked[0] if len(asked) == 1 else asked[0] & asked[1] if asked else None


def _columns(row: Row) -> dict[str, Any]:
    """The columns of a call's trials that were run."""
    n_account = accounts_of(row)
    kept = np.flatnonzero(row["status"] != UNTOUCHED)
    params = list(params_of(row))
    names = [", ".join(row["assets"])] if row["together"] else row["assets"]
    parents = [row.get("parent", "")] * len(kept)
    if "parents" in row:
        parents = [key.hex() if any(key) else "" for key in row["parents"][kept].tolist()]
    same = {"start": row["span"][0], "end": row["span"][1]}
    same |= {n: row[n] for n in ("at", "notebook", "strategy", "source", "role", "venue")}
    own = {
        "asset": [names[k % n_account] for k in kept],
        "params": [params[k // n_account] for k in kept],
        "status": [STATUSES[s] for s in row["status"][kept]],
        "final_equity": row["final_equity"][kept],
        "sharpe_ratio": row["sharpe_ratio"][kept],
        "key": [k.hex() for k in row["key"][kept].tolist()],
        "parent": parents,
    }
    columns = {n: [v] * len(kept) for n, v in same.items()} | own
    return {n: columns[n] for n in NAMES}


def params_of(row: Row) -> Iterator[dict[str, Any]]:
    """The parameters of each cell of a row of trials, those that all share among them."""
    cells, axes = row["cell"][:: accounts_of(row)], row["axes"]
    at = values_at(axes, cells, bool(row.get("listed")))
    for k in range(len(cells)):
        yield row["bound"] | {n: v[int(at[n][k])] for n, v in axes.items()}


def call(digest: str, *, role: str = "rival") -> Row | None:
    """All trials of one call as one row, those of its last run that has block summaries, if one has; else None.

    ``digest`` is what a result's attrs name as ``ledger``.

    >>> call("none of that name") is None
    True
    """
    import pyarrow.compute as pc

    found = sorted(
        rows("trials", where=(pc.field("call") == digest) & (pc.field("role") == role)),
        key=lambda row: ("blocks" in row, row["at"], row.get("part", [0])[0]),
    )
    last = [row for row in found if row["at"] == found[-1]["at"]]
    if len(last) < 2:
        return last[0] if last else None
    joined = {n: np.concatenate([row[n] for row in last]) for n in PART_OF if n in last[0]}
    return last[0] | joined | {"trials": sum(row["trials"] for row in last)}


def call_of(key: str, calls: Sequence[str], *, role: str = "rival") -> tuple[Row, int] | None:
    """Of these calls the last that has a result of the trial of this key and its blocks, and the trial's place there.

    >>> call_of("00", ["none of that name"]) is None
    True
    """
    import pyarrow.compute as pc

    found, wanted = None, bytes.fromhex(key)
    for row in sorted(rows("trials", where=pc.field("call").isin([*calls]) & (pc.field("role") == role)), key=_at):
        places = [k for k, own in enumerate(row["key"].tolist()) if own == wanted and row["status"][k] == DONE]
        found = (row, places[0]) if places and "blocks" in row else found
    return found


def _at(row: Row) -> float:
    return float(row["at"])


@arguments()
def export(path: str | Path, strategy: str | None = None) -> Path:
    """Write `trials` to a .parquet, .csv or .json file, params as JSON, and return its path.

    Raises UsageError for another suffix, and for a folder that there is not.

    >>> export("trials.xlsx")
    Traceback (most recent call last):
    kernelkit.errors.UsageError: path of an export: found 'trials.xlsx', wanted a name that ends in .parquet, .csv ...
    """
    to = Path(path)
    if to.suffix not in (".parquet", ".csv", ".json"):
        fix = "Choose one of these."
        raise UsageError(
            message("path of an export", repr(str(path)), "a name that ends in .parquet, .csv or .json", fix)
        )
    if not to.absolute().parent.is_dir():
        fix = f"Make it first: mkdir -p {to.absolute().parent}."
        raise UsageError(message("folder of an export", f"no {to.absolute().parent}", "one that is there", fix))
    table = trials(strategy)
    if to.suffix == ".json":
        table.to_json(to, orient="records", date_format="iso", indent=1)
    else:
        flat = table.assign(params=[json.dumps(p, ensure_ascii=False) for p in table["params"]])
        flat.to_csv(to, index=False) if to.suffix == ".csv" else flat.to_parquet(to, index=False)
    return to
