"""How the benchmarks run: small by default; at full size with ``--table README.md``, which writes the table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.bench import table
from tests.bench.pair import Pair, Timed, in_turns, quietest
from tests.bench.series import MILLION, Series, fresh, random_walk
from tests.bench.targets import TARGETS

FOUND: pytest.StashKey[dict[str, table.Found]] = pytest.StashKey()


@dataclass(frozen=True)
class Size:
    """How much is measured: series of a million bars, rounds, step through the sweep, bars for memory, processes."""

    series: int
    rounds: int
    every: int
    memory_bars: int
    starts: int


QUICK = Size(series=2, rounds=7, every=10, memory_bars=100_000, starts=2)
FULL = Size(series=4, rounds=9, every=1, memory_bars=MILLION, starts=6)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--table", metavar="FILE", help="measure at full size and write the table of speeds into this file"
    )
    parser.addoption("--clone", action="store_true", help="also time make in a fresh clone, packages downloaded anew")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FOUND] = {}
    config.addinivalue_line("markers", "bench: measures speed or memory beside a yardstick of the same run")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if {"compare", "hold", "note"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("bench")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """The table tells what was found, also where a target is missed."""
    file, found = session.config.getoption("--table"), session.config.stash[FOUND]
    if file and found:
        path = session.config.invocation_params.dir / file
        page = path.read_text() if path.exists() else ""
        table.write(path, table.replaced(page, table.text(found)))


@pytest.fixture(autouse=True, scope="session")
def own_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The ledger of these trials stays out of the project's."""
    folder = tmp_path_factory.mktemp("ledger")
    (folder / ".kernelkit").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield


@pytest.fixture(scope="session")
def size(pytestconfig: pytest.Config) -> Size:
    return FULL if pytestconfig.getoption("--table") else QUICK


@pytest.fixture(scope="session")
def base() -> Series:
    """The series whose results are known to the last digit."""
    return random_walk(MILLION)


@pytest.fixture(scope="session")
def many(size: Size) -> list[Series]:
    """Several series: one alone would teach the branch predictor its every turn."""
    return fresh(size.series, MILLION)


@pytest.fixture
def note(pytestconfig: pytest.Config) -> Callable[..., None]:
    """note(name, ratio, measured, yardstick): what was found for a row of the table."""

    def keep(name: str, ratio: float, measured: str, yardstick: str = "") -> None:
        pytestconfig.stash[FOUND][name] = table.Found(ratio, measured, yardstick)

    return keep


@pytest.fixture
def hold(note: Callable[..., None]) -> Callable[..., None]:
    """As `note`, and too much fails."""

    def check(name: str, ratio: float, measured: str, yardstick: str = "") -> None:
        note(name, ratio, measured, yardstick)
        target = TARGETS[name]
        assert ratio <= target.allowed, f"{ratio:.2f}x {target.yardstick}, at most {target.allowed:.2f}x is allowed"

    return check


@pytest.fixture
def compare(benchmark: Any, size: Size) -> Callable[..., Pair]:
    """compare(name, ours, yardstick, items): CPU seconds of both in turns; pytest-benchmark shows ours."""

    def run(name: str, ours: Callable[[], object], yardstick: Callable[[], object], items: int) -> Pair:
        a, b = Timed(ours, time.process_time), Timed(yardstick, time.process_time)
        benchmark.pedantic(a, setup=b, rounds=size.rounds)

        def again() -> Pair:
            return in_turns(ours, yardstick, time.process_time, size.rounds)

        pair = quietest(Pair(a.seconds, b.seconds), again, TARGETS[name].allowed)
        benchmark.extra_info["ratio"] = pair.ratio
        return replace(pair, items=items)

    return run
