"""YAML as a person expects it: numbers, true, false, null, and everything else text.

That is the core schema of YAML 1.2. Version 1.1, which pyyaml reads by itself, takes an unquoted 5:50:5 for the number
21005 (base 60), 010 for 8, no for false and 2020-01-01 for a date.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

from kernelkit.errors import UsageError

_INT = re.compile(r"[-+]?[0-9]+\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_BOOL = re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z")
_NULL = re.compile(r"(?:~|null|Null|NULL|)\Z")


def load(path: str | Path) -> Any:
    """What the file `path` holds; keys are text and stand once. UsageError names the line of what is wrong."""
    import yaml

    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {getattr(error, 'strerror', None) or error}; wanted a file of YAML") from None
    try:
        return yaml.load(text, _loader())
    except yaml.MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UsageError(f"{path}: {error.problem}{line}") from None
    except RecursionError:
        raise UsageError(f"{path}: lists within lists, too deep to be read") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{path}: not YAML: {str(error).partition(chr(10))[0]}") from None


@functools.cache
def _loader() -> Any:
    import yaml

    # its own table of what plain text may be, and not the one that it would share with pyyaml's loaders
    loader: Any = type("Loader", (yaml.SafeLoader,), {"yaml_implicit_resolvers": {}})

    def number(kind: type) -> Any:
        return lambda own, node: kind(own.construct_scalar(node))

    def mapping(own: Any, node: Any) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = own.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is no text", key_node.start_mark)
            if key in found:
                raise yaml.constructor.ConstructorError(None, None, f"{key} stands there twice", key_node.start_mark)
            found[key] = own.construct_object(value_node, deep=True)
        return found

    for name, pattern, first in (
        ("bool", _BOOL, "tTfF"),
        ("int", _INT, "-+0123456789"),
        ("float", _FLOAT, "-+.0123456789"),
        ("null", _NULL, ["~", "n", "N", ""]),
    ):
        loader.add_implicit_resolver(f"tag:yaml.org,2002:{name}", pattern, list(first))
    loader.add_constructor("tag:yaml.org,2002:int", number(int))
    loader.add_constructor("tag:yaml.org,2002:float", number(float))
    loader.add_constructor("tag:yaml.org,2002:map", mapping)
    return loader
