"""What a user writes of one order, before any rule has judged it."""

from __future__ import annotations

from dataclasses import dataclass

TIFS = ("GTC", "DAY", "IOC", "FOK", "AT_OPEN", "AT_CLOSE")
RESTING_TIFS = ("GTC", "DAY", "GTD")  # O14, P5


@dataclass(frozen=True)
class Ask:
    """One order; `None` is what has not been given."""

    kind: str
    q: float
    tif: str = "GTC"
    expires: int | None = None
    reduce_only: bool = False
    limit: float | None = None
    trigger: float | None = None
    trail: float | None = None
    ticks: float | None = None
    fraction: float | None = None
    bps: float | None = None
    offset: float | None = None
    post_only: bool = False
    display: float | None = None

    def __post_init__(self) -> None:
        """What makes no sense whatever the numbers is a mistake of the strategy, not an order to reject."""
        if self.expires is not None and self.tif == "GTC":
            object.__setattr__(self, "tif", "GTD")
        if self.tif not in TIFS and not (self.tif == "GTD" and self.expires is not None):
            raise ValueError(f"tif is {self.tif!r}, wanted one of {', '.join(TIFS)}, or GTD with expires")
        if self.expires is not None and self.tif != "GTD":
            raise ValueError(f"expires is given with tif {self.tif!r}, wanted GTD")
        if self.tif in ("AT_OPEN", "AT_CLOSE") and self.kind not in ("market", "limit"):
            raise ValueError(f"tif is {self.tif!r} of a {self.kind}, wanted it of a market or limit order")
        if (self.post_only or self.display is not None) and self.tif not in RESTING_TIFS:
            raise ValueError(f"post_only or display with tif {self.tif!r}, wanted one of {', '.join(RESTING_TIFS)}")
        distances = sum(given is not None for given in (self.trail, self.ticks, self.fraction, self.bps))
        if distances != (1 if self.kind in ("trailing_stop", "trailing_stop_limit") else 0):
            raise ValueError(f"a {self.kind} has {distances} distances, wanted one of a trailing order, else none")

    @property
    def share(self) -> float | None:
        """F15: the distance as a fraction."""
        return self.fraction if self.bps is None else self.bps / 10000.0


@dataclass(frozen=True)
class Bracket:
    """The entry of a bracket and its exits, as prices or as fractions."""

    entry: Ask
    stop: float | None = None
    limit: float | None = None
    stop_loss: float | None = None
    take_profit: float | None = None

    def __post_init__(self) -> None:
        if self.entry.kind == "market" and (self.entry.post_only or self.entry.display is not None):
            raise ValueError("a bracket with post_only or display is given no entry, wanted the price of a limit")
        if (self.stop is not None and self.stop_loss is not None) or (
            self.limit is not None and self.take_profit is not None
        ):
            raise ValueError("an exit is given as a price or as a fraction, not as both")
