"""Portfolios whose prices run along paths (X10) or that are matched in finer bars (X11)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import kernelkit as kk
from kernelkit.errors import DataError, OrderError, UsageError
from kernelkit.market.fill_model import NAMED, FillModel

Prices = Sequence[float]
START = "2024-01-01"
LOW, HIGH, NEAR = (FillModel(limit="touch", path=f"{path}_first") for path in ("low", "high", "nearest"))
FINER = FillModel(limit="touch", path="finer")
COSTS = kk.Venue("own", fees=kk.fees.fraction(0.001), slippage=kk.slippage.fraction(0.0005))
FLAT = (100.0, 100.0, 100.0, 100.0)


@pytest.fixture(autouse=True)
def own_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".kernelkit").mkdir()
    monkeypatch.chdir(tmp_path)


def bars_of(assets: Mapping[str, Sequence[Prices | None]], bar: str = "1h") -> xr.Dataset:
    """Bars of open, high, low and close from midnight on; None where an asset has none."""
    frames = {}
    for name, rows in assets.items():
        index = pd.date_range(START, periods=len(rows), freq=bar)
        frame = pd.DataFrame(
            [(np.nan,) * 4 if row is None else row for row in rows], index, ["open", "high", "low", "close"]
        )
        frames[name] = frame.assign(volume=1000.0).dropna()
    return kk.data.from_pandas(frames, label="open", bar=bar, calendar="24/7", tick_size=0.01, lot_size=1.0)


def fills_of(bars: xr.Dataset, strategy: Any, model: FillModel, cash: float, **more: Any) -> dict[str, list[Any]]:
    """Of each asset the fills, bought lots above zero, once they are the same in debug mode."""
    found = []
    for debug in (False, True):
        res = kk.backtest(bars, strategy, account=kk.Account(cash), fill_model=model, debug=debug, **more)
        found.append(kk.fills(res))
    pd.testing.assert_frame_equal(*found)
    signed = found[0]["quantity"].where(found[0]["side"] == "buy", -found[0]["quantity"])
    rows = zip(found[0]["asset"], signed, found[0]["price"], strict=True)
    out: dict[str, list[Any]] = {str(name): [] for name in bars["asset"].values}
    for asset, lots, price in rows:
        out[asset].append((lots, price))
    return out


@kk.portfolio(warmup=0)
def both_at_95(ctx):  # type: ignore[no-untyped-def]
    if ctx.i == 0:
        ctx[0].limit(100.0, 95.0)
        ctx[1].limit(100.0, 95.0)


@kk.portfolio(warmup=0)
def swap(ctx, old=0, q=100.0):  # type: ignore[no-untyped-def]
    """Holds ``q`` of one asset and then would close that at 105, or buy 100 of the other at 95; the purchase first."""
    if ctx.i == 0:
        ctx[old].order(q)
    if ctx.i == 1:
        ctx[1 - old].limit(100.0, 95.0)
        ctx[old].limit(-q, 105.0)


def test_x10__orders_that_are_met_together_share_the_cash() -> None:
    """X5: 19,000 wanted of 10,000; the column makes no difference, nor that one falls further than the other."""
    dips = {"A": [FLAT, (100.0, 101.0, 90.0, 100.0)], "B": [FLAT, (96.0, 97.0, 94.0, 96.0)]}
    for names in ("AB", "BA"):
        found = fills_of(bars_of({n: dips[n] for n in names}), both_at_95, LOW, 10_000.0)
        assert found == {n: [(52.0, 95.0)] for n in names}


# the sold one gets to 105 on its way up, the bought one to 95 on its way down
WAYS = {
    "same leg": (NEAR, (104.0, 106.0, 90.0, 100.0), (96.0, 106.0, 94.0, 100.0), 100.0),
    "sold first": (HIGH, (100.0, 106.0, 94.0, 100.0), (100.0, 101.0, 94.0, 100.0), 100.0),
    "bought first": (LOW, (100.0, 106.0, 99.0, 100.0), (100.0, 101.0, 94.0, 100.0), 5.0),
}


@pytest.mark.parametrize("old", [0, 1])
@pytest.mark.parametrize("way", WAYS)
def test_x10__what_reduces_comes_first_on_a_leg_and_legs_come_in_turn(way: str, old: int) -> None:
    """500 are left beside the position: whether its sale pays for the purchase, of the lower id, is the leg's."""
    model, sold, bought, lots = WAYS[way]
    rows = {"A": [FLAT, FLAT, sold], "B": [FLAT, FLAT, bought]}
    bars = bars_of(rows if old == 0 else {"B": rows["B"], "A": rows["A"]})
    found = fills_of(bars, swap, model, 10_500.0, params={"old": old})
    assert found == {"A": [(100.0, 100.0), (-100.0, 105.0)], "B": [(lots, 95.0)]}


def test_x10__the_order_of_another_asset_ends_on_the_way() -> None:
    """O7: of two orders in one group the sale, which reduces, comes first, and the purchase is not tried."""

    @kk.portfolio(warmup=0)
    def either(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx[0].order(100.0)
        if ctx.i == 1:
            a = ctx[1].limit(100.0, 95.0)
            ctx.oco(a, ctx[0].limit(-100.0, 105.0))

    model, sold, bought, _ = WAYS["same leg"]
    found = fills_of(bars_of({"A": [FLAT, FLAT, sold], "B": [FLAT, FLAT, bought]}), either, model, 100_000.0)
    assert found == {"A": [(100.0, 100.0), (-100.0, 105.0)], "B": []}


def hours_and_quarters(**assets: Sequence[Prices | None]) -> tuple[xr.Dataset, xr.Dataset]:
    """Hours, and the quarters of an hour that they are made of."""
    made = {}
    for name, rows in assets.items():
        hours = [[row for row in rows[k : k + 4] if row is not None] for k in range(0, len(rows), 4)]
        made[name] = [(h[0][0], max(r[1] for r in h), min(r[2] for r in h), h[-1][3]) if h else None for h in hours]
    return bars_of(made), bars_of(assets, "15min")


@pytest.mark.parametrize(("sold", "bought", "lots"), [(1, 2, 100.0), (2, 2, 5.0), (2, 1, 5.0)])
@pytest.mark.parametrize("old", [0, 1])
def test_x11__assets_are_matched_quarter_by_quarter(sold: int, bought: int, lots: float, old: int) -> None:
    """The sale at 105 pays for the purchase at 95 in a later quarter; in one quarter purchase and sale are one pass."""
    quiet = [FLAT] * 9
    rise = [FLAT if k != sold else (100.0, 106.0, 100.0, 100.0) for k in range(3)]
    fall = [FLAT if k != bought else (100.0, 100.0, 94.0, 100.0) for k in range(3)]
    rows = {"A": quiet + rise, "B": quiet + fall}
    bars, finer = hours_and_quarters(**(rows if old == 0 else {"B": rows["B"], "A": rows["A"]}))
    if (sold, bought) == (2, 2):
        lots = 100.0  # X4: the sale reduces
    found = fills_of(bars, swap, FINER, 10_500.0, params={"old": old}, finer=finer)
    assert found == {"A": [(100.0, 100.0), (-100.0, 105.0)], "B": [(lots, 95.0)]}


@kk.portfolio(warmup=0)
def sells_short(ctx):  # type: ignore[no-untyped-def]
    if ctx.i == 0:
        ctx[0].order(-50.0)
    if ctx.i == 1:
        ctx[1].limit(200.0, 95.0)


@pytest.mark.parametrize(("quarter", "power"), [(None, 4000.0), (FLAT, 5000.0)])
def test_x11__an_asset_without_a_quarter_counts_at_its_last_one(quarter: Any, power: float) -> None:
    """X6: 50 sold short at 100 bind twice their value of 15,000: at 110, the close before, where there is no newer."""
    held = [*[FLAT] * 9, (110.0, 110.0, 110.0, 110.0), quarter, FLAT]
    bought = [*[FLAT] * 10, (100.0, 100.0, 94.0, 100.0), FLAT]
    bars, finer = hours_and_quarters(A=held, B=bought)
    found = fills_of(bars, sells_short, FINER, 10_000.0, finer=finer)
    assert found == {"A": [(-50.0, 100.0)], "B": [(power // 95.0, 95.0)]}


def test_x11__before_its_first_quarter_an_asset_counts_at_the_close_of_its_bar_before() -> None:
    """E1's P(C): 110, which is on the hour's bar alone, as its last quarter is missing."""
    held = [*[FLAT] * 7, (110.0, 110.0, 110.0, 110.0), *[FLAT] * 4]
    bought = [*[FLAT] * 8, (100.0, 100.0, 94.0, 100.0), *[FLAT] * 3]
    bars, _ = hours_and_quarters(A=held, B=bought)
    finer = bars_of({"A": [None if k in (7, 8) else row for k, row in enumerate(held)], "B": bought}, "15min")
    found = fills_of(bars, sells_short, FINER, 10_000.0, finer=finer)
    assert found == {"A": [(-50.0, 100.0)], "B": [(4000.0 // 95.0, 95.0)]}


def test_x11__quarters_of_an_hour_that_the_asset_has_not_are_left_out() -> None:
    """F16: B has no second hour; its quarters of that hour, where it falls to 95, fill nothing."""
    bars, finer = hours_and_quarters(A=[FLAT] * 12, B=[FLAT] * 4 + [(100.0, 100.0, 94.0, 100.0)] * 4 + [FLAT] * 4)
    gap = bars_of({"A": [FLAT] * 3, "B": [FLAT, None, FLAT]})
    assert fills_of(bars, both_at_95, FINER, 1e6, finer=finer) == {"A": [], "B": [(100.0, 95.0)]}
    assert fills_of(gap, both_at_95, FINER, 1e6, finer=finer) == {"A": [], "B": []}


def test_x11__refusals() -> None:
    bars, finer = hours_and_quarters(A=[FLAT] * 8, B=[FLAT] * 8)
    with pytest.raises(OrderError, match=r"path=finer of the fill model: found no finer bars"):
        kk.backtest(bars, both_at_95, fill_model=FINER)
    with pytest.raises(UsageError, match=r"fill_model of a call with finer="):
        kk.backtest(bars, both_at_95, finer=finer)
    gap = bars_of({"A": [FLAT] * 8, "B": [*[FLAT] * 4, *[None] * 4]}, "15min")
    with pytest.raises(DataError, match=r"finer bars of B: found none in the bar from 2024-01-01T01:00:00 to"):
        kk.backtest(bars, both_at_95, fill_model=FINER, finer=gap)
    with pytest.raises(DataError, match=r"assets of the finer bars: found A, wanted A, B"):
        kk.backtest(bars, both_at_95, fill_model=FINER, finer=finer.sel(asset=["A"]))
    with pytest.raises(OrderError, match=r"path of a run: found finer"):
        kk.start(bars, both_at_95, fill_model=FINER)


MARGIN = kk.Margin(initial=0.1, maintenance=0.05)
ISOLATED = kk.Margin(initial=0.1, maintenance=0.05, isolated=True)


def test_l7__on_a_path_no_position_is_liquidated_by_itself() -> None:
    """L6 looks at the mark alone and goes with any path; what looks within the bar is refused, as for one asset."""
    bars = bars_of({"A": [FLAT] * 3, "B": [FLAT] * 3})
    kk.backtest(bars, both_at_95, fill_model="nautilus", account=kk.Account(1e4, margin=MARGIN))
    with pytest.raises(OrderError, match=r"fill model of an account on margin: found nautilus, wanted path=stop_first"):
        kk.backtest(bars, both_at_95, fill_model="nautilus", account=kk.Account(1e4, margin=ISOLATED))


@kk.portfolio(warmup=0)
def ten_times(ctx):  # type: ignore[no-untyped-def]
    if ctx.i == 0:
        ctx[0].order(100.0)


def test_l6__a_portfolio_is_liquidated_at_the_mark_of_its_paths_end() -> None:
    """100 units on 1,000 are gone where a bar closes at 94.7, not where its path has been at 90."""

    rows = [FLAT, FLAT, (100.0, 100.0, 90.0, 99.0), (99.0, 99.0, 94.7, 94.7)]
    res = kk.backtest(
        bars_of({"A": rows, "B": [FLAT] * 4}),
        ten_times,
        fill_model=LOW,
        account=kk.Account(1000.0, margin=MARGIN),
    )
    assert kk.fills(res)["price"].tolist() == [100.0, 94.7]
    assert kk.orders(res)["reason"].tolist()[-1] == "liquidation"


@pytest.mark.parametrize(("down", "at"), [("02:00", "03:00"), ("02:45", "04:00")])
def test_x11__the_last_quarter_says_whether_an_hour_is_matched_at_its_mark(down: str, at: str) -> None:
    """L6: at 94.7 where the venue was down in the first quarter of that hour; an hour later where in the last."""
    low = (94.7, 94.7, 94.7, 94.7)
    bars, finer = hours_and_quarters(A=[*[FLAT] * 9, *[low] * 7], B=[FLAT] * 16)
    start = pd.Timestamp(f"{START} {down}")
    venue = kk.Venue(outages=[kk.Outage(start, start + pd.Timedelta("15min"))])
    account = kk.Account(1000.0, margin=MARGIN)
    res = kk.backtest(bars, ten_times, fill_model=FINER, finer=finer, account=account, venue=venue)
    sold = kk.fills(res).iloc[-1]
    assert (sold["price"], sold["time"]) == (94.7, pd.Timestamp(f"{START} {at}"))


@kk.strategy(warmup=1)
def lively(ctx, q=0.9):  # type: ignore[no-untyped-def]
    """One order at a time, of every kind, and brackets."""
    near = 0.004 * ctx.close[0]
    lots = q * ctx.equity / ctx.close[0]
    if ctx.orders == 0 and ctx.position == 0.0:
        k = ctx.i % 7
        if k == 0:
            ctx.bracket(lots, stop_loss=0.004, take_profit=0.006)
        elif k == 1:
            ctx.bracket(-lots, entry=ctx.close[0] + near, stop_loss=0.004, take_profit=0.006)
        elif k == 2:
            ctx.stop(lots, ctx.close[0] + near)
        elif k == 3:
            ctx.limit(lots, ctx.close[0] - near)
        elif k == 4:
            ctx.target_percent(1.3)
        elif k == 5:
            ctx.limit_if_touched(-lots, ctx.close[0] + near, ctx.close[0] + 0.5 * near)
        else:
            ctx.stop_limit(lots, ctx.close[0] + near, ctx.close[0] + 1.5 * near)
    elif ctx.orders == 0 and ctx.i % 2 == 0:
        ctx.trailing_stop(-ctx.position, fraction=0.005)
    elif ctx.i % 11 == 0:
        ctx.cancel_all()


def walked(seed: int, n: int = 1600) -> pd.DataFrame:
    """Quarters of an hour of a random walk, in which a few trade nothing."""
    rng = np.random.default_rng(seed)
    close = np.round(100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.003, n))), 2)
    opens = np.r_[close[:1], close[:-1]]
    high = np.round(np.maximum(opens, close) * (1.0 + rng.exponential(0.001, n)), 2)
    low = np.round(np.minimum(opens, close) * (1.0 - rng.exponential(0.001, n)), 2)
    volume = np.round(rng.exponential(1e5, n)) + 1.0
    index = pd.date_range(START, periods=n, freq="15min")
    return pd.DataFrame({"open": opens, "high": high, "low": low, "close": close, "volume": volume}, index)


HOW = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
READING = {"label": "open", "calendar": "24/7", "tick_size": 0.01, "lot_size": 1.0}
PRESETS = [*NAMED.values(), LOW, FINER, FillModel(path="finer", market="next_close", trailing="update_first")]


@pytest.mark.parametrize("model", PRESETS, ids=lambda model: model.label)
def test_x10__a_portfolio_of_one_asset_is_the_asset_alone(model: FillModel) -> None:
    """Under every named model, and in finer bars: each order, fill, metric and bit of the curves (X8's index apart)."""
    quarters = walked(3)
    bars = kk.data.from_pandas({"A": quarters.resample("1h").agg(HOW)}, bar="1h", **READING)
    finer = {"finer": kk.data.from_pandas({"A": quarters}, bar="15min", **READING)} if model.path == "finer" else {}
    venue = kk.Venue("own", fees=COSTS.fees, slippage=COSTS.slippage, participation=0.05)
    for where in (COSTS, venue):
        settings = {"account": kk.Account(5e4), "venue": where, "fill_model": model, **finer}
        alone, together = (kk.backtest(bars, one, **settings) for one in (lively, kk.portfolio(lively)))
        assert len(kk.fills(alone)) > 40
        for table in (kk.fills, kk.orders, kk.trades):
            mine = table(together)
            pd.testing.assert_frame_equal(mine[table(alone).columns], table(alone))
        for name in ("equity", "cash"):
            np.testing.assert_array_equal(alone[name], together[name])
        scalars = [n for n in alone.data_vars if alone[n].ndim == 0 and alone[n].dtype.kind == "f"]
        assert len(scalars) > 10
        for name in scalars:
            np.testing.assert_array_equal(alone[name], together[name], err_msg=name)


def test_f13__a_portfolio_under_each_named_model() -> None:
    """A list of fill models is a dim, as for one asset, with paths and finer bars among them."""
    quarters = {f"A{k}": walked(k, 400) for k in range(3)}
    bars = kk.data.from_pandas({n: q.resample("1h").agg(HOW) for n, q in quarters.items()}, bar="1h", **READING)
    finer = kk.data.from_pandas(quarters, bar="15min", **READING)
    res = kk.backtest(bars, kk.portfolio(lively), {"q": 0.4}, venue=COSTS, fill_model=[*NAMED, FINER], finer=finer)
    assert res["final_equity"].dims == ("fill_model",)
    for name in ("nautilus", "nautilus_adaptive", "freqtrade"):
        one = kk.backtest(bars, kk.portfolio(lively), {"q": 0.4}, venue=COSTS, fill_model=name)
        np.testing.assert_array_equal(res["equity"].sel(fill_model=name), one["equity"])
    one = kk.backtest(bars, kk.portfolio(lively), {"q": 0.4}, venue=COSTS, fill_model=FINER, finer=finer)
    np.testing.assert_array_equal(res["equity"].sel(fill_model=FINER.label), one["equity"])
    assert len(np.unique(res["final_equity"])) == len(NAMED) + 1


def test_why__tells_an_order_of_a_portfolio_on_its_path() -> None:
    model, sold, bought, _ = WAYS["same leg"]
    bars = bars_of({"A": [FLAT, FLAT, sold], "B": [FLAT, FLAT, bought]})
    told = kk.why(kk.backtest(bars, swap, account=kk.Account(10_500.0), fill_model=model), 2)
    assert told.end["status"] == "filled"
    assert told.bars["rule"].str.contains("F12").any()
    assert not told.models["what"].str.startswith("refused").any()


def test_x11__an_audit_cuts_the_finer_bars_with_the_others() -> None:
    quarters = {f"A{k}": walked(k, 400) for k in range(2)}
    bars = kk.data.from_pandas({n: q.resample("1h").agg(HOW) for n, q in quarters.items()}, bar="1h", **READING)
    finer = kk.data.from_pandas(quarters, bar="15min", **READING)
    report = kk.audit(bars, kk.portfolio(lively), {"q": 0.4}, fill_model=FINER, finer=finer, cuts=8)
    assert report.blind, report.leaks
    report = kk.audit(bars, kk.portfolio(lively), {"q": 0.4}, fill_model="nautilus", cuts=8)
    assert report.blind, report.leaks
