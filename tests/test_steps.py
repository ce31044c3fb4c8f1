"""The script behind `make test` and `make lint` counts what ended badly, however it ended."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[1] / ".ci" / "steps.py"


@pytest.fixture
def steps(tmp_path, monkeypatch) -> ModuleType:
    """The script, working in a folder of its own."""
    spec = importlib.util.spec_from_file_location("kernelkit_ci_steps", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "CHECKS", tmp_path / "checks")
    module.CHECKS.mkdir()
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    return module


@pytest.mark.parametrize(
    ("source", "passed", "failed", "skipped"),
    [
        ("def test_a(): pass\ndef test_b(): pass\n", 2, 0, 0),
        ("def test_a(): pass\ndef test_b(): assert 0\n", 1, 1, 0),
        ("import pytest\n@pytest.mark.skip(reason='x')\ndef test_a(): pass\ndef test_b(): pass\n", 1, 0, 1),
        ("", 0, 1, 0),  # nothing collected
        ("import os\ndef test_a(): os._exit(3)\n", 0, 1, 0),  # a crash, without a report
        ("raise ImportError('x')\n", 0, 1, 0),
    ],
)
def test_run_pytest__counts(steps, tmp_path, source, passed, failed, skipped):
    (tmp_path / "test_it.py").write_text(source)
    count = steps.run_pytest("unit", ["test_it.py"])
    assert (count.passed, count.failed, count.skipped) == (passed, failed, skipped)


def test_run_pytest__a_folder_that_is_missing_fails(steps):
    assert steps.run_pytest("ui", ["tests/ui"]).failed == 1


def test_run_lint__a_pattern_without_files_fails(steps, capfd):
    assert steps.run_lint([sys.executable, "-c", "", "templates/*.ipynb"]).failed == 1
    assert "no file matches" in capfd.readouterr().out


def test_run_steps__goes_on_after_a_failure_and_keeps_the_counts(steps, monkeypatch, capfd):
    commands = {"bad": [sys.executable, "-c", "raise SystemExit(1)"], "good": [sys.executable, "-c", ""]}
    monkeypatch.setattr(steps, "LINTS", commands)
    assert str(steps.run_steps("lint")) == "1 passed, 1 failed"
    assert capfd.readouterr().out.splitlines()[-1] == "1 passed, 1 failed"
    assert steps.sum_up().failed == 2  # the one above, and `make test` that never ran
    assert capfd.readouterr().out.splitlines()[-1] == "1 passed, 2 failed"


def test_run_step__a_tool_that_is_missing_fails(steps, monkeypatch):
    monkeypatch.setattr(steps, "LINTS", {"typescript": ["no-such-tool"]})
    monkeypatch.setattr(steps.shutil, "which", lambda name: None)
    monkeypatch.setenv("PATH", "")
    assert steps.run_step("lint", "typescript").failed == 1
