"""Hand-worked market orders (F10): at which price of which bar they fill, and when in the bar."""

from __future__ import annotations

import pytest

from tests.reference import Config, ModelView, models
from tests.reference.worked import daily, ends, flat, noting, order, play, prices

BAR = (104, 110, 90, 105)  # typical price (110 + 90 + 105) / 3 = 101.67
MARKETS = ["next_open", "same_close", "next_close", "next_typical"]
FILLS = [(104, "open"), (100, "same_close"), (105, "intrabar"), (102, "intrabar")]


@pytest.mark.parametrize(("market", "fill"), list(zip(MARKETS, FILLS, strict=True)))
@pytest.mark.parametrize("tif", ["GTC", "DAY", "IOC"])
def test_f10__each_fills_at_its_price_and_an_ioc_too(market: str, fill: tuple[int, str], tif: str) -> None:
    outcome = play(daily(*flat(100), BAR), {0: lambda ctx: ctx.buy(2, tif)}, Config(market=market))
    assert prices(outcome) == [(1, 2, *fill)]
    assert ends(outcome) == [(1, "filled", "")]


@pytest.mark.parametrize("market", MARKETS)
def test_f10__the_stamp_is_that_of_the_price(market: str) -> None:
    bars = daily(*flat(100), BAR)
    outcome = play(bars, {0: lambda ctx: ctx.buy(2)}, Config(market=market))
    stamp = {"next_open": bars.open_at[1], "same_close": bars.known_at[0]}.get(market, bars.known_at[1])
    assert outcome.fills[0]["time"] == order(outcome, 1)["t_end"] == stamp


def test_f10__same_close_fills_in_the_open_pass_in_its_place_by_id() -> None:
    bars = daily(*flat(100), BAR)
    plan = {0: lambda ctx: (ctx.limit(1, 105), ctx.buy(1), ctx.stop(1, 103), ctx.limit(1, 95))}
    outcome = play(bars, plan, Config(market="same_close"))
    assert prices(outcome) == [
        (1, 1, 104, "open"),
        (2, 1, 100, "same_close"),
        (3, 1, 104, "open"),
        (4, 1, 95, "intrabar"),
    ]
    assert [fill["time"] for fill in outcome.fills[:3]] == [bars.open_at[1], bars.known_at[0], bars.open_at[1]]


def test_f10__same_close_pays_the_price_of_the_decision() -> None:
    # 1000 buy 10 at the former close of 100; at the open of 104 they buy 9
    for market, fill in (("same_close", (10, 100, "same_close")), ("next_open", (9, 104, "open"))):
        outcome = play(
            daily(*flat(100), BAR), {0: lambda ctx: ctx.target_percent(1.0)}, Config(cash=1000.0, market=market)
        )
        assert prices(outcome) == [(1, *fill)]


def test_f10__same_close_at_the_bar_before_whatever_lies_between() -> None:
    bars = daily(*flat(100), (104, 110, 90, 97), (120, 120, 119, 120))
    outcome = play(bars, {1: lambda ctx: ctx.sell(1)}, Config(market="same_close"))
    assert (prices(outcome), outcome.fills[0]["time"]) == ([(1, -1, 97, "same_close")], bars.known_at[1])


def test_f10__same_close_wakes_exits_for_the_bar_in_which_it_is_matched() -> None:
    outcome = play(
        daily(*flat(100), BAR), {0: lambda ctx: ctx.bracket(1, stop=95, limit=103)}, Config(market="same_close")
    )
    assert prices(outcome) == [(1, 1, 100, "same_close"), (2, -1, 95, "intrabar")]
    assert ends(outcome) == [(1, "filled", ""), (2, "filled", ""), (3, "cancelled", "oco")]


@pytest.mark.parametrize(("market", "ticks"), [("next_close", 105), ("next_typical", 102)])
def test_f10__late_ones_fill_after_the_limit_pass_in_id_order(market: str, ticks: int) -> None:
    plan = {0: lambda ctx: (ctx.buy(1), ctx.limit(1, 95), ctx.buy(2), ctx.stop(1, 108))}
    assert prices(play(daily(*flat(100), BAR), plan, Config(market=market))) == [
        (4, 1, 108, "intrabar"),
        (2, 1, 95, "intrabar"),
        (1, 1, ticks, "intrabar"),
        (3, 2, ticks, "intrabar"),
    ]


@pytest.mark.parametrize(
    ("close", "buy", "sell"),
    [(103, 101, 101), (104, 102, 101), (105, 102, 101), (106, 102, 102)],  # sums 303, 304, 305, 306
)
def test_f10__the_typical_price_rounds_against_the_order(close: int, buy: int, sell: int) -> None:
    bars = daily(*flat(100), (104, 110, 90, close))
    outcome = play(bars, {0: lambda ctx: (ctx.buy(3), ctx.sell(1))}, Config(market="next_typical"))
    assert prices(outcome) == [(1, 3, buy, "intrabar"), (2, -1, sell, "intrabar")]


@pytest.mark.parametrize(
    ("market", "buy", "sell"),
    [("same_close", 110, 90), ("next_close", 116, 94), ("next_typical", 113, 90)],
)
def test_f10__all_of_them_slip(market: str, buy: int, sell: int) -> None:
    # 105 * 1.1 = 115.5 and 105 * 0.9 = 94.5; the typical 102 * 1.1 = 112.2 and 101 * 0.9 = 90.9
    config = Config(market=market, slippage=models.fraction_slippage(0.1))
    outcome = play(daily(*flat(100), BAR), {0: lambda ctx: (ctx.buy(3), ctx.sell(1))}, config)
    assert [fill["ticks"] for fill in outcome.fills] == [buy, sell]


@pytest.mark.parametrize("market", MARKETS)
def test_f10__models_see_the_time_and_the_reference_of_the_fill(market: str) -> None:
    seen: list[ModelView] = []
    outcome = play(
        daily(*flat(100), BAR), {0: lambda ctx: ctx.buy(2)}, Config(market=market, slippage=noting(seen, 0.0))
    )
    fill = outcome.fills[0]
    assert [(m.time, m.price) for m in seen] == [(fill["time"], float(fill["reference"]))]


@pytest.mark.parametrize(
    ("same_bar", "stop", "exit_"),
    [("adverse", 95, 95), ("adverse", 107, 105), ("adverse", 89, None), ("next", 95, None)],
)
def test_f10__late_ones_come_before_the_woken_exits(same_bar: str, stop: int, exit_: int | None) -> None:
    # F7 asks the full range, and no better price than the entry's
    config = Config(market="next_close", same_bar=same_bar)
    outcome = play(daily(*flat(100), BAR), {0: lambda ctx: ctx.bracket(1, stop=stop)}, config)
    assert prices(outcome)[0] == (1, 1, 105, "intrabar")
    assert prices(outcome)[1:] == ([] if exit_ is None else [(2, -1, exit_, "intrabar")])


def test_f10__a_stop_closes_before_a_late_order_does() -> None:
    bars = daily(*flat(100, 2), (100, 100, 90, 99))
    plan = {0: lambda ctx: ctx.bracket(10, stop=95), 1: lambda ctx: ctx.target(0)}
    outcome = play(bars, plan, Config(market="next_close"))
    # the target's 10 lots were decided before the stop, and are not reduce-only
    assert prices(outcome)[1:] == [(2, -10, 95, "intrabar"), (4, -10, 99, "intrabar")]


def test_f10__a_size_at_the_fill_is_taken_at_the_late_price() -> None:
    # 1000 / 100 = 10 lots at the decision, 1000 / 125 = 8 at the close
    config = Config(cash=1000.0, sizing="at_fill", market="next_close")
    outcome = play(daily(*flat(100), (90, 130, 80, 125)), {0: lambda ctx: ctx.target_percent(1.0)}, config)
    assert prices(outcome) == [(1, 8, 125, "intrabar")]


@pytest.mark.parametrize("market", ["next_close", "next_typical"])
@pytest.mark.parametrize(("tif", "end"), [("GTC", ("cancelled", "end_of_data")), ("IOC", ("expired", "ioc"))])
def test_f10__last_open_leaves_no_late_pass(market: str, tif: str, end: tuple[str, str]) -> None:
    config = Config(market=market, close_out="last_open")
    outcome = play(daily(*flat(100), BAR), {0: lambda ctx: ctx.buy(1, tif)}, config)
    assert (outcome.fills, ends(outcome)) == ([], [(1, *end)])


@pytest.mark.parametrize("market", MARKETS)
@pytest.mark.parametrize(("close_out", "ticks", "rule"), [("last_open", 104, "open"), ("last_close", 105, "intrabar")])
def test_f10__a_close_out_order_is_none_of_these(market: str, close_out: str, ticks: int, rule: str) -> None:
    bars = daily(*flat(100, 2), BAR)
    outcome = play(bars, {0: lambda ctx: ctx.buy(1)}, Config(market=market, close_out=close_out))
    assert prices(outcome)[1:] == [(2, -1, ticks, rule)]
