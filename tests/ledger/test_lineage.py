"""Where a strategy comes from: the tree of its edits, what each found, which kinds of edit have helped."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kernelkit as kk
from kernelkit import ledger
from kernelkit.errors import UsageError
from kernelkit.ledger.lineage import KINDS, kinds_of
from tests.ledger.conftest import outcome_of, tried

BASE = """def cross(ctx, fast=20, slow=100):
    if ctx.close.sma(fast) > ctx.close.sma(slow):
        ctx.target_percent(1.0)
    else:
        ctx.target_percent(0.0)"""
_at = iter(range(1, 10**6))


def run(text: str, sharpe: float = 1.0, strategy: str = "cross", **more: Any) -> str:
    """Record a trial of this source, later than all before; its key."""
    out = outcome_of(np.random.default_rng(0).normal(0, 0.01, (1, 4)), [0, 1, 2, 3])
    out.headline[:] = sharpe
    rows = tried(out, strategy=strategy, source=ledger.digest_of(text), at=float(next(_at)), **more)
    ledger.record_trials(text, rows)
    return str(rows[0]["key"].tolist()[0].hex())


EDITS = {
    "parameters": BASE.replace("fast=20", "fast=25"),
    "constants": BASE.replace("1.0", "0.5"),
    "inputs": BASE.replace("ctx.close.sma(slow)", "ctx.open.sma(slow)"),
    "conditions": BASE.replace(">", "<"),
    "orders": BASE.replace("target_percent", "order_shares"),
    "state": BASE + "\n{'entry': 0.0}\nwarmup 3:",
    "layout": BASE.replace("cross", "crossed"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of__one_edit_of_each_kind(kind: str) -> None:
    assert kinds_of(BASE, EDITS[kind]) == (kind,)


def test_kinds_of__several_at_once_and_none() -> None:
    assert kinds_of(BASE, EDITS["constants"].replace(">", "<")) == ("constants", "conditions")
    assert kinds_of(None, BASE) == kinds_of(BASE, None) == ()


@given(st.text(), st.text())
def test_kinds_of__takes_any_text(a: str, b: str) -> None:
    assert set(kinds_of(a, b)) <= set(KINDS)
    assert kinds_of(a, a) == ("layout",)


def test_lineage__a_source_is_an_edit_of_what_ran_last_under_its_name() -> None:
    """One goes back to the first version, and edits that: the third is its child, not the second's."""
    a, b, c = BASE, EDITS["constants"], EDITS["conditions"]
    for text, sharpe in ((a, 1.0), (b, 0.2), (a, 1.0), (c, 1.6)):
        run(text, sharpe)
    found = kk.ledger.lineage("cross")
    first, second, third = found.versions
    assert (second.parent, third.parent) == (first, first)
    assert found.table["edit"].tolist() == ["", "constants", "conditions"]
    assert found.table["best_sharpe_ratio"].tolist() == [1.0, 0.2, 1.6]
    assert [len(v.trials) for v in found.versions] == [1, 1, 1]
    kinds = found.kinds.set_index("edit")
    assert kinds.loc["constants", ["edits", "raised", "lowered"]].tolist() == [1, 0, 1]
    assert kinds.loc["conditions", ["edits", "raised", "lowered"]].tolist() == [1, 1, 0]
    assert kinds.loc["conditions", "mean_change"] == pytest.approx(0.6)
    told = [line.strip() for line in str(found).splitlines()]
    assert told.index("-        ctx.target_percent(1.0)") + 1 == told.index("+        ctx.target_percent(0.5)")
    assert found.diff(second.source[:6]) == "-        ctx.target_percent(1.0)\n+        ctx.target_percent(0.5)"
    with pytest.raises(UsageError, match="source of a version: found ''"):
        found.diff("")


def test_lineage__walk_forwards_are_out_of_sample() -> None:
    run(BASE, 1.0)
    run(BASE, 0.8, switches=[[0, False, False]])
    run(EDITS["orders"], 2.0)
    run(EDITS["orders"], 0.3, switches=[[0, False, False]])
    found = kk.ledger.lineage()
    assert found.table["oos_sharpe_ratio"].tolist() == [0.8, 0.3]
    (kind,) = found.kinds.to_dict("records")
    assert (kind["raised"], kind["oos_lowered"], kind["oos_raised"]) == (1, 1, 0)
    assert kind["oos_mean_change"] == pytest.approx(-0.5)


def test_lineage__a_proposal_is_a_child_of_the_trial_it_came_from() -> None:
    run(EDITS["constants"], strategy="cross")
    key = run("def other(ctx):\n    pass", strategy="other")
    with ledger.proposed_from(key):
        run(EDITS["orders"], strategy="cross")
    parents = {v.text: v.parent for v in kk.ledger.lineage().versions}
    found = parents[EDITS["orders"]]
    assert found is not None
    assert found.strategy == "other"
    assert kk.ledger.trials("cross")["parent"].tolist() == ["", key]


def test_lineage__under_a_new_name_it_is_an_edit_of_the_likest() -> None:
    run("def nothing(ctx):\n    pass\n", strategy="nothing")
    run(BASE)
    run(EDITS["constants"].replace("cross", "half"), strategy="half")
    run("def else_where(ctx):\n    ctx.order(3.0)", strategy="elsewhere")
    found = {v.strategy: v.parent and v.parent.strategy for v in kk.ledger.lineage().versions}
    assert found == {"nothing": None, "cross": None, "half": "cross", "elsewhere": None}
    assert [v.strategy for v in kk.ledger.lineage("half").versions] == ["cross", "half"]


def test_lineage__failures_and_texts_that_are_kept_as_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERNELKIT_LEDGER_SOURCES", "hash")
    out = outcome_of(np.zeros((2, 4)), [0, 1, 2, 3])
    out.done[:] = False
    out.errors[0] = (1, 2, 3)
    ledger.record_trials(BASE, tried(out, strategy="cross", source=ledger.digest_of(BASE), at=0.0))
    run(EDITS["constants"])
    first, second = kk.ledger.lineage("cross").versions
    assert (first.failed, len(first.trials), np.isnan(first.best)) == (1, 1, True)
    assert (first.text, second.parent, second.kinds) == (None, first, ())
    assert "no result" in str(kk.ledger.lineage())
    assert list(ledger.rows("source")) == []
    monkeypatch.setenv("KERNELKIT_LEDGER_SOURCES", "none")
    with pytest.raises(UsageError, match="KERNELKIT_LEDGER_SOURCES: found 'none', wanted 'text' or 'hash'"):
        run(BASE)


def test_lineage__a_source_that_could_not_be_written_is_written_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError("full")

    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["kernelkit.ledger.trials"], "record", full)
        with pytest.raises(OSError, match="full"):
            run(BASE)
    run(BASE)
    run(BASE)
    assert [row["text"] for row in ledger.rows("source")] == [BASE]


def test_lineage__an_unknown_strategy_is_refused() -> None:
    run(BASE)
    with pytest.raises(UsageError, match=r"found 'none', wanted one of the ledger at .*: cross"):
        kk.ledger.lineage("none")
