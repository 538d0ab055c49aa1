"""``remission report``: one self-contained HTML page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from remission.cli.run import QuietOption, StoreArgument


def report(
    store: StoreArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="The page to write, FILE.html.")],
    all_settings: Annotated[
        bool,
        typer.Option(
            "--all-settings",
            help="Also show results of other data or settings than those of the last runs, each "
            "with its setting.",
        ),
    ] = False,
    quiet: QuietOption = False,
) -> None:
    """Write the results of a store as one page that opens offline."""
    from remission.cli.progress import waiting
    from remission.records.places import place_of
    from remission.report.page.page import write_report

    with waiting(quiet, "starting") as say:
        write_report(place_of(store), output, say, all_settings=all_settings)
    if not quiet:
        print(f"report: {output}", file=sys.stderr)
