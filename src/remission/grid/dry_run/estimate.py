"""How long a plan would take, from step times measured on this machine.

Every kind of stage is rehearsed once: its own code runs on an untrained model and images of the
right size, and each of its loops is timed and cut short. So no method has to say what it costs, and
the data set need not be on this computer.
"""

from __future__ import annotations

import heapq
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from remission.data import split_dataset
from remission.grid.dry_run.inputs import RehearsedInputs
from remission.grid.plan.stage import ATTACK, PURIFIER, Settings, Stage
from remission.grid.stages.kinds import compute
from remission.models import Classifier, compute_exactly
from remission.progress import cutting
from remission.records.kinds import KINDS
from remission.records.labels import trigger_of
from remission.rehearsal import Rehearsal
from remission.seeding import Seed
from remission.types import Dataset, LabelledImages, Split

_STEP = 0.3
"""Seconds that a training step may take in a rehearsal, on a processor."""


def estimate(
    plan: Sequence[Stage],
    dataset: Dataset,
    device: torch.device,
    *,
    announce: Callable[[Stage], None] | None = None,
) -> dict[str, float | None]:
    """Estimates the seconds of every stage of a plan.

    Args:
        plan: the stages that are not stored yet.
        dataset: the data set of the spec, or a :func:`remission.grid.dry_run.inputs.stand_in`.
        device: where it would be computed.
        announce: called with each stage before its rehearsal.

    Returns:
        Identity of the stage -> seconds, or None for a stage whose rehearsal failed.
    """
    compute_exactly(device)
    seconds: dict[str, float | None] = {}
    by_key: dict[str, float | None] = {}
    step_times: dict[str, dict[str, float]] = {}
    splits: dict[str, Split] = {}
    images: int | None = None
    for stage in plan:
        duration_key = _same_duration(stage)
        if duration_key not in by_key:
            if announce:
                announce(stage)
            counts = dict(stage.context.split)
            split_key = json.dumps(counts)
            if split_key not in splits:
                splits[split_key] = split_dataset(dataset, Seed(0), **counts).to(device)
            inputs = RehearsedInputs(stage, dataset, splits[split_key], device)
            if device.type != "cuda":  # on CUDA a smaller batch takes as long
                images = images or _affordable(inputs.new_model().eval(), inputs.split.defender)
            step_seconds = step_times.setdefault(_same_loops(stage), {})
            by_key[duration_key] = _rehearse(inputs, step_seconds, images)
        seconds[stage.id] = by_key[duration_key]
    return seconds


def elapsed(plan: Sequence[Stage], seconds: dict[str, float | None], jobs: int) -> float:
    """Returns the seconds from start to end if each stage starts as soon as it can.

    Args:
        plan: the stages that are not stored yet, parents before children.
        seconds: of each stage; None counts as nothing.
        jobs: processes at once.
    """
    waiting, running = list(plan), list[tuple[float, str]]()
    unfinished, now = {stage.id for stage in plan}, 0.0
    while unfinished:
        while len(running) < jobs and (
            ready := next((s for s in waiting if not unfinished & set(s.parents.values())), None)
        ):
            waiting.remove(ready)
            heapq.heappush(running, (now + (seconds[ready.id] or 0.0), ready.id))
        now, done = heapq.heappop(running)
        unfinished.discard(done)
    return now


@torch.inference_mode()
def _affordable(model: Classifier, data: LabelledImages) -> int:
    """Returns how many images a training step can take in ``_STEP`` seconds, at least 8."""
    images = data.floats(torch.arange(min(16, len(data))))
    model(images)  # the first pass also pays for preparations that are made once
    began = time.perf_counter()
    model(images)
    forward = (time.perf_counter() - began) / len(images)
    return max(8, round(_STEP / (3 * forward)))


def _rehearse(
    inputs: RehearsedInputs, step_seconds: dict[str, float], images: int | None
) -> float | None:
    """Returns the seconds of a stage; None if its rehearsal failed."""
    cuda = inputs.device.type == "cuda"
    rehearsal = Rehearsal(
        step_seconds, wait=torch.cuda.synchronize if cuda else None, images=images
    )
    try:
        with cutting(rehearsal):
            compute(inputs)
    except (Exception, SystemExit):  # the run itself will say what is wrong
        return None
    return rehearsal.seconds


def _same_duration(stage: Stage) -> str:
    """Returns the same key for stages that take equally long.

    Their duration hardly depends on the seed, the target, the budget and the earlier stages, nor on
    real numbers: rates, strengths and bounds, of which a search may have dozens.
    """
    kind = KINDS[stage.kind]
    context = replace(stage.context, seed=0)
    settings: Settings = {**stage.settings, "budget": 0, "context": context.to_settings()}
    if attack := stage.table(ATTACK):
        settings[ATTACK] = {**attack, "target": 0} if kind.runs == ATTACK else attack["method"]
    for key in kind.same_time_for_all:
        if key != ATTACK or not _knows_the_trigger(stage):
            settings.pop(key, None)
    return json.dumps([kind.name, _without_reals(settings), len(stage.parents)], sort_keys=True)


def _without_reals(settings: object) -> object:
    """Returns settings in which each real number is 0."""
    match settings:
        case dict():
            return {key: _without_reals(value) for key, value in settings.items()}
        case list() | tuple():
            return [_without_reals(value) for value in settings]
        case float():
            return 0.0
    return settings


def _knows_the_trigger(stage: Stage) -> bool:
    """Returns whether a purifier is given the attacker's trigger, whose cost it then shares."""
    return trigger_of(stage.table(PURIFIER)) == "true"


def _same_loops(stage: Stage) -> str:
    """Returns the same key for stages with the same loops, of the same duration per step.

    Any parameter of a method may change that but for real numbers: the steps of an attack within a
    step, the width of a network.
    """
    kind = KINDS[stage.kind]
    role = kind.paced_by or kind.runs
    return json.dumps([role, _without_reals(stage.table(role))], sort_keys=True)
