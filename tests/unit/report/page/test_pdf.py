"""A report as PDF, by Chromium where there is one."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from remission.cli import app
from remission.errors import StoreError, UserError
from remission.report.page.pdf import find_browser, write_pdf
from tests.unit.report.page.browser import BROWSER
from tests.unit.report.report_factory import cell, records, write_store


def fake(folder: Path, script: str) -> Path:
    """Makes a program in the place of Chromium."""
    program = folder / "chromium"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is on PATH")
def test_the_command_prints_a_page(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store", records(cell()))
    out = tmp_path / "report.pdf"
    done = CliRunner().invoke(app, ["report", str(store), "--pdf", str(out)])
    assert done.exit_code == 0, done.output
    assert out.read_bytes().startswith(b"%PDF-")
    assert done.stderr.splitlines()[-1] == f"report: {out}"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["report.pdf", "store"]


def test_without_a_browser_one_line_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = write_store(tmp_path / "store", records(cell()))
    monkeypatch.setenv("PATH", str(tmp_path))
    page = tmp_path / "report.html"
    arguments = ["report", str(store), "-o", str(page), "--pdf", str(tmp_path / "a.pdf")]
    failed = CliRunner().invoke(app, arguments)
    assert isinstance(failed.exception, UserError)
    assert "needs Chromium, and none of chromium" in str(failed.exception)
    assert "; install it, or print" in str(failed.exception)
    assert not page.exists(), "before the work for the page"


def test_a_browser_that_prints_nothing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, out = tmp_path / "page.html", tmp_path / "page.pdf"
    page.write_text("<p>page</p>")
    out.write_text("old")
    for script in ("exit 0", "exit 3"):
        program = fake(tmp_path, script)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        assert find_browser() == str(program)
        with pytest.raises(UserError, match="did not print the page"):
            write_pdf(page, out, str(program))
    with pytest.raises(UserError, match="did not print the page"):
        write_pdf(page, out, str(tmp_path / "none"))
    assert out.read_text() == "old"


def test_places_are_checked(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    with pytest.raises(StoreError, match="does not exist"):
        write_pdf(page, tmp_path / "no" / "page.pdf", "chromium")
    nothing = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert isinstance(nothing.exception, UserError)
    assert str(nothing.exception) == "there is nothing to write; add -o FILE.html or --pdf FILE.pdf"
