"""Every widget there is, over real results: it follows, lets go, refuses, and escapes like all the others."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import kernelkit as kk
from kernelkit.errors import UsageError
from kernelkit.inference import changes
from kernelkit.notebook.widgets import chart, explorer, trade_inspector
from kernelkit.notebook.widgets.base import STATIC
from kernelkit.notebook.widgets.watching import Watch
from kernelkit.notebook.widgets.weight_map import weights
from kernelkit.report.shown import many_of, shown
from tests.notebook.test_widgets import widgets

pytestmark = pytest.mark.usefixtures("own_ledger")

BARS = kk.data.load("sp500_index").sel(time=slice("2006", "2009"))
EVIL = "<img src=x onerror=alert(1)>"


@kk.strategy
def trend(ctx, n=50):
    ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else 0.0)


@kk.strategy
def never(ctx):
    ctx.target_percent(0.0)


@kk.portfolio
def dipping(ctx, low=0.1):
    for k in ctx.tradable:
        ctx[k].target_percent(low if ctx.i == 450 else 0.1)


@pytest.fixture(scope="module")
def grid():
    return kk.backtest(BARS, trend, grid={"n": [20, 50, 100]})


@pytest.fixture(scope="module")
def paths():
    return kk.cross_validate(BARS, trend, grid={"n": [20, 50]}, splits=kk.splits.combinatorial(4, 2))


@pytest.fixture(scope="module")
def basket():
    """Bars of assets of which one has a name that is HTML."""
    moves = 0.01 * np.random.default_rng(3).normal(size=(900, 2))
    index, columns = pd.bdate_range("2015-01-01", periods=900), ("open", "high", "low", "close")
    closes = 100 * np.exp(moves.cumsum(axis=0)).round(6)
    names = enumerate((EVIL, "b"))
    frames = {name: pd.DataFrame(dict.fromkeys(columns, closes[:, k]), index=index) for k, name in names}
    return kk.data.from_pandas(frames, calendar="24/5")


@pytest.fixture
def made(grid, paths):
    """Makes a widget of a class, over a result that it is for."""
    stress = kk.stress(BARS, trend, scenarios=[kk.scenarios.Gap(-0.1)])
    makers = {
        "Chart": lambda: chart(grid),
        "TradeInspector": lambda: trade_inspector(grid),
        "Explorer": lambda: explorer(grid),
        "MonthMap": grid.kk.monthly,
        "WeightMap": lambda: weights(grid),
        "CorrelationMap": grid.kk.correlation,
        "VerdictCard": lambda: grid.kk.verdict(replications=99),
        "PathFan": paths.kk.fan,
        "StressWaterfall": stress.kk.waterfall,
        "Explore": lambda: kk.explore(BARS, trend, n=(20, 100)),
        "Watch": Watch,
    }
    return lambda kind: makers[kind.__name__]()


def followers(widget):
    return sum(len(found) for by_kind in widget.selection._trait_notifiers.values() for found in by_kind.values())


@pytest.mark.parametrize("kind", widgets(), ids=lambda kind: kind.__name__)
def test_widget__lets_go_when_it_is_closed_or_its_last_view_has_gone(made, kind):
    first = made(kind)
    first.close()
    before = followers(first)
    widget = made(kind)
    shared = followers(widget)
    assert shared > (before if widget.selection is first.selection else 1)
    widget._view_count = 1  # as the browser counts
    assert followers(widget) == shared
    widget._view_count = 0
    assert followers(widget) < shared
    widget.selection.span = (0, 10**15)
    assert widget.selected["span"] is None
    widget._view_count = 1
    assert followers(widget) == shared
    assert widget.selected["span"] == [0.0, 1e9]
    widget.selection.span = None
    widget.close()
    assert followers(widget) < shared


@pytest.mark.parametrize("kind", widgets(), ids=lambda kind: kind.__name__)
def test_widget__a_selection_that_another_refuses_is_said_and_undone(made, kind, monkeypatch):
    widget, told = made(kind), []
    monkeypatch.setattr(widget, "tell", lambda kind, arrays=None, **content: told.append((kind, content)))

    def refuse(change):
        if change["new"] == {"no": 1}:
            raise UsageError("no such trial")

    widget.selection.observe(refuse, "trial")
    before = widget.selected
    widget.selected = {"trial": {"no": 1}, "trade": None, "span": None}
    ((kind, content),) = told
    assert kind == "error"
    assert "no" in content["text"]
    assert widget.selected == before
    widget.selection.unobserve(refuse, "trial")
    widget.close()


@pytest.mark.parametrize("kind", widgets(), ids=lambda kind: kind.__name__)
def test_fallback__escapes_what_a_user_named(made, kind, grid, monkeypatch):
    monkeypatch.setitem(grid.attrs, "title", EVIL)
    monkeypatch.setitem(grid.attrs, "strategy", EVIL)
    widget = made(kind)
    assert "<img" not in widget.fallback()
    widget.close()


def test_fallback__of_weights_escapes_names(basket):
    widget = weights(kk.backtest(basket, dipping))
    assert widget.about["stackable"]
    picture = widget.fallback()
    assert "&lt;img" in picture
    assert "<img" not in picture
    ET.fromstring(f"<html>{picture}</html>")


def test_weights__of_one_short_bar_are_not_stacked(basket):
    found = weights(kk.backtest(basket, dipping, {"low": -0.02}))
    assert (found._held.weights().values >= 0.0).all()  # in the means that are drawn none is
    assert not found.about["stackable"]
    assert found.about["bar"] == 86_400_000.0


def test_default_trial__is_the_same_everywhere():
    res = kk.backtest(BARS, trend, grid={"n": [20, 50]}, fill_model=["lean", "conservative"])
    one = shown(res)
    assert one.labels["fill_model"] == res["fill_model"].values[0]
    assert many_of(res) == 2
    drawn = chart(res)
    assert drawn.scene.labels == {name: one.labels[name] for name in drawn.dims}
    assert one.how in drawn.facts["caption"]
    assert one.title in res.kk.monthly().about["title"]
    assert one.title in weights(res).about["title"]


def test_default_trial__of_paths_is_the_middle_one(paths):
    drawn = chart(paths)
    assert drawn.scene.labels == shown(paths).labels
    assert "the middle one of" in drawn.facts["caption"]


def test_inspector__of_a_result_without_trades():
    widget = trade_inspector(kk.backtest(BARS, never))
    assert widget.table["n"] == 0
    assert [(c["name"], c["kind"], c["words"]) for c in widget.table["columns"][:2]] == [
        ("asset", "text", []),
        ("side", "text", []),
    ]
    assert "0 of 0 trades" in widget.fallback()


def test_scripts__send_by_post_alone_and_hear_errors():
    scripts = {file.name: file.read_text("utf-8") for file in STATIC.iterdir() if file.name.endswith(".js")}
    assert [name for name, text in scripts.items() if "model.send(" in text] == ["common.js"]
    ones = {f"{kind._name}.js" for kind in widgets()}
    for name in ones:
        assert "frame(model, el" in scripts[name]
        assert "own.end" in scripts[name] or ", end }" in scripts[name]


def test_explore__a_reading_of_the_ledger_waits_only_once(monkeypatch):
    widget = kk.explore(BARS, trend, n=(20, 100))
    widget.count().result()
    jobs = []
    executor = SimpleNamespace(submit=lambda job: jobs.append(job) or job)
    monkeypatch.setattr("kernelkit.notebook.widgets.sliders._counting", lambda: executor)
    for _ in range(5):
        widget.count()
    assert len(jobs) == 1
    jobs[0]()
    widget.count()
    assert len(jobs) == 2
    assert widget.counted["n"] >= 1


def test_explore__copies_a_timestamp_as_text():
    widget = kk.explore(BARS, trend, n=(20, 100), end=pd.Timestamp("2008-06-30"))
    assert "end='2008-06-30T00:00:00'" in widget.studied.code(widget.values)


def test_changes__of_a_t_beyond_all_doubt(grid):
    found = kk.verdict(grid, replications=99)
    test = found.evidence.headline
    for t in (1e-9, 50.0):
        test.t[found.evidence.place] = t
        said = changes.changes(found)
        assert not any(word in " ".join(said) for word in ("inf", "nan", "About 0"))
