"""An estimate against the run itself, on a clock that counts steps instead of seconds."""

from __future__ import annotations

import mmap
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from remission import mapped_tensors as memory
from remission.data import CATALOGUE
from remission.grid.dry_run import elapsed, stand_in
from remission.grid.dry_run import rehearsal as rehearsals
from remission.grid.dry_run.rehearsal import Rehearsal
from remission.grid.executor.reporter import SilentReporter
from remission.grid.plan.stage import Stage
from remission.grid.run import DryRun, dry_run, run
from remission.grid.spec.spec import Spec, parse_spec
from remission.models import Classifier
from remission.progress import cutting, tracked
from remission.records import Record
from remission.training.batches import batches
from remission.types import LabelledImages
from tests.contract.cases import CASES
from tests.unit.grid.small import SPEC


class Clock:
    """Seconds that pass only when somebody says so."""

    now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(rehearsals, "time", made)
    return made


@pytest.fixture
def passes(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock on which a forward pass of a classifier takes a second, and nothing else any time."""
    features = Classifier.features

    def counted(self: Classifier, images: torch.Tensor) -> torch.Tensor:
        clock.now += 1
        return features(self, images)

    monkeypatch.setattr(Classifier, "features", counted)
    return clock


def test_a_loop_is_cut_short_and_counted_in_full(clock: Clock) -> None:
    def work(items: int, each: float) -> int:
        met = 0
        for _ in tracked(range(items), "work", items):
            clock.now += 0.9 if met == 0 else each  # the first is not like the others
            met += 1
        return met

    rehearsal = Rehearsal({}, patience=1)
    with cutting(rehearsal):
        assert work(1000, 0.5) == 4
        assert rehearsal.seconds == pytest.approx(0.9 + 999 * 0.5)
        assert rehearsal.known == {"work": pytest.approx(0.5)}
        assert work(600, 7) == 0, "timed before"
        assert rehearsal.seconds == pytest.approx(0.9 + 999 * 0.5 + 600 * 0.5)
    assert work(20, 0.5) == 20, "and outside of a rehearsal it is a loop like any other"


def test_a_loop_within_a_loop(clock: Clock) -> None:
    def inner() -> None:
        for _ in tracked(range(50), "", 50):
            clock.now += 2

    rehearsal = Rehearsal({})
    with cutting(rehearsal):
        for _ in tracked(range(30), "outer", 30):
            inner()
            clock.now += 1
    assert clock.now < 30
    assert rehearsal.seconds == pytest.approx(30 * (50 * 2 + 1))


def test_a_single_step_that_takes_long_is_enough(clock: Clock) -> None:
    with cutting(rehearsal := Rehearsal({}, patience=3)):
        for met in tracked(range(100), "slow", 100):
            assert met == 0
            clock.now += 4
    assert rehearsal.seconds == pytest.approx(400)


def test_a_part_of_each_batch_counts_for_all_of_it(clock: Clock) -> None:
    data = LabelledImages(torch.zeros(1000, 1, 4, 4), torch.zeros(1000, dtype=torch.int64))
    met: list[int] = []

    def work() -> None:
        clock.now += 6  # prepared once
        for images, _ in tracked(batches(data, 100, generator=None), "work", 10):
            met.append(len(images))
            clock.now += 0.01 * len(images)
        for _ in tracked(range(5), "no batches", 5):
            clock.now += 1

    with cutting(rehearsal := Rehearsal({}, images=20)):
        work()
    assert set(met) == {20}
    assert rehearsal.seconds == pytest.approx(6 + 10 * 1 + 5)
    assert rehearsal.known == {"work": pytest.approx(1), "no batches": pytest.approx(1)}


def test_a_loop_over_parts_of_batches_around_another_loop(clock: Clock) -> None:
    data = LabelledImages(torch.zeros(40, 1, 4, 4), torch.zeros(40, dtype=torch.int64))
    with cutting(rehearsal := Rehearsal({}, images=2)):
        for images, _ in tracked(batches(data, 8, generator=None), "outer", 5):
            for _ in tracked(range(3), "", 3):
                clock.now += len(images)
    assert rehearsal.seconds == pytest.approx(5 * 3 * 8)


@dataclass
class Stopwatch(SilentReporter):
    """What each stage took."""

    clock: Clock
    took: dict[str, float] = field(default_factory=dict)
    began: float = 0.0

    def start(self, stage: Stage) -> None:
        del stage
        self.began = self.clock.now

    def finish(self, stage: Stage, record: Record) -> None:
        assert record.status == "done", record.error
        self.took[stage.label] = self.clock.now - self.began


def every_method() -> Spec:
    """A grid in which each registered method occurs, with the parameters of the contract tests."""
    tables: dict[str, list[dict[str, object]]] = {"attack": [], "purifier": [], "reactivation": []}
    for case in CASES:
        if case.kind in tables:
            tables[case.kind].append({"method": case.name, **case.parameters})
    for attack in tables["attack"]:
        attack["poison_rate"] = 0.05  # whatever is poisoned, some batch has it
    inversion = next(case for case in CASES if case.kind == "inversion")
    split = {"defender": 100, "attacker": 100, "victim": 300, "test": 200}
    return parse_spec(
        {
            "name": "all",
            "dataset": "digits",
            "arch": "resnet18:2",
            "precision": "fp32",
            "split": split,
            "victim": {"epochs": 2, "augment": "none", "batch_size": 20},
            "inversion": {"method": inversion.name, **inversion.parameters},
            "path": {"points": 5},
            **tables,
        }
    )


def seconds_by_label(found: DryRun) -> dict[str, float]:
    missing = [stage for stage in found.plan if stage.id not in found.stored]
    return {stage.label: found.seconds[stage.id] or 0.0 for stage in missing}


@pytest.mark.parametrize("kind", ["attack", "purifier", "reactivation"])
def test_every_method_takes_as_long_as_was_estimated(
    passes: Clock, tmp_path: Path, kind: str
) -> None:
    """All of a kind, with one of the kinds that they build upon and none of those after them."""
    whole = every_method()
    kept: dict[str, dict[str, object]] = {
        "attack": {"purifier": [], "reactivation": [], "path": None},
        "purifier": {"attack": whole.attack[:1], "reactivation": []},
        "reactivation": {"attack": whole.attack[:1], "purifier": [{"method": "ft", "epochs": 1}]},
    }
    spec = whole.model_copy(update=kept[kind])
    began = passes.now
    foretold = dry_run(spec, tmp_path / "store", device="cpu", jobs=1)
    assert None not in foretold.seconds.values(), "no stage fails in its rehearsal"
    together = sum(seconds or 0.0 for seconds in foretold.seconds.values())
    assert passes.now - began < 0.6 * together, "it is short"
    assert not list(tmp_path.iterdir()), "and leaves nothing behind"
    watch = Stopwatch(passes)
    run(spec, tmp_path / "store", device="cpu", jobs=1, reporter=watch)
    estimated = seconds_by_label(foretold)
    assert set(watch.took) <= set(estimated)
    for label, took in watch.took.items():
        spends = "queries=" in label or "qra_blackbox" in label  # may stop before its last step
        near = pytest.approx(took, rel=0.4 if spends else 0.15, abs=5 if spends else 4)
        assert estimated[label] == near, label
    stored = sorted(tmp_path.rglob("*"))
    assert not seconds_by_label(dry_run(spec, tmp_path / "store", device="cpu", jobs=1))
    assert sorted(tmp_path.rglob("*")) == stored


def test_one_method_with_other_parameters_takes_another_time(passes: Clock, tmp_path: Path) -> None:
    hard = {"method": "label_consistent", "poison_rate": 0.05, "steps": 2}
    spec = every_method().model_copy(
        update={
            "attack": [{**hard, "robust_steps": 0}, {**hard, "robust_steps": 9}],
            "purifier": [],
            "reactivation": [],
            "path": None,
        }
    )
    foretold = dry_run(spec, tmp_path / "store", device="cpu", jobs=1)
    watch = Stopwatch(passes)
    run(spec, tmp_path / "store", device="cpu", jobs=1, reporter=watch)
    for label, seconds in seconds_by_label(foretold).items():
        assert seconds == pytest.approx(watch.took[label], rel=0.15, abs=4), label


def test_paths_of_several_attacks_and_retuning_without_poison(
    passes: Clock, tmp_path: Path
) -> None:
    whole = every_method()
    spec = whole.model_copy(
        update={
            "attack": whole.attack[:2],
            "purifier": [{"method": "ft", "epochs": 1}],
            "reactivation": [{"method": "retuning", "budgets": [0, 3], "epochs": 1}],
        }
    )
    foretold = dry_run(spec, tmp_path / "store", device="cpu", jobs=1)
    watch = Stopwatch(passes)
    run(spec, tmp_path / "store", device="cpu", jobs=1, reporter=watch)
    assert None not in foretold.seconds.values()
    for label, seconds in seconds_by_label(foretold).items():
        assert seconds == pytest.approx(watch.took[label], rel=0.15, abs=4), label


def test_an_attack_more_is_rehearsed_where_the_trigger_is_used(tmp_path: Path) -> None:
    spec = parse_spec(tomllib.loads(SPEC.replace("seeds = [0]", "seeds = [0, 1]")))
    spec = spec.model_copy(
        update={
            "attack": [*spec.attack, {"method": "blended", "poison_rate": 0.1}],
            "purifier": [{"method": "ft", "epochs": 1}, {"method": "ep", "epochs": 1}],
        }
    )
    told = list[Stage]()
    found = dry_run(spec, tmp_path / "store", device="cpu", jobs=1, tell=told.append)
    assert None not in found.seconds.values()
    rehearsed = [stage.label for stage in told if stage.kind in ("victim", "purified")]
    assert sorted(rehearsed) == [
        "badnets/seed0/ep",
        "badnets/seed0/ft",
        "badnets/seed0/victim",
        "blended/seed0/ep",
        "blended/seed0/victim",
    ]


def test_processes_share_the_work(finished: Path) -> None:
    del finished
    plan = dry_run(parse_spec(tomllib.loads(SPEC)), Path("nowhere"), device="cpu", jobs=1).plan
    alike: dict[str, float | None] = {stage.id: 2.0 for stage in plan}
    assert elapsed(plan, alike, 1) == 2.0 * len(plan)
    chain = longest(plan)
    assert elapsed(plan, alike, len(plan)) == 2.0 * chain, "no stage begins before its parents"
    assert 2.0 * chain <= elapsed(plan, alike, 2) <= 2.0 * (len(plan) / 2 + chain)
    assert elapsed(plan, dict.fromkeys(alike), 2) == 0.0


def longest(plan: list[Stage]) -> int:
    """The number of stages in the longest chain of parents and children."""
    depth: dict[str, int] = {}
    for stage in plan:
        depth[stage.id] = 1 + max((depth[parent] for parent in stage.parents.values()), default=0)
    return max(depth.values())


@pytest.mark.parametrize("name", ["cifar10", "gtsrb"])
def test_a_data_set_that_is_not_here_is_planned_from_its_description(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMISSION_DATA", str(tmp_path / "empty"))
    spec = parse_spec({**tomllib.loads(SPEC), "dataset": name})
    found = dry_run(spec, tmp_path / "store", device="cpu", jobs=2, only="*/victim")
    assert not found.data_is_here
    assert found.stored == set()
    assert all((found.seconds[stage.id] or 0.0) > 0 for stage in found.plan)
    made, source = stand_in(CATALOGUE[name]), CATALOGUE[name]
    assert made.train.images.shape == (source.train, *source.shape)
    assert made.test.images.shape == (source.test, *source.shape)
    assert len(made.classes) == source.classes == int(made.train.labels.max()) + 1


def test_images_that_stand_in_for_a_large_data_set_lie_in_a_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, mapped = CATALOGUE["digits"], memory._mapped
    sizes: list[int] = []

    def listen(needed: int) -> mmap.mmap:
        sizes.append(needed)
        return mapped(needed)

    monkeypatch.setattr(memory, "_mapped", listen)
    stand_in(source)
    assert sizes == []
    monkeypatch.setenv("REMISSION_MEMORY", "0")
    made = stand_in(source)
    assert sizes == [64 * source.train, 64 * source.test]
    assert torch.equal(made.train.images[1000], made.train.images[0]), "drawn ones, again"
