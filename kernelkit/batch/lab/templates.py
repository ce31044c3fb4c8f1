"""The routes of templates and of the forms of their parameters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tornado.web import authenticated

from kernelkit.batch import template
from kernelkit.batch.lab.handler import Handler
from kernelkit.batch.parameters import Parameter
from kernelkit.errors import UsageError


class TemplatesHandler(Handler):
    """GET /kernelkit/templates: the templates by name."""

    @authenticated
    async def get(self) -> None:
        """Answer {"templates": [{"name", "title"}]}."""
        await self.answer(lambda: {"templates": [_title(path) for _, path in sorted(template.templates().items())]})


class TemplateHandler(Handler):
    """GET /kernelkit/templates/<name>: the form of its parameters."""

    @authenticated
    async def get(self, name: str) -> None:
        """Answer {"name", "title", "parameters": [{"name", "default", "kind", "help"}]}."""
        await self.answer(lambda: _form(name))


def _title(path: Path) -> dict[str, Any]:
    found = template.read(path)
    return {"name": found.name, "title": found.title}


def _form(name: str) -> dict[str, Any]:
    known = template.templates()
    if name not in known:
        raise UsageError(f"there is no template {name!r}; templates: {', '.join(sorted(known))}")
    fields = [_field(parameter) for parameter in template.read(known[name]).parameters]
    return {**_title(known[name]), "parameters": fields}


def _field(parameter: Parameter) -> dict[str, Any]:
    """A parameter as JSON; a default that JSON has not (a tuple, a set, infinity) is given as its Python text."""
    default = parameter.default
    try:
        plain = json.loads(json.dumps(default, allow_nan=False)) == default
    except (TypeError, ValueError):
        plain = False
    return {
        "name": parameter.name,
        "default": default if plain else repr(default),
        "kind": parameter.kind,
        "help": parameter.help,
    }


ROUTES = [
    (r"/kernelkit/templates", TemplatesHandler),
    (r"/kernelkit/templates/([^/]+)", TemplateHandler),
]
