"""The stages that invert a trigger, and the answer of an inversion for a record."""

from __future__ import annotations

from typing import Any

from remission import previews
from remission.grid.plan.stage import REFERENCE, Stage
from remission.grid.stages.inputs import StageInputs
from remission.grid.stages.result import Cost, StageResult
from remission.inversion import Inverted
from remission.models.build import build_like
from remission.models.checkpoint import pack
from remission.records import kinds
from remission.records.details import InversionAnswer, InversionDetails


def reference(inputs: StageInputs) -> StageResult:
    """Trains a model on the defender's images, which an inversion compares with."""
    seed = inputs.seed.child(REFERENCE, inputs.stage.settings["number"])
    model = build_like(inputs.new_model(), seed=seed).to(inputs.device)
    inputs.inversion.train_reference(model, inputs.split.defender, seed=seed)
    return StageResult(files={"weights.safetensors": pack(model)})


def inversion(inputs: StageInputs) -> StageResult:
    """Inverts the trigger of a victim, or looks for one in the control."""
    roles = [f"{REFERENCE}{number}" for number in range(inputs.inversion.reference_count())]
    inverted = inputs.inversion(
        inputs.model("victim"),
        inputs.split.defender,
        seed=inputs.seed.child("inversion", inputs.inversion.name),
        references=[inputs.model(role) for role in roles],
    )
    cost = sum((Cost.of(inputs.parent(role, kinds.REFERENCE)) for role in roles), Cost())
    target = inverted.target if inputs.target is None else inputs.target
    return StageResult(
        files={
            "generator.safetensors": pack(inverted.generator),
            **inputs.previews("inverted", inverted.generator, target),
        },
        details=InversionDetails(
            **_answer(inverted, inputs.stage),
            reference_seconds=cost.seconds if roles else None,
            reference_cpu_seconds=cost.cpu if roles else None,
            true_target=inputs.target,
            true_target_name=inputs.stage.target_name,
            preview_count=previews.COUNT,
        ),
    )


def answer_of(inverted: Inverted, stage: Stage) -> InversionAnswer:
    """Returns the answer of an inversion as a record holds it."""
    return InversionAnswer(**_answer(inverted, stage))


def _answer(inverted: Inverted, stage: Stage) -> dict[str, Any]:
    """Returns the fields of an answer; the generator is an artefact."""
    fields = {key: value for key, value in vars(inverted).items() if key != "generator"}
    return fields | {
        "target_name": stage.class_name(inverted.target),
        "candidates": list(inverted.candidates),
    }


FUNCTIONS = {kinds.REFERENCE: reference, kinds.INVERSION: inversion}
"""Kind -> the function that computes it."""
