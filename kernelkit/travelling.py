"""How strategies and signals are pickled: by name where a module has them, else by value."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any


class Travelling:
    """What a decorator has put in the place of a function: it is pickled as that would be, by name or by value."""

    function: Any  # a field of this type would be taken for a method

    def __reduce__(self) -> tuple[Any, ...]:
        """Where it stands in its module; of a notebook, a script or a local one what it consists of."""
        module, name = self.function.__module__, self.function.__qualname__
        whole = all(hook.function.__module__ == module for hook in getattr(self, "hooks", ()))
        known = whole and module in sys.modules and module != "__main__"
        if known and "<locals>" not in name and named(module, name) is self:
            return named, (module, name)
        import cloudpickle

        parts = {n: None if n == "_memory" else v for n, v in self.__dict__.items()}
        return travelled, (type(self), cloudpickle.dumps(parts))

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """Itself, as a function's is."""
        return self


def named(module: str, name: str) -> Any:
    """What stands under a dotted name in a module, None where nothing does."""
    found: Any = import_module(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def travelled(kind: type[Any], parts: bytes) -> Any:
    """A strategy or signal from what it consists of."""
    import cloudpickle

    made: Any = object.__new__(kind)
    made.__dict__.update(cloudpickle.loads(parts))
    return made
