"""The README's cells, typed one after the other into a fresh notebook."""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def test_readme__every_cell_runs_as_written(run):
    cells = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len(cells) >= 4
    for cell in cells:
        ran = run(cell)
        assert ran.error is None, f"{cell}\n{ran.text}"
