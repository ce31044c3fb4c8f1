"""How papermill writes values into a notebook, and reads what its parameters cell declares."""

from __future__ import annotations

from typing import Any

from papermill.models import Parameter
from papermill.translators import PythonTranslator, papermill_translators

from kernelkit.batch.parameters import declared

# Under this name papermill finds it; its own stays that of python for everybody else.
LANGUAGE = "kernelkit"


class Literals(PythonTranslator):  # type: ignore[misc]
    """papermill's own makes text of tuples and of keys, and overlooks parameters whose text holds ``=``."""

    @classmethod
    def translate(cls, val: Any) -> str:
        """`val` as Python spells it."""
        if isinstance(val, tuple):
            items = [cls.translate(one) for one in val]
            return f"({', '.join(items)}{',' if len(items) == 1 else ''})"
        return str(super().translate(val))

    @classmethod
    def translate_dict(cls, val: dict[Any, Any]) -> str:
        """`val` with its keys as they are."""
        return f"{{{', '.join(f'{cls.translate(key)}: {cls.translate(one)}' for key, one in val.items())}}}"

    @classmethod
    def inspect(cls, parameters_cell: Any) -> list[Any]:
        """What the cell declares, as `parameters.declared` reads it."""
        return [Parameter(p.name, p.kind, repr(p.default), p.help) for p in declared(parameters_cell["source"])]


papermill_translators.register(LANGUAGE, Literals)
