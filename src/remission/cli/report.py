"""``remission report``: one self-contained HTML page, and the same page as PDF."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from remission.cli.run import AllSettingsOption, QuietOption, StoreArgument


def report(
    store: StoreArgument,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The page to write, FILE.html.")
    ] = None,
    pdf: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.pdf",
            help="The page as PDF, which Chromium prints; with or without -o.",
        ),
    ] = None,
    all_settings: AllSettingsOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write the results of a store as one page that opens offline."""
    from remission.cli.progress import waiting
    from remission.errors import UserError
    from remission.records.places import place_of
    from remission.report.page.files import check_place
    from remission.report.page.page import write_report
    from remission.report.page.pdf import find_browser, write_pdf

    if output is None and pdf is None:
        raise UserError("there is nothing to write", "add -o FILE.html or --pdf FILE.pdf")
    place = place_of(store)
    browser = ""
    if pdf is not None:  # before the work for the page
        browser = find_browser()
        check_place(pdf, [place])
        if output is not None and output.resolve() == pdf.resolve():
            raise UserError(f"'{pdf}' would be written twice", "name different files")
    with tempfile.TemporaryDirectory() as scratch, waiting(quiet, "starting") as say:
        page = output or Path(scratch) / "report.html"
        write_report(place, page, say, all_settings=all_settings)
        if pdf is not None:
            say("printing the page")
            write_pdf(page, pdf, browser)
    if not quiet:
        for file in filter(None, (output, pdf)):
            print(f"report: {file}", file=sys.stderr)
