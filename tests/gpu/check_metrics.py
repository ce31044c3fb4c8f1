"""Every public metric on cupy arrays against numpy: `python -m tests.gpu.check_metrics` needs no pytest."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import xarray as xr

from kernelkit.metrics import METRICS
from tests.metrics.cases import DEVICE_CASES, DIMS, numbers, series_of

# Sums and products are taken in another order there, exp and log are another library's.
RTOL, ATOL = 1e-9, 1e-12


def difference(name: str, settings: dict[str, Any], labelled: bool) -> float:
    """The largest difference over `ATOL + RTOL |x|`: up to 1 is agreement. Raises AssertionError where NaN differ."""
    import cupy

    series = series_of(name)
    metric = METRICS[name]
    if labelled:
        there = [xr.DataArray(cupy.asarray(v), dims=DIMS) for v in series.values()]
    else:
        there = [cupy.asarray(v) for v in series.values()]
    found, wanted = numbers(metric(*there, **settings)), numbers(metric(*series.values(), **settings))
    worst = 0.0
    for key, value in wanted.items():
        array = found[key].data if labelled else found[key]
        assert isinstance(array, cupy.ndarray), f"{name} {key}: left the device as {type(array).__name__}"
        host = array.get()
        np.testing.assert_array_equal(np.isnan(host), np.isnan(value), err_msg=f"{name} {key}: NaN")
        off = np.abs(host - value) / (ATOL + RTOL * np.abs(value))
        worst = max(worst, float(np.nanmax(np.where(host == value, 0.0, off), initial=0.0)))
    return worst


def main() -> int:
    """One line a case; the number of cases that do not agree."""
    failed = 0
    for text, (name, settings) in DEVICE_CASES.items():
        for labelled in (False, True):
            try:
                off = difference(name, settings, labelled)
                verdict = "ok" if off <= 1.0 else "DIFFERS"
                line = f"{text}: {verdict}, {off:.3g} of the tolerance"
            except Exception as error:  # noqa: BLE001  the other cases are wanted, too
                verdict, line = "FAILS", f"{text}: FAILS, {type(error).__name__}: {error}"
            failed += verdict != "ok"
            sys.stdout.write(f"{line}{' (labelled)' if labelled else ''}\n")
    sys.stdout.write(
        f"{2 * len(DEVICE_CASES) - failed} of {2 * len(DEVICE_CASES)} agree to {RTOL:g} relative, {ATOL:g} absolute\n"
    )
    return failed


if __name__ == "__main__":
    raise SystemExit(min(main(), 1))
