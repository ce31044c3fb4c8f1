"""`%kkconfig`, `%config Kernelkit` and a configuration file: what cells take, and what they say of it."""

from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from kernelkit.notebook.bundle import RESULT_MIME
from kernelkit.notebook.config import SETTINGS, config_of


def test_config__is_taken_where_an_option_is_left_out_and_the_result_says_so(shell, run, backtest):
    assert run("%kkconfig cash=50_000 fee=0.001 fill_model=lean data=aapl").error is None
    ran = run("%backtest sma_cross --into res")
    res = shell.user_ns["res"]
    assert res.attrs["configured"] == "data=aapl, cash=50_000, fee=0.001, fill_model=lean"
    assert (res.attrs["name"], res.attrs["fill_model"]) == ("aapl", "lean")
    assert res.attrs["costs"] == "fees fraction(rate=0.001)"
    assert float(res["equity"][0]) == 50_000
    payload = next(d[RESULT_MIME] for d in ran.displays if RESULT_MIME in d)
    assert "From %kkconfig: data=aapl, cash=50_000, fee=0.001, fill_model=lean." in payload["notes"]
    assert run("%backtest sma_cross --cash 10_000 --data sp500_index --fill-model conservative").error is None
    assert shell.user_ns["_kk"].attrs["configured"] == "fee=0.001"


def test_config__a_venue_on_the_line_stands_in_the_place_of_costs(shell, run):
    run("%kkconfig fee=0.01 slippage=0.01")
    assert run("%backtest sma_cross --data aapl --venue us_equity").error is None
    assert shell.user_ns["_kk"].attrs["venue"] == "us_equity"
    assert "configured" not in shell.user_ns["_kk"].attrs


def test_config__is_set_by_traitlets_too(shell, run):
    assert run("%config Kernelkit.cash = 70_000").error is None
    assert "cash        70000" in run("%kkconfig").displays[0]["text/plain"]
    assert run("%kkconfig cash=").displays[0]["text/plain"] == "cash is not set"
    assert config_of(shell).cash == ""


def test_config__lists_every_setting_with_its_help(run):
    shown = run("%kkconfig").displays[0]
    for name in SETTINGS:
        assert name in shown["text/plain"]
        assert f">{name}<" in shown["text/html"]


def test_config__of_a_file_is_read_and_checked():
    made = InteractiveShell(config=Config({"Kernelkit": {"cash": 50_000, "cache": False}}))
    assert (config_of(made).cash, config_of(made).cache) == ("50000", "off")
    wrong = InteractiveShell(config=Config({"Kernelkit": {"cash": "many"}}))
    with pytest.raises(ValueError, match=r"%kkconfig cash=many: wanted an amount above 0.*configuration of IPython"):
        config_of(wrong)


def test_config__without_progress_shows_none(run, backtest, monkeypatch):
    from kernelkit import progress

    monkeypatch.setattr("kernelkit.notebook.live.QUIET_S", 0.0)
    run("%kkconfig progress=off")
    ran = backtest("-p fast=2:51:1 -p slow=110:209:1")
    assert ran.error is None
    assert not [d for d in ran.displays if progress.MIME in d]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("cahs=1", "no such setting (did you mean 'cash'?); there are data, cash, "),
        ("cash", "%kkconfig cash: wanted cash=value"),
        ("cash=many", "%kkconfig cash=many: wanted an amount above 0"),
        ("fee=peer_unit(1)", "did you mean 'per_unit'?"),
        ("venue=us_equty", "%kkconfig venue=us_equty: unknown (did you mean 'us_equity'?)"),
        ("data=sp500", "%kkconfig data=sp500: no such data set (did you mean 'sp500_index'?)"),
        ("fill_model=optimistic", "Names are conservative"),
        ("progress=maybe", "%kkconfig progress=maybe: wanted on or off"),
        ("cache_size=large", "a size such as 500MB or 2GB"),
        ("--cash 5", "unknown option --cash; %kkconfig? lists the options"),
    ],
)
def test_config__mistakes_are_one_line_and_change_nothing(shell, run, line, said):
    ran = run(f"%kkconfig runs=elsewhere {line}")
    assert said in str(ran.error)
    assert ran.text.strip().count("\n") == 0
    assert {name: getattr(config_of(shell), name) for name in ("runs", "cash", "fee")} == {
        "runs": "runs",
        "cash": "",
        "fee": "",
    }
