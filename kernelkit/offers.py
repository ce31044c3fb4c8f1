"""What installed packages offer by name: strategies, features, searchers and limits, as entry points."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from kernelkit.errors import UsageError, message

Kind = Literal["strategies", "features", "searchers", "limits"]
_ONE = {"strategies": "strategy", "features": "feature", "searchers": "searcher", "limits": "limits"}


def names(kind: Kind) -> list[str]:
    """The names of the group ``kernelkit.<kind>``.

    >>> names("limits")
    []
    """
    return sorted({point.name for point in _points(kind)})


def load(kind: Kind, name: str, own: Iterable[str] = (), fix: str = "") -> tuple[Any, str]:
    """What a package offers under this name, and the place it is from, for errors.

    Raises UsageError for a name that is neither offered nor one of ``own``, for one that two packages offer, and for a
    package that cannot be imported.

    >>> load("searchers", "annealing", own=["tpe"])
    Traceback (most recent call last):
    kernelkit.errors.UsageError: searcher: found 'annealing', wanted one of tpe. Install the package that offers it.
    """
    found = [point for point in _points(kind) if point.name == name]
    if not found:
        known = sorted({*own, *names(kind)})
        close = difflib.get_close_matches(str(name), known, 1)
        fix = f"Did you mean {close[0]}?" if close else fix or "Install the package that offers it."
        raise UsageError(message(_ONE[kind], repr(name), f"one of {', '.join(known)}" if known else "none", fix))
    if len(found) > 1:
        places = " and ".join(sorted(_place(point) for point in found))
        raise UsageError(
            message(f"{_ONE[kind]} {name!r}", places, "one package that offers it", "Uninstall the other.")
        )
    (point,) = found
    try:
        return point.load(), _place(point)
    except Exception as error:
        fault = f"{type(error).__name__}: {error}"
        fix = "Repair or uninstall the package."
        raise UsageError(message(f"{_ONE[kind]} {name!r}", fault, f"{_place(point)} to import", fix)) from error


def _points(kind: Kind) -> list[EntryPoint]:
    unique = {(point.name, point.value): point for point in entry_points(group=f"kernelkit.{kind}")}
    return list(unique.values())  # a package that is installed twice on the path offers it once


def _place(point: EntryPoint) -> str:
    package = "" if point.dist is None else f" of {point.dist.name}"
    return f"entry point {point.value}{package}"
