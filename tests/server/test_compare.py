"""Runs side by side, as Lab asks for them: two small results that are really kept."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from kernelkit.batch import context, runs

STORE = f"{context.MAIN}{context.SUFFIX}"


def keep_run(root: Path, run_id: str, seed: int | None = 0, mean: float = 0.0, **fields: object) -> None:
    """A run with 500 sessions of a made-up curve; without a seed it keeps no result."""
    folder = root / "runs" / run_id
    folder.mkdir(parents=True)
    store = None if seed is None else STORE
    run = runs.Run(**{"id": run_id, "name": run_id, "template": "t", "status": "done", "store": store, **fields})
    (folder / runs.FILE).write_text(json.dumps(run.to_json()))
    if seed is not None:
        keep_curve(folder, np.random.default_rng(seed).normal(mean, 0.01, 500))


def keep_curve(folder: Path, returns: np.ndarray) -> None:
    time = np.busday_offset("2020-01-01", np.arange(len(returns)), roll="forward").astype("M8[ns]")
    session = ("time", time.astype("M8[D]").astype("i8"))
    attrs = {"periods_per_year": 252.0}
    curve = xr.DataArray(1e6 * np.cumprod(1.0 + returns), {"time": time, "session": session}, "time", attrs=attrs)
    xr.Dataset({"equity": curve}).to_zarr(folder / STORE, consolidated=False)


async def test_compare__puts_runs_side_by_side(get, jp_root_dir):
    keep_run(jp_root_dir, "a-1", 1, 0.002, parameters={"n": 1}, metrics={"sharpe_ratio": 3.0})
    keep_run(jp_root_dir, "a-2", 2, 0.0, parameters={"n": 2}, metrics={"sharpe_ratio": 0.1})
    keep_run(jp_root_dir, "a-3", None, parameters={"n": 3}, metrics={"sharpe_ratio": None})
    found = await get("compare", query=[("ids", "a-1"), ("ids", "a-2"), ("ids", "a-3")])
    assert [run["parameters"] for run in found["runs"]] == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert found["best"] == {"sharpe_ratio": [0]}
    assert [curve["reason"] is None for curve in found["curves"]] == [True, True, False]
    assert [curve["sample"] for curve in found["curves"]] == ["in sample", "in sample", None]
    assert "a-3 kept no result" in found["curves"][2]["reason"]
    common = found["common"]
    assert (common["ids"], common["sessions"]) == (["a-1", "a-2"], 499)
    sharpe = common["tests"][0]
    assert sharpe["difference"][0][1] == -sharpe["difference"][1][0] > 0.0
    assert sharpe["adjusted"][0][1] < 0.05
    assert sharpe["adjusted"][0][0] is None


async def test_compare__does_not_hold_up_the_server(get, jp_root_dir):
    keep_run(jp_root_dir, "a-1", 1)
    keep_run(jp_root_dir, "a-2", 2)
    coming = asyncio.ensure_future(get("compare", query=[("ids", "a-1"), ("ids", "a-2")]))
    answers = 0
    while not coming.done():
        await get("runs")
        answers += 1
        await asyncio.sleep(0.02)
    assert (await coming)["common"]["sessions"] == 499
    assert answers > 3  # one after the other it would be one


@pytest.mark.parametrize("run_id", ["..", "../runs", "/etc", ".", "a/b", "a%2-1"])
async def test_compare__an_id_that_is_a_path(refusal, jp_root_dir, run_id):
    keep_run(jp_root_dir, "a-1", None)
    code, said = await refusal("compare", query=[("ids", "a-1"), ("ids", run_id)])
    assert code == 404
    assert repr(run_id) in said or "no run.json" in said


@pytest.mark.parametrize(("times", "said"), [(0, "found 0, wanted 2 to 20"), (2, "found 1")])
async def test_compare__too_few(refusal, jp_root_dir, times, said):
    keep_run(jp_root_dir, "a-1", None)
    assert said in (await refusal("compare", query=times * [("ids", "a-1")]))[1]


async def test_compare__unknown_ids(refusal, jp_root_dir):
    keep_run(jp_root_dir, "a-1", None)
    code, said = await refusal("compare", query=[("ids", "a-1"), ("ids", "a-9")])
    assert code == 404
    assert "a-9: no run.json here" in said


async def test_compare__a_copy_of_a_run_is_another_one(get, jp_root_dir):
    keep_run(jp_root_dir, "a-1", 1, 0.002)
    shutil.copytree(jp_root_dir / "runs" / "a-1", jp_root_dir / "runs" / "a-1-copy")
    found = await get("compare", query=[("ids", "a-1"), ("ids", "a-1-copy")])
    assert [run["id"] for run in found["runs"]] == ["a-1", "a-1-copy"]
    assert found["common"]["ids"] == ["a-1", "a-1-copy"]
