"""Completion, asked of the shell as JupyterLab asks it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import xarray as xr
from IPython.core.completer import provisionalcompleter

import kernelkit as kk
from kernelkit.batch.runs import Run


@kk.strategy
def buy(ctx, n=20):
    ctx.target_percent(float(n))


RESULT = xr.Dataset({"sharpe_ratio": 0.5, "final_equity": 1e6})
DEF = "\ndef f(ctx, fast, slow=100, *, weight=1.0):\n    pass"


@pytest.fixture
def complete(shell):
    def complete(before: str, after: str = "") -> list[str]:
        with provisionalcompleter():
            found = shell.Completer.completions(before + after, len(before))
            return [before[: c.start] + c.text for c in found]

    return complete


@pytest.mark.parametrize(
    ("before", "after", "wanted"),
    [
        ("%%backtest --da", "", ["%%backtest --data"]),
        ("%%backtest --data sp", "", ["%%backtest --data sp500_index"]),
        ("%%backtest --data=sp", "", ["%%backtest --data=sp500_index"]),
        ("%%backtest --data @my_b", "", ["%%backtest --data @my_bars"]),
        ("%%backtest --fee per_", "", ["%%backtest --fee per_unit"]),
        ("%%backtest --venue us", "", ["%%backtest --venue us_equity"]),
        ("%%backtest --fill-model zip", "", ["%%backtest --fill-model zipline"]),
        ("%%backtest --data x\n#| fill-model: freq", "", ["%%backtest --data x\n#| fill-model: freqtrade"]),
        ("%%backtest -p ", DEF, ["%%backtest -p fast=", "%%backtest -p slow=", "%%backtest -p weight="]),
        ("%%backtest -p fast=5 -p s", DEF, ["%%backtest -p fast=5 -p slow="]),
        ("%%backtest -p fast=@my_b", DEF, ["%%backtest -p fast=@my_bars"]),
        ("%%backtest -p fast=", DEF, ["%%backtest -p fast=5:50:5"]),
        ("%%backtest -p slow=", DEF, ["%%backtest -p slow=25:200:25", "%%backtest -p slow=100"]),
        ("%%backtest -p weight=", DEF, ["%%backtest -p weight=0.25:2:0.25", "%%backtest -p weight=1"]),
        ("%%lookahead --cu", "", ["%%lookahead --cuts"]),
        ("%%strategy -p s", DEF, ["%%strategy -p slow="]),
        ("%backtest --rep", "", ["%backtest --repeat"]),
        ("%backtest sma_", "", ["%backtest sma_cross"]),
        ("%backtest my_s", "", ["%backtest my_strategy"]),
        ("%lookahead my_s", "", ["%lookahead my_strategy"]),
        ("%backtest sma_cross -p fast=", "", ["%backtest sma_cross -p fast=5:40:5", "%backtest sma_cross -p fast=20"]),
        ("x = 1\n%backtest my_strategy -p ", "\ny = 2", ["x = 1\n%backtest my_strategy -p n="]),
        ("%runs tre", "", ["%runs trend-1a2b"]),
        ("%runs --out r", "", ["%runs --out runs"]),
        ("%compare my_", "", ["%compare my_result"]),
        ("%result trend", "", ["%result trend-1a2b"]),
        ("%kkconfig ca", "", ["%kkconfig cash=", "%kkconfig cache=", "%kkconfig cache_size="]),
        ("%kkconfig cash=1 venue=us", "", ["%kkconfig cash=1 venue=us_equity"]),
        ("%kkconfig progress=", "", ["%kkconfig progress=on", "%kkconfig progress=off"]),
        ("%%backtest --data x\n#| fe", "", ["%%backtest --data x\n#| fee: "]),
        ("%%backtest --data x\n#| data: aa", "", ["%%backtest --data x\n#| data: aapl"]),
    ],
)
def test_complete__what_fits(shell, complete, before, after, wanted):
    Path("runs/trend-1a2b").mkdir(parents=True)
    Path("runs/trend-1a2b/run.json").write_text(json.dumps(Run(id="trend-1a2b", name="a", template="t").to_json()))
    shell.user_ns |= {"my_bars": 1, "my_result": RESULT, "my_strategy": buy}
    assert complete(before, after) == wanted


def test_complete__after_a_space_every_option(complete):
    from kernelkit.notebook.magics.backtest import OPTIONS

    assert set(complete("%%backtest ")) == {"%%backtest -p", *(f"%%backtest --{o.name}" for o in OPTIONS)}


def test_complete__titles_for_repeat(run, complete, backtest):
    assert complete("%backtest --repeat --name two") == []
    backtest("-p fast=5 --name two-averages")
    assert complete("%backtest --repeat --name two") == ["%backtest --repeat --name two-averages"]
    assert complete("%backtest --repeat -p f") == ["%backtest --repeat -p fast="]


def test_complete__leaves_the_rest_of_the_notebook_alone(shell, complete):
    shell.user_ns["my_bars"] = 1
    assert "my_bars" in complete("my_b")
    assert "%%backtest --data x\nmy_bars" in complete("%%backtest --data x\nmy_b")
    assert complete("%%time --da") == []
