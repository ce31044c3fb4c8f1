"""What all static pictures share: hvplot, loaded when the first is drawn, and how they look on a page."""

from __future__ import annotations

from typing import Any

WIDTH, HEIGHT = 900, 340
# A growth beyond this factor is drawn on a logarithmic axis, on which equal slopes are equal returns.
LOG_FROM = 3.0


def hvplot(frame: Any) -> Any:
    """The plots of a pandas frame or series; loading hvplot takes a second, so it waits until here."""
    import hvplot.pandas  # noqa: F401  what it adds to pandas

    return frame.hvplot


def look(**more: Any) -> dict[str, Any]:
    """How pictures look unless said otherwise: as wide as a page, with a grid.

    >>> look(height=240)["height"]
    240
    """
    return {"width": WIDTH, "height": HEIGHT, "grid": True, "fontsize": {"title": "11pt"}, **more}
