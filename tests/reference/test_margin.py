"""Hand-worked margin: what an order asks for, tiers, what a position cost (L1, L2, L4)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.reference import Action, Config, models
from tests.reference.account import Account
from tests.reference.dated import live, opened
from tests.reference.margin import tiers
from tests.reference.worked import HALF_LOTS, daily, ends, flat, order, play
from tests.reference.worlds import hold, still

HALF: Any = {"cash": 1000.0, "initial": 0.5}
FIRST = {0: lambda ctx: ctx.buy(10)}


def test_l1__an_order_asks_for_a_fraction_of_the_position() -> None:
    # 20 at 100 take 1000, 21 more than that; so with short positions
    for sign in (1, -1):
        whole = live({0: lambda ctx: ctx.order(20 * sign)}, [], 100, 100, **HALF)  # noqa: B023
        assert (whole.position, ends(whole)) == ([0, 20 * sign], [(1, "filled", "")])
        cut = live({0: lambda ctx: ctx.order(21 * sign)}, [], 100, 100, **HALF)  # noqa: B023
        assert (cut.position, ends(cut)) == ([0, 20 * sign], [(1, "cancelled", "cut_cash")])
        refused = live({0: lambda ctx: ctx.order(21 * sign)}, [], 100, 100, cash_rule="reject", **HALF)  # noqa: B023
        assert ends(refused) == [(1, "rejected", "insufficient_cash")]


def test_l1__a_shrink_is_by_what_lots_ask_for() -> None:
    # a fee of 160: 20 ask for 1000 of 840: 160 / 50 is 3, 17 ask for 850, then one by one: 16
    asked: list[float] = []

    def fee(m: Any) -> float:
        asked.append(m.quantity)
        return 160.0

    assert live({0: lambda ctx: ctx.buy(50)}, [], 100, 100, fee=fee, **HALF).position == [0, 16]
    assert [quantity for n, quantity in enumerate(asked) if n == 0 or quantity != asked[n - 1]] == [50, 20, 17, 16]


def test_l1__orders_of_a_portfolio_share_what_they_ask_for() -> None:
    # each asks for 20 * 100 * 0.5 = 1000 of 1000: half of each
    outcome = hold({0: lambda ctx: (ctx[0].buy(20), ctx[1].buy(20))}, still(100, 100), still(100, 100), **HALF)
    assert outcome.position == [[0, 10], [0, 10]]
    # a fee of 100 each is asked for whole: 2200 of 1000; 20 * (1000 / 2200) is 9.09. The first 9 leave 900 - 450, the
    # fee of the second 350 of it, which carry 7
    fee = models.fixed_fee(100.0)
    outcome = hold({0: lambda ctx: (ctx[0].buy(20), ctx[1].buy(20))}, still(100, 100), still(100, 100), fee=fee, **HALF)
    assert outcome.position == [[0, 9], [0, 7]]


def test_l1__what_is_shared_is_what_the_positions_do_not_ask_for() -> None:
    # 1000 in a third asset ask for 500; the other 500 are half of what 10 and 10 ask for
    plan = {0: lambda ctx: ctx[2].buy(10), 1: lambda ctx: (ctx[0].buy(10), ctx[1].buy(10))}
    outcome = hold(plan, *[still(100, 100, 100)] * 3, **HALF)
    assert outcome.position == [[0, 0, 5], [0, 0, 5], [0, 10, 10]]


def test_l1__what_another_asset_asks_for_is_not_there() -> None:
    # E is 1000, asset 0 asks for 10 * 100 * 0.5; the other 500 carry 10 of asset 1
    plan = {0: lambda ctx: ctx[0].buy(10), 1: lambda ctx: ctx[1].buy(50)}
    outcome = hold(plan, still(100, 100, 100), still(100, 100, 100), **HALF)
    assert outcome.position == [[0, 10, 10], [0, 0, 10]]


def test_l1__an_unrealised_profit_buys_nothing_with_isolated_margin() -> None:
    """10 at 100, then 150: E is 1500. Cross: 20 at 150 ask for 1500. Isolated, 500 of it are no power: 1000 / 75 is
    13, which ask for 975."""
    plan = {**FIRST, 1: lambda ctx: ctx.buy(50)}
    assert live(plan, [], 100, 100, 150, **HALF).position[-1] == 20
    assert live(plan, [], 100, 100, 150, isolated=True, **HALF).position[-1] == 13

    # a loss counts: at 80 E is 800, the second fill's fee of 40 leaves 760: 19 ask for 760
    def fee(m: Any) -> float:
        return 40.0 if m.time > opened(1) else 0.0

    assert live(plan, [], 100, 100, 80, isolated=True, fee=fee, **HALF).position[-1] == 19
    # short, at 50: E is 1500, of which 500 are a profit: 40 ask for 1000
    short = {0: lambda ctx: ctx.sell(10), 1: lambda ctx: ctx.sell(90)}
    assert live(short, [], 100, 100, 50, isolated=True, **HALF).position[-1] == -40


def test_l1__the_first_trial_of_isolated_margin_is_of_what_buys() -> None:
    """`m` is 1000 / 75 = 13, and from there with a fee of an eighth of the value bought: 13 ask for 975 of 943.75, and
    then 12 for 900 of 962.5. (From 1500 / 75 it would be 20: 1500 of 812.5, 687.5 / 75 is 9, 11 for 825 of 981.25.)"""

    def fee(m: Any) -> float:
        return m.notional / 8.0 if m.time > opened(1) else 0.0

    plan = {**FIRST, 1: lambda ctx: ctx.buy(50)}
    assert live(plan, [], 100, 100, 150, isolated=True, fee=fee, **HALF).position[-1] == 12


def test_l1__sizes_keep_the_equity() -> None:
    # 1.2 of 1500 at 150 are 12; they ask for 900 of 1000
    plan = {**FIRST, 2: lambda ctx: ctx.target_percent(1.2)}
    for sizing in ("at_decision", "at_fill"):
        outcome = live(plan, [], 100, 100, 150, 150, isolated=True, sizing=sizing, **HALF)
        assert outcome.position[-1] == 12


def test_l2__deductions_make_tiers_continuous() -> None:
    # 1000 * (0.125 - 0.0625) = 62.5, and 5000 * (0.25 - 0.125) = 625 more
    rates = tiers(([0.0, 1000.0, 5000.0], [0.0625, 0.125, 0.25]), "maintenance")
    assert rates is not None
    assert rates.deductions == [0.0, 62.5, 687.5]
    assert [rates.margin(value) for value in (0.0, 999.0, 1000.0, 4000.0, 5000.0, 6000.0)] == [
        0.0,
        999.0 * 0.0625,
        62.5,
        437.5,
        562.5,
        812.5,
    ]


def test_l2__a_rate_alone_is_one_tier() -> None:
    rates = tiers(0.25, "maintenance")
    assert rates is not None
    assert (rates.margin(1000.0), tiers(None, "maintenance")) == (250.0, None)
    assert Config(maintenance=0.25).tiers_of(-1) == rates
    assert Config(maintenance=0.25, maintenance_short=0.5).tiers_of(-1) == tiers(0.5, "")
    assert Config(maintenance_short=0.5).tiers_of(1) is None


def test_l4__basis_and_stake_follow_the_fills() -> None:
    """10 at 100 and 5 at 120 cost 1600; 12 of 15 are left of that: 1280; 20 sold at 90 leave 8 short."""
    bars = daily(*flat(100))
    account = Account(bars, HALF_LOTS, Config(initial=0.25), 1e6, 1e6)
    holding, found = account.holdings[0], []
    for lots, ticks in ((10, 400), (5, 480), (-3, 520), (-20, 360), (-2, 320), (10, 320)):
        holding.count_cost(ticks, lots, 0.25)  # a lot is two units
        holding.position += lots
        found.append((holding.position, holding.basis, holding.stake))
    assert found == [
        (10, 2000.0, 500.0),
        (15, 2000.0 + 1200.0, 500.0 + 300.0),
        (12, 3200.0 * (12.0 / 15.0), 800.0 * (12.0 / 15.0)),
        (-8, -1440.0, 360.0),
        (-10, -1440.0 - 320.0, 360.0 + 80.0),
        (0, 0.0, 0.0),
    ]


@pytest.mark.parametrize(
    ("given", "short", "stake"),
    [
        ([Action("dividend", 0, opened(2), 5.0)], False, 500.0 + 50.0),
        ([Action("dividend", 0, opened(2), 5.0)], True, 500.0 - 50.0),
        ([Action("funding", 0, opened(2), 0.125, 80.0)], False, 500.0 - 100.0),
        ([Action("split", 0, opened(2), 2.0)], False, 500.0),
        ([], True, 500.0 - 1000.0 * (0.25 * (1.0 / 360.0))),
    ],
)
def test_l4__what_a_position_is_paid_goes_to_its_stake(given: list[Action], short: bool, stake: float) -> None:
    seen: list[Any] = []
    plan = {0: lambda ctx: ctx.order(-10 if short else 10), 2: lambda ctx: seen.append(ctx._holding)}
    live(plan, given, 100, 100, 100, isolated=True, borrow=0.0 if given else 0.25, **HALF)
    assert (seen[0].stake, seen[0].basis) == (stake, -1000.0 if short else 1000.0)


def test_l4__nothing_held_has_cost_nothing() -> None:
    for given in (Action("split", 0, opened(2), 0.05), Action("delisting", 0, opened(2))):
        seen: list[Any] = []
        live({**FIRST, 2: lambda ctx: seen.append(ctx._holding)}, [given], 100, 100, 100, isolated=True, **HALF)  # noqa: B023
        assert (seen[0].position, seen[0].basis, seen[0].stake) == (0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("choices", "says"),
    [
        ({"initial": 0.0}, "initial"),
        ({"initial": 1.5}, "initial"),
        ({"maintenance": 0.1, "path": "low_first"}, "path"),
        ({"maintenance_short": 0.1, "path": "low_first"}, "path"),
        ({"isolated": True, "maintenance": 0.1, "path": "nearest_first"}, "path"),
        ({"maintenance": ([1.0], [0.1])}, "floor"),
        ({"maintenance": ([0.0, 5.0, 5.0], [0.1, 0.2, 0.3])}, "floors"),
        ({"maintenance": ([0.0, 5.0], [0.1])}, "rates"),
        ({"maintenance_short": -0.1}, "rates"),
    ],
)
def test_l__what_is_no_margin_is_refused(choices: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Config(**choices).check_path()


def test_l3__a_path_is_for_accounts_without_a_maintenance_margin() -> None:
    plan = {0: lambda ctx: ctx.buy(21)}
    for isolated in (False, True):
        choices = Config(cash=1000.0, initial=0.5, isolated=isolated, path="high_first")
        assert play(daily(*flat(100, 2)), plan, choices).position == [0, 20]


def test_l1__a_whole_margin_is_none() -> None:
    plan = {0: lambda ctx: ctx.buy(21)}
    outcome = play(daily(*flat(100, 2)), plan, Config(cash=1000.0, initial=1.0, path="high_first"))
    assert (outcome.position, order(outcome, 1)["reason"]) == ([0, 10], "cut_cash")
