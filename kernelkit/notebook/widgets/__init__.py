"""Widgets of a result: live in a kernel, a static picture elsewhere, one selection that all of a result share."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kernelkit.notebook.widgets.correlation_map import correlation as correlation
    from kernelkit.notebook.widgets.inspector import trade_inspector as trade_inspector
    from kernelkit.notebook.widgets.metric_map import explorer as explorer
    from kernelkit.notebook.widgets.month_map import monthly as monthly
    from kernelkit.notebook.widgets.panes import chart as chart
    from kernelkit.notebook.widgets.path_fan import fan as fan
    from kernelkit.notebook.widgets.selection import Selection as Selection
    from kernelkit.notebook.widgets.sliders import explore as explore
    from kernelkit.notebook.widgets.stress_waterfall import waterfall as waterfall
    from kernelkit.notebook.widgets.verdict_card import verdict as verdict
    from kernelkit.notebook.widgets.watching import watch as watch
    from kernelkit.notebook.widgets.weight_map import weights as weights

# Public name -> module that defines it, called otherwise: importing it would put it in the function's place.
_HOMES = {
    "Selection": "selection",
    "chart": "panes",
    "correlation": "correlation_map",
    "explore": "sliders",
    "explorer": "metric_map",
    "fan": "path_fan",
    "monthly": "month_map",
    "trade_inspector": "inspector",
    "verdict": "verdict_card",
    "watch": "watching",
    "waterfall": "stress_waterfall",
    "weights": "weight_map",
}

__all__ = [*_HOMES]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; there are {', '.join(__all__)}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
