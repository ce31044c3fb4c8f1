"""The renderers of results and progress: one notebook with all the bundles below as outputs of its cell."""

from __future__ import annotations

import math
from datetime import date, timedelta

import nbformat
import numpy as np
import pytest

from kernelkit import progress

RESULT = "application/vnd.kernelkit.result.v1+json"
FAST = list(range(5, 50, 5))
SLOW = list(range(60, 200, 20))


def curve(points: int) -> dict[str, list[object]]:
    """Twenty years of a made-up strategy that falls less, and of what it is compared with."""
    market = np.random.default_rng(7).normal(0.003, 0.022, points)
    wealth = 1e6 * np.exp(np.cumsum(np.where(market < -0.02, 0.0, market * 0.8)))
    benchmark = 1e6 * np.exp(np.cumsum(market))
    days = [date(1999, 1, 4) + timedelta(days=12 * i) for i in range(points)]
    return {
        "time": [f"{day.isoformat()}T00:00:00Z" for day in days],
        "equity": wealth.round(2).tolist(),
        "benchmark": [None, *benchmark.round(2).tolist()[1:]],
        "drawdown": (wealth / np.maximum.accumulate(wealth) - 1).round(6).tolist(),
    }


def bundle(**changes: object) -> dict[str, object]:
    def sharpe(fast: int, slow: int) -> float | None:
        if fast >= slow // 2:
            return None
        return round(0.9 * math.exp(-(((fast - 20) / 14) ** 2) - ((slow - 120) / 60) ** 2) - 0.25, 3)

    names = ["total_return", "cagr", "volatility", "sharpe_ratio", "max_drawdown", "max_drawdown_duration"]
    return {
        "schema": 1,
        "name": "ma-cross",
        "strategy": "sma_cross",
        "data": {"name": "sp500_index", "note": "price index, not tradable as such"},
        "costs": "none",
        "dims": {"fast": FAST, "slow": SLOW},
        "n_trials": 63,
        "best": {
            "params": {"fast": 20, "slow": 120},
            "metrics": dict(zip(names, [3.214, 0.0746, 0.1132, 0.649, 0.2138, 811], strict=True))
            | {"n_trades": 47, "win_rate": 0.5319, "profit_factor": None, "fees": 0.0, "final_equity": 4214318.27},
        },
        "benchmark": {
            "name": "buy and hold",
            "metrics": dict(zip(names, [1.041, 0.0363, 0.1921, 0.281, 0.5678, 1376], strict=True)),
        },
        "curve": curve(600),
        "notes": ["Evaluated 1999-01-04 to 2018-12-31."],
        "heatmap": {
            "x": "fast",
            "y": "slow",
            "metric": "sharpe_ratio",
            "values": [[sharpe(fast, slow) for fast in FAST] for slow in SLOW],
        },
        **changes,
    }


WRONG = {
    '"schema" must be 1': {"schema": 2},
    '"heatmap.values" must be one row': {"heatmap": {"x": "fast", "y": "slow", "metric": "cagr", "values": [[1.0]]}},
    '"equity" must be 5 numbers': {"curve": {**curve(5), "equity": [1.0]}},
    '"metrics" must be an object': {"best": {"params": {}}},
}
MARKUP = "<img src=x onerror=\"document.title='hacked'\">"
SINGLE = {"params": {}, "metrics": {"sharpe_ratio": 0.649, "final_equity": 1.0}}
EVENT = progress.Progress(
    "grid", 30, 40, eta_s=12.0, candles_per_s=85.3e6, failed=2, cpu_percent=187.4, memory_bytes=1_234_000_000
)

OUTPUTS: dict[str, dict[str, object]] = {
    "grid": {RESULT: bundle()},
    "single": {RESULT: bundle(dims={}, n_trials=1, heatmap=None, best=SINGLE, costs="0.1 % of the price")},
    "markup": {RESULT: bundle(name=MARKUP, strategy=MARKUP)},
    "progress": {progress.MIME: EVENT.to_json(), "text/plain": "grid: 40 trials"},
    **{said: {RESULT: bundle(**changes)} for said, changes in WRONG.items()},
}


@pytest.fixture(scope="module")
def output(session, lab):
    """Finds the output of this name in the one notebook."""
    shown = [nbformat.v4.new_output("display_data", data={"text/plain": "", **data}) for data in OUTPUTS.values()]
    cell = nbformat.v4.new_code_cell("results", outputs=shown)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": kernel}), lab.root / "results.ipynb")
    panel = session.open("results.ipynb")
    session.command("application:toggle-left-area")

    def find(name: str):
        found = panel.locator(".jp-OutputArea-output").nth(list(OUTPUTS).index(name))
        found.scroll_into_view_if_needed()
        return found

    return find


def test_result__shows_summary_pictures_and_metrics(session, output):
    result = output("grid")
    result.locator(".kk-Table").wait_for()
    assert "63 trials (9 fast × 7 slow)" in result.locator("header").inner_text()
    assert result.get_by_text("COSTS: NONE").is_visible()
    assert result.get_by_text("price index, not tradable as such").is_visible()
    assert "Evaluated 1999-01-04 to 2018-12-31." in result.locator(".kk-Foot").inner_text()
    assert (
        "has the highest Sharpe ratio of 63 trials. It was selected in-sample"
        in result.locator(".kk-Chosen").inner_text()
    )
    assert result.locator(".kk-Tile-value").all_inner_texts() == ["0.65", "7.5 %", "21.4 %", "11.3 %", "47"]
    rows = {
        row.locator("th").inner_text(): row.locator("td").all_inner_texts() for row in result.locator("tbody tr").all()
    }
    assert list(rows)[:3] == ["Total return", "CAGR", "Volatility"]
    assert rows["Total return"] == ["321.4 %", "104.1 %"]
    assert rows["Longest drawdown (days)"] == ["811", "1,376"]
    assert rows["Profit factor"] == ["–", "–"]
    assert rows["Trades"] == ["47", "–"]
    assert rows["Final equity"] == ["4,214,318", "–"]
    assert result.locator(".kk-Cell").count() == len(FAST) * len(SLOW)
    assert result.locator(".kk-Cell.kk-mod-empty").count() > 0
    assert result.locator(".kk-Cell.kk-mod-best title").text_content() == "fast=20, slow=120: 0.65"
    session.shoot("result")
    assert session.problems == []


def test_result__reads_the_values_under_the_pointer(output):
    result = output("grid")
    result.locator(".kk-Picture").first.hover(position={"x": 300, "y": 100})
    readout = result.locator(".kk-Readout").inner_text()
    assert "strategy" in readout
    assert "drawdown −" in readout


def test_result__takes_the_width_it_gets(session, output):
    picture = output("grid").locator(".kk-Picture").first
    before = picture.bounding_box()["width"]
    session.page.set_viewport_size({"width": 900, "height": 960})
    narrower = "before => document.querySelector('.kk-Result .kk-Picture').clientWidth < before - 100"
    session.page.wait_for_function(narrower, arg=before)
    session.shoot("result-narrow")
    session.page.set_viewport_size({"width": 1440, "height": 960})


def test_result__one_trial_without_heat_map(output):
    result = output("single")
    result.locator(".kk-Table").wait_for()
    assert "1 trial" in result.locator("header").inner_text()
    assert "costs: 0.1 % of the price" in result.locator("header").inner_text()
    assert result.locator(".kk-Chosen").count() == 0
    assert result.locator(".kk-Cell").count() == 0


@pytest.mark.parametrize("said", WRONG)
def test_result__a_bundle_that_is_none_says_what_is_wrong(output, said):
    assert said in output(said).locator(".kk-Error").inner_text()


def test_result__names_are_text_and_never_markup(output):
    result = output("markup")
    assert result.locator("h3").inner_text() == MARKUP
    assert result.locator("img").count() == 0


def test_progress__is_a_bar_with_its_pace(session, output):
    shown = output("progress")
    pace = "2 failed · 12 s left · 85.3M candles/s · CPU 187 % · 1.2 GB"
    shown.get_by_text(f"grid · 30 of 40 · {pace}").wait_for()
    assert shown.locator(".kk-Bar").get_attribute("aria-valuenow") == "75"
    session.shoot("progress")


def test_result__follows_the_dark_theme(session, output):
    session.theme("Dark")
    output("grid").locator("header").scroll_into_view_if_needed()
    light = "getComputedStyle(document.querySelector('.kk-Result h3')).color"
    session.page.wait_for_function(f"{light} === 'rgb(255, 255, 255)' || {light}.startsWith('rgba(255, 255, 255')")
    session.shoot("result-dark")
    session.theme("Light")
