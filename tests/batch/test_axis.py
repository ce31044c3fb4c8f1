from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import assume, given
from hypothesis import strategies as st

from kernelkit.batch import axis
from kernelkit.errors import UsageError


@pytest.mark.parametrize(
    ("spec", "value"),
    [
        ("5", 5),
        (" -5 ", -5),
        ("1_000", 1000),
        ("5.", 5.0),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("true", True),
        ("False", False),
        ("sp500_index", "sp500_index"),
        ("'5'", "5"),
        ('"a,b:c"', "a,b:c"),
        ("O'Neil", "O'Neil"),
        ("5:50:15", (5, 20, 35, 50)),
        ("5:52:15", (5, 20, 35, 50)),
        ("3:1:-1", (3, 2, 1)),
        ("7:7:1", (7,)),
        ("1:2:0.5", (1.0, 1.5, 2.0)),
        ("0.1:0.3:0.1", (0.1, 0.2, 0.3)),
        ("5,10,20", (5, 10, 20)),
        ("5,", (5,)),
        ("1,2.5", (1.0, 2.5)),
        ("true,false", (True, False)),
        ("a, 'b,c' ,d", ("a", "b,c", "d")),
        ("log(1,1000,4)", (1, 10, 100, 1000)),
        ("log(1.0,1000,4)", (1.0, 10.0, 100.0, 1000.0)),
        ("log(8,64,4)", (8, 16, 32, 64)),
        ("log(1,10_000_000_000_000_000,3)", (1, 10**8, 10**16)),
        ("log(1,1e30,3)", (1.0, 1e15, 1e30)),
        ("log(5,50,3)", (5.0, 15.811388300841896, 50.0)),
        ("log(1e-4, 1e-1, 4)", (1e-4, 1e-3, 1e-2, 1e-1)),
        ("log(100,1,3)", (100, 10, 1)),
    ],
)
def test_reads(spec: str, value: object) -> None:
    found = axis.parse(spec)
    assert found == value
    assert type(found) is type(value)
    if isinstance(value, tuple) and isinstance(found, tuple):
        assert [type(one) for one in found] == [type(one) for one in value]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a n=10", {"n": 10}),
        ('a kind="10" n=5', {"kind": "10", "n": 5}),
        ("a kind='5:10'", {"kind": "5:10"}),
        ("a kind='1,2' on='true'", {"kind": "1,2", "on": "true"}),
        ("a kind='two words'", {"kind": "two words"}),
        (r"a kind=two\ words", {"kind": "two words"}),
        ("a 'n=5'", {"n": 5}),
        ("a kind=''", {"kind": ""}),
    ],
)
def test_what_is_quoted_in_a_call_is_text(text: str, values: dict[str, object]) -> None:
    ((label, (name, found)),) = axis.calls(text).items()
    assert (label, name, found) == (text, "a", values)
    assert [type(v) for v in found.values()] == [type(v) for v in values.values()]


def test_a_file_of_a_call_may_hold_a_blank() -> None:
    assert axis.calls("'my file.py:trend' n=5") == {"'my file.py:trend' n=5": ("my file.py:trend", {"n": 5})}


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("", "no value; write one value"),
        ("1:2", "a range is start:stop:step, three numbers; this has 2"),
        ("1:2:3:4", "this has 4"),
        ("1:2:0", "the step is 0"),
        ("2:1:1", "empty: 2 to 1 cannot be reached in steps of 1"),
        ("9:30", "three numbers; this has 2"),
        ("binance:spot", "made of numbers; quote the value if it is text: 'binance:spot'"),
        ("1,a", "one type of value, this mixes int and str"),
        ("1,true", "mixes bool and int"),
        ("1,2,1", "1 stands there twice"),
        ("1,1.0", "1.0 stands there twice"),
        ("1,,2", "nothing between two commas"),
        ("1,2:5:1", "'2:5:1' cannot stand in a list"),
        ("1,@x", "'@x' cannot stand in a list"),
        ("nan", "nan is not a value"),
        ("-inf", "-inf is not a value"),
        ("1e400", "not a finite number"),
        ("1e999999999", "out of the range of numbers"),
        ("0:1:1e-300", "more than 1,000,000 values"),
        ("1:1e9:1", "more than 1,000,000 values"),
        ("99999999999999999999", "does not fit into 64 bits"),
        ("log(1,2)", "log takes two numbers and a count"),
        ("log(1,2,2.5)", "log takes two numbers and a count"),
        ("log(0,2,3)", "above 0"),
        ("log(2,2,3)", "two different ends"),
        ("log(1,2,1)", "at least 2 values"),
        ("log(1,2,10000000)", "more than 1,000,000 values"),
        ("lin(1,2,3)", "unknown function 'lin'; the only one is log"),
        ("'abc", "a quote is opened and not closed"),
        ("@x", "@variable works in a notebook only"),
        ("@", "@ is followed by the name of a variable"),
    ],
)
def test_refuses_in_one_line_that_names_the_parameter(spec: str, complaint: str) -> None:
    with pytest.raises(UsageError) as caught:
        axis.parse(spec, name="fast")
    assert str(caught.value).startswith(f"fast={spec}: ")
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "variable",
    [
        [5, 10],
        (5, 10),
        range(5, 11, 5),
        np.array([5, 10]),
        pd.Series([5, 10]),
        pd.Index([5, 10]),
        xr.DataArray([5, 10], dims="x"),
        [np.int64(5), np.int32(10)],
    ],
)
def test_a_variable_holds_a_sequence(variable: object) -> None:
    found = axis.parse("@values", namespace={"values": variable})
    assert found == (5, 10)
    assert isinstance(found, tuple)
    assert {type(value) for value in found} == {int}


@pytest.mark.parametrize("scalar", [5, 0.5, True, "a", np.float64(0.5), np.int64(3), np.bool_(True), np.str_("a")])
def test_a_variable_holds_a_scalar(scalar: object) -> None:
    found = axis.parse("@value", namespace={"value": scalar})
    assert found == scalar
    assert type(found) in (int, float, bool, str)


@pytest.mark.parametrize(
    ("variable", "complaint"),
    [
        ({1: 2}, "holds dict"),
        (None, "holds NoneType"),
        (np.zeros((2, 2)), "holds list"),
        (np.array(["2020"], "M8[D]"), "holds times"),
        ([], "no values"),
        ([1.0, float("nan")], "nan is not a finite number"),
        ([5, 5], "twice"),
        (2**70, "64 bits"),
    ],
)
def test_a_variable_that_is_no_axis(variable: object, complaint: str) -> None:
    with pytest.raises(UsageError, match=f"fast=@value: .*{complaint}"):
        axis.parse("@value", name="fast", namespace={"value": variable})


def test_an_unknown_variable_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="there is no variable 'slow'; did you mean 'slows'"):
        axis.parse("@slow", namespace={"slows": [1], "_": 1})


@given(st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6), st.integers(-500, 500))
def test_an_int_range_is_pythons_with_the_end(start: int, stop: int, step: int) -> None:
    assume(step != 0)
    expected = tuple(range(start, stop + (1 if step > 0 else -1), step))
    assume(0 < len(expected) <= 10_000)
    assert axis.parse(f"{start}:{stop}:{step}") == expected


@given(st.integers(-10_000, 10_000), st.integers(1, 999), st.integers(0, 300), st.integers(0, 6))
def test_a_float_range_holds_the_nearest_floats(start: int, step: int, count: int, digits: int) -> None:
    a, h = Decimal(start).scaleb(-digits), Decimal(step).scaleb(-digits)
    exact = [a + k * h for k in range(count + 1)]
    # the exponent keeps it a float even where it is whole
    found = axis.parse(f"{a:E}:{exact[-1]:E}:{h:E}" if digits else f"{a}.0:{exact[-1]}:{h}")
    assert found == tuple(float(value) for value in exact)


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False), unique=True))
def test_a_list_of_numbers_comes_back(values: list[float]) -> None:
    kind = float if any(isinstance(value, float) for value in values) else int
    assume(values and len({kind(value) for value in values}) == len(values))
    assert axis.parse(",".join(map(repr, values)) + ",") == tuple(kind(value) for value in values)


@given(st.floats(1e-9, 1e9), st.floats(1e-9, 1e9), st.integers(2, 50))
def test_log_has_its_ends_and_equal_ratios(lo: float, hi: float, count: int) -> None:
    assume(abs(lo / hi - 1) > 1e-6)
    found = axis.parse(f"log({lo!r},{hi!r},{count})")
    assert isinstance(found, tuple)
    values = np.array(found, dtype=float)
    assert (values[0], values[-1], len(values)) == (lo, hi, count)
    np.testing.assert_allclose(np.diff(np.log(values)), np.log(hi / lo) / (count - 1), rtol=1e-6, atol=1e-12)


@given(st.text(max_size=40) | st.text("0123456789.:,-+eE'\"@ log()_xtrue", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = axis.parse(text, namespace={"x": [1, 2]})
    except UsageError:
        return
    assert isinstance(found, bool | int | float | str | tuple)
