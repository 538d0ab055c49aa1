"""Text from outside neither breaks a line in two nor reaches the terminal as a command."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from remission.cli.progress import outcome_line
from remission.grid.executor.reporter import RunOutcome
from remission.grid.stages.execute import failure_record
from remission.records import Store
from tests.unit.grid.executor.test_grid_run import A
from tests.unit.grid.small import remission, write_spec

RAW = "bad\x1b[31m\nnews\r\x07"
SHOWN = r"bad\x1b[31m\nnews\r\x07"


def test_the_lines_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = f"{tmp_path}/it's; a store"
    outcome = RunOutcome(failed={"ft": RAW})
    monkeypatch.setattr("remission.grid.run.run", lambda *_, **__: outcome)
    told = remission("run", write_spec(tmp_path), "--store", store)
    assert told.lines == [
        "0 stages computed, 0 were stored already",
        f"remission: ft failed: {SHOWN}",
        f"see: remission status {shlex.quote(store)}, with their last output",
        f"see: remission table {shlex.quote(store)}",
    ]
    assert shlex.split(told.lines[-1])[-1] == store
    assert shlex.split(told.lines[-2])[-5] == f"{store},"


def test_the_line_of_a_stage_and_of_the_status(tmp_path: Path) -> None:
    record = failure_record(A, RAW, [RAW])
    assert outcome_line(A, record) == f"a: failed: {SHOWN}"
    store = Store(tmp_path / "store")
    store.keep(replace(record, label=RAW))
    lines = remission("status", tmp_path / "store").out.splitlines()
    assert lines[-2:] == [f"failed     {SHOWN}: {SHOWN}", f"             {SHOWN}"]
