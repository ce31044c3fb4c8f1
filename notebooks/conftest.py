"""nbval compares what the cells of these notebooks show, but no progress: that depends on the machine."""

from __future__ import annotations

import copy
import os
from typing import Any

import pytest

from kernelkit import progress
from kernelkit.inference.verdict import VERDICT_MIME

# The kernels inherit these: each notebook has a ledger of its own, and its cells wait for what they display.
os.environ |= {"KERNELKIT_LEDGER": "memory://ledger", "KERNELKIT_WAIT": "1"}


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let the outputs of a cell be compared without displays of progress."""
    compare: Any = getattr(item, "compare_outputs", None)
    if compare is not None:
        vars(item)["compare_outputs"] = lambda test, reference, *more: compare(lasting(test), lasting(reference), *more)


def lasting(outputs: list[Any]) -> list[Any]:
    """The outputs that are no progress, without what programs read of a verdict: its text says it too.

    >>> lasting([{"text": "a"}, {"data": {progress.MIME: {}, "text/plain": "1 of 2"}}])
    [{'text': 'a'}]
    >>> lasting([{"data": {VERDICT_MIME: {}, "text/plain": "NOT SIGNIFICANT"}}])
    [{'data': {'text/plain': 'NOT SIGNIFICANT'}}]
    """
    kept = copy.deepcopy([output for output in outputs if progress.MIME not in output.get("data", {})])
    for output in kept:
        output.get("data", {}).pop(VERDICT_MIME, None)
    return kept
