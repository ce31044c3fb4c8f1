"""The pictures of a result as inline SVG: no script, no file, no colour that needs to know the background."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any

from kernelkit.notebook.scale import Scale, number_scale, seconds, time_ticks
from kernelkit.report import words
from kernelkit.report.colours import BLUE, RED
from kernelkit.report.drawing import LOG_FROM

# The text colour of wherever the picture stands.
INK = "currentColor"

WIDTH, LEFT, RIGHT = 960.0, 62.0, 14.0
EQUITY, DRAWDOWN, HEIGHT = (12.0, 232.0), (262.0, 342.0), 368.0
FONT = 12

Maybe = float | None


def tag(name: str, content: str = "", /, **attributes: object) -> str:
    """An element; underscores in attribute names become dashes, numbers are written short.

    >>> tag("line", x1=1.0, stroke_width=2)
    '<line x1="1" stroke-width="2"/>'
    """
    texts = "".join(f' {key.replace("_", "-")}="{_short(value)}"' for key, value in attributes.items())
    return f"<{name}{texts}>{content}</{name}>" if content else f"<{name}{texts}/>"


def _short(value: object) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else escape(str(value))


def text(x: float, y: float, content: object, size: int = FONT, **more: object) -> str:
    """A label whose middle is at height y; its group says how it looks."""
    return tag("text", escape(str(content)), x=x, y=y + 0.35 * size, **more)


def labels(parts: Iterable[str], anchor: str, size: int = FONT, opacity: str = "0.65") -> str:
    """Labels that look alike."""
    return tag("g", "".join(parts), fill=INK, fill_opacity=opacity, font_size=size, text_anchor=anchor)


def svg(height: float, title: str, parts: Iterable[str], width: float = WIDTH) -> str:
    """A picture that scales with the room it has."""
    box = f"0 0 {_short(width)} {_short(height)}"
    style = f"display:block;width:100%;max-width:{_short(width)}px;height:auto"
    named = {"role": "img", "aria_label": title, "style": style, "font_family": "inherit"}
    return tag("svg", "".join(parts), viewBox=box, width=width, height=height, **named)


def _path(xs: Sequence[float], values: Sequence[Maybe], y: Scale) -> str:
    """The line through a series, interrupted where a value is missing."""
    found, pen = [], "M"
    for x, value in zip(xs, values, strict=True):
        if value is None:
            pen = "M"
        else:
            found.append(f"{pen}{_short(x)} {_short(y.at(value))}")
            pen = "L"
    return "".join(found)


def _stroke(path: str, colour: str, width: float, opacity: str = "1") -> str:
    style = {"stroke_opacity": opacity, "stroke_linejoin": "round"}
    return tag("path", d=path, fill="none", stroke=colour, stroke_width=width, **style)


def money_scale(curve: Mapping[str, Any]) -> Scale:
    """The axis of both equities: logarithmic where they grow or fall a lot."""
    values = [v for name in ("equity", "benchmark") for v in curve[name] if v is not None]
    lo, hi = min(values), max(values)
    log = lo > 0 and hi / lo > LOG_FROM
    # a little air, so that no line runs along the edge
    air = (hi / lo) ** 0.03 if log else (hi - lo) * 0.03
    lo, hi = (lo / air, hi * air) if log else (lo - air, hi + air)
    return number_scale(lo, hi, EQUITY[1], EQUITY[0], log=log)


def curves(curve: Mapping[str, Any], who: str, benchmark: str) -> str:
    """Equity of the trial and of the benchmark, and below it the trial's drawdown, over one time axis."""
    moments = seconds(curve["time"])
    time = number_scale(moments[0], moments[-1], LEFT, WIDTH - RIGHT)
    xs = [time.at(m) for m in moments]
    money = money_scale(curve)
    worst = min((v for v in curve["drawdown"] if v is not None), default=0.0)
    depth = number_scale(min(worst, -0.01), 0.0, DRAWDOWN[1], DRAWDOWN[0])
    ticks = [(time.at(moment), label) for moment, label in time_ticks(moments[0], moments[-1], 11)]
    under = _path(xs, curve["drawdown"], depth)
    zero = _short(depth.at(0.0))
    area = f"M{_short(xs[0])} {zero}{under.replace('M', 'L')}L{_short(xs[-1])} {zero}Z"
    parts = [
        _grid([x for x, _ in ticks], money, depth),
        labels([text(x, HEIGHT - 12, label) for x, label in ticks], "middle"),
        labels([*_heights(money, words.compact), *_heights(depth, _percent)], "end"),
        labels([text(LEFT, EQUITY[1] + 17, f"Drawdown of {who}", font_weight=600)], "start", opacity="0.8"),
        _stroke(_path(xs, curve["benchmark"], money), INK, 1.2, "0.55"),
        _stroke(_path(xs, curve["equity"], money), BLUE, 1.8),
        tag("path", d=area, fill=RED, fill_opacity="0.18"),
        _stroke(under, RED, 1.2),
    ]
    return svg(HEIGHT, f"Equity and drawdown of {who} beside {benchmark}", parts)


def _grid(xs: Sequence[float], money: Scale, depth: Scale) -> str:
    """The lines behind the curves."""
    down = [f"M{_short(x)} {_short(pane[0])}V{_short(pane[1])}" for x in xs for pane in (EQUITY, DRAWDOWN)]
    ys = [scale.at(tick) for scale in (money, depth) for tick in scale.ticks]
    across = [f"M{_short(LEFT)} {_short(y)}H{_short(WIDTH - RIGHT)}" for y in ys]
    style = {"stroke_opacity": "0.12", "shape_rendering": "crispEdges"}
    return tag("path", d="".join((*down, *across)), stroke=INK, **style)


def _heights(scale: Scale, written: Callable[[float], str]) -> list[str]:
    return [text(LEFT - 8, scale.at(tick), written(tick)) for tick in scale.ticks]


def _percent(value: float) -> str:
    return f"{words.compact(round(100 * value, 6))} %"
