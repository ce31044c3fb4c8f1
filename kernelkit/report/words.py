"""Names and numbers of a result as a person reads them; the Lab extension writes them the same way."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

PERCENT = ("total_return", "cagr", "volatility", "max_drawdown", "win_rate", "exposure")
RATIO = ("sharpe_ratio", "sortino_ratio", "calmar_ratio", "profit_factor", "turnover")
COUNT = ("n_fills", "n_trades", "max_drawdown_duration", "folds")
MONEY = ("fees", "final_equity")
_LABELS = {
    "cagr": "CAGR",
    "n_fills": "Fills",
    "n_trades": "Trades",
    "max_drawdown_duration": "Longest drawdown (days)",
}
_SAMPLES = {"oos_": "out of sample", "is_": "in sample"}
DASH = "–"


def label(metric: str) -> str:
    """A metric's name in words.

    >>> label("sharpe_ratio"), label("n_trades"), label("oos_cagr")
    ('Sharpe ratio', 'Trades', 'CAGR, out of sample')
    """
    for start, end in _SAMPLES.items():
        if metric.startswith(start):
            return f"{label(metric.removeprefix(start))}, {end}"
    return _LABELS.get(metric, metric.replace("_", " ").capitalize())


def number(metric: str, value: float | None) -> str:
    """A metric's value in the unit of its kind, which its name ends with; what is missing is a dash.

    >>> number("oos_max_drawdown", 0.3261), number("sharpe_ratio", -0.5), number("final_equity", 3247001.2)
    ('32.6 %', '−0.50', '3,247,001')
    """
    if value is None or not math.isfinite(value):
        return DASH
    unit = kind(metric)
    if unit == "percent":
        return _signed(f"{100 * value:,.1f} %")
    if unit == "count" or (unit == "money" and abs(value) >= 1000):
        return _signed(f"{value:,.0f}")
    return _signed(f"{value:,.2f}")


def kind(metric: str) -> str:
    """How a metric's values are written, by how its name ends: as "percent", "count", "money" or "ratio".

    >>> kind("oos_cagr"), kind("n_trades"), kind("final_equity"), kind("anything")
    ('percent', 'count', 'money', 'ratio')
    """
    kinds = {"percent": PERCENT, "count": COUNT, "money": MONEY}
    return next((name for name, metrics in kinds.items() if _is(metric, metrics)), "ratio")


def _is(metric: str, kind: Sequence[str]) -> bool:
    return any(metric == name or metric.endswith(f"_{name}") for name in kind)


def size(count: float) -> str:
    """So many bytes.

    >>> size(1_234_000_000), size(87_600_000)
    ('1.2 GB', '88 MB')
    """
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def known(metric: str) -> bool:
    """Whether the unit of a metric shows in its name.

    >>> known("oos_sharpe_ratio"), known("efficiency")
    (True, False)
    """
    return _is(metric, (*PERCENT, *RATIO, *COUNT, *MONEY))


def _signed(text: str) -> str:
    return text.replace("-", "−")


def compact(value: float) -> str:
    """A number for an axis: four significant digits, thousands as k, M, G.

    >>> compact(1_500_000.0), compact(800_000.0), compact(0.25)
    ('1.5M', '800k', '0.25')
    """
    for scale, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= (1e4 if suffix == "k" else scale):
            return _signed(f"{value / scale:.4g}{suffix}")
    return _signed(f"{value:.4g}")


def value(one: Any) -> str:
    """A label or a parameter as a list or a slider shows it.

    >>> value(0.1 + 0.2), value("calm"), value(20)
    ('0.3', 'calm', '20')
    """
    return f"{one:g}" if isinstance(one, float) else str(one)


def params(values: Mapping[str, Any]) -> str:
    """Parameters in one line.

    >>> params({"fast": 20, "rate": 0.1})
    'fast=20, rate=0.1'
    """
    return ", ".join(f"{name}={value}" for name, value in values.items())


def title(payload: Mapping[str, Any]) -> str:
    """The result's name, and the strategy where it is called otherwise.

    >>> title({"name": "trend", "strategy": "sma_cross"}), title({"name": "hold", "strategy": "hold"})
    ('trend: sma_cross', 'hold')
    """
    name, strategy = payload["name"], payload["strategy"]
    return name if name == strategy else f"{name}: {strategy}"


def trials(payload: Mapping[str, Any]) -> str:
    """How many trials a result holds, and along which axes.

    >>> trials({"n_trials": 80, "dims": {"fast": [1] * 10, "slow": [1] * 8}})
    '80 trials (10 fast × 8 slow)'
    """
    n = payload["n_trials"]
    sizes = [f"{len(labels):,} {dim}" for dim, labels in payload["dims"].items()]
    axes = f" ({' × '.join(sizes)})" if sizes else ""
    return f"{n:,} {'trial' if n == 1 else 'trials'}{axes}"


def chosen(payload: Mapping[str, Any]) -> str:
    """Which trial is shown, and that it was picked in sample; nothing where there was nothing to pick or to bind."""
    values, n = params(payload["best"]["params"]), payload["n_trials"]
    if n < 2:
        return values
    if payload["best"]["metrics"].get("sharpe_ratio") is None:
        return f"{values} is the first of {n:,} trials; none has a Sharpe ratio."
    return (
        f"{values} has the highest Sharpe ratio of {n:,} trials. It was selected in-sample, on the very data it is "
        "shown on: part of what it shows is luck."
    )


def costs(payload: Mapping[str, Any]) -> str:
    """What trading costs, loud where it costs nothing.

    >>> costs({"costs": "none"})
    'COSTS: NONE'
    """
    return "COSTS: NONE" if payload["costs"] == "none" else f"costs: {payload['costs']}"
