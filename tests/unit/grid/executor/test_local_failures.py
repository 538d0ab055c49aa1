"""A stage that fails: what builds upon it is skipped, and the next run repairs the results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from remission.purifiers import FT
from remission.records import read_records
from tests.unit.grid.damaging import FT_BRANCH, without_ft
from tests.unit.grid.small import by_label, computed, remission, results, run, write_spec


def test_a_failing_stage_loses_its_branch_and_nothing_else(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("out of luck\nin two lines")

    store, spec = tmp_path / "store", write_spec(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(FT, "purify", broken)
        told = run(spec, store)
    assert told.status == 1
    assert (
        "remission: badnets/seed0/ft failed: RuntimeError: out of luck in two lines" in told.lines
    )
    assert "remission: 3 stages that build upon these were skipped" in told.lines
    assert "Traceback" not in told.err

    whole = results(finished)
    assert {k: v for k, v in results(store).items() if k not in FT_BRANCH} == {
        k: v for k, v in whole.items() if k not in FT_BRANCH
    }
    failed = by_label(store)["badnets/seed0/ft"]
    assert (failed.status, failed.error) == ("failed", "RuntimeError: out of luck in two lines")
    assert failed.cell is not None
    assert (failed.cell.status, failed.cell.asr, failed.cell.clean_acc) == ("failed", None, None)
    assert failed.cell.purifier == "ft"
    for label in FT_BRANCH[1:]:  # none is silently missing from a table
        assert by_label(store)[label].status == "failed"
        assert by_label(store)[label].error == "skipped: a stage that it builds upon failed"
    assert remission("store", "verify", store).status == 0
    assert "failed" in remission("table", store).out

    told = run(spec, store)
    assert told.status == 0
    assert sorted(computed(told)) == sorted(FT_BRANCH)
    assert results(store) == whole
    assert "failed" not in remission("table", store).out


def test_a_failing_stage_in_a_worker_process_is_told_the_same_way(
    store: Path, tmp_path: Path
) -> None:
    without_ft(store)
    spec = write_spec(tmp_path, ("epochs = 2\naugment", "epochs = 3\nlr = 1e30\naugment"))
    told = run(spec, store, "--jobs", "2")
    assert told.status == 1
    assert [line for line in told.lines if line.startswith("remission: ")] == [
        "remission: badnets/seed0/ft failed: DivergedError: ft: the loss is nan in epoch 2; "
        "use a smaller lr",
        "remission: 3 stages that build upon these were skipped",
    ]


def test_a_victim_that_diverges_leaves_the_control_of_its_recipe_failed_too(
    tmp_path: Path,
) -> None:
    spec = write_spec(tmp_path, ("[victim]\nepochs = 1", "[victim]\nepochs = 2\nlr = 1e30"))
    told = run(spec, tmp_path / "store")
    assert told.status == 1
    assert sorted(computed(told)) == ["badnets/seed0/victim", "control/seed0"]
    records = by_label(tmp_path / "store")
    assert {record.status for record in records.values()} == {"failed"}
    assert not list((tmp_path / "store").glob("artefacts/*"))
    assert remission("table", tmp_path / "store").status == 0


@pytest.mark.parametrize(
    ("kind", "table"),
    [
        ("victim", ("[victim]\nepochs = 1", "[victim]\nepochs = 1\nlr = 1e36")),
        ("reactivated", ('method = "retuning"', 'method = "retuning"\nlr = 1e36')),
    ],
)
def test_a_model_that_diverged_in_its_last_step_is_no_perfect_backdoor(
    kind: str, table: tuple[str, str], tmp_path: Path
) -> None:
    """The argmax of NaN is class 0, which is the target."""
    assert run(write_spec(tmp_path, table), tmp_path / "store").status == 1
    records = by_label(tmp_path / "store").values()
    assert {record.status for record in records if record.kind == kind} == {"failed"}


def test_a_record_names_the_settings_that_its_identity_was_made_from(finished: Path) -> None:
    from remission.records.identity import identity

    for record in read_records(finished):
        settings = json.loads(json.dumps(record.settings))
        assert identity(record.kind, settings, record.parents) == record.id
