"""The magics: `%%backtest` over a cell, `%ledger`."""

from __future__ import annotations

import os
import textwrap
from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, no_var_expand
from IPython.display import display

from kernelkit.errors import KernelkitError
from kernelkit.gpu import UNUSED
from kernelkit.notebook import bundle, fault, options, settings, verdict
from kernelkit.notebook import cell as cells

if TYPE_CHECKING:
    import xarray as xr

LATEST = "_kk"

HELP = """Backtest the last function of the cell over every combination of its parameters.

    %%backtest --name ma-cross --data sp500_index -p fast=5:50:5 -p slow=60:200:20 --into res
    #| where: fast < slow
    #| fee: 0.0005
    def sma_cross(ctx, fast, slow):
        if ctx.close.sma(fast) > ctx.close.sma(slow):
            ctx.target_percent(1.0)
        else:
            ctx.target_percent(0.0)

The cell runs in the notebook's namespace. A strategy whose first parameter is ctx decides bar by bar (kk.strategy), one
whose first parameter is ds returns target weights over labelled arrays (kk.signal); decorated ones are taken as they
are. Afterwards the function's name holds the strategy, for kk.audit or kk.walk_forward.

A parameter's value is one of

    20              one value: a number, true, false, or text
    5:50:5          5, 10, ..., 50
    5,10,20         these values
    log(1,100,3)    values in equal ratios: 1, 10, 100
    @name           a variable of the notebook

An option stands on the first line, or at the top of the cell as #| option: value:

{options}

The result is displayed, and is the variable _kk until the next one; --into keeps it under a name. Interrupting the
cell keeps the trials that are done. More examples:

    %%backtest --data @bars --cash 10_000 --venue us_equity
    %%backtest --data aapl -p n=10:100:10 --fee "per_unit(0.005, 1)" --slippage 0.0005 --start 2020 --end 2022-06
    %%backtest --data synthetic_minute -p n=@windows --client tcp://10.0.0.5:8786
"""


def help_text() -> str:
    """What ``%%backtest?`` shows."""
    rows = []
    for option in options.OPTIONS:
        head = f"--{option.name} {option.value}".rstrip()
        rows.append(textwrap.fill(option.help, 116, initial_indent=f"    {head:<20}", subsequent_indent=" " * 24))
    return HELP.format(options="\n".join(rows))


@magics_class
class BacktestMagics(Magics):
    """The magics of kernelkit."""

    @no_var_expand
    @cell_magic
    def backtest(self, line: str, cell: str) -> None:  # noqa: D102  written below, from the table of options
        try:
            self._backtest(line, cell)
        except KernelkitError as error:
            raise fault.one_line(self.shell, error)  # noqa: B904  it is the same error
        except BaseException as error:
            fault.in_cells(self.shell, error)
            raise

    def _backtest(self, line: str, cell: str) -> None:
        """Everything that can be wrong in the options is, before the cell runs; nothing is kept of what fails."""
        given = options.parse(line, cell)
        namespace: dict[str, Any] = self.shell.user_ns  # type: ignore[union-attr]  # there is one: it called us
        into = settings.target(given)
        data = settings.bars(given, namespace)
        arguments = {
            "account": settings.account(given),
            "venue": settings.venue(given, namespace),
            "fill_model": settings.fill_model(given, namespace),
            "client": settings.client(given, namespace),
            "gpu": "auto" if "gpu" in given.flags else False,
            "debug": "debug" in given.flags,
        }
        found = cells.execute(self.shell, line, cell)
        res = simulate(given, found, data, namespace, arguments)
        namespace[LATEST] = res
        if into is not None:
            namespace[into] = res
        notice(given, res)
        bundle.show(res)
        verdict.tell(res)

    @line_magic
    def ledger(self, line: str) -> Any:
        """What was tried in this project, by strategy and role; ``%ledger name`` tells how that one came about."""
        from kernelkit import ledger

        try:
            return ledger.lineage(line.strip()) if line.strip() else ledger.summary()
        except KernelkitError as error:
            raise fault.one_line(self.shell, error)  # noqa: B904  it is the same error


BacktestMagics.backtest.__doc__ = help_text()


def simulate(given: options.Given, found: Any, data: Any, namespace: Any, arguments: dict[str, Any]) -> xr.Dataset:
    """The backtest itself, with its progress in the cell; an interrupt before the first trial was done goes on."""
    from kernelkit.engine import backtest
    from kernelkit.notebook.live import progress_in_cell
    from kernelkit.recipe import check_bars

    scalars, axes = settings.parameters(given, found, namespace)
    index = check_bars(data).indexes["time"]
    arguments = arguments | {
        "where": settings.condition(given, found, found.defaults | scalars | {n: axis[0] for n, axis in axes.items()}),
        "start": settings.date(given, "start", index),
        "end": settings.date(given, "end", index),
    }
    with progress_in_cell():
        res = backtest(data, found, scalars, grid=axes, **arguments)
    if "interrupted" in res.attrs and not bool(res["final_equity"].notnull().any()):
        raise KeyboardInterrupt("no trial was done yet, there is nothing to keep")
    res.attrs["title"] = given.values.get("name", found.name)
    return res


def notice(given: options.Given, res: xr.Dataset) -> None:
    """What has to be said before the result: that it is partial, or that no device ran it."""
    if "interrupted" in res.attrs:
        say(f"interrupted: {res.attrs['interrupted']}; the result holds these, the other cells are NaN")
    said = res.attrs.get("gpu", "")
    if said.startswith(UNUSED):
        say(f"--gpu: {said.removeprefix(UNUSED)}; ran on {os.cpu_count() or 1} threads")


def say(text: str) -> None:
    """One line below the cell."""
    display({"text/plain": text}, raw=True)  # type: ignore[no-untyped-call]
