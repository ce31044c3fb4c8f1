"""The routes of runs; all of them ask who is calling."""

from __future__ import annotations

from tornado.web import HTTPError, authenticated

from kernelkit.batch import runs
from kernelkit.batch.lab.handler import Handler, is_name


class RunsHandler(Handler):
    """GET /kernelkit/runs: all runs, newest first."""

    @authenticated
    async def get(self) -> None:
        """Answer {"root", "notice", "runs": [record with links]}."""
        store = self.store
        await self.answer(
            lambda: {
                "root": store.shown,
                "notice": store.notice,
                "runs": [store.describe(run) for run in runs.list_runs(store.folder)],
            }
        )


class RunHandler(Handler):
    """GET /kernelkit/runs/<id>: one run."""

    @authenticated
    async def get(self, run_id: str) -> None:
        """Answer the record with links."""
        store = self.store
        if not is_name(run_id):
            raise HTTPError(404, f"{run_id!r} is not the id of a run".replace("%", "%%"))
        await self.answer(lambda: store.describe(runs.read_run(store.folder / run_id)))


ROUTES = [
    (r"/kernelkit/runs", RunsHandler),
    (r"/kernelkit/runs/([^/]+)", RunHandler),
]
