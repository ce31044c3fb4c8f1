"""`%ledger`: what was tried."""

from __future__ import annotations

from typing import Any

from IPython.core.magic import Magics, line_magic, magics_class, no_var_expand

from kernelkit.errors import UsageError
from kernelkit.notebook import fault
from kernelkit.notebook.options import Table, parse

TABLE = Table("%ledger", (), "strategy")

HELP = """What was tried in this project, by strategy and role; with a strategy's name, how that one came about.

    %ledger
    %ledger sma_cross
"""


@magics_class
class LedgerMagics(Magics):
    """`%ledger`."""

    tables = (TABLE,)

    @no_var_expand
    @line_magic
    @fault.told
    def ledger(self, line: str) -> Any:  # noqa: D102  written below, as those of the others
        from kernelkit import ledger

        names = parse(TABLE, line).words
        if len(names) > 1:
            raise UsageError(f"%ledger {line}: wanted the name of one strategy, or none for all")
        return ledger.lineage(names[0]) if names else ledger.summary()


LedgerMagics.ledger.__doc__ = HELP
