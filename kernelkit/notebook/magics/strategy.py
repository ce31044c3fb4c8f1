"""`%%strategy`: a strategy is defined and checked, and nothing is run."""

from __future__ import annotations

import inspect
import keyword
from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics, cell_magic, magics_class, no_var_expand

from kernelkit.errors import StrategyError, UsageError
from kernelkit.notebook import cell as cells
from kernelkit.notebook import fault, settings
from kernelkit.notebook.listing import listing, show
from kernelkit.notebook.magics.backtest import PARAM
from kernelkit.notebook.options import Given, Option, Table, parse
from kernelkit.strategy import Signal

if TYPE_CHECKING:
    from kernelkit.strategy import Program, Strategy

TABLE = Table("%%strategy", (Option("name", "VAR", "variable that holds it; the function's name if left out"), PARAM))
# What a window is taken for that has no default and no value: only the warm-up hangs on it, and the line says so.
EXAMPLE = 20

HELP = f"""Define a strategy, the last function of the cell, and check that it compiles; nothing is run.

    %%strategy
    def sma_cross(ctx, fast=20, slow=100):
        if ctx.close.sma(fast) > ctx.close.sma(slow):
            ctx.target_percent(1.0)
        else:
            ctx.target_percent(0.0)

The function's name then holds the strategy, for %backtest, kk.backtest, kk.walk_forward and the others. What is said of
it are its parameters and its warm-up: the bars before its first decision. A parameter without a default is taken as
{EXAMPLE} for that; -p says another value:

    %%strategy --name trend -p n=50
    def above_average(ctx, n):
        ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else 0.0)

The options:

{TABLE.help()}
"""


@magics_class
class StrategyMagics(Magics):
    """`%%strategy`."""

    tables = (TABLE,)

    @no_var_expand
    @cell_magic
    @fault.told
    def strategy(self, line: str, cell: str) -> None:  # noqa: D102  written below, from the table of options
        given = parse(TABLE, line, cell)
        name = given.values.get("name")
        if name is not None and (not name.isidentifier() or keyword.iskeyword(name)):
            raise UsageError(f"--name {name}: wanted the name of a variable, as in --name trend")
        found = cells.execute(self.shell, TABLE.magic, line, cell)
        told = described(found, given, self.shell.user_ns)  # type: ignore[union-attr]  # there is one: it called us
        if name is not None:
            self.shell.user_ns[name] = found  # type: ignore[union-attr]
        show(listing(("", ""), list(told.items()), title=title(found)))


StrategyMagics.strategy.__doc__ = HELP


def title(found: Strategy | Signal) -> str:
    """What it is, in a line."""
    if isinstance(found, Signal):
        return f"{found.name}: a signal, it returns target {found.units}s over labelled arrays"
    return f"{found.name}: a {'portfolio' if found.shared else 'strategy'}, it compiles"


def described(found: Strategy | Signal, given: Given, namespace: Any) -> dict[str, str]:
    """Its parameters, its warm-up, and what it reads and records; StrategyError where it does not compile."""
    scalars, axes = settings.parameters(given, found, namespace, needed=False)
    if axes:
        raise UsageError(f"-p {next(iter(axes))}: a definition takes one value; %backtest takes an axis")
    guessed = {n: EXAMPLE for n, d in found.defaults.items() if d is inspect.Parameter.empty and n not in scalars}
    values = found.defaults | scalars | guessed
    shown = (f"{n}" if n in guessed else f"{n} = {v!r}" for n, v in values.items())
    told = {"Parameters": ", ".join(shown) or "none"}
    if isinstance(found, Signal):
        return told | {"Warm-up": "as many bars as its targets are NaN"}
    program = _program(found, values, guessed)
    plan = program.plan
    closed = found.closed_needed(program, values)
    frames = [f"{n} of {frame}" for frame, n in zip(plan.timeframes, closed, strict=True) if n]
    under = f", with {', '.join(f'{n} = {v}' for n, v in guessed.items())}" if guessed else ""
    told["Warm-up"] = " and ".join([f"{found.bars_needed(program, values):,} bars", *frames]) + under
    more = {
        "Features": plan.features,
        "Records": plan.records,
        "Hooks": [hook.function.__name__ for hook in found.hooks],
    }
    return told | {name: ", ".join(words) for name, words in more.items() if words}


def _program(found: Strategy, values: dict[str, Any], guessed: dict[str, Any]) -> Program:
    from kernelkit.binding import kind_of

    types = {n: kind_of(n, [v], found.defaults[n]) for n, v in values.items()}
    try:
        program = found.program(types, {n: v for n, v in values.items() if isinstance(v, str)})
        if program.plan.uncompilable:
            raise StrategyError(program.plan.uncompilable)
        program.load()
    except StrategyError as error:
        if not guessed:
            raise
        name = next(iter(guessed))
        raise StrategyError(f"{error} ({name} was taken as {EXAMPLE}; -p {name}=... says another value)") from None
    return program
