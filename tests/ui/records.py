"""Records of runs in the folder that JupyterLab serves."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat

from kernelkit.batch import runs

KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
METRICS = {"sharpe_ratio": 0.8312, "cagr": 0.0714, "max_drawdown": 0.2138, "n_trades": 214.0}


def write_run(root: Path, **fields: object) -> None:
    run = runs.Run(**{"template": "walk_forward", "data": {"name": "sp500_index"}, "metrics": METRICS, **fields})
    folder = root / "runs" / run.id
    folder.mkdir(parents=True)
    (folder / runs.FILE).write_text(json.dumps(run.to_json()))
    if run.notebook is not None:
        cell = nbformat.v4.new_markdown_cell("# Executed walk-forward")
        notebook = nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": KERNEL})
        nbformat.write(notebook, folder / run.notebook)
    if run.report is not None:
        (folder / run.report).write_text("<h1>Report of the walk-forward</h1>")
