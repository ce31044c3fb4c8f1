"""Every known leak, in every way to write it, is caught by the defaults of `kk.audit`; their honest twins pass."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import kernelkit as kk
from kernelkit.errors import UsageError
from tests.leaks import HONEST, LEAKS

BOTH = ["sp500_index", "synthetic_minute"]


@cache
def bars_of(name: str) -> xr.Dataset:
    """Real days or generated minutes, with a column that is known late."""
    if name == "sp500_index":
        bars, every, late = kk.data.load(name).isel(time=slice(0, 1200)), 20, "60D"
    else:
        bars, every, late = kk.data.load(name, n=2400), 90, "1h"
    rows = bars["time"].values[200::every][:50]
    report = pd.Series(np.arange(float(len(rows))) % 5, index=pd.DatetimeIndex(rows))
    return kk.feature(bars, "report", report, known_at=pd.Timedelta(late))


@kk.strategy
def follower(ctx):
    if ctx.x.guess[0] > 0.0:
        ctx.target_percent(0.9)
    else:
        ctx.target_percent(0.0)


def with_guess(ds: xr.Dataset, make: Callable[..., Any]) -> xr.Dataset:
    return kk.feature(ds, "guess", np.asarray(make(ds)), trusted=True)


def as_signal(bars, make, **settings):
    @kk.signal
    def sized(ds):
        return np.tanh(np.asarray(make(ds)))

    return kk.audit(bars, sized, **settings)


def as_sign(bars, make, **settings):
    @kk.signal
    def sign(ds):
        return np.where(np.asarray(make(ds)) > 0.0, 1.0, 0.0)

    return kk.audit(bars, sign, **settings)


def as_feature(bars, make, **settings):
    return kk.audit(bars, follower, features=lambda ds: with_guess(ds, make), **settings)


def as_portfolio(bars, make, **settings):
    return kk.audit(bars, kk.portfolio(follower), features=lambda ds: with_guess(ds, make), **settings)


def as_pipeline(bars, make, **settings):
    def pipeline(ds):
        return {"guess": make(ds)}

    return kk.audit(bars, pipeline, **settings)


def as_backtest(bars, make, **settings):
    def pipeline(ds):
        return kk.backtest(with_guess(ds, make), follower)

    return kk.audit(bars, pipeline, **settings)


def as_signal_in_backtest(bars, make, **settings):
    @kk.signal
    def sized(ds):
        return np.tanh(np.asarray(make(ds)))

    def pipeline(ds):
        return kk.backtest(ds, sized)

    return kk.audit(bars, pipeline, **settings)


WAYS = [as_sign, as_feature, as_pipeline, as_backtest]
MORE = [as_signal, as_portfolio, as_signal_in_backtest]
CASES = [(BOTH[(k + j) % 2], leak, way) for k, leak in enumerate(LEAKS) for j, way in enumerate(WAYS)]
CASES += [(BOTH[k % 2], leak, MORE[k % 3]) for k, leak in enumerate(LEAKS)]


@pytest.fixture(autouse=True)
def own_ledger(tmp_path, monkeypatch):
    (tmp_path / ".kernelkit").mkdir()
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("data", "leak", "way"), CASES, ids=lambda x: getattr(x, "__name__", x))
def test_audit__catches_it_in_every_way(data, leak, way):
    report = way(bars_of(data), LEAKS[leak])
    assert not report.blind
    assert {"truncation", "perturbation"} & set(report.leaks["kind"])


@pytest.mark.parametrize("data", BOTH)
@pytest.mark.parametrize("seed", range(3))
def test_audit__passes_every_honest_column(data, seed):
    def pipeline(ds):
        return {name: make(ds) for name, make in HONEST.items()}

    report = kk.audit(bars_of(data), pipeline, seed=seed)
    assert report.blind, report
    assert report.compared == ", ".join(HONEST)
    assert report.assumed == ("x.report (its known_at)",)


@pytest.mark.parametrize(
    ("data", "way"), [*zip(BOTH * 2, WAYS, strict=True), *zip(["sp500_index"] * 3, MORE, strict=True)]
)
def test_audit__passes_the_honest_in_every_way(data, way):
    def mixed(ds):
        return np.sum([np.nan_to_num(np.asarray(make(ds))) for make in HONEST.values()], axis=0) - 0.5

    report = way(bars_of(data), mixed, cuts=32)
    assert report.blind, report


whole = bars_of("sp500_index")
level = float(whole["close"].mean())
typed = 1200.0
memory: dict[str, float] = {}
closes = whole["close"].to_pandas()


@cache
def remembered() -> float:
    return float(whole["close"].mean())


@kk.signal
def on_constant(ds):
    return (ds["close"] > level) * 1.0


@kk.signal
def on_typed(ds):
    return (ds["close"] > typed) * 1.0


@kk.strategy
def on_constant_too(ctx):
    if ctx.close[0] > level:
        ctx.target_percent(1.0)
    else:
        ctx.target_percent(0.0)


@kk.signal
def on_memory(ds):
    if "mean" not in memory:
        memory["mean"] = float(ds["close"].mean())
    return (ds["close"] > memory["mean"]) * 1.0


@kk.signal
def on_cache(ds):
    return (ds["close"] > remembered()) * 1.0


@kk.signal
def on_outer_bars(ds):
    return (whole["close"].shift(time=-1).isel(time=slice(0, ds.sizes["time"])) > ds["close"]) * 1.0


@kk.signal
def on_outer_frame(ds):
    return (closes.shift(-1).iloc[: ds.sizes["time"]].to_numpy() > ds["close"].values) * 1.0


@pytest.mark.parametrize("leaking", [on_constant, on_constant_too, on_memory, on_cache, on_outer_bars, on_outer_frame])
def test_audit__what_a_function_finds_outside_is_no_way_around(leaking):
    before = leaking.function
    report = kk.audit(whole, leaking, cuts=16)
    assert not report.blind
    assert leaking.function is before
    assert not memory


def test_audit__names_the_statistic_that_a_constant_is():
    report = kk.audit(whole, on_constant, cuts=1)
    assert [(r.variable, r.kind, r.what) for r in report.leaks.itertuples()] == [
        ("level", "constant", "it is the mean of close over the whole series")
    ]
    assert f"level = {level:.6g} (captured by on_constant)" in report.assumed
    assert "level was made with the future: it is the mean of close over the whole series." in repr(report)
    assert kk.audit(whole, on_typed, cuts=1).blind


def test_audit__a_parameter_is_searched_too():
    @kk.signal
    def above(ds, limit=0.0):
        return (ds["close"] > limit) * 1.0

    assert not kk.audit(whole, above, {"limit": float(whole["close"].std())}, cuts=1).blind
    assert kk.audit(whole, above, {"limit": 1234.567}, cuts=1).blind


def test_audit__at_the_open_the_bar_itself_is_the_future():
    def position(ds):
        f = ds.isel(asset=0).to_dataframe()
        return {
            "body": f["close"] > f["open"],
            "trigger": f["low"] < f["low"].shift(1),
            "gap": f["open"] > f["close"].shift(1),
        }

    assert kk.audit(whole, position, cuts=16).blind
    report = kk.audit(whole, position, at="open", cuts=16)
    assert set(report.leaks["what"]) <= {"body", "trigger"}
    assert (report.leaks["ahead"] == 0).all()
    assert kk.audit(whole, lambda ds: position(ds)["gap"], at="open", cuts=16).blind
    assert not kk.audit(whole, lambda ds: position(ds)["trigger"], at="open", cuts=16).blind


VINTAGES = pd.DataFrame(
    {
        "month": np.repeat(pd.date_range("1999-03-01", periods=30, freq="MS"), 2),
        "value": np.random.default_rng(5).normal(size=60),
        "known_at": np.repeat(pd.date_range("1999-03-01", periods=30, freq="MS"), 2)
        + pd.to_timedelta(np.tile([30, 60], 30), "D"),
    }
)


def restated(ds, report):
    """The value that was published last, at the time at which the first one was."""
    last = report.groupby("month").agg(value=("value", "last"), known_at=("known_at", "first"))
    return with_report(ds, last["value"], last["known_at"])


def as_published(ds, report):
    return with_report(ds, pd.Series(report["value"].to_numpy(), report["month"]), report["known_at"])


def with_report(ds, values, known):
    if not len(values):
        return kk.feature(ds, "guess", np.full(ds.sizes["time"], np.nan), trusted=True)
    return kk.feature(ds, "guess", values, known_at=np.asarray(known))


def test_audit__restated_values_are_caught_by_their_table():
    tables = {"report": VINTAGES}
    assert kk.audit(whole, follower, features=as_published, tables=tables, start="2000").blind
    report = kk.audit(whole, follower, features=restated, tables=tables, start="2000")
    assert "report" in set(report.leaks["variable"])
    assert not kk.audit(whole, restated, tables=tables, start="2000").blind
    assert kk.audit(whole, as_published, tables=tables, start="2000").blind


def test_audit__a_walk_forward_is_blind_and_its_runs_are_no_rivals():
    @kk.strategy
    def trend(ctx, n=20):
        ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else 0.0)

    def pipeline(ds):
        return kk.walk_forward(ds, trend, grid={"n": [10, 40]}, train="1Y", test="1Y")

    report = kk.audit(whole, pipeline, cuts=3)
    assert report.blind, report
    assert "equity_oos" in report.compared
    assert set(kk.ledger.summary()["role"]) == {"audit", "training"}


def test_audit__refuses_what_it_cannot_use():
    def pipeline(ds):
        return ds["close"]

    refused: list[tuple[Any, dict[str, Any], str]] = [
        (pipeline, dict(account=kk.Account(1e5)), "account=, wanted"),
        (pipeline, dict(at="noon"), "at=, wanted"),
        (follower, dict(at="open"), "at=, wanted"),
        (follower, dict(tables={"report": VINTAGES}), "tables=, wanted"),
        (pipeline, dict(tables={"report": VINTAGES.drop(columns="known_at")}), "table 'report'"),
        (pipeline, dict(tables={"report": VINTAGES.assign(known_at=pd.NaT)}), "known_at in row 0"),
        (lambda ds: 1.0, {}, "at least one column"),
        (lambda ds: ds["close"].to_pandas().resample("W").last(), {}, "the time of a bar"),
    ]
    for subject, settings, text in refused:
        with pytest.raises(UsageError, match=text):
            kk.audit(whole, subject, **settings)
