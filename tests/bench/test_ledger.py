"""The trial ledger: bytes of a trial, what recording a sweep costs, and a family among all that was tried."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kernelkit import ledger
from kernelkit.kernels.job import Outcome, new_outcome
from kernelkit.ledger import writing
from tests.bench.pair import in_turns
from tests.bench.series import MILLION

CELLS, CALLS, BLOCKS = 1000, 10, 64
SPAN = (0, 10**18)


def sweep(seed: int) -> Outcome:
    """What a thousand trials with all blocks came to: numbers of which no two are alike, which compress badly."""
    rng = np.random.default_rng(seed)
    out = new_outcome(CELLS, True)
    assert out.blocks is not None
    out.done[:], out.meta[:] = True, (BLOCKS, 6, 0)
    out.headline[:] = rng.normal(size=out.headline.shape)
    out.blocks["index"] = np.arange(BLOCKS)
    for name in ("active", "s1", "s2", "s3", "s4", "d2", "mdd", "sxb"):
        out.blocks[name] = rng.normal(0.0, 0.01, (CELLS, BLOCKS))
    for name in ("w", "hi", "lo"):
        out.blocks[name] = np.exp(rng.normal(0.0, 0.01, (CELLS, BLOCKS)))
    for name in ("n", "sb", "sbb"):
        out.blocks[name] = rng.normal(size=BLOCKS)
    return out


def rows(asset: str, k: int, out: Outcome) -> list[dict[str, Any]]:
    """The rows of a call on this asset."""
    header = {"strategy": f"s{k}", "source": "0" * 64, "span": SPAN, "synthetic": 0, "switches": [], "venue": "none"}
    header |= {"assets": [asset], "asset_ids": [asset], "together": False, "bound": {}, "axes": {"n": range(CELLS)}}
    return list(ledger.trials_rows(header, [{"asset": asset, "call": k}], np.arange(CELLS), out))


def numpy_sums(n: int) -> Callable[[], object]:
    """The sums of pairs of blocks of ``n`` trials, as NumPy makes them of the ledger's numbers."""
    raw = np.random.default_rng(0).normal(0.0, 0.01, (n, BLOCKS, 11)).astype("f4")
    return lambda: np.add.reduceat(raw.astype("f8"), np.arange(0, BLOCKS, 2), axis=1)


def bytes_of(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.iterdir())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("KERNELKIT_LEDGER", str(tmp_path))
    yield tmp_path
    end()


def end() -> None:
    """This process's logs have ended: they can be compacted."""
    for log in writing._open.values():
        log.close()
    writing._open.clear()


def test_bytes__of_a_million_trials(folder: Path, hold: Callable[..., None]) -> None:
    for k in range(3):
        ledger.record(rows("A", k, sweep(k)))
    logged = bytes_of(folder) / (3 * CELLS)
    end()
    assert ledger.compact() == 3
    compacted = bytes_of(folder) / (3 * CELLS)
    need = max(logged, compacted) * MILLION
    hold("ledger", need / 3e9, f"{logged * MILLION / 1e9:.2f} GB, compacted {compacted * MILLION / 1e9:.2f} GB")


def test_record__a_sweep(folder: Path, size: Any, hold: Callable[..., None]) -> None:
    out, calls = sweep(0), iter(range(10**6))
    pair = in_turns(
        lambda: ledger.record(rows("A", next(calls), out)), numpy_sums(CELLS), time.process_time, size.rounds
    )
    hold("record", pair.ratio, f"{1e3 * pair.seconds:.1f} ms", f"{1e3 * pair.seconds / pair.ratio:.1f} ms")


def test_family__among_all_others(folder: Path, size: Any, hold: Callable[..., None]) -> None:
    """Ten thousand rivals on one asset; on another ten times as many, at full size thirty times."""
    for k in range(CALLS):
        ledger.record(rows("A", k, sweep(k)))
    other = sweep(CALLS)
    for k in range(CALLS * 30 // (1 if size.every == 1 else 3)):
        ledger.record(rows("B", k, other))
    end()
    ledger.compact()
    assert {p.suffix for p in folder.iterdir()} == {".parquet"}
    found = ledger.family(["A"], SPAN)
    assert (len(found), found.alike) == (CALLS * CELLS, 0)
    pair = in_turns(
        lambda: ledger.family(["A"], SPAN), numpy_sums(CALLS * CELLS), time.process_time, max(3, size.rounds // 2)
    )
    hold("family", pair.ratio, f"{pair.seconds:.2f} s", f"{pair.seconds / pair.ratio:.3f} s")
