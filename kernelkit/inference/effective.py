"""How many independent trials a family of alike ones is worth: three estimators, none of which is the truth."""

from __future__ import annotations

import numpy as np

from kernelkit.errors import DataError, message

MOST = 1_000  # trials that are clustered: every k-th of more
ALIKE = 0.5  # correlation of any two in a cluster


def effective_trials(returns: np.ndarray) -> dict[str, float]:
    """Effective numbers of trials of returns (sample, trial), by name of the estimator (I30).

    ``average_correlation``: `r + (1 - r) M`, r the mean correlation of two of M trials, at least 0 (Bailey and López de
    Prado, 2014); ``effective_rank``: the exponential of the entropy of the correlation matrix's eigenvalues over their
    sum (Roy and Vetterli, 2007), at most the number of samples; ``clusters``: groups in which any two trials correlate
    by 0.5 or more (complete linkage). Raises DataError for arrays without variance or with NaN.

    >>> x = np.random.default_rng(1).normal(size=(4000, 2))
    >>> found = effective_trials(x[:, [0, 0, 1]])
    >>> {name: round(n, 1) for name, n in found.items()}
    {'average_correlation': 2.4, 'effective_rank': 1.9, 'clusters': 2.0}
    """
    off = returns - returns.mean(axis=0)
    length = np.sqrt((off * off).sum(axis=0))
    if returns.ndim != 2 or not (length > 0.0).all():
        fix = "Leave those trials out."
        raise DataError(message("returns", "trials that have NaN or do not vary", "(sample, trial) that vary", fix))
    unit = off / length
    many = unit.shape[1]
    total = unit.sum(axis=1)
    mean = max(0.0, float((total @ total - many) / (many * (many - 1)))) if many > 1 else 0.0
    # the Gram matrix of the smaller side has the correlation matrix's eigenvalues
    gram = unit @ unit.T if unit.shape[0] < many else unit.T @ unit
    return {
        "average_correlation": mean + (1.0 - mean) * many,
        "effective_rank": effective_rank(gram),
        "clusters": float(_clusters(unit[:, :: -(-many // MOST)])),
    }


def effective_rank(matrix: np.ndarray) -> float:
    """The exponential of the entropy of a symmetric matrix's eigenvalues over their sum.

    >>> round(effective_rank(np.eye(3)), 12)
    3.0
    """
    values = np.maximum(np.linalg.eigvalsh(matrix), 0.0)
    share = values[values > 0.0] / values.sum()
    return float(np.exp(-np.sum(share * np.log(share))))


def _clusters(unit: np.ndarray) -> int:
    from scipy.cluster.hierarchy import fcluster, linkage

    if unit.shape[1] < 2:
        return int(unit.shape[1])
    upper = np.triu_indices(unit.shape[1], 1)
    apart = np.clip(1.0 - (unit.T @ unit)[upper], 0.0, 2.0)
    return int(fcluster(linkage(apart, "complete"), 1.0 - ALIKE, "distance").max())
