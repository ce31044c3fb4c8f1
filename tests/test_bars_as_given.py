"""What a user does to bars, and to the targets of a signal, after they were checked: refused, never computed with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

import kernelkit as kk
from kernelkit.errors import DataError, StrategyError, UsageError

BARS = kk.data.load("sp500_index").isel(time=slice(0, 300))


@kk.strategy
def hold(ctx):  # type: ignore[no-untyped-def]
    ctx.target_percent(1.0)


def edited(name: str, row: int, value: float) -> xr.Dataset:
    bars = BARS.copy(deep=True)
    bars[name].values[row] = value
    return bars


@pytest.mark.parametrize(
    ("bars", "said"),
    [
        (lambda: BARS.isel(time=slice(None, None, -1)), "open_at of bar 1: .* bars that do not overlap"),
        (lambda: BARS.isel(time=[0, 2, 1, 3]), "open_at of bar 2: .* bars that do not overlap"),
        (lambda: BARS.isel(time=[0, 1, 1, 2]), "open_at of bar 2: .* bars that do not overlap"),
        (lambda: edited("session", 7, 3), "session of bar 7: found 3, after 1"),
        (lambda: BARS.isel(time=slice(0, 0)), "bars: found nothing along time"),
        (lambda: BARS.isel(asset=slice(0, 0)), "bars: found nothing along asset"),
        (lambda: BARS.isel(asset=0), r"bars: found no dim asset, .* bars\.sel\(asset=\[name\]\)"),
    ],
)
def test_bars_that_no_longer_hold_together_are_refused(bars: Callable[[], xr.Dataset], said: str) -> None:
    with pytest.raises(DataError, match=said):
        kk.backtest(bars(), hold)


def test_a_signal_leaves_the_users_bars_alone() -> None:
    """Cells of a grid run on several threads: what one writes into its bars, another must not read."""

    @kk.signal
    def crossing(ds, n=10):  # type: ignore[no-untyped-def]
        ds["mean"] = ds["close"].rolling(time=n).mean()
        return (ds["close"] > ds["mean"]) * 1.0

    kk.backtest(BARS, crossing, grid={"n": [5, 10]})
    assert "mean" not in BARS


@pytest.mark.parametrize(
    "turn",
    [
        lambda a: a.isel(time=slice(None, None, -1)),
        lambda a: a.assign_coords(time=a["time"] + np.timedelta64(1, "D")),
        lambda a: a.isel(asset=0).to_series().iloc[::-1],
        lambda a: a.isel(asset=0).to_series().iloc[::-1].to_frame(),
    ],
)
def test_targets_with_other_labels_than_the_bars_are_refused(turn) -> None:  # type: ignore[no-untyped-def]
    @kk.signal
    def turned(ds):  # type: ignore[no-untyped-def]
        return turn(ds["close"] * 0.0)

    with pytest.raises(StrategyError, match="signal turned: found other labels along time"):
        kk.backtest(BARS, turned)


def test_targets_without_labels_or_with_the_bars_own() -> None:
    @kk.signal
    def plain(ds, form=0):  # type: ignore[no-untyped-def]
        close = ds["close"] * 0.0 + 1.0
        return [close, close.values, close.isel(asset=0), close.isel(asset=0).to_series()][form]

    ends = kk.backtest(BARS, plain, grid={"form": [0, 1, 2, 3]}, outputs=("final_equity",))["final_equity"]
    assert len(set(ends.values.tolist())) == 1
    assert float(ends[0]) != 1e6


def test_a_feature_put_there_by_hand_is_refused() -> None:
    """Nobody says when it was known; this one is tomorrow's close."""

    @kk.strategy
    def knowing(ctx):  # type: ignore[no-untyped-def]
        ctx.target_percent(1.0 if ctx.x.next[0] > ctx.close[0] else 0.0)

    tomorrow = BARS["close"].shift(time=-1).fillna(0.0).drop_attrs()
    by_hand = BARS.assign({"x.next": tomorrow, "age.next": xr.zeros_like(tomorrow).astype("int64")})
    with pytest.raises(DataError, match=r"'x.next' of the bars: found a column put there by hand"):
        kk.backtest(by_hand, knowing)
    trusted = kk.feature(BARS, "next", tomorrow.values, trusted=True)
    assert float(kk.backtest(trusted, knowing)["final_equity"]) > 1e6


def test_an_integer_parameter_beyond_64_bits() -> None:
    @kk.strategy
    def counting(ctx, n=1):  # type: ignore[no-untyped-def]
        ctx.record("value", n)

    assert kk.backtest(BARS, counting, {"n": 2**63 - 1})["value"].values[0] == 2.0**63
    with pytest.raises(UsageError, match=r"parameter 'n': found 9223372036854775808, wanted an integer of 64 bits"):
        kk.backtest(BARS, counting, {"n": 2**63})
