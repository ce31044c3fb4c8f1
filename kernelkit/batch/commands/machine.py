"""The commands about this machine: `kernelkit doctor|cache|warmup`."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import click

from kernelkit.errors import RunError, UsageError, message

if TYPE_CHECKING:
    from kernelkit.reuse import Results


@click.command(short_help="Say what this machine offers, and what is missing.")
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


@click.command(short_help="See, verify or prune the results that are kept.")
@click.argument("action", type=click.Choice(["list", "verify", "prune"]), default="list")
@click.option("--folder", help="This folder, instead of the project's and the user's.")
@click.option("--keep", metavar="SIZE", help="Prune the oldest beyond this size: 500MB, 2GB.")
@click.option("--older-than", metavar="TIME", help="Prune what is older: 90D, 12h.")
@click.option("--json", "as_json", is_flag=True, help="Print the packs as JSON.")
def cache(action: str, folder: str | None, keep: str | None, older_than: str | None, as_json: bool) -> None:
    """Results of trials that are kept, in packs: list them, verify their content, or prune them.

    Cells of a notebook keep them in the project's .kernelkit/results, cache=True in the user's folder. Prune deletes
    what is damaged, and what --keep and --older-than say. What is gone is computed again when it is asked for. verify
    has exit code 1 where a pack is damaged.
    """
    from kernelkit.spilling import size_of

    if action != "prune" and (keep or older_than):
        raise UsageError("--keep and --older-than say what to prune: kernelkit cache prune --keep 2GB")
    most, age = None if keep is None else size_of(keep, "keep"), _seconds(older_than)
    said = {"list": "", "verify": " damaged", "prune": " deleted"}[action]
    every = []
    for store in _stores(folder):
        if action == "prune":
            found = store.prune(keep_bytes=most, older_than=age)
        else:
            found = store.verify() if action == "verify" else store.packs()
        every += found
        if not as_json:
            for pack in found:
                at = time.strftime("%Y-%m-%d %H:%M", time.localtime(pack.at))
                click.echo(f"{pack.bytes:>12,}  {at}  {pack.path.name}")
            total = sum(pack.bytes for pack in found)
            click.echo(f"{store.place}: {len(found)} packs{said}, {total / 1e6:,.1f} MB")
    if as_json:
        click.echo(json.dumps([pack.to_json() for pack in every], indent=1))
    if action == "verify" and every:
        raise RunError("kernelkit cache prune deletes the damaged packs")


def _stores(folder: str | None) -> list[Results]:
    """The store in this folder, or where none is named the project's, if there is one, and the user's."""
    from kernelkit.ledger import root
    from kernelkit.reuse import Results, folder_of, store_of

    if folder:
        return [Results(folder_of(folder))]
    own, users = Results(root() / "results"), store_of(None) or Results(folder_of(True))
    return [own, users] if own.place.is_dir() and own.place != users.place else [users]


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


@click.command(short_help="Compile the engine now, not at the first backtest.")
def warmup() -> None:
    """Compile the engine now, so that the first backtest does not have to."""
    from kernelkit.engine import warmup as compile_engine

    click.echo(f"the engine is compiled and cached ({compile_engine():.1f} s)")
