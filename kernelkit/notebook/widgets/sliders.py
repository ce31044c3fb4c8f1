"""`explore`: sliders over the parameters of a strategy; each value that is tried is a back-test, and in the ledger."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import traitlets

from kernelkit.engine import backtest
from kernelkit.errors import KernelkitError, UsageError, arguments, message
from kernelkit.inference.checks import is_number
from kernelkit.inference.evidence import gather
from kernelkit.kernels.plan import plain
from kernelkit.market.account import Account
from kernelkit.market.fill_model import FillModel
from kernelkit.market.settings import Settings
from kernelkit.market.venue import Venue
from kernelkit.notebook import bundle
from kernelkit.notebook.benchmark import NAME, beside
from kernelkit.notebook.widgets.base import Widget, packed
from kernelkit.recipe import check_bars, resolve, span
from kernelkit.report import words
from kernelkit.report.drawing import LOG_FROM
from kernelkit.result import curves_of
from kernelkit.study.proposals import layouts
from kernelkit.study.spaces import Axis, Choice, Integer, Real, Space, choice, integer, real

if TYPE_CHECKING:
    import xarray as xr

    from kernelkit.market.several import Accounts, Venues
    from kernelkit.strategy import Signal, Strategy

SHOWN = ("sharpe_ratio", "cagr", "max_drawdown", "volatility", "n_trades", "final_equity")
POINTS = 1200
# Positions of a slider: a hand tells about so many apart.
PLACES = 200
FEW = 2000  # values that each have a position
LOOKED_AT = 100_000  # points, for one to begin with


@arguments(account=Account, venue=Venue, fill_model=FillModel)
def explore(  # noqa: PLR0913  its settings are keywords of the public interface
    bars: xr.Dataset,
    strategy: Strategy | Signal,
    params: Mapping[str, Any] | None = None,
    *,
    where: str | Callable[..., Any] | None = None,
    start: Any = None,
    end: Any = None,
    account: Account | Accounts | None = None,
    venue: Venue | Venues | Mapping[str, Venue] | None = None,
    fill_model: FillModel | str | None = None,
    finer: xr.Dataset | None = None,
    **space: Any,
) -> Explore:
    """Sliders over a strategy's parameters, and the back-test of where they stand, run anew while they move.

    Each keyword beside the settings is a parameter: ``fast=(5, 50)`` or ``(5, 50, 5)`` are ends, and a step, a list is
    its values, and `kk.integer`, `kk.real` and `kk.choice` are taken as `kk.search` takes them. ``params`` has where a
    slider begins, and what is fixed; ``where`` what must hold. All else is as in `kk.backtest`. Every value is
    evaluated from the bar on at which all of them have warmed up, so that they compare.

    Each value that was run is a rival in the ledger, and `kk.verdict` counts it: a hand that looks for the best curve
    searches. The widget's ``result`` is the latest result, ``values`` are its parameters. Raises UsageError for what
    does not fit together, and what `kk.backtest` raises.

    >>> import kernelkit as kk
    >>> @kk.strategy
    ... def trend(ctx, n=50):
    ...     ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else 0.0)
    >>> shown = explore(kk.data.load("sp500_index"), trend, n=(10, 200))
    >>> shown.values, shown.result.attrs["params"], shown.tried
    ({'n': 50}, {'n': 50}, 1)
    """
    settings: dict[str, Any] = {"account": account, "venue": venue, "fill_model": fill_model}
    if isinstance(settings["fill_model"], list | tuple):
        fix = "Write fill_model='conservative', or run kk.backtest with the list."
        raise UsageError(message("fill_model of kk.explore", "several", "one", fix))
    bars, strategy = check_bars(bars), resolve(strategy)
    axes = {name: axis_of(name, given) for name, given in space.items()}
    known = Space.of(strategy, axes, params, where)
    laid = layouts(bars, strategy, known, span(bars, start, end), Settings.of(**settings))
    first = next(iter(laid.values())).recipe.start
    settings |= {"start": bars["time"].values[first], "end": end, "finer": finer}
    begun = {name: plain(value) for name, value in (params or {}).items() if name in axes}
    return Explore(Studied(bars, strategy, known, settings, begun))


def axis_of(name: str, given: Any) -> Axis:
    """What a slider ranges over; raises UsageError for what says no values.

    >>> axis_of("fast", (5, 50)), axis_of("share", (0.1, 0.3, 0.1)), axis_of("kind", ["a", "b"])
    (Integer(low=5, ...), Choice(values=(0.1, 0.2, 0.3), when=None), Choice(values=('a', 'b'), when=None))
    """
    if isinstance(given, Integer | Real | Choice):
        return given
    if isinstance(given, tuple) and len(given) in (2, 3) and all(is_number(end) for end in given):
        if all(isinstance(plain(end), int) for end in given):
            return integer(*given[:2], step=given[2] if len(given) == 3 else 1)
        if len(given) == 2:
            return real(*given)
        low, high, step = map(float, given)
        if not step > 0.0 or not low + step <= high:
            fix = f"Write {name}=(0.1, 1.0, 0.1)."
            raise UsageError(message(f"{name} of kk.explore", repr(given), "low + step <= high, step > 0", fix))
        return choice([float(f"{low + k * step:.12g}") for k in range(int((high - low) / step + 1e-9) + 1)])
    if isinstance(given, Sequence | range | np.ndarray) and not isinstance(given, str | tuple):
        return choice(list(given))
    wanted, fix = "(low, high), (low, high, step) or a list", f"Write {name}=(5, 50); params={{...}} has what is fixed."
    raise UsageError(message(f"{name} of kk.explore", repr(given), wanted, fix))


def places(axis: Axis) -> list[Any]:
    """The values at the positions of a slider, in their order; of too many for a hand some.

    >>> places(integer(5, 20, step=5)), places(real(0.0, 1.0))[:3], len(places(integer(1, 10**6)))
    ([5, 10, 15, 20], [0.0, 0.005, 0.01], 201)
    """
    if isinstance(axis, Choice):
        return list(axis.values) if axis.texts else sorted(axis.values)
    if isinstance(axis, Integer) and not axis.log and len(axis.values) <= FEW:
        return list(axis.values)
    low, high = axis.ends
    found = [low, *(axis.at(k / PLACES) for k in range(1, PLACES)), high]
    if isinstance(axis, Real):
        found = [low, *(float(f"{v:.4g}") for v in found[1:-1]), high]
    return list(dict.fromkeys(v for v in found if low <= v <= high))


def nearest(values: Sequence[Any], wanted: Any) -> int:
    """The position whose value is nearest to this one, of texts the equal one, else the first."""
    if not is_number(wanted):
        return values.index(wanted) if wanted in values else 0
    return int(np.argmin(np.abs(np.asarray(values, "f8") - float(wanted)))) if is_number(values[0]) else 0


@dataclass(frozen=True)
class Studied:
    """What is explored: bars, strategy, the space of its parameters, settings of `kk.backtest`, where sliders begin."""

    bars: xr.Dataset
    strategy: Strategy | Signal
    space: Space
    settings: Mapping[str, Any]
    begun: Mapping[str, Any]
    places: dict[str, list[Any]] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "places", {name: places(axis) for name, axis in self.space.axes.items()})

    def first(self) -> dict[str, int]:
        """Where sliders begin: at what was asked for, else at the default or the middle; where that fits together.

        Raises UsageError for a space of which hardly anything does.
        """
        at = {}
        for name, values in self.places.items():
            default = plain(self.strategy.defaults[name])
            wanted = self.begun.get(name, default if isinstance(default, bool | int | float | str) else None)
            at[name] = len(values) // 2 if wanted is None else nearest(values, wanted)
        if self.point(at) is None:
            every = itertools.islice(itertools.product(*(range(len(v)) for v in self.places.values())), LOOKED_AT)
            some = (dict(zip(self.places, combo, strict=True)) for combo in every)
            found = next((one for one in some if self.point(one) is not None), None)
            if found is None:
                raise self.space.empty()
            return found
        return at

    def point(self, at: Mapping[str, int]) -> dict[str, Any] | None:
        """The values at these positions; None where they do not fit together."""
        values = self.space.chosen(lambda name, _: self.places[name][at[name]])
        return self.space.named(values) if self.space.fits(values) else None

    def run(self, values: Mapping[str, Any]) -> xr.Dataset:
        """The back-test of these values."""
        return backtest(self.bars, self.strategy, {**self.space.scalars, **values}, **self.settings)

    def code(self, values: Mapping[str, Any]) -> str:
        """The call that runs it; what has no name in the notebook is called as its argument."""
        told = {name: value for name, value in self.settings.items() if value is not None}
        begin = moment(told.pop("start")).removesuffix("T00:00:00")
        if "end" in told:
            told["end"] = moment(told["end"])
        params = ", ".join(f"{name}={value!r}" for name, value in {**self.space.scalars, **values}.items())
        parts = [named(self.bars, "bars"), self.strategy.name, f"dict({params})", f"start={begin!r}"]
        for name, value in told.items():
            parts.append(f"{name}={value!r}" if isinstance(value, str) else f"{name}={named(value, name)}")
        return f"kk.backtest({', '.join(parts)})"


def moment(when: Any) -> str:
    """A time as text, UTC; text stays as it is: a month is all of it.

    >>> moment(np.datetime64("2020-01-02")), moment("2020-01")
    ('2020-01-02T00:00:00', '2020-01')
    """
    import pandas as pd

    if isinstance(when, str):
        return when
    time = pd.Timestamp(when)
    return str((time if time.tz is None else time.tz_convert(None)).isoformat())


def named(value: Any, otherwise: str) -> str:
    """The variable of the notebook that holds this very object."""
    from IPython import get_ipython

    shell = get_ipython()
    held = {} if shell is None else shell.user_ns
    return next((n for n, v in held.items() if v is value and not n.startswith("_")), otherwise)


class Same(traitlets.Any):
    """Any value; another object is another value.

    traitlets asks ``old == new``, for which xarray reads every curve of both, and takes a Dataset's answer as true.
    """

    def set(self, obj: traitlets.HasTraits, value: Any) -> None:
        """Keep the value, and notify where it is another object."""
        name = str(self.name)
        old = obj._trait_values.get(name, self.default_value)
        obj._trait_values[name] = value
        if value is not old:
            obj._notify_trait(name, old, value)


class Explore(Widget):
    """Sliders and the back-test where they stand (`explore`).

    ``result`` is the latest one, ``values`` its parameters; both can be observed.
    """

    _name: ClassVar[str] = "sliders"

    head = traitlets.Dict().tag(sync=True)  # what the sliders are, and what is explored
    answer = traitlets.Dict().tag(sync=True)  # what the browser last asked for, and its picture
    counted = traitlets.Dict().tag(sync=True)  # what the ledger holds
    result = Same()
    values = traitlets.Dict()

    def __init__(self, studied: Studied) -> None:
        self.studied, first = studied, studied.first()
        self.tries: set[tuple[Any, ...]] = set()
        self._held: tuple[dict[str, float], np.ndarray] | None = None
        self._lock = threading.Lock()
        self._awaited: Future[None] | None = None  # a reading of the ledger that has not begun
        data = bundle.about_data(studied.bars)
        controls = [
            {
                "name": n,
                "labels": [words.value(v) for v in values],
                "first": first[n],
                "list": isinstance(values[0], str),
            }
            for n, values in studied.places.items()
        ]
        about = " · ".join(filter(None, (data["name"], data["note"])))
        head = {
            "title": studied.strategy.name,
            "about": about,
            "other": NAME,
            "log_from": LOG_FROM,
            "controls": controls,
        }
        super().__init__(head=head)
        self.run(first)
        self.count()

    @property
    def tried(self) -> int:
        """How many values were run here."""
        return len(self.tries)

    def heard(self, kind: str, content: Mapping[str, Any]) -> None:
        """Run what the sliders say, or count what there is in the ledger."""
        if kind == "count":
            self.count()
            return
        asked, at = {"id": content["id"], "at": content["at"]}, {n: int(k) for n, k in content["at"].items()}
        try:
            self.run(at, content["id"])
        except KernelkitError as error:
            self.answer = self.answer | asked | {"fault": str(error)}
        except Exception as error:  # noqa: BLE001  whatever a strategy raises is shown where the slider is
            self.answer = self.answer | asked | {"fault": f"{type(error).__name__}: {error}"}

    def run(self, at: Mapping[str, int], identity: str = "") -> None:
        """Back-test the values at these positions of the sliders, and show it; raises what it raises."""
        values = self.studied.point(at)
        if values is None:
            each = words.params({n: self.studied.places[n][k] for n, k in at.items()})
            raise UsageError(f"{each}: excluded by where={self.studied.space.where!r}; not run")
        res = self.studied.run(values)
        if "interrupted" in res.attrs:
            raise UsageError("interrupted: move a slider to run it again")
        self.tries.add(tuple(values.values()))
        picture = self._picture(res)
        self.result, self.values = res, values
        told = {"id": identity, "at": dict(at), "fault": "", "tried": self.tried, "code": self.studied.code(values)}
        self.answer = told | {"idle": [n for n, k in at.items() if self.studied.places[n][k] != values[n]]} | picture

    def _picture(self, res: xr.Dataset) -> dict[str, Any]:
        """Headline numbers beside buying and holding, and thinned curves."""
        recipe = curves_of(res).recipe
        if self._held is None:  # the span is the same for all values
            self._held = beside(recipe, 0)
        found, held = self._held
        drawdown = res["drawdown"].values
        rows = bundle.thin(drawdown, POINTS)
        numbers = [
            [words.label(n), words.number(n, float(res[n])), words.number(n, found[n])] for n in SHOWN if n in res
        ]
        times = res["time"].values[rows].astype("datetime64[ns]").view("i8") / 1e6
        curves = {"time": times, "equity": res["equity"].values[rows], "held": held[rows], "drawdown": -drawdown[rows]}
        notes = [*([words.costs(res.attrs)] if res.attrs["costs"] == "none" else []), *bundle.assumed(res, {})]
        return {"numbers": numbers, "notes": notes} | {n: packed(v) for n, v in curves.items()}

    def count(self) -> Future[None]:
        """Read from the ledger, on a thread of its own, how much was tried on this asset and span by anybody."""
        with self._lock:
            self._awaited = self._awaited or _counting().submit(self._count)
            return self._awaited

    def _count(self) -> None:
        with self._lock:
            self._awaited = None  # from here on the ledger is read anew: it may hold more by then
        try:
            found = gather(self.result, rf=None, replications=0, seed=0)
        except Exception as error:  # noqa: BLE001  nobody asks this thread how it ended
            self.counted = {"fault": f"{type(error).__name__}: {error}"}
            return
        luck = words.number("sharpe_ratio", found.luck) if found.luck > 0.0 else ""
        self.counted = {"n": found.n_trials, "luck": luck}

    def fallback(self) -> str:
        """The latest result as a card."""
        from kernelkit.notebook.card import html

        return html(bundle.summary(self.result))


@cache
def _counting() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="ledger")
