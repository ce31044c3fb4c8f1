"""The stranger's path as the README and the page of the first hour tell it, from a fresh clone to a report."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import expect

from tests.ui.conftest import COMPLAINTS, Lab, own_folders, started

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "guide" / "first.md").read_text(encoding="utf-8")
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
MINE = "mine"
PRINTED = re.compile(r"(http://127\.0\.0\.1:\d+)/lab\?token=(\w+)")  # the address that JupyterLab prints
SETTINGS = {"ServerApp": {"open_browser": False}, "LabApp": {"expose_app_in_browser": True}}
MAKE_S = 600  # packages may have to be downloaded
OURS = ("VIRTUAL_ENV", "PYTHONPATH", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")  # of whatever runs the tests


@pytest.fixture(scope="module")
def lab(browser, tmp_path_factory) -> Iterator[Lab]:
    """`make lab` in a fresh clone of the last commit, opened at the address that it prints."""
    clone, state = tmp_path_factory.mktemp("stranger") / "kernelkit", tmp_path_factory.mktemp("jupyter")
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    environment = {name: value for name, value in os.environ.items() if name not in OURS} | own_folders(state)
    (state / "config").mkdir()
    (state / "config" / "jupyter_server_config.json").write_text(json.dumps(SETTINGS))
    log = state / "make.log"
    with started(
        ["make", "lab"], clone, environment, log, lambda: bool(PRINTED.search(log.read_text(encoding="utf-8"))), MAKE_S
    ):
        url, token = PRINTED.findall(log.read_text(encoding="utf-8"))[-1]
        yield Lab(url, clone, token)


def test_stranger__runs_the_quickstart(session, lab):
    panel = session.open("notebooks/01_quickstart.ipynb")
    session.await_kernel()
    session.command("notebook:clear-all-cell-outputs")
    session.command("notebook:run-all-cells")
    result = panel.locator(".kk-Result").first
    result.locator(".kk-Table").wait_for()
    session.command("kernelkit:show-runs")
    session.page.locator("#kernelkit-runs").get_by_text("Backtest runs").wait_for()
    # the cell that ran last is the active one, to which JupyterLab scrolls back
    session.page.evaluate("window.jupyterapp.shell.currentWidget.content.activeCellIndex = 3")
    result.locator("header").scroll_into_view_if_needed()
    expect(result.locator("header")).to_be_in_viewport()
    expect(result.locator(".kk-Picture").first).to_be_in_viewport()
    session.shoot("stranger-quickstart")
    assert panel.locator(COMPLAINTS).all_inner_texts() == []
    assert panel.locator(".kk-Error").all_inner_texts() == []
    assert session.problems == []


@pytest.fixture(scope="module")
def written(lab) -> Path:
    """The cells of the page up to its last part, typed into a notebook in a folder of one's own."""
    texts = re.findall(r"```python\n(.*?)```", PAGE.partition("## 5. ")[0], re.DOTALL)
    cells = [nbformat.v4.new_code_cell(text.strip()) for text in texts]
    folder = lab.root / MINE
    folder.mkdir()
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": KERNEL}), folder / "first.ipynb")
    return folder


def test_stranger__types_the_cells_of_the_page(session, written):
    panel = session.open(f"{MINE}/first.ipynb")
    session.await_kernel()
    session.command("notebook:run-all-cells")
    panel.locator(".kk-Result .kk-Table").first.wait_for()
    panel.get_by_text("is blind to the future").first.wait_for()
    expect(panel.get_by_text("NOT SIGNIFICANT").first).to_be_attached()
    assert panel.locator(COMPLAINTS).all_inner_texts() == []
    expect(panel.locator(".jp-CodeCell .jp-InputPrompt").last).to_have_text(re.compile(r"\[\d+\]"), timeout=90_000)
    session.command("docmanager:save")
    assert (written / "prices.zarr").is_dir()
    assert (written / "breakout.py").is_file()
    session.shoot("stranger-notebook")
    assert session.problems == []


def test_stranger__walks_forward_from_the_launcher_to_a_report(session, written):
    session.close_all()
    session.problems.clear()  # ipywidgets' own "Cannot send": its views count down after their notebook has gone
    session.page.locator(".jp-LauncherCard[data-category='kernelkit']").filter(has_text="Walk-forward").first.click()
    form = session.page.locator(".kk-Launch")
    form.get_by_text("This makes 1 run.").wait_for()
    typed = {
        "data": f"{MINE}/prices.zarr",
        "strategy": f"{MINE}/breakout.py",
        "grid": "n=20:120:20; band=0,0.01,0.02",
        "train": "2Y",
        "test": "6M",
    }
    for name, text in typed.items():
        form.get_by_label(name, exact=True).fill(text)
    form.get_by_text("This makes 1 run.").wait_for()
    session.shoot("stranger-form")
    form.get_by_role("button", name="Run as batch").click()
    with session.page.context.expect_page(timeout=180_000) as opened:
        form.locator(".kk-Followed").get_by_role("button", name="Open report").click(timeout=180_000)
    report = opened.value
    report.get_by_role("heading", name="Walk-forward validation").first.wait_for()
    report.screenshot(path=session.picture("stranger-report"), full_page=True)
    report.close()
    session.command("kernelkit:show-runs")
    card = session.page.locator("#kernelkit-runs .kk-Run").filter(has_text="walk_forward").first
    expect(card).to_contain_text("done")
    expect(card).to_contain_text("Sharpe")
    session.shoot("stranger-runs")
    assert session.problems == []


def test_stranger__gets_the_same_numbers_in_a_terminal(lab, written):
    (typed,) = re.findall(r"```sh\n(cd mine\nkernelkit .*?)\n```", PAGE, re.DOTALL)
    path = f"{lab.root / '.venv' / 'bin'}:{os.environ['PATH']}"  # as a terminal of JupyterLab has it
    subprocess.run(typed, shell=True, cwd=lab.root, env=os.environ | {"PATH": path}, check=True, capture_output=True)
    notebook = nbformat.read(written / "first.ipynb", 4)
    (cell,) = (cell for cell in notebook.cells if cell.source.startswith("study = "))
    seen = float(cell.outputs[0]["data"]["text/plain"])
    form, terminal = (json.loads(record.read_text())["metrics"] for record in lab.root.glob("runs/*/run.json"))
    assert form == terminal
    assert form["oos_sharpe_ratio"] == seen
