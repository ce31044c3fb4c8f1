from __future__ import annotations

from typing import Any

import pytest

from kernelkit.batch.parameters import Parameter, bind, declared, typed
from kernelkit.errors import UsageError

CELL = """
# what to trade
data = "sp500_index"       # a name of the catalogue
start: str = "2001"
fast = "5:50:5"            # an axis the notebook sweeps
n_folds = 10
fee: float = 0             # fraction # of the notional
band = 0.005
anchored = False
windows = [1, 2]
span = (1, 2)
limit: float | None = None
note = None
cash = 10 * 1000
other, more = 1, 2
print("not a parameter")
"""

PARAMETERS = declared(CELL)


def test_declared() -> None:
    assert PARAMETERS == (
        Parameter("data", "sp500_index", "str", "a name of the catalogue"),
        Parameter("start", "2001", "str", ""),
        Parameter("fast", "5:50:5", "axis", "an axis the notebook sweeps"),
        Parameter("n_folds", 10, "int", ""),
        Parameter("fee", 0.0, "float", "fraction # of the notional"),
        Parameter("band", 0.005, "float", ""),
        Parameter("anchored", False, "bool", ""),
        Parameter("windows", [1, 2], "list", ""),
        Parameter("span", (1, 2), "tuple", ""),
        Parameter("limit", None, "float", ""),
        Parameter("note", None, "None", ""),
        Parameter("cash", "10 * 1000", "code", ""),
    )


def test_a_cell_that_is_not_python_is_refused() -> None:
    with pytest.raises(UsageError, match=r"the parameters cell is not Python: .* in its line 2"):
        declared("a = 1\nb = = 2")


@pytest.mark.parametrize(
    ("name", "given", "values"),
    [
        ("n_folds", "20", [20]),
        ("n_folds", "1e1", [10]),
        ("n_folds", "5:15:5", [5, 10, 15]),
        ("n_folds", 7, [7]),
        ("n_folds", [7, 8], [7, 8]),
        ("n_folds", range(2), [0, 1]),
        ("fee", "1", [1.0]),
        ("fee", "log(0.001,0.1,3)", [0.001, 0.01, 0.1]),
        ("fee", 1, [1.0]),
        ("anchored", "true", [True]),
        ("anchored", "true,false", [True, False]),
        ("anchored", True, [True]),
        ("data", "aapl", ["aapl"]),
        ("data", "aapl,sp500_index", ["aapl", "sp500_index"]),
        ("data", "'a,b'", ["a,b"]),
        ("data", "C:/bars.csv", ["C:/bars.csv"]),
        ("start", "2005", ["2005"]),
        ("start", "2005,2006", ["2005", "2006"]),
        ("fast", "10:20:5", ["10:20:5"]),
        ("fast", "10,20", ["10,20"]),
        ("fast", "15", ["15"]),
        ("fast", range(5, 20, 5), ["5,10,15"]),
        ("fast", [0.1, 0.2], ["0.1,0.2"]),
        ("fast", 15, ["15"]),
        ("windows", "[3]", [[3]]),
        ("windows", "3,4", [[3, 4]]),
        ("windows", [3, 4], [[3, 4]]),
        ("span", "3,4", [(3, 4)]),
        ("limit", "None", [None]),
        ("limit", None, [None]),
        ("limit", "5", [5.0]),
        ("note", "text", ["text"]),
        ("note", "5", [5]),
        ("cash", "5000", [5000]),
    ],
)
def test_one_parameter(name: str, given: object, values: list[Any]) -> None:
    found = [values[name] for values in bind(PARAMETERS, {name: given}, "t.ipynb")]
    assert found == values
    assert [type(value) for value in found] == [type(value) for value in values]


@pytest.mark.parametrize(
    ("name", "given", "complaint"),
    [
        ("n_folds", "2.5", "n_folds: 2.5 is not an int; the notebook's default is 10"),
        ("n_folds", "ten", "n_folds: 'ten' is not an int"),
        ("n_folds", True, "n_folds: True is not an int"),
        ("n_folds", "5:1:1", "n_folds=5:1:1: empty"),
        ("fee", "low", "fee: 'low' is not a float"),
        ("anchored", "1", "anchored: 1 is not a bool"),
        ("anchored", "yes", "anchored: 'yes' is not a bool"),
        ("fast", "5:50", "fast=5:50: a range is start:stop:step"),
        ("fast", {}, "fast: it holds dict"),
        ("data", 5, "data: 5 is not a str"),
        ("data", "a,,b", "a list holds different texts"),
        ("data", "a,a", "a list holds different texts"),
        ("data", "'a,b", "a quote is opened"),
        ("windows", "{}", "windows: {} is not a list; the notebook's default is [1, 2]"),
        ("note", object(), "note: object cannot be passed to a notebook"),
        ("fasst", "5", "t.ipynb has no parameter 'fasst' (did you mean 'fast'?); it has data, start, fast, n_folds"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(name: str, given: object, complaint: str) -> None:
    with pytest.raises(UsageError) as caught:
        bind(PARAMETERS, {name: given}, "t.ipynb")
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_axes_multiply_and_the_last_one_runs_fastest() -> None:
    found = bind(PARAMETERS, {"n_folds": "1,2", "data": "a,b", "fast": "1:9:4"}, "t.ipynb")
    assert found == [{"n_folds": n, "data": data, "fast": "1:9:4"} for n in (1, 2) for data in ("a", "b")]


def test_nothing_given_is_one_run_with_the_defaults() -> None:
    assert bind(PARAMETERS, {}, "t.ipynb") == [{}]


def test_too_many_runs_are_refused_with_the_sizes() -> None:
    with pytest.raises(UsageError, match="more than 100,000 values, the most it may have"):
        bind(declared("n = 1"), {"n": "1:1000000:1"}, "a.ipynb")
    with pytest.raises(UsageError, match="200 n_folds x 100 band are 20,000 runs, at most 10,000"):
        bind(PARAMETERS, {"n_folds": "1:200:1", "band": "1:100:1", "fee": "0"}, "t.ipynb")


def test_a_notebook_without_parameters_says_so() -> None:
    with pytest.raises(UsageError, match=r"t\.ipynb takes no parameters: it has no cell tagged 'parameters'"):
        bind((), {"a": "1"}, "t.ipynb")


def test_parameters_by_name_stay_one_value() -> None:
    found = declared("params = 'fast=5:15:5; slow=60,100'  # of the strategy")
    assert found[0].kind == "grid"
    assert bind(found, {"params": "fast=1,2; slow=9"}, "x") == [{"params": "fast=1,2; slow=9"}]
    for wrong in ("fast", "fast=1; fast=2", "fast=5:1", 3):
        with pytest.raises(UsageError):
            bind(found, {"params": wrong}, "x")


LENGTHS = 'train: str | int = "5Y"\nfreq: str = "1D"\ncash: str | int = "all"'


def test_bind__a_length_is_one_or_a_number_of_bars() -> None:
    found = declared(LENGTHS)
    assert [parameter.kind for parameter in found] == ["duration", "str", "str"]
    assert bind(found, {"train": "4Y, 500"}, "t.ipynb") == [{"train": "4Y"}, {"train": 500}]
    assert bind(found, {"train": [500, "18M"]}, "t.ipynb") == [{"train": 500}, {"train": "18M"}]
    assert bind(found, {"freq": "15min"}, "t.ipynb") == [{"freq": "15min"}]
    assert typed(found[0]) == "5Y"


@pytest.mark.parametrize("value", ["five years", "0", "-5", "5y", "1.5Y", "5Y,x", 0, 2.5, True, None, "200Y", ""])
def test_bind__what_is_no_length_is_told_by_its_reader(value: object) -> None:
    with pytest.raises(UsageError, match=r"train: found .*, wanted a duration such as 5Y, 6M, 8W or 90D"):
        bind(declared(LENGTHS), {"train": value}, "t.ipynb")
