"""Families of trials without skill: each world draws daily returns (session, trial) that nobody could have foreseen.

A world may give the traded asset's own returns ``b`` (session,) and where a trial was alive ``on`` (session, trial).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import kernelkit as kk

TRIALS = 300
Rng = np.random.Generator
WORLDS: dict[str, Callable[[Rng], Drawn]] = {}


class Drawn(NamedTuple):
    """One draw of a world; a year's variance is ``inflation`` times that of as many independent sessions."""

    x: np.ndarray
    b: np.ndarray | None = None
    on: np.ndarray | None = None
    inflation: float = 1.0


def world(function: Callable[[Rng], Any]) -> Callable[[Rng], Any]:
    """Put a world on the list by its name."""
    WORLDS[function.__name__] = function
    return function


def equicorrelated(rng: Rng, correlation: float, groups: int = 1) -> Drawn:
    """Trials that share a factor, all of them or by groups."""
    factor = rng.standard_normal((1000, groups))[:, np.arange(TRIALS) % groups]
    return Drawn(correlation**0.5 * factor + (1.0 - correlation) ** 0.5 * rng.standard_normal((1000, TRIALS)))


def autocorrelated(rng: Rng, sessions: int, coefficient: float) -> Drawn:
    """AR(1) profit and loss, as of positions held over several days in a slow market."""
    x = rng.standard_normal((sessions + 100, TRIALS))
    for t in range(1, len(x)):
        x[t] += coefficient * x[t - 1]
    return Drawn(x[100:], inflation=(1.0 + coefficient) / (1.0 - coefficient))


@world
def iid(rng: Rng) -> Drawn:
    return Drawn(rng.standard_normal((1000, TRIALS)))


@world
def equicorrelated_half(rng: Rng) -> Drawn:
    return equicorrelated(rng, 0.5)


@world
def equicorrelated_most(rng: Rng) -> Drawn:
    return equicorrelated(rng, 0.9)


@world
def ten_clusters(rng: Rng) -> Drawn:
    return equicorrelated(rng, 0.7, groups=10)


@world
def moving_averages(rng: Rng) -> Drawn:
    """Crossings of averages, long or short, on real returns in an order that chance has drawn."""
    real = kk.data.load("sp500_index")["close"].values[:, 0]
    returns = np.diff(real) / real[:-1]
    return crossings(rng.choice(returns - returns.mean(), 1100), 75, -1.0)


@world
def drifting_market(rng: Rng) -> Drawn:
    """Crossings of averages of up to two months, long only, where the market rises by 15 % a year."""
    return crossings(drifting(rng), 30, 0.0)


@world
def drifting_market_slow(rng: Rng) -> Drawn:
    """The same with averages of up to five months, a tenth of the span."""
    return crossings(drifting(rng), 75, 0.0)


@world
def drifting_market_by_chance(rng: Rng) -> Drawn:
    """In that market or out of it, each trial for forty sessions on average, by chance alone."""
    b = drifting(rng)[100:]
    held = np.logical_xor.accumulate(rng.random((1000, TRIALS)) < np.r_[0.5, np.full(999, 1 / 40)][:, None])
    return Drawn(held * b[:, None], b)


def drifting(rng: Rng) -> np.ndarray:
    return rng.normal(0.15 / 252, 0.16 / 252**0.5, 1100)


def crossings(b: np.ndarray, widest: int, short: float) -> Drawn:
    """Positions of pairs of moving averages, ``widest`` sessions apart at most, held from the next session on."""
    warmup = 100
    price = np.cumprod(1.0 + b)
    sums = np.concatenate([[0.0], np.cumsum(price)])
    means = {n: (sums[warmup:-1] - sums[warmup - n : -1 - n]) / n for n in range(1, warmup)}
    apart = np.linspace(2, widest, 15).astype(int).tolist()
    pairs = [(f, f + more) for f in range(1, 21) for more in apart]
    held = np.stack([np.where(means[f] > means[s], 1.0, short) for f, s in pairs], axis=1)
    return Drawn(held * b[warmup:, None], b[warmup:])


@world
def fat_tails(rng: Rng) -> Drawn:
    """Student's t of four degrees, volatility mixed between trials."""
    return Drawn(rng.standard_t(4, (1000, TRIALS)) * np.exp(rng.normal(0.0, 0.7, TRIALS)))


@world
def autocorrelated_256(rng: Rng) -> Drawn:
    return autocorrelated(rng, 256, 0.2)


@world
def autocorrelated_1000(rng: Rng) -> Drawn:
    return autocorrelated(rng, 1000, 0.2)


@world
def strongly_autocorrelated_256(rng: Rng) -> Drawn:
    return autocorrelated(rng, 256, 0.4)


@world
def strongly_autocorrelated_1000(rng: Rng) -> Drawn:
    return autocorrelated(rng, 1000, 0.4)


@world
def sparse(rng: Rng) -> Drawn:
    """Trials that are seldom in the market, five sessions at a time."""
    x = rng.standard_normal((1000, TRIALS))
    often = rng.choice([0.02, 0.05, 0.1, 0.5], TRIALS)
    begins = rng.random(x.shape) < often / 5
    held = np.zeros(x.shape, bool)
    for k in range(5):
        held[k:] |= begins[: len(x) - k]
    return Drawn(x * held)


@world
def short(rng: Rng) -> Drawn:
    """Trials over a part of the span: all of it, a half, a third."""
    on = np.zeros((1000, TRIALS), bool)
    for j, part in enumerate(rng.choice([1, 2, 3], TRIALS)):
        length = 1000 // part
        first = rng.integers(0, 1000 - length + 1)
        on[first : first + length, j] = True
    return Drawn(rng.standard_normal((1000, TRIALS)), None, on)
