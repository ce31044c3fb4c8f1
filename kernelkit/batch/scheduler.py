"""A Dask cluster as its scheduler tells of it: workers, threads, memory, tasks."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from kernelkit.errors import RunError, UsageError, extra, message

# A scheduler that answers does so in milliseconds.
TIMEOUT_S = 2.0
FORM = re.compile(r"(tcp|tls|ucx|ws|wss)://\S+")


def checked(address: str) -> str:
    """``address`` if it may be a scheduler's; raises UsageError.

    >>> checked("tcp://127.0.0.1:8786")
    'tcp://127.0.0.1:8786'
    """
    if not FORM.fullmatch(address):
        fix = "`dask scheduler` prints its address."
        raise UsageError(message("address of a cluster", repr(address), "one such as tcp://127.0.0.1:8786", fix))
    return address


def describe(address: str) -> dict[str, Any]:
    """The cluster as JSON: ``address``, ``workers`` (each with its tasks and memory in bytes), their sums as ``total``.

    Raises UsageError for what is no address, MissingExtraError without distributed, RunError where nobody answers
    within `TIMEOUT_S`.
    """
    checked(address)
    fix = "Start it with `dask scheduler`, and check the address."
    try:
        found = asyncio.run(_identity(address))
    except TimeoutError:
        wanted = f"one within {TIMEOUT_S:g} s"
        raise RunError(message(f"cluster at {address}", "no answer", wanted, fix)) from None
    except (OSError, ValueError) as error:
        raise RunError(message(f"cluster at {address}", error, "a scheduler that answers", fix)) from error
    workers = [_worker(at, told) for at, told in sorted(found.get("workers", {}).items())]
    return {"address": address, "workers": workers, "total": _total(workers)}


async def _identity(address: str) -> dict[str, Any]:
    core, security = extra("distributed.core", "cluster"), extra("distributed.security", "cluster")
    scheduler = core.rpc(address, connection_args=security.Security().get_connection_args("client"))
    try:
        found = await asyncio.wait_for(scheduler.identity(), TIMEOUT_S)
    finally:
        await scheduler.close_rpc()
    return dict(found)


def _worker(address: str, told: dict[str, Any]) -> dict[str, Any]:
    metrics = told.get("metrics", {})
    return {
        "name": str(told.get("name", address)),
        "address": address,
        "status": str(told.get("status", "")),
        "threads": int(told.get("nthreads", 0)),
        "memory": int(metrics.get("memory", 0)),
        # 0 is a worker without a limit
        "memory_limit": int(told.get("memory_limit") or 0) or None,
        "cpu_percent": float(metrics.get("cpu", 0.0)),
        "executing": int(metrics.get("executing", 0)),
        "waiting": int(metrics.get("ready", 0)),
    }


def _total(workers: list[dict[str, Any]]) -> dict[str, Any]:
    sums = {name: sum(one[name] for one in workers) for name in ("threads", "memory", "executing", "waiting")}
    limits = [one["memory_limit"] for one in workers]
    return {"workers": len(workers), **sums, "memory_limit": None if None in limits or not limits else sum(limits)}
