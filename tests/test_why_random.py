"""What `kk.why` hears of random orders is what the logs say of them: every fill, and how each ended."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings

import kernelkit as kk
from kernelkit.kernels import layout as L
from kernelkit.kernels.job import Job, Logs
from kernelkit.kernels.session import Recorder
from kernelkit.market.fill_model import CODES, FillModel
from kernelkit.replaying import Replay
from kernelkit.telling import Teller
from kernelkit.view import Python
from kernelkit.why import assembled, others, told, under
from tests import portfolios
from tests.programs import Case, actor, job
from tests.test_engine_is_reference import cases
from tests.test_finer import Pair, nested
from tests.test_portfolio_is_reference import worlds

QUICK = dict(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
SHOWN = 8  # orders of a case


def check(work: Job, recipe: Any, model: FillModel) -> None:
    """Tell every order of a trial; `told` raises where fills or end are not those of the logs."""
    logs: Logs = Recorder(work, 0).all()
    clock = work.tables[0].columns
    for k, final in enumerate(logs.orders[:: max(1, len(logs.orders) // SHOWN)]):
        replay = Replay(recipe, work, final)
        life = replay.live()
        assert life.unheard == 0
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


def model_of(work: Job) -> FillModel:
    """The fill model that a job's codes mean."""
    names = {name: {code: value for value, code in codes.items()} for name, codes in CODES.items()}
    return FillModel(**{n: names[n][code] for n, code in zip(L.FILL_MODEL.names, work.fill_models[0], strict=True)})


def alone(case: Case) -> Any:
    venue = kk.Venue(fees=case.fee, slippage=case.slippage)
    return SimpleNamespace(python=lambda job: Python(actor, {}, job, venue), shared=False)


@settings(max_examples=25, **QUICK)
@given(cases())
def test_every_order_is_told_as_it_was(case: Case) -> None:
    work = job(case)
    check(work, alone(case), model_of(work))


@settings(max_examples=8, **QUICK)
@given(nested())
def test_f16_every_order_in_finer_bars(pair: Pair) -> None:
    check(pair.coarse, alone(pair.case), model_of(pair.coarse))


@settings(max_examples=8, **QUICK)
@given(worlds())
def test_every_order_of_a_portfolio(world: portfolios.World) -> None:
    work = portfolios.job(world)
    venue = kk.Venue(fees=world.fee, slippage=world.slippage)
    recipe: Any = SimpleNamespace(python=lambda job: Python(portfolios.actor, {}, job, venue), shared=True)
    check(work, recipe, model_of(work))
