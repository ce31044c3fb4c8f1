"""The table says what was found, and leaves the rest of the page alone."""

from __future__ import annotations

import pytest

from tests.bench.table import BEGIN, END, Found, replaced, row, text, write
from tests.bench.targets import TARGETS


def test_replaced__between_the_markers_alone():
    page = f"# Title\n\n{BEGIN}\nold\n{END}\n\nafter\n"
    assert replaced(page, "new") == f"# Title\n\n{BEGIN}\nnew\n{END}\n\nafter\n"
    assert replaced(replaced(page, "x"), "new") == replaced(page, "new")


def test_replaced__markers_are_appended_where_there_are_none():
    assert replaced("# Title\n", "new") == f"# Title\n\n{BEGIN}\nnew\n{END}\n"


@pytest.mark.parametrize("page", [f"{BEGIN}\n", f"{END}\n", f"{END}\n{BEGIN}\n"])
def test_replaced__half_a_pair_is_refused(page):
    with pytest.raises(ValueError, match="needs"):
        replaced(page, "new")


def test_row__says_missed_where_it_is():
    allowed = TARGETS["cross"].at_most
    assert "missed" not in row("cross", Found(allowed, "80 M candles/s"))
    assert "missed**" in row("cross", Found(allowed * 1.01, "79 M candles/s"))
    assert "not measured" in row("cross", None)


def test_row__shows_what_the_yardstick_came_to():
    assert f"{TARGETS['cross'].yardstick} (342 M candles/s)" in row("cross", Found(4.0, "80 M", "342 M candles/s"))


def test_text__has_a_row_for_every_target():
    lines = text({"cross": Found(2.0, "1 M candles/s")}).splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 2 + len(TARGETS)
    assert len({line.count("|") for line in rows}) == 1
    assert sum("not measured" in line for line in rows) == len(TARGETS) - 1


def test_write__leaves_no_part_behind(tmp_path):
    page = tmp_path / "README.md"
    page.write_text("old")
    write(page, "new")
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["README.md"]
    assert page.read_text() == "new"
