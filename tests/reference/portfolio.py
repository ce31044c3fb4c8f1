"""The simulator of several assets in one account (X1-X8), and what its strategy sees."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from tests.reference.abreast import FinerSharingVenue, PathVenue
from tests.reference.account import Fund
from tests.reference.actions import Action, schedule
from tests.reference.config import Config, Outcome
from tests.reference.halts import Gate
from tests.reference.holders import index
from tests.reference.holding import Holding
from tests.reference.market import Asset, Clock
from tests.reference.orders import Book
from tests.reference.purse import Purse
from tests.reference.simulator import run, span
from tests.reference.telling import End, Fill, told
from tests.reference.transfers import Transfers, Ways
from tests.reference.view import View


class PortfolioView:
    """The account after the mark of bar `i` of the clock; `ctx[k]` is asset `k`, from 0."""

    def __init__(self, account: Fund, book: Book, i: int, time: int, transfers: Transfers | None = None) -> None:
        self._account, self._book, self._transfers = account, book, transfers
        self._gate = Gate(account, book, time)
        self._views = [View(holding, account, book, i, time) for holding in account.holdings]
        self.i = i
        self.time = time
        self.equity = account.equity  # V5: that of the mark
        self.n = len(account.holdings)

    def __getitem__(self, k: int) -> View:
        return self._views[k]

    @property
    def cash(self) -> float:
        return self._account.cash

    def transfer(self, amount: float, source: int, target: int) -> float:
        """V5: what is sent from the account of asset `source` to that of `target`."""
        if self._transfers is None:
            raise ValueError("a transfer, and there is one account, wanted an own one for each venue")
        return self._transfers.send(amount, source, target, self.time)

    def told(self) -> list[Fill | End]:
        """T7: what has happened since it was asked before."""
        happened, self._book.happened = self._book.happened, []
        return [told(record, self[record["asset"]]._grid) for record in happened]

    def orders(self) -> list[int]:
        """Ids of the live orders of all assets."""
        return [order.id for order in self._book.live()]

    def weights(self, w: Sequence[float], band: float | None = None) -> list[int]:
        """X7: `target_percent` for each asset that has a bar here and a weight; the ids, 0 for none."""
        if len(w) != self.n:
            raise ValueError(f"{len(w)} weights, wanted one for each of the {self.n} assets")
        ids = [0] * self.n
        for k, weight in enumerate(w):
            if self[k].tradable and not math.isnan(weight):
                ids[k] = self[k].target_percent(weight, band)
        return ids

    def cancel(self, order_id: int) -> None:
        self[0].cancel(order_id)

    def cancel_all(self) -> None:
        """O9, over all assets."""
        self._gate.cancel_all()

    def replace(
        self, order_id: int, quantity: float | None = None, price: float | None = None, trigger: float | None = None
    ) -> int:
        return self[0].replace(order_id, quantity, price, trigger)

    def oco(self, a: int, b: int) -> None:
        self[0].oco(a, b)


def holding_of(number: int, asset: Asset, clock: Clock, config: Config, venue: int = 0) -> Holding:
    """X1: an asset of the account, whose bars are bars of the clock; V1: `config` is its venue's."""
    bars, rows = asset.bars, [int(row) for row in asset.rows]
    if len(rows) != len(clock):
        raise ValueError(f"asset {number} has {len(rows)} rows, wanted one for each of the {len(clock)} clock bars")
    if [row for row in rows if row >= 0] != list(range(len(bars))):
        raise ValueError(f"the rows of asset {number} do not count its {len(bars)} bars in order from 0")
    for t, row in enumerate(rows):
        times = (clock.open_at[t], clock.known_at[t], clock.session[t])
        if row >= 0 and (bars.open_at[row], bars.known_at[row], bars.session[row]) != times:
            raise ValueError(f"bar {row} of asset {number} has other times than bar {t} of the clock")
    return Holding(number, bars, asset.grid, rows, config=config, venue=venue)


def simulate_portfolio(
    clock: Clock,
    assets: Sequence[Asset],
    config: Config,
    decide: Callable[[PortfolioView], object],
    actions: Sequence[Action] = (),
    venues: Sequence[Config] = (),
    homes: Sequence[int] = (),
    ways: Ways | None = None,
) -> Outcome:
    """Run one strategy over the assets in column order; `position` of the outcome has one list per asset.

    `venues` are the account's settings as each of several venues has them, `homes` each asset's place among them (V1).
    With `ways` each has an account of its own, with the cash that it says (V3), between which money goes these ways
    (V5); without, they share that of `config`.
    """
    finer = [asset.finer for asset in assets if asset.finer is not None]
    if len(finer) != (len(assets) if config.path == "finer" else 0):
        raise ValueError(f"Config.path is {config.path!r}, wanted finer with finer bars of each asset, these with it")
    for one in (config, *venues):
        if one.isolated:  # L7; L6 looks at the marks alone
            one.check_path()
    if not assets:
        raise ValueError("a portfolio of no assets, wanted at least one")
    if not (callable(config.borrow) or isinstance(config.borrow, int | float)) and len(config.borrow) != len(assets):
        raise ValueError(f"Config.borrow has {len(config.borrow)} rates, wanted one for each of {len(assets)} assets")
    times = ([int(value) for value in values] for values in (clock.open_at, clock.known_at, clock.session))
    clock = Clock(*times)
    start, end = span(clock, config)
    if len(venues) > 1 and ways is None and not (config.maintenance is None and config.maintenance_short is None):  # V4
        raise ValueError("a maintenance margin of one account at several venues, wanted none")
    places = homes or [0] * len(assets)
    terms = [(venues or [config])[place] for place in places]
    holdings = [holding_of(k, asset, clock, terms[k], places[k]) for k, asset in enumerate(assets)]
    purses = [Purse(holdings, config, config.cash, config.cash)]
    if ways is not None:
        mine = [[holding for holding in holdings if holding.venue == v] for v in range(len(venues))]
        purses = [Purse(mine[v], venue, venue.cash, venue.cash, -2 - v) for v, venue in enumerate(venues)]
    account = Fund(holdings, config, purses)
    transfers = Transfers(account, ways) if ways is not None else None
    venue = PathVenue(clock, config, account, Book(), transfers=transfers)
    if finer:
        venue = FinerSharingVenue(clock, config, account, Book(), transfers=transfers, finer=finer)

    def call(t: int) -> None:
        decide(PortfolioView(account, venue.book, t, clock.known_at[t], transfers))

    plan = schedule(actions, clock, account.holdings)
    return run(venue, call, plan, index(account.holdings, plan, start, end), {})
