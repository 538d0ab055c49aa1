"""An estimate against the run itself, on a clock that counts steps instead of seconds."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from remission.grid.dry_run import elapsed
from remission.grid.executor.reporter import SilentReporter
from remission.grid.plan.stage import Stage, table_of
from remission.grid.run import DryRun, dry_run, run
from remission.grid.spec.spec import Spec, parse_spec
from remission.method import Method
from remission.records import Record
from tests.contract.cases import CASES
from tests.unit.clock import Clock
from tests.unit.grid.small import SPEC


@dataclass
class Stopwatch(SilentReporter):
    """Records how long each stage takes."""

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
    """Returns a grid of all registered methods, with the parameters of the contract tests."""
    tables: dict[str, list[dict[str, object]]] = {"attack": [], "purifier": [], "reactivation": []}
    for case in CASES:
        if case.kind in tables:
            parameters = {
                key: table_of(value) if isinstance(value, Method) else value
                for key, value in case.parameters.items()
            }
            tables[case.kind].append({"method": case.name, **parameters})
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


@pytest.mark.long
@pytest.mark.parametrize("kind", ["attack", "purifier", "reactivation"])
def test_every_method_takes_as_long_as_was_estimated(
    passes: Clock, tmp_path: Path, kind: str
) -> None:
    """All stages of a kind run, with one stage of each kind that they build upon."""
    whole = every_method()
    kept: dict[str, dict[str, object]] = {
        "attack": {"purifier": [], "reactivation": [], "path": None},
        "purifier": {"attack": whole.attack[:1], "reactivation": [], "path": None},
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
    found = dry_run(spec, tmp_path / "store", device="cpu", jobs=1, announce=told.append)
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
    """Returns the number of stages in the longest chain of parents and children."""
    depth: dict[str, int] = {}
    for stage in plan:
        depth[stage.id] = 1 + max((depth[parent] for parent in stage.parents.values()), default=0)
    return max(depth.values())


def test_settings_that_differ_in_real_numbers_are_rehearsed_once(
    passes: Clock, tmp_path: Path
) -> None:
    del passes
    trials = [{"method": "ft", "epochs": 1, "lr": lr} for lr in (0.01, 0.03, 0.1)]
    longer = {"method": "ft", "epochs": 2, "lr": 0.1}
    spec = parse_spec(tomllib.loads(SPEC))
    spec = spec.model_copy(update={"purifier": [*trials, longer]})
    told = list[Stage]()
    found = dry_run(spec, tmp_path / "store", device="cpu", jobs=1, announce=told.append)
    purified = [stage for stage in found.plan if stage.kind == "purified"]
    assert len(purified) == 4
    assert sum(stage.kind == "purified" for stage in told) == 2, "one with each number of passes"
    first, second, third, twice = (found.seconds[stage.id] or 0.0 for stage in purified)
    assert 0 < first == second == third < twice
