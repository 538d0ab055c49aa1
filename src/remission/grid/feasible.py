"""Can the data set give what the spec asks of it? Found out before anything is computed."""

from __future__ import annotations

import torch

from remission.data import split_dataset
from remission.errors import SpecError
from remission.grid.spec import Spec
from remission.models import build_model
from remission.purifiers import TriggerPurifier
from remission.seeding import Seed
from remission.types import Dataset, Split


def check_against(spec: Spec, dataset: Dataset) -> None:
    """Tries every choice that a stage would refuse, without training anything.

    Raises:
        DataError: the data set has fewer images than the split takes.
        SpecError: images too small for the model or the trigger, a class that does not exist, too
            few images for a poison rate or a budget.
    """
    with torch.device("meta"):  # shapes only
        build_model(
            spec.arch,
            classes=len(dataset.classes),
            shape=dataset.train.shape,
            mean=dataset.mean,
            std=dataset.std,
        )
        if any(
            isinstance(p, TriggerPurifier) and p.trigger == "inverted" for p in spec.purifiers()
        ):
            spec.inverter().build_generator(dataset.train.shape, Seed(spec.seeds[0]), "fp32")
    for attack in spec.attacks():
        if attack.target >= len(dataset.classes):
            raise SpecError(
                f"[attack] {attack.name}: target is {attack.target}, {spec.dataset} has "
                f"{len(dataset.classes)} classes",
                f"use a target from 0 to {len(dataset.classes) - 1}",
            )
        attack.trigger(dataset.train.shape, Seed(spec.seeds[0]))
    for number in spec.seeds:
        seed = Seed(number)
        split = split_dataset(dataset, seed.child("split"), **spec.split.model_dump())
        for attack in spec.attacks():
            attack.select(split.victim.labels, len(dataset.classes), seed)
            _check_budgets(spec, split, attack.target)


def _check_budgets(spec: Spec, split: Split, target: int) -> None:
    """The attacker has enough images to poison, and some test image to measure the ASR on."""
    others = int((split.attacker.labels != target).sum())
    for reactivation in spec.reactivations():
        if max(reactivation.budgets) > others:
            raise SpecError(
                f"[reactivation] {reactivation.name}: a budget of {max(reactivation.budgets)} "
                f"poisoned images, and the attacker has {others} images outside the target class",
                "use smaller budgets, or give the attacker more images in [split]",
            )
    if not bool((split.test.labels != target).any()):
        raise SpecError(
            f"none of the {len(split.test)} test images lies outside the target class {target}",
            "use more test images in [split], or another target",
        )
