"""Where the ledger lies: a folder, or any object store that fsspec knows."""

from __future__ import annotations

import os
import platform
import re
import secrets
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from kernelkit.errors import UsageError, message

LEFT = 3600.0  # seconds, from which on a file that was begun is none that is being written


def root() -> Path:
    """This project's folder for what is kept: the nearest `.kernelkit` above, else beside `.git`, else in this one."""
    here = os.getcwd()  # noqa: PTH109  asked at every backtest: pathlib takes ten times as long
    above = [here]
    while (parent := os.path.dirname(above[-1])) != above[-1]:  # noqa: PTH120
        above.append(parent)
    kept = (f for f in above if os.path.isdir(os.path.join(f, ".kernelkit")))  # noqa: PTH112, PTH118
    cloned = (f for f in above if os.path.exists(os.path.join(f, ".git")))  # noqa: PTH110, PTH118
    return Path(next(kept, None) or next(cloned, here), ".kernelkit")


def place() -> str:
    """Where the ledger lies: the folder or address in $KERNELKIT_LEDGER, else ``ledger`` under `root`."""
    named = os.environ.get("KERNELKIT_LEDGER") or str(root() / "ledger")
    return str(Path(named).absolute()) if is_local(named) else named


def is_local(at: str) -> bool:
    """Whether a place is a folder of this machine, rather than an address.

    >>> is_local("/home/me/.kernelkit/ledger"), is_local("s3://bucket/ledger")
    (True, False)
    """
    return "://" not in at and "::" not in at


@cache
def filesystem(at: str) -> tuple[Any, str]:
    """The fsspec file system of a place, and the path there; raises UsageError where its package is missing."""
    from fsspec.core import url_to_fs

    try:
        fs, path = url_to_fs(at)
    except (ImportError, ValueError) as error:
        wanted, fix = "a folder, or an address that fsspec knows", f"Install what it needs ({error})."
        raise UsageError(message("KERNELKIT_LEDGER", at, wanted, fix)) from error
    return fs, str(path)


def put(fs: Any, path: str, content: bytes) -> None:
    """Write a file whole, or not at all; raises FileExistsError where there is one of this name.

    A store is asked to put it on condition that there is none (`mode="create"` of fsspec); a folder gets it by a link.
    """
    if "file" not in fs.protocol:
        fs.pipe_file(path, content, mode="create")
        return
    temporary = Path(path).with_name(f".{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def sweep(folder: str) -> None:
    """Delete what kills have left of `put`, an hour after: no file takes so long to be written."""
    for left in Path(folder).glob(".*"):
        with suppress(FileNotFoundError):  # it was put in its place, or somebody else sweeps
            if re.fullmatch(r"\.[0-9a-f]{16}", left.name) and left.stat().st_mtime < time.time() - LEFT:
                left.unlink()


@cache
def host() -> str:
    """This machine, as names of files can tell it."""
    return re.sub(r"[^A-Za-z0-9]", "", platform.node())[:32] or "host"
