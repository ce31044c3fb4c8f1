"""The verdict's line below a result: what is known at once, then the corrected p-value, when it is there."""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import xarray as xr

PATIENCE_S = 0.25  # a cell that ends so much later shows the whole line at once
WAIT = "KERNELKIT_WAIT"  # where it is set, as where outputs are compared, a cell waits however long it takes


@cache
def _judge() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="verdict")


def tell(res: xr.Dataset) -> Future[str]:
    """Display the verdict on a result in one line, and return it; what takes long follows in its place.

    No cell waits for a large ledger or for the p-value; a batch run does: what it displays is kept as it is when the
    cell ends. So does a terminal: what is printed there cannot be replaced.
    """
    from kernelkit.batch.context import run_dir
    from kernelkit.notebook.live import in_terminal

    shown = Shown()
    line = _judge().submit(shown.judge, res)
    wait_for([line], None if run_dir() is not None or WAIT in os.environ or in_terminal() else PATIENCE_S)
    if line.done():
        shown.end(line)
    shown.open()
    line.add_done_callback(shown.end)
    return line


class Shown:
    """One line of text, and its display once it is open."""

    def __init__(self) -> None:
        self.text, self.lock = "Verdict follows", threading.Lock()
        self.handle: Any = None

    def judge(self, res: xr.Dataset) -> str:
        """Say what is known at once; return the whole line."""
        from kernelkit.inference.verdict import verdict

        found = verdict(res)
        self.say(f"Verdict: its p-value follows; {found.first_line}")
        return found.line

    def say(self, text: str) -> None:
        """Let this be the line, also where it is displayed already."""
        with self.lock:
            changed, self.text = text != self.text, text
            if self.handle is not None and changed:
                self.handle.update(bundle(text), raw=True)

    def open(self) -> None:
        """Display the line."""
        from IPython.display import display

        with self.lock:
            self.handle = display(bundle(self.text), raw=True, display_id=True)  # type: ignore[no-untyped-call]

    def end(self, line: Future[str]) -> None:
        """Say how it ended: what cannot be told here is no reason to lose the result above."""
        error = line.exception()
        self.say(line.result() if error is None else f"Verdict: {type(error).__name__}: {error}")


def bundle(line: str) -> dict[str, str]:
    """The line as displays know it; what is said loudly elsewhere is so here.

    >>> bundle("Verdict: not significant (p = 0.43); 80 trials")["text/html"]
    '<p style="max-width:60rem;margin:0.2rem 0"><b>Verdict: not significant (p = 0.43)</b>; 80 trials</p>'
    """
    word, _, rest = line.partition("; ")
    said = f"<b>{escape(word)}</b>" + (f"; {escape(rest)}" if rest else "")
    return {"text/plain": line, "text/html": f'<p style="max-width:60rem;margin:0.2rem 0">{said}</p>'}
