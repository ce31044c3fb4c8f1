"""Runs side by side: their headlines, and whatever else is not the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kernelkit.batch.columns import columns, shortened, spelt
from kernelkit.batch.runs import Run, read_run
from kernelkit.errors import RunError, UsageError, message
from kernelkit.files import canonical_json

# More of them, and neither a table nor a picture can be read; their pairs grow as the square.
MOST = 20
# Metrics of which less is better, and those of which more is; of others none is the best.
LESS = ("volatility", "max_drawdown", "average_drawdown", "max_drawdown_duration", "ulcer_index")
MORE = (
    *("total_return", "cagr", "sharpe_ratio", "sortino_ratio", "calmar_ratio", "win_rate", "profit_factor"),
    *("final_equity", "efficiency"),
)


def differing(said: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names of what is not the same in all of `said`, in the order in which they first stand there.

    >>> differing([{"n": 1, "data": "spx"}, {"n": 2, "data": "spx"}, {"n": 2, "data": "spx", "seed": 1}])
    ['n', 'seed']
    """
    names = dict.fromkeys(name for one in said for name in one)
    return [name for name in names if len({canonical_json([one[name]] if name in one else []) for one in said}) > 1]


def _circumstances(run: Run) -> dict[str, Any]:
    """What a run hangs on besides its parameters."""
    told: dict[str, Any] = {"template": run.template}
    if run.data is not None:
        told["data"] = f"{run.data.get('name')} {run.data.get('lineage') or ''}".rstrip()
    if run.git is not None:
        told["code"] = f"{run.git.get('commit')}{', with changes' if run.git.get('dirty') else ''}"
    return {**told, **run.versions}


def to_json(runs: Sequence[Run]) -> dict[str, Any]:
    """Runs with their metrics, and by `parameters` and `circumstances` what is not the same in all of them."""
    own, around = differing([run.parameters for run in runs]), [_circumstances(run) for run in runs]
    outer = differing(around)
    return {
        "runs": [
            {
                "id": run.id,
                "status": run.status,
                "parameters": {name: run.parameters[name] for name in own if name in run.parameters},
                "circumstances": {name: one[name] for name in outer if name in one},
                "metrics": dict(run.metrics),
            }
            for run, one in zip(runs, around, strict=True)
        ]
    }


def best(metrics: Sequence[Mapping[str, float | None]]) -> dict[str, list[int]]:
    """By metric which of the runs are best, where some are and not all: places in ``metrics``.

    >>> best([{"oos_sharpe_ratio": 0.4, "folds": 15.0}, {"oos_sharpe_ratio": 0.5, "folds": 9.0}])
    {'oos_sharpe_ratio': [1]}
    """
    found = {}
    for name in dict.fromkeys(name for one in metrics for name in one):
        sign = _direction(name)
        known = {k: sign * v for k, one in enumerate(metrics) if (v := one.get(name)) is not None}
        first = [k for k, v in known.items() if v == max(known.values())]
        if sign and len(first) < len(known):
            found[name] = first
    return found


def _direction(name: str) -> int:
    plain = name.removeprefix("oos_").removeprefix("is_").removeprefix("best_")
    return -1 if plain in LESS else int(plain in MORE)


def in_full(folders: Sequence[Path]) -> dict[str, Any]:
    """`to_json` of the runs in these folders, with ``best`` and what their equity curves say of each other.

    ``curves`` says of each run which variable of its result stands for it and of which ``sample`` that is, as
    `curves.Curve` has it, or the ``reason`` why none does; ``common`` is that of `common.over`, None where fewer than
    two have one or they share too few sessions, and ``why`` then says so. Raises UsageError for fewer than two runs and
    for more than `MOST`, RunError for a folder that is no run's.
    """
    if not 2 <= len(folders) <= MOST:
        raise UsageError(message("runs to compare", len(folders), f"2 to {MOST}", "Select some of them."))
    from kernelkit.batch import common, curves

    # a copy of a run, whose record says the same, is another one
    runs = [dataclasses.replace(read_run(folder), id=folder.resolve().name) for folder in folders]
    found: dict[str, curves.Curve] = {}
    told: list[dict[str, Any]] = []
    for folder, run in zip(folders, runs, strict=True):
        try:
            curve = found[run.id] = curves.read(folder, run)
        except RunError as error:
            told.append({"name": None, "sample": None, "sessions": 0, "reason": str(error)})
        else:
            said = {"name": curve.name, "sample": curve.sample, "sessions": len(curve.session)}
            told.append({**said, "reason": None})
    shared = common.over(found)
    why = None
    if shared is None:
        few = f"They have fewer than {common.LEAST} sessions in common." if len(found) > 1 else ""
        why = few or f"{'One run has' if found else 'No run has'} a curve of equity; two are needed."
    return to_json(runs) | {
        "names": [run.name for run in runs],
        "best": best([run.metrics for run in runs]),
        "curves": told,
        "common": shared,
        "why": why,
    }


def text(runs: Sequence[Run]) -> str:
    """A line for each run with the parameters that differ and its headline; below it what else is not the same.

    >>> one, other = (Run(id=f"a-{n}", name="a", template="t", status="done", parameters={"n": n}) for n in (1, 2))
    >>> print(text([one, other]))
    ID   STATUS  n
    a-1  done    1
    a-2  done    2
    """
    found = to_json(runs)["runs"]
    own = list(dict.fromkeys(name for one in found for name in one["parameters"]))
    metrics = list(dict.fromkeys(name for one in found for name in one["metrics"]))
    rows = [("ID", "STATUS", *own, *metrics)]
    for one in found:
        values = (spelt(one["parameters"][name]) if name in one["parameters"] else "" for name in own)
        numbers = (one["metrics"].get(name) for name in metrics)
        rows.append((one["id"], one["status"], *values, *("" if v is None else f"{v:.4g}" for v in numbers)))
    table = columns(rows, right=range(2 + len(own), 2 + len(own) + len(metrics)))
    outer = list(dict.fromkeys(name for one in found for name in one["circumstances"]))
    if not outer:
        return table
    lines = [("not the same", *(one["id"] for one in found))]
    lines += [(name, *(shortened(str(one["circumstances"].get(name, ""))) for one in found)) for name in outer]
    return f"{table}\n\n{columns(lines)}"
