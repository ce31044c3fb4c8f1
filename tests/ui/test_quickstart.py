"""The first notebook that a newcomer opens, run as they would run it."""

from __future__ import annotations

import shutil
from pathlib import Path

from playwright.sync_api import expect

QUICKSTART = Path(__file__).parents[2] / "notebooks" / "01_quickstart.ipynb"
COMPLAINTS = "[data-mime-type='application/vnd.jupyter.stderr'], [data-mime-type='application/vnd.jupyter.error']"


def test_quickstart__runs_and_shows_its_result(session, lab):
    shutil.copy(QUICKSTART, lab.root)
    panel = session.open(QUICKSTART.name)
    session.await_kernel()
    session.command("notebook:clear-all-cell-outputs")
    session.command("notebook:run-all-cells")
    result = panel.locator(".kk-Result").first
    result.locator(".kk-Table").wait_for()
    session.command("kernelkit:show-runs")
    session.page.locator("#kernelkit-runs").get_by_text("Backtest runs").wait_for()
    # the cell that ran last is the active one, to which JupyterLab scrolls back
    session.page.evaluate("window.jupyterapp.shell.currentWidget.content.activeCellIndex = 3")
    result.locator("header").scroll_into_view_if_needed()
    expect(result.locator("header")).to_be_in_viewport()
    expect(result.locator(".kk-Picture").first).to_be_in_viewport()
    session.shoot("quickstart")
    assert panel.locator(COMPLAINTS).all_inner_texts() == []
    assert panel.locator(".kk-Error").all_inner_texts() == []
    assert session.problems == []
