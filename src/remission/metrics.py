"""Clean accuracy, ASR and robust accuracy, from predictions and labels, with their intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from remission.intervals import Rate
from remission.types import Target


@dataclass(frozen=True)
class Rates:
    """The three rates of one model: clean accuracy, ASR and robust accuracy."""

    clean_acc: Rate
    asr: Rate
    robust_acc: Rate


def goals(labels: Tensor, target: Target, classes: int) -> Tensor:
    """Returns the class that the attacker wants for each image, (N,); it may be the true one.

    Args:
        labels: (N,) true class indices.
        target: one class for all, or ``"all-to-all"``: the next class, y + 1 mod K
            (BadNets, arXiv 1708.06733, section 3.1).
        classes: K.
    """
    if target == "all-to-all":
        return (labels + 1) % classes
    return torch.full_like(labels, target)


class Counted(NamedTuple):
    """The images that an ASR counts: those whose class is not the one that the attacker wants.

    Args:
        indices: (n,) their indices.
        labels: (n,) their true classes.
        goals: (n,) the classes that the attacker wants for them.
    """

    indices: Tensor
    labels: Tensor
    goals: Tensor


def counted(labels: Tensor, target: Target, classes: int) -> Counted:
    """Returns the images that an ASR counts; arguments as for :func:`goals`."""
    wanted = goals(labels, target, classes)
    indices = (wanted != labels).nonzero().flatten()
    return Counted(indices, labels[indices], wanted[indices])


def accuracy(predicted: Tensor, labels: Tensor) -> Rate:
    """Returns the share of images that are classified as their label.

    Args:
        predicted: (N,) class indices, N > 0.
        labels: (N,) true class indices.
    """
    return Rate(int((predicted == labels).sum()), len(labels))


def attack_success_rate(predicted: Tensor, labels: Tensor, wanted: Tensor) -> Rate:
    """Returns the share of triggered images that get the class the attacker wants (ASR).

    Args:
        predicted: (N,) class indices of triggered images.
        labels: (N,) true classes.
        wanted: (N,) the classes that the attacker wants, from :func:`goals`; images that are of
            this class anyway do not count.
    """
    counted = labels != wanted
    return Rate(int((predicted == wanted)[counted].sum()), int(counted.sum()))


def robust_accuracy(predicted: Tensor, labels: Tensor, wanted: Tensor) -> Rate:
    """Returns the share of triggered images that are classified as their true label.

    The same images count as for :func:`attack_success_rate`; arguments as there.
    """
    counted = labels != wanted
    return accuracy(predicted[counted], labels[counted])
