"""The route that puts runs side by side."""

from __future__ import annotations

from tornado.web import authenticated

from kernelkit.batch import compare
from kernelkit.batch.lab.handler import Handler, Refusal
from kernelkit.batch.lab.store import is_name


class CompareHandler(Handler):
    """GET /kernelkit/compare?ids=a&ids=b: metrics, significance and curves of runs."""

    @authenticated
    async def get(self) -> None:
        """Answer what `kernelkit.batch.compare.in_full` returns, runs in the order of the ids."""
        ids = list(dict.fromkeys(self.get_query_arguments("ids")))
        for run_id in ids:
            if not is_name(run_id):
                raise Refusal(404, f"{run_id!r} is not the id of a run")
        await self.compute(compare.in_full, [self.store.folder / run_id for run_id in ids])


ROUTES = [(r"/kernelkit/compare", CompareHandler)]
