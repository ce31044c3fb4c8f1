"""Hand-worked splits (E2)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.reference import Action
from tests.reference.dated import happened, known, live, opened
from tests.reference.splits import scale
from tests.reference.worked import ends, order, prices
from tests.reference.worlds import hold, still


def of(r: float, t: int = 2) -> list[Action]:
    return [Action("split", 0, opened(t), r)]


@pytest.mark.parametrize(
    ("lots", "r", "scaled"),
    [(10, 7.0, 70), (-10, 7.0, -70), (3, 0.5, 1), (-3, 0.5, -1), (10, 0.05, 0), (30, 1.0 / 3.0, 10), (7, 1.0 / 7.0, 1)],
)
def test_e2__scale_rounds_toward_zero_unless_whole(lots: int, r: float, scaled: int) -> None:
    assert scale(lots, r) == scaled


def test_e2__seven_for_one_changes_no_cash() -> None:
    # 10 at 700 are 70 at 100
    outcome = live({0: lambda ctx: ctx.buy(10), 2: lambda ctx: ctx.sell(70)}, of(7.0), 700, 700, 100, 100)
    assert (outcome.position, outcome.equity) == ([0, 10, 70, 0], [1e6] * 4)
    assert (outcome.trades[0]["lots"], outcome.trades[0]["pnl"]) == (70, 0.0)
    assert happened(outcome) == [("split", 10, 0.0)]


def test_e2__the_fraction_of_a_short_position_is_paid() -> None:
    # -3 become -1.5: -1 and half a unit that is bought back at 100 / 0.5 = 200
    outcome = live({0: lambda ctx: ctx.sell(3), 2: lambda ctx: ctx.buy(1)}, of(0.5), 100, 100, 200, 200)
    assert happened(outcome) == [("split", -3, -100.0)]
    assert (outcome.position, outcome.cash) == ([0, -3, -1, 0], [1e6, 1e6 + 300.0, 1e6 + 200.0, 1e6])
    # 300 - 100 - 200; the largest position, 3, has become 1
    assert (outcome.trades[0]["pnl"], outcome.trades[0]["lots"]) == (0.0, 1)


def test_e2__the_price_before_is_the_last_close() -> None:
    # 5 become 2.5: half a unit at 90 / 0.5, whatever the open says
    outcome = live({0: lambda ctx: ctx.buy(5)}, of(0.5), 100, (100, 100, 90, 90), 170)
    assert happened(outcome) == [("split", 5, 90.0)]


def test_e2__a_position_that_vanishes_ends_its_round_trip() -> None:
    # 10 become half a unit, settled at 100 / 0.05 = 2000: 1000 for what has cost 1000
    plan = {
        0: lambda ctx: ctx.bracket(10, stop=50, limit=150),
        1: lambda ctx: (ctx.limit(40, 80), ctx.stop(-100, 60, reduce_only=True), ctx.bracket(10, stop=40, entry=50)),
    }
    outcome = live(plan, of(0.05), 100, 100, 2000)
    assert happened(outcome) == [("split", 10, 1000.0)]
    assert outcome.trades == [{"opened": opened(1), "closed": opened(2), "lots": 1, "pnl": 0.0, "fees": 0.0}]
    assert ends(outcome) == [
        (1, "filled", ""),
        (2, "cancelled", "position_closed"),
        (3, "cancelled", "position_closed"),
        (4, "cancelled", "end_of_data"),  # 2 lots
        (5, "cancelled", "position_closed"),
        (6, "cancelled", "split"),  # half a lot
        (7, "cancelled", "parent_ended"),
    ]
    assert [order(outcome, i)["t_end"] for i in (2, 3, 5, 6, 7)] == [opened(2)] * 5
    assert [order(outcome, i)["lots"] for i in (4, 6)] == [2, 0]


def test_e2__orders_change_with_the_asset() -> None:
    """Two for one, of a close at 100: prices halve by Q3, an odd one down or up."""
    seen: list[Any] = []

    def submit(ctx: Any) -> None:
        ctx.limit(8, 91, display=3)  # 16 at 45.5, down
        ctx.limit(-8, 121)  # -16 at 60.5, up
        ctx.stop(8, 111)  # 55.5, up
        ctx.stop(-8, 89)  # 44.5, down
        ctx.stop_limit(8, 113, 115)  # 56.5 up, 57.5 down
        ctx.market_if_touched(8, 87)  # 43.5, down
        ctx.limit_if_touched(-8, 117, 113)  # 58.5 up, 56.5 up
        ctx.trailing_stop(-8, ticks=15)  # trigger 85: 42.5, down; 7.5, up
        ctx.trailing_stop(8, fraction=0.25)  # trigger 125: 62.5, up
        ctx.trailing_stop_limit(-8, 5.0, ticks=16)  # trigger 84: 42; 8; an offset of 2.5, down
        ctx.bracket(8, stop=61, limit=131, entry=71)  # 35.5 down; 30.5 down; 65.5 up
        ctx.bracket(8, stop_loss=0.1, entry=73)  # 36.5 down; no price yet; fractions stay

    plan = {0: submit, 1: lambda ctx: seen.extend(ctx._book.orders)}
    live(plan, of(2.0, 1), 100, 50)
    assert [(o.id, o.lots, o.price, o.trigger) for o in seen] == [
        (1, 16, 45, 0),
        (2, -16, 61, 0),
        (3, 16, 0, 56),
        (4, -16, 0, 44),
        (5, 16, 57, 57),
        (6, 16, 0, 43),
        (7, -16, 57, 59),
        (8, -16, 0, 42),
        (9, 16, 0, 63),
        (10, -16, 0, 42),
        (11, 16, 35, 0),
        (12, -16, 0, 30),
        (13, -16, 66, 0),
        (14, 16, 36, 0),
        (15, -16, 0, 0),
    ]
    assert {o.t_active for o in seen} == {known(0)}  # which a split does not change
    by_id = {o.id: o for o in seen}
    assert (by_id[1].display, by_id[8].trail, by_id[10].trail, by_id[10].offset) == (6, 8, 8, 2)


def test_e2__what_shows_shows_at_least_one_lot() -> None:
    seen: list[Any] = []
    plan = {0: lambda ctx: ctx.limit(100, 90, display=3), 1: lambda ctx: seen.extend(ctx._book.orders)}
    live(plan, of(0.05, 1), 100, 2000)
    assert (seen[0].lots, seen[0].display, seen[0].price) == (5, 1, 1800)


def test_e2__the_rest_and_what_has_filled_scale_apart() -> None:
    # 3 of 5 have filled: 3 become 1, the 2 that are left become 1
    outcome = live({0: lambda ctx: ctx.limit(5, 110)}, of(0.5), 100, 100, 300, volume=[3.0] * 3, participation=1.0)
    assert (order(outcome, 1)["lots"], order(outcome, 1)["filled"]) == (2, 1)
    # 3 at 100, and half a unit back at 100 / 0.5
    assert (outcome.position, outcome.cash[-1]) == ([0, 3, 1], 1e6 - 300.0 + 100.0)


def test_e2__an_order_without_a_rest_keeps_what_has_filled() -> None:
    # 4 of 5 have filled and become 2; the last one becomes half a lot
    outcome = live({0: lambda ctx: ctx.limit(5, 110)}, of(0.5), 100, 100, 200, volume=[4.0] * 3, participation=1.0)
    assert (order(outcome, 1)["lots"], order(outcome, 1)["filled"]) == (2, 2)
    assert ends(outcome) == [(1, "cancelled", "split")]


def test_e2__an_order_fills_at_its_new_numbers() -> None:
    plan = {0: lambda ctx: (ctx.limit(3, 91), ctx.stop(3, 111))}
    outcome = live(plan, of(2.0), 100, 100, (50, 56, 44, 50))
    assert prices(outcome) == [(2, 6, 56, "intrabar"), (1, 6, 45, "intrabar")]


def test_e2__a_target_is_sized_once() -> None:
    # sized at the fill: 10 lots of 1000 at 100, of which 1 fills; a split leaves none of it and 4 of the 9
    plan = {0: lambda ctx: ctx.target_percent(1.0)}
    out = live(plan, of(0.5), 100, 100, 200, volume=[1.0] * 3, participation=1.0, sizing="at_fill", cash=1000.0)
    assert (order(out, 1)["lots"], order(out, 1)["filled"], out.position) == (4, 1, [0, 1, 1])
    # 1 lot became half a one, settled at 100 / 0.5
    assert happened(out) == [("split", 1, 100.0)]


def test_e2__only_the_asset_that_splits_changes() -> None:
    plan = {0: lambda ctx: (ctx[0].buy(4), ctx[1].buy(4)), 1: lambda ctx: (ctx[0].limit(5, 40), ctx[1].limit(5, 40))}
    outcome = hold(plan, still(100, 100, 100), still(100, 100, 50), actions=[Action("split", 1, opened(2), 2.0)])
    assert outcome.position == [[0, 4, 4], [0, 4, 8]]
    assert [record["lots"] for record in outcome.orders] == [4, 4, 5, 10]
    assert outcome.equity == [1e6] * 3
    assert [record["time"] for record in outcome.actions] == [opened(2)]
