"""Stylised facts: what real returns have, and whether a model's paths have it too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.errors import UsageError, arguments, message
from kernelkit.paths.model import Draws, Float64s, Model, check_counts, log_returns

if TYPE_CHECKING:
    import xarray as xr

LAGS = (1, 5, 20, 60)
TAIL = 0.05


def facts_of(x: Float64s) -> dict[str, float]:
    """Facts of log returns (step, asset) (G12).

    >>> facts_of(np.random.default_rng(1).normal(size=(5000, 1)))["excess_kurtosis"] < 0.3
    True
    """
    off = x - x.mean(axis=0)
    sd = off.std(axis=0)
    out = {
        "excess_kurtosis": _mean((off**4).mean(axis=0) / sd**4 - 3.0),
        "skewness": _mean((off**3).mean(axis=0) / sd**3),
        "acf_1": _mean(_correlation(off, off, 1)),
    }
    size = np.abs(off)
    for lag in LAGS:
        out[f"acf_abs_{lag}"] = _mean(_correlation(size, size, lag))
    out["leverage"] = _mean(np.array([_correlation(off, off * off, lag) for lag in range(1, 11)]))
    for name, side in (("tail_index_low", -off), ("tail_index_high", off)):
        out[name] = _mean(_hill(side))
    if x.shape[1] > 1:
        out["tail_dependence_low"] = _together(off, TAIL)
        out["tail_dependence_high"] = _together(-off, TAIL)
    return out


def _mean(x: Float64s) -> float:
    return float(np.mean(x))


def _correlation(a: Float64s, b: Float64s, lag: int) -> Float64s:
    """Of `a` with `b` so many steps later, each asset for itself."""
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    return np.asarray((a[:-lag] * b[lag:]).mean(axis=0) / (a.std(axis=0) * b.std(axis=0)))


def _hill(side: Float64s) -> Float64s:
    """Hill's (1975) estimate from the largest of each column."""
    k = int(TAIL * len(side))
    top = np.sort(side, axis=0)[-k - 1 :]
    return np.asarray(1.0 / np.log(top[1:] / top[0]).mean(axis=0))


def _together(x: Float64s, share: float) -> float:
    """Of pairs: the share of the lowest of one that are among the lowest of the other; the mean over pairs."""
    low = (x < np.quantile(x, share, axis=0)).astype(np.float64)
    both = low.T @ low / low.sum(axis=0)
    n = len(both)
    return float((both.sum() - np.trace(both)) / (n * (n - 1)))


@arguments()
def stylised_facts(
    bars: xr.Dataset, model: Model, *, paths: int = 200, seed: int = 0, level: float = 0.9
) -> xr.Dataset:
    """Compare facts of log returns between closes with those of paths of the same length, dim ``fact``.

    ``real`` is of `bars`; ``median``, ``low`` and ``high`` are of the paths: the middle ``level`` of them lies between.
    ``inside`` says whether the real one does, too. Of several assets facts are means over them; tail dependence is the
    share of a series' lowest 5 % (highest 5 %) that come with another's, the mean over pairs (Cont, 2001; G12).
    Raises `UsageError`.

    >>> import kernelkit as kk
    >>> bars = kk.data.load("sp500_index")
    >>> found = stylised_facts(bars, kk.paths.GBM.fit(bars), paths=50)
    >>> bool(found["inside"].sel(fact="acf_abs_20")), bool(abs(found["median"].sel(fact="excess_kurtosis")) < 0.1)
    (False, True)
    """
    import xarray as xr

    check_counts("stylised_facts", seed, paths=(paths, 10, 2**20))
    assets = bars.sizes["asset"]
    if len(model.assets) != assets:
        raise UsageError(
            message("stylised_facts: model", f"{len(model.assets)} assets", f"{assets}", "Fit it to these.")
        )
    if not 0.0 < level < 1.0:
        raise UsageError(message("stylised_facts: level", level, "between 0 and 1", "Pass for example 0.9."))
    shared = bars.isel(time=np.flatnonzero(bars["valid"].values.all(axis=1)))
    columns = [log_returns(shared, "stylised_facts", a, several=True) for a in range(assets)]
    real = facts_of(np.stack(columns, axis=1))
    n = len(columns[0])
    each = [list(facts_of(model.returns(Draws(seed, path, 1), n)).values()) for path in range(paths)]
    tail = 0.5 * (1.0 - level)
    low, median, high = np.quantile(np.array(each), [tail, 0.5, 1.0 - tail], axis=0)
    value = np.array(list(real.values()))
    columns_of = {"real": value, "low": low, "median": median, "high": high, "inside": (low <= value) & (value <= high)}
    attrs = {"model": repr(model), "paths": paths, "seed": seed, "level": level, "steps": n}
    return xr.Dataset({k: ("fact", v) for k, v in columns_of.items()}, {"fact": list(real)}, attrs)


@arguments()
def plot_facts(found: xr.Dataset) -> Any:
    """Draw what `stylised_facts` found: the band of the model's paths, and the real series as a point (hvplot).

    >>> import kernelkit as kk
    >>> bars = kk.data.load("sp500_index")
    >>> type(plot_facts(stylised_facts(bars, kk.paths.GBM.fit(bars), paths=10))).__name__
    'Overlay'
    """
    import hvplot.pandas  # noqa: F401 - what it adds to pandas

    frame = found[["real", "low", "median", "high"]].to_dataframe()
    frame = frame.div(frame.abs().max(axis=1).clip(lower=1e-12), axis=0).reset_index()
    title = f"Stylised facts, over the largest of each: {found.attrs['model'].partition('(')[0]}"
    frame["below"], frame["above"] = frame["median"] - frame["low"], frame["high"] - frame["median"]
    band = frame.hvplot.errorbars(x="fact", y="median", yerr1="below", yerr2="above", title=title)
    return band * frame.hvplot.scatter(x="fact", y="real", rot=60, label="real", ylabel="")
