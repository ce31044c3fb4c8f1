"""The widgets of paths, scenarios, months, weights, correlations, verdicts: what travels, what follows, what stays."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import kernelkit as kk
from kernelkit.errors import UsageError
from kernelkit.notebook.widgets.base import packed
from kernelkit.notebook.widgets.selection import Selection, of

pytestmark = pytest.mark.usefixtures("own_ledger")

BARS = kk.data.load("sp500_index").sel(time=slice("2006", "2009"))


@kk.strategy
def trend(ctx, n=50):
    ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else 0.0)


@kk.portfolio
def equal(ctx):
    if ctx.i % 50 == 0:
        for k in ctx.tradable:
            ctx[k].target_percent(0.04)


@pytest.fixture(scope="module")
def grid():
    return kk.backtest(BARS, trend, grid={"n": [20, 50, 100]})


@pytest.fixture(scope="module")
def basket():
    moves = 0.01 * np.random.default_rng(3).normal(size=(900, 20))
    index, columns = pd.bdate_range("2015-01-01", periods=900), ("open", "high", "low", "close")
    closes = 100 * np.exp(moves.cumsum(axis=0)).round(6)
    frames = {f"a{k}": pd.DataFrame(dict.fromkeys(columns, closes[:, k]), index=index) for k in range(20)}
    return kk.backtest(kk.data.from_pandas(frames, calendar="24/5"), equal)


def size(widget):
    return sum(memoryview(part["data"]).nbytes for part in widget.arrays.values())


def unpacked(part):
    return np.frombuffer(part["data"], part["dtype"]).reshape(part["shape"])


def test_fan__of_many_long_paths_sends_quantiles():
    time = pd.bdate_range("2000-01-01", periods=5000).values.astype("M8[ns]")
    steps = 0.01 * np.random.default_rng(1).normal(size=(1000, 5000))
    growth = np.exp(steps.cumsum(axis=1))
    res = xr.Dataset(
        {
            "equity_oos": (("path", "time"), 1e6 * growth),
            "total_return": ("path", growth[:, -1] - 1.0),
            "final_equity": ("path", 1e6 * growth[:, -1]),
            "max_drawdown": ("path", (1.0 - growth / np.maximum.accumulate(growth, axis=1)).max(axis=1)),
        },
        {"time": time, "path": np.arange(1000)},
    )
    widget = res.kk.fan()
    assert size(widget) < 50_000 < res.nbytes / 500
    np.testing.assert_allclose(unpacked(widget.arrays["bands"])[2, -1], np.median(growth[:, -1]))


def test_fan__answers_with_the_curve_of_a_path(monkeypatch):
    res = kk.cross_validate(BARS, trend, grid={"n": [20, 50]}, splits=kk.splits.combinatorial(4, 2))
    widget, sent = res.kk.fan(), []
    monkeypatch.setattr(widget, "send", lambda content, buffers=None: sent.append((content, buffers)))
    widget._receive(widget, {"kind": "curve", "place": 1}, [])
    ((content, [data]),) = sent
    curve = np.frombuffer(data, content["arrays"]["curve"]["dtype"])
    assert curve[-1] == pytest.approx(1.0 + float(res["total_return"][1]))


def test_months__follow_the_selected_trial(grid):
    widget = grid.kk.monthly()
    before = widget.about["title"]
    of(grid).trial = {"n": 20}
    assert "n=20: one of 3 trials" in widget.about["title"] != before
    wanted = packed(grid.sel(n=20).kk.monthly(selection=Selection())._found.values)
    assert bytes(widget.arrays["values"]["data"]) == bytes(wanted["data"])
    widget.close()
    of(grid).trial = None
    assert "n=20" in widget.about["title"]


def test_weights__answer_a_span_with_what_is_finer(basket, monkeypatch):
    widget, sent = basket.kk.weights(), []
    assert unpacked(widget.arrays["values"]).shape == (20, 400)
    monkeypatch.setattr(widget, "send", lambda content, buffers=None: sent.append((content, buffers)))
    first, last = (basket["time"].values[k].astype("M8[ms]").astype("i8") for k in (100, 149))
    widget._receive(widget, {"kind": "span", "first": int(first), "last": int(last), "asked": 3}, [])
    content = sent[0][0]
    assert content["asked"] == 3
    assert content["arrays"]["values"]["shape"] == [20, 50]  # every bar of its own


def test_correlation__rows_are_trials(grid):
    widget = grid.kk.correlation()
    assert sorted(trial["n"] for trial in widget.about["trials"]) == [20, 50, 100]
    assert unpacked(widget.arrays["values"]).dtype == "f4"


def test_waterfall__is_json_and_has_every_scenario():
    res = kk.stress(BARS, trend, scenarios=[kk.scenarios.Gap(-0.1), kk.scenarios.Gap(-0.2)])
    widget = res.kk.waterfall()
    assert set(json.loads(json.dumps(widget.about))["labels"]) == {"Gap(-10%)", "Gap(-20%)"}
    assert "against the base" in widget.fallback()


def test_verdict__says_what_would_change_it(grid):
    widget = grid.kk.verdict(replications=199)
    assert widget.card == widget.fallback() == widget.found._repr_html_()
    assert "What would change it" in widget.card
    many, dsr = (unpacked(widget.arrays[name]) for name in ("trials", "dsr"))
    assert (np.diff(dsr) <= 0.0).all()  # trying more never helps
    k = int(np.argmin(np.abs(many - widget.found.n_trials)))
    assert dsr[k] == pytest.approx(widget.found.evidence.dsr("2014", many[k]))


@pytest.mark.parametrize("name", ["monthly", "correlation", "verdict"])
def test_still__is_well_formed_and_needs_no_script(grid, name):
    picture = getattr(grid.kk, name)().fallback()
    assert "<script" not in picture
    assert "http" not in picture
    ET.fromstring(f"<html>{picture}</html>")


def test_selection__of_its_own(grid):
    own = Selection()
    assert grid.kk.monthly(selection=own).selection is own is not of(grid)


def test_weights__of_no_positions(grid):
    with pytest.raises(UsageError, match="position"):
        grid[["sharpe_ratio", "final_equity", "total_return"]].kk.weights()
