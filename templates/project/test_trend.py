"""What the strategy is meant to do, said a second time and in another way: with pandas, over whole columns."""

import pytest
from trend import trend

import kernelkit as kk


@pytest.fixture(scope="module")
def bars():
    """Ten years of the index."""
    return kk.data.load("sp500_index").isel(time=slice(-2520, None))


@pytest.mark.parametrize("n", [20, 100])
def test_trend__holds_while_the_close_is_above_its_average(bars, n):
    with kk.ledger.role("audit"):  # nobody chooses by it: no rival of what is tried
        held = kk.backtest(bars, trend, {"n": n})["position"].to_series() > 0
    close = bars["close"].isel(asset=0).to_series()
    # what is decided at a close is bought at the next open
    wanted = (close > close.rolling(n).mean()).shift(1).reindex(held.index)
    assert held.iloc[1:].tolist() == wanted.iloc[1:].tolist()
    assert 0.3 < held.mean() < 0.9


def test_trend__does_not_look_ahead(bars):
    assert kk.audit(bars, trend, {"n": 100}).blind
