"""Words that a person ties to a run: `tags.json` beside its record, which its process writes over as it likes."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from kernelkit.errors import RunError, UsageError, message
from kernelkit.files import write_atomic

FILE = "tags.json"
MOST = 20
# One word, as a search for it is one; halves of a pair of surrogates are no letters.
_TAG = re.compile(r"[^\s,\x00-\x1f\ud800-\udfff]{1,40}\Z")


def read_tags(folder: Path) -> tuple[str, ...]:
    """The tags of the run in `folder`; RunError where their file is none."""
    file = folder / FILE
    try:
        return checked(json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return ()
    except (OSError, RecursionError, ValueError) as error:
        raise RunError(f"{file}: not a list of tags ({error}); remove it or tag the run again") from None


def write_tags(folder: Path, tags: object) -> tuple[str, ...]:
    """Give the run in `folder` these `tags` instead of those it has; UsageError where they are none."""
    wanted = checked(tags)
    write_atomic(folder / FILE, json.dumps(wanted, ensure_ascii=False).encode())
    return wanted


def checked(tags: object) -> tuple[str, ...]:
    """`tags` each once; UsageError where they are not at most `MOST` words of at most 40 letters.

    >>> checked(["spx", "final", "spx"])
    ('spx', 'final')
    """
    word = "one word of at most 40 letters, without commas"
    wanted = f"a list of at most {MOST} words"
    if not isinstance(tags, Sequence) or isinstance(tags, str):
        raise UsageError(message("tags", type(tags).__name__, wanted, 'Write ["spx", "final"].'))
    wrong = [tag for tag in tags if not (isinstance(tag, str) and _TAG.match(tag))]
    if wrong:
        raise UsageError(message("a tag", repr(wrong[0])[:80], word, "Write walk-forward for two of them."))
    if len(tags) > MOST:
        raise UsageError(message("tags", f"{len(tags)} of them", wanted, "Leave some out."))
    return tuple(dict.fromkeys(tags))
