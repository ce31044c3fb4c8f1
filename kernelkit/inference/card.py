"""A verdict as a card of HTML: its word, its numbers, what would change it, and the whole page below."""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kernelkit.inference.verdict import Verdict


def card(found: Verdict) -> str:
    """The card, which stands alone: its own style, no script."""
    loud = "" if found.significant else " kkv-not"
    tiles = "".join(
        f"<div><span>{html.escape(what)}</span><b>{html.escape(value)}</b><span>{html.escape(note)}</span></div>"
        for what, value, note in tiles_of(found)
    )
    would = "".join(f"<li>{html.escape(text)}</li>" for text in found.changes)
    return (
        f'<div class="kkv"><style>{STYLE}</style><p class="kkv-word{loud}">{found.judgement}</p>'
        f"<h3>{html.escape(found.name)}</h3>"
        f"<p>{html.escape(found.about)}</p>"
        f'<p class="kkv-meaning">{html.escape(found.meaning)}</p><div class="kkv-tiles">{tiles}</div>'
        f"<h4>What would change it</h4><ul>{would}</ul>"
        f"<table><tbody>{''.join(_rows(found))}</tbody></table></div>"
    )


def tiles_of(found: Verdict) -> list[tuple[str, str, str]]:
    """The headline numbers: what, the number, and what it stands beside."""
    e, p = found.evidence, found.p_value
    corrected = "–" if math.isnan(p) else f"{p:.4f}" if p < 0.01 else f"{p:.3f}"
    tiles = [
        ("p-value, corrected", corrected, "5 % or less is called significant"),
        ("trials", f"{found.n_trials:,}", "of this market, by the ledger"),
        ("Sharpe ratio", f"{found.sharpe_ratio:.2f}".replace("-", "−"), f"PSR {found.psr:.3f}, were it the only trial"),
    ]
    if not e.chosen_by_life and e.n_trials > 1 and math.isfinite(dsr := e.dsr("2014", e.n_trials)):
        tiles.append(("DSR", f"{dsr:.3f}", "above 0.95 by its authors' measure"))
    if e.pbo is not None:
        share, low, high = e.pbo
        tiles.append(("PBO", f"{share:.2f}", f"without skill {low:.2f} to {high:.2f}"))
    return tiles


def _rows(found: Verdict) -> list[str]:
    rows = []
    for heading, entries in found.sections.items():
        rows.append(f'<tr><th colspan="2" scope="rowgroup">{html.escape(heading)}</th></tr>')
        rows += [f'<tr><th scope="row">{html.escape(w)}</th><td>{html.escape(s)}</td></tr>' for w, s in entries]
    return rows


STYLE = (
    ".kkv{max-width:60rem;font-size:14px;line-height:1.45;color:inherit}.kkv h3{margin:.3rem 0 0;font-size:1.25rem;"
    "font-weight:600}.kkv h4{margin:.8rem 0 .2rem;font-size:14px;font-weight:600}.kkv ul{margin:0 0 .6rem;"
    "padding-left:1.2rem}.kkv p{margin:.15rem 0 0}.kkv .kkv-word{display:inline-block;padding:0 .7rem;border:1px solid "
    "#3b82f6;border-radius:1rem;background:color-mix(in srgb,#3b82f6 16%,transparent);font-weight:600}.kkv "
    ".kkv-not{border-color:#d97706;background:color-mix(in srgb,#d97706 16%,transparent)}.kkv .kkv-meaning{margin:"
    ".6rem 0;font-size:1.05rem}.kkv .kkv-tiles{display:flex;flex-wrap:wrap;gap:.6rem 2.2rem}.kkv .kkv-tiles div{"
    "display:flex;flex-direction:column}.kkv .kkv-tiles span{opacity:.7;font-size:12px}.kkv .kkv-tiles b{"
    "font-size:1.5rem;"
    "font-weight:500;line-height:1.3;font-variant-numeric:tabular-nums}"
    ".kkv table{border-collapse:collapse;border:none;font-size:13px;font-variant-numeric:"
    "tabular-nums}.kkv tr,.kkv tbody tr:nth-child(odd){background:none}.kkv th,.kkv td{padding:.18rem 1rem .18rem 0;"
    "border:none;border-bottom:1px solid color-mix(in srgb,currentColor 14%,transparent);text-align:left;"
    "vertical-align:baseline;font-weight:400}.kkv th[scope=row]{white-space:nowrap;opacity:.75}.kkv "
    "th[scope=rowgroup]{padding-top:.8rem;font-weight:600}"
)
