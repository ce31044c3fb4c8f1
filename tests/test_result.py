"""A result: what it holds, what its curves cost, and that what one looks at later is what was measured."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import kernelkit as kk
import kernelkit.lazy
import kernelkit.result
from kernelkit import schema, working
from kernelkit.errors import RunError, UsageError
from kernelkit.kernels import layout as L
from kernelkit.kernels.session import Recorder
from kernelkit.strategy import signal, strategy


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".kernelkit").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module", autouse=True)
def module_home(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("module"))
        yield


BARS = kk.data.load("sp500_index").isel(time=slice(0, 900))
VENUE = kk.Venue("mine", kk.fees.per_unit(0.005, 1.0), kk.slippage.fraction(0.0005))
GRID = {"fast": [5, 10, 20], "slow": [15, 30, 60], "loud": [False, True]}


@strategy
def cross(ctx, fast=5, slow=15, k=0.5, loud=True, text="note"):  # type: ignore[no-untyped-def]
    a = ctx.close.sma(fast) - ctx.close.sma(slow)
    ctx.record("gap", a)
    if ctx.i % 3 == 0:
        ctx.record("third", ctx.close[0])
    if loud or ctx.i % 2 == 0:
        ctx.target_percent(k if a > 0 else -k)
    if ctx.i % 40 == 0:
        ctx.limit(1.0, 0.99 * ctx.close[0], tif="DAY")
        ctx.order(0.1)


@pytest.fixture(scope="module")
def swept(module_home: None) -> xr.Dataset:
    res: xr.Dataset = kk.backtest(BARS, cross, {"k": 0.8}, grid=GRID, where="fast < slow", venue=VENUE, start="2000")
    return res


def test_dims_coords_and_attrs(swept: xr.Dataset) -> None:
    assert dict(swept.sizes) == {
        "fast": 3,
        "slow": 3,
        "loud": 2,
        "block": swept.sizes["block"],
        "summary": len(L.NODE_FIELDS),
        "time": swept.sizes["time"],
    }
    assert swept.sizes["block"] <= L.MAX_CELLS
    for name, values in GRID.items():
        assert swept[name].values.tolist() == values
        assert swept[name].attrs["role"] == "param"
    assert str(swept["asset"].values) == "SPX"
    assert swept["time"].values[0] == np.datetime64("2000-01-03")
    assert swept["time"].values[-1] == BARS["time"].values[-1]
    for name in L.HEADLINE:
        assert swept[name].dims == ("fast", "slow", "loud")
        row = schema.VARIABLES[name]
        assert swept[name].attrs == {"long_name": row.long_name, "units": row.units}
    for name in ("equity", "cash", "position", "drawdown", "gap", "third"):
        assert swept[name].dims == ("fast", "slow", "loud", "time")
    assert swept.attrs["strategy"] == "cross"
    assert swept.attrs["params"] == {"k": 0.8, "text": "note"}
    assert swept.attrs["costs"] == "fees per_unit(rate=0.005, minimum=1), slippage fraction(rate=0.0005)"
    assert (swept.attrs["venue"], swept.attrs["lineage"]) == ("mine", BARS.attrs["lineage"])
    assert (swept.attrs["sampling"], swept.attrs["ddof"], swept.attrs["periods_per_year"]) == (
        "session close",
        1,
        252.0,
    )
    assert (swept.attrs["tradable"], swept.attrs["synthetic"], swept.attrs["note"]) == tuple(
        BARS.attrs[k] for k in ("tradable", "synthetic", "note")
    )
    assert swept.attrs["trials"] == 16
    assert swept.attrs["fill_model"] == "conservative"
    assert kk.backtest(BARS, cross).attrs["costs"] == "none"


def test_it_is_what_xarrays_own_constructor_makes(swept: xr.Dataset) -> None:
    for res in (swept, swept.isel(fast=0, slow=1, loud=0), kk.backtest(BARS, cross, outputs=("metrics",))):
        made = xr.Dataset(res.data_vars, res.coords, res.attrs)
        assert list(made.data_vars) == list(res.data_vars)
        assert (made.sizes, set(made.coords)) == (res.sizes, set(res.coords))
        assert made.indexes.keys() == res.indexes.keys()
        assert all(made.indexes[name].equals(res.indexes[name]) for name in made.indexes)
        xr.testing.assert_identical(made, res)


def test_excluded_cells_are_nan(swept: xr.Dataset) -> None:
    excluded = (swept["fast"] >= swept["slow"]).broadcast_like(swept["cagr"])
    assert int(excluded.sum()) == 2
    for name in L.HEADLINE:
        assert np.isnan(swept[name].values[excluded.values]).all()
    assert np.isfinite(swept["final_equity"].values[~excluded.values]).all()
    cell = swept.sel(fast=20, slow=15, loud=True)
    assert np.isnan(cell["equity"].values).all()
    assert np.isnan(cell["gap"].values).all()
    assert np.isnan(cell["blocks"].values).all()
    for table in (kk.orders, kk.fills, kk.trades):
        with pytest.raises(UsageError, match=r"this cell: found excluded by where=, wanted a trial that was run"):
            table(cell)


@pytest.mark.parametrize(("fast", "slow", "loud"), [(5, 15, False), (10, 60, True), (20, 30, True), (20, 60, False)])
def test_a_curve_is_of_the_trial_that_was_measured(swept: xr.Dataset, fast: int, slow: int, loud: bool) -> None:
    one = swept.sel(fast=fast, slow=slow, loud=loud)
    equity, drawdown = one["equity"].values, one["drawdown"].values
    assert equity[-1] == float(one["final_equity"])
    assert drawdown.max() == pytest.approx(float(one["max_drawdown"]), abs=1e-14)  # blocks multiply returns
    assert one["cash"].values[-1] + one["position"].values[-1] * float(BARS["close"].values[-1, 0]) == equity[-1]
    alone = kk.backtest(BARS, cross, {"k": 0.8, "fast": fast, "slow": slow, "loud": loud}, venue=VENUE, start="2000")
    first = alone["time"].values[0]
    for name in ("equity", "position", "gap", "third"):
        np.testing.assert_array_equal(one[name].sel(time=slice(first, None)).values, alone[name].values, name)
    for name in L.HEADLINE:
        np.testing.assert_array_equal(one[name].values, alone[name].values, name)
    fills = kk.fills(one)
    assert len(fills) == int(one["n_fills"])
    assert fills["fee"].sum() == pytest.approx(float(one["fees"]), rel=1e-12)
    assert len(kk.trades(one)) == int(one["n_trades"])


@pytest.mark.oracle("pandas", covers="M5")
def test_metrics_are_those_of_the_curve(swept: xr.Dataset) -> None:
    """M5 from the curve, by pandas."""
    one = swept.sel(fast=10, slow=30, loud=True)
    equity = np.r_[1e6, one["equity"].values]
    returns = pd.Series(equity).pct_change().iloc[1:]
    years = (
        (BARS["known_at"].values[-1] - BARS["known_at"].sel(time=one["time"][0]).values)
        / np.timedelta64(1, "ns")
        / 86400e9
        / 365.25
    )
    downside = np.sqrt((returns.clip(upper=0.0) ** 2).mean())
    trades = kk.trades(one)["pnl"]
    wanted = {
        "total_return": equity[-1] / 1e6 - 1.0,
        "cagr": (equity[-1] / 1e6) ** (1.0 / years) - 1.0,
        "volatility": returns.std() * np.sqrt(252.0),
        "sharpe_ratio": returns.mean() / returns.std() * np.sqrt(252.0),
        "sortino_ratio": returns.mean() / downside * np.sqrt(252.0),
        "calmar_ratio": ((equity[-1] / 1e6) ** (1.0 / years) - 1.0) / one["drawdown"].values.max(),
        "win_rate": (trades > 0).mean(),
        "profit_factor": trades[trades > 0].sum() / -trades[trades <= 0].sum(),
        "exposure": (one["position"].values != 0).mean(),
    }
    for name, value in wanted.items():
        assert float(one[name]) == pytest.approx(value, rel=1e-9), name


def test_blocks_fold_to_the_headline(swept: xr.Dataset) -> None:
    one = swept.sel(fast=10, slow=30, loud=True)
    blocks = pd.DataFrame(one["blocks"].values, columns=one["summary"].values).dropna(how="all")
    assert blocks["n"].sum() == one.sizes["time"]
    assert blocks["w"].prod() == pytest.approx(1.0 + float(one["total_return"]), rel=1e-12)
    mean, n = blocks["s1"].sum() / blocks["n"].sum(), blocks["n"].sum()
    var = (blocks["s2"].sum() - blocks["s1"].sum() ** 2 / n) / (n - 1)
    assert mean / np.sqrt(var) * np.sqrt(252) == pytest.approx(float(one["sharpe_ratio"]), rel=1e-12)
    assert (blocks["index"].diff().iloc[1:] >= 1).all()


@pytest.mark.parametrize("n", [6, 30])
def test_all_cells_share_one_start(n: int) -> None:
    """The largest warm-up of the cells that there are, however many; a declared one may depend on all parameters."""
    grid = {"fast": range(1, n), "slow": range(n, 2 * n)}
    res = kk.backtest(BARS, cross, grid=grid, where=f"fast + slow < {2 * n}")
    assert res["time"].values[0] == BARS["time"].values[2 * n - 3]

    @strategy(warmup=lambda p: 10 * p.slow - p.fast)
    def declared(ctx, fast=1, slow=1):  # type: ignore[no-untyped-def]
        ctx.target_percent(1.0)

    res = kk.backtest(BARS, declared, grid=grid, where=f"fast + slow < {2 * n}")
    assert res["time"].values[0] == BARS["time"].values[10 * (2 * n - 2) - 1]


def test_records_are_nan_where_nothing_was_recorded() -> None:
    res = kk.backtest(BARS, cross)
    third = res["third"].values
    assert np.isfinite(third).sum() == len(range(15, 900, 3))
    first = int(np.flatnonzero(res["time"].values[0] == BARS["time"].values)[0])
    on = np.arange(first, 900) % 3 == 0
    np.testing.assert_array_equal(third[on], BARS["close"].values[first:, 0][on])
    assert np.isnan(third[~on]).all()


def test_looking_costs_only_what_one_looks_at(swept: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[int] = []
    run = Recorder.all

    def counting(self: Recorder) -> Any:
        ran.append(1)
        return run(self)

    monkeypatch.setattr(Recorder, "all", counting)
    res = kk.backtest(BARS, cross, grid=GRID, where="fast < slow")
    repr(res)
    assert not ran
    one = res.sel(fast=5, slow=30, loud=False)
    assert one["equity"].isel(time=-1).item() == float(one["final_equity"])
    assert len(ran) == 1
    kk.fills(one)
    assert np.isfinite(one["drawdown"].isel(time=slice(10, 20)).values).all()
    assert len(ran) == 1  # the last trials are remembered
    assert res["equity"].sel(slow=60).isel(time=[0, -1]).values.shape == (3, 2, 2)
    assert len(ran) == 1 + 6
    last = res["equity"].isel(time=-1).values
    np.testing.assert_array_equal(last, res["final_equity"].values)


def test_picking_like_numpy(swept: xr.Dataset) -> None:
    whole = swept["equity"].values
    assert whole.shape == swept["equity"].shape
    for key in (
        {"fast": 1},
        {"fast": [2, 0], "time": slice(None, None, -7)},
        {"loud": 1, "time": -1},
        {"slow": slice(1, None), "time": [5, 3, 5]},
    ):
        np.testing.assert_array_equal(
            swept["equity"].isel(key).values, swept["equity"].copy(data=whole).isel(key).values
        )


def test_too_much_is_refused(swept: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernelkit.lazy, "LIMIT_BYTES", 8 * 4 * swept.sizes["time"])
    with pytest.raises(
        UsageError,
        match=r"loading 'equity': found .* GB of 18 trials, wanted at most .* GB at once\. .* with \.sel",
    ):
        swept["equity"].load()
    assert swept["equity"].sel(fast=5, slow=30).values.shape == (2, swept.sizes["time"])


def test_tables_of_several_trials_are_refused(swept: xr.Dataset) -> None:
    for table in (kk.orders, kk.fills, kk.trades):
        with pytest.raises(
            UsageError,
            match=r"several trials along fast, slow, loud, wanted one trial\. Choose one: res\.sel\(fast=",
        ):
            table(swept)
        with pytest.raises(UsageError, match="several trials along slow"):
            table(swept.sel(fast=5, loud=True))
    assert len(kk.fills(swept.isel(fast=[0], slow=[1], loud=[1]))) > 10


def test_a_result_without_curves_says_so() -> None:
    res = kk.backtest(BARS, cross, outputs=("metrics",))
    assert "equity" not in res
    assert set(res.data_vars) == set(L.HEADLINE)
    for lost in (res, kk.backtest(BARS, cross)[["sharpe_ratio"]]):
        gc.collect()
        with pytest.raises(
            RunError,
            match="this result: found nothing that could run its trials again, wanted a result with its curves",
        ):
            kk.fills(lost)


def test_a_key_is_never_taken_for_another_result() -> None:
    keys = {kk.backtest(BARS, cross, outputs=("curves",)).attrs["recipe"] for _ in range(6) if gc.collect() is not None}
    assert len(keys) == 6


@pytest.mark.parametrize("outputs", [("final_equity",), ("metrics",), ("blocks",), ("metrics", "curves"), ("curves",)])
def test_outputs(outputs: tuple[str, ...]) -> None:
    full = kk.backtest(BARS, cross, grid=GRID, where="fast < slow")
    res = kk.backtest(BARS, cross, grid=GRID, where="fast < slow", outputs=outputs)
    assert ("equity" in res) == ("curves" in outputs)
    assert ("blocks" in res) == ("blocks" in outputs)
    assert ("sharpe_ratio" in res) == ("metrics" in outputs)
    for name in res.data_vars:
        if "time" not in res[name].dims:
            np.testing.assert_array_equal(res[name].values, full[name].values, str(name))


@strategy
def orderly(ctx):  # type: ignore[no-untyped-def]
    if ctx.i == 10:
        ctx.bracket(10.0, stop_loss=0.02, take_profit=0.5)
        ctx.limit(5.0, 0.5 * ctx.close[0])
        ctx.stop_limit(-3.0, 0.9 * ctx.close[0], 0.89 * ctx.close[0], tif="DAY")
        ctx.trailing_stop(-2.0, fraction=0.6)
        ctx.order(0.0)
    if ctx.i == 12:
        ctx.cancel(4)


def test_tables() -> None:
    res = kk.backtest(BARS, orderly, venue=VENUE)
    orders, fills, trades = kk.orders(res), kk.fills(res), kk.trades(res)
    close, known = BARS["close"].values[:, 0], BARS["known_at"].values
    assert orders["order"].tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert orders["kind"].tolist() == ["market", "stop", "limit", "limit", "stop_limit", "trailing_stop", "market"]
    assert orders["side"].tolist()[:6] == ["buy", "sell", "sell", "buy", "sell", "sell"]
    assert orders["tif"].tolist() == ["GTC"] * 4 + ["DAY", "GTC", "GTC"]
    assert orders["quantity"].tolist() == [10.0, 10.0, 10.0, 5.0, 3.0, 2.0, 0.0]
    assert orders["parent"].tolist() == [0, 1, 1, 0, 0, 0, 0]
    assert orders["group"].tolist() == [0, 2, 2, 0, 0, 0, 0]
    ends = dict(zip(orders["order"], zip(orders["status"], orders["reason"], strict=True), strict=True))
    assert ends[1] == ("filled", "")
    assert ends[2] == ("filled", "")
    assert ends[3] == ("cancelled", "oco")
    assert ends[4] == ("cancelled", "user")
    assert ends[5] == ("expired", "day")
    assert ends[6] == ("cancelled", "end_of_data")
    assert ends[7] == ("rejected", "below_lot")
    assert (orders["submitted"] == known[10]).all()
    assert orders["active"][1] == fills["time"][0]
    assert orders["ended"].tolist()[3] == pd.Timestamp(known[12])
    assert orders["ended"].tolist()[5] == pd.Timestamp(known[-1])
    assert np.isnan(orders["limit"][0])
    assert orders["limit"][3] == pytest.approx(0.5 * close[10], rel=1e-6)
    assert fills["order"].tolist() == [1, 2]
    assert fills["side"].tolist() == ["buy", "sell"]
    assert fills["at"].tolist() == ["open", "bar"]
    assert fills["time"][0] == BARS["open_at"].values[11]
    assert fills["reference"][0] == BARS["open"].values[11, 0]
    assert fills["price"][0] == pytest.approx(fills["reference"][0] * 1.0005, rel=1e-6)
    assert fills["slippage"][0] == pytest.approx((fills["price"][0] - fills["reference"][0]) * 10.0, rel=1e-6)
    assert fills["position"].tolist() == [10.0, 0.0]
    assert fills["cash"][0] == 1e6 - 10.0 * fills["price"][0] - fills["fee"][0]
    assert trades["quantity"].tolist() == [10.0]
    assert trades["side"].tolist() == ["long"]
    assert trades[["entry", "exit"]].values.tolist() == [fills["price"].tolist()]
    assert trades["pnl"][0] == pytest.approx(float(res["final_equity"]) - 1e6, abs=1e-6)
    assert (trades["opened"][0], trades["closed"][0]) == (fills["time"][0], fills["time"][1])
    assert trades["fees"][0] == fills["fee"].sum() == float(res["fees"])
    for table in (orders, fills, trades):
        assert set(table["asset"]) == {"SPX"}


def test_tables_of_a_trial_without_any() -> None:
    @strategy
    def idle(ctx):  # type: ignore[no-untyped-def]
        pass

    res = kk.backtest(BARS, idle)
    assert [len(t(res)) for t in (kk.orders, kk.fills, kk.trades)] == [0, 0, 0]
    assert list(kk.fills(res)) == list(kk.fills(kk.backtest(BARS, orderly)))
    assert (res["equity"].values == 1e6).all()


def two_assets() -> xr.Dataset:
    """One asset begins late and misses bars, the other has all."""
    draw = np.random.default_rng(4)
    index = pd.date_range("2020-01-01", periods=300, freq="1D")
    frames = {}
    for name in ("full", "holes"):
        close = 100.0 * np.exp(np.cumsum(draw.normal(0.0, 0.02, 300)))
        frame = pd.DataFrame({"open": np.r_[100.0, close[:-1]], "close": close}, index=index)
        frame["high"], frame["low"] = frame.max(axis=1) * 1.01, frame.min(axis=1) * 0.99
        frames[name] = frame.assign(volume=1000.0)
    kept = np.ones(300, bool)
    kept[:40] = kept[100:120] = kept[150] = kept[290:] = False
    frames["holes"] = frames["holes"][kept]
    bars: xr.Dataset = kk.data.from_pandas(frames, label="open", bar="1D", calendar="24/7")
    return bars


def test_several_assets_are_separate_accounts() -> None:
    """Each is what it would be alone; its curves stand still where it has no bar."""
    bars = two_assets()
    res = kk.backtest(bars, cross, grid={"fast": [5, 9]}, venue=VENUE)
    assert res["final_equity"].dims == ("fast", "asset")
    assert res["equity"].dims == ("fast", "asset", "time")
    assert res.attrs["trials"] == 4
    for name in ("full", "holes"):
        valid = bars["valid"].sel(asset=name).values
        own = bars.sel(asset=[name]).isel(time=np.flatnonzero(valid))
        alone = kk.backtest(own, cross, grid={"fast": [5, 9]}, venue=VENUE)
        for metric in L.HEADLINE:
            np.testing.assert_array_equal(res[metric].sel(asset=name).values, alone[metric].values, metric)
        for curve, before in (("equity", 1e6), ("position", 0.0), ("drawdown", 0.0)):
            wide = (
                alone[curve].transpose("time", "fast").to_pandas().reindex(res.indexes["time"]).ffill().fillna(before)
            )
            np.testing.assert_array_equal(res[curve].sel(asset=name).values, wide.T.to_numpy(), curve)
        one = res.sel(asset=name, fast=9)
        pd.testing.assert_frame_equal(kk.fills(one), kk.fills(alone.sel(fast=9)))
        assert set(kk.fills(one)["asset"]) == {name}
    with pytest.raises(UsageError, match="several trials along asset"):
        kk.fills(res.sel(fast=5))


@signal
def drifting(ds, n=20, k=0.5):  # type: ignore[no-untyped-def]
    mean = ds["close"].rolling(time=n).mean()
    return mean.where(mean.isnull(), np.where(ds["close"] > mean, k, -0.3))


@strategy(warmup=0)
def driven(ctx, n=20, k=0.5):  # type: ignore[no-untyped-def]
    mean = ctx.close.sma(n)
    if mean == mean:
        ctx.target_percent(k if ctx.close[0] > mean else -0.3)


@pytest.mark.parametrize("bars", [BARS, two_assets()], ids=["one asset", "two"])
def test_a_signal_is_the_strategy_that_it_says(bars: xr.Dataset) -> None:
    grid = {"n": [10, 20, 35], "k": [0.5, 0.9]}
    if bars.sizes["asset"] > 1:  # rolling over missing bars is not rolling over an asset's own
        bars = bars.where(bars["valid"].all("asset"), drop=True).assign(valid=lambda d: d["valid"].astype(bool))
    vector, event = (kk.backtest(bars, s, grid=grid, venue=VENUE) for s in (drifting, driven))
    for name in L.HEADLINE:
        np.testing.assert_array_equal(vector[name].values, event[name].values, name)
    for name in ("equity", "position", "drawdown"):
        np.testing.assert_array_equal(vector[name].values, event[name].values, name)
    pick = {"n": 35, "k": 0.9} | ({"asset": "full"} if bars.sizes["asset"] > 1 else {})
    assert len(kk.fills(vector.sel(pick))) > 10
    pd.testing.assert_frame_equal(kk.fills(vector.sel(pick)), kk.fills(event.sel(pick)))
    pd.testing.assert_frame_equal(kk.trades(vector.sel(pick)), kk.trades(event.sel(pick)))


def test_a_signal_of_quantities_leaves_where_it_is_nan() -> None:
    @signal(units="quantity")
    def lots(ds):  # type: ignore[no-untyped-def]
        out = np.full(ds.sizes["time"], np.nan)
        out[10], out[20], out[30] = 7.0, np.nan, 0.0
        return out

    res = kk.backtest(BARS, lots)
    assert set(res["position"].values[:11]) == {0.0}
    assert set(res["position"].values[11:31]) == {7.0}
    assert set(res["position"].values[31:]) == {0.0}


def test_a_fixed_sequence_is_one_value() -> None:
    @signal
    def on_days(ds, days=(), n=1):  # type: ignore[no-untyped-def]
        return np.isin(np.arange(ds.sizes["time"]), list(days)) * 1.0

    res = kk.backtest(BARS, on_days, {"days": kk.fixed([5, 6, 7])}, grid={"n": [1, 2]})
    assert dict(res["final_equity"].sizes) == {"n": 2}
    assert np.flatnonzero(res["position"].sel(n=1).values).tolist() == [6, 7, 8]


def test_save(home: Path, swept: xr.Dataset) -> None:
    one = swept.sel(fast=10, slow=60, loud=True)
    path = kk.save(one, home / "one.zarr", ["equity", "gap"])
    stored = xr.open_zarr(path, chunks=None, consolidated=False).load()
    assert set(stored.data_vars) == {*L.HEADLINE, "blocks", "equity", "gap"}
    for name in stored.data_vars:
        np.testing.assert_array_equal(stored[name].values, one[name].values, str(name))
    assert stored["equity"].attrs == one["equity"].attrs
    recipe = json.loads(stored.attrs["recipe"])
    assert recipe["source"].startswith("def cross(ctx, fast=5, slow=15, k=0.5, loud=True, text='note'):")
    assert recipe["axes"] == GRID
    assert recipe["params"] == {"k": 0.8, "text": "note"}
    assert (recipe["lineage"], recipe["costs"]) == (BARS.attrs["lineage"], VENUE.costs)
    assert json.loads(stored.attrs["params"]) == recipe["params"]


def test_save_all_trials_without_curves(home: Path, swept: xr.Dataset) -> None:
    stored = xr.open_zarr(kk.save(swept, home / "all.zarr"), chunks=None, consolidated=False).load()
    assert "time" not in stored.dims
    np.testing.assert_array_equal(stored["sharpe_ratio"].values, swept["sharpe_ratio"].values)
    np.testing.assert_array_equal(stored["blocks"].values, swept["blocks"].values)
    assert stored["loud"].values.tolist() == [False, True]


def test_save_is_whole_or_not_at_all(home: Path, swept: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    one = swept.sel(fast=10, slow=60, loud=True)
    path = kk.save(one, home / "one.zarr")
    with pytest.raises(UsageError, match=r"path one\.zarr: found something there, wanted a new path"):
        kk.save(one, path)
    with pytest.raises(UsageError, match="curves: found nope, wanted variables of the result"):
        kk.save(one, home / "two.zarr", ["nope"])

    replace = Path.replace

    def full(self: Path, to: Path) -> Path:
        if to == path and not self.name.endswith(".old"):
            raise OSError("full")
        return replace(self, to)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(OSError, match="full"):
            kk.save(one, path, ["equity"], overwrite=True)
    assert [p.name for p in home.iterdir() if "zarr" in p.name] == ["one.zarr"]
    assert "equity" not in xr.open_zarr(path, consolidated=False)
    kk.save(one, path, ["equity"], overwrite=True)
    assert "equity" in xr.open_zarr(path, consolidated=False)
    assert [p.name for p in home.iterdir() if "zarr" in p.name] == ["one.zarr"]


def test_a_signal_that_fails_stops_the_sweep() -> None:
    called: list[int] = []

    @signal
    def fails(ds, n=0):  # type: ignore[no-untyped-def]
        called.append(n)
        if n == 0:
            raise ValueError("at once")
        return np.ones(ds.sizes["time"])

    with pytest.raises(ValueError, match="at once"):
        kk.backtest(BARS, fails, grid={"n": range(100)})
    assert len(called) < 60


def test_targets_of_one_cell_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    whole = working.with_target

    def watched(recipe: Any, first: int, last: int) -> Any:
        asked.append(last - first)
        return whole(recipe, first, last)

    monkeypatch.setattr(working, "with_target", watched)
    res = kk.backtest(two_assets(), drifting, grid={"n": [10, 20, 30], "k": [0.1, 0.2, 0.3]})
    assert res["final_equity"].notnull().all()
    assert set(asked) == {2} or max(asked) <= 2


def test_a_sum_of_ticks_that_64_bits_cannot_hold() -> None:
    index = pd.date_range("2020-01-01", periods=4000, freq="1D")
    close = np.r_[1e-6, np.full(3999, 4.0)]
    frame = pd.DataFrame({"open": close, "high": close, "low": close, "close": close, "volume": 1.0}, index=index)
    bars = kk.data.from_pandas(frame, label="open", bar="1D", calendar="24/7")

    @strategy
    def far(ctx, n=3000):  # type: ignore[no-untyped-def]
        ctx.target(1.0 if ctx.close[0] > ctx.close.sma(n) else 0.0)

    with pytest.raises(UsageError, match=r"a moving average: found 3000 prices of up to .* ticks, wanted a sum below"):
        kk.backtest(bars, far)
    assert np.isfinite(float(kk.backtest(bars, far, {"n": 1000})["final_equity"]))
