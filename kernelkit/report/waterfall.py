"""What each scenario of a stress test does to the base, from the worst to the best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.errors import UsageError, message
from kernelkit.report import drawing
from kernelkit.report.colours import BLUE, RED

if TYPE_CHECKING:
    import xarray as xr

BASE = "base"
TOLD = ("total_return", "sharpe_ratio", "max_drawdown", "n_fills", "fees", "turnover")


@dataclass(frozen=True)
class Waterfall:
    """Scenarios of a stress test, the base apart.

    ``effect`` float64 (scenario,) is final equity over that of the base, less 1; NaN where a scenario is evaluated over
    another span, which ``fall``, the largest drawdown while it is felt, can still tell. ``metrics`` are those of each
    scenario and ``base`` those of the base, by name; ``missing`` says of those that had no result why.
    """

    labels: tuple[str, ...]
    what: tuple[str, ...]
    effect: np.ndarray
    fall: np.ndarray
    metrics: dict[str, np.ndarray]
    base: dict[str, float]
    missing: dict[str, str]

    def parts(self, k: int) -> list[tuple[str, float]]:
        """The scenarios that one is put together from, as far as they were run by themselves, and what each does alone.

        What is left of the whole after them is how they act on each other, named ``together``.
        """
        names = self.labels[k].split(" + ")
        if len(names) < 2 or not all(name in self.labels for name in names):
            return []
        alone = [(name, float(self.effect[self.labels.index(name)])) for name in names]
        rest = float((1.0 + self.effect[k]) / np.prod([1.0 + e for _, e in alone]) - 1.0)
        return [*alone, ("together", rest)]


def waterfall_of(res: xr.Dataset) -> Waterfall:
    """The scenarios of `kk.stress` by what they do, the worst first.

    By the loss against the base, then, of those that have none, by the drawdown while they are felt. Raises UsageError
    for another result, and for several trials.
    """
    if "scenario" not in res.dims or "window_drawdown" not in res:
        fix = "Run kk.stress(bars, strategy)."
        found = f"dims {', '.join(map(str, res.dims)) or 'none'}"
        raise UsageError(message("waterfall of this result", found, "one with dim scenario, of kk.stress", fix))
    several = [str(d) for d in res["final_equity"].dims if d != "scenario"]
    if several:
        fix = f"Choose one: res.sel({several[0]}=...)."
        found = f"several trials along {', '.join(several)}"
        raise UsageError(message("waterfall of this result", found, "one trial", fix))
    labels = [str(label) for label in res["scenario"].values]
    if BASE not in labels:
        fix = "Keep the base: res.sel(scenario=['base', ...])."
        raise UsageError(message("waterfall of this result", "no base", "one to compare with", fix))
    errors = [str(text) for text in res["error"].values]
    effect, fall = -res["loss"].values, res["window_drawdown"].values
    there = [k for k, label in enumerate(labels) if label != BASE and not errors[k]]
    there.sort(key=lambda k: (bool(np.isnan(effect[k])), effect[k] if np.isfinite(effect[k]) else -fall[k]))
    base, names = labels.index(BASE), [n for n in TOLD if n in res]
    return Waterfall(
        tuple(labels[k] for k in there),
        tuple(str(res["what"].values[k]) for k in there),
        effect[there],
        fall[there],
        {n: res[n].values[there].astype("f8") for n in names},
        {n: float(res[n].values[base]) for n in (*names, "final_equity")},
        {label: errors[k] for k, label in enumerate(labels) if errors[k]},
    )


def static(found: Waterfall) -> Any:
    """What each scenario takes of the final equity, and beside it the drawdown while it is felt."""
    import pandas as pd

    worst = [*range(len(found.labels))][::-1]  # the worst at the top
    table = pd.DataFrame(
        {"change": 100.0 * found.effect[worst], "fall": -100.0 * found.fall[worst]},
        index=pd.Index([found.labels[k] for k in worst], name="scenario"),
    )
    table["colour"] = np.where(table["change"] < 0.0, RED, BLUE)
    height = 90 + 24 * len(table)
    against = table.dropna(subset="change").reset_index()
    look = drawing.look(height=height, legend=False, xlabel="")
    taken = drawing.hvplot(against).bar(
        "scenario",
        "change",
        color="colour",
        invert=True,
        line_width=0,
        ylabel="final equity against the base, %",
        **look,
    )
    felt = drawing.hvplot(table.reset_index()).bar(
        "scenario", "fall", color=RED, invert=True, line_width=0, ylabel="largest drawdown while it is felt, %", **look
    )
    return (
        (taken.opts(title="What each scenario takes") + felt.opts(title="How deep it falls meanwhile"))
        .opts(shared_axes=False)
        .cols(1)
    )
