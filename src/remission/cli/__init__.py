"""The command line. This file adds the commands and turns errors into exit statuses."""

from __future__ import annotations

import codecs
import errno
import gc
import io
import json
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
    _mend_streams()
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
        after = _INTERRUPTED.get("".join(sys.argv[1:2]), _STORED)
        print(f"remission: interrupted; {after}", file=sys.stderr)
    try:
        sys.stdout.flush()
    except OSError as error:
        status = _cannot_write(error)
    sys.exit(status if isinstance(status, int) else 0)


_ALLOCATIONS = 50_000
"""New objects after which Python looks for garbage; its own number is below 2,000."""
_STORED = "all finished stages are stored, and the same command goes on"
_INTERRUPTED = {"purify": "nothing was written", "audit": "nothing was written"}
"""Command -> what is said after an interruption, where nothing is stored."""


def _mend_streams() -> None:
    """Makes sure that neither a closed stream nor a letter that it cannot write ends a run.

    Results in a pipe or a file are UTF-8 whatever the locale, unless PYTHONIOENCODING asks for
    another encoding. A letter that an encoding lacks is written as JSON escapes it.
    """
    codecs.register_error(_ESCAPED, _escape)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            free = name == "stdout" and not stream.isatty()
            utf8 = free and not os.environ.get("PYTHONIOENCODING")
            stream.reconfigure(encoding="utf-8" if utf8 else None, errors=_ESCAPED)


_ESCAPED = "remission-escaped"
"""The name by which streams know :func:`_escape`."""


def _escape(error: UnicodeError) -> tuple[str, int]:
    """Returns the JSON escapes of the letters that an encoding lacks, and where to go on."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return json.dumps(letters, ensure_ascii=True)[1:-1], error.end


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
