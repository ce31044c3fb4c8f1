"""Templates in the launcher, their forms, and what becomes of them."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from kernelkit.batch import runs
from tests.ui.records import write_run

TINY = """\
fast: int = 20  # bars of the fast average
slow: int = 100  # bars of the slow one
strategy: str = "sma_cross"  # whose averages
carry: bool = True  # keep the position

delay: float = 0.0  # seconds to wait
"""
DAY = "2026-01-01T09:00:00.000Z"
WORK = """\
import time
from IPython.display import Markdown
time.sleep(delay)
Markdown(f"It was {fast} and {slow}, {carry}.")
"""


@pytest.fixture(scope="module", autouse=True)
def tiny(lab) -> str:
    """A notebook with a parameters cell, quickly executed."""
    cells = [
        nbformat.v4.new_markdown_cell("# Two averages\n\nWhat two numbers say."),
        nbformat.v4.new_code_cell(TINY, metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(WORK),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), lab.root / "tiny.ipynb")
    (lab.root / "trend.py").write_text("import kernelkit as kk\n\n@kk.strategy\ndef trend(ctx, n=20):\n    pass\n")
    return "tiny.ipynb"


@pytest.fixture
def form(session, tiny) -> Iterator:
    """The form of the tiny template, fresh."""
    session.problems.clear()
    session.close_all()
    session.command("kernelkit:launch", template=tiny)
    form = session.page.locator(".kk-Launch")
    form.get_by_text("This makes 1 run.").wait_for()
    yield form
    session.close_all()


def runs_of(root: Path, **parameters: object) -> list[runs.Run]:
    return [run for run in runs.list_runs(root / "runs") if parameters.items() <= run.parameters.items()]


def test_launcher__has_a_card_and_a_palette_command_for_each_template(session):
    cards = session.page.locator(".jp-LauncherCard[data-category='kernelkit']")
    cards.first.wait_for()
    names = {path.stem for path in (Path(__file__).parents[2] / "templates").glob("*.ipynb")}
    assert cards.count() == len(names)
    session.shoot("launcher")
    cards.filter(has_text="Walk-forward validation").click()
    form = session.page.locator(".kk-Launch")
    form.get_by_role("heading", name="Walk-forward validation").wait_for()
    assert form.get_by_label("train", exact=True).input_value() == "5Y"
    form.get_by_text("This makes 1 run.").wait_for()
    session.shoot("launch-walk-forward")
    session.page.keyboard.press("Control+Shift+C")
    session.page.locator(".lm-CommandPalette-input").fill("launch monte")
    session.page.locator(".lm-CommandPalette-item").filter(has_text="Launch Monte Carlo").click()
    session.page.get_by_role("heading", name="Monte Carlo").wait_for()
    assert session.problems == []


def test_form__offers_the_strategies_of_the_package_and_of_the_project(session, form):
    session.page.wait_for_function("document.querySelectorAll('datalist[id$=strategies] option').length > 0")
    offered = session.page.evaluate(
        "[...document.querySelectorAll('datalist[id$=strategies] option')].map(option => option.value)"
    )
    assert {"momentum", "trend.py"} <= set(offered)
    form.get_by_label("strategy", exact=True).fill("momntum")
    form.get_by_text("No strategy is known here as momntum.").wait_for()
    form.get_by_label("strategy", exact=True).fill("trend.py")
    form.get_by_text("No strategy is known here").wait_for(state="detached")


def test_form__says_what_is_wrong_as_one_types(session, form):
    fast = form.get_by_label("fast", exact=True)
    fast.fill("2o")
    form.get_by_text("fast: '2o' is not an int; the notebook's default is 20").wait_for()
    assert fast.get_attribute("aria-invalid") == "true"
    described = fast.get_attribute("aria-describedby").split()
    said = [session.page.locator(f"#{name}").inner_text() for name in described]
    assert said == ["bars of the fast average", "fast: '2o' is not an int; the notebook's default is 20"]
    for name in ("Run here", "Run as batch", "Open as notebook"):
        button = form.get_by_role("button", name=name)
        assert button.is_disabled()
        assert button.get_attribute("title") == "Some values are wrong."
    session.shoot("launch-error")
    form.get_by_role("button", name="Default: 20").click()
    form.get_by_text("This makes 1 run.").wait_for()
    assert fast.input_value() == "20"


def test_form__a_file_that_is_not_there_is_told_as_one_types(session, form, lab):
    (lab.root / "mine").mkdir(exist_ok=True)
    (lab.root / "mine" / "breakout.py").write_text("n = 20\n")
    strategy = form.get_by_label("strategy", exact=True)
    strategy.fill("breakout.py")
    form.get_by_text("strategy: there is no breakout.py here; mine/breakout.py is").wait_for()
    form.get_by_text("strategy: see what is wrong below the field.").wait_for()
    assert form.get_by_role("button", name="Run as batch").is_disabled()
    session.shoot("launch-absent")
    strategy.fill("mine/breakout.py")
    form.get_by_text("This makes 1 run.").wait_for()


def test_form__a_length_is_one_and_no_condition_is_an_empty_field(session, lab):
    session.close_all()
    session.command("kernelkit:launch", template="walk_forward")
    form = session.page.locator(".kk-Launch")
    form.get_by_label("train", exact=True).fill("five years")
    form.get_by_text("train: found 'five years', wanted a duration such as 5Y, 6M, 8W or 90D").wait_for()
    form.get_by_label("train", exact=True).fill("4Y, 500")
    form.get_by_text("This makes 2 runs: train = 4Y, 500.").wait_for()
    where = form.get_by_label("where", exact=True)
    assert where.input_value() == ""
    where.fill("fast < slow")
    session.shoot("launch-lengths")
    form.get_by_role("button", name="Default: empty").click()
    assert where.input_value() == ""


def test_run__that_was_cancelled_is_resumed_by_its_menu(session, form, lab):
    form.get_by_label("fast", exact=True).fill("11")
    form.get_by_label("delay", exact=True).fill("4")
    form.get_by_label("name of the runs").fill("stopped")
    form.get_by_text("This makes 1 run.").wait_for()
    form.get_by_role("button", name="Run as batch").click()
    followed = form.locator(".kk-Followed")
    followed.get_by_text("running", exact=True).wait_for()
    followed.get_by_role("button", name="Cancel").click()
    words = followed.locator(".kk-Followed-state", has_text=re.compile(r"^cancelled at \d+ %; kernelkit resume"))
    words.wait_for(timeout=60_000)
    session.command("kernelkit:show-runs")
    card = session.page.locator(".kk-Run").filter(has_text="stopped")
    card.get_by_text(words.inner_text()).wait_for()
    session.shoot("launch-cancelled")
    card.click(button="right")
    session.page.locator(".lm-Menu").get_by_text("Resume", exact=True).click()
    card.get_by_text("done", exact=True).wait_for(timeout=300_000)
    (made,) = runs_of(lab.root, fast=11)
    assert (made.status, made.name) == ("done", "stopped")
    assert session.problems == []


def test_form__a_run_is_followed_to_its_report(session, form, lab):
    form.get_by_label("fast", exact=True).fill("7")
    form.get_by_label("carry", exact=True).uncheck()
    form.get_by_label("name of the runs").fill("averages")
    form.get_by_label("delay", exact=True).fill("1")
    form.get_by_text("This makes 1 run.").wait_for()
    form.get_by_role("button", name="Run as batch").click()
    followed = form.locator(".kk-Followed")
    followed.get_by_text("running", exact=True).wait_for()
    session.command("kernelkit:show-runs")
    card = session.page.locator("#kernelkit-runs").get_by_text("averages", exact=True).first
    card.wait_for()
    report = followed.get_by_role("button", name="Open report")
    report.wait_for(timeout=300_000)
    with session.page.context.expect_page() as opened:
        report.click()
    opened.value.get_by_text("It was 7 and 100, False.").wait_for()
    opened.value.close()
    (made,) = runs_of(lab.root, fast=7)
    assert (made.status, made.name) == ("done", "averages")
    assert made.origin["folder"] == str(lab.root.resolve())
    form.get_by_text("It was done just now, with these values.").wait_for()
    assert form.get_by_role("button", name="Run as batch").is_disabled()
    form.get_by_label("Run again what is done").check()
    assert form.get_by_role("button", name="Run as batch").is_enabled()
    session.shoot("launch-done")
    assert session.problems == []


def test_form__of_a_shipped_template_runs(session, lab):
    session.problems.clear()
    session.close_all()
    session.command("kernelkit:launch", template="walk_forward")
    form = session.page.locator(".kk-Launch")
    form.get_by_label("grid", exact=True).fill("fast=20,50; slow=100,200")
    form.get_by_label("test", exact=True).fill("5Y")
    form.get_by_text("This makes 1 run.").wait_for()
    form.get_by_role("button", name="Run as batch").click()
    form.locator(".kk-Followed").get_by_text("1 done").wait_for(timeout=300_000)
    (made,) = runs_of(lab.root, test="5Y")
    assert (made.status, made.metrics["folds"]) == ("done", 3.0)
    assert session.problems == []


def test_form__a_range_is_a_sweep(session, form, lab):
    form.get_by_label("fast", exact=True).fill("1:3:1")
    form.get_by_label("slow", exact=True).fill("50,60")
    form.get_by_text("This makes 6 runs: fast = 1, 2, 3 × slow = 50, 60.").wait_for()
    assert form.get_by_role("button", name="Run here").is_disabled()
    form.get_by_text("A notebook takes one value of each field, and this makes 6 runs.").wait_for()
    form.get_by_label("delay", exact=True).fill("300")
    form.get_by_label("slow", exact=True).press("Control+Enter")
    followed = form.locator(".kk-Followed")
    followed.get_by_text("1 running · 5 queued").wait_for(timeout=60_000)
    session.shoot("launch-sweep")
    waiting = followed.locator(".kk-mod-queued").first
    waiting.get_by_role("button", name="Cancel").click()
    followed.get_by_text("1 cancelled · 1 running · 4 queued").wait_for()
    for cancelled in range(2, 6):
        followed.locator(".kk-mod-queued").first.get_by_role("button", name="Cancel").click()
        followed.get_by_text(f"{cancelled} cancelled · ").wait_for()
    followed.locator(".kk-mod-running").get_by_role("button", name="Cancel").click()
    followed.get_by_text("6 cancelled").wait_for(timeout=60_000)
    assert {run.status for run in runs_of(lab.root, delay=300.0)} == {"cancelled"}


def injected(path: Path) -> str:
    cells = json.loads(path.read_text())["cells"]
    return next("".join(cell["source"]) for cell in cells if "injected-parameters" in cell["metadata"].get("tags", []))


def test_form__opens_a_notebook_with_these_values(session, form, lab):
    form.get_by_label("fast", exact=True).fill("9")
    form.get_by_label("strategy", exact=True).fill("trend.py")
    form.get_by_text("This makes 1 run.").wait_for()
    before = (lab.root / "tiny.ipynb").read_text()
    form.get_by_role("button", name="Open as notebook").click()
    session.page.locator(".jp-NotebookPanel").get_by_text("strategy = 'trend.py'").wait_for()
    assert injected(lab.root / "tiny-1.ipynb") == "fast = 9\nstrategy = 'trend.py'"
    assert (lab.root / "tiny.ipynb").read_text() == before


def test_form__runs_here(session, form):
    form.get_by_label("slow", exact=True).fill("77")
    form.get_by_text("This makes 1 run.").wait_for()
    form.get_by_label("slow", exact=True).press("Control+Enter")
    session.page.locator(".jp-OutputArea").get_by_text("It was 20 and 77, True.").wait_for(timeout=300_000)


def test_launch__fills_in_what_it_is_given(session, tiny):
    session.close_all()
    session.command("kernelkit:launch", template=tiny, values={"fast": "3", "carry": "False", "gone": "1"})
    form = session.page.locator(".kk-Launch")
    form.get_by_text("tiny.ipynb has no parameter 'gone'").wait_for()
    assert form.get_by_label("fast", exact=True).input_value() == "3"
    assert not form.get_by_label("carry", exact=True).is_checked()


def test_form__is_there_after_a_reload_with_what_was_typed(session, form, lab):
    with session.saved('"fast":"13"', "layout-restorer:data"):
        form.get_by_label("fast", exact=True).fill("13")
        form.get_by_text("This makes 1 run.").wait_for()
    session.page.goto(f"{lab.url}/lab?token=t")
    session.page.wait_for_selector("#jupyterlab-splash", state="detached")
    form = session.page.locator(".kk-Launch")
    form.get_by_text("This makes 1 run.").wait_for()
    assert form.get_by_label("fast", exact=True).input_value() == "13"


@pytest.fixture
def many(lab) -> Iterator[list[str]]:
    """The ids of a thousand runs that are done."""
    ids = [f"many-{n}" for n in range(1000)]
    for n, run_id in enumerate(ids):
        write_run(lab.root, id=run_id, name="many", status="done", created=DAY, parameters={"n": n})
    yield ids
    for run_id in ids:
        shutil.rmtree(lab.root / "runs" / run_id)


def test_form__follows_a_thousand_runs_with_short_questions(session, tiny, many, asked):
    session.close_all()
    session.command("kernelkit:launch", template=tiny, id="kernelkit-launch-many", follow=many)
    session.page.locator(".kk-Followed").get_by_text("1000 done").wait_for()
    assert session.page.locator(".kk-Followed h3").inner_text() == "1,000 runs"
    about = [url for url in asked if "/kernelkit/runs" in url]
    assert about
    assert max(map(len, about)) < 8000  # what servers and proxies read of a request's first line
    session.close_all()


def test_form__runs_are_named_by_what_differs(session, tiny, lab):
    fields = {"status": "done", "created": DAY}
    for name, n in (("one", 1), ("two", 2)):
        write_run(lab.root, id=name, name="pair", parameters={"assets": ["aapl", "spy"], "n": n}, **fields)
    session.close_all()
    session.command("kernelkit:launch", template=tiny, id="kernelkit-launch-pair", follow=["one", "two"])
    names = session.page.locator(".kk-Followed-name")
    names.nth(1).wait_for()
    assert names.all_inner_texts() == ["n=1", "n=2"]
    session.close_all()


def test_form__a_server_that_does_not_answer(session, form):
    session.page.route("**/check*", lambda route: route.abort())
    try:
        form.get_by_label("fast", exact=True).fill("14")
        form.get_by_text("The server does not answer").wait_for()
    finally:
        session.page.unroute("**/check*")
    form.get_by_label("fast", exact=True).fill("15")
    form.get_by_text("This makes 1 run.").wait_for()


def test_form__in_the_dark_and_narrow(session, form):
    session.theme("Dark")
    try:
        session.page.set_viewport_size({"width": 620, "height": 900})
        form.get_by_label("fast", exact=True).fill("1:3:1")
        form.get_by_text("This makes 3 runs: fast = 1, 2, 3.").wait_for()
        session.shoot("launch-dark")
        assert form.evaluate("node => node.scrollWidth <= node.clientWidth")
    finally:
        session.page.set_viewport_size({"width": 1440, "height": 960})
        session.theme("Light")
