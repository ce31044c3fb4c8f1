"""The compiled engine and the reference simulator agree on bars whose orders are matched in finer ones (F16)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.agree import assert_agree
from tests.programs import Case, run_engine, run_reference
from tests.reference import Action, Bars, Config
from tests.test_engine_is_reference import DAY, cases, means
from tests.test_orders import GRID, limit, market

EXAMPLES = 300


def grouped(bars: Bars, ends: np.ndarray) -> Bars:
    """Bars made of finer ones; `ends` are the last finer bar of each."""
    spans = [range(a, b + 1) for a, b in zip(np.r_[0, ends[:-1] + 1], ends, strict=True)]

    def last(values: Sequence[Any]) -> list[Any]:
        return [values[k] for k in ends]

    return Bars(
        [bars.open_at[s[0]] for s in spans],
        last(bars.known_at),
        last(bars.session),
        [bars.o[s[0]] for s in spans],
        [max(bars.h[k] for k in s) for s in spans],
        [min(bars.l[k] for k in s) for s in spans],
        last(bars.c),
        [float(sum(bars.v[k] for k in s)) for s in spans],
        None if bars.closes is None else last(bars.closes),
        None if bars.vwap is None else last(bars.vwap),
        None if bars.universe is None else last(bars.universe),
    )


def some(bars: Bars, kept: np.ndarray) -> Bars:
    """A part of the bars."""
    columns = {name: getattr(bars, name) for name in Bars.__dataclass_fields__}
    return Bars(**{name: v if v is None else [v[k] for k in kept] for name, v in columns.items()})


@st.composite
def finer_cases(draw: st.DrawFn) -> Case:
    """A random program that decides at the ends of groups of the bars that match it, some of which are missing."""
    case = draw(cases())
    n = len(case.bars.o)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    last = rng.random(n) < draw(st.sampled_from([0.15, 0.4, 0.8]))
    last[-1] = True
    ends = np.flatnonzero(last)
    config = replace(
        case.config,
        path="finer",
        trade_from=int(np.searchsorted(ends, case.config.trade_from)),
        market="next_vwap" if case.config.market == "same_close" else case.config.market,
        close_out="none" if case.config.close_out == "last_open" else case.config.close_out,
    )
    finer = replace(case.bars, closes=list(case.closes))
    if config.market == "next_vwap":
        finer = replace(finer, vwap=means(rng, case.grid, np.array(finer.h), np.array(finer.l)))
    there = (np.array(finer.v) > 0.0) | (rng.random(n) < 0.3)
    program, bars = [case.program[k] for k in ends], grouped(finer, ends)
    kept = some(finer, np.flatnonzero(there))
    return replace(case, bars=bars, config=config, program=program, closes=tuple(bars.closes or ()), finer=kept)


@pytest.mark.parametrize("rests", [False, True])
def test_f16_funding_is_paid_at_its_finer_bar(rests: bool) -> None:
    """Of two units on half days, one of which ends at 110 before the funding at noon; with a resting order or none."""
    half = DAY // 2
    closes = [100, 100, 100, 100, 110, 120]
    times = [t * half for t in range(6)], [(t + 1) * half for t in range(6)]
    finer = Bars(*times, [0, 0, 1, 1, 2, 2], *[closes] * 4, [10.0] * 6, [t // 2 * DAY + DAY for t in range(6)])
    bars = grouped(finer, np.array([1, 3, 5]))
    program = [[market(2), *([limit(1, 50)] if rests else [])], [], []]
    funding = Action("funding", 0, 2 * DAY + half, 0.01)
    case = Case(
        bars, GRID, Config(path="finer"), program, closes=tuple(bars.closes or ()), actions=(funding,), finer=finer
    )
    (paid,) = run_engine(case)[0].happened
    assert (int(paid["time"]), float(paid["amount"])) == (2 * DAY + half, -2.2)


@settings(max_examples=EXAMPLES, deadline=None)
@given(finer_cases())
@pytest.mark.oracle("Reference simulator, one asset", covers="F16", cases=EXAMPLES)
def test_finer_is_reference(case: Case) -> None:
    logs, headline, blocks, level = run_engine(case)
    assert_agree(logs, headline, blocks, level, run_reference(case))
