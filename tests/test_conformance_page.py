"""The page of conformance says what the tests say, and nothing that they did not find."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.oracles import ASKED, ORACLES, Row, Watch, order, page, reasons, rows

ROOT = Path(__file__).parents[1]


def collected(page: Path, *files: str) -> subprocess.CompletedProcess[str]:
    """The page without a run, asked of these files."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--collect-only",
        "-q",
        "-m",
        "oracle",
        "--conformance",
        str(page),
        *files,
    ]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_the_page_is_what_the_tests_say(tmp_path: Path) -> None:
    """Its rows and reasons are those of the tests as they are now, and in the run that wrote it every case passed."""
    marked = [str(path) for path in sorted((ROOT / "tests").rglob("test_*.py")) if "mark.oracle(" in path.read_text()]
    done = collected(tmp_path / "page.md", *marked)
    assert done.returncode == 0, done.stdout
    now = (tmp_path / "page.md").read_text()
    kept = (ROOT / "docs" / "conformance.md").read_text()
    assert now.count(" | not run |") == len(ORACLES)
    assert re.sub(r"\| ([\d,]+) \| \1 \|$", r"| \1 | not run |", kept, flags=re.MULTILINE) == now, "make conformance"


def test_a_page_of_some_oracles_is_refused(tmp_path: Path) -> None:
    done = collected(tmp_path / "page.md", "tests/test_tax.py")
    assert done.returncode != 0
    assert "no test here asks Reference simulator" in done.stdout + done.stderr
    assert not (tmp_path / "page.md").exists()


def item(name: str, *oracle: str, **more: Any) -> Any:
    """What `rows` sees of a test."""
    return SimpleNamespace(nodeid=name, iter_markers=lambda kind: [SimpleNamespace(args=oracle, kwargs=more)])


def test_an_oracle_that_is_not_listed_is_refused() -> None:
    with pytest.raises(pytest.UsageError, match=r"a: the oracle 'nobody' is not listed in tests/oracles.py"):
        rows([item("a", "nobody", covers="F1")])


def test_only_what_passed_counts_as_passed() -> None:
    found = rows([item("a", "DROP", covers="F1", cases=40), item("b", "DROP", covers="C2, F1", cases=2)])
    config: Any = SimpleNamespace(stash=pytest.Stash())
    config.stash[ASKED] = found
    watch = Watch(config)
    for name, outcome in (("a", "failed"), ("b", "passed"), ("other", "passed")):
        watch.pytest_runtest_logreport(pytest.TestReport(name, ("", 0, ""), {}, outcome, None, "call"))  # type: ignore[arg-type]
    assert f"| DROP | {ORACLES['DROP'].source} | Apache-2.0 | C2, F1 | 42 | 2 |" in page(found)
    watch.pytest_runtest_logreport(pytest.TestReport("a", ("", 0, ""), {}, "skipped", None, "setup"))
    assert found["DROP"].skipped == {"a"}


def test_rules_come_in_the_order_of_their_numbers() -> None:
    assert sorted(["F10", "F2", "pools", "A1-A8", "F1"], key=order) == ["A1-A8", "F1", "F2", "F10", "pools"]


def test_one_reason_is_one_line() -> None:
    row = Row()
    row.add("t", "F1", left_out={"a": "no book", "b": "no ticks"})
    row.add("u", "F1", left_out={"c": "no book"})
    assert reasons(row.left_out) == "- a, c: no book.\n- b: no ticks.\n"
