"""Bars matched in their finer bars (F16): what a run over the finer bars that decides at the coarse closes does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import kernelkit as kk
from kernelkit import intrabar
from kernelkit.errors import DataError, OrderError, UsageError
from kernelkit.kernels import layout as L
from kernelkit.kernels.job import Job, Logs
from kernelkit.kernels.session import Recorder
from tests.programs import Case, job
from tests.reference import Bars
from tests.test_debug import _binding
from tests.test_engine_is_reference import FEES, SLIPPAGES, all_seen, cases, wild

BLIND_FEES = [f for f in FEES if f[0] is None or all_seen(0.001).text != f[0].text]
BLIND_SLIPS = [
    s
    for s in SLIPPAGES
    if s[0] is None or not any(w in s[0].name for w in ("wild", "volume", "square", "linear", "volatil", "learned"))
]


@pytest.fixture(autouse=True)
def own_ledger(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".kernelkit").mkdir()
    monkeypatch.chdir(tmp_path)


def grouped(bars: Bars, ends: np.ndarray) -> Bars:
    """Bars made of finer ones; `ends` are the last finer bar of each."""
    begins = np.r_[0, ends[:-1] + 1]
    spans = [slice(a, b + 1) for a, b in zip(begins, ends, strict=True)]
    return Bars(
        [bars.open_at[k] for k in begins],
        [bars.known_at[k] for k in ends],
        [bars.session[k] for k in ends],
        [bars.o[k] for k in begins],
        [max(bars.h[s]) for s in spans],
        [min(bars.l[s]) for s in spans],
        [bars.c[k] for k in ends],
        [sum(bars.v[s]) for s in spans],
    )


@dataclass
class Pair:
    """A job over bars with finer ones, one over the finer bars that decides where those end, and the former's case."""

    coarse: Job
    fine: Job
    case: Case

    def __repr__(self) -> str:
        config = self.case.config
        return f"Pair({len(self.fine.tables[0].columns[0])} finer bars, {self.coarse.tables[0].edges}, {config})"


@st.composite
def nested(draw: st.DrawFn) -> Pair:
    case = draw(cases())
    n = len(case.bars.o)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    last = rng.random(n) < draw(st.sampled_from([0.15, 0.4, 0.8]))
    last[-1] = True
    ends = np.flatnonzero(last)
    begin = int(np.searchsorted(ends, case.config.trade_from))
    config = replace(
        case.config,
        path="stop_first",
        trade_from=begin,
        market=case.config.market if case.config.market != "same_close" else "next_open",
        close_out=case.config.close_out if case.config.close_out != "last_open" else "none",
        end=None,
    )
    fee, slip = draw(st.sampled_from(BLIND_FEES))[0], draw(st.sampled_from(BLIND_SLIPS))[0]
    program = [rows if last[k] else [] for k, rows in enumerate(case.program)]
    whole = Case(
        grouped(case.bars, ends),
        case.grid,
        config,
        [case.program[k] for k in ends],
        fee,
        slip,
        tuple(case.closes[k] for k in ends),
        case.limits,
    )
    fine = replace(case, config=replace(config, trade_from=int(ends[begin])), program=program, fee=fee, slippage=slip)
    one, other = job(whole), job(fine)
    table = other.tables[0]
    inner = replace(table, columns=(*table.columns[: L.FIRST_FEATURE], table.columns[-1]), closing=L.FIRST_FEATURE)
    inner, edges = intrabar.within(one.tables[0], inner, "X")
    np.testing.assert_array_equal(edges[1:], ends + 1)
    codes = list(one.fill_models[0])
    codes[L.FILL_MODEL.names.index("path")] = L.FINER
    one = replace(one, tables=[replace(one.tables[0], finer=inner, edges=edges)], fill_models=[codes])
    return Pair(one, other, whole)


def logs(work: Job, python: Any = None) -> tuple[Logs, Recorder]:
    recorder = Recorder(work, 0, python=python)
    found = recorder.all()
    assert not recorder.outcome.errors
    return found, recorder


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(nested())
def test_f16_is_the_run_over_the_finer_bars(pair: Pair) -> None:
    coarse, fine = pair.coarse, pair.fine
    (a, first), (b, other) = logs(coarse), logs(fine)
    assume(not first.outcome.meta[0, 2] and not other.outcome.meta[0, 2])  # A6 looks at closes, of which there are more
    assert a.fills.tobytes() == b.fills.tobytes()
    assert a.trades.tobytes() == b.trades.tobytes()
    names = [n for n in L.ORDER.names if n not in ("touch_lo", "touch_hi", "marks")]
    assert a.orders[names].tolist() == b.orders[names].tolist()
    for one in (a, b):  # a lone market order is filled without being looked at
        one.orders["marks"] &= ~L.SEEN
    assert a.orders["marks"].tolist() == b.orders["marks"].tolist()
    ends = coarse.tables[0].edges[1 + int(coarse.trials["trade_from"][0]) :] - 1 - int(fine.trials["trade_from"][0])
    assert a.curves.tobytes() == b.curves[ends].tobytes()


@settings(max_examples=25, deadline=None)
@given(nested())
def test_f16_debug_is_compiled(pair: Pair) -> None:
    (a, one), (b, other) = logs(pair.coarse), logs(pair.coarse, _binding(pair.case))
    for name in ("fills", "orders", "trades", "curves"):
        assert getattr(a, name).tobytes() == getattr(b, name).tobytes(), name
    assert one.outcome.headline.tobytes() == other.outcome.headline.tobytes()
