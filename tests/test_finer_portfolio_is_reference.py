"""The compiled engine and the reference simulator agree on portfolios that are matched in finer bars (X11)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.agree import assert_agree
from tests.portfolios import World, run_engine, run_reference
from tests.reference import Asset, Clock
from tests.test_engine_is_reference import means
from tests.test_finer_is_reference import grouped, some
from tests.test_portfolio_is_reference import worlds
from tests.test_venues_are_reference import apart, spread

EXAMPLES = 300


def coarsened(asset: Asset, clock: Clock, group: np.ndarray, rng: np.random.Generator) -> Asset:
    """An asset whose bars are those of `clock`, made of its own, with these; `group` has the place of each row.

    Some that have no volume are left out, and some bars, whose finer ones then belong to none.
    """
    of_bars = group[np.flatnonzero(np.array(asset.rows) >= 0)]
    ends = np.flatnonzero(np.append(of_bars[1:] != of_bars[:-1], True))
    bars, places = grouped(asset.bars, ends), of_bars[ends]
    gappy = min(asset.rows) < 0  # else it may be a script's, which has all bars
    kept = np.flatnonzero((rng.random(len(places)) < (0.9 if gappy else 1.0)) | (places == places[-1]))
    times = {name: [getattr(clock, name)[t] for t in places] for name in ("open_at", "known_at", "session")}
    bars, places = some(replace(bars, **times), kept), places[kept]
    rows = np.full(len(clock), -1)
    rows[places] = np.arange(len(places))
    there = (np.array(asset.bars.v) > 0.0) | (rng.random(len(asset.bars)) < 0.3)
    return replace(asset, bars=bars, rows=rows.tolist(), finer=some(asset.bars, np.flatnonzero(there)))


def with_finer(world: World, seed: int, share: float) -> World:
    """The world with decisions at the ends of groups of its bars, which become the finer ones."""
    rng = np.random.default_rng(seed)
    old, n = world.clock, len(world.clock)
    last = rng.random(n) < share
    last[-1] = True
    ends, group = np.flatnonzero(last), np.cumsum(np.append(0, last[:-1]))
    starts = np.append(0, ends[:-1] + 1)
    clock = Clock([old.open_at[k] for k in starts], [old.known_at[k] for k in ends], [old.session[k] for k in ends])
    market, close_out = world.config.market, world.config.close_out
    told = {
        "path": "finer",
        "market": "next_vwap" if market == "same_close" else market,
        "close_out": "none" if close_out == "last_open" else close_out,
    }
    config = replace(world.config, trade_from=int(np.searchsorted(ends, world.config.trade_from)), **told)
    assets = []
    for asset in world.assets:
        b = asset.bars
        if config.market == "next_vwap":
            asset = replace(asset, bars=replace(b, vwap=means(rng, asset.grid, np.array(b.h), np.array(b.l))))
        assets.append(coarsened(asset, clock, group, rng))
    venues = tuple(replace(venue, config=replace(venue.config, **told)) for venue in world.venues)
    return replace(world, clock=clock, assets=assets, config=config, program=world.program[ends], venues=venues)


SEEDS, SHARES = st.integers(0, 2**32 - 1), st.sampled_from([0.15, 0.4, 0.8])


@settings(max_examples=EXAMPLES, deadline=None)
@given(worlds(), SEEDS, SHARES)
@pytest.mark.oracle("Reference simulator, several assets", covers="X11", cases=EXAMPLES)
def test_finer_portfolio_is_reference(world: World, seed: int, share: float) -> None:
    made = with_finer(world, seed, share)
    logs, headline, blocks, level = run_engine(made)
    assert_agree(logs, headline, blocks, level, run_reference(made))


@settings(max_examples=EXAMPLES // 3, deadline=None)
@given(st.one_of(spread(), apart()), SEEDS, SHARES)
@pytest.mark.oracle("Reference simulator, several venues", covers="X11", cases=EXAMPLES // 3)
def test_finer_venues_are_reference(world: World, seed: int, share: float) -> None:
    made = with_finer(world, seed, share)
    logs, headline, blocks, level = run_engine(made)
    assert_agree(logs, headline, blocks, level, run_reference(made))
