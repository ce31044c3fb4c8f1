"""What follows from regimes: transitions, metrics of the returns in each, and parameters that follow the regime."""

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
from kernelkit import ledger
from kernelkit.errors import DataError, KernelkitError, UsageError
from kernelkit.study import walk_forward as study
from kernelkit.study.splitters import Rolling
from tests.test_walk_forward import BARS, VENUE, WINDOWS, bars_of, counted, daily, follow, kk_metrics, trend

r = kk.regimes
INDEX = BARS.indexes["time"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".kernelkit").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def labelled(values: Any) -> xr.DataArray:
    return xr.DataArray(np.asarray(values), {"time": INDEX[: len(values)]}, "time")


def some_labels(seed: int, states: int = 3, unknown: int = 0, n: int = len(INDEX), stay: float = 0.95) -> xr.DataArray:
    draw = np.random.default_rng(seed)
    enters = np.flatnonzero(draw.random(n) > stay)
    values = np.repeat(draw.integers(0, states, len(enters) + 1), np.diff([0, *enters, n]))
    values[:unknown] = -1
    return labelled(values)


@settings(max_examples=60, deadline=None)
@given(values=st.lists(st.integers(-1, 3), min_size=2, max_size=40))
def test_y8__transitions_are_those_of_a_loop(values: list[int]) -> None:
    x = labelled(values)
    if max(values) < 0:
        with pytest.raises(DataError, match="no regime at all"):
            r.transition(x)
        return
    found = r.transition(x)
    n = max(values) + 1
    count, visits = np.zeros((n, n)), np.zeros(n)
    for k, now in enumerate(values):
        if now >= 0 and (k == 0 or values[k - 1] != now):
            visits[now] += 1
        if k and min(now, values[k - 1]) >= 0:
            count[values[k - 1], now] += 1
    np.testing.assert_array_equal(found["count"].values, count)
    np.testing.assert_array_equal(found["visits"].values, visits)
    assert float(found["share"].sum()) == pytest.approx(1.0)
    for i in range(n):
        if count[i].sum():
            np.testing.assert_allclose(found["probability"].values[i], count[i] / count[i].sum())
            left = count[i].sum() - count[i, i]
            assert found["duration"].values[i] == (count[i].sum() / left if left else np.inf)
        else:
            assert np.isnan(found["probability"].values[i]).all()
            assert np.isnan(found["duration"].values[i])


def test_y8__a_chain_shows_its_probabilities() -> None:
    draw = np.random.default_rng(5)
    p = np.array([[0.95, 0.05], [0.2, 0.8]])
    state = [0]
    for u in draw.random(100_000):
        state.append(int(u > p[state[-1], 0]))
    found = r.transition(xr.DataArray(state, dims="time"))
    np.testing.assert_allclose(found["probability"], p, atol=0.01)
    np.testing.assert_allclose(found["duration"], [20.0, 5.0], rtol=0.05)
    np.testing.assert_allclose(found["share"], [0.8, 0.2], atol=0.02)


def test_y9__metrics_are_those_of_the_returns_put_together() -> None:
    labels = some_labels(1, unknown=100)
    res = kk.backtest(BARS, trend, grid={"n": [10, 30]})
    found = r.by(res, labels)
    assert found["sharpe_ratio"].dims == ("regime", "n")
    assert found["n_samples"].dims == ("regime",)
    x = kk.metrics.returns(res["equity"])
    at = np.searchsorted(INDEX, res.indexes["time"])
    before = np.where(at > at[0], labels.values[at - 1], -1)
    for k in range(3):
        for n in (10, 30):
            alone = x.sel(n=n).values[before == k]
            wanted = kk.metrics.summary(alone, periods=365.0)
            for name, value in wanted.items():
                assert float(found[name].sel(regime=k, n=n)) == pytest.approx(float(value), rel=1e-12, nan_ok=True), (
                    name
                )
        assert int(found["n_samples"][k]) == (before == k).sum()
        assert float(found["share"][k]) == pytest.approx((before == k).mean())
        assert int(found["visits"][k]) == ((before == k) & (np.r_[-1, before[:-1]] != k)).sum()
    of_all = kk.metrics.total_return(x.values[:, before >= 0]) + 1.0
    np.testing.assert_allclose((found["total_return"] + 1.0).prod("regime"), of_all)
    assert kk.regimes.by(x, labels).equals(found)


def test_y9__a_return_does_not_count_for_a_label_that_it_has_made() -> None:
    """Labels by the sign of the day's own return: returns of the regime would all be gains, were they of that day."""
    x = kk.metrics.returns(BARS["close"].isel(asset=0, drop=True))
    found = r.by(x, (x > 0.0).astype(int))
    assert float(abs(found["win_rate"] - 0.5).max()) < 0.1
    cheat = r.by(x, (x > 0.0).astype(int).shift(time=-1, fill_value=0))
    assert cheat["win_rate"].values.tolist() == [0.0, 1.0]


def test_y9__sessions_of_several_bars() -> None:
    """A session's return counts for the label at the last bar of the session before."""
    hours = pd.date_range("2024-01-01", periods=24 * 40, freq="h")
    draw = np.random.default_rng(2)
    close = 50.0 * np.exp(np.cumsum(draw.normal(0.0, 0.01, len(hours))))
    frame = pd.DataFrame({"open": close, "high": close, "low": close, "close": close, "volume": 1e5}, hours)
    bars = kk.data.from_pandas(frame, label="open", bar="1h", calendar="24/7")
    labels = xr.DataArray(draw.integers(0, 2, len(hours)), {"time": bars["time"].values}, "time")
    x = kk.metrics.returns(bars["close"].isel(asset=0, drop=True))
    found = r.by(x, labels)
    last = labels.values[23::24][:-1]
    for k in (0, 1):
        wanted = kk.metrics.volatility(x.values[1:][last == k], periods=365.0)
        assert float(found["volatility"][k]) == pytest.approx(float(wanted), rel=1e-12)


def test_y9__labels_of_several_assets() -> None:
    """Each asset's own labels split its own returns; returns without that dim are split by each."""
    x = kk.metrics.returns(BARS["close"].isel(asset=0, drop=True))
    two = xr.concat([x, 2.0 * x], "asset").assign_coords(asset=["a", "b"])
    both = xr.concat([some_labels(1, 3), some_labels(2, 2)], "asset").assign_coords(asset=["a", "b"])
    found, each = r.by(two, both), r.by(x, both)
    assert found["n_samples"].sizes == {"regime": 3, "asset": 2}
    for k, name in enumerate(["a", "b"]):
        alone = r.by(two.isel(asset=k, drop=True), both.isel(asset=k, drop=True))
        for regime in alone["regime"].values:
            for metric in ("sharpe_ratio", "max_drawdown", "n_samples", "share", "visits"):
                value = found[metric].sel(asset=name, regime=regime)
                assert float(value) == float(alone[metric].sel(regime=regime)), metric
    assert np.isnan(found["volatility"].sel(asset="b", regime=2))
    assert int(found["n_samples"].sel(asset="b", regime=2)) == 0
    np.testing.assert_array_equal(each["volatility"].sel(asset="a"), found["volatility"].sel(asset="a"))


def test_y9__what_is_missing() -> None:
    x = kk.metrics.returns(BARS["close"].isel(asset=0, drop=True))
    labels = some_labels(3, 2)
    broken = x.copy(data=np.where(np.arange(len(INDEX)) == 300, np.nan, x.values))
    found = r.by(broken, labels)
    hit = int(labels[299])
    assert np.isnan(found["volatility"].values[hit])
    assert np.isfinite(found["volatility"].values[1 - hit])
    cases: list[tuple[type[KernelkitError], str, Any, Any]] = [
        (DataError, "by: labels: found none at", x, labels.isel(time=slice(0, 300))),
        (DataError, "a Dataset without an equity", BARS, labels),
        (DataError, "by: res: found ndarray", x.values, labels),
        (DataError, "values of float64, wanted whole numbers from -1 on", x, labels * 1.0),
        (DataError, "found list, wanted a DataArray|labels: found list", x, [0, 1]),
    ]
    for error, text, res, given_labels in cases:
        with pytest.raises(error, match=text):
            r.by(res, given_labels)


GRID = {"n": [5, 10, 20, 40]}


def test_y10__one_regime_is_a_walk_forward() -> None:
    """Bit for bit, and so is a market without labels."""
    wf = kk.walk_forward(BARS, trend, grid=GRID, venue=VENUE, **WINDOWS)
    for value in (0, -1):
        labels = some_labels(1, 1) if value == 0 else some_labels(1, 2, unknown=690)
        found = r.adapt(BARS, trend, labels, grid=GRID, venue=VENUE, **WINDOWS)
        used = found["n"].sel(regime=-1)
        np.testing.assert_array_equal(used.values, wf["n"].values)
        if value == 0:
            assert (found["train_samples"].sel(regime=0) >= 200).all()
            np.testing.assert_array_equal(found["n"].sel(regime=0).values, wf["n"].values)
        for name in ("equity_oos", "position_oos", "drawdown_oos", *kk_metrics(wf)):
            np.testing.assert_array_equal(found[name].values, wf[name].values, name)
        pd.testing.assert_frame_equal(kk.orders(found), kk.orders(wf))


def test_y10__each_regime_gets_its_best_cell() -> None:
    labels = some_labels(7, 3, unknown=50)
    found = r.adapt(BARS, trend, labels, grid=GRID, fewest=60, **WINDOWS)
    windows = study.folds(BARS, Rolling(**WINDOWS))
    fallen = 0
    for f, fold in enumerate(windows):
        seen = BARS.isel(time=slice(0, fold.test))
        res = kk.backtest(seen, trend, grid=GRID, start=INDEX[fold.train])
        at = np.searchsorted(INDEX, res.indexes["time"])
        x = kk.metrics.returns(res["equity"]).values
        # the label that the parameters of the decision followed: two bars before the return; the first has none
        label = np.where(np.arange(len(at)) > 0, labels.values[np.maximum(at - 2, 0)], -1)
        for k in range(3):
            samples = x[:, label == k]
            assert int(found["train_samples"].values[f, k + 1]) == samples.shape[1]
            if samples.shape[1] < 60:
                fallen += 1
                assert int(found["n"].values[f, k + 1]) == int(found["n"].values[f, 0])
                assert np.isnan(found["is_sharpe_ratio"].values[f, k + 1])
                continue
            sharpe = samples.mean(axis=1) / samples.std(axis=1, ddof=1) * np.sqrt(365.0)
            assert int(found["n"].values[f, k + 1]) == GRID["n"][int(np.argmax(sharpe))]
            assert float(found["is_sharpe_ratio"].values[f, k + 1]) == pytest.approx(sharpe.max(), rel=1e-9)
    assert 0 < fallen < 3 * len(windows)
    assert len(np.unique(found["n"].sel(regime=slice(0, None)))) > 1


PICKS: list[dict[str, Any]] = [{"n": n, "k": k} for n, k in ((12, 1), (5, 1), (30, 2.5), (12, 2.5))]


@pytest.mark.parametrize("carry", [True, False])
def test_y10__the_account_is_one_run_with_switched_parameters(monkeypatch: pytest.MonkeyPatch, carry: bool) -> None:
    """Bit for bit: the parameters of the regime at bar t decide at bar t + 1 first; orders end at a change alone."""
    # of the function that is called: who collects doctests too has imported its module twice
    own, picked = (
        inspect.unwrap(r.adapt).__globals__,
        [{"params": p, "sharpe_ratio": 1.0, "samples": 99} for p in PICKS],
    )
    monkeypatch.setitem(own, "_choices", lambda *_: picked)
    labels = some_labels(11, 3, unknown=300)
    grid = {"n": [5, 12, 30], "k": [1, 2.5]}
    found = r.adapt(BARS, counted, labels, grid=grid, carry=carry, venue=VENUE, **WINDOWS)
    windows = study.folds(BARS, Rolling(**WINDOWS))
    first, stop = windows[0].test, windows[-1].stop
    columns = {name: np.zeros(len(INDEX)) for name in ("up", "k", "switch")}
    states = [pd.Series(kk.backtest(BARS, counted, p)["up"].to_series()).reindex(INDEX).to_numpy() for p in PICKS]
    starts = {fold.test for fold in windows}
    for t in range(first, stop):
        pick = int(labels[t - 1]) + 1
        columns["up"][t], columns["k"][t] = states[pick][t], PICKS[pick]["k"]
        if t > first and (t in starts or labels[t - 1] != labels[t - 2]):
            columns["switch"][t - 1] = 1.0
    bars = BARS
    for name, values in columns.items():
        bars = kk.feature(bars, name, pd.Series(values, BARS["known_at"].values), known_at=BARS["known_at"].values)
    res = kk.backtest(bars, follow, {"carry": carry}, start=INDEX[first], end=INDEX[stop - 1], venue=VENUE)
    np.testing.assert_array_equal(found["equity_oos"].values, res["equity"].values)
    np.testing.assert_array_equal(found["position_oos"].values, res["position"].values)
    for table in (kk.fills, kk.trades, kk.orders):
        pd.testing.assert_frame_equal(table(found), table(res))
    for name in kk_metrics(res):
        np.testing.assert_array_equal(found[name].values, res[name].values, name)
    assert columns["switch"].sum() > 10
    np.testing.assert_array_equal(found["regime_of"].values, labels.values[first - 1 : stop - 1])


@pytest.mark.parametrize("after", [1, 3])
def test_y10__nothing_sees_what_comes_later(after: int) -> None:
    """Other bars from within a test window on change no choice before them, and no trading."""

    def run(frame: pd.DataFrame) -> xr.Dataset:
        bars = bars_of(frame)
        labels = r.volatility(bars, span=20, refit="2M", min_train="3M")
        found: xr.Dataset = r.adapt(bars, trend, labels, grid=GRID, fewest=20, **WINDOWS)
        return found

    frame, other = daily(), daily(seed=99, drift=0.01)
    first = run(frame)
    cut = first["test_start"].values[after] + np.timedelta64(20, "D")
    later = frame.index >= pd.Timestamp(cut)
    frame.loc[later] = other.loc[later]
    changed = run(frame)
    for name in ("n", "is_sharpe_ratio", "train_samples"):
        np.testing.assert_array_equal(changed[name].values[: after + 1], first[name].values[: after + 1])
    before = first["time"].values < cut
    np.testing.assert_array_equal(changed["equity_oos"].values[before], first["equity_oos"].values[before])
    assert (changed["equity_oos"].values[~before] != first["equity_oos"].values[~before]).any()
    assert len(np.unique(first["regime_of"])) > 1


def test_y10__a_portfolio_follows_the_regime_too() -> None:
    frames = {"a": daily(), "b": daily(seed=5)}
    bars = kk.data.from_pandas(frames, label="open", bar="1D", calendar="24/7", lot_size=1.0)
    both = kk.portfolio(trend)
    wf = kk.walk_forward(bars, both, grid=GRID, **WINDOWS)
    same = r.adapt(bars, both, some_labels(1, 1), grid=GRID, **WINDOWS)
    np.testing.assert_array_equal(same["n"].sel(regime=-1).values, wf["n"].values)
    np.testing.assert_array_equal(same["n"].sel(regime=0).values, wf["n"].values)
    np.testing.assert_array_equal(same["equity_oos"].values, wf["equity_oos"].values)
    other = r.adapt(bars, both, some_labels(4, 2), grid=GRID, **WINDOWS)
    assert other["position_oos"].dims == ("time", "asset")
    assert (other["equity_oos"].values != wf["equity_oos"].values).any()


def test_y10__what_it_says_of_itself(home: Path) -> None:
    found = r.adapt(BARS, trend, some_labels(2, 2), grid=GRID, venue=VENUE, **WINDOWS)
    assert found.attrs["study"] == "regimes"
    assert found["regime"].values.tolist() == [-1, 0, 1]
    assert "efficiency" not in found
    assert float(found["equity_oos"][-1]) == float(found["final_equity"])
    assert str(kk.why(found, int(kk.orders(found)["order"].iloc[-1])))
    roles = [row["role"] for row in ledger.rows("trials", at=str(home / ".kernelkit" / "ledger"))]
    assert roles == ["training"] * found.sizes["fold"] + ["rival"]
    assert r.by(found, some_labels(2, 2))["n_samples"].sum() == found.sizes["time"] - 1


def test_y10__what_cannot_be_adapted() -> None:
    labels = some_labels(2, 2)
    cases: list[tuple[type[KernelkitError], str, Any, dict[str, Any]]] = [
        (UsageError, "grid of adapt: found no axis", labels, {"grid": {}}),
        (DataError, "other times than those of the bars", labels.isel(time=slice(0, 600)), {}),
        (UsageError, "wanted the dim time alone", labels.expand_dims(asset=["x"]), {}),
        (UsageError, "kk.regimes.adapt: found the argument trian", labels, {"trian": "1Y"}),
    ]
    for error, text, given_labels, more in cases:
        with pytest.raises(error, match=text):
            r.adapt(BARS, trend, given_labels, **({"grid": GRID} | WINDOWS | more))
