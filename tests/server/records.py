"""Records of runs in the folder that a server serves."""

from __future__ import annotations

import json
from pathlib import Path

from kernelkit.batch import runs


def write_run(root: Path, **fields: object) -> runs.Run:
    """A record in root/runs, with the files that it names."""
    defaults = {
        "name": "a",
        "template": "grid",
        "status": "done",
        "created": "2026-01-02T03:04:05.000Z",
        "progress": 1.0,
    }
    run = runs.Run(**{**defaults, **fields})
    folder = root / "runs" / run.id
    folder.mkdir(parents=True)
    (folder / runs.FILE).write_text(json.dumps(run.to_json()))
    for name in (run.notebook, run.report):
        if name is not None:
            (folder / name).write_text("")
    return run
