"""A victim whose training was killed goes on from its snapshot, and ends with the same bits."""

from __future__ import annotations

from pathlib import Path

import pytest

from remission.grid.stages import snapshots
from remission.progress import listening
from remission.records import Store
from remission.records.snapshots import keep_snapshot, read_snapshot
from tests.unit.grid.small import (
    LABELS,
    by_label,
    computed,
    finish,
    remission,
    results,
    run,
    start,
    write_spec,
)

CUT = """
import os, signal
from pathlib import Path
import remission.grid.executor.run_plan, remission.grid.run
from remission.grid.stages import snapshots
from remission.training import loop

snapshots.EVERY = 0.0
remission.grid.run.threads = remission.grid.executor.run_plan.threads = lambda: 1
steps = Path(__file__).with_suffix(".steps")
kept = snapshots.StoredSnapshots.save

def save(self, name, tensors):
    kept(self, name, tensors)
    with steps.open("a") as file:
        file.write(f"{name} {int(tensors['done'])}\\n")
    if len(steps.read_text().splitlines()) == 2:
        os.kill(os.getpid(), signal.SIGKILL)

snapshots.StoredSnapshots.save = save

if __name__ == "__main__":
    from remission.cli import main
    main()
"""


@pytest.mark.parametrize("jobs", ["1", pytest.param("2", marks=pytest.mark.claims)])
def test_a_killed_victim_goes_on_where_it_was(finished: Path, tmp_path: Path, jobs: str) -> None:
    script, store, spec = tmp_path / "cut.py", tmp_path / "store", write_spec(tmp_path)
    script.write_text(CUT, encoding="utf-8")
    arguments: list[str | Path] = ["run", spec, "--store", store, "--device", "cpu", "--jobs", jobs]
    told = finish(start(arguments, script=script), 120)
    assert told.status != 0
    (left,) = (store / "snapshots").iterdir()
    again = finish(start(arguments, script=script), 120)
    assert again.status == 0, again
    assert list((store / "snapshots").iterdir()) == []
    assert results(store) == results(finished)
    victim = by_label(store)["badnets/seed0/victim"]
    control = by_label(store)["control/seed0"]
    assert left.stem in (victim.id, control.id)
    steps = (tmp_path / "cut.steps").read_text().splitlines()
    first = [step for step in steps if step.startswith("1 ")]
    assert len(first) == len(set(first)) or jobs == "2", "no step of that training was done twice"


def test_a_damaged_snapshot_is_named_and_not_used(
    finished: Path, store: Path, tmp_path: Path
) -> None:
    victim = by_label(store)["badnets/seed0/victim"]
    keep_snapshot(store, victim.id, b"anything")
    file = store / "snapshots" / f"{victim.id}.snapshot"
    assert read_snapshot(store, victim.id) == b"anything"
    assert remission("store", "verify", store).status == 0
    file.write_bytes(file.read_bytes()[:-1])
    told = remission("store", "verify", store)
    assert (told.status, told.out) == (
        1,
        f"the file snapshots/{file.name} is damaged (wrong checksum); run its spec again, which "
        "begins this training anew, or remove the file\n",
    )
    (store / "records" / "victim" / f"{victim.id}.json").unlink()
    assert computed(run(write_spec(tmp_path), store)) == ["badnets/seed0/victim"]
    assert results(store) == results(finished)


def test_a_snapshot_of_nothing_known_is_not_used(tmp_path: Path) -> None:
    Store(tmp_path)
    keep_snapshot(tmp_path, "0" * 16, b"no tensors")
    keeper = snapshots.StoredSnapshots(tmp_path, "0" * 16)
    assert keeper.load(keeper.name("victim")) is None
    assert keeper.spent.seconds == 0


def test_what_the_part_before_cost_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Store(tmp_path)
    import torch

    monkeypatch.setattr(snapshots, "EVERY", 0.0)
    first = snapshots.StoredSnapshots(tmp_path, "0" * 16)
    name = first.name("victim")
    first.save(name, {"done": torch.tensor(3)})
    second = snapshots.StoredSnapshots(tmp_path, "0" * 16)
    assert second.load("2 victim") is None
    found = second.load(second.name("victim"))
    assert found is not None
    assert int(found["done"]) == 3
    assert second.spent.seconds > 0
    assert second.due()


def test_stages_that_take_less_leave_none(tmp_path: Path) -> None:
    with listening(lambda what, done, total: None):
        told = run(write_spec(tmp_path), tmp_path / "store")
    assert sorted(computed(told)) == LABELS
    assert not (tmp_path / "store" / "snapshots").exists()
