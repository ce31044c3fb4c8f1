"""A table as a display: HTML in the style of a result, aligned text for a terminal."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from html import escape
from typing import Any

from kernelkit.batch.columns import columns
from kernelkit.notebook.card import framed

# A cell that ends with these marks is a state, and stands out.
_LOUD = ("failed", "lost", "cancelled")


def listing(
    heads: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[int] = (), title: str = "", foot: str = ""
) -> dict[str, str]:
    """The bundle of a table: its `heads`, if any has text, its `rows`, the columns of numbers, a line above, one below.

    >>> print(listing(["Name", "N"], [["a", "12"], ["b", "7"]], right=(1,))["text/plain"])
    Name   N
    a     12
    b      7
    """
    named = any(heads)
    lines = [tuple(heads)] if named else []
    plain = "\n".join(filter(None, [title, columns([*lines, *map(tuple, rows)], right=right), foot]))
    head = "".join(f'<th scope="col"{_align(k, right)}>{escape(text)}</th>' for k, text in enumerate(heads))
    head = f"<thead><tr>{head}</tr></thead>" if named else ""
    body = "".join(f"<tr>{''.join(_cell(k, text, right) for k, text in enumerate(row))}</tr>" for row in rows)
    table = f'<table class="kkr-table kkr-listing">{head}<tbody>{body}</tbody></table>'
    above = f"<h3>{escape(title)}</h3>" if title else ""
    below = f'<p class="kkr-foot">{escape(foot)}</p>' if foot else ""
    return {"text/plain": plain, "text/html": framed(above + table + below)}


def _cell(k: int, text: str, right: Collection[int]) -> str:
    if k == 0:
        return f'<th scope="row">{escape(text)}</th>'
    loud = ' class="kkr-bad"' if text in _LOUD else ""
    return f"<td{loud}{_align(k, right)}>{escape(text)}</td>"


def _align(k: int, right: Collection[int]) -> str:
    return "" if k in right or k == 0 else ' style="text-align:left"'


def show(bundle: dict[str, Any]) -> None:
    """Display a bundle."""
    from IPython.display import display

    display(bundle, raw=True)  # type: ignore[no-untyped-call]


def say(text: str) -> None:
    """One line below the cell."""
    show({"text/plain": text})
