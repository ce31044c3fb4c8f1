"""Backtest overfitting (rules B1-B4): against a plain text of the same rules, and against what must not matter."""

from __future__ import annotations

import itertools
import sys
from types import ModuleType

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from kernelkit.errors import DataError, UsageError
from kernelkit.inference import overfitting, products
from kernelkit.inference.overfitting import Sums, block_sums, cscv, null, numbers, pbo, splits

quick = settings(max_examples=20, deadline=None)
SEEDS = st.integers(0, 2**32 - 1)


def returns(seed: int = 0, samples: int = 96, strategies: int = 12) -> np.ndarray:
    return np.random.default_rng(seed).normal(1e-3, 0.01, (samples, strategies))


def labelled(x: np.ndarray) -> xr.DataArray:
    return xr.DataArray(x, dims=("time", "trial"))


def by_hand(x: np.ndarray, blocks: int, by: str = "sharpe_ratio") -> list[tuple[float, ...]]:
    """Every split, from the samples: best, in sample, out of sample, rank there, mean of all there."""
    length = len(x) // blocks
    pieces = x[len(x) - blocks * length :].reshape(blocks, length, -1)

    def performance(chosen: tuple[int, ...]) -> np.ndarray:
        part = np.concatenate([pieces[b] for b in chosen])
        return part.mean(axis=0) / (part.std(axis=0, ddof=1) if by == "sharpe_ratio" else 1.0)

    found = []
    for inside in itertools.combinations(range(blocks), blocks // 2):
        there = performance(tuple(b for b in range(blocks) if b not in inside))
        here = performance(inside)
        best = int(np.argmax(here))
        found.append((best, here[best], there[best], rankdata(there)[best], there.mean()))
    return found


@pytest.mark.parametrize("blocks", [4, 6, 8, 10])
@pytest.mark.parametrize("by", ["sharpe_ratio", "mean"])
def test_b1_b2__every_split_is_that_of_the_samples(blocks: int, by: str) -> None:
    x = returns(blocks, samples=103)
    found = cscv(labelled(x), blocks=blocks, by=by)  # type: ignore[arg-type]
    wanted = np.array(by_hand(x, blocks, by)).T
    names = ("trial", "in_sample", "out_of_sample", "rank", "mean_out_of_sample")
    for name, one in zip(names, wanted, strict=True):
        np.testing.assert_allclose(found[name], one, rtol=1e-10, atol=1e-14, err_msg=name)


def test_b1__the_remainder_is_dropped_from_the_oldest() -> None:
    x = returns()
    more = np.concatenate([np.full((15, 12), 9.0), x])
    xr.testing.assert_identical(cscv(labelled(more), blocks=16), cscv(labelled(x), blocks=16))


def test_b1__blocks_of_unequal_length() -> None:
    x, cuts = returns(samples=100), [20, 50, 60]
    pieces = np.split(x, cuts)
    sums = Sums(
        np.array([float(len(p)) for p in pieces]),
        np.array([p.sum(axis=0) for p in pieces]),
        np.array([(p * p).sum(axis=0) for p in pieces]),
    )
    found = splits(sums)
    for mask, best, inside in zip(overfitting.halves(4).masks, found.best, found.inside, strict=True):
        part = np.concatenate([p for b, p in enumerate(pieces) if mask >> b & 1])
        sharpe = part.mean(axis=0) / part.std(axis=0, ddof=1)
        assert best == np.argmax(sharpe)
        assert inside == pytest.approx(sharpe.max(), rel=1e-10)


def test_b2__without_variance_the_performance_is_0() -> None:
    x = -np.abs(returns(samples=64))
    x[:32, 5] = 0.0  # flat in the first two of four blocks
    x[:, 7] = -0.001  # the same loss all the time: nothing was risked
    found = cscv(labelled(x), blocks=4)
    assert found["trial"][0] == 5
    assert found["in_sample"][0] == 0.0
    assert found["trial"][-1] == 7


def test_b3__the_earliest_of_equals_is_chosen_and_ties_rank_in_the_middle() -> None:
    x = np.repeat(returns(strategies=1), 11, axis=1)
    found = cscv(labelled(x), blocks=4)
    assert (found["trial"] == 0).all()
    assert (found["rank"] == 6.0).all()
    assert (found["logit"] == 0.0).all()
    assert pbo(labelled(x), blocks=4, draws=5)["pbo"] == 1.0


@quick
@given(SEEDS)
def test_b3__the_order_of_strategies_does_not_matter(seed: int) -> None:
    x = returns(seed)
    order = np.random.default_rng(seed).permutation(x.shape[1])
    a, b = cscv(labelled(x), blocks=8), cscv(labelled(x[:, order]), blocks=8)
    np.testing.assert_array_equal(order[b["trial"]], a["trial"])
    for name in ("in_sample", "out_of_sample", "rank"):
        np.testing.assert_array_equal(b[name], a[name])
    np.testing.assert_allclose(b["mean_out_of_sample"], a["mean_out_of_sample"], rtol=1e-12, atol=1e-15)


@quick
@given(SEEDS, st.floats(1e-3, 1e3))
def test_b2__the_size_of_a_strategy_does_not_matter(seed: int, factor: float) -> None:
    x = returns(seed)
    scaled = x * np.where(np.arange(x.shape[1]) == seed % x.shape[1], factor, 1.0)
    a, b = cscv(labelled(x), blocks=8), cscv(labelled(scaled), blocks=8)
    np.testing.assert_array_equal(b["rank"], a["rank"])
    np.testing.assert_allclose(b["out_of_sample"], a["out_of_sample"], rtol=1e-9, atol=1e-13)


@quick
@given(SEEDS)
def test_b3__duplicates_of_all_change_nothing(seed: int) -> None:
    x = returns(seed)
    a = pbo(labelled(x), blocks=8, draws=3)
    b = pbo(labelled(np.repeat(x, 2, axis=1)), blocks=8, draws=3)
    for name in ("pbo", "p_loss", "slope", "intercept", "null_low", "null_high", "p_value"):
        np.testing.assert_allclose(b[name], a[name], rtol=1e-12, atol=1e-15, err_msg=name)


def test_degradation_loss_and_dominance_are_those_of_the_splits() -> None:
    x = labelled(returns(3))
    x[:, 4] += 0.02
    found, each = pbo(x, blocks=8, draws=3), cscv(x, blocks=8)
    slope, intercept = np.polyfit(each["in_sample"], each["out_of_sample"], 1)
    np.testing.assert_allclose([found["slope"], found["intercept"]], [slope, intercept], rtol=1e-9)
    assert found["p_loss"] == (each["out_of_sample"] < 0.0).mean()
    assert found["pbo"] == (each["logit"] <= 0.0).mean()
    assert found["first_order"]
    assert found["second_order"]
    worse = pbo(-x, blocks=8, draws=3)
    assert not worse["first_order"]


def test_b4__the_band_holds_what_luck_does_and_skill_is_below_it() -> None:
    luck = [pbo(labelled(returns(k, 320, 20)), blocks=8, draws=99, seed=k) for k in range(40)]
    inside = np.mean([one["null_low"] <= one["pbo"] <= one["null_high"] for one in luck])
    assert inside >= 0.8
    x = returns(1, 320, 20)
    x[:, 3] += 0.005
    skill = pbo(labelled(x), blocks=8, draws=99)
    assert skill["pbo"] < skill["null_low"]
    assert skill["p_value"] == 0.01


def test_b4__skill_of_all_leaves_the_worlds_without_it_as_they_are() -> None:
    x = returns(2)
    a, b = (null(block_sums(v, 8), "mean", 9, seed=4) for v in (x, x + 0.25))
    np.testing.assert_array_equal(a, b)
    assert len(set(a)) > 1
    assert not np.array_equal(a, null(block_sums(x, 8), "mean", 9, seed=5))


def test_pbo__over_some_dims_and_labels_of_the_best() -> None:
    x = xr.DataArray(
        returns(5, 64, 36).reshape(64, 3, 4, 3),
        {"fast": [5, 10, 20], "slow": [50, 100, 150, 200], "fold": ["a", "b", "c"]},
        ("time", "fast", "slow", "fold"),
    )
    x[:, 1, 2] += 0.01
    x[:, 0, 0] = np.nan  # excluded by where=: no trial
    found = pbo(x, over=("fast", "slow"), blocks=4, draws=5)
    assert found["pbo"].dims == ("fold",)
    assert (found["n_trials"] == 11).all()
    each = cscv(x, over=("fast", "slow"), blocks=4)
    assert each["fast"].dims == ("fold", "split")
    assert (each["fast"] == 10).all()
    assert (each["slow"] == 150).all()


def test_pbo__of_chunks_is_that_of_the_whole() -> None:
    x = labelled(returns())
    xr.testing.assert_identical(pbo(x.chunk(time=20, trial=5), draws=3), pbo(x, draws=3))


@pytest.mark.parametrize("by", ["sharpe_ratio", "mean"])
@pytest.mark.parametrize("room", [2**25, 40])
def test_b2__as_matrix_products_splits_are_the_same(by: str, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "ROOM", room)
    x = returns(5, samples=120, strategies=14)
    x[:, 3] = 0.0  # without variance
    sums = block_sums(x, 6)
    wanted = splits(sums, by)  # type: ignore[arg-type]
    stand_in = ModuleType("cupy")
    vars(stand_in).update(vars(np), asnumpy=np.asarray)
    monkeypatch.setitem(sys.modules, "cupy", stand_in)
    found = splits(sums, by, device=True)  # type: ignore[arg-type]
    np.testing.assert_array_equal(found[0], wanted.best)
    for mine, theirs in zip(found[1:], wanted[1:], strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12)


def test_pbo__without_a_device_says_so() -> None:
    x = labelled(returns())
    found = pbo(x, blocks=4, draws=9, gpu="auto")
    assert found.attrs["gpu"].startswith("not used: ")
    xr.testing.assert_equal(found, pbo(x, blocks=4, draws=9))
    if "CuPy" in found.attrs["gpu"]:
        with pytest.raises(UsageError, match="CuPy is not installed"):
            cscv(x, blocks=4, gpu=True)


def test_the_kernel_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = splits(block_sums(returns(), 8))
    monkeypatch.setattr(overfitting, "PIECE", 1)
    for one, other in zip(splits(block_sums(returns(), 8)), whole, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_kernel_as_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same lines uncompiled: bounds are checked there."""
    from kernelkit.kernels import compile as native
    from kernelkit.kernels import cscv as plain

    whole = splits(block_sums(returns(), 6))
    monkeypatch.setattr(native, "kernel", lambda stem, name, types_text: getattr(plain, name))
    for one, other in zip(splits(block_sums(returns(), 6)), whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-13)


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (lambda x: x[:, :9], "found 9 strategies, wanted at least 10"),
        (lambda x: x.where(x["time"] != 5), "12 strategies with NaN"),
        (lambda x: x[:31], "31 samples in 16 blocks"),
        (lambda x: x.where(x["time"] != 5, np.inf), "infinite"),
        (lambda x: x[:, 0], "a dim of samples and others of strategies"),
        (lambda x: x.values, "a DataArray"),
    ],
)
def test_pbo__refuses_data_that_say_nothing(change, wanted) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DataError, match=wanted):
        pbo(change(labelled(returns()).assign_coords(time=np.arange(96))))


@pytest.mark.parametrize(
    "setting", [dict(blocks=7), dict(blocks=22), dict(by="sortino"), dict(draws=0), dict(level=1.0)]
)
def test_pbo__refuses_settings_that_do_not_fit(setting) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError, match="wanted"):
        pbo(labelled(returns()), **setting)


def test_b4__worlds_of_some_strategies_lie_where_those_of_all_do() -> None:
    """PBO is that of all; the band is that of every fourth of 200 that share half of their variance."""
    draw = np.random.default_rng(6)
    x = draw.normal(0.0, 0.01, (320, 200)) + draw.normal(0.0, 0.01, (320, 1))
    sums = block_sums(x, 8)
    every, some = (numbers(sums, "sharpe_ratio", 99, 0.9, 0, step) for step in (1, 4))
    assert every[0] == some[0]
    without = null(block_sums(x[:, ::4], 8), "sharpe_ratio", 99, 0)
    assert some[1:3] == tuple(np.quantile(without, [(1.0 - 0.9) / 2.0, (1.0 + 0.9) / 2.0]))
    np.testing.assert_allclose(some[1:3], every[1:3], atol=0.12)
