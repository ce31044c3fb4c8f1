"""Modules of compiled code on the disk, addressed by content.

numba's own disk cache does not see changed helpers, globals or options of a function (each reproduced), so what is
compiled is first written to a module whose name is the hash of everything it depends on; numba's cache, beside it,
then cannot be stale.
"""

import hashlib
import importlib.util
import logging
import os
import sys
import tempfile
import threading
from functools import cache
from pathlib import Path
from types import ModuleType

import llvmlite
import numba
import numpy as np
from llvmlite import binding

LOCK = threading.RLock()
_log = logging.getLogger("kernelkit")


@cache
def cpu() -> str:
    """Name and features of the processor that code is compiled for."""
    return f"{binding.get_host_cpu_name()} {binding.get_host_cpu_features().flatten()}"


@cache
def build_id() -> str:
    """Hash of all that decides the engine's machine code: its sources, numba, llvmlite, numpy, Python, processor."""
    here = Path(__file__).parent
    parts = [path.read_bytes() for path in sorted(here.glob("*.py"))]
    parts += [v.encode() for v in (numba.__version__, llvmlite.__version__, np.__version__, sys.version, cpu())]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def cache_dir() -> Path:
    """Where compiled modules live: $KERNELKIT_CACHE, else the user's cache folder; one folder per build id."""
    named = os.environ.get("KERNELKIT_CACHE")
    base = Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kernelkit"
    return writable(base) / build_id()


@cache
def writable(base: Path) -> Path:
    """The folder itself; where nothing can be written there, one for this process, and a line that says so."""
    try:
        base.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=base):
            return base
    except OSError as error:
        own = Path(tempfile.mkdtemp(prefix="kernelkit-"))
        _log.warning("compiled code is kept for this process only, in %s: %s", own, error)
        return own


def module_path(text: str, stem: str) -> Path:
    """The file that `module` writes and imports."""
    return cache_dir() / f"{stem}_{hashlib.sha256(text.encode()).hexdigest()[:20]}.py"


def module(text: str, stem: str) -> ModuleType:
    """Import `text` as the module `<stem>_<hash>` from the cache folder; what is missing or damaged is written."""
    with LOCK:  # a second thread must not see a module that is still being executed
        path = module_path(text, stem)
        name = path.stem
        if name in sys.modules:
            return sys.modules[name]
        if not path.exists() or path.read_text(errors="replace") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(f".{os.getpid()}.{id(text)}")
            part.write_text(text)
            part.replace(path)
        spec = importlib.util.spec_from_file_location(name, path)
        loaded = importlib.util.module_from_spec(spec)
        sys.modules[name] = loaded
        try:
            spec.loader.exec_module(loaded)
        except BaseException:
            del sys.modules[name]
            raise
        return loaded


def forget(file: str) -> None:
    """Delete the machine code that lies beside a module, so that it is compiled again."""
    path = Path(file)
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
        compiled.unlink(missing_ok=True)
