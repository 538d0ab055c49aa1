"""How long a plan would take, from step times measured on this machine.

Every kind of stage is rehearsed once: its own code runs on an untrained model and images of the
right size, and each of its loops is timed and cut short (:class:`remission.progress.Rehearsal`).
So no method has to say what it costs, and the data set need not be here.
"""

from __future__ import annotations

import heapq
import json
import time
from collections.abc import Callable, Sequence

import torch

from remission.data import split_dataset
from remission.data.source import Source
from remission.grid.plan.stage import Stage
from remission.grid.stages.execute import perform
from remission.grid.stages.inputs import StageInputs
from remission.grid.stages.result import Kept
from remission.inversion import Inverted
from remission.mapped_tensors import take
from remission.models import Classifier, resolve_precision
from remission.progress import Rehearsal, rehearsing
from remission.reactivations import InputReactivation, Perturbation
from remission.records import Record
from remission.records.kinds import KINDS
from remission.registry import make_attack, make_inversion
from remission.seeding import Seed
from remission.training import Recipe
from remission.triggers import Trigger
from remission.types import Dataset, LabelledImages, Split, Target

_DRAWN = 1000  # images of a stand-in; more would only be more of the same
_STEP = 0.3  # seconds that a training step may take in a rehearsal, on a processor


def stand_in(source: Source) -> Dataset:
    """Random images, as many and as large as those of a data set that is not here."""
    generator = Seed(0).child("stand-in").generator()
    drawn = torch.randint(256, (_DRAWN, *source.shape), generator=generator).to(torch.uint8)

    def images(count: int) -> LabelledImages:
        order = torch.arange(count)
        return LabelledImages(take(drawn, order % _DRAWN), order % source.classes)

    channels = source.shape[0]
    return Dataset(
        name=source.name,
        train=images(source.train),
        test=images(source.test),
        classes=tuple(map(str, range(source.classes))),
        mean=(0.5,) * channels,
        std=(0.25,) * channels,
    )


def estimate(
    plan: Sequence[Stage],
    dataset: Dataset,
    device: torch.device,
    *,
    tell: Callable[[Stage], None] | None = None,
) -> dict[str, float | None]:
    """Stage id -> seconds, or None for a stage whose rehearsal failed.

    Args:
        plan: the stages that are not stored yet.
        dataset: the spec's, or a :func:`stand_in`.
        device: where it would be computed.
        tell: called before each rehearsal.
    """
    found: dict[str, float | None] = {}
    rehearsed: dict[str, float | None] = {}
    known: dict[str, dict[str, float]] = {}
    splits: dict[str, Split] = {}
    images: int | None = None
    for stage in plan:
        alike = _without_chance(stage)
        if alike not in rehearsed:
            if tell:
                tell(stage)
            counts = stage.settings["context"]["split"]
            key = json.dumps(counts)
            if key not in splits:
                splits[key] = split_dataset(dataset, Seed(0), **counts).to(device)
            given = _Rehearsed(stage, dataset, splits[key], device)
            if device.type != "cuda":  # there a smaller batch takes as long
                images = images or _affordable(given.new_model().eval(), given.split.defender)
            rehearsed[alike] = _rehearse(given, known.setdefault(_method(stage), {}), images)
        found[stage.id] = rehearsed[alike]
    return found


def elapsed(plan: Sequence[Stage], seconds: dict[str, float | None], jobs: int) -> float:
    """Seconds from start to end with ``jobs`` processes, each stage as soon as it can begin.

    Args:
        plan: the stages that are not stored yet, parents before children.
        seconds: of each stage; None counts as nothing.
        jobs: processes at once.
    """
    waiting, running = list(plan), list[tuple[float, str]]()
    left, now = {stage.id for stage in plan}, 0.0
    while left:
        while len(running) < jobs and (
            ready := next((s for s in waiting if not left & set(s.parents.values())), None)
        ):
            waiting.remove(ready)
            heapq.heappush(running, (now + (seconds[ready.id] or 0.0), ready.id))
        now, done = heapq.heappop(running)
        left.discard(done)
    return now


@torch.inference_mode()
def _affordable(model: Classifier, data: LabelledImages) -> int:
    """How many images a training step can take in ``_STEP`` seconds, at least 8."""
    images = data.floats(torch.arange(min(16, len(data))))
    model(images)  # the first pass pays for what is prepared once
    began = time.perf_counter()
    model(images)
    forward = (time.perf_counter() - began) / len(images)
    return max(8, round(_STEP / (3 * forward)))


def _rehearse(given: _Rehearsed, known: dict[str, float], images: int | None) -> float | None:
    cuda = given.device.type == "cuda"
    rehearsal = Rehearsal(known, wait=torch.cuda.synchronize if cuda else None, images=images)
    try:
        with rehearsing(rehearsal):
            perform(given, Kept())
    except Exception:  # an estimate is not worth failing for: the run itself will say what is wrong
        return None
    return rehearsal.seconds


def _without_chance(stage: Stage) -> str:
    """What a stage's duration depends on: hardly on the seed, the target and what came before."""
    settings = {**stage.settings, "budget": 0}
    settings["context"] = {**settings["context"], "seed": 0}
    if "attack" in settings:
        attack = {**settings["attack"], "target": 0}
        settings["attack"] = attack if stage.kind == "victim" else attack["method"]
    if stage.kind in ("inversion", "purified") and not _knows_the_trigger(stage):
        settings["attack"] = ""
    if stage.kind == "transfer":
        settings["parents"] = len(stage.parents)
    if stage.kind in ("reactivated", "path"):
        settings["purifier"] = ""
    return json.dumps([stage.kind, settings], sort_keys=True)


def _knows_the_trigger(stage: Stage) -> bool:
    """Whether a purifier is given the attacker's trigger, so that its cost is the trigger's too."""
    return bool(stage.settings.get("purifier", {}).get("trigger") == "true")


def _method(stage: Stage) -> str:
    """Stages with the same loops, of the same duration per step.

    Any parameter may change that: steps of an attack within a step, the width of a network.
    """
    role = "attack" if stage.kind == "path" else KINDS[stage.kind].runs  # its trigger, everywhere
    table = stage.settings.get(role, {})
    kind = "purified" if stage.kind == "innocent" else stage.kind
    return json.dumps([kind, table], sort_keys=True)


class _Rehearsed(StageInputs):
    """What a stage works on, without anything that was computed before."""

    def __init__(self, stage: Stage, dataset: Dataset, split: Split, device: torch.device) -> None:
        self.stage, self.device, self.dataset = stage, device, dataset
        self.context = stage.settings["context"]
        self.seed = Seed(0)
        self.precision = resolve_precision(self.context["precision"], device)
        self.recipe = Recipe(**self.context["recipe"])
        self._given = split

    @property
    def split(self) -> Split:
        """The four sets of images."""
        return self._given

    def parent(self, role: str, kinds: tuple[str, ...]) -> Record:
        """A record that says nothing."""
        return Record(
            id=role,
            kind=kinds[0],
            label=role,
            status="done",
            settings={},
            parents={},
            details={"target": 0, "target_share": 0.0, "change": 0.0},
        )

    def model(self, role: str) -> Classifier:
        """An untrained model."""
        del role
        return self.new_model().eval()

    def perturbation(self, role: str, method: InputReactivation) -> Perturbation:
        """An untrained one."""
        del role
        made = method.perturbation(self.dataset.train.shape, self.seed)
        return made.to(self.device).requires_grad_(False).eval()

    def trigger(self) -> tuple[Trigger, Target]:
        """The attack's trigger, not yet learned."""
        attack = make_attack(self.stage.settings["attack"])
        trigger = attack.trigger(self.dataset.train.shape, self.seed)
        return trigger.to(self.device).eval().requires_grad_(False), attack.target

    def inverted(self) -> Inverted:
        """An untrained generator."""
        inversion = make_inversion(self.stage.settings["inversion"])
        generator = inversion.build_generator(self.dataset.train.shape, self.seed, self.precision)
        return Inverted(
            generator=generator.to(self.device).eval(), target=0, target_share=0.0, change=0.0
        )
