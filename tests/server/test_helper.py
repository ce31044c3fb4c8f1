"""The helpers of a server, and their end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from kernelkit.batch import _process
from kernelkit.batch.lab import helper
from kernelkit.errors import RunError


def own_id() -> dict[str, Any]:
    return {"pid": os.getpid()}


def endless(begun: Path) -> dict[str, Any]:
    begun.touch()
    time.sleep(600)
    return {}


async def until(condition, seconds=30.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.05)


async def test_close__ends_what_is_at_work(tmp_path):
    coming = asyncio.ensure_future(helper.call(tmp_path, endless, tmp_path / "begun"))
    await until((tmp_path / "begun").exists)
    helper.close()
    with pytest.raises(RunError, match="the process that worked on this is gone"):
        await asyncio.wait_for(coming, 30)
    pid = (await helper.call(tmp_path, own_id))["pid"]  # and the next call has new ones
    assert _process.started(pid)
    helper.close()
    await until(lambda: _process.started(pid) is None)


SERVER = """
import asyncio, time
from pathlib import Path
from kernelkit.batch.lab import helper
from tests.server.test_helper import own_id

if __name__ == "__main__":
    print(asyncio.run(helper.call(Path(), own_id))["pid"], flush=True)
    time.sleep(600)
"""


async def test_helpers__do_not_outlive_a_server_that_is_killed(tmp_path):
    script = tmp_path / "server.py"
    script.write_text(SERVER)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    server = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True, env=environment)
    pid = int(server.stdout.readline())
    assert _process.started(pid)
    server.send_signal(signal.SIGKILL)
    server.communicate()
    await until(lambda: _process.started(pid) is None)
