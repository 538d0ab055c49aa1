"""How the images of a model of unknown origin are normalised: measured by its clean accuracy.

Files of weights mostly do not say which mean and standard deviation their training subtracted and
divided by, nor whether red or blue came first. A model that gets its images in another way than in
its training is less accurate. So every candidate is tried, and the most accurate is taken. A model
that is not clearly better than chance under any candidate is read in a wrong way, and no audit of
it means anything.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from remission.errors import CheckpointError
from remission.intervals import Rate
from remission.models import Classifier
from remission.models.classifier import ChannelOrder
from remission.training import clean_accuracy
from remission.types import LabelledImages

_TIMES_CHANCE = 3


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """One way to hand images to a model.

    Args:
        name: how tables call it.
        mean: one number per channel in the order of ``order``, for values in [0, 1].
        std: the same.
        order: the order of the channels that the model expects.
        range_per_image: whether each image is first min-max normalised to [0, 1].
    """

    name: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    order: ChannelOrder = "rgb"
    range_per_image: bool = False

    def __post_init__(self) -> None:
        """Checks that there is one positive standard deviation per mean, all finite."""
        finite = all(math.isfinite(value) for value in (*self.mean, *self.std))
        if not finite or len(self.mean) != len(self.std) or min(self.std) <= 0:
            raise ValueError("give as many standard deviations above 0 as means, all finite")

    def apply(self, model: Classifier) -> None:
        """Makes ``model`` normalise its images in this way."""
        model.mean.copy_(torch.tensor(self.mean).view_as(model.mean))
        model.std.copy_(torch.tensor(self.std).view_as(model.std))
        model.channel_order, model.range_per_image = self.order, self.range_per_image


COLOUR = (
    Preprocessing(name="cifar10", mean=(0.4914, 0.4822, 0.4465), std=(0.247, 0.243, 0.261)),
    Preprocessing(
        name="cifar10, std .2", mean=(0.4914, 0.4822, 0.4465), std=(0.2023, 0.1994, 0.2010)
    ),
    Preprocessing(name="cifar100", mean=(0.5071, 0.4865, 0.4409), std=(0.2673, 0.2564, 0.2762)),
    Preprocessing(name="imagenet", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    Preprocessing(
        name="tiny-imagenet", mean=(0.4802, 0.4481, 0.3975), std=(0.2302, 0.2265, 0.2262)
    ),
    Preprocessing(name="half", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
    Preprocessing(name="none", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
)
"""The means and standard deviations of public code for colour images, red first."""
GREY = (
    Preprocessing(name="half", mean=(0.5,), std=(0.5,)),
    Preprocessing(name="mnist", mean=(0.1307,), std=(0.3081,)),
    Preprocessing(name="fashion-mnist", mean=(0.2860,), std=(0.3530,)),
    Preprocessing(name="none", mean=(0.0,), std=(1.0,)),
)
"""The same for grey images."""


@dataclass(frozen=True, kw_only=True)
class PreprocessingAttempt:
    """The clean accuracy of a model under one normalisation."""

    normalisation: Preprocessing
    clean_acc: Rate


def candidates(images: LabelledImages) -> tuple[Preprocessing, ...]:
    """Returns the ways that are tried for images of this kind.

    Args:
        images: their own mean and standard deviation are one of the ways.
    """
    channels = images.shape[0]
    count = min(len(images), 1000)
    sample = images.floats(torch.arange(count) * len(images) // count)  # sorted by class, maybe
    std, mean = torch.std_mean(sample, (0, 2, 3))
    own = Preprocessing(
        name="these images",
        mean=tuple(mean.tolist()),
        std=tuple(std.clamp_min(1e-3).tolist()),
    )
    if channels != 3:
        known = GREY if channels == 1 else ()
        return (*known, own, _stretched(channels))
    swapped = [
        Preprocessing(
            name=f"{each.name}, bgr", mean=each.mean[::-1], std=each.std[::-1], order="bgr"
        )
        for each in (*COLOUR, own)
    ]
    return (*COLOUR, own, _stretched(3), *swapped)


def _stretched(channels: int) -> Preprocessing:
    return Preprocessing(
        name="each image from 0 to 1",
        mean=(0.0,) * channels,
        std=(1.0,) * channels,
        range_per_image=True,
    )


def measure(
    model: Classifier, clean: LabelledImages, tried: Sequence[Preprocessing]
) -> list[PreprocessingAttempt]:
    """Returns the clean accuracy under each normalisation: the one to take first, then the best.

    That is the first of ``tried`` whose accuracy lies within one standard error of the best, since
    normalisations that are as good are told apart by how common they are, not by noise.

    Args:
        model: its own normalisation is put back.
        clean: images with true labels, on the model's device.
        tried: at least one; the most common first.
    """
    before = _of(model)
    attempts = []
    for normalisation in tried:
        normalisation.apply(model)
        attempts.append(
            PreprocessingAttempt(
                normalisation=normalisation,
                clean_acc=clean_accuracy(model, clean),
            )
        )
    before.apply(model)
    taken = _first_of_the_best(attempts)
    others = [attempt for attempt in attempts if attempt is not taken]
    return [taken, *sorted(others, key=lambda attempt: -attempt.clean_acc.hits)]


def _first_of_the_best(attempts: Sequence[PreprocessingAttempt]) -> PreprocessingAttempt:
    """Returns the first attempt within one standard error, sqrt(p (1 - p) / n), of the best."""
    best = max((attempt.clean_acc for attempt in attempts), key=lambda rate: rate.value)
    least = best.value - math.sqrt(best.value * (1 - best.value) / best.total)
    return next(attempt for attempt in attempts if attempt.clean_acc.value >= least)


def _of(model: Classifier) -> Preprocessing:
    return Preprocessing(
        name="as it was",
        mean=tuple(model.mean.flatten().tolist()),
        std=tuple(model.std.flatten().tolist()),
        order=model.channel_order,
        range_per_image=model.range_per_image,
    )


def least_accuracy(classes: int) -> float:
    """Returns the clean accuracy below which a model is read in a wrong way.

    This is three times chance, 3 / m, or half way from chance to 1, (1 + 1 / m) / 2, whichever is
    lower: the latter for fewer than five classes.

    Args:
        classes: m, number of classes with images; a model that gives one answer for all of them is
            right on a share of 1 / m, however many classes it knows.
    """
    return min(_TIMES_CHANCE / classes, (1 + 1 / classes) / 2)


def take_best(
    model: Classifier, attempts: Sequence[PreprocessingAttempt], origin: str, classes: int
) -> PreprocessingAttempt:
    """Makes ``model`` normalise its images in the first way; returns that attempt.

    Args:
        model: the model that was measured.
        attempts: as :func:`measure` returns them.
        origin: how errors name the model.
        classes: number of classes with images.

    Raises:
        CheckpointError: even the best is not clearly better than chance.
    """
    taken, least = attempts[0], least_accuracy(classes)
    best = max(attempt.clean_acc.value for attempt in attempts)
    if best < least:
        listed = ", ".join(f"{r.normalisation.name} {r.clean_acc.value:.1%}" for r in attempts)
        raise CheckpointError(
            f"{origin}: the clean accuracy is {best:.1%} at best, below "
            f"{least:.0%}, so it is read in a wrong way ({listed})",
            "check that the images are of the model's classes and size, and state its architecture "
            "and its normalisation",
        )
    taken.normalisation.apply(model)
    return taken
