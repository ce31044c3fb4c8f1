"""The folder of market data and conformance vectors beside the checkout, where it is there."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

VARIABLE = "KERNELKIT_MARKET_DATA"


@pytest.fixture(scope="session")
def shared() -> Callable[[str], Path]:
    """A function that finds a file in the folder above $KERNELKIT_MARKET_DATA, else in shared beside the checkout."""
    named = os.environ.get(VARIABLE)
    folder = Path(named).parent if named else Path(__file__).resolve().parents[3] / "shared"

    def find(name: str) -> Path:
        path = folder / name
        if not path.exists():
            pytest.skip(f"no {name} in {folder}; set {VARIABLE} to the data folder beside conformance/")
        return path

    return find


@pytest.fixture(scope="session")
def vectors(shared: Callable[[str], Path]) -> dict[str, Any]:
    """The conformance vectors by id."""
    return {v["id"]: v for v in json.loads(shared("conformance/vectors.json").read_text())}


@pytest.fixture(scope="session")
def fixture(shared: Callable[[str], Path]) -> Callable[[str], Any]:
    """Numbers to be met, by the name of their file."""
    return lambda name: json.loads(shared(f"fixtures/{name}.json").read_text())


@pytest.fixture(scope="session")
def series(fixture: Callable[[str], Any]) -> Mapping[str, np.ndarray]:
    """Monthly returns that the cases of PerformanceAnalytics refer to."""
    return {name: np.array(values) for name, values in fixture("series_returns").items()}


@pytest.fixture(autouse=True)
def own_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials of tests are recorded in a folder of their own."""
    (tmp_path / ".kernelkit").mkdir()
    monkeypatch.chdir(tmp_path)
