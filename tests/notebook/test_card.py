"""The HTML of a result stands alone, is well formed, and says what must not be overlooked."""

from __future__ import annotations

import itertools
import re
from html.parser import HTMLParser

import pytest

from kernelkit.batch.offline import external_references
from kernelkit.notebook import heat, scale
from kernelkit.notebook.card import html

VALUES = [[0.1, 0.2, None], [-0.3, 0.61, 0.0]]
VOID = {"meta", "br", "img"}


def payload(**changes):
    fast, slow = [5, 10, 15], [60, 80]
    days = [f"2001-{month:02}-15" for month in range(1, 13)]
    metrics = {"sharpe_ratio": 0.61, "cagr": 0.07, "max_drawdown": 0.2, "n_trades": 12.0, "profit_factor": None}
    return {
        "schema": 1,
        "name": "trend",
        "strategy": "crossing",
        "data": {"name": "sp500_index", "note": "index level, not tradable as such", "detail": "Prices only."},
        "costs": "none",
        "dims": {"fast": fast, "slow": slow},
        "n_trials": 5,
        "best": {"params": {"fast": 10, "slow": 80}, "metrics": metrics},
        "benchmark": {"name": "buy and hold", "metrics": dict(metrics, sharpe_ratio=0.3)},
        "curve": {
            "time": days,
            "equity": [100.0 + k for k in range(12)],
            "benchmark": [100.0 - k for k in range(11)] + [None],
            "drawdown": [-0.01 * (k % 3) for k in range(12)],
        },
        "heatmap": {
            "x": "fast",
            "y": "slow",
            "metric": "sharpe_ratio",
            "values": VALUES,
        },
        "notes": ["Evaluated 2001-01-15 to 2001-12-15."],
        **changes,
    }


class Reader(HTMLParser):
    """Checks that tags nest, and collects them."""

    def __init__(self):
        super().__init__()
        self.open, self.tags = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def read(text):
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader.tags


def test_card__is_well_formed_and_complete():
    tags = read(html(payload()))
    assert [name for name, _ in tags].count("svg") == 2
    assert not {"script", "img", "link", "iframe"} & {name for name, _ in tags}
    assert all("id" not in attributes for _, attributes in tags)
    named = [attributes["aria-label"] for name, attributes in tags if name == "svg"]
    assert named == ["Equity and drawdown of fast=10, slow=80 beside buy and hold", "Sharpe ratio over fast and slow"]


def test_card__needs_no_network():
    text = html(payload())
    assert external_references(text) == []
    assert not re.search(r"https?:|//|url\(|@import|<script|\son\w+=", text)


def test_card__its_style_reaches_nothing_outside():
    style = re.search(r"<style>(.*?)</style>", html(payload()))[1]
    selectors = [part.strip() for rule in re.findall(r"([^{}]+)\{", style) for part in rule.split(",")]
    assert selectors
    assert all(selector.startswith(".kkr") for selector in selectors)


@pytest.mark.parametrize(
    "said",
    [
        "COSTS: NONE",
        "index level, not tradable as such",
        "has the highest Sharpe ratio of 5 trials. It was selected in-sample",
        "buy and hold 0.30",
        "Evaluated 2001-01-15 to 2001-12-15. Prices only.",
    ],
)
def test_card__says(said):
    assert said in html(payload())


def test_card__costs_and_synthetic_data_are_chips():
    data = {"name": "made", "note": "synthetic data; not tradable as such", "detail": ""}
    text = html(payload(costs="fees fraction(rate=0.001)", data=data))
    assert '<span class="kkr-chip">costs: fees fraction(rate=0.001)</span>' in text
    assert '<span class="kkr-chip kkr-loud">synthetic data</span>' in text
    assert "COSTS: NONE" not in text


def test_card__names_are_text_and_never_markup():
    evil = "<img src=x onerror=alert(1)>"
    best = {"params": {"fast": evil}, "metrics": {"sharpe_ratio": 1.0}}
    names = {"name": evil, "strategy": evil, "best": best, "heatmap": None}
    assert "img" not in {name for name, _ in read(html(payload(**names)))}


def test_card__one_trial_without_curves():
    curve = {"time": [], "equity": [], "benchmark": [], "drawdown": []}
    alone = {"dims": {}, "n_trials": 1, "heatmap": None, "benchmark": {"name": "buy and hold", "metrics": {}}}
    text = html(payload(curve=curve, **alone))
    read(text)
    assert "<svg" not in text
    assert "selected in-sample" not in text


def test_card__a_constant_curve_is_a_line():
    flat = [100.0] * 12
    curve = {"time": payload()["curve"]["time"], "equity": flat, "benchmark": flat, "drawdown": [0.0] * 12}
    assert "nan" not in html(payload(curve=curve)).lower()


def test_heat__the_chosen_trial_is_outlined_and_what_was_not_run_is_a_dot():
    tags = read(heat.heat(payload()))
    assert sum(name == "circle" for name, _ in tags) == 1
    cells = [a for name, a in tags if name == "rect" and a["fill"] != "none"]
    frames = [a for name, a in tags if name == "rect" and a["fill"] == "none"]
    assert len(cells) == 5
    assert len(frames) == 1
    assert (frames[0]["x"], frames[0]["y"]) == (cells[3]["x"], cells[3]["y"])
    assert {a["fill"] for a in cells} == {heat.BLUE, heat.RED}


def test_heat__a_large_sweep_is_thinned_and_says_so():
    values = [[0.01 * i for i in range(150)] for _ in range(10)]
    large = payload(
        dims={"fast": list(range(150)), "slow": list(range(10))},
        heatmap={"x": "fast", "y": "slow", "metric": "sharpe_ratio", "values": values},
    )
    text = html(large)
    assert "every 3rd value of fast is drawn" in text
    assert sum(name == "rect" for name, _ in read(text)) <= 501


@pytest.mark.parametrize(
    ("start", "stop", "first", "last"),
    [
        ("2018-01-02T14:31", "2018-01-02T20:59", "15:00", "20:00"),
        ("2018-01-02", "2018-01-20", "01-03", "01-19"),
        ("2018-01-02", "2018-12-20", "2018-02", "2018-12"),
        ("1999-01-04", "2018-12-31", "2000", "2018"),
        ("1900-01-01", "2018-12-31", "1900", "2010"),
    ],
)
def test_time_ticks__are_round(start, stop, first, last):
    ticks = scale.time_ticks(*scale.seconds([start, stop]), 12)
    assert (ticks[0][1], ticks[-1][1]) == (first, last)
    assert len(ticks) <= 13


@pytest.mark.parametrize(("lo", "hi"), [(0.0, 1.0), (-0.5678, 0.0), (9.4e5, 3.3e6), (1e-9, 3e-9), (-5.0, 1e9)])
def test_round_ticks__lie_inside_and_are_even(lo, hi):
    ticks = scale.round_ticks(lo, hi, 5)
    assert 2 <= len(ticks) <= 7
    assert lo - (hi - lo) * 1e-6 <= ticks[0]
    assert ticks[-1] <= hi + (hi - lo) * 1e-6
    steps = [b - a for a, b in itertools.pairwise(ticks)]
    assert max(steps) == pytest.approx(min(steps))
