"""Paths of the history itself: its bars in blocks, drawn anew."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from kernelkit.inference.block_length import block_length
from kernelkit.inference.draws import PIECE, Blocks, Plan, block_indices, blocks_plan
from kernelkit.paths.model import Draws, Float64s, Model, Moves, log_returns, steps_a_year

if TYPE_CHECKING:
    import xarray as xr

ROWS = ("gap", "up", "down", "move", "volume")
TABLE = 2**23  # numbers in the table of blocks at most: 64 MB


@dataclass(frozen=True)
class Bootstrap(Model):
    """Bars of a history in blocks of `length`, with the draws of I5 by ``scheme`` (G10); made by `fit`.

    A bar keeps its gap from the close before it, its shape and its volume. ``history`` (row, bar) has log gap, high
    and low over the open, close over the close before, and the volume.

    >>> import kernelkit as kk
    >>> Bootstrap.fit(kk.data.load("sp500_index"), length=20)
    Bootstrap(length=20, scheme='stationary', periods=252.0)
    """

    history: Float64s = field(repr=False, compare=False)
    length: float
    scheme: Blocks = "stationary"
    periods: float = 252.0

    def __post_init__(self) -> None:
        self.plan(self.history.shape[1], 0)

    @classmethod
    def fit(cls, bars: xr.Dataset, *, length: float | None = None, scheme: Blocks = "stationary") -> Bootstrap:
        """The bars that exist from the second on; ``length`` is that of I10 for squared returns where none is given.

        Squared returns remember longer than returns: blocks that keep them keep how volatility comes in clusters.
        """
        x = log_returns(bars, "Bootstrap.fit")
        there = bars["valid"].values[:, 0]
        o, h, low, c, v = (bars[k].values[there, 0] for k in ("open", "high", "low", "close", "volume"))
        rows = [np.log(o[1:] / c[:-1]), np.log(h[1:] / o[1:]), np.log(low[1:] / o[1:]), x, v[1:]]
        if length is None:
            found = float(block_length((x - x.mean()) ** 2, scheme="stationary" if scheme == "stationary" else "circular"))
            length = 1.0 if scheme == "iid" else found if scheme == "stationary" else float(math.ceil(found))
        return cls(np.array(rows), length, scheme, steps_a_year(bars))

    def plan(self, n: int, seed: int) -> Plan:
        """How the blocks of `n` steps are laid over the history."""
        return blocks_plan("block_counts", self.history.shape[1], self.length, self.scheme, seed)._replace(n=n)

    def begin(self, many: int) -> Float64s:
        """No memory."""
        return np.empty((0, many))

    def advance(self, draws: Draws, step: int, carry: Float64s, moves: Moves) -> None:
        """Blocks are laid path by path: `summaries` and `log_bars` take their place."""
        raise NotImplementedError

    def summaries(self, paths: int, steps: int, seed: int) -> Float64s:
        """What `kernels.walks.summarise` makes of paths, (4, path), from a table of what blocks do."""
        from kernelkit.kernels.compile import kernel  # numba: only those wait for it who ask for this
        from kernelkit.kernels.resample import TABLE_TYPES, WANDER_TYPES

        move = np.ascontiguousarray(self.history[3])
        most = max(1, TABLE // (4 * len(move)))
        table = np.empty((min(most, int(2.0 * self.length).bit_length()), len(move), 4))
        kernel("resample", "tabulate", TABLE_TYPES)(move, table)
        wander, plan, out = kernel("resample", "wander", WANDER_TYPES), self.plan(steps, seed), np.empty((4, paths))
        batch = max(1, PIECE // steps)
        for first in range(0, paths, batch):
            numbers = np.arange(first, min(first + batch, paths))
            some = np.empty((4, len(numbers)))
            wander(numbers, *plan.arguments(), table, some)
            out[:, first : first + batch] = some
        return out

    def log_bars(self, draws: Draws, n: int) -> tuple[Float64s, Float64s | None]:
        """Log prices (open high low close, step, path) of `n` bars that begin at 0, and the volume if there is one."""
        numbers = np.arange(draws.first, draws.first + draws.many)
        how = {"length": self.length, "scheme": self.scheme, "seed": draws.seed}
        places = block_indices(self.history.shape[1], numbers, places=n, **how).T
        gap, up, down, move, volume = (row[places] for row in self.history)
        closes = np.cumsum(move, axis=0)
        opened = closes - move + gap
        out = np.stack([opened, opened + up, opened + down, closes])
        return out, None if np.isnan(self.history[4]).all() else volume
