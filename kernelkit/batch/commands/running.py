"""The commands that make runs and stop them: `kernelkit run`."""

from __future__ import annotations

import sys
from typing import Any

import click

from kernelkit.errors import RunError, UsageError


@click.command(short_help="Run a template or a notebook, for one or many values.")
@click.argument("template")
@click.option(
    "-p",
    "--param",
    "pairs",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter; a:b:step (b included) or v1,v2 makes a batch.",
)
@click.option("--out", default="runs", show_default=True, help="Folder of the runs; each gets its own below it.")
@click.option("--name", help="Name of the runs, instead of the template's.")
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(1), help="Runs of a batch at a time.")
@click.option("--cluster", metavar="ADDRESS", help="Scheduler of a Dask cluster that the trials of the runs go to.")
@click.option("--force", is_flag=True, help="Run again what is done, from the start.")
@click.option("--hide-code", is_flag=True, help="Leave the code out of report.html.")
@click.option("--dry-run", is_flag=True, help="Print the runs that would be made.")
def run(template: str, pairs: tuple[str, ...], dry_run: bool, **options: Any) -> None:
    """Run TEMPLATE, a template's name or an .ipynb file.

    The same template, parameters and versions go to the same folder: a run that was stopped goes on, a finished one is
    not repeated. A value is read by the type of the template's default. What is itself an axis there (fast="5:50:5") is
    passed on; for any other parameter an axis makes one run per value, and several axes one per combination. A range
    includes its end where the steps reach it: 5:50:5 is 5, 10, ... 50.
    """
    from kernelkit.batch.plan import plan
    from kernelkit.batch.run import RunsFailedError
    from kernelkit.batch.run import run as run_template
    from kernelkit.batch.runs import headline
    from kernelkit.batch.terminal import Terminal

    parameters = _pairs(pairs)
    planned = plan(template, parameters, options["out"], name=options["name"])
    if dry_run:
        for job in planned:
            click.echo(f"{job.folder}  " + " ".join(f"{name}={value}" for name, value in job.values.items()))
        return
    terminal = Terminal(sys.stderr, len(planned))
    try:
        outcomes = run_template(template, parameters, on_change=terminal, **options)
    except RunsFailedError as failure:
        failed = [outcome for outcome in failure.outcomes if outcome.run.status != "done"]
        where = failed[0].folder / (failed[0].run.report or "run.json")
        raise RunError(f"{len(failed)} of {len(failure.outcomes)} runs failed; see {where}") from failure
    finally:
        terminal.close()
    for outcome in outcomes:
        parts = [str(outcome.folder), headline(outcome.run)]
        parts += [] if outcome.fresh else ["already done; --force runs it again"]
        click.echo("  ".join(part for part in parts if part))


def _pairs(pairs: tuple[str, ...]) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.isidentifier():
            raise UsageError(f"-p {pair}: wanted NAME=VALUE")
        if name in parameters:
            raise UsageError(f"-p {pair}: {name} is given twice; write several values as {name}=v1,v2")
        parameters[name] = value
    return parameters
