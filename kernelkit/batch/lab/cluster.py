"""The route of the Dask cluster that runs may be sent to."""

from __future__ import annotations

from tornado.web import authenticated

from kernelkit.batch import scheduler
from kernelkit.batch.lab.handler import Handler


class ClusterHandler(Handler):
    """GET /kernelkit/cluster?address=tcp://...: its workers, their memory and tasks."""

    @authenticated
    async def get(self) -> None:
        """Answer what `kernelkit.batch.scheduler.describe` returns."""
        await self.compute(scheduler.describe, self.get_query_argument("address", ""))


ROUTES = [(r"/kernelkit/cluster", ClusterHandler)]
