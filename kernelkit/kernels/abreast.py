"""Assets of one account whose prices move side by side: along paths through a bar, in finer bars (rules X10, X11)."""

from kernelkit.kernels.fills import allowed, column, moment
from kernelkit.kernels.focus import defocus, focus, has_bar
from kernelkit.kernels.halts import shut
from kernelkit.kernels.layout import (
    ACCOUNT_BYTES,
    ADVERSE,
    C_KNOWN_AT,
    C_OPEN,
    C_OPEN_AT,
    CUT,
    FAR,
    FILL_MODEL,
    FRAME,
    HEADER,
    INSTRUMENT,
    INSTRUMENT_BYTES,
    LIVE,
    ORDER,
    ORDER_BYTES,
    RATIONED,
    TOUCH,
    VENUE,
    WAY,
    WAY_BYTES,
    WITHIN,
)
from kernelkit.kernels.memory import at, call, i8
from kernelkit.kernels.paths import act_at, event, leg_end, on_way, reference_from
from kernelkit.kernels.sharing import any_touched, divide, need_of, reduces, release
from kernelkit.kernels.triggers import follows, move_trail, rests

NOBODY = -1
TRIED = -2


def walk_all(frame: int) -> int:
    """X10: run through the bars of all assets after their opens, leg by leg; the first error."""
    f = at(frame, FRAME)
    for a in range(f.n_asset):
        w = at(f.way + WAY_BYTES * a, WAY)
        w.present = 0
        if has_bar(frame, a):
            focus(frame, a)
            if not shut(frame):
                w.present = column(frame, C_OPEN, f.i)
    for k in range(3):
        leg_all(frame, k)
    defocus(frame)
    return f.error


def leg_all(frame: int, k: int) -> None:
    """Leg `k` of all assets: rounds of their next events, until there are none."""
    f = at(frame, FRAME)
    for a in range(f.n_asset):
        w = at(f.way + WAY_BYTES * a, WAY)
        if w.present != 0:
            focus(frame, a)
            w.end = leg_end(frame, k)
    while f.error == 0 and look_ahead(frame):
        meet_next(frame, True)
        if f.own != 0:
            for v in range(f.n_venue):
                allot(frame, f.total + ACCOUNT_BYTES * (1 + v))
        else:
            allot(frame, f.total)
        meet_next(frame, False)
        release(frame, f.total)
        for a in range(f.n_asset):
            w = at(f.way + WAY_BYTES * a, WAY)
            if w.present != 0 and w.order != NOBODY:
                w.present = w.met
    for j in range(at(f.state, HEADER).n_live):
        o_at = f.orders + ORDER_BYTES * j
        asset = at(o_at, ORDER).asset
        w = at(f.way + WAY_BYTES * asset, WAY)
        if w.present != 0 and follows(o_at):
            focus(frame, asset)
            move_trail(frame, o_at, w.end, w.end)
    for a in range(f.n_asset):
        w = at(f.way + WAY_BYTES * a, WAY)
        if w.present != 0:
            w.present = w.end


def look_ahead(frame: int) -> bool:
    """F12: find the next event of each asset on its leg; whether there is one."""
    f = at(frame, FRAME)
    m = at(f.fill_model, FILL_MODEL)
    thr = 0 if m.limit == TOUCH else 1
    defocus(frame)
    t_open = moment(frame, C_OPEN_AT, f.i)
    for a in range(f.n_asset):
        at(f.way + WAY_BYTES * a, WAY).order = NOBODY
    found = False
    for k in range(at(f.state, HEADER).n_live):
        o_at = f.orders + ORDER_BYTES * k
        w = at(f.way + WAY_BYTES * at(o_at, ORDER).asset, WAY)
        if w.present != 0 and on_way(o_at, t_open, m.same_bar == ADVERSE):
            e = event(o_at, w.present, w.end, thr)
            nearer = w.order == NOBODY or abs(e - w.present) < abs(w.met - w.present)
            if e != FAR and nearer and not (rests(o_at) and used_up(frame, o_at)):
                w.order = k
                w.met = e
                found = True
    return found


def used_up(frame: int, order_at: int) -> bool:
    """P3: whether the volume of the order's bar is, so that its event would come again and again."""
    focus(frame, at(order_at, ORDER).asset)
    return at(at(frame, FRAME).venue, VENUE).participation != 0.0 and allowed(frame, 1) == 0


def meet_next(frame: int, reducing: bool) -> None:
    """X4: act on the orders of a round, first on those that reduce, then on all that are left."""
    f = at(frame, FRAME)
    for k in range(at(f.state, HEADER).n_live):
        o_at = f.orders + ORDER_BYTES * k
        o = at(o_at, ORDER)
        w = at(f.way + WAY_BYTES * o.asset, WAY)
        if w.present != 0 and w.order == k and o.status == LIVE:
            focus(frame, o.asset)
            if not reducing or reduces(frame, o_at):
                w.order = TRIED
                act_at(frame, o_at, w.present, w.met)


def allot(frame: int, account: int) -> None:
    """X5: where the orders that are left of a round need more than the account has, say how much each gets."""
    f = at(frame, FRAME)
    need = 0.0
    sharers = 0
    last = -1
    for k in range(at(f.state, HEADER).n_live):
        o_at = f.orders + ORDER_BYTES * k
        o = at(o_at, ORDER)
        w = at(f.way + WAY_BYTES * o.asset, WAY)
        if w.present != 0 and w.order == k and o.status == LIVE:
            focus(frame, o.asset)
            if f.account == account and at(f.venue, VENUE).cash_rule == CUT:
                last = o.asset
                makes = rests(o_at)
                reference = reference_from(o_at, w.present) if makes else w.met
                now = moment(frame, C_KNOWN_AT, f.i)
                one = need_of(frame, o_at, reference, makes and reference == o.price, now)
                if one > 0.0:
                    o.marks |= RATIONED
                    sharers += 1
                    need += one
    divide(frame, account, last, sharers, need)


def finer_all(frame: int) -> int:
    """X11: match the live orders of all assets in each finer bar of bar FRAME.clock; DONE, or an error.

    Meanwhile the frame speaks of the finer clock and tables; FRAME.coarse and its like keep the bars of the decisions.
    """
    f = at(frame, FRAME)
    edge = at(f.instrument, INSTRUMENT).edges + 8 * f.clock
    f.coarse = f.columns
    f.coarse_i = f.clock
    f.coarse_0 = f.instrument_0
    f.coarse_bars = f.bars
    f.instrument_0 = f.fine + INSTRUMENT_BYTES
    f.bars = f.fine_bars
    for u in range(i8(edge), i8(edge + 8)):
        f.clock = u
        defocus(frame)
        if f.happen != 0:  # E5
            f.place = WITHIN
            call(f.happen, frame)
        if f.error == 0 and any_touched(frame):
            defocus(frame)
            call(f.match, frame)
    f.instrument_0 = f.coarse_0
    f.bars = f.coarse_bars
    f.clock = f.coarse_i
    f.coarse = 0
    f.coarse_i = 0
    f.coarse_0 = 0
    f.coarse_bars = 0
    defocus(frame)
    return f.error
