"""How orders stand and why they end, each reason with a sentence that says it (rule O6)."""

from __future__ import annotations

from enum import IntEnum

from kernelkit.kernels import layout as L


class Status(IntEnum):
    """How an order stands, by the code that logs and hooks carry.

    >>> Status.FILLED == 1, [status.name for status in Status]
    (True, ['LIVE', 'FILLED', 'CANCELLED', 'REJECTED', 'EXPIRED'])
    """

    LIVE = L.LIVE
    FILLED = L.FILLED
    CANCELLED = L.CANCELLED
    REJECTED = L.REJECTED
    EXPIRED = L.EXPIRED


class Reason(IntEnum):
    """Why an order ended, by the code that logs carry; ``text`` is its name in tables, ``sentence`` says it in words.

    >>> Reason.CUT_CASH.text, Reason["DAY"].sentence
    ('cut_cash', 'A DAY order: the session of its first bar is over (O1).')
    """

    NONE = L.R_NONE, "It was filled."
    USER = L.R_USER, "The strategy cancelled it (O9), or asked for no more than had filled (O16)."
    REPLACED = L.R_REPLACED, "A later target took its place (S1), or at its fill it had nothing left to do (S5)."
    OCO = L.R_OCO, "Another order of its group was filled (O7)."
    PARENT_ENDED = L.R_PARENT, "The order that it waited for ended, or left nothing to close (O7, O8)."
    POSITION_CLOSED = L.R_CLOSED, "The position that it would have closed is gone (O7, P4)."
    CUT_CASH = L.R_CUT, "Cash did not pay for the rest of it (A3)."
    REDUCE_ONLY = L.R_REDUCE, "It may only reduce a position, and there was none on the other side (A4)."
    RUIN = L.R_RUIN, "The account was worth nothing any more (A6)."
    END_OF_DATA = L.R_END, "It was live when the data ended (O10)."
    BELOW_LOT = L.R_BELOW, "Its quantity is less than one lot (O5)."
    INVALID = L.R_INVALID, "A number of it is none that an order can have (O5)."
    INSUFFICIENT_CASH = L.R_CASH, "Cash did not pay for all of it, and the venue rejects such orders (A3)."
    DAY = L.R_DAY, "A DAY order: the session of its first bar is over (O1)."
    IOC = L.R_IOC, "An IOC order: what its first bar did not fill at once has ended (O3)."
    FOK = L.R_FOK, "A FOK order: its first bar did not fill all of it at once (O3)."
    UNLISTED = L.R_UNLISTED, "Its asset had no bar yet (X1)."
    GTD = L.R_GTD, "The time until which it was good has come (O11)."
    AT_OPEN = L.R_AT_OPEN, "It was for the open of a session, which did not fill all of it (O12)."
    AT_CLOSE = L.R_AT_CLOSE, "It was for the close of a session, which did not come or did not fill all of it (O12)."
    OFF_TICK = L.R_OFF_TICK, "A price of it is off the tick grid, and the venue rejects such orders (O15)."
    ABOVE_MAXIMUM = L.R_ABOVE, "It is larger than the venue's largest order (O15)."
    BELOW_MINIMUM = L.R_MINIMUM, "It is smaller than the venue's smallest order, or worth less than its least (O15)."
    POST_ONLY = L.R_POST, "It would have taken at once, where it was only to rest (O14)."
    SPLIT = L.R_SPLIT, "A split left nothing of it (E2)."
    DELISTED = L.R_DELISTED, "Its asset has left the market (E4)."
    LIQUIDATION = L.R_LIQUIDATION, "The account's margin did not suffice: positions were closed, orders ended (L5)."
    POSITION_LIMIT = L.R_POSITION, "The position could have become larger than the account may hold (R2)."
    NOTIONAL_LIMIT = L.R_NOTIONAL, "The position could have been worth more than the account may hold (R2)."
    CONCENTRATION_LIMIT = L.R_CONCENTRATION, "One asset could have become too large a part of the equity (R2)."
    LEVERAGE_LIMIT = L.R_LEVERAGE, "All positions together could have become too large for the equity (R3)."
    TURNOVER_LIMIT = L.R_TURNOVER, "The account could have traded more in a session than it may (R4)."
    SHORT_SALE = L.R_SHORT, "It would have sold short what the account may not owe (R5)."
    DAY_TRADES = L.R_DAY_TRADES, "It could have led to one day trade more than the equity allows (R6)."
    SHORT_SALE_PRICE = L.R_SHORT_PRICE, "A short sale at no more than the last price, after the price had fallen (R7)."
    OUTSIDE_UNIVERSE = L.R_UNIVERSE, "Its asset was outside the universe, where positions may only be reduced (U1)."
    VENUE_DOWN = L.R_DOWN, "It was given during an outage of the venue (H2)."
    MARKET_CLOSED = L.R_CLOSED_MARKET, "It was given while the exchange was closed (H1)."
    RATE_LIMIT = L.R_RATE, "The venue takes no more orders in such an interval (H3)."

    sentence: str

    def __new__(cls, code: int, sentence: str = "") -> Reason:
        """A code with its sentence."""
        one = int.__new__(cls, code)
        one._value_, one.sentence = code, sentence
        return one

    @property
    def text(self) -> str:
        """Its name in tables, empty for none."""
        return L.REASONS[self]
