"""A research environment that finds out whether a trading strategy is real.

Importing it loads neither numba nor xarray: names are imported when they are first used (PEP 562).
"""

from __future__ import annotations

import sys
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any

# public name -> module that defines it
_PUBLIC = {
    "Account": "market.account",
    "Accounts": "market.several",
    "FillModel": "market.fill_model",
    "Instrument": "market.instrument",
    "Limits": "market.limits",
    "Margin": "market.margins",
    "Outage": "market.halts",
    "Rate": "market.halts",
    "Reason": "market.reasons",
    "Status": "market.reasons",
    "Venue": "market.venue",
    "actions": "result",
    "adversarial": "study.scenarios.adversary",
    "audit": "audit",
    "backtest": "engine",
    "compliance": "compliance",
    "capacity": "study.capacity",
    "choice": "study.spaces",
    "compare": "study.compare",
    "cost_model": "market.models",
    "cross_validate": "study.validation",
    "diff": "diff",
    "each": "strategy",
    "explore": "notebook.widgets.sliders",
    "executions": "tca",
    "export": "export",
    "feature": "data",
    "fills": "result",
    "fixed": "binding",
    "follow": "following",
    "indicator": "indicator",
    "integer": "study.spaces",
    "open_run": "batch.opened",
    "orders": "result",
    "plan": "inference.planning",
    "portfolio": "strategy",
    "real": "study.spaces",
    "reconcile": "reconcile",
    "reshuffle": "study.reshuffle",
    "resume": "run",
    "reverse_stress": "study.scenarios.reverse",
    "ring": "strategy",
    "save": "result",
    "seal": "data.seal",
    "search": "study.search",
    "searcher": "study.search",
    "signal": "strategy",
    "start": "run",
    "strategy": "strategy",
    "stress": "study.scenarios.stress",
    "tax": "market.tax",
    "to_arrow": "export",
    "trades": "trips",
    "verdict": "inference.verdict",
    "monte_carlo": "study.monte_carlo",
    "watch": "notebook.widgets.watching",
    "walk_forward": "study.walk_forward",
    "why": "why",
}
_MODULES = {
    "data": "data",
    "errors": "errors",
    "fees": "market.fees",
    "inference": "inference",
    "ledger": "ledger",
    "limits": "market.limits",
    "margins": "market.margins",
    "metrics": "metrics",
    "paths": "paths",
    "regimes": "study.regimes",
    "scenarios": "study.scenarios",
    "sensitivity": "study.sensitivity",
    "slippage": "market.slippage",
    "splits": "study.splitters",
    "strategies": "strategies",
    "venues": "market.venues",
}
__all__ = tuple(sorted((*_PUBLIC, *_MODULES)))


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name == "__version__":
        return import_module("importlib.metadata").version("kernelkit")
    if name in _MODULES:
        value: Any = _shown(import_module(f"kernelkit.{_MODULES[name]}"))
    elif name in _PUBLIC:
        value = getattr(import_module(f"kernelkit.{_PUBLIC[name]}"), name)
    else:
        raise AttributeError(f"module 'kernelkit' has no attribute {name!r}; there are {', '.join(__all__)}")
    globals()[name] = value
    _access()
    return value


def _access() -> None:
    """Give Datasets `.kk` once there are any: who opens a result from a store uses xarray alone."""
    if "xarray" in sys.modules:
        import_module("kernelkit.accessor")


def __dir__() -> list[str]:
    return list(__all__)


def _names(module: ModuleType) -> list[str]:
    """What is public of a module: what it declares so, else what it defines."""
    own = [n for n, v in vars(module).items() if n[0] != "_" and getattr(v, "__module__", "") == module.__name__]
    return list(getattr(module, "__all__", own))


def _shown(module: ModuleType) -> ModuleType:
    """A public module, of which completion shows what is public."""
    vars(module).setdefault("__dir__", partial(_names, module))
    return module


def load_ipython_extension(shell: Any) -> None:
    """``%load_ext kernelkit``: the magics."""
    import_module("kernelkit.notebook").load(shell)


class _Package(ModuleType):
    """Keeps public names that modules share, such as `kk.strategy` and `kk.audit`.

    Importing the module would put it in the function's place.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _MODULES and isinstance(value, ModuleType):
            _shown(value)
        if not (name in _PUBLIC and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
_access()
