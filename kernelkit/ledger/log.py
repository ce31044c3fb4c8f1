"""Records that can only be appended: (length, CRC-32, SHA-256 of the record before, row), one behind the other (J5).

A row is a dict of plain values and numpy arrays: a line of JSON, behind it the arrays' bytes, `HEAVY` ones last. The
chain of hashes shows a record that was altered or taken out; a tail that a killed process left torn is told from that.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

Row = dict[str, Any]

HEAD = struct.Struct("<II32s")
BEGIN = b"\0" * 32  # what the first record follows
HEAVY = ("blocks",)  # arrays that most readers do not ask for


class DamagedLog(ValueError):
    """A log in which a record was altered or is missing."""


class TornLog(DamagedLog):
    """A log whose last record is not whole: its writer was killed, or is at it."""


class Body(NamedTuple):
    """A record's row in parts: its line of JSON, the bytes of its arrays, and those of the `HEAVY` ones."""

    line: bytes
    light: bytes | memoryview
    heavy: bytes | memoryview


def packed(row: Row) -> bytes:
    """The row as bytes; numpy's numbers are written as numbers, what JSON does not know as its text.

    >>> packed({"n": 1, "x": np.array([True])})
    b'{"n":1,"arrays":[["x","|b1",[1]]]}\\n\\x01'
    """
    arrays = {n: np.ascontiguousarray(v) for n, v in row.items() if isinstance(v, np.ndarray)}
    plain = {n: v for n, v in row.items() if n not in arrays}
    names = sorted(arrays, key=HEAVY.__contains__)
    if arrays:
        plain["arrays"] = [[n, arrays[n].dtype.str, arrays[n].shape] for n in names]
    line = json.dumps(plain, separators=(",", ":"), default=as_json).encode()
    return b"".join([line, b"\n", *(arrays[n].tobytes() for n in names)])


def as_json(value: Any) -> Any:
    """What stands in a line for a value that JSON does not know.

    >>> as_json(np.float64(0.5)), as_json(np.array([1, 2]))
    (0.5, '[1 2]')
    """
    return value.item() if isinstance(value, np.generic) else str(value)


def parted(body: memoryview) -> Body:
    """The parts of a packed row."""
    step, end = 1 << 12, -1  # no copy of all that follows the line
    for at in range(0, len(body), step):
        end = bytes(body[at : at + step]).find(b"\n")
        if end >= 0:
            end += at
            break
    line, payload = bytes(body[:end]), body[end + 1 :]
    light = sum(_bytes_of(d, shape) for n, d, shape in json.loads(line).get("arrays", ()) if n not in HEAVY)
    return Body(line, payload[:light], payload[light:])


def _bytes_of(dtype: str, shape: list[int]) -> int:
    return int(np.dtype(dtype).itemsize) * math.prod(shape)


def unpacked(line: bytes, *payloads: bytes | memoryview) -> Row:
    """The row again; arrays are views of their payload that cannot be written to, without it they are left out.

    >>> unpacked(*parted(memoryview(packed({"n": 1, "x": np.array([0.5])}))))
    {'n': 1, 'x': array([0.5])}
    """
    row: Row = json.loads(line)
    return row | arrays_of(row.pop("arrays", ()), *payloads)


def arrays_of(told: Iterable[tuple[str, str, list[int]]], *payloads: bytes | memoryview) -> dict[str, np.ndarray]:
    """The arrays that a line tells of, from the light payload and, if given, the heavy one."""
    found, at = {}, [0, 0]
    for name, dtype, shape in told:
        heavy = name in HEAVY
        if heavy < len(payloads):
            array = np.frombuffer(payloads[heavy], dtype, math.prod(shape), at[heavy]).reshape(shape)
            array.flags.writeable = False
            found[name] = array
            at[heavy] += array.nbytes
    return found


def framed(rows: Iterable[Row], previous: bytes = BEGIN) -> tuple[bytes, bytes]:
    """Rows as records that follow the one of hash ``previous``: their bytes, and the hash of the last."""
    out = []
    for row in rows:
        body = packed(row)
        head = HEAD.pack(len(body), zlib.crc32(body), previous)
        previous = chained(head, body)
        out += [head, body]
    return b"".join(out), previous


def chained(head: bytes | memoryview, *body: bytes | memoryview) -> bytes:
    """The hash of a record, which the next one names."""
    found = hashlib.sha256(head)
    for part in body:
        found.update(part)
    return found.digest()


def is_whole(head: bytes | memoryview, *body: bytes | memoryview) -> bool:
    """Whether a record's body is the one that its head tells of."""
    length, crc, _ = HEAD.unpack(head)
    found = 0
    for part in body:
        found = zlib.crc32(part, found)
    return (sum(map(len, body)), found) == (length, crc)


def records(
    data: bytes | memoryview, name: str, previous: bytes | None = BEGIN
) -> Iterator[tuple[memoryview, memoryview]]:
    """Head and body of each record that follows the one of hash ``previous`` (None: any).

    Raises at the first one that is not whole (TornLog), that was altered or that follows another one (DamagedLog).

    >>> data, _ = framed([{"trials": 1}, {"trials": 2}])
    >>> [unpacked(*parted(body))["trials"] for _, body in records(data, "a.log")]
    [1, 2]
    >>> [unpacked(*parted(body))["trials"] for _, body in records(data[:-1], "a.log")]
    Traceback (most recent call last):
    kernelkit.ledger.log.TornLog: a.log: torn tail of 52 bytes at 53
    """
    view, at = memoryview(data), 0
    while at < len(view):
        head, begin = view[at : at + HEAD.size], at + HEAD.size
        end = begin + HEAD.unpack(head)[0] if len(head) == HEAD.size else len(view) + 1
        if end > len(view):
            raise TornLog(f"{name}: torn tail of {len(view) - at} bytes at {at}")
        body = view[begin:end]
        if not is_whole(head, body) or previous not in (None, HEAD.unpack(head)[2]):
            raise DamagedLog(f"{name}: record at {at} was altered")
        previous = chained(head, body)
        at = end
        yield head, body
