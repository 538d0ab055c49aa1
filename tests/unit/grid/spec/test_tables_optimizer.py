"""The victim's optimiser in a spec: its effect, and the identities of stored results."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from remission.errors import SpecError
from remission.grid.plan.planner import make_plan
from remission.grid.plan.stage import Stage
from remission.grid.spec.spec import parse_spec
from remission.grid.spec.tables import TomlTable
from remission.records import read_records
from remission.training import Recipe
from tests.unit.grid.small import SPEC, by_label, computed, run, spec_with

ROOT = Path(__file__).parents[4]


def plan(**victim: object) -> list[Stage]:
    table: TomlTable = tomllib.loads(SPEC)
    return make_plan(parse_spec({**table, "victim": victim}), "0" * 16)


def names(**victim: object) -> set[str]:
    return {stage.id for stage in plan(**victim)}


@pytest.mark.parametrize("recipe", ["quickstart", "pam-recalibration"])
def test_the_control_on_record_keeps_its_name(recipe: str) -> None:
    (stored,) = (r for r in read_records(ROOT / "results" / recipe) if r.kind == "control")
    context = stored.settings["context"]
    table = tomllib.loads((ROOT / "recipes" / f"{recipe}.toml").read_text(encoding="utf-8"))
    spec = parse_spec({**table, "precision": context["precision"]})
    (planned,) = (s for s in make_plan(spec, context["data"]) if s.kind == "control")
    assert planned.id == stored.id


def test_sgd_spelled_out_is_the_default() -> None:
    assert names(epochs=3, optimizer="sgd") == names(epochs=3)
    assert "optimizer" not in plan()[0].settings["context"]["recipe"]


def test_adam_is_another_result() -> None:
    assert not names(epochs=3, optimizer="adam") & names(epochs=3)
    recipe = plan(epochs=3, optimizer="adam")[0].settings["context"]["recipe"]
    assert Recipe(**recipe).optimizer == "adam"


def test_an_unknown_optimiser() -> None:
    with pytest.raises(SpecError, match=r"'victim.optimizer' is 'lion'; .*'sgd' or 'adam'"):
        plan(optimizer="lion")


def test_a_transformer_is_trained_with_adam(tmp_path: Path) -> None:
    """The whole command runs: losses differ from those with SGD, and nothing diverges."""
    losses = []
    for optimizer in ("sgd", "adam"):
        text = spec_with(
            ('"resnet18:2"', '"vit_tiny:4"'),
            ("[victim]", f'[victim]\noptimizer = "{optimizer}"\nlr = 0.01'),
        )
        (tmp_path / "spec.toml").write_text(text, encoding="utf-8")
        told = run(tmp_path / "spec.toml", tmp_path / optimizer, "--only", "control/seed0")
        assert told.status == 0, told
        assert computed(told) == ["control/seed0"]
        (record,) = by_label(tmp_path / optimizer).values()
        losses.append(record.details["losses"])
    assert losses[0] != losses[1]
