"""Prices in another currency."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import kernelkit as kk
from kernelkit.errors import DataError
from kernelkit.schema import check_bars

DAYS = pd.date_range("2024-01-01", periods=5)


def frame(closes: list[float]) -> pd.DataFrame:
    close = np.array(closes)
    opens = np.r_[close[:1], close[:-1]]
    return pd.DataFrame(
        {
            "open": opens,
            "high": np.maximum(opens, close) + 1.0,
            "low": np.minimum(opens, close) - 1.0,
            "close": close,
            "volume": 10.0,
        },
        index=DAYS,
    )


def bars() -> xr.Dataset:
    frames = {"SAP": frame([100.0, 102.0, 104.0, 103.0, 105.0]), "IBM": frame([50.0] * 5)}
    return kk.data.from_pandas(
        frames, label="open", bar="1D", calendar="24/7", tick_size=0.01, lot_size=1.0, currency={"SAP": "EUR"}
    )


RATES = pd.Series([1.0, 1.25, 1.5], index=pd.to_datetime(["2023-12-31 00:00", "2024-01-02 12:00", "2024-01-04 00:00"]))


def test_each_price_at_the_rate_that_was_known() -> None:
    """The rate of noon of the 2nd is that of its close, and of the 3rd's open."""
    out = kk.data.in_currency(bars(), "USD", {"EUR": RATES})
    check_bars(out)
    sap = out.sel(asset="SAP").to_dataframe()[["open", "high", "low", "close"]]
    wanted = [
        [100.0, 101.0, 99.0, 100.0],
        [100.0, 127.5, 99.0, 127.5],  # 103 before noon, the close of 102 at 1.25
        [127.5, 156.0, 126.25, 156.0],  # known at midnight of the 4th: at 1.5
        [156.0, 157.5, 153.0, 154.5],
        [154.5, 159.0, 153.0, 157.5],
    ]
    np.testing.assert_allclose(sap.to_numpy(), wanted, rtol=1e-9)
    assert out["currency"].values.tolist() == ["USD", "USD"]
    xr.testing.assert_equal(out["close"].sel(asset="IBM"), bars()["close"].sel(asset="IBM"))
    assert out.attrs["lineage"] != bars().attrs["lineage"]


def test_a_portfolio_gains_what_the_currency_gains() -> None:
    @kk.portfolio(warmup=0)
    def holds(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx[0].buy(10.0)

    rows = {"time": ["2024-01-05"], "asset": ["SAP"], "kind": ["dividend"], "value": [2.0]}
    paying = kk.data.with_actions(bars(), pd.DataFrame(rows))
    res = kk.backtest(kk.data.in_currency(paying, "USD", RATES), holds, account=kk.Account(1e4))
    assert kk.actions(res)["amount"].tolist() == [10.0 * 2.0 * 1.5]
    assert float(res["final_equity"]) == pytest.approx(1e4 - 10.0 * 100.0 + 10.0 * 157.5 + 30.0, rel=1e-9)


def test_causal__later_rates_change_no_earlier_bar() -> None:
    whole = kk.data.in_currency(bars(), "USD", RATES)
    part = kk.data.in_currency(bars().isel(time=slice(0, 3)), "USD", RATES.iloc[:2])
    early = whole.isel(time=slice(0, 2))
    for name in ("open", "high", "low", "close"):
        assert early[name].values.tolist() == part[name].values[:2].tolist()


@pytest.mark.parametrize(
    ("rates", "said"),
    [
        ({"GBP": RATES}, "rates from EUR to USD"),
        (RATES.reset_index(drop=True), "a pandas Series by time"),
        (-RATES, "positive"),
        (RATES.iloc[1:], "known by then"),
        (1.1, "a pandas Series by time"),
    ],
)
def test_rates_that_do_not_do(rates: object, said: str) -> None:
    with pytest.raises(DataError, match=said):
        kk.data.in_currency(bars(), "USD", rates)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="inverse contract"):
        kk.data.in_currency(kk.data.inverse(bars()), "USD", RATES)
