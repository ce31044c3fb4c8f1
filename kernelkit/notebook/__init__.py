"""The notebook: the magics, their progress, and how a result is displayed."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kernelkit.notebook.benchmark import buy_and_hold as buy_and_hold
    from kernelkit.notebook.bundle import result_bundle as result_bundle
    from kernelkit.notebook.bundle import save as save
    from kernelkit.notebook.bundle import show as show
    from kernelkit.notebook.live import progress_in_cell as progress_in_cell
    from kernelkit.notebook.versus import compare as compare

_HOMES = {
    "buy_and_hold": "benchmark",
    "compare": "versus",
    "progress_in_cell": "live",
    "result_bundle": "bundle",
    "save": "bundle",
    "show": "bundle",
}

__all__ = ["load", *_HOMES]  # noqa: PLE0604


def load(shell: Any) -> None:
    """Register the magics and their completion with an IPython shell; doing it again changes nothing."""
    from kernelkit.errors import UsageError
    from kernelkit.notebook import fault, magics
    from kernelkit.notebook.complete import matcher
    from kernelkit.notebook.config import config_of

    try:
        config_of(shell)
    except UsageError as error:
        raise fault.one_line(shell, error)  # noqa: B904  it is the same error
    shell.register_magics(*magics.ALL)
    matchers = shell.Completer.custom_matchers
    if not any(getattr(m, "matcher_identifier", "") == "kernelkit" for m in matchers):
        matchers.append(matcher(shell))


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; there are {', '.join(__all__)}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
