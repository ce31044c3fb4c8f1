"""What would change a verdict: how much more history, how many trials, which costs."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

import numpy as np
import scipy.special

from kernelkit.inference.headline import LEAST

if TYPE_CHECKING:
    from kernelkit.inference.evidence import Evidence
    from kernelkit.inference.verdict import Verdict

LEVEL = 0.05
MOST = 1_000_000  # years or trials that still say something
POINTS = 60  # of the curve over the number of trials


def changes(found: Verdict) -> list[str]:
    """Sentences with numbers, the most telling first."""
    if found.audit[0] is False:
        return ["It has to decide by what is known when it decides: kk.audit names the bars at which it does not."]
    said = _of_history(found) if math.isnan(found.p_value) else _of_trials(found)
    if found.costs == "none":
        said.append("It pays no costs yet: with a venue's it earns less.")
    if 0.0 < found.break_even < math.inf:
        said.append(f"Further costs of {1e4 * found.break_even:.1f} bps of what is traded leave nothing of its growth.")
    if found.audit[0] is None:
        said.append("It is not audited: one look into the future would void all of this.")
    return said


def _of_history(found: Verdict) -> list[str]:
    """What is missing where there is too little data to say anything."""
    e = found.evidence
    active = 0 if e.place is None else int((e.family.active[:, e.place] > 0).sum())
    if e.place is None or active >= LEAST:
        return ["A longer history, of which the ledger can keep more blocks of time."]
    blocks = int((e.family.n[:, e.place] > 0).sum())
    each = e.years / max(1, blocks)
    missing = f"{LEAST - active} more blocks of time in which it is in the market, of about {each:.2g} years each"
    return [f"{missing}: it has {active}, and {LEAST} are needed."]


def _of_trials(found: Verdict) -> list[str]:
    """What a longer history or another number of trials would make of the p-value."""
    e = found.evidence
    test, place = e.headline, e.place
    if test is None or place is None:
        raise TypeError("a p-value without a test, which the verdict excludes")
    t, p = float(test.t[place]), found.p_value
    if t <= 0.0:
        return ["No length of history would: beyond beta times the market it has lost so far."]
    alone = max(float(scipy.special.ndtr(-t)), sys.float_info.min)
    # as many independent trials as would correct its own p-value to the one that the bootstrap finds
    many = max(1.0, math.log1p(-min(p, 1.0 - 1e-12)) / math.log1p(-alone))
    if found.significant:
        more = found.n_trials * (math.log1p(-LEVEL) / math.log1p(-max(p, sys.float_info.min)) - 1.0)
        return [f"{about(more, 'trial')} like those made so far would undo it: its p-value would be above 5 %."]
    needed = -float(scipy.special.ndtri(-math.expm1(math.log1p(-LEVEL) / many)))
    more = e.years * (needed / t * (needed / t) - 1.0)
    longer = f"{about(more, 'year')} in which it earns as much beyond the market"
    reach = f"its t of {t:.2f} would then reach {needed:.2f}, which the best of so many trials needs at 5 %"
    said = [f"{longer}: {reach}, by the normal approximation."]
    if found.n_trials > 1:
        enough = "which would be enough" if alone <= LEVEL else "which would not be enough either"
        said.append(f"As the only trial ever made it would have a p-value of {alone:.2g}, {enough}.")
    return said


def about(more: float, unit: str) -> str:
    """How much more of something, as the begin of a sentence.

    >>> about(3.42, "year"), about(0.02, "year"), about(1e300, "trial")
    ('About 3.4 more years', 'Less than one more year', 'More than 1,000,000 more trials')
    >>> about(6.98, "trial"), about(1.2, "trial")
    ('About 7 more trials', 'About one more trial')
    """
    if more > MOST:
        return f"More than {MOST:,} more {unit}s"
    whole = unit == "trial" or more >= 9.95
    if more < (0.5 if whole else 0.05):
        return f"Less than one more {unit}"
    said = f"{more:,.0f}" if whole else f"{more:,.1f}"
    return f"About one more {unit}" if said == "1" else f"About {said} more {unit}s"


def deflation(e: Evidence) -> tuple[np.ndarray, np.ndarray] | None:
    """The deflated Sharpe ratio (2014) by the number of trials, from 2 to ten times those made; None where unknown.

    Both float64 (point,).
    """
    if e.chosen_by_life or e.n_trials < 2 or np.isfinite(e.annual).sum() < 2:
        return None
    many = np.unique(np.geomspace(2.0, max(10.0 * e.n_trials, 100.0), POINTS).round())
    return many, np.array([e.dsr("2014", n) for n in many])
