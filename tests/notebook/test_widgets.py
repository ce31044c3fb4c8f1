"""What all widgets share: one script within the limit, arrays as bytes, one selection, a picture where no kernel is."""

from __future__ import annotations

import gc
import json
import pkgutil
import re
from importlib import import_module

import nbformat
import numpy as np
import pytest
import traitlets
import xarray as xr
from nbconvert import HTMLExporter

from kernelkit.errors import UsageError
from kernelkit.notebook import widgets as package
from kernelkit.notebook.widgets import selection
from kernelkit.notebook.widgets.base import SCRIPT_BYTES, Widget, packed


def widgets():
    """Every widget that kernelkit has."""
    for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        import_module(found.name)
    kinds, left = [], [Widget]
    while left:
        own = left.pop().__subclasses__()
        left += own
        kinds += [kind for kind in own if "_name" in vars(kind) and kind.__module__.startswith(package.__name__)]
    return kinds


class Plain(Widget):
    _name = "plain"
    wide = traitlets.Int(1).tag(sync=True)

    def fallback(self):
        return "<svg><title>a picture</title></svg>"

    def heard(self, kind, content):
        if kind == "bad":
            raise UsageError("no such thing")
        self.tell("echo", {"twice": 2.0 * np.array(content["values"])}, asked=kind)


@pytest.mark.parametrize("kind", widgets(), ids=lambda kind: kind.__name__)
def test_script__is_small_and_needs_no_network(kind):
    assert "export default { render }" in kind._esm
    assert re.search(r"^import |\bimport\(|https?://(?!www\.w3\.org)", kind._esm, re.MULTILINE) is None
    assert re.search(r"@import|url\(|https?://", kind._css) is None
    for text in (kind._esm, kind._css):
        assert len(text.encode()) <= SCRIPT_BYTES


def test_selection__is_shared_in_both_directions():
    shared = selection.Selection()
    one, other = Plain(selection=shared), Plain(selection=shared)
    one.selected = {"trial": {"fast": 3}, "trade": None, "span": [1.5, 2.5]}  # as a browser writes it
    assert shared.trial == {"fast": 3}
    assert shared.span == (1_500_000, 2_500_000)
    assert other.selected == one.selected
    shared.trade = 4
    assert one.selected["trade"] == other.selected["trade"] == 4


def test_selection__keeps_nanoseconds_that_came_from_python():
    shared = selection.Selection()
    one = Plain(selection=shared)
    shared.span = (1_700_000_000_123_456_789, 1_700_000_001_123_456_789)
    one.selected = one.selected | {"trade": 5}
    assert shared.span == (1_700_000_000_123_456_789, 1_700_000_001_123_456_789)
    assert shared.trade == 5


def test_selection__of_another_trial_has_no_trade():
    shared = selection.Selection()
    one = Plain(selection=shared)
    shared.trade = 4
    shared.trial = {"fast": np.int64(20)}
    assert shared.trade is None
    assert json.loads(json.dumps(one.selected))["trial"] == {"fast": 20}


def test_selection__lives_as_long_as_its_result():
    res = xr.Dataset()
    kept, key = selection.of(res), id(res)
    assert selection.of(res) is kept
    del res
    gc.collect()
    assert key not in selection._shared


def test_close__ends_the_link():
    shared = selection.Selection()
    one = Plain(selection=shared)
    one.close()
    shared.trade = 3
    assert one.selected["trade"] is None


@pytest.mark.parametrize("values", [[[1.5, np.nan], [2.0, 3.0]], np.arange(6, dtype=">i4").reshape(2, 3)[:, ::2]])
def test_packed__comes_back(values):
    part = packed(values)
    back = np.frombuffer(part["data"], part["dtype"]).reshape(part["shape"])
    np.testing.assert_array_equal(back, values)


def test_packed__times_are_nanoseconds():
    part = packed(np.array(["1970-01-02"], "datetime64[s]"))
    assert np.frombuffer(part["data"], part["dtype"]).tolist() == [86_400_000_000_000]


def test_message__is_answered_with_arrays_or_one_line(monkeypatch):
    sent, widget = [], Plain()
    monkeypatch.setattr(widget, "send", lambda content, buffers=None: sent.append((content, buffers)))
    widget._receive(widget, {"kind": "twice", "values": [1.0, 2.0]}, [])
    widget._receive(widget, {"kind": "bad"}, [])
    widget._receive(widget, {"kind": "twice"}, [])
    widget._receive(widget, None, [])
    (answer, [data]), (fault, _), (lacking, _), (nothing, _) = sent
    assert lacking["text"] == "KeyError: 'values'"
    assert nothing["text"].startswith("TypeError: ")
    assert answer["asked"] == "twice"
    assert np.frombuffer(data, answer["arrays"]["twice"]["dtype"]).tolist() == [2.0, 4.0]
    assert fault == {"kind": "error", "arrays": {}, "text": "no such thing"}


def test_display__has_a_picture_for_readers_without_a_kernel():
    bundle, metadata = Plain()._repr_mimebundle_()
    assert list(bundle) == ["text/plain", "application/vnd.jupyter.widget-view+json", "text/html"]
    output = nbformat.v4.new_output("display_data", bundle, metadata=metadata)
    page, _ = HTMLExporter().from_notebook_node(nbformat.v4.new_notebook(cells=[cell_with(output)]))
    assert "<title>a picture</title>" in page
    assert "widget-view+json" not in page


def cell_with(output):
    return nbformat.v4.new_code_cell("widget", outputs=[output])
