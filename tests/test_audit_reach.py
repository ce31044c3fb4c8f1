"""What a function can reach besides its arguments is cut, made wrong, searched or named; the harmless is not named."""

from __future__ import annotations

import importlib
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import kernelkit as kk

WHOLE = kk.data.load("sp500_index").isel(time=slice(0, 800))
CLOSE = WHOLE["close"].to_pandas().iloc[:, 0]
MEAN = float(CLOSE.mean())
CUTS = 6


@pytest.fixture(autouse=True)
def own_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".kernelkit").mkdir()
    monkeypatch.chdir(tmp_path)


def column(ds: xr.Dataset, values: Any) -> dict[str, np.ndarray]:
    return {"position": np.asarray(values)[: ds.sizes["time"]]}


def above(ds: xr.Dataset, level: Any) -> dict[str, np.ndarray]:
    return column(ds, (ds["close"].values[:, 0] > level) * 1.0)


# Classes and objects


class Settings:
    """What somebody computed before, as attributes."""

    n = 20
    level = MEAN
    ahead = CLOSE.shift(-1)
    remembered: ClassVar[dict[str, float]] = {}


class Remembers:
    """Keeps what it saw first."""

    seen: ClassVar[dict[str, float]] = {}
    kept: float | None = None

    @classmethod
    def mean(cls, ds: xr.Dataset) -> float:
        return cls.seen.setdefault("mean", float(ds["close"].mean()))

    @classmethod
    def replaced(cls, ds: xr.Dataset) -> float:
        if cls.kept is None:
            cls.kept = float(ds["close"].mean())
        return cls.kept


class Scaler:
    """A model: fitted once, asked often."""

    def __init__(self) -> None:
        self.center = 0.0

    def fit(self, x: Any) -> Scaler:
        self.center = float(np.mean(x))
        return self

    def __call__(self, ds: xr.Dataset) -> dict[str, np.ndarray]:
        return above(ds, self.center)

    def run(self, ds: xr.Dataset) -> dict[str, np.ndarray]:
        if self.center == 0.0:
            self.fit(ds["close"].values)
        return self(ds)


class Fixed(NamedTuple):
    """Cannot be made anew."""

    n: int = 20
    memory: dict[str, float] = {}  # noqa: RUF012


def by_level(ds):
    return above(ds, Settings.level)


def by_series(ds):
    return column(ds, Settings.ahead.iloc[: ds.sizes["time"]].to_numpy() > ds["close"].values[:, 0])


def by_class_memory(ds):
    return above(ds, Remembers.mean(ds))


def by_class_attribute(ds):
    return above(ds, Remembers.replaced(ds))


def by_function_attribute(ds):
    by_function_attribute.__dict__.setdefault("mean", float(ds["close"].mean()))
    return above(ds, by_function_attribute.mean)


def by_list_of_functions(ds):
    return above(ds, STEPS[0](ds))


def first_mean(ds: xr.Dataset, memory: list[float] = []) -> float:  # noqa: B006
    memory or memory.append(float(ds["close"].mean()))
    return memory[0]


STEPS = [first_mean]
LEAKS: dict[str, Callable[..., Any]] = {
    "number of a class": by_level,
    "series of a class": by_series,
    "dict of a class": by_class_memory,
    "attribute set on a class": by_class_attribute,
    "attribute set on a function": by_function_attribute,
    "default of a function in a list": by_list_of_functions,
    "number of an object": Scaler().fit(CLOSE),
    "method of a fitted object": Scaler().fit(CLOSE).run,
    "method of an object that fits once": Scaler().run,
}


@pytest.mark.parametrize("name", LEAKS)
def test_audit__finds_what_classes_and_objects_hold(name: str) -> None:
    report = kk.audit(WHOLE, LEAKS[name], cuts=CUTS)
    assert not report.blind, report
    assert Remembers.seen == {}
    assert Remembers.kept is None
    assert "mean" not in vars(by_function_attribute)
    assert first_mean.__defaults__ == ([],)


def test_audit__names_the_attribute_that_is_a_statistic() -> None:
    leaks = kk.audit(WHOLE, by_level, cuts=1).leaks
    assert [(r.variable, r.what) for r in leaks.itertuples()] == [
        ("Settings.level", "it is the mean of close over the whole series")
    ]


class Side(Enum):
    LONG = 1.0
    FLAT = 0.0


@dataclass
class Rule:
    """Typed settings, and what it makes of its arguments."""

    n: int = 20
    weight: float = 0.5
    names: list[str] = field(default_factory=list)
    labels: ClassVar[dict[str, int]] = {"a": 1}

    @property
    def half(self) -> int:
        return self.n // 2

    @cached_property
    def third(self) -> int:
        return self.n // 3

    @staticmethod
    def mean(close: pd.Series, n: int) -> pd.Series:
        return close.rolling(n).mean()

    def run(self, ds: xr.Dataset) -> dict[str, Any]:
        close = ds["close"].to_pandas().iloc[:, 0]
        rule = Rule(n=self.n)
        long = close > rule.mean(close, self.half + rule.third)
        return {"position": np.where(long, Side.LONG.value, Side.FLAT.value) * self.weight}


class Child(Rule):
    """Calls its parent."""

    def run(self, ds: xr.Dataset) -> dict[str, Any]:
        return super().run(ds)


class Key:
    """Told by what it is."""


RULE, KEY = Rule(10), Key()
BY_FUNCTION, BY_OBJECT, OBJECTS = {first_mean: 1.0}, {KEY: 2.0, (KEY, "a"): 3.0}, {KEY}


def with_rule(ds):
    return Rule(Settings.n).run(ds) | {"same": isinstance(RULE, Rule) * ds["close"].values[:, 0]}


def with_keys(ds):
    known = BY_OBJECT[KEY] + BY_OBJECT[KEY, "a"] + BY_FUNCTION[first_mean] + (KEY in OBJECTS)
    return {"position": ds["close"].values[:, 0] > known}


HONEST = {"object": Rule().run, "subclass": Child(12).run, "global": RULE.run, "function": with_rule, "keys": with_keys}


@pytest.mark.parametrize("honest", HONEST.values(), ids=HONEST)
def test_audit__honest_classes_are_silent(honest: Callable[..., Any]) -> None:
    report = kk.audit(WHOLE, honest, cuts=CUTS)
    assert report.blind, report
    assert report.assumed == ()


def test_audit__a_class_that_cannot_be_made_anew_is_named() -> None:
    memory = Fixed.memory if isinstance(Fixed.memory, dict) else {}

    class Slotted:
        __slots__ = ("x",)
        seen: ClassVar[dict[str, float]] = memory

    def pipeline(ds):
        return above(ds, Slotted.seen.get("mean", 1200.0))

    report = kk.audit(WHOLE, pipeline, cuts=2)
    assert report.assumed == ("Slotted (captured by pipeline)",)


# Other modules

OTHER = """
from functools import cache
import numpy as np
import kernelkit as kk

whole = kk.data.load("sp500_index").isel(time=slice(0, 800))["close"].values[:, 0]
level = float(whole.mean())
typed = 1200.0
memory = {}
count = None

@cache
def cached():
    return float(whole.mean())

@cache
def first(n):
    return memory.setdefault("mean", n)

def remembered(ds):
    global count
    if count is None:
        count = float(ds["close"].mean())
    return count

def stored(ds):
    return memory.setdefault("mean", float(ds["close"].mean()))

def by_level(ds):
    return level

def ahead(ds):
    return np.append(whole[1:], np.nan)[: ds.sizes["time"]]

def average(ds, n=20):
    close = ds["close"].to_pandas().iloc[:, 0]
    return close.rolling(n).mean().to_numpy()

def threshold(ds):
    return typed
"""


@pytest.fixture
def other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A package of the user's with a module in it."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "__init__.py").write_text("")
    (tmp_path / "mine" / "helpers.py").write_text(OTHER)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("mine.helpers")
    for name in ("mine", "mine.helpers"):
        sys.modules.pop(name)


def through_module(module: ModuleType, name: str) -> Callable[..., Any]:
    functions = {
        "cached": lambda ds: above(ds, module.cached()),
        "remembered": lambda ds: above(ds, module.remembered(ds)),
        "stored": lambda ds: above(ds, module.stored(ds)),
        "level": lambda ds: above(ds, module.level),
        "by_level": lambda ds: above(ds, module.by_level(ds)),
        "ahead": lambda ds: above(ds, module.ahead(ds)),
        "average": lambda ds: above(ds, module.average(ds)),
        "threshold": lambda ds: above(ds, module.threshold(ds)),
    }
    return functions[name]


def through_package(package: ModuleType, name: str) -> Callable[..., Any]:
    inner = through_module(package.helpers, name)
    functions = {
        "level": lambda ds: above(ds, package.helpers.level),
        "stored": lambda ds: above(ds, package.helpers.stored(ds)),
    }
    return functions.get(name, inner)


def through_function(module: ModuleType, name: str) -> Callable[..., Any]:
    function = getattr(module, name)
    if name == "level":
        return lambda ds: above(ds, function)
    return (lambda ds: above(ds, function())) if name == "cached" else lambda ds: above(ds, function(ds))


def imported_inside(module: ModuleType, name: str) -> Callable[..., Any]:
    def pipeline(ds):
        import mine.helpers as own

        if name == "level":
            return above(ds, own.level)
        return above(ds, own.cached() if name == "cached" else getattr(own, name)(ds))

    def stored(ds):
        from mine.helpers import stored as inner

        return above(ds, inner(ds))

    return stored if name == "stored" else pipeline


WAYS = [through_module, through_function]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["cached", "remembered", "stored", "level", "by_level", "ahead"])
def test_audit__follows_the_users_other_modules(other: ModuleType, way: Callable[..., Any], name: str) -> None:
    report = kk.audit(WHOLE, way(other, name), cuts=CUTS)
    assert not report.blind, report
    assert other.memory == {}
    assert other.count is None


@pytest.mark.parametrize("name", ["level", "stored"])
def test_audit__follows_packages_and_imports_inside(other: ModuleType, name: str) -> None:
    assert not kk.audit(WHOLE, through_package(sys.modules["mine"], name), cuts=CUTS).blind
    assert not kk.audit(WHOLE, imported_inside(other, name), cuts=CUTS).blind
    assert other.memory == {}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["average", "threshold"])
def test_audit__honest_modules_are_silent(other: ModuleType, way: Callable[..., Any], name: str) -> None:
    report = kk.audit(WHOLE, way(other, name), cuts=CUTS)
    assert report.blind, report
    assert report.assumed == ()


# Files


def reads_csv(ds):
    return above(ds, pd.read_csv("levels.csv", index_col=0)["level"].to_numpy()[: ds.sizes["time"]])


def reads_array(ds):
    return above(ds, np.load("levels.npy")[: ds.sizes["time"]])


def reads_text(ds):
    return above(ds, float(Path("level.txt").read_text()))


def reads_lines(ds):
    with open("level.txt") as file:  # noqa: PTH123
        return above(ds, float(file.read()))


def reads_parquet(ds):
    return above(ds, pd.read_parquet("levels.parquet")["level"].to_numpy()[: ds.sizes["time"]])


def reads_database(ds):
    with sqlite3.connect("levels.sqlite") as database:
        (level,) = database.execute("select 1200.0").fetchone()
    return above(ds, level)


def loads_bars(ds):
    whole = kk.data.load("sp500_index")["close"].values[:, 0]
    return above(ds, whole[1 : 1 + ds.sizes["time"]])


@kk.signal
def signal_that_reads(ds):
    return (ds["close"] > float(Path("level.txt").read_text())) * 1.0


FILES = [
    (reads_csv, "levels.csv"),
    (reads_array, "levels.npy"),
    (reads_text, "level.txt"),
    (reads_lines, "level.txt"),
    (reads_parquet, "what pd.read_parquet opens"),
    (reads_database, "database levels.sqlite"),
    (signal_that_reads, "level.txt"),
]


RISES = (np.diff(CLOSE.to_numpy(), append=np.nan) > 0.0).tolist()  # whether the bar after each one rises
BITS = sum(1 << k for k, up in enumerate(RISES) if up)


@kk.signal
def digits_of_a_number(ds: xr.Dataset) -> xr.DataArray:
    rises = [(BITS >> k) & 1 for k in range(ds.sizes["time"])]
    return ds["close"].isel(asset=0) * 0.0 + np.array(rises, "f8")


def test_audit__takes_a_number_of_many_digits_on_trust_as_a_list() -> None:
    report = kk.audit(WHOLE, digits_of_a_number, cuts=2)
    assert report.assumed == ("BITS (captured by digits_of_a_number)",)
    assert "but for what was taken on trust" in repr(report)


@pytest.mark.parametrize(("reading", "name"), FILES)
def test_audit__names_what_is_read_as_it_runs(reading: Callable[..., Any], name: str) -> None:
    frame = CLOSE.shift(-1).rename("level").to_frame()
    frame.to_csv("levels.csv")
    frame.to_parquet("levels.parquet")
    np.save("levels.npy", frame["level"].to_numpy())
    Path("level.txt").write_text("1200.0")
    report = kk.audit(WHOLE, reading, cuts=2)
    label = getattr(reading, "name", None) or reading.__name__
    assert report.assumed == (f"{name} (read by {label} as it runs)",)
    assert "but for what was taken on trust" in repr(report)


def test_audit__names_the_data_that_it_loads_anew() -> None:
    found = kk.audit(WHOLE, loads_bars, cuts=2).assumed
    assert len(found) == 1
    assert "sp500" in found[0]


def test_audit__what_the_engine_reads_is_not_named() -> None:
    """Nor what is written, or imported on the way."""

    @kk.strategy
    def trend(ctx, n=20):
        ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else 0.0)

    def pipeline(ds):
        import colorsys  # of Python, imported by nothing before

        Path("log.txt").write_text(str(colorsys))
        local = ds["close"].to_pandas().tz_localize("Pacific/Chatham")
        assert len(local) == ds.sizes["time"]
        return kk.backtest(ds, trend)

    assert kk.audit(WHOLE, pipeline, cuts=2).assumed == ()


# Parameters


def given_level(ds, levels):
    return column(ds, ds["close"].values[:, 0] > np.asarray(levels)[: ds.sizes["time"]])


def given_weights(ds, weights):
    close = ds["close"].to_pandas().iloc[:, 0]
    return {"position": close > sum(w * close.shift(k) for k, w in enumerate(weights))}


@kk.signal
def signal_given(ds, levels=None):
    return (ds["close"].values > np.asarray(levels)[: ds.sizes["time"], None]) * 1.0


Z = ((CLOSE - MEAN) / CLOSE.std()).to_numpy()
AHEAD = CLOSE.shift(-1).to_numpy()


@pytest.mark.parametrize(
    "ahead", [AHEAD, CLOSE.shift(-1), xr.DataArray(AHEAD, dims="time")], ids=["array", "series", "labelled"]
)
def test_audit__an_array_given_as_a_parameter_is_searched_and_named(ahead: Any) -> None:
    report = kk.audit(WHOLE, given_level, {"levels": ahead}, cuts=CUTS)
    assert set(report.leaks["variable"]) == {"params['levels']"}
    assert report.assumed == ("params['levels'] (given to given_level)",)
    report = kk.audit(WHOLE, signal_given, {"levels": kk.fixed(ahead)}, cuts=CUTS)
    assert set(report.leaks["variable"]) == {"params['levels']"}


def test_audit__an_array_given_that_is_used_early_is_cut_and_made_wrong() -> None:
    def early(ds, levels):
        return column(ds, ds["close"].values[:, 0] > pd.Series(levels).shift(-1).to_numpy()[: ds.sizes["time"]])

    honest = CLOSE.rolling(20).mean().to_numpy()
    report = kk.audit(WHOLE, early, {"levels": honest}, cuts=CUTS)
    assert {"truncation", "perturbation"} & set(report.leaks["kind"])
    report = kk.audit(WHOLE, given_level, {"levels": honest}, cuts=CUTS)
    assert report.blind
    assert report.assumed == ("params['levels'] (given to given_level)",)


def test_audit__coefficients_given_are_named_and_typed_ones_are_not() -> None:
    fitted = np.array([MEAN / 1500.0, CLOSE.std()])
    report = kk.audit(WHOLE, given_weights, {"weights": fitted}, cuts=2)
    assert [r.what for r in report.leaks.itertuples()] == [
        "it is the standard deviation of close over the whole series"
    ]
    assert all(a.startswith("params['weights']") for a in report.assumed)
    report = kk.audit(WHOLE, given_weights, {"weights": [0.5, 0.25, 0.25]}, cuts=2)
    assert report.blind
    assert report.assumed == ()


# What came with the bars


def by_z(ds):
    return column(ds, ds["z"].values.reshape(ds.sizes["time"], -1)[:, 0] > 0.0)


def by_x_z(ds):
    return column(ds, ds["x.z"].values[:, 0] > 0.0)


def moving(ds):
    close = ds["close"].to_pandas().iloc[:, 0]
    return {"position": close > close.rolling(20).mean()}


@kk.signal
def signal_by_z(ds):
    return (ds["z"] > 0.0) * 1.0


WITH_Z = {
    "variable": (WHOLE.assign(z=("time", Z)), by_z, "z"),
    "by asset": (WHOLE.assign(z=(("time", "asset"), Z[:, None])), signal_by_z, "z"),
    "feature by hand": (WHOLE.assign({"x.z": (("time", "asset"), Z[:, None])}), by_x_z, "x.z"),
    "coordinate": (WHOLE.assign_coords(z=("time", Z)), by_z, "z"),
}


@pytest.mark.parametrize("kind", WITH_Z)
def test_audit__columns_that_came_with_the_bars_are_searched_and_named(kind: str) -> None:
    bars, pipeline, name = WITH_Z[kind]
    report = kk.audit(bars, pipeline, cuts=CUTS)
    assert [(r.variable, r.kind) for r in report.leaks.itertuples()] == [(name, "column")]
    assert report.assumed == (f"{name} (no known_at)",)
    assert name in report.corrupted
    unread = kk.audit(bars, moving, cuts=2)
    assert unread.blind
    assert unread.assumed == ()


def test_verdict__tells_of_a_column_that_was_put_there_by_hand() -> None:
    @kk.signal
    def by_hand(ds):
        return (ds["x.z"] > 0.0) * 1.0

    bars = WITH_Z["feature by hand"][0]
    assert "x.z is taken on trust (no known_at)" in str(kk.verdict(kk.backtest(bars, by_hand)))


def test_audit__a_column_that_came_with_the_bars_and_is_used_early_is_cut() -> None:
    def next_z(ds):
        return column(ds, pd.Series(ds["z"].values).shift(-1).to_numpy())

    bars = WHOLE.assign(z=("time", np.random.default_rng(2).normal(size=800)))
    report = kk.audit(bars, next_z, cuts=CUTS)
    assert set(report.leaks["variable"]) == {"z"}
    assert kk.audit(bars, next_z, cuts=CUTS, at="open").leaks["variable"].unique().tolist() == ["z"]
    assert kk.audit(bars, by_z, cuts=CUTS).blind
    assert not kk.audit(bars, by_z, cuts=CUTS, at="open").blind


def test_audit__a_captured_copy_of_such_a_column_is_no_column_of_the_market() -> None:
    bars, copied = WITH_Z["variable"][0], Z.copy()

    def pipeline(ds):
        return column(ds, copied[: ds.sizes["time"]] > 0.0)

    report = kk.audit(bars, pipeline, cuts=2)
    assert set(report.leaks["variable"]) == {"copied"}


def test_audit__numbers_that_came_with_the_bars() -> None:
    def by_scalar(ds):
        return above(ds, float(ds["level"]))

    def by_attr(ds):
        return above(ds, ds.attrs["level"])

    report = kk.audit(WHOLE.assign(level=MEAN), by_scalar, cuts=2)
    assert set(report.leaks["variable"]) == {"bars['level']"}
    assert report.assumed == (f"bars['level'] = {MEAN:.6g} (it came with them)",)
    report = kk.audit(WHOLE.assign_attrs(level=MEAN), by_attr, cuts=2)
    assert set(report.leaks["variable"]) == {"bars.attrs['level']"}
    assert kk.audit(WHOLE.assign(level=1200.0).assign_attrs(level=1200.0), by_scalar, cuts=2).assumed == ()


# A known_at that is false


def lied(ds: xr.Dataset) -> xr.Dataset:
    """The next close, under a time of publication at which nobody knew it."""
    close = ds["close"].to_pandas().iloc[:, 0]
    return kk.feature(ds, "guess", close.shift(-1).ffill(), known_at=ds["known_at"].values)


def as_known(ds: xr.Dataset) -> xr.Dataset:
    close = ds["close"].to_pandas().iloc[:, 0]
    return kk.feature(ds, "guess", close.rolling(5).mean(), known_at=ds["known_at"].values)


@kk.strategy
def follower(ctx):
    if ctx.x.guess[0] > ctx.close[0]:
        ctx.target_percent(1.0)
    else:
        ctx.target_percent(0.0)


def test_audit__a_false_known_at_shows_where_it_is_made() -> None:
    report = kk.audit(WHOLE, follower, features=lied, cuts=CUTS)
    assert "close" in set(report.leaks["variable"])
    assert kk.audit(WHOLE, follower, features=as_known, cuts=CUTS).blind


def test_audit__a_known_at_that_was_made_before_is_searched() -> None:
    report = kk.audit(lied(WHOLE), follower, cuts=2)
    assert [(r.variable, r.kind) for r in report.leaks.itertuples()] == [("x.guess", "column")]
    assert report.assumed == ("x.guess (its known_at)",)


def test_audit__a_known_at_that_was_made_before_is_named_and_the_verdict_says_so() -> None:
    noise = pd.Series(np.random.default_rng(1).normal(1000.0, 100.0, 800), CLOSE.index)
    bars = kk.feature(WHOLE, "guess", noise, known_at=pd.Timedelta("1D"))
    honest = kk.audit(bars, follower, cuts=2)
    assert honest.blind
    assert honest.assumed == ("x.guess (its known_at)",)
    assert "its known_at" in str(kk.verdict(kk.backtest(bars, follower)))
