"""Metrics of blocks (M30) are the engine's of all of them, and those of the chosen sessions' returns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import kernelkit as kk
from kernelkit.errors import DataError, UsageError
from kernelkit.kernels.layout import NODE_FIELDS
from kernelkit.metrics import blocks as of
from tests.bench.series import random_walk

m = kk.metrics
STREAMED = ["volatility", "sharpe_ratio", "sortino_ratio", "max_drawdown"]


@kk.strategy
def trend(ctx, n=100, short=0.5):
    ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else -short)


@pytest.fixture(scope="module")
def daily() -> xr.Dataset:
    bars = kk.data.load("sp500_index").isel(time=slice(0, 1500))
    return kk.backtest(bars, trend, grid=dict(n=[5, 20, 100], short=[0.0, 0.5]), where="n > 5 or short > 0")


def wanted(x: np.ndarray, periods: float) -> dict[str, Any]:
    """The metrics of session returns."""
    named = {name: getattr(m, name)(x, periods=periods) for name in (*STREAMED[:3], "cagr", "calmar_ratio")}
    named |= {name: getattr(m, name)(x) for name in ("max_drawdown", "total_return", "skewness", "kurtosis")}
    return named | {"n_sessions": len(x), "mean": x.mean()}


def check(found: xr.Dataset, x: np.ndarray, periods: float = 252.0) -> None:
    names = wanted(x, periods)
    assert set(found) == set(names)
    for name, one in names.items():
        # a sum of powers about 0 loses what the mean is large beside the deviation
        rtol = 1e-9 if name in ("skewness", "kurtosis") else 1e-12
        np.testing.assert_allclose(found[name], one, rtol=rtol, atol=1e-12, err_msg=name)


def leaves(x: np.ndarray) -> xr.DataArray:
    """M2 of sessions of one bar: each a block of its own."""
    rows, ruined = [], False
    for one in x:
        w = 1.0 if ruined else 1.0 + one
        loss = one * one if one < 0.0 else 0.0
        deep = 0.0 if ruined else max(0.0, -one)
        values = dict(index=0, n=1, active=1, s1=one, s2=one**2, s3=one**3, s4=one**4, d2=loss, sb=0, sbb=0, sxb=0)
        rows.append(values | dict(w=w, hi=max(1.0, w), lo=min(1.0, w), mdd=deep))
        ruined = ruined or w == 0.0
    table = [[row[name] for name in NODE_FIELDS] for row in rows]
    return xr.DataArray(table, {"summary": list(NODE_FIELDS)}, ("block", "summary"))


RETURN = st.integers(-300, 300).map(lambda v: v / 4096.0)


@settings(deadline=None)
@given(st.lists(RETURN, min_size=2, max_size=60), st.booleans())
def test_m3_m30__joined_sessions_have_the_metrics_of_their_returns(values: list[float], ruin: bool) -> None:
    x = np.array(values)
    if ruin:
        x[len(x) // 2] = -1.0
        x[len(x) // 2 + 1 :] = 0.0
    check(m.from_blocks(leaves(x), periods=252), x)


def test_m5__of_all_blocks_the_results_own_to_the_last_bit(daily: xr.Dataset) -> None:
    found = m.from_blocks(daily["blocks"])
    for name in STREAMED:
        assert found[name].dims == daily[name].dims
        np.testing.assert_array_equal(found[name], daily[name], err_msg=name)
        assert {k: found[name].attrs[k] for k in ("units", "long_name")} == {
            k: daily[name].attrs[k] for k in ("units", "long_name")
        }
    np.testing.assert_allclose(found["total_return"], daily["total_return"], rtol=1e-12)
    assert np.isnan(found["mean"].sel(n=5, short=0.0))  # excluded by where
    assert found["n_sessions"].sel(n=5, short=0.0) == 0.0
    assert found.attrs["periods_per_year"] == daily.attrs["periods_per_year"]


def test_m5__of_intraday_bars_too() -> None:
    """Whose drawdown within sessions only the summaries know."""
    res = kk.backtest(random_walk(20_000).bars(), trend)
    found = m.from_blocks(res["blocks"])
    for name in STREAMED:
        assert found[name] == res[name]


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_m30__chosen_blocks_have_the_metrics_of_their_sessions(daily: xr.Dataset, data: st.DataObject) -> None:
    one = daily.sel(n=20, short=0.5)
    many = one.sizes["block"]
    chosen = sorted(data.draw(st.sets(st.integers(0, many - 1), min_size=1)))
    x = m.returns(one["equity"], initial=1e6).values
    ends = np.cumsum(one["blocks"].sel(summary="n").values).astype("i8")
    pieces = np.concatenate([x[ends[b] - int(one["blocks"].sel(summary="n")[b]) : ends[b]] for b in chosen])
    check(m.from_blocks(one["blocks"].isel(block=chosen)), pieces)
    there = xr.DataArray(np.isin(np.arange(many), chosen), dims="block")
    xr.testing.assert_identical(
        m.from_blocks(one["blocks"].where(there)), m.from_blocks(one["blocks"].isel(block=chosen))
    )


def test_in_pieces_lazy_and_in_any_order(daily: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = daily["blocks"].load()
    whole = m.from_blocks(blocks)
    xr.testing.assert_identical(m.from_blocks(blocks.chunk(n=1)).compute(), whole)
    turned = blocks.isel(summary=slice(None, None, -1)).rename(block="session").transpose("session", ...)
    xr.testing.assert_identical(m.from_blocks(turned, dim="session"), whole)
    monkeypatch.setattr(of, "PIECE", 100)
    xr.testing.assert_identical(m.from_blocks(blocks), whole)


LEAVES = leaves(np.array([0.01, -0.02, 0.03]))


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: m.from_blocks(xr.Dataset()), DataError, "blocks: found Dataset, wanted a DataArray"),
        (lambda: m.from_blocks(LEAVES, periods=252, dim="fold"), DataError, "wanted the dims 'fold' and 'summary'"),
        (lambda: m.from_blocks(LEAVES[:0], periods=252), DataError, "found sizes {'block': 0, 'summary': 15}"),
        (lambda: m.from_blocks(LEAVES[:, :3], periods=252), DataError, "found no summary s1, s2"),
        (lambda: m.from_blocks(LEAVES), DataError, "periods"),
        (lambda: m.from_blocks(LEAVES.expand_dims("mean"), periods=1), DataError, "found the dims mean, wanted other"),
        (lambda: m.from_blocks(LEAVES, periods=-1), UsageError, "periods: found -1, wanted a number above 0"),
    ],
)
def test_what_makes_no_sense_is_refused(call: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        call()
