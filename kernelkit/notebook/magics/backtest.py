"""`%%backtest` over a cell, and `%backtest` of a strategy that is there already, or of the last one again."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand

from kernelkit.errors import UsageError
from kernelkit.gpu import UNUSED
from kernelkit.notebook import bundle, fault, settings, verdict
from kernelkit.notebook import cell as cells
from kernelkit.notebook.config import Kernelkit, config_of
from kernelkit.notebook.listing import say
from kernelkit.notebook.options import Given, Option, Table, nearest, parse

if TYPE_CHECKING:
    import xarray as xr

    from kernelkit.strategy import Signal, Strategy

LATEST = "_kk"

DATA = Option("data", "NAME", "bars to trade: a data set of kk.data.load, or @variable (a Dataset of bars)")
PARAM = Option("param", "NAME=SPEC", "a value or an axis of a parameter (short: -p); may be given many times")
START = Option("start", "DATE", "first day of the evaluated span; earlier bars warm up")
END = Option("end", "DATE", "last day of the evaluated span")
INTO = Option("into", "VAR", "variable that gets the result; the latest one is always in _kk")
MARKET = (
    Option("cash", "AMOUNT", "money at the start, 1e6 if left out"),
    Option("fee", "MODEL", "a fraction of the traded value, a model as in per_unit(0.005, 1), or @variable"),
    Option("slippage", "MODEL", "a fraction of the price, a model as in square_root(0.1), or @variable"),
    Option("venue", "VENUE", "a venue with its costs, as in us_equity or us_equity(0.001), or @variable"),
    Option(
        "fill-model",
        "NAMES",
        "how orders meet bars, as in lean or @variable; several (conservative,lean) are a dim",
    ),
)
OPTIONS = (
    DATA,
    PARAM,
    Option("name", "TEXT", "title of the result; the strategy's name if left out"),
    INTO,
    Option("where", "EXPR", "keep only the trials for which this holds, as in 'fast < slow'"),
    START,
    END,
    *MARKET,
    Option("client", "ADDRESS", "run on a dask cluster: its address, or @variable (a Client)"),
    Option("gpu", "", "run on a CUDA device where there is one and it is worth it; else one line says why not"),
    Option("debug", "", "run in plain Python: slow; breakpoints and prints work, and any Python is accepted"),
    Option("fresh", "", "run all trials, also those that are in the cache"),
)
CELL = Table("%%backtest", OPTIONS)
LINE = Table(
    "%backtest",
    (
        Option("repeat", "", "the last backtest of a cell again, or that of --name; what else stands here is changed"),
        *OPTIONS,
    ),
    "strategy",
)

HELP = f"""Backtest the last function of the cell over every combination of its parameters.

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

A line without a cell takes a strategy by its name: a variable, one of kk.strategies.names(), or a file.

    %backtest sma_cross --data nasdaq_index -p fast=10 -p slow=100
    %backtest --repeat --fee 0.001
    %backtest --repeat --name ma-cross -p fast=5,10 --into few

--repeat takes the options of the cell, or line, as they were, those apart that it says itself, and --into.

A parameter's value is one of

    20              one value: a number, true, false, or text
    5:50:5          5, 10, ..., 50
    5,10,20         these values
    log(1,100,3)    values in equal ratios: 1, 10, 100
    @name           a variable of the notebook

An option stands on the first line, or at the top of the cell as #| option: value:

{LINE.help()}

What is left out, %kkconfig says. The result is displayed, and is the variable _kk until the next one; --into keeps it
under a name. Interrupting the cell keeps the trials that are done: the same cell goes on from there, and one that has
ended comes from the cache, and says so. Signals, --debug and --gpu are run each time. More examples:

    %%backtest --data @bars --cash 10_000 --venue us_equity
    %%backtest --data aapl -p n=10:100:10 --fee "per_unit(0.005, 1)" --slippage 0.0005 --start 2020 --end 2022-06
    %%backtest --data synthetic_minute -p n=@windows --client tcp://10.0.0.5:8786
"""


@magics_class
class BacktestMagics(Magics):
    """`%%backtest` and `%backtest`; what they have run, by title, the latest last."""

    tables = (CELL, LINE)

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self.done: dict[str, tuple[Given, Strategy | Signal]] = {}

    @no_var_expand
    @line_cell_magic
    @fault.told
    def backtest(self, line: str, cell: str | None = None) -> None:  # noqa: D102  written below, from the table
        if cell is None:
            self._line(line)
        else:
            self._backtest(parse(CELL, line, cell), None, lambda: cells.execute(self.shell, CELL.magic, line, cell))

    def _line(self, line: str) -> None:
        given, before = parse(LINE, line), None
        if given.on("repeat"):
            before, found = self._before(given)
        else:
            found = cells.named_in(self.shell, LINE.magic, given.words, "--repeat, or a cell below %%backtest")
        self._backtest(given, before, lambda: found)

    def _before(self, given: Given) -> tuple[Given, Strategy | Signal]:
        """What is to be repeated: that of --name, else the latest."""
        if given.words:
            raise UsageError(f"--repeat takes no strategy, found {given.words[0]!r}; --name says which backtest")
        if not self.done:
            raise UsageError("--repeat: nothing was backtested in this session; run a cell of %%backtest first")
        title = given.values.get("name", next(reversed(self.done)))
        if title not in self.done:
            have = ", ".join(self.done)
            raise UsageError(f"--repeat --name {title}: no such backtest{nearest(title, self.done)}; there are {have}")
        return self.done[title]

    def _backtest(self, written: Given, before: Given | None, find: Callable[[], Strategy | Signal]) -> None:
        """Everything that can be wrong in the options is, before the cell runs; nothing is kept of what fails."""
        config = config_of(self.shell)
        given = written.over(before if before is not None else config.given())
        namespace: dict[str, Any] = self.shell.user_ns  # type: ignore[union-attr]  # there is one: it called us
        into = settings.target(given)
        data = settings.bars(given, namespace)
        arguments = settings.market(given, namespace) | {
            "client": settings.client(given, namespace),
            "gpu": "auto" if given.on("gpu") else False,
            "debug": given.on("debug"),
        }
        found = find()
        res = simulate(given, found, data, namespace, arguments, config)
        namespace |= dict.fromkeys((LATEST, *([into] if into is not None else [])), res)
        if before is None:
            self._remember(res.attrs["title"], given, found)
        notice(given, res)
        bundle.show(res)
        verdict.tell(res)

    def _remember(self, title: str, given: Given, found: Strategy | Signal) -> None:
        """For --repeat: its variable stays what it is, and what is known is known."""
        values = {name: text for name, text in given.values.items() if name != "into"}
        self.done.pop(title, None)
        self.done[title] = replace(given, values=values, flags=given.flags | {"fresh": False}), found


BacktestMagics.backtest.__doc__ = HELP


def simulate(
    given: Given, found: Any, data: Any, namespace: Any, arguments: dict[str, Any], config: Kernelkit
) -> xr.Dataset:
    """The backtest itself, with its progress in the cell; an interrupt before the first trial was done goes on."""
    from kernelkit.engine import backtest
    from kernelkit.notebook.live import progress_in_cell
    from kernelkit.recipe import check_bars

    scalars, axes = settings.parameters(given, found, namespace)
    index = check_bars(data).indexes["time"]
    results = None if given.on("fresh") or given.on("debug") else config.results()
    arguments = arguments | {
        "where": settings.condition(given, found, found.defaults | scalars | {n: axis[0] for n, axis in axes.items()}),
        "start": settings.date(given, "start", index),
        "end": settings.date(given, "end", index),
        "cache": results if results is not None else False,
    }
    with progress_in_cell(config.progress == "on"):
        res = backtest(data, found, scalars, grid=axes, **arguments)
    if "interrupted" in res.attrs and not bool(res["final_equity"].notnull().any()):
        raise KeyboardInterrupt("no trial was done yet, there is nothing to keep")
    if results is not None:
        config.bound(results)
    res.attrs["title"] = given.values.get("name", found.name)
    if given.configured:
        told = (f"{name.replace('-', '_')}={text}" for name, text in given.values.items() if name in given.configured)
        res.attrs["configured"] = ", ".join(told)
    return res


def notice(given: Given, res: xr.Dataset) -> None:
    """What has to be said before the result: that it is partial, or no news, or that no device ran it."""
    if "interrupted" in res.attrs:
        say(f"interrupted: {res.attrs['interrupted']}; the result holds these, the other cells are NaN")
    if "cached" in res.attrs:
        say(f"from the cache: {res.attrs['cached']}; --fresh runs them again")
    said = res.attrs.get("gpu", "")
    if said.startswith(UNUSED):
        say(f"--gpu: {said.removeprefix(UNUSED)}; ran on {os.cpu_count() or 1} threads")
