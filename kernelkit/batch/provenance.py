"""What a run was made with: versions, and the state of the repository it was started in."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import subprocess
from pathlib import Path
from typing import TypedDict

# What can change a number: the engine and what computes beneath it.
PACKAGES = ("kernelkit", "numba", "llvmlite", "numpy", "scipy", "pandas", "xarray", "dask", "zarr")


class Git(TypedDict):
    """A commit, and whether tracked files differ from it (others may be runs)."""

    commit: str
    dirty: bool


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that compute, read without importing them."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def git_state(folder: Path) -> Git | None:
    """Commit and dirtiness of the repository around `folder`; None without one, without a commit, or without git."""
    if shutil.which("git") is None:
        return None
    commit = _git(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    if not commit:
        return None
    return {"commit": commit, "dirty": bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))}


def _git(folder: Path, *command: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *command], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""
