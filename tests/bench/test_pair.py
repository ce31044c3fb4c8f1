"""The harness itself: turns, medians, and patience with a busy machine."""

from __future__ import annotations

from itertools import count

import pytest

from tests.bench.pair import Pair, in_turns, quietest


def test_in_turns__alternates_and_counts_neither_warm_up():
    calls: list[str] = []
    clock = count()
    pair = in_turns(lambda: calls.append("ours"), lambda: calls.append("theirs"), lambda: float(next(clock)), 3)
    assert calls == ["ours", "theirs", *["theirs", "ours"] * 3]
    assert pair.ours == pair.yardstick == [1.0, 1.0, 1.0]


def test_pair__one_disturbed_round_does_not_count():
    pair = Pair([1.0, 50.0, 1.2], [0.5, 0.5, 0.4], items=6)
    assert pair.ratio == pytest.approx(3.0)
    assert pair.rate == pytest.approx(5.0)


@pytest.mark.parametrize(("ratios", "expected", "left"), [([9.0, 2.0, 1.0], 2.0, 1), ([9.0, 8.0, 7.0, 6.0], 6.0, 0)])
def test_quietest__ends_when_low_enough_or_out_of_tries(ratios, expected, left):
    pairs = [Pair([r], [1.0]) for r in ratios]
    assert quietest(pairs.pop(0), lambda: pairs.pop(0), enough=3.0).ratio == expected
    assert len(pairs) == left
