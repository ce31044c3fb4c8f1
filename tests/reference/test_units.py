"""Hand-worked bars that begin with a change of the asset's units (E1, E2, E5, E8, F10)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.reference import Action
from tests.reference.dated import happened, known, live, opened, samples
from tests.reference.worked import prices
from tests.reference.worlds import hold, still

LONG = {0: lambda ctx: ctx.buy(10)}


def test_e1__a_second_split_of_a_bar_is_settled_in_its_units() -> None:
    # 6 become 3, and 3 become 1.5: half a unit at (100 / 0.5) / 0.5
    given = [Action("split", 0, opened(2), 0.5), Action("split", 0, opened(2), 0.5)]
    outcome = live({0: lambda ctx: ctx.buy(6)}, given, 100, 100, 400)
    assert (happened(outcome), outcome.position) == ([("split", 6, 0.0), ("split", 3, 200.0)], [0, 6, 1])
    assert outcome.equity == [1e6] * 3


@pytest.mark.parametrize("time", [opened(2), opened(2) + 1])
def test_e1__funding_without_a_mark_knows_the_split_of_its_bar(time: int) -> None:
    # 20 at 100 / 2, an eighth; a bar later 20 at the close of 50
    given = [Action("split", 0, opened(2), 2.0), Action("funding", 0, time, 0.125)]
    assert happened(live(LONG, given, 100, 100, 50)) == [("split", 10, 0.0), ("funding", 20, -125.0)]
    given[1] = Action("funding", 0, opened(3), 0.125)
    assert happened(live(LONG, given, 100, 100, 50, 60)) == [("split", 10, 0.0), ("funding", 20, -125.0)]


def test_e1__only_the_asset_that_splits_has_other_units() -> None:
    plan = {0: lambda ctx: (ctx[0].buy(10), ctx[1].buy(10))}
    given = [Action("split", 1, opened(2), 2.0)] + [Action("funding", k, opened(2), 0.125) for k in (0, 1)]
    outcome = hold(plan, still(100, 100, 100), still(100, 100, 50), actions=given)
    assert happened(outcome) == [("funding", 10, -125.0), ("split", 10, 0.0), ("funding", 20, -125.0)]


def test_e8__a_dividend_after_a_split_is_of_the_new_units() -> None:
    given = [Action("split", 0, opened(1), 2.0), Action("dividend", 0, opened(1), 5.0)]
    left = (50.0 - 5.0) / 50.0
    assert samples(live({}, given, 100, 45)) == [0.0, 45.0 / ((100.0 / 2.0) * left) - 1.0]
    assert samples(hold({}, still(100, 45), actions=given)) == [0.0, ((45.0 * (2.0 / left)) / 100.0) / 1.0 - 1.0]
    # the other way round it is of the old ones
    given = [Action("split", 0, opened(1), 2.0), Action("dividend", 0, known(0), 5.0)]
    assert samples(live({}, given, 100, 45)) == [0.0, 45.0 / ((100.0 * ((100.0 - 5.0) / 100.0)) / 2.0) - 1.0]


def test_e2__what_changes_orders_alone_leaves_no_record() -> None:
    plan = {0: lambda ctx: ctx.limit(10, 50)}
    for given in (Action("split", 0, opened(1), 2.0), Action("delisting", 0, known(1), 1.0)):
        assert happened(live(plan, [given], 100, 100)) == []


@pytest.mark.parametrize(
    ("given", "fill"),
    [
        ([], (1, 10, 100, "same_close")),
        ([Action("dividend", 0, opened(1), 3.0)], (1, 10, 96, "open")),
        ([Action("split", 0, opened(1), 1.0)], (1, 10, 96, "open")),
        ([Action("funding", 0, opened(1), 0.125)], (1, 10, 100, "same_close")),
        ([Action("dividend", 0, opened(2), 3.0)], (1, 10, 100, "same_close")),
    ],
)
def test_f10__a_close_of_other_units_is_none_to_fill_at(given: Any, fill: Any) -> None:
    outcome = live(LONG, given, 100, (96, 99, 95, 98), 98, market="same_close")
    assert prices(outcome) == [fill]
    assert outcome.fills[0]["time"] == (opened(1) if fill[3] == "open" else known(0))


def test_f10__of_another_asset_it_may_be() -> None:
    plan = {0: lambda ctx: (ctx[0].buy(10), ctx[1].buy(10))}
    given = [Action("split", 1, opened(1), 2.0)]
    outcome = hold(plan, still(100, 90), still(100, 45), actions=given, market="same_close")
    assert prices(outcome) == [(1, 10, 100, "same_close"), (2, 20, 45, "open")]
