"""The widgets' scripts in a bare page, with the widget in Python behind them: what a notebook does, without one."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import kernelkit as kk
from kernelkit.notebook.widgets import chart, explorer, trade_inspector
from kernelkit.notebook.widgets.base import Widget
from kernelkit.notebook.widgets.panes import MOST_PIECES
from kernelkit.notebook.widgets.selection import Selection, of

BARS = kk.data.load("sp500_index").sel(time=slice("2006", "2009"))
MODEL = """
async ([script, style, state]) => {
    const bytes = text => new DataView(Uint8Array.from(atob(text), c => c.charCodeAt(0)).buffer);
    const read = v => Array.isArray(v) ? v.map(read) : v && typeof v === 'object'
        ? ('base64' in v ? bytes(v.base64) : Object.fromEntries(Object.entries(v).map(([k, w]) => [k, read(w)]))) : v;
    const traits = read(state), heard = {};
    const hear = (name, ...args) => [...(heard[name] ?? [])].forEach(f => f(...args));
    window.model = {
        get: name => traits[name],
        set: (name, value) => { traits[name] = value; hear(`change:${name}`); },
        save_changes: () => {},
        on: (name, f) => (heard[name] ??= []).push(f),
        off: (name, f) => { heard[name] = heard[name].filter(g => g !== f); },
        send: content => { window.sent.push(content); window.post?.(content); },
    };
    window.sent = [];
    window.tell = (content, buffers) => hear('msg:custom', content, buffers.map(bytes));
    window.left = () => Object.values(heard).reduce((n, found) => n + found.length, 0);
    const url = URL.createObjectURL(new Blob([script], { type: 'text/javascript' }));
    const { default: { render } } = await import(url);
    document.body.innerHTML = '<style></style><div id="here"></div>';
    document.querySelector('style').textContent = style;
    window.end = await render({ model: window.model, el: document.getElementById('here') });
    await new Promise(done => requestAnimationFrame(() => setTimeout(done, 150)));
}
"""


@kk.strategy
def trend(ctx, n=50):
    ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else 0.0)


def text_of(value: Any) -> Any:
    """State as JSON carries it."""
    if isinstance(value, memoryview):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {key: text_of(part) for key, part in value.items()}
    return [text_of(part) for part in value] if isinstance(value, list | tuple) else value


@dataclass
class Bare:
    """A page that shows one widget's script; ``problems`` are the errors that it raised."""

    page: Any
    problems: list[str] = field(default_factory=list)

    def show(self, widget: Widget) -> None:
        """Render the widget as it is now."""
        state = {name: text_of(value) for name, value in widget.get_state().items() if name not in ("_esm", "_css")}
        self.page.evaluate(MODEL, [widget._esm, widget._css, state])

    def answer(self, widget: Widget, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let the widget answer what the script has sent, once."""
        told: list[tuple[Any, list[str]]] = []

        def send(content: Any, buffers: Any = None) -> None:
            told.append((content, [base64.b64encode(part).decode() for part in buffers or ()]))

        monkeypatch.setattr(widget, "send", send)
        for content in self.page.evaluate("window.sent.splice(0)"):
            widget._receive(widget, content, [])
        for content, buffers in told:
            self.page.evaluate("([content, buffers]) => window.tell(content, buffers)", [content, buffers])


@pytest.fixture(scope="module", autouse=True)
def _ledger(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("ledger"))
        yield


@pytest.fixture
def bare(browser):
    page = browser.new_page(viewport={"width": 1200, "height": 800})
    found = Bare(page)
    page.on("pageerror", lambda error: found.problems.append(str(error)))
    yield found
    page.close()
    assert found.problems == []


@pytest.fixture(scope="module")
def grid():
    return kk.backtest(BARS, trend, grid={"n": [20, 50, 100]})


@pytest.fixture(scope="module")
def paths():
    return kk.cross_validate(BARS, trend, grid={"n": [20, 50]}, splits=kk.splits.combinatorial(4, 2))


MAKERS = {
    "chart": chart,
    "inspector": trade_inspector,
    "explorer": explorer,
    "monthly": lambda res: res.kk.monthly(),
    "weights": lambda res: res.kk.weights(),
    "correlation": lambda res: res.kk.correlation(),
    "verdict": lambda res: res.kk.verdict(replications=99),
}


@pytest.mark.parametrize("name", MAKERS)
def test_widget__is_rendered_anew_with_what_is_selected(bare, grid, name):
    of(grid).set_trait("trial", {"n": 20})
    of(grid).set_trait("trade", 1)
    span = grid["time"].values[[300, 400]].astype("M8[ns]").astype("i8").tolist()
    of(grid).set_trait("span", tuple(span))
    widget = MAKERS[name](grid)
    bare.show(widget)
    assert bare.page.locator(".kkw").is_visible()
    if name == "weights":
        asked = bare.page.evaluate("window.sent")[-1]
        assert (asked["first"], asked["last"]) == (span[0] / 1e6, span[1] / 1e6 + 86_400_000)
    bare.page.evaluate("window.end()")
    assert bare.page.evaluate("window.left()") == 0
    widget.close()


@pytest.mark.parametrize(("label", "asked"), [(1, 1), ("no path", 0), (None, 0)])
def test_fan__is_rendered_with_a_path_that_is_selected(bare, paths, label, asked):
    chosen = Selection()
    chosen.trial = None if label is None else {"path": label}
    widget = paths.kk.fan(selection=chosen)
    bare.show(widget)
    sent = bare.page.evaluate("window.sent")
    assert [m["kind"] for m in sent] == ["curve"] * asked
    assert ("Path 1 ended" in bare.page.locator(".kkw-detail").inner_text()) == bool(asked)
    bare.page.evaluate("window.end()")
    assert bare.page.evaluate("window.left()") == 0


def test_fan__of_very_many_paths_has_histograms(bare):
    n, time = 150_000, pd.bdate_range("2000-01-03", periods=3).values
    ends = np.exp(np.random.default_rng(1).normal(size=n))
    metrics = {"total_return": ends - 1.0, "final_equity": ends, "max_drawdown": np.full(n, 0.1)}
    curves = {"equity_oos": (("path", "time"), np.repeat(ends[:, None], 3, axis=1))}
    res = xr.Dataset(curves | {k: ("path", v) for k, v in metrics.items()}, {"time": time, "path": np.arange(n)})
    bare.show(res.kk.fan())
    assert bare.page.locator("canvas").count() == 3


def long_chart():
    """A chart of so many bars that a wide screen cannot have them all."""
    n = 40_000
    close = 100.0 * np.exp(0.001 * np.random.default_rng(2).normal(size=n).cumsum())
    index = pd.date_range("2020-01-01", periods=n, freq="min")
    frame = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), close), index=index)
    return chart(kk.backtest(kk.data.from_pandas(frame, calendar="24/7", label="open"), trend))


@pytest.fixture(scope="module")
def minutes():
    return long_chart()


def test_chart__of_a_wide_screen_asks_once(bare, minutes, monkeypatch):
    bare.page.set_viewport_size({"width": 6000, "height": 800})
    bare.show(minutes)
    assert bare.page.locator("canvas").bounding_box()["width"] > 5000
    bare.page.locator("canvas").focus()
    for _ in range(2):
        bare.page.keyboard.press("+")
    bare.page.wait_for_function("window.sent.length > 0")
    rounds = 0
    while bare.page.evaluate("window.sent.length") and rounds < 6:
        assert all(m["pieces"] <= MOST_PIECES for m in bare.page.evaluate("window.sent"))
        bare.answer(minutes, monkeypatch)
        rounds += 1
    assert 1 <= rounds <= 3


def test_chart__takes_an_answer_that_comes_late(bare, minutes, monkeypatch):
    bare.page.clock.install()
    bare.show(minutes)
    bare.page.locator("canvas").focus()
    for _ in range(5):
        bare.page.keyboard.press("+")
    assert [m["serial"] for m in bare.page.evaluate("window.sent")] == [1]
    bare.page.clock.run_for(3300)  # longer than it waits: what was zoomed to meanwhile is asked
    assert [m["serial"] for m in bare.page.evaluate("window.sent")] == [1, 2]
    bare.page.clock.run_for(3300)
    bare.answer(minutes, monkeypatch)
    bare.page.keyboard.press("ArrowRight")
    bare.page.clock.run_for(100)
    assert bare.page.evaluate("window.sent") == []  # what came late is shown: nothing finer is wanted


def test_error__of_the_kernel_is_said_by_every_script(bare, grid):
    for make in MAKERS.values():
        widget = make(grid)
        bare.show(widget)
        bare.page.evaluate("window.tell({kind: 'error', text: 'no such trial'}, [])")
        assert bare.page.locator(".kkw-fault").first.inner_text() == "no such trial"
        widget.close()
