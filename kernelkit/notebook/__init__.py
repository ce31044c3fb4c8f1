"""The notebook: the cell magic `%%backtest`, its progress, and how a result is displayed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import xarray as xr


def load(shell: Any) -> None:
    """Register the magics and their completion with an IPython shell; doing it again changes nothing."""
    from kernelkit.notebook.complete import matcher
    from kernelkit.notebook.magic import BacktestMagics

    shell.register_magics(BacktestMagics)
    matchers = shell.Completer.custom_matchers
    if not any(getattr(m, "matcher_identifier", "") == "kernelkit" for m in matchers):
        matchers.append(matcher(shell))


def show(res: xr.Dataset) -> None:
    """Display a result of `kk.backtest`: summary, metrics, equity beside buy and hold, heat map."""
    from kernelkit.notebook.magic import show

    show(res)


def result_bundle(res: xr.Dataset) -> dict[str, Any]:
    """The MIME bundle of a result: the JSON that the Lab extension draws, HTML, plain text."""
    from kernelkit.notebook.bundle import result_bundle

    return result_bundle(res)
