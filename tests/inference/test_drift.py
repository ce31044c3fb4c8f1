"""Alarms of drift against programs that keep every sample, and how often a monitor is wrong (Y11-Y13)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import kernelkit as kk
from kernelkit.errors import DataError, KernelkitError, UsageError

i = kk.inference


def stream(seed: int, n: int, scale: float = 1.0) -> np.ndarray:
    draw = np.random.default_rng(seed)
    jumps = np.cumsum(np.where(draw.random(n) < 0.01, draw.normal(0.0, 1.0, n), 0.0))
    x: np.ndarray = scale * (jumps + draw.random(n))
    return x


def windows(x: np.ndarray, delta: float, clock: int, buckets: int) -> list[tuple[bool, float, int]]:
    """Y11 with buckets that keep their samples."""
    rows: list[list[np.ndarray]] = [[]]  # by size, the oldest bucket first
    told = []
    for t, value in enumerate(x):
        rows[0].append(np.array([value]))
        level = 0
        while len(rows[level]) > buckets:
            if level + 1 == len(rows):
                rows.append([])
            rows[level + 1].append(np.concatenate([rows[level].pop(0), rows[level].pop(0)]))
            level += 1
        alarm = False

        def held() -> list[np.ndarray]:
            return [one for row in rows[::-1] for one in row]

        while (t + 1) % clock == 0 and sum(map(len, held())) > 10:
            parts, cut = held(), False
            whole = np.concatenate(parts)
            n, confidence = len(whole), math.log(2.0 * math.log(len(whole)) / delta)
            for edge in np.cumsum([len(one) for one in parts]):
                if edge < 5 or n - edge < 5:
                    continue
                m = 1.0 / (edge - 4.0) + 1.0 / (n - edge - 4.0)
                bound = math.sqrt(2.0 * m * whole.var() * confidence) + 2.0 / 3.0 * m * confidence
                cut = cut or abs(whole[:edge].mean() - whole[edge:].mean()) > bound
            if not cut:
                break
            alarm = True
            next(row for row in rows[::-1] if row).pop(0)
        whole = np.concatenate(held())
        told.append((alarm, float(whole.mean()), len(whole)))
    return told


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    delta=st.sampled_from([0.002, 0.05]),
    clock=st.sampled_from([1, 7, 32]),
    buckets=st.sampled_from([2, 5]),
)
def test_y11__windows_are_those_of_all_samples(seed: int, delta: float, clock: int, buckets: int) -> None:
    x = stream(seed, 400)
    found = i.adwin(x, delta=delta, clock=clock, buckets=buckets)
    wanted = windows(x, delta, clock, buckets)
    np.testing.assert_array_equal(found["alarm"], [alarm for alarm, _, _ in wanted])
    np.testing.assert_array_equal(found["width"], [width for _, _, width in wanted])
    np.testing.assert_allclose(found["mean"], [mean for _, mean, _ in wanted], rtol=1e-9, atol=1e-12)


def test_y11__the_scale_is_the_unit() -> None:
    x = stream(3, 2000)
    plain, scaled = i.adwin(x), i.adwin(0.01 * x, scale=0.01)
    assert plain["alarm"].sum() > 3
    np.testing.assert_array_equal(plain["alarm"], scaled["alarm"])
    np.testing.assert_allclose(scaled["mean"], 0.01 * plain["mean"])
    assert i.adwin(0.001 * x)["alarm"].sum() == 0.0


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    tolerance=st.sampled_from([0.0, 0.005, 0.1]),
    threshold=st.sampled_from([3.0, 20.0]),
    forget=st.sampled_from([1.0, 0.99]),
)
def test_y12__page_hinkley_is_what_sums_say(seed: int, tolerance: float, threshold: float, forget: float) -> None:
    """Both sums of the samples since the last alarm, from the start, at every sample."""
    x = stream(seed, 300)
    found = i.page_hinkley(x, tolerance=tolerance, threshold=threshold, forget=forget, first=20)
    begin = 0
    for t in range(300):
        off = [x[k] - x[begin : k + 1].mean() for k in range(begin, t + 1)]
        ups, downs = [0.0], [0.0]
        for d in off:
            ups.append(forget * ups[-1] + d - tolerance)
            downs.append(forget * downs[-1] + d + tolerance)
        up, down = ups[-1] - min(ups[1:]), max(downs[1:]) - downs[-1]
        assert found["up"][t] == pytest.approx(up, abs=1e-9)
        assert found["down"][t] == pytest.approx(down, abs=1e-9)
        if min(abs(up - threshold), abs(down - threshold)) < 1e-9:
            return
        assert found["alarm"][t] == (t - begin + 1 >= 20 and max(up, down) > threshold)
        begin = t + 1 if found["alarm"][t] else begin


@pytest.mark.parametrize("alarm", [i.adwin, i.page_hinkley])
def test_alarms__know_no_future(alarm: Callable[..., dict[str, np.ndarray]]) -> None:
    x = stream(5, 1000)
    whole = alarm(x)
    for cut in (1, 31, 500, 777):
        for name, one in alarm(x[:cut]).items():
            np.testing.assert_array_equal(one, whole[name][:cut])


def test_y13__limits_are_those_of_the_sequence() -> None:
    x = xr.DataArray(np.random.default_rng(1).normal(0.0, 0.01, (3, 400)), dims=("n", "time"))
    found = i.monitor(x, 0.001, level=0.9)
    wanted = i.sequential_test(x, x * 0.0, level=0.95)
    for name in ("estimate", "low", "high"):
        np.testing.assert_allclose(found[name].values, wanted[name].values, rtol=1e-9, atol=1e-15)
    below = np.maximum.accumulate(np.nan_to_num(wanted["high"].values, nan=np.inf) < 0.001, axis=-1)
    np.testing.assert_array_equal(found["degraded"].values, below)
    assert float(found["expected"]) == 0.001
    more = i.monitor(x, 0.001, level=0.9, margin=0.0004)
    assert float(more["expected"]) == pytest.approx(0.0006)
    assert (more["degraded"] <= found["degraded"]).all()


def test_y13__it_is_wrong_as_rarely_as_it_says() -> None:
    """400 accounts that do as their backtests did, looked at every day of four years; then some that do not."""
    draw = np.random.default_rng(7)
    test, live = (xr.DataArray(draw.normal(0.0008, 0.01, (400, 1000)), dims=("path", "time")) for _ in range(2))
    found = i.monitor(live, test)
    assert float(found["degraded"].isel(time=-1).mean()) <= 0.05
    wrong = i.monitor(live, 0.0008)  # the exact promise
    assert float(wrong["degraded"].isel(time=-1).mean()) <= 0.05
    worse = i.monitor(live - 0.003, test)["degraded"]
    assert float(worse.isel(time=-1).mean()) > 0.95
    assert (worse.diff("time") >= 0.0).all()


def test_y13__what_the_reference_may_be() -> None:
    draw = np.random.default_rng(3)
    live = xr.DataArray(draw.normal(-0.002, 0.01, 300), dims="time")
    tests = xr.DataArray(draw.normal([[0.0], [0.002]], 0.01, (2, 900)), {"n": [10, 20]}, ("n", "time"))
    found = i.monitor(live, tests)
    assert found["degraded"].dims == ("n", "time")
    assert (found["expected"] < tests.mean("time")).all()
    short = i.monitor(live, tests.isel(time=slice(0, 100)))
    assert (short["expected"] < found["expected"]).all()
    promised = i.monitor(live, xr.DataArray([0.0, 0.003], {"n": [10, 20]}, "n"))
    assert promised["degraded"].sel(n=20).sum() > promised["degraded"].sel(n=10).sum()
    ended = i.monitor(live.pad(time=(3, 5)), 0.003)
    np.testing.assert_array_equal(ended["degraded"].values[3:-5], promised["degraded"].sel(n=20).values)
    assert np.isnan(ended["degraded"].values[:3]).all()
    gap = live.copy(data=np.where(np.arange(300) == 100, np.nan, live.values))
    assert np.isnan(i.monitor(gap, 0.003)["degraded"]).all()


def test_settings_that_cannot_be() -> None:
    x = xr.DataArray(np.zeros(10), dims="time")
    cases: list[tuple[type[KernelkitError], str, Callable[[], Any]]] = [
        (UsageError, "adwin: found delta=2.0", lambda: i.adwin(x, delta=2.0)),
        (UsageError, "page_hinkley: found tolerance=0.005, threshold=-1.0", lambda: i.page_hinkley(x, threshold=-1.0)),
        (UsageError, "monitor: found level=1.5", lambda: i.monitor(x, 0.0, level=1.5)),
        (DataError, "monitor: reference: found nan", lambda: i.monitor(x, float("nan"))),
        (DataError, "wanted a DataArray", lambda: i.monitor(x.values, 0.0)),
    ]
    for error, text, call in cases:
        with pytest.raises(error, match=text):
            call()
