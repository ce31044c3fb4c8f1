"""What holds for every public metric (M9), found by itself."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.special
import xarray as xr

import kernelkit as kk
from kernelkit.errors import DataError, UsageError
from kernelkit.metrics import METRICS, series
from kernelkit.metrics.metric import ALONE, metric
from tests.metrics.cases import CASES, DIMS, NAMES, numbers, series_of
from tests.metrics.duck import Duck, wrap

each = pytest.mark.parametrize(("name", "settings"), CASES, ids=NAMES)
PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
RTOL, ATOL = 1e-11, 1e-14


def labelled(name: str) -> list[xr.DataArray]:
    return [xr.DataArray(v, dims=DIMS) for v in series_of(name).values()]


def same(found: Any, wanted: Any) -> None:
    found, wanted = numbers(found), numbers(wanted)
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        np.testing.assert_allclose(found[key], value, rtol=RTOL, atol=ATOL, err_msg=key)


@each
def test_dask_is_numpy(name: str, settings: dict[str, Any]) -> None:
    chunks = {"time": 100, "asset": 2}
    found = METRICS[name](*(x.chunk(chunks) for x in labelled(name)), **settings)
    assert all(one.chunks for one in numbers(found).values())
    same(found.compute(), METRICS[name](*labelled(name), **settings))


@each
def test_plain_arrays_are_reduced_along_their_last_axis(name: str, settings: dict[str, Any]) -> None:
    same(METRICS[name](*series_of(name).values(), **settings), METRICS[name](*labelled(name), **settings))


@each
def test_each_series_is_what_it_is_alone(name: str, settings: dict[str, Any]) -> None:
    together = METRICS[name](*labelled(name), **settings)
    for fold, asset in np.ndindex(3, 4):
        at = dict(fold=fold, asset=asset)
        same(METRICS[name](*(x.isel(at) for x in labelled(name)), **settings), together.isel(at))


@each
def test_a_dim_in_any_place_and_of_any_name(name: str, settings: dict[str, Any]) -> None:
    turned = [x.transpose("time", ...).rename(time="step") for x in labelled(name)]
    found = METRICS[name](*turned, dim="step", **settings)
    found = found.rename(step="time") if "step" in found.dims else found
    same(found, METRICS[name](*labelled(name), **settings))


@each
def test_m9__without_samples_at_its_ends_a_series_is_shorter(name: str, settings: dict[str, Any]) -> None:
    whole = METRICS[name](*(x.isel(fold=0, asset=2) for x in labelled(name)), **settings)
    short = METRICS[name](*(x.isel(fold=0, asset=2, time=slice(0, -5)) for x in labelled(name)), **settings)
    same(whole.isel(time=slice(0, -5)) if "time" in whole.dims else whole, short)


SKIPS = {"profit_factor", "win_rate", "payoff_ratio", "expectancy", "sqn", "hhi", "distribution"}


def test_m14__what_each_metric_does_with_a_gap() -> None:
    """Outcomes and shares that are in no order have none; only a level is carried over one."""
    assert {name for name in METRICS if METRICS[name].gaps == "skip"} == SKIPS
    assert {name for name in METRICS if METRICS[name].gaps == "carry"} == {"returns"}


@pytest.mark.parametrize("name", [name for name in METRICS if METRICS[name].gaps in ("nan", "own")])
def test_m9__a_gap_gives_nan(name: str) -> None:
    settings = {"periods": 12} if "periods" in inspect.signature(METRICS[name]).parameters else {}
    for found in numbers(METRICS[name](*labelled(name), **settings)).values():
        assert np.isnan(found.sel(fold=1, asset=1)).all()


@each
def test_m14__without_an_order_nothing_depends_on_where_samples_are_missing(
    name: str, settings: dict[str, Any]
) -> None:
    if METRICS[name].gaps != "skip":
        return
    rng = np.random.default_rng(8)
    known = rng.standard_t(4, 60)
    wanted = METRICS[name](known, **settings)
    for _ in range(5):
        mixed = rng.permutation(np.append(known, np.full(15, np.nan)))
        same(METRICS[name](mixed, **settings), wanted)
    assert not any(np.isnan(v) for v in numbers(wanted).values())
    assert all(v == 0.0 or np.isnan(v) for v in numbers(METRICS[name](np.full(4, np.nan), **settings)).values())


@each
def test_devices_are_asked_no_more_than_they_answer(
    name: str, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def there(function: Any) -> Any:
        return lambda *args: wrap(function(*(a.inside if isinstance(a, Duck) else a for a in args)))

    if name in ALONE:
        with pytest.raises(DataError, match=r"found Duck, wanted an array of numpy. Take it to the host first"):
            METRICS[name](*(Duck(v) for v in series_of(name).values()), **settings)
        return
    wanted = METRICS[name](*series_of(name).values(), **settings)
    answered = {k: there(getattr(scipy.special, k)) for k in ("erfc", "betainc")}
    monkeypatch.setattr(series, "extra", lambda module, extra: SimpleNamespace(**answered))
    found = numbers(METRICS[name](*(Duck(v) for v in series_of(name).values()), **settings))
    assert all(isinstance(one, Duck) for one in found.values())
    same({k: v.inside for k, v in found.items()}, numbers(wanted))
    over = METRICS[name](*(xr.DataArray(Duck(v), dims=DIMS) for v in series_of(name).values()), **settings)
    assert all(isinstance(one.data, Duck) for one in numbers(over).values())


@each
def test_conventions_and_units_are_attrs(name: str, settings: dict[str, Any]) -> None:
    for one in numbers(METRICS[name](*labelled(name), **settings)).values():
        assert one.attrs["long_name"]
        assert "units" in one.attrs
        for key, parameter in inspect.signature(METRICS[name]).parameters.items():
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY and key != "dim":
                value = settings.get(key, parameter.default)
                assert one.attrs.get("periods_per_year" if key == "periods" else key) == value


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_is_public_and_says_what_it_is(name: str) -> None:
    assert getattr(kk.metrics, name) is METRICS[name]
    assert ">>> " in (METRICS[name].__doc__ or "")
    assert list(inspect.signature(METRICS[name]).parameters)[-1] == "dim"
    assert f"`{name}`" in PAGE or f"metrics.{name}`" in PAGE


def test_labels_must_be_the_same() -> None:
    x = xr.DataArray(np.arange(4.0), {"time": [0, 1, 2, 3]}, "time")
    with pytest.raises(DataError, match=r"returns and benchmark: found labels that differ, wanted the same"):
        kk.metrics.beta(x, x.assign_coords(time=[1, 2, 3, 4]))


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda x: kk.metrics.win_rate([1.0, 2.0]), "win_rate: outcomes: found list, wanted a DataArray"),
        (lambda x: kk.metrics.win_rate(1.0), "win_rate: outcomes: found float, wanted a DataArray"),
        (lambda x: kk.metrics.win_rate(x, dim="bar"), r"found dims \('time',\), wanted the dim 'bar'"),
        (lambda x: kk.metrics.win_rate(x[:0]), "found no samples, wanted at least one"),
        (lambda x: kk.metrics.beta(x, x.values), "beta: found DataArrays and plain arrays, wanted one kind"),
    ],
)
def test_what_is_no_series_is_refused(call: Any, text: str) -> None:
    with pytest.raises(DataError, match=text):
        call(xr.DataArray(np.arange(4.0), dims="time"))


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (dict(periods=0), "sharpe_ratio: periods: found 0, wanted a number above 0"),
        (dict(periods="252"), "sharpe_ratio: periods: found '252', wanted a number above 0"),
        (dict(periods=12, ddof=2), "sharpe_ratio: ddof: found 2, wanted 0 or 1"),
        (dict(periods=12, autocorrelation="low"), "found 'low', wanted one of 'none', 'lo'"),
        (dict(periods=12, lags=-1), "sharpe_ratio: lags: found -1, wanted None or a whole number"),
        (dict(periods=12, lags=1.5), "sharpe_ratio: lags: found 1.5, wanted None or a whole number"),
        (dict(periods=np.nan), "sharpe_ratio: periods: found nan, wanted a number above 0"),
        (dict(periods=True), "sharpe_ratio: periods: found True, wanted a number above 0"),
        (dict(periods=12, rf="0.02"), "sharpe_ratio: rf: found '0.02', wanted a number, or a series"),
        (dict(periods=12, rf=None), "sharpe_ratio: rf: found None, wanted a number, or a series"),
        (dict(periods=12, rf=[0.1]), r"sharpe_ratio: rf: found \[0.1\], wanted a number, or a series"),
        (dict(periods=12, rf=np.inf), "sharpe_ratio: rf: found inf, wanted a number, or a series"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        kk.metrics.sharpe_ratio(np.arange(4.0), **settings)


def test_an_output_is_not_named_as_a_dim() -> None:
    x = xr.DataArray(np.ones((2, 3)), dims=("n", "time"))
    with pytest.raises(DataError, match=r"distribution: found the dims n, wanted other names .*x.rename\(n='n_'\)"):
        kk.metrics.distribution(x)
    with pytest.raises(DataError, match="factor_model: found the dims beta, wanted other names than those of its"):
        kk.metrics.factor_model(x.rename(n="beta"), x.rename(n="factor"), periods=12)


@pytest.mark.parametrize(
    ("name", "settings", "text"),
    [
        ("drawdown_table", dict(top=2.0), "top: found 2.0, wanted a whole number of at least 1"),
        ("drawdown_table", dict(top="2"), "top: found '2', wanted a whole number of at least 1"),
        ("sqn", dict(cap=0), "cap: found 0, wanted None or a whole number of at least 1"),
        ("sterling_ratio", dict(periods=12, excess=-0.1), "excess: found -0.1, wanted a number of at least 0"),
        ("returns", dict(initial=0.0), "initial: found 0.0, wanted None or a number above 0"),
        ("returns", dict(sampling="week"), "sampling: found 'week', wanted one of 'session', 'bar'"),
        ("value_at_risk", dict(level="0.95"), "level: found '0.95', wanted a number between 0 and 1"),
    ],
)
def test_settings_of_others_that_cannot_be_are_refused(name: str, settings: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError, match=f"{name}: {text}"):
        METRICS[name](np.arange(4.0), **settings)


@pytest.mark.parametrize("name", [name for name in METRICS if name != "summary"])
def test_no_setting_of_a_metric_takes_text_for_a_number(name: str) -> None:
    """Whatever its name: it is refused by what it is, not by what numpy says of it."""
    for key, parameter in inspect.signature(METRICS[name]).parameters.items():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and key != "dim":
            given = {"periods": 12} if "periods" in inspect.signature(METRICS[name]).parameters else {}
            with pytest.raises(UsageError, match=f"{name}: {key}: found 'x', wanted "):
                METRICS[name](*series_of(name).values(), **{**given, key: "x"})


def test_a_name_is_taken_once() -> None:
    """But the same function may be defined again, as a notebook's cell that is run twice does."""
    before = METRICS["beta"]
    for name in ("beta", "risk", "excursions"):

        def formula(returns: np.ndarray) -> np.ndarray:
            return returns[..., 0]

        formula.__name__ = name
        with pytest.raises(UsageError, match=f"a metric named '{name}': found kk.metrics.{name}, wanted a name of its"):
            metric("1", "first sample")(formula)
    assert METRICS["beta"] is before
    for place in (0, 1):

        @metric("1", "a sample")
        def own_sample(returns: np.ndarray) -> np.ndarray:
            return returns[..., place]  # noqa: B023  called before the next one is made

        assert kk.metrics.own_sample(np.array([3.0, 4.0])) == 3.0 + place
    del METRICS["own_sample"]


def test_a_risk_free_rate_may_be_a_series() -> None:
    x, rf = labelled("sharpe_ratio")[0], xr.DataArray(np.linspace(0.0, 1e-4, 260), dims="time")
    found = kk.metrics.sharpe_ratio(x, rf=rf, periods=12)
    same(found, kk.metrics.sharpe_ratio(x - rf, periods=12))
    assert found.attrs["rf"] == "a series"
    one = kk.metrics.sharpe_ratio(x, rf=xr.DataArray(1e-4), periods=12)
    same(one, kk.metrics.sharpe_ratio(x, rf=1e-4, periods=12))
    assert one.attrs["rf"] == 1e-4
    with pytest.raises(DataError, match=r"sharpe_ratio: rf: found dims \('asset',\), wanted the dim 'time'"):
        kk.metrics.sharpe_ratio(x, rf=xr.DataArray(np.zeros(4), dims="asset"), periods=12)
    assert found.dims == ("fold", "asset")


def test_an_unknown_name_says_which_there_are() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'sharpe'; there are .*sharpe_ratio"):
        kk.metrics.sharpe  # noqa: B018
