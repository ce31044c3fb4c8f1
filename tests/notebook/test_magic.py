"""`%%backtest` end to end, in a real shell."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

import kernelkit as kk
from kernelkit import progress
from kernelkit.errors import RunError
from kernelkit.notebook.bundle import RESULT_MIME

HOLD = "def hold(ctx):\n    ctx.target_percent(1.0)\n"


def finite(res) -> int:
    return int(np.isfinite(res["final_equity"].values).sum())


def test_magic__every_combination_is_a_cell_of_the_result(shell, backtest):
    ran = backtest("-p fast=5:15:5 -p slow=60,100 --into res --name 'two averages'")
    assert ran.error is None
    res = shell.user_ns["res"]
    assert dict(res["sharpe_ratio"].sizes) == {"fast": 3, "slow": 2}
    grid = {"fast": [5, 10, 15], "slow": [60, 100]}
    direct = kk.backtest(kk.data.load("sp500_index"), shell.user_ns["crossing"], grid=grid)
    np.testing.assert_array_equal(res["final_equity"].values, direct["final_equity"].values)
    assert ran.displays[-2][RESULT_MIME]["name"] == "two averages"
    assert set(ran.displays[-2]) == {RESULT_MIME, "text/html", "text/plain"}


def test_magic__the_latest_result_is_kept_without_a_name(shell, backtest):
    backtest("-p fast=5")
    assert shell.user_ns["_kk"].attrs["title"] == "crossing"
    assert "res" not in shell.user_ns


def test_magic__the_header_holds_long_options(shell, backtest):
    header = "#| where: fast < slow\n#| p: slow=5:50:5\n\n#| start: 2008-03\n#| end: 2009\n#| cash: 5_000\n"
    body = header + "#| fee: per_unit(0.005, minimum=1)\n#| slippage: 0.001\n"
    ran = backtest("-p fast=5:50:5 --into res", body + "def f(ctx, fast, slow):\n    ctx.target_percent(1.0)\n")
    assert ran.error is None
    res = shell.user_ns["res"]
    assert finite(res) == 45
    assert res.attrs["costs"] == "fees per_unit(rate=0.005, minimum=1), slippage fraction(rate=0.001)"
    assert str(res["time"].values[0])[:10] == "2008-03-03"
    assert str(res["time"].values[-1])[:10] == "2009-12-31"
    assert float(res["equity"].isel(fast=0, slow=1)[0]) == 5_000


def test_magic__the_cell_runs_in_the_notebooks_namespace(shell, run, backtest):
    run("weight = 0.5\nwindows = [20, 40]")
    body = "import math\nlimit = math.sqrt(4.0) - 1.0\ndef half(ctx, n):\n    ctx.target_percent(min(weight, limit))\n"
    assert backtest("-p n=@windows", body).error is None
    assert shell.user_ns["limit"] == 1.0
    assert repr(shell.user_ns["half"]) == "<strategy half(n)>"
    assert shell.user_ns["_kk"]["n"].values.tolist() == [20, 40]


def test_magic__bars_of_a_variable(shell, run, backtest):
    run('import kernelkit as kk\nbars = kk.data.load("aapl")')
    assert backtest("--venue us_equity", HOLD, data="@bars").error is None
    assert shell.user_ns["_kk"].attrs["name"] == "aapl"
    assert shell.user_ns["_kk"].attrs["venue"] == "us_equity"


def test_magic__models_and_venues_of_variables(shell, run, backtest):
    run("import kernelkit as kk\nfee = kk.fees.fixed(2.0)\nvenue = kk.Venue('mine', fee)")
    assert backtest("--fee @fee --slippage 0", HOLD).error is None
    assert shell.user_ns["_kk"].attrs["costs"] == "fees fixed(amount=2)"
    assert backtest("--venue @venue", HOLD).error is None
    assert shell.user_ns["_kk"].attrs["venue"] == "mine"


def test_magic__fill_models_by_name_are_a_dim(shell, run, backtest):
    body = "def half(ctx, n=20):\n    ctx.target_percent(0.5 if ctx.close[0] > ctx.close.sma(n) else 0.0)\n"
    ran = backtest("-p n=20,50 --into res", "#| fill-model: conservative, zipline, nautilus\n" + body)
    assert ran.error is None
    res = shell.user_ns["res"]
    assert res["fill_model"].values.tolist() == ["conservative", "zipline", "nautilus"]
    payload = ran.displays[-2][RESULT_MIME]
    assert payload["dims"] == {"n": [20, 50]}  # the best is chosen under the first alone
    best = float(res["sharpe_ratio"].sel(fill_model="conservative").max())
    assert payload["best"]["metrics"]["sharpe_ratio"] == pytest.approx(best, rel=1e-9)
    assert "the total return of this trial is" in payload["notes"][0]
    assert payload["notes"][1] == "Market orders fill at the close that they were decided on (nautilus)."
    assert backtest("--fill-model lean --into res", body).error is None
    assert shell.user_ns["res"].attrs["fill_model"] == "lean"
    assert "fill_model" not in shell.user_ns["res"].dims
    run("import kernelkit as kk\nmine = [kk.FillModel(), kk.FillModel(path='low_first')]")
    assert backtest("--fill-model @mine --into res", body).error is None
    assert shell.user_ns["res"]["fill_model"].values.tolist() == ["conservative", "path=low_first"]
    assert "Names are conservative" in str(backtest("--fill-model optimistic", body).error)


def test_magic__a_function_of_ds_is_a_signal(shell, backtest):
    body = "def trend(ds, n=50):\n    return (ds['close'] > ds['close'].rolling(time=n).mean()) * 1.0\n"
    assert backtest("-p n=50,100", body).error is None
    assert repr(shell.user_ns["trend"]).startswith("<signal trend")
    assert finite(shell.user_ns["_kk"]) == 2


def test_magic__a_decorated_strategy_is_taken_as_it_is(shell, backtest):
    body = """
import kernelkit as kk
@kk.strategy(state=dict(days=0))
def every(c, s, n):
    s.days += 1
    if s.days % n == 0:
        c.target_percent(1.0)
"""
    assert backtest("-p n=50,100", body).error is None
    assert shell.user_ns["every"].state == {"days": 0}


def test_magic__tells_why_there_is_no_gpu_in_one_line(backtest):
    ran = backtest("--gpu", HOLD)
    assert ran.error is None
    notices = [display["text/plain"] for display in ran.displays[:-2]]
    assert len(notices) == 1
    assert "\n" not in notices[0]
    assert notices[0] == f"--gpu: too little work for a device; ran on {os.cpu_count()} threads"


def test_magic__an_interrupt_keeps_the_trials_that_are_done(shell, backtest, monkeypatch):
    events = []

    def stop(self, event):
        events.append(event)
        # the second event: by then every trial has been handed to a thread
        if len(events) == 2:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("kernelkit.notebook.live.Live.__call__", stop)
    ran = backtest("-p fast=2:81:1 -p slow=210:309:1 --into res", data="synthetic_minute")
    assert ran.error is None
    res = shell.user_ns["res"]
    assert 0 < finite(res) < 8_000
    assert res.attrs["interrupted"] == f"{finite(res)} of 8000 trials done"
    said = ran.displays[-3]["text/plain"]
    assert said == f"interrupted: {res.attrs['interrupted']}; the result holds these, the other cells are NaN"
    assert ran.displays[-2][RESULT_MIME]["n_trials"] == finite(res)
    assert "Interrupted: " in ran.displays[-2]["text/html"]


def test_magic__shows_progress_of_what_takes_long(backtest, monkeypatch):
    monkeypatch.setattr("kernelkit.notebook.live.QUIET_S", 0.0)
    ran = backtest("-p fast=2:101:1 -p slow=110:209:1")
    events = [progress.Progress.from_json(d[progress.MIME]) for d in ran.displays if progress.MIME in d]
    assert [event.done for event in events] == sorted(event.done for event in events)
    assert events[-1].done == events[-1].total == 10_000
    assert any(event.candles_per_s and event.eta_s for event in events)


def test_magic__what_is_over_at_once_shows_no_progress(backtest):
    backtest("-p fast=5,10")
    assert not [d for d in backtest("-p fast=5,10").displays if progress.MIME in d]


def test_magic__help_lists_every_option(shell):
    from kernelkit.notebook.magics.backtest import OPTIONS

    text = shell.find_cell_magic("backtest").__doc__
    assert all(f"--{option.name}" in text for option in OPTIONS)
    assert "%%backtest --name ma-cross --data sp500_index" in text


def test_magic__help_speaks_the_truth(shell, run):
    text = shell.find_cell_magic("backtest").__doc__
    example = text.partition("\n\n")[2].partition("\n\nThe cell runs")[0]
    ran = run("\n".join(line.removeprefix("    ") for line in example.splitlines()))
    assert ran.error is None
    assert finite(shell.user_ns["res"]) == 80


@pytest.mark.parametrize("name", ["show", "save", "result_bundle", "compare", "buy_and_hold", "progress_in_cell"])
def test_notebook__offers(name):
    from kernelkit import notebook

    assert callable(getattr(notebook, name))
    assert name in dir(notebook)


def test_load_ext__twice_changes_nothing(shell):
    before = len(shell.Completer.custom_matchers)
    shell.run_line_magic("reload_ext", "kernelkit")
    assert len(shell.Completer.custom_matchers) == before


def test_magic__hands_the_address_of_a_cluster_on(backtest, monkeypatch):
    def run_on(client, *_):
        raise RunError(f"asked {client}")

    monkeypatch.setattr("kernelkit.cluster.run_on", run_on)
    assert "RunError: asked tcp://10.0.0.5:8786" in backtest("-p fast=5 --client tcp://10.0.0.5:8786").text


def test_magic__hooks_may_follow_the_strategy(shell, backtest):
    body = "import kernelkit as kk\n@kk.strategy(state=dict(n=0))\n"
    body += "def timed(ctx, s, k=1):\n    ctx.target(float(s.n * k))\n"
    body += "@timed.schedule('month_end')\ndef counted(ctx, s):\n    s.n += 1\n"
    assert backtest("-p k=1,2 --into res", body).error is None
    assert repr(shell.user_ns["timed"]) == "<strategy timed(k=1)>"
    assert (shell.user_ns["res"]["n_fills"].values > 10).all()


def test_magic__ends_with_the_verdict_in_one_line(backtest):
    last = backtest("-p fast=5:50:5").displays[-1]
    assert last["text/plain"].startswith("Verdict: not significant (p = ")
    assert "10 trials of this market so far, Sharpe " in last["text/plain"]
    again = backtest("-p fast=5:55:5").displays[-1]["text/plain"]
    assert "11 trials of this market so far" in again


def test_magic__what_takes_long_follows_in_the_place_of_what_is_known(shell, backtest, monkeypatch):
    """The cell does not wait for the p-value; its line is replaced when it is there."""
    import threading

    from kernelkit.inference.verdict import Verdict
    from kernelkit.notebook import verdict

    backtest("-p fast=5")
    res = shell.user_ns["_kk"]
    known, go, said = threading.Event(), threading.Event(), []
    plain = Verdict.line.fget
    monkeypatch.setattr(Verdict, "line", property(lambda self: (known.set(), go.wait(30), plain(self))[2]))

    class Handle:
        def update(self, data, raw):
            said.append(data["text/plain"])

    monkeypatch.delenv(verdict.WAIT)
    monkeypatch.setattr(verdict, "PATIENCE_S", 0.0)
    monkeypatch.setattr("IPython.display.display", lambda data, **_: said.append(data["text/plain"]) or Handle())
    line = verdict.tell(res)
    assert known.wait(30)
    assert said[-1].startswith("Verdict: its p-value follows; 1 trial of this market so far")
    go.set()
    verdict._judge().submit(line.result).result(30)  # what is told after the line is there
    assert said[-1].startswith("Verdict: not significant (p = ")


def test_magic__a_verdict_that_cannot_be_told_leaves_the_result(shell, run, backtest, monkeypatch):
    monkeypatch.setattr("kernelkit.ledger.family", lambda *_, **__: 1 / 0)
    ran = backtest("-p fast=5")
    assert ran.error is None
    assert ran.displays[-1]["text/plain"] == "Verdict: ZeroDivisionError: division by zero"


def test_magic__ledger_tells_what_was_tried(shell, run, backtest):
    backtest("-p fast=5,10")
    assert run("found = %ledger").error is None
    found = shell.user_ns["found"].set_index(["strategy", "role"])
    assert found.loc[("crossing", "rival"), "trials"] == 2
    assert run("tree = %ledger crossing").error is None
    assert str(shell.user_ns["tree"]).startswith("crossing ")
    assert "strategy: found 'other'" in str(run("%ledger other").error)


def test_magic__a_debugged_cell_with_parameters_is_shown(backtest):
    ran = backtest("-p fast=5 --debug --start 2018-06")
    assert ran.error is None
    assert ran.displays[-1]["text/plain"].startswith("Verdict: ")
