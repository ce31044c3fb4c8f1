"""What a run reads from elsewhere while it runs: files, databases, other machines. None of it can be cut short."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import FrameType
from typing import Any

from kernelkit.audit.code import is_packaged

CODE = (".py", ".pyc", ".so", ".pyd", ".dll", ".nbi", ".nbc", ".dylib")  # read to run it
PACKAGE = Path(__file__).parents[1]
SYSTEM = ("/proc/", "/sys/", "/dev/", "/etc/")
_reads: ContextVar[dict[str, None] | None] = ContextVar("reads", default=None)
_hooked: list[bool] = []


@contextmanager
def watched() -> Iterator[dict[str, None]]:
    """What the user's code reads inside, in this thread, by name and in order.

    Python tells a hook of every file that is opened, whichever library does it; libraries that open files without
    Python, such as those for Parquet and HDF5, it cannot see but for what they first look at through Python.
    """
    if not _hooked:
        sys.addaudithook(_hook)  # stays for good: Python takes none out
        _hooked.append(True)
    found: dict[str, None] = {}
    token = _reads.set(found)
    try:
        yield found
    finally:
        _reads.reset(token)


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    found = _reads.get() if event in NAMES else None
    if found is not None:
        name = NAMES[event](arguments)
        if name and _is_asked_for(sys._getframe(1), name):
            found[name] = None


def _opened(arguments: tuple[Any, ...]) -> str:
    path, mode, flags = arguments
    if isinstance(path, int) or not isinstance(path, (str, bytes, os.PathLike)):
        return ""
    name = os.fsdecode(path)
    reads = flags & os.O_ACCMODE != os.O_WRONLY if mode is None else "r" in mode or "+" in mode
    known = name.endswith(CODE) or name.startswith(SYSTEM) or "/zoneinfo/" in name
    return name if reads and not known else ""


NAMES = {
    "open": _opened,
    "sqlite3.connect": lambda arguments: f"database {arguments[0]}",
    "socket.connect": lambda arguments: f"address {arguments[1]}",
    "subprocess.Popen": lambda arguments: f"program {arguments[0]}",
}


def _is_asked_for(frame: FrameType | None, name: str) -> bool:
    """Whether the user's code wants it, through packages or `kernelkit.data`, which reads for it; no import does."""
    loads = False
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith("<frozen importlib"):
            return False
        if Path(file).is_relative_to(PACKAGE / "data"):
            loads = True
        elif Path(file).is_relative_to(PACKAGE):
            return False  # what the engine itself needs
        elif not (is_packaged(file) or file.startswith("<frozen")):
            return loads or not is_packaged(name)
        frame = frame.f_back
    return False
