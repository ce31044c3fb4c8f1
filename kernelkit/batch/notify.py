"""Tell people that a run has ended, through apprise; where they are reached stands in the environment only.

What `kernelkit run --notify team` tells goes to the addresses in $KERNELKIT_NOTIFY_TEAM, as apprise writes them:
``slack://...``, ``mailtos://...``, ``jsons://...``, several parted by white space. These hold passwords: no file,
message or record has them.
"""

from __future__ import annotations

import logging
import os
import random
import re
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kernelkit.batch.runs import Run
from kernelkit.errors import UsageError, extra, message
from kernelkit.report import words

VARIABLE = "KERNELKIT_NOTIFY_"
TRIES = 5
FIRST_S = 1.0  # before the second try; twice as long before each further one, and by chance up to half of that less
MOST_S = 60.0  # that all tries take together, the last one's own time apart

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")


def addresses(names: Sequence[str], environment: Mapping[str, str] = os.environ) -> dict[str, list[str]]:
    """The addresses of each name; UsageError for a name without any, or for one that apprise cannot read.

    >>> addresses(["team"], {"KERNELKIT_NOTIFY_TEAM": "json://localhost:9"})
    {'team': ['json://localhost:9']}
    """
    found = {}
    for name in names:
        variable = f"{VARIABLE}{name.upper()}"
        if not _NAME.match(name):
            fix = "The address itself belongs into the environment: it is a secret."
            raise UsageError(message("notify", "a name with other characters", "letters, digits and _", fix))
        given = environment.get(variable, "").split()
        if not given:
            fix = f'Write export {variable}="slack://..." as apprise has it.'
            raise UsageError(message(f"notify {name}", f"no ${variable}", "addresses of apprise", fix))
        found[name] = given
        wrong = [k for k, url in enumerate(given, 1) if _apprise().Apprise.instantiate(url) is None]
        if wrong:
            fix = "https://github.com/caronc/apprise has the spelling of each service."
            raise UsageError(message(f"address {wrong[0]} in ${variable}", "one unknown to apprise", "its own", fix))
    return found


def _apprise() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it imports what Python is about to lose, if it is there
        module = extra("apprise", "notify")
        module.Apprise.instantiate("json://localhost")  # which imports its services
    # it writes to its log what it could not send, and where to
    logging.getLogger("apprise").disabled = True
    return module


def told(run: Run, folder: Path) -> tuple[str, str]:
    """Title and text of what is told of a run that has ended in ``folder``.

    >>> run = Run(id="a-1", name="a", template="a", status="done", metrics={"sharpe_ratio": 0.71, "cagr": 0.08})
    >>> told(run, Path("runs/a-1"))
    ('a-1: done', 'Sharpe ratio 0.71\\nCAGR 8.0 %\\nruns/a-1')
    """
    lines = [run.error] if run.error else []
    lines += [f"{words.label(name)} {words.number(name, value)}" for name, value in run.metrics.items()]
    if (verdict := run.verdict) is not None:
        lines.append(verdict["meaning"])
    lines.append(str(folder if run.report is None else folder / run.report))
    return f"{run.id}: {run.status}", "\n".join(lines)


def tell(names: Sequence[str], run: Run, folder: Path) -> dict[str, dict[str, int]]:
    """Tell each name of a run that has ended; how many of its addresses were reached, how many not, in how many tries.

    What an address refuses is tried again, a little later each time. It takes `MOST_S` at most, for all of them.
    """
    title, text = told(run, folder)
    end = time.monotonic() + MOST_S
    left = addresses(names)
    found = {name: {"reached": 0, "missed": len(given), "tries": 0} for name, given in left.items()}
    for k in range(TRIES):
        for name, given in left.items():
            if given:
                left[name] = [url for url in given if not _sent(url, title, text)]
                found[name] |= {"missed": len(left[name]), "tries": k + 1}
                found[name]["reached"] += len(given) - len(left[name])
        pause = FIRST_S * 2**k * random.uniform(0.5, 1.0)
        if k + 1 == TRIES or not any(left.values()) or time.monotonic() + pause > end:
            return found
        time.sleep(pause)
    return found


def _sent(url: str, title: str, text: str) -> bool:
    service = _apprise().Apprise()
    return bool(service.add(url) and service.notify(body=text, title=title))
