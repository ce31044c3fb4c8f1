"""The heat map of a metric over two axes, as inline SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from kernelkit.notebook import words
from kernelkit.notebook.picture import BLUE, INK, RED, svg, tag

WIDTH, LEFT, TOP, BOTTOM = 560.0, 58.0, 4.0, 44.0
# More rows or columns than this are thinned: a cell must stay a cell.
MOST = 60
NUMBERS_FROM = 38.0


def heat(payload: Mapping[str, Any]) -> str:
    """The picture of ``payload["heatmap"]``: the chosen trial is outlined, a cell that was not run is a dot."""
    found = payload["heatmap"]
    columns, rows = payload["dims"][found["x"]], payload["dims"][found["y"]]
    across, along = kept(len(columns)), kept(len(rows))
    frame = _Frame((WIDTH - LEFT - 4) / len(across), min(30.0, max(7.0, 300.0 / len(along))))
    values = [v for row in found["values"] for v in row if v is not None]
    low, high = min(values, default=0.0), max(values, default=0.0)
    best = payload["best"]["params"]
    parts, chosen = [], ""
    for i, r in enumerate(along):
        for j, c in enumerate(across):
            value = found["values"][r][c]
            title = f"{found['x']}={columns[c]}, {found['y']}={rows[r]}: "
            picked = (best.get(found["x"]), best.get(found["y"])) == (columns[c], rows[r])
            cell = frame.cell(i, j, value, title + _told(found["metric"], value), shade(value, low, high))
            if picked:
                chosen = frame.outline(i, j)
            parts.append(cell)
    axes = frame.axes(found, [columns[c] for c in across], [rows[r] for r in along])
    height = TOP + frame.row * len(along) + BOTTOM
    name = f"{words.label(found['metric'])} over {found['x']} and {found['y']}"
    return svg(height, name, [*parts, chosen, *axes], WIDTH)


def _told(metric: str, value: float | None) -> str:
    return "not run" if value is None else words.number(metric, value)


def kept(n: int) -> Sequence[int]:
    """Which of `n` rows or columns are drawn: all while they are few, else every second, third ...

    >>> list(kept(3)), len(kept(100))
    ([0, 1, 2], 50)
    """
    return range(0, n, -(-n // MOST))


def shade(value: float | None, low: float, high: float) -> tuple[str, float]:
    """Colour and opacity of a value: blue above zero, red below, as strong as it is far from zero.

    With one sign alone, the range of the values is spread out instead.

    >>> shade(1.0, -1.0, 1.0) == shade(1.0, 0.5, 1.0)
    True
    """
    if value is None:
        return INK, 0.0
    size = max(abs(low), abs(high))
    least = 0.0 if low < 0.0 < high else min(abs(low), abs(high))
    share = (abs(value) - least) / (size - least) if size > least else 1.0
    return (BLUE if value >= 0 else RED), 0.06 + 0.6 * share


class _Frame:
    """Sizes of the cells, and what is drawn with them."""

    def __init__(self, column: float, row: float) -> None:
        self.column, self.row = column, row

    def cell(self, i: int, j: int, value: float | None, title: str, colour: tuple[str, float]) -> str:
        x, y = LEFT + self.column * j, TOP + self.row * i
        middle = (x + self.column / 2, y + self.row / 2)
        note = tag("title", escape(title))
        if value is None:
            dot = tag("circle", note, cx=middle[0], cy=middle[1], r=1.5, fill=INK, fill_opacity="0.25")
            return tag("g", dot)
        gap = 1.0 if min(self.column, self.row) > 8 else 0.0
        fill = {"fill": colour[0], "fill_opacity": f"{colour[1]:.3f}"}
        box = tag("rect", note, x=x, y=y, width=self.column - gap, height=self.row - gap, rx=2 * gap, **fill)
        if self.column < NUMBERS_FROM or self.row < 16:
            return box
        return box + self.text(middle, words.number("sharpe_ratio", value), fill_opacity="0.9", pointer_events="none")

    def outline(self, i: int, j: int) -> str:
        x, y, line = LEFT + self.column * j, TOP + self.row * i, {"stroke": INK, "stroke_width": "2"}
        size = (self.column - 1, self.row - 1)
        return tag("rect", x=x, y=y, width=size[0], height=size[1], rx=2, fill="none", pointer_events="none", **line)

    def text(self, at: tuple[float, float], content: str, **more: object) -> str:
        style: dict[str, object] = {"text_anchor": "middle", "fill_opacity": "0.65", "font_size": 11} | more
        return tag("text", escape(content), x=at[0], y=at[1], fill=INK, dominant_baseline="central", **style)

    def axes(self, found: Mapping[str, Any], columns: Sequence[Any], rows: Sequence[Any]) -> list[str]:
        bottom = TOP + self.row * len(rows)
        parts = []
        for j in range(0, len(columns), max(1, -(-34 // int(self.column)))):
            parts.append(self.text((LEFT + self.column * (j + 0.5), bottom + 12), str(columns[j])))
        for i in range(0, len(rows), max(1, -(-13 // int(self.row)))):
            at = (LEFT - 7, TOP + self.row * (i + 0.5))
            parts.append(self.text(at, str(rows[i]), text_anchor="end"))
        strong = {"font_weight": 600, "fill_opacity": "0.8", "font_size": 12}
        middle = (TOP + bottom) / 2
        parts.append(self.text(((LEFT + WIDTH) / 2, bottom + 34), str(found["x"]), **strong))
        turned = f"rotate(-90 10 {middle:.1f})"
        return [*parts, self.text((10.0, middle), str(found["y"]), transform=turned, **strong)]
