"""`%%backtest` again: from the cache, by `--repeat`, and over strategies that are there already."""

from __future__ import annotations

import numpy as np
import pytest

import kernelkit as kk
from kernelkit import ledger

CROSSING = """
def crossing(ctx, fast, slow=100):
    ctx.target_percent(1.0 if ctx.close.sma(fast) > ctx.close.sma(slow) else 0.0)
"""


def said(ran) -> str:
    return "\n".join(display.get("text/plain", "") for display in ran.displays)


def test_cell__run_again_unchanged_comes_from_the_cache_and_says_so(shell, backtest):
    assert "from the cache" not in said(backtest("-p fast=5:20:5 --into first"))
    tried = ledger.summary()
    ran = backtest("-p fast=5:20:5 --into again")
    assert ran.error is None
    assert ran.displays[0]["text/plain"].startswith("from the cache: 4 of 4 trials, computed by 20")
    assert ran.displays[0]["text/plain"].endswith(" UTC; --fresh runs them again")
    first, again = shell.user_ns["first"], shell.user_ns["again"]
    for name in first.data_vars:
        np.testing.assert_array_equal(first[name].values, again[name].values)
    counted = ["strategy", "role", "distinct"]
    assert ledger.summary()[counted].equals(tried[counted])  # what is found was tried once


def test_cell__runs_what_is_not_in_the_cache_and_keeps_it(backtest):
    backtest("-p fast=5,10")
    assert "from the cache: 2 of 4 trials" in said(backtest("-p fast=5:20:5"))
    assert "from the cache: 4 of 4 trials" in said(backtest("-p fast=5:20:5"))


@pytest.mark.parametrize(
    ("options", "body"),
    [
        ("--fresh", CROSSING),
        ("--fee 0.001", CROSSING),
        ("--cash 5_000", CROSSING),
        ("--start 2001", CROSSING),
        ("-p slow=101", CROSSING),
        ("--fill-model lean", CROSSING),
        ("", CROSSING.replace("1.0 if", "0.5 if")),
        ("--debug --start 2018-06", CROSSING),
    ],
)
def test_cell__another_one_is_run(shell, backtest, options, body):
    backtest("-p fast=5", CROSSING)
    assert "from the cache" not in said(backtest(f"-p fast=5 {options}", body))
    assert "cached" not in shell.user_ns["_kk"].attrs


def test_cell__other_values_of_what_it_captures_are_another_cell(run, backtest):
    body = "def f(ctx):\n    ctx.target_percent(weight)\n"
    run("weight = 0.5")
    backtest("", body)
    assert "from the cache: 1 of 1" in said(backtest("", body))
    run("weight = 0.25")
    assert "from the cache" not in said(backtest("", body))


def test_cell__a_signal_is_run_each_time(backtest):
    body = "def trend(ds, n=50):\n    return (ds['close'] > ds['close'].rolling(time=n).mean()) * 1.0\n"
    backtest("", body)
    assert "from the cache" not in said(backtest("", body))


def test_cache__lies_with_the_ledger_unless_something_says_otherwise(run, backtest, tmp_path, monkeypatch):
    backtest("-p fast=5")
    assert len(list((tmp_path / ".kernelkit/results").glob("trials-*.zarr.zip"))) == 1
    run("%kkconfig cache=elsewhere")
    backtest("-p fast=5")
    assert len(list((tmp_path / "elsewhere").glob("trials-*.zarr.zip"))) == 1
    run("%kkconfig cache=off")
    assert "from the cache" not in said(backtest("-p fast=5"))
    run("%kkconfig cache=on")
    monkeypatch.setenv("KERNELKIT_RESULTS", "off")
    assert "from the cache" not in said(backtest("-p fast=5"))


def test_cache__the_oldest_goes_where_it_grows_too_large(run, backtest, tmp_path):
    place = tmp_path / ".kernelkit/results"
    backtest("-p fast=5")
    run("%kkconfig cache_size=100kB")
    for fast in range(6, 26):
        backtest(f"-p fast={fast}")
    assert 0 < sum(path.stat().st_size for path in place.glob("*.zip")) <= 100_000
    assert "from the cache" in said(backtest("-p fast=25"))
    assert "from the cache" not in said(backtest("-p fast=5"))


def test_repeat__is_the_last_cell_with_what_the_line_changes(shell, run, backtest):
    backtest("-p fast=5,10 -p slow=60 --fee 0.001 --name 'two averages' --into res", CROSSING)
    before = shell.user_ns["res"]
    assert run("%backtest --repeat -p fast=15 --venue us_equity").error is None
    res = shell.user_ns["_kk"]
    assert res.attrs["title"] == "two averages"
    assert res.attrs["venue"] == "us_equity"  # which brings its own costs
    direct = kk.backtest(
        kk.data.load("sp500_index"), shell.user_ns["crossing"], {"fast": 15, "slow": 60}, venue=kk.venues.us_equity()
    )
    assert float(res["final_equity"]) == float(direct["final_equity"])
    assert shell.user_ns["res"] is before
    assert run("%backtest --repeat --into again").error is None  # of the cell, not of the line above
    np.testing.assert_array_equal(shell.user_ns["again"]["final_equity"].values, before["final_equity"].values)


def test_repeat__of_a_name_is_that_one(shell, run, backtest):
    backtest("-p fast=5 --name one")
    backtest("-p fast=10 --name other")
    assert run("%backtest --repeat --name one").error is None
    assert shell.user_ns["_kk"].attrs["params"]["fast"] == 5
    assert run("%backtest --repeat").error is None
    assert shell.user_ns["_kk"].attrs["params"]["fast"] == 10
    assert "no such backtest (did you mean 'other'?); there are one, other" in str(
        run("%backtest --repeat --name othr").error
    )


def test_repeat__may_set_a_flag_back(run, backtest):
    backtest("-p fast=5 --debug --start 2018-06")
    assert run("%backtest --repeat --debug=false").error is None
    counts = ledger.summary().set_index("role")["trials"]
    assert counts["rival"] == 1  # what is debugged is no rival


def test_line__takes_a_strategy_of_a_variable_a_name_or_a_file(shell, run, tmp_path):
    (tmp_path / "mine.py").write_text(f"import kernelkit as kk\n@kk.strategy{CROSSING}")
    run(f"import kernelkit as kk\n{CROSSING}\nplain = crossing\nmade = kk.strategy(crossing)")
    equities = []
    for name in ("sma_cross", "made", "plain", "mine.py", "mine.py:crossing"):
        ran = run(f"%backtest {name} --data sp500_index -p fast=20")
        assert ran.error is None, ran.text
        equities.append(float(shell.user_ns["_kk"]["final_equity"]))
    assert len(set(equities)) == 1


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "found no name, wanted one strategy, as in %backtest sma_cross, --repeat, or a cell below %%backtest"),
        ("sma_cross rsi_reversal --data aapl", "found 2 names, sma_cross, rsi_reversal"),
        ("sma_crss --data aapl", "Did you mean sma_cross?"),
        ("ten --data aapl", "ten is a int after its decorators"),
        ("--repeat", "nothing was backtested in this session"),
        ("--repeat sma_cross", "--repeat takes no strategy, found 'sma_cross'"),
        ("--repat", "unknown option --repat (did you mean 'repeat'?); %backtest? lists the options"),
        ("sma_cross", "no --data; name a data set"),
    ],
)
def test_line__mistakes_are_one_line(run, line, said):
    run("ten = 10")
    ran = run(f"%backtest {line}")
    assert said in str(ran.error)
    assert ran.text.strip().count("\n") == 0


def test_cell__takes_no_strategy_and_no_repeat(run):
    assert "'sma_cross' is not an option" in str(run(f"%%backtest sma_cross\n{CROSSING}").error)
    assert "unknown option --repeat" in str(run(f"%%backtest --repeat\n{CROSSING}").error)


def test_cache__of_the_command_line_sees_the_folder_of_cells(backtest):
    from click.testing import CliRunner

    from kernelkit.batch.commands.machine import cache

    backtest("-p fast=5")
    place = ".kernelkit/results"
    assert f"{place}: 1 packs, " in CliRunner().invoke(cache, ["list", "--folder", place]).output
    assert CliRunner().invoke(cache, ["prune", "--folder", place, "--keep", "0B"]).exit_code == 0
    assert "from the cache" not in said(backtest("-p fast=5"))
