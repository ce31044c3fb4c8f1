"""The first hour as its page tells it: own prices, own strategy, a walk-forward from the launcher, its report."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import expect

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "first.md"
COMPLAINTS = "[data-mime-type='application/vnd.jupyter.stderr'], [data-mime-type='application/vnd.jupyter.error']"
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
MINE = "mine"


@pytest.fixture(scope="module")
def written(lab) -> Path:
    """The cells of the page up to its last part, typed into a notebook in a folder of one's own."""
    page = PAGE.read_text(encoding="utf-8").partition("## 5. ")[0]
    cells = [nbformat.v4.new_code_cell(text.strip()) for text in re.findall(r"```python\n(.*?)```", page, re.DOTALL)]
    folder = lab.root / MINE
    folder.mkdir()
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": KERNEL}), folder / "first.ipynb")
    return folder


def test_stranger__types_the_cells_of_the_page(session, written):
    panel = session.open(f"{MINE}/first.ipynb")
    session.await_kernel()
    session.command("notebook:run-all-cells")
    panel.locator(".kk-Result .kk-Table").first.wait_for()
    panel.get_by_text("is blind to the future").first.wait_for()
    expect(panel.get_by_text("NOT SIGNIFICANT").first).to_be_attached()
    assert panel.locator(COMPLAINTS).all_inner_texts() == []
    assert (written / "prices.zarr").is_dir()
    assert (written / "breakout.py").is_file()
    session.shoot("stranger-notebook")
    assert session.problems == []


def test_stranger__walks_forward_from_the_launcher_to_a_report(session, written):
    session.close_all()
    session.problems.clear()  # ipywidgets' own "Cannot send": its views count down after their notebook has gone
    session.page.locator(".jp-LauncherCard[data-category='kernelkit']").filter(has_text="Walk-forward").first.click()
    form = session.page.locator(".kk-Launch")
    form.get_by_text("This makes 1 run.").wait_for()
    typed = {
        "data": f"{MINE}/prices.zarr",
        "strategy": f"{MINE}/breakout.py",
        "grid": "n=20:120:20; band=0,0.01,0.02",
        "train": "2Y",
        "test": "6M",
    }
    for name, text in typed.items():
        form.get_by_label(name, exact=True).fill(text)
    form.get_by_text("This makes 1 run.").wait_for()
    session.shoot("stranger-form")
    form.get_by_role("button", name="Run as batch").click()
    with session.page.context.expect_page(timeout=180_000) as opened:
        form.locator(".kk-Followed").get_by_role("button", name="Open report").click(timeout=180_000)
    report = opened.value
    report.get_by_role("heading", name="Walk-forward validation").first.wait_for()
    report.screenshot(path=session.picture("stranger-report"), full_page=True)
    report.close()
    session.command("kernelkit:show-runs")
    card = session.page.locator("#kernelkit-runs .kk-Run").filter(has_text="walk_forward").first
    expect(card).to_contain_text("done")
    expect(card).to_contain_text("Sharpe")
    session.shoot("stranger-runs")
    assert session.problems == []
