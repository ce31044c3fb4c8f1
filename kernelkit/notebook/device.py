"""What `--gpu` finds on this machine."""

from __future__ import annotations

import os

from kernelkit.errors import MissingExtraError, extra


def without_device() -> str:
    """One line: why the trials ran on threads."""
    threads = f"ran on {os.cpu_count() or 1} threads"
    try:
        cupy = extra("cupy", "gpu")
    except MissingExtraError as error:
        return f"no CUDA device: {error}; {threads}"
    if not cupy.cuda.is_available():
        return f"no CUDA device; {threads}"
    return f"there is a CUDA device, and this version has no engine for it; {threads}"
