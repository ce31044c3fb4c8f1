"""The decorator that makes a formula over the last axis a public metric over a named dim."""

from __future__ import annotations

import functools
import inspect
import math
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, Literal, get_args, get_origin

import numpy as np
import xarray as xr

from kernelkit import schema
from kernelkit.errors import DataError, UsageError, message, misfit
from kernelkit.metrics.labels import check_names
from kernelkit.metrics.period import periods_of, sampled, warn_of_bars
from kernelkit.metrics.series import Array, column

Periods = Any  # None to a caller, found by M10 before a formula sees it
METRICS: dict[str, Callable[..., Any]] = {}
INFERENCE: dict[str, Callable[..., Any]] = {}
ALONE: set[str] = set()  # of these, those that take one series at a time, on the host
HOMES = {"metrics": METRICS, "inference": INFERENCE}  # where a formula is public: kk.metrics, kk.inference
Sampling = Literal["session", "bar"]  # M15
Gaps = Literal["nan", "skip", "carry", "own"]

MONEY = "quote"  # units of an equity
DIM = inspect.Parameter("dim", inspect.Parameter.KEYWORD_ONLY, default="time", annotation="str")

# What a setting of this name must be, besides a number or a whole one, as its type says.
RANGES: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "periods": ("a number above 0", lambda v: v > 0),
    "ddof": ("0 or 1", lambda v: v in (0, 1)),
    "level": ("a number between 0 and 1, such as 0.95", lambda v: 0.0 < v < 1.0),
    "tail": ("a number between 0 and 1, such as 0.9", lambda v: 0.0 < v < 1.0),
    "decay": ("a number between 0 and 1, such as 0.94", lambda v: 0.0 < v < 1.0),
    "order": ("a number above 0", lambda v: v > 0),
    "top": ("a whole number of at least 1", lambda v: v >= 1),
    "depth": ("a fraction from 0 to below 1", lambda v: 0.0 <= v < 1.0),
    "lags": ("None or a whole number of at least 0", lambda v: v >= 0),
    "cap": ("None or a whole number of at least 1", lambda v: v >= 1),
    "excess": ("a number of at least 0, such as 0.1", lambda v: v >= 0.0),
    "initial": ("None or a number above 0", lambda v: v > 0.0),
    "n_lags": ("a whole number of at least 1", lambda v: v >= 1),
    "window": ("a whole number of at least 3", lambda v: v >= 3),
    "train": ("a whole number of at least 10", lambda v: v >= 10),
    "limit": ("a number above 0", lambda v: v > 0),
    "share": ("a fraction above 0, at most 1", lambda v: 0.0 < v <= 1.0),
    "shortest": ("a fraction above 0, at most 0.5", lambda v: 0.0 < v <= 0.5),
    "breaks": ("None or a whole number of at least 0", lambda v: v >= 0),
    "n_trials": ("a number of at least 1", lambda v: v >= 1.0),
    "sharpe_variance": ("a number of at least 0", lambda v: v >= 0.0),
}


class Text(typing.NamedTuple):
    """Units and long_name of one output."""

    units: str
    long_name: str


def metric(
    units: str = "",
    long_name: str = "",
    *,
    outputs: Mapping[str, tuple[str, str]] | None = None,
    shape: Literal["number", "curve", "rows"] = "number",
    labels: tuple[str, ...] = (),
    gaps: Gaps = "nan",
    alone: bool = False,
    home: Literal["metrics", "inference"] = "metrics",
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a formula public: `formula(x, ..., setting=...)`, arrays with samples along the last axis.

    Its positional parameters are series, its keywords settings; a setting may be a series as well (a risk-free rate
    over time). The public function takes DataArrays and the name of the `dim` that it reduces; DataArrays must share
    their labels exactly, other dims broadcast. Plain arrays of numpy or cupy are reduced along their last axis.
    Units and long_name may be left out for names of the schema. With ``outputs`` (name to units and long_name) the
    formula returns a tuple and the metric a Dataset; ``shape="curve"`` keeps the dim, ``"rows"`` puts ``top`` rows in
    its place, of which ``labels`` are positions along the dim. A setting is checked against its type and what RANGES
    says of its name, and all are attrs of what comes out. `home` is the package that shows the function. Of two
    formulas of one name there the second is refused, unless it is the same one defined again, as a cell run twice does.
    What is a loop or another library's is called for each series ``alone``, without its missing ends, on the host.

    M9, M14: a series with a gap gives NaN, with ``gaps="skip"``, of samples in no order, what the others give. Both are
    done here; a formula that carries a level over a gap (``"carry"``), or gives NaN of its ``"own"``, takes one series
    as it was given. The metric says which as `gaps`.

    >>> @metric("1", "largest sample")
    ... def highest(x):
    ...     return np.max(x, axis=-1)
    >>> float(highest(xr.DataArray([1.0, 3.0, 2.0], dims="time")))
    3.0
    >>> del METRICS["highest"]
    """

    def decorate(formula: Callable[..., Any]) -> Callable[..., Any]:
        _check_free(formula, home)
        texts = outputs or {"": (units, long_name) if units else schema_text(formula.__name__)}
        made = Metric(formula, {k: Text(*v) for k, v in texts.items()}, shape, labels, gaps, alone, home)
        ALONE.update({formula.__name__} if alone else ())
        HOMES[home][formula.__name__] = public = made.function()
        return public

    return decorate


def schema_text(name: str) -> tuple[str, str]:
    """Units and long name of a variable of the schema."""
    row = schema.variable(name)
    return row.units, row.long_name


def _check_free(formula: Callable[..., Any], home: str) -> None:
    """Raise UsageError where the name is that of another public thing."""
    name = formula.__name__
    there = HOMES[home].get(name) or vars(sys.modules[f"kernelkit.{home}"]).get(name)
    if there is not None and _origin(there) != _origin(formula):
        fix = "Give the function another name."
        raise UsageError(message(f"a metric named {name!r}", f"kk.{home}.{name}", "a name of its own", fix))


def _origin(thing: Any) -> tuple[Any, ...]:
    return getattr(thing, "__module__", None), getattr(thing, "__qualname__", None)


class Metric:
    """A formula and what its outputs are."""

    def __init__(
        self,
        formula: Callable[..., Any],
        outputs: Mapping[str, Text],
        shape: Literal["number", "curve", "rows"],
        labels: tuple[str, ...],
        gaps: Gaps,
        alone: bool,
        home: str,
    ) -> None:
        self.formula, self.outputs, self.shape, self.labels = formula, outputs, shape, labels
        self.gaps, self.alone, self.home = gaps, alone, home
        self.name = formula.__name__
        self.signature = inspect.signature(formula)
        hints = typing.get_type_hints(formula)
        self.choices = {k: get_args(v) for k, v in hints.items() if get_origin(v) is Literal}
        kinds = {k: get_args(v) or (v,) for k, v in hints.items() if k not in self.choices and self._is_setting(k)}
        self.optional = {k for k, v in kinds.items() if type(None) in v}
        self.numbers = {k: Integral if int in v else Real for k, v in kinds.items() if {int, float, Any} & set(v)}

    def function(self) -> Callable[..., Any]:
        """The public function: the formula's name, text and parameters, and `dim`."""

        @functools.wraps(self.formula)
        def public(*args: Any, dim: str = "time", **kwargs: Any) -> Any:
            return self.call(dim, *args, **kwargs)

        parameters = (*self.signature.parameters.values(), DIM)
        public.__signature__ = self.signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        public.gaps = self.gaps  # type: ignore[attr-defined]
        public.outputs = self.outputs  # type: ignore[attr-defined]
        self.public = public
        return public

    def call(self, dim: str, *args: Any, **kwargs: Any) -> Any:
        """Reduce what was given: labelled where any of it is."""
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError:
            raise UsageError(misfit(self.public, self.public, args, kwargs, {})) from None
        bound.apply_defaults()
        values = bound.arguments
        first = next(iter(values))
        needed = [k for k, p in self.signature.parameters.items() if p.kind is not inspect.Parameter.KEYWORD_ONLY]
        series = {k: v for k, v in values.items() if k in needed or getattr(v, "ndim", 0) > 0}
        settings = {k: v.item() if hasattr(v, "ndim") else v for k, v in values.items() if k not in series}
        for name, value in series.items():
            self._check_series(name, value, dim)
        if len({isinstance(v, xr.DataArray) for v in series.values()}) == 2:
            fix = "Wrap the arrays: xr.DataArray(values, other.coords, other.dims)."
            raise DataError(message(self.name, "DataArrays and plain arrays", "one kind", fix))
        for name, value in settings.items():
            if (name, value) != ("periods", None):
                self._check_setting(name, value)
        if "sampling" in settings and isinstance(values[first], xr.DataArray):
            series = {k: sampled(v, settings["sampling"], dim) for k, v in series.items()}
        if "periods" in settings:
            if settings["periods"] is None:
                settings["periods"] = periods_of(series[first], dim)
                self._check_setting("periods", settings["periods"])
            warn_of_bars(self.name, series[first], settings["periods"], dim, 4)
        if not isinstance(values[first], xr.DataArray):
            found = self._arrays(tuple(series), settings)(*series.values())
            return dict(zip(self.outputs, found, strict=True)) if isinstance(found, tuple) else found
        return self._labelled(series, settings, dim)

    def _labelled(self, series: dict[str, Any], settings: dict[str, Any], dim: str) -> xr.DataArray | xr.Dataset:
        check_names(self.name, series.values(), self.outputs)
        core = {"number": [], "curve": [dim], "rows": ["drawdown"]}[self.shape]
        try:
            found = xr.apply_ufunc(
                self._arrays(tuple(series), settings),
                *series.values(),
                input_core_dims=[[dim]] * len(series),
                output_core_dims=[core] * len(self.outputs),
                join="exact",
                dask="parallelized",
                output_dtypes=[np.float64] * len(self.outputs),
                dask_gufunc_kwargs={
                    "allow_rechunk": True,
                    "output_sizes": {"drawdown": settings["top"]} if self.shape == "rows" else {},
                },
            )
        except xr.AlignmentError as error:
            names = " and ".join(series)
            fix = f"Select the same labels first, as xr.align({', '.join(series)}, join='inner') does."
            raise DataError(message(names, "labels that differ", "the same labels exactly", fix)) from error
        found = found if isinstance(found, tuple) else (found,)
        conventions = {("periods_per_year" if k == "periods" else k): v for k, v in settings.items() if v is not None}
        conventions |= {k: "a series" for k in series if self._is_setting(k)}
        first = next(iter(series.values()))
        conventions = {k: first.attrs[k] for k in self._travelling(settings) if k in first.attrs} | conventions
        clock = first[dim]
        arrays = {}
        for (name, text), array in zip(self.outputs.items(), found, strict=True):
            one = labelled(array, clock) if name in self.labels and dim in clock.coords else array
            one.attrs = {"long_name": text.long_name, **conventions}
            if one.dtype.kind != "M":  # the units of a datetime are xarray's own
                one.attrs["units"] = text.units
            arrays[name] = one
        if "" in self.outputs:
            return arrays[""].rename(f"{self.name}_bar" if conventions.get("sampling") == "bar" else self.name)
        return xr.Dataset(arrays, attrs=conventions)

    def _is_setting(self, name: str) -> bool:
        parameter = self.signature.parameters.get(name)
        return parameter is not None and parameter.kind is inspect.Parameter.KEYWORD_ONLY

    def _travelling(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        """M15: what the returns of a level keep of it, and metrics of returns of them."""
        return ("periods_per_year",) if "sampling" in settings else ("sampling",)

    def _arrays(self, names: tuple[str, ...], settings: Mapping[str, Any]) -> Callable[..., Any]:
        """The formula as a function of the arrays of these series: an array, or a tuple of them."""

        def reduce(*arrays: Array) -> Any:
            with np.errstate(divide="ignore", invalid="ignore"):  # a ratio over nothing is NaN, and says so
                given = [a.astype("f8", copy=False) for a in arrays]
                if self.gaps in ("carry", "own"):
                    return self.formula(*given, **settings)
                self._check_host(given)
                present, broken = aligned(given)
                if self.alone:
                    return self._one_by_one(dict(zip(names, present, strict=True)), broken, settings)
                found = self.formula(**dict(zip(names, present, strict=True)), **settings)
                if self.gaps == "skip":
                    return found
                gap = broken if self.shape == "number" else column(broken)
                if isinstance(found, tuple):
                    return tuple(np.where(gap, np.nan, one)[()] for one in found)
                return np.where(gap, np.nan, found)[()]

        return reduce

    def _one_by_one(self, series: Mapping[str, Array], broken: Array, settings: Mapping[str, Any]) -> Any:
        """The formula of each series without its missing ends; NaN of those with a gap and of those without samples."""
        there = ~np.isnan(next(iter(series.values())))
        found = [np.full(there.shape if self.shape == "curve" else broken.shape, np.nan) for _ in self.outputs]
        for at in np.ndindex(broken.shape):
            if broken[at] or not there[at].any():
                continue
            values = self.formula(**{k: x[at][there[at]] for k, x in series.items()}, **settings)
            place = (*at, there[at]) if self.shape == "curve" else at
            for one, value in zip(found, values if isinstance(values, tuple) else (values,), strict=True):
                one[place] = value
        return tuple(one[()] for one in found) if len(found) > 1 else found[0][()]

    def _check_host(self, arrays: Sequence[Array]) -> None:
        if self.alone and not all(isinstance(a, np.ndarray) for a in arrays):
            found = next(type(a).__name__ for a in arrays if not isinstance(a, np.ndarray))
            raise DataError(message(self.name, found, "an array of numpy", "Take it to the host first."))

    def _check_series(self, name: str, value: Any, dim: str) -> None:
        what = f"{self.name}: {name}"
        wanted = "a DataArray, or an array of numpy or cupy"
        if not isinstance(value, xr.DataArray) and not (hasattr(value, "__array_function__") and value.ndim):
            fix = "Wrap it: xr.DataArray(values, dims='time')."
            raise DataError(message(what, type(value).__name__, wanted, fix))
        if isinstance(value, xr.DataArray) and dim not in value.dims:
            fix = f"Name the dim to reduce: {self.name}(..., dim=...)."
            raise DataError(message(what, f"dims {value.dims}", f"the dim {dim!r}", fix))
        if name in ("returns", "benchmark") and isinstance(value, xr.DataArray) and value.attrs.get("units") == MONEY:
            fix = "Pass kk.metrics.returns(equity, initial=the cash at the start)."
            raise DataError(message(what, f"units {MONEY!r}", "returns of samples, as fractions", fix))
        if not value.shape[-1 if not isinstance(value, xr.DataArray) else value.dims.index(dim)]:
            raise DataError(message(what, "no samples", "at least one", "Widen the selection."))

    def _check_setting(self, name: str, value: Any) -> None:
        what, fix = f"{self.name}: {name}", f"See help(kk.{self.home}.{self.name})."
        if name in self.choices and value not in self.choices[name]:
            raise UsageError(message(what, repr(value), f"one of {', '.join(map(repr, self.choices[name]))}", fix))
        if name in self.numbers and not (value is None and name in self.optional):
            number = "a whole number" if self.numbers[name] is Integral else "a number, or a series"
            wanted, fits = RANGES.get(name, (number, lambda v: True))
            right = isinstance(value, self.numbers[name]) and not isinstance(value, bool)
            if not right or not math.isfinite(value) or not fits(value):
                raise UsageError(message(what, repr(value), wanted, fix))


def aligned(arrays: Sequence[Array]) -> tuple[list[Array], Array]:
    """M9: the series with NaN where any of them has none, and whether there is a gap between samples.

    >>> x, broken = aligned([np.array([[np.nan, 1.0, 2.0], [1.0, np.nan, 2.0]])])
    >>> broken
    array([False,  True])
    """
    missing = functools.reduce(np.logical_or, [np.isnan(a) for a in arrays])
    last = missing.shape[-1] - 1
    span = last - np.argmax(~missing[..., ::-1], axis=-1) - np.argmax(~missing, axis=-1) + 1
    n = np.sum(~missing, axis=-1)
    return [np.where(missing, np.nan, a) for a in arrays], (n > 0) & (span != n)


def labelled(position: xr.DataArray, clock: xr.DataArray) -> xr.DataArray:
    """The labels of `clock` at these positions; missing where the position is NaN or before the first."""
    known = clock.values
    nothing = np.array("NaT" if known.dtype.kind in "mM" else np.nan)

    def take(at: Array) -> Array:
        at = at.get() if hasattr(at, "get") else at  # cupy keeps no datetimes
        inside = at >= 0.0
        return np.where(inside, known[np.where(inside, at, 0.0).astype("i8")], nothing.astype(_with_missing(known)))

    found: xr.DataArray = xr.apply_ufunc(take, position, dask="parallelized", output_dtypes=[_with_missing(known)])
    return found


def _with_missing(known: np.ndarray) -> np.dtype[Any]:
    return known.dtype if known.dtype.kind in "mMf" else np.dtype("f8" if known.dtype.kind in "iu" else "O")
