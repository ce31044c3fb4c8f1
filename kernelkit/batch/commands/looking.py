"""The commands that look at runs: `kernelkit runs`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from kernelkit.errors import UsageError


@click.command()
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
