"""A backtest that follows a feed: bar by bar what the strategy holds and wants, on the disk before it is told."""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from kernelkit import feeds, journal, ledger
from kernelkit import run as runs
from kernelkit.data import from_pandas
from kernelkit.errors import RunError, UsageError, arguments, message
from kernelkit.growing import columns_of, fresh
from kernelkit.market.account import Account
from kernelkit.market.fill_model import FillModel
from kernelkit.market.venue import Venue
from kernelkit.standing import Update
from kernelkit.strategy import Strategy

if TYPE_CHECKING:
    import xarray as xr

    from kernelkit.market.several import Accounts, Venues

JOURNAL = 1024  # records before the run is saved anew, and at least a part of its bars, so that this costs a bar little
PART = 16
PIECE = 1024  # bars that are run before they are written


class Following:
    """A run that follows a feed, made by `follow`: iterate it, with ``async for`` where the feed is asynchronous."""

    def __init__(self, run: runs.Run, folder: Path, feed: Any, every: float, idle: float | None) -> None:
        self.run, self.folder = run, folder
        self._feed, self._every, self._idle = feed, every, idle
        self._journal = journal.place(folder)
        records, self._size = journal.read(self._journal)
        self._records = len(records)
        self._told, self._begun = 0, run.warm  # bars that the ledger knows; whether it is known as it began (J3)
        self.on_orders: Callable[[Update], Any] | None = None

    def __repr__(self) -> str:
        return f"<following into {self.folder}: {self.run!r}>"

    def __iter__(self) -> Iterator[Update]:
        if hasattr(self._feed, "__aiter__"):
            fix = "Write async for update in kk.follow(...):."
            raise UsageError(message("feed", "an asynchronous one", "one that can be iterated", fix))
        with self._alone():
            for piece in feeds.pieces(self._feed, self._every, self._idle, lambda: self.run.bars):
                yield from self._take(piece)

    async def __aiter__(self) -> AsyncIterator[Update]:
        if not hasattr(self._feed, "__aiter__"):
            fix = "Write for update in kk.follow(...):."
            raise UsageError(message("feed", type(self._feed).__name__, "an asynchronous iterable", fix))
        with self._alone():
            async for piece in self._feed:
                for update in self._take(piece):
                    yield update

    def result(self) -> xr.Dataset:
        """The result so far: what `kk.backtest` over all bars returns, bit for bit. Errors as of ``run.result``."""
        return self.run.result()

    def history(self, bars: xr.Dataset) -> None:
        """Take bars that nobody needs to hear of: those among them that it has not run yet."""
        with self._alone():
            for _ in self._pieces(bars):
                pass

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Write the folder alone. At the end the ledger is told how far the run has come."""
        with (self.folder / ".follow.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                found, fix = "another process that follows into it", "Stop that one, or choose another into=."
                raise RunError(message(f"folder {self.folder}", found, "none", fix)) from None
            if journal.place(self.folder) != self._journal or journal.read(self._journal)[1] != self._size:
                fix = "Call kk.follow again, which takes up what is there."
                raise RunError(message(f"run at {self.folder}", "bars of another process", "its own", fix))
            if self._journal.exists():
                os.truncate(self._journal, self._size)  # what a kill tore off
            try:
                yield
            finally:
                self._tell()

    def _take(self, piece: Any) -> Iterator[Update]:
        """Run a piece of the feed; what it came to, bar by bar."""
        for updates in self._pieces(piece):
            last = updates.pop()
            yield from updates
            if self.on_orders is not None:
                self.on_orders(last)
            yield last

    def _pieces(self, bars: Any) -> Iterator[list[Update]]:
        """Run what is new of ``bars``, some at a time, and write it to the disk."""
        import xarray as xr

        if not feeds.rows(bars):
            return
        read = bars if isinstance(bars, xr.Dataset) else from_pandas(bars, like=self.run.last)
        later = fresh(self.run.tables, read)
        for k in range(0, 0 if later is None else later.sizes["time"], PIECE):
            part, updates = cast(xr.Dataset, later).isel(time=slice(k, k + PIECE)), list[Update]()
            self.run.step(part, lambda found=updates: found.append(self.run.now()))  # type: ignore[misc]
            self._write(part)
            if updates:
                if not self._told:
                    self._tell()
                yield updates

    def _tell(self) -> None:
        """Let the ledger know how far the run has come."""
        if self.run.warm and self.run.bars > self._told:
            with ledger.role("continued") if self._begun else contextlib.nullcontext():
                self.run.record()
            self._told, self._begun = self.run.bars, True

    def _write(self, part: xr.Dataset) -> None:
        if self._records >= max(JOURNAL, self.run.bars // PART):
            self.run.save(self.folder)
            self._journal, self._records, self._size = journal.place(self.folder), 0, 0
            return
        journal.write(self._journal, columns_of(part))
        self._records, self._size = self._records + 1, self._journal.stat().st_size


@arguments(account=Account, venue=Venue, fill_model=FillModel)
def follow(  # noqa: PLR0913  its settings are keywords
    feed: Any,
    strategy: Strategy | None = None,
    params: Mapping[str, Any] | None = None,
    *,
    into: str | os.PathLike[str],
    bars: xr.Dataset | None = None,
    start: Any = None,
    account: Account | Accounts | None = None,
    venue: Venue | Venues | Mapping[str, Venue] | None = None,
    fill_model: FillModel | str | None = None,
    every: float = 1.0,
    idle: float | None = None,
    on_orders: Callable[[Update], Any] | None = None,
) -> Following:
    """Run a strategy over bars as they arrive; iterate what it returns: an `Update` for each bar, on the disk by then.

    ``feed`` is an iterable or asynchronous iterable of bars (Datasets, or frames that are read as ``bars`` were), a
    function that returns those that are new, or the latest ones, or None, or a file: a ``.csv`` of one asset that grows
    at its end, times in its first column, or a ``.zarr`` that `kk.data.store.save` replaces. Functions and files are
    looked at ``every`` so many seconds, until nothing new has come for ``idle`` seconds (None: for ever). What is
    handed over again is passed by.

    ``into`` is the folder of the run. Where it holds one it goes on, after whatever ended it, without a gap or a bar
    twice; ``strategy`` and settings may be left out then, and must be the same where they are given. Otherwise it
    begins over ``bars``, the history, as `kk.start` does. Of ``bars`` there are no updates.

    ``on_orders`` is called with the update of the last bar that has arrived, after it is on the disk and never again
    for the same bar. Raises DataError for bars that come late, leave out a session, or are not what they were;
    UsageError for a strategy that reads features, which are added to whole bars (`Run.feed`); RunError for a folder
    that another process follows into, or whose run was started otherwise; and what the strategy raises, by which the
    bar is not taken.

    >>> import tempfile
    >>> import kernelkit as kk
    >>> @kk.strategy
    ... def hold(ctx):
    ...     ctx.target_percent(1.0)
    >>> bars = kk.data.load("sp500_index")
    >>> later = [bars.isel(time=[k]) for k in range(5000, 5031)]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     live = kk.follow(later, hold, into=folder, bars=bars.isel(time=slice(0, 5000)))
    ...     updates = list(live)
    >>> len(updates), float(live.result()["final_equity"]) == float(kk.backtest(bars, hold)["final_equity"])
    (31, True)
    """
    folder = Path(into)
    for name, seconds in (("every", every), ("idle", idle)):
        possible = isinstance(seconds, int | float) and 0.0 <= seconds < math.inf
        if not possible and not (seconds is None and name == "idle"):
            raise UsageError(message(f"{name} of kk.follow", repr(seconds), "seconds, 0 or more", "Write 1.0."))
    if folder.exists() and not folder.is_dir():
        raise UsageError(message(f"into={str(folder)!r}", "a file", "the folder of the run", "Name another."))
    if (folder / "run.json").exists():
        run = runs.resume(folder, strategy)
        given = {"account": account, "venue": venue, "fill_model": fill_model}
        if strategy is not None:
            run.check(params, start, given)
        elif told := [n for n, v in {"params": params, "start": start, **given}.items() if v is not None]:
            fix = "Pass the strategy too, or leave them out to go on as it was started."
            raise UsageError(message(f"run at {folder}", f"{', '.join(told)} without a strategy", "all or none", fix))
    elif strategy is None or bars is None:
        what = " and ".join(n for n, v in (("strategy", strategy), ("bars", bars)) if v is None)
        fix = "Pass a strategy, and bars= with the history that it begins with."
        raise UsageError(message(f"run at {folder}", f"none, and no {what}", "a saved one, or how to start it", fix))
    else:
        run = runs.start(bars, strategy, params, start=start, account=account, venue=venue, fill_model=fill_model)
    if run.features:
        fix = "Add the feature to the whole bars, and pass these to run.feed."
        raise UsageError(message("kk.follow", f"the features {', '.join(run.features)}", "a strategy without", fix))
    if not (folder / "run.json").exists():
        run.save(folder)
    live = Following(run, folder, feed, every, idle)
    if bars is not None:
        live.history(bars)
    live.on_orders = on_orders
    return live
