"""What a form asks for: the body of a request, checked, and the template that it means."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kernelkit.batch import template
from kernelkit.errors import UsageError, message

_KINDS: dict[str, Any] = {
    "template": str,
    "values": dict,
    "name": str | None,
    "path": str,
    "hide_code": bool,
    "force": bool,
    "cluster": str | None,
}
_DEFAULTS: dict[str, Any] = {
    "values": {},
    "name": None,
    "path": "",
    "hide_code": False,
    "force": False,
    "cluster": None,
}


def asked(content: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    """What `content` says of `keys`, or their defaults; UsageError for another key, or another kind of value.

    >>> asked({"values": {"n": "3"}}, "values", "force")
    {'values': {'n': '3'}, 'force': False}
    """
    for key in content:
        if key not in keys:
            raise UsageError(message("request", f"the key {key!r}", f"one of {', '.join(keys)}", "Leave it out."))
    found = {key: content.get(key, _DEFAULTS.get(key)) for key in keys}
    for key, value in found.items():
        if not isinstance(value, _KINDS[key]):
            wanted = getattr(_KINDS[key], "__name__", str(_KINDS[key]))
            raise UsageError(message(f"{key} of the request", type(value).__name__, wanted, "Send that."))
    if strange := [name for name, text in found.get("values", {}).items() if not isinstance(text, str)]:
        raise UsageError(message(f"value of {strange[0]}", "no text", "the text that is typed for it", "Send that."))
    return found


def read(name: str, root: Path) -> template.Template:
    """The template `name`, or the notebook `name`, a path below `root`; UsageError where there is none."""
    known = template.templates()
    if name in known:
        return template.read(known[name])
    path = _below(name, root)
    if path is None or path.suffix != ".ipynb" or not path.is_file():
        raise UsageError(f"there is no template {name!r}; templates: {', '.join(sorted(known))}")
    return template.read(path)


def folder(path: str, root: Path) -> Path:
    """The folder `path` below `root`; UsageError where there is none."""
    found = _below(path, root)
    if found is None or not found.is_dir():
        raise UsageError(f"there is no folder {path!r} below {root}")
    return found


def _below(path: str, root: Path) -> Path | None:
    """What there is at `path` below `root`; None where nothing is, or no file system has such a name."""
    try:
        found = (root / path).resolve(strict=True)
    except (OSError, RuntimeError, ValueError):  # RuntimeError: links in a circle
        return None
    return found if found.is_relative_to(root) else None
