"""The explorer: which metrics and dims a result has, what a cell is, what is joined to the best."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import kernelkit as kk
from kernelkit.errors import UsageError
from kernelkit.notebook.widgets import explorer
from kernelkit.notebook.widgets.metric_map import FAILED, NOT_RUN, SHOWN, UNDEFINED
from kernelkit.report.shown import shown as best


@kk.strategy
def cross(ctx, fast=20, slow=100, weight=1.0):
    if ctx.close.sma(fast) > ctx.close.sma(slow):
        ctx.target_percent(weight)
    else:
        ctx.target_percent(0.0)


@pytest.fixture(scope="module")
def bars():
    return kk.data.load("sp500_index").isel(time=slice(0, 900))


@pytest.fixture(scope="module")
def res(bars, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERNELKIT_LEDGER", str(tmp_path_factory.mktemp("ledger")))
        grid = dict(fast=[5, 10, 20], slow=[10, 20, 40, 80], weight=[0.5, 1.0])
        yield kk.backtest(bars, cross, grid=grid, where="fast < slow")


def numbers(part):
    return np.frombuffer(part["data"], part["dtype"]).reshape(part["shape"])


def see(shown, **change):
    """What the browser sets when a control changes."""
    shown.shown = shown.shown | change
    return shown.picture["panes"]


def test_explorer__shows_the_metric_over_two_dims_and_the_others_at_one_label(res):
    shown = explorer(res)
    (pane,) = shown.picture["panes"]
    assert (shown.shown["metric"], shown.shown["x"], shown.shown["y"]) == ("sharpe_ratio", "fast", "slow")
    want = res["sharpe_ratio"].isel(weight=0).transpose("slow", "fast").values
    assert np.array_equal(numbers(pane["values"]), want.astype("f4"), equal_nan=True)
    (other,) = see(shown, x="weight", y="fast", at=shown.shown["at"] | {"slow": 3}, metric="max_drawdown")
    want = res["max_drawdown"].sel(slow=80).transpose("fast", "weight").values
    assert np.array_equal(numbers(other["values"]), want.astype("f4"))


@pytest.mark.parametrize("how", ["median", "max", "min"])
def test_explorer__reduces_a_dim_over_what_was_run(res, how):
    (pane,) = see(explorer(res), x="fast", y="weight", at={"fast": 0, "weight": 0, "slow": how})
    want = getattr(np, f"nan{how}")(res["sharpe_ratio"].transpose("weight", "fast", "slow").values, axis=2)
    assert np.array_equal(numbers(pane["values"]), want.astype("f4"))


def test_explorer__a_cell_says_why_it_has_no_value():
    values = [[0.1, np.nan, np.nan, np.nan]]
    ds = xr.Dataset(
        {
            "sharpe_ratio": (("b", "a"), values),
            "final_equity": (("b", "a"), [[1.0, np.nan, np.nan, 2.0]]),
            "error": (("b", "a"), [["", "", "boom", ""]]),
        },
        coords={"a": [1, 2, 3, 4], "b": [0]},
    )
    (pane,) = explorer(ds, "sharpe_ratio", "a", "b").picture["panes"]
    assert numbers(pane["state"]).tolist() == [[SHOWN, NOT_RUN, FAILED, UNDEFINED]]


def test_explorer__cells_that_where_excludes_were_not_run(res):
    (pane,) = explorer(res).picture["panes"]
    excluded = np.array([[s <= f for f in (5, 10, 20)] for s in (10, 20, 40, 80)])
    assert np.array_equal(numbers(pane["state"]) == NOT_RUN, excluded)


def test_explorer__the_plateau_is_that_of_rule_b11():
    grid = np.array([[1.0, 0.9, 0.1], [0.9, 0.1, 0.1], [0.1, 0.1, 0.95]])
    ds = xr.Dataset({"sharpe_ratio": (("slow", "fast"), grid)}, coords={"slow": [1, 2, 3], "fast": [1, 2, 3]})
    (pane,) = explorer(ds).picture["panes"]
    found = numbers(pane["plateau"])
    if explorer(ds).shown["x"] == "slow":
        found = found.T
    assert found.tolist() == [[1, 1, 0], [1, 0, 0], [0, 0, 0]]  # the last is as high, and not joined
    assert pane["stability"] == pytest.approx((0.9 + 0.9 + 0.1) / 3)


def test_explorer__what_has_no_best_has_no_plateau(res):
    (pane,) = explorer(res, "max_drawdown").picture["panes"]
    assert numbers(pane["plateau"]).size == 0


def test_explorer__a_click_selects_the_trial_for_every_widget_of_the_result(res):
    first, second, apart = explorer(res), explorer(res, "cagr"), explorer(res, selection=kk_selection())
    first.heard("pick", {"i": 3, "j": 1})
    assert second.selection.trial == {"fast": 10, "slow": 80, "weight": 0.5}
    assert second.cursor == [3, 1]
    assert apart.selection.trial is None
    second.selection.trial = {"fast": 5, "slow": 40, "weight": 1.0}
    assert first.shown["at"]["weight"] == 1
    assert first.cursor == [2, 0]


def test_explorer__begins_at_the_trial_that_other_widgets_show(res):
    shown = explorer(res, selection=kk_selection())
    labels = best(res).labels
    assert shown.cursor == [[10, 20, 40, 80].index(labels["slow"]), [5, 10, 20].index(labels["fast"])]
    assert res["weight"].values[shown.shown["at"]["weight"]] == labels["weight"]
    assert shown.selection.trial is None  # nobody has chosen it


def test_explorer__another_place_of_the_other_dims_stays_and_its_trials_are_not_the_selected_one(res):
    shown = explorer(res, selection=kk_selection())
    shown.heard("pick", {"i": 3, "j": 1})
    weight = shown.shown["at"]["weight"]
    see(shown, at=shown.shown["at"] | {"weight": 1 - weight})
    assert shown.shown["at"]["weight"] == 1 - weight
    assert shown.cursor == []
    see(shown, at=shown.shown["at"] | {"weight": weight})
    assert shown.cursor == [3, 1]


@pytest.mark.parametrize("message", [{"i": -1, "j": 0}, {"i": 0, "j": 3}, {"i": 10**30, "j": 0}])
def test_explorer__a_cell_that_is_not_there_selects_nothing(res, message):
    shown = explorer(res, selection=kk_selection())
    with pytest.raises(UsageError, match="wanted a cell"):
        shown.heard("pick", message)
    assert shown.selection.trial is None


@pytest.mark.parametrize("said", [{"trial": "x"}, {"trade": "x"}, {"span": [1]}, {"span": ["a", "b"]}, {"span": 3}])
def test_explorer__a_selection_that_is_none_is_taken_back(res, said):
    shown = explorer(res, selection=kk_selection())
    shown.heard("pick", {"i": 3, "j": 1})
    before = dict(shown.selected)
    shown.selected = said
    assert shown.selected == before
    assert shown.selection.trial == {"fast": 10, "slow": 80, "weight": before["trial"]["weight"]}


def kk_selection():
    from kernelkit.notebook.widgets import Selection

    return Selection()


def test_explorer__where_a_dim_is_reduced_a_click_selects_the_trial_that_is_shown(res):
    shown = explorer(res, selection=kk_selection())
    see(shown, at=shown.shown["at"] | {"weight": "max"})
    shown.heard("pick", {"i": 3, "j": 2})
    trial = shown.selection.trial
    assert (trial["fast"], trial["slow"]) == (20, 80)
    assert res["sharpe_ratio"].sel(trial) == res["sharpe_ratio"].sel(fast=20, slow=80).max()


def test_explorer__in_and_out_of_sample_stand_side_by_side(bars, tmp_path, monkeypatch):
    monkeypatch.setenv("KERNELKIT_LEDGER", str(tmp_path))
    folds = kk.cross_validate(bars, cross, grid=dict(fast=[5, 10], slow=[20, 40]), splits=kk.splits.combinatorial(4, 2))
    shown = explorer(folds)
    assert [p["title"] for p in shown.picture["panes"]] == ["in sample", "out of sample"]
    for pane, name in zip(shown.picture["panes"], ("is_sharpe_ratio", "oos_sharpe_ratio"), strict=True):
        want = folds[name].isel(split=0).transpose("slow", "fast").values
        assert np.array_equal(numbers(pane["values"]), want.astype("f4"))
    paths = see(shown, metric="sharpe_ratio")
    assert (shown.shown["x"], shown.shown["y"]) == ("path", None)
    assert numbers(paths[0]["values"]).shape == (1, folds.sizes["path"])


def test_explorer__folds_of_a_walk_forward_are_a_line(bars, tmp_path, monkeypatch):
    monkeypatch.setenv("KERNELKIT_LEDGER", str(tmp_path))
    grid = dict(fast=[5, 10], slow=[20, 40])
    shown = explorer(kk.walk_forward(bars, cross, grid=grid, train="1Y", test="6M"))
    assert (shown.shown["x"], shown.shown["y"]) == ("fold", None)
    assert [p["title"] for p in shown.picture["panes"]] == ["in sample", "out of sample"]
    assert "in sample" in shown.fallback()


def test_explorer__stands_as_a_picture_where_no_kernel_is(res):
    assert "<svg" in explorer(res).fallback()


def test_explorer__says_what_it_cannot_show(bars, res, tmp_path, monkeypatch):
    monkeypatch.setenv("KERNELKIT_LEDGER", str(tmp_path))
    with pytest.raises(UsageError, match="found one trial, wanted several"):
        explorer(kk.backtest(bars, cross))
    with pytest.raises(UsageError, match="metric of the explorer: found 'sharp'"):
        explorer(res, "sharp")
    with pytest.raises(UsageError, match="x of the explorer: found 'time'"):
        explorer(res, x="time")
    with pytest.raises(UsageError, match="y of the explorer: found 'fast'"):
        explorer(res, x="fast", y="fast")
