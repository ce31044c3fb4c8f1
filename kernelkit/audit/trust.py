"""Columns that were handed over as known: what can be said about them without the code that made them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PAST, NEAR = 16, 32  # bars before and after that are looked at
FOLDS = 5
# Cross-validated share of a column that the following bars explain, given the bars before. Over 560 honest columns
# (noise, random walks, steps, rare events, on 1,510 bars) the largest was 0.22; shifted and centred ones have 0.8.
SHARE = 0.3
QUANTILES = (0.01, 0.05, 0.1, 0.2, 0.25, 0.3, 0.5, 0.7, 0.75, 0.8, 0.9, 0.95, 0.99)
SAME = 1e-11  # relative: a sum in another order
CHANGES = 8  # a column must change that often before copies of the future are counted


def suspect(column: Floats, prices: dict[str, Floats]) -> tuple[int, str] | None:
    """Say in which row, and why, ``column`` can only have been made with the future; None if nothing shows it.

    It finds columns that repeat a later price, that the following returns explain, or that were scaled with the
    extremes or the mean of the whole series. It proves no column innocent: what it does not know, it does not find.
    """
    return _scaled(column, prices) or _copied(column, prices) or _explained(column, prices["close"])


def _explained(column: Floats, close: Floats) -> tuple[int, str] | None:
    log = np.log(close)
    step = np.concatenate([[0.0], np.diff(log)])
    past = [close, log, *(_lag(step, k) for k in range(PAST + 1)), *(_lag(close, k) for k in range(1, PAST))]
    design = np.column_stack([np.ones(len(close)), *past])
    future = np.column_stack([_lag(step, -k) for k in range(1, NEAR + 1)])
    rows = np.flatnonzero(np.isfinite(column) & np.isfinite(design).all(axis=1) & np.isfinite(future).all(axis=1))
    if rows.size < 10 * (design.shape[1] + future.shape[1]):
        return None
    scale = design[rows].std(axis=0)
    design = design[rows] / np.where(scale > 0.0, scale, 1.0)
    left, ahead = _without(design, column[rows]), _without(design, future[rows])
    total = float(left @ left)
    if total <= 1e-18 * float(column[rows] @ column[rows]):
        return None
    guess = np.empty_like(left)
    for part in np.array_split(np.arange(rows.size), FOLDS):
        others = np.ones(rows.size, bool)
        others[part] = False
        x = ahead[others]
        ridge = 1e-6 * float((x * x).sum()) / x.shape[1]
        guess[part] = ahead[part] @ np.linalg.solve(x.T @ x + ridge * np.eye(x.shape[1]), x.T @ left[others])
    share = 1.0 - float(((left - guess) ** 2).sum()) / total
    if share < SHARE:
        return None
    row = int(rows[np.argmax(np.abs(guess))])
    return row, f"the {NEAR} bars after each row explain {share:.0%} of what the bars before it leave open"


def _lag(values: Floats, k: int) -> Floats:
    out = np.full(len(values), np.nan)
    if k >= 0:
        out[k:] = values[: len(values) - k]
    else:
        out[:k] = values[-k:]
    return out


def _without(design: Floats, values: Floats) -> Floats:
    coefficients, *_ = np.linalg.lstsq(design, values, rcond=1e-10)
    return np.asarray(values - design @ coefficients)


def _copied(column: Floats, prices: dict[str, Floats]) -> tuple[int, str] | None:
    """A value that a price takes later, and no price took before."""
    rows = np.flatnonzero(np.isfinite(column) & (column != _lag(column, 1)))
    if rows.size < CHANGES:
        return None
    every = np.column_stack(list(prices.values())).ravel()  # bar after bar: the stable order finds the earliest
    order = np.argsort(every, kind="stable")
    place = np.minimum(np.searchsorted(every[order], column[rows]), every.size - 1)
    found = order[place]
    bar = found // len(prices)
    early = (every[found] == column[rows]) & (bar > rows)
    if early.mean() <= 0.5:
        return None
    k = int(early.argmax())
    name = list(prices)[int(found[k]) % len(prices)]
    return int(rows[k]), f"its value is the {name} {int(bar[k] - rows[k])} bars later, and no price before"


def _scaled(column: Floats, prices: dict[str, Floats]) -> tuple[int, str] | None:
    """A straight-line image of a price, with constants that only the whole series has."""
    good = np.isfinite(column)
    if good.sum() < PAST or np.ptp(column[good]) == 0.0:
        return None
    y = column[good]
    unit = abs(y.min()) < 1e-12 and abs(y.max() - 1.0) < 1e-12
    standard = abs(y.mean()) < 1e-9 and min(abs(y.std() - 1.0), abs(y.std(ddof=1) - 1.0)) < 1e-9
    if not (unit or standard):
        return None
    for name, price in prices.items():
        for text, x in ((name, price[good]), (f"log {name}", np.log(price[good]))):
            if float(np.ptp(_without(np.column_stack([np.ones(y.size), x]), y))) < 1e-9 * float(np.ptp(y)):
                how = "minimum and maximum" if unit else "mean and deviation"
                return int(np.flatnonzero(good)[0]), f"it is {text} scaled with the {how} of the whole series"
    return None


def columns_of(name: str, value: Any, n: int) -> dict[str, Floats]:
    """The columns of ``n`` numbers (rows, further) in something captured that lies along time, by name."""
    if hasattr(value, "data_vars"):
        parts = {f"{name}[{k!r}]": v.values for k, v in value.data_vars.items()}
    elif hasattr(value, "columns"):
        parts = {f"{name}[{k!r}]": value[k].to_numpy() for k in value}
    else:
        parts = {name: np.asarray(getattr(value, "values", value))}
    return {
        k: v.reshape(n, -1).astype(np.float64)
        for k, v in parts.items()
        if v.dtype.kind in "fiub" and v.shape[:1] == (n,) and v.size
    }


class Statistics:
    """Numbers that only the whole of some columns has: what a constant must not be."""

    def __init__(self, columns: dict[str, Floats]) -> None:
        texts, values = [], []
        for name, column in columns.items():
            for text, x in _forms(name, column[np.isfinite(column)]):
                if x.size >= PAST and np.ptp(x) > 0.0:
                    for what, value in _summary(x):
                        texts.append(f"the {what} of {text}")
                        values.append(value)
        self.texts, self.values = texts, np.array(values)

    def match(self, number: float) -> str | None:
        """What the number is, if it is one of them."""
        near = np.flatnonzero(np.abs(self.values - number) <= SAME * abs(number))
        return self.texts[int(near[0])] if near.size else None


def _forms(name: str, x: Floats) -> Iterator[tuple[str, Floats]]:
    yield name, x
    if x.size > 1 and (x > 0.0).all():
        yield f"log {name}", np.log(x)
        yield f"the changes of log {name}", np.diff(np.log(x))
        yield f"the relative changes of {name}", np.diff(x) / x[:-1]
    yield f"the changes of {name}", np.diff(x)


def _summary(x: Floats) -> Iterator[tuple[str, float]]:
    yield "mean", float(x.mean())
    for ddof in (0, 1):
        yield "standard deviation", float(x.std(ddof=ddof))
        yield "variance", float(x.var(ddof=ddof))
    yield from (("minimum", float(x.min())), ("maximum", float(x.max())), ("range", float(np.ptp(x))))
    yield "last value", float(x[-1])
    for q in QUANTILES:
        yield f"{q} quantile", float(np.quantile(x, q))
