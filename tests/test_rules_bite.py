"""The random programs on which engine and reference simulator are compared meet what they are to compare."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests import portfolios, programs
from tests.test_engine_is_reference import cases
from tests.test_finer_is_reference import finer_cases
from tests.test_portfolio_is_reference import worlds

EXAMPLES = 1000
LIMITS = "position notional concentration leverage turnover".split()
HIT = [(f"{name}_limit", done) for name in LIMITS for done in ("rejected", "cut")]
HIT += [(name, done) for name in ("short_sale", "short_sale_price") for done in ("rejected", "cut")]
HIT += [(name, done) for name in ("venue_down", "market_closed", "rate_limit") for done in ("rejected", "delayed")]
HIT += [("outside_universe", "rejected"), ("day_trades", "rejected")]


def met(given_cases: st.SearchStrategy[Any], run: Any) -> Counter[Any]:
    """In how many of the runs each rule has hit an order in each way, and other things have happened."""
    found: Counter[Any] = Counter()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(given_cases)
    def look(case: Any) -> None:
        outcome = run(case)
        found.update({(row["reason"], row["done"]) for row in outcome.compliance})
        found.update({order["reason"] for order in outcome.orders})
        changed = {row["order"] for row in outcome.compliance if row["done"] == "delayed"}
        late = any(order["id"] in changed and order["filled"] != 0 for order in outcome.orders)
        found.update(["delayed and filled"] if late else [])
        found.update(["filled"] if outcome.fills else [])

    look()
    return found


@pytest.mark.parametrize(
    ("strategy", "run"),
    [
        (cases(), programs.run_reference),
        (finer_cases(), programs.run_reference),
        (worlds(), portfolios.run_reference),
    ],
    ids=["one asset", "finer bars", "several assets"],
)
def test_each_rule_hits_orders(strategy: st.SearchStrategy[Any], run: Any) -> None:
    """Each in some runs, most in many, and a fifth of all runs trades."""
    found = met(strategy, run)
    assert [what for what in HIT if found[what] == 0] == []
    assert sum(found[what] >= EXAMPLES // 200 for what in HIT) > len(HIT) // 2
    assert found["filled"] > EXAMPLES // 5
    assert found["delayed and filled"] >= EXAMPLES // 100
    assert min(found["liquidation"], found["reduce_only"], found["split"]) > 0
