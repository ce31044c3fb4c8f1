"""What `kk.why` hears of random orders is what the logs say of them: every fill, and how each ended."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kernelkit as kk
from kernelkit.checking import checks
from kernelkit.compliance import COUNTLESS, RULES
from kernelkit.kernels import layout as L
from kernelkit.kernels.job import Job, Logs
from kernelkit.kernels.rules import Rules
from kernelkit.kernels.session import Recorder
from kernelkit.market.fill_model import CODES, FillModel
from kernelkit.market.reasons import Reason
from kernelkit.replaying import Replay
from kernelkit.telling import Teller
from kernelkit.view import Python
from kernelkit.why import assembled, others, told, under
from tests import portfolios
from tests.programs import Case, actor, job
from tests.test_engine_is_reference import cases
from tests.test_finer import Pair, nested
from tests.test_limits_hold import ruled, rules
from tests.test_limits_hold import under as limited
from tests.test_portfolio_is_reference import worlds

QUICK = dict(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
ENDED_BY = {L.REASONS[r] for r in (*RULES, L.R_BELOW, L.R_INVALID, L.R_OFF_TICK, L.R_ABOVE, L.R_MINIMUM, L.R_UNLISTED)}
SHOWN = 8  # orders of a case


def check(work: Job, recipe: Any, model: FillModel) -> None:
    """Tell every order of a trial; `told` raises where fills or end are not those of the logs."""
    logs: Logs = Recorder(work, 0).all()
    clock = work.tables[0].columns
    for k, final in enumerate(logs.orders[:: max(1, len(logs.orders) // SHOWN)]):
        replay = Replay(recipe, work, final)
        life = replay.live()
        assert life.unheard == 0
        agree(logs, final, life, Teller(work, "X", final))
        teller = Teller(work, "X", final)
        own = logs.fills[logs.fills["order"] == final["id"]]
        rows = told(teller, life, own, final)
        shown = [r for r in rows if np.isfinite(r["price"])]
        assert [r["price"] for r in shown] == [teller.price(int(k)) for k in own["ticks"]]
        assert [r["quantity"] for r in shown] == [teller.quantity(lots) for lots in own["lots"]]
        assert life.witness.asked is not None
        assert int(final["t_submit"]) in (int(clock[L.C_KNOWN_AT][life.born]), int(clock[L.C_OPEN_AT][life.born]))
        why = assembled(teller, replay, life, rows, own, [] if k else others(replay, life))
        assert why.title in repr(why)
        assert len(why._repr_html_()) > 100
        again = under(replay, life, "its own", model)  # the same question of its own model has the same answer
        assert again["same"], again
        assert (again["status"], again["reason"]) == (why.end["status"], why.end["reason"])
        assert again["filled"] == teller.quantity(np.abs(own["lots"]).sum())


def agree(logs: Logs, final: Any, life: Any, teller: Teller) -> None:
    """R9: of the submission, what rejected, cut or delayed it is told with the numbers of the log, all else passed."""
    mine = logs.breaches[(logs.breaches["order"] == final["id"]) & (logs.breaches["time"] == final["t_submit"])]
    told = checks(teller, life.witness.checks)
    hit = [c for c in told if c["done"] and c["rule"][0] in "RHU"]
    if len(mine) > len(hit):  # it was changed in the decision that had given it
        assert any(e.what in ("judged", "call_off", "replace") for b, e in life.events if b == life.born)
        assert len(mine) == len(hit) + 1
    rows = [(RULES[int(b["reason"])].split()[0], L.DEEDS[int(b["done"])]) for b in mine[: len(hit)]]
    assert [(c["rule"], c["done"]) for c in hit] == rows
    for c, b in zip(hit, mine[: len(hit)], strict=True):
        if int(b["reason"]) not in COUNTLESS:
            assert (c["limit"], c["found"]) == (b["limit"], b["found"])
    for c in told:
        if c["rule"] in ("R2", "R3", "R4", "R5", "R6") and not c["done"]:
            assert c["found"] <= c["limit"] * (1.0 + 3e-9) or "of the order reduces" in c["what"], c
    if Reason(int(final["reason"])).text in ENDED_BY:
        assert told[-1]["done"] == "rejected"


def model_of(work: Job) -> FillModel:
    """The fill model that a job's codes mean."""
    names = {name: {code: value for value, code in codes.items()} for name, codes in CODES.items()}
    return FillModel(**{n: names[n][code] for n, code in zip(L.FILL_MODEL.names, work.fill_models[0], strict=True)})


def recipe_of(python: Any, *, shared: bool) -> Any:
    """What is asked of a recipe here."""
    return SimpleNamespace(python=python, shared=shared, switches=(), params={})


def alone(case: Case) -> Any:
    venue = kk.Venue(fees=case.fee, slippage=case.slippage)
    return recipe_of(lambda job: Python(actor, {}, job, venue), shared=False)


@settings(max_examples=25, **QUICK)
@given(cases())
def test_every_order_is_told_as_it_was(case: Case) -> None:
    work = job(case)
    check(work, alone(case), model_of(work))


@settings(max_examples=40, **QUICK)
@given(cases(calm=True).flatmap(lambda case: st.tuples(st.just(case), rules(len(case.bars.o)))))
def test_r8_h1_every_order_under_limits(pair: tuple[Case, Rules]) -> None:
    work = job(ruled(*pair))
    check(work, alone(pair[0]), model_of(work))


@settings(max_examples=15, **QUICK)
@given(worlds().flatmap(lambda w: st.tuples(st.just(w), rules(len(w.clock.session), len(w.assets)))))
def test_r3_u1_every_order_of_a_portfolio_under_limits(pair: tuple[portfolios.World, Rules]) -> None:
    world, told = pair
    work = limited(world, told)
    venue = kk.Venue(fees=world.fee, slippage=world.slippage)
    recipe: Any = SimpleNamespace(
        python=lambda job: Python(portfolios.actor, {}, job, venue), shared=True, switches=(), params={}
    )
    check(work, recipe, model_of(work))


@settings(max_examples=8, **QUICK)
@given(nested())
def test_f16_every_order_in_finer_bars(pair: Pair) -> None:
    check(pair.coarse, alone(pair.case), model_of(pair.coarse))


@settings(max_examples=8, **QUICK)
@given(worlds())
def test_every_order_of_a_portfolio(world: portfolios.World) -> None:
    work = portfolios.job(world)
    venue = kk.Venue(fees=world.fee, slippage=world.slippage)
    recipe: Any = SimpleNamespace(
        python=lambda job: Python(portfolios.actor, {}, job, venue), shared=True, switches=(), params={}
    )
    check(work, recipe, model_of(work))
