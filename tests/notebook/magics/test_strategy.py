"""`%%strategy`: what is said of a definition, and that nothing is run."""

from __future__ import annotations

import pytest

from kernelkit import ledger

CROSSING = """
def crossing(ctx, fast, slow=100):
    ctx.target_percent(1.0 if ctx.close.sma(fast) > ctx.close.sma(slow) else 0.0)
"""


def told(ran) -> dict[str, str]:
    assert ran.error is None, ran.text
    (shown,) = ran.displays
    lines = shown["text/plain"].splitlines()
    return {"title": lines[0]} | {line[:12].strip(): line[12:].strip() for line in lines[1:]}


def test_strategy__says_parameters_and_warm_up_and_runs_nothing(shell, run):
    found = told(run(f"%%strategy\n{CROSSING}"))
    assert found == {
        "title": "crossing: a strategy, it compiles",
        "Parameters": "fast, slow = 100",
        "Warm-up": "99 bars, with fast = 20",
    }
    assert repr(shell.user_ns["crossing"]) == "<strategy crossing(fast, slow=100)>"
    assert len(ledger.summary()) == 0


def test_strategy__the_warm_up_is_that_of_the_result(shell, run):
    found = told(run(f"%%strategy -p fast=250\n{CROSSING}"))
    run("%backtest crossing --data sp500_index -p fast=250")
    import kernelkit as kk

    first = kk.data.load("sp500_index")["time"].values[int(found["Warm-up"].split()[0])]
    assert shell.user_ns["_kk"]["time"].values[0] == first


def test_strategy__another_name_holds_it_too(shell, run):
    told(run(f"%%strategy --name trend\n#| p: fast=30\n{CROSSING}"))
    assert shell.user_ns["trend"] is shell.user_ns["crossing"]


def test_strategy__tells_what_else_it_has(run):
    body = """%%strategy
import kernelkit as kk
@kk.strategy(state=dict(n=0))
def richer(ctx, s):
    ctx.record("gap", ctx.close[0] - ctx.tf("1h").close[0])
    ctx.target_percent(ctx.x.pred[0])
@richer.on_fill
def filled(ctx, s, fill):
    s.n += 1
"""
    found = told(run(body))
    assert (found["Features"], found["Records"], found["Hooks"]) == ("pred", "gap", "filled")
    assert "1 of 1h" in found["Warm-up"]


def test_strategy__a_signal_says_what_it_is(run):
    found = told(run("%%strategy\ndef trend(ds, n=50):\n    return ds['close'] * 0.0 + n"))
    assert found["title"] == "trend: a signal, it returns target weights over labelled arrays"


@pytest.mark.parametrize(
    ("line", "body", "said"),
    [
        ("", "def f(ctx):\n    x = [1, 2]", "line 3, in f: "),
        ("", "def f(ctx, n):\n    ctx.target_percent(n.real.foo)", "n was taken as 20; -p n=... says another value"),
        ("--name 3x", CROSSING, "--name 3x: wanted the name of a variable"),
        ("-p fast=5:10:1", CROSSING, "-p fast: a definition takes one value; %backtest takes an axis"),
        ("-p fats=5", CROSSING, "crossing has no such parameter (did you mean 'fast'?)"),
        ("--data aapl", CROSSING, "unknown option --data; %%strategy? lists the options"),
    ],
)
def test_strategy__mistakes_are_one_line(run, line, body, said):
    ran = run(f"%%strategy {line}\n{body}")
    assert said in str(ran.error)
    assert ran.text.strip().count("\n") == 0
    assert not ran.displays
