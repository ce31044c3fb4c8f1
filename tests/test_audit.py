"""The audit finds every way to see the future that is known, and nothing in honest strategies."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import kernelkit as kk
from kernelkit.audit import future, trust
from kernelkit.audit.cuts import choose_cuts
from kernelkit.audit.observe import Trace, first_difference
from kernelkit.errors import LookaheadError, UsageError
from kernelkit.kernels import layout as L
from kernelkit.kernels.job import Logs
from kernelkit.schema import PRICES
from tests.programs import Case, run_engine
from tests.reference import Bars
from tests.test_engine_is_reference import cases

CUTS = 12


@pytest.fixture(scope="module")
def index() -> xr.Dataset:
    """Real daily bars with a column that is known a year late, as a report is."""
    bars = kk.data.load("sp500_index").isel(time=slice(0, 1500))
    times = bars["time"].values
    reports = pd.Series(np.arange(60.0) % 7, index=pd.DatetimeIndex(times[200::20][:60]))
    return kk.feature(bars, "report", reports, known_at=pd.Timedelta("60D"))


@pytest.fixture(scope="module")
def minutes() -> xr.Dataset:
    """Generated minutes, round the clock: bars open the moment the one before is known."""
    bars = kk.data.load("synthetic_minute", n=3000)
    rate = pd.Series(np.arange(30.0) % 5, index=pd.DatetimeIndex(bars["time"].values[150::90][:30]))
    return kk.feature(bars, "report", rate, known_at=pd.Timedelta("1h"))


@pytest.fixture(params=["index", "minutes"])
def bars(request: pytest.FixtureRequest) -> xr.Dataset:
    """Both."""
    found: xr.Dataset = request.getfixturevalue(request.param)
    return found


@kk.signal
def shifted(ds):
    return (ds["close"].shift(time=-10) > ds["close"]) * 1.0


@kk.signal
def lagging_span(ds, n=26):
    return (ds["close"] > ds["high"].shift(time=-n)) * 1.0


@kk.signal
def centred(ds):
    return (ds["close"] > ds["close"].rolling(time=21, center=True).mean()) * 1.0


@kk.signal
def scaled(ds):
    low, high = ds["low"].min(), ds["high"].max()
    return (ds["close"] - low) / (high - low)


@kk.signal
def long_bars_labelled_at_open(ds, n=30):
    close = ds["close"].to_pandas().iloc[:, 0]
    group = np.arange(len(close)) // n
    return (close.groupby(group).transform("last") > close).to_numpy(float)


@kk.signal
def filled_backwards(ds):
    return (ds["x.report"].to_pandas().bfill() > 3.0).to_numpy(float)


@kk.signal
def next_report(ds):
    return (ds["x.report"].shift(time=-1) > ds["x.report"]) * 1.0


@kk.signal
def next_volume(ds):
    return (ds["volume"].shift(time=-1) > ds["volume"]) * 1.0


@kk.signal
def last_bar_of_all(ds):
    return (np.arange(ds.sizes["time"]) == ds.sizes["time"] - 1) * 1.0


TRAPS = [
    (shifted, {"close"}),
    (lagging_span, {"high"}),
    (centred, {"close"}),
    (scaled, {"high", "low"}),
    (long_bars_labelled_at_open, {"close"}),
    (filled_backwards, {"x.report"}),
    (next_report, {"x.report"}),
    (next_volume, {"volume"}),
]


@pytest.mark.parametrize(("trap", "guilty"), TRAPS, ids=[t.name for t, _ in TRAPS])
def test_audit__finds_the_trap_and_names_the_variable(bars, trap, guilty):
    report = kk.audit(bars, trap, cuts=CUTS)
    assert not report.blind
    named = report.leaks[report.leaks["kind"] == "perturbation"]
    assert set(named["variable"]) == guilty
    whole = trap.function(bars, **trap.defaults)
    whole = np.asarray(getattr(whole, "values", whole)).reshape(bars.sizes["time"])
    for row in named.itertuples():
        assert row.time == pd.Timestamp(bars["time"].values[row.bar])
        assert row.bar <= row.cut
        assert row.was == str(whole[row.bar]) != row.became


def test_audit__says_how_far_a_shift_looks(bars):
    leaks = kk.audit(bars, shifted, cuts=CUTS).leaks
    assert leaks["ahead"].max() == 10


def test_audit__knowing_that_later_bars_exist_is_a_leak_of_time(bars):
    report = kk.audit(bars, last_bar_of_all, cuts=3)
    assert set(report.leaks["variable"]) == {"time"}
    assert set(report.leaks["kind"]) == {"truncation"}


@kk.signal
def moving_average(ds, n=20):
    return (ds["close"] > ds["close"].rolling(time=n).mean()) * 1.0


@kk.signal
def long_bars_known(ds, n=30):
    close = ds["close"].to_pandas().iloc[:, 0]
    group = np.arange(len(close)) // n
    last = close.groupby(group).last().shift(1)
    return (close > last.reindex(group).to_numpy()).to_numpy(float)


@kk.signal
def smoothed(ds, weight=0.1):
    wide = ds["close"].to_pandas()
    return np.tanh((wide / wide.ewm(alpha=weight).mean() - 1.0) * 50.0 + 0.1 * (ds["x.report"].to_pandas() > 2.0))


@kk.indicator(state={"e": 0.0, "seen": 0})
def decay(s, x, rate):
    s.seen += 1
    s.e = x if s.seen == 1 else s.e + rate * (x - s.e)
    return s.e


@kk.strategy
def crossing(ctx, fast=5, slow=20):
    ctx.record("gap", ctx.close.ema(fast) - ctx.close.sma(slow))
    if ctx.close.ema(fast) > ctx.close.sma(slow) and ctx.close.rsi(14) < 80.0:
        ctx.target_percent(0.9)
    elif ctx.close[0] < ctx.low.min(slow)[-1]:
        ctx.target_percent(-0.5)
    else:
        ctx.target_percent(0.0)


@kk.strategy(state={"win": kk.ring(10), "held": 0}, warmup=30)
def rich(ctx, s, wide=2.0):
    s.win.push(ctx.close[0])
    s.held = s.held + 1 if ctx.position != 0.0 else 0
    calm = ctx.atr(14)
    ctx.record("calm", calm)
    if ctx.position == 0.0 and ctx.orders == 0:
        size = ctx.size.risk(0.01, stop=wide * calm)
        if decay(ctx.close, 0.05) < ctx.close[0]:
            ctx.bracket(size, stop=ctx.close[0] - wide * calm, limit=ctx.close[0] + 2.0 * wide * calm)
        elif ctx.x.report[0] > 3.0:
            ctx.bracket(-size, stop_loss=0.02, take_profit=0.03, entry=ctx.close[0] + 0.1 * calm)
        else:
            ctx.limit(size, s.win[0] - calm, tif="DAY")
    elif s.held > 5:
        ctx.cancel_all()
        ctx.target_percent(0.0)
    elif s.held == 2:
        ctx.trailing_stop(-ctx.position, fraction=0.01)


HONEST = [moving_average, long_bars_known, smoothed, crossing, rich]


@pytest.mark.parametrize("honest", HONEST, ids=[s.name for s in HONEST])
def test_audit__passes_the_honest(bars, honest):
    report = kk.audit(bars, honest, cuts=CUTS, venue=kk.venues.us_equity())
    assert report.blind, report
    assert len(report.cuts) == CUTS
    to_see_what_it_reads = {"moving_average": 2, "long_bars_known": 2, "smoothed": 1}
    assert report.runs == 2 + to_see_what_it_reads.get(honest.name, 0) + 3 * CUTS
    assert "is blind to the future" in repr(report)
    report.raise_if_leaking()


@pytest.mark.parametrize("close_out", ["none", "last_open", "last_close"])
def test_audit__a_close_out_is_no_leak(minutes, close_out):
    model = kk.FillModel(close_out=close_out, limit="touch", same_bar="next", trailing="update_first")
    assert kk.audit(minutes, rich, cuts=CUTS, fill_model=model).blind


def test_audit__starts_where_the_backtest_starts(index):
    report = kk.audit(index, crossing, {"slow": 40}, start="2001", end="2002", cuts=CUTS, account=kk.Account(1e5))
    assert report.blind
    first, last = (str(index["time"].values[report.cuts[k]])[:4] for k in (0, -1))
    assert (first, last) == ("2001", "2002")


@kk.strategy
def follower(ctx):
    if ctx.x.guess[0] > ctx.close[0]:
        ctx.target_percent(1.0)
    else:
        ctx.target_percent(0.0)


def honest_guess(ds: xr.Dataset) -> xr.Dataset:
    return kk.feature(ds, "guess", ds["close"].rolling(time=20).mean().values[:, 0], trusted=True)


def early_guess(ds: xr.Dataset) -> xr.Dataset:
    return kk.feature(ds, "guess", ds["close"].shift(time=-3).values[:, 0], trusted=True)


def test_audit__runs_features_again(bars):
    assert kk.audit(bars, follower, features=honest_guess, cuts=CUTS).blind
    report = kk.audit(bars, follower, features=early_guess, cuts=CUTS)
    assert set(report.leaks["variable"]) == {"close"}
    assert report.leaks["ahead"].max() == 3
    assert set(report.leaks["what"]) <= {"x.guess", "order", "fill", "cash", "equity", "position"}


def test_audit__a_column_without_known_at_is_searched_for_the_future(bars):
    report = kk.audit(early_guess(bars), follower, cuts=2)
    assert [(r.variable, r.kind) for r in report.leaks.itertuples()] == [("x.guess", "column")]
    honest = kk.audit(honest_guess(bars), follower, cuts=2)
    assert honest.blind
    assert "x.guess (trusted=True)" in repr(honest)
    unused = kk.audit(early_guess(bars), crossing, cuts=2)
    assert unused.blind
    assert not unused.assumed


PRECOMPUTED: dict[str, np.ndarray] = {}
captured_column = np.zeros(0)


@kk.signal
def captures(ds):
    return from_outside(ds)


def from_outside(ds: xr.Dataset) -> np.ndarray:
    return captured_column[: ds.sizes["time"]]


def test_audit__a_captured_array_is_searched_too(bars, monkeypatch):
    close = pd.Series(bars["close"].values[:, 0])
    later = (close.shift(-1) / close - 1.0).fillna(0.0).to_numpy()
    monkeypatch.setitem(globals(), "captured_column", later)
    report = kk.audit(bars, captures, cuts=2)
    assert [(r.variable, r.kind) for r in report.leaks.itertuples()] == [("captured_column", "column")]
    assert "captured_column (captured by captures)" in report.assumed


COLUMNS = {
    "shift": (lambda s: s.shift(-10), True),
    "centred": (lambda s: s.rolling(21, center=True).mean(), True),
    "two-sided": (lambda s: s.ewm(5).mean()[::-1].ewm(5).mean()[::-1], True),
    "return ahead": (lambda s: s.shift(-10) / s - 1.0, True),
    "sign ahead": (lambda s: np.sign(s.shift(-5) - s), True),
    "min and max": (lambda s: (s - s.min()) / (s.max() - s.min()), True),
    "z-score": (lambda s: (s - s.mean()) / s.std(), True),
    "long bar at open": (lambda s: s.groupby(np.arange(len(s)) // 5).transform("last"), True),
    "close": (lambda s: s, False),
    "mean": (lambda s: s.rolling(50).mean(), False),
    "momentum": (lambda s: s / s.shift(20) - 1.0, False),
    "volatility": (lambda s: s.pct_change().rolling(20).std(), False),
    "long bar known": (lambda s: s.groupby(np.arange(len(s)) // 5).transform("last").shift(5), False),
    "high so far": (lambda s: (s - s.cummin()) / (s.cummax() - s.cummin()), False),
    "constant": (lambda s: s * 0.0 + 1.0, False),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_suspect(bars, name):
    make, leaks = COLUMNS[name]
    prices = {n: bars[n].values[:, 0] for n in PRICES}
    found = trust.suspect(make(pd.Series(prices["close"])).to_numpy(float), prices)
    assert (found is not None) == leaks, found


@pytest.mark.parametrize("kind", ["noise", "walk", "steps", "events", "heavy"])
def test_suspect__noise_is_innocent(index, kind):
    prices = {n: index[n].values[:, 0] for n in PRICES}
    n = len(prices["close"])
    for seed in range(4):
        rng = np.random.default_rng(seed)
        columns = {
            "noise": rng.normal(size=n),
            "walk": rng.normal(size=n).cumsum(),
            "steps": np.repeat(rng.normal(size=n // 40 + 1).cumsum(), 40)[:n],
            "events": (rng.random(n) < 0.01) * 1.0,
            "heavy": rng.standard_cauchy(n),
        }
        assert trust.suspect(columns[kind], prices) is None


def two_assets() -> xr.Dataset:
    """Two instruments on different grids; the second lacks bars."""
    rng = np.random.default_rng(3)
    frames = {}
    for name, start in (("AAA", 50.0), ("BBB", 2000.0)):
        dates = pd.date_range("2020-01-01", periods=300, freq="1D")
        close = start * np.exp(np.cumsum(rng.normal(0.0, 0.02, len(dates))))
        opened = close * np.exp(rng.normal(0.0, 0.01, len(dates)))
        high, low = np.maximum(opened, close) * 1.01, np.minimum(opened, close) * 0.99
        volume = rng.integers(1, 1000, len(dates)) * 1.0
        frame = pd.DataFrame({"open": opened, "high": high, "low": low, "close": close, "volume": volume}, index=dates)
        frames[name] = frame if name == "AAA" else frame.drop(frame.index[[40, 41, 150, 220]])
    ticks = {"AAA": 0.01, "BBB": 0.25}
    frames = {
        name: frame.assign(**{n: (frame[n] / ticks[name]).round() * ticks[name] for n in PRICES})
        for name, frame in frames.items()
    }
    return kk.data.from_pandas(frames, label="open", bar="1D", calendar="24/7", tick_size=ticks, lot_size=1.0)


@kk.signal
def leaks_in_the_second(ds):
    close = ds["close"].values
    later = np.full_like(close, np.nan)
    later[:-1, 1] = close[1:, 1]
    return (later > close) * 1.0


def test_audit__several_assets():
    bars = two_assets()
    assert kk.audit(bars, crossing, cuts=CUTS).blind
    report = kk.audit(bars, leaks_in_the_second, cuts=CUTS)
    assert set(report.leaks["asset"]) == {"BBB"}
    assert set(report.leaks[report.leaks["kind"] == "perturbation"]["variable"]) == {"close"}


counter = {"n": 0}


@kk.signal
def moody(ds):
    counter["n"] += 1
    return np.full(ds.sizes["time"], counter["n"] % 2 * 1.0)


def test_audit__what_does_not_repeat_is_not_blind(minutes):
    report = kk.audit(minutes, moody, cuts=2)
    assert "repeat" in set(report.leaks["kind"])
    assert "does not repeat itself" in repr(report)


@kk.signal
def noisy_sum(ds):
    wide = ds["close"].values
    return np.tanh(wide * (1.0 + 1e-16 * ds.sizes["time"]) / wide[0])


def test_audit__rounding_is_no_leak(minutes):
    report = kk.audit(minutes, noisy_sum, cuts=4)
    assert report.blind
    assert 0.0 < report.rounding < 1e-11
    assert "rounding" in repr(report)


@kk.signal
def strict(ds):
    high, low, close = (ds[n].values[:, 0] for n in ("high", "low", "close"))
    if (close > high).any() or (close < low).any():
        raise ValueError("bars are not consistent")
    return (np.append(close[1:], np.nan) > close) * 1.0


def test_audit__a_signal_that_refuses_broken_bars_is_asked_about_prices(minutes):
    report = kk.audit(minutes.drop_vars(["x.report", "age.report"]), strict, cuts=3)
    assert not report.blind
    assert "close" in set(report.leaks["variable"])


def test_report__says_it(bars):
    report = kk.audit(bars, shifted, cuts=CUTS)
    text = repr(report)
    assert text.startswith(f"shifted on {bars.attrs['name']} looks into the future.\n")
    assert "close was known at least" in text
    assert "without the bars after" in text
    page = report._repr_html_()
    assert "<strong>shifted on" in page
    assert "<table" in page
    with pytest.raises(LookaheadError, match=r"audit of shifted on .*: found .*close .*, wanted blindness"):
        report.raise_if_leaking()


def test_audit__leaves_its_outcome_in_the_ledger_no_trial_and_prints_nothing(minutes, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".kernelkit").mkdir()
    kk.audit(minutes, crossing, cuts=2)
    assert [(row["kind"], row["strategy"], row["blind"]) for row in kk.ledger.rows()] == [("audit", "crossing", True)]
    assert capfd.readouterr() == ("", "")


def test_audit__depends_on_the_seed_alone(minutes):
    one, same, other = (kk.audit(minutes, crossing, cuts=CUTS, seed=seed).cuts for seed in (1, 1, 2))
    assert one == same != other


@kk.strategy
def peeking(ctx, k=1):
    if ctx.i > 30 and ctx.close[k] > ctx.close[0]:
        ctx.buy(1.0)


@kk.strategy
def dying(ctx):
    ctx.buy(float(1 // (31 - ctx.i) ** 2 * 0 + 1))


def test_audit__raises_what_a_backtest_raises(minutes):
    for failing, error in ((peeking, LookaheadError), (dying, ZeroDivisionError)):
        with pytest.raises(error) as wanted:
            kk.backtest(minutes, failing)
        with pytest.raises(error) as found:
            kk.audit(minutes, failing, cuts=3)
        assert str(found.value) == str(wanted.value)


@kk.strategy
def counting_down(ctx):
    if ctx.x.last[0] > 0.5:
        ctx.buy(float(1 // (ctx.i - ctx.i)))


def last_row(ds: xr.Dataset) -> xr.Dataset:
    return kk.feature(ds, "last", np.arange(ds.sizes["time"]) == ds.sizes["time"] - 1, trusted=True)


def test_audit__a_run_that_fails_without_the_future_leaks(minutes):
    report = kk.audit(minutes, counting_down, features=last_row, end=minutes["time"].values[-2], cuts=2)
    assert not report.blind
    leak = report.leaks.iloc[0]
    assert (leak["bar"], leak["what"], leak["was"], leak["became"]) == (leak["cut"], "outcome", "none", "an exception")


def test_audit__refuses_what_is_not_one_trial(minutes):
    with pytest.raises(UsageError, match="several values of fast"):
        kk.audit(minutes, crossing, {"fast": [5, 6]})
    with pytest.raises(UsageError, match="at least one cut"):
        kk.audit(minutes, crossing, cuts=0)
    with pytest.raises(UsageError, match="adds columns"):
        kk.audit(minutes, crossing, features=lambda ds: ds.isel(time=slice(0, 100)), cuts=1)


def test_audit__leaves_the_bars_alone(minutes):
    before = minutes.copy(deep=True)
    kk.audit(minutes, centred, cuts=3)
    xr.testing.assert_identical(minutes, before)


def test_corrupted__keeps_the_past_and_the_rules_of_bars():
    bars = two_assets()
    for cut in (0, 41, 150, 298):
        for up in (True, False):
            other = future.corrupted(bars, cut, future.variables(bars), up, 0)
            xr.testing.assert_identical(bars.isel(time=slice(0, cut + 1)), other.isel(time=slice(0, cut + 1)))
            valid = other["valid"].values
            assert np.isnan(other["close"].values[~valid]).all()
            prices = {n: other[n].values[valid] for n in PRICES}
            assert (prices["high"] >= np.maximum(prices["open"], prices["close"])).all()
            assert (prices["low"] <= np.minimum(prices["open"], prices["close"])).all()
            assert (prices["low"] > 0.0).all()
            kk.audit(other, moving_average, cuts=1)  # checks the grid
            later = np.s_[cut + 1 :]
            both = valid[later] & bars["valid"].values[later]
            assert (other["close"].values[later] != bars["close"].values[later])[both].mean() > 0.9


def test_cuts__meet_gaps_edges_and_trades(index):
    filled = np.arange(1500.0)
    filled[900:905] = 905.0
    cuts = choose_cuts(index, (0, 1499), np.array([700]), [filled], np.array([], "i8"), 32, 0)
    assert len(cuts) == 32
    assert 900 in cuts
    assert {699, 700} & set(cuts)
    known = np.isnan(index["x.report"].values[:, 0])
    edge = int(np.flatnonzero(np.diff(known))[0])
    assert edge in cuts
    gaps = index["open_at"].values[1:] - index["known_at"].values[:-1]
    assert int(np.argmax(gaps)) in cuts


def trace_of(case: Case) -> Trace:
    """What the engine does with a case, as the audit sees it."""
    logs = run_engine(case)[0]
    clock = np.array(case.bars.open_at), np.array(case.bars.known_at)
    early = case.config.market == "same_close"
    return Trace(logs, "X", *clock, np.arange(len(case.bars.o)), case.config.trade_from, same_close=early)


def until(case: Case, end: int) -> Case:
    """The case as it was known at bar `end - 1`."""
    bars = Bars(**{name: values and values[:end] for name, values in vars(case.bars).items()})
    return replace(case, bars=bars, program=case.program[:end])


def with_another_future(case: Case, cut: int, seed: int) -> Case:
    """Other bars and another program after `cut`."""
    rng = np.random.default_rng(seed)
    bars = {name: values and list(values) for name, values in vars(case.bars).items()}
    order = cut + 1 + rng.permutation(len(case.program) - cut - 1)
    for name in ("o", "h", "l", "c", "v"):
        bars[name][cut + 1 :] = [bars[name][k] * (3 if name != "v" else 5) for k in order]
    return replace(case, bars=Bars(**bars), program=[*case.program[: cut + 1], *(case.program[k] for k in order)])


@settings(max_examples=150, deadline=None)
@given(cases(), st.data())
def test_truncation_law(case: Case, data: st.DataObject) -> None:
    n = len(case.bars.o)
    config = replace(case.config, close_out="none", end=None, trade_from=min(case.config.trade_from, n - 2))
    case = replace(case, config=config)
    whole = trace_of(case)
    rows = range(config.trade_from, n - 1)
    decisions = [t for t in rows if case.program[t]] or list(rows)
    for cut in data.draw(st.lists(st.sampled_from(decisions), min_size=1, max_size=4, unique=True)):
        assert first_difference(whole, trace_of(until(case, cut + 1)), cut) is None
        other = with_another_future(case, cut, data.draw(st.integers(0, 99)))
        assert first_difference(whole, trace_of(other), cut) is None


@pytest.mark.parametrize("market", ["next_open", "same_close"])
def test_first_difference__sees_every_bit_of_the_past_and_none_of_the_future(market):
    steps = [
        [(1.0, 0.0, 3.0 if t % 4 == 0 else -3.0, 0.0, 0.0, 0.0, 0.0, 0.0)] if t % 2 == 0 else [] for t in range(40)
    ]
    case = find_case(steps)
    case = replace(case, config=replace(case.config, market=market))
    whole, cut = trace_of(case), 20
    seen = set()
    for name in ("fills", "orders", "trades", "curves"):
        for row in range(len(getattr(whole.logs, name))):
            changed = flipped(whole, name, row)
            found = first_difference(whole, changed, cut)
            if found is not None:
                seen.add((name, found.what))
                assert found.bar <= cut
            at = bar_of(whole, name, row)
            assert found is None or name != "fills" or found.bar == at
            assert (found is not None) == (at <= cut), (name, row, at)
    assert {name for name, _ in seen} == {"fills", "orders", "trades", "curves"}


def find_case(program: list[Any]) -> Case:
    """A case with this program and quiet bars."""
    from tests.reference import Config, Grid

    n, day = len(program), 86_400_000_000_000
    close = [1000 + 7 * (t % 5) for t in range(n)]
    opened = [c - 2 for c in close]
    clock = [t * day for t in range(n)]
    bars = Bars(
        clock, [t + day for t in clock], list(range(n)), opened, [c + 5 for c in close], [c - 5 for c in close], close,
        [100.0] * n,
    )  # fmt: skip
    return Case(bars, Grid(0.01, 100, 1.0), Config(cash=1e6, trade_from=0), program)


def flipped(trace: Trace, name: str, row: int) -> Trace:
    """The trace with one bit changed in one row of one log."""
    logs = Logs(**{n: np.array(v) for n, v in vars(trace.logs).items()})
    field = {"fills": "fee", "orders": "fees", "trades": "pnl"}.get(name)
    values = getattr(logs, name)
    cell = values[field][row : row + 1] if field else values[row, :1]
    cell.view(np.int64)[0] ^= 1
    return replace(trace, logs=logs)


def bar_of(trace: Trace, name: str, row: int) -> int:
    """The bar in which this row of a log was written."""
    if name == "curves":
        return row
    if name == "fills":
        return int(trace.fill_bars()[row])
    if name == "trades":
        return int(np.searchsorted(trace.open_at, trace.logs.trades["closed"][row]))
    order = trace.logs.orders[row]
    if L.REASONS[order["reason"]] == "end_of_data":
        return len(trace.place)
    return int(np.searchsorted(trace.open_at, order["t_end"]))


def test_audit__long_collections_and_methods_of_objects_are_on_trust(minutes):
    """Whoever captures the future as plain numbers is not called blind without a word."""
    ahead = (minutes["close"].shift(time=-1) > minutes["close"]).values[:, 0]
    numbers, text = [int(x) for x in ahead], "".join("10"[int(not x)] for x in ahead)
    by_time = dict(zip(minutes["time"].values.tolist(), numbers, strict=True))
    get, few = by_time.get, [1, 2, 3]

    @kk.signal
    def listed(ds):
        return ds["close"] * 0 + np.array(numbers[: ds.sizes["time"]])[:, None]

    @kk.signal
    def spelt(ds):
        return ds["close"] * 0 + np.array([float(c) for c in text[: ds.sizes["time"]]])[:, None]

    @kk.signal
    def asked(ds):
        return ds["close"] * 0 + np.array([get(t) for t in ds["time"].values.tolist()], float)[:, None]

    @kk.signal
    def short(ds):
        return (ds["close"] > ds["close"].rolling(time=few[2]).mean()) * 1.0

    for signal, name in ((listed, "numbers"), (spelt, "text"), (asked, "get")):
        assert [a.partition(" ")[0] for a in kk.audit(minutes, signal, cuts=2).assumed] == [name]
    assert kk.audit(minutes, short, cuts=2).assumed == ()
