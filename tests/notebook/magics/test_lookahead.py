"""`%%lookahead`: passed, or where the first leak is."""

from __future__ import annotations

import pytest

from kernelkit import ledger

SCALED = """
def scaled(ds):
    return (ds["close"] - ds["close"].min()) / (ds["close"].max() - ds["close"].min())
"""


def test_lookahead__a_blind_strategy_has_passed(shell, run):
    ran = run("%lookahead sma_cross --data sp500_index -p fast=10 --cuts 3 --into report")
    assert ran.error is None, ran.text
    assert ran.displays[-1]["text/plain"].startswith("PASSED: sma_cross(fast=10, slow=100) on sp500_index is blind")
    assert shell.user_ns["report"].blind
    assert len(shell.user_ns["report"].cuts) == 3
    assert len(ledger.summary()) == 0  # an audit is no trial


def test_lookahead__names_the_first_leak(shell, run):
    ran = run(f"%%lookahead --data sp500_index --cuts 4 --into report\n{SCALED}")
    assert ran.error is None, ran.text
    text, html = ran.displays[-1]["text/plain"], ran.displays[-1]["text/html"]
    assert text.startswith("LEAK: scaled on sp500_index looks into the future.")
    first = shell.user_ns["report"].leaks.sort_values("bar").iloc[0]
    lines = dict(line.strip().split("  ", 1) for line in text.splitlines() if line.startswith("  "))
    assert {name: value.strip() for name, value in lines.items()} == {
        "Bar": str(first["bar"]),
        "Time": f"{first['time']:%Y-%m-%d}",
        "Asset": "SPX",
        "Decision": "target",
        "Value": f"{first['was']} became {first['became']} with another future",
        "Knew": "close, 1 bar early at least",
    }
    assert ">Leak<" in html


def test_lookahead__takes_data_and_costs_of_the_configuration(shell, run):
    run("%kkconfig data=aapl fee=0.001")
    assert run("%lookahead sma_cross --cuts 2 --into report").error is None
    assert shell.user_ns["report"].data == "aapl"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "found no name, wanted one strategy"),
        ("sma_cross", "no --data"),
        ("sma_cross --data aapl -p fast=5:10:1", "-p fast=5:10:1: an audit takes one value of a parameter"),
        ("sma_cross --data aapl --cuts many", "--cuts many: wanted a whole number, as in --cuts 16"),
        ("sma_cross --data aapl --cuts 0", "0 cuts"),
        ("sma_cross --data aapl --fill-model conservative,lean", "an audit takes one"),
        ("sma_cross --data aapl --cut 3", "did you mean 'cuts'?"),
    ],
)
def test_lookahead__mistakes_are_one_line(run, line, said):
    ran = run(f"%lookahead {line}")
    assert said in str(ran.error)
    assert ran.text.strip().count("\n") == 0
