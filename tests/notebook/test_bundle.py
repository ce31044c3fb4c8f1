"""The MIME bundle of a result: its schema, its choice of the best trial, its benchmark."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import kernelkit as kk
from kernelkit import schema
from kernelkit.errors import UsageError
from kernelkit.notebook import buy_and_hold, compare, result_bundle, save, show
from kernelkit.notebook.bundle import POINTS, RESULT_MIME, summary, thin
from kernelkit.report.shown import best_place

pytestmark = pytest.mark.usefixtures("own_ledger")

VENUE = kk.Venue("own", kk.fees.fraction(0.001), kk.slippage.fraction(0.0005))


@kk.strategy
def crossing(ctx, fast=20, slow=100):
    if ctx.close.sma(fast) > ctx.close.sma(slow):
        ctx.target_percent(1.0)
    else:
        ctx.target_percent(0.0)


@pytest.fixture(scope="module")
def bars():
    return kk.data.load("sp500_index")


@pytest.fixture(scope="module")
def grid(bars):
    axes = {"fast": [10, 20, 50, 120], "slow": [60, 100, 150]}
    return kk.backtest(bars, crossing, grid=axes, where="fast < slow", venue=VENUE)


def as_json(res):
    """The payload as it arrives at the front end; NaN would not."""
    return json.loads(json.dumps(summary(res), allow_nan=False))


def numbers_or_none(values) -> bool:
    return all(v is None or (isinstance(v, (int, float)) and math.isfinite(v)) for v in values)


def test_bundle__schema_1(grid):
    payload = as_json(grid)
    assert payload["schema"] == 1
    assert set("name strategy data costs dims n_trials best benchmark curve heatmap".split()) < set(payload)
    assert payload["name"] == payload["strategy"] == "crossing"
    assert payload["data"]["name"] == "sp500_index"
    assert payload["data"]["note"] == "index level, not tradable as such"
    assert payload["data"]["lineage"] == grid.attrs["lineage"]
    assert payload["costs"] == "fees fraction(rate=0.001), slippage fraction(rate=0.0005)"
    assert payload["dims"] == {"fast": [10, 20, 50, 120], "slow": [60, 100, 150]}
    assert payload["n_trials"] == 10
    assert set(payload["best"]["metrics"]) == set(payload["benchmark"]["metrics"]) == set(schema.METRICS)
    assert numbers_or_none(payload["best"]["metrics"].values())
    curve = payload["curve"]
    assert {len(values) for values in curve.values()} == {len(curve["time"])}
    assert 0 < len(curve["time"]) <= POINTS
    assert numbers_or_none(curve["equity"] + curve["benchmark"] + curve["drawdown"])
    assert max(curve["drawdown"]) <= 0.0


def test_bundle__best_is_the_highest_sharpe_ratio_with_its_own_curves(grid):
    payload = as_json(grid)
    best = payload["best"]
    one = grid.sel(best["params"])
    assert float(one["sharpe_ratio"]) == np.nanmax(grid["sharpe_ratio"].values)
    assert best["metrics"]["final_equity"] == pytest.approx(float(one["final_equity"]), rel=1e-9)
    assert payload["curve"]["equity"][-1] == pytest.approx(float(one["equity"][-1]), rel=1e-6)
    # the deepest point survives the thinning
    assert -min(payload["curve"]["drawdown"]) == pytest.approx(float(one["drawdown"].max()), rel=1e-6)


@pytest.mark.parametrize(
    ("sharpe", "best"),
    [
        ([[0.1, 0.9], [0.9, 0.2]], (0, 1)),
        ([[math.nan, math.nan], [-0.5, -0.4]], (1, 1)),
        ([[math.nan, math.nan], [math.nan, math.nan]], (0, 1)),
        ([[math.inf, 0.1], [0.2, 0.3]], (1, 1)),
    ],
)
def test_best_place__ties_go_to_the_earliest(sharpe, best):
    done = np.array([[False, True], [True, True]])
    assert best_place(np.array(sharpe), done) == best


def test_bundle__benchmark_is_a_backtest_of_holding_over_the_same_span(grid, bars):
    held = buy_and_hold(bars, start=grid["time"].values[0], venue=VENUE)
    payload = as_json(grid)
    for name, value in payload["benchmark"]["metrics"].items():
        wanted = float(held[name])
        assert value is None if math.isnan(wanted) else value == pytest.approx(wanted, rel=1e-9)
    assert payload["curve"]["benchmark"][0] == 1_000_000.0
    assert payload["curve"]["benchmark"][-1] == pytest.approx(float(held["final_equity"]), rel=1e-6)
    assert float(held["fees"]) > 0


def test_bundle__heat_map_holds_every_trial(grid):
    heatmap = as_json(grid)["heatmap"]
    assert (heatmap["x"], heatmap["y"], heatmap["metric"]) == ("fast", "slow", "sharpe_ratio")
    wanted = grid["sharpe_ratio"].transpose("slow", "fast").values
    found = np.array(heatmap["values"], "f8")
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert heatmap["values"][0][3] is None


def test_bundle__one_axis_or_none_has_no_heat_map(bars):
    assert as_json(kk.backtest(bars, crossing))["heatmap"] is None
    assert as_json(kk.backtest(bars, crossing, grid={"fast": [10, 20]}))["heatmap"] is None


def test_bundle__one_trial_names_its_parameters(bars):
    payload = as_json(kk.backtest(bars, crossing, {"slow": 80}))
    assert payload["best"]["params"] == {"fast": 20, "slow": 80}
    assert payload["dims"] == {}
    assert payload["n_trials"] == 1


def test_bundle__of_a_selection_is_about_the_selection(grid):
    payload = as_json(grid.sel(fast=20))
    assert payload["dims"] == {"slow": [60, 100, 150]}
    assert payload["n_trials"] == 3
    assert payload["best"]["params"]["fast"] == 20


def test_bundle__several_assets_are_a_dim(bars):
    both = {n: kk.data.load(n) for n in ("sp500_index", "nasdaq_index")}
    import xarray as xr

    joined = xr.concat(list(both.values()), "asset", join="exact", combine_attrs="override")
    payload = as_json(kk.backtest(joined, crossing, grid={"fast": [10, 20]}))
    assert payload["dims"] == {"fast": [10, 20], "asset": ["SPX", "IXIC"]}
    assert payload["best"]["params"]["asset"] in ("SPX", "IXIC")
    assert payload["heatmap"]["y"] == "asset"
    own = both["sp500_index" if payload["best"]["params"]["asset"] == "SPX" else "nasdaq_index"]
    start = joined["time"].values[99]
    assert payload["benchmark"]["metrics"]["final_equity"] == pytest.approx(
        float(buy_and_hold(own, start=start)["final_equity"]), rel=1e-9
    )


def test_bundle__synthetic_data_say_so():
    made = kk.data.load("synthetic_minute", n=3000)
    bundle = result_bundle(kk.backtest(made, crossing))
    assert bundle[RESULT_MIME]["data"]["note"].startswith("synthetic data")
    assert "synthetic data" in bundle["text/html"]
    assert "synthetic data" in bundle["text/plain"]
    assert bundle[RESULT_MIME]["curve"]["time"][0].endswith("Z")


def test_bundle__a_result_without_its_simulator_shows_metrics_alone(bars):
    res = kk.backtest(bars, crossing, grid={"fast": [10, 20]}, outputs=("metrics",))
    payload = as_json(res)
    assert payload["curve"]["time"] == []
    assert payload["benchmark"]["metrics"] == {}
    assert payload["best"]["params"]["fast"] in (10, 20)
    assert result_bundle(res)["text/html"].count("<svg") == 0


def test_bundle__of_a_stored_result(grid, tmp_path):
    import xarray as xr

    kk.save(grid, tmp_path / "grid.zarr")
    with xr.open_zarr(tmp_path / "grid.zarr", consolidated=False) as stored:
        payload = as_json(stored.load())
    assert payload["best"] == as_json(grid)["best"]
    assert payload["heatmap"] == as_json(grid)["heatmap"]
    assert payload["curve"]["time"] == []


def test_bundle__needs_metrics(bars):
    with pytest.raises(UsageError, match="wanted metrics"):
        summary(kk.backtest(bars, crossing, outputs=("final_equity",)))


def test_bundle__the_same_result_gives_the_same_bytes(grid):
    assert json.dumps(result_bundle(grid)) == json.dumps(result_bundle(grid))


def test_plain__says_what_must_be_said(grid, bars):
    text = result_bundle(grid)["text/plain"]
    assert "index level, not tradable as such" in text
    assert "selected in-sample" in text
    assert "of 10 trials" in text
    assert "COSTS: NONE" not in text
    assert "COSTS: NONE" in result_bundle(kk.backtest(bars, crossing))["text/plain"]


def test_thin__keeps_ends_and_order():
    drawdown = np.abs(np.sin(np.arange(10_000) / 700.0))
    rows = thin(drawdown)
    assert len(rows) <= POINTS
    assert rows[0] == 0
    assert rows[-1] == 9_999
    assert (np.diff(rows) > 0).all()
    assert int(np.argmax(drawdown)) in rows


def test_show__displays_the_bundle(grid, capsys):
    show(grid)
    assert "crossing on sp500_index" in capsys.readouterr().out


def test_compare__refuses_several_trials(grid):
    with pytest.raises(UsageError, match="several trials along fast"):
        compare({"grid": grid})


def test_buy_and_hold__is_no_rival_in_the_ledger(bars, tmp_path, monkeypatch):
    from kernelkit import ledger

    monkeypatch.chdir(tmp_path)
    (tmp_path / ".kernelkit").mkdir()
    buy_and_hold(bars)
    rows = list(ledger.rows("trials"))
    assert [row["role"] for row in rows] == ["benchmark"]


def test_save__writes_what_is_shown(grid, tmp_path):
    path = save(grid, tmp_path / "grid.kkr.json")
    assert json.loads(path.read_text()) == as_json(grid)
    assert [found.name for found in tmp_path.iterdir()] == ["grid.kkr.json"]


def test_save__refuses_before_anything_is_written(grid, tmp_path):
    with pytest.raises(UsageError, match=r"ends in .kkr.json"):
        save(grid, tmp_path / "grid.json")
    with pytest.raises(UsageError, match="mkdir -p"):
        save(grid, tmp_path / "no" / "grid.kkr.json")
    assert list(tmp_path.iterdir()) == []
