"""What a result is compared with: the same money in the same asset, bought at the first bar and held."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.kernels.layout import HEADLINE
from kernelkit.kernels.session import simulate
from kernelkit.result import Curves
from kernelkit.strategy import Program, each, portfolio, strategy

if TYPE_CHECKING:
    import xarray as xr

    from kernelkit.market.account import Account
    from kernelkit.market.fill_model import FillModel
    from kernelkit.market.venue import Venue
    from kernelkit.recipe import Recipe

NAME = "buy and hold"


@strategy
def hold(ctx: Any) -> None:
    """Buy what the cash can pay, once."""
    if ctx.position == 0.0:
        ctx.target_percent(1.0)


@portfolio(state={"listed": 0, "w": each(float("nan"))})
def hold_all(ctx: Any, s: Any) -> None:
    """Buy as much of each asset that there is, once."""
    if s.listed == 0:
        for _ in ctx.tradable:
            s.listed += 1
        for k in ctx.tradable:
            s.w[k] = 1.0 / s.listed
        ctx.weights(s.w, 0.0)


@lru_cache(maxsize=1)
def _program() -> Program:
    return hold.program({})


def buy_and_hold(
    bars: xr.Dataset,
    *,
    start: Any = None,
    end: Any = None,
    account: Account | None = None,
    venue: Venue | None = None,
    fill_model: FillModel | str | None = None,
) -> xr.Dataset:
    """Backtest buying at the first bar of a span and holding to its end; the ledger keeps it as a benchmark, no rival.

    >>> import kernelkit as kk
    >>> held = buy_and_hold(kk.data.load("sp500_index"), start="2009", end="2009")
    >>> round(float(held["total_return"]), 2), int(held["n_fills"])
    (0.2, 1)
    """
    from kernelkit import ledger
    from kernelkit.engine import backtest

    settings: dict[str, Any] = {"account": account, "venue": venue, "fill_model": fill_model}
    with ledger.role("benchmark"):
        res = backtest(bars, hold, start=start, end=end, **settings)
    return res.assign_attrs(title=NAME)


def beside(recipe: Recipe, asset: int) -> tuple[dict[str, float], np.ndarray]:
    """Metrics, and equity over the result's time axis, of buying and holding one asset of a result, a portfolio's all.

    It decides at the bar at which the recipe's trials first may, with their cash, costs and fill model: both pay alike.
    It is no trial: nothing is chosen by it, so the ledger does not count it.
    """
    job, n = recipe.job, len(recipe.accounts)
    program = hold_all.program({}) if recipe.shared else _program()
    held = replace(
        job,
        text=program.text,
        plan=program.plan,
        trials=job.trials[:n].copy(),
        params=np.zeros((n, 0), "i8"),
        measure=True,
        custom_state=[],
    )
    outcome = simulate(held, asset, asset + 1, blocks=False)
    curves = Curves(
        replace(recipe, job=held, signal=None, python=None)
    )  # compiled, where the trials were debugged, too
    return dict(zip(HEADLINE, outcome.headline[0].tolist(), strict=True)), curves.curve("equity", asset)
