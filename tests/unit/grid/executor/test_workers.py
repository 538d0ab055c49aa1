"""A worker that dies after it has ended its stage takes no result with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from remission.grid.executor import local
from remission.grid.executor.grid_run import GridRun
from remission.grid.executor.reporter import RunOutcome, SilentReporter
from remission.grid.executor.stage_queue import StageQueue
from remission.grid.executor.workers import Message, Worker
from remission.grid.plan.stage import Stage
from remission.records import Record, Store
from remission.records.claims import Claims
from tests.unit.grid.executor.test_grid_run import A

DONE = Record(id=A.id, kind=A.kind, label=A.label, status="done", settings=A.settings, parents={})


class Dying:
    """Says that its stage is done, and is dead when it is asked for more."""

    stage: Stage | None = A
    log = None

    def messages(self) -> Iterator[Message]:
        yield Message("end", DONE)
        raise EOFError


def test_what_was_ended_stays_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = list[object]()
    monkeypatch.setattr(local, "stop", stopped.extend)
    store = Store(tmp_path / "store")
    store.keep(DONE)
    run = GridRun(store, Claims(store.folder), SilentReporter(), RunOutcome(), StageQueue([A], ()))
    assert run.next_stage() is None, "it is stored already"
    dying = Dying()
    assert not local._hear(run, cast("Worker", dying))
    assert stopped == [dying]
    assert run.outcome.failed == {}
    assert store.find(A.kind, A.id) == DONE
