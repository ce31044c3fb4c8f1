"""Results and widgets in Notebook 7, the other front end of Jupyter's server."""

from __future__ import annotations

import nbformat
import pytest
from playwright.sync_api import expect

from tests.ui.conftest import COMPLAINTS, new_session, serving

CELLS = (
    """
%load_ext kernelkit
import kernelkit as kk

bars = kk.data.load("sp500_index")
""",
    """
%%backtest --data @bars -p fast=5:50:5 -p slow=60:180:20 --into res
def sma_cross(ctx, fast=20, slow=100):
    if ctx.close.sma(fast) > ctx.close.sma(slow):
        ctx.target_percent(1.0)
    else:
        ctx.target_percent(0.0)
""",
    "res.kk.explorer()",
    "res.kk.chart(bars)",
    "shown = kk.explore(bars, kk.strategies.find('sma_cross'), fast=(5, 50))\nshown",
    "%runs",
)
# Notebook 7.6 says these itself, with no extension installed.
ITS_OWN = ("Cannot convert undefined or null to object", "Cannot read properties of undefined (reading 'schema')")


@pytest.fixture(scope="module")
def session(browser, tmp_path_factory):
    root = tmp_path_factory.mktemp("notebook")
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    cells = [nbformat.v4.new_code_cell(text.strip()) for text in CELLS]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), root / "seven.ipynb")
    (root / "runs").mkdir()
    with serving("notebook", root, tmp_path_factory.mktemp("jupyter")) as seven:
        session = new_session(browser)
        session.page.goto(f"{seven.url}/notebooks/seven.ipynb?token={seven.token}")
        session.page.locator(".jp-Cell").first.wait_for()
        yield session
        session.page.close()


def test_notebook__shows_results_and_widgets_and_links_them(session):
    page = session.page
    session.await_kernel()
    session.command("notebook:run-all-cells")
    explorer, chart, sliders = (page.locator(f".kkw-{name}") for name in ("explorer", "chart", "explore"))
    sliders.wait_for()
    expect(page.locator(".kk-Result .kk-Table")).to_be_visible()
    told = chart.get_by_text("one of 70 trials")
    expect(told).to_have_count(0)
    explorer.locator("canvas").first.click()
    expect(told).to_be_attached()  # what is chosen in one widget, another one shows
    before = sliders.locator(".kkw-tiles").inner_text()
    sliders.get_by_label("fast").focus()
    page.keyboard.press("ArrowRight")
    expect(sliders.locator(".kkw-tiles")).not_to_have_text(before, use_inner_text=True)
    session.shoot("notebook7")
    assert page.locator(COMPLAINTS).all_inner_texts() == []
    assert [said for said in session.problems if not said.startswith(ITS_OWN)] == []
