"""Notebooks that are really executed, through papermill, in kernels of their own."""

from __future__ import annotations

import ast
import json
import os
from pathlib import Path
from typing import Any

import pytest

from kernelkit.batch import offline, runs
from kernelkit.batch.execution import Outcome, RunWarning, _Execution
from kernelkit.batch.plan import plan
from kernelkit.batch.run import RunsFailedError, run
from kernelkit.errors import RunError, UsageError
from kernelkit.progress import Progress

from .conftest import STEPS

RESULT = """
from IPython.display import display
best = {"params": {"fast": 5}, "metrics": {"sharpe_ratio": 1.5, "calmar_ratio": None, "name": "x"}}
result = {"best": best, "strategy": "sma", "data": {"name": "aapl", "lineage": "ab12"}}
display({"application/vnd.kernelkit.result.v1+json": result, "text/plain": "best of 10"}, raw=True)
verdict = {"judgement": "not significant", "meaning": "Luck.", "p_value": 0.4, "more": 1}
display({"application/vnd.kernelkit.verdict.v1+json": verdict, "text/plain": "verdict"}, raw=True)
"""

# Two folds are computed at each attempt until the file `ready` is there; what is computed is noted in `log`.
FOLDS = """
from pathlib import Path
import numpy as np
from kernelkit.batch import context
from kernelkit.kernels.job import new_outcome
from kernelkit.reuse import Results
store, keys, found = Results(context.means()["cache"]), np.arange(8, dtype="u8").view("V16"), new_outcome(4, False)
store.find(keys, found)
for fold in np.flatnonzero(~found.done).tolist():
    if fold == 2 and not Path(folder, "ready").exists():
        raise RuntimeError("the data of fold 2 are not there yet\\nsee above")
    with open(Path(folder, "log"), "a") as log:
        log.write(f"{fold} ")
    found.headline[fold], found.done[fold] = fold * 0.5, True
    store.put(keys[fold : fold + 1], found.part(fold, fold + 1))
(context.result_path()).mkdir(exist_ok=True)
context.headline({"efficiency": float(found.headline[:, 0].sum())})
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, write_notebook: Any) -> tuple[Outcome, list[runs.Run], Path]:
    """A run with progress, a malformed event and a displayed result: outcome, states of the record, notebook."""
    folder = tmp_path_factory.mktemp("finished")
    malformed = STEPS.replace('"done": done', '"done": done if done else "none"')
    parameters = "steps = 4  # of the grid\ndelay = 0.0\ndata = 'sp500_index'\nseed = 7\nmarkup = '<b>&'"
    cells = (STEPS, malformed, RESULT, "import os\nos.environ['KERNELKIT_RUN_DIR'], os.getcwd()")
    path = write_notebook(folder / "grid {x}.ipynb", *cells, parameters=parameters, title="A grid & more")
    states: list[runs.Run] = []
    given = {"steps": "8", "delay": "0.02"}
    with pytest.warns(RunWarning, match=r"cell \d: a progress event has text 'label'") as caught:
        (outcome,) = run(path, given, folder / "runs", name="grid", on_change=states.append)
    assert len(caught) == 1
    return outcome, states, path


def test_the_record_of_a_finished_run(finished: tuple[Outcome, list[runs.Run], Path]) -> None:
    outcome, _, _ = finished
    assert outcome.fresh
    assert outcome.run == runs.read_run(outcome.folder)
    found = outcome.run
    assert found.id == outcome.folder.name
    assert (found.name, found.template, found.status, found.progress) == ("grid", "grid {x}", "done", 1.0)
    assert found.strategy == "sma"
    assert found.verdict == {"judgement": "not significant", "meaning": "Luck.", "p_value": 0.4}
    assert (found.cell, found.cells, found.eta_s, found.error) == (6, 6, None, None)
    assert (found.pid, found.seed) == (os.getpid(), 7)
    assert found.parameters == {"steps": 8, "delay": 0.02, "data": "sp500_index", "seed": 7, "markup": "<b>&"}
    assert found.metrics == {"sharpe_ratio": 1.5}
    assert found.data == {"name": "aapl", "lineage": "ab12"}
    assert (found.notebook, found.report, found.store) == ("notebook.ipynb", "report.html", None)
    assert found.versions["python"].startswith("3.")
    assert {"kernelkit", "numba", "numpy", "xarray"} <= set(found.versions)
    assert found.created <= found.heartbeat


def test_progress_is_live_inside_cells_and_across_them(finished: tuple[Outcome, list[runs.Run], Path]) -> None:
    _, states, _ = finished
    assert [state.progress for state in states] == sorted(state.progress for state in states)
    inside = [state for state in states if state.cell == 3 and state.candles_per_s is not None]
    assert len(inside) >= 8
    assert inside[-1].progress == pytest.approx(3 / 6)
    assert inside[3].progress == pytest.approx((2 + 3 / 8) / 6)
    assert inside[3].eta_s == pytest.approx(5 * 0.02)
    assert (inside[3].cpu_percent, inside[3].memory_bytes) == (150.0, 10**9)
    assert [state.failed for state in inside] == sorted(state.failed or 0 for state in inside)
    assert (inside[-1].failed, states[-1].failed) == (2, 4)  # of one cell, of both that tell
    assert (states[-1].cpu_percent, states[-1].memory_bytes) == (None, None)
    assert {state.cell for state in states} == {0, 1, 2, 3, 4, 5, 6} - {0}
    assert states[-1].status == "done"


def test_failed_trials_are_those_of_all_meters(tmp_path: Path, write_notebook: Any) -> None:
    job = plan(write_notebook(tmp_path / "grid.ipynb", "pass"), {}, tmp_path / "runs")[0]
    job.folder.mkdir(parents=True)
    record = runs.Recorder(job.folder, runs.Run(id="a-1", name="a", template="a"))
    watch = _Execution(job, record, None)
    watch.on_cell(1, 2)
    for label, done, failed in (("a", 3, 1), ("a", 9, 2), ("a", 9, 3), ("a", 1, 0), ("b", 1, 1), ("b", 2, 2)):
        watch.on_progress(Progress(label, done, 9, failed=failed))
    assert record.run.failed == 3 + 0 + 2
    watch.on_cell(2, 2)
    assert record.run.failed == 5
    watch.on_progress(Progress("b", 2, 9, failed=1))
    assert record.run.failed == 6


def test_the_executed_notebook(finished: tuple[Outcome, list[runs.Run], Path]) -> None:
    outcome, _, _ = finished
    notebook = json.loads((outcome.folder / "notebook.ipynb").read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert "steps = 8" in "".join(code[1]["source"])
    shown = "".join(code[-1]["outputs"][0]["data"]["text/plain"])
    assert ast.literal_eval(shown) == (str(outcome.folder), str(Path.cwd()))
    assert not list(outcome.folder.glob(".*"))


def test_the_report_needs_no_network(finished: tuple[Outcome, list[runs.Run], Path]) -> None:
    outcome, _, _ = finished
    html = (outcome.folder / "report.html").read_text()
    assert offline.external_references(html) == []
    assert "default-src 'none'" in html
    assert "http://" not in html
    assert "cdn" not in html
    assert html.count("A grid &amp; more") == 2
    assert '<tr class="changed"><th scope="row">steps</th><td>8</td><td class="help">of the grid</td></tr>' in html
    assert '<tr><th scope="row">markup</th><td>&lt;b&gt;&amp;</td>' in html
    assert "<dt>Sharpe ratio</dt><dd>1.50</dd>" in html
    assert "best of 10" in html
    assert ">grid<" not in html.split("<main>")[1]


def test_a_finished_run_is_not_repeated(finished: tuple[Outcome, list[runs.Run], Path]) -> None:
    outcome, _, path = finished
    written = (outcome.folder / "notebook.ipynb").stat().st_mtime_ns
    # what is the default need not be said: it is the same run
    given = {"steps": 8, "delay": 0.02, "data": "sp500_index"}
    (again,) = run(path, given, outcome.folder.parent, name="grid")
    assert (again.fresh, again.run) == (False, outcome.run)
    assert (outcome.folder / "notebook.ipynb").stat().st_mtime_ns == written


def test_another_content_is_another_run(
    finished: tuple[Outcome, list[runs.Run], Path], write_notebook: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome, _, path = finished
    same = {"steps": "8", "delay": "0.02"}
    ids = [
        plan(path, given, "runs", name="grid")[0].id for given in (same, {**same, "steps": "9"}, {**same, "seed": 8})
    ]
    ids.append(plan(path, same, "runs")[0].id)
    assert ids[-1].startswith("grid-x-")
    monkeypatch.setattr("kernelkit.batch.provenance.versions", lambda: {"numba": "0"})
    ids.append(plan(path, same, "runs", name="grid")[0].id)
    monkeypatch.undo()
    write_notebook(path.with_name("other.ipynb"), "1", parameters="steps = 4\ndelay = 0.0")
    ids.append(plan(path.with_name("other.ipynb"), same, "runs", name="grid")[0].id)
    assert ids[0] == outcome.run.id
    assert len(set(ids)) == len(ids)


def test_a_failed_run_says_why_and_goes_on_from_what_it_has_kept(tmp_path: Path, write_notebook: Any) -> None:
    path = write_notebook(tmp_path / "folds.ipynb", FOLDS, parameters="folder = ''", title="Folds")
    given = {"folder": str(tmp_path)}
    with pytest.raises(
        RunsFailedError, match=r"1 of 1 runs failed: .*: cell 3: RuntimeError: the data of fold 2"
    ) as caught:
        run(path, given, tmp_path / "runs")
    first = caught.value.outcomes[0].run
    assert (first.status, first.error) == ("failed", "cell 3: RuntimeError: the data of fold 2 are not there yet")
    assert first.progress == pytest.approx(2 / 3)
    report = (tmp_path / "runs" / first.id / "report.html").read_text()
    assert "the data of fold 2 are not there yet" in report.split("<main>")[0]
    assert "see above" in report.split("<main>")[1]

    (tmp_path / "ready").touch()
    (second,) = run(path, given, tmp_path / "runs")
    assert (tmp_path / "log").read_text() == "0 1 2 3 "
    assert (second.run.id, second.run.created) == (first.id, first.created)
    assert (second.run.status, second.run.store) == ("done", "result.zarr")
    assert second.run.metrics == {"efficiency": 3.0}

    (third,) = run(path, given, tmp_path / "runs", force=True)
    assert (tmp_path / "log").read_text() == "0 1 2 3 0 1 2 3 "
    assert third.run.created > second.run.created


def test_a_dead_kernel_is_a_failed_run_with_its_last_words(tmp_path: Path, write_notebook: Any) -> None:
    path = write_notebook(tmp_path / "dead.ipynb", "1 + 1", "import os\nos.write(2, b'out of memory\\n')\nos._exit(9)")
    with pytest.raises(RunsFailedError) as caught:
        run(path, {}, tmp_path)
    found = caught.value.outcomes[0].run
    assert (found.status, found.error) == ("failed", "cell 2: the kernel died; out of memory")
    notebook = json.loads((tmp_path / found.id / "notebook.ipynb").read_text())
    assert notebook["cells"][0]["outputs"][0]["data"]["text/plain"] == ["2"]


def test_nothing_is_written_for_a_command_that_is_wrong(tmp_path: Path, write_notebook: Any) -> None:
    path = write_notebook(tmp_path / "a.ipynb", "1", parameters="n = 1")
    wrong: list[dict[str, Any]] = [
        {"parameters": {"m": 1}},
        {"parameters": {"n": "x"}},
        {"name": "../a"},
        {"name": ""},
        {"jobs": 0},
    ]
    for options in wrong:
        with pytest.raises(UsageError):
            run(path, **options, out=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_run_that_runs_elsewhere_is_left_alone(tmp_path: Path, write_notebook: Any) -> None:
    path = write_notebook(tmp_path / "a.ipynb", "1")
    (job,) = plan(path, {}, tmp_path / "runs")
    job.folder.mkdir(parents=True)
    record = runs.Run(id=job.id, name="a", template="a", host="elsewhere", pid=1, heartbeat=runs.utc_now())
    (job.folder / runs.FILE).write_text(json.dumps(record.to_json()))
    with pytest.raises(RunError, match="is running \\(process 1 on elsewhere\\)"):
        run(path, {}, tmp_path / "runs")


def test_papermill_itself_may_use_the_engine(tmp_path: Path, write_notebook: Any) -> None:
    import papermill

    path = write_notebook(tmp_path / "a.ipynb", "n + 1", parameters="n = 1")
    found = papermill.execute_notebook(
        str(path), str(tmp_path / "out.ipynb"), {"n": 2}, engine_name="kernelkit", language="python", progress_bar=False
    )
    assert found.cells[-1].outputs[0].data["text/plain"] == "3"
    assert (tmp_path / "out.ipynb").exists()


def test_values_arrive_as_they_were_given(
    tmp_path: Path, write_notebook: Any, caplog: pytest.LogCaptureFixture
) -> None:
    cell = "from kernelkit.batch import context\n(context.run_dir() / 'told').write_text(repr((a, b, c, d, e)))"
    declares = "a = (0,)\nb = {}\nc = ''\nd = []\ne: str = 'n=1'  # one; two"
    path = write_notebook(tmp_path / "a.ipynb", cell, parameters=declares)
    given = {"a": (1, ("x", 2.5), ()), "b": {1: (True,), 2: None}, "c": 'a"b', "d": [(3,)], "e": "n=2"}
    (outcome,) = run(path, given, tmp_path / "runs")
    assert ast.literal_eval((outcome.folder / "told").read_text()) == tuple(given.values())
    assert outcome.run.origin is not None
    assert {name: ast.literal_eval(text) for name, text in outcome.run.origin["values"].items()} == given
    assert [record for record in caplog.records if record.name.startswith("papermill")] == []


def test_an_edited_strategy_is_another_run(tmp_path: Path, write_notebook: Any) -> None:
    notebook = write_notebook(tmp_path / "one.ipynb", "1", parameters='strategy: str = "x"')
    file = tmp_path / "my trend.py"
    ids = []
    for text in ("a = 1", "a = 2", "a = 1"):
        file.write_text(text)
        ids += [job.id for job in plan(notebook, {"strategy": f"{file}:trend"}, tmp_path)]
    assert ids[0] == ids[2] != ids[1]
