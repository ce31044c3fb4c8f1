"""Events about runs: what changed is told while somebody asks, and nobody looks where nobody asks."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from kernelkit.batch import _process, runs
from kernelkit.batch.lab import events
from kernelkit.batch.lab.store import Store
from tests.server.records import write_run


@pytest.fixture
def told(jp_serverapp):
    """The ids that the events told of, as they came."""
    ids: list[str] = []

    async def listen(logger, schema_id, data):
        ids.extend(data["ids"])

    jp_serverapp.event_logger.add_listener(schema_id=events.SCHEMA["$id"], listener=listen)
    return ids


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(events, "LOOK_S", 0.02)
    monkeypatch.setattr(events, "BEAT_S", 0.05)


async def until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.02)


def rewrite(root, run_id, **changes):
    file = root / "runs" / run_id / runs.FILE
    record = {**json.loads(file.read_text()), **changes}
    file.with_suffix(".new").write_text(json.dumps(record))
    file.with_suffix(".new").replace(file)


async def test_events__tell_what_came_changed_and_went(get, jp_fetch, jp_root_dir, told):
    write_run(jp_root_dir, id="a-1")
    write_run(jp_root_dir, id="b-1")
    await get("runs")
    write_run(jp_root_dir, id="c-1")
    await until(lambda: told == ["c-1"])
    rewrite(jp_root_dir, "a-1", status="failed", error="x")
    await until(lambda: told == ["c-1", "a-1"])
    await jp_fetch("kernelkit", "runs", "b-1", "tags", method="PUT", body='{"tags": ["spx"]}')
    await until(lambda: told == ["c-1", "a-1", "b-1"])
    shutil.rmtree(jp_root_dir / "runs" / "c-1")
    await until(lambda: told == ["c-1", "a-1", "b-1", "c-1"])


async def test_events__a_process_that_is_killed_is_told(get, jp_root_dir, told):
    """Nothing is written when a process is killed, and still the list is true at once."""
    worker = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    own = {"pid": worker.pid, "pid_started": _process.started(worker.pid), "heartbeat": runs.utc_now()}
    write_run(jp_root_dir, id="a-1", status="running", host=os.uname().nodename, **own)
    assert (await get("runs"))["runs"][0]["status"] == "running"
    os.kill(worker.pid, signal.SIGKILL)
    worker.communicate()
    await until(lambda: told == ["a-1"])
    assert (await get("runs"))["runs"][0]["status"] == "lost"


async def test_events__reach_a_browser(jp_ws_fetch, get, jp_root_dir):
    socket = await jp_ws_fetch("api", "events", "subscribe")
    await get("runs")
    write_run(jp_root_dir, id="a-1")
    while True:
        event = json.loads(await asyncio.wait_for(socket.read_message(), 10))
        assert event["schema_id"] == "urn:kernelkit:runs"
        if event["ids"]:
            break
    assert event["ids"] == ["a-1"]
    socket.close()


async def test_runs__those_alone_that_are_asked_for(jp_fetch, jp_root_dir):
    for name in ("a-1", "b-1", "c-1"):
        write_run(jp_root_dir, id=name)
    answer = await jp_fetch("kernelkit", "runs", params=[("id", name) for name in ("c-1", "gone", "../a-1", "a-1")])
    assert [run["id"] for run in json.loads(answer.body)["runs"]] == ["c-1", "a-1"]


async def test_watcher__rests_where_nobody_asks(get, jp_serverapp, jp_root_dir, told, monkeypatch):
    watcher = jp_serverapp.web_app.settings[events.WATCHER]
    assert not watcher.works
    monkeypatch.setattr(events, "LEASE_S", 0.2)
    await get("runs")
    assert watcher.works
    await until(lambda: not watcher.works)
    write_run(jp_root_dir, id="a-1")
    await asyncio.sleep(0.2)
    assert told == []
    await get("runs")
    rewrite(jp_root_dir, "a-1", status="failed")
    await until(lambda: told == ["a-1"])


async def test_watcher__says_that_the_disk_is_gone_and_starts_again(get, jp_serverapp, monkeypatch, caplog):
    watcher = jp_serverapp.web_app.settings[events.WATCHER]
    await get("runs")

    def look(self):
        raise OSError("the disk is gone")

    with monkeypatch.context() as broken:
        broken.setattr(Store, "look", look)
        await until(lambda: not watcher.works)
    assert "kernelkit cannot watch" in caplog.text
    await get("runs")
    assert watcher.works


def test_store__reads_again_only_what_has_changed(tmp_path, monkeypatch):
    """Two looks a second at 1,000 runs must not keep a core busy."""
    read = []
    monkeypatch.setattr(
        runs,
        "stored_or_explained",
        lambda file, read_one=runs.stored_or_explained: (read.append(file.parent.name), read_one(file))[1],
    )
    for n in range(1000):
        write_run(tmp_path, id=f"a-{n}", metrics={"sharpe_ratio": 0.5}, parameters={"fast": n, "data": "spx"})
    store = Store(tmp_path / "runs", tmp_path)
    assert len(store.look()) == len(read) == 1000
    read.clear()
    rewrite(tmp_path, "a-7", status="failed")
    store.look()
    assert len(store.look()) == 1000
    assert read == ["a-7"]


async def test_watcher__is_one_however_many_ask_at_once(jp_serverapp, monkeypatch):
    watcher = jp_serverapp.web_app.settings[events.WATCHER]
    begun = []
    watch = events.Watcher._watch

    async def counted(self, seen):
        begun.append(seen)
        await watch(self, seen)

    monkeypatch.setattr(events.Watcher, "_watch", counted)
    await asyncio.gather(*(watcher.renew() for _ in range(5)))
    await asyncio.sleep(0.1)
    assert len(begun) == 1
