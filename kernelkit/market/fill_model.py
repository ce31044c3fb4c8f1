"""How orders meet bars, as data: on the same bar engines of this field answer differently, so it is a setting."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from kernelkit.errors import OrderError, arguments, message
from kernelkit.kernels import layout as L

CODES = {
    "limit": {"through": L.THROUGH, "touch": L.TOUCH},
    "same_bar": {"adverse": L.ADVERSE, "next": L.NEXT},
    "trailing": {"check_first": L.CHECK_FIRST, "update_first": L.UPDATE_FIRST},
    "close_out": {"none": L.KEEP, "last_open": L.LAST_OPEN, "last_close": L.LAST_CLOSE},
    "sizing": {"at_decision": L.AT_DECISION, "at_fill": L.SIZE_AT_FILL},
    "path": {
        "stop_first": L.STOP_FIRST,
        "close": L.CLOSE_ONLY,
        "high_first": L.HIGH_FIRST,
        "low_first": L.LOW_FIRST,
        "nearest_first": L.NEAREST_FIRST,
        "finer": L.FINER,
    },
    "stop_gap": {"open": L.GAP_OPEN, "trigger": L.GAP_TRIGGER, "close": L.GAP_CLOSE},
    "market": {
        "next_open": L.NEXT_OPEN,
        "same_close": L.SAME_CLOSE,
        "next_close": L.NEXT_CLOSE,
        "next_typical": L.NEXT_TYPICAL,
        "next_vwap": L.NEXT_VWAP,
    },
}
# What F12 and F16 ask of the other settings, by path.
LEGS: dict[str, tuple[str, ...]] = {"stop_gap": ("open",), "trailing": ("check_first",)}
WANTED: dict[str, dict[str, tuple[str, ...]]] = {
    "close": {"market": ("next_close",), "stop_gap": ("open",), "close_out": ("none", "last_close")},
    "high_first": LEGS,
    "low_first": LEGS,
    "nearest_first": LEGS,
    "finer": {
        "market": ("next_open", "next_close", "next_typical", "next_vwap"),
        "close_out": ("none", "last_close"),
    },
}


@arguments()
@dataclass(frozen=True)
class FillModel:
    """How orders meet bars (rules F1-F12, F16, S5); the defaults are the model ``conservative``.

    Each setting is one of `CODES`. Raises OrderError for another value, and for a path that asks for other settings.

    >>> FillModel(limit="touch").label
    'limit=touch'
    """

    limit: str = "through"
    same_bar: str = "adverse"
    trailing: str = "check_first"
    close_out: str = "none"
    sizing: str = "at_decision"
    path: str = "stop_first"
    stop_gap: str = "open"
    market: str = "next_open"

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if not isinstance(value, str) or value not in CODES[f.name]:
                wanted, fix = f"one of {', '.join(CODES[f.name])}", "Other behaviour is not built."
                raise OrderError(message(f"{f.name} of the fill model", value, wanted, fix))
        for name, values in WANTED.get(self.path, {}).items():
            if (value := getattr(self, name)) not in values:
                wanted, fix = (
                    f"{' or '.join(values)} with path={self.path}",
                    f"Rule {'F16' if self.path == 'finer' else 'F12'} says why.",
                )
                raise OrderError(message(f"{name} of the fill model", value, wanted, fix))

    @classmethod
    def of(cls, model: FillModel | str | None) -> FillModel:
        """A fill model itself, or the one of `NAMED` that a name means; None is ``conservative``.

        Raises OrderError for anything else.

        >>> FillModel.of("lean").stop_gap
        'close'
        """
        if isinstance(model, FillModel):
            return model
        found: Any = "conservative" if model is None else model
        if isinstance(found, str) and found in NAMED:
            return NAMED[found]
        fix = f"Names are {', '.join(NAMED)}."
        if isinstance(found, (list, tuple)):
            fix = "One at a time here: a list of them is for kk.backtest."
        raise OrderError(message("fill_model", repr(model), "a kk.FillModel or the name of one", fix))

    @classmethod
    def several(cls, models: Any) -> list[FillModel]:
        """The models of a sequence, or the one that is no sequence.

        Raises OrderError for none, and for two that are the same.

        >>> [m.label for m in FillModel.several(["lean", FillModel(limit="touch")])]
        ['lean', 'limit=touch']
        """
        if not isinstance(models, (list, tuple)):
            return [cls.of(models)]
        found = [cls.of(m) for m in models]
        if not found:
            raise OrderError(
                message("fill_model", "an empty list", "at least one", "Name one, such as 'conservative'.")
            )
        if len(set(found)) < len(found):
            twice = next(m.label for k, m in enumerate(found) if m in found[:k]) or "conservative"
            raise OrderError(message("fill_model", f"{twice} twice", "different fill models", "Name each once."))
        return found

    @property
    def label(self) -> str:
        """Its name (rule F13), or where it differs from ``conservative``."""
        own = (f"{f.name}={getattr(self, f.name)}" for f in fields(self) if getattr(self, f.name) != f.default)
        return next((name for name, model in NAMED.items() if model == self), ", ".join(own))

    @property
    def foresees(self) -> bool:
        """Whether a decision trades at the price that it has already seen: not to be had in a market."""
        return self.market == "same_close"

    def codes(self) -> list[int]:
        """Integers of layout.FILL_MODEL, in order."""
        return [CODES[f.name][getattr(self, f.name)] for f in fields(self)]


# Rule F13: what other engines document of themselves, as far as these settings go.
NAMED = {
    "conservative": FillModel(),
    "backtesting.py": FillModel(limit="touch", close_out="last_open", sizing="at_fill"),
    "lean_equity": FillModel(same_bar="next"),
    "lean": FillModel(same_bar="next", stop_gap="close"),
    "zipline": FillModel(limit="touch", path="close", market="next_close"),
    "freqtrade": FillModel(limit="touch", stop_gap="trigger", trailing="update_first"),
    "nautilus": FillModel(limit="touch", path="high_first", market="same_close"),
    "nautilus_adaptive": FillModel(limit="touch", path="nearest_first", market="same_close"),
}
CONSERVATIVE = NAMED["conservative"]
