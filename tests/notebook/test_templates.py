"""The templates as jobs: what each declares, and that it leaves its numbers, its store and a report without a fault."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

from kernelkit.batch import template
from kernelkit.batch.run import run as run_template

# by template: parameters that make it short, its headline, a variable of its store, words of its report
CASES: dict[str, tuple[dict[str, Any], set[str], str, str]] = {
    "monte_carlo": (
        {"paths": "20", "model": "GBM", "strategy": "momentum", "params": "span=60"},
        {"probability_of_ruin", "median_sharpe_ratio", "rank_of_sharpe_ratio", "drawdown_95"},
        "equity_band",
        "Growth of 1: the bars",
    ),
    "cross_validation": (
        {"strategy": "momentum", "grid": "span=20,60,120", "where": "true", "groups": "4", "embargo": "5"},
        {"oos_sharpe_ratio", "worst_sharpe_ratio", "efficiency"},
        "oos_sharpe_ratio",
        "paths out of sample",
    ),
    "stress_test": (
        {"strategy": "buy_and_hold", "params": "weight=0.9", "ruin": "0.2"},
        {"worst_window_drawdown", "worst_loss", "smallest_ruinous_gap"},
        "window_drawdown",
        "What each scenario takes",
    ),
}


@pytest.mark.parametrize("name", template.templates())
def test_every_parameter_is_typed_and_explained(name: str) -> None:
    found = template.read(name)
    assert all(p.help and p.kind in ("str", "int", "float", "bool", "axis", "grid") for p in found.parameters)


def test_every_template_is_tried() -> None:
    assert set(CASES) == set(template.templates()) - {"walk_forward"}  # which has a module of its own


@pytest.mark.parametrize("name", CASES)
def test_as_a_job_it_keeps_numbers_results_and_a_report(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    small, headline, variable, words = CASES[name]
    outcome = run_template(name, small, tmp_path / "runs")[0]
    assert outcome.run.status == "done"
    assert set(outcome.run.metrics) == headline
    with xr.open_zarr(outcome.folder / outcome.run.store, consolidated=False) as stored:
        assert stored[variable].notnull().any()
    report = (outcome.folder / outcome.run.report).read_text(encoding="utf-8")
    assert words in report
    assert any(verdict in report for verdict in ("TOO LITTLE DATA", "NOT SIGNIFICANT", "SIGNIFICANT"))
    notebook = json.loads((outcome.folder / outcome.run.notebook).read_text(encoding="utf-8"))
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    assert [output for output in outputs if output.get("name") == "stderr"] == []
