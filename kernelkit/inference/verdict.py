"""`verdict`: one honest page on a result. Is the best of it better than luck, given all that was tried?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit import ledger
from kernelkit.errors import RunError, UsageError, arguments, message
from kernelkit.inference.card import card
from kernelkit.inference.changes import changes
from kernelkit.inference.checks import is_number
from kernelkit.inference.evidence import Evidence, gather
from kernelkit.inference.headline import LEAST, REPLICATIONS
from kernelkit.inference.significance import min_backtest_length
from kernelkit.kernels.layout import ACTIONS

if TYPE_CHECKING:
    import xarray as xr

VERDICT_MIME = "application/vnd.kernelkit.verdict.v1+json"
LEVELS = 0.05, 0.01
CARRY = ("funding", "interest", "borrow")
FUTURES = 10_000


class Verdict:
    """What `verdict` found: print it, let a notebook show it, or read its numbers.

    `p_value` is the headline (rule I7): of the chosen trial's returns less beta times buying and holding, corrected
    for every trial of the family; ``nan`` where there is too little data. ``line`` is the page in one line.
    """

    def __init__(self, res: xr.Dataset, evidence: Evidence, only: Sequence[str], promises: Sequence[float]) -> None:
        self.evidence, self.only, self.promises = evidence, tuple(only), tuple(promises)
        self.costs, self.fill_model = str(res.attrs.get("costs", "")), str(res.attrs.get("fill_model", ""))
        self._trained = int(res["training_trials"].sum()) if "training_trials" in res else 0
        self._best = _best_of(res)
        self._spread = _spread_of(self._best)
        self.break_even = _break_even_of(self._best)  # further costs that leave nothing, of what is traded

    @property
    def name(self) -> str:
        """The strategy and its parameters, where it has any."""
        params = {k: v for k, v in self.evidence.trial.params.items() if isinstance(v, (int, float, str))}
        strategy = str(self.evidence.trial.row["strategy"])
        return f"{strategy}({', '.join(f'{k}={v}' for k, v in params.items())})" if params else strategy

    @property
    def sharpe_ratio(self) -> float:
        """The chosen trial's annual Sharpe ratio, as it was found."""
        return float(self.evidence.trial.row["sharpe_ratio"][self.evidence.trial.place])

    @property
    def n_trials(self) -> int:
        """Distinct trials that competed, those declared among them."""
        return self.evidence.n_trials

    @property
    def psr(self) -> float:
        """Probability that the Sharpe ratio is above 0, were this the only trial (2012)."""
        return self.evidence.psr("2012")

    @cached_property
    def p_value(self) -> float:
        """The corrected p-value of the chosen trial."""
        return self.evidence.p_value(self.evidence.headline)

    @cached_property
    def p_value_plain(self) -> float:
        """The same of its returns as they are: includes the market premium."""
        return self.evidence.p_value(self.evidence.plain)

    @property
    def significant(self) -> bool:
        """Whether the corrected p-value is at most 5 %."""
        return self.p_value <= LEVELS[0]

    @cached_property
    def survivors(self) -> dict[float, int]:
        """How many trials of the family are significant at each level, whichever others have skill (step-down)."""
        test = self.evidence.headline
        if test is None:
            return dict.fromkeys(LEVELS, 0)
        adjusted = self.evidence.corrected(test.adjusted, test)
        return {level: int(np.sum(adjusted <= level)) for level in LEVELS}

    def chance(self, growth: float, years: float = 1.0, *, skill: bool = True) -> float:
        """The chance of a yearly growth of at least ``growth`` over ``years``, if the future is drawn from the past.

        Blocks of the chosen trial's returns are drawn with replacement; its past was selected for being good, so this
        flatters. Without ``skill`` its mean beyond beta times the market is taken off first. Raises UsageError for
        years that are not above 0.
        """
        for name, value in (("growth", growth), ("years", years)):
            if not is_number(value):
                fix = "Write 0.1 for 10 %." if name == "growth" else "Ask for 1 year or more."
                raise UsageError(message(f"{name} of a chance", repr(value), "a number", fix))
        if not years > 0.0:
            raise UsageError(message("years of a chance", years, "a number above 0", "Ask for 1 year or more."))
        return float(np.mean(self.evidence.growth(years, FUTURES, skill) >= growth))

    @property
    def judgement(self) -> str:
        """In a word or two."""
        if self.audit[0] is False:
            return "LOOKS INTO THE FUTURE"
        if math.isnan(self.p_value):
            return "TOO LITTLE DATA"
        if self.p_value <= LEVELS[1]:
            return "SIGNIFICANT AT 1 %"
        return "SIGNIFICANT AT 5 %" if self.significant else "NOT SIGNIFICANT"

    @cached_property
    def audit(self) -> tuple[bool | None, str]:
        """Whether audits found it blind to the future (None: there was none), and that in words."""
        return _audited(self.evidence.trial.row, self.evidence.trial.params)

    @property
    def meaning(self) -> str:
        """What the corrected p-value says, in a sentence."""
        if self.audit[0] is False:
            return "An audit has shown that it decides by what comes later: none of its numbers means anything."
        if math.isnan(self.p_value):
            return f"{self._why_not()}: nothing can be said, and it cannot be called significant."
        of = 1000 if self.p_value < 0.001 else 100
        odds = f"{of * self.p_value:.{0 if self.p_value >= 0.01 else 1}f} of {of:,}"
        best = "this one trial" if self.n_trials == 1 else f"the best of {self.n_trials:,} trials"
        return f"If nothing that was tried had skill, {best} would look at least this good in {odds} worlds."

    def _why_not(self) -> str:
        """Why there is no p-value."""
        e = self.evidence
        if e.place is None:
            return "Its block summaries are too coarse or are missing"
        if e.headline is not None and e.headline.dependent[e.place]:
            return "Its returns hang together for longer than its history can tell"
        did = int((e.family.active[:, e.place] > 0).sum())
        if did < LEAST or e.headline is not None:
            return f"It was in the market in {_count(did, 'block')} of time, and {LEAST} are needed"
        return f"No trial of the family has {LEAST} blocks of time that are long enough"

    @property
    def first_line(self) -> str:
        """What is known at once: how many were tried, Sharpe ratio, PSR."""
        markets = "this market" if len(self.evidence.trial.row["asset_ids"]) == 1 else "these markets"
        tried = f"{_count(self.n_trials, 'trial')} of {markets} so far"
        if self.only:
            tried = f"NARROWED to {', '.join(self.only)}: {self.n_trials:,} of {self.evidence.of:,} trials"
        known = f"{tried}, Sharpe {self.sharpe_ratio:.2f}, PSR {self.psr:.3f}"
        return f"{known}{'; COSTS: NONE' if self.costs == 'none' else ''}"

    @property
    def line(self) -> str:
        """The page in one line."""
        p = "" if math.isnan(self.p_value) else f" (p = {_p(self.p_value)})"
        return f"Verdict: {self.judgement.lower()}{p}; {self.first_line}"

    @cached_property
    def sections(self) -> dict[str, list[tuple[str, str]]]:
        """The page: under each heading, what it is and what was found."""
        return {
            "Tried": self._tried(),
            "Significance": self._significance(),
            "Luck of the draw": self._overfitting(),
            "Assumptions": self._assumptions(),
        } | ({"Future": self._future()} if not math.isnan(self.p_value) and self.promises else {})

    def _tried(self) -> list[tuple[str, str]]:
        e, f = self.evidence, self.evidence.family
        found = [
            ("runs", f"{f.runs:,}, of {_count(f.distinct, 'distinct trial')} on this market and span"),
            ("identical results", f"{f.alike:,}, counted once in the tests" if f.alike else "none"),
        ]
        if len(f.of_asset) > 1:
            found.append(("of this market", ", ".join(f"{market} {n:,}" for market, n in f.of_asset.items())))
        if self._trained:
            said = f"{_count(self._trained, 'trial')}, no rivals: choosing among them is part of what was tested after"
            found.append(("in training", said))
        if f.declared:
            found.append(("declared", f"{f.declared:,} made elsewhere"))
        if f.pruned:
            found.append(("pruned", f"{f.pruned:,} before their end: they count, without returns"))
        if f.failed or f.apart:
            found.append(("without returns", f"{f.failed:,} failed, {f.apart:,} without block summaries that fit"))
        if e.effective:
            said = ", ".join(f"{v:,.1f} by {k}" for k, v in e.effective.items())
            if len(f) >= len(f.edges):
                said += f"; {len(f.edges)} blocks tell no more than as many apart"
            found.append(("worth as many independent ones as", said))
        if self.only:
            found.append(("NARROWED", f"to {', '.join(self.only)}, of {e.of:,} trials: the ledger has noted that"))
        since, looks = ledger.looks(e.trial.asset_ids)
        if since is not None:
            found.append(("sealed", f"from {_day(since)} on; {_count(len(looks), 'look')} at it"))
        found.append(("ledger", ledger.place()))
        return found

    def _significance(self) -> list[tuple[str, str]]:
        e = self.evidence
        test = e.headline
        found = []
        if test is not None and not math.isnan(self.p_value):
            merged = f", {test.merged} of the ledger's merged into one" if test.merged > 1 else ""
            beta = float(e.without_market.beta[e.place or 0])
            above = 100 * float(e.daily_rf[e.place or 0]) * e.trial.periods
            excess = f"returns above {above:.2g} % a year " if above else "returns "
            tested = (
                f": studentised bootstrap of the maximum over {int(test.entered.sum()):,} trials, {test.blocks} blocks"
                f"{merged}; of {excess}less beta {beta:.2f} times buying and holding"
            )
            found += [
                ("p-value", f"{_p(self.p_value)} ± {e.error(test):.4f}{tested}"),
                ("Sharpe beyond the market", f"{float(test.t[e.place or 0]) / e.years**0.5:.2f}"),
                ("p-value by block length", self._other_lengths()),
                ("p-value with market premium", _p(self.p_value_plain)),
                (
                    "survivors",
                    " and ".join(f"{n:,} at {100 * level:.0f} %" for level, n in self.survivors.items())
                    + f" of {int(test.entered.sum()):,}, step-down",
                ),
            ]
            left = len(test.entered) - int(test.entered.sum())
            if left:
                found.append(("too little data", f"{_count(left, 'other trial')}, not called significant"))
        found += [
            ("PSR, were it the only trial", f"{self.psr:.3f} (2012), {e.psr('2025'):.3f} (2025)"),
            ("track record", self._track_record()),
            ("minimum backtest length", self._backtest_length()),
        ]
        return found

    def _other_lengths(self) -> str:
        """The corrected p-value hangs on how long blocks are: by how much."""
        half, double = self.evidence.other_lengths
        short = "none half as long: the ledger has no shorter ones" if half is None else f"{_p(half)} half as long"
        long = f"none twice as long: fewer than {LEAST}" if double is None else f"{_p(double)} twice as long"
        return f"{short}, {long}"

    def _track_record(self) -> str:
        needed, years = self.evidence.track_record(), self.evidence.years
        if math.isinf(needed):
            return f"{years:.1f} years; no length would be enough for a Sharpe ratio that is not above 0"
        missing = f"{needed - years:.1f} years are missing" if needed > years else "none is missing"
        return f"{years:.1f} years; PSR of 0.95 needs {needed:.1f}: {missing}"

    def _backtest_length(self) -> str:
        if not self.sharpe_ratio > 0.0:
            return "none: the Sharpe ratio is not above 0"
        years = float(min_backtest_length(max(self.n_trials, 1), sharpe=self.sharpe_ratio))
        return f"{years:.1f} years, below which luck alone is expected to show this among {self.n_trials:,}"

    def _overfitting(self) -> list[tuple[str, str]]:
        e = self.evidence
        found = []
        if e.chosen_by_life:
            found.append(("DSR and PBO", "not known: those that were not pruned were chosen for it"))
            return found
        if e.n_trials > 1 and np.isfinite(e.annual).sum() > 1:
            raw = f"{e.dsr('2014', e.n_trials):.3f} (2014), {e.dsr('2025', e.n_trials):.3f} (2025), N = {e.n_trials:,}"
            found.append(("DSR", raw))
            for name, n in e.effective.items():
                found.append((f"DSR, N = {n:,.1f}", f"{e.dsr('2014', max(n, 1.0)):.3f} (2014), {name}"))
        if e.pbo is None:
            found.append(("PBO", "too few trials over the whole span, or too few blocks"))
        else:
            share, low, high = e.pbo
            found.append(("PBO", f"{share:.2f}; without skill 90 % of worlds have {low:.2f} to {high:.2f}"))
        return found

    def _assumptions(self) -> list[tuple[str, str]]:
        e = self.evidence
        found = [("COSTS", "NONE")] if self.costs == "none" else [("costs", self.costs)]
        if math.isfinite(self.break_even):
            enough = (
                "it loses already" if self.break_even <= 0 else f"{1e4 * self.break_even:.1f} bps of what is traded"
            )
            found.append(("break-even of further costs", enough))
        if self.carried:
            found.append((", ".join(self.carried), self._carried()))
        if self._spread is None:
            found.append(("fill model", f"{self.fill_model} alone: how much hangs on it is not known"))
        else:
            found.append(("fill models", f"{self.fill_model}: total return differs by {100 * self._spread:.1f} %"))
        found.append(("lookahead", self.audit[1]))
        if e.trial.row["synthetic"]:
            found.append(("data", "SYNTHETIC"))
        return found

    @cached_property
    def carried(self) -> dict[str, float]:
        """What the chosen trial's account got by funding, interest and borrow, in quote currency (`kk.actions`).

        Empty where it got nothing, or where the result's trials cannot be run again to tell it.
        """
        return {} if self._best is None else _carried_of(self._best)

    def _carried(self) -> str:
        profit = float("nan") if self._best is None else _profit_of(self._best)
        each = ", ".join(f"{kind} {amount:+,.0f}" for kind, amount in self.carried.items())
        share = "there is no profit"
        if profit > 0.0:
            share = f"{100 * sum(self.carried.values()) / profit:.0f} % of the profit of {profit:,.0f}"
        return f"{each}: {share}; beyond what cash earns without risk the tests take it for skill"

    def _future(self) -> list[tuple[str, str]]:
        found = []
        for growth in self.promises:
            said = f"{100 * self.chance(growth):.0f} %, without skill {100 * self.chance(growth, skill=False):.0f} %"
            found.append((f"chance of {100 * growth:.0f} % or more in a year", said))
        return found

    @cached_property
    def changes(self) -> list[str]:
        """What would change it, in sentences."""
        return changes(self)

    @property
    def about(self) -> str:
        """What was traded, and when."""
        span = " to ".join(_day(t) for t in self.evidence.trial.row["span"])
        return f"{self.evidence.trial.assets}, {span}; Sharpe {self.sharpe_ratio:.2f}"

    def __str__(self) -> str:
        lines = [f"{self.judgement}: {self.name} on {self.about}", self.meaning, "", "What would change it"]
        lines += [f"  {said}" for said in self.changes]
        for heading, entries in self.sections.items():
            lines += ["", heading]
            lines += [f"  {what + ':':<34} {said}" for what, said in entries]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        """For programs that watch a notebook (a batch run, for its record); a person sees the HTML or the text."""
        p_value = None if math.isnan(self.p_value) else self.p_value
        return {VERDICT_MIME: {"judgement": self.judgement.lower(), "meaning": self.meaning, "p_value": p_value}}

    def _repr_html_(self) -> str:
        return card(self)


@arguments()
def verdict(
    res: xr.Dataset,
    *,
    only: Sequence[str] = (),
    promises: Sequence[float] = (0.0, 0.1),
    rf: float | None = None,
    replications: int = REPLICATIONS,
    seed: int = 0,
) -> Verdict:
    """Is the best trial of a result better than luck, given all that was tried on this market?

    The chosen trial has the highest Sharpe ratio of those that ``res`` has left, its family is every rival in the
    project's ledger that overlaps its asset and span. The headline is the studentised bootstrap of the family's largest
    Sharpe ratio, of returns less beta times buying and holding (rules I7-I9). ``only`` narrows the family to strategies
    of these names: the ledger notes that, and the page says so. ``promises`` are yearly growths whose chance is told,
    ``rf`` is what a year earns without risk, a fraction (None: what the accounts' cash earned): both tests are of
    returns above that, the other numbers as found.

    Returns a `Verdict`, whose numbers are found when they are asked for. Raises UsageError, and RunError for a result
    that is not in the ledger.

    >>> import kernelkit as kk
    >>> @kk.strategy
    ... def trend(ctx, n=50):
    ...     ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else 0.0)
    >>> res = kk.backtest(kk.data.load("sp500_index"), trend, grid={"n": range(20, 120, 10)})
    >>> verdict(res, only=["trend"], replications=999).significant
    False
    """
    from kernelkit.result import check_result

    check_result(res)
    if type(replications) is not int or replications < 99:
        fix = "Leave it out for 9,999."
        raise UsageError(message("replications", repr(replications), "a whole number of 99 or more", fix))
    if rf is not None and (type(rf) not in (int, float) or not abs(rf) < 1.0):
        raise UsageError(message("rf", repr(rf), "a year's return, a fraction", "Write rf=0.02 for 2 % a year."))
    if not isinstance(only, (str, list, tuple, set)) or not all(isinstance(name, str) for name in only):
        raise UsageError(message("only", repr(only), "names of strategies", 'Write only=["trend"], or leave it out.'))
    only = (only,) if isinstance(only, str) else tuple(only)
    if not isinstance(promises, (list, tuple)) or not all(is_number(growth) for growth in promises):
        fix = "Write promises=[0.1] for 10 % a year, or [] for none."
        raise UsageError(message("promises", repr(promises), "a list of yearly growths, as fractions", fix))
    return Verdict(res, gather(res, only=only, rf=rf, replications=replications, seed=seed), only, promises)


def _count(n: int, what: str) -> str:
    return f"1 {what}" if n == 1 else f"{n:,} {what}s"


def _day(t: int) -> str:
    return str(np.datetime64(t, "ns").astype("datetime64[D]"))


def _p(p: float) -> str:
    return "none" if math.isnan(p) else f"{p:.{4 if p < 0.01 else 3 if p < 0.1 else 2}f}"


def _best_of(res: xr.Dataset) -> xr.Dataset | None:
    """The cell with the highest Sharpe ratio, None without metrics."""
    if "sharpe_ratio" not in res or not np.isfinite(res["sharpe_ratio"]).any():
        return None
    first = res.isel(fill_model=0) if "fill_model" in res.dims else res
    if "path" in first.dims:  # the one in the ledger (K6)
        first = first.isel(path=int(first.attrs["middle_path"]))
    sharpe = first["sharpe_ratio"]
    place = np.unravel_index(int(np.nanargmax(sharpe.values)), sharpe.shape) if sharpe.ndim else ()
    return first.isel({str(d): int(k) for d, k in zip(sharpe.dims, place, strict=True)})


def _spread_of(best: xr.Dataset | None) -> float | None:
    """How much the total return differs between fill models, None for one of them."""
    return None if best is None or "total_return_spread" not in best else float(best["total_return_spread"])


def _break_even_of(best: xr.Dataset | None) -> float:
    """The further cost, as a fraction of what is traded, that would leave nothing of the growth; NaN where unknown."""
    if best is None or "cagr" not in best or "turnover" not in best:
        return float("nan")
    cagr, turnover = float(best["cagr"]), float(best["turnover"])
    return math.log1p(cagr) / turnover if turnover > 0.0 and cagr > -1.0 else float("nan")


def _carried_of(best: xr.Dataset) -> dict[str, float]:
    """What the account of this cell got without a trade, and not by what is told of a share, by kind."""
    from kernelkit.result import Records

    try:
        happened = Records(best, "happened")
    except RunError:  # it was saved, or has no curves
        return {}
    kinds = np.array(happened.text("kind", ACTIONS), object)
    amounts = {kind: float(happened["amount"][kinds == kind].sum()) for kind in CARRY}
    return {kind: amount for kind, amount in amounts.items() if amount != 0.0}


def _profit_of(best: xr.Dataset) -> float:
    """Final equity less what it began with; NaN where nothing is left to tell that."""
    final, growth = float(best["final_equity"]), 1.0 + float(best["total_return"])
    return final - final / growth if growth > 0.0 else float("nan")


def _audited(row: dict[str, Any], params: dict[str, Any]) -> tuple[bool | None, str]:
    """What audits of this source found: one that leaked outweighs all others, and with what parameters they ran."""
    found = [r for r in ledger.rows("audit") if r["source"] == row["source"]]
    trusted = f"; {', '.join(row['trusted'])} is taken on trust (no known_at)" if row.get("trusted") else ""
    if not found:
        return None, f"not audited: run kk.audit{trusted}"
    if not all(r["blind"] for r in found):
        return False, "audited: LOOKS INTO THE FUTURE"
    own = [r for r in found if r["params"] == _plain(params)]
    last = max(own or found, key=lambda r: float(r["at"]))
    said = f"audited: blind to the future at {_count(last['cuts'], 'cut')} of {last['bars']:,} bars"
    if not own:
        said += ", with other parameters"
    if last["assumed"]:
        said += f", but for what was taken on trust ({'; '.join(last['assumed'])})"
    return True, said + trusted


def _plain(params: dict[str, Any]) -> dict[str, str]:
    return {k: repr(v) for k, v in params.items()}
