"""The routes of the ledger of the project that the server was started in."""

from __future__ import annotations

from tornado.web import authenticated

from kernelkit.batch import trail
from kernelkit.batch.lab.handler import Handler


class LedgerHandler(Handler):
    """GET /kernelkit/ledger: what was tried, by strategy, by day and by market."""

    @authenticated
    async def get(self) -> None:
        """Answer what `kernelkit.batch.trail.overview` returns."""
        await self.compute(trail.overview)


class StrategyHandler(Handler):
    """GET /kernelkit/ledger/strategy/<name>: the tree of a strategy, and what it cost."""

    @authenticated
    async def get(self, name: str) -> None:
        """Answer what `kernelkit.batch.trail.of` returns."""
        await self.compute(trail.of, name)


ROUTES = [
    (r"/kernelkit/ledger", LedgerHandler),
    (r"/kernelkit/ledger/strategy/([^/]+)", StrategyHandler),
]
