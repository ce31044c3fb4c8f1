"""The form of a template: its fields, and what becomes of the texts that are typed into them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kernelkit.batch.absent import faults
from kernelkit.batch.parameters import Parameter, bind, typed
from kernelkit.batch.template import Template
from kernelkit.errors import UsageError

# The parameters of templates whose values are names, and where these are listed: see `choices`.
LISTED = {"data": "data", "strategy": "strategies"}


def fields(template: Template) -> list[dict[str, Any]]:
    """A field for each parameter, as JSON.

    Its `name`, `kind`, `help` and `group`; its `default`, as Python text where JSON has not its like; `text`, which is
    the default as one types it, None where it cannot be typed; `choices`, which is the list of names that fit.
    """
    return [
        {
            "name": parameter.name,
            "default": plain(parameter.default),
            "kind": parameter.kind,
            "help": parameter.help,
            "group": parameter.group,
            "text": typed(parameter),
            "choices": LISTED.get(parameter.name) if parameter.kind == "str" else None,
        }
        for parameter in template.parameters
    ]


def plain(default: object) -> object:
    """`default` as JSON, as Python text where JSON has not its like."""
    try:
        same = json.loads(json.dumps(default, allow_nan=False)) == default
    except (TypeError, ValueError):
        same = False
    return default if same else repr(default)


@dataclass(frozen=True, slots=True)
class Checked:
    """What `check` found: the runs that are asked for, the axes that make them many, and a sentence for each fault.

    `errors` are those of fields, `error` is that of all fields together.
    """

    runs: list[dict[str, Any]]
    axes: dict[str, tuple[Any, ...]]
    errors: dict[str, str]
    error: str | None

    def refuse(self) -> None:
        """UsageError, in one line, where anything is wrong."""
        wrong = [*self.errors.values(), *([self.error] if self.error else [])]
        if wrong:
            raise UsageError("; ".join(wrong))


def check(template: Template, texts: Mapping[str, str], root: Path, without: Path) -> Checked:
    """Read `texts`, by the names of parameters, as `kernelkit run -p` does; every fault is found, not the first alone.

    Files count from `root`, where those of runs lie in the folder `without`.

    >>> from pathlib import Path
    >>> from kernelkit.batch.parameters import declared
    >>> given = Template("t", Path("t.ipynb"), declared("fast = 20; slow = 100"), "T", "")
    >>> found = check(given, {"fast": "5:15:5", "slow": "1o0"}, Path(), Path("runs"))
    >>> found.axes, found.errors
    ({'fast': (5, 10, 15)}, {'slow': "slow: '1o0' is not an int; the notebook's default is 100"})
    """
    read, wrong = dict[str, tuple[Any, ...]](), dict[str, str]()
    for name, text in texts.items():
        try:
            read[name] = _values(template.parameters, name, text, template.path.name)
        except UsageError as error:
            wrong[name] = str(error)
    axes = {name: values for name, values in read.items() if len(values) > 1}
    if errors := {**faults(template.parameters, read, root, without), **wrong}:
        return Checked([], axes, errors, None)
    try:
        return Checked(bind(template.parameters, texts, template.path.name), axes, {}, None)
    except UsageError as error:
        return Checked([], axes, {}, str(error))


def _values(parameters: tuple[Parameter, ...], name: str, text: str, source: str) -> tuple[Any, ...]:
    return tuple(values[name] for values in bind(parameters, {name: text}, source))
