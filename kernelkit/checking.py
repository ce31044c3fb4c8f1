"""What was asked of an order before it lived, in words: its numbers, the venue, the account's limits, the hours."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.compliance import RULES
from kernelkit.kernels import layout as L
from kernelkit.market.reasons import Reason
from kernelkit.witness import Heard

if TYPE_CHECKING:
    from kernelkit.telling import Teller

COLUMNS = ("rule", "what", "passed", "done", "limit", "found")
# of each limit, what its numbers are
WHAT = {
    L.R_POSITION: "held",
    L.R_NOTIONAL: "in value",
    L.R_CONCENTRATION: "of the equity, in this asset",
    L.R_LEVERAGE: "of the equity, in all assets",
    L.R_TURNOVER: "of the equity, traded in this session",
    L.R_SHORT: "owed",
    L.R_DAY_TRADES: "day trades in five sessions",
}
PASSED = {
    L.R_DOWN: "no outage of the venue.",
    L.R_CLOSED_MARKET: "the exchange was open.",
}


def checks(teller: Teller, heard: Iterable[Heard]) -> list[dict[str, Any]]:
    """A row for each thing that was asked, in the order in which it was (`COLUMNS`)."""
    return [row for e in heard if (row := check(teller, e)) is not None]


def row(rule: str, what: str, done: str = "", limit: float = np.nan, found: float = np.nan) -> dict[str, Any]:
    """One of them; what is ``done`` is rejected, cut, delayed, or nothing where the order passed."""
    return {"rule": rule, "what": what, "passed": not done, "done": done, "limit": limit, "found": found}


def check(teller: Teller, e: Heard) -> dict[str, Any] | None:
    """The row of one, None where it says nothing."""
    said = e.said
    if e.what == "limit":
        return limit(teller, said)
    if e.what == "venue":
        return venue(said)
    if e.what == "universe":
        inside = "its asset is in the universe."
        return row("U1", Reason(L.R_UNIVERSE).sentence if said["done"] else inside, said["done"])
    if e.what == "reduces":
        return row("R1", "it can only reduce the position: no limit is asked.")
    if e.what == "sized_gap":
        what = f"weight {said['weight']:.10g} of {said['equity']:.10g}: {said['answer']:.10g} lots from what is held."
        return row("S2", what)
    if e.what == "off_market":
        reason = Reason(int(said["answer"]))
        return row("E4" if reason == L.R_DELISTED else "X1", reason.sentence, "rejected") if reason else None
    return numbers(teller, e) if e.what in ("fault", "bracket") else size(teller, e)


def numbers(teller: Teller, e: Heard) -> dict[str, Any] | None:
    """O5, O15: whether its numbers are ones."""
    if e.what == "fault":
        reason = int(e.said["answer"])
    else:
        reason = int(teller.final["reason"]) if teller.final["status"] == L.REJECTED else L.R_NONE
        if reason in (L.R_UNLISTED, L.R_DELISTED):
            return None
        reason = reason if reason in (L.R_INVALID, L.R_BELOW, L.R_OFF_TICK) else L.R_NONE
    if reason == L.R_NONE:
        return row("O5", "its numbers are ones an order can have.")
    return row("O15" if reason == L.R_OFF_TICK else "O5", Reason(reason).sentence, "rejected")


def size(teller: Teller, e: Heard) -> dict[str, Any] | None:
    """O14, O15: whether the venue takes an order of this size, and one that would take."""
    said = e.said
    smallest, largest, least_worth = teller.sizes
    done = "rejected" if said["answer"] else ""
    if e.what == "above_maximum" and largest:
        found = teller.quantity(said["lots"])
        return row("O15", f"{found:.10g} of at most {largest:.10g}.", done, largest, found)
    if e.what == "below_minimum" and (smallest or least_worth):
        lots = abs(int(said["lots"]))
        found, worth = teller.quantity(lots), teller.worth(int(said["k"]), lots)
        least = f"at least {smallest:.10g}, worth {least_worth:.10g}"
        pair = (least_worth, worth) if found >= smallest and least_worth else (smallest, found)
        return row("O15", f"{found:.10g}, worth {worth:.10g}, of {least}.", done, *pair)
    if e.what == "would_take":
        close, own = teller.price(int(said["k"])), teller.price(int(teller.final["price"]))
        return row("O14", f"post-only: the close is {close:.10g}, its limit {own:.10g}.", done, close, own)
    return None


def limit(teller: Teller, said: dict[str, Any]) -> dict[str, Any]:
    """R2-R7: what the account could have at worst, and what it may."""
    reason, most, found, done = (said[n] for n in ("reason", "limit", "found", "done"))
    rule, _, name = RULES[reason].partition(" ")
    if reason == L.R_SHORT_PRICE:
        own = f"its limit is {found:.10g}" if found else "it has no limit"
        fell = "the price has fallen" if done else "the price has not fallen, or its limit is above"
        what = f"{name}: {fell}; the last price is {most:.10g}, {own}."
    else:
        what = f"{name}: at worst {found:.10g} {WHAT[reason]}, of at most {most:.10g}."
    if said["reduces"]:
        what = f"{what[:-1]}; all that is left of the order reduces."
    if done == "cut":
        what = f"{what[:-1]}; cut from {teller.size(said['lots'])} to {teller.size(said['left'])}."
    return row(rule, what, done, most, found)


def venue(said: dict[str, Any]) -> dict[str, Any]:
    """H1-H3: whether the venue takes orders then."""
    reason, done = said["reason"], said["done"]
    rule = RULES[reason].partition(" ")[0]
    if reason == L.R_RATE:
        what = f"order {said['found']:.10g} of an interval, of at most {said['limit']:.10g}."
    else:
        what = Reason(reason).sentence if done else PASSED[reason]
    if done == "delayed":
        what = f"{what[:-1]}; delayed until {moment(said['until'])}."
    return row(rule, what, done, said.get("limit", np.nan), said.get("found", np.nan))


def moment(time: Any) -> str:
    """A time in ns as text, a date where it is midnight, empty for none.

    >>> moment(0), moment(np.datetime64("NaT"))
    ('1970-01-01', '')
    """
    when = np.asarray(time).astype("M8[ns]")
    text = "" if np.isnat(when) else str(when)[:19]
    return text.replace("T", " ").removesuffix(" 00:00:00")
