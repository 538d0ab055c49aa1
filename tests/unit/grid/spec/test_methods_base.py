"""A purifier inside a purifier: its table, its trigger, its version, its augmentation, its rows."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from remission import user_methods as own
from remission.errors import SpecError
from remission.grid.plan import make_plan
from remission.grid.plan.stage import Stage
from remission.grid.spec import parse_spec
from remission.method import field, method
from remission.models import build_model, check_needs
from remission.purifiers import ANP, EP, FST, FT, PAM, UNDO
from remission.purifiers import base as purifier_base
from remission.records.labels import (
    MethodKey,
    is_label_of,
    label_methods,
    purifier_key,
    trigger_of,
)
from remission.records.superseded import method_of
from remission.registry import make_purifier
from remission.report.measures.families import family
from tests.unit.grid.small import SPEC, by_label, remission, run, spec_with

pytestmark = pytest.mark.usefixtures("forgotten_methods")

UNIVERSAL = {"method": "universal"}


def undo(base: object, **more: object) -> dict[str, Any]:
    return {"method": "undo", "base": base, **more}


def plan(*purifiers: dict[str, Any], **more: object) -> dict[str, Stage]:
    """Returns the small spec's stages with these purifiers, by label."""
    table = {**tomllib.loads(SPEC), "purifier": list(purifiers), **more}
    return {stage.label: stage for stage in make_plan(parse_spec(table), "digest")}


@pytest.mark.parametrize(
    ("table", "problem", "remedy"),
    [
        ({"method": "undo"}, "'base' is missing", 'base = { method = "fst"'),
        (undo("fst"), "'base' is 'fst'", "write a table"),
        (undo({}), "in 'base': a table [[purifier]] has no 'method'", "add one of"),
        (undo({"method": "fstt"}), "in 'base': unknown purifier 'fstt'", "did you mean 'fst'"),
        (undo({"method": "fst", "alhpa": 1}), "unknown key 'alhpa'", "did you mean 'alpha'"),
        (undo({"method": "fst", "lr": 0.0}), "[purifier] fst: 'lr' is 0.0", "greater than 0"),
        (undo(undo({"method": "ft"})), "'base' is undo, which has a base itself", "name another"),
        (undo({"method": "pam", "inversion": "universal"}), "has the key 'inversion'", "beside"),
        (undo({"method": "pam", "seeds": [0]}), "has the key 'seeds'", "beside"),
    ],
)
def test_mistakes_are_named(table: dict[str, Any], problem: str, remedy: str) -> None:
    with pytest.raises(SpecError) as caught:
        make_purifier(table)
    assert caught.value.problem.startswith("[purifier] undo: ")
    assert problem in caught.value.problem
    assert remedy in caught.value.remedy


def test_undo_in_undo_is_refused_in_python_too() -> None:
    with pytest.raises(ValueError, match="'base' is undo, which has a base itself"):
        UNDO(base=UNDO(base=FT()))


def test_a_table_and_an_object_are_the_same_method() -> None:
    made = make_purifier(undo({"method": "fst", "alpha": 0.2}, alpha=0.3))
    assert made == UNDO(base=FST(alpha=0.2), alpha=0.3)
    assert make_purifier({"method": "undo", **made.parameters()}) == made
    assert made.settings()["base"] == {"method": "fst", **FST(alpha=0.2).settings()}


def test_the_settings_of_the_base_leave_out_what_its_own_would() -> None:
    """A parameter of the base that is younger than stored results is no part of an identity."""

    @method
    class Younger(FT):
        """Has such a parameter."""

        warmup: float = field(default=0.0, later=True)

    plain, warm = UNDO(base=Younger()), UNDO(base=Younger(warmup=0.5))
    assert plain.settings()["base"] == FT().settings() | {"method": "ft"}
    assert warm.settings()["base"] == {**FT().settings(), "method": "ft", "warmup": 0.5}
    assert plain.parameters()["base"]["warmup"] == 0.0


def test_what_it_needs_is_what_the_base_needs_as_well() -> None:
    assert UNDO(base=ANP()).requirements() == ("clean images", "batch norm")
    vit = build_model("vit_tiny:4", classes=3, shape=(1, 8, 8), mean=(0.5,), std=(0.5,))
    check_needs(UNDO(base=FT()), vit)
    with pytest.raises(SpecError, match="undo needs batch norm, and vit_tiny:4 has none"):
        check_needs(UNDO(base=ANP()), vit)


def test_the_trigger_is_that_of_the_base() -> None:
    wanted = {FT(): None, PAM(): "inverted", PAM(trigger="true"): "true", EP(): "true"}
    for base, trigger in wanted.items():
        purifier = UNDO(base=base)
        assert purifier.needed_trigger() == base.needed_trigger() == trigger
        assert purifier_base.inverts(purifier) == (trigger == "inverted")
        assert trigger_of(purifier.settings()) == trigger


def test_the_augmentation_of_the_base_is_settled_with_its_own() -> None:
    silent = plan(undo({"method": "ft"}), victim={"augment": "crop"})
    table = silent["badnets/seed0/undo"].settings["purifier"]
    assert (table["augment"], table["base"]["augment"]) == ("crop", "crop")
    stated = undo({"method": "ft", "augment": "none"}, augment="none")
    assert plan(stated, victim={"augment": "none"})["badnets/seed0/undo"].settings["purifier"] == {
        **table, "augment": "none", "base": {**table["base"], "augment": "none"},
    }  # fmt: skip
    settled = UNDO(base=FT(augment="none"), augment="none")
    assert settled.resolved("crop") is settled


def test_a_new_version_of_the_base_is_another_result(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = [undo({"method": "fst"}), undo({"method": "clp"})]
    before = plan(*tables)
    names = [f"badnets/seed0/undo (base.method={name})" for name in ("fst", "clp")]
    monkeypatch.setattr(FST, "version", 7)
    after = plan(*tables)
    assert after[names[0]].id != before[names[0]].id
    assert after[names[0]].settings["versions"] == {"purifier": f"{UNDO.version}+fst-7"}
    assert after[names[1]].id == before[names[1]].id
    methods = {method_of("purified", after[name].settings) for name in names}
    assert {found[0] for found in methods if found} == {
        "purifier undo of fst",
        "purifier undo of clp",
    }, "else the tables would take one for an older version of the other"


def test_labels_name_the_base_and_no_parameter_of_another() -> None:
    bases = [FST(), FST(alpha=0.7), FT()]
    keys = [purifier_key("undo", UNDO(base=base).settings()) for base in bases]
    assert [label_methods(keys)[key] for key in keys] == [
        "undo (base.alpha=0.1, base.method=fst)",
        "undo (base.alpha=0.7, base.method=fst)",
        "undo (base.method=ft)",
    ]
    assert all(is_label_of(label, key) for key, label in label_methods(keys).items())


def test_stages_follow_the_trigger_of_the_base() -> None:
    tables = [{"method": "undo", "base": {"method": "pam"}, "inversion": "universal"}]
    spec = {"inversion": [{"method": "bti_dbf"}, UNIVERSAL], "innocent": [0]}
    stages = plan(*tables, **spec)
    stage = stages["badnets/seed0/undo"]
    assert stage.parents["inversion"] == stages["badnets/seed0/inversion"].id
    assert stage.settings["inversion"]["method"] == "universal"
    assert "none/seed0/undo" in stages
    known = plan(undo({"method": "ep"}), innocent=[0])
    assert "badnets/seed0/undo" in known
    assert "none/seed0/undo" not in known, "nobody has a true trigger there"
    with pytest.raises(SpecError, match="'inversion' is 'universal', and it inverts nothing"):
        plan({**undo({"method": "ft"}), "inversion": "universal"}, **spec)


def test_a_family_holds_all_settings_of_one_base() -> None:
    def key(base: purifier_base.Purifier, **more: Any) -> MethodKey:  # noqa: ANN401
        return family(purifier_key("undo", UNDO(base=base, **more).settings()))

    assert key(FST()) == key(FST(alpha=0.7), alpha=0.2)
    assert key(FST()) != key(FT())
    assert key(PAM()) != key(PAM(trigger="true"))
    assert key(PAM()).parameters["inversion"] == "bti_dbf"


def test_a_grid_runs_it_with_an_inverted_trigger_and_with_a_users_own_base(tmp_path: Path) -> None:
    file, spec, store = tmp_path / "mine.py", tmp_path / "spec.toml", tmp_path / "store"
    example = (Path(__file__).parents[4] / "examples/halving.py").read_text(encoding="utf-8")
    file.write_text(example, encoding="utf-8")
    more = "".join(
        f'\n[[purifier]]\nmethod = "undo"\nepochs = 1\nbase = {{ {base} }}\n'
        for base in ('method = "pam", rounds = 2, epochs = 1', 'method = "halving", factor = 0.25')
    )
    spec.write_text(spec_with(more=more), encoding="utf-8")
    arguments = ("--methods", file, "--only", "badnets/seed0/undo*")
    rehearsed = remission("run", spec, "--store", store, "--device", "cpu", "--dry-run", *arguments)
    assert rehearsed.status == 0, rehearsed
    told = run(spec, store, *map(str, arguments))
    assert told.status == 0, told
    records = {
        record.settings["purifier"]["base"]["method"]: record
        for record in by_label(store).values()
        if record.kind == "purified"
    }
    assert len(records["pam"].details["later_inversions"]) == 1, "of its second round"
    digest = own.used()[0].digest
    version = f"{UNDO.version}+halving-{digest}"
    assert records["halving"].settings["versions"] == {"purifier": version}
    cell = records["halving"].cell
    assert cell is not None
    assert cell.purifier_params["base"] == {"method": "halving", "factor": 0.25}
    table = remission("table", store).out
    assert "undo (base.method=halving)" in table
    assert "undo (base.method=pam, inversion=bti_dbf)" in table
