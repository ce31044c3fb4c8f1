"""The first notebook that a newcomer opens, run as they would run it."""

from __future__ import annotations

import shutil
from pathlib import Path

QUICKSTART = Path(__file__).parents[2] / "notebooks" / "01_quickstart.ipynb"


def test_quickstart__runs_and_shows_its_result(session, lab):
    shutil.copy(QUICKSTART, lab.root)
    panel = session.open(QUICKSTART.name)
    session.await_kernel()
    session.command("notebook:run-all-cells")
    panel.locator(".kk-Result .kk-Table").first.wait_for()
    assert panel.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    session.command("kernelkit:show-runs")
    session.page.locator("#kernelkit-runs").get_by_text("Backtest runs").wait_for()
    panel.locator(".kk-Result").first.scroll_into_view_if_needed()
    session.shoot("quickstart")
    assert session.problems == []
