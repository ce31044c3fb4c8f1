"""From pandas frames to the Dataset of bars that the engine takes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from kernelkit.data import grid as grids
from kernelkit.data import lineage, quality, rows, sessions
from kernelkit.errors import DataError, arguments, message
from kernelkit.schema import EXTRA, PRICES, check_bars
from kernelkit.schema import label as add_labels

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    Frames: TypeAlias = pd.DataFrame | Mapping[str, pd.DataFrame]
    PerAsset: TypeAlias = float | Mapping[str, float]

WEEKS = 2  # without a bar on some weekday, from which on a market is taken to close then
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
# Fractions of a coin are traded, fractions of a share usually are not.
LOT, LOT_ALWAYS = 1.0, 2.0**-20


class CalendarWarning(UserWarning):
    """Bars that are not what their calendar lets one expect."""


@dataclass(frozen=True)
class Instrument:
    """What is traded; ``grid`` None is derived from the first close."""

    asset: str
    asset_id: str
    grid: grids.Grid | None
    lot: float
    multiplier: float
    currency: str
    snaps: bool = False


@arguments()
def from_pandas(  # noqa: PLR0913 - what a file of bars does not say has to be said here
    frame: Frames,
    label: Literal["open", "close"] | None = None,
    bar: str | None = None,
    calendar: str | None = None,
    tz: str | None = None,
    tick_size: PerAsset | None = None,
    lot_size: PerAsset | None = None,
    *,
    multiplier: PerAsset = 1.0,
    currency: str | Mapping[str, str] = "USD",
    name: str | None = None,
    about: Mapping[str, Any] | None = None,
    like: xr.Dataset | None = None,
) -> xr.Dataset:
    """Return checked bars with dims (time, asset) from one OHLC(V) frame, or from a dict of frames, one per asset.

    ``label`` says whether a timestamp is the open or the close of its bar, ``bar`` how long a bar is, ``calendar``
    names the sessions ("24/7" or a name of exchange_calendars), ``tz`` the zone of timestamps without one. Dates with
    an exchange calendar need neither label nor bar: they open and are known with their session. "24/7" days are UTC
    days; its timestamps without a zone are UTC. Several assets share the union of their times; ``valid`` is False
    where an asset has no bar, and its numbers there are NaN, as is the volume of a frame without that column. A column
    ``vwap``, the volume-weighted mean price of each bar, is for fills at it (rule F10); it may lie a tick outside the
    bar, and is NaN where nothing was traded.

    ``tick_size`` is a power of two or 1/integer, and prices must lie on it. Without one, prices are put on the grid
    2^-k that gives the first close 2^30 to 2^31 ticks (``max_snap_error`` in attrs is the largest relative change).
    ``lot_size`` is 1.0, with "24/7" 2^-20. These and ``multiplier`` and ``currency`` are one value or a dict by asset.
    ``about`` overrides ``asset_id`` (dict by asset), source, licence, note, synthetic and tradable. ``like=bars``
    reads more bars of the same instruments exactly as ``bars`` were read. Raises `DataError`, naming the rows. Bars of
    a "24/7" market that has none on some days of the week come with a `CalendarWarning`: its year has 365 sessions.

    >>> import pandas as pd
    >>> days = pd.to_datetime(["2020-07-02", "2020-07-06"])
    >>> prices = {"Open": [10.0, 11.0], "High": [12.0, 11.5], "Low": [9.5, 10.0], "Close": [11.0, 10.25]}
    >>> frame = pd.DataFrame(prices, index=days)
    >>> bars = from_pandas(frame, calendar="XNYS", tick_size=0.01)
    >>> bars["known_at"].values[0]
    np.datetime64('2020-07-02T20:00:00.000000000')
    """
    if like is not None:
        check_bars(like)
    frames = _frames(frame, name, like)
    for asset, own in frames.items():  # what no setting would mend comes first
        quality.check_times(own, asset)
    if like is not None:
        _check_alone(label=label, bar=bar, calendar=calendar, tz=tz, tick_size=tick_size, lot_size=lot_size)
        return build(frames, convention_of(like), instruments_of(like), _about_of(like))
    convention = sessions.Convention(label, bar, sessions.resolve(calendar), tz)
    settings = {"tick_size": tick_size, "lot_size": lot_size, "multiplier": multiplier, "currency": currency}
    texts = {"name": name or _name(frames), **(about or {})}
    ids = texts.pop("asset_id", {})
    if not isinstance(ids, Mapping):
        wanted = f"a dict by asset, as {{{next(iter(frames))!r}: ...}}"
        raise DataError(message("asset_id in about=", repr(ids), wanted, "Name each asset."))
    instruments = [_instrument(asset, tuple(frames), settings, ids, convention.calendar) for asset in frames]
    bars = build(frames, convention, instruments, texts)
    if convention.calendar == sessions.ALWAYS:
        _warn_of_weekends(bars["session"].values, texts["name"])
    return bars


def _warn_of_weekends(session: sessions.Int64s, name: str) -> None:
    days = np.unique(session)
    weekdays = np.unique((days + 3) % 7)  # 1970-01-01 was a Thursday; Monday is 0
    if days.size < WEEKS * 5 or not 5 <= weekdays.size < 7:
        return
    missing = " or ".join(f"{WEEKDAYS[k]}s" for k in sorted(set(range(7)) - set(weekdays.tolist())))
    found = f"none on {missing} in {days.size} days, under the calendar 24/7"
    fix = 'Pass calendar="XNYS" (or the exchange\'s own), or "24/5": under "24/7" a year counts 365 sessions.'
    text = message(f"bars of {name}", found, "some on every day of the week", fix)
    warnings.warn(text, CalendarWarning, stacklevel=4)


def build(
    frames: Mapping[str, pd.DataFrame],
    convention: sessions.Convention,
    instruments: list[Instrument],
    about: Mapping[str, Any],
) -> xr.Dataset:
    """Return the bars of ``frames``, one for each of ``instruments`` and in their order."""
    columns = {one.asset: quality.columns(frames[one.asset], one.asset) for one in instruments}
    stamps = _stamps(frames, convention)
    times = _union([s.ns for s in stamps.values()])
    reading = sessions.settle(replace(next(iter(stamps.values())), ns=times), convention)
    clock = _clock(times, stamps, reading)
    extra = [key for key in EXTRA if any(key in own for own in columns.values())]
    arrays = {key: np.full((times.size, len(instruments)), np.nan) for key in (*quality.COLUMNS, *extra)}
    valid = np.zeros((times.size, len(instruments)), dtype=bool)
    placed, errors = [], []
    for a, one in enumerate(instruments):
        at = np.searchsorted(times, stamps[one.asset].ns)
        valid[at, a] = True
        values, known, error = _place(columns[one.asset], one, frames[one.asset].index)
        for key, column in values.items():
            arrays[key][at, a] = column
        placed.append(known)
        errors.append(error)
    attrs = _attrs(about, reading.convention, placed, max(errors))
    return _dataset(clock, placed, {**arrays, "valid": valid}, attrs)


def convention_of(bars: xr.Dataset) -> sessions.Convention:
    """Return how the timestamps of ``bars`` were read."""
    label = bars.attrs["label"]
    return sessions.Convention(
        label if label in ("open", "close") else None, bars.attrs["bar"], bars.attrs["calendar"], bars.attrs["tz"]
    )


def instruments_of(bars: xr.Dataset) -> list[Instrument]:
    """Return the instruments of ``bars`` with the grid that they have."""
    snapped = set(bars.attrs["derived_ticks"])
    return [
        Instrument(
            asset=str(one["asset"].values),
            asset_id=str(one["asset_id"].values),
            grid=grids.Grid(float(one["tick"]), int(one["inverse"])),
            lot=float(one["lot"]),
            multiplier=float(one["multiplier"]),
            currency=str(one["currency"].values),
            snaps=str(one["asset_id"].values) in snapped,
        )
        for one in (bars.coords.to_dataset().isel(asset=a) for a in range(bars.sizes["asset"]))
    ]


def _frames(frame: Frames, name: str | None, like: xr.Dataset | None) -> dict[str, pd.DataFrame]:
    if isinstance(frame, Mapping):
        if not frame:
            raise DataError(message("frames", "an empty dict", "one frame for each asset", "Add {name: frame}."))
        frames = {str(key): value for key, value in frame.items()}
    else:
        only = [str(a) for a in like["asset"].values] if like is not None else [name or "asset"]
        frames = {only[0]: frame}
    if like is not None and set(frames) != {str(a) for a in like["asset"].values}:
        wanted = ", ".join(str(a) for a in like["asset"].values)
        raise DataError(message("frames", ", ".join(frames), wanted, "Pass a dict with one frame for each asset."))
    return frames


def _check_alone(**settings: object) -> None:
    given = [key for key, value in settings.items() if value is not None]
    if given:
        fix = "Leave them out; like= reads everything from those bars."
        raise DataError(message("from_pandas(like=...)", f"also {', '.join(given)}", "like= alone", fix))


def _name(frames: Mapping[str, pd.DataFrame]) -> str:
    return ", ".join(frames) if len(frames) <= 3 else f"{len(frames)} assets"


def _one(settings: Mapping[str, Any], key: str, asset: str, assets: tuple[str, ...]) -> Any:
    value = settings[key]
    if not isinstance(value, Mapping):
        return value
    strange = sorted(set(value) - set(assets))
    if strange:
        raise DataError(message(f"{key} by asset", ", ".join(strange), ", ".join(assets), "Use the names of frames."))
    return value.get(asset)


def _instrument(
    asset: str, assets: tuple[str, ...], settings: Mapping[str, Any], ids: Mapping[str, str], calendar: str | None
) -> Instrument:
    tick, lot, multiplier, currency = (_one(settings, key, asset, assets) for key in settings)
    if lot is None:
        lot = LOT_ALWAYS if calendar == sessions.ALWAYS else LOT
    multiplier = 1.0 if multiplier is None else multiplier
    for key, value in (("lot_size", lot), ("multiplier", multiplier)):
        if not (np.isfinite(value) and value > 0.0):
            raise DataError(message(f"{key} of {asset!r}", value, "a positive number", "Pass for example 1.0."))
    grid = None if tick is None else grids.given(tick, asset)
    asset_id = ids.get(asset, asset)
    return Instrument(asset, asset_id, grid, float(lot), float(multiplier), currency or "USD", snaps=grid is None)


def _stamps(frames: Mapping[str, pd.DataFrame], convention: sessions.Convention) -> dict[str, sessions.Stamps]:
    stamps = {asset: sessions.read(frame.index, convention, asset) for asset, frame in frames.items()}
    for key in ("dates", "tz"):
        kinds = {asset: getattr(s, key) for asset, s in stamps.items()}
        if len(set(kinds.values())) > 1:
            found = ", ".join(f"{asset!r}: {value}" for asset, value in kinds.items())
            fix = "Give all frames the same kind of index; midnights are dates unless bar= is shorter than a day."
            raise DataError(message(f"indices ({key})", found, "the same for all assets", fix))
    return stamps


def _clock(times: sessions.Int64s, stamps: Mapping[str, sessions.Stamps], reading: sessions.Reading) -> sessions.Clock:
    for asset, own in stamps.items():
        made = sessions.clock(own.ns, reading, asset)
        if own.ns is times:
            return made
    return sessions.clock(times, reading, "all assets together")


def _union(labels: list[sessions.Int64s]) -> sessions.Int64s:
    if all(np.array_equal(labels[0], other) for other in labels[1:]):
        return labels[0]
    return np.unique(np.concatenate(labels))


def _place(columns: quality.Columns, one: Instrument, index: Any) -> tuple[quality.Columns, Instrument, float]:
    """Return the columns with prices exactly on the grid, the instrument with its grid, the largest relative change."""
    grid = one.grid or grids.derived(float(columns["close"][0]))
    if not one.snaps:
        _check_on(columns, grid, one.asset, index)
    placed, error = dict(columns), 0.0
    for key in PRICES:
        ticks = grid.ticks(columns[key])
        grids.check_range(ticks, grid, one.asset)
        placed[key] = grid.prices(ticks)
        error = max(error, float(np.max(np.abs(placed[key] / columns[key] - 1.0))))
    if "vwap" in placed:
        _check_vwap(placed, grid, one.asset, index)
    return placed, replace(one, grid=grid), error


def _check_on(columns: quality.Columns, grid: grids.Grid, asset: str, index: Any) -> None:
    off = {key: grid.off(columns[key]) > grids.OFF_GRID for key in PRICES}
    bad = np.flatnonzero(np.logical_or.reduce(list(off.values())))
    if not bad.size:
        return

    def text(i: int) -> str:
        return f"{rows.when(index[i])}: " + " ".join(
            f"{key} {float(columns[key][i])!r}" for key in PRICES if off[key][i]
        )

    found = f"{rows.count(bad.size)} off the grid: {rows.show(bad, text)}"
    fix = "Pass the tick of the finest price, or tick_size=None for prices without a grid."
    raise DataError(message(f"prices of {asset!r}", found, f"multiples of tick_size={grid.tick}", fix))


def _check_vwap(placed: quality.Columns, grid: grids.Grid, asset: str, index: Any) -> None:
    off = (placed["vwap"] < placed["low"] - grid.tick) | (placed["vwap"] > placed["high"] + grid.tick)
    bad = np.flatnonzero(off)
    if bad.size:

        def text(i: int) -> str:
            return f"{rows.when(index[i])}: " + " ".join(
                f"{key} {float(placed[key][i])!r}" for key in ("low", "high", "vwap")
            )

        found = f"{rows.count(bad.size)} with one outside: {rows.show(bad, text)}"
        fix = "Compute it from the trades of the bar, or drop the column."
        raise DataError(message(f"vwap of {asset!r}", found, "a price between low and high, a tick apart at most", fix))


def _attrs(
    about: Mapping[str, Any], convention: sessions.Convention, placed: list[Instrument], error: float
) -> dict[str, Any]:
    calendar = convention.calendar or ""
    return {
        "name": "",
        "source": "user",
        "licence": "",
        "calendar": calendar,
        "periods_per_year": sessions.periods_per_year(calendar),
        "tz": convention.tz,
        "bar": convention.bar,
        "label": convention.label,
        "synthetic": 0,
        "tradable": 1,
        "note": "",
        "derived_ticks": [one.asset_id for one in placed if one.snaps],
        "max_snap_error": error,
        **about,
    }


def _about_of(bars: xr.Dataset) -> dict[str, Any]:
    return {key: bars.attrs[key] for key in ("name", "source", "licence", "synthetic", "tradable", "note")}


def _dataset(
    clock: sessions.Clock, placed: list[Instrument], arrays: Mapping[str, Any], attrs: Mapping[str, Any]
) -> xr.Dataset:
    import xarray as xr

    known = [one.grid for one in placed if one.grid is not None]
    coords = {
        "time": ("time", clock.time.view("datetime64[ns]")),
        "open_at": ("time", clock.open_at.view("datetime64[ns]")),
        "known_at": ("time", clock.known_at.view("datetime64[ns]")),
        "session": ("time", clock.session),
        "asset": ("asset", np.array([one.asset for one in placed])),
        "asset_id": ("asset", np.array([one.asset_id for one in placed])),
        "tick": ("asset", np.array([g.tick for g in known])),
        "inverse": ("asset", np.array([g.inverse for g in known], dtype=np.int64)),
        "lot": ("asset", np.array([one.lot for one in placed])),
        "multiplier": ("asset", np.array([one.multiplier for one in placed])),
        "currency": ("asset", np.array([one.currency for one in placed])),
    }
    columns = {key: (("time", "asset"), array) for key, array in arrays.items()}
    bars = xr.Dataset(columns, coords, attrs)
    add_labels(bars)
    bars.attrs.update(lineage.identify(bars))
    return bars
