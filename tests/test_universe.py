"""Which assets may be opened when (rule U1), and how that enters the bars."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import kernelkit as kk
from kernelkit.data.sessions import schedule
from kernelkit.errors import DataError
from kernelkit.schema import check

DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="module")
def bars() -> xr.Dataset:
    """Three assets over twelve days, at one price each."""
    index = pd.date_range("2024-01-01", periods=12, freq="D")
    frames = {
        n: pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), p) | {"volume": 1e6}, index=index)
        for n, p in (("A", 10.0), ("B", 20.0), ("C", 40.0))
    }
    return kk.data.from_pandas(frames, label="open", bar="1D", calendar="24/7", tick_size=0.01)


def mask(bars: xr.Dataset, **out: list[int]) -> pd.DataFrame:
    """All are members, but for the days named."""
    frame = pd.DataFrame(True, index=bars.indexes["time"], columns=["A", "B", "C"])
    for name, days in out.items():
        frame.loc[frame.index[days], name] = False
    return frame


@kk.portfolio
def swap(ctx):  # type: ignore[no-untyped-def]
    for k in ctx.tradable:
        if ctx.i == 1:
            ctx[k].buy(4.0)
        if ctx.i == 4:
            ctx[k].sell(6.0)
        if ctx.i == 6:
            ctx[k].target(1.0)
        if ctx.i == 8:
            ctx[k].target(2.0)
    ctx.record("n", len_of(ctx.n))


def len_of(n):  # type: ignore[no-untyped-def]
    return 1.0 * n


def test_u1_only_what_reduces(bars: xr.Dataset) -> None:
    """A is out from the fourth day on, B always, C never."""
    told = kk.data.with_universe(bars, mask(bars, A=list(range(4, 12)), B=list(range(12))))
    res = kk.backtest(told, swap)
    orders = kk.orders(res)
    refused = orders[orders["reason"] == "outside_universe"]
    at = [(t.day - 1, a) for t, a in zip(refused["submitted"], refused["asset"], strict=True)]
    # known at the end of its day: A's sale of 6 turns 4 into a short position, its target of 1 reduces
    assert at == [(2, "B"), (5, "A"), (5, "B"), (7, "B"), (9, "A"), (9, "B")]
    assert float(res["position"].sel(asset="A")[-1]) == 1.0
    assert float(res["position"].sel(asset="B")[-1]) == 0.0
    assert float(res["position"].sel(asset="C")[-1]) == 2.0
    rows = kk.compliance(res)
    assert rows["order"].tolist() == refused["order"].tolist()
    assert set(rows["rule"]) == {"U1 universe"}
    assert rows["limit"].isna().all()


def test_u1_in_python(bars: xr.Dataset) -> None:
    told = kk.data.with_universe(bars, mask(bars, A=list(range(4, 12))))
    fast, slow = (kk.backtest(told, swap, debug=d) for d in (False, True))
    pd.testing.assert_frame_equal(kk.orders(fast), kk.orders(slow))
    pd.testing.assert_frame_equal(kk.compliance(fast), kk.compliance(slow))


def test_u1_separate_accounts_and_signals(bars: xr.Dataset) -> None:
    """Each knows its asset; a signal's targets lie beside the mask."""

    @kk.strategy
    def buy(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 3:
            ctx.buy(1.0)

    @kk.signal
    def long(ds):  # type: ignore[no-untyped-def]
        return xr.ones_like(ds["close"])

    told = kk.data.with_universe(bars, mask(bars, B=[3], C=list(range(12))))
    assert kk.backtest(told, buy)["n_fills"].values.tolist() == [1, 0, 0]
    held = kk.backtest(told, long)
    assert (held["position"].isel(time=-1) > 0).values.tolist() == [True, True, False]
    plain = kk.backtest(bars, long)
    assert np.array_equal(held["equity"].sel(asset="A"), plain["equity"].sel(asset="A"))


def test_u1_all_members_change_nothing(bars: xr.Dataset) -> None:
    told = kk.data.with_universe(bars, mask(bars))
    free, bound = kk.backtest(bars, swap), kk.backtest(told, swap)
    pd.testing.assert_frame_equal(kk.fills(free), kk.fills(bound))
    assert kk.compliance(bound).empty


def test_u1_truncation(bars: xr.Dataset) -> None:
    """As known at each bar: what comes later changes nothing before."""
    told = kk.data.with_universe(bars, mask(bars, A=[1, 4, 5, 6], B=[8]))
    whole = kk.fills(kk.backtest(told, swap))
    for t in range(3, 12):
        part = kk.fills(kk.backtest(told.isel(time=slice(0, t)), swap))
        pd.testing.assert_frame_equal(part, whole.iloc[: len(part)])


# --- how it enters


def test_with_universe__dates_of_changes(bars: xr.Dataset) -> None:
    """A row counts from the first bar that ends when it is known, or later."""
    changes = pd.DataFrame(
        {"B": [True, False], "C": [False, True], "A": [True, True]}, index=pd.to_datetime(["2024-01-03", "2024-01-06"])
    )
    told = kk.data.with_universe(bars, changes, known_at="12h")
    found = told["universe"].sel(asset="B").values
    # known at noon of the 3rd: the bar of that day, which ends at midnight, is the first
    assert found.tolist() == [False] * 2 + [True] * 3 + [False] * 7
    assert told["universe"].sel(asset="A").values.tolist() == [False] * 2 + [True] * 10
    times = ["2024-01-05 00:00", "2024-01-07 00:01"]
    late = kk.data.with_universe(bars, changes, known_at=times)["universe"].sel(asset="B").values
    assert late.tolist() == [False] * 3 + [True] * 3 + [False] * 6
    check(told)
    assert told["universe"].dtype == bool
    assert told.attrs["lineage"] != bars.attrs["lineage"]


def test_with_universe__arrays_and_their_order(bars: xr.Dataset) -> None:
    frame = mask(bars, A=[1], C=[2, 3])
    array = xr.DataArray(frame[["C", "A", "B"]].T, dims=("asset", "time"))
    one, other = kk.data.with_universe(bars, frame), kk.data.with_universe(bars, array)
    xr.testing.assert_identical(one["universe"], other["universe"])


def test_with_universe__is_stored(bars: xr.Dataset, tmp_path: Path) -> None:
    told = kk.data.with_universe(bars, mask(bars, A=[1]))
    kk.data.store.save(told, tmp_path / "bars.zarr")
    back = kk.data.store.load(tmp_path / "bars.zarr")
    assert np.array_equal(back["universe"], told["universe"])
    pd.testing.assert_frame_equal(kk.orders(kk.backtest(back, swap)), kk.orders(kk.backtest(told, swap)))


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (lambda m: m.rename(columns={"C": "D"}), "assets of the universe: found C, D, wanted the assets of the bars"),
        (lambda m: m[["A", "B"]], "assets of the universe: found C"),
        (lambda m: m[["A", "B", "C", "A"]], "assets of the universe: found A"),
        (lambda m: m.iloc[1:], "universe: found 11 rows, wanted 12 rows"),
        (lambda m: m.set_axis(m.index + pd.Timedelta("1D")), "row 0 of the universe: found 2024-01-02T00:00:00"),
        (lambda m: m.iloc[::-1], "row 0 of the universe: found 2024-01-12T00:00:00"),
        (lambda m: m * 1.0, "values of the universe: found float64, wanted bool"),
        (lambda m: m.reset_index(drop=True), "universe: found DataFrame, wanted a DataFrame by date"),
        (lambda m: m.to_numpy(), "universe: found ndarray"),
        (lambda m: xr.DataArray(m, dims=("day", "asset")), "dims of the universe: found ('day', 'asset')"),
    ],
)
def test_with_universe__bad(bars: xr.Dataset, spoil: Any, found: str) -> None:
    with pytest.raises(DataError) as error:
        kk.data.with_universe(bars, spoil(mask(bars)))
    assert found in str(error.value)


def test_append__before_the_universe(bars: xr.Dataset) -> None:
    told = kk.data.with_universe(bars, mask(bars))
    with pytest.raises(DataError, match="append: found universe"):
        kk.data.append(told.isel(time=slice(0, 6)), told.isel(time=slice(6, None)))


# --- members as they were


@pytest.mark.market_data
def test_u1_the_sp500_as_it_was() -> None:
    """Two dozen companies, bought each month where they are members: what is opened was a member when it was decided.

    The spells are another source than the panel, whose rows end with membership too.
    """
    panel = pd.read_parquet(DATA / "equity" / "wiki_sp500_survivorship_free_2013_2018.parquet")
    spells = pd.read_csv(
        DATA / "equity" / "fja05680_sp500_ticker_start_end.csv", parse_dates=["start_date", "end_date"]
    )
    counts = panel["symbol"].astype(str).value_counts()
    gone = spells[spells["end_date"].between("2014-01-01", "2017-06-30")]["ticker"]
    names = [t for t in sorted(set(gone)) if counts.get(t, 0) > 250][:20]
    names += ["MSFT", "LIFE"]  # the last is not the member of that name, but a later company
    days = pd.DatetimeIndex(schedule("XNYS", *(pd.Timestamp(y).value for y in ("2013", "2019"))).dates)
    frames = {}
    for name in names:
        own = panel[panel["symbol"] == name].set_index("date")[["open", "high", "low", "close", "volume"]].astype("f8")
        own = own[own.index.isin(days)].sort_index()
        own["high"], own["low"] = own.drop(columns="volume").max(axis=1), own.drop(columns="volume").min(axis=1)
        frames[name] = own
    bars = kk.data.from_pandas(frames, calendar="XNYS", label="open", bar="1D")
    dates = bars.indexes["time"]
    member = pd.DataFrame(False, index=dates, columns=names)
    for ticker, start, end in spells.itertuples(index=False):
        if ticker in names:
            member.loc[(dates >= start) & ((dates < end) if end == end else True), ticker] = True

    @kk.portfolio
    def monthly(ctx):  # type: ignore[no-untyped-def]
        for k in ctx.tradable:
            if ctx.i % 21 == 0:
                ctx[k].buy(1.0)

    res = kk.backtest(kk.data.with_universe(bars, member), monthly)
    orders = kk.orders(res)
    sessions = pd.Index(bars["known_at"].values)
    row = sessions.get_indexer(orders["submitted"])
    expected = [bool(member.iloc[r][a]) for r, a in zip(row, orders["asset"], strict=True)]
    assert ((orders["reason"] != "outside_universe") == expected).all()
    refused = orders[orders["reason"] == "outside_universe"]
    assert (refused["asset"] == "LIFE").sum() == (orders["asset"] == "LIFE").sum() > 10
    assert len(refused) < len(orders) / 4
