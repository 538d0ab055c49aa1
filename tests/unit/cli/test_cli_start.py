"""Commands that must start at once: they import no torch."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.grid.small import remission

PROBE = """
import sys
sys.argv = ["remission", *sys.argv[1:]]
from remission.cli import main
try:
    main()
except SystemExit as left:
    print("torch" in sys.modules, left.code, file=sys.stderr)
"""


@pytest.mark.parametrize(
    "command",
    [
        ["--help"],
        ["--version"],
        ["run", "--help"],
        ["methods"],
        ["table", "STORE"],
        ["table", "STORE", "--view", "paths", "--format", "json"],
        ["report", "STORE", "-o", "PAGE"],
        ["leaderboard", "STORE", "-o", "PAGE"],
        ["store", "verify", "STORE"],
        ["store", "gc", "STORE"],
        ["data", "list"],
    ],
    ids=" ".join,
)
def test_no_torch_is_imported(command: list[str], finished: Path, tmp_path: Path) -> None:
    places = {"STORE": str(finished), "PAGE": str(tmp_path / "page.html")}
    told = subprocess.run(
        [sys.executable, "-c", PROBE, *(places.get(word, word) for word in command)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.stderr.splitlines()[-1] == "False 0", told.stderr


@pytest.mark.parametrize("command", ["", "run", "purify", "audit", "data"])
def test_help_imports_nothing_that_a_command_needs(command: str) -> None:
    """It takes 0.2 s of processor time, of which typer and rich are most; see docs/speed.md."""
    code = (
        "import sys\n"
        "from remission.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(*sys.modules, file=sys.stderr)\n"
    )
    arguments = [sys.executable, "-c", code, *filter(None, [command]), "--help"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    heavy = {"numpy", "PIL", "ssl", "http.client", "rich.progress", "jinja2", "matplotlib"}
    assert not heavy & set(done.stderr.split())


def test_help_comes_within_a_second() -> None:
    """It takes 0.2 s of processor time; the best of three runs counts."""
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-c", "from remission.cli import main; main()", "--help"],
            capture_output=True,
            check=False,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    assert min(seconds) < 1.0


def test_help_names_every_command_of_the_first_release() -> None:
    told = remission("--help")
    assert (told.status, told.err) == (0, "")
    for command in ("demo", "run", "table", "report", "methods", "data", "store"):
        assert f" {command} " in told.out


def test_the_version_is_the_package_s() -> None:
    import remission as package

    assert remission("--version").out == f"remission {package.__version__}\n"
