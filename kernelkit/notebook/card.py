"""A result as a piece of HTML that stands alone: its own style, inline pictures, no script, nothing from a network."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from kernelkit.notebook import heat, picture
from kernelkit.report import words
from kernelkit.report.colours import BLUE

TILES = ("sharpe_ratio", "cagr", "max_drawdown", "volatility", "n_trades")


def html(payload: Mapping[str, Any]) -> str:
    """The whole card: what was tested, headline numbers, pictures, all metrics, conventions."""
    return framed("".join([_head(payload), _tiles(payload), _curves(payload), _columns(payload), _foot(payload)]))


def framed(html: str) -> str:
    """HTML with the style that it needs."""
    style = " ".join((Path(__file__).parent / "card.css").read_text(encoding="utf-8").split())
    return f'<div class="kkr"><style>{style}</style>{html}</div>'


def _head(payload: Mapping[str, Any]) -> str:
    data = payload["data"]
    strategy = [payload["strategy"]] if payload["strategy"] != payload["name"] else []
    about = " · ".join((*strategy, data["name"], words.trials(payload)))
    chips = [_chip(words.costs(payload), payload["costs"] == "none")]
    chips += [_chip(text, True) for text in data["note"].split("; ") if text]
    chips += [_chip(text.partition(";")[0], True) for text in payload["notes"] if text.startswith("Interrupted")]
    chosen = words.chosen(payload)
    values = words.params(payload["best"]["params"])
    said = escape(chosen).replace(escape(values), f"<b>{escape(values)}</b>", 1) if values else escape(chosen)
    return (
        f'<div class="kkr-head"><h3>{escape(payload["name"])}</h3><p>{escape(about)}</p>'
        f'<p class="kkr-chips">{"".join(chips)}</p></div>' + (f'<p class="kkr-chosen">{said}</p>' if said else "")
    )


def _chip(text: str, loud: bool) -> str:
    return f'<span class="{"kkr-chip kkr-loud" if loud else "kkr-chip"}">{escape(text)}</span>'


def _tiles(payload: Mapping[str, Any]) -> str:
    best, other = payload["best"]["metrics"], payload["benchmark"]
    found = []
    for name in TILES:
        if name in best:
            held = other["metrics"].get(name)
            versus = f"{other['name']} {words.number(name, held)}" if name in other["metrics"] else ""
            found.append(
                f"<div><span>{escape(words.label(name))}</span><b>{escape(words.number(name, best[name]))}</b>"
                f"<span>{escape(versus)}</span></div>"
            )
    return f'<div class="kkr-tiles">{"".join(found)}</div>'


def _who(payload: Mapping[str, Any]) -> str:
    return words.params(payload["best"]["params"]) or payload["strategy"]


def _curves(payload: Mapping[str, Any]) -> str:
    curve, other = payload["curve"], payload["benchmark"]["name"]
    if len(curve["time"]) < 2:
        return ""
    who = _who(payload)
    scale = " (log scale)" if picture.money_scale(curve).log else ""
    legend = (
        f"<b>Equity{scale}</b>"
        f'<span><i style="border-color:{BLUE}"></i>{escape(who)}</span>'
        f'<span><i style="opacity:.55"></i>{escape(other)}</span>'
    )
    return f'<figure><p class="kkr-legend">{legend}</p>{picture.curves(curve, who, other)}</figure>'


def _columns(payload: Mapping[str, Any]) -> str:
    found = payload["heatmap"]
    if found is None:
        return f'<div class="kkr-columns">{_table(payload)}</div>'
    caption = f"{words.label(found['metric'])} of every trial{heat.thinned(payload)}"
    figure = f'<figure class="kkr-heat"><figcaption>{escape(caption)}</figcaption>{heat.heat(payload)}</figure>'
    return f'<div class="kkr-columns">{figure}{_table(payload)}</div>'


def _table(payload: Mapping[str, Any]) -> str:
    best, other = payload["best"]["metrics"], payload["benchmark"]
    heads = ["", _who(payload), other["name"] if other["metrics"] else ""]
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    rows = []
    for name, value in best.items():
        held = words.number(name, other["metrics"].get(name)) if other["metrics"] else ""
        rows.append(
            f'<tr><th scope="row">{escape(words.label(name))}</th>'
            f"<td>{escape(words.number(name, value))}</td><td>{escape(held)}</td></tr>"
        )
    return f'<table class="kkr-table"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def _foot(payload: Mapping[str, Any]) -> str:
    said = [*payload["notes"], payload["data"]["detail"]]
    return f'<p class="kkr-foot">{escape(" ".join(filter(None, said)))}</p>'
