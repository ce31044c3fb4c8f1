"""Regimes: labels of the market's state that know no future, and what depends on them. Adds dim ``regime``."""

from kernelkit.study.regimes.adapting import adapt
from kernelkit.study.regimes.breaks import change_points
from kernelkit.study.regimes.jumps import jump_model
from kernelkit.study.regimes.reports import by, transition
from kernelkit.study.regimes.switching import hmm, markov
from kernelkit.study.regimes.thresholds import trend, volatility

__all__ = ("adapt", "by", "change_points", "hmm", "jump_model", "markov", "transition", "trend", "volatility")
