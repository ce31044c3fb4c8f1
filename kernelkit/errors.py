"""One root error and a few leaves; every message says what was found, what was wanted and how to fix it."""

from __future__ import annotations

import importlib
from types import ModuleType


class KernelkitError(Exception):
    """Root of every error that kernelkit raises on purpose."""


class DataError(KernelkitError, ValueError):
    """Market data or a labelled array is not what the schema says."""


class StrategyError(KernelkitError, TypeError):
    """A strategy, signal or indicator cannot be defined or compiled as written."""


class LookaheadError(KernelkitError, IndexError):
    """A strategy asked for a bar that is not known yet."""


class OrderError(KernelkitError, ValueError):
    """An order is malformed or asks for something the venue does not offer."""


class UsageError(KernelkitError, ValueError):
    """A command, magic or function was called with arguments that do not fit together."""


class RunError(KernelkitError, RuntimeError):
    """A run failed, was interrupted, or cannot be resumed."""


class MissingExtraError(KernelkitError, ImportError):
    """An optional package is not installed."""


def message(what: str, found: object, wanted: object, fix: str) -> str:
    """Return the one-sentence form that all error messages share.

    >>> message("tick_size of 'SPY'", 0.03, "a power of two or 1/integer", "Pass tick_size=0.01.")
    "tick_size of 'SPY': found 0.03, wanted a power of two or 1/integer. Pass tick_size=0.01."
    """
    return f"{what}: found {found}, wanted {wanted}. {fix}"


def extra(module: str, extra: str) -> ModuleType:
    """Import an optional ``module``, or raise `MissingExtraError` naming the extra that installs it.

    An optional package that is installed but fails to import raises its own error unchanged.

    >>> extra("math", "gpu").sqrt(4.0)
    2.0
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != module.partition(".")[0]:
            raise
        text = f'{module} is not installed; it comes with the extra "{extra}": pip install "kernelkit[{extra}]"'
        raise MissingExtraError(text, name=error.name) from error
