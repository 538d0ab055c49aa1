"""Progress at a terminal: bars that go away, and above them what the lines say elsewhere."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest

from remission.cli.progress import loops_shown
from remission.progress import tracked
from tests.unit.grid import small
from tests.unit.grid.small import LABELS, Told, run, write_spec


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Lets the commands of the test write to a terminal."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)
    with mock.patch.object(small, "io", SimpleNamespace(StringIO=Terminal)):
        yield


def shown(told: Told) -> str:
    """Returns what was written, without colours and movements of the cursor."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", told.err)


@pytest.mark.usefixtures("terminal")
def test_a_run_shows_bars_and_a_line_per_stage(tmp_path: Path) -> None:
    told = run(write_spec(tmp_path), tmp_path / "store")
    assert told.status == 0, told.err
    said = shown(told)
    for label in LABELS:
        assert f"{label}: " in said
    assert f"{len(LABELS)}/{len(LABELS)} stages" in said, "the bar of the grid reaches its end"
    assert "\x1b" not in told.out
    assert told.err.rindex("\x1b[?25h") > told.err.rindex("\x1b[?25l"), "the cursor is back"


@pytest.mark.usefixtures("terminal")
def test_a_failed_stage_is_named_above_the_bars(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, ('method = "ft"', 'method = "ft"\nlr = 1e30'))
    told = run(spec, tmp_path / "store")
    assert told.status == 1
    assert "badnets/seed0/ft: failed: " in shown(told)
    assert "badnets/seed0/ft/retuning-3: skipped" in shown(told)


@pytest.mark.usefixtures("terminal")
def test_what_is_quiet_shows_nothing(tmp_path: Path) -> None:
    assert run(write_spec(tmp_path), tmp_path / "store", "--quiet").err == ""


@pytest.mark.usefixtures("terminal")
def test_an_estimate_is_awaited_without_traces(tmp_path: Path) -> None:
    told = run(write_spec(tmp_path), tmp_path / "store", "--dry-run")
    assert told.status == 0, told.err
    assert "\x1b" not in told.out
    assert told.err.rindex("\x1b[?25h") > told.err.rindex("\x1b[?25l"), "the cursor is back"


@pytest.mark.parametrize("at_terminal", [True, False])
def test_each_loop_is_shown(at_terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    err = Terminal() if at_terminal else io.StringIO()
    with mock.patch("sys.stderr", err), loops_shown(quiet=False):
        assert list(tracked("ab", "searching [class 3]", 2)) == ["a", "b"]
        assert list(tracked("a", "retuning", 1)) == ["a"]
    said = shown(Told(0, "", err.getvalue()))
    assert "searching [class 3]" in said
    assert "retuning" in said
    assert (said.splitlines() == ["searching [class 3]", "retuning"]) != at_terminal
