"""What this machine offers: `kernelkit doctor` prints one line per finding, with what to do about what is missing."""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from kernelkit.batch import provenance
from kernelkit.batch.template import folders, templates

State = Literal["ok", "absent", "problem"]

# Debian, Fedora and macOS names of the browser that the interface tests drive.
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, its state (absent is no fault), and what was found or what to do."""

    what: str
    state: State
    found: str

    def to_json(self) -> dict[str, Any]:
        """The finding as a JSON object."""
        return asdict(self)


def examine() -> Iterator[Finding]:
    """Look at everything; a look that itself fails is a problem with its error as the text, never an exception."""
    for package, version in provenance.versions().items():
        yield Finding(package, "problem" if version == "not installed" else "ok", version)
    looks: dict[str, Callable[[], Finding]] = {
        "machine": _machine,
        "memory": _memory,
        "svml": _svml,
        "gpu": _gpu,
        "cache": _cache,
        "templates": _templates,
        "engine": _engine,
        "kernel": _kernel,
        "git": _git,
        "browser": _browser,
    }
    for what, look in looks.items():
        try:
            yield look()
        except Exception as error:  # noqa: BLE001 a broken part must not hide the state of the others
            yield Finding(what, "problem", f"{type(error).__name__}: {error}")


def _machine() -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Finding(
        "machine", "ok", f"{platform.system()} {platform.machine()}, {cores} usable cores of {os.cpu_count()}"
    )


def _memory() -> Finding:
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return Finding("memory", "absent", "this system does not say how much it has")
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return Finding("memory", "ok", f"{total / 2**30:.1f} GiB")


def _svml() -> Finding:
    # The engine uses its own exp and log and does not depend on it; user code with math.* may, in the last bit.
    import numba.core.config

    if vars(numba.core.config)["USING_SVML"]:
        return Finding(
            "svml",
            "ok",
            "numba uses Intel's vector maths: math.* in user code may differ elsewhere in the last bit",
        )
    return Finding("svml", "absent", "numba uses the C library's maths")


def _gpu() -> Finding:
    if importlib.util.find_spec("cupy") is None:
        return Finding("gpu", "absent", "cupy is not installed; what runs on a device needs the extra gpu")
    cupy: Any = importlib.import_module("cupy")

    if not cupy.cuda.is_available():
        return Finding(
            "gpu", "absent", f"cupy {cupy.__version__} sees no CUDA device; everything runs on the processor"
        )
    device = cupy.cuda.runtime.getDeviceProperties(0)
    name, memory = device["name"].decode(), device["totalGlobalMem"] / 2**30
    runs = "paths and trials with gpu=" if importlib.util.find_spec("numba_cuda") else "without numba-cuda no gpu="
    return Finding(
        "gpu", "ok", f"{name}, {memory:.0f} GiB, cupy {cupy.__version__}; for metrics of arrays on it, {runs}"
    )


def _cache() -> Finding:
    from kernelkit.kernels.cache import cache_dir

    folder = cache_dir()
    if not folder.is_dir():
        return Finding("cache", "absent", f"{folder}: nothing compiled yet; 'kernelkit warmup' does it")
    if not os.access(folder, os.W_OK):
        return Finding("cache", "problem", f"{folder}: not writable, so every process compiles again")
    files = [path for path in folder.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files) / 2**20
    return Finding("cache", "ok", f"{folder}: {len(files)} files, {size:.1f} MiB")


def _templates() -> Finding:
    names = ", ".join(sorted(templates()))
    if not names:
        return Finding(
            "templates", "problem", f"none in {', '.join(map(str, folders())) or 'any folder'}; reinstall kernelkit"
        )
    return Finding("templates", "ok", names)


def _engine() -> Finding:
    from papermill.engines import papermill_engines

    engine = papermill_engines.get_engine("kernelkit")
    return Finding("engine", "ok", f"papermill has {engine.__name__}")


def _kernel() -> Finding:
    from jupyter_client.kernelspec import KernelSpecManager

    command = KernelSpecManager().get_kernel_spec("python3").argv[0]
    if os.sep in command and not Path(command).samefile(sys.executable):
        return Finding(
            "kernel",
            "problem",
            f"python3 starts {command}, not {sys.executable}; run 'python -m ipykernel install --sys-prefix'",
        )
    return Finding("kernel", "ok", f"python3 starts {sys.executable}")


def _git() -> Finding:
    path = shutil.which("git")
    return (
        Finding("git", "ok", path)
        if path
        else Finding("git", "absent", "run records will not name a commit; install git")
    )


def _browser() -> Finding:
    path = next((found for name in _BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        return Finding("browser", "absent", "only the interface tests need it: apt-get install chromium")
    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=True, timeout=30).stdout.strip()
    return Finding("browser", "ok", f"{path}: {version}")
