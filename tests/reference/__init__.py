"""The slow, obvious simulator: docs/rules.md in plain Python, against which the compiled engine is compared."""

from tests.reference import models
from tests.reference.config import Config, ModelView, Outcome
from tests.reference.market import Bars, Grid
from tests.reference.simulator import simulate
from tests.reference.view import View

__all__ = ["Bars", "Config", "Grid", "ModelView", "Outcome", "View", "models", "simulate"]
