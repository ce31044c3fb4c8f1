"""Functions, classes and objects made anew for each run: what one of them leaves behind, the next does not find."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterable, Mapping
from functools import cached_property, partial
from types import CellType, FunctionType, MethodType, ModuleType
from typing import Any

from kernelkit.audit.closure import NUMBERS, is_renewable, plain
from kernelkit.audit.code import UNSET, attributes_of, contents, imports_of, is_users, names_of
from kernelkit.strategy import Signal


class Renewal:
    """Makes functions anew: containers that they find are as they first were, and ``others`` replace values by id.

    So are the user's classes, objects and modules. A cache that one run fills is thus empty in the next one. Nothing of
    the user's is changed.
    """

    def __init__(self, functions: Iterable[Any], others: Mapping[int, Any]) -> None:
        self.homes = [f.__globals__ for f in map(plain, functions) if f is not None]
        self.made = dict(others)
        self.kept: list[Any] = []  # what the ids are of
        self.builtins = vars(builtins) | {"__import__": self._import}

    def of(self, value: Any) -> Any:
        """The value as a function made anew finds it."""
        if id(value) in self.made:
            return self.made[id(value)]
        self.kept.append(value)
        if hasattr(value, "cache_clear") and plain(value) is not None:
            value = plain(value)
        if isinstance(value, FunctionType):
            return self._function(value)
        if isinstance(value, Signal):
            signal = self.made[id(value)] = object.__new__(type(value))  # copy.copy would find it by its name
            signal.__dict__ = {**value.__dict__, "function": self.of(value.function)}
            return signal
        if isinstance(value, partial):
            return partial(self.of(value.func), *map(self.of, value.args), **self._dict(value.keywords))
        if isinstance(value, MethodType):
            return MethodType(self.of(value.__func__), self.of(value.__self__))
        if isinstance(value, (staticmethod, classmethod)):
            return type(value)(self.of(value.__func__))
        if isinstance(value, property):
            return property(self.of(value.fget), self.of(value.fset), self.of(value.fdel), value.__doc__)
        if isinstance(value, cached_property):
            made = cached_property(self.of(value.func))
            made.attrname = value.attrname
            return made
        if isinstance(value, ModuleType) and is_users(value):
            return self._module(value)
        if is_renewable(value):
            return self._class(value) if isinstance(value, type) else self._object(value)
        return self._container(value)

    def _container(self, value: Any) -> Any:
        if type(value) is dict:
            return self._dict(value)
        if type(value) is list:
            items: list[Any] = []
            self.made[id(value)] = items
            items += map(self.of, value)
            return items
        if type(value) is tuple:
            return tuple(map(self.of, value))
        return set(map(self._key, value)) if type(value) is set else value

    def _dict(self, value: dict[Any, Any]) -> dict[Any, Any]:
        made = self.made[id(value)] = {}
        made |= {self._key(k): self.of(v) for k, v in value.items()}
        return made

    def _key(self, value: Any) -> Any:
        return value if isinstance(value, NUMBERS) else self.of(value)

    def _class(self, value: type) -> type:
        made = self.made[id(value)] = type(value.__name__, tuple(map(self.of, value.__bases__)), {})
        for name, own in vars(value).items():
            if name not in ("__dict__", "__weakref__"):
                setattr(made, name, own if name.startswith("__") and plain(own) is None else self.of(own))
        return made

    def _object(self, value: Any) -> Any:
        made = self.made[id(value)] = object.__new__(self.of(type(value)))
        made.__dict__.update({k: self.of(v) for k, v in vars(value).items()})
        return made

    def _module(self, value: ModuleType) -> ModuleType:
        made = self.made[id(value)] = ModuleType(value.__name__)
        self.kept.append(made)
        self.made[id(vars(value))] = vars(made)
        vars(made).update(vars(value), __builtins__=self.builtins)
        return made

    def _home(self, value: FunctionType) -> dict[str, Any]:
        """The globals of a function's module, made anew."""
        home = value.__globals__
        if id(home) not in self.made:
            module = sys.modules.get(str(home.get("__name__")))
            if isinstance(module, ModuleType) and vars(module) is home:
                self._module(module)
            else:
                self.kept.append(home)
                self.made[id(home)] = home | {"__builtins__": self.builtins}
        made: dict[str, Any] = self.made[id(home)]
        return made

    def _import(self, name: str, *more: Any, **further: Any) -> Any:
        """What the user's own modules are to a function that imports them itself."""
        found = builtins.__import__(name, *more, **further)
        return self.of(found) if is_users(found) else found

    def _function(self, value: FunctionType) -> FunctionType:
        if not (is_users(value) or any(value.__globals__ is home for home in self.homes)):
            return value  # of a package
        code, home = value.__code__, value.__globals__
        cells = tuple(map(self._cell, value.__closure__ or ()))
        made = FunctionType(code, self._home(value), value.__name__, None, cells)
        self.made[id(value)] = made
        made.__qualname__, made.__module__, made.__doc__ = value.__qualname__, value.__module__, value.__doc__
        made.__defaults__ = self.of(value.__defaults__)
        made.__kwdefaults__ = self.of(value.__kwdefaults__)
        made.__dict__.update({k: self.of(v) for k, v in value.__dict__.items()})
        for name in names_of(code) & home.keys():
            made.__globals__[name] = self.of(home[name])
        for new, old in zip(cells, value.__closure__ or (), strict=True):
            if contents(old) is not UNSET:
                new.cell_contents = self.of(old.cell_contents)
        named = [home[name] for name in names_of(code) & home.keys()]
        named += [contents(cell) for cell in value.__closure__ or ()]
        for module in [*imports_of(code, home).values(), *named]:
            if isinstance(module, ModuleType) and is_users(module):
                self._fill(module, attributes_of(code))
        return made

    def _fill(self, module: ModuleType, names: set[str]) -> None:
        """Make anew what a function can mean by these names in a module."""
        made = self.of(module)
        for name in names & vars(module).keys():
            value = vars(module)[name]
            fresh = vars(made).get(name) is value
            vars(made)[name] = self.of(value)
            if isinstance(value, ModuleType) and is_users(value) and fresh:
                self._fill(value, names)

    def _cell(self, cell: CellType) -> CellType:
        if id(cell) not in self.made:
            self.kept.append(cell)
            self.made[id(cell)] = CellType()
        made: CellType = self.made[id(cell)]
        return made
