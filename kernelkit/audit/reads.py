"""What a run reads from elsewhere while it runs: files, databases, other machines. None of it can be cut short."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from types import FrameType, FunctionType, ModuleType
from typing import Any

from kernelkit.audit.closure import around
from kernelkit.audit.code import attributes_of, is_packaged

CODE = (".py", ".pyc", ".so", ".pyd", ".dll", ".nbi", ".nbc", ".dylib")  # read to run it
PACKAGE = Path(__file__).parents[1]
SYSTEM = ("/proc/", "/sys/", "/dev/", "/etc/")
WITHOUT_PYTHON = {
    "pandas": "read_(parquet|feather|orc|hdf)",
    "polars": "(read|scan)_.*",
    "pyarrow": "(read|open)_.*|ParquetFile|ParquetDataset|dataset|memory_map",
    "xarray": "(open|load)_.*",
    "duckdb": "connect|sql|query|read_.*",
    "h5py": "File",
    "netCDF4": "Dataset|MFDataset",
    "tables": "open_file",
}
_reads: ContextVar[dict[str, None] | None] = ContextVar("reads", default=None)
_hooked: list[bool] = []


@contextmanager
def watched() -> Iterator[dict[str, None]]:
    """What the user's code reads inside, in this thread, by name and in order.

    Python tells a hook of every file that is opened, whichever package does it, but for those that open it without
    Python (`unseen`).
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


def unseen(functions: Iterable[FunctionType]) -> Iterator[str]:
    """Names of what functions can read files with that Python does not see."""
    for function in functions:
        for name, value in around(function).items():
            if isinstance(value, ModuleType):
                wanted = WITHOUT_PYTHON.get(value.__name__.partition(".")[0], "")
                found = (n for n in sorted(attributes_of(function.__code__)) if re.fullmatch(wanted, n))
                yield from (f"what {name}.{n} opens" for n in found if hasattr(value, n))
            elif re.fullmatch(WITHOUT_PYTHON.get(_root(value), ""), getattr(value, "__name__", "-")):
                yield f"what {name} opens"


def _root(value: Any) -> str:
    return str(getattr(value, "__module__", None)).partition(".")[0]


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


def _told(what: str, place: int, arguments: tuple[Any, ...]) -> str:
    return f"{what} {arguments[place]}"


NAMES: dict[str, Callable[[tuple[Any, ...]], str]] = {
    "open": _opened,
    "sqlite3.connect": partial(_told, "database", 0),
    "socket.connect": partial(_told, "address", 1),
    "subprocess.Popen": partial(_told, "program", 0),
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
        elif Path(file) != PACKAGE / "errors.py" and Path(file).is_relative_to(PACKAGE):  # which wraps what is public
            return False  # what the engine itself needs
        elif not (is_packaged(file) or file.startswith("<frozen")):
            return loads or not is_packaged(name)
        frame = frame.f_back
    return False
