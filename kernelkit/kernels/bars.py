"""The loop over bars (rule T5) for many trials side by side: what orders, sessions and the data's end need."""

from kernelkit.kernels.account import close_trade
from kernelkit.kernels.actions import account_at, due_bar, pass_over
from kernelkit.kernels.fills import column, column_f, decided_at, moment
from kernelkit.kernels.focus import bars_until, covers, defocus, focus
from kernelkit.kernels.layout import (
    ACCOUNT,
    ACCOUNT_BYTES,
    ACTION,
    ACTION_BYTES,
    BREACHES,
    C_CLOSE_P,
    C_HIGH,
    C_KNOWN_AT,
    C_LOW,
    C_SESSION,
    CANCELLED,
    CHANGES_A_BAR,
    DONE,
    EVENTS,
    FAR,
    FILL_MODEL,
    FILL_MODEL_BYTES,
    FINER,
    FIRST,
    FLUSH,
    FRAME,
    GROW,
    HEADER,
    HEADLINE,
    INSTRUMENT,
    INSTRUMENT_BYTES,
    KEEP,
    LAST,
    LAST_OPEN,
    LOAD,
    MAX_CELLS,
    METRICS,
    MOVING,
    NODE_BYTES,
    ORDER_BYTES,
    PAUSED,
    POSITION,
    POSITION_BYTES,
    R_END,
    R_RUIN,
    ROW,
    ROW_BYTES,
    SLOTS,
    TRIAL,
    TRIAL_BYTES,
    VENUE_BYTES,
    WITHIN,
)
from kernelkit.kernels.matching import end_all, fill_alone
from kernelkit.kernels.memory import at, call, call_kernel, f8, i8, put_f8, put_i8
from kernelkit.kernels.scan import NODE_WORDS, OFF_CELL, copy_words, finish, headline, next_session, start

HEADLINE_BYTES = 8 * len(HEADLINE)
BLOCKS_BYTES = MAX_CELLS * NODE_BYTES


def bind(frame: int, block_at: int) -> None:
    """Point a frame at a state block."""
    f = at(frame, FRAME)
    h = at(block_at, HEADER)
    f.state = block_at
    f.account = block_at + h.off_account
    f.total = f.account
    f.member = f.account
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
    f.venue_0 = f.venue
    f.fill_model = f.fill_models + t.fill_model * FILL_MODEL_BYTES
    f.columns = at(f.instrument, INSTRUMENT).columns
    f.position_0 = f.positions
    f.instrument_0 = f.instrument + INSTRUMENT_BYTES
    f.asset = -1 if f.shared != 0 else 0
    f.ordered_at = -1


def ruin(frame: int) -> int:
    """A6, V4: the account at FRAME.account is worth nothing; what it owed beyond that is its debt. 0."""
    f = at(frame, FRAME)
    mine = f.account
    for k in range(at(f.state, HEADER).n_asset):
        if not covers(frame, mine, k):
            continue
        focus(frame, k)
        x = at(f.positions, POSITION)
        if x.lots != 0:
            g = at(f.instrument, INSTRUMENT)
            back = column_f(frame, g.mark, f.i) * (float(-x.lots) * g.unit)
            close_trade(frame, x.pnl - back, x.fees, decided_at(frame))
        x.lots = 0
        x.quantity = 0.0
        x.basis = 0.0  # V4: the account of a venue may go on
        x.stake = 0.0
    defocus(frame)
    a = at(mine, ACCOUNT)
    if mine == f.total:
        a.debt = -a.equity
        a.cash = 0.0
        a.equity = 0.0
        for v in range(f.n_venue):
            b = at(mine + ACCOUNT_BYTES * (1 + v), ACCOUNT)
            b.cash = 0.0
            b.equity = 0.0
        at(f.state, HEADER).n_moving = 0
        at(f.state, HEADER).ruined = 1
    else:
        a.cash = a.equity
        f.account = mine
    end_all(frame, CANCELLED, R_RUIN, moment(frame, C_KNOWN_AT, f.i))
    f.account = f.total
    return 0


def room(frame: int) -> int:
    """What the driver must provide before this bar can be decided: DONE for nothing."""
    f = at(frame, FRAME)
    h = at(f.state, HEADER)
    spare = SLOTS + 4 * (h.n_asset - 1)
    if h.capacity - h.n_live < spare:
        return GROW
    times = bars_in(frame)
    if f.tell != 0 and times > 1:
        kept = at(f.state + h.off_orders + ORDER_BYTES * h.capacity, EVENTS)
        if kept.most < 3 * (h.capacity + h.n_asset) + h.n_live * (times - 1):
            return GROW
    if f.logging != 0:
        most = h.n_live * times + 2 * h.n_asset  # and what the calendar or a margin closes
        if f.cap_fills - f.n_fills < most or f.cap_trades - f.n_trades < most:
            return FLUSH
        if f.cap_ended - f.n_ended < h.n_live + 2 * spare:
            return FLUSH
        due = count_due(frame)
        each = CHANGES_A_BAR * times + due + 2  # and a replacement, and its end
        if f.cap_changes - f.n_changes < each * h.n_live + 6 * h.n_asset + 8 * spare:
            return FLUSH
        most = due + h.n_asset + f.n_venue  # and what an insurance fund bears
        if f.own != 0:
            most += 2 * MOVING  # what arrives, and what is sent
        if f.cap_happened - f.n_happened < most:
            return FLUSH
        if f.cap_breaches != 0 and f.cap_breaches - f.n_breaches < h.n_live + BREACHES * spare:
            return FLUSH
    return DONE


def bars_in(frame: int) -> int:
    """In how many bars the orders of this one are matched, each of which may fill them in part (F16); at least 1."""
    f = at(frame, FRAME)
    if at(f.fill_model, FILL_MODEL).path != FINER:
        return 1
    edge = at(f.instrument, INSTRUMENT).edges + 8 * f.i
    return max(1, i8(edge + 8) - i8(edge))


def count_due(frame: int) -> int:
    """E1: how many actions take effect in this bar of the account."""
    f = at(frame, FRAME)
    if f.happen == 0:
        return 0
    g = at(account_at(frame), INSTRUMENT)
    first = at(f.state, HEADER).next_action
    k = first
    while k < g.n_actions and at(g.actions + ACTION_BYTES * k, ACTION).bar == f.clock:
        k += 1
    return k - first


def log_curve(frame: int) -> int:
    """Write the bar's row of the curves; 0."""
    f = at(frame, FRAME)
    k = f.i - f.curve_0
    if k % f.curve_step == 0:
        n = at(f.state, HEADER).n_asset
        own = f.n_venue if f.own != 0 else 0
        row = f.curve + k // f.curve_step * (8 * (2 + n + 2 * own))
        put_f8(row, at(f.account, ACCOUNT).equity)
        put_f8(row + 8, at(f.account, ACCOUNT).cash)
        for asset in range(n):
            put_f8(row + 16 + 8 * asset, at(f.position_0 + POSITION_BYTES * asset, POSITION).quantity)
        for v in range(own):
            a = at(f.total + ACCOUNT_BYTES * (1 + v), ACCOUNT)
            put_f8(row + 16 + 8 * (n + v), a.equity)
            put_f8(row + 16 + 8 * (n + own + v), a.cash)
    return 0


def touched(frame: int) -> bool:
    """Whether bar FRAME.i reaches a price at which a live order may act."""
    f = at(frame, FRAME)
    h = at(f.state, HEADER)
    if h.touch_lo == FAR:  # most often a market order: whatever the bar is
        return True
    return column(frame, C_LOW, f.i) <= h.touch_lo or column(frame, C_HIGH, f.i) >= h.touch_hi


def meet(frame: int) -> int:
    """Bar FRAME.i comes, with live orders, or while all is logged: DONE, or what the driver must know.

    LOAD while FRAME.match is not there: what only ever orders at the market does without it.
    """
    f = at(frame, FRAME)
    status = room(frame)
    if status != DONE or not touched(frame):
        return status
    if fill_alone(frame):
        return f.error
    return call(f.match, frame) if f.match != 0 else LOAD


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
    pass_over(frame, h.i)
    if f.own != 0:
        for v in range(f.n_venue):
            b = at(f.total + ACCOUNT_BYTES * (1 + v), ACCOUNT)
            b.cash = f8(f.purses + 8 * v)
            b.cash0 = b.cash
            b.equity = b.cash
            b.marked = b.cash
    session = column(frame, C_SESSION, h.i)
    start(f.metrics, session, cash, h.i, column(frame, C_KNOWN_AT, h.i), column_f(frame, C_CLOSE_P, h.i))


def session_end(session_at: int, i: int, until: int, guess: int) -> int:
    """The first bar after `i` of another session, at most `until`; it is likely to be `guess`.

    Sessions never go back: few bars are looked at.
    """
    session = i8(session_at + 8 * i)
    low = i  # in the session
    if i < guess and guess <= until and i8(session_at + 8 * (guess - 1)) == session:
        low = guess - 1
    step = 1
    while low + step < until and i8(session_at + 8 * (low + step)) == session:
        step *= 2
    high = min(low + step, until)  # not in it
    low += step // 2
    while high - low > 1:
        middle = (low + high) // 2
        if i8(session_at + 8 * middle) == session:
            low = middle
        else:
            high = middle
    return high


def take(frame: int, place: int) -> int:
    """E1: let what is due in this place of the bar take effect."""
    f = at(frame, FRAME)
    f.place = place
    return call(f.happen, frame)


def run(frame: int, trial_at: int, until: int) -> int:
    """Advance the trial to bar `until` (at most its own end); DONE, or why it had to come back early.

    HEADER.i is the next bar. Before `trade_from` indicators alone see the bars (T4). Sessions begin here; through each
    of them FRAME.coast goes by itself.
    """
    f = at(frame, FRAME)
    h = at(f.state, HEADER)
    a = at(f.account, ACCOUNT)
    m = at(f.metrics, METRICS)
    t = at(trial_at, TRIAL)
    until = min(until, t.i1)
    h.i = max(h.i, min(until, t.trade_from))
    if h.i >= until:
        return DONE
    if h.started == 0:
        open_account(frame, trial_at)
    code = at(f.fill_model, FILL_MODEL).close_out
    last = t.i1 - 1 if code != KEEP else FAR  # the bar that closes out, if one does
    measure = f.measure != 0
    finely = at(f.fill_model, FILL_MODEL).path == FINER
    session_at = i8(f.columns + 16 * C_SESSION)
    while h.i < until:
        i = h.i
        f.i = i
        f.clock = i
        if measure and i >= m.turn:
            guess = i + (m.turn - m.begun)  # as long as the one before
            m.begun = i
            m.turn = session_end(session_at, i, at(f.instrument, INSTRUMENT).n_bars, guess)
            session = i8(session_at + 8 * i)
            if session != m.day:
                next_session(f.metrics, session, a.equity)
        fills = a.n_fills
        f.whole = 0 if i == last and code == LAST_OPEN else 1
        if h.n_moving != 0:
            call(f.arrive, frame)
        status = f.error  # of what was asked for between two bars
        acts = f.happen != 0 and due_bar(frame) == i
        if status == DONE and acts:
            status = room(frame)
            if status == DONE:
                status = take(frame, FIRST)
                if f.guard != 0 or finely:  # funding moves the liquidation price, and comes before a finer bar (F16)
                    h.touch_lo = FAR
        if status == DONE and (f.logging != 0 or h.n_live > 0 or f.guard != 0 or (acts and finely)):
            status = call(f.meet, frame)
        if status == DONE and acts and f.whole != 0:
            status = take(frame, WITHIN)
        if status == DONE and i == last:
            status = call(f.close_out, frame)
        if status == DONE and acts:
            status = take(frame, LAST)
        if status != DONE:
            return status
        if a.n_fills != fills:
            m.active = 1
        f.decides = 0 if i == last else 1
        turn = min(m.turn, until) if measure else until
        if f.happen != 0:
            turn = min(turn, due_bar(frame))
        f.stop = min(turn, last) if i < last else turn
        status = call(f.coast, frame)
        if status != DONE:
            return status
    return DONE


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
    if f.measure != 0:
        finish(f.metrics, a.equity)
        t_peak = column(frame, C_KNOWN_AT, m.peak_bar)
        headline(f.metrics, f.account, t_peak, time, at(f.instrument, INSTRUMENT).periods, h.ruined, out_at)
    else:
        put_f8(out_at + HEADLINE_BYTES - 8, a.equity)
    if blocks_at != 0:
        copy_words(blocks_at, f.metrics + OFF_CELL, m.n_cells * NODE_WORDS)
    put_i8(meta_at, m.n_cells)
    put_i8(meta_at + 8, m.k)
    put_i8(meta_at + 16, h.ruined)


def refresh(frame: int) -> None:
    """Bars [FRAME.first, FRAME.last) of every indicator that the ROW records name."""
    f = at(frame, FRAME)
    for k in range(f.n_rows):
        r = at(f.rows + ROW_BYTES * k, ROW)
        g = at(r.instrument, INSTRUMENT)
        f.instrument = r.instrument
        f.columns = g.columns
        first = bars_until(frame, r.asset, f.first)
        last = bars_until(frame, r.asset, f.last)
        if g.closed != 0:  # of a higher timeframe: the bars that close in this stretch
            first = i8(g.closed + 8 * min(first, g.n_base))
            last = i8(g.closed + 8 * min(last, g.n_base))
        last = min(last, g.n_bars)
        put_f8(r.out - 8, f8(r.slot))
        if r.before != 0:  # there may be no bar in this stretch: the last two values are those of earlier ones
            put_f8(r.out - 16, f8(r.before))
        if first < last:
            call_kernel(r.kernel, frame, r.slot, r.column, first, last, r.out, r.n)
            put_f8(r.slot, f8(r.out + 8 * (last - first - 1)))
            if r.before != 0:
                put_f8(r.before, f8(r.out + 8 * (last - first - 2)))


def sweep(
    frame: int,
    blocks_at: int,
    trials_at: int,
    outs_at: int,
    cells_at: int,
    meta_at: int,
    n: int,
    until: int,
) -> int:
    """Bring `n` trials side by side to bar `until` or to their ends; `blocks_at` has the address of each one's state.

    Tile by tile: each indicator is computed for a stretch of bars, then all trials run over it. DONE when none goes
    on, PAUSED when some do, or the word at FRAME.halt is set; GROW, FLUSH or LOAD when the driver must provide
    something and call again. HEADER.status says how each trial stands; meta holds the bar and FRAME.error_arg of one
    that stopped for a reason.
    """
    f = at(frame, FRAME)
    while True:
        if f.refreshed == 0:
            f.first = f.last
            f.last = min(f.last + f.width, until)
            f.panel = f.values + 16 - 8 * f.first
            refresh(frame)
            f.refreshed = 1
        left = 0
        for k in range(n):
            block_at = i8(blocks_at + 8 * k)
            trial_at = trials_at + TRIAL_BYTES * k
            h = at(block_at, HEADER)
            if i8(f.halt) != 0:
                return PAUSED
            if h.status == PAUSED:
                bind(frame, block_at)
                enter(frame, trial_at)
                status = run(frame, trial_at, f.last)
                ended = status == DONE and h.i >= at(trial_at, TRIAL).i1
                if ended and f.logging != 0:
                    if min(f.cap_ended - f.n_ended, f.cap_changes - f.n_changes) < h.n_live:
                        status = FLUSH
                if status == GROW or status == FLUSH or status == LOAD:
                    return status
                if ended:
                    own_cells = cells_at + BLOCKS_BYTES * k if cells_at != 0 else 0
                    settle(frame, trial_at, outs_at + HEADLINE_BYTES * k, own_cells, meta_at + 24 * k)
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
