"""The compiled engine and the reference simulator agree on portfolios: every fill, order and bit (X1-X8)."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.agree import assert_agree
from tests.mandates import halted, limited, members
from tests.portfolios import SCRIPTS, World, run_engine, run_reference
from tests.reference import Asset, Bars, Clock, Config
from tests.reference.paths import LEGS
from tests.test_engine_is_reference import (
    DAY,
    ENDS,
    FEES,
    GRIDS,
    INVERSE,
    MARGINS,
    MARKETS,
    RATES,
    SLIPPAGES,
    happenings,
    means,
    walk,
)

EXAMPLES = 300
TOGETHER = (
    "A1-A9, C1-C6, E1-E8, F1-F12, F14-F15, H1-H5, L1-L7, M1-M8, O1-O17, P1-P5, Q1-Q4, R1-R9, S1-S6, T1-T5, U1, X1-X8, "
    "X10"
)
PATHS = list(itertools.product(["high_first", "low_first", "nearest_first"], ENDS, MARKETS))
DIALECTS = [
    {"trailing": trailing, "close_out": end, "market": market, "stop_gap": gap}
    for trailing, end, market, gap in itertools.product(
        ["check_first", "update_first"], ENDS, MARKETS, ["open", "trigger", "close"]
    )
]
DIALECTS += [{"path": "close", "market": "next_close", "trailing": t} for t in ("check_first", "update_first")] * 4
DIALECTS += [{"path": path, "close_out": end, "market": market} for path, end, market in PATHS]
DIALECTS += [{"close_out": end} for end in ENDS] * 16
# how often a script gives each order, by its verb
OFTEN = np.array([4, 4, 3, 2, 2, 3, 2, 4, 1, 0.5, 1, 3, 1, 1, 1, 1, 0.5, 2, 2, 2, 1, 1, 1, 2, 2, 2, 1, 1])


def action(
    rng: np.random.Generator, config: Config, grid: Any, k: int, close: int, base: int, wide: int
) -> tuple[float, ...]:
    """What a script asks of asset `k` at a bar: portfolios.FIELDS."""
    verb = float(rng.choice(np.arange(1, len(OFTEN) + 1), p=OFTEN / OFTEN.sum()))
    afford = config.cash / (grid.gross(base, 1) * config.initial)
    lots = float(rng.integers(-5, 6)) if rng.random() < 0.4 else float(np.round(rng.normal() * afford * 0.7))
    level = [grid.price(int(max(1, close + rng.integers(-2 * wide, 2 * wide + 1)))) for _ in range(2)]
    q = float(rng.integers(1, 60)) if verb in (9.0, 11.0, 26.0, 27.0) else lots * grid.lot
    a = float(rng.integers(1, 60)) if verb == 11.0 else level[0]
    b, c = level[1], float(rng.choice([0.01, 0.05, 0.2]))
    if verb == 24.0:
        b = float(rng.choice([0.05, 0.2, 1.0]))
    elif verb == 26.0:
        b = float(rng.integers(0, 8)) * grid.lot
    if verb == 8.0:
        c = float(rng.choice([0.0, 1.0, -1.0, 0.5, 1.7, -0.3]))
    if verb == 12.0:
        a, b = float(rng.integers(-1, 2)), float(rng.choice([0.0, 0.1]))
        c = float(rng.choice([0.0, 0.1, 0.4, -0.2]))
    return verb, float(k), q, a, b, c


@st.composite
def worlds(draw: st.DrawFn, calm: bool = False) -> World:
    """A few assets, some with missing bars or listed late, in an account that is often short of cash."""
    n, traded = draw(st.integers(2, 40)), draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    base, wide = draw(st.sampled_from([(60, 3), (400, 40)]))
    per_session = draw(st.integers(1, 4))
    open_at = np.arange(n) * DAY // per_session
    known_at = open_at + DAY // per_session
    session = np.arange(n) // per_session * draw(st.sampled_from([1, 1, 3]))
    last = np.append(session[1:] != session[:-1], True)
    ends = known_at[np.flatnonzero(last)[np.cumsum(np.append(False, last[:-1]))]]
    missing = draw(st.sampled_from([0.0, 0.0, 0.2, 0.6]))
    assets, closes, grids = [], [], []
    dialect = draw(st.sampled_from(DIALECTS))
    for k in range(traded + SCRIPTS):
        there = rng.random(n) >= missing if k < traded else np.ones(n, bool)
        if k < traded and rng.random() < 0.3:
            there[: rng.integers(0, n)] = False
        there[-1] |= not there.any()
        opens, high, low, close = walk(rng, n, base, wide)
        volume = np.round(rng.exponential(1000.0, n) * (rng.random(n) > 0.1))
        columns = (open_at, known_at, session, opens, high, low, close, volume, ends)
        grid = INVERSE[rng.integers(2)] if not calm and rng.random() < 0.1 else GRIDS[rng.integers(len(GRIDS))]
        rows = np.where(there, np.cumsum(there) - 1, -1)
        bars = Bars(*(c[there].tolist() for c in columns))
        if dialect.get("market") == "next_vwap":
            bars = replace(bars, vwap=means(rng, grid, high[there], low[there]))
        assets.append(Asset(bars, grid, rows.tolist()))
        closes.append(close)
        grids.append(grid)
    fee, fee_plain = draw(st.sampled_from(FEES))
    slip, slip_plain = draw(st.sampled_from(SLIPPAGES))
    config = Config(
        cash=draw(st.sampled_from([1e6, 10_000.0, 50.0])),
        cash_rule=draw(st.sampled_from(["reduce", "reduce", "reject", "debt"])),
        fee=fee_plain,
        slippage=slip_plain,
        band=draw(st.sampled_from([0.005, 0.0, 0.2])),
        limit=draw(st.sampled_from(["through", "touch"])),
        same_bar=draw(st.sampled_from(["adverse", "next"])),
        sizing=draw(st.sampled_from(["at_decision", "at_fill"])),
        trade_from=draw(st.integers(0, n - 1)),
        periods_per_year=252,
        participation=draw(st.sampled_from([None, None, None, 0.001, 0.02, 1.0])),
        **dialect,
        **draw(st.sampled_from([{}] if calm else [{}, {}, {}, *MARGINS])),
        **draw(st.sampled_from([{}] if calm else [{}, {}, RATES])),
    )
    if config.path in LEGS:  # L7
        config = replace(config, isolated=False)
    told = "" if calm else draw(st.sampled_from(["", "limits", "limits", "halts", "both", "both"]))
    if told in ("limits", "both"):
        config = replace(config, limits=limited(rng, config.cash, grids, base))
    if told and rng.random() < 0.2:
        for k in np.flatnonzero(rng.random(traded) < 0.6):
            bars = assets[k].bars
            assets[k] = replace(assets[k], bars=replace(bars, universe=members(rng, len(bars))))
    if told in ("halts", "both"):
        config = replace(config, halts=halted(rng, open_at, known_at, config.market == "same_close"))
    busy = draw(st.floats(0.1, 1.0))
    program = np.zeros((n, SCRIPTS, 6))
    for t, j in itertools.product(range(n), range(SCRIPTS)):
        if rng.random() <= busy:
            k = int(rng.integers(traded))
            program[t, j] = action(rng, config, grids[k], k, closes[k][t], base, wide)
    clock = Clock(open_at.tolist(), known_at.tolist(), session.tolist())
    many, actions = draw(st.sampled_from([0] if calm else [0, 0, 1, 4])), []
    for k, asset in enumerate(assets[:traded] if many else []):
        own = np.array(asset.bars.open_at), np.array(asset.bars.known_at)
        grid = asset.grid
        actions += happenings(rng, many, *own, k, grid.contract == "inverse", grid.price(base))
    return World(clock, assets, config, program, fee, slip, tuple(actions))


@settings(max_examples=EXAMPLES, deadline=None)
@given(worlds())
@pytest.mark.oracle("Reference simulator, several assets", covers=TOGETHER, cases=EXAMPLES)
def test_portfolio_is_reference(world: World) -> None:
    logs, headline, blocks, level = run_engine(world)
    expected = run_reference(world)
    assert_agree(logs, headline, blocks, level, expected)
    held = [[x / a.grid.lot for x in column] for a, column in zip(world.assets, logs.curves[:, 2:].T, strict=True)]
    assert np.allclose(held, np.array(expected.position, "f8").reshape(len(world.assets), -1), rtol=1e-12, atol=0)
