"""Random order programs, run by the engine and by the reference simulator alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import xarray as xr

import kernelkit as kk
from kernelkit.agenda import agenda, stamped
from kernelkit.intrabar import within
from kernelkit.kernels import layout as L
from kernelkit.kernels.job import Backing, Costs, Job, Logs, Table
from kernelkit.kernels.rules import Rules
from kernelkit.kernels.session import Recorder
from kernelkit.market.account import Account
from kernelkit.market.fill_model import FillModel
from kernelkit.market.venue import CASH_RULES
from kernelkit.table import with_mark
from tests.reference import Action, Bars, Config, Grid, Limits, Outcome, simulate

ACTIONS = 3  # per bar
HOURS = "the reference's"  # what its calendar is called
FIVE_DAYS = 4.32e14  # 0.2 of it is a day
FIELDS = ("verb", "tif", "q", "a", "b", "c", "d", "e")


def bracket(ctx: Any, form: float, q: float, a: float, b: float, c: float, d: float, e: float) -> None:
    """The shapes of a bracket: which exits, by price or by fraction, entered at the market or at a limit."""
    if form == 0.0:
        ctx.bracket(q, stop_loss=c, take_profit=d)
    elif form == 1.0:
        ctx.bracket(q, stop=a, limit=b)
    elif form == 2.0:
        ctx.bracket(q, stop_loss=c, limit=b, entry=e)
    elif form == 3.0:
        ctx.bracket(q, stop=a)
    elif form == 4.0:
        ctx.bracket(q, take_profit=d, entry=e, tif="DAY")
    elif form == 5.0:
        ctx.bracket(q, stop_loss=c, take_profit=d, expires=ctx.time + int(d * FIVE_DAYS))
    elif form == 6.0:
        ctx.bracket(q, stop=a, take_profit=d, entry=e, expires=ctx.time + int(c * FIVE_DAYS), post_only=True)
    elif form == 7.0:
        ctx.bracket(q, stop_loss=c, limit=b, entry=e, display=q * q * 0.1, tif="DAY")
    elif form == 8.0:
        ctx.bracket(q, stop_loss=c, take_profit=d, tif="AT_OPEN")
    else:
        ctx.bracket(q, stop=a, limit=b, entry=e, tif="AT_CLOSE")


def one(  # noqa: PLR0913  an action is eight numbers
    ctx: Any, verb: float, tif: float, q: float, a: float, b: float, c: float, d: float, e: float
) -> None:
    """Carry out one action; `b` of a bracket chooses prices (0) or fractions (1)."""
    if verb == 1.0:
        if tif == 0.0:
            ctx.order(q)
        elif tif == 1.0:
            ctx.order(q, tif="DAY")
        elif tif == 2.0:
            ctx.order(q, tif="IOC")
        else:
            ctx.order(q, tif="FOK")
    elif verb == 2.0:
        if tif == 0.0:
            ctx.limit(q, a)
        elif tif == 1.0:
            ctx.limit(q, a, tif="DAY")
        elif tif == 2.0:
            ctx.limit(q, a, tif="IOC")
        else:
            ctx.limit(q, a, tif="FOK")
    elif verb == 3.0:
        if tif == 0.0:
            ctx.stop(q, a)
        elif tif == 1.0:
            ctx.stop(q, a, tif="DAY")
        elif tif == 2.0:
            ctx.stop(q, a, tif="IOC")
        else:
            ctx.stop(q, a, tif="FOK")
    elif verb == 4.0:
        if tif == 0.0:
            ctx.stop_limit(q, a, b)
        elif tif == 1.0:
            ctx.stop_limit(q, a, b, tif="DAY")
        elif tif == 2.0:
            ctx.stop_limit(q, a, b, tif="IOC")
        else:
            ctx.stop_limit(q, a, b, tif="FOK")
    elif verb == 5.0:
        if tif == 0.0:
            ctx.trailing_stop(q, trail=a)
        elif tif == 1.0:
            ctx.trailing_stop(q, trail=a, tif="DAY")
        else:
            ctx.trailing_stop(q, fraction=b)
    elif verb == 6.0:
        bracket(ctx, tif, q, a, b, c, d, e)
    elif verb == 7.0:
        ctx.target(q)
    elif verb == 8.0:
        ctx.target_percent(a)
    elif verb == 9.0:
        ctx.cancel(q)
    elif verb == 10.0:
        ctx.cancel_all()
    elif verb == 11.0:
        ctx.oco(q, a)
    elif verb < 16.0:
        more(ctx, verb, tif, q, a, b, c, d, e)
    elif verb < 18.0:
        told(ctx, verb, tif, q, a, b, c, e)
    elif verb == 18.0:
        replaced(ctx, tif, q, a, b, c)


def more(  # noqa: PLR0913  an action is eight numbers
    ctx: Any, verb: float, form: float, q: float, a: float, b: float, c: float, d: float, e: float
) -> None:
    """Orders if touched, trailing distances, the open and the close of a session; `c` is a whole number, `e` ns."""
    if verb == 12.0:
        if form == 0.0:
            ctx.market_if_touched(q, a)
        elif form == 1.0:
            ctx.market_if_touched(q, a, tif="DAY", reduce_only=True)
        elif form == 2.0:
            ctx.market_if_touched(q, a, tif="IOC")
        else:
            ctx.market_if_touched(q, a, expires=ctx.time + int(e))
    elif verb == 13.0:
        if form == 0.0:
            ctx.limit_if_touched(q, a, b)
        elif form == 1.0:
            ctx.limit_if_touched(q, a, b, tif="DAY")
        elif form == 2.0:
            ctx.limit_if_touched(q, a, b, tif="FOK")
        else:
            ctx.limit_if_touched(q, a, b, expires=ctx.time + int(e), reduce_only=True)
    elif verb == 14.0:
        if form == 0.0:
            ctx.trailing_stop(q, ticks=c)
        elif form == 1.0:
            ctx.trailing_stop(q, bps=d, reduce_only=True)
        elif form == 2.0:
            ctx.trailing_stop_limit(q, b, ticks=c)
        elif form == 3.0:
            ctx.trailing_stop_limit(q, b, bps=d, tif="DAY")
        else:
            ctx.trailing_stop_limit(q, 0.0, ticks=c, expires=ctx.time + int(e))
    elif verb == 15.0:
        if form == 0.0:
            ctx.market_on_open(q)
        elif form == 1.0:
            ctx.limit_on_open(q, a)
        elif form == 2.0:
            ctx.market_on_close(q, reduce_only=True)
        elif form == 3.0:
            ctx.limit_on_close(q, a)
        else:
            ctx.order(q, tif="AT_CLOSE")


def told(ctx: Any, verb: float, form: float, q: float, a: float, b: float, c: float, e: float) -> None:
    """What orders may be told beside their numbers."""
    if verb == 16.0:
        if form == 0.0:
            ctx.limit(q, a, post_only=True)
        elif form == 1.0:
            ctx.limit(q, a, display=c)
        elif form == 2.0:
            ctx.limit(q, a, tif="DAY", display=c, post_only=True)
        elif form == 3.0:
            ctx.limit(q, a, expires=ctx.time + int(e), reduce_only=True)
        else:
            ctx.limit(q, a, reduce_only=True, display=c)
    elif form == 0.0:
        ctx.order(q, reduce_only=True)
    elif form == 1.0:
        ctx.stop(q, a, reduce_only=True)
    elif form == 2.0:
        ctx.order(q, expires=ctx.time + int(e))
    elif form == 3.0:
        ctx.stop(q, a, tif="GTD", expires=ctx.time + int(e))
    else:
        ctx.stop_limit(q, a, b, tif="DAY", reduce_only=True)


def replaced(ctx: Any, form: float, q: float, a: float, b: float, c: float) -> None:
    """New numbers for order `q`."""
    if form == 0.0:
        ctx.replace(q, quantity=c)
    elif form == 1.0:
        ctx.replace(q, price=a)
    elif form == 2.0:
        ctx.replace(q, trigger=b)
    elif form == 3.0:
        ctx.replace(q, quantity=c, price=a)
    else:
        ctx.replace(q, c, a, b)


@kk.strategy
def actor(ctx):  # type: ignore[no-untyped-def]
    one(
        ctx, ctx.x.verb0[0], ctx.x.tif0[0], ctx.x.q0[0], ctx.x.a0[0], ctx.x.b0[0], ctx.x.c0[0], ctx.x.d0[0], ctx.x.e0[0]
    )
    one(
        ctx, ctx.x.verb1[0], ctx.x.tif1[0], ctx.x.q1[0], ctx.x.a1[0], ctx.x.b1[0], ctx.x.c1[0], ctx.x.d1[0], ctx.x.e1[0]
    )
    one(
        ctx, ctx.x.verb2[0], ctx.x.tif2[0], ctx.x.q2[0], ctx.x.a2[0], ctx.x.b2[0], ctx.x.c2[0], ctx.x.d2[0], ctx.x.e2[0]
    )


@dataclass(frozen=True)
class Case:
    """Bars, instrument, settings and an order program: per bar up to ACTIONS rows of FIELDS."""

    bars: Bars
    grid: Grid
    config: Config
    program: list[list[tuple[float, ...]]]
    fee: Any = None
    slippage: Any = None
    closes: tuple[int, ...] = ()  # O12: when each bar's session closes; none where no order asks
    limits: dict[str, Any] = field(default_factory=dict)  # O15, as Costs has them
    actions: tuple[Action, ...] = ()
    finer: Bars | None = None  # F16, with closes of their own


def with_finer(made: Table, case: Case) -> Table:
    """The table with the finer bars of the case."""
    if case.finer is None:
        return made
    part = within(made, finer_table(case.finer, case.grid, made), np.arange(len(case.finer)), "0")
    return replace(made, finer=part.table, edges=part.edges)


def finer_table(b: Bars, grid: Grid, made: Table) -> Table:
    """The finer bars of an asset as a table beside that of its bars."""
    ticks = [np.array(v, "i8") for v in (b.o, b.h, b.l, b.c)]
    prices = [np.array([grid.price(int(k)) for k in t]) for t in ticks]
    times = [np.array(v, "i8") for v in (b.open_at, b.known_at, b.session)]
    columns = [*ticks, np.array(b.v, "f8"), *times, *prices, np.array(b.closes, "i8")]
    vwap = None if b.vwap is None else np.array(b.vwap, "f8")
    own = Table(tuple(columns), *made.instrument, len(columns) - 1, vwap=vwap)
    return with_mark(own) if grid.contract == "inverse" else own


def table(case: Case) -> Table:
    """The kernel's columns: bars, then the program as features."""
    b, g = case.bars, case.grid
    ticks = [np.array(v, "i8") for v in (b.o, b.h, b.l, b.c)]
    prices = [np.array([g.price(int(k)) for k in t]) for t in ticks]
    columns = [
        *ticks,
        np.array(b.v, "f8"),
        np.array(b.open_at, "i8"),
        np.array(b.known_at, "i8"),
        np.array(b.session, "i8"),
        *prices,
    ]
    order = {name: k for k, name in enumerate(FEATURES)}
    values = np.zeros((len(order), len(b.o)))
    for t, actions in enumerate(case.program):
        for k, action in enumerate(actions):
            for name, value in zip(FIELDS, action, strict=True):
                values[order[f"{name}{k}"], t] = value
    for name in PROGRAM.plan.features:
        columns += [np.ascontiguousarray(values[order[name]]), np.zeros(len(b.o), "i8")]
    columns.append(np.array(case.closes[: len(b.o)] or b.known_at, "i8"))
    periods, closing = float(case.config.periods_per_year), len(columns) - 1
    universe = 0
    if b.universe is not None:
        universe = len(columns)
        columns.append(np.array(b.universe, "i8"))
    made = Table(tuple(columns), g.inverse, g.tick, g.lot, g.multiplier, periods, closing, universe=universe)
    made = with_mark(made) if g.contract == "inverse" else made
    made = replace(made, vwap=None if b.vwap is None else np.array(b.vwap, "f8"))
    made = replace(made, actions=actions_of(case.config, case.actions, made, ["0"], [np.arange(len(b.o))]))
    return with_finer(made, case)


def actions_of(
    c: Config, actions: Sequence[Action], clock: Table, assets: Sequence[str], places: Sequence[np.ndarray]
) -> np.ndarray:
    """The actions of an account as the engine takes them; assets are named by their numbers."""
    return stamped(agenda(facts(actions), clock, assets, places, lender(c, assets)), clock)


def facts(actions: Sequence[Action]) -> xr.Dataset:
    """The actions as bars have them."""
    of = {
        "action_time": np.array([a.time for a in actions], "i8").astype("datetime64[ns]"),
        "action_asset": np.array([str(a.asset) for a in actions], str),
        "action_kind": np.array([a.kind for a in actions], str),
        "action_value": np.array([a.value for a in actions], "f8"),
        "action_price": np.array([a.price for a in actions], "f8"),
    }
    return xr.Dataset(coords={name: ("action", column) for name, column in of.items()})


def lender(c: Config, assets: Sequence[str]) -> Account:
    """An account with the rates of this one."""
    borrow: Any = dict(zip(assets, c.borrow, strict=True)) if isinstance(c.borrow, list) else c.borrow
    return Account(1.0, interest=c.interest, loan=c.loan, borrow=borrow)


def tiers_of(maintenance: Any) -> tuple[tuple[float, float], ...]:
    """Maintenance margin as Backing has it."""
    if maintenance is None:
        return ()
    return ((0.0, maintenance),) if isinstance(maintenance, float) else tuple(zip(*maintenance, strict=True))


FEATURES = [f"{name}{k}" for k in range(ACTIONS) for name in FIELDS]
PROGRAM = actor.program({})


def rules_of(c: Config, venue: int = 0) -> Rules | None:
    """Limits and halts as Costs has them, those of a venue by its place."""
    least, halts = c.limits or Limits(), c.halts
    amounts = ("position", "notional", "leverage", "concentration", "turnover", "day_trades")
    told = {name: getattr(least, name) for name in amounts if getattr(least, name) is not None}
    does = {
        outage: (L.TURNS_AWAY if outage.orders == "reject" else 0) | (L.STOPS if outage.matching else 0)
        for outage in halts.outages
    }
    return Rules(
        cut=least.cut,
        day_trade_equity=least.day_trade_equity,
        fall=least.short_sale_price or 0.0,
        shorts=tuple(least.short or ()),
        hours="" if halts.hours is None else f"{HOURS} {venue}",
        closed_rejects=halts.closed == "reject",
        outages=tuple((outage.start, outage.end, does[outage]) for outage in halts.outages),
        rate=halts.rate[0] if halts.rate else 0,
        per=halts.rate[1] if halts.rate else 1,
        rate_rejects=halts.excess == "reject",
        latency=halts.latency,
        **told,
    )


def hours_of(*venues: Config) -> dict[str, np.ndarray]:
    """Hours as Job has them."""
    hours = {f"{HOURS} {k}": c.halts.hours for k, c in enumerate(venues)}
    return {name: np.array(spells, "i8").ravel() for name, spells in hours.items() if spells is not None}


def settings_of(
    c: Config, fee: Any, slip: Any, limits: dict[str, Any] | None = None, venue: int = 0
) -> tuple[Costs, list[int]]:
    """A venue and a fill model as the engine takes them; `limits` are what the venue refuses (O15)."""
    costs = Costs(
        fee and fee.text,
        tuple(fee.words) if fee else (),
        slip and slip.text,
        tuple(slip.words) if slip else (),
        CASH_RULES[c.cash_rule],
        c.band,
        participation=c.participation or 0.0,
        backing=Backing(
            c.initial,
            tiers_of(c.maintenance),
            tiers_of(c.maintenance if c.maintenance_short is None else c.maintenance_short),
            c.margin_fee,
            c.isolated,
            c.protected,
        ),
        **({"rules": rules_of(c, venue)} | (limits or {})),
    )
    return costs, FillModel(
        c.limit, c.same_bar, c.trailing, c.close_out, c.sizing, c.path, c.stop_gap, c.market
    ).codes()


def job(case: Case) -> Job:
    """The case as the engine takes it."""
    c = case.config
    costs, codes = settings_of(c, case.fee, case.slippage, case.limits)
    trials = np.zeros(1, L.TRIAL)
    trials[0] = (0, c.trade_from, c.end or len(case.bars.o), 0, 0, 0, c.cash)
    params = np.zeros((1, 0), "i8")
    return Job(PROGRAM.text, PROGRAM.plan, [table(case)], [costs], [codes], trials, params, hours=hours_of(c))


def run_engine(case: Case) -> tuple[Logs, dict[str, float], np.ndarray, int]:
    """What the engine makes of the case."""
    return recorded(job(case))


def recorded(job: Job) -> tuple[Logs, dict[str, float], np.ndarray, int]:
    """Logs, headline, block summaries and their level of a job's only trial."""
    recorder = Recorder(job, 0)
    return recorder.all(), *found(recorder)


def found(recorder: Recorder) -> tuple[dict[str, float], np.ndarray, int]:
    """Headline, block summaries and their level of a trial that has been recorded."""
    assert not recorder.outcome.errors, recorder.outcome.errors
    assert recorder.outcome.blocks is not None
    meta = recorder.outcome.meta[0]
    return (
        dict(zip(L.HEADLINE, recorder.outcome.headline[0], strict=True)),
        recorder.outcome.blocks[0][: meta[0]],
        int(meta[1]),
    )


def run_reference(case: Case) -> Outcome:
    """The same program, by the reference simulator."""

    def decide(ctx: Any) -> None:
        for action in case.program[ctx.i]:
            one(ctx, *action)

    given = {name: case.limits.get(name) or None for name in ("min_quantity", "max_quantity", "min_notional")}
    config = replace(case.config, off_tick="reject" if case.limits.get("off_tick") else "round", **given)
    bars = replace(case.bars, closes=list(case.closes[: len(case.bars)]) or list(case.bars.known_at))
    return simulate(bars, case.grid, config, decide, case.actions, case.finer)
