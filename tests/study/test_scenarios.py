"""Scenarios: what defines each shock, and what all of them leave as it is (rules Z1-Z16)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import kernelkit as kk
from kernelkit.data.grid import Grid
from kernelkit.errors import DataError, UsageError
from kernelkit.kernels import layout as L
from kernelkit.schema import PRICES, check_bars
from kernelkit.study.scenarios import World, nearest_correlation, standard
from kernelkit.study.scenarios.prices import SHAPES
from tests.test_cost_models import answer

S = kk.scenarios
DRAW = np.random.default_rng(5)
N = 400


def made(assets: tuple[str, ...], tick: float | None = 0.01, calendar: str = "24/7", n: int = N) -> xr.Dataset:
    """Daily bars of correlated random walks."""
    index = pd.date_range("2020-01-01", periods=n, freq="D")
    common = DRAW.normal(0.0, 0.02, n)
    frames = {}
    for name in assets:
        close = 100.0 * np.exp(np.cumsum(0.6 * common + DRAW.normal(0.0, 0.01, n)))
        opened = np.concatenate([[100.0], close[:-1]]) * np.exp(DRAW.normal(0.0, 0.002, n))
        top, bottom = np.maximum(opened, close) * 1.004, np.minimum(opened, close) * 0.996
        frame = pd.DataFrame({"open": opened, "high": top, "low": bottom, "close": close}, index=index)
        frame = (frame / tick).round() * tick if tick else frame
        frame["volume"] = np.round(DRAW.uniform(100.0, 1000.0, n))
        frame["vwap"] = 0.5 * (frame["high"] + frame["low"])
        frames[name] = frame
    return kk.data.from_pandas(frames, label="open", bar="1D", calendar=calendar, tick_size=tick, lot_size=1.0)


ONE = made(("A",))
THREE = made(("A", "B", "C"))
SPX = kk.data.load("sp500_index")


def world(bars: xr.Dataset, venue: kk.Venue | None = None, start: int = 0, stop: int | None = None) -> World:
    return World(bars, venue or kk.Venue(), kk.Account(), start, bars.sizes["time"] if stop is None else stop)


def under(scenario: Any, bars: xr.Dataset) -> xr.Dataset:
    return scenario.apply(world(bars)).bars


def logs(bars: xr.Dataset, asset: int = 0) -> np.ndarray:
    return np.diff(np.log(bars["close"].values[:, asset]))


def assert_sound(bars: xr.Dataset) -> None:
    """Z2: bars that `from_pandas` would take, on their tick grids."""
    check_bars(bars)
    opened, high, low, close = (bars[n].values for n in PRICES)
    valid = bars["valid"].values
    assert (np.maximum(opened, close) <= high)[valid].all()
    assert (np.minimum(opened, close) >= low)[valid].all()
    assert (low > 0.0)[valid].all()
    if "vwap" in bars:
        assert ((bars["vwap"].values >= low - bars["tick"].values) | ~valid).all()
        assert ((bars["vwap"].values <= high + bars["tick"].values) | ~valid).all()
    for a in range(bars.sizes["asset"]):
        grid = Grid(float(bars["tick"].values[a]), int(bars["inverse"].values[a]))
        for name in PRICES:
            own = bars[name].values[valid[:, a], a]
            np.testing.assert_array_equal(grid.prices(grid.ticks(own)), own)


LATE = "2020-09-01"
EVERY = [
    S.Gap(-0.1, at=LATE),
    S.Gap(0.2, at=LATE, asset="A"),
    S.Gap(-0.9999, at=LATE),
    S.FlashCrash(0.3, at=LATE, fall=3, recovery=4, shape="late"),
    S.FlashCrash(0.3, at=LATE, recovery=0, recovered=0.5),
    S.Depeg(0.12, at=LATE),
    S.Depeg(0.12, at=LATE, asset="B"),
    S.BlackSwan(100, at=LATE),
    S.BlackSwan(100, at=LATE, side="up"),
    S.Volatility(3.0, start=LATE, end="2020-11-01"),
    S.FatTails(2.5, start=LATE, end="2020-11-01"),
    S.Liquidity(0.1, start=LATE),
    S.Funding(0.003, start=LATE),
    S.Correlation(1.0, start=LATE, end="2020-11-01"),
    S.FactorShock({"A": -0.2}, at=LATE),
    S.Gap(-0.1, at=LATE) + S.Volatility(2.0, start=LATE),
]


@pytest.mark.parametrize("scenario", EVERY, ids=lambda s: f"{s.label} {s.text}"[:60])
def test_z1__a_shock_leaves_sound_bars_and_all_that_was_before_it(scenario: Any) -> None:
    before = THREE.copy(deep=True)
    found, again = under(scenario, THREE), under(scenario, THREE)
    xr.testing.assert_identical(THREE, before)
    xr.testing.assert_identical(found, again)
    assert_sound(found)
    row = int(THREE.indexes["time"].searchsorted(pd.Timestamp(LATE)))
    assert scenario.felt(world(THREE))[0] == row
    for name in (*PRICES, "volume", "vwap"):
        np.testing.assert_array_equal(found[name].values[:row], THREE[name].values[:row])
    assert found.attrs["lineage"] != THREE.attrs["lineage"] or isinstance(scenario, S.Funding)
    assert found.attrs["synthetic"] == 1
    assert scenario.text in found.attrs["note"] or isinstance(scenario, S.Combined)
    assert scenario.text.endswith(".")


@pytest.mark.parametrize("scenario", [s for s in EVERY if not isinstance(s, S.Combined)], ids=lambda s: s.label)
def test_z1__no_shock_sees_bars_after_it(scenario: Any) -> None:
    """Shocks of a moment are the same with fewer bars after it; windows are known from their end on."""
    stop = 330
    whole, part = under(scenario, THREE), under(scenario, THREE.isel(time=slice(0, stop)))
    for name in PRICES:
        np.testing.assert_array_equal(whole[name].values[:stop], part[name].values)


@settings(max_examples=40, deadline=None)
@given(
    size=st.floats(-0.95, 3.0),
    row=st.integers(1, N - 1),
    bars=st.sampled_from([made(("A",), tick) for tick in (0.01, 0.25, None)]),
    factor=st.floats(0.05, 5.0),
    df=st.floats(2.1, 30.0),
)
def test_z2__whatever_is_done_bars_are_sound(size: float, row: int, bars: xr.Dataset, factor: float, df: float) -> None:
    at = bars["time"].values[row]
    assert_sound(under(S.Gap(size, at=at) + S.Volatility(factor) + S.FatTails(df) + S.FlashCrash(0.7, at=at), bars))


@pytest.mark.parametrize("size", [-0.5, -0.1, 0.3])
def test_z5__a_gap_is_between_a_close_and_an_open(size: float) -> None:
    found, row = under(S.Gap(size, at=LATE), ONE), 244
    assert str(ONE["time"].values[row])[:10] == LATE
    ratio = {n: found[n].values[:, 0] / ONE[n].values[:, 0] for n in PRICES}
    for values in ratio.values():
        np.testing.assert_allclose(values[row:], 1.0 + size, rtol=2e-4)
        assert (values[:row] == 1.0).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_z6__a_flash_crash_touches_its_depth_and_comes_back(shape: Any) -> None:
    found, row = under(S.FlashCrash(0.4, at=LATE, fall=2, recovery=6, shape=shape), ONE), 244
    ratio = found["close"].values[:, 0] / ONE["close"].values[:, 0]
    low = found["low"].values[:, 0] / ONE["low"].values[:, 0]
    np.testing.assert_allclose(low[row + 1], 0.6, rtol=2e-4)
    assert low.min() > 0.59  # as the next bar opens there
    np.testing.assert_allclose(ratio[row], 0.6**0.5, rtol=2e-4)
    np.testing.assert_array_equal(ratio[row + 7 :], 1.0)
    assert (np.diff(ratio[row + 1 : row + 8]) > 0.0).all()
    middle = np.log(ratio[row + 4]) / np.log(0.6)  # half of the way back
    np.testing.assert_allclose(middle, {"linear": 0.5, "early": 0.25, "late": 0.75}[shape], atol=1e-3)


def test_z6__a_crash_within_a_bar_is_a_lower_low_and_an_open_that_stays() -> None:
    found, row = under(S.FlashCrash(0.4, at=LATE, recovery=0), ONE), 244
    np.testing.assert_allclose(found["low"].values[row, 0], 0.6 * ONE["low"].values[row, 0], atol=0.01)
    for name in ("open", "high", "close"):
        np.testing.assert_array_equal(found[name].values, ONE[name].values)


def test_z7__a_quote_currency_at_88_cents_makes_prices_dearer() -> None:
    found, row = under(S.Depeg(0.12, at=LATE), ONE), 244
    ratio = found["close"].values[:, 0] / ONE["close"].values[:, 0]
    np.testing.assert_allclose(ratio[row], 1.0 / 0.88, rtol=2e-4)
    np.testing.assert_array_equal(ratio[row + 3 :], 1.0)
    coin = under(S.Depeg(0.12, at=LATE, recovered=0.0, asset="B"), THREE)
    ratio = coin["close"].values / THREE["close"].values
    np.testing.assert_allclose(ratio[row:, 1], 0.88, rtol=2e-4)
    np.testing.assert_array_equal(ratio[:, [0, 2]], 1.0)


def test_z8__a_black_swan_is_the_return_level_of_a_pareto_tail() -> None:
    """Against SciPy's generalised Pareto with the same moments: exceeded once in so many bars."""
    from scipy.stats import genpareto

    years, row = 50.0, 3000
    scenario = S.BlackSwan(years, at=SPX["time"].values[row])
    size = -scenario.sizes(world(SPX))[0]
    losses = -logs(SPX)[: row - 1]
    u = np.quantile(losses, 0.9)
    excess = np.sort(losses[losses > u] - u)[::-1]
    m = len(excess)
    a0, a1 = excess.mean(), np.sum(excess * (np.arange(1, m + 1) - 0.65)) / m**2
    shape, scale = 2.0 - a0 / (a0 - 2.0 * a1), 2.0 * a0 * a1 / (a0 - 2.0 * a1)
    chance = m / len(losses) * genpareto(shape, scale=scale).sf(size - u)
    np.testing.assert_allclose(chance, 1.0 / (years * 252.0), rtol=1e-9)
    assert size > losses.max()
    gap = np.log(under(scenario, SPX)["open"].values[row, 0] / SPX["open"].values[row, 0])
    np.testing.assert_allclose(gap, -size, rtol=1e-6)


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_z9__volatility_is_so_many_times_and_nothing_else(factor: float) -> None:
    window = slice(200, 300)
    start, end = ONE["time"].values[[200, 299]]
    found = under(S.Volatility(factor, start, end), ONE)
    before, after = logs(ONE)[199:299], logs(found)[199:299]
    np.testing.assert_allclose(after.std() / before.std(), factor, rtol=2e-3)
    np.testing.assert_allclose(after.mean(), before.mean(), atol=1e-6)
    np.testing.assert_allclose(found["close"].values[299:], ONE["close"].values[299:], atol=0.011)
    ranges = [np.log(b["high"] / b["low"]).values[window, 0] for b in (ONE, found)]
    np.testing.assert_allclose(ranges[1] / ranges[0], factor, rtol=0.05)


def test_z10__fat_tails_keep_order_mean_and_deviation() -> None:
    found = under(S.FatTails(2.5), SPX)
    before, after = logs(SPX), logs(found)
    np.testing.assert_allclose(after.std(), before.std(), rtol=1e-6)
    np.testing.assert_allclose(after.mean(), before.mean(), atol=1e-9)
    np.testing.assert_array_equal(np.argsort(before, kind="stable"), np.argsort(after, kind="stable"))
    normal = under(S.FatTails(1e5), SPX)
    kurtosis = [((x - x.mean()) ** 4).mean() / x.var() ** 2 for x in (logs(normal), after)]
    assert abs(kurtosis[0] - 3.0) < 0.1
    assert kurtosis[1] > 20.0


def test_z11__volumes_are_a_share_in_whole_lots() -> None:
    found = under(S.Liquidity(0.1, start=LATE), ONE)
    np.testing.assert_array_equal(found["volume"].values[244:], ONE["volume"].values[244:] // 10)
    np.testing.assert_array_equal(found["close"].values, ONE["close"].values)


def test_z12__slippage_in_the_window_alone() -> None:
    model = kk.slippage.fraction(0.001) + kk.slippage.ticks(1)
    changed = S.Spread(5.0, 0.002, start=LATE, end=LATE).apply(world(ONE, kk.Venue(slippage=model))).venue
    opened, known = (int(ONE[n].values[244].astype("i8")) for n in ("open_at", "known_at"))
    view = {"side": 1.0, "quantity": 1.0, "price": 50.0, "tick": 0.01}
    plain = 0.001 + 0.01 / 50.0
    for time, wanted in [
        (opened - 1000, plain),
        (opened + 1000, 5.0 * plain + 0.002),
        (known - 1000, 5.0 * plain + 0.002),
        (known + 1000, plain),
    ]:
        for found in (answer(changed.slippage, time=time, **view), ask(changed.slippage, time=time, **view)):
            assert found == pytest.approx(wanted, rel=1e-12)
    free = S.Spread(5.0).apply(world(ONE)).venue
    assert free.slippage is None


def ask(model: Any, **view: float) -> float:
    from types import SimpleNamespace

    return float(model.ask(SimpleNamespace(**view), lambda k: model.slots[k]))


def test_z12__scaled_models_add_and_nest() -> None:
    table = kk.slippage.learned(Fitted(), (0.0, 0.1), (0.0, 0.05))
    model = (table.during(10, 20, 2.0) + kk.slippage.fraction(0.5)).during(15, 30, 10.0) + table
    view = {"quantity": 5.0, "volume": 100.0, "volatility": 0.02}
    one = ask(table, **view)
    for time, wanted in [(5, 2 * one + 0.5), (12, 3 * one + 0.5), (17, 21 * one + 5.0), (25, 11 * one + 5.0)]:
        assert answer(model, time=time, **view) == pytest.approx(wanted, rel=1e-12)
        assert ask(model, time=time, **view) == answer(model, time=time, **view)
    assert len(model.words) < L.MODEL_SLOTS


class Fitted:
    def predict(self, x: np.ndarray) -> np.ndarray:
        return 0.1 * x[:, 0] + x[:, 1]


@kk.strategy
def hold(ctx):
    ctx.target_percent(1.0)


@kk.strategy
def flip(ctx):
    ctx.target_percent(1.0 if ctx.i % 2 == 0 else 0.0)


def test_z13__nothing_fills_while_the_venue_is_down() -> None:
    after = S.Down("72h", at=LATE).apply(world(ONE))
    res = kk.backtest(after.bars, flip, venue=after.venue)
    times = pd.DatetimeIndex(kk.fills(res)["time"])
    down = (times >= pd.Timestamp(LATE)) & (times < pd.Timestamp(LATE) + pd.Timedelta("3D"))
    assert down.sum() == 0
    assert len(times) > 300
    assert S.Down("72h", at=LATE).felt(world(ONE)) == (244, 247)


def test_z14__funding_is_paid_by_who_is_long() -> None:
    rows = {"time": [LATE, "2020-12-01"], "asset": "A", "kind": ["funding", "dividend"], "value": [0.9, 1.0]}
    bars = kk.data.with_actions(ONE, pd.DataFrame(rows))
    found = under(S.Funding(0.001, "8h", start=LATE, end=LATE), bars)
    kinds, values = found["action_kind"].values, found["action_value"].values
    assert kinds.tolist() == ["funding"] * 3 + ["dividend"]
    assert values.tolist() == [0.001] * 3 + [1.0]
    plain, paid = (
        float(kk.backtest(b, hold)["final_equity"])
        for b in (bars.drop_dims("action"), under(S.Funding(0.001, "8h", start=LATE), ONE))
    )
    assert paid < plain


@pytest.mark.parametrize(("to", "share"), [(1.0, 1.0), (1.0, 0.5), (0.0, 1.0), (np.eye(3), 0.3)])
def test_z15__correlations_are_what_was_asked_and_each_asset_keeps_its_moments(to: Any, share: float) -> None:
    window = slice(99, 299)
    start, end = THREE["time"].values[[100, 299]]
    found = under(S.Correlation(to, share, start, end), THREE)
    before, after = (np.diff(np.log(b["close"].values), axis=0)[window] for b in (THREE, found))
    target = np.full((3, 3), to) if np.ndim(to) == 0 else np.array(to, "f8")
    np.fill_diagonal(target, 1.0)
    wanted = (1.0 - share) * np.corrcoef(before.T) + share * target
    np.testing.assert_allclose(np.corrcoef(after.T), wanted, atol=2e-3)
    np.testing.assert_allclose(after.std(axis=0), before.std(axis=0), rtol=2e-3)
    np.testing.assert_allclose(found["close"].values[299:], THREE["close"].values[299:], atol=0.011)


def test_z15__the_nearest_correlation_is_that_of_higham_and_of_statsmodels() -> None:
    """Higham (2002), section 4; on random matrices no candidate of statsmodels is nearer."""
    from statsmodels.stats.correlation_tools import corr_clipped

    printed = nearest_correlation([[2, -1, 0, 0], [-1, 2, -1, 0], [0, -1, 2, -1], [0, 0, -1, 2]])
    assert printed[0].round(4).tolist() == [1.0, -0.8084, 0.1916, 0.1068]
    assert printed[1].round(4).tolist() == [-0.8084, 1.0, -0.6562, 0.1916]
    for _ in range(5):
        raw = DRAW.uniform(-1.0, 1.0, (6, 6))
        raw = 0.5 * (raw + raw.T)
        np.fill_diagonal(raw, 1.0)
        found = nearest_correlation(raw)
        assert np.linalg.eigvalsh(found).min() > -1e-9
        assert np.linalg.norm(found - raw) <= np.linalg.norm(corr_clipped(raw, 0.0) - raw) + 1e-9
    good = np.corrcoef(DRAW.normal(size=(4, 50)))
    np.testing.assert_allclose(nearest_correlation(good), good, atol=1e-12)


def test_z16__assets_move_by_their_betas() -> None:
    betas = {"A": {"m": 1.0, "r": -1.0}, "B": {"m": 2.0, "r": -1.0}, "C": {"m": 0.0, "r": -1.0}}
    given_betas = S.FactorShock({"m": -0.2, "r": 0.1}, betas=betas, at=LATE)
    ratio = under(given_betas, THREE)["close"].values[244:] / THREE["close"].values[244:]
    np.testing.assert_allclose(ratio, [0.8 / 1.1, 0.64 / 1.1, 1 / 1.1] + 0.0 * ratio, rtol=3e-4)
    own = S.FactorShock({"A": -0.2}, at=LATE).loadings(world(THREE))[:, 0]
    returns = np.diff(np.log(THREE["close"].values[:244]), axis=0)
    wanted = [np.polyfit(returns[:, 0], returns[:, a], 1)[0] for a in range(3)]
    np.testing.assert_allclose(own, wanted, rtol=1e-9)
    frame = pd.DataFrame({"f": np.r_[np.nan, np.diff(np.log(THREE["close"].values[:, 0]))]}, THREE.indexes["time"])
    of_frame = S.FactorShock({"f": 0.1}, frame, at=LATE).loadings(world(THREE))[:, 0]
    np.testing.assert_allclose(of_frame, wanted, rtol=1e-9)


def test_z2__dividends_and_marks_go_with_the_price() -> None:
    rows = {"time": ["2020-08-01", "2020-10-01"], "asset": "A", "kind": "dividend", "value": [1.0, 1.0]}
    bars = kk.data.with_actions(ONE, pd.DataFrame(rows))
    np.testing.assert_allclose(under(S.Gap(-0.5, at=LATE), bars)["action_value"].values, [1.0, 0.5], rtol=1e-3)


def test_z3__a_replay_is_the_same_bars_with_the_window_to_be_evaluated() -> None:
    after = S.Replay("crisis_2008").apply(world(SPX))
    assert after.bars is SPX
    days = SPX["time"].values[[after.start, after.stop - 1]].astype("datetime64[D]").astype(str)
    assert days.tolist() == ["2007-10-09", "2009-03-09"]
    with pytest.raises(DataError, match=r"window covid_2020: found bars from 1999-01-04 to 2018-12-31"):
        S.Replay("covid_2020").apply(world(SPX))
    with pytest.raises(UsageError, match="window of Replay"):
        S.Replay("2008")


@pytest.mark.parametrize("beta", [1.0, 2.0, -1.0])
def test_z4__moves_of_a_source_take_the_place_of_the_bars_own(beta: float) -> None:
    bars = kk.data.load("aapl")
    scenario = S.Replay("volatility_2018", SPX, at="2021-06-01", beta=beta)
    found, k = under(scenario, bars), int(bars.indexes["time"].searchsorted(pd.Timestamp("2021-06-01")))
    assert_sound(found)
    a, b = (int(SPX.indexes["time"].searchsorted(pd.Timestamp(d))) for d in ("2018-01-26", "2018-02-08"))
    assert scenario.felt(world(bars)) == (k, k + b - a)
    np.testing.assert_allclose(logs(found)[k - 1 : k - 1 + b - a], beta * logs(SPX)[a:b], atol=1e-8)
    np.testing.assert_allclose(logs(found)[k - 1 + b - a :], logs(bars)[k - 1 + b - a :], atol=1e-8)
    np.testing.assert_array_equal(found["close"].values[:k], bars["close"].values[:k])
    opened = np.log(found["open"].values[k : k + b - a, 0] / found["close"].values[k - 1 : k - 1 + b - a, 0])
    there = np.log(SPX["open"].values[a + 1 : b + 1, 0] / SPX["close"].values[a:b, 0])
    np.testing.assert_allclose(opened, beta * there, atol=1e-8)


@pytest.mark.parametrize("scenario", [s for s in EVERY if not isinstance(s, S.Correlation)], ids=lambda s: s.label)
def test_z2__where_an_asset_has_no_bar_it_gets_none(scenario: Any) -> None:
    frames = {}
    for name, rows in (("A", slice(None)), ("B", slice(3, 380)), ("C", [k for k in range(N) if k % 7])):
        own = THREE.sel(asset=name).isel(time=rows)
        frames[name] = own[[*PRICES, "volume", "vwap"]].to_dataframe()[[*PRICES, "volume", "vwap"]]
    bars = kk.data.from_pandas(frames, label="open", bar="1D", calendar="24/7", tick_size=0.01, lot_size=1.0)
    found = under(scenario, bars)
    assert_sound(found)
    for name in PRICES:
        np.testing.assert_array_equal(np.isnan(found[name].values), ~bars["valid"].values)


def test_combined_scenarios_are_applied_in_turn() -> None:
    both = S.Gap(-0.1, at=LATE) + S.Gap(-0.1, at=LATE) + S.Spread(2.0)
    assert [s.label for s in both.scenarios] == ["Gap(-10%)", "Gap(-10%)", "Spread(x2)"]
    ratio = under(both, ONE)["close"].values[244:] / ONE["close"].values[244:]
    np.testing.assert_allclose(ratio, 0.81, rtol=3e-4)
    assert both.felt(world(ONE)) == (0, N)
    assert both == S.Combined([S.Gap(-0.1, at=LATE), S.Gap(-0.1, at=LATE), S.Spread(2.0)])


WRONG = [
    (lambda: S.Gap(-1.0), "size of Gap"),
    (lambda: S.FlashCrash(1.2), "depth of FlashCrash"),
    (lambda: S.FlashCrash(0.1, fall=0), "fall of FlashCrash"),
    (lambda: S.FlashCrash(0.1, shape="v"), "shape of FlashCrash"),
    (lambda: S.Depeg(0.1, recovered=2.0), "recovered of Depeg"),
    (lambda: S.Volatility(0.0), "factor of Volatility"),
    (lambda: S.FatTails(2.0), "df of FatTails"),
    (lambda: S.BlackSwan(10, side="left"), "side of BlackSwan"),
    (lambda: S.Correlation(share=0.0), "share of Correlation"),
    (lambda: S.FactorShock({}), "sizes of FactorShock"),
    (lambda: S.Combined([]), "Combined"),
    (lambda: under(S.Gap(-0.1, at="2030"), ONE), "start and end"),
    (lambda: under(S.Gap(-0.1, asset="Z"), ONE), "asset of a scenario"),
    (lambda: under(S.Correlation(), ONE), "assets of Correlation"),
    (lambda: under(S.FactorShock({"Z": 0.1}), ONE), "factor"),
    (lambda: S.Spread(2.0, venue="x").apply(world(ONE)), "venue of a scenario"),
    (lambda: S.Gap(-0.1, at=LATE).apply(world(ONE, stop=20)), "time of Gap"),
    (lambda: nearest_correlation([[1.0, 0.5], [0.4, 1.0]]), "matrix of correlations"),
]


@pytest.mark.parametrize(("wrong", "what"), WRONG, ids=[w for _, w in WRONG])
def test_what_does_not_fit_is_refused(wrong: Any, what: str) -> None:
    with pytest.raises(UsageError, match=f"^{what}"):
        wrong()


def test_too_few_losses_make_no_black_swan() -> None:
    with pytest.raises(DataError, match="bars of BlackSwan"):
        under(S.BlackSwan(100, at="2020-02-01"), ONE)


@pytest.mark.parametrize("bars", [ONE, THREE, SPX], ids=["one", "three", "index"])
def test_standard_scenarios_all_apply_or_say_what_they_lack(bars: xr.Dataset) -> None:
    labels = [s.label for s in standard(bars)]
    assert len(set(labels)) == len(labels)
    for scenario in standard(bars):
        if isinstance(scenario, S.Replay):
            continue
        assert_sound(under(scenario, bars))


SOURCE = S.Window("late", "2020-09-01", "2020-10-01", "crypto", "", "")
OF_RETURNS = {
    "volatility": lambda bars: S.Volatility(2.0),
    "tails": lambda bars: S.FatTails(3.0),
    "swan": lambda bars: S.BlackSwan(10.0, at="2020-11-01"),
    "replay": lambda bars: S.Replay(SOURCE, source=bars, at="2020-09-05"),
    "correlation": lambda bars: S.Correlation(0.9),
    "factor": lambda bars: S.FactorShock({"B": -0.2}, at="2020-11-01"),
}


@pytest.mark.parametrize("name", OF_RETURNS)
def test_z2__a_split_is_no_return(name: str) -> None:
    """Raw bars with a split come to what bars in the units before it come to."""
    several = name in ("correlation", "factor")
    old = made(("A", "B") if several else ("A",), tick=None)
    row = int(np.searchsorted(old.indexes["time"], pd.Timestamp("2020-09-15")))
    units = np.where(np.arange(N) < row, 1.0, 4.0)[:, None] ** (np.arange(1 + several) == 0)
    raw = old.assign({n: old[n] / units for n in (*PRICES, "vwap")})
    split = {"time": [old["open_at"].values[row]], "asset": ["A"], "kind": ["split"], "value": [4.0]}
    raw = kk.data.with_actions(raw, pd.DataFrame(split))
    expected, found = (under(OF_RETURNS[name](bars), bars) for bars in (old, raw))
    for price in PRICES:
        np.testing.assert_allclose(found[price] * units, expected[price], rtol=1e-6)
        assert not np.allclose(expected[price], old[price], rtol=1e-3)
