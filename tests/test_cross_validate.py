"""Cross-validation (K1-K6): against loops over backtests, one run with switched parameters, and changed futures."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import kernelkit as kk
from kernelkit import ledger
from kernelkit.errors import OrderError, UsageError
from kernelkit.inference.overfitting import Sums, numbers
from kernelkit.strategy import signal, strategy
from tests.test_walk_forward import VENUE, bars_of, daily, home

__all__ = ["home"]  # a fixture


BARS = bars_of(daily(419))
FIRST = 19  # the first decision: the largest warm-up
GRID: dict[str, Any] = {"n": [5, 10, 20], "w": [1.0, 0.5]}


@strategy
def trend(ctx, n=20, w=1.0):  # type: ignore[no-untyped-def]
    ctx.target_percent(w if ctx.close[0] > ctx.close.sma(n) else -w)


def run_of(first: int, stop: int, cell: dict[str, Any], bars: xr.Dataset = BARS) -> tuple[np.ndarray, np.ndarray]:
    """The session returns of a run that begins flat, and the wealth at each session."""
    times = bars["time"].values
    with ledger.role("debug"):
        res = kk.backtest(bars, trend, cell, start=times[first], end=times[stop - 1], venue=VENUE)
    equity = np.r_[1e6, res["equity"].values]
    return equity[1:] / equity[:-1] - 1.0, equity[1:] / 1e6


def sharpe(x: np.ndarray) -> float:
    return float(x.mean() / x.std(ddof=1) * np.sqrt(365))


def cells() -> list[dict[str, Any]]:
    return [{"n": n, "w": w} for n in GRID["n"] for w in GRID["w"]]


@pytest.fixture(scope="module")
def splitter() -> Any:
    return kk.splits.combinatorial(5, 2, label=2, embargo=3)


@pytest.fixture
def found(splitter: Any) -> xr.Dataset:
    out: xr.Dataset = kk.cross_validate(BARS, trend, grid=GRID, splits=splitter, venue=VENUE)
    return out


def test_k5__every_cell_on_every_split_is_the_loop_over_backtests(found: xr.Dataset, splitter: Any) -> None:
    windows = [one.shifted(FIRST) for one in splitter.windows(range(len(BARS["time"]) - FIRST))]
    assert found.sizes["split"] == len(windows) == 10
    known: dict[Any, Any] = {}
    for k, one in enumerate(windows):
        scores = []
        for cell in cells():
            at = found.isel(split=k).sel(cell)
            for side, runs in (("is", one.train), ("oos", one.test)):
                pieces = []
                for run in runs:
                    key = run, str(cell)
                    known[key] = known.get(key) or run_of(*run, cell)
                    pieces.append(known[key])
                x = np.concatenate([p[0] for p in pieces])
                assert int(at[f"{side}_n_sessions"]) == len(x) == sum(b - a for a, b in runs)
                assert float(at[f"{side}_sharpe_ratio"]) == pytest.approx(sharpe(x), rel=1e-10)
                assert float(at[f"{side}_total_return"]) == pytest.approx(np.prod(1.0 + x) - 1.0, rel=1e-10)
                wealth = np.r_[1.0, np.cumprod(1.0 + x)]
                deepest = (1.0 - wealth / np.maximum.accumulate(wealth)).max()
                assert float(at[f"{side}_max_drawdown"]) == pytest.approx(deepest, rel=1e-9)
                if side == "is":
                    scores.append(sharpe(x))
        best = cells()[int(np.argmax(scores))]
        assert {n: found[f"chosen_{n}"].values[k] for n in GRID} == best
        assert float(found["is_score"][k]) == pytest.approx(max(scores), rel=1e-10)
        assert float(found["oos_score"][k]) == float(found["oos_sharpe_ratio"].isel(split=k).sel(best))
    inside, outside = found["is_score"].values, found["oos_score"].values
    np.testing.assert_array_equal(found["efficiency"].values, np.where(inside > 0, outside / inside, np.nan))
    assert len({*zip(found["chosen_n"].values, found["chosen_w"].values, strict=True)}) > 1


def test_k5__what_is_purged_is_in_no_training_run(found: xr.Dataset, splitter: Any) -> None:
    """The ledger knows the span of each run: none that a split trains on meets its test, or follows too closely."""
    times = BARS["time"].values.astype("i8")
    spans = {tuple(row["span"]) for row in ledger.rows("trials") if row["role"] == "training"}
    wanted = set()
    for one in splitter.windows(range(len(times) - FIRST)):
        moved = one.shifted(FIRST)
        wanted |= {(int(times[a]), int(times[b - 1])) for a, b in (*moved.train, *moved.test)}
        for a, b in moved.train:
            for first, stop in moved.test:
                assert b + 2 <= first or a >= stop + 2 + 3
    assert spans == wanted
    assert found.sizes["test_window"] == 5


@strategy
def follow(ctx, carry=True):  # type: ignore[no-untyped-def]
    if ctx.x.live[0] > 0.0:
        up = ctx.close[0] > ctx.close.sma(5) if ctx.x.n[0] == 5.0 else ctx.close[0] > ctx.close.sma(10)
        up = ctx.close[0] > ctx.close.sma(20) if ctx.x.n[0] == 20.0 else up
        ctx.target_percent(ctx.x.w[0] if up else -ctx.x.w[0])
    if ctx.x.switch[0] > 0.0:
        ctx.cancel_all()
    if ctx.x.flat[0] > 0.0:
        ctx.target(0.0)


def by_hand(windows: list[tuple[int, int]], picks: list[dict[str, Any]], carry: bool) -> xr.Dataset:
    """One run whose decisions are those of each window's parameters; between windows it closes and waits."""
    names = ("n", "w", "live", "switch", "flat")
    columns = {name: np.zeros(BARS.sizes["time"]) for name in names}
    for k, ((first, stop), pick) in enumerate(zip(windows, picks, strict=True)):
        span = slice(first, stop)
        columns["n"][span], columns["w"][span], columns["live"][span] = pick["n"], pick["w"], 1.0
        if k + 1 < len(windows):
            apart = stop < windows[k + 1][0]
            columns["switch"][stop - 1] = 1.0
            columns["flat"][stop - 1] = apart or not carry
            if apart:
                columns["switch"][windows[k + 1][0] - 1] = 1.0
                columns["flat"][windows[k + 1][0] - 1] = not carry
    bars = BARS
    for name, values in columns.items():
        series = pd.Series(values, BARS["known_at"].values)
        bars = kk.feature(bars, name, series, known_at=BARS["known_at"].values)
    times = BARS["time"].values
    with ledger.role("debug"):
        res: xr.Dataset = kk.backtest(
            bars, follow, start=times[windows[0][0]], end=times[windows[-1][1] - 1], venue=VENUE
        )
    return res


def same(one: xr.Dataset, res: xr.Dataset) -> None:
    """Bit for bit."""
    for name in ("equity", "drawdown", "position"):
        np.testing.assert_array_equal(one[f"{name}_oos"].values, res[name].values)
    np.testing.assert_array_equal(one["time"].values, res["time"].values)
    for table in (kk.fills, kk.trades, kk.orders):
        pd.testing.assert_frame_equal(table(one), table(res))
        assert len(table(one)) > 10
    for name in ("total_return", "sharpe_ratio", "max_drawdown", "n_fills", "turnover", "win_rate", "final_equity"):
        assert float(one[name]) == float(res[name]), name


@pytest.mark.parametrize("carry", [True, False])
def test_k3_k5__each_path_is_one_run_with_switched_parameters(splitter: Any, carry: bool) -> None:
    found = kk.cross_validate(BARS, trend, grid=GRID, splits=splitter, venue=VENUE, carry=carry)
    assert found.sizes["path"] == 4
    bounds = FIRST + np.r_[0, np.cumsum([80] * 5)]
    windows = list(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True))
    tested = [(a, b) for a in range(5) for b in range(a + 1, 5)]
    for p in range(4):
        picks = []
        for g in range(5):
            split = [k for k, pair in enumerate(tested) if g in pair][p]
            assert int(found["split_of"][p, g]) == split
            picks.append({n: found[f"chosen_{n}"].values[split].item() for n in GRID})
        same(found.sel(path=p), by_hand(windows, picks, carry))
    assert len(set(found["final_equity"].values)) > 1
    why = kk.why(found.sel(path=3), int(kk.orders(found.sel(path=3))["order"].iloc[-3]))
    assert f"with n={picks[-1]['n']}, w={picks[-1]['w']:g}" in str(why)


def test_k5__between_windows_that_are_apart_the_account_is_closed_and_waits() -> None:
    found = kk.cross_validate(BARS, trend, grid=GRID, splits=kk.splits.blocked(4, test=0.5, gap=2), venue=VENUE)
    bounds = FIRST + np.r_[0, np.cumsum([100] * 4)]
    windows = [(int(b) - 50, int(b)) for b in bounds[1:]]
    picks = [{n: found[f"chosen_{n}"].values[k].item() for n in GRID} for k in range(4)]
    same(found.isel(path=0), by_hand(windows, picks, True))
    position = found["position_oos"].isel(path=0).values
    assert (position[52:99] == 0.0).all()
    assert (position[:50] != 0.0).any()


def test_k4__walk_forward_with_steps_and_gaps_by_bars() -> None:
    asked: dict[str, Any] = {"grid": GRID, "venue": VENUE, "train": 120, "test": 40, "gap": 5, "step": 60}
    wf = kk.walk_forward(BARS, trend, **asked)
    windows = [(120, 160), (180, 220), (240, 280), (300, 340), (360, 400)]
    picks = [{n: wf[n].values[k].item() for n in GRID} for k in range(5)]
    same(wf, by_hand(windows, picks, True))
    assert wf["fold_of"].values[[0, 39, 40, 59, 60]].tolist() == [0, 0, -1, -1, 1]
    times = BARS["time"].values
    np.testing.assert_array_equal(wf["train_end"].values, times[[a - 6 for a, _ in windows]])
    for k, (first, _) in enumerate(windows):
        with ledger.role("debug"):
            res = kk.backtest(BARS, trend, grid=GRID, start=times[first - 120], end=times[first - 6], venue=VENUE)
        assert float(wf["is_sharpe_ratio"][k]) == float(res["sharpe_ratio"].max())
        assert float(res["sharpe_ratio"].sel(picks[k])) == float(res["sharpe_ratio"].max())
    with pytest.raises(UsageError, match="step: found 20, wanted test windows that do not overlap"):
        kk.walk_forward(BARS, trend, **asked | {"step": 20})


def test_walk_forward__chooses_by_any_metric_and_by_a_searcher() -> None:
    asked: dict[str, Any] = {"grid": GRID, "venue": VENUE, "train": 120, "test": 60, "start": "2019-02-01"}
    wf = kk.walk_forward(BARS, trend, **asked, select="-max_drawdown")
    assert wf.attrs["selected_by"] == "-max_drawdown"
    seen: list[Any] = []

    def smallest(bars: xr.Dataset, subject: Any, space: Any, settings: Any) -> dict[str, Any]:
        seen.append(bars["time"].values[-1])
        res = kk.backtest(bars, subject, grid=space, **settings)
        best = res["max_drawdown"].values.argmin()
        n, w = np.unravel_index(best, res["max_drawdown"].shape)
        return {"n": GRID["n"][n], "w": GRID["w"][w]}

    other = kk.walk_forward(BARS, trend, **asked, select="-max_drawdown", searcher=smallest)
    for name in ("n", "w", "is_max_drawdown", "is_sharpe_ratio", "equity_oos"):
        np.testing.assert_array_equal(wf[name].values, other[name].values)
    np.testing.assert_array_equal(np.array(seen), wf["train_end"].values)
    roles = [row["role"] for row in ledger.rows("trials")]
    assert roles.count("rival") == 2
    assert set(roles) == {"rival", "training"}
    with pytest.raises(UsageError, match="select: found 'luck'"):
        kk.walk_forward(BARS, trend, **asked, select="luck")
    with pytest.raises(UsageError, match="what the searcher returned: found n, wanted n, w"):
        kk.walk_forward(BARS, trend, **asked, searcher=lambda *_: {"n": 5})
    outside = dict(zip(GRID, (values[-1] for values in GRID.values()), strict=True))
    with pytest.raises(UsageError, match="where"):  # which holds for what a searcher picks, too
        kk.walk_forward(BARS, trend, **asked, where=f"n < {GRID['n'][-1]}", searcher=lambda *_: outside)


def test_k5__bars_after_a_run_change_nothing_of_it() -> None:
    splitter = kk.splits.combinatorial(5, 2, label=2, embargo=3)
    cut = FIRST + 240  # from the fourth group on
    frame, other = daily(419), daily(419, seed=99, drift=0.01)
    frame.iloc[cut:] = other.iloc[cut:]
    one = kk.cross_validate(BARS, trend, grid=GRID, splits=splitter)
    changed = kk.cross_validate(bars_of(frame), trend, grid=GRID, splits=splitter)
    early = [s for s, (a, b) in enumerate([(a, b) for a in range(5) for b in range(a + 1, 5)]) if b < 3]
    late = [s for s in range(10) if s not in early]
    assert len(early) == 3
    for name in ("oos_sharpe_ratio", "oos_max_drawdown", "oos_total_return"):
        np.testing.assert_array_equal(changed[name].values[early], one[name].values[early])
        assert (changed[name].values[late] != one[name].values[late]).any()
    # the split that tests the last two groups trains on what lies before, less what is purged
    np.testing.assert_array_equal(changed["is_sharpe_ratio"].values[9], one["is_sharpe_ratio"].values[9])
    assert (changed["is_sharpe_ratio"].values[:9] != one["is_sharpe_ratio"].values[:9]).all()
    np.testing.assert_array_equal(changed["blocks"].values[:3], one["blocks"].values[:3])


def test_k6__nested_choice_is_the_mean_over_inner_tests() -> None:
    outer, inner = kk.splits.purged(4, embargo=2), kk.splits.expanding(3)
    found = kk.cross_validate(BARS, trend, grid=GRID, splits=outer, inner=inner, venue=VENUE)
    for k, (train, _) in enumerate(outer.split(range(400))):
        rows = train + FIRST
        for cell in cells():
            values = []
            for _, test in inner.split(rows):
                own = np.split(rows[test], np.flatnonzero(np.isin(rows[test][1:], FIRST + np.arange(0, 401, 100))) + 1)
                pieces = [p for q in own for p in np.split(q, np.flatnonzero(np.diff(q) > 1) + 1)]
                values.append(sharpe(np.concatenate([run_of(p[0], p[-1] + 1, cell)[0] for p in pieces])))
            assert float(found["score"].isel(split=k).sel(cell)) == pytest.approx(np.mean(values), rel=1e-9)
    best = found["score"].values.reshape(4, -1).argmax(axis=1)
    assert [cells()[b]["n"] for b in best] == found["chosen_n"].values.tolist()
    assert found.attrs["nested"] == 1
    plain = kk.cross_validate(BARS, trend, grid=GRID, splits=outer, venue=VENUE)
    np.testing.assert_array_equal(plain["score"].values, plain["is_sharpe_ratio"].values)
    np.testing.assert_array_equal(plain["is_sharpe_ratio"].values, found["is_sharpe_ratio"].values)
    assert (plain["score"].values != found["score"].values).all()


def test_holdout__seals_what_is_left() -> None:
    frame = daily(419)
    frame.iloc[379:] = daily(419, seed=5).iloc[379:]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one = kk.cross_validate(BARS, trend, grid=GRID, splits=kk.splits.holdout())
        other = kk.cross_validate(bars_of(frame), trend, grid=GRID, splits=kk.splits.holdout())
    for name in ("is_sharpe_ratio", "oos_sharpe_ratio", "equity_oos", "final_equity"):
        np.testing.assert_array_equal(one[name].values, other[name].values)
    ids = [str(BARS["asset_id"].values[0])]
    since, looks = ledger.looks(ids)
    assert np.datetime64(since, "ns") == BARS["time"].values[379] == one["time"].values[-1] + np.timedelta64(1, "D")
    assert looks == []
    assert len(list(ledger.rows("seal"))) == 1
    with pytest.warns(ledger.SealedWarning, match="this is the first look"):
        kk.backtest(BARS, trend)


def test_k6__one_path_is_the_rival_and_the_verdict_is_about_it(found: xr.Dataset, home: Path) -> None:
    rows = list(ledger.rows("trials"))
    roles = [row["role"] for row in rows]
    assert (roles.count("rival"), roles.count("path")) == (1, 3)
    assert set(roles) == {"rival", "path", "training"}
    order = np.argsort(found["sharpe_ratio"].values, kind="stable")
    assert found.attrs["middle_path"] == order[1]
    verdict = kk.verdict(found, replications=99)
    assert verdict.sharpe_ratio == pytest.approx(float(found["sharpe_ratio"][order[1]]), rel=1e-6)
    assert verdict.n_trials == 1
    assert not np.isnan(verdict.p_value)


def test_pbo__of_the_windows_of_a_cross_validation() -> None:
    grid = {"n": [3, 5, 8, 10, 15, 20], "w": [1.0, 0.5]}
    found = kk.cross_validate(BARS, trend, grid=grid, where="n > 3 or w > 0.7", splits=kk.splits.purged(8), venue=VENUE)
    s1, s2 = np.zeros((8, 11)), np.zeros((8, 11))
    own = [{"n": n, "w": w} for n in grid["n"] for w in grid["w"] if n > 3 or w > 0.7]
    for g in range(8):
        for k, cell in enumerate(own):
            x = run_of(FIRST + 50 * g, FIRST + 50 * g + 50, cell)[0]
            s1[g, k], s2[g, k] = x.sum(), (x * x).sum()
    wanted = numbers(Sums(np.full(8, 50.0), s1, s2), "sharpe_ratio", 49, 0.9, 3)
    told = kk.inference.pbo(found["blocks"], dim="test_window", draws=49, seed=3)
    np.testing.assert_allclose([float(v) for v in told.data_vars.values()], wanted, rtol=1e-9)
    assert told.attrs["blocks"] == 8


@kk.portfolio
def each(ctx, part=0.5, fold=10):  # type: ignore[no-untyped-def]
    for k in ctx.tradable:
        up = ctx[k].close[0] > ctx[k].close.sma(fold)
        ctx[k].target_percent(part if up else 0.0)


def test_k5__portfolios_and_parameters_of_any_name() -> None:
    """Its own runs, one by one; a parameter may be called as the studies call their dims inside."""
    both = {"a": daily(419), "b": daily(419, seed=7)}
    bars = kk.data.from_pandas(both, label="open", bar="1D", calendar="24/7", lot_size=1.0)
    grid = {"part": [0.2, 0.5], "fold": [5, 20]}
    splitter = kk.splits.purged(4, embargo=2)
    found = kk.cross_validate(bars, each, grid=grid, splits=splitter, venue=VENUE)
    assert found["position_oos"].dims == ("path", "time", "asset")
    times = bars["time"].values[FIRST:]
    for k, (_, test) in enumerate(splitter.split(range(400))):
        with ledger.role("debug"):
            res = kk.backtest(bars, each, grid=grid, start=times[test[0]], end=times[test[-1]], venue=VENUE)
        for name in ("sharpe_ratio", "max_drawdown", "volatility"):
            np.testing.assert_allclose(found[f"oos_{name}"].values[k], res[name].values, rtol=1e-12)
    with pytest.raises(UsageError, match="found a parameter 'fold', wanted a name beside fold"):
        kk.walk_forward(bars, each, grid=grid, venue=VENUE, train=100, test=50)
    wf = kk.walk_forward(bars, each, grid={"part": [0.2, 0.5]}, venue=VENUE, train=100, test=50, step=70)
    rests = wf["fold_of"].values == -1
    assert rests.sum() == 20 * (wf.sizes["fold"] - 1)
    assert (wf["position_oos"].values[51:70] == 0.0).all()  # closed at the next open
    assert (wf["position_oos"].values[~rests] != 0.0).any(axis=0).all()
    assert len(kk.trades(found.sel(path=0))) > 10


def test_what_cannot_be_cross_validated() -> None:
    @signal
    def some(ds, n=5):  # type: ignore[no-untyped-def]
        return ds["close"] * 0.0

    @strategy
    def clash(ctx, path=1):  # type: ignore[no-untyped-def]
        ctx.target_percent(1.0 * path)

    for error, text, subject, more in (
        (UsageError, "a function of whole arrays", some, {}),
        (UsageError, "grid of a cross-validation: found no axis", trend, {"grid": {}}),
        (UsageError, "splits: found int, wanted a splitter", trend, {"splits": 5}),
        (UsageError, "inner: found str, wanted a splitter", trend, {"inner": "5"}),
        (UsageError, "select: found 'n_fills'", trend, {"select": "n_fills"}),
        (UsageError, "parameter: found path", clash, {"grid": {"path": [1, 2]}}),
        (OrderError, "use carry=False", trend, {"fill_model": kk.FillModel(close_out="last_open")}),
    ):
        with pytest.raises(error, match=text):
            kk.cross_validate(BARS, subject, **{"grid": GRID, **more})


def test_a_cell_that_fails_has_no_result_and_is_not_chosen() -> None:
    @strategy
    def fragile(ctx, n=5, bad=0):  # type: ignore[no-untyped-def]
        ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else -1.0)
        if bad > 0 and ctx.i > 330:
            raise ValueError("too late")

    found = kk.cross_validate(BARS, fragile, grid={"bad": [0, 1]}, splits=kk.splits.purged(4))
    score = found["is_sharpe_ratio"].sel(bad=1).values
    assert np.isnan(score[:3]).all()
    assert np.isfinite(score[3])
    assert found["error"].sel(bad=1).values.tolist() == ["ValueError: too late"] * 4
    assert found["chosen_bad"].values.tolist() == [0, 0, 0, 0]
    with pytest.raises(ValueError, match="too late") as caught:  # where the choice fails, so does the study
        kk.cross_validate(BARS, fragile, grid={"bad": [1, 0]}, splits=kk.splits.purged(4))
    assert caught.value.__notes__[0].startswith("fragile, bar 331")
