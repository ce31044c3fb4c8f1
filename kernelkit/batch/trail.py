"""The trail that strategies left in the ledger, as JSON: what was tried, when, what it scored and what that costs."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from kernelkit import ledger
from kernelkit.errors import RunError
from kernelkit.ledger.log import Row
from kernelkit.ledger.place import filesystem
from kernelkit.ledger.trials import DONE, FAILED, PRUNED, UNTOUCHED

DAY_S = 86_400.0
YEAR_NS = 365.25 * 86_400e9
# Of more rivals the block sums take minutes to read, and how many trials they amount to is not estimated.
FEW = 20_000
Stamp = tuple[str, tuple[tuple[str, int], ...]]


@dataclass
class Rivals:
    """The trials of a strategy on data of one kind, real or generated: which, from when to when, and the best."""

    keys: set[bytes] = field(default_factory=set)
    span: tuple[int, int] = (0, 0)
    best: tuple[float, float] | None = None  # its annual Sharpe ratio, and its years

    def take(self, row: Row, status: list[int]) -> None:
        """Add a row of trials, of which ``status`` says how each ended."""
        begin, end = row["span"]
        self.span = (min(begin, self.span[0]), max(end, self.span[1])) if any(self.span) else (begin, end)
        years = (end - begin) / YEAR_NS
        for key, state, sharpe in zip(row["key"].tolist(), status, row["sharpe_ratio"].tolist(), strict=True):
            if state != UNTOUCHED:
                self.keys.add(key)
            if state == DONE and years > 0.0 and _strength(sharpe, years) > _strength(*(self.best or (-math.inf, 1.0))):
                self.best = sharpe, years


@dataclass
class Tried:
    """What was tried of one strategy for itself (its rivals), beside what was computed along with that."""

    runs: int = 0
    beside: int = 0
    failed: int = 0
    pruned: int = 0
    first: float = math.inf
    last: float = -math.inf
    days: Counter[int] = field(default_factory=Counter)
    assets: set[str] = field(default_factory=set)
    rivals: dict[bool, Rivals] = field(default_factory=lambda: {False: Rivals(), True: Rivals()})  # True: generated

    @property
    def generated(self) -> bool:
        """Whether it was tried on generated data alone: what was tried on real data competes with nothing else."""
        return not self.rivals[False].keys

    @property
    def competing(self) -> Rivals:
        """Those that count: on real data, where there are any."""
        return self.rivals[self.generated]

    def take(self, row: Row) -> None:
        """Add a row of trials."""
        self.first, self.last = min(self.first, row["at"]), max(self.last, row["at"])
        self.assets.update(row["asset_ids"])
        status = row["status"].tolist()  # most rows have few trials: numpy would take longer
        many = len(status) - status.count(UNTOUCHED)
        if row["role"] != "rival":
            self.beside += many
            return
        self.runs += many
        self.failed += status.count(FAILED)
        self.pruned += status.count(PRUNED)
        self.days[int(row["at"] // DAY_S)] += many
        self.rivals[bool(row["synthetic"])].take(row, status)


def _strength(sharpe: float, years: float) -> float:
    """How many standard deviations a Sharpe ratio is from none: a high one of two days is no find."""
    return sharpe * math.sqrt(years)


@dataclass(frozen=True)
class Read:
    """What one reading of the ledger found: by strategy, by market, and which logs cannot be read whole."""

    strategies: dict[str, Tried]
    families: list[dict[str, Any]]
    damage: list[str]


def overview() -> dict[str, Any]:
    """Every strategy of the ledger at `kernelkit.ledger.place`, the trials of each day, and the families by market.

    Strategies stand in the order of their last trial, newest first, without what was only computed beside others, as
    benchmarks are. ``damage`` names logs that cannot be read whole.
    """
    read = _read(_stamp())
    days: Counter[int] = Counter()
    for one in read.strategies.values():
        days.update(one.days)
    return {
        "at": ledger.place(),
        "strategies": [
            {"strategy": name, **_counted(one), "best_sharpe_ratio": best[0] if (best := one.competing.best) else None}
            for name, one in sorted(read.strategies.items(), key=lambda pair: -pair[1].last)
            if one.runs
        ],
        "days": _by_day(days),
        "families": read.families,
        "damage": read.damage,
    }


def of(strategy: str) -> dict[str, Any]:
    """The tree of a strategy's sources, its trials by day, what they cost, and looks at sealed data.

    Raises UsageError for a strategy that the ledger does not know, RunError for one that it learns meanwhile.
    """
    stamp = _stamp()
    versions = _versions(_tree(stamp).of(strategy))
    read = _read(stamp)
    if strategy not in read.strategies:
        raise RunError(f"the first trial of {strategy} was written just now; ask again")
    one = read.strategies[strategy]
    ids = sorted(one.assets)
    since, looks = ledger.looks(ids)
    return {
        "strategy": strategy,
        **_counted(one),
        "days": _by_day(one.days),
        "versions": versions,
        "cost": _cost(strategy, one, read) if one.competing.keys else None,
        "assets": ids,
        "sealed_since": None if since is None else _day(since / 1e9),
        "looks": [look._asdict() | {"at": _moment(look.at)} for look in looks],
        "damage": read.damage,
    }


def _stamp() -> Stamp:
    """Where the ledger lies, and what its files are: nothing is read again while that is the same."""
    at = ledger.place()
    fs, path = filesystem(at)
    fs.invalidate_cache(path)
    try:
        return at, tuple(sorted((str(file["name"]), int(file["size"] or 0)) for file in fs.ls(path, detail=True)))
    except FileNotFoundError:
        return at, ()


@lru_cache(maxsize=1)
def _read(stamp: Stamp) -> Read:
    strategies: dict[str, Tried] = {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RuntimeWarning)
        families = ledger.Families()
        for row in ledger.rows("trials", heavy=False, at=stamp[0]):
            strategies.setdefault(row["strategy"], Tried()).take(row)
            if row["role"] == "rival":
                families.take(row)
    damage = sorted({str(one.message) for one in caught if issubclass(one.category, RuntimeWarning)})
    return Read(strategies, [_family(row) for row in families.table().to_dict("records")], damage)


@lru_cache(maxsize=1)
def _tree(stamp: Stamp) -> ledger.Lineage:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # `_read` tells of them
        return ledger.lineage()


def _counted(one: Tried) -> dict[str, Any]:
    return {
        "runs": one.runs,
        "distinct": sum(len(rivals.keys) for rivals in one.rivals.values()),
        "failed": one.failed,
        "pruned": one.pruned,
        "beside": one.beside,
        "first": _moment(one.first),
        "last": _moment(one.last),
    }


def _cost(strategy: str, one: Tried, read: Read) -> dict[str, Any]:
    """What so many trials cost: the Sharpe ratio that the best of as many without skill is expected to have (I2).

    Without skill the annual Sharpe ratio of T years has a standard deviation of ``1 / sqrt(T)``; those of the trials
    that were run differ less where the trials are alike, and would ask too little.
    """
    from kernelkit.inference.significance import expected_max_sharpe

    generated, mine = one.generated, one.competing
    markets = [f for f in read.families if f["generated"] is generated and one.assets & set(f["assets"])]
    rivals = sum(f["distinct"] + f["declared"] for f in markets)
    distinct = len(mine.keys)
    counts = {"its own trials": float(distinct)}
    if rivals <= FEW:
        family = ledger.family(sorted(one.assets), mine.span, synthetic=int(generated))
        counts |= {f"as many as they amount to, by {how}": n for how, n in _amount(family, strategy).items()}
    counts |= {"all rivals on its markets, declared ones too": float(rivals)}
    best, years = mine.best or (None, None)

    def luck(trials: float) -> float | None:
        return None if years is None else float(expected_max_sharpe(max(trials, 1.0), sharpe_variance=1.0 / years))

    return {
        "sentence": _sentence(strategy, best, years, distinct, luck(distinct)),
        "best": best,
        "years": years,
        "counts": [{"of": of, "trials": n, "luck": luck(n)} for of, n in counts.items()],
    }


def _amount(family: ledger.Family, strategy: str) -> dict[str, float]:
    """How many independent trials those of the strategy amount to (B12), of those with the most sessions in each block.

    Nothing where these are less than half of them: they tell nothing of the others.
    """
    import numpy as np

    from kernelkit.inference.clustering import worth

    mine = family.strategy == strategy
    most = family.n[:, mine].max(axis=1, initial=0.0)
    whole = mine & (family.n == most[:, None]).all(axis=0)
    told = np.ix_(most > 0.0, whole)
    return worth(family.s1[told] / family.n[told]) if 2 * whole.sum() > mine.sum() else {}


def _sentence(strategy: str, best: float | None, years: float | None, trials: int, luck: float | None) -> str:
    many = "one trial" if trials == 1 else f"{trials:,} distinct trials"
    if best is None or luck is None:
        return f"Of {many} of {strategy} none has a Sharpe ratio."
    if trials == 1:
        return f"{strategy} has one trial, of Sharpe ratio {best:.2f} over {years:.1f} years: nothing was chosen yet."
    return (
        f"The best of {many} of {strategy} has a Sharpe ratio of {best:.2f} over {years:.1f} years; "
        f"the best of as many independent ones without any skill is expected to have {luck:.2f}."
    )


def _versions(tree: ledger.Lineage) -> list[dict[str, Any]]:
    place = {id(v): k for k, v in enumerate(tree.versions)}
    return [
        {
            "strategy": v.strategy,
            "source": v.source[:8],
            "parent": None if v.parent is None else place[id(v.parent)],
            "edit": list(v.kinds),
            "trials": len(v.trials),
            "failed": v.failed,
            "best_sharpe_ratio": _finite(v.best),
            "oos_sharpe_ratio": _finite(v.out_of_sample),
            "first": _moment(v.first),
            "last": _moment(v.last),
            "diff": v.diff,
        }
        for v in tree.versions
    ]


def _family(row: dict[Any, Any]) -> dict[str, Any]:
    days = {name: row[name].strftime("%Y-%m-%d") for name in ("start", "end")}
    counts = {name: int(row[name]) for name in ("runs", "distinct", "failed", "declared")}
    return {"market": row["market"], "assets": row["assets"], "generated": bool(row["generated"]), **days, **counts}


def _by_day(days: Counter[int]) -> list[dict[str, Any]]:
    return [{"day": _day(day * DAY_S), "trials": n} for day, n in sorted(days.items())]


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _moment(at: float) -> str:
    """Unix seconds as ISO-8601, UTC."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _day(at: float) -> str:
    return _moment(at)[:10]
