"""Bars matched in their finer bars (F16): what a run over the finer bars that decides at the coarse closes does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import kernelkit as kk
from kernelkit import intrabar, ledger
from kernelkit.errors import DataError, OrderError, UsageError
from kernelkit.kernels import layout as L
from kernelkit.kernels.job import Job, Logs
from kernelkit.kernels.session import Recorder
from kernelkit.kernels.tools import reads
from tests.programs import Case, job
from tests.test_debug import _binding
from tests.test_engine_is_reference import FEES, SLIPPAGES, cases
from tests.test_finer_is_reference import grouped


def blind(model: Any) -> bool:
    """A model that sees nothing which coarse and finer bars have otherwise."""
    return model is None or not any(reads(model.text, n) for n in ("volume", "volatility", "equity"))


BLIND_FEES = [fee for fee, _ in FEES if blind(fee)]
BLIND_SLIPS = [slip for slip, _ in SLIPPAGES if blind(slip)]


@pytest.fixture(autouse=True)
def own_ledger(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".kernelkit").mkdir()
    monkeypatch.chdir(tmp_path)


@dataclass
class Pair:
    """A job over bars with finer ones, one over the finer bars that decides where those end, and the former's case."""

    coarse: Job
    fine: Job
    case: Case

    def __repr__(self) -> str:
        config = self.case.config
        return f"Pair({len(self.fine.tables[0].columns[0])} finer bars, {self.coarse.tables[0].edges}, {config})"


@st.composite
def nested(draw: st.DrawFn) -> Pair:
    case = draw(cases(calm=True))
    n = len(case.bars.o)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    last = rng.random(n) < draw(st.sampled_from([0.15, 0.4, 0.8]))
    last[-1] = True
    ends = np.flatnonzero(last)
    begin = int(np.searchsorted(ends, case.config.trade_from))
    config = replace(
        case.config,
        path="stop_first",
        trade_from=begin,
        market=case.config.market if case.config.market != "same_close" else "next_open",
        close_out=case.config.close_out if case.config.close_out != "last_open" else "none",
        end=None,
    )
    fee, slip = draw(st.sampled_from(BLIND_FEES)), draw(st.sampled_from(BLIND_SLIPS))
    if fee is not None and reads(fee.text, "traded") and config.close_out != "none":
        fee = None  # a close-out belongs to the coarse bar, whose day may be an earlier one
    program = [rows if last[k] else [] for k, rows in enumerate(case.program)]
    whole = Case(
        grouped(case.bars, ends),
        case.grid,
        config,
        [case.program[k] for k in ends],
        fee,
        slip,
        tuple(case.closes[k] for k in ends),
        case.limits,
    )
    fine = replace(case, config=replace(config, trade_from=int(ends[begin])), program=program, fee=fee, slippage=slip)
    one, other = job(whole), job(fine)
    table = other.tables[0]
    inner = replace(table, columns=(*table.columns[: L.FIRST_FEATURE], table.columns[-1]), closing=L.FIRST_FEATURE)
    part = intrabar.within(one.tables[0], inner, np.arange(inner.n_bars), "X")
    np.testing.assert_array_equal(part.edges[1:], ends + 1)
    codes = list(one.fill_models[0])
    codes[L.FILL_MODEL.names.index("path")] = L.FINER
    one = replace(one, tables=[replace(one.tables[0], finer=part.table, edges=part.edges)], fill_models=[codes])
    return Pair(one, other, whole)


def logs(work: Job, python: Any = None) -> tuple[Logs, Recorder]:
    recorder = Recorder(work, 0, python=python)
    found = recorder.all()
    assert not recorder.outcome.errors
    return found, recorder


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(nested())
def test_f16_is_the_run_over_the_finer_bars(pair: Pair) -> None:
    coarse, fine = pair.coarse, pair.fine
    (a, first), (b, other) = logs(coarse), logs(fine)
    assume(not first.outcome.meta[0, 2] and not other.outcome.meta[0, 2])  # A6 looks at closes, of which there are more
    assert a.fills.tobytes() == b.fills.tobytes()
    assert a.trades.tobytes() == b.trades.tobytes()
    names = [n for n in L.ORDER.names if n not in ("touch_lo", "touch_hi", "marks", "session")]
    assert a.orders[names].tolist() == b.orders[names].tolist()
    for one in (a, b):  # a lone market order is filled without a look, nor is its session noted
        one.orders["marks"] &= ~L.SEEN
    assert a.orders["marks"].tolist() == b.orders["marks"].tolist()
    ends = coarse.tables[0].edges[1 + int(coarse.trials["trade_from"][0]) :] - 1 - int(fine.trials["trade_from"][0])
    assert a.curves.tobytes() == b.curves[ends].tobytes()


@settings(max_examples=25, deadline=None)
@given(nested())
def test_f16_debug_is_compiled(pair: Pair) -> None:
    (a, one), (b, other) = logs(pair.coarse), logs(pair.coarse, _binding(pair.case))
    for name in ("fills", "orders", "trades", "curves"):
        assert getattr(a, name).tobytes() == getattr(b, name).tobytes(), name
    assert one.outcome.headline.tobytes() == other.outcome.headline.tobytes()


HOUR = 3_600_000_000_000


@kk.strategy
def mixed(ctx, depth=0.002):  # type: ignore[no-untyped-def]
    """At each full hour, by its close alone: brackets, limits, stops, trailing stops, orders for a day or an hour."""
    if ctx.time % HOUR == 0:
        k = ctx.time // HOUR % 7
        if ctx.position == 0.0:
            ctx.cancel_all()
            if k < 3:
                ctx.bracket(1000.0, entry=ctx.close[0] * (1.0 - depth), stop_loss=0.01, take_profit=0.012)
            elif k < 5:
                ctx.stop(-1000.0, ctx.close[0] * (1.0 - depth), expires=ctx.time + 90 * 60 * 10**9)
            else:
                ctx.limit(1000.0, ctx.close[0] * (1.0 - depth), tif="DAY")
        elif ctx.orders == 0:
            if ctx.position > 0.0:
                ctx.trailing_stop(-ctx.position, fraction=0.004)
            else:
                ctx.limit_if_touched(-ctx.position, ctx.close[0] * 0.997, ctx.close[0] * 0.9975)


READING = {"label": "open", "calendar": "24/7", "tz": "UTC", "lot_size": 1.0}


def hours_of(minutes: pd.DataFrame, rule: str = "1h", **reading: Any) -> xr.Dataset:
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    frame = minutes.resample(rule).agg(how).dropna()
    bars: xr.Dataset = kk.data.from_pandas(frame, bar=rule, **{**READING, **reading})
    return bars


def frame_of(bars: xr.Dataset) -> pd.DataFrame:
    names = ["open", "high", "low", "close", "volume"]
    frame: pd.DataFrame = bars.isel(asset=0).to_dataframe()[names]
    return frame


@pytest.fixture(scope="module")
def minutes() -> pd.DataFrame:
    return frame_of(kk.data.load("synthetic_minute", n=6000, seed=5))


def read(minutes: Any, **reading: Any) -> xr.Dataset:
    bars: xr.Dataset = kk.data.from_pandas(minutes, bar="1min", **{**READING, "tick_size": 1.0, **reading})
    return bars


def pair_of(minutes: pd.DataFrame) -> tuple[xr.Dataset, xr.Dataset]:
    return hours_of(minutes, tick_size=1.0), read(minutes)


FINER = kk.FillModel(path="finer")
VENUES = [None, kk.Venue("v", fees=kk.fees.maker_taker(0.0001, 0.0005), participation=0.5)]


@pytest.mark.parametrize("venue", VENUES, ids=["free", "limited"])
def test_f16_hours_in_minutes_are_minutes_that_decide_by_the_hour(minutes: pd.DataFrame, venue: Any) -> None:
    bars, fine = pair_of(minutes)
    venue = venue and replace(venue, participation=1000.0 / float(minutes["volume"].sum()) * 400)
    res = kk.backtest(bars, mixed, venue=venue, fill_model=FINER, finer=fine)
    alone = kk.backtest(fine, mixed, venue=venue, start=bars["known_at"].values[0] - np.timedelta64(1, "m"))
    fills = kk.fills(res)
    assert len(fills) > 40
    assert res.attrs["finer_lineage"] == fine.attrs["lineage"]
    assert len(fills["time"].dt.minute.unique()) > 10
    pd.testing.assert_frame_equal(fills, kk.fills(alone))
    pd.testing.assert_frame_equal(kk.orders(res), kk.orders(alone))
    assert float(res["final_equity"]) == float(alone["final_equity"])
    debug = kk.backtest(bars, mixed, venue=venue, fill_model=FINER, finer=fine, debug=True)
    assert debug["equity"].values.tobytes() == res["equity"].values.tobytes()


def test_f16_the_audit_cuts_and_corrupts_finer_bars_too(minutes: pd.DataFrame) -> None:
    bars, fine = pair_of(minutes)
    report = kk.audit(bars, mixed, fill_model=FINER, finer=fine, cuts=12)
    assert report.blind, report.leaks
    assert len(report.cuts) == 12


@pytest.mark.parametrize("cut", [20, 43, 71])
def test_f16_truncation_law(minutes: pd.DataFrame, cut: int) -> None:
    """What happened up to a bar does not change when the later ones, finer ones included, are not there."""
    bars, fine = pair_of(minutes)
    whole = kk.backtest(bars, mixed, fill_model=FINER, finer=fine)
    end = bars["known_at"].values[cut - 1]
    short = kk.backtest(
        bars.isel(time=slice(0, cut)), mixed, fill_model=FINER, finer=fine.sel(time=fine.known_at <= end)
    )
    fills = kk.fills(whole)
    pd.testing.assert_frame_equal(kk.fills(short), fills[fills["time"] <= end])
    assert short["equity"].values.tobytes() == whole["equity"].values[:cut].tobytes()


def test_f16_finer_bars_are_part_of_what_was_tried(minutes: pd.DataFrame, tmp_path: Any) -> None:
    bars, fine = pair_of(minutes)
    other = fine.copy(deep=True)
    other["volume"][7, 0] += 1.0
    models = ["conservative", FINER]
    kk.backtest(bars, mixed)
    kk.backtest(bars, mixed, fill_model=models, finer=fine)
    kk.backtest(bars, mixed, fill_model=models, finer=other)
    rows = list(ledger.rows("trials", at=str(tmp_path / ".kernelkit" / "ledger")))
    plain = [row["key"].tobytes() for row in rows if row["fill_model"] == kk.FillModel().codes()]
    exact = [row["key"].tobytes() for row in rows if row["fill_model"] == FINER.codes()]
    assert plain[0] == plain[1] == plain[2] != exact[0] != exact[1]


def test_f16_several_assets_a_grid_and_a_cluster(minutes: pd.DataFrame) -> None:
    from distributed import Client, LocalCluster

    late = minutes.iloc[360:]  # it begins six hours later
    fine = read({"a": minutes, "b": late})
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    frames = {k: f.resample("1h").agg(how) for k, f in (("a", minutes), ("b", late))}
    bars = kk.data.from_pandas(frames, bar="1h", tick_size=1.0, **READING)
    grid = {"depth": [0.001, 0.003]}
    res = kk.backtest(bars, mixed, grid=grid, fill_model=FINER, finer=fine)
    assert res["total_return"].dims == ("depth", "asset")
    for name, frame in (("a", minutes), ("b", late)):
        one, own = pair_of(frame)
        alone = kk.backtest(one, mixed, grid=grid, fill_model=FINER, finer=own)
        np.testing.assert_array_equal(res["final_equity"].sel(asset=name), alone["final_equity"])
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster:
        with Client(cluster) as client:
            there = kk.backtest(bars, mixed, grid=grid, fill_model=["lean", FINER], finer=fine, client=client)
    np.testing.assert_array_equal(there["final_equity"].sel(fill_model="path=finer"), res["final_equity"])


@kk.signal
def follow(ds, n=3):  # type: ignore[no-untyped-def]
    return (ds["close"] > ds["close"].rolling(time=n).mean()) * 1.0


def test_f16_a_signal_trades_at_the_first_finer_open(minutes: pd.DataFrame) -> None:
    bars, fine = pair_of(minutes)
    res = kk.backtest(bars, follow, fill_model=FINER, finer=fine)
    plain = kk.backtest(bars, follow)
    pd.testing.assert_frame_equal(kk.fills(res), kk.fills(plain))


def days(*rows: tuple[float, float, float, float, float], step: str, begin: str = "2024-01-01") -> xr.Dataset:
    index = pd.date_range(begin, periods=len(rows), freq=step)
    frame = pd.DataFrame(rows, index, ["open", "high", "low", "close", "volume"])
    bars: xr.Dataset = kk.data.from_pandas(frame, bar=step, tick_size=0.01, **READING)
    return bars


FOUR = [(100.0, 101.0, 99.0, 100.0, 10.0)] * 4
SECOND = [
    (100.0, 104.0, 100.0, 103.0, 1.0),
    (103.0, 103.0, 97.0, 98.0, 2.0),
    (98.0, 99.0, 96.0, 97.0, 3.0),
    (97.0, 105.0, 97.0, 102.0, 4.0),
]


def two_days() -> tuple[xr.Dataset, xr.Dataset]:
    """Two days in four quarters each; the second goes up, down and up again."""
    return (
        days((100.0, 101.0, 99.0, 100.0, 40.0), (100.0, 105.0, 96.0, 102.0, 10.0), step="1D"),
        days(*FOUR, *SECOND, step="6h"),
    )


def test_f16_by_hand() -> None:
    """Bracket from the open: target 103.50 is passed in the first quarter of the day, the stop at 98 in the second."""

    @kk.strategy
    def once(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx.bracket(10.0, stop=98.0, limit=103.5)

    bars, fine = two_days()
    exact = kk.fills(kk.backtest(bars, once, fill_model=FINER, finer=fine))
    assert exact["price"].tolist() == [100.0, 98.0]  # the target woke in the first quarter, and waits for the second
    assert exact["time"].tolist() == [pd.Timestamp("2024-01-02"), pd.Timestamp("2024-01-02 12:00")]
    assert exact["at"].tolist() == ["open", "bar"]


def test_f16_c3_what_models_see() -> None:
    """Volume and volatility are of the bars before, time is of the fill."""

    @kk.cost_model
    def told(m):  # type: ignore[no-untyped-def]
        return m.volume + 1e3 * m.volatility + (m.time // 3_600_000_000_000 % 24) * 1e4

    @kk.strategy
    def once(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 2:
            ctx.stop(1.0, 104.5)

    closes = (100.0, 110.0, 99.0)
    before = [(100.0, 111.0, 98.0, c, 4.0) for c in closes]
    quarters = [(100.0, 111.0, 98.0, c, 1.0) for c in closes for _ in range(4)]
    bars = days(*before, (100.0, 105.0, 96.0, 102.0, 10.0), step="1D")
    fine = days(*quarters, *SECOND, step="6h")
    fills = kk.fills(kk.backtest(bars, once, venue=kk.Venue("v", fees=told()), fill_model=FINER, finer=fine))
    returns = [110.0 / 100.0 - 1.0, 99.0 / 110.0 - 1.0]
    assert fills["price"].tolist() == [104.5]
    assert fills["fee"].tolist() == [pytest.approx(4.0 + 1e3 * np.std(returns, ddof=1) + 0.0)]
    assert fills["time"].tolist() == [pd.Timestamp("2024-01-05")]


def test_f16_o12_open_and_close() -> None:
    """Also where the last quarter of the day is missing."""

    @kk.strategy
    def ends(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx.market_on_open(1.0)
            ctx.market_on_close(1.0)
            ctx.limit_on_close(1.0, 97.5)

    bars, fine = two_days()
    whole = kk.fills(kk.backtest(bars, ends, fill_model=FINER, finer=fine))
    assert whole["price"].tolist() == [100.0, 102.0]
    assert whole["time"].tolist() == [pd.Timestamp("2024-01-02"), pd.Timestamp("2024-01-03")]
    short = kk.fills(kk.backtest(bars, ends, fill_model=FINER, finer=fine.isel(time=slice(0, 7))))
    assert short["price"].tolist() == [100.0, 97.0, 97.0]
    assert short["time"].tolist() == [pd.Timestamp("2024-01-02"), *[pd.Timestamp("2024-01-02 18:00")] * 2]


def test_f16_a_bar_without_volume_matches_nothing() -> None:
    @kk.strategy
    def once(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx.buy(1.0)
            ctx.buy(2.0, tif="IOC")

    still = (100.0, 100.0, 100.0, 100.0, 0.0)
    bars = days((100.0, 101.0, 99.0, 100.0, 40.0), still, (100.0, 105.0, 96.0, 102.0, 10.0), step="1D")
    second = days(*SECOND, step="6h", begin="2024-01-03")
    fine = xr.concat([days(*FOUR, step="6h"), second], "time", data_vars="minimal", coords="minimal")
    fine.attrs = second.attrs
    res = kk.backtest(bars, once, fill_model=FINER, finer=fine)
    assert kk.fills(res)["time"].tolist() == [pd.Timestamp("2024-01-03")] * 2
    known = bars.copy(deep=True)
    known["volume"][1, 0] = np.nan
    with pytest.raises(DataError, match=r"finer bars of asset: found none in the bar from 2024-01-02T00:00:00 to"):
        kk.backtest(known, once, fill_model=FINER, finer=fine)


def test_f16_many_partial_fills_in_one_bar() -> None:
    """More than the log has rows for at first."""

    @kk.strategy
    def piece(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            for _ in range(40):
                ctx.limit(1440.0, 200.0)

    n = 2 * 1440
    minutes = pd.DataFrame(
        {"open": 100.0, "high": 100.0, "low": 100.0, "close": 100.0, "volume": 40.0},
        pd.date_range("2024-01-01", periods=n, freq="1min"),
    )
    bars, fine = hours_of(minutes, "1D", tick_size=0.01), read(minutes, tick_size=0.01)
    venue = kk.Venue("v", participation=1.0, cash_rule="debt")
    res = kk.backtest(bars, piece, venue=venue, fill_model=FINER, finer=fine)
    assert len(kk.fills(res)) == 1440
    assert kk.fills(res)["quantity"].unique().tolist() == [40.0]


@pytest.mark.parametrize("shared", [False, True])
def test_t7_hooks_are_told_of_more_fills_in_one_bar_than_there_are_orders(shared: bool) -> None:
    """A fill a minute of one order: more than the block had room for."""

    @kk.strategy(state=dict(n=0, lots=0.0))
    def told(ctx, s):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx.limit(480.0, 200.0)
        ctx.record("n", s.n)
        ctx.record("lots", s.lots)

    @told.on_fill
    def count(ctx, s, fill):  # type: ignore[no-untyped-def]
        s.n += 1
        s.lots += fill.quantity

    minutes = pd.DataFrame(
        {"open": 100.0, "high": 100.0, "low": 100.0, "close": 100.0, "volume": 2.0},
        pd.date_range("2024-01-01", periods=2 * 480, freq="1min"),
    )
    bars, fine = hours_of(minutes, "8h", tick_size=0.01), read(minutes, tick_size=0.01)
    subject = kk.portfolio(told) if shared else told
    venue = kk.Venue("v", participation=0.5, cash_rule="debt")
    res = kk.backtest(bars, subject, venue=venue, fill_model=FINER, finer=fine)
    assert np.ravel(res["n"].values)[-1] == np.ravel(res["lots"].values)[-1] == 480.0
    assert float(res["n_fills"]) == 480.0


def test_f16_refusals(minutes: pd.DataFrame) -> None:
    bars, fine = pair_of(minutes)
    with pytest.raises(OrderError, match=r"path=finer of the fill model: found no finer bars"):
        kk.backtest(bars, mixed, fill_model=FINER)
    with pytest.raises(UsageError, match=r"fill_model of a call with finer=: found lean, wanted one with path=finer"):
        kk.backtest(bars, mixed, fill_model="lean", finer=fine)
    with pytest.raises(OrderError, match=r"market of the fill model: found same_close.*Rule F16"):
        kk.FillModel(path="finer", market="same_close")
    with pytest.raises(OrderError, match=r"close_out of the fill model: found last_open"):
        kk.FillModel(path="finer", close_out="last_open")
    with pytest.raises(OrderError, match=r"path of a run: found finer"):
        kk.start(bars, mixed, fill_model=FINER)
    with pytest.raises(OrderError, match=r"path of a walk-forward: found finer"):
        kk.walk_forward(bars, mixed, grid={"depth": [0.1]}, fill_model=FINER)
    renamed = fine.assign_coords(asset=["other"])
    with pytest.raises(DataError, match=r"assets of the finer bars: found other, wanted asset"):
        kk.backtest(bars, mixed, fill_model=FINER, finer=renamed)
    with pytest.raises(DataError, match=r"inverse of the finer bars of asset: found 100, wanted 0"):
        kk.backtest(bars, mixed, fill_model=FINER, finer=read(minutes, tick_size=0.01))
    with pytest.raises(DataError, match=r"lot of the finer bars of asset: found 2.0, wanted 1.0"):
        kk.backtest(bars, mixed, fill_model=FINER, finer=read(minutes, lot_size=2.0))
    gone = minutes.drop(minutes.index[120:180])
    with pytest.raises(DataError, match=r"finer bars of asset: found none in the bar from 2020-01-01T02:00:00 to"):
        kk.backtest(bars, mixed, fill_model=FINER, finer=read(gone))
    wide = minutes.copy()
    wide.iloc[130, 1] *= 2.0
    with pytest.raises(DataError, match=r"finer bar 2020-01-01T02:10:00 of asset: found prices from .* wanted prices"):
        kk.backtest(bars, mixed, fill_model=FINER, finer=read(wide))
    halves = minutes.resample("40min").agg({"open": "first", "high": "max", "low": "min", "close": "last"})
    with pytest.raises(DataError, match=r"finer bar 2020-01-01T00:40:00 of asset: found known at 2020-01-01T01:20"):
        kk.backtest(
            bars, mixed, fill_model=FINER, finer=kk.data.from_pandas(halves, bar="40min", tick_size=1.0, **READING)
        )
    unknown = read(minutes.drop(columns="volume"))
    with pytest.raises(DataError, match=r"volume of asset: found unknown in 6000 of 6000 bars"):
        kk.backtest(bars, mixed, fill_model=FINER, finer=unknown, venue=VENUES[1])
