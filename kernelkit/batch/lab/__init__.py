"""The Jupyter server extension: what JupyterLab asks about runs and templates."""

from __future__ import annotations

from typing import Any

# `jupyter server extension list` shows it.
from kernelkit import __version__ as __version__


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    from kernelkit.batch.lab.app import KernelkitApp

    return [{"module": "kernelkit.batch.lab", "app": KernelkitApp}]
