"""Records that can only be appended: (length, CRC-32, SHA-256 of the record before, row), one behind the other.

A row is a dict of plain values and numpy arrays: a line of JSON, behind it the arrays' bytes. The chain of hashes shows
a record that was altered or taken out; a tail that a killed process left torn is told from that.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

Row = dict[str, Any]

HEAD = struct.Struct("<II32s")
BEGIN = b"\0" * 32  # what the first record follows


class DamagedLog(ValueError):
    """A log that ends in a torn record, or that holds one which was altered."""


def packed(row: Row) -> bytes:
    """The row as bytes; what JSON does not know is written as its text.

    >>> packed({"n": 1, "x": np.array([True])})
    b'{"n":1,"arrays":[["x","|b1",[1]]]}\\n\\x01'
    """
    arrays = {n: np.ascontiguousarray(v) for n, v in row.items() if isinstance(v, np.ndarray)}
    plain = {n: v for n, v in row.items() if n not in arrays}
    if arrays:
        plain["arrays"] = [[n, v.dtype.str, v.shape] for n, v in arrays.items()]
    line = json.dumps(plain, separators=(",", ":"), allow_nan=True, default=str).encode()
    return b"".join([line, b"\n", *(v.tobytes() for v in arrays.values())])


def parted(body: memoryview) -> tuple[bytes, memoryview]:
    """The line of a packed row, and the bytes of its arrays."""
    step = 1 << 12  # no copy of all that follows the line
    for at in range(0, len(body), step):
        found = bytes(body[at : at + step]).find(b"\n")
        if found >= 0:
            return bytes(body[: at + found]), body[at + found + 1 :]
    return bytes(body), body[:0]


def unpacked(line: bytes, payload: bytes | memoryview | None) -> Row:
    """The row again; its arrays are views of ``payload``, with None they are left out.

    >>> unpacked(*parted(memoryview(packed({"n": 1, "x": np.array([0.5])}))))
    {'n': 1, 'x': array([0.5])}
    """
    row: Row = json.loads(line)
    at = 0
    for name, dtype, shape in row.pop("arrays", ()):
        if payload is not None:
            row[name] = np.frombuffer(payload, dtype, math.prod(shape), at).reshape(shape)
            at += row[name].nbytes
    return row


def framed(rows: Iterable[Row], previous: bytes = BEGIN) -> tuple[bytes, bytes]:
    """Rows as records that follow the one of hash ``previous``: their bytes, and the hash of the last."""
    out = []
    for row in rows:
        body = packed(row)
        head = HEAD.pack(len(body), zlib.crc32(body), previous)
        previous = chained(head, body)
        out += [head, body]
    return b"".join(out), previous


def chained(head: bytes | memoryview, body: bytes | memoryview) -> bytes:
    """The hash of a record, which the next one names."""
    found = hashlib.sha256(head)
    found.update(body)
    return found.digest()


def records(data: bytes | memoryview, name: str, previous: bytes = BEGIN) -> Iterator[tuple[memoryview, memoryview]]:
    """Head and body of each record; raises DamagedLog at the first one that is torn or was altered.

    >>> data, _ = framed([{"trials": 1}, {"trials": 2}])
    >>> [unpacked(*parted(body))["trials"] for _, body in records(data, "a.log")]
    [1, 2]
    >>> [unpacked(*parted(body))["trials"] for _, body in records(data[:-1], "a.log")]
    Traceback (most recent call last):
    kernelkit.ledger.log.DamagedLog: a.log: torn tail of 52 bytes at 53
    """
    view, at = memoryview(data), 0
    while at < len(view):
        head = view[at : at + HEAD.size]
        if len(head) < HEAD.size:
            raise DamagedLog(f"{name}: torn tail of {len(view) - at} bytes at {at}")
        n, crc, before = HEAD.unpack(head)
        body = view[at + HEAD.size : at + HEAD.size + n]
        if len(body) < n:
            raise DamagedLog(f"{name}: torn tail of {len(view) - at} bytes at {at}")
        if zlib.crc32(body) != crc or before != previous:
            raise DamagedLog(f"{name}: record at {at} was altered")
        previous = chained(head, body)
        at += HEAD.size + n
        yield head, body
