"""The hot loop (rule T5): mark the account where that can matter, decide, bar after bar, to the session's end.

It is compiled together with each strategy, whose `decide` takes the place of the one here: a decision costs no call,
and what every bar reads stays in registers. What an order or a session needs is the engine's, called by address; for
that the mark is written to the account first.
"""

from kernelkit.kernels.indicators import column_at
from kernelkit.kernels.layout import (
    ACCOUNT,
    AHEAD,
    C_CLOSE_P,
    C_HIGH,
    C_KNOWN_AT,
    C_LOW,
    C_OPEN,
    DONE,
    FAR,
    FRAME,
    HEADER,
    INSTRUMENT,
    METRICS,
    POSITION,
    SLOTS,
)
from kernelkit.kernels.memory import at, call, f8, i8, prefetch, rarely


def decide(
    frame: int,
    i: int,
    state: int,
    account: int,
    positions: int,
    strategy: int,
    panel: int,
    cash: float,
    held: float,
    mark_at: int,
    close_at: int,
    open_at: int,
) -> int:
    """The strategy's decision at bar `i`: DONE, or the status it ended with. In Python the user's own function."""
    at(account, ACCOUNT).equity = cash + f8(mark_at + 8 * i) * held
    return call(at(frame, FRAME).decide, frame)


def coast(frame: int) -> int:
    """From bar HEADER.i on, whose orders are dealt with, to FRAME.stop; DONE, or why it had to stop earlier.

    HEADER.i is then the next bar; with another status than DONE, the one at which it stopped.
    """
    f = at(frame, FRAME)
    # What every bar reads lives in local variables: a store through an address makes the compiler load all again.
    # FRAME.stop does not: `fail` sets it, so that no bar follows the decision.
    measure = f.measure != 0
    decides = f.decides != 0
    state = f.state
    account = f.account
    positions = f.positions
    strategy = f.strategy
    panel = f.panel
    mark_at = column_at(frame, at(f.instrument, INSTRUMENT).mark, 0)
    close_at = column_at(frame, C_CLOSE_P, 0)
    open_at = column_at(frame, C_OPEN, 0)
    h = at(state, HEADER)
    a = at(account, ACCOUNT)
    m = at(f.metrics, METRICS)
    x = at(positions, POSITION)
    logs = f.logging != 0
    # with more live orders a bar is looked at: with any, or always, to make room or to guard a margin
    quiet = -1 if logs or f.guard != 0 else 0
    most = h.capacity - SLOTS
    ruined = h.ruined
    special = f.curve != 0 or ruined != 0 or not decides
    cash = a.cash
    lots = x.lots
    unit = at(f.instrument, INSTRUMENT).unit
    held = float(lots) * unit
    hi = m.hi_e
    low = m.low
    peak = m.peak
    peak_bar = m.peak_bar
    under = m.under
    status = DONE
    i = h.i
    begin = i
    since = i  # the first bar marked with these lots
    marking = True
    while True:
        deciding = True
        if marking:
            equity = cash + f8(mark_at + 8 * i) * held
            if rarely(not equity > 0.0):
                a.equity = equity
                if ruined == 0:
                    call(f.ruin, frame)
                ruined = 1
                special = True
                equity = 0.0
                cash = 0.0
                held = 0.0
            if measure:
                if equity > hi:
                    m.mdd = max(m.mdd, 1.0 - low / hi)
                    hi = equity
                    low = equity
                elif equity < low:
                    low = equity
                    m.lo_e = min(m.lo_e, equity)
                if equity < peak:
                    if under == 0:
                        under = 1
                        peak_bar = max(i - 1, peak_bar)  # that of the first bar is the account's start
                else:
                    if under != 0:
                        now = i8(column_at(frame, C_KNOWN_AT, i))
                        m.longest = max(m.longest, now - i8(column_at(frame, C_KNOWN_AT, peak_bar)))
                        under = 0
                    peak = equity
            # From the second bar on nothing moves the equity of a flat account, or ruins one that owes nothing.
            marking = lots != 0 and (measure or lots < 0 or cash < 0.0)
            if rarely(special):
                a.equity = equity
                marking = True
                deciding = decides and ruined == 0
                if f.curve != 0:
                    call(f.log, frame)
                if ruined != 0 and lots != 0:
                    m.active = 1
                    m.exposed += i + 1 - since
                    lots = 0
        if deciding:
            status = decide(
                frame, i, state, account, positions, strategy, panel, cash, held, mark_at, close_at, open_at
            )
            if rarely(status != DONE):
                break
        i += 1
        if i >= f.stop:
            break
        f.i = i
        live = h.n_live
        if live > quiet:
            prefetch(open_at + 8 * (i + AHEAD))
            low_touch = h.touch_lo
            due = live > most or logs or low_touch == FAR
            if rarely(
                due or i8(column_at(frame, C_LOW, i)) <= low_touch or i8(column_at(frame, C_HIGH, i)) >= h.touch_hi
            ):
                a.equity = cash + f8(mark_at + 8 * (i - 1)) * held
                fills = a.n_fills
                status = call(f.meet, frame)
                if status != DONE:
                    break
                if a.n_fills != fills:
                    m.active = 1
                    if lots != 0:
                        m.exposed += i - since
                    since = i
                    cash = a.cash
                    lots = x.lots
                    held = float(lots) * unit
                    marking = True
    a.equity = cash + f8(mark_at + 8 * max(begin, i - 1)) * held
    if f.error != 0:
        if status == DONE:  # it was this bar's decision that failed, not what the next one met
            i -= 1
        status = max(status, f.error)  # RAISED may have followed from LOOKAHEAD
    m.hi_e = hi
    m.low = low
    m.peak = peak
    m.under = under
    m.peak_bar = peak_bar if under != 0 else max(i - 1, peak_bar)
    if lots != 0 and i > since:
        m.active = 1
        m.exposed += i - since
    if measure and i > begin:
        m.c_last = f8(close_at + 8 * (i - 1))
    h.i = i
    return status
