"""The magics, a module for each; `ALL` of them."""

from __future__ import annotations

from kernelkit.notebook.magics.backtest import BacktestMagics
from kernelkit.notebook.magics.config import ConfigMagics
from kernelkit.notebook.magics.ledger import LedgerMagics
from kernelkit.notebook.magics.lookahead import LookaheadMagics
from kernelkit.notebook.magics.runs import RunsMagics
from kernelkit.notebook.magics.strategy import StrategyMagics

__all__ = ("ALL", "TABLES", "BacktestMagics")

ALL = (BacktestMagics, StrategyMagics, LookaheadMagics, RunsMagics, LedgerMagics, ConfigMagics)
TABLES = {table.magic: table for magics in ALL for table in magics.tables}
