"""The stage that inverts a trigger, and the answer of an inversion for a record."""

from __future__ import annotations

from remission.grid.plan.stage import Stage
from remission.grid.stages import previews
from remission.grid.stages.inputs import StageInputs
from remission.grid.stages.result import StageResult
from remission.inversion import Inverted
from remission.models.checkpoint import pack
from remission.records.details import InversionDetails, NamedClass
from remission.records.kinds import INVERSION


def inversion(inputs: StageInputs) -> StageResult:
    """Inverts the trigger of a victim, or looks for one in the control."""
    inverted = inputs.inversion(
        inputs.model("victim"),
        inputs.split.defender,
        seed=inputs.seed.child("inversion", inputs.inversion.name),
    )
    target = inverted.target if inputs.target is None else inputs.target
    return StageResult(
        files={
            "generator.safetensors": pack(inverted.generator),
            **inputs.previews("inverted", inverted.generator, target),
        },
        details=InversionDetails(
            target=inverted.target,
            target_name=inputs.stage.class_name(inverted.target),
            target_share=inverted.target_share,
            change=inverted.change,
            lead=inverted.lead,
            true_target=inputs.target,
            true_target_name=inputs.stage.target_name,
            preview_count=previews.COUNT,
        ),
    )


def named_class(inverted: Inverted, stage: Stage) -> NamedClass:
    """Returns the answer of an inversion as a record holds it."""
    return NamedClass(
        target=inverted.target,
        target_name=stage.class_name(inverted.target),
        target_share=inverted.target_share,
        change=inverted.change,
        lead=inverted.lead,
    )


FUNCTIONS = {INVERSION: inversion}
"""Kind -> the function that computes it."""
