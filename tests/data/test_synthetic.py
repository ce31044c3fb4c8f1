"""The generated bars: a function of the seed, sound, and as volatile as what was measured."""

import numpy as np
import pytest
from scipy import stats

from kernelkit import schema
from kernelkit.data import load, synthetic
from kernelkit.errors import DataError

MONTH = 45_031
SEEDS = range(24)
YEAR = synthetic.MINUTES_PER_YEAR


def autocorrelation(x, lag):
    x = x - x.mean()
    return float((x[lag:] * x[:-lag]).mean() / (x * x).mean())


def moments(close):
    """The measures of synthetic.TARGETS, by the definitions with which they were measured."""
    r = np.diff(np.log(close))
    size = np.abs(r)
    return {
        "annual_volatility": r.std() * np.sqrt(YEAR),
        "excess_kurtosis": stats.kurtosis(r),
        **{f"acf_abs_{lag}": autocorrelation(size, lag) for lag in (1, 10, 50)},
        "zero_return_share": (r == 0.0).mean(),
        "acf_1": autocorrelation(r, 1),
        "skewness": stats.skew(r),
    }


@pytest.fixture(scope="module")
def months():
    """Months of bars like the measured one, by seed."""
    return {seed: synthetic.columns(MONTH, seed) for seed in SEEDS}


@pytest.fixture(scope="module")
def measured(months):
    rows = [moments(month["close"]) for month in months.values()]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


@pytest.mark.parametrize("name", sorted(synthetic.TARGETS))
def test_moments__measured_month_is_an_ordinary_draw(measured, name):
    # Band: two standard deviations of one month around the mean month, both over 24 seeds.
    draws, target = measured[name], synthetic.TARGETS[name]
    assert abs(draws.mean() - target) < 2.0 * draws.std(ddof=1)


@pytest.mark.parametrize(("name", "tolerance"), [("annual_volatility", 0.1), ("acf_abs_1", 0.1), ("acf_abs_10", 0.1)])
def test_moments__mean_month_is_near_the_measured_one(measured, name, tolerance):
    # Band: a tenth of the target plus three standard errors of the mean over 24 seeds.
    draws, target = measured[name], synthetic.TARGETS[name]
    assert abs(draws.mean() / target - 1.0) < tolerance + 3.0 * draws.std(ddof=1) / target / np.sqrt(len(SEEDS))


def test_returns__have_no_memory_and_no_drift(measured, months):
    # Bands: four standard errors of the mean over 24 seeds.
    for name in ("acf_1", "skewness"):
        draws = measured[name]
        assert abs(draws.mean()) < 4.0 * draws.std(ddof=1) / np.sqrt(len(SEEDS))
    simple = np.array([month["close"][-1] / synthetic.FIRST_PRICE - 1.0 for month in months.values()])
    assert abs(simple.mean()) < 4.0 * simple.std(ddof=1) / np.sqrt(len(SEEDS))


def test_hours__follow_the_measured_profile(months):
    hours = np.arange(1, MONTH) // 60 % 24
    returns = [np.diff(np.log(month["close"])) for month in months.values()]
    by_hour = np.array([[r[hours == h].std() for h in range(24)] for r in returns]).mean(axis=0)
    measured = np.array(synthetic.HOURLY_VOLATILITY)
    assert np.corrcoef(by_hour, measured)[0, 1] > 0.95
    assert by_hour[[13, 14, 15, 19, 20]].min() > by_hour[[1, 2, 4, 5, 6, 7]].max()


def test_range__is_that_of_a_continuous_path(months):
    # Parkinson's estimator equals the close-to-close variance on such a path; 0.99 was measured on the real month.
    ratio = [
        np.sqrt((np.log(m["high"] / m["low"]) ** 2).mean() / (4 * np.log(2))) / np.diff(np.log(m["close"])).std()
        for m in months.values()
    ]
    assert np.mean(ratio) == pytest.approx(1.0, abs=0.05)


def test_volume__has_the_measured_size_and_follows_the_range(months):
    ranges = [np.log(m["high"] / m["low"]) for m in months.values()]
    pairs = [(np.log(m["volume"][r > 0]), np.log(r[r > 0])) for m, r in zip(months.values(), ranges, strict=True)]
    assert np.mean([np.corrcoef(*pair)[0, 1] for pair in pairs]) == pytest.approx(0.79, abs=0.05)
    assert np.median(np.concatenate([m["volume"] for m in months.values()])) == pytest.approx(31.3, rel=0.2)


def test_bars__are_marked_as_generated_everywhere():
    bars = load("synthetic_minute", n=100, seed=3)
    schema.check_bars(bars)
    assert bars.attrs["synthetic"] == 1
    assert "Generated" in bars.attrs["note"]
    assert "synthetic" in bars.attrs["name"]
    assert bars["asset_id"].item() == "synthetic:minute:3"
    assert (bars.attrs["calendar"], bars.attrs["bar"], bars.attrs["periods_per_year"]) == ("24/7", "1min", 365)


def test_bars__are_a_function_of_the_seed_and_grow_at_the_end():
    long = load("synthetic_minute", n=70_000, seed=5)
    short = load("synthetic_minute", n=40_000, seed=5)
    assert short.drop_attrs().identical(long.isel(time=slice(40_000)).drop_attrs())
    assert load("synthetic_minute", n=40_000, seed=5).identical(short)
    assert not np.array_equal(load("synthetic_minute", n=40_000, seed=6)["close"], short["close"])


def test_bars__are_the_same_on_every_machine():
    # Only + - x / sqrt and whole numbers lead here, so the id of the bars is the same wherever they are made.
    assert load("synthetic_minute", n=5000, seed=1).attrs["lineage"].startswith("14a25df3d2aca573")


def test_exp__to_an_accuracy_of_1e15():
    x = np.linspace(-300.0, 300.0, 100_001)
    np.testing.assert_allclose(synthetic._exp(x), np.exp(x), rtol=1e-15)


@pytest.mark.parametrize("n", [0, -3])
def test_bars__none(n):
    with pytest.raises(DataError, match=f"n: found {n}"):
        load("synthetic_minute", n=n)


def test_bars__single():
    assert load("synthetic_minute", n=1).sizes["time"] == 1
