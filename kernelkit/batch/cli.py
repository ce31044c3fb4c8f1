"""The command line `kernelkit`: its commands, and what it exits with."""

from __future__ import annotations

import errno
import signal
import sys
import warnings
from typing import TextIO

import click

from kernelkit.batch.commands import looking, machine, project, running
from kernelkit.errors import KernelkitError, UsageError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="kernelkit")
def cli() -> None:
    """Backtests in notebooks, and the same notebooks as jobs.

    \b
    Exit codes:
      0    done
      1    a run failed, or what was asked for cannot be done
      2    the command is wrong; nothing was written
      130  stopped by Ctrl-C, 143 by SIGTERM: 128 + the signal; the same command goes on
    """


for _command in (
    *(running.run, running.batch, running.resume, running.cancel),
    *(looking.runs, looking.show, looking.compare, looking.export),
    *(project.ledger, project.new),
    *(machine.doctor, machine.cache, machine.warmup),
):
    cli.add_command(_command)


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
