"""Combinatorial purged splits (rules K1-K3): against loops over pairs of spans, and against what must not matter."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelkit.errors import UsageError
from kernelkit.study.purged import masks, n_paths, paths


def by_hand(decided, used, parts, tested, embargo):
    """The samples a split trains on: each span against each span of the test, run by run of groups."""
    test = {i for g in tested for i in parts[g]}
    runs = []
    for g in tested:
        if runs and runs[-1][-1] == g - 1:
            runs[-1].append(g)
        else:
            runs.append([g])
    ends = [max(used[i] for g in run for i in parts[g]) for run in runs]
    return [
        i
        for i in range(len(decided))
        if i not in test
        and not any(decided[i] <= used[j] and used[i] >= decided[j] for j in test)
        and not any(end < decided[i] <= end + embargo for end in ends)
    ]


@st.composite
def spans(draw):
    """Samples with ties, holes and labels of any length, or all of the same."""
    steps = draw(st.lists(st.integers(0, 4), min_size=4, max_size=90))
    own = st.lists(st.integers(0, 12), min_size=len(steps), max_size=len(steps))
    lengths = draw(st.one_of(own, st.integers(0, 12)))
    decided = np.cumsum(steps)
    return decided, decided + lengths


@settings(max_examples=80, deadline=None)
@given(spans(), st.integers(2, 7), st.integers(1, 6), st.integers(0, 9))
def test_k1_k2__is_the_loop_over_pairs(samples, groups, tests, embargo):
    decided, used = samples
    groups = min(groups, len(decided))
    tests = min(tests, groups - 1)
    parts = np.array_split(np.arange(len(decided)), groups)
    found = masks(decided, used, groups, tests, embargo)
    wanted = list(itertools.combinations(range(groups), tests))
    assert [tuple(row) for row in found.tested.tolist()] == wanted
    for k, tested in enumerate(wanted):
        train = np.flatnonzero(found.train(k)).tolist()
        assert train == by_hand(decided.tolist(), used.tolist(), parts, tested, embargo)
        assert np.flatnonzero(found.test(k)).tolist() == [i for g in tested for i in parts[g].tolist()]
        assert found.sizes()[k] == len(train)
    assert masks(decided, used, [int(p[0]) for p in parts], tests, embargo).words.tobytes() == found.words.tobytes()


@settings(max_examples=30, deadline=None)
@given(spans(), st.integers(0, 9), st.integers(0, 9))
def test_k2__more_embargo_and_longer_labels_only_remove(samples, embargo, longer):
    decided, used = samples
    one = masks(decided, used, 4, 2, embargo)
    for other in (masks(decided, used, 4, 2, embargo + longer), masks(decided, used + longer, 4, 2, embargo)):
        assert not (other.words & ~one.words).any()


def test_k2__times_are_as_their_numbers():
    hours = np.arange(100)
    times = np.datetime64("2020-01-01", "s") + hours * np.timedelta64(3600, "s")
    one = masks(hours, hours + 3, 5, 2, 6)
    other = masks(times, times + np.timedelta64(3, "h"), 5, 2, np.timedelta64(6, "h"))
    assert one.words.tobytes() == other.words.tobytes()
    assert masks(hours * 0.5, hours * 0.5 + 1.5, 5, 2, 3.0).words.tobytes() == one.words.tobytes()


@pytest.mark.parametrize(("groups", "tests"), [(2, 1), (6, 2), (7, 4), (9, 8), (10, 5)])
def test_k3__paths_use_each_test_of_each_split_once(groups, tests):
    found, tested = paths(groups, tests), list(itertools.combinations(range(groups), tests))
    assert found.shape == (n_paths(groups, tests), groups)
    used = [(int(found[p, g]), g) for p in range(len(found)) for g in range(groups)]
    assert sorted(used) == [(split, g) for split, row in enumerate(tested) for g in row]


N = np.arange(10)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((N, N[:5], 2, 1), "shapes"),
        ((N, N - 1, 2, 1), "sample 0: found an end before its decision"),
        ((N[::-1], N + 20, 2, 1), "sample 1: found an earlier decision"),
        ((N, np.append(N[1:], np.nan), 2, 1), "used: found NaN"),
        ((N.astype("M8[D]"), np.append(N[1:].astype("M8[D]"), np.datetime64("NaT")), 2, 1), "used: found NaN or NaT"),
        ((list("abc"), list("abc"), 2, 1), "decided: found values of"),
        ((N, N, 2, 2), "2 of 2 groups"),
        ((N, N, 11, 2), "2 of 11 groups"),
        ((N, N, 0, 0), "0 of 0 groups"),
        ((N, N, [0, 5, 5], 1), "groups: found"),
        ((N, N, [1, 5], 1), "groups: found"),
        ((N, N, 5, 2, -1), "embargo"),
        ((N.astype("M8[D]"), N.astype("M8[D]"), 5, 2, 3), "embargo: found 3"),
        ((N, N, 5, 2, np.timedelta64(3, "D")), "embargo: found"),
        ((np.arange(40), np.arange(40), 34, 17), "GiB"),
    ],
)
def test_masks__refuses(arguments, text):
    with pytest.raises(UsageError, match=text):
        masks(*arguments)
