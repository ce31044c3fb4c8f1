"""What an audit found as a display: passed, or where the first leak is."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from kernelkit.notebook.card import framed

if TYPE_CHECKING:
    from kernelkit.audit import AuditReport

_LEAK = {"bar": "Bar", "when": "Time", "asset": "Asset", "what": "Decision", "change": "Value", "variable": "Knew"}


def bundle(report: AuditReport) -> dict[str, str]:
    """Verdict, first leak and how it was found, as text and as HTML."""
    verdict, *rest = report.sentences()
    word = "PASSED" if report.blind else "LEAK"
    leak = first_leak(report)
    width = max(map(len, _LEAK.values()))
    lines = [f"  {_LEAK[name]:<{width}}  {value}" for name, value in leak.items()]
    plain = "\n".join([f"{word}: {verdict}", *lines, *rest])
    rows = "".join(row(_LEAK[name], value) for name, value in leak.items())
    table = f'<table class="kkr-table kkr-listing"><tbody>{rows}</tbody></table>' if leak else ""
    state = "kkr-passed" if report.blind else "kkr-leak"
    said = "".join(f"<p>{escape(sentence)}</p>" for sentence in rest)
    head = f'<h3><span class="kkr-state">{word.capitalize()}</span> {escape(verdict)}</h3>'
    return {"text/plain": plain, "text/html": framed(f'<div class="{state}">{head}{table}{said}</div>')}


def row(head: str, text: str) -> str:
    """A row of the leak's table."""
    return f'<tr><th scope="row">{head}</th><td style="text-align:left">{escape(text)}</td></tr>'


def first_leak(report: AuditReport) -> dict[str, str]:
    """The earliest decision that the future changed: bar, time, asset, what it was and became, and what it knew."""
    if report.blind:
        return {}
    found = report.leaks.sort_values(["bar", "cut"], kind="stable").iloc[0]
    time = found["time"]
    told = {
        "bar": f"{found['bar']:,}",
        "when": f"{time:%Y-%m-%d}" if time == time.normalize() else f"{time:%Y-%m-%d %H:%M:%S}",
        "asset": str(found["asset"]),
        "what": str(found["what"]),
        "change": f"{found['was']} became {found['became']} with another future"
        if found["was"] != found["became"]
        else "",
        "variable": f"{found['variable']}{_early(found['ahead'])}",
    }
    return {name: value for name, value in told.items() if value}


def _early(bars: int) -> str:
    return f", {bars} {'bar' if bars == 1 else 'bars'} early at least" if bars else ""
