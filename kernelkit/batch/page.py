"""The report of a run: one HTML file that needs no network, with parameters, the notebook and the environment."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kernelkit.batch import offline
from kernelkit.batch.plan import Job
from kernelkit.batch.runs import Run
from kernelkit.report import words

_HERE = Path(__file__).parent

# Cells that the parameter table already tells.
_TOLD = {"parameters", "injected-parameters"}


@dataclass(frozen=True, slots=True)
class Page:
    """What stands around the notebook: rows of parameters are (name, value, given for this run, help)."""

    title: str
    run: Run
    duration: str
    metrics: tuple[tuple[str, str], ...]
    parameters: tuple[tuple[str, str, bool, str], ...]
    environment: tuple[tuple[str, str], ...]
    hide_code: bool


def describe(job: Job, run: Run, seconds: float) -> Page:
    """The page of `run`, the ended record of `job`, which took `seconds`."""
    parameters = [
        (p.name, _spell(run.parameters[p.name]), p.name in job.values, p.help) for p in job.template.parameters
    ]
    metrics = [(words.label(name), number(name, value)) for name, value in run.metrics.items()]
    environment = tuple(_environment(run))
    return Page(
        job.template.title, run, _duration(seconds), tuple(metrics), tuple(parameters), environment, job.hide_code
    )


def _spell(value: object) -> str:
    return value if isinstance(value, str) else repr(value)


def _duration(seconds: float) -> str:
    """Seconds as a person says them.

    >>> _duration(7.31), _duration(192), _duration(7384)
    ('7.3 s', '3 min 12 s', '2 h 3 min')
    """
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{seconds:.1f} s"
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def number(name: str, value: float | None) -> str:
    """A number of the record: a metric in its unit, another as a person reads it.

    >>> number("oos_cagr", 0.06346), number("score", 1.23456), number("folds", 15.0), number("score", None)
    ('6.3 %', '1.235', '15', '–')
    """
    if value is None or words.known(name):
        return words.number(name, value)
    return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 10_000 else f"{value:.4g}"


def _environment(run: Run) -> Iterator[tuple[str, str]]:
    yield from run.versions.items()
    for name, value in (run.data or {}).items():
        if value is not None:
            yield f"data {name}", str(value)[:20]
    if run.seed is not None:
        yield "seed", str(run.seed)
    if run.git:
        yield "git commit", run.git["commit"][:12] + (", with local changes" if run.git["dirty"] else "")
    yield from (("host", run.host), ("finished", run.finished or ""))


def render(notebook: Any, page: Page) -> str:
    """`notebook` (executed) as HTML inside `page`; a content policy in it forbids whatever would need the network."""
    import jinja2
    from nbconvert import HTMLExporter
    from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]

    exporter = HTMLExporter(  # type: ignore[no-untyped-call]
        extra_loaders=[jinja2.FileSystemLoader(_HERE)],
        template_file="page.html.j2",
        exclude_output_prompt=True,
        exclude_input_prompt=True,
        exclude_anchor_links=True,
        exclude_input=page.hide_code,
        embed_images=True,
    )
    colours = HtmlFormatter(style="friendly").get_style_defs(".highlight")
    style = f"{colours}\n{(_HERE / 'page.css').read_text(encoding='utf-8')}"
    body = _body(notebook)
    scripts = list(offline.bundles()) if offline.has_plots(body) else []
    html, _ = exporter.from_notebook_node(body, resources={"page": page, "style": style, "scripts": scripts})
    return offline.embed_styles(str(html))


def _body(notebook: Any) -> Any:
    """A copy without what the page tells itself: the title, the parameters, bars of progress that is over."""
    body = copy.deepcopy(notebook)
    body.cells = [cell for cell in body.cells if not _TOLD & set(cell.metadata.get("tags", []))]
    first = next((cell for cell in body.cells if cell.cell_type == "markdown"), None)
    if first is not None:
        first.source = re.sub(r"\A\s*# .*\n?", "", first.source)
    for cell in body.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if offline.is_shown(output)]
    # widgets live in a kernel, and the script that would draw them on a network
    body.metadata.pop("widgets", None)
    return body
