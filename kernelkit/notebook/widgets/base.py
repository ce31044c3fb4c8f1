"""The base of the widgets: one script each, arrays as bytes, a static picture, a shared selection."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib.resources import files
from typing import Any, ClassVar

import anywidget
import numpy as np
import traitlets

from kernelkit.errors import KernelkitError
from kernelkit.notebook.widgets.selection import Selection

STATIC = files("kernelkit.notebook.widgets") / "static"
# What Jupyter carries between front end and kernel: kilobytes, however many widgets there are.
SCRIPT_BYTES = 100_000
NS_PER_MS = 1_000_000


def composed(names: Iterable[str], suffix: str) -> str:
    """What all widgets share, then the files of these names, as one text: a script of a widget cannot import others.

    >>> composed(["chart"], "js").startswith("// ")
    True
    """
    files = (STATIC / f"{name}.{suffix}" for name in ("common", *names))
    return "\n".join(file.read_text("utf-8") for file in files if file.is_file())


def packed(values: Any) -> dict[str, Any]:
    """An array as the browser's `unpack` reads it: dtype, shape, and the bytes, little-endian and in C order.

    Times become int64 nanoseconds. ``data`` is a memoryview: it travels as binary, in a trait and in a message's
    ``arrays``.

    >>> packed([[1.5, 2.0]]) | {"data": None}
    {'dtype': 'float64', 'shape': [1, 2], 'data': None}
    """
    array = np.asarray(values)
    if array.dtype.kind == "M":
        array = array.astype("datetime64[ns]").view("i8")
    if array.dtype.kind == "b":
        array = array.astype("u1")
    array = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return {"dtype": array.dtype.name, "shape": list(array.shape), "data": memoryview(array.tobytes())}


def bar_ms(time: np.ndarray) -> float:
    """How long a bar is, in milliseconds: the median of its first thousand; of a single one 0.

    >>> bar_ms(np.array(["2020-01-02", "2020-01-03", "2020-01-06"], "M8[D]"))
    172800000.0
    """
    steps = np.diff(time[:1_000].astype("M8[ns]").astype("i8")) / NS_PER_MS
    return float(np.median(steps)) if len(steps) else 0.0


class Widget(anywidget.AnyWidget):
    """A widget of which `static/NAME.js` is the browser's side and this class the kernel's.

    A subclass says ``_name``; its script follows `common.js`, and the ``_parts`` that it shares with others, in one
    text, and ends with ``export default { render }``. It defines `fallback`, and `heard` where its script sends
    messages. ``selected`` is the selection as the browser reads and writes it: times are milliseconds there, as
    nanoseconds do not fit in its numbers. A widget whose last view has gone, as that of a cell that is run again, lets
    go of the selection, and catches up where it is shown again.
    """

    _name: ClassVar[str] = ""
    _parts: ClassVar[tuple[str, ...]] = ()
    _linked = False  # of what was not made to its end, and is closed all the same

    selected = traitlets.Dict().tag(sync=True)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if "_name" in vars(cls):  # not of the class that anywidget makes of it for each widget
            names = (*cls._parts, cls._name)
            cls._esm, cls._css = composed(names, "js"), composed(names, "css")
        super().__init_subclass__(**kwargs)

    def __init__(self, selection: Selection | None = None, **traits: Any) -> None:
        self.selection = Selection() if selection is None else selection
        self._links: list[tuple[Callable[[Any], None], tuple[str, ...]]] = []
        self._linked = True
        super().__init__(selected=_wire(self.selection), _view_count=0, **traits)  # 0: the browser counts them
        self.link(self._tell, "trial", "trade", "span")
        self.observe(self._take, "selected")
        self.observe(self._seen, "_view_count")
        self.on_msg(self._receive)

    def link(self, follow: Callable[[Any], None], *names: str) -> None:
        """Call back when one of these of the selection changes, for as long as the widget is shown."""
        self._links.append((follow, names))
        self.selection.observe(follow, list(names))

    def close(self) -> None:
        """Close the widget; it no longer follows the selection."""
        self._let_go()
        super().close()

    def fallback(self) -> str:
        """What stands in the widget's place where there is no kernel: HTML without scripts, as a rule an inline SVG."""
        raise NotImplementedError

    def heard(self, kind: str, content: Mapping[str, Any]) -> None:
        """Answer a message of the browser's; a subclass whose script sends some defines it."""
        raise NotImplementedError(f"{type(self).__name__} answers no message {kind!r}")

    def tell(self, kind: str, arrays: Mapping[str, Any] | None = None, **content: Any) -> None:
        """Send a message with arrays; the browser's `onMessage` gets it with the arrays unpacked."""
        parts = {name: packed(values) for name, values in (arrays or {}).items()}
        buffers = [part.pop("data") for part in parts.values()]
        self.send({"kind": kind, "arrays": parts, **content}, buffers=buffers)

    def _receive(self, _widget: Any, content: Mapping[str, Any], _buffers: Any) -> None:
        try:
            self.heard(content["kind"], content)
        except KernelkitError as error:
            self.tell("error", text=str(error))
        except Exception as error:  # noqa: BLE001  who asked waits for an answer, whatever was wrong with the question
            self.tell("error", text=f"{type(error).__name__}: {error}")

    def _let_go(self) -> None:
        if self._linked:
            self._linked = False
            for follow, names in self._links:
                self.selection.unobserve(follow, list(names))

    def _seen(self, change: Any) -> None:
        if not change["new"]:
            self._let_go()
        elif not self._linked:
            self._linked = True
            try:
                for follow, names in self._links:
                    self.selection.observe(follow, list(names))
                    follow(None)
            except KernelkitError as error:
                self.tell("error", text=str(error))

    def _tell(self, _change: Any) -> None:
        self.selected = _wire(self.selection)

    def _take(self, change: Any) -> None:
        chosen = self.selection
        before = {name: getattr(chosen, name) for name in ("trial", "trade", "span")}
        try:
            self._choose(change["new"])
        except (KernelkitError, traitlets.TraitError, TypeError, ValueError, AttributeError) as error:
            # of whatever follows the selection, or of what is none
            for name, value in before.items():  # the trial first: a trade is one of it
                setattr(chosen, name, value)
            self.selected = _wire(chosen)
            self.tell("error", text=str(error))

    def _choose(self, new: Mapping[str, Any]) -> None:
        span = new.get("span")
        with self.selection.hold_trait_notifications():
            if new.get("trial") != _wire(self.selection)["trial"]:
                self.selection.trial = new.get("trial")
            self.selection.trade = new.get("trade")
            if span != _wire(self.selection)["span"]:  # one that came from here keeps its nanoseconds
                self.selection.span = None if span is None else tuple(round(NS_PER_MS * t) for t in span)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        found = super()._repr_mimebundle_(**kwargs)
        bundle, metadata = found if isinstance(found, tuple) else (found, {})
        return {**(bundle or {}), "text/plain": self._plain(), "text/html": self.fallback()}, metadata

    def _plain(self) -> str:
        return f"{type(self).__name__}: live in a notebook with a kernel"


def _wire(selection: Selection) -> dict[str, Any]:
    """The selection as JSON."""
    trial, span = selection.trial, selection.span
    return {
        "trial": None if trial is None else {str(k): plain_value(v) for k, v in trial.items()},
        "trade": selection.trade,
        "span": None if span is None else [t / NS_PER_MS for t in span],
    }


def plain_value(value: Any) -> Any:
    """A label as JSON has it; what is no number, truth value or text becomes text.

    >>> plain_value(np.int64(3)), plain_value(np.datetime64("2020-01-01"))
    (3, '2020-01-01')
    """
    if isinstance(value, np.generic) and value.dtype.kind in "biufU":
        return value.item()
    return value if isinstance(value, (bool, int, float, str)) else str(value)
