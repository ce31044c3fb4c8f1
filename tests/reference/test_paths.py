"""Hand-worked legs of the price through a bar (F12)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.reference import Config, View, models
from tests.reference.worked import Ohlc, daily, ends, flat, order, play, prices

OPEN, RANGE = "open", "intrabar"
SWING = (100, 110, 90, 100)
Act = Callable[[View], object]


def walked(path: str, act: Act, *bars: Ohlc, start: int = 100, **choices: str) -> list[tuple[int, int, int, str]]:
    """Fills of what is decided on a still bar at `start`, limits at a touch unless told."""
    config = Config(**{"limit": "touch", "path": path, **choices})  # type: ignore[arg-type]
    return prices(play(daily(*flat(start), *bars), {0: act}, config))


@pytest.mark.parametrize(
    ("path", "choices"),
    [
        ("close", {}),
        ("close", {"market": "same_close"}),
        ("close", {"market": "next_typical"}),
        ("close", {"market": "next_close", "stop_gap": "trigger"}),
        ("close", {"market": "next_close", "close_out": "last_open"}),
        *[(path, {"stop_gap": gap}) for path in ("high_first", "low_first") for gap in ("trigger", "close")],
        *[(path, {"trailing": "update_first"}) for path in ("high_first", "low_first", "nearest_first")],
        ("by_volume", {}),
    ],
)
def test_f12__what_does_not_fit_is_refused(path: str, choices: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"^Config\."):
        Config(path=path, **choices)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "bar", "first"),
    [
        ("nearest_first", (1498, 1520, 1480, 1500), 1),  # 22 up, 18 down
        ("nearest_first", (1502, 1520, 1480, 1500), 2),
        ("nearest_first", (1500, 1520, 1480, 1500), 1),  # as far: the low first
        ("low_first", (1502, 1520, 1480, 1500), 1),
        ("high_first", (1498, 1520, 1480, 1500), 2),
    ],
)
def test_f12__the_nearest_extreme_or_the_named_one_comes_first(path: str, bar: Ohlc, first: int) -> None:
    bars = daily(*flat(1500), bar)
    outcome = play(bars, {0: lambda ctx: (ctx.stop(-1, 1490), ctx.stop(1, 1510))}, Config(path=path))
    fills = [(1, -1, 1490, RANGE), (2, 1, 1510, RANGE)]
    assert prices(outcome) == (fills if first == 1 else fills[::-1])
    assert {fill["time"] for fill in outcome.fills} == {bars.known_at[1]}


@pytest.mark.parametrize(
    ("choices", "fills", "trigger"),
    [
        ({"trailing": "update_first"}, [4680], 4680),
        ({"trailing": "check_first"}, [], 4680),
        ({"path": "high_first"}, [4680], 4680),
        ({"path": "nearest_first"}, [4680], 4680),  # 200 up, 450 down
        ({"path": "low_first"}, [], 4680),  # 4550 is met at the old trigger of 5050 * 0.9 = 4545
    ],
)
def test_f12__a_trailing_stop_moves_at_the_end_of_each_leg(
    choices: dict[str, str], fills: list[int], trigger: int
) -> None:
    bars = daily(*flat(5000), (5000, 5050, 4950, 5000), (5000, 5200, 4550, 4850))
    outcome = play(bars, {0: lambda ctx: ctx.trailing_stop(-1, fraction=0.1)}, Config(**choices))  # type: ignore[arg-type]
    assert [fill["ticks"] for fill in outcome.fills] == fills
    assert order(outcome, 1)["trigger"] == trigger


@pytest.mark.parametrize("path", ["low_first", "high_first"])
def test_f12__a_trailing_buy_follows_the_low_and_is_met_on_the_way_up(path: str) -> None:
    # the low of 80 moves it to 90: met on the way to the high, or on the way to the close
    assert walked(path, lambda ctx: ctx.trailing_stop(1, trail=10), (100, 105, 80, 95)) == [(1, 1, 90, RANGE)]


def test_f12__an_immediate_trailing_stop_does_not_move() -> None:
    plan = {0: lambda ctx: ctx.trailing_stop(-1, trail=10, tif="IOC")}
    outcome = play(daily(*flat(100), (100, 120, 80, 100)), plan, Config(path="high_first"))
    assert (ends(outcome), order(outcome, 1)["trigger"]) == ([(1, "expired", "ioc")], 90)


def test_f12__the_open_comes_before_the_path() -> None:
    act: Act = lambda ctx: (ctx.stop(1, 106), ctx.stop(-1, 100), ctx.limit(1, 92), ctx.buy(1))  # noqa: E731
    assert walked("high_first", act, (90, 107, 88, 92)) == [
        (2, -1, 90, OPEN),
        (3, 1, 90, OPEN),
        (4, 1, 90, OPEN),
        (1, 1, 106, RANGE),
    ]


def test_f12__on_a_leg_the_nearest_comes_first_then_the_lowest_id() -> None:
    act: Act = lambda ctx: (ctx.stop(1, 106), ctx.limit(-1, 103), ctx.stop(1, 103), ctx.stop(-1, 95))  # noqa: E731
    assert [fill[0] for fill in walked("high_first", act, SWING)] == [2, 3, 1, 4]
    assert [fill[0] for fill in walked("low_first", act, SWING)] == [4, 2, 3, 1]


@pytest.mark.parametrize(
    ("path", "exit_"),
    [("high_first", (3, -1, 105, RANGE)), ("low_first", (2, -1, 95, RANGE)), ("nearest_first", (2, -1, 95, RANGE))],
)
@pytest.mark.parametrize("limit", ["touch", "through"])
def test_f12__both_exits_of_an_entry_at_the_open_take_part(
    path: str, exit_: tuple[int, int, int, str], limit: str
) -> None:
    act: Act = lambda ctx: ctx.bracket(1, stop=95, limit=105)  # noqa: E731
    assert walked(path, act, SWING, limit=limit) == [(1, 1, 100, OPEN), exit_]
    assert walked(path, act, SWING, limit=limit, same_bar="next") == [(1, 1, 100, OPEN)]


@pytest.mark.parametrize(("path", "exit_"), [("high_first", (2, 1, 105, RANGE)), ("low_first", (3, 1, 95, RANGE))])
def test_f12__a_short_entry_is_the_mirror(path: str, exit_: tuple[int, int, int, str]) -> None:
    assert walked(path, lambda ctx: ctx.bracket(-1, stop=105, limit=95), SWING) == [(1, -1, 100, OPEN), exit_]


@pytest.mark.parametrize(
    ("path", "stop", "exit_"),
    [
        ("low_first", 92, [(2, -1, 92, RANGE)]),
        ("low_first", 88, [(3, -1, 105, RANGE)]),
        ("high_first", 92, [(2, -1, 92, RANGE)]),
        ("high_first", 88, []),  # the target's leg was over when the entry filled
    ],
)
def test_f12__exits_woken_on_the_path_see_what_is_left_of_it(
    path: str, stop: int, exit_: list[tuple[int, int, int, str]]
) -> None:
    act: Act = lambda ctx: ctx.bracket(1, entry=95, stop=stop, limit=105)  # noqa: E731
    assert walked(path, act, SWING) == [(1, 1, 95, RANGE), *exit_]


@pytest.mark.parametrize(
    ("limit", "stop", "target", "exit_"),
    [
        ("touch", 97, 120, (2, -1, 95, RANGE)),
        ("through", 97, 120, (2, -1, 94, RANGE)),  # the entry's event was at 94, though it filled at 95
        ("touch", 80, 93, (3, -1, 95, RANGE)),
        ("through", 80, 93, (3, -1, 94, RANGE)),
    ],
)
def test_f12__an_exit_already_passed_fills_where_the_price_is(
    limit: str, stop: int, target: int, exit_: tuple[int, int, int, str]
) -> None:
    act: Act = lambda ctx: ctx.bracket(1, entry=95, stop=stop, limit=target)  # noqa: E731
    assert walked("low_first", act, SWING, limit=limit) == [(1, 1, 95, RANGE), exit_]


@pytest.mark.parametrize(
    ("path", "fills"),
    [("high_first", [(2, -1, 108, RANGE)]), ("low_first", [(3, -1, 92, RANGE)])],
)
def test_f12__a_fill_ends_its_group_for_the_rest_of_the_path(path: str, fills: list[tuple[int, int, int, str]]) -> None:
    plan = {0: lambda ctx: ctx.buy(1), 1: lambda ctx: ctx.oco(ctx.limit(-1, 108), ctx.stop(-1, 92))}
    outcome = play(daily(*flat(100, 2), SWING), plan, Config(path=path))
    assert prices(outcome)[1:] == fills
    assert sorted(end[1:] for end in ends(outcome)[1:]) == [("cancelled", "oco"), ("filled", "")]


def test_f12__a_stop_limit_fills_at_its_stop_without_slippage() -> None:
    config = Config(path="high_first", slippage=models.fraction_slippage(0.1))
    plan = {0: lambda ctx: (ctx.stop_limit(1, 105, 106), ctx.stop_limit(-1, 95, 95), ctx.stop(1, 105))}
    outcome = play(daily(*flat(100), SWING), plan, config)
    assert prices(outcome) == [(1, 1, 105, RANGE), (3, 1, 116, RANGE), (2, -1, 95, RANGE)]


@pytest.mark.parametrize(
    ("path", "fills"),
    [("high_first", [(1, 1, 104, RANGE)]), ("low_first", [(1, 1, 104, RANGE)]), ("stop_first", [])],
)
def test_f12__a_stop_limit_that_triggers_past_its_limit_is_a_limit_from_there_on(
    path: str, fills: list[tuple[int, int, int, str]]
) -> None:
    # it triggers at 106 on the rising leg and fills on the next falling one, to the low or to the close
    assert walked(path, lambda ctx: ctx.stop_limit(1, 106, 104), SWING) == fills


@pytest.mark.parametrize(
    ("limit", "low", "fills"),
    [
        ("touch", 103, [(1, 1, 103, RANGE)]),
        ("through", 103, []),
        ("through", 102, [(1, 1, 103, RANGE)]),
    ],
)
def test_f12__a_stop_limit_triggered_by_the_open_is_a_limit_on_the_path(
    limit: str, low: int, fills: list[tuple[int, int, int, str]]
) -> None:
    bar = (105, 110, low, 105)
    assert walked("high_first", lambda ctx: ctx.stop_limit(1, 102, 103), bar, limit=limit) == fills
    assert walked("high_first", lambda ctx: ctx.stop_limit(1, 102, 103, "IOC"), bar, limit=limit) == []


@pytest.mark.parametrize(
    ("lots", "bar", "through", "touch"),
    [
        (1, (100, 105, 95, 100), [], [(1, 1, 95, RANGE)]),
        (1, (100, 105, 94, 100), [(1, 1, 95, RANGE)], [(1, 1, 95, RANGE)]),
        (1, (95, 105, 94, 100), [(1, 1, 95, RANGE)], [(1, 1, 95, OPEN)]),
        (-1, (90, 95, 85, 90), [], [(1, -1, 95, RANGE)]),
        (-1, (90, 96, 85, 90), [(1, -1, 95, RANGE)], [(1, -1, 95, RANGE)]),
    ],
)
def test_f12__a_limit_is_met_through_or_at_its_price(
    lots: int, bar: Ohlc, through: list[tuple[int, int, int, str]], touch: list[tuple[int, int, int, str]]
) -> None:
    for path in ("high_first", "low_first"):
        assert walked(path, lambda ctx: ctx.limit(lots, 95), bar, start=bar[0], limit="through") == through
        assert walked(path, lambda ctx: ctx.limit(lots, 95), bar, start=bar[0], limit="touch") == touch


def test_f12__a_limit_to_be_passed_comes_after_a_stop_at_its_price() -> None:
    act: Act = lambda ctx: (ctx.limit(1, 95), ctx.stop(-1, 95))  # noqa: E731
    assert [fill[0] for fill in walked("low_first", act, SWING, limit="touch")] == [1, 2]
    assert [fill[0] for fill in walked("low_first", act, SWING, limit="through")] == [2, 1]


def test_f12__a_limit_fills_at_its_price_though_another_order_brought_the_price_there() -> None:
    # both events are at 94; after the stop's the price stands at 94, beyond the limit of 95
    act: Act = lambda ctx: (ctx.stop(-1, 94), ctx.limit(1, 95))  # noqa: E731
    assert walked("low_first", act, SWING, limit="through") == [(1, -1, 94, RANGE), (2, 1, 95, RANGE)]
    act = lambda ctx: (ctx.limit(1, 95), ctx.stop(-1, 94))  # noqa: E731
    assert walked("low_first", act, SWING, limit="through") == [(1, 1, 95, RANGE), (2, -1, 94, RANGE)]


def test_f12__immediate_orders_have_no_part_in_the_path() -> None:
    plan = {0: lambda ctx: (ctx.limit(1, 95, "IOC"), ctx.stop(1, 105, "IOC"), ctx.stop_limit(-1, 95, 90, "IOC"))}
    outcome = play(daily(*flat(100), SWING), plan, Config(path="low_first"))
    assert (outcome.fills, {end[1:] for end in ends(outcome)}) == ([], {("expired", "ioc")})


def test_f12__late_market_orders_follow_the_path_and_their_exits_wait() -> None:
    act: Act = lambda ctx: (ctx.bracket(1, stop=95, limit=105), ctx.stop(-1, 92))  # noqa: E731
    assert walked("high_first", act, SWING, market="next_close") == [(4, -1, 92, RANGE), (1, 1, 100, RANGE)]
    later = walked("high_first", act, SWING, SWING, market="next_close")
    assert later[2:] == []  # the account is flat again, its exits are reduce-only
    bracket = walked("high_first", lambda ctx: ctx.bracket(1, stop=95, limit=105), SWING, SWING, market="next_typical")
    assert bracket == [(1, 1, 100, RANGE), (3, -1, 105, RANGE)]


def test_f12__the_path_starts_at_the_open_for_exits_of_the_former_close() -> None:
    act: Act = lambda ctx: ctx.bracket(1, stop=95, limit=105)  # noqa: E731
    entry = (1, 1, 100, "same_close")
    assert walked("high_first", act, (90, 101, 88, 92), market="same_close") == [entry, (2, -1, 90, RANGE)]
    assert walked("high_first", act, (108, 109, 88, 92), market="same_close") == [entry, (3, -1, 108, RANGE)]


@pytest.mark.parametrize(
    ("close_out", "fills"),
    [("last_open", [(3, -1, 100, OPEN)]), ("last_close", [(2, 1, 105, RANGE), (3, -2, 101, RANGE)])],
)
def test_f12__a_close_out_at_the_open_leaves_no_path(close_out: str, fills: list[tuple[int, int, int, str]]) -> None:
    plan = {0: lambda ctx: (ctx.buy(1), ctx.stop(1, 105))}
    bars = daily(*flat(100, 2), (100, 110, 90, 101))
    assert prices(play(bars, plan, Config(path="high_first", close_out=close_out)))[1:] == fills
