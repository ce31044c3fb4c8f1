"""Studies of stress: the base is the plain backtest, each scenario the backtest of its world (rules Z17-Z19)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import kernelkit as kk
from kernelkit import ledger
from kernelkit.errors import DataError, UsageError
from kernelkit.kernels import layout as L
from kernelkit.study.run import Common
from kernelkit.study.scenarios.adversary import Innovations, Worst
from kernelkit.study.scenarios.stress import world_of
from tests.study.test_scenarios import LATE, ONE, THREE, assert_sound, made

S = kk.scenarios


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ledger of the test's own."""
    (tmp_path / ".kernelkit").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@kk.strategy
def hold(ctx, weight=1.0):
    ctx.target_percent(weight)


@kk.strategy
def trend(ctx, n=10):
    ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else -0.5)


@kk.portfolio
def equal(ctx):
    for k in ctx.tradable:
        ctx[k].target_percent(1.0 / 3.0)


@kk.signal
def above(ds, n=20):
    return (ds["close"] > ds["close"].rolling(time=n).mean()).astype(float)


@kk.strategy
def breaks(ctx):
    if ctx.close[0] < 10.0:
        raise ValueError("too low")
    ctx.target_percent(1.0)


VENUE = kk.Venue("v", kk.fees.fraction(0.001), kk.slippage.fraction(0.0005))
SOME = [S.Gap(-0.2, at=LATE), S.Spread(10.0), S.Volatility(2.0, start=LATE), S.Down("48h", at=LATE)]
SETTINGS: list[dict[str, Any]] = [
    {"strategy": trend, "grid": {"n": [5, 20]}, "venue": VENUE},
    {"strategy": trend, "start": "2020-03-01", "end": "2020-12-01"},
    {"strategy": equal, "bars": THREE, "venue": VENUE},
    {"strategy": trend, "bars": THREE, "params": {"n": 30}},
    {"strategy": above, "grid": {"n": [5, 20]}},
]


@pytest.mark.parametrize("given", SETTINGS, ids=["grid", "span", "portfolio", "assets", "signal"])
def test_z17__each_label_is_the_backtest_of_its_world_bit_for_bit(given: dict[str, Any]) -> None:
    given = {"bars": ONE, **given}
    found = kk.stress(scenarios=SOME, **given)
    assert found["scenario"].values.tolist() == ["base", *(s.label for s in SOME)]
    base = world_of(Common(given["bars"], given["strategy"], venue=given.get("venue")))
    for k, scenario in enumerate([None, *SOME]):
        world = (
            base
            if scenario is None
            else scenario.apply(
                world_of(Common(**{n: given.get(n) for n in ("bars", "strategy", "start", "end", "venue")}))
            )
        )
        own = {n: v for n, v in given.items() if n not in ("bars", "venue")}
        plain = kk.backtest(world.bars, venue=world.venue, **own)
        for name in L.HEADLINE:
            np.testing.assert_array_equal(found[name].values[k], plain[name].values, err_msg=name)
        np.testing.assert_array_equal(found["error"].values[k], "")
    loss = 1.0 - found["final_equity"].values / found["final_equity"].values[0]
    np.testing.assert_array_equal(found["loss"].values, loss)


def test_z17__the_drawdown_within_the_window_is_that_of_the_curve() -> None:
    scenario = S.FlashCrash(0.5, at=LATE, recovery=3)
    found = kk.stress(ONE, hold, scenarios=[scenario], grid={"weight": [0.5, 1.0]})
    res = kk.backtest(scenario.apply(world_of(Common(ONE, hold))).bars, hold, grid={"weight": [0.5, 1.0]})
    for k, weight in enumerate((0.5, 1.0)):
        equity = res["equity"].sel(weight=weight).values[243:248]
        wanted = max(1.0 - equity[j] / equity[: j + 1].max() for j in range(len(equity)))
        assert float(found["window_drawdown"][1, k]) == wanted
        assert float(found["window_drawdown"][0, k]) == pytest.approx(float(found["max_drawdown"][0, k]), rel=1e-12)
    assert found["window_start"].values[1] == np.datetime64(LATE)
    assert found["window_end"].values[1] == np.datetime64("2020-09-04")
    assert found["what"].values.tolist() == ["Nothing is changed.", scenario.text]


def test_z17__windows_that_the_bars_do_not_cover_say_so() -> None:
    bars = kk.data.load("sp500_index")
    found = kk.stress(bars, hold)
    labels = found["scenario"].values.tolist()
    assert {w.name for w in S.WINDOWS.values() if w.market == "equity"} < set(labels)
    lacking = [n for n in labels if found["error"].sel(scenario=n).item()]
    assert lacking == ["covid_2020", "inflation_2022"]
    for name in lacking:
        text = found["error"].sel(scenario=name).item()
        assert f"window {name}: found bars from 1999-01-04 to 2018-12-31" in text
        assert np.isnan(found["total_return"].sel(scenario=name))
        assert np.isnat(found["window_start"].sel(scenario=name))
    crisis = found.sel(scenario="crisis_2008")
    assert -0.60 < float(crisis["total_return"]) < -0.54
    assert np.isnan(crisis["loss"])
    plain = kk.backtest(bars, hold, start="2007-10-09", end="2009-03-09")
    assert float(crisis["total_return"]) == float(plain["total_return"])
    assert float(crisis["window_drawdown"]) == pytest.approx(float(plain["max_drawdown"]), rel=1e-12)


def test_z17__scenarios_compete_in_no_family_and_every_trial_counts() -> None:
    found = kk.stress(ONE, trend, scenarios=SOME, grid={"n": [5, 20]})
    told = ledger.trials()
    assert (told["role"] == "rival").sum() == 2  # the base, which is shown
    assert (told["role"] == "scenario").sum() == 2 * len(SOME)
    assert found.attrs["trials"] == 2 * (1 + len(SOME))
    assert len(told) == 2 * (1 + len(SOME))  # each once


def test_z17__a_trial_that_fails_under_stress_has_its_reason() -> None:
    found = kk.stress(ONE, breaks, scenarios=[S.Gap(-0.95, at=LATE), S.Gap(-0.1, at=LATE)])
    assert found["error"].values[[0, 2]].tolist() == ["", ""]
    assert "too low" in str(found["error"].values[1])
    assert np.isnan(found["loss"].values[1])
    assert np.isnan(found["window_drawdown"].values[1])


def test_z17__what_was_kept_is_what_was_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kernelkit import reuse, working

    monkeypatch.setattr(reuse, "WORTH", 0.0)
    first = kk.stress(ONE, trend, scenarios=SOME, cache=tmp_path / "kept")
    monkeypatch.setattr(working, "simulate", None)
    xr.testing.assert_identical(first, kk.stress(ONE, trend, scenarios=SOME, cache=tmp_path / "kept"))


@pytest.mark.parametrize(
    ("scenarios", "what"),
    [
        ([], "scenarios: found none"),
        (["gap"], "scenarios: found 'gap'"),
        ([S.Gap(-0.1), S.Gap(-0.1)], "label of scenarios"),
        ({"base": S.Gap(-0.1)}, "label of scenarios"),
    ],
)
def test_what_is_no_scenario_is_refused(scenarios: Any, what: str) -> None:
    with pytest.raises(UsageError, match=what):
        kk.stress(ONE, hold, scenarios=scenarios)


def test_labels_are_those_of_the_mapping() -> None:
    found = kk.stress(ONE, hold, scenarios={"small": S.Gap(-0.1), "large": S.Gap(-0.5)})
    assert found["scenario"].values.tolist() == ["base", "small", "large"]


# What a gap takes of who is fully invested is its own size.


@pytest.mark.parametrize("ruin", [0.1, 0.35, 0.8])
def test_z18__who_holds_loses_half_at_a_gap_of_half(ruin: float) -> None:
    found = kk.reverse_stress(ONE, hold, shock=lambda s: S.Gap(-s, at=LATE), largest=0.95, ruin=ruin, tolerance=1e-4)
    assert float(found["smallest"]) == pytest.approx(ruin, abs=2e-3)
    sizes, lost = found["size"].values, found["lost"].values
    at = int(np.flatnonzero(sizes == float(found["smallest"]))[0])
    assert lost[at] >= ruin > lost[at - 1]
    assert 0.0 < sizes[at] - sizes[at - 1] <= 1e-4
    assert (np.diff(sizes) > 0.0).all()
    assert len(ledger.trials(role="scenario")) == len(ledger.trials()) == found.attrs["trials"]


def test_z18__of_several_crossings_the_first_of_the_scan() -> None:
    """Losses that rise, fall and rise again with the size."""
    wave = {round(s, 6): d for s, d in zip(np.linspace(0.0, 1.0, 11), (0, 1, 4, 6, 4, 1, 1, 4, 6, 8, 9), strict=True)}
    found = kk.reverse_stress(
        ONE,
        hold,
        shock=lambda s: S.Gap(-0.1 * float(np.interp(s, list(wave), list(wave.values()))) or 1e-9, at=LATE),
        ruin=0.5,
        steps=10,
        tolerance=1e-3,
    )
    assert float(found["smallest"]) == pytest.approx(0.25, abs=5e-3)


def test_z18__by_what_counts_as_lost() -> None:
    given = {"shock": lambda s: S.Gap(-s, at=LATE), "largest": 0.9, "ruin": 0.6, "tolerance": 1e-3}
    found = {
        by: float(kk.reverse_stress(ONE, hold, by=by, **given)["smallest"]) for by in ("loss", "total", "drawdown")
    }
    base = kk.backtest(ONE, hold)
    assert found["total"] == pytest.approx(1.0 - 0.4 / (1.0 + float(base["total_return"])), abs=3e-3)
    assert found["loss"] == pytest.approx(0.6, abs=3e-3)
    assert found["drawdown"] <= found["loss"]
    assert np.isnan(kk.reverse_stress(ONE, hold, shock=lambda s: S.Gap(-s, at=LATE), largest=0.3)["smallest"])
    assert float(kk.reverse_stress(ONE, hold, by="drawdown", **(given | {"ruin": 0.01}))["smallest"]) == 0.0


@kk.strategy
def reckless(ctx):
    if ctx.i == 5:
        ctx.sell(3.0 * ctx.equity / ctx.close[0])


def test_z17_z18__a_base_that_is_ruined_has_nothing_to_lose() -> None:
    bars = S.Gap(2.0, at=LATE).apply(world_of(Common(ONE, hold))).bars
    free: dict[str, Any] = {"account": kk.Account(margin=kk.Margin(initial=0.01))}
    assert float(kk.backtest(bars, reckless, **free)["final_equity"]) <= 0.0
    assert np.isnan(kk.stress(bars, reckless, scenarios=[S.Gap(0.1)], **free)["loss"]).all()
    found = kk.reverse_stress(bars, reckless, shock=lambda s: S.Gap(s, at=LATE), **free)
    assert float(found["smallest"]) == 0.0


def test_z18__one_account_is_asked() -> None:
    with pytest.raises(UsageError, match="reverse stress: found dims asset"):
        kk.reverse_stress(THREE, hold, shock=lambda s: S.Gap(-s))
    for wrong in ({"ruin": 0.0}, {"largest": -1.0}, {"steps": 1}, {"by": "luck"}, {"tolerance": 0.0}):
        with pytest.raises(UsageError):
            kk.reverse_stress(ONE, hold, shock=lambda s: S.Gap(-s), **wrong)


def test_z19__the_worst_path_for_who_holds_is_nearly_the_exact_one() -> None:
    """The log of what holding earns is linear in the coefficients: the worst is known."""
    found = kk.adversarial(ONE, hold, n=1200, blocks=4, budget=0.95)
    space = Innovations.of(world_of(Common(ONE, hold)), 4)
    slope = space.basis.T @ space.scale[:, 0]
    radius = np.sqrt(2.0 * found.search.attrs["nats"])
    exact = -radius * slope / np.linalg.norm(slope)
    path = space.path(world_of(Common(ONE, hold)), exact, "exact")
    bound, worst = (float(kk.backtest(b, hold)["total_return"]) for b in (path, found.bars))
    assert bound - 1e-3 <= worst <= bound + 0.01
    assert found.search.sizes["evaluation"] <= 1200


@pytest.mark.parametrize(("strategy", "bars"), [(trend, ONE), (equal, THREE)], ids=["trend", "portfolio"])
def test_z19__paths_are_within_the_budget_and_no_better_than_the_path_as_it_is(strategy: Any, bars: xr.Dataset) -> None:
    from scipy.stats import chi2

    found, again = (kk.adversarial(bars, strategy, n=100, blocks=6, seed=3) for _ in range(2))
    assert isinstance(found, Worst)
    xr.testing.assert_identical(found.search, again.search)
    assert float(found.search["distance"].max()) <= 0.5 * chi2.ppf(0.99, 6) * (1.0 + 1e-12)
    assert found.search.attrs["nats"] == pytest.approx(0.5 * chi2.ppf(0.99, 6))
    assert_sound(found.bars)
    plain = kk.backtest(bars, strategy)
    assert float(found.search["total_return"][0]) == float(plain["total_return"])  # it lies in the budget
    assert float(found.result["total_return"]) == float(found.search["total_return"].min())
    assert float(found.result["total_return"]) < float(plain["total_return"]) - 0.1
    assert len(ledger.trials(role="scenario")) >= found.search.sizes["evaluation"]
    assert set(ledger.trials()["role"]) == {"scenario", "rival"}


def test_z19__coefficients_are_what_the_innovations_have() -> None:
    """The path of a point has it: taken from its bars anew, with the volatility of the path as it was."""
    world = world_of(Common(ONE, hold))
    space = Innovations.of(world, 5)
    point = np.array([1.0, -2.0, 0.5, 0.0, 3.0])
    moved = space.path(world, point, "moved")
    change = np.diff(np.log(moved["close"].values[:, 0])) - np.diff(np.log(ONE["close"].values[:, 0]))
    np.testing.assert_allclose(space.basis.T @ (change / space.scale[:, 0]), point - space.own, atol=0.05)
    np.testing.assert_allclose(space.basis.T @ space.basis, np.eye(5), atol=1e-12)
    same = space.path(world, space.own, "same")
    np.testing.assert_array_equal(same["close"].values, ONE["close"].values)


def test_z19__drawdowns_can_be_what_is_looked_for() -> None:
    found = kk.adversarial(ONE, hold, n=60, blocks=4, objective="max_drawdown")
    assert float(found.result["max_drawdown"]) == float(found.search["max_drawdown"].max())
    assert float(found.result["max_drawdown"]) > float(kk.backtest(ONE, hold)["max_drawdown"])


def test_z19__what_does_not_fit_is_refused() -> None:
    for wrong in ({"budget": 1.0}, {"n": 5}, {"blocks": 0}, {"objective": "n_fills"}, {"blocks": 300}):
        with pytest.raises(UsageError):
            kk.adversarial(ONE, hold, **wrong)
    with pytest.raises(UsageError, match="the adversary: found dims"):
        kk.adversarial(THREE, hold, n=20)
    gappy = made(("A", "B"))
    gappy["valid"].values[5, 0] = False
    with pytest.raises(DataError, match="bars in the window of the adversary"):
        kk.adversarial(gappy, hold, n=20)
