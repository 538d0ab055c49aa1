"""``remission leaderboard``: the purifiers of several stores as one page, with a CSV file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from remission.cli.run import AllSettingsOption, QuietOption


def leaderboard(
    stores: Annotated[
        list[str],
        typer.Argument(
            help="What `remission run` wrote: folders, s3:// addresses, or folders of records.",
            metavar="STORE...",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE.html",
            help="The page to write; FILE.csv is written beside it.",
        ),
    ],
    trials: Annotated[
        str | None,
        typer.Option(
            metavar="STORE",
            help="Results of the models on which settings were chosen; the page then says from "
            "which settings the attacks were held out.",
        ),
    ] = None,
    all_settings: AllSettingsOption = False,
    quiet: QuietOption = False,
) -> None:
    """Compare the purifiers of some stores on one page that opens offline."""
    from remission.cli.progress import waiting
    from remission.records.places import place_of
    from remission.report.page.leaderboard import write_leaderboard

    with waiting(quiet, "starting") as say:
        table = write_leaderboard(
            [place_of(store) for store in stores],
            output,
            trials=place_of(trials) if trials is not None else None,
            all_settings=all_settings,
            say=say,
        )
    if not quiet:
        print(f"leaderboard: {output}, {table}", file=sys.stderr)
