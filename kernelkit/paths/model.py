"""What all models of paths have in common; draws that are functions of seed, path and step."""

from __future__ import annotations

import dataclasses
import functools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from kernelkit.errors import DataError, UsageError, message
from kernelkit.inference.checks import is_number

if TYPE_CHECKING:
    import xarray as xr

Float64s = NDArray[np.float64]

Kind = Literal["independent", "antithetic", "sobol"]
KINDS: tuple[Kind, ...] = get_args(Kind)

PATHS = 2**32  # beyond, there are no counters


@dataclass(frozen=True)
class Draws:
    """Which draws a batch of paths takes: those of `seed` for `many` paths from `first` on.

    With ``antithetic`` each second path takes those of the one before it with the opposite sign.
    """

    seed: int
    first: int
    many: int
    antithetic: bool = False

    def place(self, step: int) -> tuple[int, int, int, int, int]:
        """What kernels take: two words of the seed, first path, 1 for pairs of paths, first step."""
        return self.seed & 0xFFFFFFFF, self.seed >> 32, self.first, int(self.antithetic), step

    def signs(self, size: float = 1.0) -> Float64s:
        """`size` with the sign of each path."""
        out = np.full(self.many, size)
        if self.antithetic:
            out[1 - self.first % 2 :: 2] *= -1.0
        return out

    def words(self) -> NDArray[np.int64]:
        """Room for the words of a block."""
        return np.empty((4, self.many), np.int64)

    def normals(self, step: int, stream: int, out: Float64s, *, scale: float = 1.0, mean: float = 0.0) -> None:
        """Fill `out` (step, path) with normal numbers (G1)."""
        from kernelkit.kernels.compile import kernel  # numba: only those wait for it who ask for this
        from kernelkit.kernels.draws import FILL_TYPES

        fill = kernel("draws", "fill_normals", FILL_TYPES)
        fill(*self.place(step), stream, self.signs(scale), mean, self.words(), out)

    def students(self, step: int, stream: int, out: Float64s, df: float) -> None:
        """Fill `out` with Student's t numbers of variance 1 (G1)."""
        from kernelkit.kernels.compile import kernel
        from kernelkit.kernels.draws import FILL_TYPES

        fill = kernel("draws", "fill_students", FILL_TYPES)
        fill(*self.place(step), stream, self.signs(), df, self.words(), out)

    def uniforms(self, step: int, stream: int, steps: int) -> Float64s:
        """Uniform numbers (step, path) of so many steps (G1)."""
        from kernelkit.kernels.compile import kernel
        from kernelkit.kernels.draws import UNIFORM_TYPES

        out = np.empty((steps, self.many))
        kernel("draws", "fill_uniforms", UNIFORM_TYPES)(*self.place(step), stream, self.words(), out)
        return out


class Lane(NamedTuple):
    """What a device makes one path with, step by step: the kind of `kernels.device.LANES`, and its numbers.

    Normal numbers are multiplied by `size`; `begin` is the path's memory before its first step.
    """

    kind: str
    numbers: tuple[float, ...]
    size: float = 1.0
    begin: float = 0.0


class Model(ABC):
    """A model of log prices in steps; `periods` of them are a year. Models are frozen dataclasses."""

    periods: float
    kinds: ClassVar[tuple[Kind, ...]] = ("independent", "antithetic")  # of draws that it can take

    def __init_subclass__(cls) -> None:
        """Let what a model makes of its fields begin with numbers."""
        super().__init_subclass__()
        own = cls.__dict__.get("__post_init__")
        if own is not None:

            @functools.wraps(own)
            def begun(self: Model) -> None:
                check_numbers(self)
                own(self)

            cls.__post_init__ = begun  # type: ignore[attr-defined]

    @property
    def assets(self) -> tuple[str, ...]:
        """Names of what the model has prices of; paths of several lie asset by asset within each path."""
        return (type(self).__name__,)

    @property
    def lane(self) -> Lane | None:
        """What a device makes paths with; None where only the processor can."""
        return None

    @abstractmethod
    def reduced(self, draws: Draws, steps: int) -> Float64s:
        """G7 of paths: log price at the end, its highest, its lowest, its largest fall; (4, path and asset)."""

    @abstractmethod
    def returns(self, draws: Draws, steps: int) -> Float64s:
        """Log returns, (step, path and asset)."""

    @abstractmethod
    def log_bars(self, draws: Draws, n: int) -> tuple[Float64s, Float64s | None]:
        """Log prices (open high low close, step, path and asset) of `n` bars from 0 on, and the volume if any."""

    def bars(
        self,
        n: int | None = None,
        *,
        path: int = 0,
        seed: int = 0,
        like: xr.Dataset | None = None,
        draws: Kind = "independent",
    ) -> xr.Dataset:
        """Return `n` bars of one path, with dims (time, asset), on which a strategy runs as on any others.

        ``like`` gives the clock, the price grid and the first open; without it bars are days from 2000 on and begin
        at 100. Bars are on the tick; the highest and lowest price within each are those of the walk itself (G8). The
        volume is the mean of that of ``like``, else missing. More bars of a path begin with the fewer ones, but
        for Sobol points, which decide the end first. ``draws`` are those of `simulate`. Raises `UsageError` where
        ``like`` is too short, or its bars are not those of the model's ``periods``.

        >>> from kernelkit.paths import GBM
        >>> bars = GBM(drift=0.05, volatility=0.2).bars(3, path=7, seed=1)
        >>> bars.sizes["time"], bool((bars["high"] >= bars["low"]).all()), bars.attrs["synthetic"]
        (3, True, 1)
        """
        from kernelkit.paths.bars import one

        return one(self, n, path, seed, like, draws)

    def many(
        self,
        n: int | None = None,
        *,
        paths: Sequence[int] = range(100),
        seed: int = 0,
        like: xr.Dataset | None = None,
        draws: Kind = "independent",
    ) -> xr.Dataset:
        """Return bars of several paths in a row, each an asset named by its number: one backtest runs all of them.

        Path 7 is that of ``bars(path=7)``. The model is one of a single asset; see `bars`.

        >>> from kernelkit.paths import GBM
        >>> GBM(drift=0.05, volatility=0.2).many(3, paths=range(5, 8), seed=1)["asset"].values.tolist()
        ['5', '6', '7']
        """
        from kernelkit.paths.bars import several

        return several(self, n, paths, seed, like, draws)


def steps_a_year(bars: xr.Dataset) -> float:
    """How many of these bars are a year: sessions a year times bars a session.

    >>> import kernelkit as kk
    >>> steps_a_year(kk.data.load("sp500_index"))
    252.0
    """
    sessions = 1 + int(np.count_nonzero(np.diff(bars["session"].values)))
    return float(bars.attrs["periods_per_year"]) * bars.sizes["time"] / sessions


def log_returns(bars: xr.Dataset, what: str, asset: int = 0, *, several: bool = False) -> Float64s:
    """Log returns from close to close of the bars that exist; raises `DataError` where there are too few."""
    from kernelkit.schema import check_bars

    check_bars(bars)
    if "action_kind" in bars.variables and "split" in bars["action_kind"].values.tolist():
        fix = "Fit to prices that are adjusted for splits, without actions."
        raise DataError(message(what, "a split, at which the raw price jumps", "none", fix))
    if bars.sizes["asset"] > 1 and not several:
        fix = "Choose one: bars.isel(asset=[0])."
        raise UsageError(message(what, f"{bars.sizes['asset']} assets", "bars of one", fix))
    close = bars["close"].values[:, asset][bars["valid"].values[:, asset]]
    if len(close) < 101:
        raise DataError(message(what, f"{len(close)} bars", "at least 101", "Give more bars, or state parameters."))
    out = np.diff(np.log(close))
    if not np.ptp(out) > 0.0:
        raise DataError(message(what, "a price that never changes", "one that does", "Choose other bars."))
    return np.asarray(out)


def check_numbers(model: Any) -> None:
    """Raise `UsageError` naming the first field that should be a number and is none, or is not finite."""
    fix = f"See help(kk.paths.{type(model).__name__})."
    for field in dataclasses.fields(model):
        value, wanted = getattr(model, field.name), str(field.type)
        if wanted in ("float", "float | None") and not (value is None and "None" in wanted):
            if not is_number(value):
                raise UsageError(message(field.name, repr(value), "a finite number", fix))


def check(model: Any, **wanted: tuple[bool, str]) -> None:
    """Raise `UsageError` naming the first field that is not as wanted."""
    fix = f"See help(kk.paths.{type(model).__name__})."
    for name, (fits, text) in {"periods": (model.periods > 0.0, "above 0"), **wanted}.items():
        if not fits:
            raise UsageError(message(name, getattr(model, name), text, fix))


def check_counts(what: str, seed: Any, **numbers: tuple[Any, int, int]) -> None:
    """Raise `UsageError` for a seed that is none, and where a number is not within its bounds."""
    fix = f"See help(kk.paths.{what})."
    for name, (value, least, most) in {"seed": (seed, 0, 2**64 - 1), **numbers}.items():
        if not (isinstance(value, int | np.integer) and least <= value <= most):
            raise UsageError(message(f"{what}: {name}", value, f"a whole number from {least} to {most}", fix))
