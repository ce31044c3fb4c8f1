"""What can be done with runs in their panel: select, sort, tag, open, copy, drag, cancel, delete."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator

import nbformat
import pytest
from playwright.sync_api import expect

from kernelkit.batch import _process
from tests.ui.records import KERNEL, METRICS, write_run

VERDICT = {
    "judgement": "not significant",
    "meaning": "If nothing had skill, the best of 12 trials would look at least this good in 31 of 100 worlds.",
    "p_value": 0.31,
}
ORIGIN = {"notebook": "walk_forward", "values": {"fast": "20", "data": "'sp500_index'"}}


def day(n: int) -> str:
    return f"2026-01-{n:02}T09:00:00.000Z"


@pytest.fixture
def worker() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


@pytest.fixture
def panel(session, lab, worker):
    """The panel with five runs: alpha is done with all that a run can have, and mu is at work."""
    session.close_all()
    shutil.rmtree(lab.root / "runs", ignore_errors=True)
    done = {"status": "done", "progress": 1.0, "notebook": "notebook.ipynb", "report": "report.html"}
    write_run(
        lab.root,
        id="alpha-1",
        name="alpha",
        created=day(5),
        finished="2026-01-05T09:02:11.000Z",
        strategy="sma_cross",
        verdict=VERDICT,
        origin=ORIGIN,
        **done,
    )
    write_run(lab.root, id="beta-1", name="beta", created=day(4), **{**done, "metrics": {"sharpe_ratio": 1.4}})
    write_run(lab.root, id="gamma-1", name="gamma", created=day(3), status="failed", error="ValueError: no", metrics={})
    own = {"pid": worker.pid, "pid_started": _process.started(worker.pid), "host": socket.gethostname()}
    beat = {"heartbeat": "2100-01-01T00:00:00.000Z", "progress": 0.3, "metrics": {}}
    write_run(lab.root, id="mu-1", name="mu", created=day(2), status="running", **own, **beat)
    write_run(lab.root, id="nu-1", name="nu", created=day(1), status="queued", **own, **{**beat, "progress": 0.0})
    session.problems.clear()
    session.close_all()
    session.command("kernelkit:show-runs")
    session.command("kernelkit:refresh-runs")
    panel = session.page.locator("#kernelkit-runs")
    panel.get_by_placeholder("Filter runs").fill("")
    panel.get_by_label("Sort by").select_option("created")
    panel.locator('[data-run="nu-1"]').wait_for()
    session.page.wait_for_function("document.querySelectorAll('.kk-Run').length === 5")
    return panel


def names(panel) -> list[str]:
    return panel.locator(".kk-Run-name").all_text_contents()


def selected(panel) -> list[str]:
    return panel.locator('.kk-Run[aria-selected="true"] .kk-Run-name').all_text_contents()


def card(panel, name: str):
    return panel.get_by_role("row", name=name)


def menu(session, panel, name: str) -> list[str]:
    """The entries about runs of the context menu on a run."""
    card(panel, name).locator(".kk-Run-head").click(button="right")
    session.page.locator(".lm-Menu").wait_for()
    labels = session.page.locator(".lm-Menu-item[data-type=command] .lm-Menu-itemLabel").all_inner_texts()
    return labels[:9]  # the last one is JupyterLab's own


def choose(session, label: str) -> None:
    session.page.locator(".lm-Menu").get_by_text(label, exact=True).click()


def test_card__tells_strategy_verdict_and_states(session, panel):
    expect(panel.locator(".kk-Status")).to_have_text(["done", "done", "failed", "running", "queued"])
    alpha = card(panel, "alpha")
    expect(alpha).to_contain_text("walk_forward · sma_cross · sp500_index")
    expect(alpha.locator(".kk-Run-verdict")).to_have_text("not significant")
    expect(alpha.locator(".kk-Run-verdict")).to_have_attribute("title", re.compile("31 of 100 worlds"))
    expect(alpha).to_have_accessible_name("alpha, done, walk_forward · sma_cross · sp500_index, not significant")
    session.shoot("runs")
    session.theme("Dark")
    session.shoot("runs-dark")
    session.theme("Light")


def test_list__is_sorted_by_what_is_chosen(panel):
    sort = panel.get_by_label("Sort by")
    assert names(panel) == ["alpha", "beta", "gamma", "mu", "nu"]
    sort.select_option("sharpe_ratio")
    assert names(panel)[:2] == ["beta", "alpha"]
    panel.get_by_role("button", name="The other way round").click()
    # what has no Sharpe ratio stays last
    assert names(panel)[:2] == ["alpha", "beta"]
    sort.select_option("name")
    assert names(panel) == ["nu", "mu", "gamma", "beta", "alpha"]
    panel.get_by_role("button", name="The other way round").click()
    sort.select_option("status")
    assert names(panel) == ["mu", "nu", "gamma", "alpha", "beta"]


def test_list__is_filtered_by_words_tag_and_status(session, panel, lab):
    (lab.root / "runs" / "beta-1" / "tags.json").write_text('["final", "spx"]')
    card(panel, "beta").get_by_text("final").wait_for()
    field = panel.get_by_placeholder("Filter runs")
    for words, found in {
        "tag:final": ["beta"],
        "status:done": ["alpha", "beta"],
        "status:done tag:sp": ["beta"],
        "sma_cross": ["alpha"],
        "not significant": ["alpha"],
    }.items():
        field.fill(words)
        assert names(panel) == found, words
    expect(panel.locator(".kk-Count")).to_have_text("1 of 5")


def test_selection__by_mouse(panel):
    for name, keys, expected in [
        ("beta", [], ["beta"]),
        ("mu", ["Shift"], ["beta", "gamma", "mu"]),
        ("gamma", ["Control"], ["beta", "mu"]),
        ("alpha", ["Control"], ["alpha", "beta", "mu"]),
        ("mu", [], ["mu"]),
    ]:
        card(panel, name).locator(".kk-Run-head").click(modifiers=keys)
        assert selected(panel) == expected


def test_selection__by_keyboard(session, panel):
    press = session.page.keyboard.press
    card(panel, "alpha").locator(".kk-Run-head").click()
    press("ArrowDown")
    assert selected(panel) == ["beta"]
    press("Shift+ArrowDown")
    press("Shift+ArrowDown")
    assert selected(panel) == ["beta", "gamma", "mu"]
    press("Shift+ArrowUp")
    assert selected(panel) == ["beta", "gamma"]
    press("End")
    assert selected(panel) == ["nu"]
    press("Control+a")
    assert len(selected(panel)) == 5
    press("Home")
    assert selected(panel) == ["alpha"]
    press("Enter")
    session.page.get_by_role("heading", name="Executed walk-forward").wait_for()
    session.await_kernel()  # what is still being opened when its file goes ends in a dialog


def test_menu__says_why_an_entry_is_off(session, panel):
    assert menu(session, panel, "gamma") == [
        "Open Executed Notebook (the run left no notebook)",
        "Open Report in New Browser Tab (the run left no report)",
        "Compare (select two runs or more)",
        "Run Again with Changes (its record does not tell what it was started with)",
        "Copy as Code",
        "Edit Tags",
        "Cancel (it is not running)",
        "Resume",
        "Delete…",
    ]
    session.shoot("runs-menu")
    session.page.keyboard.press("Escape")
    labels = menu(session, panel, "mu")
    assert "Open Report in New Browser Tab (the run has not written its report yet)" in labels
    assert labels[-3:] == ["Cancel", "Resume (it goes on)", "Delete (cancel it first)"]
    session.page.keyboard.press("Escape")
    assert menu(session, panel, "alpha")[-2] == "Resume (it is done)"
    session.page.keyboard.press("Escape")


def test_menu__by_its_key_is_about_the_selection(session, panel):
    card(panel, "alpha").locator(".kk-Run-head").click()
    session.page.keyboard.press("Shift+ArrowDown")
    session.page.keyboard.press("Shift+F10")
    entry = session.page.locator(".lm-Menu-itemLabel", has_text="Open Executed Notebook")
    expect(entry).to_have_text("Open Executed Notebook (select one run alone)")
    session.page.keyboard.press("Escape")


@pytest.fixture
def called(session) -> str:
    """Keep with what the commands of other parts of the extension are called; returns a script."""
    session.page.evaluate(
        """() => {
            window.called = [];
            window.jupyterapp.commands.commandExecuted.connect((_, { id, args }) => {
                if (id === "kernelkit:compare" || id === "kernelkit:launch") {
                    window.called.push([id, args]);
                }
            });
        }"""
    )
    return "window.called"


def test_menu__compares_and_runs_again(session, panel, called):
    card(panel, "alpha").locator(".kk-Run-head").click()
    card(panel, "beta").locator(".kk-Run-head").click(modifiers=["Control"])
    menu(session, panel, "beta")
    choose(session, "Compare")
    menu(session, panel, "mu")
    session.page.keyboard.press("Escape")
    menu(session, panel, "alpha")
    choose(session, "Run Again with Changes…")
    assert session.page.evaluate(called) == [
        ["kernelkit:compare", {"ids": ["alpha-1", "beta-1"]}],
        ["kernelkit:launch", {"template": "walk_forward", "values": {"fast": "20", "data": "sp500_index"}}],
    ]


def test_menu__edits_tags(session, panel, lab):
    menu(session, panel, "alpha")
    choose(session, "Edit Tags")
    field = panel.get_by_label("Tags, words")
    field.fill("final, spx final")
    session.shoot("runs-tags")
    field.press("Enter")
    card(panel, "alpha").get_by_text("spx", exact=True).wait_for()
    assert card(panel, "alpha").locator(".kk-Tag").all_text_contents() == ["final", "spx"]
    assert json.loads((lab.root / "runs" / "alpha-1" / "tags.json").read_text()) == ["final", "spx"]
    card(panel, "alpha").get_by_role("button", name="Tags").click()
    field.fill("other")
    field.press("Escape")
    assert card(panel, "alpha").locator(".kk-Tag").all_text_contents() == ["final", "spx"]
    card(panel, "alpha").get_by_role("button", name="Tags").click()
    field.fill("x" * 41)
    field.press("Enter")
    session.page.locator(".jp-Dialog").get_by_text("a tag: found").wait_for()
    session.page.locator(".jp-Dialog").get_by_role("button", name="Close").click()


def test_menu__copies_code(session, panel):
    session.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    menu(session, panel, "alpha")
    choose(session, "Copy as Code")
    text = 'import kernelkit as kk\n\nres = kk.open_run("alpha-1")'
    session.page.wait_for_function("text => navigator.clipboard.readText().then(copied => copied === text)", arg=text)


def test_menu__cancels(session, panel, worker):
    menu(session, panel, "mu")
    choose(session, "Cancel")
    # this worker writes no last record: it is gone, and the list says so
    card(panel, "mu").get_by_text("lost", exact=True).wait_for()
    card(panel, "nu").get_by_text("lost", exact=True).wait_for()
    assert worker.wait(10) < 0


def test_killed_worker__is_lost_at_once(session, panel, worker):
    os.kill(worker.pid, 9)
    worker.wait(10)
    card(panel, "mu").get_by_text("its process is gone, at 30 %; kernelkit resume goes on with it").wait_for()


def test_delete__asks_first(session, panel, lab):
    card(panel, "gamma").locator(".kk-Run-head").click()
    session.page.keyboard.press("Delete")
    dialog = session.page.locator(".jp-Dialog")
    dialog.get_by_text("Delete gamma-1 with notebook, report and results?").wait_for()
    session.shoot("runs-delete")
    dialog.get_by_role("button", name="Cancel").click()
    assert (lab.root / "runs" / "gamma-1").is_dir()
    card(panel, "beta").locator(".kk-Run-head").click(modifiers=["Control"])
    session.page.keyboard.press("Delete")
    dialog.get_by_text("Delete 2 runs").wait_for()
    dialog.get_by_role("button", name="Delete").click()
    card(panel, "gamma").wait_for(state="detached")
    card(panel, "beta").wait_for(state="detached")
    expect(card(panel, "mu")).to_be_focused()  # the next that is left
    assert sorted(path.name for path in (lab.root / "runs").iterdir()) == ["alpha-1", "mu-1", "nu-1"]


@pytest.mark.parametrize("folder", ["", "research"])
def test_drag__a_run_into_a_notebook_becomes_a_cell(session, panel, lab, folder):
    (lab.root / folder).mkdir(exist_ok=True)
    path = f"{folder}/drop.ipynb".lstrip("/")
    cell = nbformat.v4.new_markdown_cell("# Drop here")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": KERNEL}), lab.root / path)
    notebook = session.open(path)
    start = card(panel, "alpha").locator(".kk-Run-name").bounding_box()
    goal = notebook.locator(".jp-Cell").first.bounding_box()
    mouse = session.page.mouse
    mouse.move(start["x"] + 5, start["y"] + 5)
    mouse.down()
    mouse.move(start["x"] + 30, start["y"] + 30, steps=4)
    mouse.move(goal["x"] + 200, goal["y"] + 10, steps=10)
    session.shoot("runs-drag")
    mouse.up()
    notebook.locator(".jp-CodeCell").wait_for()
    source = session.page.evaluate(
        "[...window.jupyterapp.shell.currentWidget.content.model.cells].map(cell => cell.sharedModel.source)"
    )
    place = "alpha-1" if folder == "" else "../runs/alpha-1"
    assert f'import kernelkit as kk\n\nres = kk.open_run("{place}")' in source
    assert session.problems == []


def test_list__follows_without_events(browser, panel, lab):
    """Where the events do not come, by a proxy that cuts their connection, the panel asks by itself."""
    page = browser.new_page()
    page.route_web_socket("**/api/events/subscribe*", lambda socket: socket.close())
    page.goto(f"{lab.url}/lab?token=t&reset")
    page.wait_for_selector(".jp-Launcher")
    page.evaluate("window.jupyterapp.commands.execute('kernelkit:show-runs')")
    other = page.locator("#kernelkit-runs")
    other.locator('[data-run="alpha-1"]').wait_for()
    write_run(lab.root, id="omega-1", name="omega", created=day(9), status="done", metrics={})
    other.locator('[data-run="omega-1"]').wait_for()
    page.close()


def test_list__says_that_the_server_is_gone_and_recovers(session, panel):
    session.page.context.set_offline(True)
    session.command("kernelkit:refresh-runs")
    panel.get_by_text("What is shown may be old.").wait_for()
    assert names(panel) == ["alpha", "beta", "gamma", "mu", "nu"]
    session.page.context.set_offline(False)
    panel.locator(".kk-Message").wait_for(state="hidden")


def test_500_runs__only_what_changed_is_drawn_anew(session, panel, lab):
    """Neither a letter typed into the filter nor a change of one run makes the cards of the others again."""
    fields = {"status": "done", "metrics": METRICS}
    for n in range(500):
        write_run(lab.root, id=f"many-{n}", name=f"many {n}", created=day(1 + n % 28), **fields)
    session.page.wait_for_function("document.querySelectorAll('.kk-Run').length === 505")
    mark = "document.querySelectorAll('.kk-Run').forEach(card => { card.dataset.old = ''; })"
    session.page.evaluate(mark)
    fresh = panel.locator(".kk-Run:not([data-old])")
    for text, count in (("m", 503), ("many", 500), ("many 1", 176)):
        panel.locator(".kk-Filter").fill(text)
        assert (panel.locator(".kk-Run").count(), fresh.count()) == (count, 0)
    panel.locator(".kk-Filter").fill("")
    session.page.wait_for_function("document.querySelectorAll('.kk-Run').length === 505")
    session.page.evaluate(mark)
    shutil.rmtree(lab.root / "runs" / "many-7")
    write_run(lab.root, id="many-7", name="another", created=day(8), **fields)
    card(panel, "another").wait_for()
    assert (panel.locator(".kk-Run").count(), fresh.count()) == (505, 1)
