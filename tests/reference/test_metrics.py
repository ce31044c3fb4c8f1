"""Hand-worked metrics (M), and the headline against the statistics module."""

from __future__ import annotations

import math
import random
import statistics
from itertools import pairwise

import pytest

from tests.reference import Config
from tests.reference.account import Account
from tests.reference.metrics import Track, blocks, fold, headline, leaf, leaves, longest_drawdown, merge, node, variance
from tests.reference.worked import DAY, ONES, daily, flat, play


def track(equity: list[float], per_session: int = 1, cash0: float = 100.0, first: int = 0) -> Track:
    count = len(equity)
    return Track(
        session=[first + t // per_session for t in range(count)],
        known_at=[DAY * t for t in range(count)],
        equity=equity,
        close=[100.0 + t for t in range(count)],
        held=[True] * count,
        active=[True] * count,
        cash0=cash0,
    )


def walk(seed: int, count: int) -> list[float]:
    draw = random.Random(seed)
    equity = [100.0]
    for _ in range(count):
        equity.append(equity[-1] * (1.0 + draw.gauss(0.0005, 0.01)))
    return equity[1:]


def test_m1__samples_are_session_closes_from_the_initial_cash() -> None:
    found = leaves(track([105.0, 110.0, 90.0, 99.0, 88.0], per_session=2))
    assert [found[session]["s1"] for session in (0, 1, 2)] == [
        110.0 / 100.0 - 1.0,
        99.0 / 110.0 - 1.0,
        88.0 / 99.0 - 1.0,
    ]


def test_m1__a_ruined_sample_is_minus_one_and_later_ones_are_zero() -> None:
    found = leaves(track([90.0, 0.0, 0.0]))
    assert [found[session]["s1"] for session in (0, 1, 2)] == [90.0 / 100.0 - 1.0, -1.0, 0.0]


def test_m2__a_leaf() -> None:
    x, b = 110.0 / 100.0 - 1.0, 8.0 / 10.0 - 1.0
    s2 = x * x
    assert leaf([120.0, 90.0, 110.0], 100.0, 8.0, 10.0, True) == {
        "n": 1,
        "active": 1,
        "s1": x,
        "s2": s2,
        "s3": s2 * x,
        "s4": s2 * s2,
        "d2": 0.0,
        "w": 1.1,
        "hi": 1.2,
        "lo": 0.9,
        "mdd": 0.25,
        "sb": b,
        "sbb": b * b,
        "sxb": x * b,
    }
    assert leaf([90.0], 100.0, 1.0, 1.0, False)["d2"] == (90.0 / 100.0 - 1.0) * (90.0 / 100.0 - 1.0)


def test_m2__a_session_is_active_when_a_position_or_a_fill_is_in_it() -> None:
    bars = daily(*flat(100, 3), (100, 100, 80, 90), *flat(100, 2))
    outcome = play(bars, {2: lambda ctx: ctx.bracket(1, stop=90)})
    assert [block["active"] for block in outcome.blocks] == [0, 0, 0, 1, 0, 0]
    assert outcome.metrics["exposure"] == 0.0


def test_m3__merging_gives_the_whole() -> None:
    a, b = leaf([120.0, 60.0], 100.0, 1.0, 1.0, True), leaf([150.0, 90.0], 60.0, 1.0, 1.0, False)
    whole = merge(a, b)
    assert (whole["n"], whole["active"]) == (2, 1)
    assert (whole["w"], whole["hi"], whole["lo"]) == (0.6 * 1.5, 0.6 * 2.5, 0.6)
    assert whole["mdd"] == 0.5


def test_m3__after_ruin_nothing_is_left() -> None:
    found = leaves(track([90.0, 0.0, 0.0, 0.0]))
    assert [(found[1][name], found[3][name]) for name in ("w", "hi", "lo", "mdd")] == [(0, 1), (1, 1), (0, 1), (1, 0)]
    whole = fold(list(found.values()))
    assert (whole["w"], whole["mdd"], whole["lo"], whole["hi"]) == (0.0, 1.0, 0.0, 1.0)


@pytest.mark.parametrize(("first", "last", "k"), [(0, 63, 0), (0, 64, 1), (5, 68, 0), (19000, 19130, 2), (-70, 10, 1)])
def test_m4__the_level_gives_at_most_64_blocks_on_absolute_edges(first: int, last: int, k: int) -> None:
    level, cut = blocks(leaves(track(walk(1, last - first + 1), first=first)))
    assert (level, cut[0]["i"], cut[-1]["i"]) == (k, first >> k, last >> k)
    assert len(cut) == (last >> k) - (first >> k) + 1
    assert sum(block["n"] for block in cut) == last - first + 1


def test_m4__a_node_is_the_merge_of_its_children_or_its_only_one() -> None:
    found = leaves(track(walk(2, 4), first=4))
    assert node(found, 2, 1) == merge(merge(found[4], found[5]), merge(found[6], found[7]))
    assert node({5: found[5]}, 3, 0) == found[5]
    assert node(found, 1, 1) is None


def test_m5__the_headline_is_the_textbook() -> None:
    draw = random.Random(3)
    closes = [100]
    for _ in range(400):
        closes.append(max(50, closes[-1] + draw.randint(-3, 3)))
    bars = daily(*[bar for close in closes for bar in flat(close)])
    outcome = play(bars, {0: lambda ctx: ctx.buy(6)}, Config(cash=1000.0))
    metrics = outcome.metrics
    wealth = [1000.0, *outcome.equity]
    x = [after / before - 1.0 for before, after in pairwise(wealth)]
    mean, sd = statistics.fmean(x), statistics.stdev(x)
    drawdown = max(1.0 - wealth[t] / max(wealth[: t + 1]) for t in range(len(wealth)))
    downside = math.sqrt(sum(r * r for r in x if r < 0) / len(x))
    cagr = (wealth[-1] / 1000.0) ** (365.25 / 400) - 1.0
    expected = {
        "total_return": wealth[-1] / 1000.0 - 1.0,
        "volatility": sd * math.sqrt(252),
        "sharpe_ratio": mean / sd * math.sqrt(252),
        "sortino_ratio": mean / downside * math.sqrt(252),
        "max_drawdown": drawdown,
        "cagr": cagr,
        "calmar_ratio": cagr / drawdown,
        "exposure": 400 / 401,
        "n_fills": 1.0,
        "fees": 0.0,
    }
    assert {name: metrics[name] for name in expected} == pytest.approx(expected, rel=1e-9)
    assert outcome.k == 3


def test_m5__what_has_no_value_is_nan() -> None:
    still = play(daily(*flat(100, 5)), {}).metrics
    for name in ("sharpe_ratio", "sortino_ratio", "calmar_ratio", "win_rate", "profit_factor"):
        assert math.isnan(still[name])
    assert (still["volatility"], still["cagr"], still["max_drawdown"], still["turnover"]) == (0.0, 0.0, 0.0, 0.0)
    single = play(daily(*flat(100)), {}).metrics
    assert all(math.isnan(single[name]) for name in ("cagr", "turnover", "volatility", "sharpe_ratio"))


def summary(path: Track, cash0: float = 100.0) -> dict[str, float]:
    account = Account(daily(*flat(100)), ONES, Config(), cash=cash0, equity=cash0)
    return headline(path, fold(blocks(leaves(path))[1]), account, 252)


@pytest.mark.parametrize("rate", [0.001, -0.001, 0.1, 1e-7, 2.0])
@pytest.mark.parametrize("count", [2, 3, 64, 200])
def test_m5__equal_samples_have_no_variance(rate: float, count: int) -> None:
    found = summary(track([100.0 * (1.0 + rate) ** t for t in range(1, count + 1)]))
    assert (found["volatility"], math.isnan(found["sharpe_ratio"])) == (0.0, True)


def test_m5__a_small_variance_counts() -> None:
    # samples of 0.1 % and 0.1001 %: the deviation is a ten thousandth of the mean
    equity = [100.0]
    for t in range(200):
        equity.append(equity[-1] * (1.001 if t % 2 else 1.00101))
    found = summary(track(equity[1:]))
    assert found["volatility"] == pytest.approx(0.5e-5 * math.sqrt(200 / 199 * 252), rel=1e-4)
    assert found["sharpe_ratio"] == pytest.approx(0.001005 / 0.5e-5 * math.sqrt(199 / 200 * 252), rel=1e-4)


def test_m5__where_variance_begins() -> None:
    # two samples with a sum of 2: s2 moves in steps of 2^-51, and the bound lies just above two of them
    assert [variance(2.0, 2.0, 2.0 + k * 2.0**-51) for k in (-1, 0, 2, 3)] == [0.0, 0.0, 0.0, 3 * 2.0**-51]
    assert (variance(4.0, 0.0, 3.0), variance(4.0, 0.0, 0.0)) == (1.0, 0.0)
    assert math.isnan(variance(1.0, 0.5, 0.25))


@pytest.mark.parametrize(
    ("equity", "days"),
    [
        ([100.0, 100.0, 100.0], 0.0),
        ([101.0, 99.0, 100.0, 101.0, 90.0], 3.0),
        ([90.0, 95.0, 99.0], 2.0),
        ([100.0, 101.0, 100.0, 101.0, 100.0, 100.0, 99.0], 3.0),
    ],
)
def test_m6__the_longest_time_under_water(equity: list[float], days: float) -> None:
    assert longest_drawdown(track(equity)) == days


def test_m7__an_open_position_is_marked_at_the_end() -> None:
    outcome = play(daily(*flat(100, 2), *flat(130)), {0: lambda ctx: ctx.buy(10)})
    assert (outcome.metrics["final_equity"], outcome.trades, outcome.position[-1]) == (1e6 + 300.0, [], 10)
