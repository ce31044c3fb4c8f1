"""Shocks of several assets together: correlation, and factors (rules Z15, Z16)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.errors import DataError, UsageError, arguments, message
from kernelkit.metrics.regression import least_squares
from kernelkit.study.scenarios.prices import jump
from kernelkit.study.scenarios.world import (
    Floats,
    Scenario,
    World,
    check_number,
    lasting,
    log_closes,
    place,
    scaled,
)

if TYPE_CHECKING:
    import pandas as pd

TOLERANCE, ROUNDS = 1e-12, 10_000


@arguments()
def nearest_correlation(matrix: Any) -> Floats:
    """The correlation matrix nearest to a symmetric one, by the sum of squared differences; float64 (n, n).

    Alternating projections with Dykstra's correction, until two rounds differ by less than 1e-12. Raises UsageError for
    a matrix that is not square, symmetric and finite.

    Source: Higham, Computing the nearest correlation matrix, IMA Journal of Numerical Analysis 22 (2002), alg. 3.3.

    >>> nearest_correlation([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0]]).round(4)[0].tolist()
    [1.0, 0.7607, 0.1573]
    """
    found = np.array(matrix, "f8")
    if found.ndim != 2 or found.shape[0] != found.shape[1] or not np.allclose(found, found.T, 0.0, TOLERANCE):
        wanted = "a square, symmetric matrix of finite numbers"
        raise UsageError(message("matrix of correlations", f"shape {found.shape}", wanted, "Write 0.5 * (m + m.T)."))
    found, correction = 0.5 * (found + found.T), np.zeros_like(found)
    for _ in range(ROUNDS):
        before = found
        raw = found - correction
        values, vectors = np.linalg.eigh(raw)
        semidefinite = (vectors * np.maximum(values, 0.0)) @ vectors.T
        correction = semidefinite - raw
        found = 0.5 * (semidefinite + semidefinite.T)
        np.fill_diagonal(found, 1.0)
        if np.abs(found - before).max() < TOLERANCE:
            nearest: Floats = found
            return nearest
    wanted = f"one that is found in {ROUNDS} rounds"
    raise UsageError(message("matrix of correlations", f"shape {found.shape}", wanted, "Look at its numbers."))


def root(matrix: Floats, power: float) -> Floats:
    """The symmetric ``power`` of a positive semidefinite matrix; of a singular one's inverse the pseudo-inverse.

    >>> root(np.diag([4.0, 9.0]), 0.5).diagonal().tolist()
    [2.0, 3.0]
    """
    values, vectors = np.linalg.eigh(matrix)
    kept = values > len(matrix) * np.finfo("f8").eps * values[-1]
    powers = np.where(kept, np.where(kept, values, 1.0) ** power, 0.0)
    out: Floats = (vectors * powers) @ vectors.T
    return out


@arguments()
@dataclass(frozen=True)
class Correlation(Scenario):
    """Z15: in the window the correlations of the assets' returns go towards ``to``, and all else stays.

    ``to`` is a number for all pairs (1: all move together) or a matrix in the order of the assets; ``share`` is how far
    they go (1: all the way). What comes out is made a correlation matrix (`nearest_correlation`). The standardised log
    returns of closes are multiplied by the symmetric matrix that brings their correlation there with the smallest
    change; each asset keeps its mean and standard deviation, and its price after the window.

    Raises UsageError for one asset, DataError for gaps in the window and for fewer than two bars more than assets.

    >>> Correlation().text
    'Correlations go 100% of the way to 1 all the time.'
    """

    to: Any = 1.0
    share: float = 1.0
    start: Any = None
    end: Any = None

    def __post_init__(self) -> None:
        if not 0.0 < self.share <= 1.0:
            fix = "1 goes all the way."
            raise UsageError(message("share of Correlation", self.share, "above 0 and at most 1", fix))
        if np.ndim(self.to) == 0:
            check_number("to of Correlation", self.to, -1.0, 1.0, "1 moves all together.", ends=True)
        else:
            object.__setattr__(self, "to", tuple(map(tuple, np.asarray(self.to, "f8").tolist())))

    @property
    def text(self) -> str:
        """What it does, in a sentence."""
        where = f"{self.to:g}" if np.ndim(self.to) == 0 else "given ones"
        return f"Correlations go {100 * self.share:.4g}% of the way to {where} {lasting(self.start, self.end)}."

    @property
    def reference(self) -> str:
        """Of the projection, and of the smallest change."""
        return (
            "Higham, IMA Journal of Numerical Analysis 22 (2002); "
            "Olkin and Pukelsheim, Linear Algebra and its Applications 48 (1982)"
        )

    @property
    def label(self) -> str:
        """With where it goes."""
        return f"Correlation({self.to:g})" if np.ndim(self.to) == 0 else "Correlation(matrix)"

    def felt(self, world: World) -> tuple[int, int]:
        """The window."""
        return world.rows(self.start, self.end)

    def target(self, now: Floats) -> Floats:
        """Where correlations that are ``now`` go."""
        n = len(now)
        to = np.full((n, n), float(self.to)) if np.ndim(self.to) == 0 else np.array(self.to)
        if to.shape != now.shape:
            raise UsageError(message("to of Correlation", f"shape {to.shape}", f"{now.shape}", "A row for each asset."))
        if np.ndim(self.to) == 0:
            np.fill_diagonal(to, 1.0)
        return nearest_correlation((1.0 - self.share) * now + self.share * to)

    def apply(self, world: World) -> World:
        """The world with the other correlations."""
        first, last = self.felt(world)
        first, assets = max(first, 1), world.chosen(None)
        n = len(assets)
        if n < 2:
            raise UsageError(message("assets of Correlation", "one", "two or more", "Load several."))
        returns = log_closes(world, assets, first, last, "Correlation")
        sd = returns.std(axis=0)
        if len(returns) < n + 2 or not (sd > 0.0).all():
            found = f"{len(returns)} bars of {n} assets" if len(returns) < n + 2 else "a price that does not move"
            raise DataError(message("window of Correlation", found, f"{n + 2} bars that move", "Make it longer."))
        z = (returns - returns.mean(axis=0)) / sd
        now = np.corrcoef(z.T)
        half, back = root(now, 0.5), root(now, -0.5)
        moved = z @ (back @ root(half @ self.target(now) @ half, 0.5) @ back)
        change = np.cumsum((moved - z) * sd, axis=0)
        logs = np.zeros((world.bars.sizes["time"], n))
        logs[first:last] = change
        opened = np.vstack([np.zeros((1, n)), logs[:-1]])
        return scaled(world, assets, opened, logs, self.text)


@arguments()
@dataclass(frozen=True)
class FactorShock(Scenario):
    """Z16: factors move by ``sizes`` (fractions) at once; each asset gaps by its betas to them, from bar ``at`` on.

    The log of an asset's gap is the sum of beta times ``log(1 + size)``. ``betas`` gives them, by asset and factor;
    else they are by least squares, with a constant, of the asset's log returns of closes before ``at`` on the factors':
    columns of ``factors``, log returns with the labels of the bars, or assets of the bars by their names.

    Raises UsageError for unknown factors and assets, DataError for labels that differ and for too few returns.

    >>> FactorShock({"market": -0.2}, betas={"AAPL": {"market": 1.2}}).text
    'market moves by -20% in the middle, and assets by their betas.'
    """

    sizes: Mapping[str, float]
    factors: pd.DataFrame | None = field(default=None, compare=False, repr=False)
    betas: Mapping[str, Mapping[str, float]] | None = None
    at: Any = None

    def __post_init__(self) -> None:
        if not self.sizes:
            raise UsageError(message("sizes of FactorShock", "none", "one factor or more", 'Write {"market": -0.2}.'))
        for name, size in self.sizes.items():
            check_number(f"size of {name}", size, -1.0, 1e6, "-0.2 is a fall of a fifth.")

    @property
    def text(self) -> str:
        """What it does, in a sentence."""
        moves = " and ".join(f"{name} moves by {100 * size:+.4g}%" for name, size in self.sizes.items())
        return f"{moves} {place(self.at)}, and assets by their betas."

    @property
    def reference(self) -> str:
        """Where it is described."""
        return "Kupiec, Stress testing in a value at risk framework, Journal of Derivatives 6 (1998)"

    @property
    def label(self) -> str:
        """With its sizes."""
        return f"FactorShock({', '.join(f'{name} {100 * size:+.4g}%' for name, size in self.sizes.items())})"

    def felt(self, world: World) -> tuple[int, int]:
        """From the shock on."""
        return world.row(self.at, "FactorShock"), world.stop

    def loadings(self, world: World) -> Floats:
        """The betas, float64 (asset, factor)."""
        names = [str(a) for a in world.bars["asset"].values]
        if self.betas is not None:
            missing = [(a, f) for a in names for f in self.sizes if f not in self.betas.get(a, {})]
            if missing:
                fix = f"Write betas={{{missing[0][0]!r}: {{{missing[0][1]!r}: 1.0}}}}."
                raise UsageError(message("betas of FactorShock", f"none of {missing[0][0]}", "one each", fix))
            return np.array([[self.betas[a][f] for f in self.sizes] for a in names])
        at, n = world.row(self.at, "FactorShock"), len(self.sizes)
        columns = np.column_stack([np.ones(at - 1), self._returns(world, names, at)])
        out = np.full((len(names), n), np.nan)
        for a in range(len(names)):
            own = np.diff(world.logs(a)[:at])
            known = np.isfinite(own) & np.isfinite(columns).all(axis=1)
            out[a] = least_squares(own[known], columns[known]).coefficients[1:]
            if np.isnan(out[a]).any():
                found, fix = f"{known.sum()} returns before it", "Move at=, or leave out a factor that others give."
                raise DataError(message(f"betas of {names[a]}", found, f"{n + 2} or more, of {n} factors", fix))
        return out

    def _returns(self, world: World, names: list[str], at: int) -> Floats:
        """The factors' log returns at rows [1, at) of the bars, (row, factor)."""
        if self.factors is None:
            unknown = [f for f in self.sizes if f not in names]
            if unknown:
                fix = "Give factors=, a frame of their log returns, or betas=."
                raise UsageError(message("factor", unknown[0], f"one of {', '.join(names)}", fix))
            numbers = [names.index(f) for f in self.sizes]
            return np.diff(np.stack([world.logs(a)[:at] for a in numbers], axis=1), axis=0)
        unknown = [f for f in self.sizes if f not in self.factors]
        if unknown:
            columns = ", ".join(map(str, self.factors.columns))
            raise UsageError(message("factor", unknown[0], f"a column, of {columns}", "Check the names."))
        if not self.factors.index.equals(world.bars.indexes["time"]):
            fix = 'Reindex them: factors.reindex(bars.indexes["time"]).'
            raise DataError(message("labels of the factors", "others", "those of the bars", fix))
        found: Floats = self.factors[list(self.sizes)].to_numpy("f8")[1:at]
        return found

    def apply(self, world: World) -> World:
        """The world after the shock."""
        moves = self.loadings(world) @ np.log1p(np.array(list(self.sizes.values())))
        logs = jump(world, world.row(self.at, "FactorShock"), moves)
        return scaled(world, world.chosen(None), *logs, self.text)
