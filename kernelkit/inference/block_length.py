"""How long the blocks of a bootstrap should be, found from the autocovariances of a series (I10)."""

from __future__ import annotations

from typing import Literal

import numpy as np

from kernelkit.metrics.metric import metric
from kernelkit.metrics.series import Array, centred, column, count, positive, whole

QUIET = 5  # lags in a row without correlation: the largest of 5 and sqrt(log10 n), which is 5
OVER = {"stationary": 2.0, "circular": 4.0 / 3.0}  # Patton, Politis and White (2009)


@metric("1", "block length, in samples", home="inference")
def block_length(returns: Array, *, scheme: Literal["stationary", "circular"] = "stationary") -> Array:
    """Block length at which the bootstrap's error of the variance of the mean is smallest, in samples; not rounded.

    Politis and White, Automatic block-length selection for the dependent bootstrap (2004), as corrected by Patton,
    Politis and White (2009); I10. The mean length for ``"stationary"``, the length for ``"circular"`` and for moving
    blocks: round that up. At least 1, at most `min(3 sqrt(n), n / 3)` rounded up. Of a family take the largest. The
    series is the one whose mean is bootstrapped: returns. NaN without variance.

    >>> x = np.random.default_rng(1).normal(size=1004)
    >>> round(float(block_length(x)), 2), round(float(block_length(np.convolve(x, np.ones(5), "valid"))), 2)
    (1.1, 13.91)
    """
    n = count(returns)
    off = whole(centred(returns))
    length = off.shape[-1]
    reach = np.minimum(np.ceil(np.sqrt(n)) + QUIET, n - 1.0)
    lags = range(int(np.ceil(length**0.5)) + QUIET + 1)
    products = [np.sum(off[..., k:] * off[..., : max(length - k, 0)], axis=-1) for k in lags]
    covariances = np.stack(products, axis=-1) / column(n)
    k = np.cumsum(np.ones_like(covariances), axis=-1) - 1.0

    edge = 2.0 * np.sqrt(np.log10(n) / n)
    quiet = (np.abs(covariances) < column(edge * covariances[..., 0])) & (k <= column(reach))
    in_a_row = np.cumsum(quiet[..., 1:], axis=-1)
    run = in_a_row[..., QUIET - 1 :] - np.concatenate([0 * in_a_row[..., :1], in_a_row[..., :-QUIET]], axis=-1) == QUIET
    first = np.where(np.any(run, axis=-1), np.argmax(run, axis=-1) + 1.0, reach)
    width = column(np.minimum(2.0 * first, reach))

    taper = np.where(k > 0.0, 2.0, 1.0) * np.maximum(np.minimum(2.0 * (1.0 - k / width), 1.0), 0.0)
    spectrum = np.sum(taper * covariances, axis=-1)
    bend = np.sum(taper * k * covariances, axis=-1)
    found = (2.0 * n * bend**2 / (OVER[scheme] * positive(spectrum**2))) ** (1.0 / 3.0)
    longest = np.ceil(np.minimum(3.0 * np.sqrt(n), n / 3.0))
    return np.maximum(np.minimum(found, longest), 1.0)
