"""Families: who overlaps, what joins, what counts once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kernelkit as kk
from kernelkit import ledger
from kernelkit.errors import UsageError
from kernelkit.kernels.job import Outcome
from tests.ledger.conftest import outcome_of, tried

RNG = np.random.default_rng(11)
EDGES = list(range(-3, 9))  # sessions on both sides of 1970


def returns(n: int, blocks: int = len(EDGES)) -> np.ndarray:
    return RNG.normal(0.0, 0.01, (n, blocks))


def put(n: int = 2, edges: list[int] = EDGES, **more: Any) -> Outcome:
    """Record a call of ``n`` trials; each of its own strategy, so that keys differ."""
    out = outcome_of(returns(n, len(edges)), edges)
    ledger.record(tried(out, **{"strategy": f"s{RNG.integers(2**40)}"} | more))
    return out


@pytest.mark.parametrize(
    ("more", "joins"),
    [
        ({}, True),
        ({"span": [100, 200]}, True),
        ({"span": [-50, 50]}, True),
        ({"span": [0, 49]}, False),
        ({"span": [101, 200]}, False),
        ({"asset_ids": ["B"], "assets": ["A"]}, False),
        ({"asset_ids": ["AA"]}, False),
        ({"synthetic": 1}, False),
    ],
)
def test_j7__rivals_overlap_in_asset_and_span(more: dict[str, Any], joins: bool) -> None:
    put(3, **more)
    found = ledger.family(["A"], (50, 100))
    assert (len(found), found.distinct) == ((3, 3) if joins else (0, 0))
    if "synthetic" in more:
        assert len(ledger.family(["A"], (50, 100), synthetic=1)) == 3


@pytest.mark.parametrize("name", [r for r in ledger.ROLES if r != "rival"])
def test_j3__only_rivals_compete(name: str) -> None:
    with ledger.role(name):
        put(2)
    put(1)
    found = ledger.family(["A"], (0, 100))
    assert (len(found), found.runs) == (1, 1)


def test_j3__there_is_no_other_role() -> None:
    with pytest.raises(UsageError, match="role of trials: found 'rivals'"), ledger.role("rivals"):
        pass


def test_j7__proxies_are_one_market() -> None:
    """SPX is SPY, SPY is VOO: all three are."""
    for i in ("SPX", "SPY", "VOO", "QQQ"):
        put(1, asset_ids=[i], assets=[i])
    ledger.proxy("SPX", "SPY")
    assert len(ledger.family(["VOO"], (0, 100))) == 1
    ledger.proxy("VOO", like="SPY")
    assert [len(ledger.family([i], (0, 100))) for i in ("SPX", "SPY", "VOO", "QQQ")] == [3, 3, 3, 1]


def with_market(out: Outcome, sums: np.ndarray) -> Outcome:
    """The outcome on an asset whose own returns are these, one a block."""
    assert out.blocks is not None
    out.blocks["sb"][:, : len(sums)], out.blocks["sbb"][:, : len(sums)] = sums, sums**2
    return out


def test_j7__equal_data_under_another_id_are_one_market(new_process: Callable[[], None]) -> None:
    """Also where only a part of them was run; other data, and those without a return, are none."""
    own, other = returns(1)[0], returns(1)[0]
    still = np.zeros(len(EDGES))
    runs = {"A": (own, EDGES), "copy": (own[3:], EDGES[3:]), "B": (other, EDGES), "S": (still, EDGES)}
    for name, (sums, edges) in (runs | {"T": (still, EDGES)}).items():
        out = with_market(outcome_of(returns(2, len(edges)), edges), sums)
        ledger.record(tried(out, strategy=name, asset_ids=[name], lineage=name))
    for _ in range(2):
        assert [len(ledger.family([i], (0, 100))) for i in ("A", "copy", "B", "S")] == [4, 4, 2, 2]
        new_process()
        ledger.compact()
    ledger.declare(7, "by a colleague", asset="copy")
    assert [ledger.family([i], (0, 100)).declared for i in "AB"] == [7, 0]
    assert [ledger.family([i], (0, 100)).of_asset for i in ("A", "B")] == [{"A": 2, "copy": 2}, {"B": 2}]


def test_j7__two_equal_blocks_by_chance_are_no_market() -> None:
    """Nor are three of many; of data with another value here and there most are equal."""
    own = returns(1)[0]
    for name, equal in (("A", slice(None)), ("two", slice(4, 6)), ("corrected", slice(4, None))):
        sums = returns(1)[0]
        sums[equal] = own[equal]
        out = with_market(outcome_of(returns(1), EDGES), sums)
        ledger.record(tried(out, strategy=name, asset_ids=[name], lineage=name))
    assert sorted(ledger.family(["A"], (0, 100)).strategy) == ["A", "corrected"]


def test_j7__real_bars_under_another_id_are_the_same_market() -> None:
    """Of another length, so that their blocks are longer."""
    bars = kk.data.load("sp500_index").isel(time=slice(0, 1500))
    renamed = bars.assign_coords(asset=["FUND"], asset_id=("asset", ["my:FUND"])).isel(time=slice(200, 700))
    kk.backtest(bars, trend, grid={"n": [5, 20]})
    res = kk.backtest(renamed, trend, grid={"n": [10, 40, 60]})
    span = tuple(bars["time"].values[[0, -1]].astype("datetime64[ns]").astype("i8").tolist())
    assert len(ledger.family(["index:SPX"], span)) == len(ledger.family(["my:FUND"], span)) == 5
    found = kk.verdict(res)
    assert found.n_trials == 5
    assert dict(found.sections["Tried"])["of this market"] == "my:FUND 3, index:SPX 2"
    kk.backtest(kk.data.load("synthetic_minute", n=3000), trend)
    assert len(ledger.family(["index:SPX"], span)) == 5


def test_j7__a_daily_bar_covers_its_session() -> None:
    """Its label is midnight: what ran on minutes of that day is a rival, what ran on the next day's is none."""
    days = pd.bdate_range("2024-03-04", periods=3, tz="America/New_York")
    at = days.repeat(390) + pd.to_timedelta(np.tile(np.arange(390) + 570, 3), "min")
    found = {}
    for bar, index in (("1min", at), ("1D", days.tz_localize(None))):
        close = 100.0 + np.arange(len(index)) % 7
        frame = pd.DataFrame({"open": close, "high": close, "low": close, "close": close, "volume": 1e3}, index)
        about = {"asset_id": {"ACME": "x:ACME"}}
        found[bar] = kk.data.from_pandas({"ACME": frame}, label="open", bar=bar, calendar="XNYS", about=about)
    daily, minutes = found["1D"], found["1min"]
    kk.backtest(daily.isel(time=slice(0, 2)), trend, {"n": 1})
    (row,) = ledger.rows("trials")
    opened, known = (daily[n].values.astype("datetime64[ns]").astype("i8") for n in ("open_at", "known_at"))
    assert row["covers"] == [opened[0], known[1] - 1]
    assert row["span"] == daily["time"].values[:2].astype("datetime64[ns]").astype("i8").tolist()
    for day, runs in ((1, 2), (2, 1)):
        res = kk.backtest(minutes.isel(time=slice(390 * day + 60, 390 * day + 180)), trend, {"n": day})
        own = next(row for row in ledger.rows("trials") if row["call"] == res.attrs["ledger"])
        assert ledger.family(["x:ACME"], tuple(own["covers"])).runs == runs


def test_j7__separate_accounts_join_by_their_own_asset() -> None:
    """Of a sweep over two assets only the trials on the one asked for; of a portfolio that holds it, each."""
    out = put(6, assets=["A", "B"], asset_ids=["A", "B"])
    found = ledger.family(["B"], (0, 100))
    assert out.blocks is not None
    np.testing.assert_allclose(found.s1, out.blocks["s1"][1::2, : len(EDGES)].T, rtol=1e-6)
    assert found.account.tolist() == [1, 1, 1]
    assert found.cell.tolist() == [0, 1, 2]
    put(2, assets=["A", "B"], asset_ids=["A", "B"], together=True)
    assert len(ledger.family(["B"], (0, 100))) == 5
    assert len(ledger.family(["A", "B"], (0, 100))) == 8


def test_j7__accounts_may_have_blocks_of_their_own() -> None:
    """One asset was listed later, in blocks of its own: neither is padded by the other's."""
    out = outcome_of(returns(2), EDGES)
    assert out.blocks is not None
    out.meta[1, 0] = 4
    out.blocks[1, :4]["index"] = EDGES[-4:]
    out.blocks[1, 4:] = 0
    ledger.record(tried(out, assets=["A", "B"], asset_ids=["A", "B"]))
    found = ledger.family(["B"], (0, 100))
    assert found.edges.tolist() == EDGES[-4:]
    assert (found.n == 1.0).all()
    both = ledger.family(["A", "B"], (0, 100))
    assert both.edges.tolist() == EDGES
    assert both.n[:, 1].tolist() == [0.0] * (len(EDGES) - 4) + [1.0] * 4


def test_j8__levels_join_at_the_coarsest() -> None:
    """Sums of the finer blocks within a coarser one are what the coarser would have had (M3, M4)."""
    fine = returns(3)
    pairs = sorted({e >> 1 for e in EDGES})
    rows = [[e >> 1 for e in EDGES].index(p) for p in pairs]
    coarse = outcome_of(returns(2, len(pairs)), pairs, level=1)
    ledger.record(tried(outcome_of(fine, EDGES), strategy="fine"))
    ledger.record(tried(coarse, strategy="coarse"))
    found = ledger.family(["A"], (0, 100))
    assert (found.level, found.edges.tolist()) == (1, pairs)
    wanted = np.add.reduceat(np.float32(fine).astype("f8"), rows, axis=1)
    np.testing.assert_allclose(found.s1[:, found.strategy == "fine"], wanted.T, rtol=1e-12)
    assert found.n[:, 0].tolist() == [sum(e >> 1 == p for e in EDGES) for p in pairs]
    at_finest = ledger.family(["A"], (0, 100), coarsest=0)
    assert (at_finest.level, len(at_finest), at_finest.apart) == (0, 3, 2)


def test_j8__identical_summaries_count_once() -> None:
    out = outcome_of(returns(3), EDGES)
    assert out.blocks is not None
    out.blocks[2] = out.blocks[0]
    ledger.record(tried(out, strategy="one"))
    ledger.record(tried(out, strategy="two"))
    found = ledger.family(["A"], (0, 100))
    assert (len(found), found.alike, found.distinct, found.runs, found.apart) == (2, 4, 6, 6, 0)
    assert found.strategy.tolist() == ["one", "one"]  # the earliest


def test_j8__a_repeat_counts_as_a_run_only() -> None:
    out = outcome_of(returns(3), EDGES)
    for _ in range(3):
        ledger.record(tried(out))
    found = ledger.family(["A"], (0, 100))
    assert (len(found), found.alike, found.distinct, found.runs) == (3, 0, 3, 9)


def test_j8__what_has_no_returns_counts_all_the_same() -> None:
    """One fails, one was never reached, one has no summaries; later the failed one comes to a result."""
    out = outcome_of(returns(3), EDGES)
    out.done[1:] = False
    out.errors[1] = (1, 2, 3)
    ledger.record(tried(out))
    bare = outcome_of(returns(1), EDGES)
    bare.blocks = None
    ledger.record(tried(bare, strategy="bare"))
    found = ledger.family(["A"], (0, 100))
    assert (len(found), found.failed, found.apart, found.distinct, found.runs) == (1, 1, 1, 3, 3)
    ledger.record(tried(outcome_of(returns(3), EDGES)))
    found = ledger.family(["A"], (0, 100))
    assert (len(found), found.failed, found.apart, found.distinct, found.runs) == (3, 0, 1, 4, 6)


def test_j8__declared_trials_count_for_their_asset() -> None:
    put(1)
    put(1, asset_ids=["B"], assets=["B"])
    kk.ledger.declare(10, "in Excel")
    kk.ledger.declare(5, "by a colleague", asset="A")
    kk.ledger.declare(3, "on another market", asset="B")
    assert ledger.family(["A"], (0, 100)).declared == 15
    assert ledger.family(["B"], (0, 100)).declared == 13
    ledger.proxy("A", "B")
    assert ledger.family(["B"], (0, 100)).declared == 18


def test_j8__an_id_that_was_never_seen_is_refused() -> None:
    """It is misspelt, and would never count: the error names those that there are."""
    with pytest.raises(UsageError, match=r"asset of a declaration: found 'A', wanted one .* \(none yet\)"):
        kk.ledger.declare(5, "by a colleague", asset="A")
    put(1)
    put(1, asset_ids=["B"], assets=["B"])
    with pytest.raises(UsageError, match=r"found 'index:A', wanted one .* \(A, B\)"):
        kk.ledger.declare(5, "by a colleague", asset="index:A")
    with pytest.raises(UsageError, match=r"like of a proxy: found 'C', wanted one .* \(A, B\)"):
        kk.ledger.proxy("A", like="C")
    with pytest.raises(UsageError, match=r"asset of a proxy: found 'C'"):
        kk.ledger.proxy("C", like="A")
    assert list(ledger.rows("declared", "proxy")) == []
    kk.ledger.proxy("A", like="B")


@pytest.mark.parametrize(("n", "note"), [(0, "x"), (-1, "x"), (1.5, "x"), (True, "x"), (1, " ")])
def test_j8__what_is_no_declaration_is_refused(home: Path, n: Any, note: str) -> None:
    with pytest.raises(UsageError, match=r"trials declared|note of a declaration"):
        kk.ledger.declare(n, note)
    assert list(ledger.rows()) == []


def test_j8__only_narrows() -> None:
    for name in ("x", "y"):
        put(2, strategy=name)
    kk.ledger.declare(4, "elsewhere")
    found = ledger.family(["A"], (0, 100))
    one = found.only(["y"])
    assert (len(one), one.distinct, one.declared) == (2, 2, 4)
    np.testing.assert_array_equal(one.s1, found.s1[:, found.strategy == "y"])
    with pytest.raises(UsageError, match="found z, wanted some of x, y"):
        found.only(["z"])


def test_j7__a_family_is_the_same_from_logs_and_compacted(new_process: Callable[[], None]) -> None:
    for _ in range(3):
        put(4)
    before = ledger.family(["A"], (0, 100))
    new_process()
    ledger.compact()
    after = ledger.family(["A"], (0, 100))
    for name in before.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_j8__every_key_is_joined_failed_alike_or_apart(data: st.DataObject, tmp_path_factory: Any) -> None:
    """The parts of a family add up, whatever was recorded; sums are those of each key's first result, in float32."""
    at = str(tmp_path_factory.mktemp("family"))
    first: dict[tuple[str, int], np.ndarray] = {}
    keys = set()
    for _ in range(data.draw(st.integers(1, 5))):
        name, n = data.draw(st.sampled_from("xy")), data.draw(st.integers(1, 3))
        x = data.draw(st.lists(st.sampled_from([0.01, -0.02, 0.0]), min_size=4 * n, max_size=4 * n))
        out = outcome_of(np.reshape(x, (n, 4)), [0, 1, 2, 3])
        out.done[:] = data.draw(st.lists(st.booleans(), min_size=n, max_size=n))
        out.errors.update({k: (1, 0, 0) for k in np.flatnonzero(~out.done).tolist() if data.draw(st.booleans())})
        ledger.record(tried(out, strategy=name), at)
        keys |= {(name, k) for k in range(n) if out.done[k] or k in out.errors}
        for k in np.flatnonzero(out.done).tolist():
            first.setdefault((name, k), np.reshape(x, (n, 4))[k])
    found = ledger.family(["A"], (0, 100), at=at)
    assert found.distinct == len(keys) == len(found) + found.failed + found.alike + found.apart
    assert found.failed == len(keys - first.keys())
    wanted = {tuple(np.float32(x).tolist()) for x in first.values()}
    assert sorted(map(tuple, found.s1.T.tolist())) == sorted(wanted)


@kk.strategy
def trend(ctx, n=20):  # type: ignore[no-untyped-def]
    ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else 0.0)


def _sums(res: xr.Dataset, name: str) -> np.ndarray:
    return np.asarray(res["blocks"].sel(summary=name).transpose(..., "n").values)


@pytest.mark.parametrize("first", [0, 2500])
def test_j4__sums_are_those_of_the_results_blocks(first: int) -> None:
    """To float32, also where sessions lie before 1970."""
    bars = kk.data.load("sp500_index").isel(time=slice(first, first + 700))
    early = bars.assign_coords(time=bars["time"].values - np.timedelta64(365 * 40, "D"))
    for name in ("open_at", "known_at"):
        early[name] = early[name] - 365 * 40 * 86400 * 10**9
    early["session"] = early["session"] - 365 * 40
    for given_bars in (bars, early):
        res = kk.backtest(given_bars, trend, grid={"n": [5, 20, 60]})
        span = tuple(given_bars["time"].values[[0, -1]].astype("datetime64[ns]").astype("i8").tolist())
        found = ledger.family(["index:SPX"], span)
        assert len(found) == 3
        for name in ("s1", "s2", "active", "sxb"):
            np.testing.assert_allclose(getattr(found, name), _sums(res, name), rtol=1e-7, atol=1e-12)
        for name in ("n", "sb", "sbb"):
            np.testing.assert_array_equal(getattr(found, name), _sums(res, name))
        assert found.edges.tolist() == res["blocks"].isel(n=0).sel(summary="index").values.tolist()
