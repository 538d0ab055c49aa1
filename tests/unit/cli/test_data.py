"""``remission data list`` and ``remission data fetch``."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest
from rich.console import Console
from typer.testing import CliRunner

from remission.cli.data import _show, app
from remission.data.catalogue import CATALOGUE
from remission.data.source import Source
from remission.errors import DataError
from tests.unit.data.conftest import contents, write

runner = CliRunner()


def test_list_in_a_pipe_is_one_line_a_data_set(small: Source) -> None:
    lines = runner.invoke(app, ["list"]).stdout.splitlines()
    (row,) = [line for line in lines if line.startswith("fashion-mnist")]
    assert "1x28x28" in row
    assert " no " in row
    for place in small.places():
        assert place in row
    assert "MIT" in row
    (row,) = [line for line in lines if line.startswith("digits")]
    assert "with remission" in row


def test_list_says_where_it_lies(small: Source) -> None:
    write(small.cache, contents())
    (row,) = [
        line
        for line in runner.invoke(app, ["list"]).stdout.splitlines()
        if line.startswith("fashion-mnist")
    ]
    assert row.count(str(small.cache)) == 1
    assert " no " not in row


def test_fetch(small: Source) -> None:
    assert small.folder is not None
    write(small.folder, contents())
    result = runner.invoke(app, ["fetch", "fashion-mnist"])
    assert result.stdout == f"fashion-mnist: {small.cache}\n"
    assert (small.cache / small.files[0].name).is_file()


def test_fetch_what_is_always_here() -> None:
    result = runner.invoke(app, ["fetch", "digits"])
    assert result.stdout == "digits: with remission, nothing to fetch\n"


@pytest.mark.usefixtures("small")
def test_fetch_problems_reach_the_root_as_they_are() -> None:
    for name, problem in (("digts", "unknown data set"), ("fashion-mnist", "found nowhere")):
        result = runner.invoke(app, ["fetch", name])
        assert isinstance(result.exception, DataError)
        assert problem in result.exception.problem


@pytest.mark.parametrize("module", ["remission.data", "remission.data.fetch", "remission.cli.data"])
def test_no_torch(module: str) -> None:
    code = (
        f"import sys, {module}; from remission.data import CATALOGUE; assert CATALOGUE; "
        "assert not {'torch', 'numpy', 'sklearn', 'PIL'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_package_names_what_it_has() -> None:
    import remission.data

    for name in remission.data.__all__:
        assert getattr(remission.data, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = remission.data.nothing


@pytest.mark.parametrize("width", [20, 30, 60, 99, 100, 200])
def test_the_list_hides_nothing_whatever_the_width(width: int) -> None:
    stream = io.StringIO()
    _show(Console(file=stream, width=width, force_terminal=True, color_system=None))
    shown = "".join(letter for letter in stream.getvalue() if letter.isalnum())
    for name, source in CATALOGUE.items():
        words = [name, source.description, source.licence, *source.places()]
        for word in words if width < 100 else [name]:
            assert "".join(letter for letter in word if letter.isalnum()) in shown, word
    for heading in ("shape", "here", "description"):
        assert heading in shown
    assert all(len(line) <= width for line in stream.getvalue().splitlines())
