from __future__ import annotations

import errno
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner

from kernelkit.batch import runs
from kernelkit.batch.commands import looking
from kernelkit.kernels.job import new_outcome
from kernelkit.reuse import Results

Invoke = Callable[..., tuple[int, str, str]]


def test_a_batch_in_two_processes(tmp_path: Path, write_notebook: Any, command: Any) -> None:
    cell = "from kernelkit.batch import context\nassert n < 3, 'too many'\ncontext.headline({'n': n})"
    write_notebook(tmp_path / "a.ipynb", cell, parameters="n = 1\ntext = ''")
    arguments = ("run", "a.ipynb", "-p", "n=1:3:1", "-p", "text='x,\"y\"'", "--jobs", "2", "--hide-code")
    done = command.run(*arguments)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert lines[-1].startswith("kernelkit: 1 of 3 runs failed; see runs/a-")
    assert lines[-1].endswith("report.html")
    assert sum(": done" in line for line in lines) == 2
    (failed,) = (line for line in lines if ": failed (" in line)
    assert failed.endswith(" of 3 runs), cell 3: AssertionError: too many")
    assert "Traceback" not in done.stderr

    listed = json.loads(command.run("runs", "--json").stdout)
    assert {(run["parameters"]["n"], run["status"], run["metrics"].get("n")) for run in listed} == {
        (1, "done", 1.0),
        (2, "done", 2.0),
        (3, "failed", None),
    }
    assert {run["parameters"]["text"] for run in listed} == {'x,"y"'}
    assert len({run["pid"] for run in listed}) == 3
    reports = [(tmp_path / "runs" / run["id"] / "report.html").read_text() for run in listed]
    assert not any("headline" in html for html in reports if "AssertionError" not in html)

    again = command.run("run", "a.ipynb", "-p", "n=1", "-p", "text='x,\"y\"'")
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.endswith("already done; --force runs it again\n")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("run", "nothing.ipynb"), "nothing.ipynb: there is no such notebook"),
        (("run", "no_template_of_this_name"), "there is no template 'no_template_of_this_name'"),
        (("run", "a.ipynb", "-p", "n"), "-p n: wanted NAME=VALUE"),
        (("run", "a.ipynb", "-p", "n=1", "-p", "n=2"), "n is given twice; write several values as n=v1,v2"),
        (("run", "a.ipynb", "-p", "m=1"), "a.ipynb has no parameter 'm'; it has n"),
        (("run", "a.ipynb", "-p", "n=1:2"), "n=1:2: a range is start:stop:step, three numbers; this has 2"),
        (("run", "a.ipynb", "-p", "n=x"), "n: 'x' is not an int; the notebook's default is 1"),
        (("run", "a.ipynb", "--jobs", "0"), "Invalid value for '--jobs'"),
        (("run",), "Missing argument 'TEMPLATE'"),
        (("runs",), "runs: there is no such folder"),
        (("dance",), "No such command 'dance'"),
    ],
)
def test_wrong_usage_is_one_line_and_code_2(
    tmp_path: Path, write_notebook: Any, invoke: Invoke, arguments: tuple[str, ...], complaint: str
) -> None:
    write_notebook(tmp_path / "a.ipynb", "1", parameters="n = 1")
    code, out, err = invoke(*arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert err.startswith("kernelkit: ")
    assert complaint in err
    assert not (tmp_path / "runs").exists()


def test_wrong_usage_says_where_help_is(invoke: Invoke) -> None:
    assert "'kernelkit run --help' says more" in invoke("run")[2]


def test_an_out_that_cannot_be_made_is_one_line(tmp_path: Path, write_notebook: Any, invoke: Invoke) -> None:
    write_notebook(tmp_path / "a.ipynb", "1")
    (tmp_path / "file").write_text("no folder")
    code, out, err = invoke("run", "a.ipynb", "--out", "file")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("kernelkit: file/a-")
    assert "cannot be made: Not a directory" in err
    assert err.endswith("choose another --out\n")


def test_a_full_disk_names_the_file_and_the_way_on(
    tmp_path: Path, write_notebook: Any, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    write_notebook(tmp_path / "a.ipynb", "1")
    monkeypatch.setattr("os.fsync", full)
    code, _, err = invoke("run", "a.ipynb")
    assert (code, err.count("\n")) == (1, 1)
    assert re.fullmatch(
        r"kernelkit: runs/a-\w+/run\.json: No space left on device; free some, .* goes on from here\n", err
    )


def test_what_is_no_address_of_a_cluster_is_refused(tmp_path: Path, write_notebook: Any, invoke: Invoke) -> None:
    write_notebook(tmp_path / "a.ipynb", "n", parameters="n = 1")
    code, _, error = invoke("run", "a.ipynb", "--cluster", "nonsense")
    assert (code, "address of a cluster: found 'nonsense'" in error) == (2, True)
    assert not (tmp_path / "runs").exists()


def test_dry_run_prints_the_runs(tmp_path: Path, write_notebook: Any, invoke: Invoke) -> None:
    write_notebook(tmp_path / "a.ipynb", "1", parameters="n = 1\nfast = '5:50:5'")
    code, out, err = invoke("run", "a.ipynb", "-p", "n=1,2", "-p", "fast=5:20:5", "--dry-run")
    assert (code, err) == (0, "")
    assert [line.split("  ")[1] for line in out.splitlines()] == ["n=1 fast=5:20:5", "n=2 fast=5:20:5"]
    assert not (tmp_path / "runs").exists()


def test_a_run_ends_with_its_headline(tmp_path: Path, write_notebook: Any, command: Any) -> None:
    cell = "from kernelkit.batch import context\ncontext.headline({'sharpe_ratio': 0.36849, 'folds': 15})"
    write_notebook(tmp_path / "a.ipynb", cell)
    for end in ("sharpe_ratio=0.3685 folds=15", "sharpe_ratio=0.3685 folds=15  already done; --force runs it again"):
        folder, _, said = command.run("run", "a.ipynb").stdout.rstrip("\n").partition("  ")
        assert (tmp_path / folder / "report.html").is_file()
        assert said == end


def test_help_is_not_cut_off_and_says_what_a_range_holds(invoke: Invoke) -> None:
    assert "..." not in invoke("--help")[1].partition("[OPTIONS] COMMAND [ARGS]...")[2]
    assert "a:b:step (b included)" in " ".join(invoke("run", "--help")[1].split())


def test_a_lost_run_says_how_to_go_on(tmp_path: Path, invoke: Invoke) -> None:
    folder = tmp_path / "runs" / "a-1"
    folder.mkdir(parents=True)
    run = runs.Run(id="a-1", name="a", template="a", created=runs.utc_now())
    (folder / runs.FILE).write_text(json.dumps(run.to_json()))
    out = invoke("runs")[1].splitlines()[1]
    assert out.startswith("lost")
    assert out.endswith("a-1  kernelkit resume goes on with it")


def test_runs_of_a_folder(tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "runs").mkdir()
    assert invoke("runs") == (0, "runs: no runs\n", "")
    folder = tmp_path / "runs" / "a-1"
    folder.mkdir()
    run = runs.Run(
        id="a-1", name="a", template="a", status="failed", created=runs.utc_now(), error="cell 2: ValueError"
    )
    (folder / runs.FILE).write_text(json.dumps(run.to_json()))
    code, out, err = invoke("runs")
    assert (code, err) == (0, "")
    assert out.splitlines()[1].startswith("failed")
    assert out.endswith("a-1  cell 2: ValueError\n")
    seen = CliRunner().invoke(looking.runs, ["--out", "runs"], color=True).output  # as a terminal has it
    assert "\x1b[31mfailed\x1b[0m" in seen
    assert click.unstyle(seen) == out


def test_doctor_has_a_line_for_everything(invoke: Invoke) -> None:
    code, out, err = invoke("doctor", "--json")
    found = {finding["what"]: finding for finding in json.loads(out)}
    assert {"python", "numba", "machine", "memory", "svml", "gpu", "cache", "engine", "kernel", "browser"} <= set(found)
    assert all(finding["state"] in ("ok", "absent", "problem") and finding["found"] for finding in found.values())
    broken = [what for what, finding in found.items() if finding["state"] == "problem"]
    assert (code, err) == ((1, f"kernelkit: something is wrong with: {', '.join(broken)}\n") if broken else (0, ""))
    assert found["numba"] == {"what": "numba", "state": "ok", "found": found["numba"]["found"]}
    assert found["engine"]["state"] == "ok"
    assert found["kernel"]["state"] == "ok"


def test_the_command_line_starts_without_the_engine(command: Any) -> None:
    code = """
import sys
import kernelkit.batch.cli, kernelkit.batch.plan, kernelkit.batch.runs, kernelkit.batch.run
heavy = {"numpy", "numba", "xarray", "pandas", "papermill", "nbformat", "nbconvert", "IPython"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    import subprocess
    import sys

    subprocess.run([sys.executable, "-c", code], check=True)


def test_cache_lists_verifies_and_prunes(invoke: Invoke, tmp_path: Path) -> None:
    store, keys = Results(tmp_path / "kept"), np.arange(6, dtype="u8").view("V16")
    for k in range(3):
        outcome = new_outcome(1, False)
        outcome.done[:], outcome.headline[:] = True, k
        store.put(keys[k : k + 1], outcome)
    at = ("--folder", str(tmp_path / "kept"))
    code, out, _ = invoke("cache", *at)
    assert (code, out.count(".zarr.zip")) == (0, 3)
    assert "3 packs, " in out
    assert invoke("cache", "verify", *at)[0] == 0
    damaged = store.packs()[1].path
    damaged.write_bytes(b"PK")
    code, out, error = invoke("cache", "verify", *at)
    assert (code, damaged.name in out, "prune" in error) == (1, True, True)
    assert [one["path"] for one in json.loads(invoke("cache", "prune", "--json", *at)[1])] == [str(damaged)]
    assert "2 packs deleted" in invoke("cache", "prune", "--keep", "0kB", *at)[1]


def test_cache_looks_where_cells_and_where_calls_keep_results(invoke: Invoke, tmp_path: Path, monkeypatch) -> None:
    own, users = tmp_path / ".kernelkit" / "results", tmp_path / "users"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERNELKIT_RESULTS", str(users))
    outcome = new_outcome(1, False)
    outcome.done[:] = True
    for k, folder in enumerate((own, users)):
        Results(folder).put(np.array([k], dtype="u8").repeat(2).view("V16"), outcome)
    code, out, _ = invoke("cache")
    assert code == 0
    assert [line.split(":")[0] for line in out.splitlines() if " packs, " in line] == [str(own), str(users)]
    assert len(json.loads(invoke("cache", "--json")[1])) == 2
    assert invoke("cache", "--folder", str(own))[1].count(".zarr.zip") == 1


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("prune", "--keep", "2 apples"), "2 apples"),
        (("prune", "--older-than", "-5D"), "-5D"),
        (("prune", "--older-than", "180"), "180"),
        (("--keep", "1GB"), "prune"),
    ],
)
def test_cache_says_what_is_wrong(invoke: Invoke, tmp_path: Path, arguments: tuple[str, ...], found: str) -> None:
    code, _, error = invoke("cache", *arguments, "--folder", str(tmp_path))
    assert code == 2
    assert found in error
