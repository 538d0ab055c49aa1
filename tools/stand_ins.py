"""A file of methods that replaces what stages of all kinds compute by a constant.

``remission run SPEC --methods tools/stand_ins.py`` measures what the grid itself costs, since the
file is executed here and in every worker. With ``REMISSION_STAND_IN_STEPS=N`` a victim first
multiplies matrices N times on one thread, and leaves a file in the folder that
``REMISSION_STAND_IN_ENDS`` names: identity of the stage, process, and when it ended.
"""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path
from typing import ClassVar

import torch

from remission.grid.stages import kinds
from remission.grid.stages.inputs import StageInputs
from remission.grid.stages.result import StageResult
from remission.intervals import Rate
from remission.method import method
from remission.metrics import Rates
from remission.models import Classifier
from remission.purifiers.base import CleanPurifier
from remission.records.kinds import KINDS
from remission.seeding import Seed
from remission.types import LabelledImages

STEPS, ENDS = "REMISSION_STAND_IN_STEPS", "REMISSION_STAND_IN_ENDS"


@method
class StandIn(CleanPurifier):
    """Does nothing; a file of methods must hold a method."""

    name: ClassVar[str] = "stand_in"
    paper: ClassVar[str] = "none"
    published: ClassVar[bool] = False

    def purify(self, model: Classifier, clean: LabelledImages, *, seed: Seed) -> Classifier:
        """Returns the model as it is."""
        del clean, seed
        return model


def multiply(steps: int) -> None:
    """Multiplies matrices, which takes as long for each step."""
    matrix = torch.ones(200, 200)
    for _ in range(steps):
        matrix = torch.nn.functional.normalize(matrix @ matrix)


def constant(inputs: StageInputs) -> StageResult:
    """Returns what a stage of any kind must have, without a parent being read."""
    stage, rate = inputs.stage, Rate(1, 2)
    kind = KINDS[stage.kind]
    if stage.kind == "victim" and STEPS in os.environ:
        multiply(int(os.environ[STEPS]))
        name = f"{stage.id} {os.getpid()} {time.time():.6f} {uuid.uuid4().hex}"
        (Path(os.environ[ENDS]) / name).touch()
    return StageResult(
        files={"model.safetensors": stage.id.encode()} if kind.stores_weights else {},
        rates=Rates(clean_acc=rate, asr=rate, robust_acc=rate) if kind.measures else None,
    )


for _kind in kinds._FUNCTIONS:
    kinds._FUNCTIONS[_kind] = constant
