"""The routes of templates: the forms of their parameters, what typed values ask for, and copies of one's own."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from tornado.web import authenticated

from kernelkit.batch import filled, form, template
from kernelkit.batch.choices import choices
from kernelkit.batch.lab.asked import asked, folder, read
from kernelkit.batch.lab.handler import Handler
from kernelkit.batch.plan import name_of_runs, plan
from kernelkit.errors import UsageError

# What a request with a form is refused with, where it is wrong.
WRONG = 400
# Of more runs, nobody reads which there are already.
_TOLD = 100


class TemplatesHandler(Handler):
    """GET /kernelkit/templates: the templates by name."""

    @authenticated
    async def get(self) -> None:
        """Answer {"templates": [{"name", "title", "about"}]}."""
        await self.answer(
            lambda: {"templates": [_heading(template.read(path)) for _, path in sorted(template.templates().items())]}
        )


class TemplateHandler(Handler):
    """GET /kernelkit/templates/<name>: the form of its parameters."""

    @authenticated
    async def get(self, name: str) -> None:
        """Answer {"name", "title", "about", "runs" (what its runs are called), "parameters": `form.fields`}."""
        await self.answer(lambda: _form(read(name, self.store.root)))


class ChoicesHandler(Handler):
    """GET /kernelkit/choices: the names that fields of strategies and data take."""

    @authenticated
    async def get(self) -> None:
        """Answer {"strategies", "data", "complete"}, see `choices`."""
        await self.answer(lambda: asdict(choices(self.store.root, self.store.folder)))


class CheckHandler(Handler):
    """POST /kernelkit/templates/<name>/check: what these values ask for; nothing is written."""

    @authenticated
    async def post(self, name: str) -> None:
        """Take {"values": {name: text}, "name"}; answer {"runs", "axes", "errors", "error", "known"}.

        How many runs there would be, the values of each axis, a sentence for each field that is wrong, one for all of
        them together, and the records of those, of up to 100, that there are already.
        """
        content = self.body()
        await self.answer(lambda: self._check(name, content), WRONG)

    def _check(self, name: str, content: dict[str, Any]) -> dict[str, Any]:
        said, found, store = asked(content, "values", "name"), read(name, self.store.root), self.store
        checked = form.check(found, said["values"], store.root, store.folder)
        runs, error, known = len(checked.runs), checked.error, list[dict[str, Any]]()
        if 0 < runs <= _TOLD:
            try:
                jobs = plan(found.path, said["values"], store.folder, name=said["name"], place=store.root)
                known = store.describe([job.id for job in jobs])
            except UsageError as wrong:  # the name of the runs
                error = str(wrong)
        axes = {axis: [form.plain(value) for value in values] for axis, values in checked.axes.items()}
        runs = 0 if error else runs
        return {"runs": runs, "axes": axes, "errors": checked.errors, "error": error, "known": known}


class NotebookHandler(Handler):
    """POST /kernelkit/templates/<name>/notebook: a copy of one's own, with these values in it."""

    @authenticated
    async def post(self, name: str) -> None:
        """Take {"values": {name: text}, "path"}, a folder below the root; answer {"path"}, that of the copy."""
        content = self.body()
        await self.answer(lambda: self._write(name, content), WRONG)

    def _write(self, name: str, content: dict[str, Any]) -> dict[str, Any]:
        root = self.store.root
        said, found = asked(content, "values", "path"), read(name, root)
        checked = form.check(found, said["values"], root, self.store.folder)
        checked.refuse()
        if len(checked.runs) > 1:
            raise UsageError(f"these values make {len(checked.runs):,} runs, and a notebook takes one of each")
        path = filled.write(found, checked.runs[0], folder(said["path"], root), root)
        return {"path": path.relative_to(root).as_posix()}


def _heading(found: template.Template) -> dict[str, Any]:
    return {"name": found.name, "title": found.title, "about": found.about}


def _form(found: template.Template) -> dict[str, Any]:
    return {**_heading(found), "runs": name_of_runs(found), "parameters": form.fields(found)}


ROUTES = [
    (r"/kernelkit/choices", ChoicesHandler),
    (r"/kernelkit/templates", TemplatesHandler),
    (r"/kernelkit/templates/([^/]+)", TemplateHandler),
    (r"/kernelkit/templates/([^/]+)/check", CheckHandler),
    (r"/kernelkit/templates/([^/]+)/notebook", NotebookHandler),
]
