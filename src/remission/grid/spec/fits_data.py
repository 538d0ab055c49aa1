"""Checks that the data set has what the spec needs, before anything is computed."""

from __future__ import annotations

import torch
from torch import Tensor

from remission.attacks import Attack, CleanLabel
from remission.attacks.base import KEPT
from remission.data.split import split_indices
from remission.errors import DataError, SpecError
from remission.grid.spec.methods import SpecMethods
from remission.grid.spec.spec import Spec
from remission.metrics import goals
from remission.models import build_model_for, check_needs
from remission.reactivations import InputReactivation, Reactivation
from remission.reactivations.base import trains_on_crafted
from remission.seeding import Seed
from remission.types import Dataset, Target
from remission.user_methods import own_mistakes

_FEWEST = 3
"""The fewest images that the defender needs."""


def check_against(spec: Spec, dataset: Dataset) -> None:
    """Tries every choice that a stage would refuse, without training anything.

    The checks read labels and the shape of the images; no image is copied.

    Raises:
        DataError: the data set has fewer images than the split takes.
        SpecError: images too small for the model or the trigger, a model that lacks what a method
            needs, a class that does not exist, too few images for a poison rate or a budget.
    """
    with own_mistakes():
        _check_amounts(spec.methods, dataset)
        _check_shapes(spec, spec.methods, dataset)
        _check_seeds(spec, dataset)


def _check_seeds(spec: Spec, dataset: Dataset) -> None:
    """Checks the split of each seed, and the images that its attacks need."""
    methods = spec.methods
    train, test, classes = dataset.train.labels, dataset.test.labels, len(dataset.classes)
    for number in spec.seeds:
        seed = Seed(number)
        split = split_indices(dataset, seed.child("split"), **spec.split.model_dump())
        if methods.purifiers and len(split.defender) < _FEWEST:
            raise SpecError(
                f"[split]: the defender has {len(split.defender)} clean images",
                f"give {_FEWEST} at least: a search holds one out, batch norm trains on two",
            )
        for attack in (p.attack for p in methods.attacks if number in p.seeds):
            try:
                chosen = attack.select(train[split.victim], classes, seed)
            except SpecError as error:
                raise SpecError(
                    f"[attack] {attack.name} on {spec.dataset}: {error.problem}", error.remedy
                ) from error
            in_all = _outside(train, attack.target, classes)
            _check_attacker(spec, attack, train[split.attacker], classes, in_all)
            if isinstance(attack, CleanLabel):
                _check_crafted(spec, attack, min(len(chosen), KEPT))
            test_labels = test if split.test is None else test[split.test]
            _check_test(test_labels, test, attack.target, classes)


def remarks(spec: Spec, dataset: Dataset) -> list[str]:
    """Writes sentences on the split that a user should read before anything is computed.

    Args:
        spec: has the sizes of the sets. Only its first seed is split, as all give equal sizes.
        dataset: has the labels that are counted.
    """
    train, test, classes = dataset.train.labels, dataset.test.labels, len(dataset.classes)
    split = split_indices(dataset, Seed(spec.seeds[0]).child("split"), **spec.split.model_dump())
    sets = {
        "victim": train[split.victim],
        "defender": train[split.defender],
        "attacker": train[split.attacker],
        "test": test if split.test is None else test[split.test],
    }
    lacking = [
        f"{name} ({len(labels)} images) lacks {classes - held}"
        for name, labels in sets.items()
        if (held := len(set(labels.tolist()))) < classes
    ]
    if not lacking:
        return []
    return [
        f"of the {classes} classes {', '.join(lacking)}; larger numbers in [split], of at least "
        f"{classes} images, reach all of them where the data set has as many"
    ]


def _check_amounts(methods: SpecMethods, dataset: Dataset) -> None:
    """Checks that there are two classes, and enough training images for the three sets."""
    if len(dataset.classes) < 2:
        raise DataError(
            f"'{dataset.name}' has one class, '{dataset.classes[0]}'",
            "add images of another class: a classifier and an attack need two",
        )
    defender = _FEWEST if methods.purifiers else 2
    if (total := len(dataset.train)) < defender + 4:
        raise DataError(
            f"'{dataset.name}' has {total} training images, too few for any split",
            f"add images: the defender needs {defender}, attacker and victim two each",
        )


def _check_shapes(spec: Spec, methods: SpecMethods, dataset: Dataset) -> None:
    """Checks that model, triggers and generators can be built for images of this shape."""
    shape, seed = dataset.train.shape, Seed(spec.seeds[0])
    with torch.device("meta"):  # shapes without values: building a large model costs nothing
        model = build_model_for(dataset, spec.arch)
        for each in methods.attacks:
            check_needs(each.attack, model)
        for row in methods.purifiers:
            check_needs(row.purifier, model)
        for planned in (*methods.reactivations, *methods.ensemble):
            check_needs(planned.reactivation, model)
        inversions = {row.inversion.name: row.inversion for row in methods.purifiers if row.inverts}
        for inversion in inversions.values():
            check_needs(inversion, model)
            try:
                inversion.build_generator(shape, seed, "fp32")
            except SpecError as error:  # the spec may have no such table: then it has the default
                users = [r.purifier.name for r in methods.purifiers if r.inversion is inversion]
                raise SpecError(
                    f"{error.problem} (inverts the trigger for {', '.join(users)})",
                    f"{error.remedy}; write them in a table [inversion] with "
                    f'method = "{inversion.name}"',
                ) from error
    for each in methods.attacks:
        each.attack.trigger(shape, seed)


def _outside(labels: Tensor, target: Target, classes: int) -> int:
    """Counts the images whose class is not the one that the attacker wants of them."""
    return int((labels != goals(labels, target, classes)).sum())


def _largest(reactivation: Reactivation) -> int:
    """Returns the largest number of poisoned images that a reactivation tries."""
    return max((budget for budget in reactivation.tries() if budget is not None), default=0)


def _check_attacker(spec: Spec, attack: Attack, labels: Tensor, classes: int, in_all: int) -> None:
    """Checks that the attacker has enough images to poison.

    Args:
        spec: its reactivations, its ensemble and its path.
        attack: the attack after which they are tried.
        labels: the labels of the attacker's images.
        classes: the number of classes.
        in_all: training images of the data set outside the target class.
    """
    others = _outside(labels, attack.target, classes)
    for section, reactivation in spec.methods.tried_after(attack.name):
        largest = _largest(reactivation)
        if isinstance(reactivation, InputReactivation) and not others:
            raise SpecError(
                f"[reactivation] {reactivation.name}: all of the attacker's {len(labels)} "
                "images are of the target class",
                "give the attacker more images in [split]",
            )
        if largest > others:
            raise SpecError(
                f"[{section}] {reactivation.name}: a budget of {largest} "
                f"poisoned images, and the attacker has {others} images outside the target class",
                _smaller("budgets", largest, others, in_all),
            )
    retuned = spec.path.retuned if spec.path else None
    if retuned is not None and spec.methods.retuning:
        try:
            spec.methods.retuning.check_budget(retuned)
        except SpecError as error:
            raise SpecError(f"[path]: retuned: {error.problem}", error.remedy) from error
    if retuned is not None and retuned > others:
        raise SpecError(
            f"[path]: retuned = {retuned} poisoned images, and the attacker has {others} images "
            "outside the target class",
            _smaller("numbers", retuned, others, in_all),
        )


def _check_crafted(spec: Spec, attack: Attack, crafted: int) -> None:
    """Checks that the attacker crafted enough images for what is trained on them.

    Args:
        spec: its reactivations, its ensemble and its path.
        attack: a clean-label attack after which they are tried.
        crafted: how many crafted images its victim keeps.
    """
    wanted = [
        (_largest(reactivation), f"[{section}] {reactivation.name}: a budget")
        for section, reactivation in spec.methods.tried_after(attack.name)
        if trains_on_crafted(reactivation)
    ]
    retuning = spec.methods.retuning
    if spec.path and spec.path.retuned is not None and retuning and trains_on_crafted(retuning):
        wanted.append((spec.path.retuned, "[path]: retuned"))
    for number, what in wanted:
        if number > crafted:
            raise SpecError(
                f"{what} of {number} poisoned images, and after {attack.name} the attacker has "
                f"{crafted} crafted images of the target class",
                f"use smaller numbers, {crafted} at most, a larger poison_rate (of the crafted "
                f'images {KEPT} are kept), or poisons = "relabelled"',
            )


def _smaller(what: str, wanted: int, others: int, in_all: int) -> str:
    """Returns the remedy for a number of poisoned images that the attacker does not have.

    Args:
        what: the numbers, for people.
        wanted: how many poisoned images there should be.
        others: the attacker's images outside the target class.
        in_all: training images of the data set outside the target class.
    """
    fewer = f"use smaller {what}, {others} at most" if others else ""
    more = "give the attacker more images in [split]" if wanted < in_all else ""
    if not more:
        more = "add images to the data set" if not others else ""
    return ", or ".join(filter(None, (fewer, more)))


def _check_test(labels: Tensor, all_labels: Tensor, target: Target, classes: int) -> None:
    """Checks that the ASR can be measured on at least one test image.

    Args:
        labels: the labels of the test images that the split takes.
        all_labels: the labels of all test images.
        target: the attacker's target.
        classes: the number of classes.
    """
    if not _outside(labels, target, classes):
        more = _outside(all_labels, target, classes)
        raise SpecError(
            f"none of the {len(labels)} test images lies outside the target class {target}",
            "use more test images in [split], or another target"
            if more
            else "choose another target, or add test images of other classes",
        )
