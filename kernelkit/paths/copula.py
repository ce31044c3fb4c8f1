"""Several assets whose innovations depend on each other by a t copula."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kernelkit.errors import UsageError, arguments, message
from kernelkit.paths.garch import GARCH
from kernelkit.paths.gbm import GBM
from kernelkit.paths.model import Draws, Float64s, check, log_returns
from kernelkit.paths.walk import COMMON, OWN, Moves, Walk

if TYPE_CHECKING:
    import xarray as xr


@arguments()
@dataclass(frozen=True)
class Copula(Walk):
    """Assets with a model each, whose innovations of a step have a t copula of ``df`` degrees of freedom (G11).

    ``margins`` has a `GBM` or `GARCH` by asset, ``correlation`` the rows of the copula's matrix in the same order.
    With None for ``df`` it is a normal copula. Extremes of large ``df`` come alone; with few they come together.
    Raises `UsageError`.

    >>> one = GBM(0.05, 0.2)
    >>> Copula({"A": one, "B": one}, correlation=[[1.0, 0.5], [0.5, 1.0]], df=4.0).assets
    ('A', 'B')
    """

    margins: Mapping[str, GBM | GARCH]
    correlation: Sequence[Sequence[float]]
    df: float | None = None

    def __post_init__(self) -> None:
        fix = "See help(kk.paths.Copula)."
        if not isinstance(self.margins, Mapping):
            raise UsageError(message("margins", repr(self.margins), "a model for each asset", fix))
        try:
            matrix, n = np.array(self.correlation, dtype=np.float64), len(self.margins)
        except (TypeError, ValueError):
            raise UsageError(message("correlation", repr(self.correlation), "a matrix of numbers", fix)) from None
        if n < 2 or any(not isinstance(m, GBM | GARCH) for m in self.margins.values()):
            found = ", ".join(type(m).__name__ for m in self.margins.values()) or "none"
            raise UsageError(message("margins", found, "a GBM or GARCH for each of at least two assets", fix))
        if len({m.periods for m in self.margins.values()}) > 1:
            raise UsageError(message("margins", "different periods", "the same of all", fix))
        if matrix.shape != (n, n) or not np.allclose(matrix, matrix.T) or not np.allclose(np.diag(matrix), 1.0):
            found = f"shape {matrix.shape}, or not symmetric with ones on its diagonal"
            raise UsageError(message("correlation", found, f"a correlation matrix of {n} assets", fix))
        if not float(np.linalg.eigvalsh(matrix)[0]) > 0.0:
            raise UsageError(message("correlation", "a matrix that is not positive definite", "one that is", fix))
        check(self, df=(self.df is None or self.df > 0.0, "above 0, or None"))

    @property
    def periods(self) -> float:  # type: ignore[override]
        """Steps a year, those of the margins."""
        return next(iter(self.margins.values())).periods

    @property
    def assets(self) -> tuple[str, ...]:
        """The margins' names."""
        return tuple(self.margins)

    @classmethod
    def fit(cls, bars: xr.Dataset, *, margin: type[GBM] | type[GARCH] = GARCH) -> Copula:
        """Margins by their own fits, on bars that all assets have; then the copula of their innovations.

        The correlation is `sin(pi / 2 tau)` of Kendall's tau of each pair, made positive definite where it is not; the
        degrees of freedom are most likely given that (Demarta and McNeil, 2005), None where they are above 100.

        >>> import kernelkit as kk
        >>> Copula.fit(kk.data.load("sp500_index"))
        Traceback (most recent call last):
        kernelkit.errors.UsageError: Copula.fit: found 1 asset, wanted at least two. Give bars of several assets.
        """
        if bars.sizes["asset"] < 2:
            raise UsageError(message("Copula.fit", "1 asset", "at least two", "Give bars of several assets."))
        there = bars["valid"].values.all(axis=1)
        shared = bars.isel(time=np.flatnonzero(there))
        names = [str(a) for a in bars["asset"].values]
        margins = {name: margin.fit(shared.isel(asset=[a])) for a, name in enumerate(names)}
        columns = [log_returns(shared, "Copula.fit", a, several=True) for a in range(len(names))]
        u = np.array([ranks(m, x) for m, x in zip(margins.values(), columns, strict=True)])
        matrix = definite(kendall(u))
        return cls(margins, matrix.tolist(), likely_df(u, matrix))

    def begin(self, many: int) -> Float64s:
        """The first variance of each path and asset, 0 where its model has none."""
        carry = np.zeros((1, many * len(self.margins)))
        for a, model in enumerate(self.margins.values()):
            own = model.begin(many)
            carry[: len(own), a :: len(self.margins)] = own
        return carry

    def advance(self, draws: Draws, step: int, carry: Float64s, moves: Moves) -> None:
        """G11."""
        n, steps = len(self.margins), len(moves.move)
        z = np.empty((n, steps, draws.many))
        for a in range(n):
            draws.normals(step, OWN + a, z[a])
        x = np.tensordot(np.linalg.cholesky(np.array(self.correlation)), z, axes=1)
        if self.df is not None:
            from scipy.special import gammaincinv

            x *= np.sqrt(self.df / (2.0 * gammaincinv(0.5 * self.df, draws.uniforms(step, COMMON, steps))))
        for a, model in enumerate(self.margins.values()):
            own = np.ascontiguousarray(carry[:1, a::n])
            out, variance = innovations_of(x[a], self.df, model), np.empty((steps, draws.many))
            model.follow(out, own, variance)
            carry[:1, a::n] = own
            moves.move[:, a::n], moves.variance[:, a::n] = out, variance

    def spread(self, draws: Draws, step: int, moves: Moves) -> None:
        """A bar's variance is that of its asset's step."""


def innovations_of(x: Float64s, df: float | None, model: GBM | GARCH) -> Float64s:
    """The margin's innovations where the copula's numbers are `x`: quantiles, taken in the lower tail."""
    from scipy.special import ndtr, ndtri, stdtr, stdtrit

    own = getattr(model, "df", None)
    if own is None and df is None:
        return x.copy()
    lower = ndtr(-np.abs(x)) if df is None else stdtr(df, -np.abs(x))
    q = ndtri(lower) if own is None else stdtrit(own, lower) * math.sqrt((own - 2.0) / own)
    return np.asarray(np.copysign(q, x))


def ranks(model: GBM | GARCH, x: Float64s) -> Float64s:
    """Ranks of a margin's innovations over `n + 1`."""
    from scipy.stats import rankdata

    return np.asarray(rankdata(model.innovations(x)) / (len(x) + 1.0))


def kendall(u: Float64s) -> Float64s:
    """`sin(pi / 2 tau)` of each pair of rows."""
    from scipy.stats import kendalltau

    out = np.eye(len(u))
    for a in range(len(u)):
        for b in range(a):
            out[a, b] = out[b, a] = math.sin(0.5 * math.pi * float(kendalltau(u[a], u[b]).statistic))
    return out


def definite(matrix: Float64s) -> Float64s:
    """The matrix, its eigenvalues raised to 1e-6 and its diagonal scaled back to ones where one is below."""
    values, vectors = np.linalg.eigh(matrix)
    if values[0] >= 1e-6:
        return matrix
    raised = vectors * np.maximum(values, 1e-6) @ vectors.T
    root = np.sqrt(np.diag(raised))
    return np.asarray(raised / np.outer(root, root))


def likely_df(u: Float64s, matrix: Float64s) -> float | None:
    """The most likely degrees of freedom of a t copula with this matrix, None above 100."""
    from scipy.optimize import minimize_scalar
    from scipy.stats import multivariate_t, t

    def loss(log_df: float) -> float:
        df = math.exp(log_df)
        x = t.ppf(u, df)
        joint = multivariate_t(shape=matrix, df=df).logpdf(x.T)
        return -float(np.mean(joint - t.logpdf(x, df).sum(axis=0)))

    found = math.exp(float(minimize_scalar(loss, bounds=(math.log(1.1), math.log(200.0)), method="bounded").x))
    return found if found <= 100.0 else None
