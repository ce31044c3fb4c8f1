"""Kernels become PTX without a device, and nothing in it is contracted: products and sums stay what they were."""

from __future__ import annotations

import re
from importlib.util import find_spec

import pytest

if find_spec("numba_cuda") is None or find_spec("nvidia.nvvm" if find_spec("nvidia") else "nvidia") is None:
    pytest.skip('needs numba-cuda and libnvvm: pip install "numba-cuda[cu13]"', allow_module_level=True)

from kernelkit.kernels import cuda
from kernelkit.kernels.device import LANES, device_of, paths
from tests.gpu.check_device import cross
from tests.gpu.ptx import LOOSE, compiled
from tests.gpu.test_device import job_of

import kernelkit as kk


@pytest.mark.parametrize("kind", LANES)
def test_paths__become_ptx_that_keeps_to_registers(kind: str) -> None:
    text = compiled(paths(kind, cuda.binding()), "one_path")
    assert LOOSE.findall(text) == []
    assert len(re.findall(r"\bmul\.rn\.f64\b", text)) > 50
    assert re.findall(r"\b(?:ld|st)\.local\b", text) == []


def test_trials__become_ptx() -> None:
    made = device_of(job_of(kk.data.load("sp500_index"), cross), cuda.binding())
    for entry in ("one_row", "one_trial"):
        text = compiled(made.program, entry)
        assert LOOSE.findall(text) == []
        assert ".entry" in text


def test_contraction__would_be_seen() -> None:
    found = LOOSE.findall("fma.rn.f64 a; mul.f64 b; mul.rn.f64 c; add.f64 d; add.rn.f64 e; div.approx.ftz.f64 f; fma.rn.f32 g;")
    assert found == ["fma.rn.f64", "mul.f64", "add.f64", "div.approx.ftz.f64"]
