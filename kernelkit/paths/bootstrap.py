"""Paths of the history itself: its bars in blocks, drawn anew."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kernelkit.errors import DataError, arguments, message
from kernelkit.inference.block_length import block_length
from kernelkit.inference.draws import Blocks, Plan, block_indices, blocks_plan
from kernelkit.paths.model import Draws, Float64s, Model, log_returns, steps_a_year

if TYPE_CHECKING:
    import xarray as xr

FEWEST = 102  # bars of a history
TABLE = 2**23  # numbers in the table of blocks at most: 64 MB


@arguments()
@dataclass(frozen=True)
class Bootstrap(Model):
    """Bars of a history in blocks of `length`, with the draws of I5 by ``scheme`` (G10); made by `fit`.

    A bar keeps its gap from the close before it, its shape and its volume; several assets are drawn together, so that
    they keep how they move with each other. ``history`` (row, bar, asset) has log gap, high and low over the open,
    close over the close before, and the volume.

    >>> import kernelkit as kk
    >>> Bootstrap.fit(kk.data.load("sp500_index"), length=20)
    Bootstrap(length=20, scheme='stationary', periods=252.0)
    """

    history: Float64s = field(repr=False, compare=False)
    length: float
    scheme: Blocks = "stationary"
    periods: float = 252.0
    names: tuple[str, ...] = field(default=("Bootstrap",), repr=False)

    kinds = ("independent",)  # blocks have no mirror image

    @property
    def assets(self) -> tuple[str, ...]:
        """Those of the history."""
        return self.names

    def __post_init__(self) -> None:
        self.plan(self.history.shape[1], 0)

    @classmethod
    def fit(cls, bars: xr.Dataset, *, length: float | None = None, scheme: Blocks = "stationary") -> Bootstrap:
        """The bars that all assets have, from the second on; ``length`` is that of I10 for squared returns, by default.

        Squared returns remember longer than returns: blocks that keep them keep how volatility comes in clusters. Of
        several assets it is the longest.
        """
        many = bars.sizes["asset"] if "asset" in getattr(bars, "sizes", ()) else 1
        for a in range(many):
            log_returns(bars, "Bootstrap.fit", a, several=True)
        there = bars["valid"].values.all(axis=1)
        if there.sum() < FEWEST:
            found, fix = f"{there.sum()} bars that all assets have", "Give more bars, or leave an asset out."
            raise DataError(message("Bootstrap.fit", found, f"at least {FEWEST}", fix))
        o, h, low, c, v = (bars[k].values[there] for k in ("open", "high", "low", "close", "volume"))
        moves = np.diff(np.log(c), axis=0)
        rows = [np.log(o[1:] / c[:-1]), np.log(h[1:] / o[1:]), np.log(low[1:] / o[1:]), moves, v[1:]]
        if length is None:
            length = max(longest((x - x.mean()) ** 2, scheme) for x in moves.T)
        names = tuple(str(a) for a in bars["asset"].values) if many > 1 else ("Bootstrap",)
        return cls(np.array(rows), length, scheme, steps_a_year(bars), names)

    def plan(self, n: int, seed: int) -> Plan:
        """How the blocks of `n` steps are laid over the history."""
        return blocks_plan("block_counts", self.history.shape[1], self.length, self.scheme, seed)._replace(n=n)

    @cached_property
    def tables(self) -> list[Float64s]:
        """By asset, what blocks of 1, 2, 4, ... samples do to a sum, `kernels.resample.tabulate`."""
        from kernelkit.kernels.compile import kernel  # numba: only those wait for it who ask for this
        from kernelkit.kernels.resample import TABLE_TYPES

        tables = []
        for asset in range(len(self.names)):
            move = np.ascontiguousarray(self.history[3, :, asset])
            most = max(1, TABLE // (4 * len(move)))
            table = np.empty((min(most, int(2.0 * self.length).bit_length()), len(move), 4))
            kernel("resample", "tabulate", TABLE_TYPES)(move, table)
            tables.append(table)
        return tables

    def reduced(self, draws: Draws, steps: int) -> Float64s:
        """G7, from the tables."""
        from kernelkit.kernels.compile import kernel
        from kernelkit.kernels.resample import WANDER_TYPES

        plan, wander = self.plan(steps, draws.seed), kernel("resample", "wander", WANDER_TYPES)
        out = np.empty((len(self.names), 4, draws.many))
        for table, own in zip(self.tables, out, strict=True):
            wander(self._numbers(draws), *plan.arguments(), table, own)
        return out.transpose(1, 2, 0).reshape(4, -1)

    def returns(self, draws: Draws, steps: int) -> Float64s:
        """Log returns, (step, path and asset)."""
        return np.asarray(self.history[3][self._places(draws, steps)]).reshape(steps, -1)

    def _numbers(self, draws: Draws) -> NDArray[np.int64]:
        return np.arange(draws.first, draws.first + draws.many)

    def _places(self, draws: Draws, n: int) -> NDArray[np.int64]:
        """Which bars of the history a path has, (step, path)."""
        size, numbers = self.history.shape[1], self._numbers(draws)
        found = block_indices(size, numbers, places=n, length=self.length, scheme=self.scheme, seed=draws.seed)
        return found.T

    def log_bars(self, draws: Draws, n: int) -> tuple[Float64s, Float64s | None]:
        """Log prices (open high low close, step, path and asset) of `n` bars from 0 on, and the volume if any."""
        from kernelkit.kernels.compile import kernel
        from kernelkit.kernels.resample import FOLLOW_TYPES

        wide = draws.many * len(self.names)
        out, volume = np.empty((4, n, wide)), np.empty((n, wide))
        follow = kernel("resample", "follow", FOLLOW_TYPES)
        follow(np.ascontiguousarray(self._places(draws, n).T), self.history, np.zeros(wide), out, volume)
        return out, None if np.isnan(self.history[4]).all() else volume


def longest(squared: Float64s, scheme: Blocks) -> float:
    """The length of blocks that I10 finds for squared deviations."""
    if scheme == "stationary":
        return float(block_length(squared))
    return 1.0 if scheme == "iid" else float(math.ceil(block_length(squared, scheme="circular")))
