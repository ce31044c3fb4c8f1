"""Routes that change something: cancel, delete, tags."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

import pytest
from tornado.httpclient import HTTPClientError

from kernelkit.batch import _process, runs, tags
from kernelkit.batch.lab import runs as lab_runs
from kernelkit.batch.lab.handler import MOST
from tests.server.records import write_run


@pytest.fixture
def refused(jp_fetch):
    """refused(method, *path, **sent): the status and the sentence of a question that is refused."""

    async def ask(method, *path, **sent):
        with pytest.raises(HTTPClientError) as error:
            await jp_fetch("kernelkit", "runs", *path, method=method, **sent)
        return error.value.code, json.loads(error.value.response.body)["message"]

    return ask


@pytest.fixture
def worker():
    """A process that stops when it is told to; worker(root) is the record that says that it is at work."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)

    def at_work(root, **fields):
        token = _process.started(process.pid)
        own = {"pid": process.pid, "pid_started": token, "host": socket.gethostname(), "heartbeat": runs.utc_now()}
        write_run(root, **{"id": "a-1", "status": "running", "progress": 0.4, **own, **fields})
        return process

    yield at_work
    process.kill()
    process.communicate()


async def test_cancel__stops_the_process(jp_fetch, jp_root_dir, worker):
    process = worker(jp_root_dir)
    answer = await jp_fetch("kernelkit", "runs", "a-1", "cancel", method="POST", body="")
    # it wrote no last record, as one that is killed before it can
    assert json.loads(answer.body)["status"] == "lost"
    assert process.wait(10) == -signal.SIGTERM


async def test_cancel__of_what_takes_long_holds_nothing_else_up(jp_fetch, jp_asyncio_loop, jp_root_dir, monkeypatch):
    may_end = threading.Event()

    def patient(folder):
        may_end.wait(60)

    monkeypatch.setattr(lab_runs, "cancel", patient)
    # one thread does all that has none of its own
    jp_asyncio_loop.set_default_executor(ThreadPoolExecutor(1))
    write_run(jp_root_dir, id="a-1", status="running")
    coming = asyncio.ensure_future(jp_fetch("kernelkit", "runs", "a-1", "cancel", method="POST", body=""))
    await asyncio.sleep(0.2)
    try:
        await asyncio.wait_for(jp_fetch("kernelkit", "runs"), 20)
        assert not coming.done()
    finally:
        may_end.set()
    assert (await coming).code == 200


async def test_cancel__of_what_is_not_running_is_refused(refused, jp_root_dir):
    write_run(jp_root_dir, id="a-1")
    code, said = await refused("POST", "a-1", "cancel", body="")
    assert (code, said) == (409, "a-1 is not running, it is done: there is nothing to stop")


@pytest.mark.parametrize("status", runs.LIVE)
async def test_delete__refuses_a_run_in_hand(refused, jp_root_dir, worker, status):
    process = worker(jp_root_dir, status=status)
    assert await refused("DELETE", "a-1") == (409, f"a-1 is {status}; cancel it first")
    os.kill(process.pid, signal.SIGKILL)
    process.wait(10)


async def test_delete__takes_a_run_and_what_a_kill_left_of_another(jp_fetch, get, jp_root_dir):
    write_run(jp_root_dir, id="a-1", notebook="notebook.ipynb")
    write_run(jp_root_dir, id=".deleted-b-1-00", notebook="notebook.ipynb")
    write_run(jp_root_dir, id="c-1")
    assert [run["id"] for run in (await get("runs"))["runs"]] == ["a-1", "c-1"]
    answer = await jp_fetch("kernelkit", "runs", "a-1", method="DELETE")
    assert json.loads(answer.body) == {"deleted": "a-1"}
    assert [path.name for path in (jp_root_dir / "runs").iterdir()] == ["c-1"]


async def test_delete__of_a_broken_record(jp_fetch, jp_root_dir):
    folder = jp_root_dir / "runs" / "torn"
    folder.mkdir(parents=True)
    (folder / runs.FILE).write_text("{")
    await jp_fetch("kernelkit", "runs", "torn", method="DELETE")
    assert list((jp_root_dir / "runs").iterdir()) == []


async def test_delete__follows_no_link(refused, jp_fetch, jp_root_dir, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("disk")
    write_run(elsewhere, id="a-1")
    write_run(jp_root_dir, id="b-1")
    (jp_root_dir / "runs" / "a-1").symlink_to(elsewhere / "runs" / "a-1")
    (jp_root_dir / "runs" / "b-1" / "bars").symlink_to(elsewhere)
    code, said = await refused("DELETE", "a-1")
    assert code == 409
    assert "a-1 is a link to another folder" in said
    await jp_fetch("kernelkit", "runs", "b-1", method="DELETE")
    assert (elsewhere / "runs" / "a-1" / runs.FILE).is_file()


OUTSIDE = ["..", ".", "../runs", "../../etc", "%00", ".deleted-a-1", "no-such-run", "folder"]


@pytest.mark.parametrize("run_id", OUTSIDE)
@pytest.mark.parametrize(("method", "below"), [("DELETE", ""), ("POST", "cancel"), ("PUT", "tags")])
async def test_verbs__know_no_other_folder(refused, jp_root_dir, run_id, method, below):
    write_run(jp_root_dir, id="a-1")
    (jp_root_dir / "runs" / "folder").mkdir()
    write_run(jp_root_dir, id=".deleted-a-1")
    # as below runs/, so also above it
    (jp_root_dir / runs.FILE).write_text((jp_root_dir / "runs" / "a-1" / runs.FILE).read_text())
    path = urllib.parse.quote(urllib.parse.unquote(run_id), safe="").replace(".", "%2E")
    code, said = await refused(method, path, *filter(None, [below]), body=None if method == "DELETE" else "{}")
    assert code == 404
    assert "is not the id of a run" in said
    assert (jp_root_dir / runs.FILE).is_file()
    assert (jp_root_dir / "runs" / "folder").is_dir()


async def test_tags__are_kept_beside_the_record(jp_fetch, get, jp_root_dir):
    write_run(jp_root_dir, id="a-1")
    before = (jp_root_dir / "runs" / "a-1" / runs.FILE).read_bytes()
    body = json.dumps({"tags": ["final", "größer", "final"]})
    answer = await jp_fetch("kernelkit", "runs", "a-1", "tags", method="PUT", body=body)
    assert json.loads(answer.body) == {"tags": ["final", "größer"]}
    assert (await get("runs"))["runs"][0]["tags"] == ["final", "größer"]
    assert (await get("runs", "a-1"))["tags"] == ["final", "größer"]
    assert (jp_root_dir / "runs" / "a-1" / runs.FILE).read_bytes() == before


@pytest.mark.parametrize(
    ("body", "code", "complaint"),
    [
        ("{", 400, "the body is not JSON"),
        ("\udcff", 400, "the body is not JSON"),
        ("[" * 100_000, 400, "the body is not JSON"),
        ('["final"]', 400, "the body is list, wanted a JSON object"),
        ("{}", 400, "tags: found NoneType, wanted a list of at most 20 words"),
        ('{"tags": "final"}', 400, "tags: found str"),
        ('{"tags": ["two words"]}', 400, "a tag: found 'two words'"),
        ('{"tags": ["100%,"]}', 400, "a tag: found '100%,'"),
        ('{"tags": [1]}', 400, "a tag: found 1"),
        ('{"tags": ["\\ud800"]}', 400, "a tag: found '\\ud800'"),
        (json.dumps({"tags": ["x" * 41]}), 400, "a tag: found"),
        (json.dumps({"tags": [f"t{n}" for n in range(21)]}), 400, "tags: found 21 of them"),
        (json.dumps({"tags": ["x" * MOST]}), 413, "at most 1,000,000 are read"),
    ],
)
async def test_tags__what_is_none(refused, jp_root_dir, body, code, complaint):
    write_run(jp_root_dir, id="a-1")
    found, said = await refused("PUT", "a-1", "tags", body=body.encode(errors="surrogateescape"))
    assert found == code
    assert complaint in said
    assert not (jp_root_dir / "runs" / "a-1" / tags.FILE).exists()


async def test_tags__a_broken_file_is_told_and_can_be_replaced(jp_fetch, get, jp_root_dir):
    write_run(jp_root_dir, id="a-1")
    (jp_root_dir / "runs" / "a-1" / tags.FILE).write_text("{")
    [run] = (await get("runs"))["runs"]
    assert (run["status"], run["tags"]) == ("done", [])
    assert "not a list of tags" in run["error"]
    await jp_fetch("kernelkit", "runs", "a-1", "tags", method="PUT", body='{"tags": ["spx"]}')
    [run] = (await get("runs"))["runs"]
    assert (run["tags"], run["error"]) == (["spx"], None)


async def test_verbs__without_the_token_of_the_page_a_cookie_is_not_enough(jp_fetch, jp_root_dir, jp_serverapp):
    """XSRF: a browser that is logged in sends its cookie to whoever asks, so a change needs the page's own token."""
    write_run(jp_root_dir, id="a-1")
    cookie = await _cookie(jp_fetch)
    with pytest.raises(HTTPClientError) as error:
        await jp_fetch("kernelkit", "runs", "a-1", method="DELETE", headers={"Authorization": "", "Cookie": cookie})
    assert error.value.code == 403
    assert (jp_root_dir / "runs" / "a-1").is_dir()


async def _cookie(jp_fetch):
    """The cookie of a browser that has opened the server's page with its token."""
    answer = await jp_fetch("api", "me")
    return "; ".join(part.partition(";")[0] for part in answer.headers.get_list("Set-Cookie"))


async def test_log__never_has_the_token(jp_fetch, jp_root_dir, jp_serverapp, refused, caplog):
    write_run(jp_root_dir, id="a-1")
    token = jp_serverapp.identity_provider.token
    caplog.clear()
    with caplog.at_level("DEBUG"):
        await jp_fetch("kernelkit", "runs", params={"token": token})
        await jp_fetch("kernelkit", "runs", "a-1", "tags", method="PUT", body='{"tags": []}', params={"token": token})
        await refused("DELETE", "no-such", params={"token": token})
        await asyncio.sleep(0)
    assert "no-such" in caplog.text
    assert token not in caplog.text
