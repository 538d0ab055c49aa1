"""A method is built once from its table, and every user of it gets the same object."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from remission import registry
from remission.data import load_dataset
from remission.grid.plan import make_plan
from remission.grid.spec import Spec, parse_spec, read_spec
from remission.grid.spec.fits_data import check_against
from remission.grid.stages.datasets import digest_of
from remission.grid.stages.execute import execute
from remission.method import Method, from_table
from remission.records import Store
from tests.unit.grid.small import FURTHER_PURIFIER, SPEC, write_spec
from tests.unit.grid.spies import TABLES, spies

ROOT = Path(__file__).parents[4]


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts how often each method is built from a table, by its name."""
    count: Counter[str] = Counter()

    def counted(cls: type[Method], table: Mapping[str, Any], where: str) -> Method:
        count[cls.name] += 1
        return from_table(cls, dict(table), where)

    monkeypatch.setattr(registry, "from_table", counted)
    return count


def test_reading_planning_and_checking_build_each_method_once(
    built: Counter[str], tmp_path: Path
) -> None:
    spec = read_spec(write_spec(tmp_path, more=FURTHER_PURIFIER))
    check_against(spec, load_dataset("digits"))
    make_plan(spec.model_copy(update={"precision": "fp32"}), "digest")
    once = ("badnets", "bti_dbf", "ft", "pam", "ep", "retuning")
    assert built == Counter(once)


def test_a_stage_builds_the_methods_that_it_runs_once(built: Counter[str], tmp_path: Path) -> None:
    text = SPEC[: SPEC.index("[inversion]")] + (
        '[inversion]\nmethod = "inversion_spy"\n[[purifier]]\nmethod = "trigger_spy"\n'
        '[[reactivation]]\nmethod = "retuning"\nbudgets = [3]\n[path]\npoints = 2\nretuned = 3\n'
    )
    assert "trigger_spy" in TABLES["purifier"]
    store = Store(tmp_path / "store")
    with spies() as ear:
        spec = parse_spec(tomllib.loads(text))
        assert built == Counter(("badnets", "inversion_spy", "trigger_spy", "retuning"))
        plan = make_plan(spec, digest_of(load_dataset("digits")))
        for stage in plan:
            built.clear()
            ear.stage = stage
            execute(stage, store, torch.device("cpu"))
            runs = {
                "victim": ["badnets"],
                "control": [],
                "baseline": ["badnets"],
                "inversion": ["inversion_spy", "badnets"],
                "purified": ["trigger_spy", "inversion_spy", "badnets"],
                "reactivated": ["badnets", "retuning"],
                "path": ["badnets", "retuning"],
            }
            assert built == Counter(runs[stage.kind]), stage.label


@pytest.mark.parametrize("recipe", ["purifiers", "quickstart"])
def test_the_methods_of_a_recipe_are_built_once(recipe: str, built: Counter[str]) -> None:
    spec = read_spec(ROOT / "recipes" / f"{recipe}.toml")
    make_plan(spec, "digest")
    inversions = spec.inversion if isinstance(spec.inversion, list) else [spec.inversion]
    tables = [*spec.attack, *spec.purifier, *inversions, *spec.reactivation]
    assert built == Counter(str(table["method"]) for table in tables)


def test_a_copy_with_other_tables_has_other_methods() -> None:
    spec = parse_spec(tomllib.loads(SPEC))
    assert spec.model_copy(update={"precision": "bf16"}).methods is spec.methods
    assert spec.model_copy(update={"attack": list(spec.attack)}).methods is spec.methods
    assert spec.model_copy().methods is spec.methods
    fewer = spec.model_copy(update={"purifier": spec.purifier[:1]})
    assert [row.purifier.name for row in fewer.methods.purifiers] == ["ft"]
    other = spec.model_copy(update={"attack": [{"method": "blended"}]})
    assert [planned.attack.name for planned in other.methods.attacks] == ["blended"]
    assert [planned.attack.name for planned in spec.methods.attacks] == ["badnets"]
    later = spec.model_copy(update={"seeds": [4]})
    assert [row.seeds for row in later.methods.purifiers] == [(4,), (4,)]


def test_methods_are_no_part_of_what_a_spec_says() -> None:
    spec, again = (parse_spec(tomllib.loads(SPEC)) for _ in range(2))
    assert spec.methods is not again.methods
    assert spec == again
    assert Spec.model_validate(spec.model_dump()) == spec
    assert "methods" not in spec.model_dump_json()
