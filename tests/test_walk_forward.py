"""Walk-forward: the stitched account is one run under the switch rule, and no selection sees what comes after it."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import kernelkit as kk
from kernelkit import ledger, reuse, working
from kernelkit.errors import KernelkitError, OrderError, UsageError
from kernelkit.ledger.trials import FAILED
from kernelkit.strategy import signal, strategy
from kernelkit.study import walk_forward as study
from kernelkit.study.splitters import Rolling


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".kernelkit").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def daily(n: int = 700, seed: int = 1, drift: float = 0.0) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    close = 64.0 * np.exp(np.cumsum(draw.normal(drift, 0.012, n)))
    opens = np.r_[close[0], close[:-1]] * np.exp(draw.normal(0.0, 0.003, n))
    frame = pd.DataFrame({"open": opens, "close": close}, index=pd.date_range("2019-01-01", periods=n, freq="1D"))
    frame["high"] = frame.max(axis=1) * (1.0 + draw.uniform(0.0, 0.01, n))
    frame["low"] = frame.min(axis=1) * (1.0 - draw.uniform(0.0, 0.01, n))
    return frame.assign(volume=1e5)


def bars_of(frame: pd.DataFrame) -> xr.Dataset:
    bars: xr.Dataset = kk.data.from_pandas(frame, label="open", bar="1D", calendar="24/7", lot_size=1.0)
    return bars


BARS = bars_of(daily())
VENUE = kk.Venue("v", kk.fees.per_unit(0.005, 1.0), kk.slippage.fraction(0.0005))
WINDOWS = {"train": "8M", "test": "3M"}


@strategy(state=dict(up=0, last=kk.ring(3)))
def counted(ctx, s, n=10, k=1.0):  # type: ignore[no-untyped-def]
    s.last.push(ctx.close[0])
    if ctx.close[0] > ctx.close.sma(n) and ctx.high.max(n) > s.last[-2]:
        s.up += 1
    ctx.record("up", 1.0 * s.up)
    ctx.target_percent(0.1 * (s.up % 7) * k)
    if ctx.i % 5 == 0:
        ctx.limit(3.0, ctx.close[0] * 0.985)


@strategy
def follow(ctx, carry=True):  # type: ignore[no-untyped-def]
    ctx.target_percent(0.1 * (ctx.x.up[0] % 7.0) * ctx.x.k[0])
    if ctx.i % 5 == 0:
        ctx.limit(3.0, ctx.close[0] * 0.985)
    if ctx.x.switch[0] > 0.0:
        ctx.cancel_all()
        if not carry:
            ctx.target(0.0)


def scripted(monkeypatch: pytest.MonkeyPatch, picks: list[dict[str, Any]]) -> None:
    """Let the selections come out as told."""
    told = [{"params": pick, "sharpe_ratio": 1.0, "trials": 4} for pick in picks]
    monkeypatch.setattr(study, "selections", lambda *_: told)


def by_hand(wf: xr.Dataset, picks: list[dict[str, Any]], carry: bool) -> xr.Dataset:
    """One run whose decisions are those of each fold's parameters, their state replayed over all earlier bars."""
    folds = study.folds(BARS, Rolling(WINDOWS["train"], WINDOWS["test"]))
    assert len(folds) == len(picks) == wf.sizes["fold"]
    index = BARS.indexes["time"]
    columns = {name: np.zeros(len(index)) for name in ("up", "k", "switch")}
    for fold, pick in zip(folds, picks, strict=True):
        alone = kk.backtest(BARS, counted, pick)
        state = pd.Series(alone["up"].values, index=alone.indexes["time"]).reindex(index)
        span = slice(fold.test, fold.stop)
        columns["up"][span], columns["k"][span] = state.to_numpy()[span], pick["k"]
        columns["switch"][fold.stop - 1] = fold is not folds[-1]
    with_features = BARS
    for name, values in columns.items():
        with_features = kk.feature(
            with_features, name, pd.Series(values, BARS["known_at"].values), known_at=BARS["known_at"].values
        )
    first, last = str(index[folds[0].test]), str(index[folds[-1].stop - 1])
    res: xr.Dataset = kk.backtest(with_features, follow, {"carry": carry}, start=first, end=last, venue=VENUE)
    return res


PICKS: list[dict[str, Any]] = [{"n": n, "k": k} for n, k in ((5, 1), (30, 2.5), (12, 1), (30, 1), (5, 2.5))]


@pytest.mark.parametrize("carry", [True, False])
def test_stitched_is_one_run_with_switched_parameters(monkeypatch: pytest.MonkeyPatch, carry: bool) -> None:
    """Bit for bit: targets, resting limits cancelled at a switch, own state, rings that grow, an int among floats."""
    scripted(monkeypatch, PICKS)
    wf = kk.walk_forward(BARS, counted, grid={"n": [5, 12, 30], "k": [1, 2.5]}, carry=carry, venue=VENUE, **WINDOWS)
    res = by_hand(wf, PICKS, carry)
    np.testing.assert_array_equal(wf["equity_oos"].values, res["equity"].values)
    np.testing.assert_array_equal(wf["drawdown_oos"].values, res["drawdown"].values)
    np.testing.assert_array_equal(wf["position_oos"].values, res["position"].values)
    np.testing.assert_array_equal(wf["time"].values, res["time"].values)
    for table in (kk.fills, kk.trades, kk.orders):
        pd.testing.assert_frame_equal(table(wf), table(res))
        assert len(table(wf)) > 10
    for name in kk_metrics(res):
        np.testing.assert_array_equal(wf[name].values, res[name].values, name)
    assert int(res["n_fills"]) > 100
    orders = kk.orders(res)
    at_switch = orders[(orders["reason"] == "user")]
    assert len(at_switch) > 4  # something did rest at the switches
    assert wf["n"].values.tolist() == [p["n"] for p in PICKS]
    assert wf["k"].values.tolist() == [p["k"] for p in PICKS]


def kk_metrics(res: xr.Dataset) -> list[str]:
    return [str(n) for n, v in res.data_vars.items() if v.ndim == 0] + ["blocks"]


def test_without_carry_a_fold_begins_flat(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, PICKS)
    wf = kk.walk_forward(BARS, counted, grid={"n": [5, 12, 30], "k": [1, 2.5]}, carry=False, **WINDOWS)
    res = by_hand(wf, PICKS, False)
    position = res["position"].values
    first = np.searchsorted(wf["time"].values, wf["test_start"].values[1:])
    assert (position[first] == 0.0).all()
    assert (position[first - 1] != 0.0).any()


@strategy
def trend(ctx, n=20, w=1.0):  # type: ignore[no-untyped-def]
    ctx.target_percent(w if ctx.close[0] > ctx.close.sma(n) else -w)


GRID = {"n": [5, 10, 20, 40]}


def test_selection_is_the_best_training_cell() -> None:
    wf = kk.walk_forward(BARS, trend, grid=GRID, **WINDOWS)
    assert len(set(wf["n"].values.tolist())) > 1
    for fold in wf.transpose("fold", ...).fold.values:
        one = wf.sel(fold=fold)
        seen = BARS.sel(time=slice(None, one["train_end"].values))
        res = kk.backtest(seen, trend, grid=GRID, start=one["train_start"].values)
        assert int(one["n"]) == int(res["n"][int(res["sharpe_ratio"].values.argmax())])
        assert float(one["is_sharpe_ratio"]) == float(res["sharpe_ratio"].max())
        assert int(one["training_trials"]) == 4
        assert one["train_end"].values < one["test_start"].values


@pytest.mark.parametrize("after", [1, 3])
def test_selection_sees_training_bars_only(after: int) -> None:
    """Other bars from a test window on change no selection up to it, and no trading before it."""
    wf = kk.walk_forward(BARS, trend, grid=GRID, **WINDOWS)
    cut = wf["test_start"].values[after]
    frame, other = daily(), daily(seed=99, drift=0.01)
    later = frame.index >= pd.Timestamp(cut)
    frame.loc[later] = other.loc[later]
    changed = kk.walk_forward(bars_of(frame), trend, grid=GRID, **WINDOWS)
    for name in ("n", "is_sharpe_ratio"):
        np.testing.assert_array_equal(changed[name].values[: after + 1], wf[name].values[: after + 1])
    before = wf["time"].values < cut
    np.testing.assert_array_equal(changed["equity_oos"].values[before], wf["equity_oos"].values[before])
    assert (changed["is_sharpe_ratio"].values[after + 1 :] != wf["is_sharpe_ratio"].values[after + 1 :]).all()
    assert (changed["equity_oos"].values[~before] != wf["equity_oos"].values[~before]).any()


def test_ties_go_to_the_earliest() -> None:
    @strategy
    def idle(ctx, unused=1, w=0.0):  # type: ignore[no-untyped-def]
        ctx.target_percent(w)

    wf = kk.walk_forward(BARS, idle, grid={"unused": [3, 1, 2], "w": [1.0]}, **WINDOWS)
    assert wf["unused"].values.tolist() == [3] * wf.sizes["fold"]
    nothing = kk.walk_forward(BARS, idle, grid={"unused": [3, 1, 2]}, **WINDOWS)  # no trade: no Sharpe ratio at all
    assert nothing["unused"].values.tolist() == [3] * wf.sizes["fold"]
    assert np.isnan(nothing["is_sharpe_ratio"].values).all()
    assert np.isnan(nothing["efficiency"].values).all()
    assert (nothing["training_trials"].values == 0).all()


def test_efficiency() -> None:
    """OOS over IS, NaN where IS is not positive; OOS from the sessions of the window alone."""
    wf = kk.walk_forward(BARS, trend, grid=GRID | {"w": [1.0, 0.5]}, **WINDOWS)
    inside, outside = wf["is_sharpe_ratio"].values, wf["oos_sharpe_ratio"].values
    np.testing.assert_array_equal(wf["efficiency"].values, np.where(inside > 0, outside / inside, np.nan))
    assert np.isfinite(wf["efficiency"].values).any()
    short = kk.walk_forward(bars_of(daily(drift=0.004)), trend, grid={"w": [-1.0, -0.7]}, params={"n": 60}, **WINDOWS)
    assert (short["is_sharpe_ratio"].values < 0).any()
    np.testing.assert_array_equal(np.isnan(short["efficiency"].values), short["is_sharpe_ratio"].values <= 0)
    equity = pd.Series(np.r_[1e6, wf["equity_oos"].values])
    returns = equity.pct_change().iloc[1:].to_numpy()
    for k, found in enumerate(outside):
        x = returns[wf["fold_of"].values == k]
        assert found == pytest.approx(x.mean() / x.std(ddof=1) * np.sqrt(365), rel=1e-9)


def roles(home: Path) -> list[str]:
    return [row["role"] for row in ledger.rows("trials", at=str(home / ".kernelkit" / "ledger"))]


def test_finished_trials_are_not_computed_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same study finds them, one of more windows those that it shares; both are in the ledger all the same."""
    monkeypatch.setattr(reuse, "WORTH", 0.0)
    run, asked = working.run, list[int]()

    def counting(recipe: Any, *more: Any, **named: Any) -> Any:
        asked.append(len(recipe.job.trials))
        return run(recipe, *more, **named)

    monkeypatch.setattr(working, "run", counting)
    monkeypatch.setattr(working, "FEW", 0)
    given: dict[str, Any] = {"grid": GRID, "cache": home / "kept"} | WINDOWS
    first = kk.walk_forward(BARS, trend, **given)
    again = kk.walk_forward(BARS, trend, **given)
    n = first.sizes["fold"]
    assert asked == [4 * n]
    for name in first.variables:
        np.testing.assert_array_equal(again[name].values, first[name].values, str(name))
    assert roles(home) == (["training"] * n + ["rival"]) * 2
    later = kk.walk_forward(BARS, trend, **given, start="2019-04-01")
    assert later.sizes["fold"] == n - 1
    assert asked == [4 * n]  # all its windows are among those
    other = kk.walk_forward(BARS, trend, **given, start="2019-02-01")
    assert asked == [4 * n, 4 * other.sizes["fold"]]
    assert roles(home).count("rival") == 4


def test_folds() -> None:
    index = BARS.indexes["time"]
    rolling, anchored = study.folds(BARS, Rolling("8M", "3M")), study.folds(BARS, Rolling("8M", "3M", anchored=True))
    assert [(f.test, f.stop) for f in rolling] == [(f.test, f.stop) for f in anchored]
    assert {f.train for f in anchored} == {0}
    for fold, following in itertools.pairwise(rolling):
        assert fold.stop == following.test
        assert index[fold.test] == index[fold.train] + pd.DateOffset(months=8)
    assert rolling[-1].stop == len(index)
    assert rolling[-1].stop - rolling[-1].test == 91
    short = study.folds(BARS, Rolling("8M", "3M"), end="2020-10-15")
    assert [(f.test, f.stop) for f in short] == [*[(f.test, f.stop) for f in rolling[:-1]], (609, 654)]
    later = study.folds(BARS, Rolling("8M", "3M"), start="2019-03", end="2020-06-30")
    assert (index[later[0].train], index[later[-1].stop - 1]) == (
        pd.Timestamp("2019-03-01"),
        pd.Timestamp("2020-06-30"),
    )
    with pytest.raises(UsageError, match=r"found 5Y and 1Y, wanted windows that fit into 2019-01-01 \.\.\. 2020-11-30"):
        study.folds(BARS, Rolling("5Y", "1Y"))
    for text in ("5", "0D", "Y", "5y", "-3D"):
        with pytest.raises(UsageError, match=r"train: found .*, wanted a duration such as 5Y, 6M, 8W or 90D"):
            study.folds(BARS, Rolling(text, "1Y"))


def test_what_it_says_of_itself() -> None:
    wf = kk.walk_forward(BARS, trend, grid=GRID, venue=VENUE, **WINDOWS)
    assert wf.attrs["study"] == "walk_forward"
    assert wf.attrs["selected_by"] == "sharpe_ratio"
    assert wf.attrs["costs"] == VENUE.costs
    assert float(wf["equity_oos"][-1]) == float(wf["final_equity"])
    assert float(wf["drawdown_oos"].max()) == pytest.approx(float(wf["max_drawdown"]), abs=1e-15)
    assert wf["fold_of"].values.tolist() == sorted(wf["fold_of"].values.tolist())
    for name in ("equity_oos", "drawdown_oos", "is_sharpe_ratio", "oos_sharpe_ratio", "efficiency"):
        assert wf[name].attrs["long_name"]
        assert wf[name].attrs["units"] == ("quote" if name == "equity_oos" else "1")


def test_an_exception_in_a_later_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    @strategy
    def fragile(ctx, n=20, fatal=False):  # type: ignore[no-untyped-def]
        ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else 0.0)
        if fatal and ctx.i > 450:
            raise ValueError("in the third fold")

    scripted(monkeypatch, [{"fatal": k == 2} for k in range(5)])
    with pytest.raises(ValueError, match="in the third fold") as caught:
        kk.walk_forward(BARS, fragile, grid={"fatal": [False, True]}, **WINDOWS)
    assert caught.value.__notes__[0].startswith("fragile, bar 4")
    (row,) = ledger.rows("trials")  # what failed was tried (J1)
    assert (row["role"], row["status"].tolist(), len(row["switches"])) == ("rival", [FAILED], 3)


@signal
def some_signal(ds, n=5):  # type: ignore[no-untyped-def]
    return ds["close"] * 0.0


def test_what_cannot_be_walked() -> None:
    two = xr.concat([BARS, BARS.assign_coords(asset=["other"])], "asset", data_vars="minimal", coords="minimal")
    cases: list[tuple[type[KernelkitError], str, xr.Dataset, Any, dict[str, Any]]] = [
        (UsageError, "a function of whole arrays", BARS, some_signal, {}),
        (UsageError, "found 2 assets, wanted one", two, trend, {}),
        (UsageError, "grid of a walk-forward: found no axis", BARS, trend, {"grid": {}}),
        (OrderError, "use carry=False to close them", BARS, trend, {"fill_model": kk.FillModel(close_out="last_open")}),
    ]
    for error, text, bars, subject, more in cases:
        with pytest.raises(error, match=text):
            kk.walk_forward(bars, subject, **({"grid": GRID} | WINDOWS | more))


def test_a_curve_that_grows_by_the_same_return_has_no_sharpe_ratio() -> None:
    """M5: equal samples have no variance, whatever the rounding says."""
    equity, sessions = 100.0 * 1.0003 ** np.arange(1, 64), np.arange(63)
    assert np.isnan(study.sharpes(equity, sessions, np.zeros(63, int), 1, 100.0, 252.0)).all()


@strategy(warmup=0)
def spendthrift(ctx, n=1):  # type: ignore[no-untyped-def]
    ctx.cancel_all()
    ctx.order(5.0 if ctx.position == 0.0 else 1.0)
    for k in range(63):
        ctx.limit(1.0, ctx.close[0] * (0.5 - 0.001 * k))


def test_closing_at_a_switch_is_a_decision_of_its_own() -> None:
    """The strategy has given all orders that one decision may give."""
    wf = kk.walk_forward(BARS, spendthrift, grid={"n": [1, 2]}, carry=False, **WINDOWS)
    fills = kk.fills(wf)
    closing = fills[fills["side"] == "sell"]
    assert len(closing) == 4
    assert (closing["position"] == 0.0).all()
    assert (fills["position"].shift(1)[closing.index] == closing["quantity"]).all()


def test_a_loop_that_waits_for_orders_ends_in_a_replay() -> None:
    """Its orders are inert there: the 65th in one decision ends the study, as it would end a run."""

    @kk.strategy
    def wait(ctx, n=2):  # type: ignore[no-untyped-def]
        while ctx.orders < n:
            ctx.limit(1.0, 0.9 * ctx.close[0])
        if ctx.i % 9 == 0:
            ctx.cancel_all()

    bars = kk.data.load("sp500_index").isel(time=slice(0, 800))
    with pytest.raises(OrderError, match="more than 64 new orders in one decision"):
        kk.walk_forward(bars, wait, grid={"n": [1, 2]}, train="1Y", test="1Y")
