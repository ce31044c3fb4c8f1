"""What a backtest is run under besides its strategy: the money, where it trades, and how orders meet bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kernelkit.errors import OrderError, message
from kernelkit.kernels.job import Homes
from kernelkit.kernels.rules import Rules
from kernelkit.market.account import Account
from kernelkit.market.fill_model import FillModel
from kernelkit.market.several import Accounts, Venues, holders
from kernelkit.market.venue import FREE, GUARDED_PATHS, Venue


@dataclass(frozen=True)
class Settings:
    """The account, or one at each venue; the venue, or one for each asset; and the fill model."""

    account: Account | Accounts
    venue: Venue | Venues
    fill_model: FillModel

    @classmethod
    def of(
        cls,
        account: Account | Accounts | None,
        venue: Venue | Venues | Mapping[str, Venue] | None,
        fill_model: FillModel | str | None,
    ) -> Settings:
        """The settings with defaults filled in: a million in cash, no costs, ``conservative``.

        Raises OrderError for one that is of another type.

        >>> Settings.of(None, None, None).venue.costs
        'none'
        """
        money: Any = Account() if account is None else account
        if not isinstance(money, (Account, Accounts)):
            fix = "Write kk.Account(cash=1e6), or kk.Accounts({venue: kk.Account(...)}) for one at each venue."
            raise OrderError(message("account", repr(money), "a kk.Account", fix))
        where: Any = FREE if venue is None else venue
        if isinstance(where, Mapping):
            where = Venues(where)
        if not isinstance(where, (Venue, Venues)):
            raise OrderError(message("venue", repr(where), "a kk.Venue", "Write kk.venues.us_equity()."))
        if isinstance(money, Accounts):
            if not isinstance(where, Venues):
                fix = 'Write venue={"BTC.a": kk.Venue("a"), "BTC.b": kk.Venue("b")}.'
                raise OrderError(message("venue of several accounts", repr(where), "one for each asset", fix))
        return cls(money, where, FillModel.of(fill_model))

    @property
    def each(self) -> list[Settings]:
        """These settings, venue by venue (V1)."""
        if not isinstance(self.venue, Venues):
            return [self]
        venues = self.venue.each
        accounts = self.account.at(self.venue) if isinstance(self.account, Accounts) else [self.account] * len(venues)
        return [Settings(a, v, self.fill_model) for a, v in zip(accounts, venues, strict=True)]

    def only(self, assets: Sequence[str]) -> Settings:
        """These settings without venues of other assets, and the accounts at those, which nobody trades from."""
        if not isinstance(self.venue, Venues):
            return self
        kept = {asset: venue for asset, venue in self.venue.by_asset.items() if asset in assets}
        if not kept:
            return self
        venue, account = Venues(kept), self.account
        if isinstance(account, Accounts):
            at = dict(zip(self.venue.names, account.at(self.venue), strict=True))
            account = Accounts({name: at[name] for name in venue.names})
        return replace(self, account=account, venue=venue)

    def of_assets(self, assets: Sequence[str]) -> list[Settings]:
        """What each of these assets is traded under."""
        homes = self.venue.homes(assets) if isinstance(self.venue, Venues) else [0] * len(assets)
        each = self.each
        return [each[home] for home in homes]

    def accounts(self, assets: Sequence[str]) -> list[Account]:
        """The account that holds each of these assets."""
        return holders(self.account, self.homes(assets), len(assets))

    def homes(self, assets: Sequence[str]) -> Homes | None:
        """V1: where the assets of a portfolio trade; None for one venue."""
        if not isinstance(self.venue, Venues):
            return None
        names = tuple(self.venue.names)
        found = Homes(tuple(self.venue.homes(assets)), names)
        if not isinstance(self.account, Accounts):
            return found
        cash = tuple(account.cash for account in self.account.at(self.venue))
        return replace(found, cash=cash, delays=self.account.delays(names), fees=self.account.fees(names))

    def check(self, shared: bool) -> None:
        """Raise OrderError for settings that do not go together.

        L3, L7, V4: a margin that a path through the bar may use up, one that several venues share;
        H5: latency, and fills at the close that was decided on.
        """
        for settings in self.each:
            venue: Any = settings.venue
            account: Any = settings.account
            if venue.latency and self.fill_model.market == "same_close":
                fix = "An order on its way cannot have the close that it was decided on: choose another market=."
                found = f"{self.fill_model.label} with a latency of the venue"
                raise OrderError(message("fill model", found, "a market that is not same_close", fix))
            margin = account.margin
            if margin is None or margin.maintenance is None:
                continue
            if shared and isinstance(self.venue, Venues) and isinstance(self.account, Account):
                fix = "A venue liquidates what is held there: give each its own, account=kk.Accounts({...})."
                raise OrderError(message("maintenance margin", "one account at several venues", "one at each", fix))
            if self.fill_model.path not in GUARDED_PATHS and (margin.isolated or not shared):  # L6: at a mark
                fix = "Rule L3 says when a bar's prices liquidate an account."
                wanted = "path=stop_first, path=close or path=finer"
                raise OrderError(message("fill model of an account on margin", self.fill_model.label, wanted, fix))

    def rules(self, assets: list[str]) -> Rules | None:
        """What account and venue, of which there is one, forbid an account of these assets; None for nothing."""
        venue: Any = self.venue
        account: Any = self.account
        limits = account.limits
        told = {"shorts": limits.shorts(assets), **limits.numbers()} if limits else {}
        if venue.rate is not None:
            rejects = venue.rate.excess == "reject"
            told |= {"rate": venue.rate.orders, "per": venue.rate.length, "rate_rejects": rejects}
        told |= {"outages": tuple(o.row for o in venue.outages), "latency": venue.latency}
        found = Rules(**told, hours=venue.hours or "", closed_rejects=venue.closed == "reject")
        return found if found.flags else None
