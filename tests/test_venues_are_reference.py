"""The compiled engine and the reference simulator agree on several venues, with one account and with several."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelkit.kernels.session import Recorder
from tests.agree import assert_agree
from tests.mandates import halted, limited
from tests.portfolios import Place, World, job, run_engine, run_reference
from tests.programs import found
from tests.reference import Config, Ways
from tests.reference.paths import LEGS
from tests.test_engine_is_reference import FEES, MARGINS, RATES, SLIPPAGES
from tests.test_portfolio_is_reference import worlds

EXAMPLES = 300


@st.composite
def places(draw: st.DrawFn, world: World, config: Config) -> Place:
    """What one venue asks of the orders for its assets."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    fee, fee_plain = draw(st.sampled_from(FEES))
    slip, slip_plain = draw(st.sampled_from(SLIPPAGES))
    lot = world.assets[0].grid.lot
    limits: dict[str, Any] = {"off_tick": draw(st.booleans())}
    if draw(st.booleans()):
        limits |= {"min_quantity": 2.0 * lot, "max_quantity": 40.0 * lot}
    told = {name: value for name, value in limits.items() if name != "off_tick"}
    if draw(st.booleans()):
        times = np.array(world.clock.open_at), np.array(world.clock.known_at)
        told["halts"] = halted(rng, *times, near=config.market == "same_close")
    own = replace(
        config,
        fee=fee_plain,
        slippage=slip_plain,
        cash_rule=draw(st.sampled_from(["reduce", "reduce", "reject", "debt"])),
        band=draw(st.sampled_from([0.005, 0.0, 0.2])),
        participation=draw(st.sampled_from([None, None, 0.02, 1.0])),
        off_tick="reject" if limits["off_tick"] else "round",
        **told,
    )
    return Place(own, fee, slip, limits)


@st.composite
def spread(draw: st.DrawFn) -> World:
    """A portfolio whose assets trade at two venues or three; the account has no maintenance margin (V4)."""
    world = draw(worlds())
    config = replace(world.config, maintenance=None, maintenance_short=None, isolated=False)
    venues = tuple(draw(places(world, config)) for _ in range(draw(st.integers(2, 3))))
    anywhere = st.integers(0, len(venues) - 1)
    homes = (*range(len(venues)), *(draw(anywhere) for _ in world.assets[len(venues) :]))
    return replace(world, config=config, venues=venues, homes=homes)


@st.composite
def apart(draw: st.DrawFn) -> World:
    """The same with an account for each venue, some of them short of cash, on margin or under limits of their own."""
    world = draw(spread())
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    venues = []
    for venue in world.venues:
        margin = draw(st.sampled_from([{}, *MARGINS]))
        grids = [asset.grid for asset in world.assets]
        cash = draw(st.sampled_from([1e6, 10_000.0, 50.0]))
        told = limited(rng, cash, grids, world.assets[0].bars.c[0]) if draw(st.booleans()) else None
        own = {"initial": 1.0, "margin_fee": 0.0} | margin | draw(st.sampled_from([{}, RATES]))
        if venue.config.path in LEGS:  # L7
            own["isolated"] = False
        venues.append(replace(venue, config=replace(venue.config, cash=cash, limits=told, **own)))
    n = len(venues)
    return replace(world, venues=tuple(venues), ways=Ways([[0] * n] * n, [0.0] * n))


@st.composite
def sending(draw: st.DrawFn) -> World:
    """The same, and money goes between the accounts: more than there is, to itself, for a fee, for longer than there
    are bars."""
    world = draw(apart())
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, bar = len(world.venues), world.clock.known_at[0] - world.clock.open_at[0]
    delays = rng.choice([0, 1, bar // 2, bar, 3 * bar, 100 * bar], (n, n)).tolist()
    fees = rng.choice([0.0, 0.0, 3.0, 45.0], n).tolist()
    program, often = world.program.copy(), draw(st.sampled_from([0.05, 0.3]))
    for t, j in np.ndindex(program.shape[:2]):
        if rng.random() < often:
            source, target = rng.integers(len(world.assets), size=2)
            amount = rng.choice([10.0, 44.0, 45.0, 1_000.0, 3_333.3, 9e9, 0.0, -5.0, np.nan, np.inf])
            program[t, j] = 29.0, source, target, amount, 0.0, 0.0
    return replace(world, program=program, ways=Ways(delays, fees))


@settings(max_examples=EXAMPLES, deadline=None)
@given(sending())
@pytest.mark.oracle("Reference simulator, several venues", covers="V5", cases=EXAMPLES)
def test_transfers_are_reference(world: World) -> None:
    sent: list[float] = []
    expected = run_reference(world, sent)
    recorder = Recorder(job(world), 0)
    logs = recorder.all()
    assert_agree(logs, *found(recorder), expected)
    assert logs.records[: len(sent), 0].tolist() == sent


@settings(max_examples=EXAMPLES, deadline=None)
@given(apart())
@pytest.mark.oracle("Reference simulator, several venues", covers="V3, V4", cases=EXAMPLES)
def test_accounts_are_reference(world: World) -> None:
    logs, headline, blocks, level = run_engine(world)
    assert_agree(logs, headline, blocks, level, run_reference(world))


@settings(max_examples=EXAMPLES, deadline=None)
@given(spread())
@pytest.mark.oracle("Reference simulator, several venues", covers="V1, V2", cases=EXAMPLES)
def test_venues_are_reference(world: World) -> None:
    logs, headline, blocks, level = run_engine(world)
    assert_agree(logs, headline, blocks, level, run_reference(world))
