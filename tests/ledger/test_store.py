"""What was acknowledged is read once, whatever is killed, compacted or read meanwhile; what was altered is found."""

from __future__ import annotations

import io
import os
import random
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelkit import ledger
from kernelkit.errors import UsageError
from kernelkit.ledger import parquet, store, writing
from kernelkit.ledger.log import framed, packed, parted, records, unpacked
from tests.ledger.conftest import outcome_of, python, tried

WRITER = """
    import sys
    from kernelkit import ledger
    who, n = sys.argv[1], int(sys.argv[2])
    for k in range(n):
        ledger.record([{"kind": "trials", "who": who, "k": k, "pad": "x" * (k * 997 % 20000)}])
        print(k, flush=True)  # acknowledged
"""
COMPACTOR = """
    import sys, time
    from kernelkit import ledger
    print("begins", flush=True)
    until = time.time() + float(sys.argv[1])
    while time.time() < until:
        ledger.compact()
"""
ADDRESSES = {"folder": "{home}/kept", "segments": "file://{home}/kept"}


def written(at: str | None = None) -> list[tuple[str, int]]:
    return sorted((row["who"], row["k"]) for row in ledger.rows("trials", at=at))


@pytest.mark.parametrize("address", ADDRESSES)
def test_j6__killed_while_writing(home: Path, address: str) -> None:
    """kill -9 at any moment: all that was acknowledged is there once, and at most one more."""
    at = ADDRESSES[address].format(home=home)
    told: dict[str, int] = {}
    moments = random.Random(7)
    for who in "abcde":
        writer = python(WRITER, home, who, 10**9, KERNELKIT_LEDGER=at)
        assert writer.stdout is not None
        assert writer.stdout.readline() == "0\n"
        time.sleep(0.15 * moments.random())
        writer.kill()
        told[who] = 1 + writer.stdout.read().count("\n")
        writer.communicate()
    found = _quietly(at)
    assert len(found) == len(set(found))
    for who, n in told.items():
        kept = [k for w, k in found if w == who]
        assert kept == list(range(len(kept)))
        assert n <= len(kept) <= n + 1
    with_damage = ledger.verify(at).set_index("log")["damage"]
    assert all(text == "" or "torn tail" in text for text in with_damage)


def _quietly(at: str | None = None) -> list[tuple[str, int]]:
    """What is read, torn tails apart, of which a test does not know whether there are any."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*torn tail", RuntimeWarning)
        return written(at)


@pytest.mark.parametrize("address", ADDRESSES)
def test_j6__killed_while_compacting(home: Path, address: str) -> None:
    at = ADDRESSES[address].format(home=home)
    moments = random.Random(3)
    wanted: list[tuple[str, int]] = []
    for who in "abc":
        writer = python(WRITER, home, who, 150, KERNELKIT_LEDGER=at)
        assert writer.communicate()[1] == ""
        wanted += [(who, k) for k in range(150)]
        compactor = python(COMPACTOR, home, 60, KERNELKIT_LEDGER=at)
        assert compactor.stdout is not None
        compactor.stdout.readline()
        time.sleep(0.4 * moments.random())
        compactor.kill()
        compactor.communicate()
        assert written(at) == wanted
    ledger.compact(at)
    assert written(at) == wanted
    assert (ledger.verify(at)["damage"] == "").all()
    assert {p.suffix for p in (home / "kept").glob("[!.]*")} == {".parquet"}


@pytest.mark.parametrize("address", ADDRESSES)
def test_j6__two_writers_two_compactors_and_a_reader_at_once(home: Path, address: str) -> None:
    at = ADDRESSES[address].format(home=home)
    n = 120
    writers = [python(WRITER, home, who, n, KERNELKIT_LEDGER=at) for who in "ab"]
    compactors = [python(COMPACTOR, home, 6, KERNELKIT_LEDGER=at) for _ in "xy"]
    before = 0
    while any(w.poll() is None for w in writers) or before < 2 * n:
        found = written(at)  # with no warning: what is being written is not torn
        assert len(found) == len(set(found)) >= before
        before = len(found)
    for p in (*writers, *compactors):
        assert p.communicate()[1] == ""
    assert written(at) == [(who, k) for who in "ab" for k in range(n)]
    assert (ledger.verify(at)["damage"] == "").all()


def test_j6__a_log_in_several_files_is_read_whole(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are named by their content: the later half of a log may come first."""
    monkeypatch.setattr(parquet, "FILE_BYTES", 2000)
    monkeypatch.setattr(parquet, "GROUP_BYTES", 500)
    for at in (str(home / "a"), f"memory://{home.name}"):
        for k in range(40):
            ledger.record([{"kind": "trials", "who": "a", "k": k, "pad": "x" * 100}], at)
            if k % 10 == 9 and "memory" in at:
                ledger.compact(at)
        _end()
        ledger.compact(at)
        assert written(at) == [("a", k) for k in range(40)]
        assert (ledger.verify(at)["damage"] == "").all()
        fs, path = store.filesystem(at)
        assert len(fs.glob(f"{path}/*.parquet")) >= 3


def _end() -> None:
    for log in writing._open.values():
        log.close()
    writing._open.clear()


def test_j6__what_lies_in_two_files_counts_once(home: Path, new_process: Callable[[], None]) -> None:
    """A kill between the writing of a Parquet file and the deletion of what it holds."""
    for k in range(5):
        ledger.record([{"kind": "trials", "who": "a", "k": k}])
    new_process()
    (log,) = (home / ".kernelkit" / "ledger").glob("*.log")
    kept = log.read_bytes()
    ledger.compact()
    log.write_bytes(kept)
    assert written() == [("a", k) for k in range(5)]
    assert (ledger.verify()["records"] == 5).all()
    ledger.compact()
    assert written() == [("a", k) for k in range(5)]


def test_j6__a_list_that_missed_a_compaction_is_made_again(
    home: Path, new_process: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two halves of a listing the log went and its Parquet file came: neither is in it."""
    ledger.record([{"kind": "trials", "who": "a", "k": 0}])
    new_process()
    ledger.compact()
    whole, lists = store.listing, [[]]

    def half(*arguments: Any) -> list[str]:
        return lists.pop() if lists else whole(*arguments)

    monkeypatch.setattr(store, "listing", half)
    assert written() == [("a", 0)]


def test_j6__read_whole_while_a_compaction_never_rests(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time that segments are listed one of them is compacted before it is read, however often one looks."""
    at = f"memory://{home.name}"
    n = 3 * store.TRIES
    for k in range(n):
        ledger.record([{"kind": "trials", "who": "a", "k": k}], at)
    fs, path = store.filesystem(at)
    whole = store.listing

    def then_compacted(*arguments: Any) -> list[str]:
        found = whole(*arguments)
        segments = [p for p in found if p.endswith(".seg")]
        if segments and arguments[-1] is True:
            taken = segments[len(segments) // 2]
            own, _, _ = store.read_log(fs, taken.rpartition("/")[2].rpartition("-")[0], [taken])
            for content, _ in parquet.files(own):
                store.put(fs, f"{path}/{hash(content)}.parquet", content)
            fs.rm_file(taken)
        return found

    monkeypatch.setattr(store, "listing", then_compacted)
    assert written(at) == [("a", k) for k in range(n)]
    assert len(fs.glob(f"{path}/*.seg")) > 0


def test_j6__an_object_store_gets_whole_segments(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = f"memory://{home.name}/ledger"
    monkeypatch.setenv("KERNELKIT_LEDGER", at)
    for k in range(6):
        ledger.record([{"kind": "trials", "who": "a", "k": 2 * k}, {"kind": "trials", "who": "a", "k": 2 * k + 1}])
        if k == 2:
            assert ledger.compact() == 6
    assert written() == [("a", k) for k in range(12)]
    fs, path = store.filesystem(at)
    segments = fs.glob(f"{path}/*.seg")
    assert [int(p[-12:-4]) for p in sorted(segments)] == [6, 8, 10]
    assert (ledger.verify()["damage"] == "").all()
    log = writing._open[at, True]
    log.number = 6
    with pytest.raises(FileExistsError):  # put only where there is none of that name
        ledger.record([{"kind": "trials", "who": "b", "k": 0}])
    ledger.record([{"kind": "trials", "who": "b", "k": 1}])
    assert written()[-1] == ("b", 1)
    fs.rm_file(sorted(segments)[1])
    with pytest.warns(RuntimeWarning, match="records 8 to 9 are missing"):
        assert len(written()) == 11
    assert ledger.verify()["damage"].str.contains("missing").sum() == 1


def test_j6__notes_lie_apart(home: Path, new_process: Callable[[], None]) -> None:
    """They are read at every run: without the trials."""
    ledger.record([{"kind": "trials", "who": "a", "k": 0}, {"kind": "seal", "begin": 1}])
    new_process()
    folder = home / ".kernelkit" / "ledger"
    for ending in (".log", ".parquet"):
        (notes,) = folder.glob(f"{store.NOTES}*{ending}")
        (trials,) = {*folder.glob(f"*{ending}")} - {notes}
        kept = trials.read_bytes()
        trials.write_bytes(b"not to be read")
        assert [row["begin"] for row in ledger.rows("seal")] == [1]
        trials.write_bytes(kept)
        assert len(list(ledger.rows())) == 2
        ledger.compact()


def test_j6__many_logs_are_compacted_by_a_new_process(
    home: Path, new_process: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "MANY", 3)
    for k in range(9):
        new_process()
        ledger.record([{"kind": "trials", "who": "a", "k": k}])
    assert len(list((home / ".kernelkit" / "ledger").glob("*.log"))) <= 4
    assert written() == [("a", k) for k in range(9)]


def test_j6__a_full_log_is_compacted_at_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "FULL", 4000)
    for k in range(50):
        ledger.record([{"kind": "trials", "who": "a", "k": k, "pad": "x" * 200}])
    folder = home / ".kernelkit" / "ledger"
    assert len(list(folder.glob("*.log"))) <= 1
    assert len(list(folder.glob("*.parquet"))) >= 2
    assert written() == [("a", k) for k in range(50)]


def test_j6__a_compaction_that_fails_loses_nothing(
    home: Path, new_process: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "FULL", 10)

    def full(*_: object) -> None:
        raise OSError("disk is full")

    monkeypatch.setattr(store, "put", full)
    with pytest.warns(RuntimeWarning, match="could not be compacted: disk is full"):
        ledger.record([{"kind": "trials", "who": "a", "k": 0}])
    assert written() == [("a", 0)]


def test_j6__the_logs_of_other_machines_are_left_alone(home: Path, new_process: Callable[[], None]) -> None:
    """Whether their writer lives, no lock can tell from here."""
    ledger.record([{"kind": "trials", "who": "a", "k": 0}])
    new_process()
    (log,) = (home / ".kernelkit" / "ledger").glob("*.log")
    log.rename(log.with_name("faraway-" + log.name))
    assert ledger.compact() == 0
    assert written() == [("a", 0)]


def test_j6__without_locks_nothing_is_compacted(
    home: Path, new_process: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> None:
        raise OSError("no locks available")

    monkeypatch.setattr(store.fcntl, "flock", none)
    ledger.record([{"kind": "trials", "who": "a", "k": 0}])
    assert ledger.compact() == 0
    assert written() == [("a", 0)]


def test_j6__a_deleted_log_is_not_written_to(home: Path) -> None:
    """Whoever deletes the ledger while a notebook runs gets a new one from the next trial on."""
    ledger.record([{"kind": "trials", "who": "a", "k": 0}])
    (log,) = (home / ".kernelkit" / "ledger").glob("*.log")
    log.unlink()
    ledger.record([{"kind": "trials", "who": "a", "k": 1}])
    assert written() == [("a", 1)]


def test_j6__who_may_not_write_may_read(
    home: Path, new_process: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading and checking open no file for writing, and make none."""
    for k in range(2):
        ledger.record([{"kind": "trials", "who": "a", "k": k}])
        new_process()
        if k == 0:
            ledger.compact()
    folder, opened = home / ".kernelkit" / "ledger", os.open
    before = {p.name: p.stat().st_mtime_ns for p in (folder, *folder.iterdir())}

    def refuses(path: Any, flags: int, *more: Any, **named: Any) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise PermissionError(path)
        return opened(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", refuses)
    assert written() == [("a", 0), ("a", 1)]
    assert (ledger.verify()["damage"] == "").all()
    assert {p.name: p.stat().st_mtime_ns for p in (folder, *folder.iterdir())} == before
    with pytest.raises(PermissionError):
        ledger.record([{"kind": "trials", "who": "a", "k": 2}])


def test_j6__nothing_is_written_by_reading(home: Path) -> None:
    at = str(home / "none")
    assert list(ledger.rows(at=at)) == []
    assert ledger.compact(at) == 0
    assert ledger.verify(at).empty
    assert not (home / "none").exists()


def test_j6__an_address_that_nobody_knows_is_refused() -> None:
    with pytest.raises(UsageError, match="KERNELKIT_LEDGER: found nowhere://x"):
        list(ledger.rows(at="nowhere://x"))


def test_j5__verify_finds_what_was_altered_cut_or_deleted(home: Path, new_process: Callable[[], None]) -> None:
    for who in "abc":
        new_process()
        for k in range(4):
            ledger.record([{"kind": "trials", "who": who, "k": k}])
    new_process()
    folder = home / ".kernelkit" / "ledger"
    noted = ledger.verify()
    assert noted["records"].tolist() == [4, 4, 4]
    assert (ledger.verify(earlier=noted)["damage"] == "").all()
    cut, altered, deleted = sorted(folder.glob("*.log"))
    data = cut.read_bytes()
    ends = [len(framed([{"kind": "trials", "who": "a", "k": k} for k in range(n)])[0]) for n in range(5)]
    cut.write_bytes(data[: ends[3]])  # a whole number of records: only who noted the head can know
    changed = bytearray(altered.read_bytes())
    changed[ends[2] + 45] ^= 1
    altered.write_bytes(changed)
    deleted.unlink()
    assert ledger.verify().set_index("log")["damage"][cut.name] == ""
    found = ledger.verify(earlier=noted).set_index("log")
    assert "record 3 is missing" in found["damage"][cut.name]
    assert f"record at {ends[2]} was altered" in found["damage"][altered.name]
    assert "record 3 is missing" in found["damage"][deleted.name]
    assert found["records"].tolist() == [3, 2, 0]
    with pytest.warns(RuntimeWarning, match="was altered"):
        ledger.compact()
    assert [p.name for p in folder.glob("*.log")] == [altered.name]  # stays as it is: it tells
    assert "was altered" in ledger.verify().set_index("log")["damage"][altered.name]


def test_j5__verify_finds_what_was_altered_in_parquet(home: Path, new_process: Callable[[], None]) -> None:
    rng = np.random.default_rng(1)
    ledger.record(tried(outcome_of(rng.normal(0, 0.01, (50, 20)), list(range(20)))))
    new_process()
    ledger.compact()
    (file,) = (home / ".kernelkit" / "ledger").glob("*.parquet")
    assert (ledger.verify()["damage"] == "").all()
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    assert ledger.verify().set_index("log")["damage"][file.name] == "its content is not what its name says"
    file.write_bytes(b"nothing of it")
    with pytest.warns(RuntimeWarning, match="cannot be read"):
        assert list(ledger.rows()) == []


@pytest.mark.parametrize("column", ["at", "role", "end", "ids"])
def test_j5__verify_finds_columns_that_are_not_what_the_record_says(
    home: Path, new_process: Callable[[], None], column: str
) -> None:
    """Who names the file anew hides a record from every search, and leaves its own hash as it was."""
    rng = np.random.default_rng(1)
    for name in "abc":
        ledger.record(tried(outcome_of(rng.normal(0, 0.01, (5, 20)), list(range(20))), strategy=name))
    new_process()
    ledger.compact()
    (file,) = (home / ".kernelkit" / "ledger").glob("*.parquet")
    assert (ledger.verify()["damage"] == "").all()
    table = pq.read_table(file)
    values = table[column].to_pylist()
    values[1] = {"at": 0.0, "role": "path", "end": -1, "ids": "\nB\n"}[column]
    place = table.column_names.index(column)
    table = table.set_column(place, table.schema.field(column), pa.array(values, table.schema.field(column).type))
    file.unlink()
    out = io.BytesIO()
    pq.write_table(table, out)
    renamed = file.with_name(store._parquet_name(out.getvalue()))
    renamed.write_bytes(out.getvalue())
    found = ledger.verify().set_index("log")["damage"]
    log = table["log"].to_pylist()[1]
    assert found[renamed.name] == f"its columns are not what record 1 of {log} says"
    assert (found.drop(renamed.name) == "").all()


def test_j5__a_torn_tail_is_dropped_and_reported(home: Path, new_process: Callable[[], None]) -> None:
    for k in range(3):
        ledger.record([{"kind": "trials", "who": "a", "k": k}])
    new_process()
    (log,) = (home / ".kernelkit" / "ledger").glob("*.log")
    log.write_bytes(log.read_bytes()[:-3])
    for _ in range(2):
        with pytest.warns(RuntimeWarning, match="torn tail"):
            assert written() == [("a", 0), ("a", 1)]
    assert "torn tail" in ledger.verify()["damage"][0]
    with pytest.warns(RuntimeWarning, match="torn tail"):
        ledger.compact()
    assert written() == [("a", 0), ("a", 1)]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
ARRAYS = st.sampled_from(["f4", "f8", "i8", "u1", "V16"]).flatmap(
    lambda kind: st.lists(st.integers(0, 3), min_size=1, max_size=3).map(
        lambda shape: np.arange(np.dtype(kind).itemsize * int(np.prod(shape)), dtype="u1").view(kind).reshape(shape)
    )
)
NAMES = st.text(min_size=1).filter(lambda name: name != "arrays")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(NAMES, VALUES | ARRAYS, max_size=4), max_size=4), st.booleans())
def test_j5__rows_come_back_as_they_were(rows: list[dict[str, Any]], heavy: bool) -> None:
    """Any text, any numbers, any arrays, and a cut anywhere leaves the records before it."""
    rows = [row | ({"blocks": np.arange(3.0)} if heavy else {}) for row in rows]
    data, _ = framed(rows)
    found = [unpacked(*parted(body)) for _, body in records(data, "log")]
    assert len(found) == len(rows)
    for a, b in zip(found, rows, strict=True):
        assert a.keys() == b.keys()
        for name, value in b.items():
            if isinstance(value, np.ndarray):
                assert (a[name].dtype, a[name].shape, a[name].tobytes()) == (value.dtype, value.shape, value.tobytes())
                assert not a[name].flags.writeable
            else:
                assert a[name] == value
    light = [unpacked(parted(memoryview(packed(row))).line) for row in rows]
    assert all(not isinstance(v, np.ndarray) for row in light for v in row.values())


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 12), st.integers(1, 6)), max_size=8))
def test_j6__each_number_of_a_log_is_fresh_once(pieces: list[tuple[str, int, int]]) -> None:
    import pyarrow as pa

    had, seen = store.Had(), set()
    for log, first, n in pieces:
        numbers = np.arange(first, first + n)
        fresh = had.fresh(pa.chunked_array([[log] * n]), numbers)
        assert fresh.tolist() == [(log, k) not in seen for k in numbers.tolist()]
        seen |= {(log, k) for k in numbers.tolist()}
        assert had.has(log, first, first + n)
        assert had.has(log, 0, first) is all((log, k) in seen for k in range(first))


def test_compaction_deletes_what_a_kill_has_left_of_a_file(tmp_path: Path) -> None:
    """Of an hour ago: a younger one may be written just now."""
    for name, age in ((".0123456789abcdef", 7200.0), (".fedcba9876543210", 60.0), (".keep", 7200.0)):
        (tmp_path / "own").mkdir(exist_ok=True)
        (tmp_path / "own" / name).write_bytes(b"half")
        os.utime(tmp_path / "own" / name, (time.time() - age,) * 2)
    store.compact(str(tmp_path / "own"))
    assert sorted(p.name for p in (tmp_path / "own").iterdir()) == [".fedcba9876543210", ".keep"]
