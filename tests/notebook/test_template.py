"""The template: what it declares, and that one code path serves a person and a batch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kernelkit.batch import template
from kernelkit.batch.run import run as run_template

SMALL = {"fast": "10,20", "slow": "100,150", "train": "8Y", "test": "4Y"}


def test_template__every_parameter_is_typed_and_explained():
    found = template.read("walk_forward")
    assert found.title == "Walk-forward validation"
    kinds = {p.name: p.kind for p in found.parameters}
    assert kinds == {
        "data": "str",
        "fast": "axis",
        "slow": "axis",
        "where": "str",
        "train": "str",
        "test": "str",
        "anchored": "bool",
        "carry": "bool",
        "cash": "float",
        "fee": "float",
        "slippage": "float",
    }
    assert all(p.help for p in found.parameters)


def code(path: Path) -> list[str]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def test_template__interactively_it_leaves_no_files(shell, run, tmp_path):
    parameters, *cells = code(template.find("walk_forward"))
    given = "\n".join(f"{name} = {value!r}" for name, value in SMALL.items())
    for cell in (parameters, given, *cells):
        ran = run(cell)
        assert ran.error is None, ran.text
    study = shell.user_ns["study"]
    assert study.sizes["fold"] == 3
    assert shell.user_ns["metrics"]["folds"] == 3
    assert set(study["fast"].values) <= {10, 20}
    assert {path.name for path in tmp_path.iterdir()} == {".kernelkit"}


def test_template__as_a_job_it_keeps_results_and_numbers(tmp_path, monkeypatch):
    import xarray as xr

    monkeypatch.chdir(tmp_path)
    outcome = run_template("walk_forward", SMALL, tmp_path / "runs")[0]
    assert outcome.run.status == "done"
    metrics = outcome.run.metrics
    assert set(metrics) == {"oos_sharpe_ratio", "oos_cagr", "oos_max_drawdown", "efficiency", "folds"}
    assert outcome.run.data["name"] == "sp500_index"
    assert metrics["folds"] == 3
    with xr.open_zarr(outcome.folder / outcome.run.store, consolidated=False) as stored:
        assert float(stored["sharpe_ratio"]) == pytest.approx(metrics["oos_sharpe_ratio"], rel=1e-12)
        assert stored.sizes["fold"] == 3
    report = (outcome.folder / outcome.run.report).read_text(encoding="utf-8")
    assert "Growth of 1, out of sample" in report
    assert "TOO LITTLE DATA" in report or "NOT SIGNIFICANT" in report
    notebook = json.loads((outcome.folder / outcome.run.notebook).read_text(encoding="utf-8"))
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    assert [output for output in outputs if output.get("name") == "stderr"] == []
