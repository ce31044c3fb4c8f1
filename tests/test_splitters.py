"""Splitters (rules K1-K4): against loops over samples, scikit-learn's documented splits, and what must not matter."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kernelkit as kk
from kernelkit.errors import UsageError
from kernelkit.study.purged import masks

DAYS = pd.DataFrame({"x": 0.0}, pd.date_range("2019-01-01", periods=700, freq="D"))


def lists(splitter, samples):
    return [(train.tolist(), test.tolist()) for train, test in splitter.split(samples)]


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 60), st.integers(1, 12), st.integers(1, 9), st.integers(0, 11), st.integers(1, 12), st.booleans())
def test_k4__windows_by_number_are_the_loop(n, train, test, gap, step, anchored):
    wanted = []
    for first in range(0, n, step):
        cut = first + train
        if n - cut < 2:
            break
        begin = 0 if anchored else first
        wanted.append((list(range(begin, cut - gap)), list(range(cut, min(cut + test, n)))))
    make = kk.splits.anchored if anchored else kk.splits.rolling
    splitter = make(train, test, gap=gap, step=step)
    if not wanted:
        with pytest.raises(UsageError, match="wanted windows that fit into"):
            splitter.windows(range(n))
    elif gap >= train:
        with pytest.raises(UsageError, match="gap: found"):
            splitter.windows(range(n))
    else:
        assert lists(splitter, range(n)) == wanted
        assert splitter.get_n_splits(np.zeros((n, 3))) == len(wanted)


def test_k4__windows_by_date_begin_and_end_on_dates():
    found = kk.splits.rolling("8M", "3M", gap="10D", step="2M").windows(DAYS)
    for k, one in enumerate(found):
        ((train, trained),), ((test, stop),) = one.train, one.test
        begun = pd.Timestamp("2019-01-01") + pd.DateOffset(months=2 * k)
        assert DAYS.index[train] == begun
        assert DAYS.index[test] == begun + pd.DateOffset(months=8)
        assert DAYS.index[trained] == DAYS.index[test] - pd.Timedelta("10D")
        assert stop == min(len(DAYS), DAYS.index.searchsorted(begun + pd.DateOffset(months=11)))
    assert len(found) == 8
    by_bars = kk.splits.rolling("8M", "3M", gap=10, step="2M").windows(DAYS)
    assert by_bars == found
    assert {one.train[0][0] for one in kk.splits.anchored("8M", "3M").windows(DAYS)} == {0}
    assert kk.splits.rolling("8M", "3M").windows(DAYS.index) == kk.splits.rolling("8M", "3M").windows(DAYS)


def test_expanding__is_what_scikit_learn_documents():
    """TimeSeriesSplit's examples of 6 and 12 samples; a gap of 2 with test windows of 2."""
    six = [(list(range(k)), [k]) for k in range(1, 6)]
    assert lists(kk.splits.expanding(5), np.zeros((6, 2))) == six
    twelve = [(list(range(k)), list(range(k, k + 3))) for k in (3, 6, 9)]
    assert lists(kk.splits.expanding(3), range(12)) == twelve
    gap = [(list(range(k - 2)), list(range(k, k + 3))) for k in (3, 6, 9)]
    assert lists(kk.splits.expanding(3, gap=2), range(12)) == gap
    assert kk.splits.expanding(3).get_n_splits() == 3


def test_blocked__blocks_share_nothing():
    found = lists(kk.splits.blocked(3, test=0.3, gap=1), range(31))
    assert [(train[0], train[-1], test[0], test[-1]) for train, test in found] == [
        (0, 6, 8, 10),
        (11, 16, 18, 20),
        (21, 26, 28, 30),
    ]
    used = [set(train) | set(test) for train, test in found]
    assert not any(a & b for a, b in itertools.combinations(used, 2))


def test_holdout__leaves_the_newest_sealed():
    splitter = kk.splits.holdout()
    assert lists(splitter, range(50)) == [(list(range(35)), list(range(35, 45)))]
    assert splitter.cuts(range(50)) == (35, 45)
    assert splitter.get_n_splits() == 1
    assert lists(kk.splits.holdout(0.5, 0.5, gap=3), range(10)) == [([0, 1], [5, 6, 7, 8, 9])]


@settings(max_examples=40, deadline=None)
@given(st.integers(6, 80), st.integers(2, 6), st.integers(1, 3), st.integers(0, 5), st.integers(0, 5))
def test_k2__combinatorial_is_the_masks(n, groups, tests, label, embargo):
    tests = min(tests, groups - 1)
    place = np.arange(n)
    found = masks(place, place + label, groups, tests, embargo)
    splitter = kk.splits.combinatorial(groups, tests, label=label, embargo=embargo)
    wanted = [
        (np.flatnonzero(found.train(k)).tolist(), np.flatnonzero(found.test(k)).tolist())
        for k in range(len(found.tested))
    ]
    assert lists(splitter, range(n)) == wanted
    assert splitter.get_n_splits() == len(wanted)
    inner = set(found.bounds.tolist())
    for one in splitter.windows(range(n)):  # runs end where groups do
        assert all(not inner & set(range(a + 1, b)) for a, b in (*one.train, *one.test))


def test_k2__ends_may_be_said_in_samples_durations_and_times():
    index = DAYS.index.delete(slice(40, 47))  # a hole: durations and counts differ there
    table = DAYS.loc[index]
    by_count = kk.splits.purged(5, label=3, embargo=2).windows(DAYS)
    for label, embargo in (
        ("3D", 2),
        (3, "2D"),
        (pd.Timedelta(days=3), np.timedelta64(2, "D")),
        ((DAYS.index + pd.Timedelta("3D")).values, 2),
        (np.arange(700) + 3, 2),
    ):
        assert kk.splits.purged(5, label=label, embargo=embargo).windows(DAYS) == by_count
    ends = (index + pd.Timedelta("3D")).values
    wanted = masks(index.values, ends, 5, 1, np.timedelta64(2, "D"))
    found = lists(kk.splits.purged(5, label="3D", embargo="2D"), table)
    assert [train for train, _ in found] == [np.flatnonzero(wanted.train(k)).tolist() for k in range(5)]
    assert lists(kk.splits.purged(5, label=ends, embargo="2D"), table) == found


@pytest.mark.parametrize(
    ("splitter", "samples", "text"),
    [
        (kk.splits.rolling(5, "1Y"), DAYS, "all numbers, or all durations"),
        (kk.splits.rolling("1Y", "1M"), range(99), "windows by the calendar: found samples without times"),
        (kk.splits.rolling("1Y", "1M", gap="1Y"), DAYS, "gap: found '1Y'"),
        (kk.splits.rolling(5, 0), range(99), "numbers above 0"),
        (kk.splits.rolling(5, 2, gap=-1), range(99), "gap: found -1"),
        (kk.splits.rolling(500, 100), range(99), "wanted windows that fit into 99 samples"),
        (kk.splits.rolling("5Y", "1Y"), DAYS, r"wanted windows that fit into 2019-01-01 \.\.\. 2020-11-30"),
        (kk.splits.expanding(9), range(9), "splits: found 9 of 9 samples"),
        (kk.splits.blocked(3, gap=3), range(9), "none to train on"),
        (kk.splits.holdout(0.1, 0.1), range(3), "samples: found 3"),
        (kk.splits.purged(3, label=-1), range(9), "label: found -1"),
        (kk.splits.purged(3, label="soon"), DAYS, "label: found 'soon'"),
        (kk.splits.purged(3, label="3D"), range(9), "spans of labels: found samples without times"),
        (kk.splits.purged(3, label=np.arange(4)), range(9), "label: found shape"),
        (kk.splits.purged(3, embargo=-1), range(9), "embargo: found -1"),
        (kk.splits.purged(2, label=np.full(700, np.datetime64("NaT"))), DAYS, "label: found NaT"),
    ],
)
def test_splitters__refuse(splitter, samples, text):
    with pytest.raises(UsageError, match=text):
        splitter.windows(samples)


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (lambda: kk.splits.expanding(0), "n: found 0"),
        (lambda: kk.splits.blocked(3, test=1.0), "test: found 1.0"),
        (lambda: kk.splits.holdout(0.9, 0.2), "train and validation: found 0.9 and 0.2"),
    ],
)
def test_splitters__that_no_samples_fit_are_not_made(made, text):
    with pytest.raises(UsageError, match=text):
        made()


def test_get_n_splits__needs_the_samples_where_they_count():
    with pytest.raises(UsageError, match="number of splits: found no samples"):
        kk.splits.rolling(5, 2).get_n_splits()
