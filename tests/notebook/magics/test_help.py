"""What `%magic?` says: every option, and examples that run as they stand."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from kernelkit.batch.runs import Run
from kernelkit.notebook.config import SETTINGS
from kernelkit.notebook.magics import TABLES

BODY = """
def above_average(ctx, n=50):
    ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else 0.0)
"""


def document(shell, magic: str) -> str:
    kind = "cell" if magic.startswith("%%") else "line"
    return str(shell.find_magic(magic.lstrip("%"), kind).__doc__)


def examples(text: str) -> list[str]:
    """The indented blocks that begin with a magic; where one is a cell it is whole."""
    blocks = [
        re.sub(r"^    ", "", part, flags=re.MULTILINE) for part in re.findall(r"(?:^    .*\n)+", text, re.MULTILINE)
    ]
    found = []
    for block in blocks:
        if block.startswith("%%"):
            found += [block] if "\n    " in block else [f"{line}{BODY}" for line in block.splitlines()]
        elif block.startswith("%"):
            found += block.splitlines()
    return found


@pytest.mark.parametrize("magic", sorted(TABLES))
def test_help__lists_every_option(shell, magic):
    text = document(shell, magic)
    assert all(f"--{option.name}" in text for option in TABLES[magic].options)
    assert f"    {magic}" in text


def test_help__lists_every_setting(shell):
    assert all(f"    {name} " in document(shell, "%kkconfig") for name in SETTINGS)


@pytest.fixture
def things(run):
    """What the examples speak of."""
    for number in ("1a2b", "3c4d"):
        folder = Path("runs", f"walk_forward-{number}")
        folder.mkdir(parents=True)
        record = Run(id=folder.name, name="a", template="walk_forward", status="done", parameters={"fast": 10})
        (folder / "run.json").write_text(json.dumps(record.to_json()))
    run(
        "import kernelkit as kk\nbars, windows = kk.data.load('aapl'), [20, 50]\nheld = kk.strategies.find('sma_cross')"
    )
    run("res = calm = kk.backtest(bars, held)\nbold = kk.backtest(bars, held, dict(fast=10))")
    run("kk.save(res, 'study.zarr')")
    ran = run(
        "%%backtest --data aapl --name ma-cross\ndef sma_cross(ctx, fast=20, slow=100):\n    ctx.target_percent(1.0)"
    )
    assert ran.error is None, ran.text


@pytest.mark.parametrize("magic", sorted({name.lstrip("%") for name in TABLES}))
def test_help__its_examples_run(shell, run, things, magic):
    name = next(table for table in TABLES if table.lstrip("%") == magic)
    found = [example for example in examples(document(shell, name)) if "--client" not in example]
    assert found
    for example in found:
        ran = run(example)
        assert ran.error is None, f"{example}\n{ran.text}"
