"""The views of the main area: comparison, ledger, cluster, and results as files; two runs that were really made."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Route, expect

import kernelkit as kk
from kernelkit import notebook
from kernelkit.batch.run import run
from tests.ui.records import write_run

if TYPE_CHECKING:
    from tests.ui.conftest import Session

KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
CODE = """
import kernelkit as kk
from kernelkit.batch import context

@kk.strategy
def trend(ctx, n=100):
    ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else 0.0)

bars = kk.data.load("sp500_index")
res = kk.backtest(bars, trend, {"n": n}, start="2005", venue=kk.venues.fraction(fee, 0.0))
context.headline({name: float(res[name]) for name in ("sharpe_ratio", "cagr", "max_drawdown")})
if keep:
    context.keep(res)
"""


@kk.strategy
def bold(ctx, n=100):
    ctx.target_percent(1.5 if ctx.close[0] > ctx.close.sma(n) else -0.5)


def write_notebook(path: Path) -> Path:
    parameters = "n: int = 100\nfee: float = 0.0005\nkeep: bool = True"
    cells = [
        {"cell_type": "code", "source": text, "outputs": [], "execution_count": None, "metadata": {"tags": tags}}
        for text, tags in ((parameters, ["parameters"]), (CODE, []))
    ]
    path.write_text(
        json.dumps({"cells": cells, "metadata": {"kernelspec": KERNEL}, "nbformat": 4, "nbformat_minor": 4})
    )
    return path


@pytest.fixture(scope="module", autouse=True)
def _patience(session):
    """The first view waits for a process that imports heavy packages: on a busy machine, longer than a page takes."""
    session.page.set_default_timeout(120_000)


@pytest.fixture(scope="module")
def made(lab) -> Iterator[list[str]]:
    """Three runs with a result and one without, an edited strategy and a sealed market in the ledger of the lab."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(lab.root)
        template = write_notebook(lab.root / "trend.ipynb")
        outcomes = run(template, {"n": [20, 100, 200]}, out=lab.root / "runs")
        outcomes += run(template, {"n": 50, "keep": False}, out=lab.root / "runs")
        bars = kk.data.load("sp500_index")
        kk.seal(bars, last="2Y", note="for the end")
        with pytest.warns(kk.ledger.SealedWarning):
            res = kk.backtest(bars, bold, grid={"n": [20, 50, 100, 200]})
        notebook.save(res, lab.root / "bold.kkr.json")
        yield [outcome.run.id for outcome in outcomes]


@pytest.fixture(scope="module", params=["Light", "Dark"])
def theme(request, session, made):
    session.theme(request.param)
    yield request.param.lower()
    session.theme("Light")


@pytest.fixture
def calm(session):
    """Nothing is open, and afterwards the browser had nothing to complain about."""
    session.problems.clear()
    session.close_all()
    yield
    assert session.problems == []


@pytest.fixture
def comparison(session, made, calm):
    session.command("kernelkit:compare", ids=made)
    view = session.page.locator(".kk-Compare")
    view.locator(".kk-Matrix").wait_for()
    return view


@pytest.mark.usefixtures("calm")
class TestLooks:
    def test_comparison(self, session, made, theme):
        session.command("kernelkit:compare", ids=made)
        view = session.page.locator(".kk-Compare")
        view.locator(".kk-Parallel").wait_for()
        session.shoot(f"compare-{theme}")
        view.evaluate("node => { node.scrollTop = node.scrollHeight; }")
        session.shoot(f"compare-{theme}-foot")

    def test_ledger(self, session, theme):
        session.command("kernelkit:ledger", strategy="trend")
        session.page.locator(".kk-Tree").wait_for()
        session.shoot(f"ledger-{theme}")
        session.command("kernelkit:ledger", strategy="bold")
        session.page.get_by_role("heading", name="bold").wait_for()
        session.page.locator(".kk-Tree").wait_for()
        session.shoot(f"ledger-{theme}-looks")

    def test_file(self, session, theme):
        session.command("docmanager:open", path="bold.kkr.json")
        session.page.locator(".kk-Result .kk-Tiles").wait_for()
        session.shoot(f"file-{theme}")


def test_comparison__a_row_for_each_run_and_the_best_bold(comparison):
    rows = comparison.locator(".kk-Matrix tbody tr")
    assert rows.count() == 4
    assert comparison.locator(".kk-Matrix td.kk-mod-best").count() == 3
    expect(comparison.locator(".kk-Reasons")).to_contain_text("kept no result")
    comparison.get_by_text("3 of 4 runs have a curve of equity").wait_for()


def test_comparison__names_of_columns_stand_above_their_numbers(comparison):
    over = comparison.locator(".kk-Matrix thead th").evaluate_all(
        """heads => heads.map(head => {
            const right = node => node.getBoundingClientRect().right;
            return right(head.firstElementChild) - right(head);
        })"""
    )
    assert len(over) == 6
    assert max(over) <= 0


def test_comparison__sorts_by_any_column(session, comparison):
    button = comparison.get_by_title("Sort by n", exact=True)
    button.click()
    letters = comparison.locator(".kk-Matrix tbody tr")
    assert [letters.nth(k).get_attribute("data-letter") for k in range(4)] == ["C", "B", "D", "A"]
    session.page.keyboard.press("Enter")  # the focus has stayed on the column
    assert [letters.nth(k).get_attribute("data-letter") for k in range(4)] == ["A", "D", "B", "C"]
    expect(comparison.locator('th[aria-sort="ascending"]')).to_have_text("n ↑")


def test_comparison__significance_in_words_with_its_method(comparison):
    pairs = comparison.locator(".kk-Pairs tbody tr")
    assert pairs.count() == 3
    expect(pairs.first).to_contain_text("evidence of a difference")
    comparison.get_by_text("p-values adjusted for 3 pairs by Holm (1979)").wait_for()
    comparison.get_by_label("Difference of").select_option("mean_return")
    comparison.get_by_text("Student's t test of the differences").wait_for()
    assert comparison.get_by_role("img", name="Correlation over run and run").count() == 1


def test_comparison__curves_tell_their_values_under_the_pointer_and_the_keys(session, comparison):
    picture = comparison.get_by_role("img", name="Growth of 1 and drawdown of 3 runs")
    picture.hover()
    values = comparison.locator(".kk-Legend-value")
    assert values.count() == 3
    expect(values.first).to_contain_text("%")
    day = comparison.locator(".kk-Readout").text_content()
    picture.focus()
    session.page.keyboard.press("PageDown")
    expect(comparison.locator(".kk-Readout")).not_to_have_text(day)


def test_comparison__has_a_log_scale(comparison):
    before = comparison.locator(".kk-Line").first.get_attribute("d")
    comparison.get_by_label("log scale").check()
    assert comparison.locator(".kk-Line").first.get_attribute("d") != before


def test_comparison__a_brush_keeps_the_runs_within(session, comparison):
    picture = comparison.locator(".kk-Parallel")
    picture.scroll_into_view_if_needed()
    area = picture.locator(".kk-Brush-area").last.bounding_box()
    x, top = area["x"] + area["width"] / 2, area["y"]
    session.page.mouse.move(x, top + 1)
    session.page.mouse.down()
    session.page.mouse.move(x, top + area["height"] * 0.3, steps=4)
    session.page.mouse.up()
    session.page.wait_for_function("document.querySelectorAll('.kk-Matrix tr.kk-mod-dim').length > 0")
    kept = comparison.locator(".kk-Matrix tbody tr:not(.kk-mod-dim)")
    assert 1 <= kept.count() < 3
    session.page.mouse.move(x, top + area["height"] * 0.3 + 2)  # its lower end, which is dragged down
    session.page.mouse.down()
    session.page.mouse.move(x, top + area["height"], steps=4)
    session.page.mouse.up()
    expect(kept).to_have_count(3)
    session.page.mouse.click(x, top + 5)
    session.page.wait_for_function("document.querySelectorAll('.kk-Matrix tr.kk-mod-dim').length === 0")


def test_comparison__a_brush_is_moved_by_keys(session, comparison):
    """Of n = 20, 50, 100 and 200: each press goes to the next value that some run has."""
    lower, upper = (comparison.get_by_role("slider", name=f"n, {which} end") for which in ("lower", "upper"))
    kept = comparison.locator(".kk-Matrix tbody tr:not(.kk-mod-dim)")
    press = session.page.keyboard.press
    expect(lower).to_have_attribute("aria-valuetext", "20, all of 4 runs kept")
    lower.focus()
    press("ArrowUp")
    expect(lower).to_have_attribute("aria-valuetext", "50, 3 of 4 runs kept")
    expect(lower).to_have_attribute("aria-valuenow", "1")
    expect(lower).to_be_focused()
    expect(kept).to_have_count(3)
    press("Tab")
    expect(upper).to_be_focused()
    press("ArrowDown")
    expect(upper).to_have_attribute("aria-valuetext", "100, 2 of 4 runs kept")
    expect(kept).to_have_count(2)
    press("Home")  # the other end is in its way
    expect(upper).to_have_attribute("aria-valuetext", "50, 1 of 4 runs kept")
    press("ArrowUp")
    for theme in ("Dark", "Light"):
        session.theme(theme)
        upper.focus()  # another theme takes it away
        comparison.locator(".kk-Parallel").screenshot(path=session.picture(f"compare-brush-{theme.lower()}"))
    press("Escape")
    expect(upper).to_have_attribute("aria-valuetext", "200, all of 4 runs kept")
    expect(upper).to_be_focused()
    expect(kept).to_have_count(4)


def test_comparison__a_brush_over_all_values_is_none(session, comparison):
    """Runs that have no value on an axis, which no brush can hold, are there again."""
    lower = comparison.get_by_role("slider", name="n, lower end")
    lower.focus()
    session.page.keyboard.press("End")
    expect(lower).to_have_attribute("aria-valuetext", "200, 1 of 4 runs kept")
    session.page.keyboard.press("Home")
    expect(lower).to_have_attribute("aria-valuetext", "20, all of 4 runs kept")
    assert comparison.locator(".kk-Brush-end.kk-mod-set").count() == 0


def test_comparison__keeps_the_focus_on_what_draws_it_anew(session, comparison):
    log = comparison.get_by_label("log scale")
    log.focus()
    session.page.keyboard.press("Space")
    expect(log).to_be_checked()
    expect(log).to_be_focused()


def test_comparison__lets_runs_be_chosen(session, made, calm):
    session.command("kernelkit:compare")
    picker = session.page.locator(".kk-Picker")
    button = picker.get_by_role("button", name="Compare")
    assert button.is_disabled()
    for run_id in made[:2]:
        picker.get_by_label(run_id).check()
    button.click()
    session.page.get_by_text("2 of 2 runs have a curve of equity").wait_for()


def test_comparison__comes_back_after_a_reload(session, made, calm):
    name = f"kernelkit-compare:{','.join(made[:2])}"
    with session.saved(f'"{name}":', f'"widgets":["{name}"]'):
        session.command("kernelkit:compare", ids=made[:2])
        session.page.locator(".kk-Matrix").wait_for()
    session.page.goto(session.page.url.partition("?")[0])
    session.page.locator(".kk-Matrix tbody tr").nth(1).wait_for()
    assert session.page.locator(".kk-Matrix tbody tr").count() == 2


def answered(session: Session, path: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Change what the server answers to questions at ``path``, until `unroute`."""

    def answer(route: Route) -> None:
        response = route.fetch()
        told = response.json()
        change(told)
        route.fulfill(response=response, json=told)

    session.page.route(path, answer)


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (
            ("out of sample", "in sample", "in sample"),
            "This comparison is not fair: A is out of sample and B and C are in sample.",
        ),
        (
            ("fixed parameters", "in sample", "in sample"),
            "This comparison is not fair: A has fixed parameters and B and C are in sample.",
        ),
        (
            ("out of sample", "fixed parameters", "fixed parameters"),
            (
                "This comparison is fair only where nobody chose the fixed parameters by these sessions: "
                "A is out of sample and B and C have fixed parameters."
            ),
        ),
    ],
)
def test_comparison__of_unlike_samples_is_called_unfair(session, made, calm, samples, said):
    def change(told: dict[str, Any]) -> None:
        for curve, sample in zip(told["curves"], samples, strict=False):
            curve["sample"] = sample

    answered(session, "**/kernelkit/compare*", change)
    session.command("kernelkit:compare", ids=made)
    view = session.page.locator(".kk-Compare")
    expect(view.get_by_role("note")).to_contain_text(said)
    expect(view.locator(".kk-Legend-item")).to_contain_text(samples)
    for name in ("Light", "Dark"):
        session.theme(name)
        view.locator(".kk-Pairs").scroll_into_view_if_needed()
        session.shoot(f"compare-unfair-{samples[0].replace(' ', '-')}-{name.lower()}")
    session.theme("Light")
    session.page.unroute("**/kernelkit/compare*")


def test_comparison__of_single_trials_is_not_called_in_sample_nor_unfair(comparison):
    expect(comparison.locator(".kk-Legend-item")).to_contain_text(3 * ["fixed parameters"])
    assert comparison.get_by_role("note").count() == 0


def test_comparison__a_test_that_cannot_be_computed_says_so(session, made, calm):
    """As of the Sharpe ratio of a run that never traded; the second pair differs by nothing at all."""

    def change(told: dict[str, Any]) -> None:
        (test, *_) = told["common"]["tests"]
        for name in ("difference", "low", "high", "p_value", "adjusted"):
            test[name][0][1] = test[name][0][2] = None
        test["difference"][0][2] = 0.0

    answered(session, "**/kernelkit/compare*", change)
    session.command("kernelkit:compare", ids=made)
    pairs = session.page.locator(".kk-Compare .kk-Pairs tbody tr")
    pairs.nth(2).wait_for()
    expect(pairs.nth(1)).to_have_text(re.compile("cannot be told$"))
    expect(pairs.nth(2)).to_have_text(re.compile("they are the same$"))
    session.page.unroute("**/kernelkit/compare*")


def test_comparison__of_too_many_says_how_many_can_be(session, lab, made, calm):
    more = [f"more-{n}" for n in range(18)]
    for name in more:
        write_run(lab.root, id=name, name="more", status="done", created="2026-01-01T09:00:00.000Z")
    session.command("kernelkit:compare", ids=[*made, *more])
    session.page.get_by_text(re.compile("These runs cannot be compared: runs to compare.* 2 to 20")).wait_for()
    session.problems.clear()  # the browser tells of the 400
    for name in more:
        shutil.rmtree(lab.root / "runs" / name)


def test_comparison__says_why_it_cannot(session, calm):
    session.command("kernelkit:compare", ids=["a-1", "no-such"])
    session.page.get_by_text("These runs cannot be compared").wait_for()
    session.problems.clear()  # the browser tells of the 404


def test_ledger__lists_strategies_and_families(session, made, calm):
    session.command("kernelkit:ledger")
    view = session.page.locator(".kk-Ledger")
    view.get_by_role("heading", name="All strategies").wait_for()
    names = view.locator(".kk-Ledger-entry b").all_inner_texts()
    assert names[0] == "All strategies"
    assert {"trend", "bold"} <= set(names)
    assert view.get_by_role("rowheader", name="index:SPX").count() == 1
    view.locator('[data-strategy="trend"]').click()
    view.get_by_role("heading", name="trend", exact=True).wait_for()


def test_ledger__a_late_refusal_does_not_replace_what_was_chosen_since(session, made, calm):
    """The trail of bold is slow and fails after that of trend was chosen."""
    session.command("kernelkit:ledger")
    view = session.page.locator(".kk-Ledger")
    view.get_by_role("heading", name="All strategies").wait_for()
    held: list[Route] = []
    session.page.route("**/kernelkit/ledger/strategy/bold*", lambda route: held.append(route))
    with session.page.expect_request("**/kernelkit/ledger/strategy/bold*"):
        view.locator('[data-strategy="bold"]').click()
    view.locator('[data-strategy="trend"]').click()
    view.get_by_role("heading", name="trend", exact=True).wait_for()
    with session.page.expect_response("**/kernelkit/ledger/strategy/bold*"):
        held[0].fulfill(status=500, json={"message": "the disk is gone"})
    session.page.unroute("**/kernelkit/ledger/strategy/bold*")
    assert view.get_by_role("heading", name="trend", exact=True).is_visible()
    assert view.get_by_text("cannot be shown").count() == 0
    session.problems.clear()  # the browser tells of the 500


def test_ledger__tells_the_cost_and_the_looks(session, made, calm):
    session.command("kernelkit:ledger", strategy="bold")
    view = session.page.locator(".kk-Ledger")
    view.get_by_text("The best of 4 distinct trials of bold has a Sharpe ratio of").wait_for()
    view.get_by_text("are sealed; 1 look since").wait_for()
    assert view.get_by_role("img", name="4 trials on 1 day").count() == 1


def test_ledger__its_tree_opens_and_closes_by_keys(session, made, calm):
    session.command("kernelkit:ledger", strategy="bold")
    tree = session.page.get_by_role("tree", name="Versions of bold")
    tree.wait_for()
    item = tree.get_by_role("treeitem").first
    assert item.get_attribute("aria-expanded") == "true"
    item.focus()
    session.page.keyboard.press("ArrowLeft")
    assert item.get_attribute("aria-expanded") == "false"
    session.page.keyboard.press("ArrowRight")
    session.page.keyboard.press("ArrowDown")
    child = tree.get_by_role("treeitem").nth(1)
    assert child.evaluate("node => node === document.activeElement")
    assert child.get_attribute("aria-level") == "2"
    expect(child.locator(".kk-Diff")).to_contain_text("ctx.target_percent(1.5")


def test_result_file__opens_by_a_double_click(session, made, calm):
    session.command("filebrowser:activate")
    session.page.locator(".jp-DirListing-item", has_text="bold.kkr.json").dblclick()
    result = session.page.locator(".jp-MimeDocument .kk-Result")
    result.get_by_role("heading", name="bold").wait_for()
    assert result.get_by_role("img").count() >= 1


def test_shortcuts__show_the_views(session, made, calm):
    for key, css in (("c", ".kk-Picker"), ("l", ".kk-Ledger"), ("r", "#kernelkit-runs")):
        session.page.locator("body").press("Alt+k")
        session.page.keyboard.press(key)
        session.page.locator(css).wait_for()


@pytest.fixture
def scheduler():
    distributed = pytest.importorskip("distributed", reason="install kernelkit[cluster]")
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=2,
        processes=False,
        protocol="tcp",
        dashboard_address=":0",
        memory_limit="8GB",
    ) as cluster:
        yield cluster.scheduler_address


def set_scheduler(session: Session, address: str) -> None:
    """Save the setting as the settings editor does, and load the page anew."""
    raw = json.dumps({"scheduler": address})
    save = "raw => window.jupyterapp.serviceManager.settings.save('@kernelkit/labextension:plugin', raw)"
    session.page.evaluate(save, raw)
    session.page.reload()
    session.page.wait_for_function("window.jupyterapp?.commands.hasCommand('kernelkit:cluster') ?? false")
    session.page.wait_for_selector("#jupyterlab-splash", state="detached")


def test_cluster__without_an_address_says_how_to_get_one(session, calm):
    session.command("kernelkit:cluster")
    session.page.get_by_text("No cluster: trials run on this machine").wait_for()


def test_cluster__shows_workers_and_memory(session, scheduler, calm):
    set_scheduler(session, scheduler)
    session.command("kernelkit:cluster")
    view = session.page.locator(".kk-Cluster")
    view.get_by_text("2 workers, 4 threads").wait_for()
    assert view.locator("tbody tr").count() == 2
    expect(view.locator("tbody .kk-Memory").first).to_contain_text("of 8.0 GB")
    session.shoot("cluster-light")
    session.theme("Dark")
    session.shoot("cluster-dark")
    session.theme("Light")


def test_cluster__says_that_nobody_answers(session, calm):
    set_scheduler(session, "tcp://127.0.0.1:9")
    session.command("kernelkit:cluster")
    session.page.get_by_text("Start it with `dask scheduler`, and check the address.").wait_for()
    session.problems.clear()  # the browser tells of the 404
    session.close_all()
    set_scheduler(session, "")
