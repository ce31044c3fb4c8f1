"""What holds of partial fills whatever is traded (P1-P4)."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference import Bars, Config, Outcome, models, simulate
from tests.reference.config import PATHS_ASK
from tests.reference.paths import LEGS
from tests.reference.worked import ONES, gambler, noise

TIFS = ("GTC", "DAY", "IOC", "FOK")
ENDED = {"filled", "cancelled", "rejected", "expired"}


@st.composite
def configs(draw: st.DrawFn) -> Config:
    """Any venue and fill model with a share of the volume, which is 0 to 500 lots a bar."""
    path = draw(st.sampled_from(["stop_first", "close", *LEGS]))
    asks = PATHS_ASK.get(path, {})
    choices: dict[str, Any] = {
        "market": draw(st.sampled_from(asks.get("market", ("next_open", "same_close", "next_close", "next_typical")))),
        "stop_gap": draw(st.sampled_from(asks.get("stop_gap", ("open", "trigger", "close")))),
        "trailing": draw(st.sampled_from(asks.get("trailing", ("check_first", "update_first")))),
        "close_out": draw(st.sampled_from(asks.get("close_out", ("none", "last_open", "last_close")))),
    }
    return Config(
        cash=draw(st.sampled_from([300.0, 1500.0, 1e5])),
        cash_rule=draw(st.sampled_from(["reduce", "reject", "debt"])),
        fee=draw(st.sampled_from([None, models.per_unit_fee(0.25, 1.0)])),
        slippage=draw(st.sampled_from([None, models.square_root_slippage(0.05)])),
        limit=draw(st.sampled_from(["through", "touch"])),
        same_bar=draw(st.sampled_from(["adverse", "next"])),
        sizing=draw(st.sampled_from(["at_decision", "at_fill"])),
        participation=draw(st.sampled_from([0.002, 0.01, 0.03, 0.2])),
        path=path,
        **choices,
    )


def traded(bars: Bars, outcome: Outcome) -> list[int]:
    """Lots traded in each bar."""
    lots = [0] * len(bars)
    for fill in outcome.fills:
        if fill["rule"] == "open":
            bar = bars.open_at.index(fill["time"])
        else:
            bar = bars.known_at.index(fill["time"]) + (1 if fill["rule"] == "same_close" else 0)
        lots[bar] += abs(fill["lots"])
    return lots


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), configs())
def test_p1_p2__what_is_bought_is_held_paid_for_and_within_the_volume(seed: int, config: Config) -> None:
    bars = noise(seed, 60)
    outcome = simulate(bars, ONES, config, gambler(seed, TIFS))
    cash, position = config.cash, 0
    for fill in outcome.fills:
        cash = (cash - ONES.notional(fill["ticks"], fill["lots"])) - fill["fee"]
        position += fill["lots"]
    if outcome.equity[-1] > 0.0:
        assert (outcome.cash[-1], outcome.position[-1]) == (cash, position)
    for order in outcome.orders:
        fills = [fill for fill in outcome.fills if fill["order"] == order["id"]]
        assert order["status"] in ENDED  # that it ends once is asserted by the book itself
        assert order["filled"] == sum(fill["lots"] for fill in fills)
        assert abs(order["filled"]) <= abs(order["lots"])
        assert all(fill["lots"] * order["lots"] > 0 for fill in fills)
        assert all(order["t_submit"] <= fill["time"] <= order["t_end"] for fill in fills)
        if order["tif"] == "FOK" and order["status"] != "rejected":
            assert (order["status"], order["filled"]) == ("filled", order["lots"]) or order["filled"] == 0
    assert config.participation is not None
    bound = len(bars) if config.close_out == "none" else len(bars) - 1  # a close-out does not ask
    for volume, lots in list(zip(bars.v, traded(bars, outcome), strict=True))[:bound]:
        assert lots <= config.participation * volume


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), configs())
def test_p1__volume_beyond_all_orders_changes_nothing(seed: int, config: Config) -> None:
    bars = dataclasses.replace(noise(seed, 60), v=[1e9] * 60)
    whole = simulate(bars, ONES, dataclasses.replace(config, participation=1.0), gambler(seed, TIFS))
    assert whole == simulate(bars, ONES, dataclasses.replace(config, participation=None), gambler(seed, TIFS))


@pytest.mark.parametrize("seed", range(6))
def test_t1__the_future_does_not_change_partial_fills(seed: int) -> None:
    bars = noise(seed, 60)
    config = Config(cash=1500.0, slippage=lambda m: 0.004, participation=0.01)
    whole = simulate(bars, ONES, config, gambler(seed, TIFS))
    names = ("open_at", "known_at", "session", "o", "h", "l", "c", "v")
    part = simulate(Bars(*[getattr(bars, name)[:40] for name in names]), ONES, config, gambler(seed, TIFS))
    assert whole.fills[: len(part.fills)] == part.fills
    assert (whole.equity[:40], whole.position[:40]) == (part.equity, part.position)


def test_p2__the_gamblers_orders_are_filled_in_parts() -> None:
    """The checks above would say nothing of orders that fill at once."""
    parts = [0, 0]
    for seed in range(10):
        outcome = simulate(noise(seed, 200), ONES, Config(participation=0.01), gambler(seed, TIFS))
        for order in outcome.orders:
            count = sum(fill["order"] == order["id"] for fill in outcome.fills)
            parts[0] += count > 1
            parts[1] += order["reason"] == "position_closed" and order["parent"] == 0
    assert parts[0] > 20
    assert parts[1] > 0
