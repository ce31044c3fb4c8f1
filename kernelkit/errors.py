"""One root error and a few leaves; every message says what was found, what was wanted and how to fix it."""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, TypeVar

Called = TypeVar("Called", bound=Callable[..., Any])


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


def arguments(**known: Any) -> Callable[[Called], Called]:
    """Decorate a public function, or dataclass, so that arguments that do not fit raise UsageError, not TypeError.

    ``known`` has the dataclasses that its arguments take, whose fields are easily written in their place, and, of
    arguments that it does not have, what to do.

    >>> @arguments(bar="Only kk.g takes bars.")
    ... def f(near, far=1):
    ...     return near + far
    >>> f(1, fra=2)
    Traceback (most recent call last):
    kernelkit.errors.UsageError: kk.f: found the argument fra, wanted one of near, far. Did you mean far?
    """

    def decorate(called: Called) -> Called:
        own: Any = vars(called)["__init__"] if isinstance(called, type) else called

        @functools.wraps(own)
        def call(*args: Any, **named: Any) -> Any:
            try:
                return own(*args, **named)
            except TypeError as error:
                if error.__traceback__ is None or error.__traceback__.tb_next is not None:  # it was called
                    raise
                raise UsageError(misfit(called, own, args, named, known)) from None

        if not isinstance(called, type):
            return call  # type: ignore[return-value]
        called.__init__ = call  # type: ignore[misc]
        return called

    return decorate


def misfit(called: Any, own: Any, args: Sequence[Any], named: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    """What does not fit of the arguments ``args`` and ``named`` that the public ``called`` was given.

    ``own`` has its signature, ``known`` are those of `arguments`.
    """
    every = inspect.signature(own).parameters
    takes = {n: p for n, p in every.items() if n != "self" and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    any_name = any(p.kind is p.VAR_KEYWORD for p in every.values())
    what, each = _public(called), ", ".join(takes)
    in_order = [n for n, p in takes.items() if p.kind is not p.KEYWORD_ONLY]
    placed = in_order[: len(args) - isinstance(called, type)]
    for name in (n for n in named if n not in takes and not any_name):
        fix = f"help({what}) says what each is for."
        if near := difflib.get_close_matches(name, takes, 1):
            fix = f"Did you mean {near[0]}?"
        for other, kind in known.items():
            if name in getattr(kind, "__dataclass_fields__", ()):
                fix = f"Write {other}=kk.{kind.__name__}({name}=...)."
        return message(what, f"the argument {name}", f"one of {each}", str(known.get(name, fix)))
    for name in placed:
        if name in named:
            return message(what, f"{name} twice", "it once", f"Its arguments are, in order, {', '.join(in_order)}.")
    for name, p in takes.items():
        if p.default is p.empty and name not in (*placed, *named):
            return message(what, f"no {name}", f"{name}=", f"It takes {each}.")
    wanted = f"at most {len(in_order)}: {', '.join(in_order)}"
    return message(what, "too many arguments without a name", wanted, f"Name the others: it takes {each}.")


def _public(called: Any) -> str:
    """How a function or class is called by who imports ``kernelkit as kk``."""
    name, path = called.__name__, f"{called.__module__.removeprefix('kernelkit.')}."
    whole: Any = sys.modules["kernelkit"]
    if path.startswith(f"{whole._PUBLIC.get(name, '?')}."):
        return f"kk.{name}"
    home = next((short for short, module in whole._MODULES.items() if path.startswith(f"{module}.")), None)
    return name if home is None else f"kk.{name}" if home == "errors" else f"kk.{home}.{name}"


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
