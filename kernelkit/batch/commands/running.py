"""The commands that make runs, go on with them and stop them: `kernelkit run|batch|resume|cancel`."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kernelkit.errors import RunError, UsageError

if TYPE_CHECKING:
    from kernelkit.batch.execution import Outcome
    from kernelkit.batch.plan import Job
    from kernelkit.batch.terminal import Terminal


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
@click.option("--notify", multiple=True, metavar="NAME", help="Tell $KERNELKIT_NOTIFY_NAME when a run has ended.")
@click.option("--hide-code", is_flag=True, help="Leave the code out of report.html.")
@click.option("--dry-run", is_flag=True, help="Print the runs that would be made.")
@click.option("--json", "as_json", is_flag=True, help="Print the runs as JSON.")
def run(
    template: str, pairs: tuple[str, ...], out: str, jobs: int, dry_run: bool, as_json: bool, **options: Any
) -> None:
    """Run TEMPLATE, a template's name or an .ipynb file.

    The same template, parameters and versions go to the same folder: a run that was stopped goes on, a finished one is
    not repeated. A value is read by the type of the template's default. What is itself an axis there (fast="5:50:5") is
    passed on; for any other parameter an axis makes one run per value, and several axes one per combination. A range
    includes its end where the steps reach it: 5:50:5 is 5, 10, ... 50.
    """
    from kernelkit.batch.plan import plan

    _make(plan(template, _pairs(pairs), out, **options), jobs, dry_run, as_json)


@click.command(short_help="Make the runs that a YAML file lists.")
@click.argument("file", metavar="FILE.yaml")
@click.option("--out", help="Folder of the runs, instead of the file's, or runs.")
@click.option("--jobs", type=click.IntRange(1), help="Runs at a time, instead of the file's, or 1.")
@click.option("--cluster", metavar="ADDRESS", help="Scheduler of a Dask cluster, instead of the file's.")
@click.option("--notify", multiple=True, metavar="NAME", help="Tell $KERNELKIT_NOTIFY_NAME when a run has ended.")
@click.option("--force", is_flag=True, help="Run again what is done, from the start.")
@click.option("--dry-run", is_flag=True, help="Print the runs that would be made.")
@click.option("--json", "as_json", is_flag=True, help="Print the runs as JSON.")
def batch(file: str, jobs: int | None, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Make every run that FILE.yaml asks for: templates by strategies by data by parameters.

    \b
    template: walk_forward            # a name or an .ipynb file, or a list of them
    parameters:                       # of all runs: a value, or a list for a run each
      data: [sp500_index, nasdaq_index]
    matrix:                           # what belongs together; each goes with all of the above
      - {strategy: sma_cross, grid: "fast=5:50:5; slow=60:200:20"}
      - {strategy: momentum, grid: "span=60:240:60", where: "true"}
    exclude:                          # what is left out
      - {strategy: momentum, data: nasdaq_index}
    jobs: 2                           # also name, out, cluster, hide_code, notify

    Values are read as those of 'kernelkit run -p'. Paths count from the folder where the command is typed.
    """
    from kernelkit.batch.matrix import plan_batch, read_batch

    said = read_batch(file)
    _make(plan_batch(said, file, **options), jobs or said.get("jobs", 1), dry_run, as_json)


def _make(planned: Sequence[Job], jobs: int, dry_run: bool, as_json: bool) -> None:
    """Run what was planned, or with `dry_run` print it."""
    from kernelkit.batch.plan import as_json as of_json
    from kernelkit.batch.run import run_planned

    if dry_run and as_json:
        told = [
            {
                "id": job.id,
                "folder": str(job.folder),
                "template": job.template.name,
                "parameters": of_json(job.parameters),
            }
            for job in planned
        ]
        click.echo(json.dumps(told, indent=1))
    elif dry_run:
        for job in planned:
            click.echo(f"{job.folder}  " + " ".join(f"{name}={value}" for name, value in job.values.items()))
    else:
        with _watched(len(planned), as_json) as terminal:
            outcomes = run_planned(planned, jobs, terminal)
        _tell(outcomes, [outcome.folder for outcome in outcomes], as_json)


@contextlib.contextmanager
def _watched(total: int, as_json: bool) -> Iterator[Terminal]:
    """The progress of `total` runs on standard error; that some failed is told in one line."""
    from kernelkit.batch.run import RunsFailedError
    from kernelkit.batch.terminal import Terminal

    terminal = Terminal(sys.stderr, total)
    try:
        yield terminal
    except RunsFailedError as failure:
        if as_json:
            _tell(failure.outcomes, [outcome.folder for outcome in failure.outcomes], as_json)
        failed = [outcome for outcome in failure.outcomes if outcome.run.status != "done"]
        where = failed[0].folder / (failed[0].run.report or "run.json")
        raise RunError(f"{len(failed)} of {len(failure.outcomes)} runs failed; see {where}") from failure
    finally:
        terminal.close()


def _tell(outcomes: Sequence[Outcome], folders: Sequence[Path], as_json: bool) -> None:
    """A line for each run: its folder and headline; as JSON the records, where they lie, and whether they are new."""
    from kernelkit.batch.runs import headline

    told = list(zip(outcomes, folders, strict=True))
    if as_json:
        records = [{**made.run.to_json(), "folder": str(folder), "fresh": made.fresh} for made, folder in told]
        click.echo(json.dumps(records, indent=1))
        return
    for made, folder in told:
        parts = [str(folder), headline(made.run)]
        parts += [] if made.fresh else ["already done; --force runs it again"]
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


@click.command(short_help="Go on with a run that was stopped, lost or failed.")
@click.argument("runs", metavar="[ID|FOLDER]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All runs below --out that were cancelled or lost.")
@click.option("--out", default="runs", show_default=True, help="Folder of the runs, where ids are looked for.")
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(1), help="Runs at a time.")
@click.option("--cluster", metavar="ADDRESS", help="Scheduler of a Dask cluster, instead of the one in the record.")
@click.option("--notify", multiple=True, metavar="NAME", help="Tell $KERNELKIT_NOTIFY_NAME when a run has ended.")
@click.option("--force", is_flag=True, help="Run again what is done, from the start.")
@click.option("--json", "as_json", is_flag=True, help="Print the runs as JSON.")
def resume(runs: tuple[str, ...], every: bool, out: str, as_json: bool, **options: Any) -> None:
    """Go on with runs as their records say: the same notebook, parameters and folder, from where they were left.

    With --force a run is made again from the start; its numbers are those that it had. What has changed since is told
    and not run: the notebook, a file that the parameters name, or a version. An id may be cut off.
    """
    from kernelkit.batch import again
    from kernelkit.batch.finding import find, root

    if every == bool(runs):
        raise UsageError("wanted the ids of runs, or --all for all that were cancelled or lost")
    if every and options["force"]:
        raise UsageError("--force is for runs that are named by their ids, not for --all")
    folders = again.left_below(root(out)) if every else [find(given, out) for given in runs]
    if not folders:
        click.echo("[]" if as_json else f"{out}: no run was cancelled or lost")
        return
    folders = list({folder.resolve(): folder for folder in folders}.values())
    with _watched(len(folders), as_json) as terminal:
        outcomes = again.resume(folders, on_change=terminal, **options)
    _tell(outcomes, folders, as_json)


@click.command(short_help="Stop a run that is running on this machine.")
@click.argument("run", metavar="ID|FOLDER")
@click.option("--out", default="runs", show_default=True, help="Folder of the runs, where an id is looked for.")
def cancel(run: str, out: str) -> None:
    """Stop a run as Ctrl-C stops it: its record then says cancelled, and 'kernelkit resume' goes on with it.

    The process of the run is told, and its kernel goes with it. One that makes several runs after each other (--jobs 1)
    stops with the run; of several at a time only this one does.
    """
    from kernelkit.batch.cancel import cancel as stop
    from kernelkit.batch.finding import find

    ended = stop(find(run, out))
    click.echo(f"{ended.id}: {ended.status}")
