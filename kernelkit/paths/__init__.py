"""Paths: models of prices, what becomes of many paths of one, and bars of a path on which a strategy runs."""

from __future__ import annotations

from kernelkit.paths.bootstrap import Bootstrap
from kernelkit.paths.copula import Copula
from kernelkit.paths.facts import plot_facts, stylised_facts
from kernelkit.paths.filtered import FilteredBootstrap
from kernelkit.paths.garch import GARCH
from kernelkit.paths.gbm import GBM
from kernelkit.paths.heston import Heston
from kernelkit.paths.iid import IID
from kernelkit.paths.jumps import Kou, Merton
from kernelkit.paths.law_fits import fit_laws, law_of, plot_laws
from kernelkit.paths.laws import Normal, SkewT, StudentT
from kernelkit.paths.simulation import simulate
from kernelkit.paths.stable import Stable

__all__ = (
    "GARCH",
    "GBM",
    "IID",
    "Bootstrap",
    "Copula",
    "FilteredBootstrap",
    "Heston",
    "Kou",
    "Merton",
    "Normal",
    "SkewT",
    "Stable",
    "StudentT",
    "fit_laws",
    "law_of",
    "plot_facts",
    "plot_laws",
    "simulate",
    "stylised_facts",
)
