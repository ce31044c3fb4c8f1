"""Bars that came after a run was saved, one record behind the other: what a kill tears off is the last record alone."""

from __future__ import annotations

import io
import json
import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from kernelkit.saved import sync

SUFFIX = ".journal"
HEAD = struct.Struct("<QI")  # bytes of a record, and their CRC-32


def place(folder: Path) -> Path:
    """The journal of the run saved in ``folder``: called as the bars that it follows, it goes when they go."""
    return folder / Path(json.loads((folder / "run.json").read_text())["bars"]).with_suffix(SUFFIX)


def write(path: Path, columns: Mapping[str, np.ndarray]) -> None:
    """Add a record of arrays by name; it is on the disk when this returns."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **columns)
    content = buffer.getvalue()
    new = not path.exists()
    with path.open("ab") as file:
        file.write(HEAD.pack(len(content), zlib.crc32(content)) + content)
        file.flush()
        os.fsync(file.fileno())
    if new:
        sync(path.parent)


def read(path: Path) -> tuple[list[dict[str, np.ndarray]], int]:
    """All whole records, and how many bytes they take: what is behind those was torn off by a kill.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(path := Path(folder) / "bars.journal", {"close": np.array([1.5, 2.5])})
    ...     _ = path.write_bytes(path.read_bytes() + b"torn")
    ...     records, size = read(path)
    ...     records[0]["close"].tolist(), path.stat().st_size - size
    ([1.5, 2.5], 4)
    """
    raw = path.read_bytes() if path.exists() else b""
    out, at = list[dict[str, np.ndarray]](), 0
    while at + HEAD.size <= len(raw):
        size, crc = HEAD.unpack_from(raw, at)
        content = raw[at + HEAD.size : at + HEAD.size + size]
        if len(content) < size or zlib.crc32(content) != crc:
            break
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            out.append({name: arrays[name] for name in arrays.files})
        at += HEAD.size + size
    return out, at
