"""The compacted form: records in Parquet, their arrays apart from what is searched, so that most need not be read."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kernelkit.ledger.log import Row, unpacked

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc

FILE_BYTES, GROUP_BYTES = 2**28, 2**22  # of a file, and of what is read of it at once
PLACE = {"log": "string", "number": "int64"}
SEARCHED = {
    "kind": "string",
    "at": "float64",
    "role": "string",
    "strategy": "string",
    "source": "string",
    "call": "string",
    "synthetic": "int64",
    "begin": "int64",
    "end": "int64",
    "ids": "string",
}
BODY = {"head": "binary", "line": "large_binary", "light": "large_binary", "heavy": "large_binary"}


class Record(NamedTuple):
    """One record: its log and number there, its head, its line, and what gives the bytes of its arrays."""

    log: str
    number: int
    head: bytes
    line: bytes
    light: Callable[[], Any]
    heavy: Callable[[], Any]


def covered(row: Row) -> tuple[int, int]:
    """The first and the last moment (ns UTC) that the bars of a call's span cover.

    Rows of earlier versions have the labels of these bars alone.

    >>> covered({"span": [0, 5], "covers": [3, 8]}), covered({"span": [0, 5]})
    ((3, 8), (0, 5))
    """
    first, last = row["covers"] if "covers" in row else row["span"]
    return int(first), int(last)


def searched(row: Row) -> tuple[Any, ...]:
    """What of a row can be searched for, by `SEARCHED`: `covered` as ``begin`` and ``end``, its asset ids a line each.

    >>> searched({"kind": "seal", "asset_ids": ["A", "B"]})[-1]
    '\\nA\\nB\\n'
    """
    begin, end = covered(row) if "span" in row else (None, None)
    ids = row.get("asset_ids")
    found = row | {"begin": begin, "end": end, "ids": "\n".join(["", *ids, ""]) if ids else None}
    return tuple(found.get(n) for n in SEARCHED)


def table_of(columns: Iterable[Sequence[Any]], types: dict[str, str]) -> pa.Table:
    """An Arrow table of columns of these types."""
    import pyarrow as pa

    schema = pa.schema([(n, getattr(pa, kind)()) for n, kind in types.items()])
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema)


def files(found: Iterable[Record]) -> Iterator[tuple[bytes, int]]:
    """Records as the content of Parquet files, of `FILE_BYTES` before they are compressed, and how many each has."""
    import pyarrow.parquet as pq

    types = PLACE | SEARCHED | BODY
    out, writer, total, size, n = io.BytesIO(), None, 0, 0, 0
    group: list[tuple[Any, ...]] = []

    def flush() -> None:
        nonlocal writer, group, size
        table = table_of(zip(*group, strict=True), types)
        if writer is None:
            writer = pq.ParquetWriter(out, table.schema, compression="zstd", use_dictionary=[*PLACE, *SEARCHED])
        writer.write_table(table)
        group, size = [], 0

    for r in found:
        light, heavy = bytes(r.light()), bytes(r.heavy())
        group.append((r.log, r.number, *searched(unpacked(r.line)), r.head, r.line, light, heavy))
        step = len(r.line) + len(light) + len(heavy)
        size, total, n = size + step, total + step, n + 1
        if size > GROUP_BYTES:
            flush()
        if total > FILE_BYTES and writer is not None:
            writer.close()
            yield out.getvalue(), n
            out, writer, total, n = io.BytesIO(), None, 0, 0
    if group:
        flush()
    if writer is not None:
        writer.close()
        yield out.getvalue(), n


def first_untrue(file: Any) -> tuple[str, int] | None:
    """Log and number of the first record of a Parquet file whose columns are not what its line says, if one is.

    What is searched is read from the columns alone: one that is wrong hides its record from every search.
    """
    import pyarrow.parquet as pq

    opened = pq.ParquetFile(file)
    for group in range(opened.num_row_groups):
        columns = opened.read_row_group(group, [*PLACE, *SEARCHED, "line"]).to_pydict()
        lines, own = columns.pop("line"), zip(*(columns[n] for n in (*PLACE, *SEARCHED)), strict=True)
        for line, (log, number, *found) in zip(lines, own, strict=True):
            if tuple(found) != searched(unpacked(line)):
                return log, number
    return None


def compacted(file: Any, where: pc.Expression | None, fresh: Callable[..., np.ndarray]) -> Iterator[Record]:
    """The records of a Parquet file that ``where`` wants; of (logs, numbers) ``fresh`` says which were not had before.

    A record's arrays can be asked for until the next one is; a group of rows is read at a time.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    opened = pq.ParquetFile(file)
    light = opened.read([*PLACE, *(SEARCHED if where is not None else ())])
    mask = fresh(light["log"], light["number"].to_numpy())
    light = light.select([*PLACE, *(SEARCHED if where is not None else ())])
    light = light.append_column("place", pa.array(np.arange(len(light)))).filter(pa.array(mask))
    wanted = light if where is None else light.filter(where)
    ends = np.cumsum([opened.metadata.row_group(g).num_rows for g in range(opened.num_row_groups)])
    places = wanted["place"].to_numpy()
    groups = np.searchsorted(ends, places, side="right")
    logs, numbers = wanted["log"].to_pylist(), wanted["number"].to_pylist()
    for group in np.unique(groups).tolist():
        own = np.flatnonzero(groups == group)
        rows = places[own] - (ends[group - 1] if group else 0)
        plain = opened.read_row_group(group, ["head", "line"]).take(pa.array(rows))
        heads, lines = plain["head"].to_pylist(), plain["line"].to_pylist()
        columns: dict[str, Any] = {}

        def part(name: str, row: int, group: int = group, columns: dict[str, Any] = columns) -> Any:
            if name not in columns:
                columns[name] = opened.read_row_group(group, [name])[name].combine_chunks()
            return columns[name][row].as_buffer()

        for k, head, line, row in zip(own.tolist(), heads, lines, rows.tolist(), strict=True):
            yield Record(logs[k], numbers[k], head, line, partial(part, "light", row), partial(part, "heavy", row))
