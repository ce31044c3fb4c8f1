"""What a strategy left in the ledger, as JSON."""

from __future__ import annotations

import pytest

import kernelkit as kk
from kernelkit.batch import trail
from kernelkit.data.synthetic import minute_bars
from kernelkit.errors import UsageError
from kernelkit.notebook.benchmark import buy_and_hold


@kk.strategy
def trend(ctx, n=50):
    ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else 0.0)


@pytest.fixture
def bars(tmp_path, monkeypatch):
    (tmp_path / ".kernelkit").mkdir()
    monkeypatch.delenv("KERNELKIT_LEDGER", raising=False)
    monkeypatch.chdir(tmp_path)
    return kk.data.load("sp500_index")


def test_trail__counts_trials_and_tells_their_cost(bars):
    res = kk.backtest(bars, trend, grid={"n": [20, 50, 100]})
    kk.backtest(bars, trend, grid={"n": [20, 50, 100]})  # other runs, no other trials
    kk.ledger.declare(40, "in a spreadsheet", asset="index:SPX")
    found = trail.of("trend")
    assert (found["runs"], found["distinct"], [day["trials"] for day in found["days"]]) == (6, 3, [6])
    cost = found["cost"]
    assert cost["best"] == pytest.approx(float(res["sharpe_ratio"].max()))
    own, everyone = cost["counts"][0], cost["counts"][-1]
    assert (own["trials"], everyone["trials"]) == (3, 43)
    for one in (own, everyone):
        wanted = kk.inference.expected_max_sharpe(one["trials"], sharpe_variance=1 / cost["years"])
        assert one["luck"] == pytest.approx(float(wanted))


def test_trail__what_was_tried_on_generated_data_is_no_rival_of_what_is_real(bars):
    res = kk.backtest(bars, trend, {"n": 200})
    made = kk.backtest(minute_bars(10_000, seed=5), trend, grid={"n": [200, 2000]})
    assert float(made["sharpe_ratio"].max()) > float(res["sharpe_ratio"])  # or this test says nothing
    found = trail.of("trend")
    assert (found["distinct"], found["cost"]["counts"][0]["trials"]) == (3, 1)
    assert found["cost"]["best"] == pytest.approx(float(res["sharpe_ratio"]))
    assert trail.overview()["strategies"][0]["best_sharpe_ratio"] == found["cost"]["best"]


def test_trail__what_only_stands_beside_others_is_not_listed(bars):
    kk.backtest(bars, trend, {"n": 20})
    buy_and_hold(bars)
    assert len(kk.ledger.trials(role="benchmark")) == 1  # or this test says nothing
    assert [one["strategy"] for one in trail.overview()["strategies"]] == ["trend"]


def test_trail__a_few_good_days_are_not_the_best_of_years(bars):
    res = kk.backtest(bars, trend, {"n": 200})
    days = kk.backtest(bars.isel(time=slice(40, 140)), trend, {"n": 5})
    assert float(days["sharpe_ratio"]) > float(res["sharpe_ratio"])  # or this test says nothing
    assert trail.of("trend")["cost"]["best"] == pytest.approx(float(res["sharpe_ratio"]))


def test_trail__sees_what_was_tried_since_it_last_looked(bars):
    kk.backtest(bars, trend, {"n": 20})
    assert trail.overview()["strategies"][0]["distinct"] == 1
    kk.backtest(bars, trend, {"n": 30})
    assert trail.overview()["strategies"][0]["distinct"] == 2


def test_trail__looks_at_sealed_data(bars):
    working = kk.seal(bars, last="2Y", note="for the end")
    kk.backtest(working, trend, {"n": 20})
    assert trail.of("trend")["looks"] == []
    with pytest.warns(kk.ledger.SealedWarning):
        kk.backtest(bars, trend, {"n": 20})
    found = trail.of("trend")
    assert found["sealed_since"] == "2017-01-03"
    assert [(look["strategy"], look["trials"]) for look in found["looks"]] == [("trend", 1)]


def test_trail__of_an_unknown_strategy(bars):
    with pytest.raises(UsageError, match="strategy: found 'nobody', wanted one of the ledger"):
        trail.of("nobody")


def test_trail__tells_of_a_damaged_log(bars, tmp_path):
    kk.backtest(bars, trend, {"n": 20})
    [log] = [p for p in (tmp_path / ".kernelkit" / "ledger").glob("*.log") if not p.name.startswith("notes-")]
    content = bytearray(log.read_bytes())
    content[-1] ^= 1
    log.write_bytes(bytes(content))
    assert "altered" in trail.overview()["damage"][0]
