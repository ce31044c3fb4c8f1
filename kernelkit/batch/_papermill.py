"""The papermill engine `kernelkit`; papermill loads it through its entry point while it is itself being imported.

Hence nothing of papermill is imported here at the top: `kernelkit.batch._client`, which needs it, comes in when a
notebook is executed.
"""

from __future__ import annotations

from typing import Any


class KernelkitEngine:
    """papermill's own engine, and with `watch=` (`kernelkit run` passes it) one that tells what happens meanwhile."""

    @classmethod
    def execute_notebook(cls, nb: Any, kernel_name: str, *args: Any, **options: Any) -> Any:
        """Execute `nb` in a new kernel and return it with its outputs."""
        from papermill.engines import NBClientEngine

        from kernelkit.batch._client import execute_watched

        if "watch" in options:
            return execute_watched(nb, kernel_name, options["where"], options["watch"])
        return NBClientEngine.execute_notebook(nb, kernel_name, *args, **options)

    @classmethod
    def nb_kernel_name(cls, nb: Any, name: str | None = None) -> str:
        """The kernel that `nb` wants, or `name`."""
        from papermill.utils import nb_kernel_name

        return str(nb_kernel_name(nb, name))

    @classmethod
    def nb_language(cls, nb: Any, language: str | None = None) -> str:
        """The language of `nb`, or `language`."""
        from papermill.utils import nb_language

        return str(nb_language(nb, language))
