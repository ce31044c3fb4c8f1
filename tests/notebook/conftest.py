"""A real IPython shell with the extension loaded, and cells that are run in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from traitlets.config import Config

from kernelkit.notebook.config import SETTINGS, config_of
from kernelkit.notebook.verdict import WAIT

ANSI = re.compile(r"\x1b\[[0-9;]*m")

CROSSING = """
def crossing(ctx, fast, slow=100):
    if ctx.close.sma(fast) > ctx.close.sma(slow):
        ctx.target_percent(1.0)
    else:
        ctx.target_percent(0.0)
"""


@pytest.fixture(scope="module")
def own_ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A folder of the module's own: what it tries is in no other ledger."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("ledger"))
        yield


@dataclass
class Ran:
    """What came of a cell: its error, its text without colours, the data of its displays in order."""

    error: BaseException | None
    text: str
    displays: list[dict[str, Any]]


@pytest.fixture(scope="session")
def one_shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InteractiveShell]:
    config = Config()
    config.HistoryManager.enabled = False
    shell = InteractiveShell.instance(config=config, ipython_dir=str(tmp_path_factory.mktemp("ipython")))
    yield shell
    InteractiveShell.clear_instance()


@pytest.fixture
def shell(one_shell: InteractiveShell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    # the ledger of the trials goes to the current folder
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(WAIT, "1")
    before = set(one_shell.user_ns)
    one_shell.run_line_magic("reload_ext", "kernelkit")
    yield one_shell
    config = config_of(one_shell)
    for name in SETTINGS:
        setattr(config, name, "")
    # the shell's own reset collects garbage, which takes a second
    for name in set(one_shell.user_ns) - before:
        del one_shell.user_ns[name]


@pytest.fixture
def run(shell: InteractiveShell) -> Callable[[str], Ran]:
    def run(cell: str) -> Ran:
        with capture_output() as captured:
            result = shell.run_cell(cell)
        error = result.error_before_exec or result.error_in_exec
        return Ran(error, ANSI.sub("", captured.stdout), [output.data for output in captured.outputs])

    return run


@pytest.fixture
def backtest(run: Callable[[str], Ran]) -> Callable[..., Ran]:
    """backtest("-p fast=5,10"): the magic over the crossing of two averages on the index, or over another body."""

    def backtest(options: str, body: str = CROSSING, data: str = "sp500_index") -> Ran:
        return run(f"%%backtest --data {data} {options}\n{body}")

    return backtest
