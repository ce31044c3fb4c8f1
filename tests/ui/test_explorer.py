"""Sliders in a browser: a drag runs back-tests, the newest value wins, the picture follows at once."""

from __future__ import annotations

import nbformat
import pytest
from playwright.sync_api import expect

SETUP = """
import numpy as np, pandas as pd
import kernelkit as kk

rng = np.random.default_rng(1)
close = 100.0 * np.exp(np.cumsum(rng.normal(0.0002, 0.01, 10_000)))
frame = pd.DataFrame(dict(open=close, high=close * 1.005, low=close * 0.995, close=close, volume=1e6),
                     index=pd.date_range("1985-01-01", periods=10_000))
bars = kk.data.from_pandas(frame, name="walk", label="close", calendar="24/7", bar="1D")

@kk.strategy
def sma_cross(ctx, fast=20, slow=100):
    if ctx.close.sma(fast) > ctx.close.sma(slow):
        ctx.target_percent(1.0)
    else:
        ctx.target_percent(0.0)

shown = kk.explore(bars, sma_cross, fast=(5, 50), slow=(20, 200), where="fast < slow")
shown
"""

GRID = """
from kernelkit.notebook.widgets import explorer
res = kk.backtest(bars, sma_cross, grid=dict(fast=range(5, 55, 5), slow=range(20, 200, 15)), where="fast < slow")
first, second = explorer(res), explorer(res, "max_drawdown")
display(first, second)
"""
FOLDS = """
folds = kk.cross_validate(bars, sma_cross, grid=dict(fast=range(5, 55, 5), slow=range(60, 200, 15)), splits=kk.splits.combinatorial(4, 2))
explorer(folds)
"""
BIG = """
import xarray as xr
i = np.arange(300)
hill = np.exp(-((i[:, None] - 90) / 60) ** 2 - ((i - 160) / 80) ** 2) - 0.3 + rng.normal(0, 0.05, (300, 300))
big = xr.Dataset({"sharpe_ratio": (("slow", "fast"), hill)}, coords=dict(slow=i, fast=i))
explorer(big, x="fast")
"""

LATENCY = """async (steps) => {
    const root = document.querySelector('.kkw-explore'), slider = root.querySelector('input[aria-label=fast]');
    const found = [];
    for (let k = 0; k < steps; k++) {
        const before = root.dataset.drawn, begun = performance.now();
        slider.value = k;
        slider.dispatchEvent(new Event('input', { bubbles: true }));
        while (root.dataset.drawn === before) await new Promise(requestAnimationFrame);
        found.push(performance.now() - begun);
    }
    return found;
}"""


@pytest.fixture(scope="module")
def shown(session, lab):
    """The widget in an open notebook."""
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in (SETUP, GRID, FOLDS, BIG)], metadata=kernel)
    nbformat.write(notebook, lab.root / "explore.ipynb")
    session.open("explore.ipynb")
    session.await_kernel()
    session.command("notebook:run-all-cells")
    widget = session.page.locator(".kkw-explore")
    widget.locator("canvas").wait_for()
    return widget


def test_drag__runs_back_tests_and_the_newest_value_wins(session, shown):
    slider = shown.get_by_label("fast")
    box = slider.bounding_box()
    session.page.mouse.move(box["x"] + box["width"] / 3, box["y"] + box["height"] / 2)
    session.page.mouse.down()
    for share in range(34, 90, 2):
        session.page.mouse.move(box["x"] + box["width"] * share / 100, box["y"] + box["height"] / 2)
    session.page.mouse.up()
    expect(shown).to_contain_text("In the ledger on this asset and span")
    expect(shown.locator("output").first).to_have_text(str(5 + int(slider.input_value())))
    session.shoot("explore")


def test_speed(session, shown):
    found = session.page.evaluate(LATENCY, 25)
    print(sorted(found))


def test_click(session, shown):
    maps = session.page.locator(".kkw-explorer")
    expect(maps).to_have_count(4)
    for k in range(4):
        maps.nth(k).scroll_into_view_if_needed()
        maps.nth(k).locator("canvas").first.click(position={"x": 200, "y": 60})
        session.page.wait_for_timeout(600)
        session.page.evaluate("k => document.querySelectorAll('.kkw-explorer')[k].scrollIntoView()", k)
        session.page.wait_for_timeout(400)
        session.shoot(f"explorer_{k}")
    session.command("apputils:change-theme", theme="JupyterLab Dark")
    session.page.wait_for_timeout(1500)
    for k in (0, 2, 3):
        session.page.evaluate("k => document.querySelectorAll('.kkw-explorer')[k].scrollIntoView()", k)
        session.page.wait_for_timeout(500)
        session.shoot(f"explorer_{k}_dark")
    shown.evaluate("node => node.scrollIntoView()")
    session.page.wait_for_timeout(500)
    session.shoot("explore_dark")
    print(session.problems)
