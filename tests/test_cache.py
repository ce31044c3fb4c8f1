"""The folder of compiled code may be damaged, full or closed: results are the same, or an error says what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import kernelkit as kk
from kernelkit.errors import RunError
from kernelkit.kernels import cache
from kernelkit.kernels import compile as native
from kernelkit.progress import is_compiling

ROOT = Path(__file__).parents[1]
SCRIPT = """
import kernelkit as kk

@kk.strategy
def cross(ctx, fast=20, slow=100):
    ctx.target_percent(1.0 if ctx.close.sma(fast) > ctx.close.sma(slow) else 0.0)

print(float(kk.backtest(kk.data.load("sp500_index"), cross)["final_equity"]).hex())
"""


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this user's cache folder, with the engine in it."""
    native.engine()
    folder = tmp_path_factory.mktemp("warm")
    shutil.copytree(cache.cache_dir(), folder / cache.build_id())
    return folder


def run(folder: Path, home: Path) -> str:
    """What a fresh process with this cache folder prints."""
    (home / ".kernelkit").mkdir(exist_ok=True)
    (home / "script.py").write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "KERNELKIT_CACHE": str(folder)}
    command = [sys.executable, "-W", "error", "script.py"]
    found = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (0, "")
    return found.stdout


def test_what_is_damaged_is_made_again(warm: Path, tmp_path: Path) -> None:
    build = warm / cache.build_id()
    for path in build.glob("strategy_*.py"):
        path.unlink()
    first = run(warm, tmp_path)
    strategies = list(build.glob("strategy_*.py"))
    compiled = [
        path
        for path in build.glob("__pycache__/*.nbc")
        if path.name.startswith(tuple(p.stem for p in strategies)) or ".end_all" in path.name
    ]
    assert len(strategies) == 1
    assert len(compiled) >= 2
    for path in strategies:
        path.write_text("")
    for path in compiled:
        path.write_bytes(path.read_bytes()[:100])
    assert run(warm, tmp_path) == first
    assert all(p.read_text() for p in strategies)


def test_a_folder_that_cannot_be_written(tmp_path: Path, caplog: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = tmp_path / "file"
    closed.write_text("in the way")
    monkeypatch.setenv("KERNELKIT_CACHE", str(closed))
    folder = cache.cache_dir()
    assert folder == cache.cache_dir()
    assert folder.parent.is_dir()
    assert "compiled code is kept for this process only" in caplog.text
    assert closed.read_text() == "in the way"
    folder.parent.rmdir()
    cache.writable.cache_clear()


def test_a_full_disk() -> None:
    def full(function: Any) -> Any:
        raise OSError(28, "No space left on device")

    linker = native.Linker("def entry(x: int) -> int:\n    return x\n", "cache_test")
    with pytest.raises(RunError, match=r"No space left on device, wanted a place to write\. Make room"):
        linker.load("entry", full)


def test_warmup_leaves_nothing_of_the_engine_to_compile() -> None:
    from kernelkit.engine import warmup

    warmup()
    engine = native.engine()
    wanted = {"meet", "ruin", "steer", "act", "match", "log_curve", "close_out", "sma_price", "vwap"}
    wanted |= set(native.SHARED.values())
    parts = {*native.PARTS, *native.REACH}
    assert wanted <= set(engine.units)
    assert parts == set(engine.parts)
    for name in wanted | parts:
        function = engine.home[name]
        assert native.index_of(getattr(function, "py_func", function)).exists(), name


def test_warmup_leaves_nothing_of_metrics_and_inference_to_compile() -> None:
    from kernelkit.engine import warmup

    warmup()
    before = native.kernel.cache_info().misses
    x = np.random.default_rng(1).normal(size=(12, 64))
    kk.metrics.summary(x, periods=252)
    kk.inference.cscv(xr.DataArray(x, dims=("trial", "time")))
    assert native.kernel.cache_info().misses == before > 0


def test_equal_text_with_another_kernel_keeps_its_code() -> None:
    @kk.strategy
    def one(ctx, n=5):  # type: ignore[no-untyped-def]
        ctx.target(1.0 if ctx.close[0] > ctx.close.sma(n) else 0.0)

    text = one.program({"n": int}).text
    assert "sma" not in text
    (a, sma), (b, ema) = (native.strategy(text, (kind,)) for kind in ("sma_price", "ema"))
    assert a["coast"] == b["coast"]
    assert sma != ema


def test_compiling_is_told_and_loading_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERNELKIT_CACHE", str(tmp_path))
    told: list[bool] = []

    def decorate(function: Any) -> Any:
        told.append(is_compiling())
        return native.cfunc("float64(int64)")(function)

    for _ in range(2):
        native.Linker("def entry(at):\n    return 1.5 * at\n", "told").load("entry", decorate)
    assert told == [True, False]
    assert not is_compiling()
