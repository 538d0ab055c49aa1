"""The command line. This file adds the commands and turns errors into exit statuses."""

from __future__ import annotations

import errno
import gc
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import Exit, TyperException

import remission
from remission.cli import data, store
from remission.cli.audit import audit
from remission.cli.demo import demo
from remission.cli.inspect import inspect
from remission.cli.interruption import Interruption
from remission.cli.leaderboard import leaderboard
from remission.cli.methods import methods
from remission.cli.purify import purify
from remission.cli.report import report
from remission.cli.run import run
from remission.cli.slurm import slurm
from remission.cli.status import status
from remission.cli.streams import mend_streams
from remission.cli.table import TableCommand, table
from remission.errors import DivergedError, UserError

app = typer.Typer(
    name="remission",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_COMMANDS = demo, run, status, slurm, report, leaderboard, methods, inspect, purify, audit
for command in _COMMANDS:
    app.command()(command)
app.command(cls=TableCommand)(table)
app.add_typer(data.app, name="data")
app.add_typer(store.app, name="store")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"remission {remission.__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Find out whether a purified image classifier is cured or only in remission."""
    del version


def main() -> None:
    """Runs the command line; an error that a user can mend is one line and exit status 2."""
    # Imports and records are many objects that stay: looking for garbage among them costs a tenth.
    gc.set_threshold(_ALLOCATIONS)
    interruption = Interruption()
    interruption.install()
    command = "".join(sys.argv[1:2])
    mend_streams(may_lose_reader=command not in _PRINTING)
    try:
        status = app(standalone_mode=False, prog_name="remission")
    except UserError as error:
        status = _complain(str(error))
    except DivergedError as error:  # of a grid it is the result of a cell
        status = _complain(str(error))
    except Exit as error:
        status = error.exit_code  # typer's status of an interruption is 130
    except TyperException as error:
        complaint = error.format_message().rstrip(".").replace("Value error, ", "")
        place = getattr(getattr(error, "ctx", None), "command_path", "remission")
        line = f"{complaint[:1].lower()}{complaint[1:]}; see {place} --help"
        status = _complain(line) if complaint else 2
    except (KeyboardInterrupt, typer.Abort):
        status = 130
    except SystemExit as error:  # of typer where a pipe is closed, or of a method: of no command
        if isinstance(error.__context__, OSError):
            status = _cannot_write(error.__context__)
        else:
            status = _complain(f"a method ended the command by sys.exit({error.code!r}); mend it")
    except OSError as error:
        status = _cannot_write(error)
    if status == 130:
        interruption.ignore_further()
        after = f"; {_INTERRUPTED[command]}" if command in _INTERRUPTED else ""
        print(f"remission: interrupted{after}", file=sys.stderr)
    try:
        sys.stdout.flush()
    except OSError as error:
        status = _cannot_write(error)
    sys.exit(status if isinstance(status, int) else 0)


_ALLOCATIONS = 50_000
"""New objects after which Python looks for garbage; its own number is below 2,000."""
_STORED = "all finished stages are stored, and the same command goes on"
_UNWRITTEN = "no file was left half-written"
_INTERRUPTED = {"run": _STORED, "demo": _STORED, "purify": _UNWRITTEN, "audit": _UNWRITTEN}
"""Command -> what is said after an interruption."""
_PRINTING = {"table", "status", "methods", "inspect", "slurm"}
"""Commands whose whole result is printed: without a reader there is nothing left to do."""


def _cannot_write(error: OSError) -> int:
    """Returns the exit status after a failure to write: 0 if the reader closed the pipe."""
    # Output that is still in the buffer is discarded.
    sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    if error.errno == errno.EPIPE:
        return 0
    return _complain(
        f"cannot read or write ({error}); check the path, its permissions and the space left"
    )


def _complain(line: str) -> int:
    """Prints an error; returns the exit status of errors that a user can mend."""
    print(f"remission: {line}", file=sys.stderr)
    return 2
