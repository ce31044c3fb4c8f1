"""A bar whose orders are matched in the finer bars that it is made of, one after the other (rules E5, F16)."""

from kernelkit.kernels.bars import touched
from kernelkit.kernels.layout import FRAME, INSTRUMENT, WITHIN
from kernelkit.kernels.memory import at, call, i8


def finer(frame: int) -> int:
    """Match the live orders in each finer bar of bar FRAME.i; DONE, or an error.

    Meanwhile the frame speaks of the finer table; FRAME.coarse and .coarse_i keep what cost models see of the bars
    that decisions are taken on.
    """
    f = at(frame, FRAME)
    own = f.instrument
    i = f.i
    g = at(own, INSTRUMENT)
    first = i8(g.edges + 8 * i)
    last = i8(g.edges + 8 * i + 8)
    f.coarse = f.columns
    f.coarse_i = i
    f.instrument = g.finer
    f.columns = at(g.finer, INSTRUMENT).columns
    for u in range(first, last):
        f.i = u
        if f.happen != 0:  # E5
            f.place = WITHIN
            call(f.happen, frame)
        if touched(frame) and f.error == 0:
            call(f.match, frame)
    f.instrument = own
    f.columns = f.coarse
    f.i = i
    f.coarse = 0
    f.coarse_i = 0
    return f.error
