"""Whether a CUDA device is to run something, and what a result says of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from kernelkit.errors import UsageError, message

Gpu = bool | Literal["auto"]
UNUSED = "not used: "


def choose(
    what: str, gpu: Gpu, obstacle: Callable[[], str], worth: bool, compiled: Callable[[], str] = str
) -> tuple[bool, dict[str, str]]:
    """Whether to run on the device, and the `attrs` that say where it ran and why; none where nobody asked.

    ``obstacle()`` says what a device cannot run of it, "" for nothing; so does ``compiled()``, which takes long and is
    asked last. ``"auto"`` takes the device for what is `worth` it. Raises `UsageError` where `gpu` is True and it
    cannot be done.

    >>> choose("backtest", False, str, True)
    (False, {})
    >>> choose("backtest", "auto", lambda: "a portfolio", True)
    (False, {'gpu': 'not used: a portfolio'})
    """
    if gpu is False:
        return False, {}
    if gpu not in (True, "auto"):
        raise UsageError(message(f"{what}: gpu", repr(gpu), "True, False or 'auto'", "Leave it out for the processor."))
    why = obstacle()
    if not why and gpu == "auto" and not worth:
        why = "too little work for a device"
    if not why:
        from kernelkit.kernels import cuda  # numba: only those wait for it who ask for this

        why = cuda.missing() or compiled()
        if not why:
            return True, {"gpu": cuda.named()}
    if gpu is True:
        wanted = "what a CUDA device can run, and one"
        raise UsageError(message(f"{what}: gpu=True", why, wanted, 'Write gpu="auto" to take the processor then.'))
    return False, {"gpu": f"{UNUSED}{why}"}
