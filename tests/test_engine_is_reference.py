"""The compiled engine and the reference simulator agree on random bars and orders: every fill, order and bit."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelkit import fees, slippage
from kernelkit.market.models import cost_model
from tests.agree import assert_agree
from tests.mandates import halted, limited, members
from tests.programs import ACTIONS, Case, run_engine, run_reference
from tests.reference import Action, Bars, Config, Grid
from tests.reference import models as plain

DAY = 86_400_000_000_000
EXAMPLES = 400
ALONE = "A1-A9, C1-C6, E1-E8, F1-F15, H1-H5, L1-L5, M1-M8, O1-O17, P1-P5, Q1-Q4, R1-R9, S1-S6, T1-T5, U1"
GRIDS = [Grid(0.01, 100, 1.0), Grid(2.0**-10, 0, 1.0), Grid(0.25, 0, 0.001, 50.0), Grid(0.05, 20, 2.0**-20)]
INVERSE = [Grid(0.5, 0, 1.0, 100.0, "inverse"), Grid(0.1, 10, 0.01, 7.0, "inverse")]


@cost_model
def all_seen(m, rate):  # type: ignore[no-untyped-def]
    """A fee that every field of C3 moves."""
    past = (m.traded + m.filled_notional) * 1e-3 + m.volume * m.volatility
    return rate * (m.notional * (1.0 + m.maker) + past) + m.tick - m.paid * 1e-3


@cost_model
def wild(m, rate):  # type: ignore[no-untyped-def]
    """Slippage that every field of C3 moves, of those that a market order has."""
    return rate * (m.tick / m.price + m.volatility + m.traded / (m.traded + 1e5) + m.maker + m.filled_notional * 1e-9)


@cost_model
def by_wealth(m, rate):  # type: ignore[no-untyped-def]
    """A fee that what the account is worth and holds moves."""
    return rate * (m.notional + abs(m.equity) * 0.01 + abs(m.position))


class Fitted:
    """As a regressor answers: what it was trained on does not matter here."""

    def predict(self, points: np.ndarray) -> np.ndarray:
        return 0.002 + points[:, 0] ** 2 * 0.01 + points[:, 1] * 0.3


SHARES, SPREADS = [0.0, 0.01, 0.1, 2.0], [0.0, 0.01, 0.05]
TABLE = [[float(Fitted().predict(np.array([[a, b]]))[0]) for b in SPREADS] for a in SHARES]
TIERS = [(0.0, 0.001, 0.002), (5e3, 0.0005, 0.0018), (2e5, -0.0001, 0.001), (9e6, -0.0002, 0.0)]
FEES = [
    (None, None),
    (fees.maker_taker(-0.0001, 0.0007), plain.maker_taker_fee(-0.0001, 0.0007)),
    (fees.tiered(*zip(*TIERS, strict=True)), plain.tiered_fee(TIERS)),
    (fees.percentage(0.001, 2.0, 40.0), plain.percentage_fee(0.001, 2.0, 40.0)),
    (
        fees.stamp_duty(0.005) + fees.us_sales(2e-5, 1e-4, 5.0) + fees.tiered(*zip(*TIERS, strict=True)),
        plain.sum_of(
            plain.sum_of(plain.stamp_duty_fee(0.005), plain.us_sales_fee(2e-5, 1e-4, 5.0)), plain.tiered_fee(TIERS)
        ),
    ),
    (fees.fraction(0.001), plain.fraction_fee(0.001)),
    (fees.per_unit(0.005, 1.0), plain.per_unit_fee(0.005, 1.0)),
    (fees.fixed(2.5), plain.fixed_fee(2.5)),
    (fees.fraction(-0.0002), plain.fraction_fee(-0.0002)),
    (all_seen(0.001), lambda m: all_seen(0.001).function(m, 0.001)),
    (all_seen(0.002), lambda m: all_seen(0.002).function(m, 0.002)),
    (by_wealth(0.001), lambda m: by_wealth(0.001).function(m, 0.001)),
]
SLIPPAGES = [
    (None, None),
    (slippage.ticks(2), plain.ticks_slippage(2.0)),
    (slippage.volume_share(0.1, 0.3), plain.volume_share_slippage(0.1, 0.3)),
    (slippage.volatility_adaptive(0.1, 1e-4), plain.volatility_slippage(0.1, 1e-4)),
    (slippage.almgren_chriss(0.01, 1e-4, 1e-5), plain.almgren_chriss_slippage(0.01, 1e-4, 1e-5)),
    (slippage.constant_product(1e12, 0.003), plain.constant_product_slippage(1e12, 0.003)),
    (slippage.learned(Fitted(), SHARES, SPREADS), plain.learned_slippage(SHARES, SPREADS, TABLE)),
    (
        slippage.spread(1.0, 2e-4) + slippage.linear(0.01),
        plain.sum_of(plain.spread_slippage(1.0, 2e-4), plain.linear_slippage(0.01)),
    ),
    (slippage.fraction(0.0007), plain.fraction_slippage(0.0007)),
    (slippage.square_root(0.02), plain.square_root_slippage(0.02)),
    (wild(0.01), lambda m: wild(0.01).function(m, 0.01)),
]


MARKETS = ["next_open", "same_close", "next_close", "next_typical", "next_vwap"]
ENDS = ["none", "none", "last_open", "last_close"]
# what F10-F12 allow together, the default as often as all else
DIALECTS = [
    {"trailing": trailing, "close_out": end, "market": market, "stop_gap": gap}
    for trailing, end, market, gap in itertools.product(
        ["check_first", "update_first"], ENDS, MARKETS, ["open", "trigger", "close"]
    )
]
DIALECTS += [
    {"path": path, "close_out": end, "market": market}
    for path, end, market in itertools.product(["high_first", "low_first", "nearest_first"], ENDS, MARKETS)
]
DIALECTS += [
    {"path": "close", "market": "next_close", "trailing": trailing, "close_out": end}
    for trailing, end in itertools.product(["check_first", "update_first"], ["none", "last_close"])
]
DIALECTS += [{"trailing": t, "close_out": end} for t in ("check_first", "update_first") for end in ENDS] * 16


def another(rng: Any, grid: Grid, wide: int, a: float, b: float, afford: float) -> tuple[float, ...]:
    """One action that `more` adds: its verb and seven numbers."""
    verb = float(rng.choice([12, 13, 14, 15, 16, 17, 18], p=[0.12, 0.12, 0.16, 0.16, 0.16, 0.14, 0.14]))
    lots = float(rng.integers(-5, 6)) if rng.random() < 0.5 else float(np.round(rng.normal() * afford * 0.7))
    q, c, d = lots * grid.lot, float(rng.integers(1, 3 * wide)), float(rng.choice([200.0, 1000.0]))
    if verb == 14.0:
        b = grid.price(int(rng.integers(1, wide))) if rng.random() < 0.8 else -1.0
    elif verb == 16.0:
        c = float(rng.integers(0, 4)) * grid.lot
    elif verb == 18.0:
        q, c = float(rng.integers(1, 40)), float(rng.integers(0, 8)) * grid.lot
    e = float(rng.integers(-1, 8)) * DAY / 4.0
    return (verb, float(rng.integers(0, 5)), q, a, b, c, d, e)


def walk(rng: Any, n: int, base: int, wide: int) -> tuple[np.ndarray, ...]:
    """Open, high, low and close in ticks: steps of up to `wide` from `base`."""
    close = np.maximum(4, base + np.cumsum(rng.integers(-wide, wide + 1, n)))
    opens = np.maximum(3, np.r_[base, close[:-1]] + rng.integers(-wide, wide + 1, n))
    high = np.maximum(opens, close) + rng.integers(0, wide + 1, n)
    low = np.maximum(1, np.minimum(opens, close) - rng.integers(0, wide + 1, n))
    return opens, high, low, close


def means(rng: Any, grid: Grid, high: np.ndarray, low: np.ndarray) -> list[float]:
    """F10: mean prices of bars, on the grid and off it, a tick outside of the range, or none."""
    ticks = low + (high - low + 2) * rng.random(len(low)) - 1.0
    ticks = np.where(rng.random(len(low)) < 0.5, np.round(ticks), ticks)
    some = [grid.price(1) * max(0.5, float(k)) for k in ticks]
    return np.where(rng.random(len(low)) < 0.1, np.nan, some).tolist()


MARGINS: list[dict[str, Any]] = [
    {"initial": 0.5, "maintenance": 0.25, "maintenance_short": 0.3, "protected": False},
    {"initial": 0.1, "maintenance": 0.05, "margin_fee": 0.01},
    {"initial": 0.1, "maintenance": 0.07, "margin_fee": 0.005, "isolated": True},
    {"initial": 0.2, "maintenance": ([0.0, 2e3, 5e4], [0.01, 0.05, 0.12])},
    {"initial": 0.2, "maintenance": 0.15, "isolated": True, "protected": False},
]
RATES = {"interest": 0.3, "loan": 0.7, "borrow": 0.4}  # a year, so that they are seen


def happenings(rng: Any, many: int, opens: Any, knowns: Any, asset: int, inverse: bool, price: float) -> list[Action]:
    """Random facts of one asset, at its bars' edges and within them; a delisting at the end at the earliest."""
    out = []
    for _ in range(many):
        t = int(rng.integers(len(opens)))
        time = int(rng.choice([opens[t] - 1, opens[t], opens[t] + 1, (opens[t] + knowns[t]) // 2, knowns[t]]))
        kind = "funding" if inverse else str(rng.choice(["split", "dividend", "funding"]))
        value = {
            "split": lambda: rng.choice([2.0, 3.0, 7.0, 0.5, 0.1, 1.5, 1.0 / 0.1428572]),
            "dividend": lambda: rng.choice([0.0, 0.01, 0.2, 1.5]) * price,
            "funding": lambda: rng.choice([0.001, -0.02, 0.1, np.nan]),
        }[kind]()
        mark = float(rng.choice([np.nan, price, 1.3 * price])) if kind == "funding" else np.nan
        out.append(Action(kind, asset, time, float(value), mark))
    if not inverse and rng.random() < 0.3:
        value = float(rng.choice([np.nan, 0.0, 0.7 * price]))
        out.append(Action("delisting", asset, int(rng.choice([knowns[-1], opens[-1] + 1])), value))
    return out


@st.composite
def cases(draw: st.DrawFn, calm: bool = False) -> Case:
    """Bars of a few ticks' range, so that prices are met exactly, and programs that aim at them.

    Of every kind of order; sessions that close before their last bar, or that miss it; venues with limits; unless
    ``calm`` accounts on margin, inverse contracts, and what happens by the calendar.
    """
    n = draw(st.integers(2, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    base, wide = draw(st.sampled_from([(60, 3), (1000, 8), (400, 40)]))
    opens, high, low, close = walk(rng, n, base, wide)
    per_session = draw(st.integers(1, 5))
    open_at = draw(st.sampled_from([0, -40, 19_000])) * DAY + np.arange(n) * DAY // per_session
    session = draw(st.integers(-3, 20_000)) + np.arange(n) // per_session * draw(st.sampled_from([1, 1, 3, 40]))
    grid = draw(st.sampled_from(GRIDS if calm else [*GRIDS, *GRIDS, *INVERSE]))
    fee, fee_plain = draw(st.sampled_from(FEES))
    slip, slip_plain = draw(st.sampled_from(SLIPPAGES))
    dialect = draw(st.sampled_from(DIALECTS))
    margin = draw(st.sampled_from([{}] if calm else [{}, {}, *MARGINS]))
    if dialect.get("path", "close") not in ("stop_first", "close"):
        margin = {}
    config = Config(
        cash=draw(st.sampled_from([1e6, 10_000.0, 50.0])),
        cash_rule=draw(st.sampled_from(["reduce", "reject", "debt"])),
        fee=fee_plain,
        slippage=slip_plain,
        band=draw(st.sampled_from([0.005, 0.0, 0.2])),
        limit=draw(st.sampled_from(["through", "touch"])),
        same_bar=draw(st.sampled_from(["adverse", "next"])),
        sizing=draw(st.sampled_from(["at_decision", "at_fill"])),
        trade_from=draw(st.integers(0, n - 1)),
        periods_per_year=draw(st.sampled_from([252, 365])),
        participation=draw(st.sampled_from([None, None, None, 0.001, 0.02, 1.0])),
        **dialect,
        **margin,
        **draw(st.sampled_from([{}] if calm else [{}, {}, RATES])),
    )
    program = []
    busy = draw(st.floats(0.05, 1.0))
    afford = config.cash / (grid.gross(base, 1) * config.initial)

    def level(t: int) -> float:
        k = int(max(1, close[t] + rng.integers(-2 * wide, 2 * wide + 1)))
        if rng.random() < 0.02:
            return 0.4 * grid.price(1)
        return grid.price(k) * (1.0 if rng.random() < 0.9 else 1.0003)

    for t in range(n):
        rows = []
        for _ in range(ACTIONS):
            if rng.random() > busy / 2:
                continue
            if rng.random() < 0.6:
                rows.append(another(rng, grid, wide, level(t), level(t), afford))
                continue
            verb = float(
                rng.choice(
                    [1, 2, 3, 4, 5, 6, 6, 6, 7, 8, 8, 9, 10, 11],
                    p=[0.1, 0.14, 0.1, 0.07, 0.07, 0.06, 0.06, 0.06, 0.06, 0.08, 0.08, 0.06, 0.02, 0.04],
                )
            )
            lots = float(rng.integers(-5, 6)) if rng.random() < 0.5 else float(np.round(rng.normal() * afford * 0.7))
            q = {9.0: float(rng.integers(1, 40)), 11.0: float(rng.integers(1, 40))}.get(verb, lots * grid.lot)
            a = {
                5.0: grid.price(int(rng.integers(1, 3 * wide))),
                8.0: float(rng.choice([0.0, 1.0, -1.0, 0.5, 1.7, -0.3])),
                11.0: float(rng.integers(1, 40)),
            }.get(verb, level(t))
            b = float(rng.choice([0.02, 0.1])) if verb == 5.0 else level(t)
            rows.append(
                (
                    verb,
                    float(rng.integers(0, 10 if verb == 6.0 else 4)),
                    q,
                    a,
                    b,
                    float(rng.choice([0.01, 0.05, 0.2])),
                    float(rng.choice([0.01, 0.05, 0.2])),
                    level(t),
                )
            )
        program.append(rows)
    known_at = open_at + DAY // per_session - draw(st.sampled_from([0, 0, DAY // 24]))
    bars = Bars(
        open_at.tolist(),
        known_at.tolist(),
        session.tolist(),
        opens.tolist(),
        high.tolist(),
        low.tolist(),
        close.tolist(),
        np.round(rng.exponential(1000.0, n) * (rng.random(n) > 0.1)).tolist(),
    )
    if config.market == "next_vwap":
        bars = replace(bars, vwap=means(rng, grid, high, low))
    late = rng.choice([0, 0, 0, 1, -DAY // per_session], n // per_session + 1)
    which = np.arange(n) // per_session
    closes = known_at[0] - DAY // per_session + (which + 1) * DAY + late[which]
    limits: dict[str, Any] = {"off_tick": bool(draw(st.booleans()))}
    if draw(st.booleans()):
        limits |= {"min_quantity": 2.0 * grid.lot, "max_quantity": max(4.0, np.round(0.5 * afford)) * grid.lot}
        limits["min_notional"] = grid.price(base) * grid.unit * draw(st.sampled_from([0.0, 1.5, 3.0]))
    told = "" if calm else draw(st.sampled_from(["", "limits", "limits", "halts", "both", "both"]))
    if told in ("limits", "both"):
        config = replace(config, limits=limited(rng, config.cash, [grid], base))
    if told and rng.random() < 0.2:
        bars = replace(bars, universe=members(rng, n))
    if told in ("halts", "both"):
        config = replace(config, halts=halted(rng, open_at, known_at, config.market == "same_close"))
    many, inverse = draw(st.sampled_from([0] if calm else [0, 0, 2, 8])), grid.contract == "inverse"
    actions = happenings(rng, many, open_at, known_at, 0, inverse, grid.price(base)) if many else []
    return Case(bars, grid, config, program, fee, slip, tuple(closes.tolist()), limits, tuple(actions))


@settings(max_examples=EXAMPLES, deadline=None)
@given(cases())
@pytest.mark.oracle("Reference simulator, one asset", covers=ALONE, cases=EXAMPLES)
def test_engine_is_reference(case: Case) -> None:
    logs, headline, blocks, level = run_engine(case)
    expected = run_reference(case)
    assert_agree(logs, headline, blocks, level, expected)
