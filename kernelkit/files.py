"""Files that are there whole or not at all."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path


def write_atomic(path: Path, content: bytes) -> None:
    """Write `content` to `path` so that a reader, or a crash at any moment, sees the old file or the new one."""
    # tempfile would make it private to this user; a run folder is read by colleagues
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in (None, str(temporary)):
            # a full disk names no file, and the temporary one means nothing to a reader
            error.filename = str(path)
        raise


def is_file(path: Path) -> bool:
    """Whether there is a file at ``path``; False for a name that no file system has, of which Path's own raises."""
    return os.path.isfile(path)  # noqa: PTH113


def canonical_json(value: object) -> bytes:
    """The one JSON spelling of `value` (sorted keys, no spaces, no NaN), for hashing and comparing.

    >>> canonical_json({"b": 1, "a": [True, None]})
    b'{"a":[true,null],"b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode()
