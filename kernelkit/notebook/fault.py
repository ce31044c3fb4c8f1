"""How errors look in a notebook: ours as one line, the user's with the lines of their own cells."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from kernelkit.errors import KernelkitError

Magic = TypeVar("Magic", bound=Callable[..., Any])


def told(magic: Magic) -> Magic:
    """Decorate a magic, so that our errors are one line, and the user's show the lines of their own cells."""

    @functools.wraps(magic)
    def call(self: Any, *written: str) -> Any:
        try:
            return magic(self, *written)
        except KernelkitError as error:
            raise one_line(self.shell, error)  # noqa: B904  it is the same error
        except BaseException as error:
            in_cells(self.shell, error)
            raise

    return call  # type: ignore[return-value]


def one_line(shell: Any, error: KernelkitError) -> KernelkitError:
    """`error` as it is raised from a magic: one line, cells named as their numbers; %debug and %tb still see it all."""
    text = _cell_names(shell, " ".join(str(error).split()))
    error.args = (text,)
    _render(error, [f"{_red(type(error).__name__)}: {text}"])
    return error


def in_cells(shell: Any, error: BaseException) -> None:
    """Let the traceback of `error` begin in the user's cells, if it went through one; raise it again."""
    trace = error.__traceback__
    while trace is not None and not is_cell(shell, trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    if trace is not None:
        _render(error, _structured(shell, error, trace))


def is_cell(shell: Any, filename: str) -> bool:
    """Whether a file name stands for code that was typed into a cell."""
    return shell.compile.format_code_name(filename) is not None


def _cell_names(shell: Any, text: str) -> str:
    # a compiled strategy knows its cell by a file name that means nothing to its author
    for word in text.replace(",", " ").split():
        named = shell.compile.format_code_name(word)
        if named is not None:
            text = text.replace(word, f"{named[0]} {named[1]}")
    return text


def _structured(shell: Any, error: BaseException, trace: TracebackType) -> list[str]:
    lines: list[str] = shell.InteractiveTB.structured_traceback(type(error), error, trace, tb_offset=0)
    return lines


def _render(error: BaseException, lines: list[str]) -> None:
    # IPython asks an exception for this before it makes a traceback of its own
    error._render_traceback_ = lambda: lines  # type: ignore[attr-defined]


def _red(text: str) -> str:
    return f"\x1b[31m{text}\x1b[0m"
