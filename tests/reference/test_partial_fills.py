"""Hand-worked partial fills: volume, remainders, triggered stops, costs and cash (P1-P3, FOK)."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from tests.reference import Config, ModelView, View, models
from tests.reference.worked import HALF_LOTS, Ohlc, daily, ends, flat, noting, order, play, prices, thin

OPEN, RANGE = "open", "intrabar"
SWING = (100, 110, 90, 100)


@pytest.mark.parametrize("participation", [0.0, -0.1, 1.0001, math.nan, math.inf])
def test_p1__a_share_outside_0_to_1_is_refused(participation: float) -> None:
    with pytest.raises(ValueError, match=r"^Config\.participation"):
        Config(participation=participation)


def test_p1__bars_without_a_known_volume_are_refused() -> None:
    bars = daily(*flat(100, 3), volume=[1.0, 1.0, math.nan])
    with pytest.raises(ValueError, match="no known volume"):
        play(bars, {}, Config(participation=0.5))
    assert play(bars, {}).position == [0, 0, 0]
    assert play(bars, {}, Config(participation=0.5, end=2)).position == [0, 0]


def test_p1__the_share_is_rounded_down_to_lots() -> None:
    # 0.25 * 7.9 = 1.975 units are 3.95 lots of half a unit
    bars = daily(*flat(100, 3), volume=[100.0, 7.9, 100.0])
    outcome = play(bars, {0: lambda ctx: ctx.buy(10)}, Config(participation=0.25), HALF_LOTS)
    assert outcome.position == [0, 3, 20]


def test_p2__a_5_lot_order_filled_3_1_1_holds_5_and_has_paid_for_5() -> None:
    bars = [*flat(100, 2), (101, 101, 101, 101), (103, 103, 103, 103), (104, 104, 104, 104)]
    outcome = thin([9, 3, 1, 1, 9], {0: lambda ctx: ctx.buy(5)}, *bars, cash=1000.0, fee=lambda m: 0.5)
    assert prices(outcome) == [(1, 3, 100, OPEN), (1, 1, 101, OPEN), (1, 1, 103, OPEN)]
    assert outcome.position == [0, 3, 4, 5, 5]
    assert outcome.cash == [1000.0, 699.5, 598.0, 494.5, 494.5]
    assert outcome.equity == [1000.0, 999.5, 1002.0, 1009.5, 1014.5]
    record = order(outcome, 1)
    assert (record["status"], record["lots"], record["filled"], record["fees"]) == ("filled", 5, 5, 1.5)
    assert record["t_end"] == outcome.fills[-1]["time"] == daily(*bars).open_at[3]


def test_p1__orders_share_the_volume_of_a_bar_in_id_order_whatever_their_side() -> None:
    plan = {0: lambda ctx: (ctx.buy(3), ctx.sell(4), ctx.buy(1))}
    assert prices(thin([9, 5, 5], plan)) == [
        (1, 3, 100, OPEN),
        (2, -2, 100, OPEN),
        (2, -2, 100, OPEN),
        (3, 1, 100, OPEN),
    ]


def test_p1__the_open_takes_from_the_volume_before_the_range_does() -> None:
    plan = {0: lambda ctx: (ctx.limit(3, 95), ctx.buy(2))}
    outcome = thin([9, 4, 9], plan, *flat(100), SWING, SWING)
    assert prices(outcome) == [(2, 2, 100, OPEN), (1, 2, 95, RANGE), (1, 1, 95, RANGE)]


def test_p1__close_outs_and_ruin_neither_ask_nor_count() -> None:
    plan = {0: lambda ctx: ctx.buy(5)}
    at_open = thin([9, 2, 1], plan, *flat(100, 2), (100, 100, 100, 90), close_out="last_open")
    assert prices(at_open) == [(1, 2, 100, OPEN), (1, 1, 100, OPEN), (2, -3, 100, OPEN)]
    at_close = thin([9, 2, 0], plan, *flat(100, 2), (100, 100, 100, 90), close_out="last_close")
    assert prices(at_close) == [(1, 2, 100, OPEN), (2, -2, 90, RANGE)]
    for outcome, filled in ((at_open, 3), (at_close, 2)):
        assert ends(outcome) == [(1, "cancelled", "end_of_data"), (2, "filled", "")]
        assert (order(outcome, 1)["filled"], outcome.position[-1]) == (filled, 0)
    ruined = thin([9, 4, 0, 9], plan, *flat(100, 2), *flat(1, 2), cash=300.0, cash_rule="debt")
    assert (ends(ruined), order(ruined, 1)["filled"]) == ([(1, "cancelled", "ruin")], 4)
    assert ruined.position == [0, 4, 0, 0]


def test_p2__without_volume_no_model_is_asked_and_slippage_is_for_what_it_allows() -> None:
    slips: list[ModelView] = []
    fees: list[ModelView] = []
    thin([9, 3, 0, 1, 9], {0: lambda ctx: ctx.buy(5)}, slippage=noting(slips, 0.0), fee=noting(fees, 0.5))
    assert [(m.quantity, m.filled, m.paid) for m in slips] == [(3.0, 0.0, 0.0), (1.0, 3.0, 0.5), (1.0, 4.0, 1.0)]
    assert {(m.quantity, m.filled, m.paid) for m in fees} == {(m.quantity, m.filled, m.paid) for m in slips}


def test_c4__the_minimum_fee_counts_once_an_order() -> None:
    # 0.0075 * 230 = 1.725 is below the minimum; 400 units cost 3.0, 500 cost 3.75
    outcome = thin([9, 230, 170, 999], {0: lambda ctx: ctx.buy(500)}, fee=models.per_unit_fee(0.0075, 2.5))
    assert [fill["lots"] for fill in outcome.fills] == [230, 170, 100]
    assert [fill["fee"] for fill in outcome.fills] == pytest.approx([2.5, 0.5, 0.75], abs=1e-12)
    assert order(outcome, 1)["fees"] == pytest.approx(3.75, abs=1e-12)
    fixed = thin([9, 230, 170, 999], {0: lambda ctx: ctx.buy(500)}, fee=models.fixed_fee(2.0))
    assert [fill["fee"] for fill in fixed.fills] == [2.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("rule", "position", "end"),
    [
        ("reduce", [0, 6, 10, 10], ("cancelled", "cut_cash")),
        ("reject", [0, 6, 6, 6], ("rejected", "insufficient_cash")),
        ("debt", [0, 6, 12, 15], ("filled", "")),
    ],
)
def test_p2__cash_judges_what_the_volume_allows(rule: str, position: list[int], end: tuple[str, str]) -> None:
    outcome = thin([9, 6, 6, 6], {0: lambda ctx: ctx.buy(15)}, cash=1000.0, cash_rule=rule)
    assert (outcome.position, ends(outcome)) == (position, [(1, *end)])
    assert order(outcome, 1)["filled"] == position[-1]


def test_p2__an_order_that_cash_cut_below_the_volume_ends() -> None:
    outcome = thin([99, 12, 99], {0: lambda ctx: ctx.buy(15)}, cash=1000.0)
    assert (outcome.position, ends(outcome)) == ([0, 10, 10], [(1, "cancelled", "cut_cash")])


def test_o3__what_is_left_of_an_immediate_order_ends_after_its_first_bar() -> None:
    bars = daily(*flat(100, 3))
    outcome = thin([9, 3, 9], {0: lambda ctx: ctx.bracket(5, stop=90, tif="IOC")})
    assert ends(outcome) == [(1, "expired", "ioc"), (2, "cancelled", "end_of_data")]
    assert (order(outcome, 1)["filled"], order(outcome, 1)["t_end"]) == (3, bars.known_at[1])
    assert (order(outcome, 2)["lots"], outcome.position) == (-3, [0, 3, 3])


@pytest.mark.parametrize("market", ["next_open", "same_close", "next_close", "next_typical"])
@pytest.mark.parametrize(("most", "end"), [(5, ("filled", "")), (4, ("expired", "fok"))])
def test_o3__a_fok_fills_whole_or_not_at_all(market: str, most: int, end: tuple[str, str]) -> None:
    seen: list[ModelView] = []
    plan = {0: lambda ctx: ctx.buy(5, "FOK")}
    outcome = thin([9, most, 9], plan, market=market, slippage=noting(seen, 0.0))
    assert (ends(outcome), outcome.position[-1]) == ([(1, *end)], 5 if most == 5 else 0)
    assert len(seen) == len(outcome.fills)  # what the volume forbids asks no model


def test_o3__a_fok_that_does_not_fill_leaves_the_volume_to_others_and_ends_with_its_bar() -> None:
    outcome = thin([9, 4, 9], {0: lambda ctx: (ctx.bracket(5, stop=90, tif="FOK"), ctx.buy(4))})
    assert prices(outcome) == [(4, 4, 100, OPEN)]
    assert ends(outcome) == [(1, "expired", "fok"), (2, "cancelled", "parent_ended"), (4, "filled", "")]
    assert {record["t_end"] for record in outcome.orders[:2]} == {daily(*flat(100, 2)).known_at[1]}


@pytest.mark.parametrize(
    ("rule", "end", "lots"),
    [
        ("reduce", ("expired", "fok"), 0),
        ("reject", ("rejected", "insufficient_cash"), 0),
        ("debt", ("filled", ""), 15),
    ],
)
def test_o3__a_fok_is_not_cut_by_cash(rule: str, end: tuple[str, str], lots: int) -> None:
    config = Config(cash=1000.0, cash_rule=rule)
    outcome = play(daily(*flat(100, 3)), {0: lambda ctx: ctx.buy(15, "FOK")}, config)
    assert (ends(outcome), outcome.position) == ([(1, *end)], [0, lots, lots])
    whole = play(daily(*flat(100, 3)), {0: lambda ctx: ctx.buy(10, "FOK")}, config)
    assert (ends(whole), whole.position) == ([(1, "filled", "")], [0, 10, 10])


def test_o3__a_fok_has_one_attempt() -> None:
    # 15 lots could be paid at the close of 50
    for market, position in (("next_open", 0), ("next_close", 15)):
        config = Config(cash=1000.0, market=market)
        outcome = play(daily(*flat(100), (100, 100, 50, 50)), {0: lambda ctx: ctx.buy(15, "FOK")}, config)
        assert outcome.position[-1] == position


def test_o3__a_fok_whose_price_is_not_met_at_the_open_ends_likewise() -> None:
    acts: list[Callable[[View], object]] = [
        lambda ctx: ctx.limit(1, 95, "FOK"),
        lambda ctx: ctx.stop(1, 105, "FOK"),
        lambda ctx: ctx.stop_limit(1, 99, 98, "FOK"),  # it triggers past its limit
        lambda ctx: ctx.trailing_stop(-1, trail=5, tif="FOK"),
    ]
    for path in ("stop_first", "high_first"):
        outcome = thin([9, 9, 9], {0: lambda ctx: [act(ctx) for act in acts]}, *flat(100), SWING, SWING, path=path)
        assert (outcome.fills, [end[1:] for end in ends(outcome)]) == ([], [("expired", "fok")] * 4)


def test_o1__what_is_left_of_a_day_order_ends_before_the_next_session() -> None:
    bars = daily(*flat(100, 6), volume=[9.0, 9.0, 2.0, 1.0, 9.0, 9.0], per_session=2)
    outcome = play(bars, {1: lambda ctx: ctx.buy(5, "DAY")}, Config(participation=1.0))
    assert (outcome.position, ends(outcome)) == ([0, 0, 2, 3, 3, 3], [(1, "expired", "day")])
    assert (order(outcome, 1)["filled"], order(outcome, 1)["t_end"]) == (3, bars.open_at[4])


LOW = (90, 91, 89, 90)


@pytest.mark.parametrize("market", ["next_open", "same_close", "next_close", "next_typical"])
@pytest.mark.parametrize("stop_gap", ["open", "trigger", "close"])
def test_p3__a_stop_filled_in_part_goes_on_at_the_next_open_slipped(market: str, stop_gap: str) -> None:
    plan = {0: lambda ctx: ctx.stop(5, 105)}
    bar = (100, 110, 95, 105)
    slippage = models.fraction_slippage(0.1)
    outcome = thin([9, 2, 0, 9], plan, *flat(100), bar, LOW, LOW, slippage=slippage, market=market, stop_gap=stop_gap)
    # 105 * 1.1 = 115.5 and 90 * 1.1 = 99, though 90 is below the trigger
    assert prices(outcome) == [(1, 2, 116, RANGE), (1, 3, 99, OPEN)]
    assert (order(outcome, 1)["trigger"], order(outcome, 1)["kind"]) == (105, "stop")
    assert outcome.fills[1]["time"] == daily(*flat(100, 4)).open_at[3]


@pytest.mark.parametrize("path", ["stop_first", "high_first", "low_first"])
@pytest.mark.parametrize("bar", [(100, 110, 95, 100), (107, 110, 95, 100)])
def test_p3__a_stop_that_triggers_while_nothing_is_left_fills_at_the_next_open(path: str, bar: Ohlc) -> None:
    plan = {0: lambda ctx: (ctx.buy(2), ctx.stop(3, 105))}
    outcome = thin([9, 2, 9], plan, *flat(100), bar, LOW, path=path)
    assert prices(outcome) == [(1, 2, bar[0], OPEN), (2, 3, 90, OPEN)]


def test_p3__a_close_path_goes_on_at_the_next_close() -> None:
    outcome = thin([9, 2, 9], {0: lambda ctx: ctx.stop(5, 105)}, *flat(100), (99, 120, 99, 106), (99, 120, 80, 85),
                   path="close", market="next_close")  # fmt: skip
    assert prices(outcome) == [(1, 2, 106, RANGE), (1, 3, 85, RANGE)]


def test_p3__an_immediate_stop_that_triggered_ends_with_its_bar() -> None:
    outcome = thin([9, 2, 9], {0: lambda ctx: ctx.stop(5, 100, "IOC")})
    assert (ends(outcome), outcome.position) == ([(1, "expired", "ioc")], [0, 2, 2])


@pytest.mark.parametrize("most", [0, 2])
@pytest.mark.parametrize(
    ("bar", "rest"), [((107, 108, 104, 107), (106, RANGE)), ((103, 108, 103, 107), (103, OPEN)), ((107,) * 4, None)]
)
@pytest.mark.parametrize("path", ["stop_first", "high_first"])
def test_p3__a_stop_limit_that_triggered_rests_with_its_remainder(
    most: int, bar: Ohlc, rest: tuple[int, str] | None, path: str
) -> None:
    plan = {0: lambda ctx: ctx.stop_limit(5, 105, 106)}
    outcome = thin([9, most, 9], plan, *flat(100), SWING, bar, path=path, slippage=lambda m: 0.1)
    wanted = [(1, most, 105, RANGE)] if most else []
    if rest:
        wanted.append((1, 5 - most, *rest))
    assert prices(outcome) == wanted


@pytest.mark.parametrize(("trailing", "trigger"), [("check_first", 90), ("update_first", 110)])
@pytest.mark.parametrize("most", [0, 2])
def test_p3__a_trailing_stop_that_triggered_moves_no_more(trailing: str, trigger: int, most: int) -> None:
    plan = {0: lambda ctx: ctx.trailing_stop(-5, trail=10)}
    bars = [*flat(100), (100, 120, 85, 110), (130, 140, 125, 130), (135, 150, 130, 140)]
    outcome = thin([9, most, 1, 9], plan, *bars, trailing=trailing)
    first = [(1, -most, trigger, RANGE)] if most else []
    assert prices(outcome) == [*first, (1, -1, 130, OPEN), (1, most - 4, 135, OPEN)]
    assert order(outcome, 1)["trigger"] == trigger


@pytest.mark.parametrize(
    ("market", "fills"),
    [
        ("same_close", [(1, 3, 100, "same_close"), (1, 2, 107, "same_close")]),
        ("next_close", [(1, 3, 107, RANGE), (1, 2, 101, RANGE)]),
        ("next_typical", [(1, 3, 103, RANGE), (1, 2, 101, RANGE)]),  # 307 / 3 up
    ],
)
def test_f10__the_remainder_of_a_market_order_is_tried_again_in_its_way(
    market: str, fills: list[tuple[int, int, int, str]]
) -> None:
    bars = [*flat(100), (100, 110, 90, 107), (100, 101, 101, 101)]
    assert prices(thin([9, 3, 9], {0: lambda ctx: ctx.buy(5)}, *bars, market=market)) == fills


@pytest.mark.parametrize(
    ("path", "most", "fills"),
    [
        ("high_first", 4, [(1, -3, 105, RANGE), (2, -1, 95, RANGE), (2, -2, 100, OPEN)]),
        ("low_first", 4, [(2, -3, 95, RANGE), (1, -1, 105, RANGE)]),
        ("high_first", 3, [(1, -3, 105, RANGE), (2, -3, 100, OPEN)]),  # the stop triggers, with nothing left
        ("low_first", 3, [(2, -3, 95, RANGE)]),  # the limit waits
    ],
)
def test_f12__the_way_of_the_price_decides_who_has_the_volume(
    path: str, most: int, fills: list[tuple[int, int, int, str]]
) -> None:
    plan = {0: lambda ctx: (ctx.limit(-3, 105), ctx.stop(-3, 95))}
    assert prices(thin([9, most, 9], plan, *flat(100), SWING, *flat(100), path=path)) == fills
