"""The page of conformance: what the tests compare with outside numbers, written by the tests that compare.

`@pytest.mark.oracle("LEAN, whole runs", covers="F1, S2", cases=3, left_out={"what": "why"})` says which oracle a test
asks, which rules that is about, how many answers it compares (1 unless said), and what of the oracle is not asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pytest

from tests.bench.table import write


@dataclass(frozen=True)
class Oracle:
    """Who says the numbers, and under which licence; numbers only were taken."""

    source: str
    licence: str


APACHE, MIT, BSD = "Apache-2.0", "MIT", "BSD-3-Clause"
FREQTRADE, NAUTILUS, AGPL = "GPL-3.0", "LGPL-3.0", "AGPL-3.0"
RANDOM = (
    "`tests/reference`, written from [rules.md](rules.md) alone; random bars, finer bars, orders, models, limits, "
    "hours, outages, rates, latencies, universes and settings"
)
ORACLES = {
    "Reference simulator, one asset": Oracle(RANDOM, BSD),
    "Reference simulator, several assets": Oracle(RANDOM, BSD),
    "Reference simulator, several venues": Oracle(
        "the same, at two or three venues, with one account or one for each", BSD
    ),
    "Reference simulator, orders sent later": Oracle("the same, what is decided comes so many bars later", BSD),
    "Reference simulator, told step by step": Oracle("the same, which order ended at which step", BSD),
    "Reference simulator of portfolios, told step by step": Oracle("the same, several assets", BSD),
    "Reference simulator of portfolios, each asset on its own": Oracle("the same, a strategy called for each", BSD),
    "Reference simulator, the clock": Oracle(
        "the same, moments of the clock and higher timeframes, on calendars of exchange_calendars", BSD
    ),
    "Vectors: limit": Oracle("backtesting.py, LEAN, zipline: the same bar in three dialects", f"{AGPL}, {APACHE}"),
    "Vectors: stop": Oracle(
        "backtesting.py, LEAN, Nautilus, vectorbt, freqtrade, zipline: each answer in its dialect",
        f"{AGPL}, {APACHE}, {NAUTILUS}, {FREQTRADE}",
    ),
    "Vectors: stop-limit": Oracle("backtesting.py, test_stop_limit_order_price_is_stop_price", AGPL),
    "Vectors: trailing stop": Oracle(
        "freqtrade, test_backtest_detail.py, case 9; LEAN, FillModel", f"{FREQTRADE}, {APACHE}"
    ),
    "Vectors: trigger": Oracle("Nautilus, trailing.rs", NAUTILUS),
    "Vectors: bracket": Oracle("freqtrade, test_backtest_detail.py, case 6", FREQTRADE),
    "Vectors: path": Oracle("Nautilus, matching_engine.rs, test_bar_adaptive_ordering", NAUTILUS),
    "Vectors: volume": Oracle("Nautilus, docs, OHLC prices simulation: a bar as four finer ones", NAUTILUS),
    "Vectors: fee": Oracle("zipline-reloaded, test_commissions.py", APACHE),
    "Vectors: slippage": Oracle("zipline-reloaded, test_slippage.py, test_fixed_bps_slippage", APACHE),
    "Vectors: liquidation": Oracle("freqtrade, test_binance.py and test_exchange.py", FREQTRADE),
    "Vectors: funding": Oracle("freqtrade, test_exchange.py, test_calculate_funding_fees", FREQTRADE),
    "Vectors, asked of the simulator": Oracle("as above, and the two whole runs below", "as above"),
    "backtesting.py, a whole run": Oracle(
        "backtesting.py 0.6.6, test_compute_stats; for the other close-out a replica in 15 lines", AGPL
    ),
    "LEAN, whole runs": Oracle(
        "QuantConnect/Lean, Algorithm.CSharp, ExpectedStatistics, to the cent; RawData on split-adjusted prices",
        APACHE,
    ),
    "LEAN, differences explained": Oracle("the same, to the cent after the one difference that is named below", APACHE),
    "LEAN market hours": Oracle(
        "QuantConnect/Lean, Data/market-hours: holidays, early closes, daylight saving", APACHE
    ),
    "zipline, a documented fill": Oracle("zipline-reloaded, VolumeShareSlippage", APACHE),
    "Funding payments": Oracle("AHA-HH/optimising-funding-rate-arbitrage, hold strategy, 18 months", MIT),
    "Funding payments, in the account": Oracle("the same, as a portfolio that is run", MIT),
    "WIKI, adjusted prices": Oracle("Quandl WIKI by zipline-reloaded, 2014: AAPL, MSFT", APACHE),
    "Leverage brackets": Oracle("freqtrade, binance_leverage_tiers.json, 349 perpetuals", FREQTRADE),
    "Pools: contracts": Oracle("Uniswap v3-core, SwapMath.spec.ts and TickMath", "BUSL-1.1, GPL-2.0 since 2023"),
    "Pools: what a pool did": Oracle(
        "zelos-alpha/demeter, USDC/WETH on Polygon, 2023-08-13 to 17, minutes: 96 % to 1e-6, all to 2e-4", MIT
    ),
    "Tax: IRS": Oracle("Publication 550, example of first in, first out", "US government work"),
    "Tax: HMRC": Oracle("Helpsheet 284, example 3", "Open Government Licence 3.0"),
    "Almgren and Chriss": Oracle("Optimal execution of portfolio transactions (2000)", "a paper"),
    "DROP": Oracle("lakshmiDRIP/DROP, AlmgrenChriss", APACHE),
    "Random123": Oracle("Random123 1.14, kat_vectors, philox4x32-10", BSD),
    "exchange_calendars": Oracle("exchange_calendars 4, schedules of New York, on SPY in hours of LEAN", APACHE),
    "pandas": Oracle("rolling windows and ewm; metrics of the curve", BSD),
    "SciPy": Oracle(
        "optimize.minimize; integrate.quad; special.ndtri; stats.skew, kurtosis, chi2, binom, genpareto, "
        "multivariate_normal, sobol_indices; quantiles",
        BSD,
    ),
    "PerformanceAnalytics": Oracle("R PerformanceAnalytics 2.1.0 on Bacon, managers and edhec", "GPL-2.0 or GPL-3.0"),
    "statsmodels": Oracle(
        "statsmodels 0.14 and later: OLS with HAC errors and its predictions, lowess, het_arch, one regression a time; "
        "filters and likelihoods of Markov switching",
        BSD,
    ),
    "Nile": Oracle(
        "Cobb (1978); strucchange, breakpoints(Nile ~ 1), from 0 to 5 breaks; Durbin and Koopman (2012), local level",
        "GPL-2.0 or GPL-3.0; a book",
    ),
    "Hamilton": Oracle(
        "Hamilton (1989), quarterly GNP; Kim and Nelson (1999), page 78; the manual of Stata, mswitch", "papers, a book"
    ),
    "river": Oracle("river 0.26.1, examples of ADWIN and PageHinkley", BSD),
    "Brinson": Oracle("Bacon, Practical portfolio performance measurement and attribution (2008), chapter 5", "a book"),
    "Implementation shortfall, worked": Oracle(
        "examples with numbers, from decision to end: of the CFA curriculum and its exam of 2000, Gaodun, Stalla, "
        "Bloomberg, AcadiFi",
        "facts",
    ),
    "The engine's own books": Oracle("equity, fees, slippage and makers' fees of a run against its orders", BSD),
    "Drawdowns that others got wrong": Oracle("issues of quantstats, pyfolio and ml4t, by hand", BSD),
    "Backtests of value at risk": Oracle(
        "Kupiec (1995), table; Jorion, Value at Risk, chapter 6; BCBS (1996), table 2", "papers, a book"
    ),
    "R pbo": Oracle("mrbcuda/pbo, every split; Bailey et al. (2016) where that differs", MIT),
    "Purged cross-validation": Oracle(
        "López de Prado (2018), chapter 12; skfolio, documentation; issues of mlfinlab, openquant and others, by hand",
        "a book; BSD-3-Clause",
    ),
    "Kelly": Oracle("Kelly (1956); Thorp (2006)", "papers"),
    "Sharpe ratios, papers": Oracle(
        "Bailey and López de Prado (2012, 2014); Bailey et al. (2014); López de Prado, Lipton and Zoonekynd (2025)",
        "papers",
    ),
    "Harvey and Liu": Oracle("Evaluating trading strategies (2014), six p-values", "a paper"),
    "Bootstrap, arch and Hansen": Oracle(
        "arch 8.0, SPA, on given draws; Hansen (2005); Politis and Romano (1994), lemma 1", "NCSA; papers"
    ),
    "Classical tests": Oracle("Student (1908), sleep; Scholz and Stephens (1987); tests of SciPy", f"papers, {BSD}"),
    "Model confidence set": Oracle("arch 8.0, MCS, on given draws", "NCSA"),
    "Effective number of trials": Oracle(
        "Roy and Vetterli (2007), program of zoonek; Bailey and López de Prado (2014), A.3", "papers"
    ),
    "Crises of the S&P 500": Oracle("daily closes as skfolio has them, from peak to trough and of single days", BSD),
    "Politis and White": Oracle("arch 8.0, optimal_block_length; their program, by arch's tests", "NCSA"),
    "Ishigami": Oracle("Ishigami and Homma (1990), Sobol indices in closed form; Saltelli et al. (2008)", "papers"),
    "Option prices": Oracle(
        "Fang and Oosterlee (2008); d'Halluin, Forsyth and Vetzal (2005); Kou (2002); Black and Scholes (1973)",
        "papers",
    ),
    "Laws of returns": Oracle(
        "scipy's stable and t laws and its fit of a t; arch's SkewStudent; McCulloch (1986), table III; Lilliefors "
        "(1967) and Stephens (1986), critical values of fitted normal laws",
        f"{BSD}, NCSA, papers",
    ),
    "Copulas, closed forms": Oracle("McNeil, Frey and Embrechts (2005), table 5.1; Nelsen (2006)", "books"),
}
HEAD = """# Conformance

What kernelkit is compared with, beyond tests of its own. `make conformance` runs the comparisons and writes this page.
Numbers only were taken from others, no code and no test tables. A case is one answer that is compared: a vector, a
whole run, a payment, a random example. Letters with numbers are [rules](rules.md).

| Oracle | Source | Licence | Covers | Cases | Passed |
|---|---|---|---|---:|---:|
"""
RULE = re.compile(r"([A-Z])(\d+)(-[A-Z]\d+)?$")
ASKED: pytest.StashKey[dict[str, Row]] = pytest.StashKey()


@dataclass
class Row:
    """What is known of one oracle: rules covered, cases by test, tests that passed, and what is not asked."""

    covers: set[str] = field(default_factory=set)
    cases: dict[str, int] = field(default_factory=dict)
    passed: set[str] = field(default_factory=set)
    skipped: set[str] = field(default_factory=set)
    left_out: dict[str, str] = field(default_factory=dict)

    def add(self, test: str, covers: str, cases: int = 1, left_out: Mapping[str, str] | None = None) -> None:
        """Count a test in."""
        self.covers |= set(covers.split(", "))
        self.cases[test] = cases
        self.left_out |= left_out or {}


def rows(items: Iterable[pytest.Item]) -> dict[str, Row]:
    """The marks of these tests by oracle, in the order of `ORACLES`. Raises UsageError for an oracle not listed."""
    found = {name: Row() for name in ORACLES}
    for item in items:
        for mark in item.iter_markers("oracle"):
            (name,) = mark.args
            if name not in found:
                raise pytest.UsageError(f"{item.nodeid}: the oracle {name!r} is not listed in tests/oracles.py")
            found[name].add(item.nodeid, **mark.kwargs)
    return found


def order(word: str) -> tuple[bool, str, int]:
    """Rules by letter and number, then whatever else is covered."""
    rule = RULE.match(word)
    return (False, rule[1], int(rule[2])) if rule else (True, word, 0)


def page(found: Mapping[str, Row], ran: bool = True) -> str:
    """The page as it is written; with `--collect-only` nothing has passed, which is not to say that it failed."""
    lines = []
    for name, row in found.items():
        cases = f"{sum(row.cases.values()):,}"
        passed = f"{sum(row.cases[test] for test in row.passed):,}" if ran else "not run"
        about = ORACLES[name]
        covers = ", ".join(sorted(row.covers, key=order))
        lines.append(f"| {name} | {about.source} | {about.licence} | {covers} | {cases} | {passed} |")
    text = HEAD + "\n".join(lines) + "\n"
    for name, row in found.items():
        if row.left_out:
            text += f"\n## Not reproduced: {name.partition(':')[0]}\n\n{reasons(row.left_out)}"
    return text


def reasons(left_out: Mapping[str, str]) -> str:
    """A list of what is not asked, things with one reason in one line."""
    things: dict[str, list[str]] = {}
    for thing, why in left_out.items():
        things.setdefault(why, []).append(thing)
    return "".join(f"- {', '.join(names)}: {why}.\n" for why, names in things.items())


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--conformance", metavar="FILE", help="write the page of conformance into this file")


def pytest_collection_finish(session: pytest.Session) -> None:
    if not session.config.getoption("--conformance"):
        return
    found = rows(session.items)
    idle = [name for name, row in found.items() if not row.cases]
    if idle:
        raise pytest.UsageError(f"--conformance: no test here asks {', '.join(idle)}; run the whole folder tests")
    session.config.stash[ASKED] = found


class Watch:
    """Notes how the tests ended."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for row in self.config.stash.get(ASKED, {}).values():
            if report.nodeid in row.cases:
                if report.skipped:
                    row.skipped.add(report.nodeid)
                elif report.when == "call" and report.passed:
                    row.passed.add(report.nodeid)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Watch(config), "conformance")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """The page says what was found, also where a case failed; where one was skipped nothing is known."""
    found = session.config.stash.get(ASKED, {})
    skipped = sorted({test for row in found.values() for test in row.skipped})
    if skipped:
        raise pytest.UsageError(f"--conformance: {len(skipped)} tests were skipped, the first is {skipped[0]}")
    if found:
        path = session.config.invocation_params.dir / session.config.getoption("--conformance")
        write(path, page(found, not session.config.getoption("--collect-only")))
