"""Programs as PTX, which needs numba-cuda and libnvvm but no device."""

from __future__ import annotations

import re
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

from kernelkit.kernels import cuda
from kernelkit.kernels.device import LANES, Program, paths

CAPABILITY = 9, 0  # that of an H100
# What takes part in a contraction, or is not rounded as IEEE 754 says: the processor never does that.
LOOSE = re.compile(r"\b(?:fma\.\w+\.f64|(?:mul|add|sub|div|sqrt)(?:\.approx|\.full)?(?:\.ftz)?\.f64|\w+\.ftz\.f64)\b")
FLOATS = re.compile(r"\b((?:mul|add|sub|div|sqrt|fma)\.[\w.]*f64)\b")


def missing() -> str:
    """Why there can be no PTX here, "" where there can."""
    if find_spec("numba_cuda") is None or cuda.SIMULATED:
        return 'needs pip install "numba-cuda[cu13]"'
    from numba.cuda.cudadrv import nvvm

    try:
        nvvm.NVVM()
    except (nvvm.NvvmSupportError, OSError, RuntimeError) as error:
        return f"needs libnvvm: {error}"
    return ""


def compiled(program: Program, entry: str) -> str:
    """The PTX of an entry's kernel, made as for a launch."""
    from numba.cuda import codegen, dispatcher

    # The device at hand is asked what to compile for; this says what it would be.
    card = SimpleNamespace(compute_capability=CAPABILITY)
    with (
        patch.object(dispatcher, "get_current_device", lambda: card),
        patch.object(dispatcher._Kernel, "bind", lambda self: None),
        patch.object(codegen.CUDACodeLibrary, "_ensure_cc", lambda self, cc=None: CAPABILITY),
    ):
        (kernel,) = cuda.kernel(program, entry).overloads.values()
        library = kernel._codelibrary
        # Linked with optimisation, or compiled once more when it is loaded, it would be another text than this one.
        assert not library._lto
        assert list(library._ptx_cache) == [CAPABILITY]
        return str(library.get_asm_str())


def main() -> int:
    """The operations of each kernel of paths; how many are contracted."""
    loose = 0
    for kind in LANES:
        text = compiled(paths(kind, cuda.binding()), "one_path")
        loose += len(LOOSE.findall(text))
        local = len(re.findall(r"\b(?:ld|st)\.local", text))
        sys.stdout.write(f"{kind}: {dict(Counter(FLOATS.findall(text)))}, {local} of local memory, {len(text)} bytes\n")
        if len(sys.argv) > 1:
            Path(f"{sys.argv[1]}_{kind}.ptx").write_text(text)
    return loose


if __name__ == "__main__":
    raise SystemExit(min(main(), 1))
