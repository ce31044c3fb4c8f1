"""How the blocks of a bootstrap are drawn (I5): what `kernels.resample` needs to know."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from kernelkit.errors import UsageError, message

Scheme = Literal["stationary", "circular", "moving", "iid"]

SMALLEST = 2.0**-53  # of the draws of `rng.uniform`
GUIDE = 1024


class Plan(NamedTuple):
    """How `kernels.resample` is to lay the blocks of replications of `n` samples."""

    n: int
    length: int
    starts: int
    low: int
    high: int
    tail: np.ndarray
    guide: np.ndarray

    def arguments(self) -> tuple[Any, ...]:
        """Itself and room to work in, which no two threads may share."""
        from kernelkit.kernels.resample import BATCH

        return (*self, np.empty((2, BATCH)), np.empty((2, self.n), np.int64))


def blocks_plan(what: str, n: int, replications: int, length: float, scheme: str, seed: int) -> Plan:
    """The plan of these settings of `what`; raises UsageError for what the scheme cannot have.

    >>> blocks_plan("help", 5, 1, 2.0, "stationary", 7).tail
    array([1.    , 0.5   , 0.25  , 0.125 , 0.0625])
    """
    fix = f"See help(kk.inference.{what})."
    if scheme not in get_args(Scheme):
        wanted = f"one of {', '.join(map(repr, get_args(Scheme)))}"
        raise UsageError(message(f"{what}: scheme", repr(scheme), wanted, fix))
    if n < 1 or replications < 1:
        raise UsageError(message(f"{what}: n and replications", (n, replications), "at least 1 of each", fix))
    whole = length == int(length) if math.isfinite(length) else False
    fits = 1.0 <= length <= n and (whole or scheme == "stationary") and (length == 1 or scheme != "iid")
    if not fits:
        wanted = {"stationary": f"1 to {n}", "iid": "1"}.get(scheme, f"a whole number from 1 to {n}")
        raise UsageError(message(f"{what}: length", length, wanted, fix))
    if not 0 <= seed < 2**64:
        raise UsageError(message(f"{what}: seed", seed, "at least 0 and below 2^64", fix))
    geometric = scheme == "stationary"
    tail = np.cumprod(np.append(1.0, np.full(n - 1 if geometric else 0, 1.0 - 1.0 / length)))
    tail = tail[tail >= SMALLEST]
    guide = np.searchsorted(-tail, -np.arange(1.0, GUIDE + 1.0) / GUIDE, side="right")
    size = 0 if geometric else int(length)
    starts = n - size + 1 if scheme == "moving" else n
    return Plan(n, size, starts, seed & 0xFFFFFFFF, seed >> 32, tail, guide)
