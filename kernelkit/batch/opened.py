"""A run as a notebook sees it: what it says of itself, and the results that it has kept, also while it is at work."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from kernelkit.batch import context
from kernelkit.batch.finding import find
from kernelkit.batch.page import number
from kernelkit.batch.runs import Run, headline, read_run
from kernelkit.errors import RunError, UsageError, arguments, message
from kernelkit.report import words

if TYPE_CHECKING:
    import xarray as xr


class Kept(Mapping[str, "xr.Dataset"]):
    """The results of a run by name; each is opened when it is asked for, and read where it is looked at."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __getitem__(self, name: str) -> xr.Dataset:
        return opened(context.kept(self._folder)[name])

    def __iter__(self) -> Iterator[str]:
        return iter(context.kept(self._folder))

    def __len__(self) -> int:
        return len(context.kept(self._folder))

    def __repr__(self) -> str:
        return f"<results: {', '.join(self) or 'none'}>"


def opened(path: Path) -> xr.Dataset:
    """A result that `kk.save` has written; its values are read where they are looked at, without dask."""
    import numpy as np
    import xarray as xr

    found: xr.Dataset = xr.open_zarr(path, consolidated=False, chunks=None)
    texts = [n for n, c in found.coords.items() if c.dtype.kind in "OT"]
    found = found.assign_coords({n: found[n].astype(object).astype(np.str_) for n in texts})
    return found.assign_attrs(params=json.loads(found.attrs["params"]))


class OpenedRun:
    """A run of `kernelkit run`, made by `open_run`; ``refresh`` reads again what it says of itself."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.record = read_run(folder)
        self.results: Mapping[str, xr.Dataset] = Kept(folder)

    def refresh(self) -> OpenedRun:
        """Read the record again; returns itself."""
        self.record = read_run(self.folder)
        return self

    @property
    def id(self) -> str:
        """Its name and hash."""
        return self.record.id

    @property
    def status(self) -> str:
        """``queued``, ``running``, ``done``, ``failed``, ``cancelled``, or ``lost`` where its process is gone."""
        return self.record.status

    @property
    def progress(self) -> float:
        """The part that is done, 0 to 1."""
        return self.record.progress

    @property
    def metrics(self) -> Mapping[str, float | None]:
        """The numbers that stand for it, None for one without a value."""
        return self.record.metrics

    @property
    def notebook(self) -> Path | None:
        """The executed notebook, as far as it has come."""
        return self._file(self.record.notebook)

    @property
    def report(self) -> Path | None:
        """The HTML report; None before the run has ended."""
        return self._file(self.record.report)

    def _file(self, name: str | None) -> Path | None:
        return None if name is None or not (self.folder / name).exists() else self.folder / name

    @property
    def trials(self) -> Mapping[str, xr.Dataset]:
        """What the trials of its studies have come to so far, by what each goes along; NaN where they have not ended.

        ``attrs["partial"]`` says how many have, and ``left_out`` counts those that were asked for again with other data
        or settings. Small studies, which take less than a second, are not among them, nor batches of more than 200,000
        trials, nor points that are listed and no grid.
        """
        from kernelkit.unfinished import so_far

        return so_far(self.folder / context.CACHE)

    @property
    def result(self) -> xr.Dataset:
        """The result that it kept first of all; of an unfinished run the larger of its ``trials`` so far.

        Raises RunError where there is none, and says what to do.
        """
        if context.MAIN in self.results:
            return self.results[context.MAIN]
        if self.status != "done" and (found := self.trials):
            return max(found.values(), key=lambda ds: ds["final_equity"].size)
        fixes = {
            "running": "Wait for it: run.refresh() reads how far it is.",
            "done": "Write context.keep(res) in its notebook, and run it again.",
        }
        fix = fixes.get(self.status, f"kernelkit resume {self.id} goes on with it.")
        none = f"no result of a run that is {self.status}"
        raise RunError(message(self.id, none, "one that its notebook has kept", fix))

    def _repr_html_(self) -> str:
        return card(self.record, list(self.results), self.report)

    def __repr__(self) -> str:
        return " ".join(filter(None, (f"<run {self.id}: {told(self.record)}", headline(self.record, 4)))) + ">"


def told(run: Run) -> str:
    """The state of a run in a few words.

    >>> told(Run(id="a-1", name="a", template="t", progress=0.25, cell=2, cells=8, eta_s=75.4))
    'running, 25%, cell 2 of 8, 75 s left in this cell'
    """
    parts: list[str] = [run.status]
    if run.status != "done":
        parts += [f"{run.progress:.0%}"]
        parts += [f"cell {run.cell} of {run.cells}"] if run.cells else []
    parts += [f"{run.eta_s:.0f} s left in this cell"] if run.status == "running" and run.eta_s is not None else []
    parts += [run.error] if run.error else []
    parts += [f"kernelkit resume {run.id} goes on with it"] if run.status in ("lost", "cancelled") else []
    return ", ".join(parts)


_HEAD = "font-weight:600;font-size:15px"
_TABLE = "border-collapse:collapse;border:none;margin:8px 0;font-size:13px"
_LINE = "margin:2px 0;opacity:.75"
_BAR = "height:4px;border-radius:2px;background:color-mix(in srgb,currentColor 18%,transparent);margin:8px 0"
_DONE = "height:4px;border-radius:2px;background:#3b82f6;width:{:.0%}"
_CELL = "padding:1px 16px 1px 0;text-align:left;border:none;background:none"


def card(run: Run, results: Sequence[str], report: Path | None) -> str:
    """The state of a run as a piece of HTML that stands alone: progress, headline, what can be looked at."""
    rows = [
        f'<tr style="background:none"><td style="{_CELL}">{escape(words.label(name))}</td>'
        f'<td style="{_CELL};text-align:right;padding-right:0">{escape(number(name, value))}</td></tr>'
        for name, value in run.metrics.items()
    ]
    table = (
        f'<table style="border-collapse:collapse;margin:8px 0;font-size:13px">{"".join(rows)}</table>' if rows else ""
    )
    bar = "" if run.status == "done" else f'<div style="{_BAR}"><div style="{_DONE.format(run.progress)}"></div></div>'
    parts = [f"results: {', '.join(results)}" if results else "", f"report: {report}" if report else ""]
    lines = "".join(f'<div style="{_LINE}">{escape(text)}</div>' for text in parts if text)
    head = f'<div style="{_HEAD}">{escape(run.id)}</div><div style="{_LINE}">{escape(told(run))}</div>'
    return f'<div style="max-width:40rem;font-size:13px;line-height:1.5">{head}{bar}{table}{lines}</div>'


@arguments()
def open_run(run: str | os.PathLike[str], out: str | os.PathLike[str] = "runs") -> OpenedRun:
    """Open a run of `kernelkit run`: its results, record, metrics, report and notebook, finished or not.

    ``run`` is a folder, its run.json, or an id of the runs below ``out``, as short as only one begins so. Nothing is
    locked and nothing written: the run goes on meanwhile. Raises UsageError where there is no such run, or several, and
    RunError for a record that cannot be read.

    >>> import tempfile
    >>> from kernelkit.batch.runs import Recorder
    >>> with tempfile.TemporaryDirectory() as out:
    ...     (folder := Path(out) / "trend-1a2b").mkdir()
    ...     with Recorder(folder, Run(id="trend-1a2b", name="trend", template="trend")) as record:
    ...         _ = record.update(metrics={"sharpe_ratio": 0.5})
    ...     open_run("trend", out)
    <run trend-1a2b: done sharpe_ratio=0.5>
    """
    given: object = run
    if not isinstance(given, str | os.PathLike):
        fix = 'Write kk.open_run("walk_forward-1a2b").'
        raise UsageError(message("run", repr(run), "the id of a run, or its folder", fix))
    return OpenedRun(find(os.fspath(run), os.fspath(out)))
