"""The headline: is the best of a family better than luck, given all that was tried? From block sums alone.

Arrays are (block, trial): ``n`` samples of a trial in a block, 0 where it has none, and the sums ``s1 s2`` of its
returns, ``sb sbb`` of the asset's own, ``sxb`` of both (rules I7-I9, I32).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kernelkit.errors import DataError, message
from kernelkit.inference.bootstrap import studentised_maximum
from kernelkit.inference.draws import block_counts

LEAST = 16  # blocks, of the family and of each trial
REPLICATIONS = 9_999
PIECES = 4  # of a trial's span, four of its blocks at least: fewer tell less surely, more of them miss slow exposures
FEW = 3.0  # sessions in a block, below which it tells nothing of dependence


class Sums(NamedTuple):
    """What a test needs of returns: samples, sum and sum of squares, (block, trial)."""

    n: np.ndarray
    s1: np.ndarray
    s2: np.ndarray

    def less(self, constant: np.ndarray | float) -> Sums:
        """The sums of returns less a ``constant`` per sample, one for each trial or for all."""
        return Sums(self.n, self.s1 - constant * self.n, self.s2 - constant * (2.0 * self.s1 - constant * self.n))

    def merged(self, number: np.ndarray) -> Sums:
        """Blocks with the same ``number`` (block,), ascending, summed."""
        return Sums(*(summed(a, number) for a in self))


def summed(a: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Rows with the same ``number``, ascending, summed.

    >>> summed(np.array([[1.0], [2.0], [3.0]]), np.array([4, 4, 7])).ravel()
    array([3., 3.])
    """
    found: np.ndarray = np.add.reduceat(a, np.flatnonzero(np.diff(number, prepend=number[0] - 1)), axis=0)
    return found


class Headline(NamedTuple):
    """What `headline` finds: of each trial whether it entered, its t, p-value and step-down p-value (NaN where not).

    ``dependent`` are trials left out because their returns hang together for longer than the family's blocks can be,
    ``blocks`` the number of blocks, ``merged`` how many of those given make one.
    """

    entered: np.ndarray
    dependent: np.ndarray
    t: np.ndarray
    p: np.ndarray
    adjusted: np.ndarray
    replications: int
    blocks: int
    merged: int


class Beyond(NamedTuple):
    """What trials earn beyond beta times the asset: the sums of it, beta, and what its mean varies by beyond them."""

    sums: Sums
    beta: np.ndarray
    noise: np.ndarray


def without_market(
    n: np.ndarray, s1: np.ndarray, s2: np.ndarray, sb: np.ndarray, sbb: np.ndarray, sxb: np.ndarray
) -> Beyond:
    """Sums of ``x - beta b + c``, beta (trial,) by least squares over the trial's own span, 0 for a constant b.

    ``c`` a session takes off Kendall's bias: who follows trends holds most after the market rose, in a span whose mean
    is then high too, and looks worse than it is. How much shows in quarters of a trial's span (I32). ``noise`` (trial,)
    is by how much the variance of the mean exceeds that of as many independent samples for it. Where b does not vary
    in every quarter, both are 0.

    >>> b = np.array([[0.01], [-0.02], [0.03]])
    >>> found = without_market(np.ones((3, 1)), 2 * b, 4 * b * b, b, b * b, 2 * b * b)
    >>> found.beta, np.abs(found.sums.s1).max() < 1e-15
    (array([2.]), np.True_)
    """
    beta, _ = _slope(*(a.sum(axis=0) for a in (n, s1, sb, sbb, sxb)))
    sums = Sums(n, s1 - beta * sb, np.maximum(s2 - 2.0 * beta * sxb + beta**2 * sbb, 0.0))
    shift, noise = _kendall(n, s1, sb, sbb, sxb)
    return Beyond(sums.less(-shift), beta, noise)


def _slope(
    n: np.ndarray, s1: np.ndarray, sb: np.ndarray, sbb: np.ndarray, sxb: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Beta of what these sums are of, 0 for a constant b; and the sum of squared deviations of b, 0 where constant."""
    many = np.maximum(n, 1.0)
    spread = sbb - sb**2 / many
    spread = np.where(spread > 1e-12 * sbb, spread, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(spread > 0.0, (sxb - s1 * sb / many) / spread, 0.0), spread


def _kendall(
    n: np.ndarray, s1: np.ndarray, sb: np.ndarray, sbb: np.ndarray, sxb: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The bias of each trial's mean beyond the market, and what taking it off adds to the mean's variance (I32)."""
    many = n.sum(axis=0)
    before = np.cumsum(n, axis=0) - 0.5 * n
    cuts = np.stack([(before < k / PIECES * many).sum(axis=0) for k in range(PIECES + 1)])

    def pieces(a: np.ndarray) -> np.ndarray:
        running = np.concatenate([np.zeros((1, a.shape[1])), np.cumsum(a, axis=0)])
        found: np.ndarray = np.diff(np.take_along_axis(running, cuts, axis=0), axis=0)
        return found

    parts = [pieces(a) for a in (n, s1, sb, sbb, sxb)]
    beta, spread = _slope(*parts)
    weight = parts[0] / np.maximum(many, 1.0)
    mean = parts[2] / np.maximum(parts[0], 1.0)
    apart = beta - (weight * beta).sum(axis=0)
    shift = (weight * apart * mean).sum(axis=0) / (PIECES - 1.0)
    exposure = (weight * apart**2).sum(axis=0) / (PIECES - 1.0)  # the variance of the mean exposure
    asset = _slope(*(a.sum(axis=0) for a in parts))[1] / np.maximum(many, 1.0) ** 2
    noise = (2.0 * PIECES - 1.0) / (PIECES - 1.0) * exposure * asset
    known = (spread > 0.0).all(axis=0)
    return np.where(known, shift, 0.0), np.where(known, noise, 0.0)


def headline(
    sums: Sums,
    edges: np.ndarray,
    *,
    active: np.ndarray | None = None,
    noise: np.ndarray | None = None,
    replications: int = REPLICATIONS,
    seed: int = 0,
    least: int = LEAST,
    merged: int = 0,
) -> Headline | None:
    """Test every trial against the best of luck (I7-I9); None where there are too few blocks: "insufficient data".

    ``edges`` (block,) are the blocks' numbers: those that differ in their last bits only are merged, until a block is
    as long as dependence asks for. ``active`` (block, trial) says in which blocks a trial did anything (None: where its
    sum of squares is above 0); one with fewer than ``least`` such blocks does not enter, nor does one that would ask
    for longer blocks than the family can have. ``noise`` (trial,), as in `Beyond`, widens t's error (None: by nothing).
    Where it is said how many blocks are to be ``merged`` into one, that is done instead, and all enter. Raises
    DataError for arrays that do not fit.

    >>> r = np.random.default_rng(1).normal(size=(64, 20, 8))
    >>> r[..., 0] += 0.25
    >>> found = headline(Sums(np.full((64, 8), 20.0), r.sum(1), (r * r).sum(1)), np.arange(64), replications=999)
    >>> found.p[0] < 0.01 < found.p[1:].min()
    np.True_
    """
    if not sums.n.shape == sums.s1.shape == sums.s2.shape == (len(edges), sums.n.shape[-1]):
        shapes = " and ".join(str(a.shape) for a in (*sums, edges))
        raise DataError(message("sums and edges", shapes, "(block, trial), and (block,)", "Use kk.ledger.family."))
    did = (sums.s2 > 0.0 if active is None else active).astype("f8")
    told, merged, out = merged > 0, max(merged, 1), np.zeros(sums.n.shape[1], bool)
    while True:
        whole, ways = sums.merged(edges // merged), summed(did, edges // merged)
        entered = ((ways > 0.0).sum(axis=0) >= least) & (_spread(whole) > 0.0) & ~out
        if not entered.any():
            return None
        some = Sums(*(a[:, entered] for a in whole))
        found = dependence(some)
        if told:
            break
        further = len(np.unique(edges // (2 * merged))) >= least
        too_long, hopeless = found.length > 1.0, found.length > len(whole.n) / least
        if hopeless.any():
            out[np.flatnonzero(entered)[hopeless]] = True
        elif further and (too_long.any() or np.median(found.per) < FEW):
            merged *= 2
        elif too_long.any():
            out[np.flatnonzero(entered)[too_long]] = True
        else:
            break
    many, mean = some.n.sum(axis=0), some.s1.sum(axis=0) / some.n.sum(axis=0)
    off = (some.s1 - mean * some.n) * found.scale
    squares = some.s2 - 2.0 * mean * some.s1 + mean**2 * some.n
    t = mean * np.sqrt(many / (_spread(some) + (0.0 if noise is None else many * noise[entered])))
    test = studentised_maximum(t, off, squares, some.n, block_counts(len(off), replications, scheme="iid", seed=seed))
    t, p, adjusted = (_spread_out(a, entered) for a in (t, test.p, test.adjusted))
    return Headline(entered, out, t, p, adjusted, replications, len(off), merged)


def _spread_out(a: np.ndarray, entered: np.ndarray) -> np.ndarray:
    out = np.full(len(entered), np.nan)
    out[entered] = a
    return out


def _spread(sums: Sums) -> np.ndarray:
    """The variance of each trial's returns over its own span, ddof = 1; 0 where they are constant."""
    n, s1, s2 = (a.sum(axis=0) for a in sums)
    var = np.maximum(s2 - s1**2 / np.maximum(n, 1.0), 0.0) / np.maximum(n - 1.0, 1.0)
    found: np.ndarray = np.where(var > 1e-12 * s2 / np.maximum(n, 1.0), var, 0.0)
    return found


class Dependence(NamedTuple):
    """How returns hang together over time, by trial: see `dependence`."""

    length: np.ndarray
    scale: np.ndarray
    per: np.ndarray


def dependence(sums: Sums) -> Dependence:
    """How many of its blocks a trial's blocks should be long, and what its blocks' deviations are to be scaled by (I8).

    How much more than single samples blocks vary, shrunk towards what all trials have in common, tells the first
    autocorrelation of an AR(1) series. Of such a one, Politis and White's (2004) formula gives the length, and what
    blocks of this length miss of the variance of a mean. Few blocks tell a trial's own variance badly; the largest of
    many such errors would make the test reject too rarely. Blocks of fewer than three sessions (``per`` on average)
    tell nothing of dependence: none is seen in them.
    """
    filled, n = (sums.n > 0.0).sum(axis=0), sums.n.sum(axis=0)
    off = sums.s1 - sums.s1.sum(axis=0) / n * sums.n
    raw = (off**2).sum(axis=0) / (_spread(sums) * (n - 1.0))
    own, noise = raw * filled / (filled - 1.0), 2.0 / (filled - 1.0)
    common = np.average(own, weights=filled)
    apart = max(0.0, float(np.mean((own / common - 1.0) ** 2 - noise)))
    ratio = common + apart / (apart + noise) * (own - common)
    per = n / filled
    low, high = np.zeros_like(ratio), np.full_like(ratio, 0.99)
    for _ in range(30):  # the autocorrelation, by bisection
        middle = 0.5 * (low + high)
        below = _variance_ratio(middle, per) < ratio
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    r = np.where(per < FEW, 0.0, 0.5 * (low + high))
    length = (2.0 * r / (1.0 - r * r)) ** (2.0 / 3.0) * np.cbrt(n) / per
    missed = (1.0 + r) / (1.0 - r) / _variance_ratio(r, per)
    return Dependence(length, np.sqrt(missed * ratio / raw), per)


def _variance_ratio(r: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Variance of a sum of n samples of an AR(1) series over that of n independent ones."""
    found: np.ndarray = 1.0 + 2.0 * r / (1.0 - r) * (1.0 - (1.0 - r**n) / (n * (1.0 - r)))
    return found
