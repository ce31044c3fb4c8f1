"""The world as a labelled Dataset of bars: loading, checking, features, storage."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kernelkit.data.actions import AdjustedWarning as AdjustedWarning
    from kernelkit.data.actions import with_actions as with_actions
    from kernelkit.data.catalog import load as load
    from kernelkit.data.catalog import names as names
    from kernelkit.data.contracts import inverse as inverse
    from kernelkit.data.convert import in_currency as in_currency
    from kernelkit.data.extend import append as append
    from kernelkit.data.features import feature as feature
    from kernelkit.data.frames import CalendarWarning as CalendarWarning
    from kernelkit.data.frames import from_pandas as from_pandas
    from kernelkit.data.sessions import in_sessions as in_sessions
    from kernelkit.data.symbols import lean_symbols as lean_symbols
    from kernelkit.data.symbols import symbols_of as symbols_of
    from kernelkit.data.symbols import with_symbols as with_symbols
    from kernelkit.data.universe import with_universe as with_universe
    from kernelkit.data.vintages import vintage as vintage

_HOMES = {
    "AdjustedWarning": "kernelkit.data.actions",
    "CalendarWarning": "kernelkit.data.frames",
    "append": "kernelkit.data.extend",
    "feature": "kernelkit.data.features",
    "from_pandas": "kernelkit.data.frames",
    "in_currency": "kernelkit.data.convert",
    "in_sessions": "kernelkit.data.sessions",
    "inverse": "kernelkit.data.contracts",
    "lean_symbols": "kernelkit.data.symbols",
    "load": "kernelkit.data.catalog",
    "names": "kernelkit.data.catalog",
    "symbols_of": "kernelkit.data.symbols",
    "vintage": "kernelkit.data.vintages",
    "with_actions": "kernelkit.data.actions",
    "with_symbols": "kernelkit.data.symbols",
    "with_universe": "kernelkit.data.universe",
}
_MODULES = ("store", "synthetic")

__all__ = [*_HOMES, *_MODULES]  # noqa: PLE0604


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in _MODULES:
        return import_module(f"kernelkit.data.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
