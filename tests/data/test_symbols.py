"""Assets that change their symbols (rule E9)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import kernelkit as kk
from kernelkit.data.symbols import lean_symbols, symbols_of, with_symbols
from kernelkit.errors import DataError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".kernelkit").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def frame(begin: str, days: int, start: float = 100.0) -> pd.DataFrame:
    """Daily bars of an exchange, in cents."""
    index = pd.bdate_range(begin, periods=days, freq="C", holidays=["2022-05-30", "2022-06-20", "2022-07-04"])
    close = start + np.round(10.0 * np.sin(np.arange(days) / 3.0), 2)
    opened = np.round(close + 0.25, 2)
    columns = {"open": opened, "high": opened + 1.0, "low": close - 1.0, "close": close, "volume": 1000.0}
    return pd.DataFrame(columns, index).round(2)


def read(frames: dict[str, pd.DataFrame], **settings: Any) -> xr.Dataset:
    return kk.data.from_pandas(frames, calendar="XNYS", **({"tick_size": 0.01} | settings))


def table(*rows: tuple[str, str, str, str | None]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["asset", "symbol", "first", "last"])


WHOLE = frame("2022-05-02", 60)
CUT = WHOLE.index[27]  # the first day of the new name
NAMES = table(("META", "FB", "2012-05-18", None), ("META", "META", str(CUT.date()), None))


def tickers(**settings: Any) -> xr.Dataset:
    """The same bars under two names, beside others."""
    parts = {"SPY": WHOLE + 5.0, "FB": WHOLE[WHOLE.index < CUT], "META": WHOLE[WHOLE.index >= CUT]}
    return read(parts, **settings)


def through() -> xr.Dataset:
    return with_symbols(tickers(), NAMES)


def never() -> xr.Dataset:
    """Bars that have never changed their name."""
    return read({"SPY": WHOLE + 5.0, "META": WHOLE})


def test_e9_bars_are_those_that_never_changed_their_name() -> None:
    found, wanted = through(), never()
    assert found["asset"].values.tolist() == ["SPY", "META"]
    for name in wanted.variables:
        assert found[name].identical(wanted[name]) or np.array_equal(found[name].values, wanted[name].values), name
    assert found.attrs | {"name": ""} == wanted.attrs | {"name": ""}  # the lineage, too


@kk.portfolio
def busy(ctx, n=5):  # type: ignore[no-untyped-def]
    for k in range(ctx.n):
        if ctx[k].close[0] > ctx[k].close.sma(n):
            ctx[k].target_percent(0.4)
        else:
            ctx[k].target_percent(-0.2)
    if ctx.i % 7 == 3:
        ctx[1].limit(3.0, ctx[1].close[0] * 0.97)
        ctx[1].bracket(2.0, stop_loss=0.03, take_profit=0.05)


def paid(asset: str, other: str) -> pd.DataFrame:
    """A split and a dividend of each name."""
    days = [WHOLE.index[12], WHOLE.index[40]]
    return pd.DataFrame(
        {"time": [*days, days[1]], "asset": [asset, other, other], "kind": ["split", "dividend", "split"],
         "value": [2.0, 0.5, 3.0]}
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore::kernelkit.data.AdjustedWarning")  # its prices know nothing of its splits
def test_e9_a_run_through_the_change_is_one_without_it() -> None:
    """Positions, orders, indicators and actions, bit for bit."""
    renamed = with_symbols(kk.data.with_actions(tickers(), paid("FB", "META")), NAMES)
    same = kk.data.with_actions(never(), paid("META", "META"))
    one, other = (kk.backtest(bars, busy, venue=kk.venues.us_equity()) for bars in (renamed, same))
    assert len(kk.fills(one)) > 50
    for name in ("equity", "cash", "position"):
        assert one[name].values.tobytes() == other[name].values.tobytes(), name
    for show in (kk.fills, kk.orders, kk.actions, kk.trades):
        found = show(one)
        pd.testing.assert_frame_equal(found.drop(columns="symbol", errors="ignore"), show(other))
    assert "symbol" not in kk.orders(other)


def test_e9_the_symbol_of_the_time() -> None:
    """An order of the last day of the old name is filled under the new one."""
    bars = through()

    @kk.strategy
    def once(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 26 or ctx.i == 30:
            ctx.buy(1.0)

    res = kk.backtest(bars.sel(asset=["META"]), once, account=kk.Account(interest=0.05))
    assert kk.orders(res)["symbol"].tolist() == ["FB", "META"]
    assert kk.fills(res)["symbol"].tolist() == ["META", "META"]
    assert set(kk.orders(res)["asset"]) == {"META"}
    assert set(kk.actions(res)["symbol"]) == {""}  # interest is of no asset
    both = kk.backtest(bars, once)
    assert kk.orders(both.sel(asset="SPY"))["symbol"].tolist() == ["SPY", "SPY"]
    assert symbols_of(bars)[["asset", "symbol"]].values.tolist() == [["META", "FB"], ["META", "META"]]
    assert symbols_of(bars)["from"].tolist() == [pd.Timestamp("2022-05-02 13:30"), CUT + pd.Timedelta("13h30min")]
    assert symbols_of(never()).empty


@pytest.mark.filterwarnings("ignore::kernelkit.data.AdjustedWarning")  # its prices know nothing of its splits
def test_e9_actions_say_the_symbol_of_their_time() -> None:
    bars = with_symbols(kk.data.with_actions(tickers(), paid("FB", "META")), NAMES)
    assert bars["action_asset"].values.tolist() == ["META"] * 3
    res = kk.backtest(bars, busy)
    assert kk.actions(res).query("asset == 'META'")["symbol"].tolist() == ["FB", "META", "META"]


def test_e9_names_are_kept(tmp_path: Path) -> None:
    """On disk, in a slice, and where bars are appended."""
    bars = through()
    kk.data.store.save(bars, tmp_path / "bars")
    kept = kk.data.store.load(tmp_path / "bars")
    later = frame("2022-07-28", 5)
    more = kk.data.append(kept, {"SPY": later, "META": later})
    for found in (kept, more, bars.isel(time=slice(40, None))):
        pd.testing.assert_frame_equal(symbols_of(found), symbols_of(bars))


def test_e9_a_run_that_goes_on_with_the_next_bars() -> None:
    """It has the names, too."""
    bars = through().sel(asset=["META"])

    @kk.strategy
    def often(ctx):  # type: ignore[no-untyped-def]
        if ctx.i % 10 == 6:
            ctx.buy(1.0)

    run = kk.start(bars.isel(time=slice(0, 30)), often).feed(bars.isel(time=slice(30, None)))
    assert kk.orders(run.result())["symbol"].tolist() == ["FB"] * 3 + ["META"] * 3


def test_e9_a_name_that_another_company_takes_over() -> None:
    a, b = frame("2022-05-02", 20), frame("2022-06-01", 20, 30.0)
    bars = read({"WM": pd.concat([a, b]), "WMI": frame("2022-05-02", 21, 28.0)})
    names = table(
        ("WAMUQ", "WM", "2022-01-01", "2022-05-31"),
        ("WM", "WMI", "2022-01-01", "2022-05-31"),
        ("WM", "WM", "2022-06-01", None),
    )
    made = with_symbols(bars, names)
    assert made["asset"].values.tolist() == ["WAMUQ", "WM"]
    valid = made["valid"].values
    closes = {n: made["close"].sel(asset=n).values[valid[:, k]].tolist() for k, n in enumerate(["WAMUQ", "WM"])}
    assert closes["WAMUQ"] == [float(x) for x in a["close"] if x is not None][: len(closes["WAMUQ"])]
    assert closes["WM"][-len(b) :] == b["close"].tolist()


def test_e9_grids_that_go_together() -> None:
    """Cents and hundredths of them; powers of two; the prices stay what they were."""
    for ticks in ({"FB": 0.01, "META": 0.0001, "SPY": 0.01}, None):
        bars = tickers(tick_size=ticks)
        made = with_symbols(bars, NAMES)
        k = made["asset"].values.tolist().index("META")
        own = np.where(np.isnan(bars["close"].values[:, 1]), bars["close"].values[:, 2], bars["close"].values[:, 1])
        assert np.array_equal(made["close"].values[:, k], own)
        grid = [float(made["tick"][k]), int(made["inverse"][k])]
        assert grid == ([0.0001, 10_000] if ticks else [float(bars["tick"].values[1:].min()), 0])
        assert ("META" in made.attrs["derived_ticks"]) == (ticks is None)
        kk.backtest(made, busy)


def bad_rows() -> list[tuple[Any, str]]:
    cut, late = str(CUT.date()), "2022-07-01"
    fb, meta = ("META", "FB", "2012-05-18", None), ("META", "META", cut, None)
    return [
        (table(fb, meta).drop(columns="symbol"), "symbols: found asset, first, last, wanted a column symbol"),
        (table(), "symbols: found no rows"),
        (table(("META", "FBK", "2012-05-18", None), meta), "row 0 of the symbols: found the symbol 'FBK' of META"),
        (table(("META", "FB", "NaT", None)), "row 0 of the symbols: found META as FB without one"),
        (table(("META", "FB", "2022-05-02", "2022-05-01")), "row 0 of the symbols: found META as FB without one"),
        (table(("META", "FB", "2012-05-18", late), meta), "asset META: found META as FB from 2012-05-18 to 2022-07-01"),
        (table(fb, meta, ("X", "FB", "2022-05-20", None)), "symbol FB: found META as FB from 2012-05-18 to 2022-06-08"),
        (
            table(("META", "FB", "2022-05-04", None), meta),
            "bars of FB: found 2 rows of no asset: row 0 (2022-05-02); row 1 (2022-05-03)",
        ),
        (table(("META", "FB", cut, None), meta), "asset META: found META as FB from 2022-06-09 on, and META as META"),
        (table(fb), "asset META: found a symbol of the bars that is another asset"),
        (table(("SPY", "FB", "2012-05-18", None)), "asset SPY: found a symbol of the bars"),
    ]


@pytest.mark.parametrize(("symbols", "text"), bad_rows())
def test_bad_symbols(symbols: pd.DataFrame, text: str) -> None:
    with pytest.raises(DataError) as error:
        with_symbols(tickers(), symbols)
    assert text in str(error.value)


def test_bad_bars() -> None:
    other = tickers(lot_size={"FB": 1.0, "META": 0.5, "SPY": 1.0})
    with pytest.raises(DataError, match=r"lot of META: found FB 1.0, META 0.5"):
        with_symbols(other, NAMES)
    with pytest.raises(DataError, match=r"ticks of META: found FB 0.01, META"):
        with_symbols(tickers(tick_size={"FB": 0.01, "SPY": 0.01}), NAMES)
    gone = pd.DataFrame({"time": [CUT], "asset": ["FB"], "kind": ["delisting"], "value": [np.nan]})
    with pytest.raises(DataError, match="delisting of FB at 2022-06-08: found META has another symbol later"):
        with_symbols(kk.data.with_actions(tickers(), gone), NAMES)
    lost = pd.DataFrame({"time": ["2022-07-01"], "asset": ["FB"], "kind": ["dividend"], "value": [0.1]})
    with pytest.raises(DataError, match="dividend of FB at 2022-07-01: found no asset with that symbol then"):
        with_symbols(kk.data.with_actions(tickers(), lost), NAMES)
    seen = kk.data.feature(tickers(), "f", WHOLE["close"], known_at="1D")
    with pytest.raises(DataError, match=r"with_symbols: found x\.f"):
        with_symbols(seen, NAMES)


def test_gaps_are_stated() -> None:
    parts = {"FB": WHOLE.iloc[:20], "META": WHOLE.iloc[27:]}
    with pytest.raises(DataError, match="symbols of META: found 7 sessions without bars between 2022-05-27 and META"):
        with_symbols(read(parts), NAMES)
    assert with_symbols(read(parts), NAMES, allow_gap=True)["close"].shape == (53, 1)


def test_lean_symbols__of_no_path() -> None:
    with pytest.raises(DataError, match="map files: found 5, wanted a path"):
        lean_symbols(5)  # type: ignore[arg-type]


def test_lean_symbols(tmp_path: Path) -> None:
    folder = tmp_path / "maps"
    folder.mkdir()
    (folder / "wm.csv").write_text("19980102,uw,N\n19980716,uw,N\n20090804,wmi,N\n20501231,wm,N\n")
    (folder / "twx.1.csv").write_text("19980102,twx\n20010111,twx\n")
    found = lean_symbols(folder)
    rows = [[str(v)[:10] for v in row] for row in found.values.tolist()]
    assert rows == [
        ["TWX.1", "TWX", "1998-01-02", "2001-01-11"],
        ["WM", "UW", "1998-01-02", "1998-07-16"],
        ["WM", "WMI", "1998-07-17", "2009-08-04"],
        ["WM", "WM", "2009-08-05", "NaT"],
    ]
    pd.testing.assert_frame_equal(lean_symbols(folder / "wm.csv"), found[1:].reset_index(drop=True))
    (folder / "odd.csv").write_text("date,ticker\n1,a\n")
    for path, text in (
        (folder, "map file odd.csv: found 2 rows"),
        (folder / "none.csv", "map files at .*: found none"),
    ):
        with pytest.raises(DataError, match=text):
            lean_symbols(path)


@pytest.mark.market_data
def test_e9_waste_management(market_data: Path, tmp_path: Path) -> None:
    """UW, WMI, then WM, which had been Washington Mutual; LEAN's map file, and its bars by ticker."""
    maps = pd.read_csv(market_data / "equity" / "lean_map_files.csv", dtype=str).query("symbol == 'WM'")
    maps[["date", "ticker", "exchange"]].to_csv(tmp_path / "wm.csv", header=False, index=False)
    daily = pd.read_parquet(market_data / "equity" / "lean_us_daily_raw.parquet")
    parts = {n: daily[daily["symbol"] == n].set_index("ts").drop(columns="symbol") for n in ("UW", "WMI", "WM")}
    bars = read(parts, tick_size=0.0001)
    names = lean_symbols(tmp_path / "wm.csv")
    with pytest.raises(DataError, match=r"bars of WM: found 2,465 rows of no asset: row 236 \(1998-12-09\)"):
        with_symbols(bars, names)
    wamu = table(("WAMUQ", "WM", "1998-12-09", "2008-09-26"))
    made = with_symbols(bars, pd.concat([names, wamu.astype({"first": "M8[ns]", "last": "M8[ns]"})]))
    whole = pd.concat([parts["UW"], parts["WMI"], parts["WM"].loc["2009-08-05":]])
    never_changed = read({"WM": whole}, tick_size=0.0001)

    @kk.strategy
    def swing(ctx, n=20):  # type: ignore[no-untyped-def]
        ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else 0.0)

    one = kk.backtest(made.sel(asset=["WM"]), swing, venue=kk.venues.us_equity())
    other = kk.backtest(never_changed, swing, venue=kk.venues.us_equity())
    pd.testing.assert_frame_equal(kk.fills(one).drop(columns="symbol"), kk.fills(other))
    assert float(one["final_equity"].item()) == float(other["final_equity"].item())
    assert kk.orders(one).groupby("symbol", sort=False)["submitted"].min().index.tolist() == ["UW", "WMI", "WM"]
    last = made["close"].sel(asset="WAMUQ").values[made["valid"].sel(asset="WAMUQ").values]
    assert last[-1] == 0.16
