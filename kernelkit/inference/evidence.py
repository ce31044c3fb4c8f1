"""What a verdict rests on: the chosen trial of a result, its family from the ledger, and every number beside it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.special

from kernelkit import ledger
from kernelkit.errors import RunError, UsageError, message
from kernelkit.inference import significance as s
from kernelkit.inference.headline import LEAST, Beyond, Headline, Sums, headline, without_market
from kernelkit.inference.overfitting import Sums as Blocks
from kernelkit.inference.overfitting import numbers
from kernelkit.ledger.log import Row
from kernelkit.ledger.tables import params_of
from kernelkit.ledger.trials import DONE, FIELDS, NONE, SHARED, accounts_of
from kernelkit.metrics.series import central_sums
from kernelkit.rng import uniform

if TYPE_CHECKING:
    import xarray as xr

SHARPE = "sharpe_ratio"
PBO_BLOCKS, PBO_LEAST = 16, 10
PRUNED_PART = 20  # of a family, the part that may be pruned without a word on the others
ALIKE = 200  # trials whose correlations are looked at: every k-th of more
PBO_WORK = 15_000  # trials x worlds without skill
PBO_MOST = 500  # trials in these worlds: every k-th of more
BESIDE = 1_999  # replications of tests that stand beside the headline


@dataclass(frozen=True)
class Chosen:
    """The trial that a verdict is about: that with the highest Sharpe ratio among those of the result."""

    row: Row
    place: int

    @property
    def account(self) -> int:
        """Which of the call's accounts it is of."""
        return self.place % self.n_account

    @property
    def n_account(self) -> int:
        """How many accounts each cell of the call has."""
        return accounts_of(self.row)

    @property
    def asset_ids(self) -> list[str]:
        """The permanent ids of what it trades."""
        ids: list[str] = self.row["asset_ids"]
        return ids if self.row["together"] else [ids[self.account]]

    @property
    def assets(self) -> str:
        """The names of what it trades."""
        names: list[str] = self.row["assets"]
        return ", ".join(names) if self.row["together"] else names[self.account]

    @property
    def params(self) -> dict[str, Any]:
        """Its parameters."""
        return next(p for k, p in enumerate(params_of(self.row)) if k == self.place // self.n_account)

    @property
    def periods(self) -> float:
        """Sessions a year."""
        return float(self.row["periods"])

    @cached_property
    def blocks(self) -> dict[str, np.ndarray]:
        """Its block summaries, float64 (block,), and those shared by all: n, sb, sbb."""
        edges = self.row["edges"][self.account]
        raw = self.row["blocks"][self.place, : int((edges > NONE).sum())].astype("f8")
        found = {name: raw[:, j] for j, name in enumerate(FIELDS)}
        shared = self.row["shared"][self.account, : len(raw)]
        return found | {name: shared[:, j] for j, name in enumerate(SHARED)}

    @cached_property
    def moments(self) -> tuple[float, float, float, float]:
        """Sharpe ratio per session, sessions, skewness and kurtosis (of a normal series 3), from its blocks (M12)."""
        n, s1, s2, s3, s4 = (float(self.blocks[k].sum()) for k in ("n", "s1", "s2", "s3", "s4"))
        m2, m3, m4 = (one / n for one in central_sums(n, s1, s2, s3, s4))
        if not m2 > 1e-14 * s2 / n:
            return float("nan"), n, float("nan"), float("nan")
        return s1 / n / (m2 * n / (n - 1)) ** 0.5, n, m3 / m2**1.5, m4 / m2**2


def chosen(res: xr.Dataset) -> Chosen:
    """The trial with the highest Sharpe ratio of those that a result has left, of equals the earliest.

    Raises RunError for a result that is not in the ledger, or whose summaries are not, UsageError for one of no trial.
    """
    if res.attrs.get("study") == "search":
        return _proposed(res)
    row = ledger.call(str(res.attrs.get("ledger", "")))
    if "ledger" not in res.attrs and "study" in res.attrs:
        found_, wanted = f"the cases of a study of {res.attrs['study']}", "the result of one choice"
        raise UsageError(message("kk.verdict", found_, wanted, "Pass kk.backtest(...) of the one that you mean."))
    if row is None or "blocks" not in row:
        found_ = "a result that it does not have" if row is None else "a result without block summaries"
        fix = "Verdicts are on what backtests, searches and walk-forwards have returned in this project, with metrics."
        raise RunError(message(f"ledger at {ledger.place()}", found_, "the trials of the result", fix))
    n_account = accounts_of(row)
    axes = row["axes"] | ({"asset": row["assets"]} if n_account > 1 else {})
    lost = [n for n in axes if n not in res.coords]
    if lost:
        fix = "Select with res.sel(...), which keeps them."
        raise UsageError(message("result", f"no labels of {', '.join(lost)}", "those that it was made with", fix))
    left = _left(res, list(axes))
    labels = [tuple(p[n] for n in row["axes"]) for p in params_of(row)]
    if n_account > 1:
        labels = [(*label, a) for label in labels for a in row["assets"]]
    kept = (row["status"] == DONE) & np.array([label in left for label in labels], bool)
    if not kept.any():
        raise UsageError(message("result", "no trial that was run", "one at least", "Choose other labels."))
    sharpe = np.where(kept, np.nan_to_num(row["sharpe_ratio"], nan=-np.inf), -np.inf)
    best = int(np.argmax(sharpe)) if np.isfinite(sharpe).any() else int(np.argmax(kept))
    return Chosen(row, best)


def _proposed(res: xr.Dataset) -> Chosen:
    """`chosen` of a search, whose trials are known by their keys."""
    sharpe, keys = np.atleast_1d(res[SHARPE].values), np.atleast_1d(res["key"].values)
    done = np.isfinite(np.atleast_1d(res["final_equity"].values))
    if not done.any():
        fix = "Choose other labels."
        raise UsageError(message("result", "no trial that has come to its end", "one at least", fix))
    best = int(np.argmax(np.where(done, np.nan_to_num(sharpe, nan=-np.finfo("f8").max), -np.inf)))
    found = ledger.call_of(str(keys[best]), str(res.attrs.get("ledger", "")).split())
    if found is None:
        fix = "Verdicts are on what kk.search has returned in this project."
        raise RunError(message(f"ledger at {ledger.place()}", "no such trial", "the trials of the result", fix))
    return Chosen(*found)


def _left(res: xr.Dataset, names: Sequence[str]) -> set[tuple[Any, ...]]:
    """Labels along these axes of the cells that a result has left: those that have a Sharpe ratio, if one has."""
    first = str(res.attrs.get("fill_model", "")).partition(", ")[0]
    if "fill_model" in res.dims:
        res = res.isel(fill_model=0)
    elif "fill_model" in res.coords and str(res["fill_model"].values) != first:
        found, fix = str(res["fill_model"].values), "Select none: the verdict is on the first, and tells the spread."
        raise UsageError(message("fill model of the result", found, first, fix))
    cells = [np.atleast_1d(res[n].values).tolist() for n in names]
    every = list(itertools.product(*cells))
    if "sharpe_ratio" not in res or "path" in res["sharpe_ratio"].dims:  # the paths of one trial
        return set(every)
    known = res["sharpe_ratio"].transpose(*[n for n in names if n in res.dims])
    there = np.isfinite(known.values).ravel()
    return set(itertools.compress(every, there)) if there.any() else set(every)


@dataclass(frozen=True)
class Evidence:
    """A chosen trial beside its family; each number is found when it is asked for."""

    trial: Chosen
    family: ledger.Family
    replications: int
    seed: int
    rf: float | None = None
    of: int = 0  # distinct trials of the family before it was narrowed

    @cached_property
    def place(self) -> int | None:
        """Where the chosen trial, or one with the very same returns, is in the family."""
        found = np.flatnonzero(self.family.key == self.trial.row["key"][self.trial.place])
        if not len(found):
            sums = self._own()
            same = np.isclose(self.family.s1, sums[0][:, None], rtol=1e-6, atol=1e-12).all(axis=0)
            found = np.flatnonzero(
                same & np.isclose(self.family.s2, sums[1][:, None], rtol=1e-6, atol=1e-12).all(axis=0)
            )
        return int(found[0]) if len(found) else None

    def _own(self) -> tuple[np.ndarray, np.ndarray]:
        edges = self.trial.row["edges"][self.trial.account]
        number = edges[edges > NONE] >> (self.family.level - int(self.trial.row["level"][self.trial.account]))
        out = np.zeros((2, len(self.family.edges)))
        for j, name in enumerate(("s1", "s2")):
            np.add.at(out[j], np.searchsorted(self.family.edges, number), self.trial.blocks[name])
        return out[0], out[1]

    @cached_property
    def without_market(self) -> Beyond:
        """The family's sums of ``x - rf - beta (b - rf)``, Kendall's bias taken off, each beta, and the noise of it."""
        f = self.family
        found = without_market(f.n, f.s1, f.s2, f.sb, f.sbb, f.sxb)
        return found._replace(sums=found.sums.less((1.0 - found.beta) * self.daily_rf))

    @property
    def daily_rf(self) -> np.ndarray:
        """What a session earns each trial without risk: at ``rf``, else what its cash earned, as interest accrues."""
        if self.rf is not None:
            return np.full(len(self.family), self.rf / self.trial.periods)
        found: np.ndarray = self.family.earned / np.maximum(self.family.n.sum(axis=0), 1.0)
        return found

    @cached_property
    def headline(self) -> Headline | None:
        """The test of returns less beta times buying and holding; None for insufficient data."""
        return self._test(self.without_market.sums, self.without_market.noise)

    @cached_property
    def plain(self) -> Headline | None:
        """The same test of the returns as they are, market premium included."""
        return self._test(Sums(self.family.n, self.family.s1, self.family.s2).less(self.daily_rf))

    @cached_property
    def other_lengths(self) -> tuple[float | None, float | None]:
        """The chosen trial's p-value by the headline's test with blocks half and twice as long (I8).

        None where the ledger has no shorter ones, or the family would have too few. Of fewer replications.
        """
        if self.headline is None:
            return None, None
        half, double = self.headline.merged // 2, 2 * self.headline.merged
        enough = len(np.unique(self.family.edges // double)) >= LEAST
        few, (sums, _, noise) = min(self.replications, BESIDE), self.without_market
        return (
            self.p_value(self._test(sums, noise, few, half)) if half else None,
            self.p_value(self._test(sums, noise, few, double)) if enough else None,
        )

    def _test(
        self, sums: Sums, noise: np.ndarray | None = None, replications: int | None = None, merged: int = 0
    ) -> Headline | None:
        f, many = self.family, replications or self.replications
        if not len(f):
            return None
        return headline(
            sums, f.edges, active=f.active > 0, noise=noise, replications=many, seed=self.seed, merged=merged
        )

    def corrected(self, p: np.ndarray | float, test: Headline) -> np.ndarray:
        """I9: p-values for all that was tried, also what was declared and what could not join."""
        found: np.ndarray = 1.0 - (1.0 - np.asarray(p)) ** self._power(test)
        return found

    def _power(self, test: Headline) -> float:
        inside = int(test.entered.sum())
        return (inside + self.unseen + int(test.dependent.sum())) / inside

    def p_value(self, test: Headline | None) -> float:
        """Of the chosen trial, for all that was tried; NaN where it did not enter."""
        if test is None or self.place is None or not test.entered[self.place]:
            return float("nan")
        return float(self.corrected(test.p[self.place], test))

    def error(self, test: Headline) -> float:
        """The Monte Carlo error of `p_value`."""
        p, power = float(test.p[self.place or 0]), self._power(test)
        return float((p * (1.0 - p) / test.replications) ** 0.5 * power * (1.0 - p) ** (power - 1.0))

    @property
    def unseen(self) -> int:
        """Trials that count although their returns cannot be bootstrapped."""
        return self.family.declared + self.family.apart + self.family.failed + self.family.pruned

    @property
    def n_trials(self) -> int:
        """N: distinct trials, those declared among them."""
        return self.family.distinct + self.family.declared

    @cached_property
    def annual(self) -> np.ndarray:
        """The annual Sharpe ratio of each trial of the family, over its own span; NaN without variance."""
        n, s1, s2 = (a.sum(axis=0) for a in (self.family.n, self.family.s1, self.family.s2))
        with np.errstate(divide="ignore", invalid="ignore"):
            var = (s2 - s1**2 / n) / (n - 1.0)
            daily = np.where(var > 1e-14 * s2 / n, s1 / n / np.sqrt(var), np.nan)
        found: np.ndarray = daily * self.trial.periods**0.5
        return found

    def psr(self, convention: str) -> float:
        """Probabilistic Sharpe ratio of the chosen trial above 0, as if it were the only one (I1)."""
        sharpe, n, skew, kurt = self.trial.moments
        return float(scipy.special.ndtr(s.exceeds(np.float64(sharpe), 0.0, n, skew, kurt, convention, 0.0)))

    def dsr(self, convention: str, n_trials: float) -> float:
        """Deflated Sharpe ratio of the chosen trial, for this number of trials and their variance (I2)."""
        sharpe, n, skew, kurt = self.trial.moments
        variance = self.spread / self.trial.periods
        return float(s.deflated(np.float64(sharpe), n, skew, kurt, n_trials, variance, convention))

    @property
    def spread(self) -> float:
        """The variance of the annual Sharpe ratios of the family's trials, 0 for fewer than two."""
        return float(np.nanvar(self.annual, ddof=1)) if np.isfinite(self.annual).sum() > 1 else 0.0

    @property
    def luck(self) -> float:
        """The annual Sharpe ratio that the best of so many trials without skill is expected to have (I2)."""
        return float(s.expected_max_sharpe(self.n_trials, sharpe_variance=self.spread)) if self.spread > 0.0 else 0.0

    @property
    def chosen_by_life(self) -> bool:
        """Whether so many were pruned that those which ended are a choice: they then tell nothing of all (D6)."""
        return self.family.pruned * PRUNED_PART > len(self.family)

    @cached_property
    def effective(self) -> dict[str, float]:
        """How many independent trials the family is worth, by three estimators (B12), from at most `ALIKE` of them."""
        from kernelkit.inference.clustering import effective_rank, grouped, trials_of_correlation

        rows, whole = self._alongside
        few = whole.sum() < 2 or 2 * whole.sum() < self.family.distinct  # they tell nothing of the others
        if few or self.chosen_by_life:
            return {}
        sums = self.family.s1[np.ix_(rows, whole)] / self.family.n[np.ix_(rows, whole)]
        varying = sums[:, np.ptp(sums, axis=0) > 0.0]
        many = varying.shape[1]
        if many < 3:
            return {}
        c = np.corrcoef(varying[:, :: -(-many // ALIKE)].T)
        r = 1.0 - (trials_of_correlation(c) - 1.0) / (len(c) - 1.0)
        found = {"average correlation": r + (1.0 - r) * many, "effective rank": effective_rank(c)}
        return found | {"clusters": float(grouped(c, None, "average")[0].max())}

    @cached_property
    def _alongside(self) -> tuple[np.ndarray, np.ndarray]:
        """The chosen trial's blocks (places), and which trials have as many sessions in each of them."""
        n = self.family.n
        rows = np.flatnonzero(n[:, self.place] > 0) if self.place is not None else np.arange(len(n))
        own = n[rows].max(axis=1, keepdims=True) if self.place is None else n[rows, self.place, None]
        whole = (n[rows] == own).all(axis=0) if len(rows) else np.zeros(n.shape[1], bool)
        return rows, whole & np.isfinite(self.annual)

    @property
    def years(self) -> float:
        """Sessions of the chosen trial, in years."""
        return self.trial.moments[1] / self.trial.periods

    def track_record(self, level: float = 0.95) -> float:
        """The years from which on the chosen trial alone would be above 0 with this probability (I1, 2012)."""
        sharpe, _, skew, kurt = self.trial.moments
        found = s.track_record(np.float64(sharpe), 0.0, skew, kurt, level, "2012", 0.0)
        return float(found) / self.trial.periods

    @cached_property
    def pbo(self) -> tuple[float, float, float] | None:
        """Probability of backtest overfitting among trials of the whole span, and its null band; None for too few.

        Blocks of the ledger are joined to `PBO_BLOCKS`, those left over are dropped from the oldest (B1). The band is
        that of every k-th trial of more than `PBO_MOST` (B4).
        """
        f, (rows, full) = self.family, self._alongside
        per = len(rows) // PBO_BLOCKS
        if per == 0 or full.sum() < PBO_LEAST or self.chosen_by_life:
            return None
        rows = rows[len(rows) - per * PBO_BLOCKS :]
        n, s1, s2 = (a[np.ix_(rows, full)].reshape(PBO_BLOCKS, per, -1).sum(axis=1) for a in (f.n, f.s1, f.s2))
        sums, step = Blocks(n[:, 0].copy(), s1.copy(), s2.copy()), int(-(-full.sum() // PBO_MOST))
        draws = int(np.clip(PBO_WORK * step // full.sum(), 19, 199))
        found = numbers(sums, "sharpe_ratio", draws, 0.9, self.seed, step)
        return float(found[0]), float(found[1]), float(found[2])

    def growth(self, years: float, draws: int, skill: bool = True) -> np.ndarray:
        """Yearly growth over ``years`` in ``draws`` futures whose blocks are drawn from the chosen trial's; (draw,).

        Without ``skill`` its mean return beyond beta times the market is taken off each session.
        """
        log, n = self.trial.blocks["log_w"], self.trial.blocks["n"]
        if not skill and self.place is not None:
            beyond = self.without_market.sums.s1[:, self.place].sum() / n.sum()
            log = log - np.log1p(beyond) * n
        many = max(1, round(years * self.trial.periods / n.mean()))
        places = (uniform(self.seed, np.arange(draws)[:, None], np.arange(many), 2) * len(log)).astype("i8")
        found: np.ndarray = np.expm1(log[places].sum(axis=1) / n[places].sum(axis=1) * self.trial.periods)
        return found


def gather(res: xr.Dataset, *, only: Sequence[str] = (), rf: float | None, replications: int, seed: int) -> Evidence:
    """The evidence on a result; ``only`` narrows the family to strategies of these names, which is recorded.

    The family is that of all assets of the call: whoever looks at the best of them has looked at the others. Raises
    UsageError for a family without the chosen trial's strategy.
    """
    trial = chosen(res)
    name = trial.row["strategy"]
    if only and name not in only:
        raise UsageError(message("only", ", ".join(only), f"{name} among them", "The chosen trial is one of its."))
    level = int(trial.row["level"][trial.account])
    spare = max(0, int(np.log2(max(1, len(trial.blocks["n"])) / LEAST)))
    ids = trial.row["asset_ids"]
    family = ledger.family(ids, ledger.covered(trial.row), coarsest=level + spare, synthetic=trial.row["synthetic"])
    of = family.distinct + family.declared
    if only:
        whole = len(family)
        family = family.only(only)
        ledger.narrowed(ids, f"only {', '.join(only)}", whole - len(family))
    return Evidence(trial, family, replications, seed, rf, of)
