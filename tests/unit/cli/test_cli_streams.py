"""Standard output in any encoding, and ``python -m remission``."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import remission
from remission.records import read_records
from tests.unit.grid.small import LABELS, write_spec
from tests.unit.report.report_factory import cell, record, write_store

NAMES = ("café", "犬", "😀 dog", 'a "b"')


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Four victims whose target classes have names beyond ASCII."""
    made = [
        replace(record(one), kind="victim")
        for target, name in enumerate(NAMES)
        if (one := cell(target=target, target_name=name))
    ]
    return write_store(tmp_path / "store", made)


def table(store: Path, form: str, **environment: str) -> bytes:
    """Returns what ``remission table`` writes into a pipe."""
    command = [sys.executable, "-m", "remission", "table", str(store), "--view", "cells"]
    own = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG", "PYTHONIO"))}
    told = subprocess.run(
        [*command, "--format", form], env={**own, **environment}, capture_output=True, check=True
    )
    assert told.stderr == b""
    return told.stdout


C_LOCALE = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize(
    ("environment", "encoding"),
    [
        (C_LOCALE, "utf-8"),
        ({}, "utf-8"),
        ({"PYTHONIOENCODING": "ascii"}, "ascii"),
        ({"PYTHONIOENCODING": "latin-1"}, "latin-1"),
        ({"PYTHONIOENCODING": "utf-16"}, "utf-16"),
    ],
)
def test_json_keeps_every_letter(store: Path, environment: dict[str, str], encoding: str) -> None:
    objects = json.loads(table(store, "json", **environment).decode(encoding))
    assert {one["target_name"] for one in objects} == set(NAMES)


@pytest.mark.parametrize("environment", [C_LOCALE, {}])
@pytest.mark.parametrize("form", ["csv", "text", "markdown"])
def test_results_in_a_pipe_are_utf_8(store: Path, form: str, environment: dict[str, str]) -> None:
    text = table(store, form, **environment).decode("utf-8")
    assert all(name in text for name in ("café", "犬", "😀 dog"))
    if form == "csv":
        lines = csv.DictReader(io.StringIO(text))
        assert {line["target_name"] for line in lines} == set(NAMES)


def test_an_encoding_that_lacks_a_letter_gets_it_escaped(store: Path) -> None:
    text = table(store, "csv", PYTHONIOENCODING="ascii").decode("ascii")
    assert "?" not in text
    lines = list(csv.DictReader(io.StringIO(text)))
    names = [line["target_name"] for line in lines if '"' not in line["target_name"]]
    assert {json.loads(f'"{name}"') for name in names} == set(NAMES[:3])


def test_the_package_is_a_command() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "remission", "--version"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (told.returncode, told.stdout) == (0, f"remission {remission.__version__}\n")
    told = subprocess.run(
        [sys.executable, "-m", "remission", "methods", "badnet"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr.startswith("remission: nothing is called 'badnet'; did you mean 'badnets'?")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_run_goes_on_without_its_reader(stream: str, tmp_path: Path) -> None:
    """``remission run ... | head -1`` computes all of the grid, and its exit status is its own."""
    spec, store = write_spec(tmp_path), tmp_path / "store"
    command = [sys.executable, "-m", "remission", "run", str(spec), "--store", str(store)]
    others = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([*command, "--jobs", "1"], **others) as process:  # type: ignore[call-overload]
        getattr(process, stream).close()
        other = process.stderr if stream == "stdout" else process.stdout
        assert b"Traceback" not in other.read()
    assert process.returncode == 0
    assert len(read_records(store)) == len(LABELS)
