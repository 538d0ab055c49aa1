"""Reactivations that perturb images, in a grid: cells, artefacts, transfer, tables, pages."""

from __future__ import annotations

import copy
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch

from remission.errors import SpecError
from remission.grid.plan.planner import make_plan
from remission.grid.plan.stage import Stage
from remission.grid.run import plan_of as planned
from remission.grid.spec.spec import parse_spec, read_spec
from remission.grid.stages import reactivated
from remission.grid.stages.inputs import StageInputs
from remission.grid.stages.perturbed import asr_under, measure
from remission.models import build_model
from remission.reactivations import InputReactivation
from remission.reactivations.perturbations import Perturbation
from remission.records import Record
from remission.records.store import Store
from remission.registry import make_reactivation
from remission.seeding import Seed
from remission.triggers import checkerboard
from remission.types import LabelledImages
from tests.unit.grid.small import SPEC, by_label, computed, remission, run, write_spec

QUICK = """
[[reactivation]]
method = "qra"
budgets = [3]
width = 4
epochs = 1
teacher_epochs = 1

[[reactivation]]
method = "qra_blackbox"
budgets = [2]
width = 4
epochs = 1
rounds = 1
queries = 50
surrogate_epochs = 1
teacher_epochs = 1

[[reactivation]]
method = "oba"
mode = "query"
queries = 40
images = 10

[[reactivation]]
method = "alternative"
epochs = 1
"""
NAMES = ("qra-3", "qra_blackbox-2", "oba", "alternative")
MODELS = ("control", "ft", "pam")
HERE = "badnets/seed0"


def tables(**more: object) -> dict[str, Any]:
    return {**tomllib.loads(SPEC + QUICK), **more}


def plan_of(spec: dict[str, Any]) -> dict[str, Stage]:
    return {s.label: s for s in make_plan(parse_spec(spec), "0123456789abcdef")}


def test_what_was_planned_before_keeps_its_name() -> None:
    before, after = plan_of(tomllib.loads(SPEC)), plan_of(tables(transfer=True))
    assert {label: after[label].id for label in before} == {k: s.id for k, s in before.items()}
    new = after.keys() - before.keys()
    tried = {f"{HERE}/{model}/{name}" for model in MODELS for name in NAMES}
    carried = {f"{HERE}/transfer/{name}" for name in NAMES if name != "alternative"}
    assert new == tried | carried, "one perturbation for all models needs no transfer"


def test_parents() -> None:
    plan = plan_of(tables(transfer=True))
    control, victim = plan["control/seed0"].id, plan[f"{HERE}/victim"].id
    for model in MODELS:
        own = control if model == "control" else plan[f"{HERE}/{model}"].id
        for name in NAMES:
            parents = plan[f"{HERE}/{model}/{name}"].parents
            assert parents == {"model": own, "victim": victim, "control": control}
        assert "control" not in plan[f"{HERE}/{model}/retuning-3"].parents
    parents = plan[f"{HERE}/transfer/oba"].parents
    assert len(parents) == 7
    assert parents["model0"] == control
    assert parents["trained2"] == plan[f"{HERE}/pam/oba"].id
    assert plan[f"{HERE}/ft/oba"].settings["budget"] is None


def test_transfer_needs_somewhere_to_go_and_is_yes_or_no() -> None:
    assert not any("transfer" in label for label in plan_of(tables()))
    alone = plan_of(tables(transfer=True, purifier=[]))
    assert not any("transfer" in label for label in alone)
    with pytest.raises(SpecError, match="'transfer' is 'yes'"):
        parse_spec(tables(transfer="yes"))
    spec = copy.deepcopy(tables())
    spec["reactivation"][1]["epsilon"] = 0
    with pytest.raises(SpecError, match=r"\[reactivation\] qra: 'epsilon' is 0"):
        parse_spec(spec)


@pytest.fixture(scope="module")
def woken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("woken")
    spec = write_spec(folder, ("seeds = [0]", "seeds = [0]\ntransfer = true"), more=QUICK)
    told = run(spec, folder / "store")
    assert told.status == 0, told.err
    again = run(spec, folder / "store")
    assert computed(again) == []
    return folder / "store"


@pytest.fixture(scope="module")
def records(woken: Path) -> dict[str, Record]:
    return by_label(woken)


def test_cells(records: dict[str, Record]) -> None:
    for model in MODELS:
        for name in NAMES:
            cell = records[f"{HERE}/{model}/{name}"].cell
            assert cell is not None
            assert cell.purifier == model
            assert cell.budget == {"qra-3": 3, "qra_blackbox-2": 2}.get(name)
            assert cell.queries == {"qra_blackbox-2": 50, "oba": 40}.get(name)
            for rate in (cell.asr_clean, cell.control_asr, cell.control_asr_clean):
                assert rate is not None
                hits = rate * cell.n_triggered
                assert hits == pytest.approx(round(hits), abs=1e-9)
            if name == "alternative":
                assert (cell.asr, cell.control_asr) == (cell.asr_clean, cell.control_asr_clean)
            if model == "control":
                assert (cell.asr, cell.asr_clean) == (cell.control_asr, cell.control_asr_clean)
        cell = records[f"{HERE}/{model}/retuning-3"].cell
        assert cell is not None
        assert (cell.asr_clean, cell.control_asr, cell.queries) == (None, None, None)


def test_what_is_kept(woken: Path, records: dict[str, Record]) -> None:
    for name in NAMES:
        before = "preview_clean" if name == "alternative" else "preview_triggered"
        kept = records[f"{HERE}/ft/{name}"].artefacts
        assert kept.keys() == {"perturbation", before, "preview_perturbed"}
    assert remission("store", "verify", woken).status == 0
    assert remission("store", "gc", woken).status == 0
    assert remission("store", "verify", woken).status == 0


def test_a_transfer_is_every_perturbation_on_every_model(
    woken: Path, records: dict[str, Record]
) -> None:
    (written,) = woken.parent.glob("*.toml")
    plan = {stage.label: stage for stage in planned(read_spec(written))}
    for name in NAMES[:3]:
        stage = plan[f"{HERE}/transfer/{name}"]
        given = StageInputs(stage, Store(woken), torch.device("cpu"))
        method = make_reactivation(stage.settings["reactivation"])
        assert isinstance(method, InputReactivation)
        trigger, target = given.trigger()
        found = records[stage.label].details["transfer"]
        for row in range(len(MODELS)):
            for column in range(len(MODELS)):
                reached = measure(
                    given.model(f"model{column}"),
                    given.split.test,
                    given.perturbation(f"trained{row}", method),
                    trigger,
                    target,
                    triggered=method.triggered,
                )
                assert found["asr"][row][column] == reached.rates.asr.value
                known = column in (0, row)  # what the reactivation's own cell measured
                without = reached.asr_clean.value if known else None
                assert found["asr_clean"][row][column] == without


def test_a_transfer_tries_models_on_a_sample_of_many_test_images(
    woken: Path, records: dict[str, Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    (written,) = woken.parent.glob("*.toml")
    stage = next(s for s in planned(read_spec(written)) if s.label == f"{HERE}/transfer/qra-3")
    given = StageInputs(stage, Store(woken), torch.device("cpu"))
    method = make_reactivation(stage.settings["reactivation"])
    assert isinstance(method, InputReactivation)
    monkeypatch.setattr(reactivated, "_TRIED", 20)
    found = reactivated.transfer(given).details_json({})["transfer"]
    sample, (trigger, target) = given.some_test(20, "transfer"), given.trigger()
    assert len(sample) == 20 < len(given.split.test)
    tried, made = given.model("model2"), given.perturbation("trained1", method)
    expected = asr_under(tried, sample, made, trigger, target, triggered=True)
    assert found["asr"][1][2] == expected.value
    assert isinstance(target, int)
    assert found["n_triggered"] == expected.total == len(sample) - sample.labels.eq(target).sum()
    whole = records[stage.label].details["transfer"]["asr"]
    assert found["asr"][1][:2] == whole[1][:2], "what the cells say stays"
    assert torch.equal(given.some_test(20, "transfer").images, sample.images)
    assert given.some_test(None, "transfer") is given.split.test


def test_the_diagonal_of_a_transfer_is_the_cells(records: dict[str, Record]) -> None:
    for name in NAMES[:3]:
        found = records[f"{HERE}/transfer/{name}"].details["transfer"]
        assert [each["purifier"] for each in found["models"]] == list(MODELS)
        for place, model in enumerate(MODELS):
            cell = records[f"{HERE}/{model}/{name}"].cell
            assert cell is not None
            assert found["asr"][place][place] == cell.asr
            assert found["asr_clean"][place][place] == cell.asr_clean
            assert found["asr"][place][0] == cell.control_asr, "the first column is the control"
            assert found["n_triggered"] == cell.n_triggered


def test_tables_and_page(woken: Path, tmp_path: Path) -> None:
    told = remission("table", woken, "--view", "transfer", "--format", "json")
    lines = json.loads(told.out)
    assert len(lines) == 3 * len(MODELS) ** 2
    assert {line["made_for"] for line in lines} == set(MODELS)
    for format in ("text", "markdown", "csv"):
        told = remission("table", woken, "--view", "transfer", "--format", format)
        assert told.status == 0
        assert "oba" in told.out
    page = tmp_path / "page.html"
    assert remission("report", woken, "-o", page).status == 0
    text = page.read_text(encoding="utf-8")
    assert "Perturbed images: qra_blackbox n=2" in text
    assert "Transfer of oba" in text


def test_a_dry_run_estimates_them(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, ("seeds = [0]", "seeds = [0]\ntransfer = true"), more=QUICK)
    told = remission("run", spec, "--store", tmp_path / "store", "--dry-run")
    assert told.status == 0
    lines = [line for line in told.out.splitlines() if line.endswith((*NAMES, "transfer/oba"))]
    assert len(lines) == len(NAMES) * len(MODELS) + 3
    assert all("~" in line for line in lines), told.out


class Brighter(Perturbation):
    """Adds 99.7 steps of 8 bits to every pixel."""

    def delta(self, images: torch.Tensor) -> torch.Tensor:
        return torch.full_like(images, 99.7 / 255)


@pytest.mark.parametrize("triggered", [True, False])
def test_measuring_by_hand(triggered: bool) -> None:
    shape = (1, 8, 8)
    model = build_model("resnet18:2", classes=4, shape=shape, mean=(0.5,), std=(0.3,), seed=Seed(1))
    pixels = torch.randint(256, (40, *shape), generator=torch.Generator().manual_seed(0))
    labels = torch.arange(40) % 4
    trigger = checkerboard(shape, 2, 0)
    found = measure(
        model.eval(),
        LabelledImages(pixels.to(torch.uint8), labels),
        Brighter(0.5),
        trigger,
        2,
        triggered=triggered,
    )
    stamped = pixels.clone()
    stamped[:, :, 6:, 6:] = (trigger(pixels / 255)[:, :, 6:, 6:] * 255).round().long()
    with torch.no_grad():
        clean = model((pixels + 100).clamp(max=255) / 255).argmax(1)
        both = model((stamped + 100).clamp(max=255) / 255).argmax(1)
    others = labels != 2
    submitted = both if triggered else clean
    assert found.rates.clean_acc.hits == int((clean == labels).sum())
    assert found.rates.asr.hits == int((submitted == 2)[others].sum())
    assert found.rates.robust_acc.hits == int((submitted == labels)[others].sum())
    assert found.asr_clean.hits == int((clean == 2)[others].sum())
    assert (found.rates.asr.total, found.rates.clean_acc.total) == (30, 40)
