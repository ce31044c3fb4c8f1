"""Plain-old-data records: what a trial is made of, byte by byte.

A trial's state is one contiguous block: HEADER, ACCOUNT, POSITION[n_asset], METRICS, strategy slots, ORDER[capacity],
of a portfolio that trades at several venues an ACCOUNT of each behind the first and TRANSFER[MOVING] behind those,
and, where the strategy has hooks that are told of fills or orders, EVENTS and EVENT[most].
The block holds values only, never addresses, so it *is* the checkpoint. Addresses live in FRAME, which is rebuilt for
every call and never saved. Every field is 8 bytes wide: no padding, the same layout on a CPU and on a GPU. A change
of fields is a new VERSION: a checkpoint of another one is refused.
"""

import numpy as np

VERSION = 10
RESERVE = 64  # orders that one decision may submit
SLOTS = RESERVE + 2  # free slots that takes: the last of them may be a bracket
MAX_CELLS = 64  # block summaries a trial keeps (M4)
LEVELS = 24  # depth of the session tree: 2**24 days is beyond datetime64[ns]
TRIPS = 16  # day trades that an account remembers (R6)
MODEL_SLOTS = 128  # numbers of a cost model, tables included
TIERS = 24  # of maintenance margin, at most
MOVING = 64  # transfers under way at once, at most (V5)
SCRATCH, HELD_AT, LATE_AT, WAY_AT = 12, 4, 7, 8  # rows of FRAME.scratch, a word for each asset, and where some begin
TRADED_DAYS = 31  # C3: of the account's trading, today and the 30 days before
FAR = 1 << 62
AHEAD = 16  # bars: how early opens are fetched where an order may fill; waiting for one takes as long as its fill
FAILED = 0x7FFCBAD1  # upper half of a NaN that no arithmetic makes: an indicator raised, the lower half says when

# kinds of order
MARKET, LIMIT, STOP, STOP_LIMIT, TRAILING, MARKET_TOUCHED, LIMIT_TOUCHED, TRAILING_LIMIT = range(8)
KINDS = (
    "market",
    "limit",
    "stop",
    "stop_limit",
    "trailing_stop",
    "market_if_touched",
    "limit_if_touched",
    "trailing_stop_limit",
)
# time in force: from IOC on an order takes part in one bar alone
GTC, DAY, GTD, IOC, FOK, ON_OPEN, ON_CLOSE = range(7)
TIFS = ("GTC", "DAY", "GTD", "IOC", "FOK", "AT_OPEN", "AT_CLOSE")
# how an order stands
LIVE, FILLED, CANCELLED, REJECTED, EXPIRED = 0, 1, 2, 3, 4
STATUSES = ("live", "filled", "cancelled", "rejected", "expired")
# why it ended (O6)
(
    R_NONE,
    R_USER,
    R_REPLACED,
    R_OCO,
    R_PARENT,
    R_CLOSED,
    R_CUT,
    R_REDUCE,
    R_RUIN,
    R_END,
    R_BELOW,
    R_INVALID,
    R_CASH,
    R_DAY,
    R_IOC,
    R_FOK,
    R_UNLISTED,
    R_GTD,
    R_AT_OPEN,
    R_AT_CLOSE,
    R_OFF_TICK,
    R_ABOVE,
    R_MINIMUM,
    R_POST,
    R_SPLIT,
    R_DELISTED,
    R_LIQUIDATION,
    R_POSITION,
    R_NOTIONAL,
    R_CONCENTRATION,
    R_LEVERAGE,
    R_TURNOVER,
    R_SHORT,
    R_DAY_TRADES,
    R_SHORT_PRICE,
    R_UNIVERSE,
    R_DOWN,
    R_CLOSED_MARKET,
    R_RATE,
) = range(39)
REASONS = (
    "",
    "user",
    "replaced",
    "oco",
    "parent_ended",
    "position_closed",
    "cut_cash",
    "reduce_only",
    "ruin",
    "end_of_data",
    "below_lot",
    "invalid",
    "insufficient_cash",
    "day",
    "ioc",
    "fok",
    "unlisted",
    "gtd",
    "at_open",
    "at_close",
    "off_tick",
    "above_maximum",
    "below_minimum",
    "post_only",
    "split",
    "delisted",
    "liquidation",
    "position_limit",
    "notional_limit",
    "concentration_limit",
    "leverage_limit",
    "turnover_limit",
    "short_sale",
    "day_trades",
    "short_sale_price",
    "outside_universe",
    "venue_down",
    "market_closed",
    "rate_limit",
)
# marks on an order
TARGET, REDUCE, AT_FILL, TRIGGERED, FRESH, SEEN, WAITING, RATIONED, PARENT = 1, 2, 4, 8, 16, 32, 64, 128, 256
POST, SHOWN, PENDING, CLOSES, ENDING, CALLED_OFF, REPLACING = 512, 1024, 2048, 4096, 8192, 16384, 32768
SIZED = 65536  # an order AT_FILL that has been (S5)
UNDER_WAY = PENDING | ENDING | CALLED_OFF | REPLACING  # H4, H5
# fill model codes
THROUGH, TOUCH = 0, 1
ADVERSE, NEXT = 0, 1
CHECK_FIRST, UPDATE_FIRST = 0, 1
KEEP, LAST_OPEN, LAST_CLOSE = 0, 1, 2
AT_DECISION, SIZE_AT_FILL = 0, 1
NEXT_OPEN, SAME_CLOSE, NEXT_CLOSE, NEXT_TYPICAL, NEXT_VWAP = 0, 1, 2, 3, 4
GAP_OPEN, GAP_TRIGGER, GAP_CLOSE = 0, 1, 2
STOP_FIRST, CLOSE_ONLY, HIGH_FIRST, LOW_FIRST, NEAREST_FIRST, FINER = 0, 1, 2, 3, 4, 5
# the passes of a bar: F1, F2, F5, F10, F7
AT_OPEN, AT_STOPS, AT_LIMITS, AT_END, AT_WOKEN = 0, 1, 2, 3, 4
# how an order fills (C1, C3): met where it rests, against what rests at its reference, or beyond that, slipped
MAKES, TAKES, SLIPS = 0, 1, 2
# what a cost model reads that takes work to provide, as bits of VENUE.fee_reads and slippage_reads
READS = {"volume": 1, "volatility": 2, "traded": 4}
READS_VOLUME, READS_VOLATILITY, READS_TRADED = READS.values()
# where a fill's price lies: at the open, in the bar's range, at the close before (F10)
OPEN_FILL, BAR_FILL, FORMER_FILL = 0, 1, 2
PLACES = ("open", "bar", "former close")
# cash rules
CUT, REJECT, DEBT = 0, 1, 2
# what a unit is worth to the account: its price, or minus one over that
LINEAR, INVERSE = 0, 1
CONTRACTS = ("linear", "inverse")
# actions by the calendar (E1-E7) and what else moves cash without a fill (L5)
SPLIT, DIVIDEND, FUNDING, DELISTING, INTEREST, BORROW, INSURANCE, TRANSFERRED = range(8)
ACTIONS = ("split", "dividend", "funding", "delisting", "interest", "borrow", "insurance", "transfer")
# where in a bar they take effect: first, after the open pass, before the mark
FIRST, WITHIN, LAST = 0, 1, 2
# which of a bar's prices a margin is looked at with (L3): the open, the range, the close, the range after F7; or none
CALL_OPEN, CALL_RANGE, CALL_CLOSE, CALL_AFTER, CALL_RENEW = 0, 1, 2, 3, 4
# what hooks are told of (T7), as bits of FRAME.told
TELL_FILLS, TELL_ENDS = 1, 2
# what VENUE.limits asks of orders: O15, R2-R7, fills counted (R4, R6), H1, H2, H3, U1, H5
SIZES, RISK, TALLIES, HOURS, OUTAGES, RATE, UNIVERSE, LATENCY = 1, 2, 4, 8, 16, 32, 64, 128
HALTS = HOURS | OUTAGES
WAITS = HALTS | RATE | LATENCY  # H4: what may let an order, or what is asked of one, take effect later
JUDGED = RISK | UNIVERSE | WAITS
# of an outage (H2): orders are rejected, matching stops
TURNS_AWAY, STOPS = 1, 2
# what became of an order that a rule hit (R9)
DEEDS = ("rejected", "cut", "delayed")
D_REJECTED, D_CUT, D_DELAYED = range(3)
# how FRAME.judged is looked at (R8): a new order, a replacement whose lots grow, another one
NEW, GROWN, OTHER = range(3)
BREACHES = 12  # rules that one order can break
# what a history of orders tells (O17): each row of CHANGE, and how the rows but the last two are called
(
    CH_SUBMITTED,
    CH_ARRIVED,
    CH_WOKEN,
    CH_RESIZED,
    CH_REPLACED,
    CH_SPLIT,
    CH_TRAILED,
    CH_TRIGGERED,
    CH_FILLED,
    CH_ENDED,
) = range(10)
CHANGES = ("submitted", "arrived", "woken", "resized", "replaced", "split", "trailed", "triggered")
CHANGES_A_BAR = 10  # of one order, at most: three legs move its trigger (F12), all else happens once or twice
# what a kernel call comes back with
DONE, PAUSED, GROW, FLUSH, RAISED, LOOKAHEAD, CROWDED, BAD_MODEL, LOAD, NO_ASSET, JAMMED, UNTOLD = range(12)
# verbs of the order entry point
(
    V_ORDER,
    V_LIMIT,
    V_STOP,
    V_STOP_LIMIT,
    V_TRAIL,
    V_TRAIL_FRACTION,
    V_BRACKET,
    V_TARGET,
    V_WEIGHT,
    V_CANCEL,
    V_CANCEL_ALL,
    V_OCO,
    V_TRAIL_TICKS,
    V_TRAIL_BPS,
    V_TOUCHED,
    V_LIMIT_TOUCHED,
    V_REPLACE,
) = range(17)
# Sent with an order as tif + 8 * mask: which numbers of a bracket count, which of a replacement, what else is asked
# of any other order.
HAS_STOP, HAS_LIMIT, HAS_STOP_LOSS, HAS_TAKE_PROFIT, HAS_ENTRY, ENTRY_POST_ONLY, ENTRY_DISPLAY = 1, 2, 4, 8, 16, 32, 64
HAS_QUANTITY, HAS_PRICE, HAS_TRIGGER = 1, 2, 4
POST_ONLY, REDUCE_ONLY, HAS_DISPLAY, HAS_OFFSET = 1, 2, 4, 8
# columns every data set has; features follow, value and age in turn
COLUMNS = (
    "open_ticks",
    "high_ticks",
    "low_ticks",
    "close_ticks",
    "volume",
    "open_at",
    "known_at",
    "session",
    "open",
    "high",
    "low",
    "close",
)
C_OPEN, C_HIGH, C_LOW, C_CLOSE, C_VOLUME, C_OPEN_AT, C_KNOWN_AT, C_SESSION, C_OPEN_P, C_HIGH_P, C_LOW_P, C_CLOSE_P = (
    range(12)
)
FIRST_FEATURE = len(COLUMNS)


def _record(ints: str = "", floats: str = "", tail: list | None = None) -> np.dtype:
    return np.dtype([(n, "i8") for n in ints.split()] + [(n, "f8") for n in floats.split()] + (tail or []))


HEADER = _record(
    "version nbytes n_asset capacity off_account off_metrics off_positions off_orders off_strategy n_slot "
    "i status n_live next_id touch_lo touch_hi started ruined next_action off_transfers n_moving"
)
# day, day_sum: a ring of UTC days by number, and what was traded on each (C3); ratio: X5; valued: the bar of the clock,
# twice, plus 1 once it is over, that `worth` and `gross` (X6) are of; turned_at, turned: a session, and what was traded
# in it (R4); trip: a ring of the sessions of day trades (R6); window, sent: an interval and the orders sent in it (H3)
# With several venues (V1) the first counts all fills, trades and fees, and is worth what the others are together; where
# these share its money they keep day, window and shut alone; marked: what such an account was worth at the last mark;
# shut: the clock's bar, plus 1, which their venue does not match.
ACCOUNT = _record(
    "n_fills n_trades n_wins n_orders valued turned_at n_trips window sent shut",
    "cash equity debt fees gross_profit gross_loss turnover cash0 worth gross ratio turned marked",
    [("day", "i8", (TRADED_DAYS,)), ("day_sum", "f8", (TRADED_DAYS,)), ("trip", "i8", (TRIPS,))],
)
# V5: money on its way to the account of an asset, when it arrives, and what its sending costs until that is counted
TRANSFER = _record("time asset", "amount fee")
# used: lots that its orders have traded in its bar `used_at` (P1); touch_lo, touch_hi: as in HEADER, in a portfolio;
# call: the liquidation price in ticks (L3); basis, stake: what it cost and what is at risk (L4); before: the close
# before, in the units that splits of its bar `acted_at` have left (E1); day_open: R6, twice the session in which it was
# made larger, plus 1; 0 for none that could become a day trade
POSITION = _record(
    "lots opened peak_lots used used_at touch_lo touch_hi delisted call acted_at day_open",
    "pnl fees quantity basis stake before",
)
# t_change: when a PENDING one gets the next_... numbers (H4); t_cancel: when an ENDING one ends for `reason`; t_called:
# when the cancel of one that is CALLED_OFF reaches the venue, heard or not (H5); t_sent: the same of one that is
# REPLACING, t_asked: the decision that asked for that; they mean nothing else, and nobody sets them
ORDER = _record(
    "id asset venue kind tif marks status reason lots filled display price trigger trail offset group parent "
    "t_submit t_active t_expire t_trigger t_replace session t_end touch_lo touch_hi reference fill_ticks "
    "t_change next_lots next_price next_trigger",
    "fraction stop_loss take_profit weight fees notional",
    [("t_asked", "i8"), ("t_cancel", "i8"), ("t_called", "i8"), ("t_sent", "i8")],
)
# T7: what a hook is told, a fill or an order that has ended; money and quantities are the user's, not ticks and lots
EVENTS = _record("n most")
EVENT = _record("what order asset time status reason", "quantity price fee filled")
NODE = _record("index n active", "s1 s2 s3 s4 d2 sb sbb sxb w hi lo mdd")
NODE_FIELDS = tuple(NODE.names)
# turn: the next bar whose session must be looked at; begun: the last one that was, which helps to guess the next
METRICS = _record(
    "k first day n_cells n_bars exposed active under t_start peak_bar longest begun turn",
    "e_prev hi_e lo_e low mdd peak c_prev c_last",
    [("leaf", NODE), ("level", NODE, (LEVELS,)), ("cell", NODE, (MAX_CELLS + 1,))],
)
FILL = _record("order asset time lots ticks reference rule", "fee slippage position cash")
# R9: a rule that hit an order, what was done, from what to what, until when
BREACH = _record("order asset time reason done before after until", "limit found")
# O17: an order as it is after something has happened to it; lots: of a fill those, of an end what was left; ticks: of a
# fill its price; active: when the venue has it
CHANGE = _record("order asset time what lots price trigger ticks status reason active")
TRADE = _record("asset opened closed lots", "pnl fees")
# value, price: what E2-E7 say of each kind; bar: that of the account in which it takes effect
ACTION = _record("bar place kind asset time", "value price")
HAPPENED = _record("kind asset time lots", "amount")
TRIAL = _record("i0 trade_from i1 dataset venue fill_model", "cash")
# closing: the column that says when the bar's session closes (O12), 0 where no order asks; universe: that of U1, or 0;
# mark: the column of what a unit is worth at the close; contract: LINEAR, INVERSE; vwap: float64 by bar (F10); finer:
# the INSTRUMENT of its finer bars, edges: where those of each bar begin, and one more (F16); 0: none; higher: the
# records of its higher timeframes, side by side. Of such a one closed says how many of its bars there are before each
# of the n_base bars that it is made of, and at their end (W5); called: the first bar of an asset at which a strategy
# that is called for each may be (X9)
INSTRUMENT = _record(
    "columns n_bars inverse closing universe mark contract actions n_actions vwap finer edges",
    "tick lot multiplier unit periods",
    [("higher", "i8"), ("closed", "i8"), ("n_base", "i8"), ("called", "i8")],
)
# sizes: of each asset the smallest and the largest order, and what it is worth at least, f8 (O15), 0 for anything;
# limits: which rules refuse orders, as bits; rules: where the RULES of an account there are; initial ... deductions:
# the account's margin (L1, L2), tiers of long positions before those of short ones
VENUE = _record(
    "cash_rule fee slippage fee_reads slippage_reads rebates limits off_tick rules isolated protected sizes",
    "band participation initial margin_fee",
    [("fee_slots", "f8", (MODEL_SLOTS,)), ("slippage_slots", "f8", (MODEL_SLOTS,))]
    + [(name, "f8", (2 * TIERS,)) for name in ("floors", "rates", "deductions")],
)
# shorts: an f8 for each asset; hours: pairs of int64, open and close; outages: threes, start, end and what it does
RULES = _record(
    "cut day_trades shorts hours n_hours closed_rejects outages n_outages rate per rate_rejects",
    "position notional leverage concentration turnover day_trade_equity fall",
    [("latency", "i8")],
)
FILL_MODEL = _record("limit same_bar trailing close_out sizing path stop_gap market")
MODEL = _record(
    "time slots",
    "side quantity price notional filled paid volume position equity maker tick volatility traded filled_notional",
)
# one indicator of one data set: its kernel, slot, column and window (of an own indicator the address of the strategy's
# words instead), where its values go; of a portfolio the asset, and where its last value but one is kept
ROW = _record("kernel instrument slot column n out asset before")
# FRAME: addresses and buffers of the running call; built anew each time, never saved. coarse, coarse_i: the columns and
# the number of the decisions' bar while its finer bars are walked, else 0; told: bits of what hooks are told of; tell:
# the function that keeps it; keeps: whether anything is kept of a fill, for them or in logs
# total: the ACCOUNT that counts all; member: that of the venue in focus; homes: of each asset its venue's number, and
# how many assets its account has; own: whether each venue has an account; purses: what each of those begins with; ways:
# how long a transfer from each to each takes, and what it costs (V1-V5); mark, arrive: the functions for them
# guard: the function that looks after positions within a bar (L3, L7), guard_all after portfolios at the mark (L6);
# late: of each asset whether its look waits for F7; way: its WAY; fine: the INSTRUMENTs of the finer clock and assets,
# fine_bars their `bars`; coarse_0, coarse_bars: instrument_0 and bars of the decisions while those are walked (X11)
# What each bar and each fill reads comes first: it lies in few lines of the cache.
FRAME = _record(
    "state account total member homes metrics positions orders strategy instrument venue fill_model columns i stop "
    "panel logging measure shared asset clock guard keeps timed error coarse happen told inert "
    "act meet match steer model ordered_at first_id position_0 instrument_0 whole decides curve "
    "coarse_i place finer tell judge judged judging sent_at "
    "fills n_fills cap_fills ended n_ended cap_ended trades n_trades cap_trades curve_0 curve_step "
    "records n_record error_arg instruments venues fill_models coast decide walk log ruin close_out "
    "rows n_rows values width first last refreshed halt "
    "n_asset bars step twice weigh row_bytes scratch held n_held "
    "happened n_happened cap_happened breaches n_breaches cap_breaches changes n_changes cap_changes "
    "venue_0 n_venue own purses ways mark arrive guard_all late way fine fine_bars coarse_0 coarse_bars"
)
# where the price of an asset is on its path (X10), 0 for nowhere; where its leg ends; the place of the order that it
# meets next, and the price at which it does
WAY = _record("present end order met")
# sizes as plain integers: compiled code cannot ask a dtype
(
    HEADER_BYTES,
    NODE_BYTES,
    POSITION_BYTES,
    ORDER_BYTES,
    FILL_BYTES,
    TRADE_BYTES,
    TRIAL_BYTES,
    INSTRUMENT_BYTES,
    VENUE_BYTES,
    FILL_MODEL_BYTES,
    ROW_BYTES,
    ACTION_BYTES,
    HAPPENED_BYTES,
    EVENT_BYTES,
    EVENTS_BYTES,
    BREACH_BYTES,
    CHANGE_BYTES,
    ACCOUNT_BYTES,
    TRANSFER_BYTES,
    WAY_BYTES,
) = (
    r.itemsize
    for r in (
        *(HEADER, NODE, POSITION, ORDER, FILL, TRADE, TRIAL, INSTRUMENT, VENUE, FILL_MODEL, ROW),
        *(ACTION, HAPPENED, EVENT, EVENTS, BREACH, CHANGE, ACCOUNT, TRANSFER, WAY),
    )
)
# headline of one trial, as the kernel writes it
HEADLINE = (
    "total_return cagr volatility sharpe_ratio sortino_ratio calmar_ratio max_drawdown max_drawdown_duration "
    "n_fills n_trades win_rate profit_factor exposure turnover fees final_equity"
).split()
CURVES = ("equity", "cash", "position")
ACCOUNT_CURVES = ("account_equity", "account_cash")  # of each of several accounts (V3)


def block_offsets(n_asset: int, capacity: int, n_slot: int, n_venue: int = 0) -> dict[str, int]:
    """Byte offsets of the sections of a state block, and its size; `n_venue` is 0 where there is only one.

    >>> block_offsets(1, 128, 4)["off_account"] == HEADER.itemsize
    True
    """
    at, out = HEADER.itemsize, {}
    for name, size in (
        ("off_account", ACCOUNT.itemsize * (1 + n_venue)),
        ("off_transfers", TRANSFER.itemsize * MOVING if n_venue else 0),
        ("off_positions", POSITION.itemsize * n_asset),
        ("off_metrics", METRICS.itemsize),
        ("off_strategy", 8 * n_slot),
        ("off_orders", ORDER.itemsize * capacity),
    ):
        out[name] = at
        at += size
    return out | {"nbytes": at}


def most_events(n_asset: int, capacity: int) -> int:
    """How many events (T7) a block must hold: those since one decision told them until the next has.

    An order fills at most once a bar and ends once; so do close-outs, and what a walk-forward switch orders, one of
    each for an asset. A block grows where finer bars may fill it more often (F16).

    >>> most_events(1, 128)
    387
    """
    return 3 * (capacity + n_asset)


def new_block(n_asset: int, capacity: int, n_slot: int, told: bool = False, n_venue: int = 0) -> np.ndarray:
    """A zeroed state block with its header filled in; uint8 (nbytes,). With `told` it has room for events.

    >>> block = new_block(1, 128, 4)
    >>> int(block[: HEADER.itemsize].view(HEADER)[0]["nbytes"]) == block.size
    True
    """
    offsets = block_offsets(n_asset, capacity, n_slot, n_venue)
    at, most = offsets["nbytes"], most_events(n_asset, capacity)
    if told:
        offsets["nbytes"] += EVENTS_BYTES + EVENT_BYTES * most
    block = np.zeros(offsets["nbytes"], "u1")
    if told:
        block[at : at + EVENTS_BYTES].view(EVENTS)["most"] = most
    header = block[: HEADER.itemsize].view(HEADER)[0]
    for name, value in (
        offsets
        | {
            "version": VERSION,
            "n_asset": n_asset,
            "capacity": capacity,
            "n_slot": n_slot,
            "next_id": 1,
            "touch_lo": -FAR,
            "touch_hi": FAR,
        }
    ).items():
        header[name] = value
    return block


def grown(block: np.ndarray, capacity: int, events: int = 0) -> np.ndarray:
    """The same state with room for `capacity` orders, and, if it keeps events, for `events`, as many as before or more.

    >>> int(grown(new_block(1, 128, 4), 256)[: HEADER.itemsize].view(HEADER)[0]["capacity"])
    256
    """
    old = block[: HEADER.itemsize].view(HEADER)[0]
    begin, at = (int(old["off_orders"]) + ORDER.itemsize * n for n in (int(old["capacity"]), capacity))
    told, most = block.size > begin, max(events, most_events(int(old["n_asset"]), capacity))
    if told:
        most = max(most, int(block[begin : begin + EVENTS_BYTES].view(EVENTS)["most"][0]))
    new = np.zeros(at + (EVENTS_BYTES + EVENT_BYTES * most if told else 0), "u1")
    new[:begin], new[at : at + block.size - begin] = block[:begin], block[begin:]
    header = new[: HEADER.itemsize].view(HEADER)[0]
    header["capacity"], header["nbytes"] = capacity, new.size
    if told:
        new[at : at + EVENTS_BYTES].view(EVENTS)["most"] = most
    return new
