"""The README's table of speeds: what was found, beside what was promised."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import llvmlite.binding as llvm

from tests.bench.targets import TARGETS

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
HEAD = "| | measured | target | ratio | allowed | to the time of | limited by |\n|---|---:|---:|---:|---:|---|---|"


@dataclass(frozen=True)
class Found:
    """A ratio of times, ours / the yardstick's, the figure in its own unit, and what the yardstick came to."""

    ratio: float
    measured: str
    yardstick: str = ""


def processor() -> str:
    """The processor's name, and LLVM's for its kind: that of a virtual machine may be of several."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{name} ({llvm.get_host_cpu_name()})"


def machine() -> str:
    """Where this was measured, and what else ran there."""
    load = ", ".join(f"{x:.1f}" for x in os.getloadavg())
    return (
        f"Measured on {processor()}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, "
        f"numba {version('numba')}, NumPy {version('numpy')}; load averages at the end {load}."
    )


def times(ratio: float) -> str:
    """A ratio to three digits."""
    return f"{ratio:.3g}x"


def row(name: str, found: Found | None) -> str:
    """One line of the table; a row that was not measured says so."""
    target = TARGETS[name]
    if found is None:
        cells = [target.what, "not measured", target.figure, "", times(target.at_most), target.yardstick, target.limit]
    else:
        ratio = times(found.ratio) if found.ratio <= target.at_most else f"**{times(found.ratio)}, missed**"
        side = f"{target.yardstick} ({found.yardstick})" if found.yardstick else target.yardstick
        cells = [target.what, found.measured, target.figure, ratio, times(target.at_most), side, target.limit]
    return f"| {' | '.join(cells)} |"


def text(found: Mapping[str, Found]) -> str:
    """The whole table and where it was measured."""
    rows = [row(name, found.get(name)) for name in TARGETS]
    return "\n".join([HEAD, *rows, "", machine()])


def replaced(page: str, content: str) -> str:
    """The page with this content between its markers; they are appended to a page without them.

    Raises ValueError where a page has one marker, or both in the wrong order.
    """
    if (BEGIN in page) != (END in page) or page.find(BEGIN) > page.find(END):
        raise ValueError(f"the page needs {BEGIN} and, after it, {END}")
    if BEGIN not in page:
        return f"{page.rstrip()}\n\n{BEGIN}\n{content}\n{END}\n"
    before, rest = page.split(BEGIN, 1)
    return f"{before}{BEGIN}\n{content}\n{END}{rest.split(END, 1)[1]}"


def write(path: Path, page: str) -> None:
    """Replace the file as a whole or not at all."""
    part = path.with_suffix(f"{path.suffix}.{os.getpid()}")
    with part.open("w") as file:
        file.write(page)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
