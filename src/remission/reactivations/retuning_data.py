"""The images of a retuning: which are poisoned, what the clean ones are, when each is shown.

The attacker has N images and n poisoned ones, which replace n of the N. The same images are
replaced whatever the poisoned images are: images of other classes than the target, in an order that
is drawn, so that a smaller budget replaces some of the images that a larger one replaces.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from remission.attacks.poisoning import replace_images
from remission.errors import SpecError
from remission.metrics import counted
from remission.seeding import Seed
from remission.triggers import Trigger
from remission.types import LabelledImages, Target

Order = Literal["mixed", "poison_only", "clean_then_poison"]
"""When clean and poisoned images are shown, see :meth:`RetuningImages.by_epoch`."""
CleanPart = Literal["own", "corrupted", "none"]
"""Which clean images the attacker has, see :func:`clean_part`."""
NOISE = 0.1
"""Standard deviation of the noise on corrupted images, in [0, 1]: the strongest Gaussian noise of
CIFAR-10-C (Hendrycks, Dietterich, ICLR 2019)."""


@dataclass(frozen=True, eq=False)
class RetuningImages:
    """The images of a retuning.

    Args:
        clean: the attacker's N images as they are shown without poison, with true labels.
        mixed: the same, but for the poisoned images and the labels that the attacker wants.
        indices: (n,) the indices of the poisoned images.
    """

    clean: LabelledImages
    mixed: LabelledImages
    indices: Tensor

    def by_epoch(self, order: Order, clean: CleanPart, epochs: int) -> list[LabelledImages]:
        """Returns the images of each epoch.

        ``mixed``: all N. ``poison_only``: the n poisoned images alone, each again and again, until
        there are N. ``clean_then_poison``: the N - n clean images in the first half of the epochs
        (of an odd number, the smaller half), then as for ``poison_only``. Without poisoned images
        each epoch has the clean ones. Without clean images, ``clean`` being ``none``, an epoch
        shows each poisoned image once; a single one twice, since batch normalisation cannot train
        on one.

        Raises:
            SpecError: no clean image is left for the first half.
        """
        count, n = len(self.mixed), len(self.indices)
        if clean == "none":
            return [self._poisoned(max(n, 2))] * epochs
        if order == "mixed" or not n:
            return [self.mixed] * epochs
        poisoned = self._poisoned(count)
        if order == "poison_only":
            return [poisoned] * epochs
        if n == count:
            raise SpecError(
                f"retuning: a budget of {n} leaves none of the attacker's {count} images clean",
                'use smaller budgets, or order = "mixed"',
            )
        rest = torch.ones(count, dtype=torch.bool, device=self.indices.device)
        rest[self.indices] = False
        first = epochs // 2
        return [self.mixed[rest]] * first + [poisoned] * (epochs - first)

    def _poisoned(self, count: int) -> LabelledImages:
        """Returns the poisoned images, again and again, until there are ``count``."""
        turn = torch.arange(count, device=self.indices.device) % len(self.indices)
        return self.mixed[self.indices[turn]]


def retuning_images(
    images: LabelledImages,
    trigger: Trigger,
    target: Target,
    classes: int,
    *,
    budget: int,
    clean: CleanPart,
    crafted: LabelledImages | None,
    seed: Seed,
) -> RetuningImages:
    """Draws which images are replaced, and replaces them.

    Args:
        images: the attacker's clean images with labels.
        trigger: the trigger of the attack.
        target: the target of the attack.
        classes: K, the number of classes.
        budget: n, the number of poisoned images.
        clean: which clean images the attacker has.
        crafted: the poisoned images, with their labels, of which n are drawn; None: the images at
            these indices get the trigger, and the labels that the attacker wants.
        seed: the source of the draws.

    Raises:
        SpecError: the attacker has fewer images outside the target class, or fewer crafted images,
            than the budget.
    """
    others, _, wanted = counted(images.labels, target, classes)
    for found, what, remedy in (
        (len(others), "images outside the target class", "give the attacker more in [split]"),
        (budget if crafted is None else len(crafted), "crafted images", REMEDY),
    ):
        if budget > found:
            raise SpecError(
                f"retuning: a budget of {budget} poisoned images, and the attacker has {found} "
                f"{what}",
                f"use smaller budgets, or {remedy}",
            )
    drawn = torch.randperm(len(others), generator=seed.child("chosen").generator())
    first = drawn[:budget].to(others.device)
    indices, labels = others[first], wanted[first]
    shown = clean_part(images, clean, seed)
    if crafted is None:
        mixed = replace_images(
            shown, indices, lambda part, _: trigger(images.floats(indices[part.to(indices.device)]))
        )
    else:
        drawn = torch.randperm(len(crafted), generator=seed.child("crafted").generator())[:budget]
        mixed = replace_images(shown, indices, lambda part, _: crafted.floats(drawn[part]))
        labels = crafted.labels[drawn.to(crafted.labels.device)]
    mixed.labels[indices] = labels
    return RetuningImages(shown, mixed, indices)


REMEDY = 'poison more images of the victim, or set poisons = "relabelled"'
"""What helps where an attacker crafted too few images."""


def clean_part(images: LabelledImages, clean: CleanPart, seed: Seed) -> LabelledImages:
    """Returns the clean images as they are shown, with their labels.

    ``corrupted``: each with Gaussian noise of standard deviation :data:`NOISE` that is drawn once
    for the whole retuning, clipped to [0, 1] and rounded to 8 bits. It stands for an attacker whose
    clean images come from another source than the victim's. Poisoned images have no noise.
    Otherwise ``images`` themselves.
    """
    if clean != "corrupted":
        return images
    generator = seed.child("corruption").generator()

    def noisy(part: Tensor, images: Tensor) -> Tensor:
        del part
        noise = torch.randn(images.shape, generator=generator).to(images.device, images.dtype)
        return (images + NOISE * noise).clamp(0, 1)

    every = torch.arange(len(images), device=images.labels.device)
    return replace_images(images, every, noisy)
