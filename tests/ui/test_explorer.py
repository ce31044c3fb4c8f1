"""The explorers in a browser: a drag runs back-tests, a click selects a trial, a button stops what runs."""

from __future__ import annotations

import re

import nbformat
import pytest
from playwright.sync_api import expect

SETUP = """
import numpy as np, pandas as pd
import kernelkit as kk
from kernelkit.notebook.widgets import explorer

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
"""
SLIDERS = """
shown = kk.explore(bars, sma_cross, fast=(5, 50), slow=(20, 200), where="fast < slow")
shown
"""
GRID = """
res = kk.backtest(bars, sma_cross, grid=dict(fast=range(5, 55, 5), slow=range(20, 200, 15)), where="fast < slow")
first, second = explorer(res), explorer(res, "max_drawdown")
display(first, second)
"""
FOLDS = """
folds = kk.cross_validate(bars, sma_cross, grid=dict(fast=range(5, 55, 5), slow=range(60, 200, 15)),
                          splits=kk.splits.combinatorial(4, 2))
explorer(folds)
"""
BIG = """
import xarray as xr
i = np.arange(300)
hill = np.exp(-((i[:, None] - 90) / 60) ** 2 - ((i - 160) / 80) ** 2) - 0.3 + rng.normal(0, 0.02, (300, 300))
big = xr.Dataset({"sharpe_ratio": (("slow", "fast"), hill)}, coords=dict(slow=i, fast=i))
explorer(big, x="fast")
"""
LONG = """
with kk.watch():
    found = kk.search(bars, sma_cross, dict(fast=kk.integer(5, 50), slow=kk.integer(60, 200)), method="random",
                      n=1_000_000, batch=200)
"""
TOLD = 'print("kept", found.sizes["trial"], "interrupted" in found.attrs)'
STILL = """async (node) => {
    node.scrollIntoView();
    for (let last = '', frames = 0; frames < 6; ) {
        await new Promise(requestAnimationFrame);
        const { x, y, width, height } = node.getBoundingClientRect(), now = [x, y, width, height].join();
        [last, frames] = [now, now === last ? frames + 1 : 0];
    }
}"""
# A frame of the screen is the least that anything takes.
STEPS = """async (steps) => {
    const root = document.querySelector('.kkw-explore'), slider = root.querySelector('input[aria-label=fast]');
    const found = [];
    for (let k = 0; k < steps; k++) {
        const begun = performance.now();
        const drawn = new Promise((resolve) => {
            const seen = new MutationObserver(() => { seen.disconnect(); resolve(performance.now() - begun); });
            seen.observe(root, { attributes: true, attributeFilter: ['data-drawn'] });
        });
        slider.value = k;
        slider.dispatchEvent(new Event('input', { bubbles: true }));
        found.push(await drawn);
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return found;
}"""


@pytest.fixture(scope="module")
def notebook(session, lab):
    """An open notebook whose cells have run, but for the last two."""
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    texts = (SETUP, SLIDERS, GRID, FOLDS, BIG, LONG, TOLD)
    cells = [nbformat.v4.new_code_cell(text) for text in texts]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), lab.root / "explore.ipynb")
    panel = session.open("explore.ipynb")
    session.await_kernel()
    for k in range(len(texts) - 2):
        activate(session, k)
        session.command("notebook:run-cell")
    expect(panel.locator(".kkw-explorer")).to_have_count(4)
    return panel


def activate(session, k):
    session.page.evaluate("k => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = k; }", k)


def show(widget):
    """Scroll to a widget and wait until it stands still: a notebook measures the cells that come into view."""
    widget.evaluate(STILL)


def in_both_themes(session, name, *widgets):
    """Keep pictures for whoever wants to look."""
    for theme, suffix in (("Dark", "_dark"), ("Light", "")):
        session.theme(theme)
        for k, widget in enumerate(widgets):
            show(widget)
            session.shoot(f"{name}_{k}{suffix}")


def test_sliders__a_drag_runs_back_tests_and_the_newest_value_wins(session, notebook):
    shown = notebook.locator(".kkw-explore")
    slider, value = shown.get_by_label("fast"), shown.locator("output").first
    show(shown)
    before = shown.locator(".kkw-tiles").inner_text()
    box = slider.bounding_box()
    session.page.mouse.move(box["x"] + box["width"] / 3, box["y"] + box["height"] / 2)
    session.page.mouse.down()
    for share in range(34, 90, 2):
        session.page.mouse.move(box["x"] + box["width"] * share / 100, box["y"] + box["height"] / 2)
    session.page.mouse.up()
    expect(shown.locator(".kkw-tiles")).not_to_have_text(before, use_inner_text=True)
    expect(shown).to_contain_text(re.compile(r"In the ledger on this asset and span: \d+ trials"))
    tried = int(re.search(r"Tried here: (\d+)", shown.inner_text())[1])
    assert 2 <= tried <= 30  # what came while one was running was left out, but for the last
    last = 5 + int(slider.input_value())
    expect(value).to_have_text(str(last))
    shown.get_by_role("button", name="Copy").click()
    expect(shown.get_by_role("button", name="Copy")).to_have_text("Copy as code")
    in_both_themes(session, "explore", shown)


def test_sliders__what_does_not_fit_together_is_said_and_not_run(session, notebook):
    shown = notebook.locator(".kkw-explore")
    slow = shown.get_by_label("slow")
    slow.focus()
    session.page.keyboard.press("Home")  # the smallest
    expect(shown.get_by_role("alert")).to_contain_text("excluded by where='fast < slow'")
    shown.get_by_role("button", name="Put every slider back").click()
    expect(shown.locator(".kkw-fault")).to_be_empty()
    expect(shown.locator("output").nth(1)).to_have_text("100")
    slow.focus()
    session.page.keyboard.press("ArrowRight")
    expect(shown.locator("output").nth(1)).to_have_text("101")


def test_sliders__each_move_is_drawn(session, notebook):
    show(notebook.locator(".kkw-explore"))
    found = session.page.evaluate(STEPS, 25)  # milliseconds of each; tests/bench measures the kernel's part
    assert len(found) == 25


def test_explorer__a_click_selects_the_trial_in_every_widget_of_the_result(session, notebook):
    first, second = notebook.locator(".kkw-explorer").nth(0), notebook.locator(".kkw-explorer").nth(1)
    show(first)
    title = second.locator("h4").first
    best = title.inner_text()
    first.locator("canvas").first.click(position={"x": 200, "y": 150})
    expect(title).not_to_have_text(best)
    expect(title).to_have_text(re.compile(r"along fast, at slow=1\d\d"))
    clicked = title.inner_text()
    second.locator("canvas").first.focus()
    session.page.keyboard.press("ArrowDown")
    expect(first.locator("h4").first).to_have_text(re.compile(r"Sharpe ratio along fast, at slow=1\d\d"))
    expect(title).not_to_have_text(clicked)
    below = re.search(r"slow=(\d+)", title.inner_text())[1]
    expect(first.locator("h4").first).to_contain_text(f"slow={below}")
    in_both_themes(session, "explorer", *(notebook.locator(".kkw-explorer").nth(k) for k in range(4)))


def test_explorer__another_metric_and_a_reducer(session, notebook):
    folds = notebook.locator(".kkw-explorer").nth(2)
    show(folds)
    expect(folds.locator("h4").first).to_have_text("in sample")
    folds.get_by_label("split", exact=True).select_option("median")
    expect(folds.get_by_label("split at")).to_have_count(0)
    folds.get_by_label("metric").select_option("sharpe_ratio")  # of the paths: one dim, a line
    expect(folds.locator("canvas")).to_have_count(1)


def test_watch__its_button_stops_the_cell_and_keeps_what_is_done(session, notebook):
    activate(session, 5)
    session.page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-cell'); }")
    watch = notebook.locator(".kkw-watch")
    expect(watch.locator(".kkw-facts")).to_contain_text("left")
    expect(watch.locator(".kkw-best")).to_be_visible()
    in_both_themes(session, "watch", watch)
    watch.get_by_role("button", name="Stop").click()
    expect(watch).to_have_attribute("data-status", "stopped")
    activate(session, 6)
    session.command("notebook:run-cell")
    expect(notebook.locator(".jp-OutputArea-output").last).to_have_text(re.compile(r"kept \d+ True"))
    show(watch)
    session.shoot("watch_stopped")
    assert session.problems == []
