"""A page as PDF, printed by headless Chromium."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from remission.errors import UserError
from remission.report.page.files import check_place, write_page

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
"""The names under which the browser is looked for on PATH."""
_LONGEST = 300
"""Seconds after which the browser is stopped."""


def find_browser() -> str:
    """Returns the browser that prints.

    Raises:
        UserError: there is none.
    """
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        raise UserError(
            f"--pdf needs Chromium, and none of {', '.join(BROWSERS)} is on PATH",
            "install it, or print the page to a file in a browser of yours",
        )
    return found


def write_pdf(page: Path, out: Path, browser: str) -> None:
    """Prints a page to a PDF file, which replaces the old one when it is whole.

    Args:
        page: the HTML file.
        out: the PDF file.
        browser: as :func:`find_browser` returns it.

    Raises:
        StoreError: ``out`` is no place for a file.
        UserError: the browser does not print it.
    """
    check_place(out, [])
    with tempfile.TemporaryDirectory() as scratch:
        printed = Path(scratch) / "page.pdf"
        command = [
            browser,
            "--headless",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--no-pdf-header-footer",
            f"--user-data-dir={scratch}/profile",
            f"--print-to-pdf={printed}",
            *(["--no-sandbox"] if os.geteuid() == 0 else []),  # its sandbox refuses root
            page.resolve().as_uri(),
        ]
        try:
            done = subprocess.run(command, capture_output=True, check=False, timeout=_LONGEST)
            failed = done.returncode != 0 or not printed.is_file()
        except (OSError, subprocess.TimeoutExpired):
            failed = True
        if failed:
            raise UserError(
                f"'{browser}' did not print the page '{page}'",
                "print it to a file in a browser of yours",
            )
        write_page(out, printed.read_bytes())
