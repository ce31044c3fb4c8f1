"""The chart and the trade inspector in a real JupyterLab, by mouse and keys; as a page without a kernel, too."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path

import nbformat
import pytest
from nbconvert import HTMLExporter
from playwright.sync_api import expect

SHOTS = Path(__file__).parents[2] / "build" / "ui"
# One cell: Lab draws no cell that is out of view.
CELL = """
import kernelkit as kk
from IPython.display import display
from kernelkit.notebook.widgets import chart, trade_inspector

@kk.strategy
def crossing(ctx, fast=20, slow=100):
    ctx.target_percent(1.0 if ctx.close.sma(fast) > ctx.close.sma(slow) else 0.0)

bars = kk.data.load("sp500_index")
res = kk.backtest(bars, crossing, grid=dict(fast=[10, 20], slow=[60, 100]), start="2001", venue=kk.venues.us_equity())
display(trade_inspector(res))
display(chart(res, regime=kk.regimes.trend(bars)["regime"]))
"""
ROWS = 4527
SLOW_MS = 120_000
# Scroll as little as can be, and wait until the rows are drawn for it.
DRAWN_AGAIN = """table => new Promise(drawn => {
    table.addEventListener('scroll', () => requestAnimationFrame(() => requestAnimationFrame(drawn)), { once: true });
    table.scrollTop += 1;
})"""


@pytest.fixture(scope="module")
def notebook(lab, session):
    """A notebook that shows both widgets of one result."""
    cells = [nbformat.v4.new_code_cell(CELL)]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    (lab.root / "widgets.ipynb").write_text(nbformat.writes(nbformat.v4.new_notebook(cells=cells, metadata=metadata)))
    panel = session.open("widgets.ipynb")
    session.await_kernel()
    session.command("notebook:run-all-cells")
    session.command("application:toggle-left-area")
    panel.locator(".kkw-chart canvas").wait_for(timeout=SLOW_MS)
    return panel


@pytest.fixture
def chart(session, notebook):
    """The chart, scrolled to, with all its bars in view and nothing selected."""
    session.await_kernel()  # which may still tell what was selected last
    canvas = notebook.locator(".kkw-chart canvas")
    canvas.scroll_into_view_if_needed()
    canvas.focus()
    canvas.press("Escape")
    canvas.press("0")
    expect(canvas).to_have_attribute("data-from", "0.00")
    expect(canvas).to_have_attribute("data-to", f"{ROWS}.00")
    return canvas


@pytest.fixture
def inspector(notebook):
    return notebook.locator(".kkw-inspector")


def seen(canvas) -> tuple[float, float]:
    """The rows in view."""
    return tuple(float(canvas.get_attribute(f"data-{end}")) for end in ("from", "to"))


def at(canvas, x: float, y: float) -> tuple[float, float]:
    """A place inside a canvas, as shares of its size, on the page."""
    box = canvas.bounding_box()
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def test_chart__wheel_zooms_at_the_pointer_and_the_kernel_sends_every_bar(session, chart):
    assert int(chart.get_attribute("data-step")) > 1
    session.page.mouse.move(*at(chart, 0.5, 0.2))
    under = ROWS * 0.5 * chart.bounding_box()["width"] / (chart.bounding_box()["width"] - 64)
    for _ in range(12):
        session.page.mouse.wheel(0, -120)
    expect(chart).to_have_attribute("data-step", "1")
    first, last = seen(chart)
    assert last - first < ROWS / 10
    assert first < under < last
    session.shoot("widgets-zoomed")


def test_chart__a_position_that_is_held_is_one_area(chart):
    row = chart.evaluate("""canvas => {
        const [wide, y] = [Math.floor(canvas.width * 0.9), Math.floor(canvas.height * 0.938)];
        return Array.from(canvas.getContext('2d').getImageData(0, y, wide, 1).data);
    }""")
    colours = [tuple(row[k : k + 4]) for k in range(0, len(row), 4)]
    wide = [len([*same]) for (red, _, blue, _), same in groupby(colours) if blue > red + 30]
    assert max(wide) > 20  # pieces that are drawn apart have a seam every few pixels


def test_chart__drag_pans_and_double_click_shows_all(session, chart):
    for _ in range(3):
        chart.press("+")
    before = seen(chart)
    session.page.mouse.move(*at(chart, 0.6, 0.5))
    session.page.mouse.down()
    session.page.mouse.move(*at(chart, 0.4, 0.5), steps=5)
    session.page.mouse.up()
    after = seen(chart)
    assert after[0] > before[0]
    assert after[1] - after[0] == pytest.approx(before[1] - before[0], abs=0.05)
    session.page.mouse.dblclick(*at(chart, 0.5, 0.9))
    expect(chart).to_have_attribute("data-to", f"{ROWS}.00")


def test_chart__keys_pan_and_zoom(chart):
    chart.press("+")
    first, last = seen(chart)
    assert last - first == pytest.approx(ROWS / 2, abs=1)
    chart.press("ArrowRight")
    assert seen(chart)[0] > first
    chart.press("-")
    chart.press("0")
    expect(chart).to_have_attribute("data-from", "0.00")


def test_chart__shift_and_drag_select_a_span_that_the_other_widget_goes_to(session, chart, inspector):
    session.page.keyboard.down("Shift")
    session.page.mouse.move(*at(chart, 0.3, 0.5))
    session.page.mouse.down()
    session.page.mouse.move(*at(chart, 0.4, 0.5), steps=5)
    session.page.mouse.up()
    session.page.keyboard.up("Shift")
    other = inspector.locator("canvas")
    expect(other).not_to_have_attribute("data-from", "0.00")
    first, last = seen(other)
    assert ROWS * 0.15 < first < ROWS * 0.35
    assert last - first < ROWS * 0.4
    assert seen(chart) == (0, ROWS)


def test_chart__another_trial_is_drawn(chart, notebook, inspector):
    notebook.locator(".kkw-chart").get_by_label("fast").select_option("1")
    caption = notebook.locator(".kkw-chart .kkw-bar").first
    expect(caption).to_contain_text("fast=20")
    expect(inspector.locator(".kkw-bar", has_text="crossing")).to_contain_text("fast=20")


def test_inspector__row_is_linked_with_both_charts_and_answers_why(session, chart, inspector):
    row = inspector.locator(".kkw-row").nth(3)
    row.click()
    expect(row).to_have_attribute("aria-selected", "true")
    expect(chart).not_to_have_attribute("data-from", "0.00")
    assert seen(chart)[1] - seen(chart)[0] < ROWS / 4
    expect(inspector.locator(".kkw-card")).to_contain_text("Trade 3: long SPX")
    inspector.get_by_role("button", name=re.compile("^Why order")).first.click()
    expect(inspector.locator(".kkw-why").first).to_contain_text("How it ended", timeout=SLOW_MS)
    session.shoot("widgets-why")


def test_inspector__a_row_that_is_pressed_while_the_table_is_drawn_is_selected(session, chart, inspector):
    inspector.locator(".kkw-row").nth(3).hover()
    session.page.mouse.down()
    inspector.locator(".kkw-table").evaluate(DRAWN_AGAIN)
    session.page.mouse.up()
    expect(inspector.locator(".kkw-row[aria-selected=true]")).to_have_attribute("data-trade", "3")
    expect(chart).not_to_have_attribute("data-from", "0.00")


def test_chart__click_on_a_fill_selects_its_trade_in_the_table(session, chart, inspector):
    inspector.locator(".kkw-row").nth(3).click()
    expect(chart).not_to_have_attribute("data-from", "0.00")
    chart.press("Escape")
    chosen = inspector.locator(".kkw-row[aria-selected=true]")
    expect(chosen).to_have_count(0)
    box = chart.bounding_box()
    tip = session.page.locator(".kkw-chart .kkw-tip")
    for y in range(20, 240, 4):  # down the bar of its entry, until the tip says that a fill is under the pointer
        session.page.mouse.move(box["x"] + 0.277 * (box["width"] - 64), box["y"] + y)
        text = tip.inner_text() if tip.is_visible() else ""
        if "click to select" in text:
            session.page.mouse.down()
            session.page.mouse.up()
            break
    else:
        pytest.fail("no fill was found under the pointer")
    expect(chosen).to_have_attribute("data-trade", re.search(r"Trade (\d+)", text)[1])


def test_inspector__sorts_and_filters(inspector):
    heads, first = inspector.locator(".kkw-head"), inspector.locator(".kkw-row").first
    heads.get_by_role("button", name="P&L").click()
    expect(heads.locator("[aria-sort=descending]")).to_have_text(re.compile("P&L"))
    inspector.locator(".kkw-table").evaluate("node => { node.scrollTop = 0; }")
    expect(first.locator(".kkw-up").first).to_be_visible()
    inspector.get_by_label("outcome").select_option("losers")
    expect(first.locator(".kkw-down").first).to_be_visible()
    expect(inspector.locator(".kkw-up")).to_have_count(0)
    inspector.get_by_label("outcome").select_option("")


def test_inspector__arrow_keys_select(inspector):
    table = inspector.locator(".kkw-table")
    table.focus()
    table.press("Home")
    one = inspector.locator(".kkw-row[aria-selected=true]").get_attribute("data-trade")
    table.press("ArrowDown")
    expect(inspector.locator(".kkw-row[aria-selected=true]")).not_to_have_attribute("data-trade", one)


def test_widgets__dark_theme(session, chart):
    session.theme("Dark")
    paper = "n => getComputedStyle(n.parentElement).getPropertyValue('--kk-ink')"
    dark = chart.evaluate(paper)
    session.shoot("widgets-dark")
    session.theme("Light")
    assert chart.evaluate(paper) != dark


def test_widgets__page_without_a_kernel_shows_pictures(session, lab, notebook, browser, tmp_path):
    session.command("docmanager:save")
    saved = nbformat.read(lab.root / "widgets.ipynb", 4)
    page = tmp_path / "widgets.html"
    page.write_text(HTMLExporter().from_notebook_node(saved)[0], encoding="utf-8")
    tab = browser.new_page()
    try:
        tab.route(re.compile("^https?:"), lambda route: route.abort())
        tab.goto(page.as_uri())
        picture = tab.locator("svg[aria-label^='Equity and drawdown']")
        expect(picture).to_have_count(2)
        expect(tab.locator(".jp-OutputArea table").first).to_contain_text("pnl")
        SHOTS.mkdir(parents=True, exist_ok=True)
        tab.screenshot(path=SHOTS / "widgets-page.png", full_page=True)
    finally:
        tab.close()


def test_chart__zooms_on_without_a_kernel(session, chart):
    session.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    session.page.mouse.move(*at(chart, 0.9, 0.2))
    for _ in range(6):
        session.page.mouse.wheel(0, -120)
    session.page.wait_for_function(
        "([canvas, most]) => canvas.dataset.to - canvas.dataset.from < most", arg=[chart.element_handle(), ROWS / 3]
    )
    assert int(chart.get_attribute("data-step")) > 1  # the overview: nobody sends what is finer


def test_browser__has_nothing_to_complain_about(session):
    assert session.problems == []
