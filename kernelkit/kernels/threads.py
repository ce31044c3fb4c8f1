"""What one thread of a GPU does: an indicator's values over a stretch of bars, or a trial's way through it.

Both are the engine's own: `refresh` of one row, `sweep` of one trial. Each thread has a FRAME of its own, a copy of the
one that the driver has filled in, and behind it what a frame points to and a trial writes: MODEL and the scratch rows.
"""

from kernelkit.kernels.bars import BLOCKS_BYTES, HEADLINE_BYTES, refresh, sweep
from kernelkit.kernels.layout import (
    DONE,
    FRAME,
    HEADER,
    HELD_AT,
    LATE_AT,
    MODEL,
    PAUSED,
    ROW_BYTES,
    SCRATCH,
    TRIAL_BYTES,
    WAY_AT,
)
from kernelkit.kernels.memory import at, i8, put_i8
from kernelkit.kernels.scan import copy_words

FRAME_WORDS = FRAME.itemsize // 8
MODEL_BYTES = MODEL.itemsize


def own_frame(k: int, frame: int, frames: int, first: int, last: int) -> int:
    """The frame of thread `k`, for bars [first, last)."""
    n = at(frame, FRAME).n_asset
    mine = frames + k * (8 * FRAME_WORDS + MODEL_BYTES + 8 * SCRATCH * n)
    copy_words(mine, frame, FRAME_WORDS)
    f = at(mine, FRAME)
    f.model = mine + 8 * FRAME_WORDS
    f.scratch = f.model + MODEL_BYTES
    f.held = f.scratch + 8 * HELD_AT * n
    f.late = f.scratch + 8 * LATE_AT * n
    f.way = f.scratch + 8 * WAY_AT * n
    f.first = first
    f.last = last
    f.panel = f.values + 16 - 8 * first
    f.refreshed = 1
    return mine


def one_row(k: int, frame: int, frames: int, first: int, last: int) -> None:
    """Row `k` of the indicators."""
    mine = own_frame(k, frame, frames, first, last)
    f = at(mine, FRAME)
    f.rows += ROW_BYTES * k
    f.n_rows = 1
    refresh(mine)


def one_trial(
    k: int,
    frame: int,
    frames: int,
    blocks_at: int,
    trials_at: int,
    outs_at: int,
    cells_at: int,
    meta_at: int,
    statuses_at: int,
    first: int,
    last: int,
) -> None:
    """Trial `k`; how it stands, or what it needs, is written to its place from `statuses_at` on."""
    mine = own_frame(k, frame, frames, first, last)
    cells = cells_at + BLOCKS_BYTES * k if cells_at != 0 else 0
    status = sweep(
        mine,
        blocks_at + 8 * k,
        trials_at + TRIAL_BYTES * k,
        outs_at + HEADLINE_BYTES * k,
        cells,
        meta_at + 24 * k,
        1,
        last,
    )
    if status == DONE or status == PAUSED:
        status = at(i8(blocks_at + 8 * k), HEADER).status
    put_i8(statuses_at + 8 * k, status)
