"""Can the data set give what the spec asks of it? Found out before anything is computed."""

from __future__ import annotations

import torch
from torch import Tensor

from remission.data import split_dataset
from remission.errors import SpecError
from remission.grid.spec.spec import Spec
from remission.metrics import goals
from remission.models import build_model, check_needs
from remission.purifiers import inverts
from remission.reactivations import InputReactivation
from remission.seeding import Seed
from remission.types import Dataset, Split, Target

_FEWEST = 3


def check_against(spec: Spec, dataset: Dataset) -> None:
    """Tries every choice that a stage would refuse, without training anything.

    Raises:
        DataError: the data set has fewer images than the split takes.
        SpecError: images too small for the model or the trigger, a model that lacks what a method
            needs, a class that does not exist, too few images for a poison rate or a budget.
    """
    with torch.device("meta"):  # shapes only
        model = build_model(
            spec.arch,
            classes=len(dataset.classes),
            shape=dataset.train.shape,
            mean=dataset.mean,
            std=dataset.std,
        )
        for method in (*spec.attacks(), *spec.purifiers(), *spec.reactivations()):
            check_needs(method, model)
        for purifier, inversion in zip(spec.purifiers(), spec.inverters(), strict=True):
            if inverts(purifier):
                check_needs(inversion, model)
                inversion.build_generator(dataset.train.shape, Seed(spec.seeds[0]), "fp32")
    for attack in spec.attacks():
        attack.trigger(dataset.train.shape, Seed(spec.seeds[0]))
    for number in spec.seeds:
        seed = Seed(number)
        split = split_dataset(dataset, seed.child("split"), **spec.split.model_dump())
        if spec.purifier and len(split.defender) < _FEWEST:
            raise SpecError(
                f"[split]: the defender has {len(split.defender)} clean images",
                f"give {_FEWEST} at least: a search holds one out, batch norm trains on two",
            )
        for attack in spec.attacks():
            try:
                attack.select(split.victim.labels, len(dataset.classes), seed)
            except SpecError as error:
                raise SpecError(
                    f"[attack] {attack.name} on {spec.dataset}: {error.problem}", error.remedy
                ) from error
            _check_budgets(spec, split, attack.target, len(dataset.classes))


def _check_budgets(spec: Spec, split: Split, target: Target, classes: int) -> None:
    """The attacker has enough images to poison, and some test image to measure the ASR on."""

    def outside(labels: Tensor) -> int:
        return int((labels != goals(labels, target, classes)).sum())

    others = outside(split.attacker.labels)
    for reactivation in spec.reactivations():
        largest = max((budget for budget in reactivation.tries() if budget is not None), default=0)
        if isinstance(reactivation, InputReactivation) and not others:
            raise SpecError(
                f"[reactivation] {reactivation.name}: all of the attacker's {len(split.attacker)} "
                "images are of the target class",
                "give the attacker more images in [split]",
            )
        if largest > others:
            raise SpecError(
                f"[reactivation] {reactivation.name}: a budget of {largest} "
                f"poisoned images, and the attacker has {others} images outside the target class",
                "use smaller budgets, or give the attacker more images in [split]",
            )
    retuned = spec.path.retuned if spec.path else None
    if retuned is not None and retuned > others:
        raise SpecError(
            f"[path]: retuned = {retuned} poisoned images, and the attacker has {others} images "
            "outside the target class",
            "use fewer, or give the attacker more images in [split]",
        )
    if not outside(split.test.labels):
        raise SpecError(
            f"none of the {len(split.test)} test images lies outside the target class {target}",
            "use more test images in [split], or another target",
        )
