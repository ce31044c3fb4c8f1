"""Hooks of a strategy: functions beside its main one, and when they run (rules T6-T8)."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from kernelkit.errors import StrategyError, message
from kernelkit.kernels.lower_hooks import TOLD
from kernelkit.kernels.source import Source, read_source

PERIODS = tuple(f"{period}_{edge}" for period in ("week", "month", "quarter") for edge in ("start", "end"))
TIME_OF_DAY = re.compile(r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?")
MOMENTS = {"on_session_open": "session_open", "on_session_close": "session_close"}
WHAT = {"on_fill": "fill", "on_order": "order"}  # what such a hook is told
MOST = 60  # moments of a strategy: each is a bit of a word
KINDS = (*MOMENTS, *WHAT, "schedule")  # the decorators that a strategy has


@dataclass(frozen=True)
class Hook:
    """A function of a strategy, its kind, the moment that it runs at ("" where it is told what has happened).

    ``event`` is its argument that says what has happened, ``params`` are those of the strategy that it takes.
    """

    kind: str
    when: str
    function: FunctionType
    source: Source
    ctx: str
    s: str | None
    event: str | None
    params: tuple[str, ...]

    @property
    def text(self) -> str:
        """All that tells it from others, beside what it captures."""
        return f"@{self.kind}({self.when})\n{self.source.text}"


def moment(strategy: str, when: object, at: object = None) -> str:
    """The moment of a schedule; raises StrategyError for what is none.

    >>> moment("trend", "month_end"), moment("trend", "15:30"), moment("trend", "month_end", "15:30")
    ('month_end', '15:30', 'month_end 15:30')
    """
    fix = 'Write "month_end", "15:30", or both: "month_end", "15:30".'
    if at is not None and not (isinstance(at, str) and TIME_OF_DAY.fullmatch(at) and when in PERIODS):
        wanted = f"one of {', '.join(PERIODS)}, then a time of day of the exchange"
        raise StrategyError(message(f"schedule of {strategy}", f"{when!r}, {at!r}", wanted, fix))
    if isinstance(when, str) and (when in PERIODS or TIME_OF_DAY.fullmatch(when)):
        return when if at is None else f"{when} {at}"
    wanted = f"one of {', '.join(PERIODS)}, or a time of day of the exchange"
    raise StrategyError(message(f"schedule of {strategy}", repr(when), wanted, fix))


def hook_of(strategy: str, stated: bool, parameters: Collection[str], kind: str, when: str, function: Any) -> Hook:
    """A function as a hook of a strategy with these parameters; ``stated`` where that declares state.

    Raises StrategyError for a function that does not begin with ctx, the state and what it is told, for parameters that
    the strategy does not have, for defaults, and for a parameter of the strategy that it uses without taking it.
    """
    if not isinstance(function, FunctionType):
        fix = f"Put @{strategy}.{kind} above its def."
        raise StrategyError(message(f"{kind} of {strategy}", type(function).__name__, "a function", fix))
    source, where = read_source(function), f"{kind} of {strategy}: {function.__name__}"
    signature = list(inspect.signature(function).parameters.values())
    head = ["ctx", *(["s"] if stated else []), *([WHAT[kind]] if kind in WHAT else [])]
    fix = f"Write def {function.__name__}({', '.join(head)}, ...)."
    names = [p.name for p in signature]
    many = [str(p) for p in signature if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    if many:
        raise StrategyError(message(where, many[0], "named parameters", fix))
    if len(names) < len(head) or any(n in parameters for n in names[: len(head)]):
        found = f"({', '.join(names)})"
        raise StrategyError(message(where, found, f"{', '.join(head)}, then parameters of {strategy}", fix))
    unknown = [str(p) for p in signature[len(head) :] if p.name not in parameters]
    if unknown:
        wanted = f"parameters of {strategy}: {', '.join(parameters) or 'it has none'}"
        raise StrategyError(message(where, unknown[0], wanted, fix))
    given = [str(p) for p in signature if p.default is not inspect.Parameter.empty]
    if given:
        wanted = "a parameter without a default"
        raise StrategyError(message(where, given[0], wanted, "Leave it out: the strategy's value counts."))
    taken = tuple(names[len(head) :])
    own = {*function.__code__.co_varnames, *function.__code__.co_cellvars}
    for name in source.names:
        if name in parameters and name not in own:
            found, wanted = f"the parameter {name!r} of {strategy}", f"it among those of {function.__name__}"
            raise StrategyError(
                message(where, found, wanted, f"Write def {function.__name__}({', '.join([*names, name])}).")
            )
    event = names[len(head) - 1] if kind in TOLD else None
    return Hook(kind, when, function, source, names[0], names[1] if stated else None, event, taken)


def placed(hooks: tuple[Hook, ...], new: Hook) -> tuple[Hook, ...]:
    """The hooks with one more; an older one under the same name, as of a cell that ran before, gives it its place.

    Raises StrategyError for a second one of a kind of which there is one.
    """

    def older(hook: Hook) -> bool:
        """Whether it is what the function's name stood for before."""
        old, function = hook.function, new.function
        return old is not function and (old.__module__, old.__qualname__) == (
            function.__module__,
            function.__qualname__,
        )

    place = next((k for k, hook in enumerate(hooks) if older(hook)), len(hooks))
    kept = [hook for hook in hooks if not older(hook)]
    if len({hook.when for hook in kept} | {new.when}) > MOST:
        found, wanted = f"more than {MOST} moments", f"at most {MOST}"
        raise StrategyError(message("schedules of a strategy", found, wanted, "Decide in its main function."))
    if any((hook.kind, hook.when, hook.function) == (new.kind, new.when, new.function) for hook in kept):
        return hooks
    same = [hook for hook in kept if hook.kind == new.kind]
    if same and new.kind != "schedule":
        found, fix = f"a second one, {new.function.__name__}", f"Do both in {same[0].function.__name__}."
        raise StrategyError(message(f"{new.kind} of a strategy", found, "one function", fix))
    return (*kept[:place], new, *kept[place:])
