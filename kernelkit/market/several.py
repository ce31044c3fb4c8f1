"""Several venues in one run: where each asset trades, an account at each, and money between them (rules V1-V5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

from kernelkit.errors import OrderError, arguments, message
from kernelkit.kernels.job import Homes
from kernelkit.market.account import Account
from kernelkit.market.halts import duration
from kernelkit.market.limits import is_number
from kernelkit.market.models import CostModel
from kernelkit.market.venue import Venue

WAY = "transfer of the accounts", 'Write transfer="30min".'


@dataclass(frozen=True)
class Venues:
    """The venue at which each asset trades (rule V1); venues of one name are one venue.

    Raises OrderError for what is no mapping of assets to venues, and for two different ones of one name.

    >>> Venues({"BTC.a": Venue("a"), "BTC.b": Venue("b"), "ETH.a": Venue("a")}).name
    'a + b'
    """

    by_asset: Mapping[str, Venue]

    def __post_init__(self) -> None:
        given: Any = self.by_asset
        fix = 'Write venue={"BTC.a": kk.Venue("a"), "BTC.b": kk.Venue("b")}.'
        if not isinstance(given, Mapping) or not given:
            raise OrderError(message("venue", repr(given), "a kk.Venue, or one for each asset", fix))
        found: dict[str, Venue] = {}
        for asset, venue in given.items():
            if not isinstance(venue, Venue):
                raise OrderError(message(f"venue of {asset}", repr(venue), "a kk.Venue", fix))
            if found.setdefault(venue.name, venue) != venue:
                wanted = "one venue of a name"
                raise OrderError(message(f"venue of {asset}", f"another one called {venue.name!r}", wanted, fix))
        object.__setattr__(self, "by_asset", {str(asset): venue for asset, venue in given.items()})

    @property
    def each(self) -> list[Venue]:
        """The venues, in the order in which the mapping names them."""
        return list({venue.name: venue for venue in self.by_asset.values()}.values())

    @property
    def names(self) -> list[str]:
        """What they are called, in that order."""
        return [venue.name for venue in self.each]

    @property
    def name(self) -> str:
        """All names."""
        return " + ".join(self.names)

    @property
    def costs(self) -> str:
        """The costs of each in words."""
        return "; ".join(f"{venue.name}: {venue.costs}" for venue in self.each)

    @property
    def models(self) -> list[CostModel]:
        """Their cost models."""
        return [model for venue in self.each for model in venue.models]

    def homes(self, assets: Sequence[str]) -> list[int]:
        """The place in `each` of the venue of each of these assets; raises OrderError where the two do not fit."""
        missing = [a for a in assets if a not in self.by_asset]
        unknown = [a for a in self.by_asset if a not in assets]
        if missing or unknown:
            found = f"none for {missing[0]}" if missing else f"one for {unknown[0]}"
            fix = "Give each asset of the bars its venue."
            raise OrderError(message("venue", found, f"one for each of {', '.join(assets)}", fix))
        names = self.names
        return [names.index(self.by_asset[a].name) for a in assets]


@arguments()
@dataclass(frozen=True)
class Accounts:
    """An account at each venue, by the venue's name, and what moving money between them takes (rules V3-V5).

    ``transfer`` is how long money is under way, a duration such as ``"30min"`` or one by ``(from, to)``; ``fee`` is
    what each transfer costs, taken off what arrives, in quote currency, for all or by the sending venue. Raises
    OrderError for anything else.

    >>> Accounts({"a": Account(6e5), "b": Account(4e5)}, transfer="30min").cash
    1000000.0
    """

    by_venue: Mapping[str, Account]
    _: KW_ONLY
    transfer: Any = "0s"
    fee: Any = 0.0

    def __post_init__(self) -> None:
        given: Any = self.by_venue
        fix = 'Write kk.Accounts({"a": kk.Account(cash=5e5), "b": kk.Account(cash=5e5)}, transfer="30min").'
        if not isinstance(given, Mapping) or not given:
            raise OrderError(message("accounts", repr(given), "a kk.Account for each venue's name", fix))
        for name, account in given.items():
            if not isinstance(name, str):
                wanted = "the name of a venue"
                raise OrderError(message("accounts", f"one at {name!r}", wanted, fix))
            if not isinstance(account, Account):
                raise OrderError(message(f"account at {name}", repr(account), "a kk.Account", fix))
        object.__setattr__(self, "by_venue", dict(given))
        ways = self.transfer if isinstance(self.transfer, Mapping) else {"": self.transfer}
        for way, length in ways.items():
            pair = isinstance(way, tuple) and len(way) == 2 and set(way) <= set(given) and way[0] != way[1]
            if way != "" and not pair:
                wanted = f"a pair of two of {', '.join(given)}"
                raise OrderError(message("transfer of the accounts", repr(way), wanted, fix))
            duration(length, *WAY)
        fees = self.fee if isinstance(self.fee, Mapping) else {"": self.fee}
        for name, fee in fees.items():
            if (name != "" and name not in given) or not is_number(fee) or not fee >= 0:
                found = f"{fee!r} from {name}" if name else repr(fee)
                raise OrderError(message("fee of a transfer", found, "an amount for a venue here", fix))

    @property
    def cash(self) -> float:
        """What they begin with together."""
        return float(sum(account.cash for account in self.by_venue.values()))

    def at(self, venues: Venues) -> list[Account]:
        """The account at each of the venues; raises OrderError where the two do not fit."""
        names = venues.names
        if set(names) != set(self.by_venue):
            fix = "Name the accounts after the venues: kk.Venue(name, ...)."
            raise OrderError(message("accounts", ", ".join(self.by_venue), ", ".join(names), fix))
        return [self.by_venue[name] for name in names]

    def delays(self, names: Sequence[str]) -> tuple[int, ...]:
        """How long each transfer takes, ns, from each to each in turn; raises OrderError where a way has no time."""
        if not isinstance(self.transfer, Mapping):
            return (duration(self.transfer, *WAY),) * len(names) ** 2
        missing = [(a, b) for a in names for b in names if a != b and (a, b) not in self.transfer]
        if missing:
            fix = f"Write transfer={{{missing[0]}: '30min', ...}}."
            raise OrderError(message("transfer of the accounts", f"no time for {missing[0]}", "one for each way", fix))
        return tuple(0 if a == b else duration(self.transfer[a, b], *WAY) for a in names for b in names)

    def fees(self, names: Sequence[str]) -> tuple[float, ...]:
        """What each transfer costs, in the order of `delays`."""
        each = [float(self.fee.get(a, 0.0)) if isinstance(self.fee, Mapping) else float(self.fee) for a in names]
        return tuple(fee for fee in each for _ in names)


def holders(account: Account | Accounts, homes: Homes | None, n: int) -> list[Account]:
    """The account that holds each of ``n`` assets, which trade where ``homes`` says."""
    if isinstance(account, Account):
        return [account] * n
    return [] if homes is None else [account.by_venue[homes.names[v]] for v in homes.venue]
