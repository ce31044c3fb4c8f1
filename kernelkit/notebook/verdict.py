"""The verdict's line below a result: what is known at once, then the corrected p-value, when it is there."""

from __future__ import annotations

import os
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
    """Display the verdict on a result in one line, and return it; the p-value follows in its place if it takes long.

    A batch run waits for it: what it displays is kept as it is when the cell ends.
    """
    from IPython.display import display

    from kernelkit.batch.context import run_dir
    from kernelkit.inference.verdict import verdict

    found = verdict(res)
    line = _judge().submit(lambda: found.line)
    patient = run_dir() is not None or WAIT in os.environ
    wait_for([line], None if patient else PATIENCE_S)
    if line.done():
        display(bundle(line.result()), raw=True)  # type: ignore[no-untyped-call]
        return line
    handle: Any = display(  # type: ignore[no-untyped-call]
        bundle(f"Verdict: its p-value follows; {found.first_line}"), raw=True, display_id=True
    )
    line.add_done_callback(lambda done: handle.update(bundle(_said(done)), raw=True))
    return line


def _said(line: Future[str]) -> str:
    error = line.exception()
    return line.result() if error is None else f"Verdict: {type(error).__name__}: {error}"


def bundle(line: str) -> dict[str, str]:
    """The line as displays know it; what is said loudly elsewhere is so here.

    >>> bundle("Verdict: not significant (p = 0.43); 80 trials")["text/html"]
    '<p style="max-width:60rem;margin:0.2rem 0"><b>Verdict: not significant (p = 0.43)</b>; 80 trials</p>'
    """
    word, _, rest = line.partition("; ")
    said = f"<b>{escape(word)}</b>" + (f"; {escape(rest)}" if rest else "")
    return {"text/plain": line, "text/html": f'<p style="max-width:60rem;margin:0.2rem 0">{said}</p>'}
