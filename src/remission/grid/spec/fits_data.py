"""Whether the data set can give what the spec asks of it, before anything is computed."""

from __future__ import annotations

import torch
from torch import Tensor

from remission.data.split import split_indices
from remission.errors import SpecError
from remission.grid.spec.methods import SpecMethods
from remission.grid.spec.spec import Spec
from remission.metrics import goals
from remission.models import build_model, check_needs
from remission.reactivations import InputReactivation
from remission.seeding import Seed
from remission.types import Dataset, Target

_FEWEST = 3
"""Images that the defender needs."""


def check_against(spec: Spec, dataset: Dataset) -> None:
    """Tries every choice that a stage would refuse, without training anything.

    Only labels and the shape of the images are looked at; no image is copied.

    Raises:
        DataError: the data set has fewer images than the split takes.
        SpecError: images too small for the model or the trigger, a model that lacks what a method
            needs, a class that does not exist, too few images for a poison rate or a budget.
    """
    methods = spec.methods
    _check_shapes(spec, methods, dataset)
    train, test, classes = dataset.train.labels, dataset.test.labels, len(dataset.classes)
    for number in spec.seeds:
        seed = Seed(number)
        split = split_indices(dataset, seed.child("split"), **spec.split.model_dump())
        if methods.purifiers and len(split.defender) < _FEWEST:
            raise SpecError(
                f"[split]: the defender has {len(split.defender)} clean images",
                f"give {_FEWEST} at least: a search holds one out, batch norm trains on two",
            )
        for attack in methods.attacks:
            try:
                attack.select(train[split.victim], classes, seed)
            except SpecError as error:
                raise SpecError(
                    f"[attack] {attack.name} on {spec.dataset}: {error.problem}", error.remedy
                ) from error
            _check_attacker(spec, train[split.attacker], attack.target, classes)
            chosen = test if split.test is None else test[split.test]
            _check_test(chosen, attack.target, classes)


def _check_shapes(spec: Spec, methods: SpecMethods, dataset: Dataset) -> None:
    """The model, the triggers and the generators can be built for images of this shape."""
    shape, seed = dataset.train.shape, Seed(spec.seeds[0])
    with torch.device("meta"):  # shapes without values: building a large model costs nothing
        model = build_model(
            spec.arch,
            classes=len(dataset.classes),
            shape=shape,
            mean=dataset.mean,
            std=dataset.std,
        )
        for attack in methods.attacks:
            check_needs(attack, model)
        for row in methods.purifiers:
            check_needs(row.purifier, model)
        for planned in methods.reactivations:
            check_needs(planned.reactivation, model)
        used = {row.inversion.name: row.inversion for row in methods.purifiers if row.inverts}
        for inversion in used.values():
            check_needs(inversion, model)
            inversion.build_generator(shape, seed, "fp32")
    for attack in methods.attacks:
        attack.trigger(shape, seed)


def _outside(labels: Tensor, target: Target, classes: int) -> int:
    """How many images have another class than the one that the attacker wants of them."""
    return int((labels != goals(labels, target, classes)).sum())


def _check_attacker(spec: Spec, labels: Tensor, target: Target, classes: int) -> None:
    """The attacker has enough images to poison; ``labels`` are those of the attacker's images."""
    others = _outside(labels, target, classes)
    for planned in spec.methods.reactivations:
        reactivation = planned.reactivation
        largest = max((budget for budget in reactivation.tries() if budget is not None), default=0)
        if isinstance(reactivation, InputReactivation) and not others:
            raise SpecError(
                f"[reactivation] {reactivation.name}: all of the attacker's {len(labels)} "
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


def _check_test(labels: Tensor, target: Target, classes: int) -> None:
    """Some test image is there to measure the ASR on; ``labels`` are those of the test images."""
    if not _outside(labels, target, classes):
        raise SpecError(
            f"none of the {len(labels)} test images lies outside the target class {target}",
            "use more test images in [split], or another target",
        )
