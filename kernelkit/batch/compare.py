"""Runs side by side: their headlines, and whatever else is not the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kernelkit.batch.columns import columns, spelt
from kernelkit.batch.runs import Run
from kernelkit.files import canonical_json


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
    lines += [(name, *(str(one["circumstances"].get(name, "")) for one in found)) for name in outer]
    return f"{table}\n\n{columns(lines)}"
