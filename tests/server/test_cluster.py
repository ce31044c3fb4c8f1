"""A Dask cluster, as Lab asks about it."""

from __future__ import annotations

import socket

import pytest


@pytest.fixture(scope="module")
def address():
    distributed = pytest.importorskip("distributed", reason="install kernelkit[cluster]")
    cluster = distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=False,
        dashboard_address=":0",
        memory_limit="8GB",
        protocol="tcp",
    )
    yield cluster.scheduler_address
    cluster.close()


async def test_cluster__workers_and_memory(get, address):
    found = await get("cluster", query=[("address", address)])
    assert found["total"]["workers"] == found["total"]["threads"] == 2
    assert [worker["memory_limit"] for worker in found["workers"]] == [8_000_000_000] * 2
    assert all(worker["status"] == "running" for worker in found["workers"])


async def test_cluster__nobody_there(refusal):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    code, said = await refusal("cluster", query=[("address", f"tcp://127.0.0.1:{port}")])
    assert code == 404
    assert "Start it with `dask scheduler`" in said


async def test_cluster__one_that_is_silent_is_not_waited_for(refusal):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        query = [("address", f"tcp://127.0.0.1:{silent.getsockname()[1]}")]
        said = (await refusal("cluster", query=query))[1]
    assert "found no answer, wanted one within 2 s" in said


@pytest.mark.parametrize("address", ["", "localhost", "file:///etc/passwd", "tcp://a b"])
async def test_cluster__what_is_no_address(refusal, address):
    code, said = await refusal("cluster", query=[("address", address)])
    assert code == 404
    assert "wanted one such as tcp://127.0.0.1:8786" in said
