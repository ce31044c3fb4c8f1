"""The ledger of the folder that the server serves."""

from __future__ import annotations

import pytest

import kernelkit as kk


@kk.strategy
def trend(ctx, n=50):
    ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else 0.0)


@pytest.fixture
def tried(jp_root_dir, monkeypatch):
    """Three trials of `trend` in the ledger of the server's folder."""
    (jp_root_dir / ".kernelkit").mkdir()
    monkeypatch.delenv("KERNELKIT_LEDGER", raising=False)
    monkeypatch.chdir(jp_root_dir)
    kk.backtest(kk.data.load("sp500_index"), trend, grid={"n": [20, 50, 100]})


async def test_ledger__none_yet(get, jp_root_dir, monkeypatch):
    monkeypatch.delenv("KERNELKIT_LEDGER", raising=False)
    (jp_root_dir / ".kernelkit").mkdir()
    found = await get("ledger")
    assert found["at"] == str(jp_root_dir.resolve() / ".kernelkit" / "ledger")
    assert (found["strategies"], found["days"], found["damage"]) == ([], [], [])


async def test_ledger__strategies_days_and_markets(get, tried):
    found = await get("ledger")
    [strategy] = found["strategies"]
    assert (strategy["strategy"], strategy["runs"], strategy["distinct"]) == ("trend", 3, 3)
    assert [day["trials"] for day in found["days"]] == [3]
    assert found["families"][0]["market"] == "index:SPX"


async def test_strategy__its_tree_and_its_cost(get, tried):
    found = await get("ledger", "strategy", "trend")
    assert [version["parent"] for version in found["versions"]] == [None]
    counts = {count["of"]: count["trials"] for count in found["cost"]["counts"]}
    assert counts["its own trials"] == 3
    assert found["cost"]["best"] == found["versions"][0]["best_sharpe_ratio"]


@pytest.mark.parametrize("name", ["..", "nobody", "../trend", "%s"])
async def test_strategy__a_name_that_is_none(refusal, tried, name):
    code, said = await refusal("ledger", "strategy", name)
    assert code == 404
    assert f"found {name!r}, wanted one of the ledger" in said
