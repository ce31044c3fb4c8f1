"""Paths and trials on a CUDA device against the processor's: `python -m tests.gpu.check_device`.

With NUMBA_ENABLE_CUDASIM=1 in numba's simulator, a few of each; on a device some thousand. Every bit is to be the same.
"""

from __future__ import annotations

import sys

import numpy as np

import kernelkit as kk
from kernelkit.kernels import cuda

P = kk.paths
MODELS = (
    P.GBM(0.08, 0.25),
    P.GARCH(mean=2e-4, omega=2e-6, alpha=0.03, beta=0.9, gamma=0.08),
    P.GARCH(mean=2e-4, omega=2e-6, alpha=0.03, beta=0.9, gamma=0.08, df=6.0),
    P.Merton(0.05, 0.15, intensity=20.0, jump_mean=-0.02, jump_deviation=0.03),
    P.Kou(0.05, 0.16, intensity=25.0, up=0.4, up_rate=60.0, down_rate=40.0),
    P.Heston(0.05, 0.04, reversion=3.0, mean_variance=0.05, vol_of_variance=0.6, correlation=-0.7),
)


@kk.strategy
def cross(ctx, fast=5, slow=20, share=0.0):  # type: ignore[no-untyped-def]
    if ctx.close.sma(fast) > ctx.close.ema(slow) and 1 == 1 < fast:
        ctx.target_percent(share or 0.9)
    elif ctx.position > 0.0:
        ctx.stop(-ctx.position, ctx.close[0] - 2.0 * ctx.atr(14))


def main() -> int:
    """One line a check; how many do not agree."""
    few = cuda.SIMULATED
    paths, steps, failed = (5, 42, 0) if few else (4096, 511, 0)
    for model in MODELS:
        for draws in ("independent", "antithetic"):
            found = P.simulate(model, paths=paths, steps=steps, seed=2**40 + 3, draws=draws, gpu=True)
            wanted = P.simulate(model, paths=paths, steps=steps, seed=2**40 + 3, draws=draws)
            off = max(float(np.max(np.abs(found[k] / wanted[k] - 1.0))) for k in ("terminal", "lowest"))
            failed += not found.equals(wanted)
            sys.stdout.write(f"{type(model).__name__}, {draws}: {found.equals(wanted)}, {off:.3g} at most\n")
    bars = kk.data.load("sp500_index")
    if few:
        bars = bars.isel(time=slice(0, 120))
    grid = {"fast": [5, 9], "slow": [20, 30]} if few else {"fast": range(5, 55), "slow": range(60, 160)}
    venue = kk.Venue(fees=kk.fees.fraction(0.001), slippage=kk.slippage.square_root(0.1))
    found = kk.backtest(bars, cross, grid=grid, venue=venue, gpu=True)
    wanted = kk.backtest(bars, cross, grid=grid, venue=venue)
    for name in wanted.data_vars:
        if "time" not in wanted[name].dims:
            same = found[name].identical(wanted[name])
            failed += not same
            sys.stdout.write(f"{name}: {same}\n")
    sys.stdout.write("all agree\n" if failed == 0 else f"{failed} do not agree, on {found.attrs['gpu']}\n")
    return failed


if __name__ == "__main__":
    raise SystemExit(min(main(), 1))
