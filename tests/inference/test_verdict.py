"""`kk.verdict` and `kk.plan`: what they say of results, and that everything that was tried counts."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from IPython.core.formatters import DisplayFormatter

import kernelkit as kk
from kernelkit.errors import RunError, UsageError
from kernelkit.inference.headline import Sums, headline
from kernelkit.inference.planning import critical

GRID = {"fast": range(5, 40, 5), "slow": range(50, 200, 25)}


@kk.strategy
def cross(ctx, fast=20, slow=100):  # type: ignore[no-untyped-def]
    ctx.target_percent(1.0 if ctx.close.sma(fast) > ctx.close.sma(slow) else 0.0)


@kk.strategy
def other(ctx, n=20):  # type: ignore[no-untyped-def]
    ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else 0.0)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ledger of the test's own."""
    (tmp_path / ".kernelkit").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def bars() -> xr.Dataset:
    out: xr.Dataset = kk.data.load("sp500_index")
    return out


def judged(res: xr.Dataset, **more: Any) -> Any:
    return kk.verdict(res, replications=499, **more)


def test_is_of_the_best_cell_that_is_left(bars: xr.Dataset) -> None:
    res = kk.backtest(bars, cross, grid=GRID, start="2001")
    best = res["sharpe_ratio"].stack(cell=("fast", "slow")).idxmax().item()
    found = judged(res)
    assert (found.evidence.trial.params["fast"], found.evidence.trial.params["slow"]) == best
    assert found.sharpe_ratio == float(res["sharpe_ratio"].max())
    one = judged(res.sel(fast=10, slow=75))
    assert one.name == "cross(fast=10, slow=75)"
    assert one.n_trials == found.n_trials == 42
    assert one.p_value >= found.p_value


def test_programs_are_told_in_a_word_and_a_sentence(bars: xr.Dataset) -> None:
    found = judged(kk.backtest(bars, cross, {"fast": 10, "slow": 75}, start="2001"))
    shown, _ = DisplayFormatter().format(found)
    told = shown["application/vnd.kernelkit.verdict.v1+json"]
    assert told == {
        "judgement": found.judgement.lower(),
        "meaning": found.meaning,
        "p_value": found.p_value,
    }
    assert shown["text/plain"] == str(found)
    assert found.meaning in html.unescape(shown["text/html"])


def test_every_number_is_that_of_the_metrics_of_its_curve(bars: xr.Dataset) -> None:
    """From block summaries alone: what kk.inference finds in the session returns."""
    res = kk.backtest(bars, cross, {"fast": 20, "slow": 100}, start="2001")
    returns = kk.metrics.returns(res["equity"], initial=1e6)
    found = judged(res)
    for convention in ("2012", "2025"):
        wanted = float(kk.inference.probabilistic_sharpe_ratio(returns, convention=convention, periods=252))
        assert found.evidence.psr(convention) == pytest.approx(wanted, abs=1e-6)
    years = float(kk.inference.min_track_record_length(returns, periods=252)) / 252
    assert found.evidence.track_record() == pytest.approx(years, rel=1e-5)
    market = bars["close"].sel(time=slice("2001", None)).values[:, 0]
    b = np.diff(market) / market[:-1]
    beta = float(found.evidence.without_market.beta[0])
    assert beta == pytest.approx(np.polyfit(b, returns.values[-len(b) :], 1)[0], abs=0.002)


def test_all_that_was_tried_counts(bars: xr.Dataset) -> None:
    res = kk.backtest(bars, cross, {"fast": 20, "slow": 100}, start="2001")
    alone = judged(res)
    kk.backtest(bars, cross, grid=GRID, start="2001")
    kk.backtest(bars, other, grid={"n": range(10, 60)}, start="2001")
    kk.backtest(bars, other, grid={"n": range(10, 60)}, start="2001")  # a repeat is no trial
    many = judged(res)
    assert alone.n_trials == 1
    assert many.n_trials == 42 + 50  # the first is a cell of the grid
    assert many.evidence.family.runs == 1 + 42 + 100
    assert many.p_value > alone.p_value
    kk.ledger.declare(900, "on paper")
    told = judged(res)
    assert told.n_trials == 992
    assert told.p_value == pytest.approx(1 - (1 - many.p_value) ** (992 / 92))
    assert "900 made elsewhere" in str(told)


def test_a_narrowed_family_is_noted_and_shown(bars: xr.Dataset) -> None:
    res = kk.backtest(bars, cross, grid=GRID, start="2001")
    kk.backtest(bars, other, grid={"n": range(10, 60)}, start="2001")
    found = judged(res, only=["cross"])
    assert found.n_trials == 42
    assert "to cross, of 92 trials: the ledger has noted that" in str(found)
    (row,) = kk.ledger.rows("narrowed")
    assert (row["left_out"], row["why"]) == (50, "only cross")
    assert "NARROWED to cross: 42 of 92 trials" in found.line
    with pytest.raises(UsageError, match="only: found other, wanted cross among them"):
        judged(res, only="other")


def test_a_walk_forward_is_one_rival(bars: xr.Dataset) -> None:
    res = kk.walk_forward(bars, cross, grid={"fast": [10, 20], "slow": [50, 100]}, train="3Y", test="1Y", start="2001")
    found = judged(res)
    assert found.n_trials == 1
    assert found.sharpe_ratio == float(res["sharpe_ratio"])
    assert str(found).startswith("NOT SIGNIFICANT: cross ")  # a fold's parameters are its own
    trained = dict(found.sections["Tried"])["in training"]
    assert trained.startswith(f"{4 * res.sizes['fold']} trials, no rivals")
    assert "in training" not in str(judged(kk.backtest(bars, cross, {"fast": 10, "slow": 50}, start="2001")))


def going_on(seed: int, coefficient: float, days: int = 1_500) -> pd.DataFrame:
    """Days, 24/7, whose returns go on from one to the next; each opens where the one before closed."""
    rng = np.random.default_rng(seed)
    r = np.zeros(days)
    for t in range(1, days):
        r[t] = coefficient * r[t - 1] + rng.normal(0.0, 0.01)
    close = np.round(100 * np.exp(np.cumsum(r)), 4)
    first = np.r_[100.0, close[:-1]]
    index = pd.date_range("2015-01-01", periods=days, freq="D")
    ends = {"open": first, "high": np.maximum(first, close), "low": np.minimum(first, close), "close": close}
    return pd.DataFrame(ends | {"volume": 1e6}, index=index)


@kk.strategy
def follow(ctx, n=2):  # type: ignore[no-untyped-def]
    ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else -1.0)


def test_skill_that_was_planted_is_found_among_many() -> None:
    """A market that goes on, and rules one of which knows it; where it does not, the same grid finds nothing."""
    for coefficient, said in ((0.25, "SIGNIFICANT AT 1 %"), (0.0, "NOT SIGNIFICANT")):
        frames = {"A": going_on(3, coefficient), "B": going_on(4, 0.0)}
        bars = kk.data.from_pandas(
            frames, calendar="24/7", name="made", about={"asset_id": {a: f"made:{a}:{coefficient}" for a in frames}}
        )
        res = kk.backtest(bars, follow, grid={"n": range(2, 102)})
        found = judged(res.sel(asset="A"))
        assert found.judgement == said
        assert (found.evidence.trial.assets, found.n_trials) == ("A", 200)  # those on B were looked at, too
        assert found.significant == (found.p_value <= 0.05)
        if found.significant:
            assert found.name == "follow(n=2)"
            assert found.survivors[0.05] >= 1


def test_looks_at_sealed_data_are_shown(bars: xr.Dataset) -> None:
    earlier = kk.seal(bars, last="1Y", note="the last year")
    assert "0 looks at it" in str(judged(kk.backtest(earlier, other)))
    with pytest.warns(UserWarning, match="are sealed: this is the first look at them"):
        res = kk.backtest(bars, other)
    assert "1 look at it" in str(judged(res))


def test_a_result_that_the_ledger_does_not_know_is_refused(bars: xr.Dataset, tmp_path: Path, monkeypatch: Any) -> None:
    res = kk.backtest(bars, other)
    (tmp_path / "elsewhere" / ".kernelkit").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(RunError, match=r"ledger at .*elsewhere.*: found a result that it does not have"):
        judged(res)
    with pytest.raises(UsageError, match="replications: found 5, wanted a whole number of 99 or more"):
        kk.verdict(res, replications=5)
    with pytest.raises(UsageError, match="result: found int"):
        kk.verdict(3)


def test_the_chance_of_a_promise(bars: xr.Dataset) -> None:
    found = judged(kk.backtest(bars, cross, {"fast": 20, "slow": 100}, start="2001"))
    chances = [found.chance(g) for g in (-0.9, 0.0, 0.1, 5.0)]
    assert chances == sorted(chances, reverse=True)
    assert (chances[0], chances[-1]) == (1.0, 0.0)
    assert found.chance(0.0, skill=False) == pytest.approx(0.5, abs=0.06)
    assert found.chance(0.0, years=10) >= found.chance(0.0) - 0.02
    with pytest.raises(UsageError, match="years of a chance: found 0"):
        found.chance(0.1, years=0)


def test_i31__a_plan_says_what_can_be_found(bars: xr.Dataset) -> None:
    before = kk.plan(bars, 300)
    kk.backtest(bars, other, grid={"n": range(10, 60)})
    after = kk.plan(bars, 300)
    assert (before.so_far, after.so_far) == (0, 50)
    assert before.detectable < after.detectable
    assert after.detectable == pytest.approx((critical(350, 0.05) + 0.8416) / after.years**0.5, rel=1e-4)
    assert kk.plan(bars, 300, correlation=0.9).detectable < after.detectable
    with pytest.raises(UsageError, match="n_trials: found 0, wanted a whole number above 0"):
        kk.plan(bars, 0)


def test_i31__the_largest_of_correlated_trials() -> None:
    rng = np.random.default_rng(2)
    x = 0.5**0.5 * rng.standard_normal((100_000, 1)) + 0.5**0.5 * rng.standard_normal((100_000, 50))
    assert np.mean(x.max(axis=1) > critical(50, 0.05, 0.5)) == pytest.approx(0.05, abs=0.003)


def test_an_audit_is_told(bars: xr.Dataset) -> None:
    @kk.signal
    def scaled(ds, k=1.0):  # type: ignore[no-untyped-def]
        return (ds["close"] > k * ds["close"].mean()) * 1.0

    res = kk.backtest(bars, other, end="2004")
    assert "not audited: run kk.audit" in str(judged(res))
    kk.audit(bars, other, {"n": 30}, end="2004", cuts=4)
    assert "blind to the future at 4 cuts of 1,508 bars, with other parameters" in str(judged(res))
    res = kk.backtest(bars, scaled, end="2004")
    kk.audit(bars, scaled, end="2004", cuts=4)
    kk.audit(bars, scaled, {"k": 0.0}, end="2004", cuts=4)  # washes nothing clean
    found = judged(res)
    assert found.judgement == "LOOKS INTO THE FUTURE"
    assert found.line.startswith("Verdict: looks into the future")
    assert "none of its numbers means anything" in str(found)


def test_features_on_trust_are_told(bars: xr.Dataset) -> None:
    @kk.strategy
    def knows(ctx):  # type: ignore[no-untyped-def]
        ctx.target_percent(1.0 if ctx.x.up[0] > 0 else 0.0)

    up = bars["close"].isel(asset=0).to_series().diff().fillna(0.0)
    featured = kk.feature(bars, "up", up, trusted=True)
    assert "x.up is taken on trust" in str(judged(kk.backtest(featured, knows)))


def test_i7__what_is_earned_without_risk_is_no_skill(bars: xr.Dataset) -> None:
    res = kk.backtest(bars, cross, {"fast": 20, "slow": 100}, start="2001")
    plain, above = judged(res), judged(res, rf=0.03)
    returns = kk.metrics.returns(res["equity"], initial=1e6).values
    x = returns - 0.03 / 252
    assert float(above.evidence.plain.t[0]) == pytest.approx(len(x) ** 0.5 * x.mean() / x.std(ddof=1), rel=1e-5)
    beta = float(above.evidence.without_market.beta[0])
    drop = (1 - beta) * 0.03 / 252 * len(x) ** 0.5
    beyond = plain.evidence.without_market
    sd = float(np.sqrt(beyond.sums.s2.sum() / len(x) + len(x) * beyond.noise[0]))
    assert float(plain.evidence.headline.t[0] - above.evidence.headline.t[0]) == pytest.approx(drop / sd, rel=1e-3)
    assert "of returns above 3 % a year less beta" in str(above)


def test_the_page_says_what_came_without_a_trade(bars: xr.Dataset) -> None:
    account = kk.Account(cash=1e5, interest=0.04)
    res = kk.backtest(bars, cross, grid={"fast": [10, 20], "slow": [100]}, account=account, start="2012")
    found = judged(res)
    best = res.sel({k: found.evidence.trial.params[k] for k in ("fast", "slow")})
    table = kk.actions(best)
    earned = float(table.loc[table["kind"] == "interest", "amount"].sum())
    assert found.carried == {"interest": pytest.approx(earned)}
    profit = float(best["final_equity"]) - 1e5
    said = dict(found.sections["Assumptions"])["interest"]
    assert said.startswith(f"interest {earned:+,.0f}: {100 * earned / profit:.0f} % of the profit of {profit:,.0f}; ")
    assert said in str(found)
    assert "without a trade" not in found.line
    without = judged(kk.backtest(bars, other, start="2012"))
    assert without.carried == {}
    assert "interest" not in dict(without.sections["Assumptions"])
    bare = judged(kk.backtest(bars, other, account=account, start="2012", outputs=("metrics", "blocks")))
    assert bare.carried == {}


def test_i8__the_page_says_what_hangs_on_the_length_of_blocks(bars: xr.Dataset) -> None:
    found = judged(kk.backtest(bars, cross, grid=GRID))
    test, e = found.evidence.headline, found.evidence
    sums, _, noise = e.without_market
    assert e.other_lengths == tuple(
        e.p_value(headline(sums, e.family.edges, active=e.family.active > 0, noise=noise, replications=499, merged=k))
        if k and len(np.unique(e.family.edges // k)) >= 16
        else None
        for k in (test.merged // 2, 2 * test.merged)
    )
    said = dict(found.sections["Significance"])["p-value by block length"]
    assert "half as long" in said
    assert "twice as long" in said
    assert said not in found.line


def test_i8__blocks_of_a_length_that_is_told() -> None:
    """Those of the ledger, summed by hand: nothing else is asked of them."""
    r = np.random.default_rng(1).normal(0.05, 1.0, size=(128, 20, 8))
    sums, edges = Sums(np.full((128, 8), 20.0), r.sum(1), (r * r).sum(1)), np.arange(128)
    for k in (1, 2, 4):
        pairs = Sums(*(a.reshape(128 // k, k, 8).sum(axis=1) for a in sums))
        one = headline(sums, edges, merged=k, replications=199)
        other = headline(pairs, edges[::k] // k, merged=1, replications=199)
        assert one is not None
        assert other is not None
        np.testing.assert_allclose(one.p, other.p)
        assert (one.merged, one.blocks) == (k, 128 // k)


SPACE: dict[str, Any] = {"fast": kk.integer(5, 40), "slow": kk.integer(50, 150)}


def test_a_verdict_on_survivors_says_what_it_cannot_know(bars: xr.Dataset) -> None:
    sma_cross = kk.strategies.find("sma_cross")
    halved = kk.search(bars, sma_cross, SPACE, method="halving", n=81, eta=3, rungs=2, seed=1)
    pruned = int(halved["pruned_at"].notnull().sum())
    assert 60 < pruned < 75
    told = str(kk.verdict(halved))
    assert f"{pruned} before their end" in told
    assert "not known: those that were not pruned were chosen for it" in told
    assert "failed" not in told
    row = kk.ledger.summary().set_index("role").loc["rival"]
    assert (row["pruned"], row["failed"]) == (pruned, 0)


def test_an_earlier_run_with_a_shorter_warm_up_hides_no_overfitting(bars: xr.Dataset) -> None:
    sma_cross = kk.strategies.find("sma_cross")
    found = kk.search(bars, sma_cross, SPACE, method="random", n=64, seed=1)
    before = dict(kk.verdict(found).sections["Luck of the draw"])["PBO"]
    kk.backtest(bars, sma_cross, {"fast": 2, "slow": 10})
    assert "too few" not in before
    assert "too few" not in dict(kk.verdict(found).sections["Luck of the draw"])["PBO"]


def test_a_study_of_cases_is_no_result_of_one_choice(bars: xr.Dataset) -> None:
    two = {name: kk.strategies.find(name) for name in ("momentum", "buy_and_hold")}
    with pytest.raises(UsageError, match="found the cases of a study of strategy, wanted the result of one choice"):
        kk.verdict(kk.compare(two, bars))
