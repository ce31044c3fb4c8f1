"""The report: what it shows, and that it shows it without a network."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest

from kernelkit import schema
from kernelkit.batch import offline, page, runs
from kernelkit.batch.plan import plan
from kernelkit.progress import MIME
from kernelkit.report import words


def output(**data: str) -> dict[str, Any]:
    names = {"html": "text/html", "plain": "text/plain", "progress": MIME}
    return {"output_type": "display_data", "metadata": {}, "data": {names[kind]: text for kind, text in data.items()}}


def render(tmp_path: Path, write_notebook: Any, *outputs: dict[str, Any], values: Any = None, **options: Any) -> str:
    path = write_notebook(tmp_path / "a.ipynb", "secret = 1", parameters="n = 1  # how many", title="A <title>")
    (job,) = plan(path, {"n": 2} if values is None else values, tmp_path, **options)
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    notebook.cells[-1].outputs = [nbformat.from_dict(one) for one in outputs]
    created = "2026-01-02T03:04:05.678Z"
    run = runs.Run(id=job.id, name="a", template="a", status="done", created=created, parameters=job.parameters)
    return page.render(notebook, page.describe(job, run, 192.0))


def test_around_the_notebook(tmp_path: Path, write_notebook: Any) -> None:
    html = render(tmp_path, write_notebook, output(plain="the result"))
    assert html.count("A &lt;title&gt;") == 2
    assert "<title>A" in html
    assert "2026-01-02 03:04 UTC" in html
    assert "3 min 12 s" in html
    assert '<tr class="changed"><th scope="row">n</th><td>2</td><td class="help">how many</td></tr>' in html
    assert "What it does." in html
    assert "secret" in html
    assert "the result" in html
    assert "<h1>" not in html.split("<main>")[1]


@pytest.mark.parametrize("values", [{}, {"n": 2}])
def test_bold_is_explained_where_something_is(tmp_path: Path, write_notebook: Any, values: dict[str, Any]) -> None:
    html = render(tmp_path, write_notebook, values=values)
    assert ("given for this run" in html) is bool(values)
    assert ('class="changed"' in html) is bool(values)


def test_every_metric_of_a_backtest_has_its_unit() -> None:
    assert [name for name in schema.METRICS if not words.known(name)] == []


def test_metrics_are_in_their_units(tmp_path: Path, write_notebook: Any) -> None:
    path = write_notebook(tmp_path / "a.ipynb", "1")
    (job,) = plan(path, {}, tmp_path)
    found = {"oos_cagr": 0.06346, "max_drawdown": 0.189, "n_trades": 12.0, "folds": 15.0, "final_equity": None}
    run = runs.Run(id=job.id, name="a", template="a", status="done", metrics=found)
    assert page.describe(job, run, 1.0).metrics == (
        ("CAGR, out of sample", "6.3 %"),
        ("Max drawdown", "18.9 %"),
        ("Trades", "12"),
        ("Folds", "15"),
        ("Final equity", "–"),
    )


def test_code_can_be_left_out(tmp_path: Path, write_notebook: Any) -> None:
    html = render(tmp_path, write_notebook, output(plain="the result"), hide_code=True)
    assert "secret" not in html
    assert "<button" not in html
    assert "the result" in html


def test_progress_and_what_cannot_be_shown_are_left_out(tmp_path: Path, write_notebook: Any) -> None:
    widget = output(plain="FloatProgress()")
    widget["data"]["application/vnd.jupyter.widget-view+json"] = {"model_id": "a"}
    html = render(tmp_path, write_notebook, output(progress="{}", plain="50 %"), output(), widget, output(plain="kept"))
    assert "50 %" not in html
    assert "FloatProgress" not in html
    assert "kept" in html


@pytest.mark.parametrize(
    ("html", "addresses"),
    [
        ('<img src="https://a.org/b.png">', ["https://a.org/b.png"]),
        ('<link rel="stylesheet" href="//a.org/b.css">', ["//a.org/b.css"]),
        ("<style>@import 'https://a.org/b.css'; p {background: url(http://a.org/c.png)}</style>", 2),
        ("<script>load('https://a.org/b.js?v=1'); see('https://a.org')</script>", ["https://a.org/b.js?v=1"]),
        ('<p style="background: url(https://a.org/c.png)">', ["https://a.org/c.png"]),
        ('<iframe src="https://a.org"></iframe><iframe src="https://a.org"></iframe>', ["https://a.org"]),
        ('<a href="https://a.org">https://a.org/b.js</a> <img src="data:,"> <img src="b.png">', []),
        ("<script data-bundle='x'>load('https://a.org/b.js')</script>", []),
    ],
)
def test_external_references(html: str, addresses: list[str] | int) -> None:
    found = offline.external_references(html)
    assert (len(found) if isinstance(addresses, int) else found) == addresses


PLOT = """
import warnings
warnings.simplefilter("ignore")
import numpy as np
import pandas as pd
import hvplot.pandas
from IPython.display import display
display(pd.DataFrame({"equity": np.arange(20.0)}).hvplot(title="Equity of the run"))
"""


@pytest.mark.skipif(
    shutil.which("chromium") is None and os.environ.get("CI") != "true",
    reason="needs chromium: apt-get install chromium",
)
def test_plots_are_drawn_without_a_network(tmp_path: Path, write_notebook: Any, command: Any) -> None:
    from playwright.sync_api import sync_playwright

    write_notebook(tmp_path / "plot.ipynb", PLOT)
    done = command.run("run", "plot.ipynb")
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr
    (report,) = tmp_path.glob("runs/*/report.html")
    asked: list[str] = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        shown = browser.new_page()
        shown.on("request", lambda request: asked.append(request.url))
        errors: list[str] = []
        shown.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        shown.goto(report.as_uri())
        shown.wait_for_selector(".bk-Canvas canvas", state="attached")
        shown.wait_for_function("Bokeh.documents.length > 0 && Bokeh.documents.at(-1).is_idle")
        browser.close()
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert errors == []


def test_another_panels_styles_stay_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.metadata

    version = importlib.metadata.version("panel")
    own = f'"https://cdn.holoviz.org/panel/{version}/dist/css/loading.css?v={version}"'
    other = '"https://cdn.holoviz.org/panel/0.1.0/dist/css/loading.css"'
    missing = f'"https://cdn.holoviz.org/panel/{version}/dist/css/no_such_file.css"'
    found = json.loads(f"[{offline.embed_styles(f'{own},{other},{missing}')}]")
    assert found[0].startswith("data:text/css;base64,")
    assert found[1:] == json.loads(f"[{other},{missing}]")
