"""The identity of bars: a hash chain over fixed pieces, so that appending extends it instead of starting over."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.schema import EXTRA

if TYPE_CHECKING:
    import xarray as xr

PIECE = 65_536
FORMAT = "kernelkit bars 1"
_CLOCK = ("open_at", "known_at", "session")
_COLUMNS = ("open", "high", "low", "close", "volume", "valid")
_INSTRUMENT = ("asset_id", "tick", "inverse", "lot", "multiplier", "currency")


def identify(bars: xr.Dataset) -> dict[str, str]:
    """Return the attrs ``lineage`` (the id) and ``lineage_chain`` (the hash of all full pieces) of ``bars``.

    The id covers the clock, prices, volume, instruments and calendar, not the labels; features extend it apart.
    """
    return _run(bars, _header(bars), 0)


def extend(bars: xr.Dataset, whole: xr.Dataset) -> dict[str, str]:
    """Return the attrs of ``whole``, which begins with ``bars``, hashing only what follows their last full piece.

    A slice has no chain to go on from: then everything is hashed, as if ``whole`` had been loaded.
    """
    if not is_whole(bars):
        return identify(whole)
    start = bars.sizes["time"] // PIECE * PIECE
    return _run(whole, bytes.fromhex(bars.attrs["lineage_chain"]), start)


def is_whole(bars: xr.Dataset) -> bool:
    """Return whether ``bars`` are all that their lineage names: not a slice, nor edited after the last full piece."""
    start = bars.sizes["time"] // PIECE * PIECE
    found = bars.attrs.get("lineage_chain")
    return found is not None and _run(bars, bytes.fromhex(found), start)["lineage"] == bars.attrs["lineage"]


def with_feature(bars: xr.Dataset, names: tuple[str, ...]) -> str:
    """Return the id of ``bars`` after the variables ``names`` were added to them."""
    digest = hashlib.sha256(bytes.fromhex(bars.attrs["lineage"]))
    for name in names:
        settings = {key: str(bars[name].attrs.get(key)) for key in ("trusted", "max_age")}
        digest.update(json.dumps([name, settings]).encode())
        digest.update(np.ascontiguousarray(bars[name].values).data)
    return digest.hexdigest()


def digest(bars: xr.Dataset) -> str:
    """Return a hash of every variable and all attrs of ``bars``, whatever they are a part of."""
    hashed = hashlib.sha256(json.dumps(bars.attrs, sort_keys=True, default=_plain).encode())
    for name in sorted(map(str, bars.variables)):
        values = bars[name].values
        hashed.update(json.dumps([name, bars[name].dims, values.shape]).encode())
        if values.dtype.kind in "UOT":
            hashed.update(json.dumps(values.tolist()).encode())
        else:
            hashed.update(_bytes_of(values).data)
    return hashed.hexdigest()


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else str(value)


def _run(bars: xr.Dataset, chain: bytes, start: int) -> dict[str, str]:
    columns = [_bytes_of(bars[name].values) for name in (*_CLOCK, *_COLUMNS, *(n for n in EXTRA if n in bars))]
    n = bars.sizes["time"]
    for first in range(start, n // PIECE * PIECE, PIECE):
        chain = _digest(chain, columns, first, first + PIECE)
    tail = _digest(_header(bars) + chain + n.to_bytes(8, "little"), columns, n // PIECE * PIECE, n)
    return {"lineage": tail.hex(), "lineage_chain": chain.hex()}


def _digest(seed: bytes, columns: list[np.ndarray[Any, Any]], first: int, last: int) -> bytes:
    digest = hashlib.sha256(seed)
    for column in columns:
        digest.update(column[first:last].data)
    return digest.digest()


def _bytes_of(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    # Little-endian bytes, so that the id does not depend on the machine; datetimes export no buffer.
    if values.dtype.kind == "M":
        values = values.astype("datetime64[ns]").view("int64")
    return np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))


def _header(bars: xr.Dataset) -> bytes:
    instrument = {
        name: [v.hex() if isinstance(v, float) else v for v in bars[name].values.tolist()] for name in _INSTRUMENT
    }
    texts = {"format": FORMAT, "calendar": bars.attrs["calendar"], "bar": bars.attrs["bar"], **instrument}
    return hashlib.sha256(json.dumps(texts, sort_keys=True).encode()).digest()
