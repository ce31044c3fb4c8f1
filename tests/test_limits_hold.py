"""What limits promise, on random programs: it holds after every fill; nothing else changes; the past stays as it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernelkit.kernels import layout as L
from kernelkit.kernels.job import Job, Logs
from kernelkit.kernels.rules import INF, Rules
from kernelkit.kernels.session import Recorder
from kernelkit.view import Python
from tests import portfolios
from tests.portfolios import SCRIPTS, World
from tests.programs import Case, actor, job, recorded
from tests.test_engine_is_reference import DAY, cases
from tests.test_portfolio_is_reference import worlds

MORE = 1.0 + 3e-9  # R1's allowance, and rounding
OPENING = {0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 7.0, 8.0, 9.0, 10.0, 11.0, 18.0}  # verbs without reduce-only orders
PLAIN = {0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 17.0, 26.0, 27.0}


def ruled(case: Case, rules: Rules, verbs: Iterable[float] | None = None, **config: Any) -> Case:
    """The case under these rules, with these verbs only."""
    program = [[a if verbs is None or a[0] in verbs else (0.0, *a[1:]) for a in row] for row in case.program]
    limits = case.limits | {"rules": rules}
    return replace(case, limits=limits, program=program, config=replace(case.config, **config))


def held(logs: Logs, n: int = 1) -> np.ndarray:
    """Lots of each asset after each fill, int64 (fill, asset)."""
    out = np.zeros((len(logs.fills), n), "i8")
    for k, fill in enumerate(logs.fills):
        out[k:, int(fill["asset"])] += int(fill["lots"])
    return out


def bars_of(logs: Logs, open_at: Any, known_at: Any) -> np.ndarray:
    """The bar to which each fill belongs."""
    opens, known = np.array(open_at), np.array(known_at)
    at_open = np.searchsorted(opens, logs.fills["time"])
    later = np.searchsorted(known, logs.fills["time"]) + (logs.fills["rule"] == L.FORMER_FILL)
    return np.where(logs.fills["rule"] == L.OPEN_FILL, at_open, later)


@st.composite
def rules(draw: st.DrawFn, n: int, assets: int = 1) -> Rules:
    """Some limits, outages, a rate, over `n` days."""
    times = sorted(draw(st.lists(st.integers(0, 4 * n), max_size=6, unique=True)))
    outages = tuple(
        (a * DAY // 4 + draw(st.integers(-1, 1)), b * DAY // 4 + 2, draw(st.integers(0, 3)))
        for a, b in zip(times[::2], times[1::2], strict=False)
    )
    amounts = st.sampled_from([INF, INF, 0.001, 0.05, 0.5, 1.0, 3.0])
    return Rules(
        draw(st.booleans()),
        draw(st.sampled_from([INF, INF, 1.0, 30.0])),
        draw(st.sampled_from([INF, INF, 100.0, 20_000.0])),
        *(draw(amounts) for _ in range(3)),
        draw(st.sampled_from([-1, -1, 0, 2])),
        draw(st.sampled_from([25_000.0, 1e300])),
        draw(st.sampled_from([0.0, 0.0, 0.02, 0.1])),
        draw(st.sampled_from([(), (), (0.0,) * assets, (2.0,) * assets])),
        outages=outages,
        rate=draw(st.sampled_from([0, 0, 1, 3])),
        per=draw(st.sampled_from([DAY // 2, 3 * DAY + 1])),
        rate_rejects=draw(st.booleans()),
        latency=draw(st.sampled_from([0, 0, 0, 1, DAY // 3, 2 * DAY + 1])),
    )


# --- promises


@settings(max_examples=150, deadline=None)
@given(cases(calm=True), st.floats(1.0, 200.0))
def test_r2_no_position_is_ever_larger(case: Case, most: float) -> None:
    """Whatever prices do, and replacements; where nothing is reduce-only, or sized at its fill."""
    lots = most * case.grid.lot
    logs, *_ = recorded(job(ruled(case, Rules(position=lots), OPENING, sizing="at_decision")))
    assert (np.abs(held(logs)) * case.grid.lot <= lots * MORE).all()
    cut, *_ = recorded(job(ruled(case, Rules(position=lots, cut=True), OPENING, sizing="at_decision")))
    assert (np.abs(held(cut)) * case.grid.lot <= lots * MORE).all()


@settings(max_examples=150, deadline=None)
@given(cases(calm=True), st.booleans())
def test_r5_nothing_is_ever_owed(case: Case, cut: bool) -> None:
    """With every kind of order, brackets and reduce-only ones too."""
    logs, *_ = recorded(job(ruled(case, Rules(shorts=(0.0,), cut=cut))))
    assert (held(logs) >= 0).all()


@settings(max_examples=150, deadline=None)
@given(cases(calm=True), st.integers(0, 3))
def test_r6_no_more_day_trades_in_five_sessions(case: Case, most: int) -> None:
    """Counted here from the fills alone; each order fills at once, or not at all."""
    told = Rules(day_trades=most, day_trade_equity=1e300)
    logs, *_ = recorded(job(ruled(case, told, PLAIN, participation=None, sizing="at_decision")))
    session = np.array(case.bars.session)[bars_of(logs, case.bars.open_at, case.bars.known_at)]
    position, grown, done = 0, None, []
    for lots, day in zip(logs.fills["lots"].tolist(), session.tolist(), strict=True):
        if position * lots < 0 and grown == day:
            done.append(day)
            grown = None
        after = position + lots
        if abs(after) > abs(position) or after * position < 0:
            grown = day
        position = after
    days = sorted(set(case.bars.session))
    for k in range(len(days)):
        assert sum(day in days[k : k + 5] for day in done) <= most


def still(case: Case) -> Case:
    """The case at one price, without costs."""
    base, n = case.bars.c[0], len(case.bars.c)
    bars = replace(case.bars, o=[base] * n, h=[base] * n, l=[base] * n, c=[base] * n)
    return replace(case, bars=bars, fee=None, slippage=None)


@settings(max_examples=150, deadline=None)
@given(cases(calm=True), st.floats(0.01, 3.0), st.booleans())
def test_r2_r3_values_hold_where_prices_stand_still(case: Case, share: float, cut: bool) -> None:
    case = still(case)
    unit = case.grid.price(case.bars.c[0]) * case.grid.lot * case.grid.multiplier
    most = share * case.config.cash
    for told in (Rules(cut, notional=most), Rules(cut, concentration=share), Rules(cut, leverage=share)):
        logs, *_ = recorded(job(ruled(case, told, OPENING, sizing="at_decision", fee=None, slippage=None)))
        assert (np.abs(held(logs)) * unit <= most * MORE).all()


@settings(max_examples=150, deadline=None)
@given(cases(calm=True), st.floats(0.01, 3.0), st.booleans())
def test_r4_no_session_trades_more_where_prices_stand_still(case: Case, share: float, cut: bool) -> None:
    """Of purchases alone: none of them reduces."""
    case = still(case)
    only = ruled(case, Rules(cut, turnover=share), {1.0, 2.0, 3.0, 4.0, 5.0, 9.0, 10.0}, fee=None, slippage=None)
    only = replace(only, program=[[(a[0], a[1], abs(a[2]), *a[3:]) for a in row] for row in only.program])
    if only.config.close_out != "none":
        only = replace(only, config=replace(only.config, close_out="none"))
    logs, *_ = recorded(job(only))
    session = np.array(case.bars.session)[bars_of(logs, case.bars.open_at, case.bars.known_at)]
    unit = case.grid.price(case.bars.c[0]) * case.grid.lot * case.grid.multiplier
    for day in set(session.tolist()):
        traded = float(np.abs(logs.fills["lots"][session == day]).sum()) * unit
        assert traded <= share * case.config.cash * MORE


def flat(world: World) -> World:
    """The world at one price for each asset, without costs."""
    assets = []
    for a in world.assets:
        n = len(a.bars.c)
        one = [a.bars.c[0]] * n
        assets.append(replace(a, bars=replace(a.bars, o=one, h=one, l=one, c=one)))
    config = replace(world.config, fee=None, slippage=None, sizing="at_decision")
    program = world.program.copy()
    program[np.isin(program[:, :, 0], (6.0, 18.0, 21.0))] = 0.0  # brackets, reduce-only
    return World(world.clock, assets, config, program)


def under(world: World, told: Rules) -> Job:
    """A world's job under these rules."""
    made = portfolios.job(world)
    return replace(made, venues=[replace(v, rules=told) for v in made.venues])


@settings(max_examples=120, deadline=None)
@given(worlds(calm=True), st.floats(0.05, 3.0), st.booleans())
def test_r3_leverage_of_a_portfolio(world: World, share: float, cut: bool) -> None:
    """After each fill all positions together, and each one's part."""
    world = flat(world)
    units = np.array([a.grid.price(a.bars.c[0]) * a.grid.lot * a.grid.multiplier for a in world.assets])
    for told in (Rules(cut, leverage=share), Rules(cut, concentration=share)):
        logs, *_ = recorded(under(world, told))
        worth = np.abs(held(logs, len(world.assets))) * units
        found = worth.sum(axis=1) if told.leverage < INF else worth.max(axis=1, initial=0.0)
        assert (found <= share * world.config.cash * MORE).all()


@settings(max_examples=100, deadline=None)
@given(worlds(calm=True), st.booleans())
def test_r5_nothing_is_ever_owed_by_a_portfolio(world: World, cut: bool) -> None:
    n = len(world.assets)
    logs, *_ = recorded(under(world, Rules(cut, shorts=(0.0,) * n)))
    assert (held(logs, n) >= 0).all()


# --- outages


@settings(max_examples=100, deadline=None)
@given(cases(calm=True), st.data())
def test_h2_nothing_fills_in_bars_that_overlap(case: Case, data: st.DataObject) -> None:
    told = data.draw(rules(len(case.bars.o)))
    only = Rules(outages=tuple((a, b, c | L.STOPS) for a, b, c in told.outages))
    logs, *_ = recorded(job(ruled(case, only, close_out="none")))
    opens, known = np.array(case.bars.open_at), np.array(case.bars.known_at)
    rows = bars_of(logs, opens, known)
    for start, end, code in only.outages:
        assert not ((opens[rows] < end) & (known[rows] > start)).any()
        given_in = (logs.orders["t_submit"] >= start) & (logs.orders["t_submit"] < end)
        if code & L.TURNS_AWAY:
            assert (logs.orders["status"][given_in] == L.REJECTED).all()
        else:
            active = logs.orders["t_active"][given_in & (logs.orders["parent"] == 0)]
            refused = logs.orders["status"][given_in & (logs.orders["parent"] == 0)] == L.REJECTED
            assert ((active >= end) | refused).all()


@settings(max_examples=100, deadline=None)
@given(cases(calm=True))
def test_what_binds_nothing_changes_nothing(case: Case) -> None:
    """An outage long ago and a rate that is never reached: every bit as without."""
    far = Rules(outages=((-(1 << 60), -(1 << 59), 3),), rate=1 << 40, per=DAY)
    free, *_ = recorded(job(case))
    bound, headline, *_ = recorded(job(ruled(case, far)))
    for name in ("fills", "trades", "curves"):
        assert getattr(free, name).tobytes() == getattr(bound, name).tobytes(), name
    for name in L.ORDER.names:  # two of them tell whether a lone market order took the short way
        assert name in ("marks", "session") or np.array_equal(free.orders[name], bound.orders[name]), name
    assert not len(bound.breaches)
    assert np.isfinite(headline["final_equity"])


# --- both ways of running, and time


def assert_same(a: Logs, b: Logs) -> None:
    for name in ("fills", "orders", "trades", "breaches"):
        assert getattr(a, name).tobytes() == getattr(b, name).tobytes(), name
    assert np.array_equal(a.curves, b.curves, equal_nan=True)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases(calm=True), st.data())
def test_python_and_compiled_agree(case: Case, data: st.DataObject) -> None:
    made = job(ruled(case, data.draw(rules(len(case.bars.o)))))
    if case.fee is not None or case.slippage is not None:
        made = replace(made, venues=[replace(v, fee=None, slippage=None) for v in made.venues])
    fast = Recorder(made, 0).all()
    python = Python(actor, {}, made, None)
    try:
        slow = Recorder(made, 0, python=python).all()
    finally:
        python.close()
    assert_same(fast, slow)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(worlds(calm=True), st.data())
def test_python_and_compiled_agree_on_portfolios(world: World, data: st.DataObject) -> None:
    world = replace(world, fee=None, slippage=None)
    made = under(world, data.draw(rules(len(world.clock.open_at), len(world.assets))))
    fast = Recorder(made, 0).all()
    python = Python(portfolios.actor, {}, made, None)
    try:
        slow = Recorder(made, 0, python=python).all()
    finally:
        python.close()
    assert_same(fast, slow)
    assert SCRIPTS == 4


@settings(max_examples=80, deadline=None)
@given(cases(calm=True), st.data())
def test_truncation_law(case: Case, data: st.DataObject) -> None:
    """The first bars alone give the first fills, rows and equities."""
    case = ruled(case, data.draw(rules(len(case.bars.o))), close_out="none")
    t = data.draw(st.integers(case.config.trade_from + 1, len(case.bars.o)))
    whole, *_ = recorded(job(case))
    part, *_ = recorded(job(replace(case, config=replace(case.config, end=t))))
    n = len(part.curves)
    assert np.array_equal(part.curves, whole.curves[:n], equal_nan=True)
    for name in ("fills", "breaches"):
        one, all_ = getattr(part, name), getattr(whole, name)
        assert one.tobytes() == all_[: len(one)].tobytes()
        assert (all_["time"][len(one) :] >= case.bars.known_at[t - 1]).all()
