"""`%runs`, `%compare` and `%result`: what batches have left, and what is kept in variables and files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics, line_magic, magics_class, no_var_expand

from kernelkit.errors import UsageError
from kernelkit.notebook import bundle, fault, kept, sheets
from kernelkit.notebook.config import config_of
from kernelkit.notebook.listing import show
from kernelkit.notebook.magics.backtest import LATEST
from kernelkit.notebook.magics.lookahead import whole
from kernelkit.notebook.options import Given, Option, Table, parse

if TYPE_CHECKING:
    from kernelkit.batch.runs import Run

OUT = Option("out", "FOLDER", "where 'kernelkit run' keeps its runs; what %kkconfig says if left out")
RUNS = Table("%runs", (OUT, Option("most", "N", "show at most so many, the newest; 20 if left out")), "word")
COMPARE = Table("%compare", (OUT,), "result")
RESULT = Table("%result", (OUT,), "result")

RUNS_HELP = f"""The runs of `kernelkit run` and `kernelkit batch`, the newest first: state, headline and id.

    %runs
    %runs done walk_forward
    %runs fast=10 --out runs --most 5

Words choose: each has to stand in the run's id, state, template, or one of its parameters as name=value.

{RUNS.help()}
"""
COMPARE_HELP = f"""Runs, or results in variables, side by side: their metrics, and what else is not the same.

    %compare walk_forward-1a2b walk_forward-3c4d
    %compare calm bold

An id may be as short as it is clear. A result that is compared has one trial: res.sel(fast=10, slow=100).

{COMPARE.help()}
"""
RESULT_HELP = f"""Show a result again: of a variable, of a file of kk.save, or of a run.

    %result
    %result res
    %result study.zarr
    %result walk_forward-1a2b

Without a name it is the latest one.

{RESULT.help()}
"""


@magics_class
class RunsMagics(Magics):
    """`%runs`, `%compare` and `%result`."""

    tables = (RUNS, COMPARE, RESULT)

    @no_var_expand
    @line_magic
    @fault.told
    def runs(self, line: str) -> None:  # noqa: D102  written below, as those of the others
        from kernelkit.batch.finding import root
        from kernelkit.batch.runs import list_runs

        given = parse(RUNS, line)
        most = whole(given, "most") if "most" in given.values else 20
        out = self._out(given)
        found = [run for run in list_runs(root(out)) if fits(run, given.words)]
        show(sheets.runs(found, most, out, given.words))

    @no_var_expand
    @line_magic
    @fault.told
    def compare(self, line: str) -> None:  # noqa: D102
        given = parse(COMPARE, line)
        if len(given.words) < 2:
            raise UsageError(f"%compare {line}: wanted two at least, as in %compare a b; %runs lists the runs")
        show(sheets.side_by_side(kept.several(given.words, self._space(), self._out(given))))

    @no_var_expand
    @line_magic
    @fault.told
    def result(self, line: str) -> None:  # noqa: D102
        given = parse(RESULT, line)
        if len(given.words) > 1:
            raise UsageError(f"%result {line}: wanted one name; %compare shows several")
        if not given.words and LATEST not in self._space():
            raise UsageError("%result: nothing was backtested in this session; wanted a variable, a file or a run")
        found = kept.one(given.words[0] if given.words else LATEST, self._space(), self._out(given))
        for part in kept.parts(found):
            show(bundle.result_bundle(part) if kept.is_result(part) else sheets.one(part))

    def _space(self) -> dict[str, Any]:
        return self.shell.user_ns  # type: ignore[union-attr,no-any-return]  # there is one: it called us

    def _out(self, given: Given) -> str:
        return given.values.get("out", config_of(self.shell).runs)


RunsMagics.runs.__doc__ = RUNS_HELP
RunsMagics.compare.__doc__ = COMPARE_HELP
RunsMagics.result.__doc__ = RESULT_HELP


def fits(run: Run, words: list[str]) -> bool:
    """Whether each word stands in what tells the run from others."""
    told = [run.id, run.status, run.template, *(f"{name}={value}" for name, value in run.parameters.items())]
    return all(any(word.lower() in text.lower() for text in told) for word in words)
