"""`res.kk`: the pictures of a result, at the result itself.

xarray keeps accessors at the class Dataset, so whoever makes or opens results imports this module; it says only where
the accessor is. What the accessor can do lies in the top layers, which no lower one imports: it is looked up when
`.kk` is first read, as `kernelkit` looks up its public names.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import xarray as xr


def _accessor(res: xr.Dataset) -> Any:
    return import_module("kernelkit.notebook.accessor").Accessor(res)


xr.register_dataset_accessor("kk")(_accessor)  # type: ignore[no-untyped-call]
