"""Paths of the history's own innovations: its bars over the volatility that they had, drawn anew and filtered back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from kernelkit.errors import UsageError, arguments, message
from kernelkit.inference.draws import Blocks
from kernelkit.paths.bootstrap import Bootstrap
from kernelkit.paths.garch import GARCH
from kernelkit.paths.model import Draws, Float64s

if TYPE_CHECKING:
    import xarray as xr

Begin = Literal["stationary", "last"]

CELLS = 2**22  # returns at a time, 32 MB a column


@arguments()
@dataclass(frozen=True)
class FilteredBootstrap(Bootstrap):
    """Bars of a history over the volatility that they had, drawn anew, times that of the path (G17); made by `fit`.

    Filtered historical simulation (Barone-Adesi, Giannopoulos and Vosper, 1999), a bootstrap of residuals: each asset
    has a `GARCH`, whose innovations are of no law but the history's. A draw is a bar, the same one for all assets, so
    that they keep how they move with each other. Volatility comes in clusters by the model, not by the length of
    blocks; ``length`` and ``scheme`` are for innovations that depend on each other. Rows of ``history`` are those of
    `Bootstrap` over the bar's deviation, the move standardised.

    >>> import kernelkit as kk
    >>> model = FilteredBootstrap.fit(kk.data.load("sp500_index"))
    >>> model.length, model.margins[0].df
    (1, None)
    """

    margins: tuple[GARCH, ...] = ()

    @classmethod
    def fit(  # type: ignore[override]
        cls, bars: xr.Dataset, *, length: float = 1, scheme: Blocks = "iid", begin: Begin = "stationary"
    ) -> FilteredBootstrap:
        """GJR models with normal innovations on bars that all assets have, and what they leave.

        Those are quasi-likelihoods: right for the variance whatever the innovations (Bollerslev and Wooldridge, 1992).
        A path begins with the stationary variance, or where the ``last`` bar has left it: for what comes next.
        Raises `UsageError`, and `DataError` as `GARCH.fit` and `Bootstrap.fit` do.
        """
        if begin not in get_args(Begin):
            wanted = f"one of {', '.join(map(repr, get_args(Begin)))}"
            fix = "See help(kk.paths.FilteredBootstrap.fit)."
            raise UsageError(message("FilteredBootstrap.fit: begin", repr(begin), wanted, fix))
        plain = Bootstrap.fit(bars, length=length, scheme=scheme)
        shared = bars.isel(time=np.flatnonzero(bars["valid"].values.all(axis=1)))
        history, margins = plain.history.copy(), []
        for a in range(len(plain.names)):
            own = shared.isel(asset=[a])
            model = GARCH.of_bars("FilteredBootstrap.fit", own, asymmetric=True, students=False, sample=True)
            deviation, after = model.deviations(plain.history[3, :, a])
            history[:4, :, a] /= deviation
            z = (plain.history[3, :, a] - model.mean) / deviation
            history[3, :, a] = (z - z.mean()) / z.std()
            margins.append(replace(model, variance=after) if begin == "last" else model)
        return cls(history, plain.length, scheme, plain.periods, plain.names, tuple(margins))

    def _moves(self, draws: Draws, steps: int) -> tuple[Float64s, Float64s, Float64s]:
        """Rows of the history (row, step, path, asset), log returns and variances (step, path, asset)."""
        rows = self.history[:, self._places(draws, steps)]
        move, variance = np.empty_like(rows[3]), np.empty_like(rows[3])
        for a, model in enumerate(self.margins):
            z, own = np.ascontiguousarray(rows[3, :, :, a]), np.empty(rows.shape[1:3])
            model.follow(z, model.begin(draws.many), own)
            move[:, :, a], variance[:, :, a] = z, own
        return rows, move, variance

    def reduced(self, draws: Draws, steps: int) -> Float64s:
        """G7, some paths at a time."""
        from kernelkit.kernels.compile import kernel  # numba: only those wait for it who ask for this
        from kernelkit.kernels.walks import SUMMARY_TYPES

        summarise, wide = kernel("walks", "summarise", SUMMARY_TYPES), len(self.names)
        most = max(1, CELLS // (steps * wide))
        out = np.zeros((4, draws.many * wide))
        for first in range(0, draws.many, most):
            some = replace(draws, first=draws.first + first, many=min(most, draws.many - first))
            move = np.zeros(((steps + 3) // 4 * 4, some.many * wide))
            move[:steps] = self.returns(some, steps)
            carry = np.zeros((4, some.many * wide))
            summarise(move, carry)
            out[:, first * wide : (first + some.many) * wide] = carry
        return out

    def returns(self, draws: Draws, steps: int) -> Float64s:
        """Log returns, (step, path and asset)."""
        return self._moves(draws, steps)[1].reshape(steps, -1)

    def log_bars(self, draws: Draws, n: int) -> tuple[Float64s, Float64s | None]:
        """Log prices (open high low close, step, path and asset) of `n` bars from 0 on, and the volume if any."""
        rows, move, variance = self._moves(draws, n)
        deviation, closes = np.sqrt(variance), np.cumsum(move, axis=0)
        opened = closes - move + deviation * rows[0]
        up, down = (opened + deviation * row for row in rows[1:3])
        high, low = np.maximum(up, np.maximum(opened, closes)), np.minimum(down, np.minimum(opened, closes))
        out = np.stack([opened, high, low, closes]).reshape(4, n, -1)
        return out, None if np.isnan(self.history[4]).all() else rows[4].reshape(n, -1)
