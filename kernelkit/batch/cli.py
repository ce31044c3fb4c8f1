"""The command line, `kernelkit run|runs|cache|doctor|warmup`.

Exit codes: 0 done, 1 failed, 2 usage, 128 + signal stopped.
"""

from __future__ import annotations

import errno
import json
import signal
import sys
import time
import warnings
from pathlib import Path
from typing import Any, TextIO

import click

from kernelkit.errors import KernelkitError, RunError, UsageError, message


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="kernelkit")
def cli() -> None:
    """Backtests in notebooks, and the same notebooks as jobs."""


@cli.command(short_help="Run a template or a notebook, for one or many values.")
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


@cli.command()
@click.option("--out", default="runs", show_default=True, help="Folder of the runs.")
@click.option("--json", "as_json", is_flag=True, help="Print the records as JSON.")
def runs(out: str, as_json: bool) -> None:
    """List the runs below a folder, newest first."""
    from kernelkit.batch.runs import list_runs, table

    if not Path(out).is_dir():
        raise UsageError(f"{out}: there is no such folder; --out is where 'kernelkit run' keeps its runs")
    found = list_runs(out)
    if as_json:
        click.echo(json.dumps([one.to_json() for one in found], indent=1))
    else:
        click.echo(table(found) if found else f"{out}: no runs")


@cli.command(short_help="Say what this machine offers, and what is missing.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def doctor(as_json: bool) -> None:
    """Say what this machine offers, and what to do about what is missing; exit code 1 when something is broken."""
    from kernelkit.batch.doctor import examine

    findings = list(examine())
    if as_json:
        click.echo(json.dumps([finding.to_json() for finding in findings], indent=1))
    else:
        for finding in findings:
            click.echo(f"{finding.state:<8} {finding.what:<10} {finding.found}")
    broken = [finding.what for finding in findings if finding.state == "problem"]
    if broken:
        raise RunError(f"something is wrong with: {', '.join(broken)}")


@cli.command(short_help="See, verify or prune the results that are kept.")
@click.argument("action", type=click.Choice(["list", "verify", "prune"]), default="list")
@click.option("--folder", help="The folder, instead of the user's.")
@click.option("--keep", metavar="SIZE", help="Prune the oldest beyond this size: 500MB, 2GB.")
@click.option("--older-than", metavar="TIME", help="Prune what is older: 90D, 12h.")
@click.option("--json", "as_json", is_flag=True, help="Print the packs as JSON.")
def cache(action: str, folder: str | None, keep: str | None, older_than: str | None, as_json: bool) -> None:
    """Results of trials that runs have kept (cache=), in packs: list them, verify their content, or prune them.

    Prune deletes what is damaged, and what --keep and --older-than say. What is gone is computed again when it is asked
    for. verify has exit code 1 where a pack is damaged.
    """
    from kernelkit.reuse import Results, folder_of, store_of
    from kernelkit.spilling import size_of

    store = Results(folder_of(folder)) if folder else store_of(None) or Results(folder_of(True))
    if action == "prune":
        found, said = (
            store.prune(keep_bytes=None if keep is None else size_of(keep, "keep"), older_than=_seconds(older_than)),
            "deleted",
        )
    elif keep or older_than:
        raise UsageError("--keep and --older-than say what to prune: kernelkit cache prune --keep 2GB")
    else:
        found, said = (store.verify(), "damaged") if action == "verify" else (store.packs(), "")
    if as_json:
        click.echo(json.dumps([pack.to_json() for pack in found], indent=1))
    else:
        for pack in found:
            click.echo(
                f"{pack.bytes:>12,}  {time.strftime('%Y-%m-%d %H:%M', time.localtime(pack.at))}  {pack.path.name}"
            )
        total = sum(pack.bytes for pack in found)
        click.echo(f"{store.place}: {len(found)} packs {said}".rstrip() + f", {total / 1e6:,.1f} MB")
    if action == "verify" and found:
        raise RunError("kernelkit cache prune deletes the damaged packs")


def _seconds(text: str | None) -> float | None:
    """A time, such as 90D, in seconds."""
    import pandas as pd

    if text is None:
        return None
    try:
        seconds = float("nan") if text.strip().isdigit() else float(pd.Timedelta(text).total_seconds())
    except ValueError:
        seconds = float("nan")
    if not seconds > 0.0:
        raise UsageError(message("--older-than", repr(text), "a time such as 90D or 12h", "Write 90D."))
    return seconds


@cli.command(short_help="Compile the engine now, not at the first backtest.")
def warmup() -> None:
    """Compile the engine now, so that the first backtest does not have to."""
    from kernelkit.engine import warmup as compile_engine

    click.echo(f"the engine is compiled and cached ({compile_engine():.1f} s)")


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    click.echo(f"kernelkit: warning: {message}", err=True)


def main() -> None:
    """The console script: errors that we raise on purpose are one line, without a traceback."""
    warnings.showwarning = _show_warning
    try:
        cli.main(prog_name="kernelkit", standalone_mode=False)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        ctx = getattr(error, "ctx", None)
        hint = f" '{ctx.command_path} --help' says more." if ctx else ""
        sys.exit(_fail(error.format_message() + hint, error.exit_code))
    except UsageError as error:
        sys.exit(_fail(str(error), 2))
    except KernelkitError as error:
        sys.exit(_fail(str(error), 1))
    except OSError as error:
        sys.exit(_fail(_of_system(error), 1))
    except (KeyboardInterrupt, click.Abort) as stop:
        # click turns a KeyboardInterrupt into its own Abort
        signum = getattr(stop.__cause__ or stop, "signum", signal.SIGINT)
        sys.exit(_fail("stopped; the same command goes on from here", 128 + signum))


def _of_system(error: OSError) -> str:
    """What the system refused, and where.

    >>> _of_system(OSError(errno.ENOSPC, "No space left on device", "runs/a/run.json"))
    'runs/a/run.json: No space left on device; free some, then the same command goes on from here'
    """
    where = f"{error.filename}: " if error.filename is not None else ""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    todo = "; free some, then the same command goes on from here" if full else ""
    return f"{where}{error.strerror or error}{todo}"


def _fail(text: str, code: int) -> int:
    click.echo(f"kernelkit: {text}", err=True)
    return code


if __name__ == "__main__":
    main()
