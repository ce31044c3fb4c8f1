"""The panel of runs."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Route, expect

from kernelkit.batch import runs
from tests.ui.records import METRICS, write_run


@pytest.fixture(scope="module")
def at_work(lab) -> Iterator[runs.Recorder]:
    """One run of each kind; the running one is this process, which really beats."""
    day = "2026-01-0{}T09:00:00.000Z".format
    write_run(
        lab.root,
        id="walk_forward-0a1b2c3d4e",
        name="walk_forward",
        status="done",
        created=day(4),
        finished="2026-01-04T09:02:11.000Z",
        progress=1.0,
        failed=3,
        notebook="notebook.ipynb",
        report="report.html",
    )
    broken = "ValueError: sp500_indx is no data set; did you mean sp500_index?"
    write_run(
        lab.root, id="typo-1", name="typo", status="failed", created=day(3), progress=0.1, metrics={}, error=broken
    )
    write_run(lab.root, id="stopped-1", name="stopped", status="cancelled", created=day(2), progress=0.55, metrics={})
    gone = {"host": "another-machine", "heartbeat": day(1)}
    write_run(
        lab.root, id="killed-1", name="killed", status="running", created=day(1), progress=0.4, metrics={}, **gone
    )
    folder = lab.root / "runs" / "grid-1"
    folder.mkdir()
    data = {"name": "aapl"}
    run = runs.Run(id="grid-1", name="momentum-grid", template="walk_forward", data=data, cells=12, metrics=METRICS)
    with runs.Recorder(folder, run) as recorder:
        usage = {"failed": 2, "cpu_percent": 187.4, "memory_bytes": 1_234_000_000}
        recorder.update(progress=0.42, cell=5, eta_s=73.0, candles_per_s=85.3e6, **usage)
        yield recorder


@pytest.fixture
def panel(session, at_work):
    session.problems.clear()
    session.close_all()
    session.command("kernelkit:show-runs")
    panel = session.page.locator("#kernelkit-runs")
    panel.locator(".kk-Run").first.wait_for()
    return panel


def test_panel__lists_every_run_with_its_status(session, panel):
    shown = {name: panel.locator(f'[data-run="{name}"]') for name in ("grid-1", "typo-1", "stopped-1", "killed-1")}
    expect(panel.locator(".kk-Status")).to_have_text(["running", "done", "failed", "cancelled", "lost"])
    running = shown["grid-1"]
    pace = "2 failed · 1 min 13 s left in this cell · 85.3M candles/s · CPU 187 % · 1.2 GB"
    running.get_by_text(f"42 % · cell 5 of 12 · {pace}").wait_for()
    expect(running.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "42")
    expect(shown["typo-1"]).to_contain_text("did you mean sp500_index?")
    expect(shown["stopped-1"]).to_contain_text("cancelled at 55 %")
    expect(shown["killed-1"]).to_contain_text("its process is gone")
    done = panel.locator('[data-run="walk_forward-0a1b2c3d4e"]')
    expect(done.locator("dt")).to_have_text(["Sharpe", "CAGR", "Max DD"])
    expect(done.locator("dd")).to_have_text(["0.83", "7.1 %", "21.4 %"])
    expect(done).to_contain_text("finished in 2 min 11 s · 3 trials failed")
    session.shoot("panel")
    assert session.problems == []


@pytest.fixture
def sweep(lab, panel) -> Iterator[list[str]]:
    """Runs of one batch, which differ in their parameters alone, and one of another strategy."""
    common = {"data": "sp500_index", "grid": "fast=5:50:5", "cash": 1e6, "strategy": "sma_cross"}
    spans = [("2Y", "6M"), ("2Y", "1Y"), ("20Y", "1Y")]
    runs = [
        ("sma_cross", common | {"train": train, "test": test, "carry": k > 0}) for k, (train, test) in enumerate(spans)
    ]
    runs.append(("momentum", common | {"strategy": "momentum", "train": "2Y", "cash": 500.0}))
    ids = [f"sweep-{k}" for k in range(len(runs))]
    for id, (strategy, parameters) in zip(ids, runs, strict=True):
        fields = {"name": "sweep", "status": "done", "created": "2026-01-05T09:00:00.000Z"}
        write_run(lab.root, id=id, strategy=strategy, parameters=parameters, **fields)
    expect(panel.locator(".kk-Run")).to_have_count(5 + len(ids))
    yield ids
    panel.get_by_placeholder("Filter runs").fill("")
    for id in ids:
        shutil.rmtree(lab.root / "runs" / id)
    expect(panel.locator(".kk-Run")).to_have_count(5)


def test_card__tells_what_differs_from_runs_like_it(session, panel, sweep):
    first, second, third, other = (panel.locator(f'[data-run="{id}"]') for id in sweep)
    for card, told in ((first, "train=2Y test=6M carry=false"), (third, "train=20Y test=1Y carry=true")):
        expect(card.locator(".kk-Run-apart")).to_have_text(told)
        expect(card.locator(".kk-Run-apart")).to_have_attribute("title", told.replace(" ", "\n"))
    expect(second).to_have_accessible_name(
        "sweep, done, walk_forward · sma_cross · sp500_index, train=2Y, test=1Y, carry=true"
    )
    expect(other.locator(".kk-Run-apart")).to_have_count(0)  # it is the only one of its strategy
    for theme in ("Dark", "Light"):
        session.theme(theme)
        session.shoot(f"panel-sweep-{theme.lower()}")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("train=2Y", [0, 1, 3]),
        ("train=2Y test=6M", [0]),
        ("TRAIN=20y", [2]),
        ("train=2", [0, 1, 2, 3]),  # a text that is not all typed yet
        ("cash=5", []),  # a number is not the beginning of another one
        ("cash=5e2", [3]),
        ("cash=", [0, 1, 2, 3]),
        ("carry=true sma", [1, 2]),
        ("rain=2Y", []),
    ],
)
def test_filter__finds_runs_by_their_parameters(panel, sweep, words, found):
    panel.get_by_placeholder("Filter runs").fill(words)
    cards = panel.locator(".kk-Run")
    expect(cards).to_have_count(len(found))
    assert {card.get_attribute("data-run") for card in cards.all()} == {sweep[k] for k in found}


def test_panel__follows_a_run(panel, at_work):
    at_work.update(progress=0.61, cell=7, eta_s=40.0)
    panel.get_by_text("61 % · cell 7 of 12 · 2 failed · 40 s left in this cell").wait_for()


def test_panel__a_change_between_press_and_release_loses_no_click(session, panel, at_work):
    card = panel.locator("[data-run=grid-1]")
    card.get_by_role("button", name="Tags of momentum-grid").hover()
    session.page.mouse.down()
    at_work.update(progress=0.62)
    card.get_by_text("62 % · cell").wait_for()
    session.page.mouse.up()
    card.get_by_label("Tags, words with spaces between them").press("Escape")


def test_panel__filters(session, panel):
    panel.get_by_placeholder("Filter runs").fill("walk done")
    session.page.wait_for_function("document.querySelectorAll('.kk-Run').length === 1")
    expect(panel.locator(".kk-Run-name")).to_have_text("walk_forward")
    panel.get_by_placeholder("Filter runs").fill("nothing like it")
    panel.get_by_text("No run has these words").wait_for()
    panel.get_by_placeholder("Filter runs").fill("")
    session.page.wait_for_function("document.querySelectorAll('.kk-Run').length === 5")


def test_panel__opens_the_executed_notebook(session, panel):
    card = panel.locator('[data-run="walk_forward-0a1b2c3d4e"]')
    card.get_by_role("button", name="Notebook").click()
    session.page.get_by_role("heading", name="Executed walk-forward").wait_for()
    assert session.problems == []


def test_panel__opens_the_report_in_a_tab_of_its_own(session, panel):
    card = panel.locator('[data-run="walk_forward-0a1b2c3d4e"]')
    with session.page.context.expect_page() as opened:
        card.get_by_role("button", name="Report").click()
    opened.value.get_by_text("Report of the walk-forward").wait_for()


def test_panel__context_menu_opens_the_notebook(session, panel):
    panel.locator('[data-run="walk_forward-0a1b2c3d4e"]').click(button="right")
    session.page.locator(".lm-Menu").get_by_text("Open Executed Notebook").click()
    session.page.get_by_role("heading", name="Executed walk-forward").wait_for()


def test_panel__says_why_a_button_is_off(session, panel):
    button = panel.locator('[data-run="grid-1"]').get_by_role("button", name="Notebook")
    expect(button).to_be_disabled()
    expect(button).to_have_accessible_description("The run has not written its notebook yet.")
    button.click(force=True)
    button.focus()  # who comes with the keyboard is told too
    session.page.keyboard.press("Enter")
    assert session.page.locator(".jp-Dialog, .jp-NotebookPanel").count() == 0


def test_card__its_buttons_are_reached_by_keys(session, panel):
    """As the cells of a grid: right and left within a card, up and down from card to card, Tab past all of them."""
    card = panel.get_by_role("row", name="walk_forward, done")
    buttons = [card.get_by_role("button", name=f"{what} of walk_forward") for what in ("Notebook", "Report", "Tags")]
    press = session.page.keyboard.press
    expect(panel.get_by_role("grid", name="Backtest runs").get_by_role("row")).to_have_count(5)
    card.focus()
    for key, reached in (
        ("ArrowLeft", card),
        ("ArrowRight", buttons[0]),
        ("ArrowRight", buttons[1]),
        ("ArrowRight", buttons[2]),
        ("ArrowRight", buttons[2]),
        ("ArrowLeft", buttons[1]),
        ("ArrowDown", panel.get_by_role("button", name="Report of typo")),
        ("ArrowUp", buttons[1]),
        ("Escape", card),
        ("ArrowRight", buttons[0]),
        ("ArrowLeft", card),
    ):
        press(key)
        expect(reached).to_be_focused()
    expect(card).to_have_attribute("aria-selected", "true")
    press("ArrowRight")
    press("Shift+Tab")
    expect(card).to_be_focused()
    for theme in ("Dark", "Light"):
        session.theme(theme)
        buttons[1].focus()
        session.shoot(f"panel-keys-{theme.lower()}")
    press("Tab")
    assert session.page.evaluate("document.activeElement.closest('.kk-Run')") is None


def test_card__a_button_is_pressed_by_enter_and_by_space(session, panel):
    card = panel.locator('[data-run="walk_forward-0a1b2c3d4e"]')
    card.focus()
    session.page.keyboard.press("ArrowRight")
    session.page.keyboard.press("Enter")
    session.page.get_by_role("heading", name="Executed walk-forward").wait_for()
    card.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "Space"):
        session.page.keyboard.press(key)
    expect(panel.get_by_label("Tags, words")).to_be_focused()
    session.page.keyboard.press("Escape")
    expect(card).to_be_focused()


@pytest.mark.parametrize("key", ["Shift+F10", "ContextMenu"])
def test_card__its_menu_opens_by_key_and_gives_the_focus_back(session, panel, key):
    card = panel.locator('[data-run="typo-1"]')
    card.focus()
    session.page.keyboard.press(key)
    session.page.locator(".lm-Menu").get_by_text("Open Executed Notebook (the run left no notebook)").wait_for()
    session.page.keyboard.press("Escape")
    expect(card).to_be_focused()


def test_card__a_button_keeps_the_focus_while_its_card_is_drawn_anew(session, panel, at_work):
    button = panel.locator('[data-run="grid-1"]').get_by_role("button", name="Report")
    button.focus()
    at_work.update(progress=0.64, cell=7)
    panel.get_by_text("64 % · cell 7 of 12").wait_for()
    expect(button).to_be_focused()


def test_panel__is_told_what_changed_and_asks_for_that_alone(session, panel, at_work, asked):
    with session.page.expect_request("**/kernelkit/runs?*"):
        at_work.update(progress=0.65, cell=8)
    panel.get_by_text("65 % · cell 8 of 12").wait_for()
    with session.page.expect_request("**/kernelkit/runs?*"):
        pass  # the run's next heartbeat
    about = [url.partition("/kernelkit/")[2].partition("&")[0] for url in asked if "/kernelkit/runs" in url]
    # one for the change, one for each heartbeat of the run, and no list
    assert set(about) == {"runs?id=grid-1"}
    assert len(about) <= 4


def test_panel__asks_nothing_while_it_is_hidden(session, panel, at_work, asked):
    session.command("filebrowser:activate")
    panel.wait_for(state="hidden")
    session.page.evaluate(
        """() => {
            const { stream } = window.jupyterapp.serviceManager.events;
            window.told = new Promise(resolve => {
                stream.connect((_, event) => (event.ids ?? []).includes("grid-1") && resolve(event.ids));
            });
        }"""
    )
    asked.clear()
    at_work.update(progress=0.66, cell=8)
    assert session.page.evaluate("window.told") == ["grid-1"]
    assert [url for url in asked if "/kernelkit/" in url] == []
    session.command("kernelkit:show-runs")
    panel.get_by_text("66 % · cell 8 of 12").wait_for()


def test_card__of_a_resumed_run_counts_from_its_last_attempt(session, panel):
    """The record of a run that lay dead for two hours and took half a minute when it was resumed."""
    id = "walk_forward-0a1b2c3d4e"

    def resumed(route: Route) -> None:
        response = route.fetch()
        told = response.json()
        for run in told["runs"]:
            if run["id"] == id:
                run["started"] = "2026-01-04T11:00:00.000Z"
                run["finished"] = "2026-01-04T11:00:30.000Z"
        route.fulfill(response=response, json=told)

    session.page.route("**/kernelkit/runs*", resumed)
    session.command("kernelkit:refresh-runs")
    panel.locator(f'[data-run="{id}"]').get_by_text("finished in 30 s").wait_for()
    session.page.unroute("**/kernelkit/runs*")
    session.command("kernelkit:refresh-runs")
    panel.locator(f'[data-run="{id}"]').get_by_text("finished in 2 min 11 s").wait_for()


def test_list__an_older_answer_does_not_overwrite_a_newer_one(session, panel, lab, at_work):
    """The list is asked for, its answer is slow, and meanwhile a change of one run is told."""
    whole = re.compile(r"/kernelkit/runs(\?\d+)?$")
    old = session.page.request.get(f"{lab.url}/kernelkit/runs?token=t").json()
    held: list[Route] = []
    session.page.route(whole, lambda route: held.append(route))
    with session.page.expect_request(whole):
        session.page.evaluate("() => void window.jupyterapp.commands.execute('kernelkit:refresh-runs')")
    at_work.update(progress=0.68, cell=8)
    panel.get_by_text("68 % · cell 8 of 12").wait_for()
    with session.page.expect_response(whole):
        held[0].fulfill(json=old)
    session.page.unroute(whole)
    session.page.evaluate("() => new Promise(resolve => requestAnimationFrame(() => setTimeout(resolve)))")
    assert "68 % · cell 8 of 12" in panel.locator('[data-run="grid-1"]').text_content()


def test_panel__keeps_the_focus_while_it_refreshes(session, panel, at_work):
    card = panel.locator('[data-run="grid-1"]')
    card.focus()
    at_work.update(progress=0.7, cell=8)
    panel.get_by_text("70 % · cell 8 of 12").wait_for()
    assert session.page.evaluate("document.activeElement.dataset.run") == "grid-1"


@pytest.fixture
def answer(session):
    """Let the server answer the next questions for runs with this."""

    def answer(status: int, body: dict[str, object]) -> None:
        session.page.route("**/kernelkit/runs*", lambda route: route.fulfill(status=status, body=json.dumps(body)))
        session.command("kernelkit:refresh-runs")

    yield answer
    session.page.unroute("**/kernelkit/runs*")
    session.command("kernelkit:refresh-runs")


def test_panel__says_what_the_server_said(panel, answer):
    answer(500, {"message": "the disk is gone"})
    panel.get_by_text("The runs cannot be read: the disk is gone").wait_for()


def test_panel__without_runs_says_how_to_start_one(panel, answer):
    answer(200, {"root": "runs", "notice": None, "runs": []})
    panel.get_by_text("kernelkit run walk_forward --out runs").wait_for()
    assert panel.get_by_placeholder("Filter runs").is_hidden()
