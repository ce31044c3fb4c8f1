"""The templates: what each declares, and that its numbers are the same for a person, as a job and on a cluster."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import xarray as xr

from kernelkit.batch import context, template
from kernelkit.batch.execution import Outcome
from kernelkit.batch.run import RunsFailedError
from kernelkit.batch.run import run as run_template


class Case(NamedTuple):
    """Parameters that make a template short, its headline, a variable of its store, words of its report."""

    small: dict[str, Any]
    headline: set[str]
    variable: str
    words: str


CASES = {
    "walk_forward": Case(
        {"grid": "fast=10,20; slow=100,150", "train": "8Y", "test": "4Y"},
        {"oos_sharpe_ratio", "oos_cagr", "oos_max_drawdown", "efficiency", "folds"},
        "oos_sharpe_ratio",
        "Growth of 1, out of sample",
    ),
    "monte_carlo": Case(
        {"paths": "20", "model": "GBM", "strategy": "momentum", "params": "span=60"},
        {"probability_of_ruin", "median_sharpe_ratio", "rank_of_sharpe_ratio", "drawdown_95"},
        "equity_band",
        "Growth of 1: the bars",
    ),
    "cross_validation": Case(
        {"strategy": "momentum", "grid": "span=20,60,120", "where": "true", "groups": "4", "embargo": "5"},
        {"oos_sharpe_ratio", "worst_sharpe_ratio", "efficiency"},
        "oos_sharpe_ratio",
        "paths out of sample",
    ),
    "stress_test": Case(
        {"strategy": "buy_and_hold", "params": "weight=0.9", "ruin": "0.2"},
        {"worst_window_drawdown", "worst_loss", "smallest_ruinous_gap"},
        "window_drawdown",
        "What each scenario takes",
    ),
    "sensitivity": Case(
        {"strategy": "momentum", "params": "span=60", "ranges": "span=20,120", "rows": "32", "draws": "20"},
        {"held_around", "stability", "break_even_bps", "left_a_bar_late", "held_under_noise"},
        "total_order",
        "What each parameter accounts for",
    ),
    "regimes": Case(
        {"strategy": "momentum", "params": "span=60", "grid": "span=20,60", "labels": "volatility", "test": "4Y"},
        {"oos_sharpe_ratio", "walk_forward_sharpe_ratio", "p_value"},
        "regime_of",
        "Sharpe ratio by regime",
    ),
    "optimize": Case(
        {"space": "fast=10:30:5; slow=60:200:20", "method": "sobol", "n": "32"},
        {"is_sharpe_ratio", "oos_sharpe_ratio", "trials"},
        "sharpe_ratio",
        "bars that the search has not seen",
    ),
    "compare": Case(
        {"strategies": "momentum; momentum span=60; buy_and_hold weight=0.5"},
        {"best_sharpe_ratio", "smallest_p_value", "strategies"},
        "correlation",
        "Is one better?",
    ),
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    distributed = pytest.importorskip("distributed")
    # processes of their own, as on machines of their own
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as local:
        yield local.scheduler_address


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Outcome]:
    """What a template comes to as a job, which is run once."""
    known: dict[str, Outcome] = {}

    def job(name: str) -> Outcome:
        if name not in known:
            known[name] = run_template(name, CASES[name].small, tmp_path_factory.mktemp(name) / "runs")[0]
        return known[name]

    return job


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # whose ledger is empty


def test_every_template_is_tried() -> None:
    assert set(CASES) == set(template.templates())


KINDS = ("str", "int", "float", "bool", "axis", "grid", "duration")


@pytest.mark.parametrize("name", CASES)
def test_every_parameter_is_typed_and_explained(name: str) -> None:
    found = template.read(name)
    assert all(p.help and p.kind in KINDS for p in found.parameters)
    assert {"data", "cash", "fee", "slippage"} < {p.name for p in found.parameters}


@pytest.mark.parametrize("name", CASES)
def test_as_a_job_it_keeps_numbers_results_and_a_report(name: str, job: Callable[[str], Outcome]) -> None:
    case, outcome = CASES[name], job(name)
    assert outcome.run.status == "done"
    assert set(outcome.run.metrics) == case.headline
    assert outcome.run.data["name"] == "sp500_index"
    assert stored(outcome)[case.variable].notnull().any()
    report = (outcome.folder / outcome.run.report).read_text(encoding="utf-8")
    assert case.words in report
    assert any(verdict in report for verdict in ("TOO LITTLE DATA", "NOT SIGNIFICANT", "SIGNIFICANT"))
    notebook = json.loads((outcome.folder / outcome.run.notebook).read_text(encoding="utf-8"))
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    assert [output for output in outputs if output.get("name") == "stderr"] == []


def test_a_job_on_a_cluster_has_the_same_numbers(job: Callable[[str], Outcome], cluster: str, tmp_path: Path) -> None:
    here = job("walk_forward")
    there = run_template("walk_forward", CASES["walk_forward"].small, tmp_path / "runs", cluster=cluster)[0]
    assert (there.run.id, there.run.metrics) == (here.run.id, here.run.metrics)
    xr.testing.assert_equal(stored(there), stored(here))


@pytest.mark.parametrize("place", ["here", "cluster"])
@pytest.mark.parametrize("name", CASES)
def test_to_a_person_the_numbers_are_the_same_and_no_files_are_left(
    name: str,
    place: str,
    job: Callable[[str], Outcome],
    shell: Any,
    run: Callable[[str], Any],
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if place == "cluster":
        monkeypatch.setenv(context.CLUSTER, request.getfixturevalue("cluster"))
    parameters, *cells = code(template.find(name))
    given = "\n".join(f"{key} = {typed(name, key, value)!r}" for key, value in CASES[name].small.items())
    for cell in (parameters, given, *cells):
        ran = run(cell)
        assert ran.error is None, ran.text
    assert shell.user_ns["metrics"] == job(name).run.metrics
    xr.testing.assert_equal(shell.user_ns["study"][[CASES[name].variable]], stored(job(name))[[CASES[name].variable]])
    assert {path.name for path in tmp_path.iterdir()} == {".kernelkit"}


def stored(outcome: Outcome) -> xr.Dataset:
    with xr.open_zarr(outcome.folder / outcome.run.store, consolidated=False) as found:
        return found.load()


def code(path: Path) -> list[str]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def typed(name: str, parameter: str, value: str) -> Any:
    kind = next(p.kind for p in template.read(name).parameters if p.name == parameter)
    return {"int": int, "float": float}.get(kind, str)(value)


FAILS = """import kernelkit as kk


@kk.strategy
def fails(ctx, fast=10, slow=100):
    ctx.target_percent(fast // (slow - slow))
"""


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("regimes", {"params": "fast=20,30; slow=100"}, "params has several values of fast, wanted one value each"),
        ("optimize", {"strategy": "fails.py", "n": "2"}, "No trial has a sharpe_ratio: ZeroDiv"),
        ("compare", {"strategies": "fails.py; fails.py fast=5"}, "ZeroDivisionError"),
    ],
)
def test_what_does_not_fit_is_told(tmp_path: Path, name: str, given: dict[str, Any], says: str) -> None:
    (tmp_path / "fails.py").write_text(FAILS)
    with pytest.raises(RunsFailedError, match=says):
        run_template(name, given, tmp_path / "runs")


def test_a_holdout_is_a_share() -> None:
    cells = json.loads(template.find("optimize").read_text())["cells"]
    names: dict[str, Any] = {}
    exec("".join(cells[1]["source"]), names)
    names["holdout"] = float("nan")
    with pytest.raises(SystemExit, match="holdout is nan, wanted a share"):
        exec("".join(cells[2]["source"]), names)


def test_compare_leaves_out_what_fails(tmp_path: Path) -> None:
    (tmp_path / "fails.py").write_text(FAILS)
    outcome = run_template("compare", {"strategies": "fails.py; momentum"}, tmp_path / "runs")[0]
    assert outcome.run.status == "done"
    assert "fails.py is left out: ZeroDivisionError" in (outcome.folder / "report.html").read_text()
