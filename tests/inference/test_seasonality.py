"""Effects of the calendar, and how many of them are luck (M24, I3)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from statsmodels.regression.linear_model import OLS

import kernelkit as kk
from kernelkit.errors import DataError, UsageError
from kernelkit.inference.seasonality import effects

i = kk.inference
SESSIONS = kk.data.load("sp500_index")["time"].values[:1260]  # five years of New York


def series(values: Any, times: Any = SESSIONS) -> xr.DataArray:
    return xr.DataArray(values, {"time": times}, (*["trial"] * (np.ndim(values) - 1), "time"))


def dates_of(calendar: str, times: Any = SESSIONS) -> dict[str, list[str]]:
    index = pd.DatetimeIndex(times).tz_localize("UTC")
    return {name: index[mask].strftime("%Y-%m-%d").tolist() for name, mask in effects(index, calendar)}


def test_m24__effects_have_the_samples_they_say() -> None:
    times = pd.DatetimeIndex(SESSIONS)
    by_day = dates_of("weekday")
    assert list(by_day) == [f"weekday {d}" for d in ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")]
    for name, days in by_day.items():
        assert days == times[times.day_name() == name.split()[1]].strftime("%Y-%m-%d").tolist()
    by_month = dates_of("month")
    assert list(by_month) == [f"month {k:02d}" for k in range(1, 13)]
    assert by_month["month 07"] == times[times.month == 7].strftime("%Y-%m-%d").tolist()


def test_m24__the_turn_of_a_month() -> None:
    days = dates_of("turn_of_month")["turn of month"]
    assert [d for d in days if "1999-05-20" < d < "1999-07-20"] == [
        *("1999-05-28", "1999-06-01", "1999-06-02", "1999-06-03"),
        *("1999-06-30", "1999-07-01", "1999-07-02", "1999-07-06"),
    ]
    first, last = pd.DatetimeIndex(SESSIONS)[[0, -1]].strftime("%Y-%m-%d")
    assert first not in days  # whether it is the month's first nobody can say
    assert last not in days


def test_m24__holidays_are_the_weekdays_that_lack() -> None:
    found = dates_of("holiday")
    before = [d for d in found["before holiday"] if d.startswith("2000")]
    after = [d for d in found["after holiday"] if d.startswith("2000")]
    # Martin Luther King, Presidents, Good Friday, Memorial, Independence, Labor, Thanksgiving, Christmas, New Year
    assert before == [
        *("2000-01-14", "2000-02-18", "2000-04-20", "2000-05-26", "2000-07-03", "2000-09-01"),
        *("2000-11-22", "2000-12-22", "2000-12-29"),
    ]
    assert after == [
        *("2000-01-18", "2000-02-22", "2000-04-24", "2000-05-30", "2000-07-05", "2000-09-05"),
        *("2000-11-24", "2000-12-26"),
    ]


def test_m24__hours_are_those_of_the_clocks() -> None:
    times = np.arange("2024-03-04T14:30", "2024-03-15T21:00", 30, dtype="M8[m]").astype("M8[ns]")
    x = series(np.random.default_rng(1).normal(size=len(times)), times)
    found = i.seasonality(x, by=["hour", "weekday"], tz="America/New_York")
    local = pd.DatetimeIndex(times).tz_localize("UTC").tz_convert("America/New_York")
    for hour in (0, 9, 15):
        one = found.sel(effect=f"hour {hour:02d}")
        assert float(one["n_samples"]) == (local.hour == hour).sum()
        assert float(one["mean"]) == pytest.approx(x.values[local.hour == hour].mean(), rel=1e-9)
    assert float(found["n_samples"].sel(effect="weekday Sunday")) == (local.day_of_week == 6).sum()


@pytest.mark.oracle("statsmodels", covers="M24", cases=20)
def test_m24__an_effect_is_a_regression_of_statsmodels() -> None:
    x = np.random.default_rng(2).standard_t(4, 1260) * 0.01
    found = i.seasonality(series(x), lags=4)
    index = pd.DatetimeIndex(SESSIONS).tz_localize("UTC")
    masks = {n: v for c in ("weekday", "month", "turn_of_month", "holiday") for n, v in effects(index, c)}
    assert found["effect"].values.tolist() == list(masks)
    assert len(masks) == 20
    for name, mask in masks.items():
        wanted = OLS(x, np.column_stack([np.ones(1260), mask])).fit(cov_type="HAC", cov_kwds={"maxlags": 4})
        one = found.sel(effect=name)
        np.testing.assert_allclose(one["mean"], x[mask].mean(), rtol=1e-8, atol=1e-15)
        np.testing.assert_allclose(one["rest"], x[~mask].mean(), rtol=1e-8, atol=1e-15)
        np.testing.assert_allclose(one["difference"], wanted.params[1], rtol=1e-8)
        # the correction for few samples makes errors larger and the distribution wider, here by little
        assert 0.9 < float(one["t"] / wanted.tvalues[1]) < 1.0
        assert float(one["p_value"]) > wanted.pvalues[1]
        assert float(one["p_value"]) == pytest.approx(wanted.pvalues[1], abs=0.04)
    family = i.adjusted_p_values(found["p_value"], method="bh")
    np.testing.assert_array_equal(found["adjusted_p_value"], family)


@pytest.mark.parametrize(
    ("calendar", "effect"),
    [("turn_of_month", "turn of month"), ("holiday", "before holiday"), ("month", "month 01")],
)
def test_m24__a_planted_effect_is_found(calendar: str, effect: str) -> None:
    index = pd.DatetimeIndex(SESSIONS).tz_localize("UTC")
    mask = dict(effects(index, calendar))[effect]
    x = np.random.default_rng(3).normal(0.0, 0.01, 1260) + 0.01 * mask
    found = i.seasonality(series(x), by=[calendar])
    assert float(found["difference"].sel(effect=effect)) == pytest.approx(0.01, abs=0.004)
    assert float(found["adjusted_p_value"].sel(effect=effect)) < 0.01


def test_m24__of_luck_alone_few_find_anything() -> None:
    """Without any effect each discovery is false: the rate is the share of series with one, at most q."""
    q, trials = 0.1, 250
    x = np.random.default_rng(4).normal(0.0, 0.01, (trials, 1260))
    found = i.seasonality(series(x))
    any_found = (found["adjusted_p_value"] <= q).any("effect").mean()
    assert float(any_found) <= q + 3 * np.sqrt(q * (1 - q) / trials)
    plain = (found["p_value"] <= q).any("effect").mean()
    assert float(plain) > 0.7  # what asking twenty questions does


def test_m24__among_discoveries_at_most_q_are_false() -> None:
    """A true effect of the turn of the month among months that have none, whose share in it is nearly equal."""
    q, trials = 0.2, 150
    turn = dict(effects(pd.DatetimeIndex(SESSIONS).tz_localize("UTC"), "turn_of_month"))["turn of month"]
    x = np.random.default_rng(5).normal(0.0, 0.01, (trials, 1260)) + 0.006 * turn
    found = i.seasonality(series(x), by=["turn_of_month", "month", "weekday"])["adjusted_p_value"] <= q
    true = found.sel(effect="turn of month")
    assert float(true.mean()) > 0.95
    false = found.sum("effect") - true
    share = false / np.maximum(found.sum("effect"), 1)
    assert float(share.mean()) <= q + 3 * float(share.std()) / np.sqrt(trials)
    assert float(share.mean()) > 0.02


def test_m24__each_series_is_a_family_and_a_gap_is_nan() -> None:
    x = np.random.default_rng(6).normal(size=(3, 1260))
    x[1, 700] = np.nan
    x[2, :100] = np.nan
    found = i.seasonality(series(x), by=["weekday"])
    assert found["p_value"].dims == ("trial", "effect")
    assert found["n_samples"][1].isnull().all()
    assert found["adjusted_p_value"][1].isnull().all()
    alone = i.seasonality(series(x[2, 100:], SESSIONS[100:]), by=["weekday"])
    xr.testing.assert_allclose(found.isel(trial=2), alone, rtol=1e-12)
    assert found["adjusted_p_value"].attrs["method"] == "bh"


DAYS = np.arange("2024-01-01", "2024-01-06", dtype="M8[D]").astype("M8[ns]")
FIVE = series(np.arange(5.0), DAYS)


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: i.seasonality(FIVE.values), DataError, "returns: found ndarray, wanted a DataArray"),
        (lambda: i.seasonality(FIVE.drop_vars("time")), DataError, "returns: found no times along 'time', wanted"),
        (lambda: i.seasonality(FIVE, by="weekday"), UsageError, "by: found 'weekday', wanted a list of weekday, month"),
        (lambda: i.seasonality(FIVE, by=["moon"]), UsageError, r"by: found \['moon'\], wanted a list of"),
        (lambda: i.seasonality(FIVE, by=["month", "holiday"]), DataError, "found nothing that differs by month, holi"),
        (lambda: i.seasonality(FIVE, method="fdr"), UsageError, "method: found 'fdr', wanted one of 'bonferroni'"),  # type: ignore[arg-type]
        (lambda: i.seasonality(FIVE, lags=0.5), UsageError, "lags: found 0.5, wanted None or a whole number"),  # type: ignore[arg-type]
    ],
)
def test_what_makes_no_sense_is_refused(call: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        call()
