"""`kernelkit batch`: what a file asks for, how its values are read, and what is refused."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernelkit.batch import runs, yaml_core
from kernelkit.batch.matrix import plan_batch, read_batch

Invoke = Callable[..., tuple[int, str, str]]

DECLARES = """data: str = 'spx'
n: int = 1
fast = '5:20:5'
grid: str = 'fast=5:15:5; slow=60'
weights = [1, 2]
x = 0.5
"""
# What YAML and JSON spell alike; of other characters JSON escapes some, and YAML folds some.
TEXT = st.text("abc :,#'\"\\\n\t-[]{}0123456789.eE~éä–")


@pytest.fixture
def notebooks(tmp_path: Path, write_notebook: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a.ipynb and b.ipynb, which is the current one."""
    write_notebook(tmp_path / "a.ipynb", "1", parameters=DECLARES)
    write_notebook(tmp_path / "b.ipynb", "2", parameters="data: str = 'spx'\nlength: str = '5Y'")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def planned(text: str, **options: Any) -> list[tuple[str, dict[str, Any]]]:
    """Name and values of every run that this file asks for."""
    Path("batch.yaml").write_text(text)
    return [(job.name, dict(job.values)) for job in plan_batch(read_batch("batch.yaml"), "batch.yaml", **options)]


def test_a_list_is_a_run_each_and_lists_are_crossed(notebooks: Path) -> None:
    found = planned("template: a.ipynb\nparameters:\n  data: [spx, 'a,b']\n  n: 1:3:1\n  x: 2\n")
    assert found == [
        ("a", {"data": data, "n": n, "x": 2.0}) for data, n in itertools.product(("spx", "a,b"), (1, 2, 3))
    ]
    assert type(found[0][1]["x"]) is float


def test_what_the_notebook_sweeps_itself_is_one_run(notebooks: Path) -> None:
    assert planned("template: a.ipynb\nparameters: {fast: 5:50:5, weights: [3, 4]}\n") == [
        ("a", {"fast": "5:50:5", "weights": [3, 4]})
    ]
    assert planned("template: a.ipynb\nparameters: {fast: [5, 10]}\n") == [("a", {"fast": "5,10"})]
    grids = planned("template: a.ipynb\nparameters:\n  grid: [fast=5; slow=60, 'fast=5,10; slow=60']\n")
    assert grids == [("a", {"grid": "fast=5; slow=60"}), ("a", {"grid": "fast=5,10; slow=60"})]


def test_entries_of_a_matrix_go_with_all_parameters(notebooks: Path) -> None:
    text = """
template: a.ipynb
name: study
parameters: {data: [spx, ndx]}
matrix:
  - {n: 2, grid: fast=5}
  - {template: [b.ipynb], length: [1Y, 2Y]}
exclude:
  - {data: ndx, n: 2}
  - {template: b.ipynb, length: 2Y, data: spx}
"""
    assert planned(text) == [
        ("study", {"data": "spx", "n": 2, "grid": "fast=5"}),
        ("study", {"data": "spx", "length": "1Y"}),
        ("study", {"data": "ndx", "length": "1Y"}),
        ("study", {"data": "ndx", "length": "2Y"}),
    ]


def test_the_example_of_the_guide_is_what_it_says(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/guide/batch.md").read_text(encoding="utf-8")
    (tmp_path / "a.yaml").write_text(page.partition("```yaml\n")[2].partition("```")[0])
    made = plan_batch(read_batch(tmp_path / "a.yaml"), "a.yaml")
    assert [(job.template.name, job.values["strategy"], job.values["data"]) for job in made] == [
        ("walk_forward", "sma_cross", "sp500_index"),
        ("walk_forward", "sma_cross", "nasdaq_index"),
        ("walk_forward", "momentum", "sp500_index"),
        ("monte_carlo", "momentum", "sp500_index"),
    ]


def test_templates_by_a_list_and_exclude_by_a_default(notebooks: Path) -> None:
    text = "template: [a.ipynb, b.ipynb]\nparameters: {data: [spx, ndx]}\nexclude:\n  - {n: 1, data: spx}\n"
    assert planned(text) == [("a", {"data": "ndx"}), ("b", {"data": "spx"}), ("b", {"data": "ndx"})]


def test_options_of_the_file_and_what_takes_their_place(notebooks: Path) -> None:
    Path("batch.yaml").write_text("template: a.ipynb\nout: kept\ncluster: tcp://a:1\nhide_code: true\n")
    (job,) = plan_batch(read_batch("batch.yaml"), "batch.yaml")
    assert (job.folder.parent, job.cluster, job.hide_code, job.force) == (Path("kept"), "tcp://a:1", True, False)
    (job,) = plan_batch(read_batch("batch.yaml"), "batch.yaml", out="other", cluster="tcp://b:1", force=True)
    assert (job.folder.parent, job.cluster, job.force) == (Path("other"), "tcp://b:1", True)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "batch.yaml: found nothing, wanted keys of template"),
        ("- a\n", "batch.yaml: found list, wanted keys of template"),
        ("parameters: {n: 1}\n", "template of batch.yaml: found None, wanted a template's name"),
        ("template: []\n", "template of batch.yaml: found [], wanted a text or a list of texts"),
        ("template: [3]\n", "template of batch.yaml: found [3], wanted a template's name"),
        ("template: c.ipynb\n", "batch.yaml: c.ipynb: there is no such notebook"),
        ("template: a.ipynb\nparamters: {n: 1}\n", "found the key paramters, wanted one of template, name, parameters"),
        ("template: a.ipynb\nparamters: {n: 1}\n", "Did you mean parameters?"),
        ("template: a.ipynb\nn: 1\n", "What a notebook takes stands below parameters."),
        ("template: a.ipynb\njobs: 0\n", "jobs of batch.yaml: found 0, wanted a whole number from 1"),
        ("template: a.ipynb\njobs: true\n", "jobs of batch.yaml: found True, wanted a whole number from 1"),
        ("template: a.ipynb\nmatrix: {n: 1}\n", "matrix of batch.yaml: found {'n': 1}, wanted a list of names with"),
        ("template: a.ipynb\nmatrix: [n]\n", "matrix 1 of batch.yaml: found 'n', wanted names with values"),
        (
            "template: a.ipynb\nparameters: {data_: x}\n",
            "batch.yaml: a.ipynb has no parameter 'data_' (did you mean",
        ),
        ("template: a.ipynb\nmatrix:\n  - {n: 1}\n  - {n: x}\n", "matrix 2 of batch.yaml: n: 'x' is not an int"),
        (
            "template: a.ipynb\nmatrix:\n  - {n: 1}\n  - {x: 0.5}\n",
            "again, after matrix 1 of batch.yaml, wanted each",
        ),
        ("template: a.ipynb\nparameters: {grid: [1]}\n", "grid: 1 is not a grid"),
        ("template: a.ipynb\nparameters: {n: 1:20000:1}\n", "20000 n are 20,000 runs, at most 10,000"),
        (
            "template: a.ipynb\nexclude: [{m: 1}]\n",
            "exclude 1 of batch.yaml: found the parameter m, wanted one of",
        ),
        ("template: a.ipynb\nexclude: [{dat: spx}]\n", "Did you mean data?"),
        ("template: a.ipynb\nexclude: [{n: 2}]\n", "exclude 1 of batch.yaml: found no run that it fits"),
        ("template: a.ipynb\nexclude: [{template: b.ipynb}]\n", "exclude 1 of batch.yaml: found no run that it fits"),
        ("template: a.ipynb\nexclude: [{n: x}]\n", "exclude 1 of batch.yaml: n: 'x' is not an int"),
        ("template: a.ipynb\nexclude: [{n: 1}]\n", "batch.yaml: found no run that exclude leaves, wanted one"),
        ("template: a.ipynb\ntemplate: b.ipynb\n", "batch.yaml: template stands there twice in line 2"),
        ("[" * 50_000, "batch.yaml: lists within lists, too deep to be read"),
        ("template: [a\n", "batch.yaml: expected ',' or ']', but got '<stream end>' in line 2"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(notebooks: Path, invoke: Invoke, text: str, complaint: str) -> None:
    Path("batch.yaml").write_text(text)
    code, out, err = invoke("batch", "batch.yaml")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert complaint in err
    assert not Path("runs").exists()


def test_a_file_that_is_not_there(notebooks: Path, invoke: Invoke) -> None:
    assert invoke("batch", "no.yaml") == (
        2,
        "",
        "kernelkit: no.yaml: No such file or directory; wanted a file of YAML\n",
    )


def test_dry_run_makes_nothing(notebooks: Path, invoke: Invoke) -> None:
    Path("batch.yaml").write_text("template: a.ipynb\nparameters: {n: [1, 2]}\n")
    code, out, err = invoke("batch", "batch.yaml", "--dry-run")
    assert (code, [line.split("  ")[1] for line in out.splitlines()], err) == (0, ["n=1", "n=2"], "")
    told = json.loads(invoke("batch", "batch.yaml", "--dry-run", "--json")[1])
    assert [(one["template"], one["parameters"]["n"], one["parameters"]["x"]) for one in told] == [
        ("a", 1, 0.5),
        ("a", 2, 0.5),
    ]
    assert not Path("runs").exists()


def test_a_batch_is_made_as_run_makes_it(tmp_path: Path, write_notebook: Any, command: Any) -> None:
    cell = "from kernelkit.batch import context\nassert n < 3, 'too many'\ncontext.headline({'n': n})"
    write_notebook(tmp_path / "a.ipynb", cell, parameters="n = 1")
    (tmp_path / "batch.yaml").write_text("template: a.ipynb\nparameters: {n: [1, 2, 3]}\njobs: 2\nout: kept\n")
    made = command.run("batch", "batch.yaml", "--json")
    assert made.returncode == 1
    assert "1 of 3 runs failed; see kept/a-" in made.stderr
    told = json.loads(made.stdout)
    assert [(one["parameters"]["n"], one["status"], one["fresh"]) for one in told] == [
        (1, "done", True),
        (2, "done", True),
        (3, "failed", True),
    ]
    assert {one["id"] for one in told} == {one.id for one in runs.list_runs(tmp_path / "kept")}
    again = command.run("run", "a.ipynb", "-p", "n=2", "--out", "kept", "--json")
    (one,) = json.loads(again.stdout)
    assert (one["id"], one["fresh"]) == (told[1]["id"], False)


@pytest.mark.parametrize(
    ("text", "value"),
    [("5:50:5", "5:50:5"), ("010", 10), ("no", "no"), ("2020-01-01", "2020-01-01"), ("1e-3", 0.001), ("~", None)],
)
def test_plain_values_are_those_of_the_core_schema(tmp_path: Path, text: str, value: object) -> None:
    (tmp_path / "a.yaml").write_text(f"a: {text}\n")
    assert yaml_core.load(tmp_path / "a.yaml") == {"a": value}


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
        max_leaves=8,
    )
)
def test_json_means_itself(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    path = tmp_path_factory.mktemp("json") / "a.yaml"
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    assert yaml_core.load(path) == value


def test_loaders_of_others_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: 5:50:5\n")
    yaml_core.load(tmp_path / "a.yaml")
    assert yaml.safe_load("a: 5:50:5") == {"a": 21005}
