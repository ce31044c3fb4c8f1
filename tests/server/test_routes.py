from __future__ import annotations

import json
import re
import urllib.parse

import nbformat
import pytest
from tornado.httpclient import HTTPClientError
from tornado.web import RequestHandler

from kernelkit.batch import runs, tags, template
from kernelkit.batch.lab.app import KernelkitApp
from tests.server.records import write_run

# What each route answers to.
VERBS = {
    "runs": ("GET", "POST"),
    "runs/a-1": ("GET", "DELETE"),
    "runs/a-1/cancel": ("POST",),
    "runs/a-1/resume": ("POST",),
    "runs/a-1/tags": ("PUT",),
    "templates": ("GET",),
    "templates/grid": ("GET",),
    "templates/grid/check": ("POST",),
    "templates/grid/notebook": ("POST",),
    "choices": ("GET",),
    "compare": ("GET",),
    "ledger": ("GET",),
    "ledger/strategy/trend": ("GET",),
    "cluster": ("GET",),
}
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH")
KNOWN = [(method, route) for route, methods in VERBS.items() for method in methods]
UNKNOWN = [(method, route) for route, methods in VERBS.items() for method in METHODS if method not in methods]
BODIES = {"runs/a-1/tags": '{"tags": ["spx"]}', "runs": '{"template": "grid"}'}


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
    """Every verb of every route: what is added without a test that it refuses a stranger fails here."""
    answering = {
        pattern: {m for m in METHODS if getattr(handler, m.lower()) is not getattr(RequestHandler, m.lower())}
        for pattern, handler in KernelkitApp.handlers
    }
    tested = {
        pattern: {m for m, route in KNOWN if re.fullmatch(pattern, f"/kernelkit/{route}")} for pattern in answering
    }
    assert answering == tested


def sent(method: str, route: str) -> dict[str, object]:
    """What a question of this method has to carry."""
    body = BODIES.get(route, "{}") if method in ("POST", "PUT", "PATCH") else None
    return {"method": method, "body": body}


@pytest.mark.parametrize(("method", "route"), KNOWN)
async def test_every_verb__refuses_a_stranger(jp_fetch, jp_root_dir, grid, method, route):
    write_run(jp_root_dir, id="a-1")
    with pytest.raises(HTTPClientError) as refused:
        await jp_fetch("kernelkit", *route.split("/"), headers={"Authorization": "token wrong"}, **sent(method, route))
    assert refused.value.code == 403
    assert sorted(file.name for file in (jp_root_dir / "runs" / "a-1").iterdir()) == [runs.FILE]
    if not route.endswith(("/cancel", "/resume")):  # who is known is heard, whether or not there is such a thing
        known = await jp_fetch(
            "kernelkit", *route.split("/"), raise_error=False, request_timeout=120, **sent(method, route)
        )
        assert known.code == (200 if route.partition("/")[0] in ("runs", "templates", "choices") else known.code)
        assert known.code in (200, 404)


@pytest.mark.parametrize(("method", "route"), UNKNOWN)
async def test_every_route__has_no_other_verbs(jp_fetch, route, method):
    with pytest.raises(HTTPClientError) as refused:
        await jp_fetch("kernelkit", *route.split("/"), **sent(method, route))
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


@pytest.mark.parametrize(
    "odd",
    [
        "[" * 100_000,
        '{"schema": 1, "progress": NaN}',
        {"origin": {"notebook": [], "values": {}}},
        {"origin": {"notebook": "t", "values": {"n": "-" * 100_000 + "1"}}},
        {"notebook": "x" * 300},
        {"status": "running", "host": "elsewhere", "heartbeat": "2026-01-02T03:04:05"},
    ],
)
async def test_runs__an_odd_record_takes_no_other_away(get, jp_root_dir, odd):
    write_run(jp_root_dir, id="a-1")
    folder = jp_root_dir / "runs" / "odd"
    folder.mkdir()
    fields = {"id": "odd", "name": "a", "template": "t", "status": "done", **(odd if isinstance(odd, dict) else {})}
    content = json.dumps(runs.Run(**fields).to_json()) if isinstance(odd, dict) else odd
    (folder / runs.FILE).write_text(content)
    assert sorted(run["id"] for run in (await get("runs"))["runs"]) == ["a-1", "odd"]


async def test_runs__an_odd_folder_takes_no_other_away(get, jp_root_dir):
    for name in ("a-1", "b-1", "c-1"):
        write_run(jp_root_dir, id=name)
    (jp_root_dir / "runs" / "circle").symlink_to("circle")
    (jp_root_dir / "runs" / "b-1" / tags.FILE).mkdir()
    (jp_root_dir / "runs" / "c-1" / tags.FILE).write_text("[" * 100_000)
    found = {run["id"]: run for run in (await get("runs"))["runs"]}
    assert set(found) == {"a-1", "b-1", "c-1", "circle"}
    assert "symbolic links" in found["circle"]["error"]
    assert all("not a list of tags" in found[name]["error"] for name in ("b-1", "c-1"))


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


@pytest.mark.parametrize("run_id", ["..", ".", "../runs", "a%2-1", "no-such-run", "a\0", "x" * 300, "é" * 200])
async def test_run__an_id_that_is_none(jp_fetch, jp_root_dir, run_id):
    write_run(jp_root_dir, id="a-1")
    (jp_root_dir / runs.FILE).write_text((jp_root_dir / "runs" / "a-1" / runs.FILE).read_text())
    with pytest.raises(HTTPClientError) as refused:
        await jp_fetch("kernelkit", "runs", urllib.parse.quote(run_id, safe="").replace(".", "%2E"))
    assert refused.value.code == 404


async def test_templates__name_and_title(get, grid):
    about = "Over two parameters."
    assert await get("templates") == {"templates": [{"name": "grid", "title": "Grid search", "about": about}]}


async def test_template__the_form_of_its_parameters(get, grid):
    form = await get("templates", "grid")
    assert (form["name"], form["title"], form["runs"]) == ("grid", "Grid search", "grid")
    other = {"group": 0, "choices": None}
    assert form["parameters"] == [
        {"name": "fast", "default": 20, "kind": "int", "help": "bars", "text": "20", **other},
        {"name": "slow", "default": 100.0, "kind": "float", "help": "", "text": "100", **other},
        {"name": "names", "default": "('a', 'b')", "kind": "tuple", "help": "", "text": "('a', 'b')", **other},
        {"name": "cap", "default": "inf", "kind": "float", "help": "", "text": None, **other},
    ]


@pytest.mark.parametrize("name", ["..", "no-such", "grid.ipynb", "%2Fetc%2Fpasswd", "a%00.ipynb", "x" * 300 + ".ipynb"])
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
