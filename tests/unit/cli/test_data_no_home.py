"""A user without a home and without a name, as in a container."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from remission.data import source
from remission.data.catalogue import CATALOGUE
from remission.errors import DataError
from tests.unit.grid.small import Told, assert_one_line, write_spec

STRANGER = 54321
"""A user that no system knows."""


@functools.cache
def unknown_user() -> tuple[str, ...]:
    """Returns the prefix that runs a command as that user, with the rights of this one."""
    command = shutil.which("unshare")
    options = ("--user", f"--map-user={STRANGER}", f"--map-group={STRANGER}", "--")
    if command is None:
        pytest.skip("unshare of util-linux is not installed")
    told = subprocess.run([command, *options, "id", "-u"], capture_output=True, check=False)
    if told.stdout.strip() != str(STRANGER).encode():
        pytest.skip("this system allows no user namespaces")
    return (command, *options)


def homeless(folder: Path, *arguments: str | Path, **environment: str) -> Told:
    """Runs ``remission`` in a folder, with no environment but the given variables."""
    told = subprocess.run(
        [*unknown_user(), sys.executable, "-m", "remission", *map(str, arguments)],
        env={"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1", **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return Told(told.returncode, told.stdout, told.stderr)


@pytest.fixture
def without_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets this process see a user without name and home."""
    for name in ("HOME", "USERPROFILE", "REMISSION_DATA", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)


REMEDY = "set REMISSION_DATA to a folder that can be written, or HOME"


def test_the_list_is_shown_all_the_same(tmp_path: Path) -> None:
    told = homeless(tmp_path, "data", "list")
    assert told.status == 0
    assert all(name in told.out for name in CATALOGUE)
    (line,) = told.lines
    assert line.startswith("remission: there is no folder for data sets: '~/.cache/remission'")
    assert line.endswith(REMEDY)


def test_what_needs_the_cache_says_what_to_set(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, ('"digits"', '"cifar10"'))
    for command in (["data", "fetch", "cifar10"], ["run", spec, "--store", tmp_path / "store"]):
        assert_one_line(homeless(tmp_path, *command), "no folder for data sets", REMEDY)
    told = homeless(tmp_path, "data", "fetch", "cifar10", REMISSION_DATA="~/data")
    assert_one_line(told, "'~/data' needs a home", REMEDY)
    told = homeless(tmp_path, "data", "fetch", "cifar10", XDG_CACHE_HOME="~/cache")
    assert_one_line(told, "'~/cache/remission' needs a home", REMEDY)
    assert sorted(tmp_path.iterdir()) == [spec]


def test_what_needs_no_cache_goes_on(tmp_path: Path) -> None:
    assert homeless(tmp_path, "data", "fetch", "digits").status == 0
    spec = write_spec(tmp_path)
    told = homeless(tmp_path, "run", spec, "--store", tmp_path / "store", "--only", "*/ft*")
    assert told.status == 0, told.err
    page = tmp_path / "page.html"
    assert homeless(tmp_path, "report", tmp_path / "store", "-o", page).status == 0
    assert page.stat().st_size > 10_000
    assert sorted(tmp_path.iterdir()) == [page, spec, tmp_path / "store"], "no folder called ~"


def test_a_folder_that_is_named_is_used(tmp_path: Path) -> None:
    told = homeless(tmp_path, "data", "list", REMISSION_DATA=str(tmp_path / "data"))
    assert (told.status, told.err) == (0, "")
    assert str(tmp_path / "data" / "cifar10") in told.out
    told = homeless(tmp_path, "data", "list", HOME=str(tmp_path))
    assert (told.status, told.err) == (0, "")
    assert str(tmp_path / ".cache" / "remission" / "cifar10") in told.out


@pytest.mark.usefixtures("without_home")
def test_where_a_data_set_is_looked_for() -> None:
    with pytest.raises(DataError, match="needs a home"):
        source.cache_folder()
    fashion, cifar = CATALOGUE["fashion-mnist"], CATALOGUE["cifar10"]
    assert fashion.folder is not None
    assert fashion.local_folders() == (fashion.folder,)
    assert cifar.local_folders() == ()
    assert cifar.found() is None
    assert cifar.places() == (cifar.address,)
