"""Series drawn anew: in blocks, from residuals of an autoregression or of what was fitted, with wild weights (I11)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kernelkit.errors import DataError, UsageError, arguments, message
from kernelkit.inference.block_length import block_length
from kernelkit.inference.checks import choice, differ, whole
from kernelkit.inference.draws import block_indices
from kernelkit.rng import uniform

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
Scheme = Literal["stationary", "circular", "moving", "iid", "residual", "wild"]
Weights = Literal["rademacher", "mammen"]

REPLICATION = "replication"
CELLS = 2**22  # samples drawn at a time: 32 MB
BURN = 500  # samples of an autoregression before the first that counts


@arguments()
@dataclass(frozen=True)
class Resampling:
    """How series are drawn anew; I11.

    ``"stationary"``, ``"circular"``, ``"moving"``, ``"iid"``: samples in blocks of `length` (a mean for stationary), as
    in `block_counts`; None is `block_length`, the median over further dims, rounded up where it must be whole.
    ``"residual"``: an autoregression of each series, of `order` (None: by AIC, at most 10 log10 n), run on residuals of
    samples drawn singly, the same for all series (Bühlmann, Sieve bootstrap for time series, 1997); with `fitted`, that
    plus residuals drawn singly. ``"wild"``: `fitted` (None: the mean) plus each residual times a weight of mean 0 and
    variance 1 (Liu, 1988): ``"rademacher"`` -1 or 1, ``"mammen"`` of third moment 1 (1993), the same for all series.

    >>> Resampling("moving", length=10).replications
    999
    """

    scheme: Scheme = "stationary"
    length: float | None = None
    order: int | None = None
    weights: Weights = "rademacher"
    fitted: xr.DataArray | None = None
    replications: int = 999
    seed: int = 0

    def __post_init__(self) -> None:
        fix = "See help(kk.inference.Resampling)."
        choice("Resampling", scheme=(self.scheme, Scheme), weights=(self.weights, Weights))
        whole("Resampling", "replications", self.replications, 1)
        blocks = self.scheme in ("stationary", "circular", "moving")
        lacks = {
            "length": self.length is not None and not blocks,
            "order": self.order is not None and (self.scheme != "residual" or self.fitted is not None),
            "fitted": self.fitted is not None and self.scheme not in ("residual", "wild"),
        }
        for name, idle in lacks.items():
            if idle:
                found = f"a {name} with scheme={self.scheme!r}"
                raise UsageError(message("Resampling", found, f"no {name} there", fix))


class Resampler:
    """Draws these series anew, and says what was chosen: the length of blocks, the order of autoregressions."""

    def __init__(self, series: Sequence[xr.DataArray], dim: str, how: Resampling) -> None:
        self.series, self.dim, self.how = series, dim, how
        self.n = series[0].sizes[dim]
        self.length, self.order = 1.0, 0
        self.pieces: list[Floats] = []
        if how.scheme in ("stationary", "circular", "moving"):
            self.length = float(how.length) if how.length is not None else found_length(series, dim, how.scheme)
            _check_length(self.length, self.n, how.scheme)
        elif how.scheme == "residual" and how.fitted is None:
            self.length = found_length(series, dim, how.scheme)  # of blocks left out, where a jackknife needs them
            self.models = [_sieve(_rows(x, dim), how.order) for x in series]
            self.order = max(m.shape[-1] for m, _ in self.models)
        else:
            self.middle = self._fitted() if how.scheme != "iid" else series[0]

    def parts(self, width: int = 1) -> Iterator[list[xr.DataArray]]:
        """All replications in their order, some at a time; a caller that needs `width` times the samples says so."""
        cells = self.n * width * max(x.size // self.n for x in self.series)
        step = max(1, CELLS // cells)
        for first in range(0, self.how.replications, step):
            yield self.draw(np.arange(first, min(first + step, self.how.replications)))

    def draw(self, paths: Places) -> list[xr.DataArray]:
        """These replications, along a dim of that name; labels are those of the places."""
        how, n, dim = self.how, self.n, self.dim
        if how.scheme == "wild":
            first, *others = self.series
            weight = xr.DataArray(_weights(uniform(how.seed, paths[:, None], np.arange(n), 3), how), dims=_dims(dim))
            return [_like(first, self.middle + (first - self.middle) * weight), *others]
        if how.scheme == "residual":
            return self._residual(paths)
        index = block_indices(n, paths, length=self.length, scheme=how.scheme, seed=how.seed)
        return [gathered(x, dim, index) for x in self.series]

    def _residual(self, paths: Places) -> list[xr.DataArray]:
        how, n, dim = self.how, self.n, self.dim
        step = np.arange(n if how.fitted is not None else n + BURN)
        u = uniform(how.seed, paths[:, None], step, 2)
        if how.fitted is not None:
            first, *others = self.series
            off = first - self.middle
            drawn = gathered(off - off.mean(dim), dim, np.floor(u * n).astype("i8"))
            return [_like(first, self.middle + drawn), *others]
        from scipy.signal import lfilter

        made = []
        for x, (models, residuals) in zip(self.series, self.models, strict=True):
            rows = _rows(x, dim)
            out = np.empty((len(rows), len(paths), n))
            for k, (row, model) in enumerate(zip(rows, models, strict=True)):
                errors = residuals[k][np.floor(u * residuals.shape[-1]).astype("i8")]
                out[k] = lfilter([1.0], np.concatenate([[1.0], -model]), errors, axis=-1)[:, BURN:] + row.mean()
            made.append(_wrapped(x, dim, out))
        return made

    def _fitted(self) -> xr.DataArray:
        first = self.series[0]
        if self.how.fitted is None:
            if len(self.series) > 1:
                found = f"{len(self.series)} series and nothing fitted"
                fix = "Pass Resampling(fitted=) with what the others say of the first."
                raise DataError(message("Resampling: wild", found, "a fitted series", fix))
            return first.mean(self.dim)
        try:
            xr.align(first, self.how.fitted, join="exact")
        except xr.AlignmentError as error:
            raise differ("Resampling: fitted") from error
        if not set(self.how.fitted.dims) <= set(first.dims):
            fix = "Fit it to the series that is bootstrapped."
            raise DataError(message("Resampling: fitted", f"dims {self.how.fitted.dims}", f"{first.dims}", fix))
        return self.how.fitted


def found_length(series: Sequence[xr.DataArray], dim: str, scheme: Scheme) -> float:
    """I10, the median of what lies along other dims, the largest of the series given; 1 where none varies.

    >>> found_length([xr.DataArray([1.0, 1.0, 1.0], dims="time")], "time", "moving")
    1.0
    """
    kind: Any = "stationary" if scheme == "stationary" else "circular"
    lengths = [block_length(x, scheme=kind, dim=dim).median() for x in series]
    longest = max([1.0, *(float(one) for one in lengths if not np.isnan(one))])
    return longest if kind == "stationary" else float(np.ceil(longest))


def gathered(x: xr.DataArray, dim: str, index: Places, name: str = REPLICATION) -> xr.DataArray:
    """The samples of `index` (name, place); a place has the label of the sample that stands there in `x`.

    >>> x = xr.DataArray([10.0, 20.0, 30.0], {"time": [1, 2, 3]}, "time")
    >>> gathered(x, "time", np.array([[2, 2]])).values
    array([[30., 30.]])
    """
    others = [d for d in x.dims if d != dim]
    values = x.transpose(*others, dim).values[..., index]
    short = x.isel({dim: slice(index.shape[-1])})
    return xr.DataArray(values, short.coords, [*others, name, dim], x.name, x.attrs)


def _dims(dim: str) -> tuple[str, str]:
    return REPLICATION, dim


def _like(x: xr.DataArray, found: xr.DataArray) -> xr.DataArray:
    found.attrs, found.name = x.attrs, x.name
    return found


def _rows(x: xr.DataArray, dim: str) -> Floats:
    """Series one after the other, (rows, samples)."""
    return x.transpose(*(d for d in x.dims if d != dim), dim).values.reshape(-1, x.sizes[dim])


def _wrapped(x: xr.DataArray, dim: str, rows: Floats) -> xr.DataArray:
    others = [d for d in x.dims if d != dim]
    values = rows.reshape(*(x.sizes[d] for d in others), *rows.shape[1:])
    return xr.DataArray(values, x.coords, [*others, REPLICATION, dim], x.name, x.attrs)


def _sieve(rows: Floats, order: int | None) -> tuple[Floats, Floats]:
    """Yule-Walker coefficients (rows, order), 0 beyond a row's own, and centred residuals of one span of time."""
    models = [_autoregression(row, order) for row in rows]
    most = max(len(model) for model in models)
    padded = np.array([np.concatenate([model, np.zeros(most - len(model))]) for model in models])
    off = rows - rows.mean(axis=-1, keepdims=True)
    n = rows.shape[-1]
    residuals = off[:, most:].copy()
    for lag in range(1, most + 1):
        residuals -= padded[:, lag - 1 : lag] * off[:, most - lag : n - lag]
    return padded, residuals - residuals.mean(axis=-1, keepdims=True)


def _autoregression(row: Floats, order: int | None) -> Floats:
    from statsmodels.tsa.stattools import levinson_durbin

    n = len(row)
    most = min(int(10.0 * np.log10(n)), n // 2) if order is None else order
    if not (most == int(most) and 0 <= most <= n // 2):
        fix = "Leave it out: the order of least AIC."
        raise UsageError(message("Resampling: order", order, f"a whole number from 0 to {n // 2}", fix))
    off = row - row.mean()
    if most < 1 or not np.any(np.abs(off) > 1e-12 * np.abs(row)):  # NaN: nothing to fit either
        return np.zeros(most if order is not None else 0)
    *_, errors, coefficients = levinson_durbin(off, nlags=int(most))
    errors[0] = np.mean(off * off)
    best = most if order is not None else int(np.argmin(n * np.log(errors) + 2.0 * np.arange(most + 1)))
    return np.asarray(coefficients[1 : best + 1, best])


def _weights(u: Floats, how: Resampling) -> Floats:
    if how.weights == "rademacher":
        return np.where(u < 0.5, -1.0, 1.0)
    root = 5.0**0.5
    return np.asarray(np.where(u < (root + 1.0) / (2.0 * root), (1.0 - root) / 2.0, (1.0 + root) / 2.0))


def _check_length(length: float, n: int, scheme: str) -> None:
    whole = length == int(length) if np.isfinite(length) else False
    if not (1.0 <= length <= n and (whole or scheme == "stationary")):
        wanted = f"1 to {n}" if scheme == "stationary" else f"a whole number from 1 to {n}"
        raise UsageError(message("Resampling: length", length, wanted, "Leave it out: that of Politis and White."))
