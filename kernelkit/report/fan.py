"""The fan of a result with many paths: bands of what the account was worth, how paths ended, how deep they fell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.errors import UsageError, message
from kernelkit.report import drawing
from kernelkit.report.colours import BLUE, GREY, RED
from kernelkit.report.growth import growth_of
from kernelkit.report.shown import curve_name, shown
from kernelkit.study.monte_carlo import QUANTILES, quantiles_of

if TYPE_CHECKING:
    import xarray as xr

POINTS = 400  # of a band: a screen shows no more


@dataclass(frozen=True)
class Fan:
    """Growth of 1 on many paths.

    ``bands`` float64 (quantile, point) at ``levels`` and ``time``; ``ends`` and ``falls`` float64 (path,) are what each
    path came to and its largest drawdown, ``paths`` their labels. ``real`` (point,) is the growth on the bars
    themselves, None where it is not known, ``observed`` its end and its largest drawdown. ``ruin`` is the share of the
    cash that counts as ruin, and how probable that is; None where no study has told it.
    """

    time: np.ndarray
    levels: np.ndarray
    bands: np.ndarray
    paths: np.ndarray
    ends: np.ndarray
    falls: np.ndarray
    real: np.ndarray | None
    observed: tuple[float, float] | None
    ruin: tuple[float, float] | None
    what: str

    @property
    def loss(self) -> float:
        """The share of paths that ended below the cash."""
        return float(np.mean(self.ends[np.isfinite(self.ends)] < 1.0))

    def path_at(self, level: float) -> int:
        """Which path (its place) ended nearest to this quantile of all ends; of equals the earliest.

        >>> t, ends = np.array(["2024-01-01"], "M8[ns]"), np.array([1.2, 0.8, 1.0])
        >>> Fan(t, t, t, t, ends, ends, None, None, None, "").path_at(0.5)
        2
        """
        wanted = np.nanquantile(self.ends, level)
        return int(np.nanargmin(np.abs(self.ends - wanted)))

    @property
    def sentence(self) -> str:
        """What the fan says, in numbers."""
        many = int(np.isfinite(self.ends).sum())
        found = f"Of {many:,} {self.what} {100 * self.loss:.1f} % ended with a loss"
        if self.ruin is not None:
            share, probability = self.ruin
            found += f", {100 * probability:.1f} % were at some time down to {100 * share:.0f} % of the cash or less"
        return f"{found}."


def fan_of(res: xr.Dataset, real: xr.Dataset | None = None) -> Fan:
    """The fan of a result with dim ``path``; ``real`` is the result on the bars themselves.

    Of the paths only quantiles are kept, at most `POINTS` moments of them. Raises UsageError for a result without
    paths, and for paths of several trials.
    """
    if "path" not in res.dims or "total_return" not in res or "path" not in res["total_return"].dims:
        wanted = "one with dim path: of kk.monte_carlo or kk.cross_validate"
        fix = "Run kk.monte_carlo(bars, strategy)."
        raise UsageError(message("fan of this result", f"dims {', '.join(map(str, res.dims))}", wanted, fix))
    several = [str(d) for d in res["total_return"].dims if d != "path"]
    if several:
        fix = f"Choose one: res.sel({several[0]}=...)."
        raise UsageError(message("fan of this result", f"several trials along {', '.join(several)}", "one trial", fix))
    return _summed(res, real) if "equity_band" in res else _of_curves(res, real)


def _summed(res: xr.Dataset, real: xr.Dataset | None) -> Fan:
    """The fan of a Monte Carlo study, which holds the bands."""
    time = res["block_end"].values
    observed = tuple(float(res["observed"].sel(metric=n)) for n in ("total_return", "max_drawdown"))
    return Fan(
        time,
        res["quantile"].values,
        res["equity_band"].transpose("quantile", "block").values,
        res["path"].values,
        1.0 + res["total_return"].values,
        res["max_drawdown"].values,
        None if real is None else _at(growth_of(shown(real)), time),
        (1.0 + observed[0], observed[1]),
        (float(res.attrs["ruin"]), float(res["probability_of_ruin"])),
        "paths",
    )


def _of_curves(res: xr.Dataset, real: xr.Dataset | None) -> Fan:
    """The fan of a result that has the curve of each path."""
    name = curve_name(res, "equity")
    if name is None:
        fix = "Run the study again: a saved result has the curves that kk.save was told to keep."
        raise UsageError(message("fan of this result", "no curves of its paths", "bands or curves of them", fix))
    rows = np.unique(np.linspace(0, res.sizes["time"] - 1, POINTS).astype("i8"))
    end = 1.0 + res["total_return"].values
    cash = (res["final_equity"].values / end)[:, None]
    growth = res[name].transpose("path", "time").values[:, rows] / cash
    time, real_ = res["time"].values[rows], None if real is None else growth_of(shown(real))
    bands = quantiles_of(growth, QUANTILES)
    seen = None if real_ is None else _at(real_, time)
    return Fan(time, np.array(QUANTILES), bands, res["path"].values, end, res["max_drawdown"].values, seen,
               None if real_ is None else (float(real_.iloc[-1]), float((1 - real_ / real_.cummax()).max())),
               None, "paths out of sample")  # fmt: skip


def _at(curve: Any, time: np.ndarray) -> np.ndarray:
    """A curve at these moments, as it was last known; NaN before it begins."""
    found: np.ndarray = curve.reindex(time, method="ffill").values
    return found


def static(fan: Fan, log: bool | None = None) -> Any:
    """The fan as a picture for a page: bands, median and the real run, and beside them where the paths ended."""
    import pandas as pd

    names = [f"{level:.0%}" for level in fan.levels]
    table = pd.DataFrame(fan.bands.T, fan.time, names).rename_axis("time").reset_index()
    low, high = _extent(fan)
    equal = bool(low > 0.0 and high / low > 3.0) if log is None else log
    look = drawing.look(logy=equal, ylabel="times the cash at first", xlabel="", yformatter="%.1f", width=640)
    picture: Any = None
    for k in range(len(names) // 2):
        one = drawing.hvplot(table).area(
            "time", names[k], names[-1 - k], color=BLUE, alpha=0.15 + 0.1 * k, line_width=0, **look
        )
        picture = one if picture is None else picture * one
    middle = pd.Series(fan.bands[len(names) // 2], fan.time, name="median")
    line = drawing.hvplot(middle).line(color=BLUE, label="median path", **look)
    picture = line if picture is None else picture * line
    if fan.real is not None:
        seen = pd.Series(fan.real, fan.time, name="growth")
        picture = picture * drawing.hvplot(seen).line(color=RED, label="the bars themselves", **look)
    inner = f"the middle {fan.levels[-2] - fan.levels[1]:.0%} and " if len(names) > 3 else "the middle "
    title = f"Growth of 1: the bars, and {inner}{fan.levels[-1] - fan.levels[0]:.0%} of paths"
    picture = picture.opts(title=title, legend_position="top_left")
    ends = distribution(fan.ends, "growth at the end", None if fan.observed is None else fan.observed[0], width=260)
    return (picture + ends.opts(title="Where the paths ended")).opts(shared_axes=False)


def distribution(values: np.ndarray, name: str, mark: float | None, **look: Any) -> Any:
    """How often the paths came to what; what was observed is marked."""
    import holoviews as hv
    import pandas as pd

    found = pd.Series(values[np.isfinite(values)], name=name)
    bars = drawing.hvplot(found).hist(
        bins=max(8, min(40, len(found) // 5)),
        color=GREY,
        line_width=0,
        **drawing.look(**{"legend": False, "ylabel": "paths", "xlabel": name, **look}),
    )
    return bars if mark is None else bars * hv.VLine(mark).opts(color=RED, line_width=2)


def _extent(fan: Fan) -> tuple[float, float]:
    every = [fan.bands] if fan.real is None else [fan.bands, fan.real]
    return min(float(np.nanmin(v)) for v in every), max(float(np.nanmax(v)) for v in every)
