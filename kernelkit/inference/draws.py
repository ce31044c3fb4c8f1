"""How the blocks of a bootstrap are drawn (I5): which samples replications take, how often, and what kernels need."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from kernelkit.errors import UsageError, arguments, message

Blocks = Literal["stationary", "circular", "moving", "iid"]

PIECE = 2**22  # samples a call of the kernel, some 10 ms: an interrupt is answered between two
SMALLEST = 2.0**-53  # of the draws of `rng.uniform`
GUIDE = 1024


def block_indices(
    n: int, paths: NDArray[np.int64], *, length: float, scheme: Blocks, seed: int, places: int | None = None
) -> NDArray[np.int64]:
    """Which of `n` samples stand in the places of each replication of `paths`, int64 (paths, places); draws of I5.

    There are `n` places unless said. A block is no longer than the sample.

    >>> block_indices(5, np.arange(2), length=5, scheme="circular", seed=1)
    array([[4, 0, 1, 2, 3],
           [1, 2, 3, 4, 0]])
    """
    from kernelkit.kernels.resample import TAKE_TYPES

    plan = blocks_plan("block_counts", n, length, scheme, seed)._replace(n=n if places is None else places)
    out = np.empty((len(paths), plan.n), np.int64)
    _run("take", TAKE_TYPES, plan, np.ascontiguousarray(paths), n, out=out)
    return out


@arguments()
def block_counts(
    n: int, replications: int, *, length: float = 1.0, scheme: Blocks = "stationary", seed: int = 0
) -> Any:
    """How often each of `n` samples enters each replication, float64 (replications, n); each row sums to n.

    ``"stationary"``: blocks of geometric length with mean `length` (Politis and Romano, 1994); ``"circular"``: of
    `length`, also round the end (Politis and Romano, 1992); ``"moving"``: of `length`, within the sample (Künsch,
    1989); the last block is cut. ``"iid"``: single samples, `length` is 1. Draws are those of `kernelkit.rng` for this
    seed, the replication and the block (I5): more replications begin with the same ones. Raises `UsageError` for a
    length that the scheme cannot have.

    >>> block_counts(4, 2, length=2, scheme="circular").sum(axis=1)
    array([4., 4.])
    """
    from kernelkit.kernels.resample import COUNT_TYPES

    if replications < 1:
        fix = "See help(kk.inference.block_counts)."
        raise UsageError(message("block_counts: replications", replications, "at least 1", fix))
    plan = blocks_plan("block_counts", n, length, scheme, seed)
    out = np.empty((replications, n))
    _run("count", COUNT_TYPES, plan, np.arange(replications), out=out)
    return out


def _run(name: str, types: str, plan: Plan, paths: NDArray[np.int64], *more: Any, out: np.ndarray) -> None:
    from kernelkit.kernels.compile import kernel  # numba: only those wait for it who ask for this

    compiled = kernel("resample", name, types)
    step = max(1, PIECE // plan.n)
    for first in range(0, len(paths), step):
        compiled(paths[first : first + step], *plan.arguments(), *more, out[first : first + step])


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


def blocks_plan(what: str, n: int, length: float, scheme: str, seed: int) -> Plan:
    """The plan of these settings of `what`; raises UsageError for what the scheme cannot have.

    >>> blocks_plan("help", 5, 2.0, "stationary", 7).tail
    array([1.    , 0.5   , 0.25  , 0.125 , 0.0625])
    """
    fix = f"See help(kk.inference.{what})."
    if scheme not in get_args(Blocks):
        wanted = f"one of {', '.join(map(repr, get_args(Blocks)))}"
        raise UsageError(message(f"{what}: scheme", repr(scheme), wanted, fix))
    if n < 1:
        raise UsageError(message(f"{what}: n", n, "at least 1", fix))
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
