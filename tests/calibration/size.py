"""How often the headline test rejects where there is no skill, and where one trial has some: `make calibrate`."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np

from kernelkit.inference.headline import Beyond, Headline, Sums, headline, without_market
from tests.calibration.worlds import WORLDS, Drawn

MAX_CELLS = 64
ANNUAL = 2.0  # Sharpe ratio of the trial with skill


def with_skill(drawn: Drawn, rng: np.random.Generator) -> Drawn:
    """The same family, one trial of which has skill: its years have a true Sharpe ratio of 2."""
    x = drawn.x.copy()
    on = np.ones(x.shape, bool) if drawn.on is None else drawn.on
    traded = np.where(on, x != 0.0, False)
    often = np.flatnonzero((traded.mean(axis=0) > 0.4) & on.all(axis=0))
    j = int(rng.choice(often))
    rows = traded[:, j]
    own = x[:, j]
    if drawn.b is not None:  # what the market does is no skill
        own = own - np.polyfit(drawn.b, own, 1)[0] * drawn.b
    x[rows, j] += ANNUAL * drawn.inflation**0.5 / 252**0.5 * own.std() / rows.mean()
    return drawn._replace(x=x)


def headline_of(drawn: Drawn, begin: int, replications: int, seed: int) -> Headline | None:
    """The headline of block sums as the ledger keeps them: sessions on weekdays, at most 64 cells of 2^k days."""
    x, b, on, _ = drawn
    on = np.ones(x.shape, bool) if on is None else on
    step = begin + np.arange(len(x))
    days = 4 + step + 2 * (step // 5)  # Mondays to Fridays
    k = 0
    while (days[-1] >> k) - (days[0] >> k) >= MAX_CELLS:
        k += 1
    edges, first = np.unique(days >> k, return_index=True)

    def total(a: np.ndarray) -> np.ndarray:
        found: np.ndarray = np.add.reduceat(np.where(on, a, 0.0), first, axis=0)
        return found

    n, s1, s2 = total(np.ones(x.shape)), total(x), total(x * x)
    if b is None:
        beyond = Beyond(Sums(n, s1, s2), np.zeros(x.shape[1]), np.zeros(x.shape[1]))
    else:
        market = np.broadcast_to(b[:, None], x.shape)
        beyond = without_market(n, s1, s2, total(market), total(market * market), total(x * market))
    sums, _, noise = beyond
    return headline(sums, edges, active=s2 > 0.0, noise=noise, replications=replications, seed=seed)


def p_value(name: str, replications: int, skill: bool, seed: int) -> float:
    """The p-value of the best of one drawn family; NaN for too little data."""
    rng = np.random.default_rng([seed, *name.encode()])
    drawn = WORLDS[name](rng)
    if skill:
        drawn = with_skill(drawn, rng)
    found = headline_of(drawn, int(rng.integers(0, 2000)), replications, seed)
    return np.nan if found is None else float(np.nanmin(found.p))


def p_values(
    name: str, families: int, replications: int = 499, skill: bool = False, workers: int | None = None
) -> np.ndarray:
    """p-values of many families of a world, each with a seed of its own."""
    one = partial(p_value, name, replications, skill)
    with ProcessPoolExecutor(workers or os.cpu_count()) as pool:
        return np.array(list(pool.map(one, range(families), chunksize=8)))
