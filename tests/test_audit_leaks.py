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
    assert not report.assumed


@pytest.mark.parametrize(
    ("data", "way"), [*zip(BOTH * 2, WAYS, strict=True), *zip(["sp500_index"] * 3, MORE, strict=True)]
)
def test_audit__passes_the_honest_in_every_way(data, way):
    def mixed(ds):
        return np.sum([np.nan_to_num(np.asarray(make(ds))) for make in HONEST.values()], axis=0) - 0.5

    report = way(bars_of(data), mixed, cuts=32)
    assert report.blind, report
