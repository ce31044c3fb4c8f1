"""The state block as every trial begins, and where things lie in it."""

import numpy as np

from kernelkit.kernels import layout as L
from kernelkit.kernels.job import Job
from kernelkit.kernels.plan import Each, Plan, Ring

CAPACITY = 2 * L.RESERVE


def template_block(job: Job) -> np.ndarray:
    """A state block as every trial begins: declared state, scratch rings, nothing else.

    Of a portfolio the numbers of each asset follow the strategy's words (by name, or, where it is called for each
    asset, by asset), then the slots of all assets but the first; last come, by indicator and asset, the values but one.
    """
    plan, n = job.plan, job.n_asset
    rings = {s.slot: ring_length(job, k) for k, s in enumerate(plan.sites) if s.rolling.ring}
    before = n * len(plan.keeping)
    n_slot = plan.words + n * (plan.own_words + 2 * sum(rings.values())) + (n - 1) * site_words(plan) + before
    block = L.new_block(n, CAPACITY + 8 * (n - 1), n_slot, plan.told != 0, job.homes.n if job.homes else 0)
    words = slots_of(block)
    at = plan.words
    for first in plan.words + plan.own_words * np.arange(n) if plan.by_asset else [0]:
        for name, value in plan.state.items():
            if not isinstance(value, Ring | Each):
                words[first + plan.places[name]] = word(value)
    for value in (v for v in plan.state.values() if isinstance(v, Each)):
        words[at : at + n] = word(value.value)
        at += n
    at = plan.words + n * plan.own_words + (n - 1) * site_words(plan)
    for shift in slot_shifts(job) if plan.sites else ():
        for slot, value in job.custom_state:
            words[slot + shift] = word(value)
        for site in plan.sites:
            slot = site.slot + shift
            words[slot] = word(float("nan"))
            if site.rolling.ring:
                words[slot + 2] = 8 * (at - slot)
                at += 2 * rings[site.slot]
    words[at : at + before] = word(float("nan"))
    return block


def word(value: object) -> int:
    """A number as a slot holds it."""
    return int(np.float64(value).view("i8")) if isinstance(value, float) else int(value)  # type: ignore[call-overload]


def site_words(plan: Plan) -> int:
    """How many words the indicators of one asset take."""
    return sum(site.rolling.words for site in plan.sites)


def slot_shifts(job: Job) -> np.ndarray:
    """How many words the slots of each asset lie behind those of the first, int64 (asset,)."""
    plan, n = job.plan, job.n_asset
    return np.concatenate([[0], n * plan.own_words + site_words(plan) * np.arange(1, n)])


def ring_length(job: Job, k: int) -> int:
    """The largest window that any trial binds to indicator `k`."""
    if k in job.ring_sizes:
        return job.ring_sizes[k]
    text = job.plan.sites[k].arguments[0]
    if text in job.plan.params:
        column = job.params[:, list(job.plan.params).index(text)]
        return int(column.max())
    return int(text)


def slots_of(block: np.ndarray) -> np.ndarray:
    """The strategy's words of a block, as int64."""
    header = header_of(block)
    start = int(header["off_strategy"])
    return block[start : start + 8 * int(header["n_slot"])].view("i8")


def header_of(block: np.ndarray) -> np.void:
    """A block's header record."""
    return block[: L.HEADER.itemsize].view(L.HEADER)[0]
