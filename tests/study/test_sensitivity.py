"""Sensitivity: every number is a backtest's, and what is said of them is what it is of known functions (N1-N11)."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import kernelkit as kk
from kernelkit import ledger, rng
from kernelkit.data.actions import with_actions
from kernelkit.errors import KernelkitError, UsageError
from kernelkit.inference import Resampling, parameter_plateau
from kernelkit.kernels import layout as L
from kernelkit.study.run import Case, Common, lay
from kernelkit.study.scenarios.stress import world_of
from kernelkit.study.sensitivity.local import neighbours
from kernelkit.study.sensitivity.morris import effects, measures, screened, walks
from kernelkit.study.sensitivity.points import Range, longest, stacked
from kernelkit.study.sensitivity.prices import noisy
from kernelkit.study.sensitivity.sobol import design, estimated
from tests.study.test_scenarios import ONE, THREE, assert_sound

S = kk.sensitivity
SPX = kk.data.load("sp500_index")
VENUE = kk.Venue("v", kk.fees.fraction(0.001), kk.slippage.fraction(0.0005))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ledger of the test's own."""
    (tmp_path / ".kernelkit").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@kk.strategy
def trend(ctx, fast=5, slow=20):
    ctx.target_percent(1.0 if ctx.close.sma(fast) > ctx.close.sma(slow) else 0.0)


@kk.strategy
def once(ctx, lots=10, idle=0.5):
    if ctx.i == 30:
        ctx.buy(float(lots))


@kk.strategy
def trip(ctx, lots=100, enter=30, leave=90):
    if ctx.i == enter:
        ctx.buy(float(lots))
    if ctx.i == leave:
        ctx.sell(float(lots))


@kk.strategy
def fails(ctx, lots=10, below=60):
    if lots > below:
        raise ValueError("too many")
    if ctx.i == 30:
        ctx.buy(float(lots))


@kk.strategy
def hold(ctx, weight=1.0):
    ctx.target_percent(weight)


@kk.strategy(warmup=lambda p: 100 - p.n)
def late(ctx, n=5):
    ctx.target_percent(1.0)


@kk.portfolio
def equal(ctx, part=0.3):
    for k in ctx.tradable:
        ctx[k].target_percent(part)


@kk.signal
def above(ds, n=20):
    return (ds["close"] > ds["close"].rolling(time=n).mean()).astype(float)


RANGES: dict[str, tuple[Any, Any]] = {"fast": (3, 9), "slow": (15, 40)}


def assert_is(found: xr.Dataset, plain: xr.Dataset) -> None:
    for name in L.HEADLINE:
        np.testing.assert_array_equal(found[name].values, plain[name].values, err_msg=name)


def first_of(bars: xr.Dataset, slow: int) -> Any:
    """The label of the first bar at which the longest average is there."""
    return kk.backtest(bars, trend, {"slow": slow})["time"].values[0]


def rise(bars: xr.Dataset, first: int, last: int) -> tuple[float, float]:
    """What `trip` pays and gets for a unit: the opens after its decisions."""
    opened = bars["open"].values[:, 0]
    return float(opened[first + 1]), float(opened[last + 1])


# --- points, and what is run at them


def test_n1__ranges_have_the_type_of_their_ends() -> None:
    u = np.array([0.0, 0.49, 0.51, 1.0 - 2.0**-53])
    assert Range("n", 2, 3).drawn(u) == [2, 2, 3, 3]
    assert Range("b", False, True).drawn(u) == [False, False, True, True]
    assert Range("w", 1, 2.0).drawn(u)[:2] == [1.0, 1.49]
    assert [type(Range("w", 1, 2.0).at(0.0)), type(Range("n", 1, 9).at(0.3)), Range("n", 1, 9).at(0.3)] == [
        float,
        int,
        3,
    ]


@given(st.integers(-50, 50), st.integers(1, 60))
def test_n1__whole_numbers_are_equally_likely(low: int, width: int) -> None:
    drawn = Range("n", low, low + width).drawn((np.arange(10 * (width + 1)) + 0.5) / (10 * (width + 1)))
    assert [drawn.count(v) for v in range(low, low + width + 1)] == [10] * (width + 1)


@pytest.mark.parametrize(
    "given",
    [{}, {"bars": THREE}, {"venue": VENUE, "start": "2020-03-01", "end": "2020-12-01"}],
    ids=["one", "assets", "span"],
)
def test_n2__every_evaluation_is_its_backtest_bit_for_bit(given: dict[str, Any]) -> None:
    given = {"bars": ONE, **given}
    bars = given.pop("bars")
    found = S.sobol(bars, trend, ranges=RANGES, n=8, **given)
    assert found.sizes["evaluation"] == 8 * 4
    start = max(pd.Timestamp(first_of(bars, int(found["slow"].max()))), pd.Timestamp(given.pop("start", "2020")))
    for k in range(32):
        one = found.isel(evaluation=k)
        params = {name: int(one[name]) for name in RANGES}
        assert_is(one, kk.backtest(bars, trend, params, start=start, **given))
    assert ("asset" in found["first_order"].dims) == (bars is THREE)


@pytest.mark.parametrize("case", [(above, ONE, {"n": (5, 9)}), (equal, THREE, {"part": (0.1, 0.3)})])
def test_n2__signals_and_portfolios(case: tuple[Any, xr.Dataset, Any]) -> None:
    strategy, bars, ranges = case
    found = S.one_at_a_time(bars, strategy, ranges=ranges, steps=3)
    (name,) = ranges
    start = None
    for k in range(3):
        value = found["value"].values[0, k]
        params = {name: int(value) if name == "n" else float(value)}
        assert_is(found.isel(parameter=0, step=k), kk.backtest(bars, strategy, params, start=start))


def test_n2__nothing_competes_and_equal_points_are_run_once() -> None:
    found = S.morris(ONE, trend, ranges={"fast": (3, 4), "slow": (15, 16)}, trajectories=10)
    assert found.sizes["evaluation"] == 30
    told = ledger.trials()
    assert set(told["role"]) == {"sensitivity"}
    assert len(told) == found.attrs["trials"] == 4


def test_n2__what_is_kept_is_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kernelkit import reuse, working

    def all_of() -> list[xr.Dataset]:
        kept: dict[str, Any] = {"cache": tmp_path / "kept"}
        return [
            S.around(ONE, trend, steps=1, **kept),
            S.one_at_a_time(ONE, trend, ranges=RANGES, steps=3, **kept),
            S.morris(ONE, trend, ranges=RANGES, trajectories=4, **kept),
            S.sobol(ONE, trend, ranges=RANGES, n=8, **kept),
            S.break_even(ONE, trend, **kept),
            S.delay(ONE, trend, **kept),
            S.noise(ONE, trend, bps=5.0, draws=5, **kept),
        ]

    monkeypatch.setattr(reuse, "WORTH", 0.0)
    first = all_of()
    monkeypatch.setattr(working, "simulate", None)
    for one, other in zip(first, all_of(), strict=True):
        xr.testing.assert_identical(one, other)


def test_n2__an_interrupt_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """No index is of a part of its runs."""
    from kernelkit.study import run as runner

    def interrupted(*args: Any) -> Any:
        outcome, _ = run_trials(*args)
        return outcome, True

    run_trials = runner.run_trials
    monkeypatch.setattr(runner, "run_trials", interrupted)
    for call in (S.sobol, S.morris, S.one_at_a_time):
        with pytest.raises(KeyboardInterrupt):
            call(ONE, trend, ranges=RANGES)
    for delays in ((0, 1), ("1h", "1D")):
        with pytest.raises(KeyboardInterrupt):
            S.delay(ONE, trend, delays=delays)
    assert "interrupted" in S.noise(ONE, trend, bps=5.0, draws=3).attrs


@pytest.mark.parametrize("strategy", [trend, above, equal, late])
def test_n2__the_longest_warm_up_is_among_few(strategy: Any) -> None:
    points = [{n: a * v for n, v in strategy.defaults.items()} for a in (2, 7, 3)]
    cases = [Case(k, settings={"params": p}) for k, p in enumerate(points)]
    bars = THREE if strategy is equal else ONE
    begun = [one.recipe.start for one in lay(cases, Common(bars, strategy))]
    few = [one.recipe.start for one in lay(longest(cases, strategy), Common(bars, strategy))]
    assert max(few) == max(begun)
    assert len(few) == {late: 3}.get(strategy, 1)


# --- around, one at a time


def test_n3_n5__around_is_the_grid_of_neighbours() -> None:
    found = S.around(ONE, trend, {"fast": 6, "slow": 30}, by={"fast": 0.1, "slow": 0.2}, venue=VENUE, share=0.7)
    grid = {"fast": [4, 5, 6, 7, 8], "slow": [18, 24, 30, 36, 42]}
    plain = kk.backtest(ONE, trend, grid=grid, venue=VENUE)
    assert_is(found, plain)
    sharpe = plain["sharpe_ratio"]
    own = float(sharpe.sel(fast=6, slow=30))
    assert own > 0.0
    np.testing.assert_array_equal(found["left"].values, sharpe.values / own)
    assert float(found["held"]) == np.mean(sharpe.values / own >= 0.7)
    theirs = parameter_plateau(sharpe, over=["fast", "slow"], share=0.7)
    near = np.delete(sharpe.values[1:4, 1:4].ravel(), 4)
    assert float(found["stability"]) == pytest.approx(near.mean() / own, rel=1e-12)
    assert float(found["plateau"]) == float(theirs["plateau"])
    assert set(ledger.trials(role="sensitivity")["strategy"]) == {"trend"}


def test_n3__a_point_that_does_not_pay_has_nothing_left() -> None:
    found = S.around(ONE, hold, {"weight": -1.0}, metric="total_return", steps=1)
    plain = kk.backtest(ONE, hold, {"weight": 1.0})
    short = found if float(plain["total_return"]) > 0 else S.around(ONE, hold, steps=1, metric="total_return")
    assert short["left"].isnull().all()
    assert np.isnan(short["held"])
    assert np.isnan(short["stability"])


def test_n3__failures_do_not_hold_and_what_is_excluded_does_not_count() -> None:
    metric = {"metric": "final_equity"}
    found = S.around(ONE, fails, {"lots": 50}, by={"lots": 0.1}, steps=3, **metric)
    assert found["lots"].values.tolist() == [35, 40, 45, 50, 55, 60, 65]
    assert "too many" in str(found["error"].values[-1])
    assert float(found["held"]) == pytest.approx(6 / 7)
    fewer = S.around(ONE, fails, {"lots": 50}, by={"lots": 0.1}, steps=3, where="lots <= 60", **metric)
    assert float(fewer["held"]) == 1.0
    assert np.isnan(fewer["final_equity"].values[-1])


@given(st.integers(-200, 200).filter(bool), st.floats(0.01, 0.3), st.integers(1, 3))
def test_n5__neighbours_of_whole_numbers_are_whole_distinct_and_of_its_sign(v: int, by: float, steps: int) -> None:
    found = neighbours("n", v, by, steps)
    assert v in found
    assert len(set(found)) == len(found) <= 2 * steps + 1
    assert all(isinstance(x, int) and x * v > 0 for x in found)
    assert len(set(np.diff(found).tolist())) <= 1


def test_n6__one_at_a_time_moves_one_and_holds_the_others() -> None:
    found = S.one_at_a_time(ONE, trend, {"fast": 5, "slow": 30}, ranges=RANGES, steps=4, share=0.5)
    assert found["value"].values.tolist() == [[3, 5, 7, 9], [15, 23, 32, 40]]
    start = first_of(ONE, 40)
    for k in range(4):
        fast, slow = int(found["value"][0, k]), int(found["value"][1, k])
        assert_is(found.isel(parameter=0, step=k), kk.backtest(ONE, trend, {"fast": fast, "slow": 30}, start=start))
        assert_is(found.isel(parameter=1, step=k), kk.backtest(ONE, trend, {"fast": 5, "slow": slow}, start=start))
    base = float(kk.backtest(ONE, trend, {"fast": 5, "slow": 30}, start=start)["sharpe_ratio"])
    assert float(found["base"]) == base
    rows = found["sharpe_ratio"].values
    np.testing.assert_array_equal(found["swing"].values, rows.max(axis=1) - rows.min(axis=1))
    np.testing.assert_array_equal(found["held"].values, (rows / base >= 0.5).mean(axis=1))


# --- Morris


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 6), st.sampled_from([2, 4, 8]), st.integers(0, 2**32))
def test_n7__a_trajectory_moves_each_parameter_once_by_half_of_the_grid(k: int, levels: int, seed: int) -> None:
    points, moved = walks(7, k, levels, seed)
    assert points.shape == (7, k + 1, k)
    steps = np.diff(points, axis=1)
    for path, order in zip(steps, moved, strict=True):
        assert sorted(order.tolist()) == list(range(k))
        for j, i in enumerate(order):
            assert abs(path[j, i]) == pytest.approx(levels / 2 / (levels - 1))
            assert np.count_nonzero(path[j]) == 1
    assert np.abs(points * (levels - 1) - np.rint(points * (levels - 1))).max() < 1e-9
    assert 0.0 <= points.min() <= points.max() <= 1.0 + 1e-12
    again, _ = walks(3, k, levels, seed)
    np.testing.assert_array_equal(again, points[:3])


def test_n7__values_of_the_grid_are_equally_likely() -> None:
    points, _ = walks(4000, 2, 4, seed=3)
    for level in range(4):
        share = np.isclose(points * 3, level).mean(axis=(0, 1))
        np.testing.assert_allclose(share, 0.25, atol=0.02)


def known_effects(f: Any, k: int, many: int = 400) -> xr.DataArray:
    points, moved = walks(many, k, 4, seed=2)
    values = xr.DataArray(f(*np.moveaxis(points, -1, 0)), dims=("trajectory", "move"))
    return effects(values, points, moved, [f"x{i}" for i in range(k)])


def test_n7__effects_of_known_functions() -> None:
    """Linear: mu is the slope, sigma 0. A product: the mean of the other. A square: 2 x + d where it goes up from x."""
    linear = measures(known_effects(lambda x, y, z: 3.0 * x - 2.0 * y + 0.0 * z, 3))
    np.testing.assert_allclose(linear.values, [[3, -2, 0], [3, 2, 0], [0, 0, 0]], atol=1e-9)
    product = measures(known_effects(lambda x, y: x * y, 2))
    spread = np.sqrt(((np.arange(4) / 3 - 0.5) ** 2).mean())
    np.testing.assert_allclose(product.values, [[0.5, 0.5], [0.5, 0.5], [spread, spread]], atol=0.05)
    square = measures(known_effects(lambda x: (x - 0.5) ** 2, 1))
    np.testing.assert_allclose(square.values[:, 0], [0.0, 1 / 3, 1 / 3], atol=0.04)


def test_n4_n7__trajectories_with_a_gap_are_left_out_and_told_of() -> None:
    effect = known_effects(lambda x, y: 3.0 * x + y * y, 2, 20)
    clean = screened(effect.isel(trajectory=slice(2, None)), 0.9, Resampling("iid", replications=99), "m")
    effect[0, 1] = effect[1, 0] = np.nan
    found = screened(effect, 0.9, Resampling("iid", replications=99), "m")
    xr.testing.assert_equal(found, clean)
    assert found.attrs == {"left_out": 2, "note": "2 of 20 trajectories are left out: m is NaN somewhere in them."}
    effect[2:11] = np.nan
    assert screened(effect, 0.9, Resampling("iid", replications=99), "m").isnull().all().to_dataarray().all()


def test_n7__of_a_purchase_the_effect_of_its_size_is_its_profit() -> None:
    ranges = {"lots": (10, 1000), "idle": (0.0, 1.0)}
    found = S.morris(ONE, once, ranges=ranges, metric="final_equity", trajectories=6, replications=99)
    gain = float(ONE["close"].values[-1, 0] - ONE["open"].values[31, 0])
    np.testing.assert_allclose(found["mu"].sel(parameter="lots"), 990 * gain, rtol=1e-9)
    np.testing.assert_allclose(found["mu_star"].sel(parameter="lots"), abs(990 * gain), rtol=1e-9)
    np.testing.assert_allclose(found["sigma"], 0.0, atol=1e-5)
    assert float(found["mu_star"].sel(parameter="idle")) == 0.0
    assert found["effect"].dims == ("trajectory", "parameter")


# --- Sobol


def additive(n: int, slopes: tuple[float, ...]) -> xr.DataArray:
    cube = design(n, len(slopes), seed=5)
    return xr.DataArray(cube @ np.array(slopes), dims=("matrix", "row"), name="m")


def test_n8__a_sum_has_no_interactions() -> None:
    slopes = (3.0, 2.0, 0.0)
    found = estimated(additive(1024, slopes), "abc", 0.95, Resampling("iid", replications=199))
    truth = np.square(slopes) / np.square(slopes).sum()
    for name in ("first_order", "total_order"):
        np.testing.assert_allclose(found[name], truth, atol=0.01)
        low, high = found[f"{name}_low"].values, found[f"{name}_high"].values
        assert ((low <= truth) & (truth <= high)).all()
    assert found["parameter"].values.tolist() == ["a", "b", "c"]


def test_n4_n8__rows_with_a_gap_are_left_out_and_told_of() -> None:
    values, how = additive(64, (1.0, 2.0)), Resampling("iid", replications=99)
    clean = estimated(values.isel(row=slice(3, None)), "ab", 0.9, how)
    values[0, 0] = values[1, 1] = values[3, 2] = np.nan
    found = estimated(values, "ab", 0.9, how)
    xr.testing.assert_allclose(found, clean)
    assert found.attrs == {"left_out": 3, "note": "3 of 64 rows are left out: m is NaN somewhere in them."}
    values[0, :40] = np.nan
    nothing = estimated(values, "ab", 0.9, how)
    assert nothing.isnull().all().to_dataarray().all()
    assert nothing.attrs["left_out"] == 40
    assert estimated(0.0 * additive(64, (1.0,)) + 0.1, "a", 0.9, how).isnull().all().to_dataarray().all()


def test_n8__of_several_assets_each_has_its_own() -> None:
    one, how = additive(64, (1.0, 2.0)), Resampling("iid", replications=99)
    two = xr.concat([one, 0.0 * one + 0.1, 3.0 - one], "asset").assign_coords(asset=["a", "still", "b"])
    found = estimated(two.transpose("matrix", "row", "asset"), "xy", 0.9, how)
    assert found["first_order"].dims == ("parameter", "asset")
    assert found.sel(asset="still").isnull().all().to_dataarray().all()
    alone = estimated(one, "xy", 0.9, how)
    for asset in ("a", "b"):
        xr.testing.assert_allclose(found.sel(asset=asset, drop=True), alone)


def test_n8__of_a_purchase_all_the_variance_is_its_size() -> None:
    ranges = {"lots": (10, 1000), "idle": (0.0, 1.0)}
    found = S.sobol(ONE, once, ranges=ranges, metric="final_equity", n=128, replications=99)
    np.testing.assert_allclose(found["first_order"], [1.0, 0.0], atol=0.05)
    np.testing.assert_allclose(found["total_order"], [1.0, 0.0], atol=0.05)
    assert found["idle"].dtype.kind == "f"
    assert found["lots"].dtype.kind == "i"


def test_n4__runs_that_fail_are_told_of() -> None:
    found = S.sobol(ONE, fails, ranges={"lots": (1, 64)}, metric="final_equity", n=64, replications=99)
    failed = int((found["lots"] > 60).sum())
    assert found.attrs["failed"] == failed > 0
    assert 0 < found.attrs["left_out"] < 64
    assert found.attrs["note"].startswith(f"{found.attrs['left_out']} of 64 rows are left out")
    assert all("too many" in str(e) for e in found["error"].values[found["lots"].values > 60])
    assert found["first_order"].notnull().all()


# --- break-even

# entries and exits of which a unit gains between 1 and 4 percent
PAIRS = [
    (a, b)
    for a in range(30, 200, 11)
    for b in range(a + 5, a + 60, 9)
    if 1.01 < rise(ONE, a, b)[1] / rise(ONE, a, b)[0] < 1.04
]


@pytest.mark.parametrize("pair", PAIRS[:4])
@pytest.mark.parametrize("of", ["fees", "slippage", "spread", "costs"])
def test_n9__a_round_trip_breaks_even_in_closed_form(of: Any, pair: tuple[int, int]) -> None:
    """Bought at p and sold at q it earns (q - p) - x (p + q), of a spread half that, less what the venue charges."""
    enter, leave = pair
    paid, got = rise(ONE, enter, leave)
    truth = 1e4 * (got - paid) / (got + paid)
    own = kk.Venue("v", kk.fees.fraction(0.0004), kk.slippage.fraction(0.0006))
    venue = own if of == "costs" else None
    found = S.break_even(ONE, trip, {"enter": enter, "leave": leave}, of=of, venue=venue, tolerance=0.001)
    expected = {"spread": 2.0 * truth, "costs": truth / 10.0}.get(of, truth)
    rounding = 0.0 if of == "fees" else 1e4 * 0.02 / paid  # slippage is rounded to the tick, a cent, each time
    assert float(found["break_even"]) == pytest.approx(expected, abs=0.002 + 2.0 * rounding)
    assert int(found["crossings"]) == 1
    assert found.attrs["note"] == ""
    if of == "fees":
        assert bool(found["monotone"])
        more = kk.Venue("v", kk.fees.fraction(0.0010))
        left = S.break_even(ONE, trip, {"enter": enter, "leave": leave}, of=of, venue=more, tolerance=0.001)
        assert float(left["break_even"]) == pytest.approx(truth - 10.0, abs=0.002)


def test_n9__each_cost_is_its_backtest_and_0_is_the_venue_as_it_is() -> None:
    found = S.break_even(ONE, trend, of="fees", venue=VENUE, steps=4, largest=40.0, tolerance=50.0)
    assert found["cost"].values.tolist() == [0.0, 10.0, 20.0, 30.0, 40.0]
    assert_is(found.isel(cost=0), kk.backtest(ONE, trend, venue=VENUE))
    dear = kk.Venue("v", kk.fees.fraction(0.001) + kk.fees.fraction(1e-4 * 20.0), kk.slippage.fraction(0.0005))
    assert_is(found.sel(cost=20.0), kk.backtest(ONE, trend, venue=dear))


def test_n9__of_several_venues_each_is_dearer() -> None:
    def both(more: float) -> dict[str, kk.Venue]:
        fee = kk.fees.fraction(0.001)
        far = kk.Venue("far", kk.fees.fraction(1e-4 * more) if more else None)
        near = kk.Venue("near", fee + kk.fees.fraction(1e-4 * more) if more else fee)
        return {"A": near, "B": far, "C": near}

    given: dict[str, Any] = {"of": "fees", "steps": 2, "largest": 60.0, "tolerance": 60.0}
    found = S.break_even(THREE, equal, venue=both(0.0), **given)
    for cost in (0.0, 30.0, 60.0):
        assert_is(found.sel(cost=cost), kk.backtest(THREE, equal, venue=both(cost)))


def test_n9__what_never_pays_and_what_always_does_is_told() -> None:
    enter, leave = PAIRS[0]
    short = S.break_even(ONE, trip, {"enter": enter, "leave": leave, "lots": 100}, above=1.0)
    assert np.isnan(short["break_even"])
    assert int(short["crossings"]) == 0
    assert short.attrs["note"].startswith("It does not pay even at slippage of 0: total_return is ")
    ever = S.break_even(ONE, trip, {"enter": enter, "leave": leave}, largest=1.0)
    assert np.isnan(ever["break_even"])
    assert ever.attrs["note"].startswith("It still pays at slippage of 1 basis points: total_return is ")


def test_n9__several_crossings_are_told_and_the_first_is_the_answer() -> None:
    """A trip from 100 to 102; where it has cost more than 100, a larger one from 102 to 110 comes after it."""
    opened = np.interp(np.arange(60), [0, 10, 20, 21, 59], [100.0, 100.0, 102.0, 102.0, 110.0]).round(2)
    frame = pd.DataFrame({"open": opened, "high": opened + 1.0, "low": opened - 1.0, "close": opened, "volume": 1e4})
    frame.index = pd.date_range("2020-01-01", periods=60, freq="D")
    bars = kk.data.from_pandas({"A": frame}, label="open", bar="1D", calendar="24/7", tick_size=0.01)

    @kk.strategy
    def again(ctx):
        if ctx.i == 4:
            ctx.buy(100.0)
        if ctx.i == 19:
            ctx.sell(100.0)
        if ctx.i == 20 and ctx.equity < 1e6 - 100.0:
            ctx.buy(1000.0)

    found = S.break_even(bars, again, of="fees")
    assert float(found["break_even"]) == pytest.approx(1e4 * 2.0 / 202.0, abs=0.01)
    pays = found["total_return"].values > 0.0
    assert int(found["crossings"]) == 2 == int(np.abs(np.diff(pays.astype(int))).sum())
    assert float(found["cost"].values[~pays].max()) == pytest.approx(1e4 * 3.0 / 202.0, abs=16.0)
    assert not bool(found["monotone"])
    assert found.attrs["note"] == "total_return crosses 0 2 times: break_even is the first."


# --- delay


@pytest.mark.parametrize("bars", [ONE, SPX], ids=["without gaps", "sessions"])
def test_n10__a_purchase_is_made_so_many_bars_later(bars: xr.Dataset) -> None:
    found = S.delay(bars, once, {"lots": 100}, delays=[0, 1, 2, 7], metric="final_equity")
    opened, last = bars["open"].values[:, 0], float(bars["close"].values[-1, 0])
    expected = [1e6 + 100.0 * (last - opened[31 + k]) for k in (0, 1, 2, 7)]
    np.testing.assert_allclose(found["final_equity"].values, expected, rtol=1e-12)
    np.testing.assert_array_equal(found["left"].values, found["final_equity"].values / expected[0])
    assert found["delay"].attrs["units"] == "bars"


def test_n10__without_a_delay_it_is_the_backtest() -> None:
    for venue in (VENUE, kk.venues.us_equity()):
        found = S.delay(SPX, trend, delays=[0, 3], venue=venue).sel(delay=0)
        plain = kk.backtest(SPX, trend, venue=venue)
        for name in L.HEADLINE:
            if name != "max_drawdown_duration":
                np.testing.assert_allclose(found[name].values, plain[name].values, rtol=1e-9, err_msg=name)


@pytest.mark.parametrize(("bars", "strategy"), [(ONE, trend), (THREE, trend), (THREE, equal)])
def test_n10__bars_without_gaps_take_durations_as_well(bars: xr.Dataset, strategy: Any) -> None:
    one = S.delay(bars, strategy, delays=[0, 1, 2], venue=VENUE)
    other = S.delay(bars, strategy, delays=["0s", "1D", "2D"], venue=VENUE)
    for name in L.HEADLINE:
        if name != "max_drawdown_duration":
            np.testing.assert_array_equal(one[name].values, other[name].values, err_msg=name)
    assert other["delay"].values.tolist() == ["0s", "1D", "2D"]
    own = S.delay(bars, strategy, delays=["0s"], venue=kk.Venue("v", VENUE.fees, VENUE.slippage, latency="1D"))
    np.testing.assert_array_equal(own["final_equity"].values[0], other["final_equity"].values[1])


def test_n10__actions_stay_between_the_bars_that_they_were_between() -> None:
    opens = SPX["open_at"].values
    when = [opens[100], opens[900] - np.timedelta64(3, "h"), opens[2000]]
    name = str(SPX["asset"].values[0])
    bars = with_actions(SPX, pd.DataFrame({"time": when, "asset": name, "kind": "dividend", "value": 20.0}))
    found = S.delay(bars, once, {"lots": 100}, delays=[0, 2], metric="final_equity")
    plain = kk.backtest(bars, once, {"lots": 100})
    assert float(plain["final_equity"]) > float(kk.backtest(SPX, once, {"lots": 100})["final_equity"]) + 1000.0
    assert float(found["final_equity"][0]) == pytest.approx(float(plain["final_equity"]), rel=1e-12)


def test_n10__what_asks_the_time_takes_durations() -> None:
    """Each day a trade, and slippage that falls on a day that the even clock has at another row."""

    @kk.strategy
    def flip(ctx):
        ctx.target_percent(1.0 if ctx.i % 2 == 0 else 0.0)

    until = int(SPX["known_at"].values[703].astype("i8"))
    dear = {"venue": kk.Venue("v", slippage=kk.slippage.fraction(0.0001).during(0, until, 5.0))}
    with pytest.raises(UsageError, match="on an even clock, wanted a strategy, a venue and an account that do not ask"):
        S.delay(SPX, flip, **dear)
    assert S.delay(SPX, flip, delays=["0s", "1D"], **dear)["sharpe_ratio"].notnull().all()


# --- noise


def test_n11__noise_is_as_large_as_said_and_bars_stay_bars() -> None:
    world = world_of(Common(THREE, hold))
    for bps, ticks in ((20.0, 0.0), (0.0, 5.0)):
        one = noisy(world, 3, 1, bps, ticks)
        assert_sound(one)
        assert one.attrs["synthetic"] == 1
        for a in range(3):
            moves = one["close"].values[:, a] - THREE["close"].values[:, a]
            size = moves / THREE["close"].values[:, a] * 1e4 if bps else moves / 0.01
            assert np.std(size) == pytest.approx(bps or ticks, rel=0.12)
            z = rng.normal(1, 3, np.arange(len(moves)), 2 * a + 1)
            assert np.corrcoef(z, size)[0, 1] > 0.98
    opens = noisy(world, 3, 1, 20.0, 0.0)["open"].values - THREE["open"].values
    closes = noisy(world, 3, 1, 20.0, 0.0)["close"].values - THREE["close"].values
    assert abs(np.corrcoef(opens[:, 0], closes[:, 0])[0, 1]) < 0.2


def test_n11__each_draw_is_the_backtest_of_its_bars_and_the_same_whatever_their_number() -> None:
    found = S.noise(ONE, trend, bps=30.0, draws=6, seed=4, venue=VENUE, share=0.9)
    world = world_of(Common(ONE, trend))
    for k in (0, 5):
        assert_is(found.isel(draw=k), kk.backtest(noisy(world, k, 4, 30.0, 0.0), trend, venue=VENUE))
    few = S.noise(ONE, trend, bps=30.0, draws=2, seed=4, venue=VENUE)
    assert_is(few, found.isel(draw=slice(0, 2)))
    base = float(kk.backtest(ONE, trend, venue=VENUE)["sharpe_ratio"])
    assert float(found["base"]) == base
    expected = np.mean(found["sharpe_ratio"].values / base >= 0.9) if base > 0 else np.nan
    assert float(found["held"]) == pytest.approx(expected, nan_ok=True)
    assert set(ledger.trials()["role"]) == {"sensitivity", "rival"}


def test_n11__a_strategy_on_the_last_digit_does_not_hold() -> None:
    """It knows the last digit of each close, which foretells nothing once it is noise; holding does not mind."""
    index = pd.date_range("2020-01-01", periods=600, freq="D")
    sign = np.where(np.random.default_rng(2).normal(size=600) > 0, 1.0, -1.0)
    opened = 100.0 * np.ones(600)
    closed = np.round(100.0 + 1.0 * sign, 2)
    closed[:-1] += np.where(sign[1:] > 0, 0.01, 0.0)  # the digit tells of the next bar
    frame = pd.DataFrame({"open": opened, "high": 101.5, "low": 98.5, "close": closed, "volume": 1e4}, index=index)
    bars = kk.data.from_pandas({"A": frame}, label="open", bar="1D", calendar="24/7", tick_size=0.01)

    @kk.strategy
    def digit(ctx):
        cents = round(ctx.close[0] * 100.0)
        if cents % 2 == 1:
            ctx.buy(1000.0)
        elif ctx.position > 0.0:
            ctx.sell(ctx.position)

    found = S.noise(bars, digit, ticks=2.0, draws=20, metric="final_equity", share=0.999)
    assert float(found["held"]) < 0.7


def test_n3__where_all_draws_fail_none_holds() -> None:
    @kk.strategy
    def exact(ctx, close=1.0):
        if ctx.i == 50 and ctx.close[0] != close:
            raise ValueError("another price")
        ctx.target_percent(0.5)

    found = S.noise(ONE, exact, {"close": float(ONE["close"][50, 0])}, bps=50.0, draws=5, metric="final_equity")
    assert float(found["held"]) == 0.0
    assert found.attrs["failed"] == 5
    assert found["left"].isnull().all()
    assert "another price" in str(found["error"].values[0])


def test_n2__what_has_too_few_bars_to_warm_up_is_left_out_of_the_span() -> None:
    found = S.one_at_a_time(ONE, trend, {"fast": 5, "slow": 20}, ranges={"slow": (20, 1000)}, steps=3)
    assert [bool(e) for e in found["error"].values[0]] == [False, True, True]
    assert_is(found.isel(parameter=0, step=0), kk.backtest(ONE, trend, {"fast": 5, "slow": 20}))


# --- misuse


@pytest.mark.parametrize("name", S.__all__)
def test_an_argument_that_it_does_not_have(name: str) -> None:
    with pytest.raises(UsageError, match=f"^kk.sensitivity.{name}: found the argument no_such_name, wanted one of "):
        getattr(S, name)(no_such_name=1)
    takes = list(inspect.signature(getattr(S, name)).parameters)
    assert takes[:3] == ["bars", "strategy", "params"]
    assert takes[-8:] == ["start", "end", "account", "venue", "fill_model", "client", "cache", "memory_limit"]


WRONG: list[tuple[Any, str]] = [
    (lambda: S.sobol(ONE, trend, ranges={}), "ranges of kk.sensitivity.sobol: found {}"),
    (lambda: S.sobol(ONE, trend, ranges={"fast": (9, 3)}), r"sobol: fast: found \(9, 3\), wanted a pair"),
    (lambda: S.sobol(ONE, trend, ranges={"fast": 5}), "sobol: fast: found 5"),
    (lambda: S.sobol(ONE, trend, ranges={"fast": (3, "9")}), r"fast: found \(3, '9'\)"),
    (lambda: S.sobol(ONE, trend, ranges={"quick": (3, 9)}), "parameter 'quick' of trend"),
    (lambda: S.sobol(ONE, trend, ranges=RANGES, n=100), "sobol: n: found 100, wanted a power of two. Write n=128"),
    (lambda: S.sobol(ONE, trend, ranges=RANGES, metric="profit"), "sobol: metric: found 'profit'"),
    (lambda: S.sobol(ONE, trend, ranges=RANGES, level=95), "level: found 95"),
    (
        lambda: S.sobol(ONE, trend, {"fast": [3, 5]}, ranges={"slow": (9, 20)}),
        "sobol: fast: found 2 values, wanted one",
    ),
    (lambda: S.morris(ONE, trend, ranges=RANGES, levels=5), "morris: levels: found 5, wanted an even number"),
    (lambda: S.morris(ONE, trend, ranges=RANGES, trajectories=1), "trajectories: found 1"),
    (lambda: S.one_at_a_time(ONE, trend, ranges=RANGES, steps=1), "steps: found 1"),
    (lambda: S.one_at_a_time(ONE, trend, ranges=RANGES, metric="max_drawdown"), "metric: found 'max_drawdown'"),
    (lambda: S.around(ONE, trend, by=1.5), "around: by of fast: found 1.5"),
    (lambda: S.around(ONE, trend, by={"quick": 0.1}), "around: by: found quick"),
    (lambda: S.around(ONE, hold, {"weight": 0.0}), "around: weight: found 0, of which no share moves it"),
    (lambda: S.around(ONE, hold, by=0.5, steps=2), "around: weight: found 2 steps of 0.5"),
    (lambda: S.around(ONE, kk.strategies.find("buy_and_hold"), by={}), "no parameter to move"),
    (lambda: S.break_even(ONE, trend, of="taxes"), "break_even: of: found 'taxes'"),
    (lambda: S.break_even(ONE, trend, of="costs"), "found a venue without costs"),
    (lambda: S.break_even(ONE, trend, largest=-1), "break_even: largest: found -1"),
    (lambda: S.break_even(ONE, trend, largest=2e4), "break_even: largest: found 20000"),
    (lambda: S.break_even(ONE, trend, above=None), "break_even: above: found None"),
    (lambda: S.break_even(THREE, trend), "break_even: found 3 accounts, wanted one"),
    (lambda: S.delay(ONE, trend, delays=[0.5]), r"delay: delays: found \[0.5\]"),
    (lambda: S.delay(ONE, trend, delays=[0, "1s"]), "delay: delays: found"),
    (lambda: S.delay(ONE, trend, delays=[1, 1]), "delay: delays: found"),
    (lambda: S.delay(ONE, trend, delays=["soon"]), "delay: found"),
    (lambda: S.noise(ONE, trend), "kk.sensitivity.noise: found no noise"),
    (lambda: S.noise(ONE, trend, bps=-1), "noise: bps: found -1"),
    (lambda: S.noise(ONE, trend, bps=1, draws=0), "draws: found 0"),
    (lambda: S.noise(ONE, trend, bps=1, seed=-1), r"noise: seed: found -1, .* See help\(kk.sensitivity.noise\)"),
    (lambda: S.sobol(ONE, trend, ranges=RANGES, seed=-1), "sobol: seed: found -1"),
    (lambda: S.morris(ONE, trend, ranges=RANGES, seed=0.5), "morris: seed: found 0.5"),
    (lambda: S.sobol(ONE, trend, ranges=RANGES, replications=0), "replications: found 0"),
    (lambda: S.noise(ONE, trend, bps=1, share=80), "share: found 80"),
    (
        lambda: S.noise(ONE, trend, bps=1, seed=2**70),
        "noise: seed: found 1180591620717411303424, wanted a whole",
    ),
    (lambda: S.noise(ONE, trend, bps=1, draws=10**400), "noise: draws: found 10+, wanted a whole number from 1 to"),
    (lambda: S.break_even(ONE, trend, of=["fees"]), r"break_even: of: found \['fees'\]"),
    (
        lambda: S.break_even(ONE, trend, steps=1e12),
        "steps: found 1000000000000.0, wanted a whole number from 2",
    ),
    (lambda: S.morris(ONE, trend, ranges=RANGES, trajectories=10**12), "trajectories: found 1000000000000, wanted"),
    (lambda: S.around(ONE, trend, 0.5), "params of trend: found 0.5, wanted a dict"),
    (lambda: S.sobol(ONE, trend, [1], ranges=RANGES), r"params of trend: found \[1\], wanted a dict"),
    (lambda: S.one_at_a_time(ONE, trend, 3, ranges=RANGES), "params of trend: found 3"),
    (lambda: S.delay(ONE, trend, "fast"), "params of trend: found 'fast'"),
]


@pytest.mark.parametrize(("call", "text"), WRONG, ids=[text for _, text in WRONG])
def test_what_does_not_fit_says_so(call: Any, text: str) -> None:
    with pytest.raises(KernelkitError, match=text):
        call()


def test_a_parameter_with_a_name_of_the_result() -> None:
    @kk.strategy
    def odd(ctx, evaluation=1.0):
        ctx.target_percent(evaluation)

    with pytest.raises(UsageError, match="found a parameter 'evaluation', wanted a name beside"):
        S.sobol(ONE, odd, ranges={"evaluation": (0.1, 1.0)})


def test_stacked_is_row_major() -> None:
    values = xr.DataArray(np.arange(12.0).reshape(6, 2), {"asset": ["a", "b"]}, ("evaluation", "asset"))
    assert stacked(values, 3, "matrix", "row").values[1, 0].tolist() == [4.0, 5.0]
