"""The cells of the README and the guides, typed one after the other into a fresh notebook."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    "README.md",
    "docs/strategies.md",
    "docs/guide.md",
    "docs/metrics.md",
    "docs/attribution.md",
    "docs/inference.md",
    "docs/comparison.md",
    "docs/overfitting.md",
    "docs/validation.md",
    "docs/verdict.md",
    "docs/audit.md",
    "docs/ledger.md",
    "docs/paths.md",
    "docs/regimes.md",
    "docs/stress.md",
    "docs/sensitivity.md",
    "docs/search.md",
    "docs/guide/studies.md",
    "docs/guide/exploring.md",
    "docs/guide/batch.md",
    "docs/guide/widgets.md",
]


@pytest.mark.parametrize("page", PAGES)
def test_readme__every_cell_runs_as_written(run, page):
    run("import kernelkit as kk")
    cells = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    assert len(cells) >= 4
    for cell in cells:
        ran = run(cell)
        assert ran.error is None, f"{cell}\n{ran.text}"
