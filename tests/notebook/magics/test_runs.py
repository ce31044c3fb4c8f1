"""`%runs`, `%compare` and `%result`, over records of runs, saved results and variables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kernelkit.batch.runs import Run
from kernelkit.notebook.bundle import RESULT_MIME


def written(number: int, **fields) -> Run:
    told = {"status": "done", "progress": 1.0, "created": f"2026-01-0{number}T03:04:05.678Z", "template": "trend"}
    run = Run(id=f"trend-{number}a2b", name="trend", parameters={"fast": 5 * number}, **(told | fields))
    folder = Path("runs", run.id)
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(run.to_json()))
    return run


@pytest.fixture
def runs(shell) -> list[Run]:
    metrics = {"sharpe_ratio": 0.5, "max_drawdown": 0.25}
    return [
        written(1, metrics=metrics),
        written(2, metrics=metrics | {"sharpe_ratio": 0.75}, versions={"numpy": "2"}),
        written(3, status="failed", error="DataError: no bars"),
    ]


def shown(ran) -> dict:
    assert ran.error is None, ran.text
    return ran.displays[-1]


def test_runs__are_a_table_newest_first(run, runs):
    found = shown(run("%runs"))
    lines = found["text/plain"].splitlines()
    assert lines[0].split() == ["Run", "Created", "State", "Sharpe", "ratio", "Max", "drawdown"]
    assert [line.split()[0] for line in lines[1:4]] == ["trend-3a2b", "trend-2a2b", "trend-1a2b"]
    assert lines[2].split()[1:] == ["2026-01-02", "03:04", "done", "0.75", "25.0", "%"]
    assert "DataError: no bars" in lines[1]
    assert lines[4] == "runs: 3 runs"
    assert '<td class="kkr-bad" style="text-align:left">failed</td>' in found["text/html"]


@pytest.mark.parametrize(
    ("words", "ids"),
    [("done", [2, 1]), ("done fast=5", [1]), ("3a2b", [3]), ("TREND --most 1", [3]), ("nothing", [])],
)
def test_runs__words_choose(run, runs, words, ids):
    lines = shown(run(f"%runs {words}"))["text/plain"].splitlines()
    assert [line.split()[0] for line in lines if line.startswith("trend-")] == [f"trend-{n}a2b" for n in ids]


def test_runs__says_how_many_more_there_are(run, runs):
    assert shown(run("%runs --most 2"))["text/plain"].endswith("runs: 3 runs, 1 more; --most 3 shows them")


def test_compare__puts_runs_side_by_side(run, runs):
    lines = [line.split() for line in shown(run("%compare trend-1 trend-2"))["text/plain"].splitlines()]
    assert lines[0] == ["trend-1a2b", "trend-2a2b"]
    assert ["fast", "5", "10"] in lines
    assert ["Sharpe", "ratio", "0.50", "0.75"] in lines
    assert ["numpy", "2"] in lines


def test_compare__puts_results_of_variables_side_by_side(run, backtest):
    backtest("-p fast=5 --into calm")
    backtest("-p fast=10 --into bold")
    lines = [line.split() for line in shown(run("%compare calm bold"))["text/plain"].splitlines()]
    assert lines[0] == ["calm", "bold"]
    assert lines[1][:2] == ["Total", "return"]


def test_result__of_a_variable_a_file_and_the_latest(shell, run, backtest):
    backtest("-p fast=5,10 --name kept --into res")
    run("import kernelkit as kk\nkk.save(res, 'kept.zarr')")
    latest = shown(run("%result"))[RESULT_MIME]
    assert latest["name"] == "kept"
    assert shown(run("%result res"))[RESULT_MIME] == latest
    saved = shown(run("%result kept.zarr"))[RESULT_MIME]
    assert saved["best"] == latest["best"]


def test_result__of_a_run_is_its_sheet_and_its_result(run, runs, backtest):
    text = shown(run("%result trend-1"))["text/plain"]
    assert text.startswith("id        trend-1a2b")
    backtest("-p fast=5,10 --name kept --into res")
    run("import kernelkit as kk\nkk.save(res, 'runs/trend-2a2b/result.zarr')")
    ran = run("%result trend-2")
    assert shown(ran)[RESULT_MIME]["name"] == "kept"
    assert ran.displays[-2]["text/plain"].startswith("id        trend-2a2b")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("%runs --out nowhere", "nowhere: there is no such folder"),
        ("%runs --most few", "--most few: wanted a whole number"),
        ("%runs --mots 1", "unknown option --mots (did you mean 'most'?); %runs? lists the options"),
        ("%compare trend-1", "wanted two at least, as in %compare a b"),
        ("%compare trend-1 trend-1a", "trend-1a2b is given twice"),
        ("%compare trend-1 res", "runs and results are not compared with each other"),
        ("%compare res res", "res is given twice"),
        ("%compare res wide", "several trials along fast"),
        ("%result", "nothing was backtested in this session"),
        ("%result ten", "ten is a int; wanted a result of kk.backtest, or a run of kk.open_run"),
        ("%result wid", "wid: no variable (did you mean 'wide'?)"),
        ("%result trend", "'trend' may be trend-1a2b, trend-2a2b, trend-3a2b; write more of the id"),
        ("%result a b", "wanted one name; %compare shows several"),
    ],
)
def test_mistakes_are_one_line(shell, run, runs, line, said):
    run("import kernelkit as kk\nbars = kk.data.load('aapl')\nten = 10\nheld = kk.strategies.find('sma_cross')")
    run("res = kk.backtest(bars, held)\nwide = kk.backtest(bars, held, grid=dict(fast=[5, 10]))")
    ran = run(line)
    assert said in str(ran.error)
    assert ran.text.strip().count("\n") == 0
