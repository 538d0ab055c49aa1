"""Several interruptions in a row: one is heard, and the process ends by itself."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.unit.grid.small import assert_one_line, remission

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no such signals")

SCRIPT = """
import os, signal, sys, time
import typer
import remission.cli as cli

which = getattr(signal, sys.argv[1])
signal.signal(signal.SIGINT, signal.default_int_handler)

def app(**_):
    try:
        os.kill(os.getpid(), which)
        time.sleep(5)
    finally:
        os.kill(os.getpid(), which)
        print("tidied up", flush=True)

class Stream:
    def write(self, text):
        os.kill(os.getpid(), which)
        return sys.__stderr__.write(text)
    def flush(self):
        sys.__stderr__.flush()

import atexit
atexit.register(lambda: os.kill(os.getpid(), which))
cli.app = app
sys.stderr = Stream()
cli.main()
"""


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_right_behind_another_changes_nothing(which: signal.Signals) -> None:
    code = [sys.executable, "-c", SCRIPT, which.name]
    done = subprocess.run(code, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout == "tidied up\n"
    assert done.stderr == "remission: interrupted\n"
    assert done.returncode == 130


@pytest.mark.parametrize("code", [0, 1, None, "bad data"])
def test_a_method_that_ends_the_process_is_a_complaint(
    code: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    def app(**_: object) -> None:
        raise SystemExit(code)

    monkeypatch.setattr("remission.cli.app", app)
    assert_one_line(remission("purify"), f"sys.exit({code!r})")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("run", "; all finished stages are stored, and the same command goes on"),
        ("purify", "; no file was left half-written"),
        ("table", ""),
        ("report", ""),
    ],
)
def test_only_a_grid_goes_on_after_an_interruption(
    command: str,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from remission import cli
    from remission.cli.interruption import Interruption

    def app(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "app", app)
    monkeypatch.setattr(sys, "argv", ["remission", command])
    monkeypatch.setattr(Interruption, "install", lambda _: None)
    monkeypatch.setattr(Interruption, "ignore_further", lambda _: None)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 130
    assert capsys.readouterr().err == f"remission: interrupted{words}\n"
