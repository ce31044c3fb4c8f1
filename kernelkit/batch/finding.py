"""Which run is meant: a folder, or an id as short as it is clear."""

from __future__ import annotations

import difflib
from pathlib import Path

from kernelkit.batch.runs import FILE, files
from kernelkit.errors import UsageError

# An ambiguous id is answered with this many of those that it may be.
_SHOWN = 5


def root(out: str | Path) -> Path:
    """The folder of runs `out`; UsageError where there is none."""
    if not Path(out).is_dir():
        raise UsageError(f"{out}: there is no such folder; --out is where 'kernelkit run' keeps its runs")
    return Path(out)


def find(given: str, out: str | Path = "runs") -> Path:
    """The folder of the run `given`: a folder, its run.json, or an id of the runs below `out`.

    An id may be cut off where only one begins so, and its hash stand alone: ``walk_forward-1a2b3c4d5e`` is
    ``walk_forward`` and ``1a2b`` too. UsageError says which runs there are.
    """
    path = Path(given)
    if path.name == FILE and path.is_file():
        return path.parent
    if (path / FILE).is_file() and given:
        return path
    folders = {file.parent.name: file.parent for file in files(root(out))}
    if given in folders:
        return folders[given]
    fitting = [name for name in folders if name.startswith(given) or name.rpartition("-")[2].startswith(given)]
    if len(fitting) == 1:
        return folders[fitting[0]]
    if fitting:
        more = f" and {len(fitting) - _SHOWN} more" if len(fitting) > _SHOWN else ""
        raise UsageError(f"{given!r} may be {', '.join(fitting[:_SHOWN])}{more}; write more of the id")
    close = difflib.get_close_matches(given, folders, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"'kernelkit runs --out {out}' lists those that there are"
    raise UsageError(f"there is no run {given!r} below {out}; {hint}")
