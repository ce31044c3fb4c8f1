"""From a template and parameters to the runs that they ask for: values, names, folders."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kernelkit.batch import provenance
from kernelkit.batch.absent import check_files
from kernelkit.batch.notify import addresses
from kernelkit.batch.parameters import bind
from kernelkit.batch.scheduler import checked
from kernelkit.batch.template import Template, read, templates
from kernelkit.errors import UsageError
from kernelkit.files import canonical_json, is_file

# A folder name on every system.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}\Z")


@dataclass(frozen=True, slots=True)
class Job:
    """One run to make: what to execute, with which values, in which folder; plain data, so that it can travel.

    It is made in `place`, where its files count from.
    """

    template: Template
    values: Mapping[str, Any]
    id: str
    name: str
    folder: Path
    force: bool = False
    hide_code: bool = False
    cluster: str | None = None
    place: Path = field(default_factory=Path.cwd)
    notify: tuple[str, ...] = ()

    @property
    def parameters(self) -> dict[str, Any]:
        """All parameters of the notebook: its defaults, and this job's values over them."""
        return {**{parameter.name: parameter.default for parameter in self.template.parameters}, **self.values}

    @property
    def origin(self) -> dict[str, Any]:
        """What it is made from, for its record; a notebook by its path, a template of the package by its name."""
        shipped = templates().get(self.template.name) == self.template.path
        return {
            "notebook": self.template.name if shipped else str(self.template.path),
            "folder": str(self.place),
            "values": {name: repr(value) for name, value in self.values.items()},
            "cluster": self.cluster,
            "hide_code": self.hide_code,
            "notify": list(self.notify),
        }


def plan(  # noqa: PLR0913  its settings are keywords
    template: str | Path,
    parameters: Mapping[str, object],
    out: str | Path,
    *,
    name: str | None = None,
    force: bool = False,
    hide_code: bool = False,
    cluster: str | None = None,
    place: Path | None = None,
    notify: Sequence[str] = (),
) -> list[Job]:
    """The runs that `parameters` ask of `template`, checked and named; nothing is written.

    They are made in `place`, the current folder without it; UsageError where a file that they name is not there, and
    for a `cluster` that may be no scheduler's. `notify` are the names of those who are told when a run has ended;
    UsageError for one without an address. A run's id is its name and a hash of what the template's cells say, all
    parameters, the files of code that these name, and the versions; not where it is run.
    """
    found = read(template)
    addresses(notify)
    if cluster is not None:
        checked(cluster)
    name = name_of_runs(found) if name is None else name
    if not _NAME.match(name):
        raise UsageError(
            f"the name {name!r} is none for a folder; wanted letters, digits, '.', '_', '-', at most 80 of them"
        )
    versions, place = provenance.versions(), place or Path.cwd()
    points = bind(found.parameters, parameters, found.path.name)
    check_files(found.parameters, points, place, place / out)
    return [
        named(Job(found, values, "", name, Path(out), force, hide_code, cluster, place, tuple(notify)), versions)
        for values in points
    ]


def name_of_runs(template: Template) -> str:
    """What its runs are called unless somebody says otherwise."""
    # "Grid search (2)" becomes Grid-search-2
    return re.sub(r"[^A-Za-z0-9._-]+", "-", template.name).strip("-._")[:80] or "run"


def named(job: Job, versions: Mapping[str, str]) -> Job:
    """`job`, whose folder is that of the runs, with the id that its content gives it, and the folder of that name."""
    said = [job.template.digest, as_json(job.parameters), versions, *named_files(job.parameters.values(), job.place)]
    run_id = f"{job.name}-{hashlib.sha256(canonical_json(said)).hexdigest()[:10]}"
    return dataclasses.replace(job, id=run_id, folder=job.folder / run_id)


def as_json(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """`parameters` as a record can hold them: what JSON has not (a set, bytes, NaN) becomes its Python spelling.

    >>> as_json({"n": 3, "only": {1}})
    {'n': 3, 'only': '{1}'}
    """
    return {name: value if _is_json(value) else repr(value) for name, value in parameters.items()}


def _is_json(value: object) -> bool:
    try:
        canonical_json(value)
    except (TypeError, ValueError):
        return False
    return True


def named_files(values: Iterable[Any], place: Path) -> list[str]:
    """Hashes of what values name: files ``trend.py``, ``notes.ipynb:trend``, also as words of text, bars ``own.zarr``.

    They count from `place`. Bars are told by their digest, which stands in the ``zarr.json`` of their folder.
    """
    words = [word for value in values if isinstance(value, str) for word in (value, *re.split(r"[\s;]+", value))]
    paths = [place / word.partition(":")[0] for word in dict.fromkeys(words)]
    paths = [path / "zarr.json" if path.suffix == ".zarr" else path for path in paths]
    files = [path for path in paths if path.suffix in (".py", ".ipynb", ".json") and is_file(path)]
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
