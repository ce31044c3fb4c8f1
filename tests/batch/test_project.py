"""`kernelkit new` and `kernelkit ledger`: a project in which everything works, and what was tried in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import xarray as xr

import kernelkit as kk
from kernelkit.batch import project, runs, template

from .conftest import Command

Invoke = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new project whose batch was made."""
    outer = tmp_path_factory.mktemp("outer")
    (outer / ".git").mkdir()
    assert Command(outer).run("new", "my project").returncode == 0
    folder = outer / "my project"
    done = Command(folder).run("batch", "batch.yaml")
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 5), done.stderr
    assert "warning" not in done.stderr
    return folder


def test_the_batch_of_a_new_project_is_what_it_says(made: Path) -> None:
    found = runs.list_runs(made / "runs")
    assert sorted((run.parameters["strategy"], run.parameters["params"], run.parameters["fee"]) for run in found) == [
        ("buy_and_hold", "weight=1.0", 0.0002),
        ("trend.py", "n=100", 0.0002),
        ("trend.py", "n=100", 0.001),
        ("trend.py", "n=50", 0.0002),
        ("trend.py", "n=50", 0.001),
    ]
    assert {run.status for run in found} == {"done"}
    for run in found:
        assert (made / "runs" / run.id / "report.html").is_file()
        assert all(value is not None for value in run.metrics.values())
        if run.parameters["strategy"] == "buy_and_hold":
            assert run.metrics["sharpe_ratio"] == run.metrics["sharpe_ratio_of_holding"]


def test_its_test_passes(made: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    path = os.pathsep.join([str(Path(kk.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        command, cwd=made, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path}
    )
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout


def test_a_run_made_again_from_its_record_has_the_same_numbers(made: Path) -> None:
    before = next(run for run in runs.list_runs(made / "runs") if run.parameters["params"] == "n=50")
    store = made / "runs" / before.id / "result.zarr"
    with xr.open_zarr(store, consolidated=False) as opened:
        kept = opened.load()
    done = Command(made.parent).run("resume", str(made / "runs" / before.id / "run.json"), "--force")
    assert done.returncode == 0, done.stderr
    after = runs.read_run(made / "runs" / before.id)
    assert after.created > before.created
    assert (after.metrics, after.data, after.parameters) == (before.metrics, before.data, before.parameters)
    with xr.open_zarr(store, consolidated=False) as opened:
        assert kept.equals(opened.load())
    assert not (made.parent / ".kernelkit").exists()


def test_the_ledger_of_the_project_is_its_own(made: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made)
    code, out, err = invoke("ledger")
    assert (code, err) == (0, "")
    rows = [line.split()[:2] for line in out.splitlines()]
    assert ["trend", "rival"] in rows
    assert out.splitlines()[-1].startswith(f"{made}/.kernelkit/ledger, strategies: ")
    (family,) = json.loads(invoke("ledger", "families", "--json")[1])
    assert (family["assets"], family["distinct"], family["generated"]) == (["index:SPX"], 5, False)
    assert family == {**family, "failed": 0, "declared": 0}
    code, out, _ = invoke("ledger", "trials", "--strategy", "trend", "--role", "rival", "--last", "2")
    lines = out.splitlines()
    assert (code, len(lines), lines[0].split()[:3]) == (0, 4, ["AT", "STRATEGY", "ROLE"])
    told = json.loads(invoke("ledger", "trials", "--strategy", "trend", "--role", "rival", "--json")[1])
    assert {one["params"]["n"] for one in told} == {50, 100}
    assert all(isinstance(one["sharpe_ratio"], float) for one in told)
    assert "families: 1" in invoke("ledger", "families")[1]


def test_a_project_without_trials(tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / ".kernelkit").mkdir()
    where = tmp_path / ".kernelkit" / "ledger"
    for table in ("strategies", "families", "trials"):
        assert invoke("ledger", table) == (0, f"{where}: nothing was tried yet\n", "")
        assert invoke("ledger", table, "--json") == (0, "[]\n", "")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("ledger", "--last", "3"), "--strategy, --role and --last are of trials"),
        (("ledger", "markets"), "Invalid value for"),
        (("new", "full"), "full: found a folder that is not empty, wanted a new folder, or an empty one"),
        (("new", "file"), "file: found a file, wanted a new folder, or an empty one"),
    ],
)
def test_wrong_usage(tmp_path: Path, invoke: Invoke, arguments: tuple[str, ...], complaint: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.txt").touch()
    (tmp_path / "file").touch()
    code, out, err = invoke(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert complaint in err
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["a.txt"]


def test_a_new_project_may_take_an_empty_folder_and_says_its_name(tmp_path: Path) -> None:
    (tmp_path / "alpha").mkdir()
    names = {path.name for path in project.begin(tmp_path / "alpha")}
    assert names == {"trend.py", "test_trend.py", "research.ipynb", "batch.yaml", "README.md", ".gitignore"}
    assert (tmp_path / "alpha" / "README.md").read_text().startswith("# alpha\n")
    assert (tmp_path / "alpha" / ".kernelkit").is_dir()


def test_an_installation_without_its_skeleton_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(project, "folders", lambda: [tmp_path])
    with pytest.raises(kk.errors.RunError, match="Install kernelkit again"):
        project.begin(tmp_path / "alpha")
    assert not (tmp_path / "alpha").exists()


def test_the_skeleton_is_no_template() -> None:
    assert project.SKELETON not in template.templates()
