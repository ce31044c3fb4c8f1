"""Margin: when an account, or a position by itself, is liquidated, and what is left of it (rules L2-L7)."""

from kernelkit.kernels.account import MOST, book, value_at
from kernelkit.kernels.actions import log_action
from kernelkit.kernels.changes import log_change, log_life
from kernelkit.kernels.costs import fee_of, slipped
from kernelkit.kernels.fills import column, end_one, moment
from kernelkit.kernels.focus import clock_time, covers, defocus, focus, has_bar, list_held
from kernelkit.kernels.halts import dark, shut
from kernelkit.kernels.layout import (
    ACCOUNT,
    ACCOUNT_BYTES,
    AT_WOKEN,
    BAR_FILL,
    C_CLOSE,
    C_HIGH,
    C_KNOWN_AT,
    C_LOW,
    C_OPEN,
    C_OPEN_AT,
    CALL_AFTER,
    CALL_CLOSE,
    CALL_OPEN,
    CALL_RANGE,
    CALL_RENEW,
    CANCELLED,
    CH_FILLED,
    CH_SUBMITTED,
    CLOSE_ONLY,
    FILL_MODEL,
    FILLED,
    FINER,
    FRAME,
    GTC,
    HALTS,
    HEADER,
    INSTRUMENT,
    INSURANCE,
    MARKET,
    METRICS,
    OPEN_FILL,
    ORDER,
    ORDER_BYTES,
    POSITION,
    POSITION_BYTES,
    R_LIQUIDATION,
    TALLIES,
    TIERS,
    VENUE,
)
from kernelkit.kernels.matching import end_all, end_asset, takes_part, tidy
from kernelkit.kernels.memory import at, f8, i8, put_i8
from kernelkit.kernels.orders import new_order
from kernelkit.kernels.sharing import worth
from kernelkit.kernels.tallies import tally

OFF_FLOORS = VENUE.fields["floors"][1]
OFF_RATES = VENUE.fields["rates"][1]
OFF_DEDUCTIONS = VENUE.fields["deductions"][1]


def maintenance(frame: int, k: int) -> float:
    """L2: what the focused position must be backed with at `k` ticks."""
    f = at(frame, FRAME)
    lots = at(f.positions, POSITION).lots
    value = abs(value_at(f.instrument, k)) * (float(abs(lots)) * at(f.instrument, INSTRUMENT).unit)
    first = f.venue if lots > 0 else f.venue + 8 * TIERS
    tier = first
    for j in range(1, TIERS):
        if f8(first + OFF_FLOORS + 8 * j) > value:
            break
        tier = first + 8 * j
    return value * f8(tier + OFF_RATES) - f8(tier + OFF_DEDUCTIONS)


def balance(frame: int, k: int) -> float:
    """L3: what backs the focused position at `k` ticks."""
    f = at(frame, FRAME)
    x = at(f.positions, POSITION)
    value = value_at(f.instrument, k) * (float(x.lots) * at(f.instrument, INSTRUMENT).unit)
    if at(f.venue, VENUE).isolated != 0:
        return x.stake + (value - x.basis)
    return at(f.account, ACCOUNT).cash + value


def set_call(frame: int) -> None:
    """L3: the liquidation price of the position as it stands now: 0 (short: 2^53) for none."""
    x = at(at(frame, FRAME).positions, POSITION)
    if x.lots == 0:
        x.call = 0
        x.basis = 0.0
        x.stake = 0.0
        return
    low = 0
    high = int(MOST)
    while high - low > 1:
        middle = (low + high) // 2
        if (balance(frame, middle) <= maintenance(frame, middle)) == (x.lots > 0):
            low = middle
        else:
            high = middle
    x.call = low if x.lots > 0 else high


def guard(frame: int) -> int:
    """L3: look after the one position of an account as FRAME.place says; 1 where that must wait, as a stop comes first.

    With CALL_RENEW its liquidation price is found anew, as it or its stake has changed.
    """
    f = at(frame, FRAME)
    if f.place == CALL_RENEW:
        set_call(frame)
        return 0
    return look_after(frame) if at(f.positions, POSITION).lots != 0 else 0


def guard_each(frame: int) -> int:
    """L7: the same for the isolated positions of a portfolio, in column order; CALL_RENEW is of the asset in focus."""
    f = at(frame, FRAME)
    if f.place == CALL_RENEW:
        renew_call(frame)
        return 0
    waits = 0
    for k in range(f.n_asset):
        late = f.late + 8 * k
        if f.place == CALL_OPEN:
            put_i8(late, 0)
        held = at(f.position_0 + POSITION_BYTES * k, POSITION).lots != 0 and has_bar(frame, k)
        if held and (f.place != CALL_AFTER or i8(late) != 0):
            focus(frame, k)
            if at(f.venue, VENUE).isolated != 0 and not shut(frame):
                found = look_after(frame)
                put_i8(late, i8(late) | found)
                waits |= found
    defocus(frame)
    return waits


def renew_call(frame: int) -> None:
    """L7: the liquidation price of the position in focus: none where all of its account backs it (L6)."""
    f = at(frame, FRAME)
    x = at(f.positions, POSITION)
    if at(f.venue, VENUE).isolated != 0:
        set_call(frame)
    else:
        x.call = int(MOST) if x.lots < 0 else 0


def look_after(frame: int) -> int:
    """L3, L5: liquidate the position in focus where the prices that FRAME.place names get that far; 0.

    1 where that must wait, as a stop comes first.
    """
    f = at(frame, FRAME)
    x = at(f.positions, POSITION)
    if (f.place == CALL_RANGE or f.place == CALL_CLOSE) and spared(frame):
        return 1
    long = x.lots > 0
    closes = at(f.fill_model, FILL_MODEL).path == CLOSE_ONLY
    ranged = (f.place == CALL_RANGE or f.place == CALL_AFTER) and not closes
    c = C_OPEN if f.place == CALL_OPEN and not closes else C_CLOSE
    if ranged:
        c = C_LOW if long else C_HIGH
    k = column(frame, c, f.i)
    if k <= x.call if long else k >= x.call:
        rule = OPEN_FILL if c == C_OPEN else BAR_FILL
        time = moment(frame, C_OPEN_AT if c == C_OPEN else C_KNOWN_AT, f.i)
        end_asset(frame, R_LIQUIDATION, time)
        account = at(f.account, ACCOUNT)
        least = (account.cash + x.basis) - x.stake if at(f.venue, VENUE).isolated != 0 else 0.0
        if ranged:  # funding, or a fill, may have moved it to where the bar has never been
            first = column(frame, C_OPEN, f.i)
            k = min(x.call, first) if long else max(x.call, first)
        held = x.lots
        liquidate(frame, k, time, rule)
        insure(frame, least, held, time)
    return 0


def spared(frame: int) -> bool:
    """L3: whether a stop that this bar has woken, and that F7 has yet to look at, comes before the liquidation."""
    f = at(frame, FRAME)
    end = at(f.positions, POSITION).call
    long = at(f.positions, POSITION).lots > 0
    for k in range(at(f.state, HEADER).n_live):
        o_at = f.orders + ORDER_BYTES * k
        o = at(o_at, ORDER)
        nearer = o.asset == f.asset and (o.trigger >= end if long else o.trigger <= end)
        if nearer and takes_part(frame, o_at, AT_WOKEN) and (o.lots < 0) == long:
            return True
    return False


def liquidate(frame: int, reference: int, time: int, rule: int) -> None:
    """L5: close the position in focus."""
    f = at(frame, FRAME)
    held = at(f.positions, POSITION).lots
    o_at = new_order(frame, MARKET, GTC, -held)
    o = at(o_at, ORDER)
    o.t_submit = time
    o.t_active = time
    k = slipped(frame, o_at, -held, reference, time)
    notional = abs(value_at(f.instrument, k)) * (float(abs(held)) * at(f.instrument, INSTRUMENT).unit)
    fee = fee_of(frame, o_at, -held, k, False, time) + at(f.venue, VENUE).margin_fee * notional
    log_life(frame, o_at, CH_SUBMITTED, time)
    book(frame, o_at, -held, k, reference, fee, time, rule)
    if f.logging != 0:
        log_change(frame, o_at, CH_FILLED, -held, k, time)
    if (at(f.venue, VENUE).limits & TALLIES) != 0:
        tally(frame, held, -held, k)
    end_one(frame, o_at, FILLED, R_LIQUIDATION, time)
    set_call(frame)
    at(f.account, ACCOUNT).valued = -1  # X6


def insure(frame: int, least: float, held: int, time: int) -> None:
    """L5: what is lost beyond `least` in cash is borne by others."""
    f = at(frame, FRAME)
    a = at(f.account, ACCOUNT)
    if at(f.venue, VENUE).protected != 0 and a.cash < least:
        log_action(frame, INSURANCE, f.asset, time, held, least - a.cash)
        a.cash = least


def unmatched(frame: int) -> bool:
    """L6, X11: whether the venue at FRAME.venue does not match this bar of the clock, or the last finer one in it."""
    f = at(frame, FRAME)
    halts = (at(f.venue, VENUE).limits & HALTS) != 0
    if at(f.fill_model, FILL_MODEL).path != FINER:
        return halts and dark(frame)
    edge = at(f.instrument, INSTRUMENT).edges + 8 * f.clock
    last = i8(edge + 8) - 1
    if last < i8(edge):
        return True
    own = f.columns
    f.columns = at(f.fine, INSTRUMENT).columns
    f.i = last
    found = halts and dark(frame)
    f.columns = own
    f.i = f.clock
    return found


def guard_all(frame: int) -> int:
    """L6: liquidate the portfolio of FRAME.account where it is worth no more than its maintenance margin.

    Not in a bar that its venue, the one at FRAME.venue, does not match (L3). 0.
    """
    f = at(frame, FRAME)
    mine = f.account
    if unmatched(frame):
        return 0
    needed = 0.0
    for k in range(f.n_asset):
        if at(f.position_0 + POSITION_BYTES * k, POSITION).lots != 0 and covers(frame, mine, k):
            focus(frame, k)
            needed += maintenance(frame, column(frame, C_CLOSE, f.i))
    defocus(frame)
    f.account = mine
    if worth(frame) > needed:
        return 0
    time = clock_time(frame) if f.timed != 0 else 0
    end_all(frame, CANCELLED, R_LIQUIDATION, time)
    last = -1
    for k in range(f.n_asset):
        if at(f.position_0 + POSITION_BYTES * k, POSITION).lots != 0 and covers(frame, mine, k):
            focus(frame, k)
            liquidate(frame, column(frame, C_CLOSE, f.i), time, BAR_FILL)
            last = k
    focus(frame, last)  # its venue's margin
    f.asset = -1 if f.own == 0 else -1 - (mine - f.total) // ACCOUNT_BYTES  # V3: its venue, as -2, -3 ...
    insure(frame, 0.0, 0, time)
    defocus(frame)
    tidy(frame)
    at(f.metrics, METRICS).active = 1
    list_held(frame)
    return 0
