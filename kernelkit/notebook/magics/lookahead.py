"""`%%lookahead`: is the cell's strategy blind to the future?"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand

from kernelkit.errors import UsageError
from kernelkit.notebook import audited, fault, settings
from kernelkit.notebook import cell as cells
from kernelkit.notebook.config import config_of
from kernelkit.notebook.listing import show
from kernelkit.notebook.magics.backtest import DATA, END, MARKET, START
from kernelkit.notebook.options import Given, Option, Table, parse

if TYPE_CHECKING:
    from kernelkit.strategy import Signal, Strategy

OPTIONS = (
    DATA,
    Option("param", "NAME=VALUE", "a value of a parameter (short: -p); may be given many times"),
    Option("cuts", "N", "at how many bars the future is taken away and replaced, 64 if left out"),
    Option("seed", "N", "which of the bars are drawn at random, 0 if left out"),
    Option("into", "VAR", "variable that gets the report of kk.audit"),
    START,
    END,
    *MARKET,
)
CELL = Table("%%lookahead", OPTIONS)
LINE = Table("%lookahead", OPTIONS, "strategy")

HELP = f"""Does the last function of the cell know the future? It runs again without it, and with another (kk.audit).

    %%lookahead --data sp500_index --cuts 8
    def scaled(ds):
        return (ds["close"] - ds["close"].min()) / (ds["close"].max() - ds["close"].min())

What it had decided before each cut must not change. Where it does, the first leak is shown: the bar, its time, what the
decision was and became, and what was known too early. A line without a cell takes a strategy by its name:

    %lookahead sma_cross --data sp500_index -p fast=10 -p slow=100 --cuts 4

The options:

{CELL.help()}
"""


@magics_class
class LookaheadMagics(Magics):
    """`%%lookahead` and `%lookahead`."""

    tables = (CELL, LINE)

    @no_var_expand
    @line_cell_magic
    @fault.told
    def lookahead(self, line: str, cell: str | None = None) -> None:  # noqa: D102  written below, from the table
        if cell is not None:
            self._audit(parse(CELL, line, cell), lambda: cells.execute(self.shell, CELL.magic, line, cell))
            return
        given = parse(LINE, line)
        found = cells.named_in(self.shell, LINE.magic, given.words, "or a cell below %%lookahead")
        self._audit(given, lambda: found)

    def _audit(self, written: Given, find: Callable[[], Strategy | Signal]) -> None:
        from kernelkit.audit import audit
        from kernelkit.notebook.live import progress_in_cell
        from kernelkit.recipe import check_bars

        config = config_of(self.shell)
        given = written.over(config.given())
        namespace: dict[str, Any] = self.shell.user_ns  # type: ignore[union-attr]  # there is one: it called us
        into, data = settings.target(given), settings.bars(given, namespace)
        arguments = settings.market(given, namespace)
        if isinstance(arguments["fill_model"], list):
            raise UsageError(f"{given.spelt('fill-model')}: an audit takes one")
        arguments |= {name: whole(given, name) for name in ("cuts", "seed") if name in given.values}
        found = find()
        scalars, axes = settings.parameters(given, found, namespace)
        if axes:
            name, axis = next(iter(axes.items()))
            spec = given.params[name]
            raise UsageError(f"-p {name}={spec}: an audit takes one value of a parameter, as in -p {name}={axis[0]}")
        index = check_bars(data).indexes["time"]
        arguments |= {name: settings.date(given, name, index) for name in ("start", "end")}
        with progress_in_cell(config.progress == "on"):
            report = audit(data, found, scalars, **arguments)
        if into is not None:
            namespace[into] = report
        show(audited.bundle(report))


LookaheadMagics.lookahead.__doc__ = HELP


def whole(given: Given, option: str) -> int:
    """The whole number of an option."""
    text = given.values[option].replace("_", "")
    if not text.isdecimal():
        raise UsageError(f"--{option} {given.values[option]}: wanted a whole number, as in --{option} 16")
    return int(text)
