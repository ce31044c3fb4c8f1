"""Lookahead audit: run a strategy again without the future, and with another one, and compare what it had done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from kernelkit import ledger
from kernelkit import recipe as recipes
from kernelkit.audit import closure, reads, search
from kernelkit.audit.cuts import choose_cuts
from kernelkit.audit.observe import Difference
from kernelkit.audit.renewal import Renewal
from kernelkit.audit.report import COLUMNS, AuditReport
from kernelkit.audit.subject import Piped, Seen, Settled, Tested
from kernelkit.audit.world import KNOWN, World, check_tables, times_of
from kernelkit.errors import UsageError, arguments, message
from kernelkit.market.account import Account
from kernelkit.market.fill_model import FillModel
from kernelkit.market.settings import Settings
from kernelkit.market.several import Accounts, Venues
from kernelkit.market.venue import Venue
from kernelkit.progress import Meter
from kernelkit.schema import PRICES
from kernelkit.strategy import Signal, Strategy

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["AuditReport", "audit"]

ENOUGH = 8  # leaking cuts: more would not say more
Columns = Callable[..., "xr.Dataset"]
Pipeline = Callable[..., Any]


@arguments(account=Account, venue=Venue, fill_model=FillModel)
def audit(  # noqa: PLR0913  the settings of a backtest, and its own
    bars: xr.Dataset,
    strategy: Strategy | Signal | Pipeline,
    params: Mapping[str, Any] | None = None,
    *,
    start: Any = None,
    end: Any = None,
    account: Account | Accounts | None = None,
    venue: Venue | Venues | Mapping[str, Venue] | None = None,
    fill_model: FillModel | str | None = None,
    finer: xr.Dataset | None = None,
    features: Columns | None = None,
    tables: Mapping[str, pd.DataFrame] | None = None,
    at: Literal["close", "open"] = "close",
    cuts: int = 64,
    seed: int = 0,
) -> AuditReport:
    """Prove or disprove that ``strategy`` is blind to the future, by running it again without it and with another one.

    At each of ``cuts`` bars t (gaps, edges of sessions, of longer timeframes, of missing and of filled values, bars of
    trades, random ones; drawn with ``seed``) it runs on ``bars[:t+1]``, and on bars whose prices, volume, validity,
    universe and features are corrupted after t. What it had done up to t must not change: of a signal the targets, of
    an event-driven strategy every order, fill, trade, record, cash and equity, bit by bit. Where it does, one variable
    at a time is corrupted to name it. That takes 2 + 3 ``cuts`` runs, up to two for each column beside prices, to see
    whether it is read, and more where it leaks; 8 leaking cuts end it.

    ``strategy`` may be a *pipeline*: a plain function ``f(bars, **params)`` that makes features, fits, backtests, and
    returns all that is of interest over time, as a Dataset, DataFrame, Series, array or a dict of them. Every column is
    compared, row by row. With ``at="open"`` row t is taken for decided at the open of bar t, of which the rest, its
    close say, is then the future. It has no settings of a backtest but ``start`` and ``end``; what it backtests enters
    the ledger with the role ``audit``, which is no rival.

    ``features``, a function ``bars -> bars``, adds columns for a strategy; it runs again on each cut, and they are
    compared too. ``tables`` are DataFrames from outside by name, each with a column ``known_at``: rows known after the
    cut are taken away or corrupted. The pipeline, or ``features``, gets them by these names.

    What the user's functions find outside their arguments, in classes, objects and other modules of theirs too, is
    renewed for each run: rows along time are cut and corrupted as the bars are, and so are parameters; dicts, lists,
    attributes and caches are as they were before the audit. What was computed before and only handed over (columns
    with ``trusted=True``, put there by hand, or with a ``known_at`` that says so; captured and given arrays and
    numbers; fitted models) cannot be made again: columns are searched for marks of the future, numbers for statistics
    of the whole series, and the report says that the rest was taken on trust. A pipeline that makes them itself leaves
    nothing to trust. What is read from files, databases or addresses in a run is named.

    ``venue`` may name venues of further assets where each asset has an account of its own: those count that ``bars``
    have. With ``finer`` bars (rule F16) those after the cut are cut off and corrupted with the bars that they belong
    to.

    Runs of an audit are not trials; of a strategy or signal the ledger gets the outcome alone, which
    `kernelkit.verdict` tells. A ``close_out`` is left out: it is not a decision. Raises what `kernelkit.backtest`
    raises, what a pipeline raises (``start`` says from where on it can run), and `UsageError` for a grid, settings that
    do not fit, or a span without two bars to cut between.

    >>> import kernelkit as kk
    >>> @kk.signal
    ... def scaled(ds):
    ...     return (ds["close"] - ds["close"].min()) / (ds["close"].max() - ds["close"].min())
    >>> bars = kk.data.load("sp500_index")
    >>> report = kk.audit(bars, scaled, cuts=4)
    >>> report.blind, sorted(set(report.leaks["variable"]))
    (False, ['close'])
    >>> def at_the_open(ds):
    ...     return {"position": (ds["close"] > ds["open"]) * 1.0}
    >>> kk.audit(bars, at_the_open, cuts=4).blind, kk.audit(bars, at_the_open, at="open", cuts=4).blind
    (True, False)
    """
    recipes.check_bars(bars)
    drawn: Any = seed
    if not (isinstance(drawn, int) and not isinstance(drawn, bool) and drawn >= 0):
        raise UsageError(message("kk.audit: seed", repr(seed), "a whole number, 0 or more", "Write seed=1."))
    frames = check_tables(tables)
    fine = None if finer is None else (bars, recipes.check_bars(finer))
    limits = recipes.span(bars, start, end)
    world = World(bars, frames, at_open=at == "open")
    if isinstance(strategy, (Strategy, Signal)) or not callable(strategy):
        audited = recipes.resolve(strategy)
        _check_settings(audited.name, {"at": at != "close", "tables": bool(frames) and features is None})
        settings = Settings.of(account, venue, replace(FillModel.of(fill_model), close_out="none"))
        if isinstance(audited, Signal) or not audited.shared:
            settings = settings.only(recipes.asset_names(bars))
        subject: Tested | Piped = Tested.of(world, audited, params, Settled({}, limits, settings, features, fine))
    else:
        given = {"account": account, "venue": venue, "fill_model": fill_model, "finer": finer, "features": features}
        subject = Piped(strategy, params or {}, limits, at)
        _check_settings(
            subject.name, {n: v is not None for n, v in given.items()} | {"at": at not in ("open", "close")}
        )
    report = _Audit(world, subject, seed).run(cuts)
    if isinstance(subject, Tested):
        found = {"blind": report.blind, "assumed": list(report.assumed), "cuts": len(report.cuts)}
        found["bars"] = limits[1] - limits[0]
        ledger.record([ledger.audit_row(audited.name, audited.identity, subject.params, **found)])
    return report


def _check_settings(name: str, wrong: Mapping[str, bool]) -> None:
    """Refuse settings that say nothing of this subject."""
    found = [setting for setting, given in wrong.items() if given]
    if found:
        wanted, fix = "settings that it has", "A strategy has those of a backtest, and tables= beside features=; "
        fix += "a pipeline, a plain function, has start=, end=, tables= and at='open' or 'close'."
        raise UsageError(message(f"audit of {name}", f"{', '.join(found)}=", wanted, fix))


class _Audit:
    """One audit in progress."""

    def __init__(self, world: World, subject: Tested | Piped, seed: int) -> None:
        self.bars, self.subject, self.seed = world.bars, subject, seed
        found = closure.captures(subject.functions)
        self.captured, self.reads = found.values, dict.fromkeys(reads.unseen(found.functions))
        self.params = {f"params[{name!r}]": value for name, value in subject.params.items()}
        held = closure.held(self.captured | self.params, self.bars)
        self.ids = {name: id(value) for name, value in held.items()}
        self.world = replace(world, held=held)
        self.names = [name for name in self.world.names() if name not in subject.ignores()]
        self.rows: list[tuple[Any, ...]] = []
        self.runs = 0
        renewal = self._renewal(self.world)
        self.whole = self._see(self.world, renewal)
        subject.survived(self.whole)
        # What one run left behind, the next one finds.
        self.again = self._see(self.world, renewal)

    def _renewal(self, world: World) -> Renewal:
        return Renewal(self.subject.functions, {self.ids[name]: value for name, value in world.held.items()})

    def _see(self, world: World, renewal: Renewal | None = None) -> Seen:
        self.runs += 1
        try:
            with reads.watched() as found:
                seen = self.subject.see(world, renewal or self._renewal(world))
            self.reads |= found
            return seen
        except Exception as error:
            n, all_of_them = world.bars.sizes["time"], self.bars.sizes["time"]
            if n < all_of_them:
                error.add_note(f"Raised in the audit with the first {n} of {all_of_them} bars; start= cuts later.")
            raise

    def run(self, count: int) -> AuditReport:
        """Run all cuts, or as many as it takes to know."""
        planned = self._cuts(count)
        last = self.bars.sizes["time"] - 1
        found = self.subject.differ(self.whole, self.again, last - self.world.at_open)
        if found is not None:
            self._add(found, "", "repeat", last)
        assumed = self._search()
        leaking, done = 0, []
        with Meter(f"audit of {self.subject.name}", len(planned)) as meter:
            for cut in planned:
                leaking += self._cut(cut)
                done.append(cut)
                meter.advance(1, 3 * self.bars.sizes["time"])
                if leaking == ENOUGH:
                    break
        return self._report(planned, done, assumed)

    def _cuts(self, count: int) -> list[int]:
        first, end = self.subject.span(self.whole)
        last = min(end, self.bars.sizes["time"] - 1)
        if type(count) is not int or count < 1 or last <= first:
            found = f"{count} cuts between rows {first} and {last}"
            raise UsageError(
                message(f"audit of {self.subject.name}", found, "at least one cut", "Pass more bars, or cuts=64.")
            )
        known = [times_of(table[KNOWN]) for table in self.world.tables.values()]
        busy, columns = self.subject.busy(self.whole), self.subject.columns(self.whole, self.bars.sizes["time"])
        times = np.concatenate([np.empty(0, np.int64), *known])
        return choose_cuts(self.bars, (first, last), busy, columns, times, count, self.seed)

    def _cut(self, cut: int) -> bool:
        """One cut; whether anything leaked there."""
        short = self.subject.differ(self.whole, self._see(self.world.short(cut)), cut)
        moved = self._corrupt(cut, self.names)
        if short is None and moved is None:
            return False
        by_name = {name: found for name in self.names if (found := self._single(cut, name)) is not None}
        for name, found in by_name.items():
            self._add(found, name, "perturbation", cut)
        if moved is not None and not by_name:
            self._add(moved, "several variables together", "perturbation", cut)
        if short is not None:
            # Nothing in the values: it knew that there were later bars at all.
            self._add(short, ", ".join(by_name) or "time", "truncation", cut)
        return True

    def _corrupt(self, cut: int, names: list[str]) -> Difference | None:
        for up in (True, False):
            other = self._see(self.world.other(cut, names, up, self.seed))
            found = self.subject.differ(self.whole, other, cut)
            if found is not None:
                return found
        return None

    def _single(self, cut: int, name: str) -> Difference | None:
        """What corrupting one variable alone changes.

        A price moved alone leaves the range of its bar; what refuses such bars is asked about all prices.
        """
        try:
            return self._corrupt(cut, [name])
        except Exception:
            if name not in PRICES:
                raise
            return self._corrupt(cut, list(PRICES))

    def _search(self) -> tuple[str, ...]:
        """Search what cannot be made again for marks of the future; name it."""
        bars, given = self.bars, self.captured | self.params
        trusted = {n: why for n, why in search.ready_made(bars).items() if self._reads(n)}
        ready = search.handed_over(bars, {n: bars[n] for n in trusted} | given)
        alone = search.numbers_of(bars)
        numbers = closure.numbers(given, bars) | alone
        last = bars.sizes["time"] - 1
        for mark in (*search.columns(self.bars, ready), *search.constants(self.bars, numbers)):
            cut = mark.row if mark.kind == "column" else last
            self._add(Difference(mark.row, mark.asset, mark.what, "", ""), mark.name, mark.kind, cut)
        name, shown = self.subject.name, {n: v for n, v in self.params.items() if not isinstance(v, closure.NUMBERS)}
        return (
            *(f"{n} ({why})" for n, why in trusted.items()),
            *(f"{n} = {v:.6g} (it came with them)" for n, v in alone.items() if not n.startswith("bars.attrs")),
            *search.assumed(bars, self.captured, f"captured by {name}"),
            *search.assumed(bars, shown, f"given to {name}"),
            *(f"{n} (read by {name} as it runs)" for n in self.reads),
        )

    def _reads(self, name: str) -> bool:
        """Whether it uses a column: whether anything changes where all of that is another one."""
        told = self.subject.reads(name)
        if told is not None:
            return told
        last = self.bars.sizes["time"] - 1 - self.world.at_open
        for up in (True, False):
            try:
                other = self._see(self.world.other(-1, [name], up, self.seed))
            except Exception:  # noqa: BLE001  what refuses another column has read it
                return True
            if self.subject.differ(self.whole, other, last) is not None:
                return True
        return False

    def _add(self, found: Difference, variable: str, kind: str, cut: int) -> None:
        time = self.bars["time"].values[found.bar]
        row = (found.bar, time, found.asset, variable, kind, found.what, found.was, found.became, cut)
        self.rows.append((*row, cut + 1 - found.bar))

    def _report(self, planned: list[int], done: list[int], assumed: tuple[str, ...]) -> AuditReport:
        import pandas as pd

        name = self.subject.name
        values = ", ".join(f"{k}={v!r}" for k, v in self.subject.params.items() if np.ndim(v) == 0)
        return AuditReport(
            strategy=f"{name}({values})" if values else name,
            data=str(self.bars.attrs.get("name") or "these bars"),
            compared=self.subject.compared,
            corrupted=tuple(self.names),
            planned=len(planned),
            cuts=tuple(done),
            runs=self.runs,
            leaks=pd.DataFrame(self.rows, columns=list(COLUMNS)),
            assumed=assumed,
            rounding=self.subject.rounding,
        )
