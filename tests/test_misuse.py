"""What is called with what does not fit answers with an error of kernelkit's that says what was found and wanted."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import xarray as xr

import kernelkit as kk
from kernelkit.errors import DataError, KernelkitError, StrategyError, UsageError

MODULES = ("data", "inference", "metrics", "venues", "limits", "margins", "fees", "slippage", "paths", "splits")
MODULES += ("scenarios", "regimes")
LEDGER = ("trials", "export", "summary", "declare", "looks", "lineage", "proxy", "compact", "verify")
X = xr.DataArray(np.random.default_rng(1).normal(0.0, 0.01, 300), dims="time")
X = X.assign_coords(time=np.arange("2020-01-01", "2020-10-27", dtype="M8[D]").astype("M8[ns]"))


@pytest.fixture(autouse=True, scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A ledger of these tests' own."""
    folder = tmp_path_factory.mktemp("misuse")
    (folder / ".kernelkit").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield


@kk.strategy
def hold(ctx, w=1.0):  # type: ignore[no-untyped-def]
    ctx.target_percent(w)


@pytest.fixture(scope="module")
def res(home: None) -> xr.Dataset:
    return kk.backtest(kk.data.load("sp500_index").isel(time=slice(0, 400)), hold)


def functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every public function, and every class that is made of arguments, by how it is called."""
    homes = [("kk", kk, [n for n in kk.__all__ if not inspect.ismodule(getattr(kk, n))])]
    homes += [(f"kk.{name}", getattr(kk, name), dir(getattr(kk, name))) for name in MODULES]
    homes += [("kk.ledger", kk.ledger, list(LEDGER))]
    for home, module, names in homes:
        for name in names:
            one = getattr(module, name)
            ours = name[0] != "_" and str(getattr(one, "__module__", "")).startswith("kernelkit")
            made = dataclasses.is_dataclass(one) and not inspect.isabstract(one)
            if ours and (inspect.isfunction(one) or made):
                yield f"{home}.{name}", one


@pytest.mark.parametrize(("name", "function"), [pytest.param(*one, id=one[0]) for one in functions()])
def test_an_argument_that_it_does_not_have(name: str, function: Callable[..., Any]) -> None:
    takes = inspect.signature(function).parameters.values()
    name = {"kk.data.feature": "kk.feature", "kk.margins.Margin": "kk.Margin"}.get(name, name)
    needed = any(p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL) for p in takes)
    if any(p.kind is p.VAR_KEYWORD for p in takes) and needed:
        with pytest.raises(UsageError, match=f"^{name}: found no "):
            function()
    else:
        with pytest.raises(UsageError, match="found the argument no_such_name, wanted one of ") as told:
            function(no_such_name=1)
        assert str(told.value).startswith((f"{name}: ", "kk.Limits: ", "refresh: "))


def verdict_of(res: xr.Dataset) -> Any:
    return kk.verdict(res, replications=99)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda res: kk.verdict(res, promises=0.1), UsageError, r"promises: found 0.1, wanted a list"),
        (lambda res: kk.verdict(res, promises=["10%"]), UsageError, r"promises: found \['10%'\]"),
        (lambda res: kk.verdict(res, only=5), UsageError, "only: found 5, wanted names of strategies"),
        (lambda res: verdict_of(res).chance("10%"), UsageError, "growth of a chance: found '10%'.* Write 0.1 for 10 %"),
        (lambda res: verdict_of(res).chance(0.1, years="two"), UsageError, "years of a chance: found 'two'"),
        (
            lambda res: kk.ledger.export("missing/trials.csv"),
            UsageError,
            "folder of an export: found no .*missing",
        ),
        (lambda res: kk.ledger.trials(5), UsageError, "strategy of trials: found 5, wanted its name"),
        (
            lambda res: kk.seal(kk.data.load("sp500_index"), "5000Y"),
            UsageError,
            "last: found '5000Y'.* century",
        ),
        (lambda res: kk.plan(kk.data.load("sp500_index"), "many"), UsageError, "n_trials: found 'many'"),
        (lambda res: kk.plan(kk.data.load("sp500_index"), 5, level="5%"), UsageError, "level: found '5%'"),
        (lambda res: kk.plan(kk.data.load("sp500_index"), 5, power=None), UsageError, "power: found None"),
        (lambda res: kk.plan(kk.data.load("sp500_index"), 5, correlation="a"), UsageError, "correlation: found 'a'"),
        (lambda res: kk.backtest(kk.data.load("sp500_index"), hold, 0.5), UsageError, "params of hold: found 0.5"),
        (
            lambda res: kk.backtest(kk.data.load("sp500_index"), hold, grid=[1]),
            UsageError,
            r"grid of hold: found \[1\]",
        ),
        (lambda res: kk.backtest(kk.data.load("sp500_index"), hold, outputs=5), UsageError, "outputs: found 5"),
        (
            lambda res: kk.inference.seasonality(X, tz="Nowhere/Here"),
            UsageError,
            "tz: found 'Nowhere/Here', wanted a ti",
        ),
        (lambda res: kk.inference.seasonality(X, tz=5), UsageError, "tz: found 5, wanted a time zone"),
        (lambda res: kk.metrics.trades_by(kk.trades(res), "hour", tz="x"), UsageError, "trades_by: tz: found 'x'"),
        (lambda res: kk.metrics.best_execution(kk.executions(res), "hour", tz="x"), UsageError, "best_execution: tz"),
        (
            lambda res: kk.inference.seasonality(X, lags="five"),
            UsageError,
            "lags: found 'five', wanted None or a whole",
        ),
        (lambda res: kk.inference.ljung_box(X, lags="five"), UsageError, "ljung_box: lags: found 'five'"),
        (lambda res: kk.inference.sharpe_difference(X, -X, periods=365, lags="a"), UsageError, "lags: found 'a'"),
        (lambda res: kk.inference.interval(kk.metrics.sharpe_ratio, X, level="95%"), UsageError, "level: found '95%'"),
        (lambda res: kk.inference.Resampling(replications="many"), UsageError, "replications: found 'many'"),
        (lambda res: kk.metrics.sharpe_ratio(X, lags=5, periods="252"), UsageError, "periods: found '252'"),
        (
            lambda res: kk.metrics.slippage(X),
            DataError,
            "slippage: table: found DataArray, wanted a Dataset with arrival",
        ),
        (lambda res: kk.metrics.slippage(kk.executions(res).drop_vars("side")), DataError, "table: found no side"),
        (lambda res: kk.metrics.fill_ratio({}), DataError, "fill_ratio: table: found dict"),
        (lambda res: kk.metrics.hold_time(None), DataError, "hold_time: table: found NoneType"),
        (lambda res: kk.metrics.trades_by({}, "hour"), DataError, "trades_by: table: found dict"),
        (lambda res: kk.metrics.executions(1, 2, 3), DataError, "table of orders: found no column order"),
        (lambda res: kk.metrics.best_execution(kk.executions(res), 5), UsageError, "best_execution by: found 5"),
        (lambda res: kk.feature(xr.Dataset(), "f", [1.0]), DataError, "variable 'time': found nothing"),
        (lambda res: kk.feature(kk.data.load("aapl"), 5, [1.0]), DataError, "feature name: found 5"),
        (lambda res: kk.feature(kk.data.load("aapl"), "f", "abc"), DataError, "feature 'f': found str, wanted numbers"),
        (lambda res: kk.data.load(["aapl"]), DataError, r"data: found \['aapl'\]"),
        (lambda res: kk.data.from_pandas(None, like={}), DataError, "bars: found dict"),
    ],
)
def test_what_does_not_fit(res: xr.Dataset, call: Callable[..., Any], error: type[KernelkitError], text: str) -> None:
    with pytest.raises(error, match=text):
        call(res)


def test_orders_of_one_venue_are_of_one_venue(res: xr.Dataset) -> None:
    found = kk.metrics.best_execution(kk.executions(res))
    assert found["venue"].values.tolist() == ["all"]
    assert int(found["n_orders"][0]) == len(kk.orders(res))


def shock_of(made: Any) -> Callable[[xr.Dataset], Any]:
    return lambda res: kk.reverse_stress(kk.data.load("sp500_index"), hold, shock=made)


def forward(**settings: Any) -> Callable[[xr.Dataset], Any]:
    return lambda res: kk.walk_forward(kk.data.load("sp500_index"), hold, grid={"w": [0.5, 1.0]}, **settings)


def validated(**settings: Any) -> Callable[[xr.Dataset], Any]:
    return lambda res: kk.cross_validate(kk.data.load("sp500_index"), hold, grid={"w": [0.5, 1.0]}, **settings)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (shock_of(lambda size: None), UsageError, "shock: found None, wanted a function of a size"),
        (shock_of("gap"), UsageError, "shock: found 'gap'"),
        (forward(searcher="x"), UsageError, "searcher: found 'x', wanted a function"),
        (forward(searcher=lambda *a: None), UsageError, "what the searcher returned: found None, wanted a dict of w"),
        (forward(select=None), UsageError, "select: found None, wanted one of"),
        (forward(step=0, train=500, test=100), UsageError, "windows: found 500, 100, 0, wanted numbers above 0"),
        (validated(select=None), UsageError, "select: found None"),
        (validated(select="nonsense"), UsageError, "select: found 'nonsense'"),
        (lambda res: kk.splits.combinatorial(6.0, 2), UsageError, "groups: found 6.0, wanted a whole number"),
        (lambda res: kk.splits.combinatorial(6, True), UsageError, "tests: found True"),
        (lambda res: kk.splits.purged("5"), UsageError, "groups: found '5'"),
        (lambda res: kk.splits.expanding(2.5), UsageError, "n: found 2.5"),
        (lambda res: kk.splits.blocked(3, test="a"), UsageError, "test: found 'a', wanted a share"),
        (lambda res: kk.splits.holdout("a"), UsageError, "train and validation: found 'a' and 0.2"),
        (lambda res: kk.paths.GBM("a", 0.2), UsageError, "drift: found 'a', wanted a finite number"),
        (lambda res: kk.paths.GBM(0.1, None), UsageError, "volatility: found None"),
        (lambda res: kk.paths.GBM(0.1, 0.2, True), UsageError, "periods: found True"),
        (lambda res: kk.paths.GARCH(0.0, "a", 0.1, 0.8), UsageError, "omega: found 'a'"),
        (lambda res: kk.paths.Heston(0.0, 0.04, 1.0, 0.04, 0.3, "a"), UsageError, "correlation: found 'a'"),
        (lambda res: kk.paths.Copula("ab", ((1.0,),)), UsageError, "margins: found 'ab'"),
        (lambda res: kk.paths.Copula({}, "a"), UsageError, "correlation: found 'a'"),
        (lambda res: kk.audit(kk.data.load("sp500_index"), hold, seed="abc"), UsageError, "seed: found 'abc'"),
        (lambda res: kk.resume(object()), UsageError, "path of a run: found <object"),
        (lambda res: kk.fees.fraction(), UsageError, "kk.fees.fraction: found no rate"),
        (lambda res: kk.fees.fraction("a"), StrategyError, "rate of fraction: found a, wanted a finite number"),
        (lambda res: kk.fees.tiered(5, 1, 2), StrategyError, "volumes of fees.tiered: found 5"),
        (lambda res: kk.slippage.spread(tick=1), UsageError, "kk.slippage.spread: found the argument tick"),
        (lambda res: kk.slippage.learned(None, 1, 2), StrategyError, "regressor of slippage.learned: found None"),
    ],
)
def test_what_does_not_fit_in_studies(
    res: xr.Dataset, call: Callable[..., Any], error: type[KernelkitError], text: str
) -> None:
    with pytest.raises(error, match=text):
        call(res)


@pytest.mark.parametrize("fewest", [-1, "a", True, 0.5])
def test_fewest_is_a_number_of_returns(fewest: Any) -> None:
    bars = kk.data.load("sp500_index").isel(time=slice(0, 900))
    with pytest.raises(UsageError, match="adapt: fewest: found "):
        kk.regimes.adapt(bars, hold, kk.regimes.volatility(bars), grid={"w": [0.5, 1.0]}, fewest=fewest)
