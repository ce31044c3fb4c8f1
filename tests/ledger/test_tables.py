"""The ledger as tables, calls in several rows, and what parameters may be."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import kernelkit as kk
from kernelkit import ledger
from kernelkit.errors import UsageError
from kernelkit.ledger.tables import params_of
from tests.ledger.conftest import outcome_of, tried

EDGES = [0, 1, 2, 3]


def call_of(n: int, seed: int = 0) -> Any:
    return outcome_of(np.random.default_rng(seed).normal(0, 0.01, (n, 4)), EDGES)


def test_trials__each_run_with_its_parameters() -> None:
    grid = {"axes": {"n": [1, 2], "name": ["é", "x"]}, "bound": {"w": float("nan")}}
    for _ in range(2):
        out = call_of(8)
        out.done[7] = False
        ledger.record(tried(out, assets=["A", "B"], asset_ids=["A", "B"], **grid))
    found = kk.ledger.trials()
    assert len(found) == 14  # what was never reached is no trial
    assert found["seen"].value_counts().to_dict() == {1: 7, 2: 7}
    assert found["asset"].tolist()[:4] == ["A", "B", "A", "B"]
    assert [(p["n"], p["name"]) for p in found["params"][:7]] == [
        *((1, "é"), (1, "é"), (1, "x"), (1, "x"), (2, "é"), (2, "é"), (2, "x"))
    ]
    assert all(np.isnan(p["w"]) for p in found["params"])
    assert found["key"].nunique() == 7
    assert kk.ledger.trials("t").empty
    with ledger.role("training"):
        ledger.record(tried(call_of(3), strategy="t"))
    assert len(kk.ledger.trials("t")) == len(kk.ledger.trials(role="training")) == 3
    assert kk.ledger.trials("t", role="rival").empty


def test_summary__counts_runs_keys_and_failures() -> None:
    out = call_of(3)
    out.done[1:] = False
    out.errors[1] = (1, 0, 0)
    for _ in range(2):
        ledger.record(tried(out, strategy="s"))
    kk.ledger.declare(4, "in Excel")
    kk.ledger.declare(5, "in Excel")
    found = kk.ledger.summary().set_index(["strategy", "role"])
    assert found.loc[("s", "rival"), ["calls", "trials", "distinct", "failed"]].tolist() == [2, 4, 2, 2]
    assert found.loc[("in Excel", "declared"), ["calls", "trials", "distinct", "failed"]].tolist() == [2, 9, 9, 0]


@pytest.mark.parametrize("ending", ["parquet", "csv", "json"])
def test_export__writes_what_others_read(home: Path, ending: str) -> None:
    ledger.record(tried(call_of(3)))
    path = kk.ledger.export(home / f"out.{ending}")
    if ending == "json":
        params = [line["params"] for line in json.loads(path.read_text())]
    else:
        table = pd.read_csv(path) if ending == "csv" else pd.read_parquet(path)
        params = [json.loads(p) for p in table["params"]]
        assert table["final_equity"].tolist() == [1.0, 1.0, 1.0]
    assert params == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_export__of_one_strategy_alone(home: Path) -> None:
    for name in ("a", "b"):
        ledger.record(tried(call_of(2), strategy=name))
    assert set(pd.read_csv(kk.ledger.export(home / "a.csv", "a"))["strategy"]) == {"a"}


def test_j1__a_large_call_is_kept_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its trials, keys and sums are those of one row."""
    out = call_of(10)
    out.done[:5] = False
    out.errors[4] = (1, 2, 3)
    more = {"assets": ["A", "B"], "asset_ids": ["A", "B"]}
    (one,) = tried(out, **more)
    monkeypatch.setattr(sys.modules["kernelkit.ledger.trials"], "PART", 5)  # the package's name is the function
    parts = tried(out, **more)
    assert [(len(row["key"]), row["part"], row["errors"]) for row in parts] == [
        (4, [0, 3], {}),
        (4, [1, 3], {0: (1, 2, 3)}),
        (2, [2, 3], {}),
    ]
    ledger.record(parts)
    joined = ledger.call(one["call"])
    assert joined is not None
    for name in ("cell", "key", "status", "final_equity", "sharpe_ratio", "blocks", "edges", "shared", "level"):
        np.testing.assert_array_equal(joined[name], one[name])
    assert joined["trials"] == one["trials"] == 6
    assert [p for row in parts for p in params_of(row)] == list(params_of(one)) == list(params_of(joined))
    assert kk.ledger.summary()[["calls", "trials", "distinct", "failed"]].values.tolist() == [[1, 6, 6, 1]]
    family = ledger.family(["A", "B"], (0, 100))
    assert (len(family), family.distinct, family.failed) == (5, 6, 1)


def test_call__is_the_last_run_with_summaries() -> None:
    out = call_of(2)
    ledger.record(tried(out, at=1.0, notebook="first"))
    ledger.record(tried(out, at=2.0, notebook="second"))
    out.blocks = None
    ledger.record(tried(out, at=3.0, notebook="third"))
    (digest,) = {row["call"] for row in ledger.rows("trials")}
    found = ledger.call(digest)
    assert found is not None
    assert found["notebook"] == "second"
    assert ledger.call(digest, role="debug") is None


class Odd:
    """Something that a signal may be bound to."""

    def __init__(self, value: float) -> None:
        self.value = value

    def __repr__(self) -> str:
        return "<odd>"


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (np.arange(5000.0), np.where(np.arange(5000) == 2500, -1.0, np.arange(5000.0))),  # as text they are the same
        (Odd(1.0), Odd(2.0)),
        ({(1, 2): 3.0}, {(1, 2): 4.0}),
        ({"a", "b"}, {"a", "c"}),
        (pd.Series(range(100)), pd.Series([*range(50), 0, *range(51, 100)])),
        ([float("nan")], [0.0]),
        (True, 1),
        ("1", 1),
        (1, 1.0),
    ],
)
def test_j2__other_values_have_another_key(a: Any, b: Any) -> None:
    """And the same ones the same key, whatever they are; each can be written and read."""

    def key(value: Any) -> bytes:
        (row,) = tried(call_of(1), bound={"x": value}, axes={})
        ledger.record([row])
        return bytes(row["key"].tolist()[0])

    import copy

    assert key(a) == key(copy.deepcopy(a)) != key(b)
    assert len(list(ledger.rows("trials"))) == 3


def test_j2__what_cannot_be_pickled_can_be_recorded() -> None:
    (row,) = tried(call_of(1), bound={"x": threading.Lock()}, axes={})
    ledger.record([row])
    (found,) = ledger.rows("trials")
    assert "lock" in found["bound"]["x"]


def test_j2__numbers_of_numpy_are_numbers() -> None:
    (a,) = tried(call_of(1), bound={"x": np.float64(0.5), "n": np.int64(3)}, axes={})
    (b,) = tried(call_of(1), bound={"x": 0.5, "n": 3}, axes={})
    assert a["key"].tolist() == b["key"].tolist()
    ledger.record([a])
    (row,) = ledger.rows("trials")
    assert row["bound"] == {"x": 0.5, "n": 3}


def test_listed_trials_have_their_values_and_parents(new_process: Callable[[], None]) -> None:
    mother, other = "0f" * 16, "10" * 16
    axes: dict[str, list[Any]] = {"n": [3, 3, 5], "kind": ["a", "b", "b"]}
    with ledger.proposed_from([mother, "", other]):
        listed = tried(call_of(3), axes=axes, listed=True)
    plain = {n: v for n, v in listed[0].items() if n != "parents"} | {"axes": {}, "listed": False}
    (pruned,) = ledger.trials_rows(plain, [{}], np.array([0]), call_of(1), False, True)
    ledger.record([*listed, pruned])
    new_process()
    for _ in range(2):
        found = kk.ledger.trials()
        assert found["params"].tolist() == [{"n": 3, "kind": "a"}, {"n": 3, "kind": "b"}, {"n": 5, "kind": "b"}, {}]
        assert found["parent"].tolist() == [mother, "", other, ""]
        assert found["status"].tolist() == ["done"] * 3 + ["pruned"]
        assert found["sharpe_ratio"].isna().tolist() == [False] * 3 + [True]
        kk.ledger.compact()
    (single,) = tried(call_of(1), axes={}, bound={"n": 3, "kind": "b"})
    assert single["key"].tolist() == listed[0]["key"].tolist()[1:2]  # it is the same trial


def test_export__refuses_other_endings() -> None:
    with pytest.raises(UsageError, match="path of an export"):
        kk.ledger.export("trials.txt")


def test_families__count_as_each_market_does_by_itself() -> None:
    """Against `ledger.family`, which asks for one market and reads the block summaries too."""
    some = call_of(4)
    some.done[2:], some.errors[2] = False, (1, 0, 0)
    ledger.record(tried(some))
    for _ in range(2):  # run again: no other trials
        ledger.record(tried(call_of(6, 1), assets=["B", "C"], asset_ids=["B", "C"], span=[50, 300]))
    ledger.record(tried(call_of(2, 2), assets=["A", "B"], asset_ids=["A", "B"], together=True))
    ledger.record(tried(call_of(5, 3), synthetic=1))
    with ledger.role("training"):
        ledger.record(tried(call_of(3, 4)))
    kk.ledger.declare(7, "on paper")
    kk.ledger.declare(2, "on paper", asset="C")
    kk.ledger.proxy("C", like="A")
    found = kk.ledger.families()
    assert found["assets"].tolist() == [["A", "C"], ["A"], ["B"]]
    assert found["generated"].tolist() == [False, True, False]
    for row in found.itertuples():
        alone = ledger.family(row.assets, (0, 1000), synthetic=int(row.generated))
        counts = (alone.runs, alone.distinct, alone.failed, alone.declared)
        assert (row.runs, row.distinct, row.failed, row.declared) == counts
    assert found["declared"].tolist() == [9, 2, 7]
    assert found["failed"].tolist() == [1, 0, 0]
    assert [t.value for t in found.loc[0, ["start", "end"]]] == [0, 300]
