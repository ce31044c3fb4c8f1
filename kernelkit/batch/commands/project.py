"""The commands about a project: `kernelkit new|ledger`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from kernelkit.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

# Trials that a terminal shows unless told.
LAST = 20


@click.command(short_help="Begin a project: a strategy, a notebook, a test, a batch file.")
@click.argument("folder")
def new(folder: str) -> None:
    """Begin a project in FOLDER, which is made: a strategy, a notebook, a test, a batch file and a README.

    All of it works at once, and keeps a ledger of its own in .kernelkit.
    """
    from kernelkit.batch.project import begin

    for path in begin(folder):
        click.echo(path)
    click.echo(f"cd {folder}; python -m pytest; kernelkit batch batch.yaml")


@click.command(short_help="Show what was tried in this project.")
@click.argument("table", type=click.Choice(["strategies", "families", "trials"]), default="strategies")
@click.option("--strategy", help="Trials of this strategy only.")
@click.option("--role", help="Trials of this role only: rival, training, path ...")
@click.option("--last", type=click.IntRange(1), help=f"So many of the newest trials; {LAST} in a terminal, else all.")
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
def ledger(table: str, strategy: str | None, role: str | None, last: int | None, as_json: bool) -> None:
    """What was tried in this project, from its ledger.

    strategies: calls and trials by strategy and role. families: rivals by market, with all assets that are one market;
    they are what a verdict corrects for. trials: every run of each, with parameters and results.
    """
    from kernelkit import ledger as tried

    if table != "trials" and (strategy or role or last):
        raise UsageError("--strategy, --role and --last are of trials: kernelkit ledger trials --last 50")
    if table == "trials":
        found = tried.trials(strategy, role=role)
    else:
        found = tried.families() if table == "families" else tried.summary()
    total = len(found)
    if last or (table == "trials" and not as_json):
        found = found.tail(last or LAST)
    if as_json:
        records = json.loads(found.to_json(orient="records", date_format="iso"))
        click.echo(json.dumps(records, indent=1, ensure_ascii=False))
        return
    if total:
        click.echo(_text(found))
    shown = f"{table} {total - len(found) + 1:,} to {total:,}" if len(found) < total else f"{table}: {total:,}"
    click.echo(f"{tried.place()}, {shown}" if total else f"{tried.place()}: nothing was tried yet")


def _text(found: pd.DataFrame) -> str:
    """The table for a terminal, without what only programs read."""
    from kernelkit.batch.columns import columns

    shown = [name for name in found if name not in ("source", "key", "parent", "notebook", "final_equity", "seen")]
    numbers = [i for i, name in enumerate(shown) if found[name].dtype.kind in "iuf"]
    rows = [
        tuple(_cell(name, value) for name, value in zip(shown, row, strict=True))
        for row in found[shown].itertuples(index=False)
    ]
    return columns([tuple(name.upper() for name in shown), *rows], right=numbers)


def _cell(name: str, value: Any) -> str:
    if name in ("first", "last", "at"):
        return f"{value:%Y-%m-%d %H:%M}"
    if name in ("start", "end"):
        return f"{value:%Y-%m-%d}"
    if isinstance(value, dict):
        return " ".join(f"{key}={one}" for key, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else f"{value}"
