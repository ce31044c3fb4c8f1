"""The widgets of paths, scenarios, months, weights, correlations and verdicts, with the mouse in JupyterLab."""

from __future__ import annotations

import time

import nbformat
import pytest
from playwright.sync_api import expect

SETUP = """
import kernelkit as kk
import numpy as np
import pandas as pd

bars = kk.data.load("sp500_index").sel(time=slice("2006", "2009"))

@kk.strategy
def trend(ctx, n=100):
    ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else 0.0)

@kk.portfolio(state=dict(w=kk.each()))
def rotation(ctx, s):
    if ctx.i % 20 == 0:
        for k in ctx.tradable:
            s.w[k] = 1.0 / 12.0 if (ctx.i // 20 + k) % 3 else 0.0
        ctx.weights(s.w)

rng = np.random.default_rng(3)
moves = 0.01 * (rng.normal(size=(300, 1)) + rng.normal(size=(300, 12)) * np.linspace(0.5, 2.0, 12))
index = pd.bdate_range("2015-01-01", periods=300)
frames = {}
for k in range(12):
    close = 100 * np.exp(np.cumsum(moves[:, k]))
    frames[f"asset {k + 1}"] = pd.DataFrame({n: close for n in ("open", "high", "low", "close")}, index=index).round(4)
basket = kk.data.from_pandas(frames, calendar="24/5")

paths = kk.monte_carlo(bars, trend, paths=40, seed=1)
seen = kk.backtest(bars, trend)
stressed = kk.stress(bars, trend, scenarios=[kk.scenarios.Gap(-0.1), kk.scenarios.Volatility(2.0),
    kk.scenarios.Gap(-0.1) + kk.scenarios.Volatility(2.0), kk.scenarios.Replay("crisis_2008")])
swept = kk.backtest(bars, trend, grid=dict(n=range(20, 220, 20)))
held = kk.backtest(basket, rotation)
"""
CELLS = {
    "fan": "fan = paths.kk.fan(seen); fan",
    "waterfall": "fall = stressed.kk.waterfall(); fall",
    "correlation": "swept.kk.correlation()",
    "monthly": "months = swept.kk.monthly(); months",
    "weights": "held.kk.weights()",
    "verdict": "swept.kk.verdict()",
}
ASK = """async (code) => {
    const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
    const future = kernel.requestExecute({ code });
    let said = "";
    future.onIOPub = (message) => { if (message.header.msg_type === "stream") said += message.content.text; };
    await future.done;
    return said.trim();
}"""

# What the kernel says to widgets of its own accord.
HEAR = """() => {
    window.heard = [];
    const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
    kernel.iopubMessage.connect((_, message) => {
        if (message.header.msg_type === "comm_msg" && message.content.data.method === "custom") {
            window.heard.push(message.content.data.content);
        }
    });
}"""


@pytest.fixture(scope="module")
def panel(session, lab):
    cells = [nbformat.v4.new_code_cell(source) for source in (SETUP, *CELLS.values())]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}  # nobody is asked for one
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(notebook, lab.root / "more.ipynb")
    panel = session.open("more.ipynb")
    session.await_kernel()
    session.page.evaluate(
        "document.head.insertAdjacentHTML('beforeend', '<style>.jp-Cell-inputWrapper{display:none!important}</style>')"
    )
    session.command("notebook:run-all-cells")
    session.page.wait_for_function(
        "document.querySelectorAll('.jp-NotebookPanel .kkw, .jp-OutputArea-output[data-mime-type*=error]').length >= 6",
        timeout=120_000,
    )
    return panel


@pytest.fixture
def widget(panel):
    def find(name):
        found = panel.locator(f".kkw-{name}")
        found.scroll_into_view_if_needed()
        return found

    return find


@pytest.fixture
def ask(session):
    return lambda code: session.page.evaluate(ASK, code)


def move(session, node, x, y, click=False):
    """Point at a place of a node, in fractions of its size."""
    node.scroll_into_view_if_needed()
    box = node.bounding_box()
    at = box["x"] + x * box["width"], box["y"] + y * box["height"]
    session.page.mouse.move(*at)
    session.page.mouse.move(at[0] + 1, at[1])
    if click:
        session.page.mouse.click(*at)


def test_fan__a_click_selects_the_path_of_that_quantile(session, widget, ask):
    fan = widget("fan")
    canvas = fan.locator(".kkw-main canvas")
    move(session, canvas, 0.8, 0.2)
    expect(fan.locator(".kkw-tip")).to_contain_text("of paths below")
    move(session, canvas, 0.8, 0.12, click=True)
    detail = fan.locator(".kkw-detail")
    detail.get_by_text("times the cash").wait_for()
    high = float(ask("k = fan.selection.trial['path']; print(float(paths['total_return'].sel(path=k)))"))
    move(session, canvas, 0.8, 0.85, click=True)
    low = float(ask("k = fan.selection.trial['path']; print(float(paths['total_return'].sel(path=k)))"))
    assert low < float(ask("print(float(paths['total_return'].median()))")) < high
    canvas.focus()
    session.page.keyboard.press("PageUp")
    assert float(ask("print(float(paths['total_return'].sel(path=fan.selection.trial['path'])))")) > low


def test_fan__follows_python(widget, ask):
    ask("fan.selection.trial = {'path': 7}")
    widget("fan").locator(".kkw-detail").get_by_text("Path 7 ended").wait_for()


def test_waterfall__decomposes_under_the_pointer_and_selects_by_click(session, widget, ask):
    fall = widget("waterfall")
    canvas = fall.locator("canvas")
    rows = canvas.bounding_box()["height"]
    labels = ask("print('|'.join(fall.about['labels']))").split("|")
    place = labels.index("Gap(-10%) + Volatility(x2)")
    move(session, canvas, 0.5, (26 + 24 * place + 10) / rows)
    expect(fall.locator(".kkw-tip")).to_contain_text("put together from")
    said = fall.locator(".kkw-tip").inner_text()
    assert "together" in said.splitlines()[-1]
    move(session, canvas, 0.5, (26 + 10) / rows, click=True)
    assert ask("print(fall.selection.trial['scenario'])") == labels[0]
    fall.get_by_label("Measure").select_option("sharpe_ratio")
    session.page.keyboard.press("Tab")


def test_correlation__a_click_is_followed_by_the_months(session, widget, ask):
    canvas = widget("correlation").locator("canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    left = min(150, box["width"] * 0.28)
    session.page.mouse.move(box["x"] + left + 10, box["y"] + 12)
    session.page.mouse.move(box["x"] + left + 11, box["y"] + 12)
    expect(widget("correlation").locator(".kkw-tip")).to_contain_text(" and ")
    session.page.mouse.click(box["x"] + left + 11, box["y"] + 12)
    trial = ask("print(months.selection.trial['n'])")
    widget("monthly").locator(".kkw-title").get_by_text(f"n={trial}:").wait_for()
    expect(widget("monthly").locator(".kkw-title")).to_contain_text("one of 10 trials")


def test_months__a_click_selects_a_span_and_a_second_one_lets_it_go(widget, ask):
    month = widget("monthly").get_by_role("button", name="Oct 2008")
    month.click()
    assert ask("print(np.datetime64(months.selection.span[0], 'ns'))").startswith("2008-10-01")
    assert month.get_attribute("aria-pressed") == "true"
    month.press("ArrowRight")
    month.click()
    expect(month).to_have_attribute("aria-pressed", "false")
    end = time.monotonic() + 30  # the front end sends a change once the kernel has answered the one before
    while (span := ask("print(months.selection.span)")) != "None" and time.monotonic() < end:
        pass
    assert span == "None"


def test_weights__zooming_in_asks_for_more(session, widget):
    weights = widget("weights")
    canvas = weights.locator("canvas")
    move(session, canvas, 0.6, 0.5)
    expect(weights.locator(".kkw-tip")).to_contain_text("gross")
    session.page.evaluate(HEAR)
    for _ in range(4):
        session.page.mouse.wheel(0, -100)
    session.page.wait_for_function("window.heard.some(content => content.kind === 'part')")
    session.shoot("weights_zoomed")
    weights.get_by_role("button", name="Heat map of every asset").click()
    expect(weights.locator(".kkw-key")).to_contain_text("strongest colour")
    weights.get_by_role("button", name="Show the whole span").click()


def test_verdict__says_what_would_change_it(session, widget):
    verdict = widget("verdict")
    expect(verdict).to_contain_text("What would change it")
    move(session, verdict.locator("canvas"), 0.5, 0.5)
    expect(verdict.locator(".kkw-tip")).to_contain_text("trials: DSR")


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_widgets__are_legible_in_both_themes(session, widget, theme):
    session.theme(theme)
    for name in CELLS:
        box = widget(name)
        box.screenshot(path=f"build/ui/more_{name}_{theme.lower()}.png")
        ink, paper = (
            box.evaluate(f"(node) => getComputedStyle(node).{what}")
            for what in ("color", "getPropertyValue('--kk-paper')")
        )
        assert ink != paper
    session.theme("Light")


def test_nothing_went_wrong(session, panel):
    assert panel.locator("[data-mime-type='application/vnd.jupyter.error']").count() == 0
    assert panel.locator(".kkw-fault").all_inner_texts() == [""] * 6
    assert session.problems == []
