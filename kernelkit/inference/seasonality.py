"""Do returns depend on the calendar? Many questions of one series, hence a family (I3, M24)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kernelkit.errors import DataError, UsageError, arguments, message
from kernelkit.inference.multiplicity import Method, adjusted_p_values
from kernelkit.metrics.factors import check_settings
from kernelkit.metrics.labels import check_dims, over, zoned
from kernelkit.metrics.metric import aligned
from kernelkit.metrics.regression import least_squares
from kernelkit.metrics.trades import WEEKDAYS

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

CALENDARS = ("weekday", "month", "turn_of_month", "holiday", "hour")
DAILY = CALENDARS[:-1]
FIRST = 3  # sessions of a month that are its turn, with the last one of the month before

_TEXTS = {
    "n_samples": ("1", "number of samples of the effect"),
    "mean": ("1", "mean of its samples"),
    "rest": ("1", "mean of all others"),
    "difference": ("1", "mean less that of all others"),
    "t": ("1", "t of the difference"),
    "p_value": ("1", "its two-sided p-value"),
}


@arguments()
def seasonality(
    returns: xr.DataArray,
    *,
    by: Sequence[str] = DAILY,
    method: Method = "bh",
    lags: int | None = None,
    tz: str = "UTC",
    dim: str = "time",
) -> xr.Dataset:
    """Is the mean return of weekdays, months and other times of the calendar other than that of the rest? M24.

    Along a new dim `effect`, one label for each question: `n_samples`, `mean`, `rest`, `difference`, `t` with errors of
    Newey and West (M21), `p_value`, and `adjusted_p_value`, which counts for all questions of a series together (I3):
    with `"bh"` at most the share q of those that are at most q is expected to be luck. Calendars are `weekday`,
    `month`, `turn_of_month` (Ariel, 1987; Lakonishok and Smidt, 1988), `holiday` (Ariel, 1990), by the dates of the
    labels on the clocks of `tz`, and `hour`. What never happens, or always, is no question. NaN of a series with a gap
    (M9). Raises DataError without times along `dim`, UsageError for settings that cannot be.

    >>> days = np.arange("2020-01-01", "2022-01-01", dtype="M8[D]").astype("M8[ns]")
    >>> x = xr.DataArray(np.random.default_rng(2).normal(0.0, 0.01, 731), {"time": days}, "time")
    >>> found = seasonality(x + 0.005 * (x["time"].dt.dayofweek == 0), by=["weekday"])
    >>> found["effect"].values[found["adjusted_p_value"] < 0.05].tolist()
    ['weekday Monday']
    """
    check_settings("seasonality", lags, "small")
    if method not in get_args(Method):
        wanted = f"one of {', '.join(map(repr, get_args(Method)))}"
        raise UsageError(message("seasonality: method", repr(method), wanted, "See help(kk.inference.seasonality)."))
    check_dims("seasonality", {"returns": returns}, {"returns": [dim]})
    index = _clock(returns, dim, tz)
    masks = {name: mask for one in _calendars(by) for name, mask in effects(index, one) if not mask.all()}
    if not masks:
        fix = "Widen the selection, or ask for other calendars."
        raise DataError(message("seasonality: returns", f"nothing that differs by {', '.join(by)}", "effects", fix))
    found = over(
        "seasonality",
        lambda x: _differences(x, np.stack(list(masks.values())), lags),
        {"returns": returns},
        {"returns": [dim]},
        {name: ["effect"] for name in _TEXTS},
        _TEXTS,
        {"method": method, "lags": lags, "tz": tz},
        {"effect": list(masks)},
    )
    return found.assign(adjusted_p_value=adjusted_p_values(found["p_value"], method=method, dim="effect"))


def _calendars(by: Sequence[str]) -> list[str]:
    unknown = [one for one in ([by] if isinstance(by, str) else by) if one not in CALENDARS]
    if unknown or isinstance(by, str) or not by:
        found, wanted = repr(by), f"a list of {', '.join(CALENDARS)}"
        raise UsageError(message("seasonality: by", found, wanted, "See help(kk.inference.seasonality)."))
    return list(by)


def _clock(returns: xr.DataArray, dim: str, tz: str) -> pd.DatetimeIndex:
    import pandas as pd

    if dim not in returns.coords or returns[dim].dtype.kind != "M":
        fix = "Give it a time coordinate."
        raise DataError(message("seasonality: returns", f"no times along {dim!r}", "times", fix))
    return zoned("seasonality", pd.DatetimeIndex(returns[dim].values), tz)


def effects(index: pd.DatetimeIndex, calendar: str) -> Iterator[tuple[str, Mask]]:
    """M24: the effects of a calendar that these times know, each with the samples it has.

    >>> import pandas as pd
    >>> days = pd.DatetimeIndex(["2024-07-02", "2024-07-03", "2024-07-05"])
    >>> [(name, mask.tolist()) for name, mask in effects(days, "holiday")]
    [('before holiday', [False, True, False]), ('after holiday', [False, False, True])]
    """
    date = index.tz_localize(None).to_numpy("M8[ns]").astype("M8[D]")
    days, session = np.unique(date, return_inverse=True)
    found: list[tuple[str, Mask]] = []
    if calendar == "weekday":
        key = (days.astype("i8") + 3) % 7  # 1970-01-01 was a Thursday
        found = [(f"weekday {name}", (key == k)[session]) for k, name in enumerate(WEEKDAYS)]
    elif calendar == "month":
        key = days.astype("M8[M]").astype("i8") % 12
        found = [(f"month {k + 1:02d}", (key == k)[session]) for k in range(12)]
    elif calendar == "hour":
        found = [(f"hour {k:02d}", index.hour.to_numpy() == k) for k in range(24)]
    elif calendar == "turn_of_month":
        found = [("turn of month", _turn(days)[session])]
    else:
        skipped = np.busday_count(days[:-1] + np.timedelta64(1, "D"), days[1:]) > 0
        before, after = np.append(skipped, False), np.append(False, skipped)
        found = [("before holiday", before[session]), ("after holiday", after[session])]
    yield from ((name, mask) for name, mask in found if mask.any())


def _turn(days: Any) -> Mask:
    """The last session of a month and the first ones of the next; a month's beginning is known after another month."""
    month = days.astype("M8[M]")
    opens = np.append(False, month[1:] != month[:-1])
    turn = np.append(opens[1:], False)
    for k in range(FIRST):
        turn[k:] |= opens[: len(opens) - k]
    return np.asarray(turn)


def _differences(x: Floats, masks: Mask, lags: int | None) -> tuple[Floats, ...]:
    present, broken = aligned([x])
    there = ~np.isnan(present[0])
    rows = np.full((len(_TEXTS), len(masks)), np.nan)
    if broken or not there.any():
        return tuple(rows)
    y = present[0][there]
    for k, mask in enumerate(masks[:, there]):
        fit = least_squares(
            y, np.column_stack([np.ones(len(y)), mask.astype("f8")]), lags=lags, correction="satterthwaite"
        )
        rest, difference = fit.coefficients
        rows[:, k] = mask.sum(), rest + difference, rest, difference, fit.t[1], fit.p_values[1]
    return tuple(rows)
