"""What a result came from, as far as it remembers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernelkit.errors import RunError, message
from kernelkit.result import curves_of

if TYPE_CHECKING:
    import xarray as xr

    from kernelkit.recipe import Recipe


def recipe_of(res: xr.Dataset) -> Recipe | None:
    """How the result came about; None where it was loaded from a store, or made without curves."""
    try:
        return curves_of(res).recipe
    except RunError:
        return None


def bars_of(res: xr.Dataset, bars: xr.Dataset | None, picture: str) -> xr.Dataset:
    """These bars, else those that the result was run on; raises RunError where a picture of it has neither."""
    if bars is not None:
        return bars
    recipe = recipe_of(res)
    if recipe is None:
        fix = "Pass bars=, those it was run on."
        raise RunError(message(f"{picture} of this result", "no bars, which tell prices", "its bars", fix))
    own: xr.Dataset = recipe.bars
    return own
