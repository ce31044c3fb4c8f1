"""The hot loop (rule T5): mark, sample, decide, bar after bar, to the end of the session.

It is compiled together with each strategy, whose `decide` takes the place of the one here: a decision costs no call,
and what every bar reads stays in registers. What an order or a session needs is the engine's, called by address.
"""

from kernelkit.kernels.indicators import column_at
from kernelkit.kernels.layout import (
    ACCOUNT,
    C_CLOSE_P,
    C_HIGH,
    C_KNOWN_AT,
    C_LOW,
    DONE,
    FAR,
    FRAME,
    HEADER,
    INSTRUMENT,
    METRICS,
    POSITION,
    SLOTS,
)
from kernelkit.kernels.memory import at, call, f8, i8, rarely


def decide(frame: int) -> int:
    """The strategy's decision at this bar: DONE, or the status it ended with. In Python the user's own function."""
    return call(at(frame, FRAME).decide, frame)


def coast(frame: int) -> int:
    """From bar HEADER.i on, whose orders are dealt with, to FRAME.stop; DONE, or why it had to stop earlier.

    HEADER.i is then the next bar; with another status than DONE, the one at which it stopped.
    """
    f = at(frame, FRAME)
    h = at(f.state, HEADER)
    a = at(f.account, ACCOUNT)
    m = at(f.metrics, METRICS)
    x = at(f.positions, POSITION)
    # What every bar reads lives in local variables: a store through an address makes the compiler load all again.
    measure = f.measure != 0
    logging = f.logging != 0
    decides = f.decides != 0
    stop = f.stop
    high_at = column_at(frame, C_HIGH, 0)
    low_at = column_at(frame, C_LOW, 0)
    close_at = column_at(frame, C_CLOSE_P, 0)
    known_at = column_at(frame, C_KNOWN_AT, 0)
    most = h.capacity - SLOTS
    ruined = h.ruined
    special = f.curve != 0 or ruined != 0 or not decides
    cash = a.cash
    lots = x.lots
    unit = at(f.instrument, INSTRUMENT).unit
    held = float(lots) * unit
    close = 0.0
    hi = m.hi_e
    low = m.low
    peak = m.peak
    peak_bar = -1  # -1: METRICS.t_peak holds its time
    under = m.under
    status = DONE
    i = h.i
    since = i  # the first bar marked with these lots
    while True:
        close = f8(close_at + 8 * i)
        equity = cash + close * held
        a.equity = equity
        if rarely(not equity > 0.0):
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
                under = 1
            else:
                if under != 0:
                    t_peak = m.t_peak if peak_bar < 0 else i8(known_at + 8 * peak_bar)
                    m.longest = max(m.longest, i8(known_at + 8 * i) - t_peak)
                    under = 0
                peak = equity
                peak_bar = i
        deciding = True
        if rarely(special):
            if f.curve != 0:
                call(f.log, frame)
            deciding = decides and ruined == 0
            if ruined != 0 and lots != 0:
                m.active = 1
                m.exposed += i + 1 - since
                lots = 0
        if deciding:
            status = decide(frame)
            if rarely(status != DONE or f.error != 0):
                status = max(status, f.error)
                break
        i += 1
        if i >= stop:
            break
        f.i = i
        live = h.n_live
        if live > 0 or logging:
            at_bar = 8 * i
            low_touch = h.touch_lo
            due = live > most or logging or low_touch == FAR
            if rarely(due or i8(low_at + at_bar) <= low_touch or i8(high_at + at_bar) >= h.touch_hi):
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
    m.hi_e = hi
    m.low = low
    m.peak = peak
    if peak_bar >= 0:
        m.t_peak = i8(known_at + 8 * peak_bar)
    m.under = under
    if lots != 0 and i > since:
        m.active = 1
        m.exposed += i - since
    if measure:
        m.c_last = close
    h.i = i
    return status
