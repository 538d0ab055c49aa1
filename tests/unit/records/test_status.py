"""What runs where, what failed, how much is left."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from remission.purifiers import FT
from remission.records import Store
from remission.records.claims import Claims
from remission.records.status import status_of
from tests.unit.grid.small import LABELS, assert_one_line, by_label, remission, run, write_spec
from tests.unit.records.test_claims import claimed_by_the_dead
from tests.unit.records.test_record import WHOLE


def without(store: Path, label: str) -> str:
    """Removes a record; returns its identity."""
    record = by_label(store)[label]
    (store / "records" / record.kind / f"{record.id}.json").unlink()
    return record.id


def test_a_finished_store(finished: Path) -> None:
    told = remission("status", finished)
    assert told.status == 0
    total = len(LABELS)
    assert told.out == f"small: {total} of {total} stages done, 0 running, 0 left\n"


def test_what_runs_is_shown_with_what_is_left(store: Path) -> None:
    ft, pam = without(store, "badnets/seed0/ft"), without(store, "badnets/seed0/pam")
    claims = Claims(store)
    assert claims.take(ft, "purified", "badnets/seed0/ft")
    claims.advance(ft, "fine-tuning", 3, 20)
    claims.heartbeat()
    told = remission("status", store)
    first, second = told.out.splitlines()
    total = len(LABELS)
    assert first.startswith(f"small: {total - 2} of {total} stages done, 1 running, 1 left")
    assert second.startswith("running    badnets/seed0/ft: fine-tuning 3/20, for ")
    (spec,) = status_of(store).specs
    assert spec.seconds is None, "no purified model is finished, so nobody knows"
    found = json.loads(remission("status", store, "--format", "json").out)
    assert found["running"][0]["stage"] == ft
    assert found["specs"][0]["left"] == 1
    claims.release_all()
    assert pam not in remission("status", store).out


def test_the_time_to_go_is_that_of_the_stages_that_are_left(store: Path) -> None:
    records = by_label(store)
    pam = records["badnets/seed0/pam"]
    without(store, pam.label)
    claims = Claims(store)
    assert claims.take(pam.id, pam.kind, pam.label)
    (spec,) = status_of(store).specs
    assert spec.seconds == pytest.approx(records["badnets/seed0/ft"].seconds)
    claims.release_all()


def test_a_failure_is_shown_with_the_end_of_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("out of luck")

    with monkeypatch.context() as patch:
        patch.setattr(FT, "purify", broken)
        run(write_spec(tmp_path), tmp_path / "store")
    lines = remission("status", tmp_path / "store").out.splitlines()
    assert "1 failed, 3 skipped, 0 left" in lines[0]
    assert lines[1] == "failed     badnets/seed0/ft: RuntimeError: out of luck"
    assert lines[-1].endswith("RuntimeError: out of luck")
    assert len(lines) == 5


def test_what_a_dead_process_left_is_told_apart(store: Path) -> None:
    identity = without(store, "badnets/seed0/ft")
    claimed_by_the_dead(store, identity)
    told = remission("status", store)
    assert "0 running, 1 left" in told.out
    (line,) = (line for line in told.out.splitlines() if line.startswith("abandoned  badnets"))
    assert line.endswith("; its process is gone, and the next run takes the stage over")


@pytest.mark.parametrize(
    ("seconds", "words"), [(20, ""), (1200, "; no heartbeat for 20 min by the clock of this")]
)
def test_a_claim_of_another_computer_shows_how_long_it_is_silent(
    store: Path, monkeypatch: pytest.MonkeyPatch, seconds: int, words: str
) -> None:
    identity = without(store, "badnets/seed0/ft")
    claims = Claims(store)
    with monkeypatch.context() as patch:
        patch.setattr("remission.records.claims.this_computer", lambda: "elsewhere")
        assert claims.take(identity, "purified", "badnets/seed0/ft")
    file = store / "claims" / f"{identity}.json"
    os.utime(file, (time.time() - seconds,) * 2)
    (line,) = remission("status", store).out.splitlines()[1:]
    assert line.startswith("running    badnets/seed0/ft: ")
    assert words in line
    assert ("heartbeat" in line) == bool(words)
    (claim,) = json.loads(remission("status", store, "--format", "json").out)["running"]
    assert claim["silence"] == pytest.approx(seconds, abs=15)
    claims.release_all()


def test_there_must_be_a_store(tmp_path: Path) -> None:
    assert_one_line(remission("status", tmp_path), "there is no store at")


def test_a_damaged_plan_is_named(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.keep(WHOLE)
    store.keep_plan("small", [(WHOLE.kind, WHOLE.id)])
    plan = store.folder / "plans" / "small.json"
    plan.write_text(plan.read_text()[:-9])
    told = remission("status", store.folder)
    assert_one_line(told, f"the plan '{plan}' is damaged", "run its spec again")


@pytest.mark.parametrize("content", [None, b"weight", b"weights!"])
def test_a_stage_without_its_artefacts_is_left_to_do(tmp_path: Path, content: bytes | None) -> None:
    """The check of a store sets damaged artefacts aside, and the next run computes them anew."""
    store = Store(tmp_path / "store")
    artefacts = store.keep_artefacts(WHOLE.id, {"weights.safetensors": b"weights"})
    store.keep(replace(WHOLE, artefacts=artefacts))
    store.keep_plan("small", [(WHOLE.kind, WHOLE.id)])
    (spec,) = status_of(store.folder).specs
    assert (spec.done, spec.left) == (1, 0)
    file = store.folder / artefacts["weights"].file
    file.unlink() if content is None else file.write_bytes(content)
    (spec,) = status_of(store.folder).specs
    assert (spec.done, spec.failed, spec.left) == (0, 0, 1)
    assert store.find(WHOLE.kind, WHOLE.id) is None, "as a run sees it"


def test_what_failed_is_no_work_to_go(store: Path) -> None:
    """Time is estimated for what is waiting or running, not for what this run gave up."""
    records = by_label(store)
    pam = records["badnets/seed0/pam"]
    Store(store).keep(replace(pam, status="failed", cell=None, error="it diverged"))
    without(store, "badnets/seed0/ft/retuning-3")
    claims = Claims(store)
    identity = records["badnets/seed0/ft/retuning-3"].id
    assert claims.take(identity, "reactivated", "badnets/seed0/ft/retuning-3")
    (spec,) = status_of(store).specs
    others = [r.seconds for r in records.values() if r.kind == "reactivated" and r.id != identity]
    assert spec.seconds == pytest.approx(sum(others) / len(others))
    claims.release_all()
