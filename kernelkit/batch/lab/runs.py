"""The routes of runs; all of them ask who is calling."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tornado.web import authenticated

from kernelkit.batch import tags
from kernelkit.batch.cancel import cancel
from kernelkit.batch.delete import delete
from kernelkit.batch.lab.events import WATCHER, Watcher
from kernelkit.batch.lab.handler import Handler, Refusal
from kernelkit.batch.lab.start import resume, start
from kernelkit.errors import RunError

# A run has ended, or is at work, where the question takes the other for granted.
CONFLICT = 409
# A run may take half a minute to stop; meanwhile everything else is answered.
_CANCELS = ThreadPoolExecutor(4, "kernelkit cancel")


class RunsHandler(Handler):
    """GET /kernelkit/runs: all runs, newest first; with ?id=...&id=... those alone that there still are. POST: more."""

    @authenticated
    async def get(self) -> None:
        """Answer {"root", "notice", "runs": [record with tags, links and again]}, and tell of changes from now on."""
        store, ids = self.store, self.get_query_arguments("id")
        watcher: Watcher = self.settings[WATCHER]
        await watcher.renew()
        await self.answer(
            lambda: {
                "root": store.shown,
                "notice": store.notice,
                "runs": store.describe(ids or None),
            }
        )

    @authenticated
    async def post(self) -> None:
        """Queue the runs that a form asks for, see `start`; 400 where it is wrong, 409 where they cannot be queued."""
        content = self.body()
        await self.answer(lambda: start(content, self.store, self.queue), CONFLICT)


class _OneRun(Handler):
    """A route of one run."""

    def check(self, run_id: str) -> None:
        """404 where there is no run `run_id`."""
        try:
            self.store.place(run_id)
        except RunError as error:
            raise Refusal(404, str(error)) from None

    def told(self, run_id: str) -> dict[str, Any]:
        """The run as the list tells it; RunError where it has just gone."""
        for run in self.store.describe([run_id]):
            return run
        raise RunError(f"{run_id!r} is not the id of a run")


class RunHandler(_OneRun):
    """GET /kernelkit/runs/<id>: one run; DELETE: no run any more."""

    @authenticated
    async def get(self, run_id: str) -> None:
        """Answer the record with tags, links and again."""
        await self.answer(lambda: self.told(run_id))

    @authenticated
    async def delete(self, run_id: str) -> None:
        """Delete the run with its files and answer {"deleted": id}; 409 while it is queued or running."""
        self.check(run_id)

        def work() -> dict[str, Any]:
            delete(self.store.place(run_id))
            return {"deleted": run_id}

        await self.answer(work, CONFLICT)


class CancelHandler(_OneRun):
    """POST /kernelkit/runs/<id>/cancel: stop it."""

    @authenticated
    async def post(self, run_id: str) -> None:
        """Answer the record when the run has stopped; 409 where it cannot be."""
        self.check(run_id)

        def work() -> dict[str, Any]:
            if run_id in self.queue:
                self.queue.cancel(run_id)
            else:
                cancel(self.store.place(run_id))
            return self.told(run_id)

        await self.answer(work, CONFLICT, _CANCELS)


class ResumeHandler(_OneRun):
    """POST /kernelkit/runs/<id>/resume: go on with it when it is its turn."""

    @authenticated
    async def post(self, run_id: str) -> None:
        """Answer the record of what waits; 409 where it is done, queued or running, or would be another run today."""
        self.check(run_id)

        def work() -> dict[str, Any]:
            resume(self.store.place(run_id), self.queue)
            return self.told(run_id)

        await self.answer(work, CONFLICT)


class TagsHandler(_OneRun):
    """PUT /kernelkit/runs/<id>/tags: give it other tags."""

    @authenticated
    async def put(self, run_id: str) -> None:
        """Take {"tags": [text]} and answer the same, each once; 400 where they are none."""
        self.check(run_id)
        content = self.body()

        def work() -> dict[str, Any]:
            return {"tags": list(tags.write_tags(self.store.place(run_id), content.get("tags")))}

        await self.answer(work, CONFLICT)


ROUTES = [
    (r"/kernelkit/runs", RunsHandler),
    (r"/kernelkit/runs/([^/]+)", RunHandler),
    (r"/kernelkit/runs/([^/]+)/cancel", CancelHandler),
    (r"/kernelkit/runs/([^/]+)/resume", ResumeHandler),
    (r"/kernelkit/runs/([^/]+)/tags", TagsHandler),
]
