"""Delete a run with all that it left."""

from __future__ import annotations

import contextlib
import secrets
import shutil
from pathlib import Path

from kernelkit.batch._process import exclusive
from kernelkit.batch.runs import FILE, LIVE, now, stored_or_explained
from kernelkit.errors import RunError

_AWAY = ".deleted-"


def delete(folder: Path) -> None:
    """Delete the run in `folder`; RunError where it is queued or running, or the folder is none of a run.

    It is moved out of the list first, in one step: what a kill leaves of it is nowhere shown, and goes with the next.
    """
    if folder.is_symlink():
        raise RunError(f"{folder.name} is a link to another folder; delete it where it is")
    if not (folder / FILE).is_file():
        raise RunError(f"{folder}: no {FILE} here, so it is not the folder of a run; remove it yourself")
    away = folder.with_name(f"{_AWAY}{folder.name}-{secrets.token_hex(4)}")
    try:
        with exclusive(folder):
            run = now(stored_or_explained(folder / FILE))
            if run.status in LIVE:
                raise RunError(f"{run.id} is {run.status}; cancel it first")
            folder.rename(away)
        for left in folder.parent.glob(f"{_AWAY}*"):
            # another deletion may be at it too
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(left)
    except OSError as error:
        raise RunError(f"{folder} cannot be deleted: {error.strerror}: {error.filename}") from error
