"""What stands in a widget's place where there is no kernel: pictures of SVG and tables, in the colours around them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

import numpy as np

from kernelkit.notebook.picture import INK, WIDTH, labels, svg, tag, text
from kernelkit.notebook.scale import Scale, number_scale, time_ticks
from kernelkit.report.colours import BLUE, RED

LEFT, RIGHT, BOTTOM, FONT = 62.0, 14.0, 26.0, 12
MOST = 60  # rows or columns of a grid that a still can tell apart

Points = Sequence[tuple[float, float]]


def axes(time: np.ndarray, values: Scale, bottom: float, written: Callable[[float], str]) -> tuple[Scale, list[str]]:
    """The scale of time (ns), and both axes as parts of a picture."""
    moments = time.astype("M8[s]").astype("f8")
    x = number_scale(float(moments[0]), float(moments[-1]), LEFT, WIDTH - RIGHT)
    ticks = time_ticks(float(moments[0]), float(moments[-1]), 11)
    heights = [text(LEFT - 8, values.at(tick), written(tick)) for tick in values.ticks]
    lines = "".join(f"M{LEFT:.0f} {values.at(tick):.1f}H{WIDTH - RIGHT:.0f}" for tick in values.ticks)
    return x, [
        tag("path", d=lines, stroke=INK, stroke_opacity="0.12"),
        labels([text(x.at(moment), bottom + 14, label) for moment, label in ticks], "middle"),
        labels(heights, "end"),
    ]


def line(points: Points, colour: str, width: float = 1.6) -> str:
    """A line through points, interrupted where one is not a number."""
    return tag("path", d=_path(points), fill="none", stroke=colour, stroke_width=width, stroke_linejoin="round")


def area(upper: Points, lower: Points, colour: str, opacity: float) -> str:
    """The area between two lines."""
    whole = [(x, y) for x, y in (*upper, *reversed(lower)) if np.isfinite(y)]
    return tag("path", d=_path(whole) + "Z", fill=colour, fill_opacity=f"{opacity:.2f}", stroke="none")


def _path(points: Points) -> str:
    found, pen = [], "M"
    for x, y in points:
        if np.isfinite(y):
            found.append(f"{pen}{x:.1f} {y:.1f}")
            pen = "L"
        else:
            pen = "M"
    return "".join(found)


def bars(title: str, names: Sequence[str], values: np.ndarray, written: Callable[[float], str]) -> str:
    """Horizontal bars from zero, one below the other; what has no value is a dash."""
    row, left = 24.0, 250.0
    known = values[np.isfinite(values)]
    low, high = min(0.0, float(known.min(initial=0.0))), max(0.0, float(known.max(initial=0.0)))
    x = number_scale(low, high, left, WIDTH - 70.0)
    parts = []
    for k, (name, value) in enumerate(zip(names, values, strict=True)):
        y = row * k + 4.0
        parts.append(labels([text(left - 8, y + row / 2 - 2, name)], "end"))
        if np.isfinite(value):
            a, b = sorted((x.at(0.0), x.at(float(value))))
            colour = BLUE if value >= 0 else RED
            parts.append(tag("rect", x=a, y=y, width=max(1.0, b - a), height=row - 6, fill=colour))
        parts.append(
            labels([text(WIDTH - 62.0, y + row / 2 - 2, written(value) if np.isfinite(value) else "–")], "start")
        )
    parts.append(tag("path", d=f"M{x.at(0.0):.1f} 0V{row * len(names):.1f}", stroke=INK, stroke_opacity="0.5"))
    return svg(row * len(names) + 8, title, parts)


def grid(title: str, values: np.ndarray, down: Sequence[str], limit: float, across: Sequence[str] = ()) -> str:
    """Cells coloured from -limit through nothing to limit; rows and columns beyond `MOST` are thinned."""
    rows = np.unique(np.linspace(0, len(values) - 1, min(len(values), MOST)).astype("i8"))
    n = 2 * MOST if not across else MOST
    columns = np.unique(np.linspace(0, values.shape[1] - 1, min(values.shape[1], n)).astype("i8"))
    left = 150.0
    width, height = (WIDTH - left - 10) / len(columns), min(26.0, max(8.0, 420.0 / len(rows)))
    if across:
        width = min(width, 2.4 * height)
    parts = []
    for i, r in enumerate(rows):
        if height > 11 or i % 2 == 0:
            parts.append(labels([text(left - 8, height * (i + 0.5) + 2, down[r][:22], 11)], "end", 11))
        for j, c in enumerate(columns):
            value = values[r, c]
            if np.isfinite(value) and value != 0.0:
                share = min(1.0, abs(float(value)) / limit)
                box: dict[str, object] = {"width": width + 0.3, "height": height - 0.7}
                colour = BLUE if value > 0 else RED
                parts.append(
                    tag("rect", x=left + width * j, y=height * i + 2, **box, fill=colour, fill_opacity=f"{share:.2f}")
                )
    under = height * len(rows) + 16
    if across:
        every = max(1, int(-(-90 // width)))
        ticks = [
            text(left + width * (j + 0.5), under, across[columns[j]][:14], 11) for j in range(0, len(columns), every)
        ]
        parts.append(labels(ticks, "middle", 11))
    return svg(under + 10, title, parts)


def page(title: str, picture: str, *notes: str) -> str:
    """A picture with its title above and notes below."""
    said = "".join(f'<p style="margin:.2rem 0;opacity:.75;font-size:12px">{escape(note)}</p>' for note in notes if note)
    head = f'<p style="margin:.2rem 0;font-weight:600">{escape(title)}</p>'
    return f'<div style="max-width:60rem">{head}{picture}{said}</div>'
