"""`kernelkit show` and `kernelkit compare`, and how a run is found."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kernelkit.batch import finding, runs, tags
from kernelkit.errors import UsageError

Invoke = Callable[..., tuple[int, str, str]]


def keep(folder: Path, **fields: Any) -> Path:
    """A record of a run that has ended, on disk."""
    own = {"id": folder.name, "name": "a", "template": "a", "status": "done", "created": "2026-01-02T03:04:05.000Z"}
    folder.mkdir(parents=True)
    (folder / runs.FILE).write_text(json.dumps(runs.Run(**{**own, **fields}).to_json()))
    return folder


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """The folder of three runs."""
    out = tmp_path / "runs"
    spx = {"name": "spx", "lineage": "ab"}
    keep(out / "grid-1a2b", parameters={"n": 1, "data": "spx"}, metrics={"sharpe_ratio": 0.5}, data=spx)
    keep(out / "grid-1a3c", parameters={"n": 2, "data": "spx"}, metrics={"sharpe_ratio": None, "folds": 12.0}, data=spx)
    keep(
        out / "walk-9f00",
        parameters={"data": "spx", "note": "a\nb"},
        status="failed",
        failed=1200,
        error="cell 2: ValueError: no bars",
        data={"name": "spx", "lineage": "cd"},
        versions={"numba": "0.68"},
    )
    return out


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("grid-1a2b", "grid-1a2b"),
        ("grid-1a2", "grid-1a2b"),
        ("walk", "walk-9f00"),
        ("9f", "walk-9f00"),
        ("1a3", "grid-1a3c"),
    ],
)
def test_an_id_may_be_cut_off(three: Path, given: str, name: str) -> None:
    assert finding.find(given, three) == three / name


def test_a_run_is_found_by_its_folder_and_its_record(three: Path) -> None:
    folder = three / "walk-9f00"
    assert finding.find(str(folder), "nowhere") == folder
    assert finding.find(str(folder / "run.json"), "nowhere") == folder


def test_a_whole_id_is_itself_though_others_begin_so(three: Path) -> None:
    keep(three / "grid-1a2b0")
    assert finding.find("grid-1a2b", three) == three / "grid-1a2b"


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ("grid", "'grid' may be grid-1a2b, grid-1a3c; write more of the id"),
        ("", "'' may be grid-1a2b, grid-1a3c, walk-9f00"),
        ("grid-1b2b", "there is no run 'grid-1b2b' below .*; did you mean 'grid-1a2b'"),
        ("zzz", "there is no run 'zzz' below .*; 'kernelkit runs --out .* lists"),
    ],
)
def test_what_is_not_clear_is_refused(three: Path, given: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        finding.find(given, three)


def test_show_tells_all_of_a_run(three: Path, invoke: Invoke) -> None:
    folder = three / "walk-9f00"
    (folder / "result.zarr").mkdir()
    (folder / "result.zarr" / "zarr.json").write_text("12345")
    (folder / "run.lock").touch()
    code, out, err = invoke("show", "9f")
    assert (code, err) == (0, "")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    for line in (
        "state failed",
        "trials 1,200 failed",
        "error cell 2: ValueError: no bars",
        "data spx, lineage cd",
        r"note 'a\nb'",
        "numba 0.68",
        "result.zarr/ 5 bytes",
    ):
        assert line in lines
    assert not any("run.lock" in line or line.startswith("headline") for line in lines)

    told = json.loads(invoke("show", "runs/walk-9f00", "--json")[1])
    assert told.pop("folder") == "runs/walk-9f00"
    assert told.pop("files") == {"result.zarr/": 5, "run.json": (folder / "run.json").stat().st_size}
    assert told.pop("tags") == []
    assert told == runs.read_run(folder).to_json()


def test_hashes_are_as_long_as_tells_them_apart_and_whole_in_json(three: Path, invoke: Invoke) -> None:
    commit, lineage = "0123456789abcdef" * 2 + "01234567", "fedcba9876543210" * 4
    told = {"git": {"commit": commit, "dirty": True}, "data": {"name": "spx", "lineage": lineage}}
    keep(three / "hashed-77", **told)
    lines = [" ".join(line.split()) for line in invoke("show", "hashed")[1].splitlines()]
    assert "code 0123456789ab, with changes" in lines
    assert "data spx, lineage fedcba987654" in lines
    compared = invoke("compare", "hashed", "1a2")[1]
    assert "spx fedcba987654 " in compared
    assert lineage[:13] not in compared
    for command in (("show", "hashed"), ("compare", "hashed", "1a2")):
        assert lineage in invoke(*command, "--json")[1]


def test_show__tells_the_verdict_and_the_tags(three: Path, invoke: Invoke) -> None:
    verdict = {"judgement": "not significant", "meaning": "31 of 100 worlds.", "p_value": 0.31}
    folder = keep(three / "judged-77", verdict=verdict)
    tags.write_tags(folder, ["final", "spx"])
    lines = [" ".join(line.split()) for line in invoke("show", "judged")[1].splitlines()]
    assert "verdict not significant. 31 of 100 worlds." in lines
    assert "tags final spx" in lines
    told = json.loads(invoke("show", "judged", "--json")[1])
    assert (told["verdict"], told["tags"]) == (verdict, ["final", "spx"])
    plain = invoke("show", "9f")[1]
    assert not any(line.startswith(("verdict", "tags")) for line in plain.splitlines())


def test_show__of_a_run_whose_tags_are_none_says_what_to_do(three: Path, invoke: Invoke) -> None:
    (three / "walk-9f00" / "tags.json").write_text("{")
    code, out, err = invoke("show", "9f")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "not a list of tags" in err
    assert "remove it or tag the run again" in err


def test_compare_shows_what_differs_and_nothing_else(three: Path, invoke: Invoke) -> None:
    code, out, err = invoke("compare", "1a2", "1a3")
    assert (code, err) == (0, "")
    assert [line.split() for line in out.splitlines()] == [
        ["ID", "STATUS", "n", "sharpe_ratio", "folds"],
        ["grid-1a2b", "done", "1", "0.5"],
        ["grid-1a3c", "done", "2", "12"],
    ]
    apart = invoke("compare", "1a2", "9f")[1]
    assert [line.split() for line in apart.partition("\n\n")[2].splitlines()] == [
        ["not", "the", "same", "grid-1a2b", "walk-9f00"],
        ["data", "spx", "ab", "spx", "cd"],
        ["numba", "0.68"],
    ]
    first, second = json.loads(invoke("compare", "1a2", "9f", "--json")[1])["runs"]
    assert (first["parameters"], second["parameters"]) == ({"n": 1}, {"note": "a\nb"})
    assert (first["metrics"], second["metrics"]) == ({"sharpe_ratio": 0.5}, {})
    assert second["circumstances"] == {"data": "spx cd", "numba": "0.68"}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("compare", "1a2"), "1a2 is one run; wanted at least two"),
        (("compare", "1a2", "runs/grid-1a2b"), "the run grid-1a2b is given twice"),
        (("compare",), "Missing argument"),
        (("show", "1a2", "--out", "other"), "other: there is no such folder"),
    ],
)
def test_wrong_usage(three: Path, invoke: Invoke, arguments: tuple[str, ...], complaint: str) -> None:
    code, out, err = invoke(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert complaint in err


def test_show__the_time_in_which_a_resumed_run_lay_dead_is_not_its_work(three: Path, invoke: Invoke) -> None:
    own = {"started": "2026-01-05T00:00:00.000Z", "finished": "2026-01-05T00:00:07.500Z"}
    keep(three / "late-77", **own)
    assert "2026-01-05 00:00:07, 7.5 s after" in invoke("show", "late")[1]
