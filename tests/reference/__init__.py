"""The slow, obvious simulator: docs/rules.md in plain Python, against which the compiled engine is compared."""

from tests.reference import models
from tests.reference.actions import Action
from tests.reference.config import Config, ModelView, Outcome
from tests.reference.mandate import Halts, Limits, Outage
from tests.reference.market import Asset, Bars, Clock, Grid
from tests.reference.portfolio import PortfolioView, simulate_portfolio
from tests.reference.simulator import simulate
from tests.reference.transfers import Ways
from tests.reference.view import View

__all__ = [
    "Action",
    "Asset",
    "Bars",
    "Clock",
    "Config",
    "Grid",
    "Halts",
    "Limits",
    "ModelView",
    "Outage",
    "Outcome",
    "PortfolioView",
    "View",
    "Ways",
    "models",
    "simulate",
    "simulate_portfolio",
]
