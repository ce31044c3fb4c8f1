"""One path alone, from its first step to what it is reduced to (rule G7): what one thread of a GPU does.

The functions are those of `draws` and `walks`, on rows of a single path. `lane` makes four steps; it is one of those
here, by the model's kind. Arrays: `scale` (1,), `carry`, `own` (field, 1), `w` (4, 1), `room` (3, 4, 1), others (4, 1).
"""

from kernelkit.kernels.draws import fill_normals, fill_students
from kernelkit.kernels.walks import DIFFUSION, garch, heston, jumps, summarise


def lane_gbm(low, high, path, pairs, step, scale, p, carry, w, room, move, gap, variance):
    """G3: p = (mean,)."""
    fill_normals(low, high, path, pairs, step, DIFFUSION, scale, p[0], w, move)


def lane_jumps(low, high, path, pairs, step, scale, p, carry, w, room, move, gap, variance):
    """G5: p of `jumps`."""
    jumps(low, high, path, pairs, step, scale, p, w, move, gap)


def lane_heston(low, high, path, pairs, step, scale, p, carry, w, room, move, gap, variance):
    """G6: p of `heston`."""
    heston(low, high, path, pairs, step, scale, p, carry, w, room, move, variance)


def lane_garch(low, high, path, pairs, step, scale, p, carry, w, room, move, gap, variance):
    """G4: p of `garch`, normal innovations."""
    fill_normals(low, high, path, pairs, step, DIFFUSION, scale, 0.0, w, move)
    garch(p, carry, move, variance)


def lane_students(low, high, path, pairs, step, scale, p, carry, w, room, move, gap, variance):
    """G4: p of `garch`, then the degrees of freedom."""
    fill_students(low, high, path, pairs, step, DIFFUSION, scale, p[5], w, move)
    garch(p, carry, move, variance)


lane = lane_gbm  # a program has that of its model here


def one_path(low, high, path, pairs, steps, size, begin, p, scale, carry, w, room, move, gap, variance, own):
    """G7: own is (log price, its highest, its lowest, the largest fall); `begin` is the path's memory at first."""
    scale[0] = -size if pairs == 1 and path % 2 == 1 else size
    carry[0, 0] = begin
    for j in range(4):
        own[j, 0] = 0.0
    step = 0
    while step < steps:
        lane(low, high, path, pairs, step, scale, p, carry, w, room, move, gap, variance)
        for j in range(4):  # an index that is known keeps `move` in registers
            if step + j >= steps:
                move[j, 0] = 0.0
        summarise(move, own)
        step += 4
