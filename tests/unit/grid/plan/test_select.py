"""``--only`` with the label of a row in a table names that row's stages."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from remission.errors import SpecError
from remission.grid.plan import Stage, make_plan, select
from remission.grid.plan.cell_keys import cell_keys
from remission.grid.spec import parse_spec
from remission.records import Cell, Record
from remission.report.groups.results import Results
from remission.report.tables.views import VIEWS
from tests.unit.grid.small import SPEC

PREFIX = "badnets/seed0"


def tables() -> dict[str, Any]:
    """Returns rows that differ in the inversion, in several parameters, and in nested brackets."""
    spec = tomllib.loads(SPEC)
    spec["inversion"] = [{"method": "universal"}, spec["inversion"]]
    spec["purifier"] = [
        {"method": "ft"},
        {"method": "bti_dbf"},
        {"method": "bti_dbf", "inversion": "bti_dbf"},
        {"method": "pam", "rho": 0.3, "trigger": "true"},
        {"method": "pam", "rho": 0.3, "inversion": "bti_dbf"},
        {"method": "pam", "rho": 0.5, "inversion": "bti_dbf"},
    ]
    spec["reactivation"] = [
        {"method": "oba", "mode": "transfer", "surrogates": [name]} for name in ("ep", "ft_sam")
    ]
    spec["path"] = {"points": 2}
    return spec


@pytest.fixture(scope="module")
def plan() -> list[Stage]:
    return make_plan(parse_spec(tables()), "digest")


def rows_of_the_table(plan: list[Stage]) -> dict[str, str]:
    """Returns identity -> label of its row in the table of all cells, as printed."""
    records = []
    for stage in plan:
        if stage.kind in ("victim", "baseline", "purified", "reactivated"):
            cell = Cell(**cell_keys(stage))
            records.append(
                Record(
                    id=stage.id,
                    kind=stage.kind,
                    label=stage.label,
                    status="done",
                    settings=stage.settings,
                    parents=stage.parents,
                    cell=cell,
                )
            )
    (table,) = VIEWS["cells"].tables(Results.of(records))
    place = table.header.index("purifier")
    return {line[-1]: str(line[place]) for line in table.rows}


def test_a_stage_has_the_label_of_its_row(plan: list[Stage]) -> None:
    shown = rows_of_the_table(plan)
    purified = [stage for stage in plan if stage.kind == "purified"]
    assert len(purified) == 6
    for stage in purified:
        assert stage.label == f"{PREFIX}/{shown[stage.id[:12]]}"
    assert f"{PREFIX}/bti_dbf (inversion=bti_dbf)" in [stage.label for stage in purified]


def test_the_label_of_a_row_names_its_stages_and_no_others(plan: list[Stage]) -> None:
    shown = rows_of_the_table(plan)
    for label in set(shown.values()) - {"none", "control"}:
        chosen = {stage.id for stage in select(plan, label)}
        whole = {s.id for s in plan if f"{s.label}/".startswith(f"{PREFIX}/{label}/")}
        assert len(whole) == 4, "purified, two reactivations, a path"
        assert whole <= chosen
        other = [s for s in plan if s.kind == "purified" and s.id not in whole]
        assert not chosen.intersection(stage.id for stage in other), label


def test_behind_attack_and_seed_a_label_names_one_stage(plan: list[Stage]) -> None:
    label = f"{PREFIX}/bti_dbf (inversion=bti_dbf)"
    kinds = {s.label: s.kind for s in select(plan, label)}
    assert kinds[label] == "purified"
    assert "reactivated" not in kinds.values()
    below = f'{label}/oba (surrogates=["ep"])'
    chosen = [s.label for s in select(plan, below)]
    assert below in chosen
    assert f'{PREFIX}/control/oba (surrogates=["ep"])' in chosen
    assert not any("ft_sam" in one for one in chosen)


def test_a_table_may_show_more_parameters_than_the_plan(plan: list[Stage]) -> None:
    """Its store holds the results of other specs as well."""
    spec = tables()
    spec["purifier"] = [{"method": "ft"}, {"method": "pam", "rho": 0.3, "trigger": "true"}]
    small = make_plan(parse_spec(spec), "digest")
    assert f"{PREFIX}/pam" in [stage.label for stage in small]
    for only in ("pam (rho=0.3)", "pam (rho=0.3, trigger=true)"):
        assert f"{PREFIX}/pam/path" in [stage.label for stage in select(small, only)]
        named = [stage.label for stage in select(small, f"{PREFIX}/{only}/path")]
        assert f"{PREFIX}/pam/path" in named
        assert f"{PREFIX}/ft" not in named
    for wrong in ("pam (rho=0.4)", "pam (rho=0.3, cap=7)", "pam (", "pam ()", "pa", "badnets"):
        with pytest.raises(SpecError, match="matches none"):
            select(small, wrong)
    del plan


@pytest.mark.parametrize(
    ("only", "kinds"),
    [
        ("victim", {"control": 0, "victim": 1}),
        ("control", {"control": 1, "victim": 1, "baseline": 1, "reactivated": 2}),
    ],
)
def test_the_rows_that_no_purifier_made(
    only: str, kinds: dict[str, int], plan: list[Stage]
) -> None:
    chosen = [stage.kind for stage in select(plan, only)]
    assert {kind: chosen.count(kind) for kind in kinds} == kinds
    assert "purified" not in chosen


@pytest.mark.parametrize("value", ["a[b]?", "*", "x, y=2", "[!a]", "(b)", "a/b"], ids=repr)
def test_signs_of_a_glob_in_a_label_stand_for_themselves(value: str) -> None:
    """A label as it is printed names its own stage, whatever its parameters hold."""
    context = make_plan(parse_spec(tomllib.loads(SPEC)), "digest")[0].settings["context"]
    stages = []
    for text in (value, "aXb"):
        settings = {
            "context": context,
            "attack": {"method": "badnets", "poison_rate": 0.1, "target": 0},
            "purifier": {"method": "mine", "text": text},
        }
        stages.append(Stage("purified", f"{PREFIX}/mine (text={text})", settings, {}))
    for only in (stages[0].label, f"mine (text={value})"):
        assert select(stages, only) == [stages[0]]
