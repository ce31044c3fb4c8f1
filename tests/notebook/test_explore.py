"""Sliders over a strategy: what they range over, what is run, what the ledger keeps of it."""

from __future__ import annotations

import ast

import numpy as np
import pytest

import kernelkit as kk
from kernelkit import ledger
from kernelkit.errors import UsageError
from kernelkit.notebook.widgets import sliders
from kernelkit.result import Curves
from kernelkit.study.spaces import choice, integer, real


@pytest.fixture(autouse=True)
def _own_ledger(tmp_path, monkeypatch):
    monkeypatch.setenv("KERNELKIT_LEDGER", str(tmp_path / "ledger"))


@pytest.fixture(scope="module")
def bars():
    return kk.data.load("sp500_index").isel(time=slice(0, 600))


@kk.strategy
def cross(ctx, fast=20, slow=100):
    if ctx.close.sma(fast) > ctx.close.sma(slow):
        ctx.target_percent(1.0)
    else:
        ctx.target_percent(0.0)


@kk.strategy
def mood(ctx, kind="calm", n=10):
    if kind == "calm":
        ctx.target_percent(0.5 if ctx.close[0] > ctx.close.sma(n) else 0.0)
    else:
        ctx.target_percent(1.0)


def run(shown, **at):
    """What the browser asks for when sliders move."""
    shown.heard("run", {"id": "x", "at": shown.answer["at"] | at})
    return shown.answer


@pytest.mark.parametrize(
    ("given", "axis"),
    [
        ((5, 50), integer(5, 50)),
        ((5, 50, 15), integer(5, 50, step=15)),
        ((0.5, 2), real(0.5, 2.0)),
        ((0.1, 0.4, 0.1), choice([0.1, 0.2, 0.3, 0.4])),
        ([3, 1, 2], choice([3, 1, 2])),
        (range(3), choice([0, 1, 2])),
        (np.array([1.5, 2.5]), choice([1.5, 2.5])),
        (["a", "b"], choice(["a", "b"])),
        (integer(1, 9, log=True), integer(1, 9, log=True)),
    ],
)
def test_axis_of__what_a_slider_ranges_over(given, axis):
    assert sliders.axis_of("n", given) == axis


@pytest.mark.parametrize("given", [20, "5-50", (5,), (50, 5), (1, 2, 3, 4), (0.1, 0.2, 0.5), [7]])
def test_axis_of__what_says_no_values_is_refused(given):
    with pytest.raises(UsageError, match="wanted"):
        sliders.axis_of("n", given)


def test_places__of_many_values_a_hand_can_reach_both_ends():
    found = sliders.places(integer(1, 1_000_000))
    assert (found[0], found[-1]) == (1, 1_000_000)
    assert len(found) == sliders.PLACES + 1
    assert found == sorted(set(found))
    assert sliders.places(real(0.001, 1.0, log=True))[100] == pytest.approx(0.03162, rel=1e-3)


def test_explore__runs_what_kk_backtest_runs_over_the_span_that_all_values_have(bars):
    venue = kk.Venue(fees=kk.fees.fraction(0.001))
    shown = kk.explore(bars, cross, fast=(5, 50), slow=(20, 200), venue=venue)
    start = bars["time"].values[199]
    for at, values in (({}, {"fast": 20, "slow": 100}), ({"fast": 0}, {"fast": 5, "slow": 100})):
        run(shown, **at)
        plain = kk.backtest(bars, cross, values, start=start, venue=venue)
        assert shown.values == values
        assert shown.result["sharpe_ratio"].equals(plain["sharpe_ratio"])
        assert shown.result["equity"].identical(plain["equity"])
        assert shown.answer["equity"]["shape"] == [len(plain["time"])]
        drawn = np.frombuffer(shown.answer["equity"]["data"])
        assert np.array_equal(drawn, plain["equity"].values)


def test_explore__each_value_that_was_run_is_a_rival_in_the_ledger(bars):
    shown = kk.explore(bars, cross, fast=(5, 50), slow=[100, 150])
    for k in (3, 4, 3):
        run(shown, fast=k)
    found = ledger.trials()
    assert shown.tried == 3  # the second look at one is none
    assert set(found["role"]) == {"rival"}
    assert found["key"].nunique() == 3
    shown.count().result()
    assert shown.counted["n"] == 3
    start, luck = shown.result["time"].values[0], float(kk.inference.expected_max_sharpe(3))
    sharpes = kk.backtest(bars, cross, dict(slow=100), grid=dict(fast=[8, 9, 20]), start=start)["sharpe_ratio"]
    assert float(shown.counted["luck"]) == pytest.approx(luck * float(sharpes.std(ddof=1)), abs=0.006)


def test_explore__each_result_is_told_and_no_other_curve_is_read_for_it(bars, monkeypatch):
    shown = kk.explore(bars, cross, fast=(5, 50))
    told = []
    shown.observe(lambda change: told.append(change["new"]), "result")
    run(shown, fast=1)
    read, curve = [], Curves.curve
    monkeypatch.setattr(Curves, "curve", lambda self, name, trial: read.append(name) or curve(self, name, trial))
    run(shown, fast=2)
    assert sorted(read) == ["drawdown", "equity"]
    assert told[1] is shown.result
    assert [one.attrs["params"]["fast"] for one in told] == [6, 7]


def test_explore__what_where_excludes_is_said_and_not_run(bars):
    shown = kk.explore(bars, cross, fast=(5, 50), slow=(20, 200), where="fast < slow")
    before = shown.result
    answer = run(shown, fast=45, slow=0)
    assert answer["fault"] == "fast=50, slow=20: excluded by where='fast < slow'; not run"
    assert shown.result is before
    assert shown.tried == len(ledger.trials()) == 1
    assert run(shown, fast=0)["fault"] == ""


def test_explore__an_error_of_the_strategy_is_one_line_and_the_picture_stays(bars):
    @kk.strategy
    def breaks(ctx, n=1):
        ctx.target_percent(1.0 / (n - 3))

    shown = kk.explore(bars, breaks, n=(4, 9))
    equity = shown.answer["equity"]
    shown.studied.places["n"][0] = 3  # a value at which it divides by zero
    answer = run(shown, n=0)
    assert "division by zero" in answer["fault"]
    assert "\n" not in answer["fault"]
    assert answer["equity"] is equity


def test_explore__begins_where_it_was_asked_to_or_at_what_fits(bars):
    assert kk.explore(bars, cross, dict(fast=7), fast=(5, 50), slow=(60, 200)).values == {"fast": 7, "slow": 100}
    assert kk.explore(bars, cross, dict(slow=150), fast=(5, 50)).values == {"fast": 20}
    apart = kk.explore(bars, cross, fast=(5, 50), slow=(6, 60), where="fast > slow + 40")
    assert apart.values["fast"] > apart.values["slow"] + 40


def test_explore__texts_are_a_list(bars):
    shown = kk.explore(bars, mood, kind=["calm", "wild"], n=(5, 20))
    assert [c["list"] for c in shown.head["controls"]] == [True, False]
    calm = float(shown.result["exposure"])
    run(shown, kind=1)
    assert shown.values["kind"] == "wild"
    assert float(shown.result["exposure"]) > calm


def test_explore__copies_the_call_that_runs_it(bars):
    shown = kk.explore(bars, cross, fast=(5, 50), venue=kk.Venue(fees=kk.fees.fraction(0.001)), end="2000-06")
    code = shown.answer["code"]
    ast.parse(code)
    names = {"kk": kk, "bars": bars, "cross": cross, "venue": shown.studied.settings["venue"]}
    assert eval(code, names)["sharpe_ratio"].equals(shown.result["sharpe_ratio"])


def test_explore__stands_as_a_card_where_no_kernel_is(bars):
    assert "<svg" in kk.explore(bars, cross, fast=(5, 50)).fallback()


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "space of a search"),
        ({"n": (1, 5)}, "one of fast, slow"),
        ({"fast": 20}, r"wanted \(low, high\)"),
        ({"fast": (5, 50), "fill_model": ["conservative", "optimistic"]}, "fill_model of kk.explore"),
        ({"fast": (5, 50), "where": "fast > 90"}, "no point"),
    ],
)
def test_explore__says_what_does_not_fit_together(bars, given, text):
    with pytest.raises(UsageError, match=text):
        kk.explore(bars, cross, **given)
