"""The inputs of a stage are read from the store once, however often they are used."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch

from remission.errors import StoreError
from remission.grid.plan import Stage, make_plan
from remission.grid.run import plan_of
from remission.grid.spec import parse_spec, read_spec
from remission.grid.stages.inputs import StageInputs
from remission.grid.stages.kinds import compute
from remission.records import Record, Store, kinds
from tests.unit.grid.small import write_spec

CPU = torch.device("cpu")
MORE = """
[[reactivation]]
method = "alternative"
epochs = 1
"""


@pytest.fixture
def plan(tmp_path: Path) -> dict[str, Stage]:
    """Returns the small grid and a reactivation that perturbs images, by labels."""
    return {stage.label: stage for stage in plan_of(read_spec(write_spec(tmp_path, more=MORE)))}


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts how often the record of each identity is read from a store."""
    count: Counter[str] = Counter()
    find = Store.find

    def counted(self: Store, kind: str, identity: str) -> Record | None:
        if (record := find(self, kind, identity)) is not None:
            count[identity] += 1
        return record

    monkeypatch.setattr(Store, "find", counted)
    return count


@pytest.mark.parametrize(
    "name",
    ["control", "inversion", "ft", "pam", "pam/path", "ft/retuning-3", "ft/alternative"],
)
def test_the_record_of_a_parent_is_read_once(
    name: str, plan: dict[str, Stage], found: Counter[str], finished: Path
) -> None:
    stage = plan[f"badnets/seed0/{name}"]
    compute(StageInputs(stage, Store(finished), CPU))
    assert found == Counter(set(stage.parents.values()))


def test_a_parent_that_is_gone_is_named(plan: dict[str, Stage], store: Path) -> None:
    stage = plan["badnets/seed0/ft"]
    victim = stage.parents["victim"]
    (store / "records" / "victim" / f"{victim}.json").unlink()
    inputs = StageInputs(stage, Store(store), CPU)
    with pytest.raises(StoreError, match=rf"{victim} that 'badnets/seed0/ft' .* gone"):
        inputs.model("victim")


def test_a_parent_of_another_kind_is_no_parent(plan: dict[str, Stage], finished: Path) -> None:
    inputs = StageInputs(plan["badnets/seed0/ft"], Store(finished), CPU)
    with pytest.raises(StoreError, match="gone from the store"):
        inputs.parent("victim", kinds.PURIFIED, kinds.CONTROL)
    assert inputs.parent("victim").kind == "victim"


def test_settings_are_typed(plan: dict[str, Stage], finished: Path) -> None:
    inputs = StageInputs(plan["badnets/seed0/pam/path"], Store(finished), CPU)
    assert (inputs.attack.name, inputs.purifier.name) == ("badnets", "pam")
    assert (inputs.path.points, inputs.path.retuned, inputs.path.plane) == (2, None, 0)
    assert (inputs.context.seed, inputs.context.resize) == (0, "crop")
    assert inputs.recipe.epochs == 1
    reactivated = StageInputs(plan["badnets/seed0/pam/retuning-3"], Store(finished), CPU)
    assert reactivated.reactivation.name == "retuning"
    assert reactivated.stage.budget == 3
    assert plan["badnets/seed0/pam"].budget is None


def test_a_context_goes_to_settings_and_back(plan: dict[str, Stage]) -> None:
    for stage in plan.values():
        assert stage.context.to_settings() == stage.settings["context"]
    table = {"name": "x", "dataset": "digits", "attack": [{"method": "badnets", "size": 2}]}
    for resize in ("crop", "pad"):
        spec = parse_spec({**table, "size": 8, "resize": resize})
        context = make_plan(spec, "digest")[0].context
        assert context.resize == resize
        assert ("resize" in context.to_settings()) == (resize != "crop")
