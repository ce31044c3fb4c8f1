"""Completion, asked of the shell as JupyterLab asks it."""

from __future__ import annotations

import pytest
from IPython.core.completer import provisionalcompleter

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
        ("%%backtest --data @my", "", ["%%backtest --data @my_bars"]),
        ("%%backtest --fee per_", "", ["%%backtest --fee per_unit"]),
        ("%%backtest --venue us", "", ["%%backtest --venue us_equity"]),
        ("%%backtest --fill-model zip", "", ["%%backtest --fill-model zipline"]),
        ("%%backtest --data x\n#| fill-model: freq", "", ["%%backtest --data x\n#| fill-model: freqtrade"]),
        ("%%backtest -p ", DEF, ["%%backtest -p fast=", "%%backtest -p slow=", "%%backtest -p weight="]),
        ("%%backtest -p fast=5 -p s", DEF, ["%%backtest -p fast=5 -p slow="]),
        ("%%backtest -p fast=@my", DEF, ["%%backtest -p fast=@my_bars"]),
        ("%%backtest --data x\n#| fe", "", ["%%backtest --data x\n#| fee: "]),
        ("%%backtest --data x\n#| data: aa", "", ["%%backtest --data x\n#| data: aapl"]),
    ],
)
def test_complete__what_fits(shell, complete, before, after, wanted):
    shell.user_ns["my_bars"] = 1
    assert complete(before, after) == wanted


def test_complete__after_a_space_every_option(complete):
    from kernelkit.notebook.magics.backtest import OPTIONS

    assert set(complete("%%backtest ")) == {"%%backtest -p", *(f"%%backtest --{o.name}" for o in OPTIONS)}


def test_complete__leaves_the_rest_of_the_notebook_alone(shell, complete):
    shell.user_ns["my_bars"] = 1
    assert "my_bars" in complete("my_b")
    assert "%%backtest --data x\nmy_bars" in complete("%%backtest --data x\nmy_b")
    assert complete("%%time --da") == []
