"""The magics in a terminal: `ipython` behind a pty."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

CELL = """%%backtest --data synthetic_minute -p fast=2:81:1 -p slow=210:309:1 --into res
def crossing(ctx, fast, slow):
    if ctx.close.sma(fast) > ctx.close.sma(slow):
        ctx.target_percent(1.0)
    else:
        ctx.target_percent(0.0)
"""
PROMPT = r"In \[\d+\]: "


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[pexpect.spawn]:
    (tmp_path / "cell.py").write_text(CELL)
    env = os.environ | {"IPYTHONDIR": str(tmp_path / "ipython"), "TERM": "xterm"}
    start = ["-m", "IPython", "--simple-prompt", "--no-banner", "--colors=NoColor", "-i", "-c", "%load_ext kernelkit"]
    child = pexpect.spawn(
        sys.executable, start, cwd=str(tmp_path), env=env, encoding="utf8", timeout=300, dimensions=(50, 90)
    )
    child.expect(PROMPT)
    yield child
    child.close(force=True)


def test_terminal__progress_is_a_line_that_goes_and_an_interrupt_keeps_what_is_done(terminal: pexpect.spawn) -> None:
    terminal.sendline("get_ipython().run_cell(open('cell.py').read());")
    terminal.expect(r"\r\x1b\[K(crossing: [\d,]+ of 8,000 done[^\r]*)")
    assert len(terminal.match[1]) < 90
    terminal.expect(r"\r\x1b\[Kcrossing: [\d,]+ of 8,000 done")
    terminal.sendintr()
    terminal.expect(r"interrupted: (\d+) of 8000 trials done")
    done = int(terminal.match[1])
    assert terminal.before.endswith("\r\x1b[K")  # the line is gone
    terminal.expect(PROMPT)
    printed = terminal.before
    assert "\x1b[K" not in printed
    assert len(re.findall("^Verdict: not significant", printed, re.MULTILINE)) == 1  # nothing follows at the prompt
    terminal.sendline("print('kept', int(res['final_equity'].notnull().sum()))")
    terminal.expect(r"kept (\d+)\r")
    assert 0 < done == int(terminal.match[1]) < 8000


def test_terminal__a_mistake_is_one_line(terminal: pexpect.spawn) -> None:
    terminal.sendline("%backtest sma_cross --dta aapl")
    terminal.expect(PROMPT)
    said = [line for line in re.sub(r"\x1b\[\d+m", "", terminal.before).splitlines()[1:] if line.strip()]
    assert said == ["UsageError: unknown option --dta (did you mean 'data'?); %backtest? lists the options"]
