"""`watch`: the progress of whatever runs in a `with` block, as a widget that can stop it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from html import escape
from typing import ClassVar

import traitlets

from kernelkit.batch.context import run_dir
from kernelkit.errors import arguments
from kernelkit.notebook.live import progress_in_cell, text
from kernelkit.notebook.widgets.base import Widget
from kernelkit.progress import Progress, listen
from kernelkit.report import words

KEPT = 200  # points of the line of the best so far


@arguments()
def watch() -> AbstractContextManager[None]:
    """Show what runs inside the `with` block: trials done, time left, speed, the best so far, what failed, CPU, memory.

    Its button interrupts the kernel, which keeps the trials that are done; where a front end lends a widget no
    interrupt (JupyterLab and Notebook 7 do), the widget says to use the front end's own. In a batch run there is nobody
    to press it: the line of progress is displayed, which `kernelkit run` and Lab's list of runs read.

    >>> import kernelkit as kk
    >>> with watch():
    ...     pass
    """
    return progress_in_cell() if run_dir() is not None or not _in_notebook() else _displayed()


@contextmanager
def _displayed() -> Iterator[None]:
    from IPython.display import display

    shown = Watch()
    display(shown)  # type: ignore[no-untyped-call]
    with shown.following():
        yield


def _in_notebook() -> bool:
    """Whether cells run here, rather than a script or a terminal."""
    from IPython import get_ipython

    return hasattr(get_ipython(), "kernel")


class Watch(Widget):
    """The latest event of progress, and a button (`watch`)."""

    _name: ClassVar[str] = "watch"

    event = traitlets.Dict().tag(sync=True)  # as `Progress.to_json`, with texts of what the browser shows
    status = traitlets.Unicode("waiting").tag(sync=True)  # waiting, running, stopped, failed, done
    best: traitlets.List[list[float]] = traitlets.List().tag(sync=True)  # pairs of trials done and the best by then

    def __init__(self) -> None:
        self._lock = threading.Lock()
        super().__init__()

    @contextmanager
    def following(self) -> Iterator[None]:
        """Show events of what runs inside, and how it ends."""
        self.status = "running"
        try:
            with listen(self.take):
                yield
        except KeyboardInterrupt:
            self.status = "stopped"
            raise
        except BaseException:
            self.status = "failed"
            raise
        # else an interrupt ended it, of which only what was done is kept
        over = self.event.get("done") == self.event.get("total")
        self.status = "done" if over else "stopped"

    def take(self, event: Progress) -> None:
        """Show an event, from any thread."""
        with self._lock:
            other = self.event.get("label") != event.label or event.done < self.event.get("done", 0)
            known = [] if other else list(self.best)
            if event.best is not None:
                known.append([event.done, event.best])
            if len(known) > KEPT:  # every other one, and the last
                known = [*known[:-1:2], known[-1]]
            self.best = known
            metric = (event.metric or "").removeprefix("-")
            sign = 1.0 if event.metric == metric else -1.0
            best = "" if event.best is None else words.number(metric, sign * event.best)
            self.event = event.to_json() | {"best_text": best, "metric_text": words.label(metric), "text": text(event)}

    def fallback(self) -> str:
        """The latest line."""
        return f"<p>{escape(self.event.get('text', 'Nothing has run yet.'))}</p>"
