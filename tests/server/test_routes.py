from __future__ import annotations

import json
import urllib.parse
from pathlib import Path

import nbformat
import pytest
from tornado.httpclient import HTTPClientError

from kernelkit.batch import runs, template
from kernelkit.batch.lab.app import KernelkitApp

ROUTES = ["runs", "runs/a-1", "templates", "templates/grid", "compare", "ledger", "ledger/strategy/trend", "cluster"]


def write_run(root: Path, **fields: object) -> runs.Run:
    """A record in root/runs, with the files that it names."""
    defaults = {
        "name": "a",
        "template": "grid",
        "status": "done",
        "created": "2026-01-02T03:04:05.000Z",
        "progress": 1.0,
    }
    run = runs.Run(**{**defaults, **fields})
    folder = root / "runs" / run.id
    folder.mkdir(parents=True)
    (folder / runs.FILE).write_text(json.dumps(run.to_json()))
    for name in (run.notebook, run.report):
        if name is not None:
            (folder / name).write_text("")
    return run


@pytest.fixture
def grid(tmp_path, monkeypatch):
    """One template, `grid`, with four parameters."""
    cells = [
        nbformat.v4.new_markdown_cell("# Grid search\n\nOver two parameters."),
        nbformat.v4.new_code_cell(
            "fast = 20  # bars\nslow: float = 100\nnames = ('a', 'b')\ncap = 1e999", metadata={"tags": ["parameters"]}
        ),
    ]
    folder = tmp_path / "templates"
    folder.mkdir()
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "grid.ipynb")
    monkeypatch.setattr(template, "folders", lambda: [folder])


def test_routes__are_those_tested_here():
    assert len(KernelkitApp.handlers) == len(ROUTES)


@pytest.mark.parametrize("route", ROUTES)
async def test_every_route__refuses_a_stranger(jp_fetch, jp_root_dir, grid, route):
    write_run(jp_root_dir, id="a-1")
    known = await jp_fetch("kernelkit", *route.split("/"), raise_error=False, request_timeout=120)
    assert known.code in (200, 404)  # who is known is heard, whether or not there is such a thing
    with pytest.raises(HTTPClientError) as refused:
        await jp_fetch("kernelkit", *route.split("/"), headers={"Authorization": "token wrong"})
    assert refused.value.code == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("route", ROUTES)
async def test_every_route__only_reads(jp_fetch, route, method):
    body = None if method == "DELETE" else "{}"
    with pytest.raises(HTTPClientError) as refused:
        await jp_fetch("kernelkit", *route.split("/"), method=method, body=body)
    assert refused.value.code == 405


async def test_runs__none_yet(get):
    assert await get("runs") == {"root": "runs", "notice": None, "runs": []}


async def test_runs__newest_first_with_links(get, jp_root_dir):
    write_run(jp_root_dir, id="a-1", metrics={"sharpe_ratio": 0.5, "cagr": None})
    write_run(
        jp_root_dir, id="a-2", created="2026-01-03T00:00:00.000Z", notebook="notebook.ipynb", report="report.html"
    )
    newest, oldest = (await get("runs"))["runs"]
    assert (newest["id"], oldest["id"]) == ("a-2", "a-1")
    assert newest["links"] == {"notebook": "runs/a-2/notebook.ipynb", "report": "runs/a-2/report.html"}
    assert oldest["links"] == {"notebook": None, "report": None}
    assert oldest["metrics"] == {"sharpe_ratio": 0.5, "cagr": None}


async def test_runs__a_dead_process_is_lost(get, jp_root_dir):
    write_run(jp_root_dir, id="a-1", status="running", heartbeat="2026-01-02T03:04:06.000Z", host="elsewhere")
    assert (await get("runs"))["runs"][0]["status"] == "lost"
    assert (await get("runs", "a-1"))["status"] == "lost"


async def test_runs__a_broken_record_is_told(get, jp_root_dir):
    folder = jp_root_dir / "runs" / "torn"
    folder.mkdir(parents=True)
    (folder / runs.FILE).write_text("{")
    [run] = (await get("runs"))["runs"]
    assert (run["id"], run["status"]) == ("torn", "failed")
    assert "not JSON" in run["error"]


async def test_run__links_never_leave_the_run(get, jp_root_dir):
    (jp_root_dir / "secret.ipynb").write_text("")
    write_run(jp_root_dir, id="a-1", notebook="../../secret.ipynb")
    assert (await get("runs", "a-1"))["links"]["notebook"] is None
    folder = jp_root_dir / "runs" / "a-2"
    folder.mkdir()
    run = runs.Run(id="..", name="a", template="t", status="done", notebook="secret.ipynb")
    (folder / runs.FILE).write_text(json.dumps(run.to_json()))
    assert (await get("runs", "a-2"))["links"]["notebook"] is None


async def test_runs__in_a_folder_behind_a_symbolic_link_can_be_opened(get, jp_root_dir, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("disk")
    write_run(elsewhere, id="a-1", notebook="notebook.ipynb")
    (jp_root_dir / "runs").symlink_to(elsewhere / "runs")
    assert (await get("runs"))["runs"][0]["links"]["notebook"] == "runs/a-1/notebook.ipynb"


@pytest.mark.parametrize("run_id", ["..", ".", "../runs", "a%2-1", "no-such-run"])
async def test_run__an_id_that_is_none(jp_fetch, jp_root_dir, run_id):
    write_run(jp_root_dir, id="a-1")
    (jp_root_dir / runs.FILE).write_text((jp_root_dir / "runs" / "a-1" / runs.FILE).read_text())
    with pytest.raises(HTTPClientError) as refused:
        await jp_fetch("kernelkit", "runs", urllib.parse.quote(run_id, safe="").replace(".", "%2E"))
    assert refused.value.code == 404


async def test_templates__name_and_title(get, grid):
    assert await get("templates") == {"templates": [{"name": "grid", "title": "Grid search"}]}


async def test_template__the_form_of_its_parameters(get, grid):
    form = await get("templates", "grid")
    assert (form["name"], form["title"]) == ("grid", "Grid search")
    assert form["parameters"] == [
        {"name": "fast", "default": 20, "kind": "int", "help": "bars"},
        {"name": "slow", "default": 100.0, "kind": "float", "help": ""},
        {"name": "names", "default": "('a', 'b')", "kind": "tuple", "help": ""},
        {"name": "cap", "default": "inf", "kind": "float", "help": ""},
    ]


@pytest.mark.parametrize("name", ["..", "no-such", "grid.ipynb", "%2Fetc%2Fpasswd"])
async def test_template__a_name_that_is_none(jp_fetch, grid, name):
    with pytest.raises(HTTPClientError) as refused:
        await jp_fetch("kernelkit", "templates", name.replace(".", "%2E"))
    assert refused.value.code == 404
    assert "grid" in json.loads(refused.value.response.body)["message"]


class TestRunsElsewhere:
    @pytest.fixture
    def elsewhere(self, tmp_path_factory):
        return tmp_path_factory.mktemp("elsewhere")

    @pytest.fixture
    def jp_server_config(self, jp_server_config, elsewhere):
        return {**jp_server_config, "KernelkitApp": {"runs_dir": str(elsewhere / "runs")}}

    async def test_runs__are_listed_but_cannot_be_opened(self, get, elsewhere):
        write_run(elsewhere, id="a-1", notebook="notebook.ipynb")
        listed = await get("runs")
        assert "is not below" in listed["notice"]
        assert listed["root"] == str(elsewhere / "runs")
        assert listed["runs"][0]["links"]["notebook"] is None


async def test_shipped_templates__have_a_form(get):
    names = [entry["name"] for entry in (await get("templates"))["templates"]]
    assert "walk_forward" in names
    for name in names:
        assert (await get("templates", name))["parameters"], f"{name} has no parameters"
