"""The commands that look at runs: `kernelkit runs|show|compare`."""

from __future__ import annotations

import json

import click

from kernelkit.errors import UsageError


@click.command()
@click.option("--out", default="runs", show_default=True, help="Folder of the runs.")
@click.option("--json", "as_json", is_flag=True, help="Print the records as JSON.")
def runs(out: str, as_json: bool) -> None:
    """List the runs below a folder, newest first."""
    from kernelkit.batch.finding import root
    from kernelkit.batch.runs import list_runs, table

    found = list_runs(root(out))
    if as_json:
        click.echo(json.dumps([one.to_json() for one in found], indent=1))
    else:
        click.echo(table(found) if found else f"{out}: no runs")


@click.command(short_help="Show one run in full.")
@click.argument("run", metavar="ID|FOLDER")
@click.option("--out", default="runs", show_default=True, help="Folder of the runs, where an id is looked for.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def show(run: str, out: str, as_json: bool) -> None:
    """Show one run: its state, verdict, tags, parameters, headline, data, versions, error and files.

    An id may be cut off where only one begins so; its hash may stand alone.
    """
    from kernelkit.batch import show as showing
    from kernelkit.batch.finding import find
    from kernelkit.batch.runs import read_run

    folder = find(run, out)
    found = read_run(folder)
    click.echo(json.dumps(showing.to_json(found, folder), indent=1) if as_json else showing.text(found, folder))


@click.command(short_help="Put runs side by side.")
@click.argument("runs", metavar="ID|FOLDER...", nargs=-1, required=True)
@click.option("--out", default="runs", show_default=True, help="Folder of the runs, where ids are looked for.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def compare(runs: tuple[str, ...], out: str, as_json: bool) -> None:
    """Put runs side by side: their headlines, the parameters that differ, and what else is not the same.

    That is the template, the data and their lineage, the code's commit, and the versions of what computes. With --json
    also what the equity curves say: correlations, and whether differences are more than luck.
    """
    from kernelkit.batch import compare as comparing
    from kernelkit.batch.finding import find
    from kernelkit.batch.runs import read_run

    folders = [find(run, out).resolve() for run in runs]
    for given, folder in zip(runs, folders, strict=True):
        if folders.count(folder) > 1:
            raise UsageError(f"{given}: the run {folder.name} is given twice")
    if len(folders) < 2:
        raise UsageError(f"{runs[0]} is one run; wanted at least two: 'kernelkit show' shows one")
    if as_json:
        click.echo(json.dumps(comparing.in_full(folders), indent=1))
    else:
        click.echo(comparing.text([read_run(folder) for folder in folders]))


@click.command(short_help="Write a result of a run as a Parquet file.")
@click.argument("run", metavar="ID|FOLDER")
@click.option("--table", default="metrics", show_default=True, help="metrics, or curves: what it has over time.")
@click.option("--to", "path", required=True, metavar="FILE.parquet", help="The file; an older one is replaced.")
@click.option("--result", "name", default="result", show_default=True, help="Which of the results that it has kept.")
@click.option("--out", default="runs", show_default=True, help="Folder of the runs, where an id is looked for.")
def export(run: str, table: str, path: str, name: str, out: str) -> None:
    """Write a result that a run has kept as a Parquet file for other systems, with units and where it comes from.

    Fills, orders and trades are simulated when they are asked for, and not kept: a notebook exports them itself, with
    kk.export(res, "trades.parquet", "trades").
    """
    from kernelkit.batch.opened import open_run
    from kernelkit.export import export as write

    opened = open_run(run, out)
    if name != "result" and name not in opened.results:
        wanted = ", ".join(opened.results) or "none that it has kept"
        raise UsageError(f"{opened.id} has no result {name!r}; it has {wanted}")
    click.echo(write(opened.result if name == "result" else opened.results[name], path, table))
