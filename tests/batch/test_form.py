"""The fields of a template, and what becomes of the texts that are typed into them."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernelkit.batch import form, template
from kernelkit.batch.parameters import bind, declared, typed
from kernelkit.batch.template import Template
from kernelkit.errors import UsageError

CELL = """\
data = "sp500_index"  # bars
fast: int = 20
band: float = 1e-7
note = "x; 1, 2"
windows = [1, 2]
limit: float = None
grid = "fast=5:15:5; slow=60,100"

# what trading costs
fee = 0.0
on = True
later = fast + 1
"""


@pytest.fixture
def given() -> Template:
    return Template("t", Path("t.ipynb"), declared(CELL), "T", "")


@pytest.mark.parametrize("name", sorted(template.templates()))
def test_typed__of_every_shipped_template_is_its_default(name: str) -> None:
    found = template.read(name)
    for parameter in found.parameters:
        text = typed(parameter)
        assert text is not None, parameter.name
        assert bind([parameter], {parameter.name: text}, name) == [{parameter.name: parameter.default}]


def test_fields__have_the_default_as_it_is_typed(given: Template) -> None:
    fields = {field["name"]: field for field in form.fields(given)}
    assert {name: field["text"] for name, field in fields.items()} == {
        "data": "sp500_index",
        "fast": "20",
        "band": "1e-07",
        "note": "'x; 1, 2'",
        "windows": "[1, 2]",
        "limit": "None",
        "grid": "fast=5:15:5; slow=60,100",
        "fee": "0",
        "on": "True",
        "later": None,
    }
    assert fields["data"]["choices"] == "data"
    assert {name for name, field in fields.items() if field["choices"]} == {"data"}


def test_fields__an_empty_line_begins_a_group(given: Template) -> None:
    groups = {field["name"]: field["group"] for field in form.fields(given)}
    assert {name for name, group in groups.items() if group == 1} == {"fee", "on", "later"}
    assert set(groups.values()) == {0, 1}


def test_check__finds_every_fault(given: Template) -> None:
    found = form.check(given, {"fast": "x", "fee": "1:2:0", "on": "true,false"}, Path(), Path("runs"))
    assert (found.runs, sorted(found.errors), found.axes) == ([], ["fast", "fee"], {"on": (True, False)})
    with pytest.raises(UsageError, match=r"fast: 'x' is not an int.*; fee=1:2:0: the step is 0"):
        found.refuse()


def test_check__what_the_notebook_sweeps_is_one_run(given: Template) -> None:
    found = form.check(given, {"grid": "fast=1:9:1"}, Path(), Path("runs"))
    assert (found.runs, found.axes) == ([{"grid": "fast=1:9:1"}], {})
    found.refuse()


def test_read__has_the_paragraph_below_the_title() -> None:
    about = template.read("monte_carlo").about
    assert about.startswith("What else might have happened? The strategy is run")
    assert "\n" not in about
