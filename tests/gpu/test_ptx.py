"""Kernels become PTX without a device, and nothing in it is contracted: products and sums stay what they were."""

from __future__ import annotations

import re

import pytest

import kernelkit as kk
from kernelkit.kernels import cuda
from kernelkit.kernels.device import LANES, device_of, paths
from tests.gpu.check_device import cross
from tests.gpu.ptx import LOOSE, compiled, missing
from tests.gpu.test_device import job_of

if why := missing():
    pytest.skip(why, allow_module_level=True)


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
    assert len(re.findall(r"\.func\b", text)) > 10  # what has many callers is called, not copied


def test_contraction__would_be_seen() -> None:
    text = "fma.rn.f64 mul.f64 mul.rn.f64 add.f64 add.rn.f64 div.approx.ftz.f64 fma.rn.f32"
    assert LOOSE.findall(text) == ["fma.rn.f64", "mul.f64", "add.f64", "div.approx.ftz.f64"]
