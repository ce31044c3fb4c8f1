"""Which law returns have: fits, what speaks for each, and whether it can be so (G14, G15)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit import rng
from kernelkit.errors import DataError, UsageError, arguments, message
from kernelkit.paths.laws import Law, Normal, SkewT, StudentT
from kernelkit.paths.model import Float64s, check_counts, log_returns
from kernelkit.paths.stable import Stable

if TYPE_CHECKING:
    import xarray as xr

LAWS: dict[str, type[Law]] = {law.key: law for law in (Normal, StudentT, SkewT, Stable)}
FEWEST = 50
PARAMETERS = ("location", "scale", "df", "skew", "alpha", "beta")
STREAM = 2**30  # of draws of the bootstrap, one for each law
TEXTS = {
    "parameters": "most likely parameters",
    "log_likelihood": "log likelihood",
    "aic": "Akaike's information criterion, 2 parameters - 2 log likelihood",
    "bic": "Schwarz's criterion, log(n) parameters - 2 log likelihood",
    "ks": "Kolmogorov and Smirnov's distance",
    "ks_p_value": "chance of a larger distance under the fitted law, by bootstrap",
    "ad": "Anderson and Darling's statistic",
    "ad_p_value": "chance of a larger statistic under the fitted law, by bootstrap",
    "observed": "ordered returns",
    "quantile": "what the fitted law has in their place",
}


@arguments()
def fit_laws(
    returns: xr.Dataset | xr.DataArray | Float64s,
    laws: Sequence[str] = tuple(LAWS),
    *,
    replications: int = 99,
    seed: int = 0,
) -> xr.Dataset:
    """Fit laws to returns by maximum likelihood and compare them; dims ``law``, ``parameter``, ``probability``.

    ``returns`` are those of one asset or account along one dim, of any kind; of bars log returns between closes are
    taken. NaN are left out: a law knows no order. ``laws`` are among ``"normal"``, ``"t"``, ``"skew_t"`` (Hansen's)
    and ``"stable"`` (`kk.paths.Normal`, `StudentT`, `SkewT`, `Stable`; G14). ``attrs["best"]`` has the smallest
    ``aic``; `law_of` makes it a law again.

    ``ks`` and ``ad`` are the distance of Kolmogorov and Smirnov and the statistic of Anderson and Darling. Their usual
    tables are for a law known beforehand; of a fitted one they find far too few misfits (Lilliefors, 1967). So the
    p-values are of ``replications`` samples of the fitted law, each fitted anew (G15), NaN with 0 of them. All of it
    is for independent returns: volatility in clusters lowers the p-values of a law that is right for each day alone.
    ``observed`` and ``quantile`` by ``probability`` are the points of a QQ plot (`plot_laws`).
    Raises UsageError, and DataError below 50 returns.

    >>> x = np.random.default_rng(1).standard_t(4.0, 1000) * 0.01
    >>> found = fit_laws(x, ["normal", "t"], replications=99)
    >>> found.attrs["best"], found["ks_p_value"].values.round(2).tolist()
    ('t', [0.01, 0.74])
    """
    import xarray as xr

    check_counts("fit_laws", seed, replications=(replications, 0, 10**6))
    given: object = laws
    names: list[Any] = [given] if isinstance(given, str) else list(given) if isinstance(given, Iterable) else []
    known = bool(names) and all(isinstance(name, str) and name in LAWS for name in names)
    if not known or len(set(names)) < len(names):
        raise UsageError(message("fit_laws: laws", repr(laws), f"some of {', '.join(LAWS)}", "Check the names."))
    x = np.sort(samples(returns))
    n = len(x)
    fitted = [LAWS[name].fit(x) for name in names]
    likely = np.array([float(law.log_density(x).sum()) for law in fitted])
    free = np.array([len(dataclasses.fields(law)) for law in fitted])
    tests = np.array([(*_distances(law, x), *_chances(law, x, replications, seed)) for law in fitted])
    places = (np.arange(n) + 0.5) / n
    columns: dict[str, Any] = {
        "parameters": (("law", "parameter"), [[getattr(law, p, np.nan) for p in PARAMETERS] for law in fitted]),
        "log_likelihood": ("law", likely),
        "aic": ("law", 2.0 * free - 2.0 * likely),
        "bic": ("law", math.log(n) * free - 2.0 * likely),
        **{name: ("law", tests[:, k]) for k, name in enumerate(("ks", "ad", "ks_p_value", "ad_p_value"))},
        "observed": ("probability", x),
        "quantile": (("law", "probability"), [law.quantile(places) for law in fitted]),
    }
    out = xr.Dataset(columns, {"law": names, "parameter": list(PARAMETERS), "probability": places})
    for name, text in TEXTS.items():
        out[name].attrs = {"long_name": text, "units": "1"}
    best = names[int(np.argmin(out["aic"].values))]
    return out.assign_attrs(best=best, samples=n, replications=replications, seed=seed)


@arguments()
def law_of(found: xr.Dataset, name: str | None = None) -> Law:
    """A law that `fit_laws` has found, the best by ``aic`` where none is named.

    >>> found = fit_laws(np.random.default_rng(1).standard_t(4.0, 1000), replications=0)
    >>> type(law_of(found)).__name__, type(law_of(found, "normal")).__name__
    ('StudentT', 'Normal')
    """
    check_found("law_of", found)
    names = found["law"].values.tolist()
    name = str(found.attrs["best"]) if name is None else name
    if name not in names:
        raise UsageError(message("law_of: name", repr(name), f"one of {', '.join(names)}", "Check the name."))
    law, own = LAWS[name], found["parameters"].sel(law=name)
    return law(*(float(own.sel(parameter=field.name)) for field in dataclasses.fields(law)))


def check_found(what: str, found: Any) -> None:
    """Raise UsageError for what `fit_laws` has not returned."""
    if not {"parameters", "observed", "quantile"} <= set(getattr(found, "data_vars", ())):
        wanted, fix = "what kk.paths.fit_laws returns", "Fit first: found = kk.paths.fit_laws(bars)."
        raise UsageError(message(what, type(found).__name__, wanted, fix))


def samples(returns: Any) -> Float64s:
    """The returns that are there.

    Raises DataError where they are too few, UsageError where they lie along two dims, or are no real numbers.
    """
    if hasattr(returns, "data_vars"):
        return log_returns(returns, "fit_laws")
    try:
        given = np.asarray(returns)
        if given.dtype.kind not in "iufO":
            raise TypeError(f"of {given.dtype}")
        x: Float64s = given.astype(np.float64)
    except (TypeError, ValueError) as error:
        found, fix = f"{type(returns).__name__} ({error})", "Give returns of one asset or account, or its bars."
        raise UsageError(message("fit_laws: returns", found, "real numbers", fix)) from None
    if x.ndim != 1:
        fix = "Choose one series: returns.sel(asset='A')."
        raise UsageError(message("fit_laws: returns", f"{x.ndim} dims", "returns along one", fix))
    x = x[~np.isnan(x)]
    if len(x) < FEWEST or not np.isfinite(x).all() or not np.ptp(x) > 0.0:
        found = "infinite ones" if not np.isfinite(x).all() else f"{len(x)} returns, or all the same"
        raise DataError(message("fit_laws", found, f"at least {FEWEST} that differ", "Give more returns."))
    return x


def _distances(law: Law, x: Float64s) -> tuple[float, float]:
    """The statistics of Kolmogorov and Smirnov and of Anderson and Darling, of ordered samples."""
    n = len(x)
    below, above = law.distribution(x), law.survival(x)
    place = np.arange(n)
    ks = max(float(np.max((place + 1.0) / n - below)), float(np.max(below - place / n)))
    tails = np.log(np.maximum(below, 1e-300)) + np.log(np.maximum(above[::-1], 1e-300))
    return ks, -n - float(np.mean((2.0 * place + 1.0) * tails))


def _chances(law: Law, x: Float64s, replications: int, seed: int) -> tuple[float, float]:
    """G15: the share of samples of the law, fitted anew, that are as far from their fit as `x` is from its own."""
    if replications == 0:
        return math.nan, math.nan
    ks, ad = _distances(law, x)
    stream = STREAM + list(LAWS).index(law.key)
    far = np.zeros(2)
    for k in range(replications):
        again = np.sort(law.at_normal(rng.normal(seed, k, np.arange(len(x)), stream)))
        far += np.array(_distances(law.fit(again, law), again)) >= (ks, ad)
    return tuple(((1.0 + far) / (1.0 + replications)).tolist())


@arguments()
def plot_laws(found: xr.Dataset) -> Any:
    """Draw the QQ plot of `fit_laws`: returns against what each law has in their place; a law that fits is a line.

    Far points of a law with fat tails are rightly far from the line: of a sample there are few, and they vary most.

    >>> type(plot_laws(fit_laws(np.random.default_rng(1).normal(size=100), replications=0))).__name__
    'Overlay'
    """
    import hvplot.pandas  # noqa: F401 - what it adds to pandas
    import pandas as pd

    check_found("plot_laws", found)
    frame = found[["observed", "quantile"]].to_dataframe().reset_index()
    low, high = float(found["observed"].min()), float(found["observed"].max())
    points = frame.hvplot.scatter(
        x="quantile", y="observed", by="law", size=8, title="Returns against fitted laws", ylabel="return"
    )
    line = pd.DataFrame({"quantile": [low, high], "observed": [low, high]})
    return points.opts(xlim=(low, high)) * line.hvplot.line(x="quantile", y="observed", color="black", line_width=1)
