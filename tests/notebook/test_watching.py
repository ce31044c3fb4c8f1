"""The widget of progress: what it shows of events, how it ends, and the plain line where nobody can press a button."""

from __future__ import annotations

import pytest
from IPython.utils.capture import capture_output

import kernelkit as kk
from kernelkit.batch.context import RUN_DIR
from kernelkit.notebook.widgets.watching import KEPT, Watch
from kernelkit.progress import MIME, Meter, Progress, emit


def test_watch__shows_events_and_the_best_so_far():
    shown = Watch()
    with shown.following():
        assert shown.status == "running"
        emit(Progress("grid", 10, 40, eta_s=2.0, failed=1, best=0.5, metric="sharpe_ratio"))
        emit(Progress("grid", 40, 40, best=0.7, metric="sharpe_ratio"))
    assert shown.status == "done"
    assert shown.best == [[10, 0.5], [40, 0.7]]
    assert (shown.event["best_text"], shown.event["metric_text"]) == ("0.70", "Sharpe ratio")


def test_watch__what_is_to_be_small_is_told_as_it_is():
    shown = Watch()
    shown.take(Progress("tpe", 1, 4, best=-0.125, metric="-max_drawdown"))
    assert (shown.event["best_text"], shown.event["metric_text"]) == ("12.5 %", "Max drawdown")


def test_watch__a_long_run_keeps_a_short_line():
    shown = Watch()
    for done in range(3 * KEPT):
        shown.take(Progress("grid", done, 3 * KEPT, best=float(done), metric="sharpe_ratio"))
    assert len(shown.best) <= KEPT
    assert shown.best[-1] == [3 * KEPT - 1, 3.0 * KEPT - 1]
    shown.take(Progress("next", 1, 2, best=0.1, metric="sharpe_ratio"))
    assert shown.best == [[1, 0.1]]


def test_watch__says_how_it_ended():
    shown = Watch()
    with pytest.raises(KeyboardInterrupt), shown.following():
        raise KeyboardInterrupt
    assert shown.status == "stopped"
    with pytest.raises(ZeroDivisionError), shown.following():
        _ = 1 / 0
    assert shown.status == "failed"
    with shown.following():  # kernelkit has kept what was done when it was interrupted
        emit(Progress("grid", 10, 40))
    assert shown.status == "stopped"


def test_watch__in_a_batch_run_it_is_the_line_that_others_read(shell, tmp_path, monkeypatch):
    monkeypatch.setenv(RUN_DIR, str(tmp_path))
    monkeypatch.setattr("kernelkit.notebook.live.QUIET_S", 0.0)
    with capture_output() as captured, kk.watch():
        emit(Progress("grid", 1, 40))
    assert [output.data[MIME]["done"] for output in captured.outputs] == [1]


def test_meter__tells_the_largest_value_that_was_reached():
    events = []
    from kernelkit.progress import listen

    with listen(events.append), Meter("grid", 2) as meter:
        for value in (0.4, 0.2):
            meter.reach(value, "sharpe_ratio")
            meter.advance()
    assert (events[-1].best, events[-1].metric) == (0.4, "sharpe_ratio")


def test_grid__tells_the_best_sharpe_ratio_so_far(tmp_path, monkeypatch):
    from kernelkit.progress import listen

    @kk.strategy
    def trend(ctx, n=50):
        ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else 0.0)

    monkeypatch.setenv("KERNELKIT_LEDGER", str(tmp_path))
    events, bars = [], kk.data.load("sp500_index")
    with listen(events.append):
        res = kk.backtest(bars, trend, grid=dict(n=[20, 50, 100]))
    assert events[-1].best == float(res["sharpe_ratio"].max())
    with listen(events.append):
        found = kk.search(bars, trend, dict(n=kk.integer(10, 200)), method="random", n=8, objective="-max_drawdown")
    assert events[-1].best == -float(found["max_drawdown"].min())
    assert events[-1].metric == "-max_drawdown"
