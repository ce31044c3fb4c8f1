"""What holds of all orders whatever is traded (O11-O16, F14, F15, P5, S6)."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference import Asset, Bars, Clock, Config, Outcome, simulate, simulate_portfolio
from tests.reference.config import Record
from tests.reference.extras import explorer, with_closes
from tests.reference.market import Grid
from tests.reference.test_partial_invariants import configs as partial_configs
from tests.reference.view import View
from tests.reference.worked import HALF_LOTS, ONES, noise

REASONS = {
    "filled": {""},
    "cancelled": set("user replaced oco parent_ended position_closed cut_cash reduce_only ruin end_of_data".split()),
    "rejected": {
        "below_lot",
        "invalid",
        "insufficient_cash",
        "off_tick",
        "above_maximum",
        "below_minimum",
        "post_only",
    },
    "expired": {"day", "ioc", "fok", "gtd", "at_open", "at_close"},
}


@st.composite
def configs(draw: st.DrawFn) -> Config:
    """Any venue and fill model, with what a venue may refuse."""
    return dataclasses.replace(
        draw(partial_configs()),
        participation=draw(st.sampled_from([None, 0.01, 0.03, 0.2])),
        off_tick=draw(st.sampled_from(["round", "reject"])),
        max_quantity=draw(st.sampled_from([None, 20.0])),
        min_quantity=draw(st.sampled_from([None, 2.0])),
        min_notional=draw(st.sampled_from([None, 250.0])),
    )


def bar_of(bars: Bars, fill: Record) -> int:
    """The bar to which a fill belongs."""
    if fill["rule"] == "open":
        return bars.open_at.index(fill["time"])
    return bars.known_at.index(fill["time"]) + (1 if fill["rule"] == "same_close" else 0)


def check_order(bars: Bars, grid: Grid, config: Config, order: Record, fills: list[Record]) -> None:
    assert order["reason"] in REASONS[order["status"]]
    assert order["filled"] == sum(fill["lots"] for fill in fills)
    assert abs(order["filled"]) <= abs(order["lots"])
    assert all(fill["lots"] * order["lots"] > 0 for fill in fills)
    assert all(order["t_submit"] <= fill["time"] <= order["t_end"] for fill in fills)
    if order["status"] == "filled":
        assert fills
    if config.max_quantity is not None and config.sizing == "at_decision" and order["status"] != "rejected":
        closes_out = order["t_submit"] in (bars.open_at[-1], bars.known_at[-1])
        assert closes_out or float(abs(order["lots"])) * grid.lot <= config.max_quantity * 1.000000001


def check_auctions(bars: Bars, order: Record, fills: list[Record]) -> None:
    """O12: one bar, and no other."""
    for fill in fills:
        u = bar_of(bars, fill)
        if order["tif"] == "AT_OPEN":
            assert u == 0 or bars.session[u] != bars.session[u - 1]
        else:
            assert bars.closes is not None
            assert bars.known_at[u] >= bars.closes[u]
            assert fill["time"] == bars.known_at[u]
            assert fill["reference"] == bars.c[u]
    assert len({fill["time"] for fill in fills}) <= 1


@settings(max_examples=250, deadline=None)
@given(st.integers(0, 10**6), configs(), st.sampled_from([ONES, HALF_LOTS]))
def test_o__every_order_is_filled_within_its_lots_and_its_time(seed: int, config: Config, grid: Grid) -> None:
    bars = with_closes(noise(seed, 60))
    expires: dict[int, int] = {}
    decide = explorer(seed)

    def watching(ctx: View) -> None:
        before = len(ctx._book.orders)
        decide(ctx)
        expires.update({order.id: order.expires for order in ctx._book.orders[before:] if order.tif == "GTD"})

    outcome = simulate(bars, grid, config, watching)
    for order in outcome.orders:
        fills = [fill for fill in outcome.fills if fill["order"] == order["id"]]
        check_order(bars, grid, config, order, fills)
        if order["tif"] == "GTD" and order["status"] != "rejected":
            assert all(bars.open_at[bar_of(bars, fill)] < expires[order["id"]] for fill in fills)
            assert order["reason"] != "gtd" or order["t_end"] >= expires[order["id"]]
        if order["tif"] in ("AT_OPEN", "AT_CLOSE"):
            check_auctions(bars, order, fills)
    cash, position = config.cash, 0
    for fill in outcome.fills:
        cash = (cash - grid.notional(fill["ticks"], fill["lots"])) - fill["fee"]
        position += fill["lots"]
    if outcome.equity[-1] > 0.0:
        assert (outcome.cash[-1], outcome.position[-1]) == (cash, position)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), configs(), st.sampled_from([1, -1]))
def test_o13__reduce_only_never_opens_nor_grows_a_position(seed: int, config: Config, side: int) -> None:
    bars = with_closes(noise(seed, 60))
    reducing: set[int] = set()
    decide = explorer(seed)

    def watching(ctx: View) -> None:
        before = len(ctx._book.orders)
        decide(ctx)
        ctx.order(3 * side)
        reducing.update(order.id for order in ctx._book.orders[before:] if order.reduce_only)

    position = 0
    for fill in simulate(bars, ONES, config, watching).fills:
        if fill["order"] in reducing:
            assert abs(position + fill["lots"]) < abs(position)
            assert (position + fill["lots"]) * position >= 0
        position += fill["lots"]


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["stop_first", "high_first", "low_first"]), st.booleans())
def test_o14__post_only_never_takes(seed: int, path: str, through: bool) -> None:
    # one order at a time: in the bar after its decision it either makes or is rejected
    bars = noise(seed, 60)
    makers: dict[int, float] = {}

    def decide(ctx: View) -> None:
        if not ctx.orders():
            side = 1 if ctx.i % 2 else -1
            ctx.limit(side, ctx.close() - side * (ctx.i % 5 - 1), post_only=True, tif="DAY")

    def fee(m: Any) -> float:
        makers[m.time] = m.maker
        return 0.0

    outcome = simulate(bars, ONES, Config(fee=fee, path=path, limit="through" if through else "touch"), decide)
    for order in outcome.orders:
        first = bars.known_at.index(order["t_submit"]) + 1
        for fill in outcome.fills:
            if fill["order"] == order["id"] and bar_of(bars, fill) == first:
                assert (fill["rule"], makers[fill["time"]]) == ("intrabar", 1.0)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), configs())
def test_o16__replacing_a_quantity_down_to_what_has_filled_ends_the_order(seed: int, config: Config) -> None:
    bars = with_closes(noise(seed, 60))
    decide = explorer(seed)
    checked: list[int] = []

    def watching(ctx: View) -> None:
        decide(ctx)
        for order in ctx._book.live():
            if order.parent == 0 and not order.from_target and ctx.i % 5 == 0:
                before = (order.lots, order.filled)
                if order.filled != 0:
                    assert ctx.replace(order.id, quantity=abs(order.filled)) == order.id
                    assert (order.status, order.reason, order.t_end) == ("cancelled", "user", ctx.time)
                else:
                    assert ctx.replace(order.id, quantity=0.4) == 0
                    assert order.live
                assert (order.lots, order.filled) == before
                checked.append(order.id)

    simulate(bars, ONES, config, watching)


def test_o16__replacing_changes_nothing_but_what_it_says() -> None:
    """An order replaced by its own numbers at each decision fills as one that is left alone, post_only apart."""
    for seed in range(20):
        bars = noise(seed, 60)
        for path in ("stop_first", "low_first"):
            told = []
            for again in (False, True):

                def decide(ctx: View, again: bool = again) -> None:
                    if ctx.i == 0:
                        ctx.limit(5, 90)
                        ctx.stop_limit(5, 105, 103)
                        ctx.market_if_touched(-5, 108)
                        ctx.trailing_stop(4, ticks=7)
                    if again:
                        for order in ctx._book.live():
                            ctx.replace(order.id, quantity=abs(order.lots))
                            if order.kind in ("limit", "stop_limit"):
                                ctx.replace(order.id, price=order.price)

                told.append(simulate(bars, ONES, Config(path=path, participation=0.01), decide))
                told[-1].lives.clear()  # these tell of each replacement
            assert repr(told[0]) == repr(told[1])


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["through", "touch"]), st.integers(1, 4))
def test_p5__what_is_shown_never_fills_more_than_without_nor_beyond_it_at_one_price(
    seed: int, limit: str, display: int
) -> None:
    bars = noise(seed, 60)
    thr = 1 if limit == "through" else 0

    def outcome(shows: int | None) -> Outcome:
        plan = lambda ctx: ctx.limit(20, ctx.close() - 6, display=shows) if ctx.i == 0 else None  # noqa: E731
        return simulate(bars, ONES, Config(limit=limit), plan)

    price = bars.c[0] - 6
    filled = {shows: Counter[int]() for shows in (display, None)}
    for shows, counts in filled.items():
        for fill in outcome(shows).fills:
            counts[bar_of(bars, fill)] += fill["lots"]
    for u, lots in filled[display].items():
        if bars.l[u] >= price - thr:
            assert lots == min(display, 20 - sum(n for v, n in filled[display].items() if v < u))
        else:
            assert u == max(filled[display])
    assert sum(filled[display].values()) <= sum(filled[None].values())


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), configs())
def test_t1__the_future_does_not_change_the_past(seed: int, config: Config) -> None:
    bars = with_closes(noise(seed, 60))
    config = dataclasses.replace(config, close_out="none")
    whole = simulate(bars, ONES, config, explorer(seed))
    columns = {field.name: getattr(bars, field.name) for field in dataclasses.fields(bars)}
    first = Bars(**{name: values[:40] for name, values in columns.items() if values is not None})
    part = simulate(first, ONES, config, explorer(seed))
    assert whole.fills[: len(part.fills)] == part.fills
    assert (whole.equity[:40], whole.position[:40]) == (part.equity, part.position)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6), configs(), st.integers(1, 3))
def test_x__portfolios_hold_what_they_buy_with_all_orders(seed: int, config: Config, n: int) -> None:
    config = dataclasses.replace(config, path="stop_first" if config.path != "close" else "close")
    columns = [with_closes(noise(seed + k, 50)) for k in range(n)]
    clock = Clock(columns[0].open_at, columns[0].known_at, columns[0].session)
    assets = [Asset(bars, ONES, list(range(50))) for bars in columns]

    def decide(ctx: Any) -> None:
        for k in range(n):
            explorer(seed + 7 * k)(ctx[k])

    outcome = simulate_portfolio(clock, assets, config, decide)
    for order in outcome.orders:
        fills = [fill for fill in outcome.fills if fill["order"] == order["id"]]
        check_order(columns[order["asset"]], ONES, config, order, fills)
        if order["tif"] in ("AT_OPEN", "AT_CLOSE"):
            check_auctions(columns[order["asset"]], order, fills)


@pytest.mark.parametrize("refuses", [True, False])
def test_o__the_explorer_meets_what_the_checks_are_about(refuses: bool) -> None:
    seen: Counter[str] = Counter()
    for seed in range(40):
        bars = with_closes(noise(seed, 120))
        venue = {"off_tick": "reject", "max_quantity": 20.0, "min_notional": 250.0} if refuses else {}
        outcome = simulate(bars, ONES, Config(cash=1e5, participation=0.03, **venue), explorer(seed))  # type: ignore[arg-type]
        for order in outcome.orders:
            seen[order["reason"]] += 1
            seen[order["kind"] + " filled"] += order["status"] == "filled"
            seen[order["tif"] + " filled"] += order["status"] == "filled"
    wanted = ["post_only", "gtd", "at_open", "at_close", "position_closed", "reduce_only", "user"]
    wanted += ["off_tick", "above_maximum", "below_minimum"] if refuses else []
    kinds = "market limit stop stop_limit trailing_stop market_if_touched limit_if_touched trailing_stop_limit"
    wanted += [f"{name} filled" for name in [*kinds.split(), "GTD", "AT_OPEN", "AT_CLOSE"]]
    assert {name: seen[name] for name in wanted if seen[name] < 5} == {}
