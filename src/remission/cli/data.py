"""``remission data``: lists the data sets and where each is looked for, or fetches one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

    from remission.data.source import Source

app = typer.Typer(
    help="List the data sets and where each is looked for, or fetch one.", no_args_is_help=True
)

_PIPE_WIDTH = 10_000
"""Characters per line where standard output is no terminal: one line per data set."""
_HEADINGS = ("name", "shape", "here", "description", "also looked for in")
_NARROW = 100
"""Characters per line of a terminal below which a table would not be readable."""


@app.command("list")
def list_datasets() -> None:
    """List the data sets, whether they are here, and where each is looked for."""
    from rich.console import Console

    from remission.data.source import cache_folder
    from remission.errors import DataError

    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    _show(Console(file=sys.stdout, width=width, highlight=False, markup=False))
    print("Any image folder is a data set too, by its path: DIR/class/image.png")
    try:
        cache_folder()
    except DataError as error:  # data sets outside the cache are listed all the same
        print(f"remission: {error}", file=sys.stderr)


def _show(console: Console) -> None:
    """Prints a table, or where the terminal is narrow a block of lines per data set."""
    from rich import box
    from rich.padding import Padding
    from rich.table import Table

    from remission.data.catalogue import CATALOGUE

    rows = [_row(source) for source in CATALOGUE.values()]
    if console.width < _NARROW:
        for row in rows:
            console.print(row[0])
            for heading, value in zip(_HEADINGS[1:], row[1:], strict=True):
                console.print(Padding(f"{heading}: {value}", (0, 0, 0, 2)), overflow="fold")
        return
    table = Table(box=box.SIMPLE_HEAD if console.is_terminal else None, pad_edge=False)
    for heading in _HEADINGS:
        table.add_column(heading, no_wrap=heading in ("name", "shape"), overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def _row(source: Source) -> tuple[str, ...]:
    """Returns the row of a data set, see ``_HEADINGS``."""
    place = source.found()
    elsewhere = "; ".join(other for other in source.places() if other != place)
    return (
        source.name,
        "x".join(str(length) for length in source.shape),
        place or "no",
        f"{source.description}; {source.classes} classes, {source.train} + {source.test} images; "
        f"licence {source.licence}",
        elsewhere or "-",
    )


@app.command("fetch")
def fetch(
    name: Annotated[str, typer.Argument(help="A name from 'remission data list'.")],
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress bar.")] = False,
) -> None:
    """Fetch a data set into the cache, check it, and say where it lies."""
    from remission.data.catalogue import find_source
    from remission.data.fetch import fetch_into_cache

    source = find_source(name)
    if source.bundled is not None:
        typer.echo(f"{name}: {source.found()}, nothing to fetch")
        return
    with _progress(quiet):
        folder = fetch_into_cache(source)
    typer.echo(f"{name}: {folder}")


@contextmanager
def _progress(quiet: bool) -> Iterator[None]:
    """Shows a bar on standard error for everything that reports its progress."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from remission.progress import listening

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def hear(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        with listening(hear):
            yield
