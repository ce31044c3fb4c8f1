"""What a package offers: a distribution on the path, as pip would have laid it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import kernelkit as kk
from kernelkit import offers

MODULE = '''
import numpy as np
import pandas as pd
import kernelkit as kk

@kk.strategy
def house(ctx, n=50):
    ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else 0.0)

def season(bars):
    times = bars.indexes["time"]
    return {"series": pd.Series(np.where(times.month < 7, 1.0, 0.0), times), "known_at": "0s"}

def silent(bars):
    return [1.0]

def mandate(leverage=1.0):
    return kk.Limits(leverage=leverage, short=False)

class Down:
    """From the top of each axis downwards."""

    def __init__(self, space, seed):
        self.space, self.k, self.heard = space, 0, []

    def ask(self, n):
        points = [{name: axis.values[-1 - self.k - i] for name, axis in self.space.items()} for i in range(n)]
        self.k += n
        return points

    def tell(self, points, values):
        self.heard.append(values)
        Down.last = self

class Off(Down):
    def ask(self, n):
        return [{name: 1000 for name in self.space}]

class Mute:
    def __init__(self, space, seed):
        pass
'''
POINTS = """
[kernelkit.strategies]
house = houseware:house
[kernelkit.features]
season = houseware:season
silent = houseware:silent
[kernelkit.limits]
mandate = houseware:mandate
broken = houseware:nothing
[kernelkit.searchers]
down = houseware:Down
off = houseware:Off
mute = houseware:Mute
"""
BARS = kk.data.load("sp500_index").isel(time=slice(0, 700))


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "houseware.py").write_text(MODULE)
    info = tmp_path / "houseware-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: houseware\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(POINTS)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("houseware", None)


def test_a_package_offers_a_strategy(installed):
    assert "house" in kk.strategies.names()
    assert kk.strategies.find("house").defaults == {"n": 50}


def test_a_package_offers_a_feature(installed):
    bars = kk.feature(BARS, "season")
    months = BARS.indexes["time"].month
    assert bars["x.season"].values[:, 0].tolist() == np.where(months < 7, 1.0, 0.0).tolist()
    with pytest.raises(kk.errors.DataError, match=r"feature 'silent' .*houseware:silent of houseware.*found list"):
        kk.feature(BARS, "silent")
    with pytest.raises(kk.errors.UsageError, match="Did you mean season"):
        kk.feature(BARS, "seasons")


def test_a_package_offers_limits(installed):
    assert kk.limits.find("mandate", leverage=2.0) == kk.Limits(leverage=2.0, short=False)
    with pytest.raises(kk.errors.UsageError, match="AttributeError"):
        kk.limits.find("broken")
    with pytest.raises(kk.errors.UsageError, match="wanted one of broken, mandate"):
        kk.limits.find("other")


def test_a_package_offers_a_searcher(installed):
    space = {"n": kk.integer(20, 100)}
    found = kk.search(BARS, kk.strategies.find("house"), space, method="down", n=6, batch=2, seed=1)
    assert found["n"].values.tolist() == [100, 99, 98, 97, 96, 95]
    assert found.attrs["method"] == "down"
    heard = np.concatenate(sys.modules["houseware"].Down.last.heard)[:, 0]
    assert heard.tolist() == found["sharpe_ratio"].values[: len(heard)].tolist()


def test_what_where_excludes_is_told_as_the_worst(installed):
    space = {"n": kk.integer(20, 100)}
    found = kk.search(BARS, kk.strategies.find("house"), space, method="down", n=3, batch=3, where="n < 99")
    assert found["n"].values.tolist() == [98, 97, 96]
    heard = np.concatenate(sys.modules["houseware"].Down.last.heard)[:, 0]
    assert np.isfinite(heard).sum() == len(heard) or heard[0] == heard.min()


def test_a_searcher_is_held_to_its_space(installed):
    space, house = {"n": kk.integer(20, 100)}, kk.strategies.find("house")
    with pytest.raises(
        kk.errors.UsageError, match=r"n \(entry point houseware:Off.*found 1000, wanted one of its values"
    ):
        kk.search(BARS, house, space, method="off", n=3)
    with pytest.raises(kk.errors.UsageError, match="wanted an object with ask and tell"):
        kk.search(BARS, house, space, method="mute", n=3)
    with pytest.raises(kk.errors.UsageError, match=r"searcher: found 'dwn'.*Did you mean down"):
        kk.search(BARS, house, space, method="dwn", n=3)


def test_walk_forward_takes_a_packages_searcher(installed):
    space = {"n": kk.integer(20, 60)}
    study = kk.walk_forward(
        BARS, kk.strategies.find("house"), searcher=kk.searcher("down", space, n=4), train=300, test=100
    )
    assert set(study["n"].values.tolist()) <= {57, 58, 59, 60}


def test_two_packages_of_one_name_are_told(installed):
    info = installed / "other-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[kernelkit.limits]\nmandate = houseware:Down\n")
    with pytest.raises(kk.errors.UsageError, match=r"houseware:Down of other and .*houseware:mandate of houseware"):
        offers.load("limits", "mandate")
