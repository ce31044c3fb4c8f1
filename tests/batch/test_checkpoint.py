from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernelkit.batch import context
from kernelkit.batch.checkpoint import CheckpointWarning, checkpoint


def json_values(infinity: bool) -> st.SearchStrategy[Any]:
    plain = st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=infinity) | st.text()
    return st.recursive(plain, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


def result() -> xr.Dataset:
    time = np.array(["2020-01-01", "2020-01-02", "NaT"], "M8[ns]")
    return xr.Dataset(
        {
            "equity": (("fast", "time"), np.array([[1.0, np.nan, -0.0], [2.0, np.inf, 3.0]]), {"units": "USD"}),
            "n_trades": ("fast", np.array([3, 2**62])),
            "ruined": ("fast", np.array([True, False])),
            "note": ("fast", np.array(["a", "längere Notiz"], dtype=object)),
            "seed": ((), np.uint32(7)),
        },
        coords={"fast": [5, 10], "time": time, "asset": "SPX", "age": ("time", np.array([1, 2, 3], "m8[ns]"))},
        attrs={"name": "x", "n": np.int64(3), "levels": [0.05, 0.01]},
    )


@pytest.fixture(params=["disk", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return checkpoint(tmp_path / "checkpoints" if request.param == "disk" else None)


def test_a_dataset_comes_back_identical(store: Any) -> None:
    store.put(["fold", 1], result())
    found = store.get(["fold", 1])
    xr.testing.assert_identical(found, result())
    for name, variable in result().variables.items():
        assert found[name].dtype == variable.dtype
    assert math.copysign(1, found["equity"].values[0, 2]) == -1
    assert list(found.coords) == list(result().coords)
    assert found.indexes["fast"].equals(result().indexes["fast"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(value=json_values(infinity=True), key=json_values(infinity=False))
def test_json_comes_back(store: Any, key: Any, value: Any) -> None:
    store.put(key, value)
    found = store.get(key)
    assert found == value
    assert type(found) is type(value)


def test_keys_are_told_apart_and_the_last_value_stays(store: Any) -> None:
    store.put({"a": 1, "b": 2}, "first")
    assert store.get({"a": 1, "b": 3}) is None
    assert store.get({"b": 2, "a": 1}) == "first"
    store.put({"b": 2, "a": 1}, "second")
    assert store.get({"a": 1, "b": 2}) == "second"


def test_what_cannot_be_kept_exactly_is_refused(store: Any) -> None:
    for value in (None, (1, 2), {1: 2}, {"a": object()}, np.zeros(2), b"x"):
        with pytest.raises(TypeError):
            store.put("key", value)
    with pytest.raises(TypeError, match="variable 'o': dtype object"):
        store.put("key", xr.Dataset({"o": ("x", np.array([1, "a"], dtype=object))}))
    with pytest.raises(TypeError, match="attrs of 'v'"):
        store.put("key", xr.Dataset({"v": ("x", [1], {"bad": {1, 2}})}))
    with pytest.raises(TypeError, match="a checkpoint's key is a JSON value"):
        store.get(float("nan"))
    assert store.get("key") is None


def test_another_process_finds_it(tmp_path: Path) -> None:
    checkpoint(tmp_path).put(["fold", 1], result())
    code = f"""
from kernelkit.batch.checkpoint import checkpoint
print(checkpoint({str(tmp_path)!r}).get(["fold", 1]).sizes)
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "'fast': 2" in out


def test_a_json_value_needs_no_xarray(tmp_path: Path) -> None:
    code = f"""
import sys
from kernelkit.batch.checkpoint import checkpoint
store = checkpoint({str(tmp_path)!r})
store.put("a", [1])
assert store.get("a") == [1]
assert not {{"xarray", "numpy", "numba"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_damage_is_found(tmp_path: Path) -> None:
    store = checkpoint(tmp_path)
    value = {"sharpe_ratio": 1.25, "curve": [1.0, 2.0, 3.0]}
    store.put("key", value)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    damages = [whole[:cut] for cut in range(len(whole))] + [whole + b"x"]
    damages += [whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :] for i in range(len(whole))]
    damages += [whole.replace(b"1.25", b"9.25"), whole.replace(b'"json"', b'"dataset"'), b"", b"[]\n"]
    for damage in damages:
        file.write_bytes(damage)
        with pytest.warns(CheckpointWarning, match="it is computed again"):
            assert store.get("key") is None
    store.put("key", value)
    assert store.get("key") == value


def test_a_file_under_a_foreign_name_is_not_taken_for_the_key(tmp_path: Path) -> None:
    store = checkpoint(tmp_path)
    store.put("a", 1)
    (file,) = tmp_path.iterdir()
    store.put("b", 2)
    other = next(path for path in tmp_path.iterdir() if path != file)
    file.write_bytes(other.read_bytes())
    with pytest.warns(CheckpointWarning, match="it holds another key"):
        assert store.get("a") is None


def test_a_crash_while_writing_leaves_the_old_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = checkpoint(tmp_path)
    store.put("key", "old")

    def crash(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", crash)
        with pytest.raises(KeyboardInterrupt):
            store.put("key", "new")
    assert store.get("key") == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_the_context_of_a_batch_run_and_of_a_person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(context.RUN_DIR, raising=False)
    assert (context.run_dir(), context.result_path(), context.cache()) == (None, None, None)
    context.checkpoints().put("a", 1)
    monkeypatch.setenv(context.RUN_DIR, str(tmp_path))
    assert (context.run_dir(), context.result_path()) == (tmp_path, tmp_path / "result.zarr")
    assert context.cache() == tmp_path / "trials"
    assert context.checkpoints().get("a") is None
    context.checkpoints().put("a", 1)
    assert context.checkpoints().get("a") == 1
