"""Memory: the same for few paths and many, within what it was limited to, and not more after a thousand runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import xarray as xr

import kernelkit as kk

HEAD = """
import gc, sys
import kernelkit as kk
from kernelkit.kernels import layout as L

@kk.strategy
def trend(ctx, n=5, m=1):
    ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else 0.0)

def told(name):
    # its own: what getrusage tells goes back to the process that has started this one
    (line,) = (line for line in open("/proc/self/status") if line.startswith(name))
    return int(line.split()[1])

bars = kk.data.load("sp500_index")
"""

PATHS = """
import kernelkit.study.monte_carlo as mc
import kernelkit.study.run as runner

mc.BATCH_BARS, mc.BANDS_BYTES, runner.BATCH_BYTES = 2**13, 2**20, 2**20  # of what does not grow, less than usual
bars, model = bars.isel(time=slice(0, 90)), kk.paths.GBM(drift=0.05, volatility=0.2)
kk.monte_carlo(bars, trend, paths=400, model=model)
before = told("VmHWM")
found = kk.monte_carlo(bars, trend, paths=int(sys.argv[1]), model=model)
print(1000 * (told("VmHWM") - before), found.nbytes)
"""

LIMITED = """
import kernelkit.reuse as reuse

reuse.WORTH = 0.0
bars, cache = bars.isel(time=slice(0, 900)), sys.argv[2] == "cache" and sys.argv[3]
kk.backtest(bars, trend, grid={"n": [5, 6]}, cache=cache)
before = told("VmHWM")
with kk.ledger.role("scenario"):  # whose block summaries the ledger does not want
    for _ in range(1 + bool(cache)):  # then all of them are found
        res = kk.backtest(
            bars, trend, grid={"n": range(5, 65), "m": range(100)}, cache=cache, outputs=("metrics", "blocks"),
            memory_limit=sys.argv[1],
        )
        assert float(res["blocks"].isel(n=50, m=90, block=0).sel(summary="n")) > 0
print(1000 * (told("VmHWM") - before), 6_000 * L.MAX_CELLS * L.NODE.itemsize)
"""

SOAK = """
def one(k):
    part = bars.isel(time=slice(0, 300 + k % 50))
    res = kk.backtest(part, trend, grid={"n": [5 + k % 7, 20]})
    float(res["equity"].isel(n=0)[-1])
    if k % 50 == 0:
        kk.walk_forward(part, trend, grid={"n": [5, 20]}, train=150, test=50)
    if k % 50 == 10:
        kk.monte_carlo(part, trend, paths=4)
    if k % 50 == 20:
        kk.stress(part, trend, scenarios=[kk.scenarios.Gap(-0.1)])
    if k % 50 == 30:
        kk.cross_validate(part, trend, grid={"n": [5, 20]}, splits=kk.splits.combinatorial(4, 2))

sizes = []
for k in range(1000):
    one(k)
    if k % 200 == 199:
        gc.collect()
        sizes.append(told("VmRSS"))
print(*sizes)
"""


def measured(tmp_path: Path, script: str, *arguments: str) -> list[int]:
    """What a script prints, run by itself."""
    (tmp_path / "measure.py").write_text(HEAD + script)
    (tmp_path / ".kernelkit").mkdir(exist_ok=True)
    own = {"PYTHONPATH": str(Path.cwd()), "KERNELKIT_LEDGER": str(tmp_path / "ledger")}
    command = [sys.executable, "measure.py", *arguments]
    found = subprocess.run(command, cwd=tmp_path, env=os.environ | own, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (0, "")
    return [int(word) for word in found.stdout.split()]


def test_more_paths_take_no_more_memory_than_their_metrics(tmp_path: Path) -> None:
    (few, small), (many, large) = (measured(tmp_path, PATHS, str(n)) for n in (2_000, 12_000))
    each = (large - small) / 10_000
    assert each < 200.0  # bytes: the metrics of a path
    assert (many - few) / 10_000 < 5.0 * each  # they are laid out, joined and ranked; block summaries were 2,048 more


@pytest.mark.parametrize("kept", ["plain", "cache"])
def test_a_memory_limit_holds(tmp_path: Path, kept: str) -> None:
    (free, blocks), (limited, _) = (
        measured(tmp_path, LIMITED, limit, kept, str(tmp_path / f"results-{limit}")) for limit in ("10GB", "5MB")
    )
    assert limited < free - blocks // 2


def test_a_thousand_runs_leave_nothing_behind(tmp_path: Path) -> None:
    early, *_, last = measured(tmp_path, SOAK)
    assert last < early + 12_000  # kB; a result of 8 kB that stays is 6,400


@kk.strategy
def trend(ctx, n=5, m=1):
    ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else 0.0)


BARS = kk.data.load("sp500_index").isel(time=slice(0, 500))
GRID = {"n": [5, 6], "m": range(8)}
CALM = {"train": "1Y", "test": "6M", "grid": GRID}
STUDIES = {
    "backtest": lambda **own: kk.backtest(BARS, trend, grid=GRID, outputs=("metrics", "blocks"), **own),
    "walk_forward": lambda **own: kk.walk_forward(BARS, trend, grid=GRID, train=200, test=100, **own),
    "cross_validate": lambda **own: kk.cross_validate(
        BARS, trend, grid=GRID, splits=kk.splits.combinatorial(4, 2), **own
    ),
    "stress": lambda **own: kk.stress(BARS, trend, grid=GRID, scenarios=[kk.scenarios.Gap(-0.1)], **own),
    "capacity": lambda **own: kk.capacity(kk.data.load("aapl"), trend, grid=GRID, capitals=[1e5, 1e6], **own),
    "compare": lambda **own: kk.compare({"a": trend, "b": trend}, BARS, params={"b": {"n": 9}}, **own),
    "reverse_stress": lambda **own: kk.reverse_stress(
        BARS, trend, shock=lambda size: kk.scenarios.Gap(-size), steps=4, tolerance=0.1, **own
    ),
    "adversarial": lambda **own: kk.adversarial(BARS, trend, n=20, blocks=2, **own).search,
    "monte_carlo": lambda **own: kk.monte_carlo(BARS, trend, grid=GRID, paths=5, **own),
    "adapt": lambda **own: kk.regimes.adapt(BARS, trend, kk.regimes.volatility(BARS, min_train="3M"), **CALM, **own),
}


@pytest.fixture
def spilled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """The arrays that came to lie in files."""
    monkeypatch.setenv("KERNELKIT_LEDGER", str(tmp_path / "ledger"))
    found: list[int] = []
    reserved = os.posix_fallocate

    def counted(file: int, begin: int, size: int) -> None:
        found.append(size)
        reserved(file, begin, size)

    monkeypatch.setattr(os, "posix_fallocate", counted)
    return found


@pytest.mark.parametrize("study", STUDIES)
def test_every_study_obeys_a_memory_limit_and_changes_no_bit(study: str, spilled: list[int]) -> None:
    plain = STUDIES[study]().load()
    assert spilled == []
    limited = STUDIES[study](memory_limit="100B").load()
    assert spilled
    xr.testing.assert_identical(plain.drop_attrs(), limited.drop_attrs())
    with pytest.raises(kk.errors.UsageError, match="memory_limit: found 'much'"):
        STUDIES[study](memory_limit="much")
