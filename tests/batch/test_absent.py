"""Files that values name and that are not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernelkit.batch.absent import faults
from kernelkit.batch.form import check
from kernelkit.batch.parameters import declared
from kernelkit.batch.plan import plan
from kernelkit.batch.template import Template
from kernelkit.errors import UsageError

CELL = "data = 'sp500_index'\nstrategy = 'sma_cross'\nnote = 'a.py'"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with files of its own, and those of a run."""
    for file in ("mine/breakout.py", "mine/notes.ipynb", "mine/prices.zarr/zarr.json", "runs/a-1/turtle.py"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    return tmp_path


def fault(project: Path, **values: str) -> str:
    found = faults(declared(CELL), {name: (value,) for name, value in values.items()}, project, project / "runs")
    assert set(found) <= set(values)
    return "; ".join(found.values())


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"strategy": "breakout.py"}, "strategy: there is no breakout.py here; mine/breakout.py is"),
        ({"strategy": "mine/notes.ipynb:a"}, ""),
        ({"strategy": "notes.ipynb:a"}, "strategy: there is no notes.ipynb here; mine/notes.ipynb is"),
        ({"strategy": "mine/breakuot.py"}, "strategy: there is no mine/breakuot.py here; mine/breakout.py is"),
        ({"data": "prices.zarr"}, "data: there is no prices.zarr here; mine/prices.zarr is"),
        ({"data": "mine/prices.zarr", "strategy": "mine/breakout.py"}, ""),
        ({"data": "nosuch.zarr"}, "data: found no nosuch.zarr, wanted a name, or a folder .zarr."),
        ({"data": "prices/own.csv", "strategy": "BTC/USD"}, ""),  # of somebody's notebook, which knows what they are
        # of a run, whose files are no project's
        ({"strategy": "turtle.py"}, "strategy: found no turtle.py, wanted a name, or a file .py or .ipynb."),
        ({"data": "s3://bucket/own.zarr", "strategy": "momentum"}, ""),
        ({"note": "gone.py"}, ""),
        ({"strategy": "a\0.py"}, "strategy: found no a\0.py, wanted a name, or a file .py or .ipynb."),
    ],
)
def test_faults__are_of_paths_alone(project: Path, values: dict[str, str], said: str) -> None:
    found = fault(project, **values)
    assert found == (f"{said} Paths count from {project}." if "found no" in said else said)


def test_faults__absolute_paths_count_from_nowhere(project: Path) -> None:
    assert fault(project, strategy=str(project / "mine/breakout.py")) == ""
    gone = project / "breakout.py"
    assert fault(project, strategy=str(gone)) == f"strategy: there is no {gone} here; mine/breakout.py is"


def test_faults__many_of_one_name_are_told_in_short(project: Path) -> None:
    for k in range(9):
        (project / f"old{k}").mkdir()
        (project / f"old{k}" / "breakout.py").touch()
    said = fault(project, strategy="breakout.py")
    assert said == "strategy: there is no breakout.py here; mine/breakout.py, old0/breakout.py, old1/breakout.py are"


def test_check__a_default_is_looked_for_too_and_an_axis_is_looked_at_whole(project: Path) -> None:
    given = Template("t", Path("t.ipynb"), declared("data = 'gone.zarr'\nstrategy = 'a.py'"), "T", "")
    found = check(given, {"strategy": "mine/breakout.py, breakout.py"}, project, project / "runs")
    assert sorted(found.errors) == ["data", "strategy"]
    assert "there is no breakout.py here" in found.errors["strategy"]
    found = check(given, {"strategy": "'mine/breakout.py"}, project, project / "runs")
    assert "a quote is opened" in found.errors["strategy"]


def test_plan__refuses_what_is_not_there(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    with pytest.raises(UsageError, match=r"^strategy: there is no breakout\.py here; mine/breakout\.py is$"):
        plan("walk_forward", {"strategy": ["mine/breakout.py", "breakout.py"]}, "runs")
    assert len(plan("walk_forward", {"strategy": "mine/breakout.py", "data": "mine/prices.zarr"}, "runs")) == 1
    assert [path.name for path in (project / "runs").iterdir()] == ["a-1"]
