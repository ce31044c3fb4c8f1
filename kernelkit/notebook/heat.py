"""The heat map of a metric over two axes, as inline SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from kernelkit.notebook.picture import INK, labels, svg, tag, text
from kernelkit.report import words
from kernelkit.report.colours import BLUE, RED

WIDTH, LEFT, TOP, BOTTOM, FONT = 560.0, 58.0, 4.0, 44.0, 11
# More rows or columns than this are thinned: a cell must stay a cell.
MOST = 60
# Room that a number needs.
ROOM = (38.0, 16.0)


@dataclass(frozen=True)
class _Frame:
    """Sizes of a cell, and where the cell in row i and column j lies."""

    column: float
    row: float

    def corner(self, i: int, j: int) -> tuple[float, float]:
        return LEFT + self.column * j, TOP + self.row * i

    def middle(self, i: int, j: int) -> tuple[float, float]:
        return LEFT + self.column * (j + 0.5), TOP + self.row * (i + 0.5)


def heat(payload: Mapping[str, Any]) -> str:
    """The picture of ``payload["heatmap"]``: the chosen trial is outlined, a cell that was not run is a dot."""
    found = payload["heatmap"]
    x, y, metric = found["x"], found["y"], found["metric"]
    columns, rows = payload["dims"][x], payload["dims"][y]
    across, along = kept(len(columns)), kept(len(rows))
    frame = _Frame((WIDTH - LEFT - 4) / len(across), min(30.0, max(7.0, 300.0 / len(along))))
    values = [v for row in found["values"] for v in row if v is not None]
    ends = min(values, default=0.0), max(values, default=0.0)
    best = payload["best"]["params"]
    cells, numbers, outline = [], [], ""
    for i, r in enumerate(along):
        for j, c in enumerate(across):
            value = found["values"][r][c]
            written = "not run" if value is None else words.number(metric, value)
            cells.append(_cell(frame, i, j, f"{x}={columns[c]}, {y}={rows[r]}: {written}", shade(value, *ends)))
            if value is not None and frame.column >= ROOM[0] and frame.row >= ROOM[1]:
                numbers.append(text(*frame.middle(i, j), written, FONT))
            if (best.get(x), best.get(y)) == (columns[c], rows[r]):
                outline = _outline(frame, i, j)
    over = tag("g", labels(numbers, "middle", FONT, "0.9") + outline, pointer_events="none")
    axes = _axes(frame, (x, [columns[c] for c in across]), (y, [rows[r] for r in along]))
    title = f"{words.label(metric)} over {x} and {y}"
    return svg(TOP + frame.row * len(along) + BOTTOM, title, [*cells, over, *axes], WIDTH)


def kept(n: int) -> Sequence[int]:
    """Which of `n` rows or columns are drawn: all while they are few, else every second, third ...

    >>> list(kept(3)), len(kept(100))
    ([0, 1, 2], 50)
    """
    return range(0, n, _step(n))


def _step(n: int) -> int:
    return -(-n // MOST)


def thinned(payload: Mapping[str, Any]) -> str:
    """What is left out of the picture, as the end of a sentence.

    >>> thinned({"heatmap": {"x": "fast", "y": "slow"}, "dims": {"fast": range(150), "slow": range(9)}})
    '; every 3rd value of fast is drawn'
    """
    found, ordinals = [], {2: "2nd", 3: "3rd"}
    for name in (payload["heatmap"]["x"], payload["heatmap"]["y"]):
        step = _step(len(payload["dims"][name]))
        found += [f"; every {ordinals.get(step, f'{step}th')} value of {name} is drawn"] if step > 1 else []
    return "".join(found)


def shade(value: float | None, low: float, high: float) -> tuple[str, float] | None:
    """Colour and opacity of a value: blue above zero, red below, as strong as it is far from zero.

    With one sign alone, the range of the values is spread out instead.

    >>> shade(1.0, -1.0, 1.0) == shade(1.0, 0.5, 1.0)
    True
    """
    if value is None:
        return None
    size = max(abs(low), abs(high))
    least = 0.0 if low < 0.0 < high else min(abs(low), abs(high))
    share = (abs(value) - least) / (size - least) if size > least else 1.0
    return (BLUE if value >= 0 else RED), 0.06 + 0.6 * share


def _cell(frame: _Frame, i: int, j: int, title: str, colour: tuple[str, float] | None) -> str:
    note = tag("title", escape(title))
    if colour is None:
        x, y = frame.middle(i, j)
        return tag("circle", note, cx=x, cy=y, r=1.5, fill=INK, fill_opacity="0.25")
    x, y = frame.corner(i, j)
    gap = 1.0 if min(frame.column, frame.row) > 8 else 0.0
    size: dict[str, object] = {"width": frame.column - gap, "height": frame.row - gap}
    return tag("rect", note, x=x, y=y, **size, fill=colour[0], fill_opacity=f"{colour[1]:.2f}")


def _outline(frame: _Frame, i: int, j: int) -> str:
    x, y = frame.corner(i, j)
    size: dict[str, object] = {"width": frame.column - 1, "height": frame.row - 1}
    return tag("rect", x=x, y=y, **size, rx="2", fill="none", stroke=INK, stroke_width="2")


def _axes(frame: _Frame, across: tuple[str, list[Any]], along: tuple[str, list[Any]]) -> list[str]:
    """Labels below and beside the cells, as many as there is room for, and the names of both axes."""
    bottom = TOP + frame.row * len(along[1])
    every_x, every_y = max(1, -(-34 // int(frame.column))), max(1, -(-13 // int(frame.row)))
    under = [text(frame.middle(0, j)[0], bottom + 12, across[1][j], FONT) for j in range(0, len(across[1]), every_x)]
    beside = [text(LEFT - 7, frame.middle(i, 0)[1], along[1][i], FONT) for i in range(0, len(along[1]), every_y)]
    middle = (TOP + bottom) / 2
    names = [
        text((LEFT + WIDTH) / 2, bottom + 34, across[0], font_weight=600),
        text(10.0, middle, along[0], font_weight=600, transform=f"rotate(-90 10 {middle:.1f})"),
    ]
    return [labels(under, "middle", FONT), labels(beside, "end", FONT), labels(names, "middle", opacity="0.8")]
