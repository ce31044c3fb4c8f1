"""Random order programs over several assets in one account, run by the engine and by the reference simulator alike."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

import kernelkit as kk
from kernelkit.agenda import accruals, of_assets, ordered, stamped
from kernelkit.intrabar import together, within
from kernelkit.kernels import layout as L
from kernelkit.kernels.job import Homes, Job, Logs, Table
from kernelkit.strategy import Program
from kernelkit.table import with_mark
from tests.programs import actions_of, facts, finer_table, hours_of, lender, recorded, settings_of
from tests.reference import Action, Asset, Clock, Config, Outcome, Ways, simulate_portfolio

SCRIPTS = 4  # the last assets are never traded: their features are the program, one action a bar each
FIELDS = ("verb", "k", "q", "a", "b", "c")


@kk.portfolio(state={"w": kk.each()})
def actor(ctx, s):  # type: ignore[no-untyped-def]
    sent = 0.0
    for j in range(ctx.n - 4, ctx.n):
        verb, k, q = ctx[j].x.verb[0], int(ctx[j].x.k[0]), ctx[j].x.q[0]
        a, b, c = ctx[j].x.a[0], ctx[j].x.b[0], ctx[j].x.c[0]
        if verb == 1.0:
            ctx[k].order(q)
        elif verb == 2.0:
            ctx[k].limit(q, a)
        elif verb == 3.0:
            ctx[k].stop(q, a)
        elif verb == 4.0:
            ctx[k].stop_limit(q, a, b)
        elif verb == 5.0:
            ctx[k].trailing_stop(q, fraction=c)
        elif verb == 6.0:
            ctx[k].bracket(q, stop_loss=c, take_profit=c)
        elif verb == 7.0:
            ctx[k].target(q)
        elif verb == 8.0:
            ctx[k].target_percent(c)
        elif verb == 9.0:
            ctx.cancel(q)
        elif verb == 10.0:
            ctx.cancel_all()
        elif verb == 11.0:
            ctx.oco(q, a)
        elif verb == 12.0:
            for m in range(ctx.n - 4):
                s.w[m] = c * (m + 1) if m != k else math_nan(q)
            for m in range(ctx.n - 4, ctx.n):
                s.w[m] = math_nan(1.0)
            if a > 0.0:
                ctx.weights(s.w, b)
            else:
                ctx.weights(s.w)
        elif verb == 13.0:
            ctx[k].order(q, tif="FOK")
        elif verb == 14.0:
            ctx[k].limit(q, a, tif="IOC")
        elif verb == 15.0:
            ctx[k].order(q, tif="DAY")
        elif verb == 16.0:
            ctx[k].limit(q, a, tif="DAY")
        elif verb == 17.0:
            ctx[k].cancel_all()
        elif verb == 18.0:
            ctx[k].bracket(q, stop=a, limit=b)
        elif verb == 19.0:
            ctx[k].market_if_touched(q, a)
        elif verb == 20.0:
            ctx[k].limit_if_touched(q, a, b, tif="DAY")
        elif verb == 21.0:
            ctx[k].trailing_stop_limit(q, 0.0, bps=10_000.0 * c, reduce_only=True)
        elif verb == 22.0:
            ctx[k].market_on_open(q)
        elif verb == 23.0:
            ctx[k].limit_on_close(q, a)
        elif verb == 24.0:
            ctx[k].limit(q, a, post_only=True, expires=ctx.time + int(b * 1e15))
        elif verb == 25.0:
            ctx[k].limit(q, a, display=abs(q) / 4.0)
        elif verb == 26.0:
            ctx.replace(q, price=a, quantity=b)
        elif verb == 27.0:
            ctx.replace(q, trigger=a)
        elif verb == 28.0:
            ctx[k].market_on_close(q)
        elif verb == 29.0:
            sent += ctx.transfer(a, k, int(q))
    ctx.record("sent", sent)


def math_nan(q):  # type: ignore[no-untyped-def]
    return np.nan if q > 0.0 else 0.0


def act(ctx: Any, n: int, verb: float, k: int, q: float, a: float, b: float, c: float) -> float:
    """One action, on the reference's view; what it has sent."""
    if verb == 12.0:
        w = [c * (m + 1) if m != k else math_nan(q) for m in range(n - SCRIPTS)] + [np.nan] * SCRIPTS
        ctx.weights(w, b if a > 0.0 else None)
        return 0.0
    does = {
        1.0: lambda: ctx[k].order(q),
        2.0: lambda: ctx[k].limit(q, a),
        3.0: lambda: ctx[k].stop(q, a),
        4.0: lambda: ctx[k].stop_limit(q, a, b),
        5.0: lambda: ctx[k].trailing_stop(q, fraction=c),
        6.0: lambda: ctx[k].bracket(q, stop_loss=c, take_profit=c),
        7.0: lambda: ctx[k].target(q),
        8.0: lambda: ctx[k].target_percent(c),
        9.0: lambda: ctx.cancel(int(q)),
        10.0: lambda: ctx.cancel_all(),
        11.0: lambda: ctx.oco(int(q), int(a)),
        13.0: lambda: ctx[k].order(q, tif="FOK"),
        14.0: lambda: ctx[k].limit(q, a, tif="IOC"),
        15.0: lambda: ctx[k].order(q, tif="DAY"),
        16.0: lambda: ctx[k].limit(q, a, tif="DAY"),
        17.0: lambda: ctx[k].cancel_all(),
        18.0: lambda: ctx[k].bracket(q, stop=a, limit=b),
        19.0: lambda: ctx[k].market_if_touched(q, a),
        20.0: lambda: ctx[k].limit_if_touched(q, a, b, tif="DAY"),
        21.0: lambda: ctx[k].trailing_stop_limit(q, 0.0, bps=10_000.0 * c, reduce_only=True),
        22.0: lambda: ctx[k].market_on_open(q),
        23.0: lambda: ctx[k].limit_on_close(q, a),
        24.0: lambda: ctx[k].limit(q, a, post_only=True, expires=ctx.time + int(b * 1e15)),
        25.0: lambda: ctx[k].limit(q, a, display=abs(q) / 4.0),
        26.0: lambda: ctx.replace(q, price=a, quantity=b),
        27.0: lambda: ctx.replace(q, trigger=a),
        28.0: lambda: ctx[k].market_on_close(q),
        29.0: lambda: ctx.transfer(a, k, int(q)),
    }
    answer = does[verb]() if verb in does else None
    return float(answer) if verb == 29.0 else 0.0


@dataclass(frozen=True)
class Place:
    """V1: a venue of several: the settings of the account as it has them, the same for the engine."""

    config: Config
    fee: Any = None
    slippage: Any = None
    limits: dict[str, Any] = field(default_factory=dict)  # O15, as Costs has them


@dataclass(frozen=True)
class World:
    """A clock, assets (the last SCRIPTS have all its bars), settings and, per bar of the clock, SCRIPTS actions."""

    clock: Clock
    assets: list[Asset]
    config: Config
    program: np.ndarray  # (bar, script, field)
    fee: Any = None
    slippage: Any = None
    actions: tuple[Action, ...] = ()
    venues: tuple[Place, ...] = ()
    homes: tuple[int, ...] = ()  # of each asset its place among `venues`
    ways: Ways | None = None  # V3, V5: each has an account of its own, and how money goes between them


def table(asset: Asset, periods: float, values: np.ndarray | None) -> Table:
    """The kernel's columns of one asset; `values` (bar, field) of a script."""
    b, g = asset.bars, asset.grid
    ticks = [np.array(v, "i8") for v in (b.o, b.h, b.l, b.c)]
    prices = [np.array([g.price(int(k)) for k in t], "f8") for t in ticks]
    columns = [*ticks, np.array(b.v, "f8"), *(np.array(v, "i8") for v in (b.open_at, b.known_at, b.session)), *prices]
    for name in PROGRAM.plan.features:
        column = np.zeros(len(b.o)) if values is None else np.ascontiguousarray(values[:, FIELDS.index(name)])
        columns += [column, np.zeros(len(b.o), "i8")]
    columns.append(np.array(b.closes, "i8"))
    closing, universe = len(columns) - 1, 0
    if b.universe is not None:
        universe = len(columns)
        columns.append(np.array(b.universe, "i8"))
    vwap = None if b.vwap is None else np.array(b.vwap, "f8")
    made = Table(tuple(columns), g.inverse, g.tick, g.lot, g.multiplier, periods, closing, vwap=vwap, universe=universe)
    return with_mark(made) if g.contract == "inverse" else made


PROGRAM = actor.program({})


def clock_table(world: World) -> Table:
    """The clock, its index as X8 says: from the reference's own words."""
    from tests.reference.actions import schedule
    from tests.reference.holders import index
    from tests.reference.portfolio import holding_of

    n, start = len(world.clock.open_at), world.config.trade_from
    holdings = [holding_of(k, a, world.clock, world.config) for k, a in enumerate(world.assets)]
    close = np.full(n, np.nan)
    close[start:] = index(holdings, schedule(world.actions, world.clock, holdings), start, n)
    none, unknown = np.zeros(n, "i8"), np.full(n, np.nan)
    times = [np.array(v, "i8") for v in (world.clock.open_at, world.clock.known_at, world.clock.session)]
    columns = (none, none, none, none, np.zeros(n), *times, unknown, unknown, unknown, close)
    made = Table(columns, 1, 1.0, 1.0, 1.0, float(world.config.periods_per_year))
    places = [np.flatnonzero(np.array(a.rows) >= 0) for a in world.assets]
    names = [str(k) for k in range(len(places))]
    if world.ways is None:
        return replace(made, actions=actions_of(world.config, world.actions, made, names, places))
    parts = of_assets(facts(world.actions), made, names, places)
    for v, venue in enumerate(world.venues):
        held = {k: name for k, name in enumerate(names) if world.homes[k] == v}
        parts += accruals(made, held, lender(venue.config, names), -2 - v)
    return replace(made, actions=stamped(ordered(parts), made))


def job(world: World) -> Job:
    """The world as the engine takes it."""
    traded = len(world.assets) - SCRIPTS
    return job_of(world, PROGRAM, [*[None] * traded, *(world.program[:, j] for j in range(SCRIPTS))])


def job_of(world: World, program: Program, values: list[np.ndarray | None], called: np.ndarray | None = None) -> Job:
    """The same for another program, with the features of each asset."""
    c = world.config
    venues = world.venues or (Place(c, world.fee, world.slippage),)
    costs = [settings_of(v.config, v.fee, v.slippage, v.limits, k)[0] for k, v in enumerate(venues)]
    codes = settings_of(c, None, None)[1]
    n = len(world.clock.open_at)
    tables = [table(a, float(c.periods_per_year), v) for a, v in zip(world.assets, values, strict=True)]
    clock, fine_bars = clock_table(world), None
    if world.config.path == "finer":
        clock, tables, fine_bars = with_finer(world, clock, tables)
    last = np.stack([np.maximum.accumulate(np.array(a.rows, "i8")) for a in world.assets], axis=1)
    trials = np.zeros(1, L.TRIAL)
    trials[0] = (0, c.trade_from, n, 0, 0, 0, sum((v.config.cash for v in venues), 0.0) if world.ways else c.cash)
    return Job(
        program.text,
        program.plan,
        [clock, *tables],
        costs,
        [codes],
        trials,
        np.zeros((1, 0), "i8"),
        bars=np.ascontiguousarray(last),
        hours=hours_of(*(v.config for v in venues)),
        homes=homes_of(world) if world.venues else None,
        called=called,
        fine_bars=fine_bars,
    )


def with_finer(world: World, clock: Table, tables: list[Table]) -> tuple[Table, list[Table], np.ndarray | None]:
    """X11: the same tables with the world's finer bars, and the last of those of each asset."""
    opened = [np.array(asset.finer.open_at, "i8") for asset in world.assets if asset.finer is not None]
    rows, parts = np.unique(np.concatenate(opened)), []
    for asset, own, times in zip(world.assets, tables, opened, strict=True):
        fine = finer_table(asset.finer, asset.grid, own)
        parts.append(within(own, fine, np.searchsorted(rows, times), "X"))
    clock, last = together(clock, parts)
    made = [replace(t, finer=part.table, edges=part.edges) for t, part in zip(tables, parts, strict=True)]
    return clock, made, last


def homes_of(world: World) -> Homes:
    """Where each asset of the world trades, and from which money."""
    names = tuple(f"venue {k}" for k in range(len(world.venues)))
    if world.ways is None:
        return Homes(world.homes, names)
    delays = tuple(delay for row in world.ways.delay for delay in row)
    fees = tuple(fee for fee in world.ways.fee for _ in names)
    return Homes(world.homes, names, tuple(v.config.cash for v in world.venues), delays, fees)


def run_engine(world: World) -> tuple[Logs, dict[str, float], np.ndarray, int]:
    """What the engine makes of the world."""
    return recorded(job(world))


def run_reference(world: World, sent: list[float] | None = None) -> Outcome:
    """The same program, by the reference simulator; into ``sent`` goes what each decision has sent."""

    def decide(ctx: Any) -> None:
        total = 0.0
        for verb, k, *numbers in world.program[ctx.i]:
            total += act(ctx, len(world.assets), float(verb), int(k), *map(float, numbers))
        if sent is not None:
            sent.append(total)

    venues = [venue.config for venue in world.venues]
    return simulate_portfolio(
        world.clock, world.assets, world.config, decide, world.actions, venues, world.homes, world.ways
    )
