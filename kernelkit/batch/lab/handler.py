"""What every route under `/kernelkit/` is made of: what it asks for, and how an answer or a refusal is written."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import Any

from jupyter_server.base.handlers import APIHandler
from tornado.web import HTTPError

from kernelkit.batch.lab import helper
from kernelkit.batch.lab.store import Store
from kernelkit.batch.queue import Queue
from kernelkit.errors import KernelkitError, UsageError

STORE = "kernelkit_store"
QUEUE = "kernelkit_queue"
# Bytes that a question may have.
MOST = 1_000_000


class Refusal(HTTPError):
    """An answer other than 200, whose `text` the reader gets as it is: HTTPError doubles every % in it."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(status)
        self.text = text

    @property
    def log_message(self) -> str:
        """What Jupyter answers and logs."""
        return self.text


class Handler(APIHandler):
    """A route that works with files, in a thread or a process of its own, and answers JSON."""

    @property
    def store(self) -> Store:
        """Where this server's runs are."""
        store: Store = self.settings[STORE]
        return store

    @property
    def queue(self) -> Queue:
        """The runs that this server makes."""
        queue: Queue = self.settings[QUEUE]
        return queue

    def log_exception(self, kind: Any, error: Any, trace: Any) -> None:
        """Log what went wrong here: tornado's line has the whole address, in which a token may stand."""
        if not isinstance(error, HTTPError):
            self.log.error("%s %s failed", self.request.method, self.request.path, exc_info=(kind, error, trace))

    def body(self) -> dict[str, Any]:
        """The JSON object that was sent; 413 where it is too large, 400 where it is none."""
        if len(self.request.body) > MOST:
            raise Refusal(413, f"the body has {len(self.request.body):,} bytes, at most {MOST:,} are read")
        try:
            content = json.loads(self.request.body)
        except (ValueError, RecursionError) as error:
            raise Refusal(400, f"the body is not JSON: {error}") from None
        if not isinstance(content, dict):
            raise Refusal(400, f"the body is {type(content).__name__}, wanted a JSON object")
        return content

    async def answer(
        self, work: Callable[[], dict[str, Any]], refused: int = 404, threads: Executor | None = None
    ) -> None:
        """Finish with what `work` returns; 400 where it raises a UsageError, `refused` for others of kernelkit's.

        A route that only reads has no use for the difference: what it is asked for is not there. What may wait for long
        has `threads` of its own.
        """
        await self._answer(asyncio.get_running_loop().run_in_executor(threads, work), refused)

    async def compute(self, function: Callable[..., dict[str, Any]], *arguments: Any) -> None:
        """As `answer`, of a module's function that loads heavy packages: it runs in a helper's process."""
        await self._answer(helper.call(self.store.root, function, *arguments), 404)

    async def _answer(self, coming: Awaitable[dict[str, Any]], refused: int) -> None:
        try:
            content = await coming
        except KernelkitError as error:
            status = 400 if isinstance(error, UsageError) and refused != 404 else refused
            raise Refusal(status, str(error)) from error
        self.finish(json.dumps(content, allow_nan=False))
