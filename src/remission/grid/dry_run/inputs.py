"""The inputs of a stage in a rehearsal: random images and untrained models of the right size."""

from __future__ import annotations

from functools import cached_property

import torch

from remission.attacks import CleanLabel
from remission.attacks.base import KEPT
from remission.data import Source
from remission.grid.plan.stage import Stage
from remission.grid.stages.inputs import StageInputs
from remission.inversion import Inverted
from remission.mapped_tensors import take
from remission.models import Classifier, resolve_precision
from remission.reactivations import InputReactivation, Perturbation
from remission.records import Record
from remission.records.kinds import Kind
from remission.seeding import Seed
from remission.triggers import Trigger
from remission.types import Dataset, LabelledImages, Split, Target

_RANDOM_IMAGES = 1000
"""The number of different random images in a stand-in, which repeats them."""


def stand_in(source: Source) -> Dataset:
    """Draws random images, as many and as large as those of a data set that is not here."""
    generator = Seed(0).child("stand-in").generator()
    pixels = torch.randint(256, (_RANDOM_IMAGES, *source.shape), generator=generator).to(
        torch.uint8
    )

    def images(count: int) -> LabelledImages:
        order = torch.arange(count)
        return LabelledImages(take(pixels, order % _RANDOM_IMAGES), order % source.classes)

    channels = source.shape[0]
    return Dataset(
        name=source.name,
        train=images(source.train),
        test=images(source.test),
        classes=tuple(map(str, range(source.classes))),
        mean=(0.5,) * channels,
        std=(0.25,) * channels,
    )


class RehearsedInputs(StageInputs):
    """The inputs of a stage, without the results of earlier stages.

    Args:
        stage: its parents need not be finished.
        dataset: the data set of the stage, or a :func:`stand_in`.
        split: of that data set, on the device.
        device: where to compute.
    """

    def __init__(self, stage: Stage, dataset: Dataset, split: Split, device: torch.device) -> None:
        self.stage, self.device, self.dataset = stage, device, dataset
        self.context = stage.context
        self.seed = Seed(0)
        self.precision = resolve_precision(self.context.precision, device)
        self._split = split

    @property
    def split(self) -> Split:
        """The sets of images."""
        return self._split

    def parent(self, role: str, *among: Kind) -> Record:
        """Returns an empty record."""
        kind = among[0].name if among else role
        return Record(id=role, kind=kind, label=role, status="done", settings={}, parents={})

    def model(self, role: str) -> Classifier:
        """Builds an untrained model."""
        del role
        return self.new_model().eval()

    def perturbation(self, role: str, method: InputReactivation) -> Perturbation:
        """Builds an untrained perturbation."""
        del role
        perturbation = method.perturbation(self.dataset.train.shape, self.seed)
        return perturbation.to(self.device).requires_grad_(False).eval()

    def trigger(self) -> tuple[Trigger, Target]:
        """Builds the attack's trigger before it is learned; returns it with the target."""
        trigger = self.attack.trigger(self.dataset.train.shape, self.seed)
        return trigger.to(self.device).eval().requires_grad_(False), self.attack.target

    @cached_property
    def crafted(self) -> LabelledImages | None:
        """As many of the victim's images as the attacker crafted at most."""
        return self.split.victim[:KEPT] if isinstance(self.attack, CleanLabel) else None

    def inverted(self) -> Inverted:
        """Builds an untrained generator, as the result of an inversion that names class 0."""
        shape = self.dataset.train.shape
        generator = self.inversion.build_generator(shape, self.seed, self.precision)
        return Inverted(
            generator=generator.to(self.device).eval(), target=0, target_share=0.0, change=0.0
        )
