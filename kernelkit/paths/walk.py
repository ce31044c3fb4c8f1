"""Models whose paths are made step by step, piece by piece: moves, what they are reduced to, and log prices of bars."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from kernelkit.paths.model import Draws, Float64s, Model

STEPS, CELLS = 32, 2**16  # a piece has so many steps, or more where there are few paths: it stays in the cache
# Streams of draws beside those of `kernels.walks` (G2).
HIGH, LOW, MIXTURE, COMMON, OWN = 5, 6, 7, 8, 2**31


class Moves(NamedTuple):
    """Steps of several paths, each (step, path): what a step adds to the log price, what of that comes before the bar
    opens, and the variance of the walk within the bar."""

    move: Float64s
    gap: Float64s
    variance: Float64s

    def first(self, n: int) -> Moves:
        """The first steps."""
        return Moves(*(a[:n] for a in self))


class Walk(Model):
    """A model that makes moves from draws and what a path remembers."""

    @abstractmethod
    def begin(self, many: int) -> Float64s:
        """A path's memory before its first step, (field, path)."""

    @abstractmethod
    def advance(self, draws: Draws, step: int, carry: Float64s, moves: Moves) -> None:
        """Fill `moves` from `step` on; `moves.gap` is 0 on entry and need not be touched."""

    @abstractmethod
    def spread(self, draws: Draws, step: int, moves: Moves) -> None:
        """Make of `moves.variance` that of the walk within each bar, given its move; for bars alone."""

    def pieces(self, draws: Draws, n: int) -> Iterator[tuple[int, Moves]]:
        """The first step and the moves of `n` steps, piece by piece; each piece lies where the one before it lay.

        A piece has a multiple of four steps; those after the last have no move.
        """
        steps = min(max(STEPS, CELLS // draws.many // 4 * 4), (n + 3) // 4 * 4)
        room = Moves(*(np.zeros((steps, draws.many * len(self.assets))) for _ in range(3)))
        carry = self.begin(draws.many)
        for step in range(0, n, steps):
            moves = room.first((n - step + 3) // 4 * 4)
            self.advance(draws, step, carry, moves)
            moves.move[n - step :] = 0.0
            yield step, moves

    def reduced(self, draws: Draws, steps: int) -> Float64s:
        """G7."""
        from kernelkit.kernels.compile import kernel  # numba: only those wait for it who ask for this
        from kernelkit.kernels.walks import SUMMARY_TYPES

        summarise, carry = kernel("walks", "summarise", SUMMARY_TYPES), np.zeros((4, draws.many * len(self.assets)))
        for _, moves in self.pieces(draws, steps):
            summarise(moves.move, carry)
        return carry

    def returns(self, draws: Draws, steps: int) -> Float64s:
        """Log returns, (step, path and asset)."""
        return np.concatenate([moves.move.copy() for _, moves in self.pieces(draws, steps)])[:steps]

    def log_bars(self, draws: Draws, n: int) -> tuple[Float64s, Float64s | None]:
        """G8."""
        from kernelkit.kernels.compile import kernel
        from kernelkit.kernels.extremes import BATCH, EXTREME_TYPES, LOG_TYPES

        extremes = kernel("extremes", "extremes", EXTREME_TYPES)
        log_prices = kernel("extremes", "log_prices", LOG_TYPES)
        assets = len(self.assets)
        wide = draws.many * assets
        out, carry, room = np.empty((4, n, wide)), np.zeros(wide), np.empty((7, BATCH))
        for step, moves in self.pieces(draws, n):
            self.spread(draws, step, moves)
            shape = moves.move.shape
            u, v, within = np.empty(shape), np.empty(shape), moves.move - moves.gap
            for a in range(assets):
                u[:, a::assets] = draws.uniforms(step, HIGH + 16 * a, len(u))
                v[:, a::assets] = draws.uniforms(step, LOW + 16 * a, len(u))
            up, down, prices = np.empty(shape), np.empty(shape), np.empty((4, *shape))
            flat = (x.reshape(-1) for x in (within, moves.variance, u, v))
            extremes(*flat, room, up.reshape(-1), down.reshape(-1))
            log_prices(moves.move, moves.gap, up, down, carry, prices)
            out[:, step : step + shape[0]] = prices[:, : n - step]
        return out, None
