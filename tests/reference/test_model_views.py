"""Hand-worked: what cost models see besides the trade itself (C3)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.reference import Config, ModelView
from tests.reference.worked import ONES, Ohlc, Plan, daily, flat, noting, play, thin


def fees_seen(plan: Plan, *ohlc: Ohlc, **choices: Any) -> list[ModelView]:
    """What the fee model saw of the fills of a plan."""
    seen: list[ModelView] = []
    play(daily(*ohlc), plan, Config(fee=noting(seen, 0.0), **choices))
    return seen


REACHED = (100, 103, 94, 100)  # a bar that reaches limits and stops on either side
LIMIT = {0: lambda ctx: ctx.limit(1, 96)}
STOP = {0: lambda ctx: ctx.stop(1, 102)}
CASES = [  # plan, the bars after the first, choices, maker
    ({0: lambda ctx: ctx.buy(1)}, [REACHED], {}, 0.0),
    (STOP, [REACHED], {}, 0.0),
    (LIMIT, [REACHED], {}, 1.0),
    (LIMIT, [(95, 97, 94, 96)], {}, 0.0),  # the open is beyond it
    (LIMIT, [*flat(100), (95, 97, 94, 96)], {}, 0.0),  # also where it has rested for a bar
    (LIMIT, [(98, 98, 95, 95)], {"path": "close", "market": "next_close"}, 0.0),
    (LIMIT, [REACHED], {"path": "high_first"}, 1.0),
    ({0: lambda ctx: ctx.stop_limit(1, 102, 103)}, [REACHED], {}, 0.0),  # fills where it triggers
    ({0: lambda ctx: ctx.stop_limit(1, 102, 101)}, [(102, 103, 102, 102), REACHED], {}, 0.0),  # rests, open beyond it
    ({0: lambda ctx: ctx.stop_limit(1, 102, 99)}, [(102, 103, 102, 102), REACHED], {}, 1.0),  # rests, and is met
]


@pytest.mark.parametrize(("plan", "after", "choices", "maker"), CASES)
def test_c3__who_rests_makes_and_who_comes_takes(
    plan: Plan, after: list[Ohlc], choices: dict[str, str], maker: float
) -> None:
    seen = fees_seen(plan, *flat(100), *after, **choices)
    assert {view.maker for view in seen} == {maker}


def test_c3__a_target_that_the_path_has_passed_takes() -> None:
    """The price falls from 100 to 94 and rises to 103: a target above the entry is met, one below was passed."""
    plan = {0: lambda ctx: ctx.bracket(1, limit=99, entry=96)}
    seen = fees_seen(plan, *flat(100), (100, 103, 94, 103), path="low_first")
    assert [view.maker for view in seen[-1:]] == [1.0]
    passed = {0: lambda ctx: ctx.bracket(1, limit=95, entry=98)}
    seen = fees_seen(passed, *flat(100), (100, 103, 94, 103), path="low_first")
    assert [view.price for view in seen[-1:]] == [97.0]  # where the entry was met, better than 95
    assert [view.maker for view in seen[-1:]] == [0.0]


def test_c3__traded_is_what_the_thirty_days_before_saw() -> None:
    plan = {t: (lambda ctx: ctx.buy(1)) for t in range(40)}
    views: list[ModelView] = []
    play(daily(*flat(100, 41)), plan, Config(fee=noting(views, 0.0)))
    by_day = {int(view.time) // 86_400_000_000_000: view.traded for view in views}
    assert [by_day[day] for day in (1, 2, 30, 31, 32, 40)] == [0.0, 100.0, 2900.0, 3000.0, 3000.0, 3000.0]


def test_c3__what_is_traded_today_counts_from_tomorrow() -> None:
    views: list[ModelView] = []
    plan = {t: (lambda ctx: ctx.buy(2)) for t in range(5)}
    play(daily(*flat(100, 6), per_session=3), plan, Config(fee=noting(views, 0.0)))
    assert sorted({(view.time // 86_400_000_000_000, view.traded) for view in views}) == [(0, 0.0), (1, 400.0)]


def test_c3__volatility_needs_two_returns() -> None:
    bars = daily((100,) * 4, (110,) * 4, (99,) * 4, (99,) * 4)
    found = [bars.volatility(t, ONES) for t in range(5)]
    assert found[:3] == [0.0, 0.0, 0.0]
    assert found[3] == pytest.approx(0.2 / 2**0.5, rel=1e-14)  # +10 %, -10 %


def test_c3__an_order_adds_up_what_it_has_filled() -> None:
    seen: list[ModelView] = []
    thin([9, 2, 3, 9], {0: lambda ctx: ctx.buy(7)}, fee=noting(seen, 0.0))
    assert [(view.quantity, view.filled, view.filled_notional) for view in seen[1::2]] == [
        (2.0, 0.0, 0.0),
        (3.0, 2.0, 200.0),
        (2.0, 5.0, 500.0),
    ]
