"""Words and pairs of the command line."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelkit.errors import UsageError
from kernelkit.notebook import options
from kernelkit.notebook.magics.backtest import CELL as TABLE


def test_parse__line_and_header_together():
    found = options.parse(TABLE, "--data x --gpu -p a=1", "#| p: b=1,2\n#| debug: yes\n#| where: a < b\nbody = 1\n")
    assert found.values == {"data": "x", "where": "a < b"}
    assert found.params == {"a": "1", "b": "1,2"}
    assert found.flags == {"gpu": True, "debug": True}


def test_parse__equals_form_and_flags_that_are_off():
    found = options.parse(TABLE, "--data=x --gpu=false --param=a=1:5:1")
    assert (found.values, found.params, found.flags) == ({"data": "x"}, {"a": "1:5:1"}, {"gpu": False})


def test_parse__quotes_that_belong_to_the_value_stay():
    assert options.parse(TABLE, "-p side='long','short' --name O'Neil").params == {"side": "'long','short'"}
    assert options.parse(TABLE, "--name O'Neil").values == {"name": "O'Neil"}
    assert options.parse(TABLE, '--where "a < b"').values == {"where": "a < b"}


@given(st.lists(st.text(st.characters(categories=["L", "N"]), min_size=1), max_size=5))
def test_words__plain_words_come_back(texts):
    assert options.words("  ".join(texts)) == texts


@given(st.text(max_size=30))
def test_parse__any_text_is_read_or_refused(text):
    with contextlib.suppress(UsageError):
        assert isinstance(options.parse(TABLE, text), options.Given)


@pytest.mark.parametrize("cell", ["", "x = 1\n#| late: 1", "  #| indented: 1"])
def test_header__ends_at_the_first_line_of_code(cell):
    assert options.header(cell) == []
