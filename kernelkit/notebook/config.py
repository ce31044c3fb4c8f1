"""What cells take where an option is left out, as traitlets: `%kkconfig`, or `c.Kernelkit.cash = 50_000`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from traitlets import CUnicode, TraitError, validate
from traitlets.config import Configurable

from kernelkit.errors import UsageError
from kernelkit.notebook import settings
from kernelkit.notebook.options import Given, nearest
from kernelkit.reuse import Results, store_of

# Of a cell that runs for milliseconds the trials are found again, too: what is shown twice was computed once.
ANY_WORK = 0.0
KEPT = 0.8  # of its size, once a folder is too large: the next cells then need not look again
_SWITCH = {"True": "on", "False": "off", "true": "on", "false": "off"}
_TRADED = ("data", "cash", "fee", "slippage", "venue", "fill_model")
SETTINGS = (*_TRADED, "cache", "cache_size", "progress", "runs")


class Kernelkit(Configurable):
    """What cells take where an option is left out."""

    data = CUnicode(help="bars to trade, as after --data").tag(config=True)
    cash = CUnicode(help="money at the start, as after --cash").tag(config=True)
    fee = CUnicode(help="fees, as after --fee").tag(config=True)
    slippage = CUnicode(help="slippage, as after --slippage").tag(config=True)
    venue = CUnicode(help="a venue with its costs, as after --venue").tag(config=True)
    fill_model = CUnicode(help="how orders meet bars, as after --fill-model").tag(config=True)
    cache = CUnicode(
        "on", help="whether what trials came to is kept and found again: on (.kernelkit/results), off, or a folder"
    ).tag(config=True)
    cache_size = CUnicode("2GB", help="of that folder; the oldest results beyond it are deleted").tag(config=True)
    progress = CUnicode("on", help="whether cells show how far they are: on or off").tag(config=True)
    runs = CUnicode("runs", help="folder of the runs that %runs, %compare and %result look at").tag(config=True)

    @validate(*SETTINGS)
    def _checked(self, proposal: Mapping[str, Any]) -> str:
        trait, text = proposal["trait"], str(proposal["value"]).strip()
        try:
            return checked(trait.name, text) if text else str(trait.default_value)
        except UsageError as error:
            raise TraitError(str(error)) from None

    def given(self) -> Given:
        """The options that it stands for."""
        named = {name.replace("_", "-"): getattr(self, name) for name in _TRADED}
        values = {name: text for name, text in named.items() if text}
        return Given(values, configured=set(values))

    def results(self) -> Results | None:
        """Where cells keep what trials came to; $KERNELKIT_RESULTS, where it is set, says it before ``cache`` = on."""
        from kernelkit.ledger import root

        if self.cache == "off":
            return None
        place: Any = Path(self.cache).expanduser()
        if self.cache == "on":
            place = None if os.environ.get("KERNELKIT_RESULTS") else root() / "results"
        try:
            found = store_of(place)
        except UsageError as error:
            raise UsageError(f"{error} %kkconfig cache=off does without.") from None
        if found is not None:
            found.worth = ANY_WORK
        return found

    def bound(self, results: Results) -> None:
        """Delete the oldest of what is kept where it has become too much."""
        from kernelkit.spilling import size_of

        most = size_of(self.cache_size, "cache_size")
        if sum(pack.bytes for pack in results.packs()) > most:
            results.prune(keep_bytes=int(KEPT * most))


def checked(name: str, text: str) -> str:
    """The text of a setting as it is kept; UsageError for one that no cell could take."""
    option = name.replace("_", "-")
    given = Given({option: text}, configured={option})
    if name in ("cache", "progress"):
        text = _SWITCH.get(text, text)
        if name == "progress" and text not in ("on", "off"):
            raise UsageError(f"{given.spelt(name)}: wanted on or off")
    elif name == "cache_size":
        from kernelkit.spilling import size_of

        size_of(text, "cache_size")
    elif name == "data" and not text.startswith("@"):
        settings.bars(given, {})
    elif name in _TRADED and not text.startswith("@"):
        settings.market(given, {})
    return text


def setting(word: str) -> tuple[str, str]:
    """Name and text of ``name=text``; UsageError for a name that is none.

    >>> setting("cash=50_000"), setting("cash=")
    (('cash', '50_000'), ('cash', ''))
    """
    name, equals, text = word.partition("=")
    name = name.replace("-", "_")
    if name not in SETTINGS:
        hint = nearest(name, SETTINGS)
        raise UsageError(f"%kkconfig {word}: no such setting{hint}; there are {', '.join(SETTINGS)}")
    if not equals:
        raise UsageError(f"%kkconfig {word}: wanted {name}=value, or {name}= for what holds without it")
    return name, text


def config_of(shell: Any) -> Kernelkit:
    """The configuration of a shell, which `%config Kernelkit` knows too; made when it is first asked for.

    Raises UsageError for a value in the shell's own configuration that does not fit.
    """
    for known in shell.configurables:
        if isinstance(known, Kernelkit):
            return known
    try:
        made = Kernelkit(parent=shell)
    except TraitError as error:
        raise UsageError(f"{error} (c.Kernelkit in the configuration of IPython)") from None
    shell.configurables.append(made)
    return made
