"""Orders beyond the plain ones, on bars small enough to be worked out by hand (rules O11-O16, F14, F15, P5, S6)."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings

import kernelkit as kk
from kernelkit.errors import DataError, OrderError
from kernelkit.kernels import layout as L
from kernelkit.kernels.session import Recorder
from kernelkit.market.reasons import Reason
from kernelkit.table import table_of
from tests.programs import Case, run_engine
from tests.reference import Bars, Config, Grid
from tests.reference import models as plain
from tests.test_engine_is_reference import cases

DAY = 86_400_000_000_000
OPEN, KNOWN = 0, DAY // 2  # of each bar, after its midnight
STILL = (100, 100, 100, 100)
GRID = Grid(1.0, 0, 1.0)
Row = tuple[float, ...]


@dataclass(frozen=True)
class Story:
    """What happened: fills as (order, when, lots, ticks), ends as (status, reason, when) by order, raw orders by id."""

    fills: list[tuple[int, str, int, int]]
    ends: dict[int, tuple[str, str, str]]
    orders: dict[int, Any]


def act(verb: int, form: int = 0, q: float = 0.0, a: float = 0.0, b: float = 0.0, **more: float) -> Row:
    """An action of `tests.programs`."""
    return (float(verb), float(form), float(q), float(a), float(b), *(float(more.get(n, 0.0)) for n in "cde"))


def market(q: float) -> Row:
    return act(1, 0, q)


def limit(q: float, price: float) -> Row:
    return act(2, 0, q, price)


def stop(q: float, price: float) -> Row:
    return act(3, 0, q, price)


def when(time: int) -> str:
    """`open 1` or `close 1`."""
    return f"{'open' if time % DAY == OPEN else 'close'} {time // DAY}"


def play(
    bars: Sequence[tuple[int, int, int, int]],
    actions: Mapping[int, list[Row]],
    *,
    sessions: Sequence[int] | None = None,
    closes: Sequence[int] | None = None,
    volume: float = 1000.0,
    slippage: float = 0.0,
    limits: dict[str, Any] | None = None,
    grid: Grid = GRID,
    **config: Any,
) -> Story:
    """Run the actions of each bar. Bars are days that open at midnight and are known at noon; `closes` are bars."""
    n = len(bars)
    opens = [t * DAY + OPEN for t in range(n)]
    known = [t * DAY + KNOWN for t in range(n)]
    columns = [list(c) for c in zip(*bars, strict=True)]
    made = Bars(opens, known, list(sessions or range(n)), *columns, [volume] * n)
    slip, slip_plain = (kk.slippage.fraction(slippage), plain.fraction_slippage(slippage)) if slippage else (None, None)
    ends = tuple(known[t] for t in closes) if closes is not None else ()
    case = Case(
        made, grid, Config(slippage=slip_plain, **config), [actions.get(t, []) for t in range(n)], None, slip, ends,
        limits or {},
    )  # fmt: skip
    logs, *_ = run_engine(case)
    return Story(
        [(int(f["order"]), when(int(f["time"])), int(f["lots"]), int(f["ticks"])) for f in logs.fills],
        {int(o["id"]): (L.STATUSES[o["status"]], L.REASONS[o["reason"]], when(int(o["t_end"]))) for o in logs.orders},
        {int(o["id"]): o for o in logs.orders},
    )


# --- if touched (F14)


@pytest.mark.parametrize(
    ("q", "trigger", "bar", "fill"),
    [
        (1, 97, (100, 101, 97, 99), ("close 2", 97)),
        (1, 97, (95, 96, 94, 95), ("open 2", 95)),
        (-1, 103, (100, 103, 99, 101), ("close 2", 103)),
        (-1, 103, (104, 105, 103, 104), ("open 2", 104)),
    ],
)
def test_f14_market_if_touched(q: int, trigger: int, bar: tuple[int, int, int, int], fill: tuple[str, int]) -> None:
    """At the trigger when it is touched, at the open beyond it; a bar that stays a tick away does nothing."""
    story = play([STILL, (100, 102, 98, 100), bar], {0: [act(12, 0, q, trigger)]})
    assert story.fills == [(1, fill[0], q, fill[1])]
    assert story.ends == {1: ("filled", "", fill[0])}


def test_f14_market_if_touched__slips() -> None:
    story = play([STILL, (100, 100, 90, 95)], {0: [act(12, 0, 1, 97)]}, slippage=0.01)
    assert story.fills == [(1, "close 1", 1, 98)]  # 97.97 rounded up


def test_q3_triggers_if_touched_round_as_limits_do() -> None:
    story = play([STILL, STILL], {0: [act(12, 0, 1, 97.6), act(12, 0, -1, 102.4)]})
    assert [int(o["trigger"]) for o in story.orders.values()] == [97, 103]


def test_f14_a_stop_comes_before_an_order_if_touched() -> None:
    """The lower id does not help; the stop closes, so that the other one has nothing to close."""
    bars = [STILL, STILL, (100, 106, 94, 100)]
    story = play(bars, {0: [market(2)], 1: [act(12, 1, -2, 105), act(17, 1, -2, 95)]})
    assert story.fills == [(1, "open 1", 2, 100), (3, "close 2", -2, 95)]
    assert story.ends[2] == ("cancelled", "position_closed", "close 2")


def test_f14_limit_if_touched() -> None:
    """With a limit beyond the trigger it takes there, unslipped; else it rests from the next bar on."""
    bars = [STILL, (100, 101, 90, 97), (97, 99, 96, 97), (97, 98, 94, 96)]
    story = play(bars, {0: [act(13, 0, 1, 97, 98), act(13, 0, 1, 97, 95)]}, slippage=0.01)
    assert story.fills == [(1, "close 1", 1, 97), (2, "close 3", 1, 95)]
    assert when(int(story.orders[2]["t_trigger"])) == "close 1"


def test_f14_limit_if_touched__at_the_open() -> None:
    story = play([STILL, (96, 96, 80, 90), STILL], {0: [act(13, 0, 1, 97, 98), act(13, 0, 1, 97, 95)]})
    assert story.fills == [(1, "open 1", 1, 96)]  # the other one has triggered and rests
    assert story.ends[2] == ("cancelled", "end_of_data", "close 2")


@pytest.mark.parametrize(("path", "first"), [("high_first", 2), ("low_first", 1)])
def test_f12_f14_on_a_path(path: str, first: int) -> None:
    """Bought if it falls to 97 and sold if it rises to 103, in the order in which the price comes by."""
    story = play([STILL, (100, 105, 95, 99)], {0: [act(12, 0, 1, 97), act(12, 0, -1, 103)]}, path=path)
    assert [f[0] for f in story.fills] == [first, 3 - first]
    assert {f[0]: f[3] for f in story.fills} == {1: 97, 2: 103}


def test_f12_f14_limit_if_touched_on_a_path_is_a_limit_once_triggered() -> None:
    story = play([STILL, (100, 101, 90, 95)], {0: [act(13, 0, 1, 97, 95)]}, path="high_first")
    assert story.fills == [(1, "close 1", 1, 95)]


def test_p3_a_market_if_touched_goes_on_as_a_market_order() -> None:
    bars = [STILL, (100, 100, 97, 98), (99, 101, 99, 100), (100, 100, 100, 100)]
    story = play(bars, {0: [act(12, 0, 7, 97)]}, volume=30.0, participation=0.1)
    assert story.fills == [(1, "close 1", 3, 97), (1, "open 2", 3, 99), (1, "open 3", 1, 100)]


@pytest.mark.parametrize("stop_gap", ["open", "trigger", "close"])
def test_f11_says_nothing_of_orders_if_touched(stop_gap: str) -> None:
    story = play([STILL, (95, 99, 94, 96)], {0: [act(12, 0, 1, 97)]}, stop_gap=stop_gap)
    assert story.fills == [(1, "open 1", 1, 95)]


# --- trailing distances (F15, and the numbers that other engines test their own by)

CENTS = Grid(0.01, 100, 1.0)
TRAILS = {
    "sell, 100 bps, last 103": (act(14, 1, -1, d=100), 10102, 10300, 10197),
    "buy, 5 ticks of 0.01, last 98": (act(14, 0, 1, c=5), 9995, 9800, 9805),
    "sell, 1 in price, last 102": (act(5, 0, -1, 1.0), 10100, 10200, 10100),
    "buy, 1 in price, last 99: none": (act(5, 0, 1, 1.0), 9900, 9900, 10000),
}


@pytest.mark.parametrize("name", TRAILS)
def test_f15_trailing_distances(name: str) -> None:
    """From a trigger at 100.00: where the last price takes it."""
    order, close, last, wanted = TRAILS[name]
    first = play([(close,) * 4, (close,) * 4], {0: [market(-order[2]), order]}, grid=CENTS)
    assert int(first.orders[2]["trigger"]) == 10000
    low, high = sorted((close, last))
    moved = play([(close,) * 4, (close, high, low, last)], {0: [market(-order[2]), order]}, grid=CENTS)
    assert moved.ends[2][1] == "end_of_data"
    assert int(moved.orders[2]["trigger"]) == wanted


@pytest.mark.parametrize("ticks", [0.0, 2.5, -1.0, float("nan"), 2.0**53])
def test_f15_ticks_are_whole(ticks: float) -> None:
    assert play([STILL, STILL], {0: [act(14, 0, 1, c=ticks)]}).ends[1] == ("rejected", "invalid", "close 0")


@pytest.mark.parametrize("bps", [0.0, 10000.0, -1.0, float("nan")])
def test_f15_bps_are_a_fraction(bps: float) -> None:
    assert play([STILL, STILL], {0: [act(14, 1, 1, d=bps)]}).ends[1] == ("rejected", "invalid", "close 0")


@pytest.mark.parametrize(
    ("bar", "after", "fills"),
    [
        ((108, 108, 104, 106), STILL, [(1, "close 2", -1, 105)]),
        ((104, 104, 90, 95), STILL, [(1, "open 2", -1, 104)]),
        ((100, 120, 99, 100), (101, 104, 100, 102), [(1, "close 3", -1, 103)]),
        ((100, 101, 99, 100), (101, 103, 100, 102), []),
    ],
)
def test_f15_trailing_stop_limit(bar: Any, after: Any, fills: Any) -> None:
    """Five ticks behind the high: 95, then 105; its limit two ticks below the trigger that set it off."""
    story = play([STILL, (100, 110, 99, 108), bar, after], {0: [act(14, 2, -1, 0, 2.0, c=5)]}, slippage=0.01)
    assert story.fills == fills
    assert int(story.orders[1]["trigger"]) == 105
    assert int(story.orders[1]["price"]) == 103


@pytest.mark.parametrize("offset", [-1.0, float("nan"), float("inf")])
def test_f15_offset__invalid(offset: float) -> None:
    story = play([STILL, STILL], {0: [act(14, 2, -1, 0, offset, c=5)]})
    assert story.ends[1] == ("rejected", "invalid", "close 0")


def test_f15_offset__none_and_at_least_a_tick() -> None:
    story = play([STILL, (100, 100, 90, 95)], {0: [act(14, 4, -1, c=5, e=9.0 * DAY), act(14, 2, -1, 0, 0.3, c=5)]})
    assert [int(story.orders[k]["price"]) for k in (1, 2)] == [95, 94]


def test_f12_f15_trailing_stop_limit_on_a_path() -> None:
    """It follows to 110 on the first leg, triggers at 105 on the second, and takes there."""
    story = play([STILL, (100, 110, 96, 98)], {0: [act(14, 2, -1, 0, 2.0, c=5)]}, path="high_first")
    assert story.fills == [(1, "close 1", -1, 105)]


# --- the open and the close of a session (O12)

FOUR = [(100, 101, 99, 100), (101, 104, 100, 103), (105, 107, 102, 106), (107, 109, 105, 108)]


@pytest.mark.parametrize("market_fill", ["next_open", "same_close", "next_close", "next_typical"])
def test_o12_market_on_open(market_fill: str) -> None:
    """It waits for the first bar of the next session, and fills at the open whatever the fill model says."""
    story = play(FOUR, {0: [act(15, 0, 1)]}, sessions=[7, 7, 8, 8], market=market_fill)
    assert story.fills == [(1, "open 2", 1, 105)]


def test_o12_market_on_open__of_daily_bars_is_the_next_open() -> None:
    assert play(FOUR, {0: [act(15, 0, 1)]}, slippage=0.01).fills == [(1, "open 1", 1, 103)]  # 102.01 rounded up


def test_o12_limit_on_open() -> None:
    orders = [act(15, 1, 1, 106), act(15, 1, 1, 105)]
    story = play(FOUR, {0: orders}, sessions=[7, 7, 8, 8])
    assert story.fills == [(1, "open 2", 1, 105)]
    assert story.ends[2] == ("expired", "at_open", "close 2")


def test_o12_market_on_close() -> None:
    """At the close of the session's last bar, slipped; one decided there waits for the next session's."""
    closes = [2, 2, 2, 3]
    orders = {0: [act(15, 4, 1)], 2: [act(15, 4, 1)]}
    story = play(FOUR, orders, sessions=[7, 7, 7, 8], closes=closes, slippage=0.01)
    assert story.fills == [(1, "close 2", 1, 108), (2, "close 3", 1, 110)]


def test_o12_limit_on_close() -> None:
    orders = [act(15, 3, 1, 107), act(15, 3, 1, 106)]
    story = play(FOUR, {0: orders}, sessions=[7, 7, 7, 8], closes=[2, 2, 2, 3])
    assert story.fills == [(1, "close 2", 1, 106)]
    assert story.ends[2] == ("expired", "at_close", "close 2")


def test_o12_market_on_close__where_the_last_bar_is_missing() -> None:
    """Nothing says beforehand that a bar will be missing: the order ends when the next session has begun."""
    story = play(FOUR, {0: [act(15, 4, 1)]}, sessions=[7, 7, 7, 8], closes=[3, 3, 3, 3])
    assert story.fills == []
    assert story.ends[1] == ("expired", "at_close", "open 3")


def test_o12_market_on_close__reduce_only() -> None:
    story = play(FOUR, {0: [market(2), act(15, 2, -5)]})
    assert story.fills == [(1, "open 1", 2, 101), (2, "close 1", -2, 103)]


def test_f12_market_on_close__where_the_bar_is_its_close() -> None:
    story = play(FOUR, {0: [act(15, 4, 1), act(15, 0, 1)]}, path="close", market="next_close")
    assert story.fills == [(1, "close 1", 1, 103), (2, "close 1", 1, 103)]


def test_f9_market_on_close__comes_too_late_for_a_close_out_at_the_open() -> None:
    story = play(FOUR[:2], {0: [act(15, 4, 1)]}, close_out="last_open")
    assert story.fills == []
    assert story.ends[1] == ("cancelled", "end_of_data", "close 1")


def test_p1_market_on_close__what_the_volume_does_not_allow_ends() -> None:
    story = play(FOUR, {0: [act(15, 4, 7)]}, volume=30.0, participation=0.1)
    assert story.fills == [(1, "close 1", 3, 103)]
    assert story.ends[1] == ("expired", "at_close", "close 1")


def test_f10_market_on_close__beside_late_market_orders_by_id() -> None:
    orders = [market(1), act(15, 4, 1), market(1)]
    assert [f[:2] for f in play(FOUR, {0: orders}, market="next_close").fills] == [(k, "close 1") for k in (1, 2, 3)]


# --- good till a date (O11)


@pytest.mark.parametrize(("later", "ended"), [(0, True), (1, False)])
def test_o11_good_till_a_date(later: int, ended: bool) -> None:
    """The bar that opens at the instant does not see the order any more; one that opens a ns before it does."""
    until = 2 * DAY - KNOWN + later
    story = play([STILL, STILL, (100, 100, 90, 95)], {0: [act(16, 3, -1, 99, e=until), act(12, 3, 1, 97, e=until)]})
    assert [f[:2] for f in story.fills] == ([] if ended else [(2, "close 2")])
    assert story.ends[2] == (("expired", "gtd", "open 2") if ended else ("filled", "", "close 2"))


def test_o11_a_market_order_that_was_good_till_then() -> None:
    story = play([STILL, STILL], {0: [act(17, 2, 1, e=0.0)]})
    assert story.fills == []
    assert story.ends[1] == ("expired", "gtd", "open 1")


@pytest.mark.parametrize("until", [-float(KNOWN), -float(DAY)])
def test_o11_not_an_instant(until: float) -> None:
    assert play([STILL, STILL], {0: [act(17, 2, 1, e=until)]}).ends[1] == ("rejected", "invalid", "close 0")


# --- reduce only (O13)


def test_o13_reduce_only_beside_the_order_that_opens() -> None:
    """Cut at the fill to what there is to close; what it could not do is dropped."""
    story = play([STILL, (100, 101, 94, 96), STILL], {0: [market(3), act(17, 1, -5, 95)]})
    assert story.fills == [(1, "open 1", 3, 100), (2, "close 1", -3, 95)]
    assert story.ends[2] == ("filled", "", "close 1")


def test_o13_reduce_only_with_nothing_to_reduce() -> None:
    story = play([STILL, STILL], {0: [act(17, 0, -1), market(1), act(17, 0, 1)]})
    assert story.ends[1] == ("cancelled", "reduce_only", "open 1")
    assert story.ends[3] == ("cancelled", "reduce_only", "open 1")
    assert story.fills == [(2, "open 1", 1, 100)]


def test_o13_reduce_only_ends_with_the_position() -> None:
    story = play([STILL, STILL, STILL], {0: [market(3), act(17, 1, -3, 90)], 1: [market(-3)]})
    assert story.ends[2] == ("cancelled", "position_closed", "open 2")


# --- post only (O14)


@pytest.mark.parametrize(
    ("q", "price", "bar", "end"),
    [
        (1, 100, STILL, ("rejected", "post_only", "close 0")),
        (-1, 100, STILL, ("rejected", "post_only", "close 0")),
        (1, 99, (99, 101, 90, 95), ("rejected", "post_only", "open 1")),
        (1, 99, (95, 101, 90, 95), ("rejected", "post_only", "open 1")),
        (-1, 101, (101, 105, 99, 100), ("rejected", "post_only", "open 1")),
        (1, 99, (100, 101, 98, 95), ("filled", "", "close 1")),
        (1, 99, (100, 101, 99, 99), ("cancelled", "end_of_data", "close 1")),
    ],
)
def test_o14_post_only(q: int, price: int, bar: Any, end: tuple[str, str, str]) -> None:
    assert play([STILL, bar], {0: [act(16, 0, q, price)]}).ends[1] == end


def test_o14_post_only__fills_as_any_limit_once_it_rests() -> None:
    """The first bar stays far away from it, a later one opens beyond it."""
    story = play([STILL, STILL, STILL, (90, 92, 88, 90)], {0: [act(16, 0, 1, 95)]})
    assert story.fills == [(1, "open 3", 1, 90)]


def test_f12_o14_where_the_bar_is_its_close() -> None:
    story = play([STILL, (100, 101, 90, 95)], {0: [act(16, 0, 1, 95)]}, path="close", market="next_close")
    assert story.ends[1] == ("rejected", "post_only", "close 1")


# --- what an order shows, P5


def test_p5_displayed_part_in_a_bar() -> None:
    """Three in each bar that just reaches it, the rest in the bar that goes beyond."""
    just, beyond = (100, 101, 98, 100), (100, 101, 97, 100)
    story = play([STILL, just, just, beyond], {0: [act(16, 1, 10, 99, c=3)]})
    assert story.fills == [(1, "close 1", 3, 99), (1, "close 2", 3, 99), (1, "close 3", 4, 99)]


def test_p5_once_in_a_bar_whether_at_the_open_or_after() -> None:
    story = play([STILL, (98, 99, 98, 98), (98, 99, 97, 98)], {0: [act(16, 1, 10, 99, c=3)]})
    assert story.fills == [(1, "open 1", 3, 98), (1, "open 2", 7, 98)]


@pytest.mark.parametrize("path", ["stop_first", "high_first", "low_first"])
def test_p5_on_a_path(path: str) -> None:
    story = play([STILL, (100, 101, 98, 100), STILL], {0: [act(16, 1, 10, 99, c=3)]}, path=path)
    assert story.fills == [(1, "close 1", 3, 99)]


def test_p5_p1_the_smaller_of_both() -> None:
    just = (100, 101, 98, 100)
    story = play([STILL, just, just], {0: [act(16, 1, 10, 99, c=3)]}, volume=20.0, participation=0.1)
    assert [f[2] for f in story.fills] == [2, 2]


def test_p5_reduce_only_is_cut_first() -> None:
    just = (100, 103, 100, 100)
    story = play([STILL, STILL, just, just, just], {0: [market(5)], 1: [act(16, 4, -9, 102, c=2)]})
    assert [f[2] for f in story.fills] == [5, -2, -2, -1]
    assert story.ends[2] == ("filled", "", "close 4")


@pytest.mark.parametrize(("display", "reason"), [(0.0, "invalid"), (-1.0, "invalid"), (0.4, "below_lot")])
def test_p5_display__not_one(display: float, reason: str) -> None:
    story = play([STILL, STILL], {0: [act(16, 1, 10, 99, c=display)]})
    assert story.ends[1] == ("rejected", reason, "close 0")


# --- what the entry of a bracket is told (O5)


def test_o5_o11_a_brackets_entry_is_good_till_a_date() -> None:
    """c = 0.2 is a day: the third bar opens later; the exits end with it."""
    story = play([STILL] * 4, {0: [act(6, 6, 1, a=80, c=0.2, d=0.2, e=90)]})
    assert story.fills == []
    assert story.ends[1] == ("expired", "gtd", "open 2")
    assert [story.ends[k] for k in (2, 3)] == [("cancelled", "parent_ended", "open 2")] * 2


def test_o5_o14_a_brackets_entry_is_post_only() -> None:
    """Turned away at the close it is one order; at the open its exits end with it."""
    entry = act(6, 6, 1, a=80, c=0.2, d=0.2, e=100)
    assert play([STILL] * 3, {0: [entry]}).ends == {1: ("rejected", "post_only", "close 0")}
    late = play([STILL, (90, 95, 90, 95), STILL], {0: [act(6, 6, 1, a=80, c=0.2, d=0.2, e=95)]})
    assert late.ends[1] == ("rejected", "post_only", "open 1")
    assert [late.ends[k] for k in (2, 3)] == [("cancelled", "parent_ended", "open 1")] * 2


def test_o5_p5_a_brackets_entry_shows_a_part() -> None:
    """Of 4 lots 1.6 are shown, which is 1; the bar ends the rest, and the stop is for what has filled."""
    bars = [STILL, (100, 100, 89, 95), (95, 95, 85, 95), (95, 95, 60, 95)]
    story = play(bars, {0: [act(6, 7, 4, b=200, c=0.2, e=90)]}, sessions=[0, 1, 1, 2])
    assert story.fills == [(1, "close 1", 1, 90), (1, "close 2", 3, 90), (2, "close 3", -4, 72)]
    assert int(story.orders[1]["display"]) == 1


def test_o5_o12_a_bracket_enters_at_the_open_and_at_the_close() -> None:
    bars = [STILL, (101, 103, 99, 102), (104, 106, 103, 105), (105, 140, 60, 100)]
    opened = play(bars, {0: [act(6, 8, 1, c=0.2, d=0.2)]}, sessions=[0, 0, 1, 2])
    assert opened.fills == [(1, "open 2", 1, 104), (2, "close 3", -1, 83)]
    closed = play(bars, {0: [act(6, 9, 1, a=70, b=130, e=106)]}, closes=[1, 1, 2, 3], sessions=[0, 0, 1, 2])
    assert closed.fills == [(1, "close 1", 1, 102), (2, "close 3", -1, 70)]


# --- what the venue refuses (O15, S6)

LIMITS = {"min_quantity": 2.0, "max_quantity": 10.0, "min_notional": 500.0}


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        (market(1), "below_minimum"),
        (market(4), "below_minimum"),  # worth 400
        (market(5), ""),
        (market(10), ""),
        (market(11), "above_maximum"),
        (limit(5, 90), "below_minimum"),  # worth 450
        (limit(-5, 110), ""),
        (stop(5, 110), ""),
        (stop(-5, 90), "below_minimum"),
        (act(12, 0, 5, 90), "below_minimum"),
        (act(13, 0, 5, 105, 90), "below_minimum"),  # its limit counts
        (act(14, 0, -5, c=20), ""),  # at the close, wherever the trigger is
        (act(6, 1, 5, 90, 110), ""),
        (act(6, 1, 4, 90, 110), "below_minimum"),
    ],
)
def test_o15_sizes(order: Row, reason: str) -> None:
    story = play([STILL, STILL], {0: [order]}, limits=LIMITS)
    assert story.ends[1][:2] == (("rejected", reason) if reason else (story.ends[1][0], story.ends[1][1]))
    assert (story.ends[1][0] == "rejected") == bool(reason)


def test_o15_a_rejected_bracket_is_one_order() -> None:
    story = play([STILL, STILL], {0: [act(6, 1, 11, 90, 110), market(5)]}, limits=LIMITS)
    assert story.ends[1] == ("rejected", "above_maximum", "close 0")
    assert sorted(story.ends) == [1, 2]


def test_o15_no_minimum_for_what_closes() -> None:
    """The whole position, or reduce-only."""
    story = play([STILL] * 4, {0: [market(6)], 1: [act(17, 0, -1), market(-1)], 2: [market(-5)]}, limits=LIMITS)
    assert story.ends[3] == ("rejected", "below_minimum", "close 1")
    assert [f[2] for f in story.fills] == [6, -1, -5]


@pytest.mark.parametrize(
    "order", [limit(1, 99.5), stop(1, 105.5), act(4, 0, 1, 105, 106.5), act(12, 0, 1, 97.5), act(6, 1, 1, 90.5, 110)]
)
def test_o15_off_tick(order: Row) -> None:
    assert play([STILL, STILL], {0: [order]}, limits={"off_tick": True}).ends[1] == (
        "rejected", "off_tick", "close 0"
    )  # fmt: skip
    assert play([STILL, STILL], {0: [order]}).ends[1][1] != "off_tick"


def test_q4_a_price_within_a_millionth_of_a_tick_is_on_the_grid() -> None:
    assert play([STILL, STILL], {0: [limit(1, 99.0000009)]}, limits={"off_tick": True}).ends[1][1] == "end_of_data"


def test_q4_a_price_below_half_a_tick_is_off_the_grid() -> None:
    """Q2 would raise it to one tick."""
    assert play([STILL, STILL], {0: [limit(1, 0.4)]}, limits={"off_tick": True}).ends[1][1] == "off_tick"
    assert play([STILL, STILL], {0: [limit(1, 0.4)]}).ends[1][1] == "end_of_data"


def test_s6_targets() -> None:
    """Too small a target order is not given, too large a one comes in parts."""
    target = {0: [act(7, 0, 4)], 1: [act(7, 0, 25)], 2: [act(7, 0, 25)], 3: [act(7, 0, 25)], 4: [act(7, 0, 0)]}
    story = play([STILL] * 6, target, limits=LIMITS)
    assert [f[2] for f in story.fills] == [10, 10, 5, -10]


# --- new numbers for a live order (O16)


def test_o16_price() -> None:
    """It keeps its id and meets the bar after the decision."""
    bars = [STILL, (100, 101, 97, 100), (100, 101, 97, 100)]
    story = play(bars, {0: [limit(1, 90)], 1: [act(18, 1, 1, 99)]})
    assert story.fills == [(1, "close 2", 1, 99)]
    assert when(int(story.orders[1]["t_replace"])) == "close 1"


@pytest.mark.parametrize(
    ("quantity", "lots", "end"), [(6, [4, 2], "filled"), (4, [4], "cancelled"), (3, [4], "cancelled")]
)
def test_o16_quantity_is_the_total(quantity: int, lots: list[int], end: str) -> None:
    story = play([STILL] * 4, {0: [market(10)], 1: [act(18, 0, 1, c=quantity)]}, volume=40.0, participation=0.1)
    assert [f[2] for f in story.fills] == lots
    assert story.ends[1][:2] == (end, "user" if end == "cancelled" else "")


def test_o16_quantity__an_order_keeps_its_side() -> None:
    story = play([STILL] * 3, {0: [act(2, 0, -1, 103), act(18, 0, 1, c=5)], 1: [act(18, 1, 1, 99)]})
    assert story.fills == [(1, "open 2", -5, 100)]


def test_o16_a_brackets_stop_moves_to_where_it_was_bought() -> None:
    """With its target left alone, and before it wakes as well: it is no longer anchored to the fill."""
    bars = [STILL, STILL, (100, 104, 100, 103), (103, 103, 99, 100)]
    story = play(bars, {0: [act(6, 1, 1, 90, 110)], 2: [act(18, 2, 2, 0, 100)]})
    assert story.fills == [(1, "open 1", 1, 100), (2, "close 3", -1, 100)]
    assert story.ends[3] == ("cancelled", "oco", "close 3")
    early = play(bars, {0: [act(6, 0, 1, c=0.5, d=0.5), act(18, 2, 2, 0, 100)]})
    assert early.fills == [(1, "open 1", 1, 100), (2, "close 1", -1, 100)]


@pytest.mark.parametrize(
    ("orders", "replacement"),
    [
        ([limit(1, 90)], act(18, 1, 2, 99)),  # no such order
        ([limit(1, 90)], act(18, 1, 1, float("nan"))),
        ([limit(1, 90)], act(18, 1, 1, -5)),
        ([limit(1, 90)], act(18, 2, 1, 0, 99)),  # it has no trigger
        ([limit(1, 90)], act(18, 0, 1, c=0.2)),
        ([stop(1, 110)], act(18, 1, 1, 99)),  # it has no limit
        ([act(6, 1, 1, 90, 110)], act(18, 0, 2, c=1)),  # an exit follows its entry
        ([act(14, 0, -1, c=20)], act(18, 2, 1, 0, 99)),
        ([act(7, 0, 5)], act(18, 0, 1, c=1)),  # a target's order
        ([act(16, 0, 1, 90)], act(18, 1, 1, 100)),  # post-only, and the close is there
    ],
)
def test_o16_what_is_not_replaced(orders: list[Row], replacement: Row) -> None:
    bars = [STILL] * 3
    plain_story = play(bars, {0: orders})
    story = play(bars, {0: [*orders, replacement]})
    assert (story.fills, story.ends) == (plain_story.fills, plain_story.ends)
    assert all(int(o["t_replace"]) == 0 for o in story.orders.values())
    assert {k: o.tobytes() for k, o in story.orders.items()} == {k: o.tobytes() for k, o in plain_story.orders.items()}


@pytest.mark.parametrize("replacement", [act(18, 0, 1, c=3), act(18, 0, 1, c=11), act(18, 3, 1, 90, c=5)])
def test_o16_the_venue_judges_the_new_numbers(replacement: Row) -> None:
    story = play([STILL] * 3, {0: [limit(6, 95), replacement]}, limits=LIMITS)
    assert int(story.orders[1]["t_replace"]) == 0


def test_o15_a_trailing_order_is_worth_the_close_once_triggered_too() -> None:
    """Its limit lies at 94, the close at 90: 2 lots are worth 180, and 3 are 270."""
    low = (90, 90, 90, 90)
    bars = [STILL, STILL, (90, 92, 88, 90), low, low]
    actions = {0: [market(3)], 1: [act(14, 2, -3, b=1.0, c=5.0)], 3: [act(18, 0, 2, c=2.0)]}
    for least, lots in ((185.0, -3), (175.0, -2)):
        order = play(bars, actions, limits={"min_notional": least}).orders[2]
        assert (int(order["price"]), int(order["lots"])) == (94, lots)


def test_o16_what_is_to_be_no_more_than_has_filled_ends_as_it_stands() -> None:
    actions = {0: [limit(5, 102)], 2: [act(18, 3, 1, a=90, c=2.0)]}
    order = play([STILL] * 4, actions, volume=2.0, participation=1.0).orders[1]
    assert (L.REASONS[order["reason"]], int(order["filled"])) == ("user", 4)
    assert (int(order["lots"]), int(order["price"]), int(order["t_replace"])) == (5, 102, 0)


def test_o16_post_only_arrives_anew() -> None:
    bars = [STILL, STILL, (97, 98, 96, 97)]
    story = play(bars, {0: [act(16, 0, 1, 90)], 1: [act(18, 1, 1, 99)]})
    assert story.ends[1] == ("rejected", "post_only", "open 2")


# --- what holds of every order of any program


def bar_of(bars: Bars, fill: Any) -> int:
    """The bar in which a fill was matched (T3, F10)."""
    if fill["rule"] == L.OPEN_FILL:
        return bars.open_at.index(int(fill["time"]))
    return bars.known_at.index(int(fill["time"])) + int(fill["rule"] == L.FORMER_FILL)


def check_fill(case: Case, order: Any, fill: Any, bar: int, before: int) -> None:
    """What an order was told binds each of its fills."""
    bars, after = case.bars, before + int(fill["lots"])
    close_only = case.config.path == "close"
    if order["tif"] == L.GTD:
        assert bars.open_at[bar] < order["t_expire"]
    if order["tif"] == L.ON_OPEN:
        assert bar == 0 or bars.session[bar] != bars.session[bar - 1]
        assert fill["reference"] == (bars.c if close_only else bars.o)[bar]
    if order["tif"] == L.ON_CLOSE:
        assert bars.known_at[bar] >= case.closes[bar]
        assert fill["reference"] == bars.c[bar]
    if order["marks"] & L.REDUCE:
        assert abs(after) < abs(before)
        assert before * after >= 0
    if order["t_replace"] == 0 and order["kind"] in (L.LIMIT, L.STOP_LIMIT, L.LIMIT_TOUCHED, L.TRAILING_LIMIT):
        assert (fill["ticks"] - order["price"]) * np.sign(order["lots"]) <= 0
    if order["t_replace"] == 0 and order["marks"] & L.POST:
        first = int(np.searchsorted(bars.open_at, order["t_submit"]))
        assert bar > first or (fill["ticks"] == order["price"] and not close_only)
    if order["t_replace"] == 0 and order["display"]:
        high, low = (bars.c, bars.c) if close_only else (bars.h, bars.l)
        thr = 1 if case.config.limit == "through" else 0
        buys = order["lots"] > 0
        beyond = low[bar] < order["price"] - thr if buys else high[bar] > order["price"] + thr
        assert beyond or abs(fill["lots"]) <= order["display"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases(calm=True))
def test_what_an_order_was_told_binds_every_fill(case: Case) -> None:
    logs, *_ = run_engine(case)
    orders = {int(o["id"]): o for o in logs.orders}
    assert len(orders) == len(logs.orders)
    filled, in_bar, held = dict.fromkeys(orders, 0), set(), 0
    for fill in logs.fills:
        order, bar = orders[int(fill["order"])], bar_of(case.bars, fill)
        check_fill(case, order, fill, bar, held)
        held += int(fill["lots"])
        filled[int(fill["order"])] += int(fill["lots"])
        assert held == int(fill["position"])
        key = int(fill["order"]), bar
        assert key not in in_bar  # no order fills twice in a bar
        in_bar.add(key)
    for number, order in orders.items():
        assert order["filled"] == filled[number]
        if order["t_replace"] == 0:
            assert abs(order["filled"]) <= abs(order["lots"])
        if order["reason"] in (L.R_OFF_TICK, L.R_ABOVE, L.R_MINIMUM, L.R_POST):
            assert order["filled"] == 0
            assert order["status"] == L.REJECTED


# --- on a calendar, with the user's own data


@kk.strategy
def closing(ctx):  # type: ignore[no-untyped-def]
    if ctx.i == 0:
        ctx.market_on_close(1.0)
        ctx.market_on_open(2.0)


@kk.strategy
def for_an_hour(ctx, hours=1.0):  # type: ignore[no-untyped-def]
    if ctx.i == 0:
        ctx.limit(1.0, 50.0, expires=ctx.time + 3600 * 10**9, reduce_only=False)
        ctx.limit(1.0, 50.0, expires=ctx.time + 3600e9 * hours, tif="GTD")
        ctx.limit(1.0, 50.0, expires=float("nan"))


def half_day() -> xr.Dataset:
    """Half hours of the day after Thanksgiving 2023, which closed at 13:00 in New York, and of the Monday after."""
    days = [("2023-11-24 09:30", 7), ("2023-11-27 09:30", 13)]
    index = pd.DatetimeIndex(np.concatenate([pd.date_range(d, periods=n, freq="30min").to_numpy() for d, n in days]))
    price = 100.0 + np.arange(len(index))
    frame = pd.DataFrame({"open": price, "high": price + 1, "low": price - 1, "close": price + 0.5}, index)
    reading = {"label": "open", "bar": "30min", "calendar": "XNYS", "tz": "America/New_York", "tick_size": 0.5}
    bars: xr.Dataset = kk.data.from_pandas(frame.assign(volume=1000.0), **reading)
    return bars


@pytest.fixture(autouse=True)
def own_ledger(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".kernelkit").mkdir()
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("debug", [False, True])
def test_o12_the_calendar_says_which_bar_is_the_last(debug: bool) -> None:
    fills = kk.fills(kk.backtest(half_day(), closing, debug=debug))
    assert fills["time"].tolist() == [pd.Timestamp("2023-11-24 18:00"), pd.Timestamp("2023-11-27 14:30")]
    assert fills["price"].tolist() == [106.5, 107.0]
    assert fills["at"].tolist() == ["bar", "open"]


def test_o12_bars_cut_before_the_close_do_not_take_an_earlier_bar_for_the_last() -> None:
    res = kk.backtest(half_day().isel(time=slice(0, 6)), closing)
    assert kk.orders(res)["reason"].tolist() == ["end_of_data"] * 2


def test_o12_without_a_calendar() -> None:
    bars = half_day().assign_attrs(calendar="")
    with pytest.raises(DataError, match="orders at the close: found bars without a calendar"):
        kk.backtest(bars, closing)
    assert int(kk.backtest(bars, lives)["n_fills"]) == 2  # others do not ask for it


def test_o12_a_run_that_is_saved_and_taken_up_again(tmp_path: Any) -> None:
    bars = half_day()
    whole = kk.backtest(bars, closing)
    run = kk.start(bars.isel(time=slice(0, 4)), closing)
    run.save(tmp_path / "run")
    again = kk.resume(tmp_path / "run", closing)
    again.feed(bars)
    pd.testing.assert_frame_equal(kk.fills(again.result()), kk.fills(whole))


@pytest.mark.parametrize("debug", [False, True])
def test_o11_instants_are_whole_ns_or_numbers(debug: bool) -> None:
    """`ctx.time` and what is added to it stay whole; a float that is close enough is one as well."""
    bars = half_day()
    orders = kk.orders(kk.backtest(bars, for_an_hour, debug=debug))
    hour = pd.Timestamp(bars["known_at"].values[0]) + pd.Timedelta("1h")
    assert orders["reason"].tolist() == ["gtd", "gtd", "invalid"]
    assert orders["ended"].tolist()[:1] == [hour]
    assert orders["expires"].tolist()[0] == hour


# --- several assets, one account (X2, X4)


@kk.strategy
def alone(ctx):  # type: ignore[no-untyped-def]
    if ctx.i == 0:
        ctx.market_on_close(3.0)
        ctx.limit(2.0, 90.0, display=1.0, post_only=True)
        ctx.limit_if_touched(1.0, 99.5, 100.0, expires=ctx.time + 3600 * 10**9)
    if ctx.i == 3:
        ctx.replace(2, price=102.0, quantity=4.0)
    if ctx.i == 7:
        ctx.trailing_stop_limit(-2.0, 1.0, ticks=1, tif="DAY")
        ctx.market_if_touched(-9.0, 112.0, reduce_only=True)
        ctx.limit_on_open(1.0, 90.0)


@kk.portfolio
def together(ctx):  # type: ignore[no-untyped-def]
    if ctx.i == 0:
        ctx[1].market_on_close(3.0)
        ctx[1].limit(2.0, 90.0, display=1.0, post_only=True)
        ctx[1].limit_if_touched(1.0, 99.5, 100.0, expires=ctx.time + 3600 * 10**9)
    if ctx.i == 3:
        ctx.replace(2, price=102.0, quantity=4.0)
    if ctx.i == 7:
        ctx[1].trailing_stop_limit(-2.0, 1.0, ticks=1, tif="DAY")
        ctx[1].market_if_touched(-9.0, 112.0, reduce_only=True)
        ctx[1].limit_on_open(1.0, 90.0)


def two() -> xr.Dataset:
    """`half_day` twice, the second asset a little different."""
    bars = half_day()
    frame = bars.isel(asset=0)[["open", "high", "low", "close", "volume"]].to_dataframe()
    frame = frame[["open", "high", "low", "close", "volume"]].tz_localize("UTC")
    dip = frame.copy()
    dip.loc[dip.index[[5, 9]], "low"] -= 2.5
    reading = {"label": "open", "bar": "30min", "calendar": "XNYS", "tick_size": 0.5, "lot_size": 1.0}
    made: xr.Dataset = kk.data.from_pandas({"A": frame, "B": dip}, **reading)
    return made


@pytest.mark.parametrize("debug", [False, True])
def test_x2_an_asset_of_a_portfolio_is_served_as_if_it_were_alone(debug: bool) -> None:
    bars = two()
    one = kk.backtest(bars.isel(asset=slice(1, 2)), alone, debug=debug)
    both = kk.backtest(bars, together, debug=debug)
    pd.testing.assert_frame_equal(kk.fills(one), kk.fills(both))
    pd.testing.assert_frame_equal(kk.orders(one), kk.orders(both))
    pd.testing.assert_frame_equal(kk.orders(one, history=True), kk.orders(both, history=True))
    assert kk.orders(one)["reason"].tolist() == ["", "end_of_data", "gtd", "", "", "end_of_data"]
    assert kk.orders(one)["filled"].tolist() == [3.0, 1.0, 0.0, 2.0, 2.0, 0.0]


@kk.portfolio
def rivals(ctx):  # type: ignore[no-untyped-def]
    if ctx.i == 0:
        ctx[0].limit(900.0, 200.0)
        ctx[1].limit(900.0, 100.5, post_only=True)


def test_x5_a_post_only_order_that_is_turned_away_takes_no_share_of_the_cash() -> None:
    """It is there when cash is shared out, but would not fill."""
    orders = kk.orders(kk.backtest(two(), rivals, account=kk.Account(cash=1e5)))
    assert orders["filled"].tolist() == [900.0, 0.0]
    assert orders["reason"].tolist() == ["", "post_only"]


def test_a_table_keeps_the_closes_of_its_sessions_on_the_way_to_another_process() -> None:
    table, _ = table_of(half_day(), 0, [], True)
    again = pickle.loads(pickle.dumps(table))
    assert again.closing == table.closing == len(table.columns) - 1
    assert again.record[3] == table.closing


# --- why orders end, in words (O6)


def test_o6_every_reason_has_a_sentence_that_names_its_rule() -> None:
    assert [r.text for r in Reason] == list(L.REASONS)
    assert all("(" in r.sentence and r.sentence.endswith(").") for r in Reason if r)
    assert len({r.sentence for r in Reason}) == len(Reason)


@kk.strategy
def lives(ctx):  # type: ignore[no-untyped-def]
    if ctx.i == 0:
        ctx.limit(10.0, 90.0)
        ctx.stop_limit(4.0, 101.0, 105.0)
        ctx.limit(0.0, 90.0)
    if ctx.i == 1:
        ctx.replace(1, price=104.0)


def history(res: Any, order: int, *columns: str) -> list[tuple[Any, ...]]:
    events = kk.orders(res, history=True)
    rows = events.loc[events["order"] == order, list(columns)].itertuples(index=False, name=None)
    return [tuple(None if value != value else value for value in row) for row in rows]  # of what it does not have


def test_o17_each_move_of_a_trailing_stop_and_each_replacement() -> None:
    """Of several replacements in one decision the last one counts."""

    @kk.strategy
    def moves(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx.trailing_stop(-2.0, trail=1.0)
            ctx.limit(3.0, 50.0)
        elif ctx.i < 4:
            ctx.replace(2, price=50.0 + ctx.i)
            ctx.replace(2, quantity=4.0 + ctx.i)

    index = pd.date_range("2024-01-01", periods=6, freq="1D")
    frame = pd.DataFrame({"open": [100.0, 101.0, 102.0, 101.5, 103.0, 102.0]}, index)
    frame["high"], frame["low"], frame["close"], frame["volume"] = (
        frame["open"] + 0.5,
        frame["open"],
        frame["open"],
        1.0,
    )
    bars = kk.data.from_pandas(frame, label="open", bar="1D", calendar="24/7", tick_size=0.01)
    res = kk.backtest(bars, moves)
    assert history(res, 1, "event", "trigger", "price") == [
        ("submitted", 99.0, None),
        ("trailed", 100.5, None),
        ("trailed", 101.5, None),
        ("triggered", 101.5, None),
        ("filled", 101.5, 101.5),
    ]
    assert history(res, 2, "event", "quantity", "limit") == [
        ("submitted", 3.0, 50.0),
        ("replaced", 5.0, 51.0),
        ("replaced", 6.0, 52.0),
        ("replaced", 7.0, 53.0),
        ("cancelled", 7.0, 53.0),
    ]


@pytest.mark.parametrize("debug", [False, True])
def test_o17_nothing_happens_to_an_order_after_its_end(debug: bool) -> None:
    """A cancel takes effect within a bar that moves the one's trigger and sets the other off."""

    @kk.strategy
    def takes_back(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx.trailing_stop(-2.0, trail=1.0)
            ctx.stop_limit(2.0, 102.4, 99.0)
        elif ctx.i == 1:
            ctx.cancel(1)
            ctx.cancel(2)

    index = pd.date_range("2024-01-01", periods=5, freq="1D")
    frame = pd.DataFrame({"open": [100.0, 101.0, 102.0, 103.0, 104.0]}, index)
    frame = frame.assign(high=frame["open"] + 0.5, low=frame["open"], close=frame["open"], volume=1.0)
    bars = kk.data.from_pandas(frame, label="open", bar="1D", calendar="24/7", tick_size=0.01)
    res = kk.backtest(bars, takes_back, venue=kk.Venue(latency="6h"), debug=debug)
    day, late = pd.Timestamp("2024-01-02"), pd.Timedelta("6h")
    end = day + pd.Timedelta("1D") + late
    assert history(res, 1, "time", "event", "trigger") == [
        (day, "submitted", 99.0),
        (day + late, "arrived", 99.0),
        (end, "trailed", 101.5),
        (end, "cancelled", 101.5),
    ]
    assert history(res, 2, "time", "event")[2:] == [(end, "triggered"), (end, "cancelled")]
    orders = kk.orders(res)
    assert orders["ended"].tolist() == [end, end]
    assert orders["triggered"].tolist()[1] == end


def test_o17_no_row_is_lost_where_the_log_is_short() -> None:
    """Forty trailing stops that move with every bar, and as many orders that are replaced."""

    @kk.strategy
    def crowd(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            for _ in range(30):
                ctx.trailing_stop(-1.0, ticks=5)
                ctx.limit(1.0, 0.5)
        for k in range(30):
            ctx.replace(2.0 * k + 2.0, price=0.5 + 0.01 * ctx.i)

    n = 60
    index = pd.date_range("2024-01-01", periods=n, freq="1D")
    level = 100.0 + np.arange(n)
    frame = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), level) | {"volume": 1.0}, index)
    bars = kk.data.from_pandas(frame, label="open", bar="1D", calendar="24/7", tick_size=0.01)
    with mock.patch.object(Recorder, "ROWS", 8):
        events = kk.orders(kk.backtest(bars, crowd), history=True)
    assert events["event"].value_counts().to_dict() == {
        "submitted": 60,
        "trailed": 30 * (n - 1),
        "replaced": 30 * n,
        "cancelled": 60,
    }
    assert events["time"].is_monotonic_increasing


@pytest.mark.parametrize("debug", [False, True])
def test_o17_an_order_on_its_way_arrives(debug: bool) -> None:
    venue = kk.Venue(latency="6h")

    @kk.strategy
    def sends(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx.limit(1.0, 50.0)
            ctx.limit(2.0, 50.0)
            ctx.cancel(2)
        elif ctx.i == 1:
            ctx.replace(1, quantity=3.0)

    index = pd.date_range("2024-01-01", periods=5, freq="1D")
    frame = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), [100.0] * 5) | {"volume": 1.0}, index)
    bars = kk.data.from_pandas(frame, label="open", bar="1D", calendar="24/7", tick_size=0.01)
    res = kk.backtest(bars, sends, venue=venue, debug=debug)
    day, late = pd.Timestamp("2024-01-02"), pd.Timedelta("6h")
    one = pd.Timedelta("1D")
    assert history(res, 1, "time", "event", "quantity") == [
        (day, "submitted", 1.0),
        (day + late, "arrived", 1.0),
        (day + one + late, "replaced", 3.0),
        (day + 4 * one, "cancelled", 3.0),
    ]
    assert [event for (event,) in history(res, 2, "event")] == ["submitted", "arrived", "cancelled"]


def test_o6_history() -> None:
    venue = kk.Venue(participation=0.006)  # six lots a bar
    bars = half_day()
    res = kk.backtest(bars, lives, venue=venue)
    events = kk.orders(res, history=True)
    known = bars["known_at"].values
    assert list(zip(events["order"], events["event"], events["quantity"], strict=True)) == [
        (1, "submitted", 10.0),
        (2, "submitted", 4.0),
        (3, "submitted", 0.0),
        (3, "rejected", 0.0),
        (2, "triggered", 4.0),
        (2, "filled", 4.0),
        (1, "replaced", 10.0),
        (1, "filled in part", 6.0),
        (1, "filled", 4.0),
    ]
    assert events["time"].tolist()[6] == pd.Timestamp(known[1])
    limits, triggers = [90.0, 105.0, 104.0], [101.0]
    assert events.loc[[0, 1, 6], "limit"].tolist() == limits
    assert events["trigger"].dropna().unique().tolist() == triggers
    assert events["sentence"].tolist()[3] == Reason.BELOW_LOT.sentence
    assert events["price"].dropna().tolist() == [101.0, 102.0, 103.0]
    orders = kk.orders(res)
    assert orders["sentence"].tolist() == ["It was filled."] * 2 + [Reason.BELOW_LOT.sentence]
    assert orders["replaced"].tolist()[0] == pd.Timestamp(known[1])


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"min_quantity": 0.0}, "min_quantity of the venue"),
        ({"max_quantity": float("nan")}, "max_quantity of the venue"),
        ({"min_notional": True}, "min_notional of the venue"),
        ({"min_quantity": 3.0, "max_quantity": 2.0}, "no more than max_quantity"),
        ({"off_tick": "up"}, "one of round, reject"),
    ],
)
def test_o15_a_venue_that_is_none(wrong: dict[str, Any], text: str) -> None:
    with pytest.raises(OrderError, match=text):
        kk.Venue(**wrong)


def test_o15_a_venues_limits_reach_the_engine() -> None:
    venue = kk.Venue(min_quantity=5.0, off_tick="reject")
    orders = kk.orders(kk.backtest(half_day(), lives, venue=venue))
    assert orders["reason"].tolist()[1:] == ["below_minimum", "below_lot"]


def test_o15__what_is_off_the_grid_says_what_it_asked_for() -> None:
    bars = kk.data.load("synthetic_minute").isel(time=slice(0, 40))

    @kk.strategy
    def asks(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 1:
            ctx.limit(-3.0, ctx.close[0] + 0.00001)
            ctx.bracket(2.0, stop=ctx.close[0] - 0.00001)
            ctx.limit(5.0, -1.0)
            ctx.limit(1e300, 1.0)

    orders = kk.orders(kk.backtest(bars, asks, venue=kk.Venue(off_tick="reject")))
    assert orders["reason"].tolist() == ["off_tick", "off_tick", "invalid", "invalid"]
    assert orders["quantity"].tolist() == [3.0, 2.0, 5.0, 0.0]
    assert orders["side"].tolist() == ["sell", "buy", "buy", ""]
    assert orders["limit"].isna().all()


def test_o5_a_part_of_a_lot_is_on_no_side() -> None:
    @kk.strategy(warmup=0)
    def part(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx.sell(0.2)
            ctx.sell(2.0)

    found = kk.orders(kk.backtest(half_day(), part))
    assert found[["side", "quantity", "reason"]].values.tolist() == [["", 0.0, "below_lot"], ["sell", 2.0, ""]]


@kk.strategy
def busy(ctx, n=20):  # type: ignore[no-untyped-def]
    if ctx.position == 0.0 and ctx.close[0] > ctx.close.sma(n):
        ctx.cancel_all()
        ctx.bracket(10.0, stop_loss=0.02, take_profit=0.03)
        ctx.trailing_stop(-5.0, fraction=0.01)


@pytest.mark.parametrize("kind", ["walk-forward", "run", "cell"])
def test_o17_every_order_begins_and_ends_in_its_history(kind: str) -> None:
    bars = kk.data.load("sp500_index").isel(time=slice(0, 1200))
    if kind == "walk-forward":
        res = kk.walk_forward(bars, busy, grid={"n": [10, 40]}, train="2Y", test="1Y")
    elif kind == "run":
        res = kk.start(bars.isel(time=slice(0, 700)), busy).feed(bars).result()
    else:
        res = kk.backtest(bars, busy, grid={"n": [10, 40]}).sel(n=40)
    events, orders = kk.orders(res, history=True), kk.orders(res).set_index("order")
    assert len(orders) > 12
    by_order = events.groupby("order")
    assert (by_order["event"].first() == "submitted").all()
    pd.testing.assert_series_equal(by_order["event"].last(), orders["status"], check_names=False)
    pd.testing.assert_series_equal(by_order["time"].last(), orders["ended"], check_names=False, check_dtype=False)
    moves = events[events["event"] == "trailed"].groupby("order")["trigger"]
    assert moves.apply(lambda level: level.is_monotonic_increasing and level.is_unique).all()
