"""Small finished results by key, so that a resumed run does not compute them again.

    store = checkpoint(folder)
    if (fold := store.get(key)) is None:
        fold = compute(...)
        store.put(key, fold)

A key is any JSON value that says all the result depends on; its hash is the file's name. A value is a JSON value or an
`xarray.Dataset` of numbers, booleans, text and times. Format of a file: one line of JSON (magic, kind, key, length of
the value, CRC-32 of all), then the value: JSON, or an .npz of the variables with their dims and attributes beside it.
"""

from __future__ import annotations

import hashlib
import io
import json
import warnings
import zlib
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kernelkit.files import canonical_json, write_atomic

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

MAGIC = "kernelkit-checkpoint-1"
_META = "__meta__"


class CheckpointWarning(UserWarning):
    """A checkpoint file is damaged; what it held is computed again."""


class Checkpoint:
    """A store of results by key, in a folder or in memory; several processes may share a folder."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._memory: dict[str, bytes] = {}
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def get(self, key: object) -> Any | None:
        """The value kept under `key`, None if there is none or if its file is damaged (with a CheckpointWarning)."""
        name, text = _name(key)
        content = self._read(name)
        if content is None:
            return None
        try:
            return _unpack(content, text)
        except _DamagedError as damage:
            warnings.warn(f"{self._folder}/{name}: {damage}; it is computed again", CheckpointWarning, stacklevel=2)
            return None

    def put(self, key: object, value: Any) -> None:
        """Keep `value` (JSON or Dataset, not None) under `key`, whole; TypeError for what cannot be kept exactly."""
        if value is None:
            raise TypeError("None cannot be kept: get returns it for what is not there")
        name, text = _name(key)
        content = _pack(value, text)
        if self._folder is None:
            self._memory[name] = content
        else:
            write_atomic(self._folder / name, content)

    def _read(self, name: str) -> bytes | None:
        if self._folder is None:
            return self._memory.get(name)
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            return None


def checkpoint(folder: str | Path | None) -> Checkpoint:
    """The store in `folder` (made if it is not there), or one in memory for None.

    >>> store = checkpoint(None)
    >>> store.get({"fold": 3}) is None
    True
    >>> store.put({"fold": 3}, [1.5, "x"])
    >>> store.get({"fold": 3})
    [1.5, 'x']
    """
    return Checkpoint(None if folder is None else Path(folder))


class _DamagedError(Exception):
    """What is wrong with the bytes of a checkpoint."""


def _name(key: object) -> tuple[str, str]:
    try:
        text = canonical_json(key)
    except (TypeError, ValueError) as error:
        raise TypeError(f"a checkpoint's key is a JSON value (numbers, text, lists, dicts): {error}") from None
    return f"{hashlib.sha256(text).hexdigest()[:32]}.kkc", text.decode()


def _pack(value: Any, key: str) -> bytes:
    kind, body = ("dataset", _pack_dataset(value)) if _is_dataset(value) else ("json", _pack_json(value))
    header = {"magic": MAGIC, "kind": kind, "key": key, "crc32": _crc(kind, key, body), "length": len(body)}
    return json.dumps(header).encode() + b"\n" + body


def _unpack(content: bytes, key: str) -> Any:
    line, _, body = content.partition(b"\n")
    try:
        header = json.loads(line)
    except ValueError:
        raise _DamagedError("its first line is not JSON") from None
    if not isinstance(header, dict) or header.get("magic") != MAGIC:
        raise _DamagedError("it is not a checkpoint of this format")
    if header.get("length") != len(body):
        raise _DamagedError(f"it has {len(body)} bytes of {header.get('length')}")
    if header.get("key") != key:
        raise _DamagedError("it holds another key")
    if header.get("crc32") != _crc(str(header.get("kind")), key, body):
        raise _DamagedError("its CRC-32 is wrong")
    return _unpack_dataset(body) if header["kind"] == "dataset" else json.loads(body)


def _crc(kind: str, key: str, body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(f"{kind}\n{key}\n".encode()))


def _pack_json(value: Any) -> bytes:
    _check_json(value)
    return json.dumps(value).encode()


def _check_json(value: Any) -> None:
    if isinstance(value, list):
        for item in value:
            _check_json(item)
    elif isinstance(value, dict) and all(isinstance(name, str) for name in value):
        for item in value.values():
            _check_json(item)
    elif value is not None and not isinstance(value, bool | int | float | str):
        raise TypeError(
            f"a checkpoint keeps Datasets and JSON (numbers, text, lists, dicts by text), not {type(value).__name__}"
        )


def _is_dataset(value: Any) -> bool:
    # without importing xarray for a JSON value
    return f"{type(value).__module__.partition('.')[0]}.{type(value).__name__}" == "xarray.Dataset"


def _pack_dataset(dataset: xr.Dataset) -> bytes:
    import numpy as np

    arrays: dict[str, np.ndarray] = {}
    variables = []
    for i, (name, variable) in enumerate(dataset.variables.items()):
        if not isinstance(name, str):
            raise TypeError(f"variable {name!r}: its name is not text")
        values, restore = _plain(name, np.asarray(variable.values))
        arrays[f"v{i}"] = values
        attrs = _attrs(name, variable.attrs)
        variables.append({"name": name, "dims": list(variable.dims), "attrs": attrs, "restore": restore})
    meta = {"variables": variables, "coords": list(dataset.coords), "attrs": _attrs("the Dataset", dataset.attrs)}
    arrays[_META] = np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8)
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    return file.getvalue()


def _unpack_dataset(body: bytes) -> xr.Dataset:
    import numpy as np
    import xarray as xr

    with np.load(io.BytesIO(body), allow_pickle=False) as file:
        meta = json.loads(file[_META].tobytes())
        found = {}
        for i, row in enumerate(meta["variables"]):
            values = file[f"v{i}"].astype(row["restore"]) if row["restore"] else file[f"v{i}"]
            found[row["name"]] = (tuple(row["dims"]), values, row["attrs"])
    coords = {name: found.pop(name) for name in meta["coords"]}
    return xr.Dataset(found, coords=coords, attrs=meta["attrs"])


def _plain(name: Hashable, values: np.ndarray) -> tuple[np.ndarray, str]:
    """`values` as a dtype that .npy holds without pickle, and the dtype to cast back to ('' for none)."""
    import numpy as np

    if values.dtype.kind in "biufcmMUS":
        return values, ""
    if values.dtype.kind in "OT" and all(type(value) is str for value in values.ravel().tolist()):
        return values.astype(np.str_), "object" if values.dtype.kind == "O" else "T"
    raise TypeError(
        f"variable {name!r}: dtype {values.dtype} cannot be kept exactly; wanted numbers, bools, text or times"
    )


def _attrs(owner: Hashable, attrs: Mapping[Any, Any]) -> dict[str, Any]:
    import numpy as np

    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in attrs.items()}
    try:
        _check_json(plain)
    except TypeError as error:
        raise TypeError(f"attrs of {owner!r}: {error}") from None
    return plain
