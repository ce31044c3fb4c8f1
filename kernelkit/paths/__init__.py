"""Paths: models of prices, what becomes of many paths of one, and bars of a path on which a strategy runs."""

from __future__ import annotations

from kernelkit.paths.bootstrap import Bootstrap
from kernelkit.paths.copula import Copula
from kernelkit.paths.facts import plot_facts, stylised_facts
from kernelkit.paths.garch import GARCH
from kernelkit.paths.gbm import GBM
from kernelkit.paths.heston import Heston
from kernelkit.paths.jumps import Kou, Merton
from kernelkit.paths.simulation import simulate

__all__ = (
    "GARCH",
    "GBM",
    "Bootstrap",
    "Copula",
    "Heston",
    "Kou",
    "Merton",
    "plot_facts",
    "simulate",
    "stylised_facts",
)
