"""A venue and the limits of an account, laid out for the accounts of a job (rules R5, H1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from kernelkit.data.sessions import DAY, trading_hours
from kernelkit.kernels import layout as L
from kernelkit.kernels.job import Costs, Table
from kernelkit.market.venue import Settings


def venues_of(costs: Costs, settings: Settings, assets: list[str], shared: bool) -> list[Costs]:
    """The venue of each account: one for all, unless separate accounts may owe different quantities of their assets.

    Raises OrderError for a limit of an asset that is not there.
    """
    rules = settings.rules(assets)
    if rules is None or shared or len(set(rules.shorts)) <= 1:
        return [replace(costs, rules=rules if rules is None or shared else replace(rules, shorts=rules.shorts[:1]))]
    return [replace(costs, rules=replace(rules, shorts=(most,))) for most in rules.shorts]


def hours_of(costs: Costs, tables: Sequence[Table]) -> np.ndarray | None:
    """When the venue opens and closes in turn around these bars, int64 ns; None where it has no hours.

    Raises DataError for bars that its calendar does not cover.
    """
    if costs.rules is None or not costs.rules.hours:
        return None
    ends = [(t.columns[L.C_OPEN_AT][0], t.columns[L.C_KNOWN_AT][-1]) for t in tables if t.n_bars]
    first, last = min(int(a) for a, _ in ends), max(int(b) for _, b in ends)
    return trading_hours(costs.rules.hours, first // DAY, last // DAY)
