"""The chart of a trial: price with fills, equity beside buy and hold, drawdown, position, over one axis of bars."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import traitlets

from kernelkit.errors import DataError, UsageError, arguments, message
from kernelkit.notebook.widgets import selection as selections
from kernelkit.notebook.widgets.base import Widget, bar_ms, packed, plain_value
from kernelkit.notebook.widgets.scene import Scene, check_curves, trial_dims
from kernelkit.report import words
from kernelkit.report.shown import Shown, shown

if TYPE_CHECKING:
    import xarray as xr

    from kernelkit.notebook.widgets.selection import Selection

PIECES = 1_500  # of the whole span, which the browser keeps: about one for each pixel of a wide screen
MOST_PIECES = 4_000  # of a window; the browser asks for no finer one, or it would ask for ever
LABELS = 500  # of a dim that a list still offers


@arguments()
def chart(
    res: xr.Dataset,
    bars: xr.Dataset | None = None,
    *,
    regime: xr.DataArray | None = None,
    height: int = 520,
    selection: Selection | None = None,
) -> Chart:
    """Price with fills, equity beside buy and hold, drawdown and position of a result's selected trial, as a widget.

    The result knows its bars; one that was loaded from a store does not, and has a pane of prices where ``bars`` are
    passed. ``regime`` (time) labels the background, by default the result's coord of that name; so do its folds. Bars
    are equally far apart, however much time lies between them. Without a selected trial it is that with the highest
    Sharpe ratio. Raises UsageError for a result without an equity curve, and for bars that lack its times.

    >>> import kernelkit as kk
    >>> @kk.strategy
    ... def hold(ctx):
    ...     ctx.target_percent(1.0)
    >>> shown = chart(kk.backtest(kk.data.load("sp500_index"), hold))
    >>> shown.facts["panes"]
    ['price', 'equity', 'drawdown', 'position']
    """
    return Chart(res, bars, regime=regime, height=height, selection=selection)


class Chart(Widget):
    """The widget of `chart`."""

    _name: ClassVar[str] = "chart"
    _parts: ClassVar[tuple[str, ...]] = ("panes",)

    facts = traitlets.Dict().tag(sync=True)
    overview = traitlets.Dict().tag(sync=True)
    trade: Any = traitlets.Dict(default_value=None, allow_none=True).tag(sync=True)
    rows: Any = traitlets.List(default_value=None, allow_none=True).tag(sync=True)
    height = traitlets.Int(520).tag(sync=True)

    def __init__(
        self,
        res: xr.Dataset,
        bars: xr.Dataset | None = None,
        *,
        regime: xr.DataArray | None = None,
        height: int = 520,
        selection: Selection | None = None,
    ) -> None:
        self.res, self.bars = check_curves(res), bars
        self.dims = trial_dims(res)
        self.regime = res.coords.get("regime") if regime is None else regime
        self.scene = Scene(res, self._labels((selection or selections.of(res)).trial), bars)
        super().__init__(selection=selection or selections.of(res), height=height, **self._shown())
        self._go_to_trade()
        self._go_to_span()
        self.link(self._other_trial, "trial")
        self.link(self._go_to_trade, "trade")
        self.link(self._go_to_span, "span")

    def heard(self, kind: str, content: Mapping[str, Any]) -> None:
        """Answer what the browser asks: another window, trial or asset, or a span of rows to select."""
        if kind == "window":
            pieces = max(1, min(int(content["pieces"]), MOST_PIECES))
            found = self.scene.window(int(content["from"]), int(content["to"]), pieces)
            arrays, marks = flat(found)
            self.tell("window", arrays, serial=content["serial"], **marks)
        elif kind == "trial":
            self.selection.trial = self._labels({**self.scene.labels, **content["labels"]})
        elif kind == "asset":
            self._show(Scene(self.res, self.scene.labels, self.bars, str(content["asset"])))
        elif kind == "span":
            time, last = self.scene.time, len(self.scene.time) - 1
            ends = (max(0, min(int(content[end]), last)) for end in ("from", "to"))
            self.selection.span = None if content["from"] is None else tuple(int(time[k]) for k in ends)
        else:
            super().heard(kind, content)

    def fallback(self) -> str:
        """Equity beside buy and hold, and drawdown, as a picture."""
        return f'<p style="margin:0">{escape(self._caption())}</p>{self.scene.picture()}'

    def _labels(self, wanted: Mapping[str, Any] | None) -> dict[str, Any]:
        """All labels of a trial: those wanted, else those shown, else the best trial's."""
        known = vars(self)["scene"].labels if "scene" in vars(self) else self._best.labels
        return {name: (wanted or {}).get(name, known[name]) for name in self.dims}

    def _other_trial(self, _change: Any = None) -> None:
        labels = self._labels(self.selection.trial)
        if labels != self.scene.labels:
            self._show(Scene(self.res, labels, self.bars, self.scene.asset if "asset" not in labels else None))

    def _show(self, scene: Scene) -> None:
        self.scene = scene
        with self.hold_sync():
            for name, value in self._shown().items():
                setattr(self, name, value)

    def _go_to_trade(self, _change: Any = None) -> None:
        number = self.selection.trade
        if number is None:
            self.trade = None
            return
        found = self.scene.detail(number)
        if found["asset"] != self.scene.asset:
            self._show(Scene(self.res, self.scene.labels, self.bars, found["asset"]))
        self.trade = found

    def _go_to_span(self, _change: Any = None) -> None:
        span = self.selection.span
        if span is None:
            self.rows = None
        else:
            first, last = np.searchsorted(self.scene.time, span[0]), np.searchsorted(self.scene.time, span[1], "right")
            self.rows = [int(first), max(int(first) + 1, int(last))]

    def _shown(self) -> dict[str, Any]:
        """The traits that say and hold what is shown."""
        scene = self.scene
        arrays, marks = flat(scene.window(0, len(scene.time), PIECES))
        parts = {name: packed(values) for name, values in arrays.items()}
        return {"facts": self._facts(), "overview": {"arrays": parts, **marks}}

    def _facts(self) -> dict[str, Any]:
        scene, panes = self.scene, ("price", "equity", "drawdown", "position")
        attrs = self.res.attrs
        return {
            "title": str(attrs.get("title") or attrs.get("strategy") or "result"),
            "caption": self._caption(),
            "notes": self._notes(),
            "panes": [name for name in panes if name in scene.pyramids],
            "volume": "volume" in scene.pyramids,
            "benchmark": "buy and hold" if "benchmark" in scene.pyramids else "",
            "rows": len(scene.time),
            "most": MOST_PIECES,
            "bar": bar_ms(scene.time),
            "dims": [
                {"name": n, "labels": [plain_value(v) for v in ls], "at": ls.index(scene.labels[n])}
                for n, ls in self.dims.items()
                if 1 < len(ls) <= LABELS
            ],
            "assets": scene.assets if len(scene.assets) > 1 else [],
            "asset": scene.asset,
            "folds": self._folds(),
            "regimes": self._regimes(),
        }

    def _caption(self) -> str:
        labels = self.scene.labels
        if not labels and "equity" not in self.res:
            return "Out of sample: each fold by the parameters chosen before it."
        best = {name: self._best.labels[name] for name in labels}
        how = self._best.how if labels == best else shown(self.res, labels).how
        return ": ".join(filter(None, (words.params(labels), how)))

    @cached_property
    def _best(self) -> Shown:
        return shown(self.res)

    def _notes(self) -> list[str]:
        """What is not shown, and why."""
        found = []
        if self.scene.bars is None:
            found.append("No prices: this result does not know its bars. Pass them: chart(res, bars).")
        if self.scene.recipe is None:
            found.append("No fills, trades and benchmark: the simulator behind this result is gone.")
        return found

    def _folds(self) -> list[dict[str, Any]]:
        """The rows of each test span of a walk-forward."""
        coords = self.res.coords
        if not {"test_start", "test_end"} <= set(coords) or coords["test_start"].ndim != 1:
            return []
        ends = (coords[n].values.astype("M8[ns]").astype("i8") for n in ("test_start", "test_end"))
        time = self.scene.time
        spans = zip(np.searchsorted(time, next(ends)), np.searchsorted(time, next(ends), "right"), strict=True)
        names = coords["test_start"][coords["test_start"].dims[0]].values.tolist()
        return [{"from": int(a), "to": int(b), "name": f"fold {k}"} for k, (a, b) in zip(names, spans, strict=True)]

    def _regimes(self) -> dict[str, Any] | None:
        """Where each run of equal labels begins, and its label."""
        if self.regime is None:
            return None
        if self.regime.dims != ("time",):
            found = f"dims {', '.join(map(str, self.regime.dims)) or 'none'}"
            raise DataError(message("regime", found, "labels over time", 'Pass kk.regimes.trend(bars)["regime"].'))
        own = self.regime.indexes["time"].get_indexer(self.res.indexes["time"])
        if (own < 0).any():
            fix = "Label the bars of the result: kk.regimes.trend(bars)."
            raise UsageError(message("regime", "no label at some times of the result", "one at each", fix))
        codes = self.regime.values[own]
        begins = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]])
        return {"from": packed(begins.astype("i4")), "code": packed(codes[begins].astype("i4"))}


def flat(found: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arrays of a window with those of its marks, as MARK_COLUMN, and the rest of it."""
    arrays = dict(found["arrays"])
    for name in ("fills", "trips"):
        arrays |= {f"{name}_{key}": values for key, values in found.get(name, {}).items()}
    return arrays, {name: found[name] for name in ("first", "step", "n_fills", "n_trips")}
