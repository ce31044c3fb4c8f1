"""Trials side by side: all of them through one stretch of bars, then through the next. Sweeps alone run this way."""

from kernelkit.kernels.bars import BLOCKS_BYTES, HEADLINE_BYTES, bind, enter, run, settle
from kernelkit.kernels.layout import DONE, FRAME, HEADER, PAUSED, TRIAL, TRIAL_BYTES
from kernelkit.kernels.memory import at, i8, put_i8


def tile(
    frame: int,
    state_at: int,
    stride: int,
    trials_at: int,
    tables_at: int,
    status_at: int,
    outs_at: int,
    blocks_at: int,
    meta_at: int,
    n: int,
    until: int,
) -> int:
    """Bring `n` trials, each with a state block of its own, to bar `until` or to their end; how many go on.

    Their status is PAUSED while they do, DONE when they are settled, else why they stopped.
    """
    f = at(frame, FRAME)
    left = 0
    for k in range(n):
        if i8(status_at + 8 * k) == PAUSED:
            block_at = state_at + stride * k
            trial_at = trials_at + k * TRIAL_BYTES
            bind(frame, block_at)
            enter(frame, trial_at, i8(tables_at), i8(tables_at + 8), i8(tables_at + 16))
            status = run(frame, 0, trial_at, until)
            if status != DONE:
                put_i8(status_at + 8 * k, status)
                f.error = 0
            elif at(block_at, HEADER).i < at(trial_at, TRIAL).i1:
                left += 1
            else:
                settle(
                    frame,
                    trial_at,
                    outs_at + HEADLINE_BYTES * k,
                    blocks_at + BLOCKS_BYTES * k if blocks_at != 0 else 0,
                    meta_at + 24 * k,
                )
                put_i8(status_at + 8 * k, DONE)
    return left
