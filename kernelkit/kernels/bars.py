"""The event loop over bars (rule T5): match, mark, sample, decide; one trial, or one trial after the other."""

from kernelkit.kernels.account import close_trade
from kernelkit.kernels.layout import (
    ACCOUNT,
    C_CLOSE_P,
    C_HIGH,
    C_KNOWN_AT,
    C_LOW,
    C_SESSION,
    CANCELLED,
    DONE,
    FAR,
    FILL_MODEL,
    FILL_MODEL_BYTES,
    FLUSH,
    FRAME,
    GROW,
    HEADER,
    HEADLINE,
    INSTRUMENT,
    INSTRUMENT_BYTES,
    KEEP,
    LAST_OPEN,
    MAX_CELLS,
    METRICS,
    NODE_BYTES,
    PAUSED,
    POSITION,
    R_END,
    R_RUIN,
    SLOTS,
    TRIAL,
    TRIAL_BYTES,
    VENUE_BYTES,
)
from kernelkit.kernels.matching import column, column_f, end_all, match
from kernelkit.kernels.memory import at, call, f8, i8, put_f8, put_i8, rarely
from kernelkit.kernels.orders import close_out
from kernelkit.kernels.scan import NODE_WORDS, OFF_CELL, copy_words, finish, headline, next_session, start

CURVE_WORDS = 3
HEADLINE_BYTES = 8 * len(HEADLINE)
BLOCKS_BYTES = MAX_CELLS * NODE_BYTES


def bind(frame: int, block_at: int) -> None:
    """Point a frame at a state block."""
    f = at(frame, FRAME)
    h = at(block_at, HEADER)
    f.state = block_at
    f.account = block_at + h.off_account
    f.metrics = block_at + h.off_metrics
    f.positions = block_at + h.off_positions
    f.orders = block_at + h.off_orders
    f.strategy = block_at + h.off_strategy


def enter(frame: int, trial_at: int) -> None:
    """Point a frame at a trial's data, venue and fill model: folds, paths and dialects are data."""
    f = at(frame, FRAME)
    t = at(trial_at, TRIAL)
    f.instrument = f.instruments + t.dataset * INSTRUMENT_BYTES
    f.venue = f.venues + t.venue * VENUE_BYTES
    f.fill_model = f.fill_models + t.fill_model * FILL_MODEL_BYTES
    f.columns = at(f.instrument, INSTRUMENT).columns
    f.ordered_at = -1


def ruin(frame: int) -> None:
    """A6: the account is worth nothing; what it owed beyond that is its debt."""
    f = at(frame, FRAME)
    a = at(f.account, ACCOUNT)
    a.debt = -a.equity
    a.cash = 0.0
    a.equity = 0.0
    x = at(f.positions, POSITION)
    if x.lots != 0:
        back = column_f(frame, C_CLOSE_P, f.i) * (float(-x.lots) * at(f.instrument, INSTRUMENT).unit)
        close_trade(frame, x.pnl - back, x.fees, column(frame, C_KNOWN_AT, f.i))
    x.lots = 0
    x.quantity = 0.0
    at(f.state, HEADER).ruined = 1
    end_all(frame, CANCELLED, R_RUIN, column(frame, C_KNOWN_AT, f.i))


def room(frame: int) -> int:
    """What the driver must provide before this bar can be decided: DONE for nothing."""
    f = at(frame, FRAME)
    h = at(f.state, HEADER)
    if h.capacity - h.n_live < SLOTS:
        return GROW
    if logs(frame):
        if f.cap_fills - f.n_fills < h.n_live + 1 or f.cap_trades - f.n_trades < h.n_live + 1:
            return FLUSH
        if f.cap_ended - f.n_ended < h.n_live + 2 * SLOTS:
            return FLUSH
    return DONE


def open_account(frame: int, trial_at: int) -> None:
    """T4: the account starts with the trial's cash at the bar HEADER.i."""
    f = at(frame, FRAME)
    h = at(f.state, HEADER)
    a = at(f.account, ACCOUNT)
    cash = at(trial_at, TRIAL).cash
    h.started = 1
    a.cash = cash
    a.cash0 = cash
    a.equity = cash
    session = column(frame, C_SESSION, h.i)
    start(f.metrics, session, cash, column(frame, C_KNOWN_AT, h.i), column_f(frame, C_CLOSE_P, h.i))


def decide(frame: int) -> int:
    """The strategy's decision at this bar: DONE, or the status it ended with."""
    return call(at(frame, FRAME).decide, frame)


def measures(frame: int) -> bool:
    """Whether metrics are wanted. An engine made for one sweep knows such answers; its loop is shorter."""
    return at(frame, FRAME).measure != 0


def logs(frame: int) -> bool:
    """Whether fills, orders and trades are logged."""
    return at(frame, FRAME).logging != 0


def draws(frame: int) -> bool:
    """Whether curves are wanted."""
    return at(frame, FRAME).curve != 0


def is_last(i: int, last: int) -> bool:
    """Whether this is the bar that closes out."""
    return i == last


def session_end(session_at: int, i: int, until: int) -> int:
    """The first bar after `i` of another session, at most `until`. They never go back: few bars are looked at."""
    session = i8(session_at + 8 * i)
    step = 1
    while i + step < until and i8(session_at + 8 * (i + step)) == session:
        step *= 2
    low = i + step // 2  # in the session
    high = min(i + step, until)  # not in it
    while high - low > 1:
        middle = (low + high) // 2
        if i8(session_at + 8 * middle) == session:
            low = middle
        else:
            high = middle
    return high


def log_curve(frame: int, i: int, equity: float) -> None:
    """Write the bar's row of the curves."""
    f = at(frame, FRAME)
    k = i - f.curve_0
    if k % f.curve_step == 0:
        row = f.curve + k // f.curve_step * (8 * CURVE_WORDS)
        put_f8(row, equity)
        put_f8(row + 8, at(f.account, ACCOUNT).cash)
        put_f8(row + 16, at(f.positions, POSITION).quantity)


def run(frame: int, trial_at: int, until: int) -> int:
    """Advance the trial to bar `until` (at most its own end); DONE, or why it had to come back early.

    HEADER.i is the next bar. Before `trade_from` indicators alone see the bars (T4).
    """
    f = at(frame, FRAME)
    h = at(f.state, HEADER)
    a = at(f.account, ACCOUNT)
    m = at(f.metrics, METRICS)
    x = at(f.positions, POSITION)
    t = at(trial_at, TRIAL)
    until = min(until, t.i1)
    h.i = max(h.i, min(until, t.trade_from))
    if h.i >= until:
        return DONE
    if h.started == 0:
        open_account(frame, trial_at)
    # What every bar reads lives in local variables: a store through an address makes the compiler load all again.
    code = at(f.fill_model, FILL_MODEL).close_out
    last = t.i1 - 1 if code != KEEP else FAR  # the bar that closes out, if one does
    measure = measures(frame)
    logging = logs(frame)
    curve = draws(frame)
    unit = at(f.instrument, INSTRUMENT).unit
    high_at = i8(f.columns + 16 * C_HIGH)
    low_at = i8(f.columns + 16 * C_LOW)
    close_at = i8(f.columns + 16 * C_CLOSE_P)
    session_at = i8(f.columns + 16 * C_SESSION)
    i = h.i
    ruined = h.ruined
    cash = a.cash
    lots = x.lots
    held = float(lots) * unit
    equity = a.equity
    close = m.c_last
    day = m.day
    turn = i  # the next bar whose session must be looked at
    hi = m.hi_e
    low = m.low
    peak = m.peak
    peak_bar = -1  # -1: METRICS.t_peak holds its time
    under = m.under
    active = m.active
    exposed = m.exposed
    while i < until:
        at_bar = 8 * i
        f.i = i
        if logging or h.n_live > 0:
            status = room(frame)
            if status != DONE:
                break
        if measure and rarely(i == turn):
            turn = session_end(session_at, i, until)
            session = i8(session_at + at_bar)
            if session != day:
                m.hi_e = hi
                m.low = low
                m.c_last = close
                m.active = active
                next_session(f.metrics, session, equity)
                hi = equity
                low = equity
                active = 0
                day = session
        ends = is_last(i, last)
        if h.n_live > 0 or ends:
            fills = a.n_fills
            if h.touch_lo == FAR or i8(low_at + at_bar) <= h.touch_lo or i8(high_at + at_bar) >= h.touch_hi:
                match(frame, 0 if ends and code == LAST_OPEN else 1)
            if ends:
                close_out(frame, 1 if code == LAST_OPEN else 0)
            if f.error != 0:
                status = f.error
                break
            if a.n_fills != fills:
                active = 1
                cash = a.cash
                lots = x.lots
                held = float(lots) * unit
        close = f8(close_at + at_bar)
        equity = cash + close * held
        a.equity = equity
        if rarely(not equity > 0.0) and ruined == 0:
            ruin(frame)
            ruined = 1
            equity = 0.0
            cash = 0.0
            held = 0.0
        if measure:
            if lots != 0:
                active = 1
                exposed += 1
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
                    t_peak = m.t_peak if peak_bar < 0 else column(frame, C_KNOWN_AT, peak_bar)
                    m.longest = max(m.longest, column(frame, C_KNOWN_AT, i) - t_peak)
                    under = 0
                peak = equity
                peak_bar = i
        if rarely(curve):
            log_curve(frame, i, equity)
        if ruined != 0:
            lots = 0
        elif not ends:
            status = decide(frame)
            if rarely(status != DONE or f.error != 0):
                status = max(status, f.error)
                break
        i += 1
    m.day = day
    m.hi_e = hi
    m.low = low
    m.peak = peak
    if peak_bar >= 0:
        m.t_peak = column(frame, C_KNOWN_AT, peak_bar)
    m.under = under
    m.active = active
    m.exposed = exposed
    if measure:
        m.c_last = close
    h.i = i
    return status


def settle(frame: int, trial_at: int, out_at: int, blocks_at: int, meta_at: int) -> None:
    """The data has ended: end live orders (O10), close the last sample, write headline and blocks.

    No blocks are written when `blocks_at` is 0.
    """
    f = at(frame, FRAME)
    m = at(f.metrics, METRICS)
    a = at(f.account, ACCOUNT)
    h = at(f.state, HEADER)
    t = at(trial_at, TRIAL)
    f.i = h.i - 1
    time = column(frame, C_KNOWN_AT, f.i)
    end_all(frame, CANCELLED, R_END, time)
    m.n_bars = h.i - t.trade_from
    if measures(frame):
        finish(f.metrics, a.equity)
        headline(f.metrics, f.account, time, at(f.instrument, INSTRUMENT).periods, h.ruined, out_at)
    else:
        put_f8(out_at + HEADLINE_BYTES - 8, a.equity)
    if blocks_at != 0:
        copy_words(blocks_at, f.metrics + OFF_CELL, m.n_cells * NODE_WORDS)
    put_i8(meta_at, m.n_cells)
    put_i8(meta_at + 8, m.k)
    put_i8(meta_at + 16, h.ruined)


def sweep(
    frame: int,
    state_at: int,
    stride: int,
    trials_at: int,
    outs_at: int,
    blocks_at: int,
    meta_at: int,
    n: int,
    until: int,
) -> int:
    """Bring `n` trials side by side, each with a state block of its own, to bar `until` or to their ends.

    Tile by tile: FRAME.refresh computes each indicator for a stretch of bars, then all trials run over it. DONE when
    none goes on, PAUSED when some do; GROW or FLUSH when a trial needs room, to be called again as it was.
    HEADER.status says how each trial stands; meta holds the bar and FRAME.error_arg of one that stopped for a reason.
    """
    f = at(frame, FRAME)
    while True:
        if f.refreshed == 0:
            f.first = f.last
            f.last = min(f.last + f.width, until)
            f.panel = f.values + 8 - 8 * f.first
            if f.refresh != 0:
                call(f.refresh, frame)
            f.refreshed = 1
        left = 0
        for k in range(n):
            block_at = state_at + stride * k
            trial_at = trials_at + TRIAL_BYTES * k
            h = at(block_at, HEADER)
            if h.status == PAUSED:
                bind(frame, block_at)
                enter(frame, trial_at)
                status = run(frame, trial_at, f.last)
                ended = status == DONE and h.i >= at(trial_at, TRIAL).i1
                if ended and logs(frame) and f.cap_ended - f.n_ended < h.n_live:
                    status = FLUSH
                if status == GROW or status == FLUSH:
                    return status
                if ended:
                    out_at = outs_at + HEADLINE_BYTES * k
                    settle(
                        frame, trial_at, out_at, blocks_at + BLOCKS_BYTES * k if blocks_at != 0 else 0, meta_at + 24 * k
                    )
                    h.status = DONE
                elif status == DONE:
                    left += 1
                else:
                    h.status = status
                    put_i8(meta_at + 24 * k, f.i)
                    put_i8(meta_at + 24 * k + 8, f.error_arg)
                    f.error = 0
        f.refreshed = 0
        if left == 0:
            return DONE
        if f.last >= until:
            return PAUSED
