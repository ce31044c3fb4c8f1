"""A batch file: the runs of templates by strategies by data by parameters, planned as `kernelkit run` plans them."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kernelkit.batch import yaml_core
from kernelkit.batch.parameters import MAX_RUNS, bind
from kernelkit.batch.plan import Job, plan
from kernelkit.batch.template import find
from kernelkit.errors import UsageError, message

_KINDS: dict[str, Any] = {
    "template": str | list,
    "name": str,
    "parameters": dict,
    "matrix": list,
    "exclude": list,
    "out": str,
    "jobs": int,
    "cluster": str,
    "hide_code": bool,
    "notify": str | list,
}
_SPELT: dict[Any, str] = {
    str | list: "a text or a list of texts",
    str: "a text",
    dict: "names with values",
    list: "a list of names with values",
    int: "a whole number from 1",
    bool: "true or false",
}


def read_batch(path: str | Path) -> dict[str, Any]:
    """What a batch file says; UsageError for a key that there is not, and for a value of another kind."""
    said = yaml_core.load(path)
    if not isinstance(said, dict):
        found = "nothing" if said is None else type(said).__name__
        raise UsageError(message(f"{path}", found, f"keys of {', '.join(_KINDS)}", "Begin with template: NAME."))
    for key, value in said.items():
        if key not in _KINDS:
            close = difflib.get_close_matches(key, _KINDS, 1)
            fix = f"Did you mean {close[0]}?" if close else "What a notebook takes stands below parameters."
            raise UsageError(message(f"{path}", f"the key {key}", f"one of {', '.join(_KINDS)}", fix))
        kind = _KINDS[key]
        if not isinstance(value, kind) or (kind is int and (isinstance(value, bool) or value < 1)) or value in ("", []):
            raise UsageError(message(f"{key} of {path}", repr(value), _SPELT[kind], "Leave it out for the default."))
    for key in ("matrix", "exclude"):
        for number, entry in enumerate(said.get(key, ()), 1):
            if not isinstance(entry, dict) or not entry:
                fix = "Write - {strategy: sma_cross, data: sp500_index}."
                raise UsageError(message(f"{key} {number} of {path}", repr(entry), "names with values", fix))
    return said


def plan_batch(
    said: Mapping[str, Any],
    source: str,
    *,
    out: str | Path | None = None,
    cluster: str | None = None,
    force: bool = False,
    notify: Sequence[str] = (),
) -> list[Job]:
    """The runs that `said`, as `read_batch` gives it, asks for, in its order; `source` is the file that errors name.

    ``out``, ``cluster`` and ``notify`` take the place of the file's. UsageError as of `plan`, and where two entries ask
    for the same run, or one of ``exclude`` leaves out nothing, or there are more than `MAX_RUNS`.
    """
    options: dict[str, Any] = {
        "name": said.get("name"),
        "hide_code": said.get("hide_code", False),
        "cluster": cluster or said.get("cluster"),
        "force": force,
        "notify": notify or _listed(said.get("notify", [])),
    }
    planned: list[Job] = []
    by_id: dict[str, str] = {}
    for number, entry in enumerate(said.get("matrix", [{}]), 1):
        where = f"matrix {number} of {source}" if said.get("matrix") else source
        named = {**said.get("parameters", {}), **entry}
        for template in _templates(named.pop("template", said.get("template")), where):
            with _at(where):
                found = plan(template, named, out or said.get("out", "runs"), **options)
            for job in found:
                if job.id in by_id:
                    fix = "Take one of them out."
                    raise UsageError(message(where, f"{job.id} again, after {by_id[job.id]}", "each run once", fix))
                by_id[job.id] = where
                planned.append(job)
        if len(planned) > MAX_RUNS:
            raise UsageError(message(source, f"more than {MAX_RUNS:,} runs", "fewer", "Let the notebooks sweep."))
    for number, entry in enumerate(said.get("exclude", ()), 1):
        planned = _without(planned, entry, f"exclude {number} of {source}")
    if not planned:
        raise UsageError(message(source, "no run that exclude leaves", "one", "Take an entry out of exclude."))
    return planned


def _listed(given: Any) -> list[str]:
    return [str(one) for one in given] if isinstance(given, list) else [given]


def _templates(given: object, where: str) -> list[str]:
    found: list[Any] = given if isinstance(given, list) else [given]
    if not found or not all(isinstance(one, str) and one for one in found):
        wanted = "a template's name, an .ipynb file, or a list of them"
        raise UsageError(message(f"template of {where}", repr(given), wanted, "Write template: walk_forward."))
    return found


@contextlib.contextmanager
def _at(where: str) -> Iterator[None]:
    """Put the place in the file before what is wrong."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None


def _without(planned: list[Job], entry: Mapping[str, Any], where: str) -> list[Job]:
    """Those of `planned` that `entry` does not fit."""
    values = {name: value for name, value in entry.items() if name != "template"}
    among = planned
    if "template" in entry:
        with _at(where):
            paths = {find(one) for one in _templates(entry["template"], where)}
        among = [job for job in planned if job.template.path in paths]
    known = {parameter.name for job in among for parameter in job.template.parameters}
    for name in values:
        if among and name not in known:
            close = difflib.get_close_matches(name, known, 1)
            fix = f"Did you mean {close[0]}?" if close else "Take it out."
            raise UsageError(message(where, f"the parameter {name}", f"one of {', '.join(sorted(known))}", fix))
    gone = {job.id for job in among if _fits(job, values, where)}
    if not gone:
        fix = "Look at the runs with --dry-run, and write one of their values."
        raise UsageError(message(where, "no run that it fits", "at least one", fix))
    return [job for job in planned if job.id not in gone]


def _fits(job: Job, values: Mapping[str, Any], where: str) -> bool:
    if not set(values) <= set(job.parameters):
        return False
    with _at(where):
        points = bind(job.template.parameters, values, job.template.path.name)
    return any(all(job.parameters[name] == value for name, value in point.items()) for point in points)
