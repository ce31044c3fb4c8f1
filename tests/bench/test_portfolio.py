"""Asset-bars a second of portfolios, labelled call included, beside a loop written by hand."""

from __future__ import annotations

import pytest

import kernelkit as kk
from tests.bench import panel

SETTINGS = {
    "account": kk.Account(cash=panel.CASH),
    "venue": kk.Venue("bench", fees=kk.fees.fraction(panel.FEE)),
    "fill_model": kk.FillModel(market="next_close", sizing="at_fill"),
    "outputs": ("metrics",),
}
STRATEGIES = {"momentum": panel.momentum, "held": panel.hold_all}


def by_hand() -> tuple[float, int]:
    close = panel.prices()["close"]
    return panel.raw_momentum(close, panel.CASH, panel.FEE, panel.LOOKBACK, panel.STEP, panel.TOP)


@pytest.mark.parametrize("name", STRATEGIES)
def test_portfolio__keeps_up_with_a_loop_written_by_hand(name, compare, hold):
    bars, strategy = panel.bars(), STRATEGIES[name]
    pair = compare(name, lambda: kk.backtest(bars, strategy, **SETTINGS), by_hand, panel.DAYS * panel.ASSETS)
    found, yardstick = pair.rate, pair.yardstick_rate
    if name == "held":
        hold(name, pair.ratio, f"{1e9 / found:.1f} ns an asset-bar", f"{1e9 / yardstick:.1f} ns an asset-bar")
    else:
        hold(name, pair.ratio, f"{found / 1e6:.0f} M asset-bars/s", f"{yardstick / 1e6:.0f} M asset-bars/s")


def test_momentum__ends_where_other_engines_do():
    """They differ by how the last of the cash is shared: by hand 3.0838e6, others from 3.0838e6 to 3.0855e6."""
    equity, orders = by_hand()
    assert (f"{equity:.1f}", orders) == ("3083794.1", 7756)
    res = kk.backtest(panel.bars(), panel.momentum, **SETTINGS)
    assert float(res["final_equity"]) == pytest.approx(equity, rel=2e-4)
