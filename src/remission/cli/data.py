"""``remission data``: which data sets there are, where each is looked for; bring one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from remission.data.catalogue import CATALOGUE, find_source
from remission.data.fetch import fetch_into_cache
from remission.data.source import Source
from remission.progress import listening

app = typer.Typer(
    help="The data sets: where each was looked for, and how to bring one.", no_args_is_help=True
)

_PIPE_WIDTH = 10_000  # columns: one line a data set, whatever reads it


@app.command("list")
def list_datasets() -> None:
    """List the data sets, whether they are here, and where each is looked for."""
    console = _results()
    table = Table(box=box.SIMPLE_HEAD if console.is_terminal else None, pad_edge=False)
    for heading in ("name", "shape"):
        table.add_column(heading, no_wrap=True)
    for heading in ("here", "description", "also looked for in"):
        table.add_column(heading, overflow="fold")
    for source in CATALOGUE.values():
        table.add_row(*_row(source))
    console.print(table)
    console.print("Any image folder is a data set too, by its path: DIR/class/image.png")


def _row(source: Source) -> tuple[str, ...]:
    here = source.found()
    elsewhere = "; ".join(place for place in source.places() if place != here)
    return (
        source.name,
        "x".join(str(length) for length in source.shape),
        here or "no",
        f"{source.description}; {source.classes} classes, {source.train} + {source.test} images; "
        f"licence {source.licence}",
        elsewhere or "-",
    )


@app.command("fetch")
def fetch(
    name: Annotated[str, typer.Argument(help="A name that 'remission data list' shows.")],
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Bring a data set into the cache, verified, and say where it lies."""
    source = find_source(name)
    if source.bundled is not None:
        typer.echo(f"{name}: {source.found()}, nothing to fetch")
        return
    with _progress(quiet):
        folder = fetch_into_cache(source)
    typer.echo(f"{name}: {folder}")


def _results() -> Console:
    """Standard output; in a pipe nothing is wrapped, so that each row stays one line."""
    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    return Console(file=sys.stdout, width=width, highlight=False, markup=False)


@contextmanager
def _progress(quiet: bool) -> Iterator[None]:
    """A bar on standard error for everything that says how far it is."""
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
