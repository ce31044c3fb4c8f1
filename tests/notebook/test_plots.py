"""Static pictures: their numbers against pandas and xarray, their honesty, and that hvplot draws each of them."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import kernelkit as kk
from kernelkit.errors import UsageError
from kernelkit.report import colours, growth, surface
from kernelkit.report.correlation import correlation_of
from kernelkit.report.fan import fan_of
from kernelkit.report.months import months_of
from kernelkit.report.shown import shown
from kernelkit.report.thinning import kept
from kernelkit.report.waterfall import waterfall_of
from kernelkit.report.weights import POINTS, holdings_of

pytestmark = pytest.mark.usefixtures("own_ledger")

BARS = kk.data.load("sp500_index").sel(time=slice("2004", "2010"))
SCENARIOS = [
    kk.scenarios.Gap(-0.1),
    kk.scenarios.Volatility(2.0),
    kk.scenarios.Gap(-0.1) + kk.scenarios.Volatility(2.0),
    kk.scenarios.Replay("crisis_2008"),
    kk.scenarios.Replay("covid_2020"),
]


@kk.strategy
def trend(ctx, n=100):
    ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else 0.0)


@kk.strategy
def hold(ctx):
    ctx.target_percent(1.0)


@kk.portfolio
def long_short(ctx):
    if ctx.i % 40 == 0:
        ctx[0].target_percent(0.6)
        ctx[1].target_percent(-0.3)


@pytest.fixture(scope="module")
def grid():
    return kk.backtest(BARS, trend, grid={"n": [20, 50, 100, 150]})


@pytest.fixture(scope="module")
def paths():
    return kk.monte_carlo(BARS, trend, paths=30, seed=1)


@pytest.fixture(scope="module")
def stressed():
    return kk.stress(BARS, trend, scenarios=SCENARIOS)


@pytest.fixture(scope="module")
def two():
    names = ["sp500_index", "nasdaq_index"]
    frames = {
        n: kk.data.load(n).isel(asset=0, drop=True).to_dataframe()[["open", "high", "low", "close"]] for n in names
    }
    both = kk.data.from_pandas(frames, calendar="XNYS").sel(time=slice("2008", "2010"))
    return kk.backtest(both, long_short, account=kk.Account(margin=kk.margins.reg_t()))


@pytest.fixture(scope="module")
def walked():
    return kk.walk_forward(BARS, trend, grid={"n": [20, 50, 100]}, train="2Y", test="1Y")


def title(picture):
    return picture.opts.get().kwargs["title"]


def test_months__are_those_of_pandas(grid):
    found = months_of(grid, {"n": 50})
    equity = grid["equity"].sel(n=50).to_series()
    wanted = equity.resample("ME").last().pct_change()
    wanted.iloc[0] = equity.resample("ME").last().iloc[0] / 1e6 - 1.0
    place = (wanted.index.year - found.years[0], wanted.index.month - 1)
    np.testing.assert_allclose(found.values[place], wanted.values, atol=1e-12)
    yearly = equity.resample("YE").last().pct_change().dropna()
    np.testing.assert_allclose(found.totals[1:], yearly.values, atol=1e-12)
    spans = found.spans[place]
    first = equity.groupby([equity.index.year, equity.index.month]).apply(lambda s: s.index[0])
    assert spans[:, 0].tolist() == pd.DatetimeIndex(first.values).as_unit("ns").asi8.tolist()


def test_fan__bands_and_loss_are_the_studys(paths):
    seen = kk.backtest(BARS, trend)
    found = fan_of(paths, seen)
    np.testing.assert_array_equal(found.bands, paths["equity_band"].values)
    assert found.loss == float((paths["total_return"] < 0.0).mean())
    np.testing.assert_allclose(found.real[-1], 1.0 + float(paths["observed"].sel(metric="total_return")), rtol=1e-9)
    ends = 1.0 + paths["total_return"].values
    assert found.path_at(1.0) == int(ends.argmax())
    assert found.path_at(0.0) == int(ends.argmin())
    assert f"{100 * found.loss:.1f} % ended with a loss" in found.sentence


def test_fan__of_curves_is_numpys_quantile():
    validated = kk.cross_validate(BARS, trend, grid={"n": [20, 50, 100]})
    found = fan_of(validated)
    growth_ = validated["equity_oos"].transpose("path", "time").values / 1e6
    np.testing.assert_allclose(found.bands[:, -1], np.quantile(growth_[:, -1], found.levels), rtol=1e-12)
    assert len(found.time) <= 400
    assert validated.kk.plot.fan() is not None


def test_fan__of_several_trials_wants_one():
    found = kk.monte_carlo(BARS, trend, paths=4, grid={"n": [50, 100]}, model=kk.paths.GBM.fit(BARS))
    with pytest.raises(UsageError, match=r"res\.sel\(n="):
        fan_of(found)
    assert fan_of(found.sel(n=50)).paths.size == 4


def test_waterfall__worst_first_and_whole_of_its_parts(stressed):
    found = waterfall_of(stressed)
    known = found.effect[np.isfinite(found.effect)]
    assert (np.diff(known) >= 0.0).all()
    assert found.labels[-1] == "crisis_2008"  # another span: nothing to compare
    assert list(found.missing) == ["covid_2020"]
    k = found.labels.index("Gap(-10%) + Volatility(x2)")
    np.testing.assert_allclose(np.prod([1.0 + effect for _, effect in found.parts(k)]), 1.0 + found.effect[k])
    final = stressed["final_equity"]
    wanted = float(final.sel(scenario="Volatility(x2)") / final.sel(scenario="base")) - 1.0
    assert found.effect[found.labels.index("Volatility(x2)")] == pytest.approx(wanted)


def test_weights__are_position_times_close_over_equity(two):
    found = holdings_of(two)
    day = 100
    time = two["time"].values[day]
    for k, name in enumerate(found.assets):
        close = float(kk.data.load(name)["close"].isel(asset=0).sel(time=time))
        wanted = float(two["position"].sel(asset=name)[day]) * close / float(two["equity"][day])
        assert found.share[k, day] == pytest.approx(wanted, rel=1e-9)
    assert not found.weights().stackable


def test_weights__reduced_are_means_of_pieces(two):
    held = holdings_of(two)
    whole = held.weights()
    assert whole.values.shape[1] <= POINTS
    edges = np.searchsorted(held.time, whole.time)
    pieces = np.split(held.share, edges[1:], axis=1)
    np.testing.assert_allclose(whole.values, np.stack([p.mean(axis=1) for p in pieces], 1))
    near = held.weights(held.time[10], held.time[19])
    np.testing.assert_array_equal(near.values, held.share[:, 10:20])


def test_correlation__is_numpys_and_like_lies_beside_like(grid):
    found = correlation_of(grid)
    equity = grid["equity"].transpose("n", "time").values
    wanted = np.corrcoef(np.diff(equity, axis=1) / equity[:, :-1])
    place = [[20, 50, 100, 150].index(trial["n"]) for trial in found.trials]
    np.testing.assert_allclose(found.values, wanted[np.ix_(place, place)], atol=1e-9)
    edges = np.flatnonzero(np.diff(found.cluster))
    assert len(edges) == len(set(found.cluster)) - 1  # each group lies in one piece


def test_correlation__of_a_portfolio_is_of_its_assets(two):
    found = correlation_of(two)
    assert sorted(found.labels) == ["nasdaq_index", "sp500_index"]
    closes = [kk.data.load(n)["close"].isel(asset=0).sel(time=two["time"]).to_series() for n in found.labels]
    assert found.mean == pytest.approx(np.corrcoef(*(c.pct_change().dropna() for c in closes))[0, 1])


def test_growth__of_several_trials_says_which_and_of_how_many(grid):
    one = shown(grid)
    assert one.how == "the best of 4 trials by Sharpe ratio, chosen in sample"
    assert one.labels["n"] == int(grid["sharpe_ratio"].idxmax())
    assert one.title in title(grid.kk.plot.equity())
    assert "one of 4 trials" in title(grid.kk.plot.equity(trial={"n": 20}))
    assert shown(grid, {"n": 20}).how == "one of 4 trials"


def test_growth__begins_at_the_cash(grid):
    line = growth.growth_of(shown(grid, {"n": 20}))
    np.testing.assert_allclose(line.iloc[-1], 1.0 + float(grid["total_return"].sel(n=20)))


def test_thinning__keeps_every_extreme():
    values = np.random.default_rng(1).normal(size=100_000).cumsum()
    rows = kept(values, 500)
    assert len(rows) <= 500
    assert {0, len(values) - 1, int(values.argmin()), int(values.argmax())} <= set(rows.tolist())


def test_heatmap__is_reduced_and_marks_what_was_chosen(grid):
    found, said = surface.surface_of(grid, None, None, "sharpe_ratio", "median")
    assert found.dims == ("n",)
    assert said == ""
    two = kk.backtest(BARS, kk.strategies.find("sma_cross"), grid={"fast": [10, 20], "slow": [50, 100]})
    assert "the best of 4 trials, chosen in sample" in title(two.kk.plot.heatmap())
    with pytest.raises(UsageError, match="one of fast, slow"):
        two.kk.plot.heatmap("quick")
    with pytest.raises(UsageError, match="one of total_return"):
        two.kk.plot.heatmap(metric="sharp")


# What protanopes and deuteranopes see of linear RGB: Machado, Oliveira and Fernandes (2009), severity 1.
SEEN = {
    "all": np.eye(3),
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def lab(colour, seen):
    """CIELAB of a colour as it is seen."""
    rgb = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255.0
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    x = XYZ @ np.clip(np.array(seen) @ linear, 0.0, 1.0) / [0.9505, 1.0, 1.089]
    f = np.where(x > 0.008856, np.cbrt(x), 7.787 * x + 16.0 / 116.0)
    return np.array([116.0 * f[1] - 16.0, 500.0 * (f[0] - f[1]), 200.0 * (f[1] - f[2])])


@pytest.mark.parametrize("seen", SEEN)
def test_colours__are_told_apart_without_red_or_green(seen):
    every = [lab(c, SEEN[seen]) for c in colours.SERIES]
    apart = {(i, j): np.linalg.norm(every[i] - every[j]) for i in range(len(every)) for j in range(i)}
    assert min(apart.values()) > 15.0  # one is a difference that can just be seen
    assert np.linalg.norm(lab(colours.BLUE, SEEN[seen]) - lab(colours.RED, SEEN[seen])) > 60.0


def test_every_picture_is_drawn_by_bokeh(grid, paths, stressed, two, walked):
    import holoviews as hv

    compared = kk.compare([trend, hold], BARS)
    pictures = [
        grid.kk.plot.equity(),
        grid.kk.plot.drawdown(),
        grid.kk.plot.returns(),
        grid.kk.plot.heatmap(),
        grid.kk.plot.explorer(),
        grid.kk.plot.monthly(),
        grid.kk.plot.chart(),
        grid.kk.plot.trade_inspector(),
        grid.kk.plot.verdict(replications=199),
        grid.kk.plot.correlation(),
        walked.kk.plot.equity({"all in": grid}),
        walked.kk.plot.folds(),
        paths.kk.plot.fan(),
        paths.kk.plot.distribution("max_drawdown"),
        stressed.kk.plot.waterfall(),
        two.kk.plot.weights(),
        two.kk.plot.correlation(),
        compared.kk.plot.equity(),
        compared.kk.plot.correlation(),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        assert all(hv.render(picture, backend="bokeh") is not None for picture in pictures)
