"""Every public metric with arguments that fit it, in each of its conventions: what generic tests go through."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np

from kernelkit.metrics import METRICS
from kernelkit.metrics.metric import ALONE

SHAPE = (3, 4, 260)
DIMS = ("fold", "asset", "time")


def returns() -> np.ndarray:
    """Fat-tailed returns; some begin later or end earlier, one has a gap, one is constant, empty, ruined, often 0."""
    rng = np.random.default_rng(11)
    x = 0.0005 + 0.01 * rng.standard_t(4, SHAPE)
    x[0, 1, :7] = np.nan
    x[0, 2, -5:] = np.nan
    x[1, 0, :3] = x[1, 0, -4:] = np.nan
    x[1, 1, 100] = np.nan
    x[1, 2] = np.nan
    x[1, 3] = 0.001
    x[2, 0, 120] = -1.0
    x[2, 1] = np.where(np.arange(SHAPE[-1]) % 9 < 7, 0.0, x[2, 1])
    return x


def benchmark() -> np.ndarray:
    return 0.6 * np.nan_to_num(returns(), nan=0.001) + 0.005 * np.random.default_rng(12).standard_normal(SHAPE)


SERIES = {
    "returns": returns,
    "outcomes": returns,
    "shares": returns,
    "benchmark": benchmark,
    "equity": lambda: np.cumprod(1.0 + np.where(np.isnan(returns()), 0.0, returns()), axis=-1) + 0.0 * returns(),
    "value_at_risk": lambda: 0.012 + 0.004 * np.random.default_rng(13).random(SHAPE),
    "expected_shortfall": lambda: 0.018 + 0.004 * np.random.default_rng(14).random(SHAPE),
}


def series_of(name: str) -> dict[str, np.ndarray]:
    """The series that a metric takes."""
    parameters = inspect.signature(METRICS[name]).parameters.values()
    return {p.name: SERIES[p.name]() for p in parameters if p.kind is not inspect.Parameter.KEYWORD_ONLY}


def settings_of(name: str) -> Iterator[dict[str, Any]]:
    """The defaults, then each other convention of each setting of the type Literal."""
    given = {"periods": 12} if "periods" in inspect.signature(METRICS[name]).parameters else {}
    yield given
    for key, hint in typing.get_type_hints(METRICS[name].__wrapped__).items():
        if typing.get_origin(hint) is Literal:
            for choice in typing.get_args(hint)[1:]:
                yield {**given, key: choice}


CASES = [(name, settings) for name in METRICS for settings in settings_of(name)]
NAMES = [f"{name}-{'-'.join(str(v) for k, v in settings.items() if k != 'periods')}" for name, settings in CASES]
DEVICE_CASES = {text: case for text, case in zip(NAMES, CASES, strict=True) if case[0] not in ALONE}


def numbers(found: Any) -> dict[str, Any]:
    """The outputs by name, of one output as well as of several."""
    if isinstance(found, dict):
        return found
    if hasattr(found, "data_vars"):
        return {str(k): v for k, v in found.data_vars.items()}
    return {"": found}
