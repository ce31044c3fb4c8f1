"""Strategies by name: shipped, of a package, of a file, of a notebook."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import kernelkit as kk
from kernelkit import offers

ONE = """
import kernelkit as kk
from kernelkit import offers

SPAN = 20

def mean(x, n):
    return x / n

@kk.strategy
def trend(ctx, n=SPAN):
    ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else mean(0.0, 2))
"""
TWO = (
    ONE
    + """
@kk.signal
def always(ds):
    return ds["close"] * 0 + 1
"""
)


def notebook(path: Path, *cells: str) -> Path:
    code = [{"cell_type": "code", "source": cell.splitlines(keepends=True)} for cell in cells]
    path.write_text(json.dumps({"cells": [{"cell_type": "markdown", "source": ["# @kk"]}, *code]}))
    return path


@pytest.mark.parametrize("name", kk.strategies.names())
def test_each_name_runs(name: str) -> None:
    res = kk.backtest(kk.data.load("sp500_index"), kk.strategies.find(name))
    assert float(res["n_fills"]) >= 1


def test_a_file_is_run_and_its_strategy_found(tmp_path: Path) -> None:
    bars = kk.data.load("sp500_index")
    (tmp_path / "one.py").write_text(ONE)
    (tmp_path / "two.py").write_text(TWO)
    trend = kk.strategies.find(tmp_path / "one.py")
    assert trend.name == "trend"
    by_name = kk.strategies.find(f"{tmp_path}/two.py:trend")
    assert float(kk.backtest(bars, trend)["final_equity"]) == float(kk.backtest(bars, by_name)["final_equity"])
    assert kk.strategies.find(f"{tmp_path}/two.py:always").name == "always"
    with pytest.raises(kk.errors.StrategyError, match=r"found trend, always, wanted one, .*two\.py:trend"):
        kk.strategies.find(tmp_path / "two.py")
    with pytest.raises(kk.errors.UsageError, match="found 'trnd', wanted one of trend, always"):
        kk.strategies.find(f"{tmp_path}/two.py:trnd")


def test_of_a_notebook_nothing_but_definitions_is_run(tmp_path: Path) -> None:
    cells = (
        "%load_ext kernelkit\n!rm -rf everything",
        "raise SystemExit(1)",
        "data = open('gone').read()",
        ONE,
        "trend()",
    )
    path = notebook(tmp_path / "research.ipynb", *cells)
    found = kk.strategies.find(f"{path}:trend")
    assert float(kk.backtest(kk.data.load("sp500_index"), found)["n_fills"]) > 10
    assert kk.strategies.find(path).identity == found.identity


def test_packages_offer_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    point = SimpleNamespace(
        name="theirs", value="package:theirs", dist=None, load=lambda: kk.strategies.find("momentum")
    )
    monkeypatch.setattr(offers, "entry_points", lambda group: [point])
    assert "theirs" in kk.strategies.names()
    assert kk.strategies.find("theirs") is kk.strategies.find("momentum")


@pytest.mark.parametrize(
    ("content", "error", "text"),
    [
        (None, kk.errors.UsageError, "wanted a file that can be read"),
        ("1 / 0", kk.errors.StrategyError, "ZeroDivisionError: division by zero, wanted code that runs"),
        ("def (", kk.errors.StrategyError, "SyntaxError"),
        ("x = 1", kk.errors.StrategyError, "found none, wanted one"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(tmp_path: Path, content: Any, error: Any, text: str) -> None:
    if content is not None:
        (tmp_path / "it.py").write_text(content)
    with pytest.raises(error, match=text):
        kk.strategies.find(tmp_path / "it.py")


def test_what_is_no_notebook_is_told(tmp_path: Path) -> None:
    (tmp_path / "it.ipynb").write_text("{}")
    with pytest.raises(kk.errors.UsageError, match="wanted a notebook"):
        kk.strategies.find(tmp_path / "it.ipynb")
    with pytest.raises(kk.errors.UsageError, match="Did you mean momentum"):
        kk.strategies.find("momentm")
