"""What is under way to a live order (H4, H5)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Change:
    """H4: a live order gets new numbers at `time`, where they are given."""

    time: int
    lots: int | None = None
    price: int | None = None
    trigger: int | None = None


@dataclass(frozen=True)
class Ending:
    """H4, H5: how a live order ends at `time`."""

    time: int
    status: str
    reason: str


@dataclass(frozen=True)
class Sent:
    """H5: a replacement on its way until `until`, of the decision at `decided`; the venue may refuse it then."""

    decided: int
    until: int
