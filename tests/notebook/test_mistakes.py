"""Every misuse of `%%backtest` is one line that says what to do; errors in the cell show the cell's own lines."""

from __future__ import annotations

import pytest

from kernelkit.errors import KernelkitError

MISTAKES = [
    ("--foo 1", "unknown option --foo"),
    ("--wher 'a < b'", "did you mean 'where'?"),
    ("fast=5", "'fast=5' is not an option"),
    ("-x 5", "'-x' is not an option"),
    ("--name", "--name has no value"),
    ("--name --into res", "--name has no value"),
    ("--name a --name b", "--name is given twice: a and b"),
    ("-p fast=5 -p fast=6", "parameter fast is given twice"),
    ("-p fast", "-p fast: wanted name=value"),
    ("-p fast=", "-p fast=: no value"),
    ("--name 'a", "a quote is opened and not closed"),
    ("--fee per_unit(1", "a bracket is opened and not closed"),
    ("--gpu=maybe", "--gpu is true or false"),
    ("--into 3x", "--into 3x: wanted the name of a variable"),
    ("--into class", "--into class: wanted the name of a variable"),
    ("-p fats=5", "crossing has no such parameter (did you mean 'fast'?); it has fast, slow"),
    ("", "parameter fast of crossing has no value"),
    ("-p fast=5:50", "-p fast=5:50: a range is start:stop:step"),
    ("-p fast=5:50:0", "the step is 0"),
    ("-p fast=5-50", "-p fast=5-50: '5-50' is text; a range is start:stop:step, as in 5:50:1"),
    ("-p fast=@wnidows", "there is no variable 'wnidows'; did you mean 'windows'?"),
    ("-p fast=@text", "one type"),
    ("-p fast=5 --where 'fst < slow'", "crossing has no parameter 'fst' (did you mean 'fast'?)"),
    ("-p fast=5 --where 'fast <'", "--where fast <: not an expression"),
    ("-p fast=5 --where 'fast > slow'", "no cell left"),
    ("-p fast=5 --where fast.imag.real(1)", "--where fast.imag.real(1): "),
    ("-p fast=5 --cash many", "--cash many: wanted an amount above 0"),
    ("-p fast=5 --cash -1", "--cash -1: wanted an amount above 0"),
    ("-p fast=5 --fee 2%", "--fee 2%: unknown; wanted a number, fraction, per_unit, fixed, maker_taker, "),
    ("-p fast=5 --fee peer_unit(1)", "did you mean 'per_unit'?"),
    ("-p fast=5 --fee per_unit()", "kk.fees.per_unit: found no rate, wanted rate="),
    ("-p fast=5 --fee fixed(now)", "--fee fixed(now): now is not a plain value"),
    ("-p fast=5 --fee per_unit(1)(2)", "--fee per_unit(1)(2): not a list of values between one pair of brackets"),
    ("-p fast=5)", "-p fast=5): 5) is no number and no axis; quote it if it is text"),
    ("-p fast=$windows", "-p fast=$windows: $windows is no number and no axis"),
    ("-p fast={windows}", "-p fast={windows}: {windows} is no number and no axis"),
    ("-p fast=5;10", "-p fast=5;10: 5;10 is no number and no axis"),
    ("-p fast==5", "-p fast==5: =5 is no number and no axis"),
    ("-p fast=5 --fee @windows", "--fee @windows: it is a list, wanted a CostModel"),
    ("-p fast=5 --slippage @nothing", "there is no variable 'nothing'"),
    ("-p fast=5 --venue us_equty", "--venue us_equty: unknown (did you mean 'us_equity'?)"),
    ("-p fast=5 --venue us_equity --fee 0.001", "--venue us_equity and --fee 0.001 exclude each other"),
    ("-p fast=5 --venue 0.001", "--venue 0.001: unknown; wanted us_equity, fraction, binance_spot, "),
    ("-p fast=5 --start yesterday", "--start yesterday: not a date"),
    ("-p fast=5 --end 2008-13", "--end 2008-13: not a date"),
    ("-p fast=5 --start 2050", "wanted a span inside"),
    ("-p fast=5 -p slow=9000", "needed for warm-up"),
    ("-p fast=5 --client @nothing", "there is no variable 'nothing'"),
    ("-p fast=5 --client @windows", "found list, wanted a dask.distributed Client"),
]

CELLS = [
    ("x = 1", "the cell defines no function"),
    ("def f(close, n=1):\n    return close", "f begins with 'close'; what it is shows in its first parameter"),
    ("def f():\n    pass", "f takes nothing"),
    ("f = 1\nasync def f(ctx):\n    pass", "f is async"),
    ("import functools\n@functools.cache\ndef f(ctx):\n    pass", "f is a _lru_cache_wrapper after its decorators"),
    ("import kernelkit as kk\n@kk.indicator\ndef f(s, x):\n    return x", "f is an indicator"),
    ("def f(ctx):\n    ctx.target_percnt(1.0)", "line 3, in f: "),
    ("def f(ctx):\n    x = ctx.close[1]\n    ctx.target_percent(x)", "line 3, in f: "),
    ("def f(ctx:\n    pass", "line 2: '(' was never closed: def f(ctx:"),
    ("#| where fast < slow\ndef f(ctx):\n    pass", "a header line is written #| option: value"),
    ("#| fees: 1\ndef f(ctx):\n    pass", "unknown option #| fees: (did you mean 'fee'?)"),
    ("#| data: aapl\ndef f(ctx):\n    pass", "#| data: is given twice: sp500_index and aapl"),
]


def is_one_line(ran) -> None:
    assert isinstance(ran.error, KernelkitError)
    assert ran.text.strip().count("\n") == 0
    assert ran.text.strip() == f"{type(ran.error).__name__}: {ran.error}"


@pytest.mark.parametrize(("options", "said"), MISTAKES)
def test_mistake__in_the_options_is_one_line(shell, run, backtest, options, said):
    run("windows = [5, 10]\ntext = ['a', 1]\nres = 'kept'")
    ran = backtest(options)
    is_one_line(ran)
    assert said in ran.text
    assert shell.user_ns["res"] == "kept"
    assert "_kk" not in shell.user_ns


@pytest.mark.parametrize(("cell", "said"), CELLS)
def test_mistake__in_the_cell_is_one_line(backtest, cell, said):
    ran = backtest("", cell)
    is_one_line(ran)
    assert said in ran.text
    assert "ipython-input" not in ran.text


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("sp500", "no such data set (did you mean 'sp500_index'?)"),
        ("bars", "did you mean the variable, --data @bars?"),
        ("@nothing", "there is no variable 'nothing'"),
        ("@bars", "found DataFrame, wanted a Dataset(time, asset) from kk.data"),
    ],
)
def test_mistake__in_the_data_is_one_line(run, backtest, data, said):
    run("import pandas as pd\nbars = pd.DataFrame()")
    ran = backtest("-p fast=5", data=data)
    is_one_line(ran)
    assert said in ran.text


def test_mistake__no_data_at_all(run):
    ran = run("%%backtest\ndef f(ctx):\n    pass")
    is_one_line(ran)
    assert "no --data; name a data set (sp500_index, " in ran.text


def test_mistake__options_are_wrong_before_the_cell_runs(shell, run, backtest):
    run("count = 0")
    backtest("--cash nothing", "count = count + 1\ndef f(ctx):\n    pass")
    assert shell.user_ns["count"] == 0


def test_error__of_the_cell_shows_its_own_lines_and_numbers(backtest):
    ran = backtest("", "ten = 10\nzero = 0\nbad = ten / zero\ndef f(ctx):\n    pass")
    assert isinstance(ran.error, ZeroDivisionError)
    assert "----> 4 bad = ten / zero" in ran.text
    assert "kernelkit" not in ran.text


def test_error__of_a_signal_shows_the_users_line(backtest):
    ran = backtest("", "def f(ds):\n    limit = [1.0]\n    return ds['close'] > limit[3]")
    assert isinstance(ran.error, IndexError)
    assert "----> 4     return ds['close'] > limit[3]" in ran.text
    assert "kernelkit" not in ran.text
