"""Writes docs/calibration.md: `make calibrate`, or `python -m tests.calibration.table docs/calibration.md 1000`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import kernelkit as kk
from kernelkit.inference.overfitting import block_sums, numbers
from tests.calibration.size import p_values
from tests.calibration.worlds import WORLDS, Rng
from tests.inference.covering import coverage, series

SKILLED = [name for name in WORLDS if not name.endswith("256")]  # four years of data
INTERVALS = (
    ("mean of independent returns, percentile", "iid", "percentile", 0.0, 1_000),
    ("mean of independent returns, BCa", "iid", "bca", 0.0, 1_000),
    ("mean at autocorrelation 0.3, stationary blocks, BCa", "stationary", "bca", 0.3, 1_000),
    ("mean at autocorrelation 0.3, residuals of an autoregression", "residual", "percentile", 0.3, 1_000),
    ("the same of 250 sessions, stationary blocks, percentile", "stationary", "percentile", 0.3, 250),
    ("the same of 250 sessions, stationary blocks, studentised", "stationary", "studentised", 0.3, 250),
    ("the same of 250 sessions, circular blocks, studentised", "circular", "studentised", 0.3, 250),
    ("the same of 250 sessions, residuals of an autoregression", "residual", "percentile", 0.3, 250),
)

HEAD = """# Calibration

What the inference promises, held against worlds in which the truth is known. Written by `make calibrate`; a part of it
runs with the tests. A share of {families:,} families has a standard error of at most {error:.1f} percentage points
at 5 %.

## The headline test

Each family has 300 trials over 1,000 sessions (256 where the name says so), seen by the block sums of the ledger
alone. `size`: how often the test rejects at 5 % and at 1 % where no trial has skill; `power`: how often at 5 %
where one trial has a true annual Sharpe ratio of 2. Of 300 independent trials no test that keeps its 5 % finds more
than about 68 % of these: `t` is 4 on average, and the best of 299 others exceeds 3.58 in 5 % of families.

| world | size 5 % | size 1 % | power | |
|---|---|---|---|---|
"""


def headline_rows(families: int) -> list[str]:
    """One line for each world."""
    lines = []
    for name, world in WORLDS.items():
        p = p_values(name, families)
        power = f"{100 * np.mean(p_values(name, families // 2, skill=True) <= 0.05):.0f} %" if name in SKILLED else ""
        said = " ".join((world.__doc__ or "").split())
        sizes = " | ".join(f"{100 * np.mean(p <= level):.1f} %" for level in (0.05, 0.01))
        lines.append(f"| {name.replace('_', ' ')} | {sizes} | {power} | {said} |")
        sys.stderr.write(f"{lines[-1]}\n")
    return lines


def band_rows(families: int) -> list[str]:
    """How often the null band of PBO holds the PBO of families without skill."""
    lines = []
    for name in ("iid", "equicorrelated_half", "ten_clusters"):
        inside = [in_band(name, np.random.default_rng([7, k])) for k in range(families)]
        lines.append(f"| {name.replace('_', ' ')} | {100 * np.mean(inside):.0f} % |")
        sys.stderr.write(f"{lines[-1]}\n")
    return lines


def in_band(name: str, rng: Rng) -> bool:
    """Whether PBO of one family of 60 trials lies in its null band of 90 %."""
    sums = block_sums(np.ascontiguousarray(WORLDS[name](rng).x[:, :60]), 16)
    share, low, high = numbers(sums, "sharpe_ratio", 99, 0.9, 1)[:3]
    return bool(low <= share <= high)


def interval_rows(runs: int) -> list[str]:
    """How often an interval of 95 % holds the truth."""
    lines = []
    for name, scheme, method, rho, n in INTERVALS:
        x = series(runs, n, 5, rho=rho)
        drawing = kk.inference.Resampling(scheme, replications=999)
        held = coverage(lambda a: a.mean("time"), 0.0, x, level=0.95, method=method, resampling=drawing)
        lines.append(f"| {name} | {100 * held:.1f} % |")
        sys.stderr.write(f"{lines[-1]}\n")
    return lines


def spa_line() -> str:
    """What rescaling one model does to Hansen's test."""
    x = np.random.default_rng(3).normal(0.02, 1.0, (500, 20))
    counts = kk.inference.block_counts(500, 999, length=5)
    plain, scaled = (kk.inference.superior_ability(x * by, counts, length=5) for by in (1.0, np.r_[10.0, np.ones(19)]))
    largest = max(abs(a - b) for a, b in zip(plain, scaled, strict=True))
    return f"One of 20 models multiplied by 10 changes the p-values of Hansen's test by {largest:g}."


def write(path: Path, families: int) -> None:
    """The whole page."""
    parts = [HEAD.format(families=families, error=100 * (0.05 * 0.95 / families) ** 0.5)]
    parts += ["\n".join(headline_rows(families)), "\n\n## The null band of PBO\n\nShould hold 90 %.\n\n"]
    parts += ["| world | held |\n|---|---|\n", "\n".join(band_rows(max(40, families // 5)))]
    parts += ["\n\n## Bootstrap intervals\n\nShould hold 95 %, of 1,000 sessions unless a line says otherwise.\n\n"]
    parts += ["| interval | held |\n|---|---|\n"]
    parts += ["\n".join(interval_rows(families)), f"\n\n## Superior ability\n\n{spa_line()}\n"]
    path.write_text("".join(parts), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1_000)
