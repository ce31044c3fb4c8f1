"""Sensitivity: what a result hangs on - parameters, costs, delay, the last digits of prices (rules N1-N11)."""

from kernelkit.study.sensitivity.costs import break_even
from kernelkit.study.sensitivity.execution import delay
from kernelkit.study.sensitivity.local import around, one_at_a_time
from kernelkit.study.sensitivity.morris import morris
from kernelkit.study.sensitivity.prices import noise
from kernelkit.study.sensitivity.sobol import sobol

__all__ = ("around", "break_even", "delay", "morris", "noise", "one_at_a_time", "sobol")
