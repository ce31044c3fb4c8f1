"""What a fee or slippage model answers (C6)."""

from __future__ import annotations

import math

from tests.reference.config import Model, ModelView


def ask(name: str, model: Model | None, view: ModelView) -> float:
    """C6: the answer of a model, 0.0 without one; an answer that is no cost is an error."""
    if model is None:
        return 0.0
    answer = model(view)
    if not math.isfinite(answer):
        raise ValueError(f"the {name} model answered {answer}, wanted a finite number: look at what it makes of {view}")
    if name == "slippage" and answer < 0.0:
        raise ValueError(f"the slippage model answered {answer}, wanted 0 or more: look at what it makes of {view}")
    return answer
