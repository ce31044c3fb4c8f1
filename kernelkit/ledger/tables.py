"""The ledger as tables: what was tried by strategy, every trial, and copies of it for others."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.errors import UsageError, message
from kernelkit.ledger.log import Row
from kernelkit.ledger.store import rows
from kernelkit.ledger.trials import FAILED, PRUNED, UNTOUCHED

if TYPE_CHECKING:
    import pandas as pd

STATUSES = ("untouched", "done", "failed", "pruned")


def summary() -> pd.DataFrame:
    """What was tried in this project so far, by strategy and role, and what was declared.

    ``calls`` and ``trials`` count every run, ``distinct`` each trial once, ``failed`` those that came to no result;
    ``first`` and ``last`` are times (UTC). A log that is torn or was altered counts as far as it can be read, with a
    warning.

    >>> list(summary())
    ['strategy', 'role', 'calls', 'trials', 'distinct', 'failed', 'first', 'last']
    """
    import pandas as pd

    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows("trials", "declared"):
        own = (row["strategy"], row["role"]) if row["kind"] == "trials" else (row["note"], "declared")
        entry = found.setdefault(own, {"calls": 0, "trials": 0, "keys": set(), "failed": 0, "first": row["at"]})
        entry["calls"] += 1
        entry["trials"] += row["trials"]
        if row["kind"] == "trials":
            touched = row["status"] != UNTOUCHED
            entry["keys"].update(k.tobytes() for k in row["key"][touched])
            entry["failed"] += int(np.isin(row["status"], (FAILED, PRUNED)).sum())
        else:
            entry["keys"].update(range(len(entry["keys"]), len(entry["keys"]) + row["trials"]))
        entry["first"], entry["last"] = min(entry["first"], row["at"]), max(entry.get("last", 0.0), row["at"])
    lines = [
        (*own, e["calls"], e["trials"], len(e["keys"]), e["failed"], e["first"], e["last"])
        for own, e in sorted(found.items())
    ]
    names = ["strategy", "role", "calls", "trials", "distinct", "failed", "first", "last"]
    table = pd.DataFrame(lines, columns=names)
    for name in ("first", "last"):
        table[name] = pd.to_datetime(table[name], unit="s", utc=True)
    return table


def trials(strategy: str | None = None, *, role: str | None = None) -> pd.DataFrame:
    """Every trial that was recorded, one row for each run of it, in the order of time.

    Columns: ``at`` (UTC), ``notebook``, ``strategy``, ``source`` (hash), ``role``, ``asset``, ``start`` and ``end`` of
    the span, ``venue``, ``params`` (dict), ``status``, ``final_equity``, ``sharpe_ratio`` (annual), ``key``, ``parent``
    and ``seen``: the how manieth run of the same trial it is.

    >>> list(trials("none of that name"))[:5]
    ['at', 'notebook', 'strategy', 'source', 'role']
    """
    import pandas as pd

    wanted = rows(
        "trials",
        keep=lambda row: (strategy is None or row["strategy"] == strategy) and (role is None or row["role"] == role),
    )
    parts = [pd.DataFrame(_columns(row)) for row in wanted]
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=[*NAMES])
    table = table.sort_values("at", kind="stable", ignore_index=True)
    table["seen"] = table.groupby("key").cumcount() + 1
    table["at"] = pd.to_datetime(table["at"], unit="s", utc=True)
    for name in ("start", "end"):
        table[name] = pd.to_datetime(table[name], unit="ns", utc=True)
    return table


NAMES = (
    *("at", "notebook", "strategy", "source", "role", "asset", "start", "end", "venue", "params"),
    *("status", "final_equity", "sharpe_ratio", "key", "parent"),
)


def _columns(row: Row) -> dict[str, Any]:
    """The columns of a call's trials that were run."""
    n_account = 1 if row["together"] else len(row["assets"])
    kept = np.flatnonzero(row["status"] != UNTOUCHED)
    params = list(itertools.chain.from_iterable(itertools.repeat(p, n_account) for p in params_of(row)))
    names = [", ".join(row["assets"])] if row["together"] else row["assets"]
    same = {
        "notebook": row["notebook"],
        "parent": row.get("parent", ""),
        "start": row["span"][0],
        "end": row["span"][1],
    }
    same |= {n: row[n] for n in ("at", "strategy", "source", "role", "venue")}
    own = {
        "asset": [names[k % n_account] for k in kept],
        "params": [params[k] for k in kept],
        "status": [STATUSES[s] for s in row["status"][kept]],
        "final_equity": row["final_equity"][kept],
        "sharpe_ratio": row["sharpe_ratio"][kept],
        "key": [k.tobytes().hex() for k in row["key"][kept]],
    }
    columns = {n: [v] * len(kept) for n, v in same.items()} | own
    return {n: columns[n] for n in NAMES}


def params_of(row: Row) -> Iterator[dict[str, Any]]:
    """The parameters of each cell of a call, those that all share among them."""
    n_account = 1 if row["together"] else len(row["assets"])
    cells, axes = row["cell"][::n_account], row["axes"]
    at = np.unravel_index(cells, [len(v) for v in axes.values()]) if axes else ()
    for k in range(len(cells)):
        yield row["bound"] | {n: v[int(at[j][k])] for j, (n, v) in enumerate(axes.items())}


def export(path: str | Path, strategy: str | None = None) -> Path:
    """Write `trials` to a .parquet, .csv or .json file, and return its path; raises UsageError for another suffix.

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
    table = trials(strategy)
    if to.suffix == ".json":
        table.to_json(to, orient="records", date_format="iso", indent=1)
    else:
        flat = table.assign(params=[str(p) for p in table["params"]])
        flat.to_csv(to, index=False) if to.suffix == ".csv" else flat.to_parquet(to, index=False)
    return to
