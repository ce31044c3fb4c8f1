"""A portfolio cut anywhere, fed, saved, killed and taken up again in another process is the one that was never cut."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kernelkit as kk
from kernelkit.data import store
from kernelkit.errors import DataError, OrderError, RunError, UsageError
from kernelkit.run import Run
from kernelkit.saved import plan_from_json, plan_to_json
from tests.test_chunks import KILLED, RESUME, facts, python
from tests.test_each_asset import COSTS, higher, trader
from tests.test_each_asset import hours as hours  # a fixture
from tests.test_portfolio import ASSETS, N, frames, momentum


@pytest.fixture(autouse=True)
def own_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".kernelkit").mkdir()
    monkeypatch.chdir(tmp_path)


@kk.portfolio(state=dict(w=kk.each(-1.0), last=kk.ring(3), n=0, paid=kk.each()))
def weekly(ctx, s, n=4):  # type: ignore[no-untyped-def]
    s.n += 1
    s.last.push(ctx.equity)
    for k in ctx.tradable:
        up = ctx[k].tf("1W").close.sma(n) < ctx[k].close[0] and ctx[k].close.max(10) > s.paid[k]
        s.w[k] = 0.3 if up else -0.1
    if s.last[0] < s.last[-2]:
        ctx.cancel_all()
    ctx.record("called", s.n)


@weekly.schedule("week_end")
def rebalance(ctx, s):  # type: ignore[no-untyped-def]
    ctx.weights(s.w)
    for k in ctx.tradable:
        ctx[k].limit(-1.0, ctx[k].close[0] * 1.02, tif="DAY")


@weekly.on_fill
def paid(ctx, s, fill):  # type: ignore[no-untyped-def]
    s.paid[fill.asset] = fill.price


BARS = {
    "bars": kk.data.from_pandas(frames(), label="open", bar="1D", calendar="24/7"),
    "gaps": kk.data.from_pandas(frames(missing=True), label="open", bar="1D", calendar="24/7"),
}
EACH = kk.portfolio(trader)
LIVELY = {"venue": COSTS, "account": kk.Account(cash=1e6, interest=0.02, loan=0.05, borrow=0.01)}
CASES = list(itertools.product(BARS, (momentum, weekly, EACH)))


def whole_of(data: str, strategy: Any) -> xr.Dataset:
    return kk.backtest(BARS[data], strategy, **LIVELY)


def same(run: Run, res: xr.Dataset) -> None:
    found = run.result()
    assert facts(found) == facts(res)
    assert set(found.data_vars) == set(res.data_vars)
    for name in (n for n in res.data_vars if "time" in res[n].dims):
        np.testing.assert_array_equal(found[name], res[name], err_msg=str(name))
    assert kk.fills(found).equals(kk.fills(res))
    assert kk.orders(found).equals(kk.orders(res))


@pytest.fixture(scope="module")
def wholes(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], xr.Dataset]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("whole"))
        out = {(data, strategy.name): whole_of(data, strategy) for data, strategy in CASES}
        assert all(int(res["n_fills"]) > 60 for res in out.values())
        return out


@pytest.mark.parametrize(("data", "strategy"), CASES)
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, N - 1), min_size=1, max_size=4, unique=True))
def test_fed_is_whole(data: str, strategy: Any, wholes: dict[tuple[str, str], xr.Dataset], cuts: list[int]) -> None:
    """Cut within the warm-up of all, of some assets, and after it; what fills and ends at the seam is told once."""
    edges = [*sorted(cuts), None]
    run = kk.start(BARS[data].isel(time=slice(0, edges[0])), strategy, **LIVELY)
    for a, b in itertools.pairwise(edges):
        run.feed(BARS[data].isel(time=slice(a, b)))
    same(run, wholes[data, strategy.name])


@pytest.mark.parametrize(("data", "strategy"), CASES)
def test_one_bar_at_a_time(data: str, strategy: Any) -> None:
    run = kk.start(BARS[data].isel(time=slice(0, 2)), strategy, **LIVELY)
    for i in range(2, 90):
        run.feed(BARS[data].isel(time=slice(i, i + 1)))
        assert run.bars == i + 1
    same(run, kk.backtest(BARS[data].isel(time=slice(0, 90)), strategy, **LIVELY))


def test_fed_is_whole__timeframes_and_features(hours: xr.Dataset) -> None:
    """Two timeframes and hours of New York; an asset that comes late waits for its own (X9). Features come whole."""
    both = kk.portfolio(higher)
    whole = kk.backtest(hours, both, venue=COSTS)
    for first in (4, 70, 233):
        run = kk.start(hours.isel(time=slice(0, first)), both, venue=COSTS)
        same(run.feed(hours.isel(time=slice(0, first + 40))).feed(hours), whole)


@pytest.mark.filterwarnings("ignore::kernelkit.data.AdjustedWarning")  # its prices know nothing of its splits
def test_what_happens_by_the_calendar_goes_on() -> None:
    actions = [("2020-07-01", f"A{k}", "split" if k % 2 else "dividend", 2.0) for k in range(ASSETS)]
    columns = ["time", "asset", "kind", "value"]
    bars = BARS["gaps"]
    whole_bars = kk.data.with_actions(bars, pd.DataFrame(actions, columns=columns))
    whole = kk.backtest(whole_bars, EACH, **LIVELY)
    assert set(kk.actions(whole)["kind"]) > {"split", "dividend"}
    run = kk.start(whole_bars.isel(time=slice(0, 120)), EACH, **LIVELY)
    same(run.feed(whole_bars), whole)


def test_start_later_and_on_the_way() -> None:
    first = "2020-05-10"
    run = kk.start(BARS["gaps"].isel(time=slice(0, 140)), EACH, start=first)
    for a in range(140, N, 40):
        same(run, kk.backtest(BARS["gaps"].isel(time=slice(0, a)), EACH, start=first))
        run.feed(BARS["gaps"].isel(time=slice(a, min(a + 40, N))))
    same(run, kk.backtest(BARS["gaps"], EACH, start=first))


@pytest.mark.parametrize("strategy", [momentum, EACH])
def test_all_of_it_warm_up(strategy: Any) -> None:
    run = kk.start(BARS["bars"].isel(time=slice(0, 6)), strategy)
    with pytest.raises(RunError, match="6 bars, all of them warm-up"):
        run.result()
    assert run.equity == 1e6
    same(run.feed(BARS["bars"].isel(time=slice(6, 100))), kk.backtest(BARS["bars"].isel(time=slice(0, 100)), strategy))


def test_resumed_in_a_new_process_is_whole(tmp_path: Path, wholes: dict[tuple[str, str], xr.Dataset]) -> None:
    expected = {}
    for cut, (data, strategy) in itertools.product((7, 31, 177), CASES):
        name = f"{data}-{strategy.name}-{cut}"
        kk.start(BARS[data].isel(time=slice(0, cut)), strategy, **LIVELY).save(tmp_path / name)
        store.save(BARS[data].isel(time=slice(cut, None)), tmp_path / f"{name}.rest")
        expected[name] = wholes[data, strategy.name]
    found = json.loads(python(RESUME, tmp_path, *expected))
    for name, res in expected.items():
        wanted: dict[str, Any] = {n: b.hex() for n, b in facts(res).items()}
        wanted["equity"] = res["equity"].values.tobytes().hex()
        wanted["attrs"] = [res.attrs[k] for k in ("costs", "strategy", "venue", "lineage", "fill_model")]
        assert found[name] == wanted, name


def test_saved_again_and_resumed_here_with_its_strategy(tmp_path: Path) -> None:
    run = kk.start(BARS["gaps"].isel(time=slice(0, 100)), EACH, **LIVELY)
    run.save(tmp_path / "run")
    run.feed(BARS["gaps"].isel(time=slice(100, 150))).save(tmp_path / "run")
    again = kk.resume(tmp_path / "run", EACH)
    assert (again.bars, again.equity) == (150, run.equity)
    same(again.feed(BARS["gaps"].isel(time=slice(150, None))), whole_of("gaps", EACH))
    with pytest.raises(RunError, match="another trader"):
        kk.resume(tmp_path / "run", trader)  # alone it is another strategy


@pytest.mark.parametrize("strategy", [weekly, EACH])
def test_killed_while_saving_loses_nothing(tmp_path: Path, strategy: Any) -> None:
    run = kk.start(BARS["gaps"].isel(time=slice(0, 150)), strategy)
    run.save(tmp_path / "run")
    store.save(BARS["gaps"].isel(time=slice(150, 160)), tmp_path / "run.rest")
    old = [150, run.equity]
    new = [160, run.feed(BARS["gaps"].isel(time=slice(150, 160))).equity]
    commit, found = json.loads(python(KILLED, tmp_path))
    assert old != new
    for k, (status, bars, equity, files) in found.items():
        assert (status, [bars, equity]) == (9, old if int(k) <= commit else new), k
        assert files == ["bars", "run.json", "state"], k
    assert {int(k) <= commit for k in found} == {True, False}


@pytest.mark.parametrize("strategy", [momentum, weekly, EACH])
def test_a_plan_comes_back_whole(strategy: Any) -> None:
    types = {n: type(v) for n, v in strategy.defaults.items()}
    plan = strategy.program(types, {n: v for n, v in strategy.defaults.items() if isinstance(v, str)}).plan
    again = plan_from_json(json.loads(json.dumps(plan_to_json(plan))))
    kept = [n for n in vars(plan) if n not in ("risky", "uncompilable")]
    assert {n: getattr(again, n) for n in kept} == {n: getattr(plan, n) for n in kept}
    assert (again.clocked, again.moments_at) == (plan.clocked, plan.moments_at)


def test_a_failed_feed_leaves_the_run_as_it_was() -> None:
    run = kk.start(BARS["gaps"].isel(time=slice(0, 100)), EACH, **LIVELY)
    before = run.equity
    other = BARS["gaps"].copy(deep=True)
    other["close"][{"time": 50, "asset": 2}] += other["tick"][2]
    with pytest.raises(UsageError, match="history has changed"):
        run.feed(other)
    with pytest.raises(DataError, match="asset of the bars to append"):
        run.feed(BARS["gaps"].isel(time=slice(100, 110), asset=slice(0, ASSETS - 1)))
    assert (run.bars, run.equity) == (100, before)
    same(run.feed(BARS["gaps"]), whole_of("gaps", EACH))


def test_what_cannot_be_started() -> None:
    bars = BARS["bars"]
    with pytest.raises(UsageError, match=r"6 assets.*kk\.portfolio\(strategy\)"):
        kk.start(bars, trader)
    with pytest.raises(OrderError, match="path of a run: found finer"):
        kk.start(bars, momentum, fill_model=kk.FillModel(path="finer"))
    with pytest.raises(OrderError, match="close_out of a run"):
        kk.start(bars, EACH, fill_model="backtesting.py")
