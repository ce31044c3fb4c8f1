"""From the values of a form to what they ask for, to runs in the queue, and to notebooks of one's own."""

from __future__ import annotations

import asyncio
import json
import time

import nbformat
import pytest
from tornado.httpclient import HTTPClientError

from kernelkit.batch import runs, template
from kernelkit.batch.lab.handler import MOST, QUEUE
from tests.server.records import write_run

CELL = "fast = 20  # bars\nslow: float = 100\nstrategy = 'sma_cross'\n\ndelay = 0.0"
WORK = "import time\ntime.sleep(delay)\nprint(fast, slow)"


@pytest.fixture
def quick(tmp_path, monkeypatch):
    """One template, `quick`, whose notebook prints and waits."""
    cells = [
        nbformat.v4.new_code_cell(CELL, metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(WORK),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    folder = tmp_path / "templates"
    folder.mkdir()
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), folder / "quick.ipynb")
    monkeypatch.setattr(template, "folders", lambda: [folder])


@pytest.fixture
def post(jp_fetch):
    """POST JSON to a route below /kernelkit/ and read the JSON it answers."""

    async def send(*path, **content):
        response = await jp_fetch("kernelkit", *path, method="POST", body=json.dumps(content))
        return json.loads(response.body)

    return send


@pytest.fixture
def refused(jp_fetch):
    """refused(*path, body): the status and the sentence that a POST is refused with."""

    async def send(*path, body):
        with pytest.raises(HTTPClientError) as error:
            await jp_fetch("kernelkit", *path, method="POST", body=body)
        return error.value.code, json.loads(error.value.response.body)["message"]

    return send


async def ended(get, *ids):
    """The records of these runs when all of them have ended."""
    end = time.monotonic() + 300
    while time.monotonic() < end:
        found = {run["id"]: run for run in (await get("runs"))["runs"]}
        if all(found[one]["status"] not in runs.LIVE for one in ids):
            return [found[one] for one in ids]
        await asyncio.sleep(0.2)
    pytest.fail("they did not end")


async def test_check__says_what_is_asked_for(post, quick):
    found = await post("templates", "quick", "check", values={"fast": "5:15:5", "slow": "50,60"})
    assert found == {
        "runs": 6,
        "axes": {"fast": [5, 10, 15], "slow": [50.0, 60.0]},
        "errors": {},
        "error": None,
        "known": [],
    }


async def test_check__a_sentence_for_each_field(post, quick):
    found = await post("templates", "quick", "check", values={"fast": "1o", "slow": "1:2", "gone": "1", "delay": "2"})
    assert found["runs"] == 0
    assert found["errors"] == {
        "fast": "fast: '1o' is not an int; the notebook's default is 20",
        "slow": "slow=1:2: a range is start:stop:step, three numbers; this has 2",
        "gone": "quick.ipynb has no parameter 'gone'; it has fast, slow, strategy, delay",
    }


async def test_check__what_all_fields_are_together(post, quick):
    found = await post("templates", "quick", "check", values={"fast": "1:200:1", "slow": "1:200:1"})
    assert (found["runs"], found["errors"]) == (0, {})
    assert "200 fast x 200 slow are 40,000 runs, at most 10,000" in found["error"]
    found = await post("templates", "quick", "check", name="../up")
    assert (found["runs"], found["error"][:22]) == (0, "the name '../up' is no")


async def test_start__queues_and_works_through(post, get, quick, jp_root_dir):
    started = await post("runs", template="quick", values={"fast": "3,4"}, name="two", hide_code=True)
    first, second = started["runs"]
    assert started["queued"] == [first["id"], second["id"]]
    assert {first["status"], second["status"]} <= {"queued", "running"}
    made = await ended(get, *started["queued"])
    assert [(run["status"], run["name"], run["parameters"]["fast"]) for run in made] == [
        ("done", "two", 3),
        ("done", "two", 4),
    ]
    assert made[0]["links"]["report"] == f"runs/{first['id']}/report.html"
    assert made[0]["origin"]["folder"] == str(jp_root_dir)
    assert made[0]["origin"]["hide_code"] is True
    # what is done is told, and made again only where it is asked for
    again = await post("runs", template="quick", values={"fast": "4"}, name="two")
    assert (again["queued"], again["runs"][0]["status"]) == ([], "done")
    known = (await post("templates", "quick", "check", values={"fast": "4"}, name="two"))["known"]
    assert [run["id"] for run in known] == [second["id"]]
    forced = await post("runs", template="quick", values={"fast": "4"}, name="two", force=True)
    assert forced["queued"] == [second["id"]]
    (remade,) = await ended(get, second["id"])
    assert remade["created"] > made[1]["created"]


async def test_cancel__takes_out_what_waits(post, get, quick):
    started = await post("runs", template="quick", values={"fast": "3,4", "delay": "60"})
    first, second = started["queued"]
    assert (await post("runs", second, "cancel"))["status"] == "cancelled"
    while (await get("runs", first))["status"] == "queued":
        await asyncio.sleep(0.1)
    assert (await post("runs", first, "cancel"))["status"] == "cancelled"


async def test_resume__goes_on_with_what_was_stopped(post, get, refused, quick, jp_root_dir):
    (run_id,) = (await post("runs", template="quick", values={"fast": "3", "delay": "2"}))["queued"]
    assert (await post("runs", run_id, "cancel"))["status"] == "cancelled"
    assert (await post("runs", run_id, "resume"))["status"] == "queued"
    code, said = await refused("runs", run_id, "resume", body="{}")
    assert (code, said.partition(",")[0]) == (409, f"{run_id}: found it queued")
    (run,) = await ended(get, run_id)
    assert (run["status"], run["parameters"]["fast"]) == ("done", 3)
    code, said = await refused("runs", run_id, "resume", body="{}")
    assert (code, said.partition(",")[0]) == (409, f"{run_id}: found it done")
    assert (await refused("runs", "gone-1", "resume", body="{}"))[0] == 404


async def test_resume__of_what_has_changed_is_refused(post, get, refused, quick, jp_root_dir):
    strategy = jp_root_dir / "mine.py"
    strategy.write_text("")
    (run_id,) = (await post("runs", template="quick", values={"strategy": "mine.py", "delay": "60"}))["queued"]
    await post("runs", run_id, "cancel")
    strategy.write_text("n = 1")
    code, said = await refused("runs", run_id, "resume", body="{}")
    assert (code, "found another notebook, or another file that its parameters name" in said) == (409, True)
    assert (await get("runs", run_id))["status"] == "cancelled"


async def test_a_server_that_stops__leaves_nothing_at_work(post, get, quick, jp_serverapp, jp_root_dir):
    started = await post("runs", template="quick", values={"fast": "3,4", "delay": "60"})
    while (await get("runs", started["queued"][0]))["status"] == "queued":
        await asyncio.sleep(0.1)
    queue = jp_serverapp.web_app.settings[QUEUE]
    await asyncio.to_thread(queue.close)
    assert {run.status for run in runs.list_runs(jp_root_dir / "runs")} == {"cancelled"}
    assert (await refused_by(post))["code"] == 409


async def refused_by(post):
    with pytest.raises(HTTPClientError) as error:
        await post("runs", template="quick")
    return {"code": error.value.code}


WRONG = [
    ("{", "the body is not JSON"),
    ("[]", "the body is list, wanted a JSON object"),
    ('{"template": 3}', "template of the request: found int, wanted str"),
    ("{}", "template of the request: found NoneType, wanted str"),
    ('{"template": "quick", "jobs": 3}', "found the key 'jobs', wanted one of template, values, name"),
    ('{"template": "quick", "values": {"fast": 3}}', "value of fast: found no text"),
    ('{"template": "quick", "values": []}', "values of the request: found list, wanted dict"),
    ('{"template": "quick", "values": {"fast": "x", "slow": "y"}}', "fast: 'x' is not an int"),
    ('{"template": "quick", "values": {"fast": "1:1001:1"}}', "at most 1,000 that wait"),
    ('{"template": "quick", "name": "a/b"}', "the name 'a/b' is none for a folder"),
    ('{"template": "../templates/quick.ipynb"}', "there is no template"),
]


@pytest.mark.parametrize(("body", "said"), WRONG)
async def test_start__what_is_wrong_is_refused_in_a_sentence(refused, quick, jp_root_dir, body, said):
    code, sentence = await refused("runs", body=body)
    assert code == 400
    assert said in sentence
    assert not (jp_root_dir / "runs").exists()


@pytest.mark.parametrize("route", ["runs", "templates/quick/check", "templates/quick/notebook"])
async def test_a_body_that_is_too_large(refused, quick, route):
    code, said = await refused(*route.split("/"), body=json.dumps({"values": {"fast": "1" * MOST}}))
    assert (code, "at most 1,000,000 are read" in said) == (413, True)


async def test_notebook__is_a_copy_with_the_values(post, quick, jp_root_dir):
    (jp_root_dir / "mine").mkdir()
    (jp_root_dir / "trend.py").write_text("")
    values = {"fast": "7", "strategy": "trend.py"}
    assert await post("templates", "quick", "notebook", values=values, path="mine") == {"path": "mine/quick.ipynb"}
    assert await post("templates", "quick", "notebook", path="mine") == {"path": "mine/quick-1.ipynb"}
    made = nbformat.read(jp_root_dir / "mine" / "quick.ipynb", as_version=4)
    nbformat.validate(made)
    assert [cell.source for cell in made.cells] == [CELL, "fast = 7\nstrategy = '../trend.py'", WORK]
    assert made.cells[1].metadata.tags == ["injected-parameters"]
    plain = nbformat.read(jp_root_dir / "mine" / "quick-1.ipynb", as_version=4)
    assert [cell.source for cell in plain.cells] == [CELL, WORK]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"path": ".."}, "there is no folder '..'"),
        ({"path": "/etc"}, "there is no folder '/etc'"),
        ({"path": "none"}, "there is no folder 'none'"),
        ({"values": {"fast": "1,2"}}, "these values make 2 runs, and a notebook takes one of each"),
        ({"values": {"fast": "x"}}, "fast: 'x' is not an int"),
    ],
)
async def test_notebook__what_is_wrong_writes_nothing(refused, quick, jp_root_dir, content, said):
    code, sentence = await refused("templates", "quick", "notebook", body=json.dumps(content))
    assert code == 400
    assert said in sentence
    assert list(jp_root_dir.iterdir()) == []


async def test_choices__are_those_of_the_package_and_of_the_project(get, jp_root_dir):
    from kernelkit import data, strategies

    (jp_root_dir / "trend.py").write_text("@kk.strategy\ndef trend(ctx): ...\n\n@kk.indicator\ndef kama(s, x): ...")
    (jp_root_dir / "broken.py").write_text("@kk.strategy def")
    (jp_root_dir / "sub").mkdir()
    (jp_root_dir / "sub" / "two.py").write_text("@strategy(state=1)\ndef a(ctx): ...\n\n@kk.signal\ndef b(ds): ...")
    cell = nbformat.v4.new_code_cell("%load_ext kernelkit\n@kk.strategy\ndef noted(ctx): ...")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), jp_root_dir / "notes.ipynb")
    (jp_root_dir / ".venv").mkdir()
    (jp_root_dir / ".venv" / "hidden.py").write_text("@kk.strategy\ndef hidden(ctx): ...")
    data.store.save(data.load("synthetic_minute", n=50), jp_root_dir / "own.zarr")
    write_run(jp_root_dir, id="a-1")
    (jp_root_dir / "runs" / "a-1" / "made.py").write_text("@kk.strategy\ndef made(ctx): ...")
    found = await get("choices")
    own = ["notes.ipynb", "trend.py", "sub/two.py:a", "sub/two.py:b"]
    assert found == {
        "strategies": [*strategies.names(), *own],
        "data": [*data.names(), "own.zarr"],
        "complete": True,
    }


@pytest.mark.parametrize("address", ["foo", "http://127.0.0.1:8786"])
async def test_start__what_is_no_address_of_a_cluster(refused, quick, jp_root_dir, address):
    code, said = await refused("runs", body=json.dumps({"template": "quick", "cluster": address}))
    assert code == 400
    assert "wanted one such as tcp://127.0.0.1:8786" in said
    assert not (jp_root_dir / "runs").exists()


@pytest.mark.parametrize("path", ["a\0b", "x" * 300])
async def test_notebook__into_a_folder_whose_name_is_none(refused, quick, path):
    code, said = await refused("templates", "quick", "notebook", body=json.dumps({"path": path}))
    assert code == 400
    assert "there is no folder" in said


async def test_check__a_value_that_names_no_file(post, quick):
    found = await post("templates", "quick", "check", values={"strategy": "x" * 300 + ".py"})
    assert (found["runs"], found["known"], list(found["errors"])) == (0, [], ["strategy"])


async def test_check__a_file_that_lies_elsewhere_is_told(post, refused, quick, jp_root_dir):
    (jp_root_dir / "mine").mkdir()
    (jp_root_dir / "mine" / "breakout.py").touch()
    (jp_root_dir / "runs" / "a-1").mkdir(parents=True)
    (jp_root_dir / "runs" / "a-1" / "breakout.py").touch()
    said = "strategy: there is no breakout.py here; mine/breakout.py is"
    for typed in ("breakout.py", "breakout.py:turtle"):
        found = await post("templates", "quick", "check", values={"strategy": typed})
        assert (found["runs"], found["errors"]) == (0, {"strategy": said})
    for route in (["runs"], ["templates", "quick", "notebook"]):
        content = {"values": {"strategy": "breakout.py"}} | ({"template": "quick"} if route == ["runs"] else {})
        assert await refused(*route, body=json.dumps(content)) == (400, said)
    found = await post("templates", "quick", "check", values={"strategy": "mine/breakout.py, sma_cross"})
    assert (found["runs"], found["errors"]) == (2, {})
