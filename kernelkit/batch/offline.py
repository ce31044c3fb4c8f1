"""Make the outputs of a notebook work without a network: plots bring their scripts along instead of fetching them."""

from __future__ import annotations

import base64
import importlib.metadata
import importlib.util
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from kernelkit import progress

_PLOT = "application/vnd.holoviews_exec.v0+json"
_LOADER = "application/vnd.holoviews_load.v0+json"
_WIDGET = "application/vnd.jupyter.widget-view+json"

# The types of a display that nbconvert can write as HTML.
_SHOWN = {
    "application/javascript",
    "text/html",
    "text/markdown",
    "image/svg+xml",
    "text/latex",
    "image/png",
    "image/jpeg",
    "text/plain",
}

# What hvplot's plots need: Bokeh, and Panel, which draws them and does not start without Bokeh's widgets and tables.
_BUNDLES = (
    ("bokeh", "server/static/js/bokeh.min.js"),
    ("bokeh", "server/static/js/bokeh-widgets.min.js"),
    ("bokeh", "server/static/js/bokeh-tables.min.js"),
    ("panel", "dist/panel.min.js"),
)

_PANEL_STYLE = re.compile(r"https://cdn\.holoviz\.org/panel/([^/\"]+)/dist/([\w./-]+\.css)(?:\?[^\"\\]*)?")


def is_shown(output: Any) -> bool:
    """Whether a page shows an output: text and errors yes, progress and loaders of scripts no, displays if it can."""
    data = output.get("data")
    if data is None:
        return True
    if progress.MIME in data or _LOADER in data or 'type="esms-options"' in data.get("text/html", ""):
        return False
    if _WIDGET in data and "text/html" not in data:
        return False
    return bool(_SHOWN & set(data))


def has_plots(notebook: Any) -> bool:
    """Whether an output of `notebook` is drawn by Bokeh (hvplot, HoloViews, Panel)."""
    outputs = (output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs)
    return any(_PLOT in output.get("data", {}) for output in outputs)


def bundles() -> Iterator[tuple[str, str]]:
    """Name and text of the scripts that draw Bokeh plots, from the installed packages, in loading order."""
    for package, file in _BUNDLES:
        path = _folder(package) / file
        # the one sequence that would end the script element in the middle of the script
        yield path.name, path.read_text(encoding="utf-8").replace("</script", "<\\/script")


def embed_styles(html: str) -> str:
    """`html` with Panel's own style sheets as data instead of addresses, where this Panel is the one that drew them."""
    return _PANEL_STYLE.sub(_as_data, html)


def _as_data(address: re.Match[str]) -> str:
    version, file = address.groups()
    if version != importlib.metadata.version("panel"):
        return address[0]
    path = _folder("panel") / "dist" / file
    return f"data:text/css;base64,{base64.b64encode(path.read_bytes()).decode()}" if path.is_file() else address[0]


def _folder(package: str) -> Path:
    # without importing it: Panel takes a second
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{package} drew a plot and is no longer installed", name=package)
    return Path(spec.origin).parent


def external_references(html: str) -> list[str]:
    """The addresses that a browser would load to show `html`, in order, each once; links to follow are none.

    >>> external_references('<img src="data:,"><a href="https://a.org">a</a><script src="https://b.org/c.js"></script>')
    ['https://b.org/c.js']
    """
    finder = _Finder()
    finder.feed(html)
    finder.close()
    return list(dict.fromkeys(finder.found))


_STYLE_URL = re.compile(r"""(?:url\(\s*|@import\s+)['"]?((?:https?:)?//[^'")\s]+)""")
_SCRIPT_URL = re.compile(r"""['"]((?:https?:)?//[^'"\s]+\.(?:m?js|css)(?:\?[^'"\s]*)?)['"]""")
_REMOTE = re.compile(r"(?:https?:)?//")


class _Finder(HTMLParser):
    """Collects what is loaded from elsewhere by tags, by styles, and by scripts other than our own bundles."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self._inside = "" if "data-bundle" in values else tag
        loading = ["src", "srcset", "data", "poster"] + (["href"] if tag in ("link", "use", "image") else [])
        self.found += [value for name in loading if (value := values.get(name) or "") and _REMOTE.match(value)]
        self.found += _STYLE_URL.findall(values.get("style") or "")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "style":
            self.found += _STYLE_URL.findall(data)
        elif self._inside == "script":
            self.found += _SCRIPT_URL.findall(data)
