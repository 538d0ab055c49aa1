"""Purifying a model of unknown origin, and what can be said of the result without the trigger."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from remission.inversion import Inverted, InvertedSource, Voted
from remission.metrics import Rate, accuracy
from remission.models import Classifier
from remission.purifiers import Purifier, inverts
from remission.seeding import Seed
from remission.training import predict
from remission.types import LabelledImages


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A model on images that neither it nor its purification has seen.

    Args:
        clean_acc: clean accuracy.
        trigger: share of the images of other classes that the inverted trigger sends to a suspected
            class.
    """

    clean_acc: Rate
    trigger: Rate


@dataclass(frozen=True, kw_only=True, eq=False)
class SuspectPurification:
    """What was found in a model, and what its purification did.

    Args:
        inverted: the inverted trigger, and what the inversion says.
        standing_out: the classes that stand out, none, one or two.
        before: the model as it was.
        after: the purified model; None where it was not purified.
        purified: the same; its weights.
        seconds: the wall-clock seconds of inversion and purification.
    """

    inverted: Inverted
    standing_out: tuple[int, ...]
    before: Measured
    after: Measured | None = None
    purified: Classifier | None = None
    seconds: float = 0.0


def standing_out(inverted: Inverted, inversion: Voted) -> tuple[int, ...]:
    """Returns the classes that stand out: the one that is named, or two that hide each other."""
    if inverted.target is not None:
        return (inverted.target,)
    both = inverted.pair_vote is not None and inverted.pair_vote >= inversion.threshold
    return inverted.candidates if both else ()


def look(
    model: Classifier, clean: LabelledImages, held_out: LabelledImages, inversion: Voted, seed: Seed
) -> SuspectPurification:
    """Inverts a trigger and measures the model as it is.

    Args:
        model: the suspect model.
        clean: clean images with labels, on the model's device.
        held_out: others of the same classes, which only measure.
        inversion: the vote on the class.
        seed: the source of everything random.
    """
    began = time.perf_counter()
    inverted = inversion(model, clean, seed=seed.child("inversion", inversion.name))
    return SuspectPurification(
        inverted=inverted,
        standing_out=standing_out(inverted, inversion),
        before=measured(model, held_out, inverted),
        seconds=time.perf_counter() - began,
    )


def purify(
    model: Classifier,
    clean: LabelledImages,
    held_out: LabelledImages,
    found: SuspectPurification,
    *,
    purifier: Purifier,
    inversion: Voted,
    seed: Seed,
) -> SuspectPurification:
    """Purifies a model by what :func:`look` found, and measures the result.

    Args:
        model: the suspect model, which stays as it is.
        clean: the images of :func:`look`.
        held_out: the same.
        found: its result.
        purifier: the method.
        inversion: the vote on the class, for methods that invert again in later rounds.
        seed: the source of everything random.
    """
    began = time.perf_counter()
    source = InvertedSource(inversion, found.inverted) if inverts(purifier) else None
    result = purifier(model, clean, seed=seed.child("purifier", purifier.name), trigger=source)
    return SuspectPurification(
        inverted=found.inverted,
        standing_out=found.standing_out,
        before=found.before,
        after=measured(result.model, held_out, found.inverted),
        purified=result.model,
        seconds=found.seconds + time.perf_counter() - began,
    )


def measured(model: Classifier, held_out: LabelledImages, inverted: Inverted) -> Measured:
    """Measures a model on held-out images, with and without the inverted trigger."""
    suspects = inverted.candidates if inverted.target is None else (inverted.target,)
    return Measured(
        clean_acc=accuracy(predict(model, held_out), held_out.labels),
        trigger=arriving(model, held_out, inverted.generator, suspects),
    )


def arriving(
    model: Classifier, images: LabelledImages, trigger: nn.Module, suspects: tuple[int, ...]
) -> Rate:
    """Returns how many images of other classes a trigger sends to one of some classes."""
    wanted = torch.tensor(suspects, device=images.labels.device, dtype=torch.int64)
    others = (~torch.isin(images.labels, wanted)).nonzero()[:, 0]
    predicted: Tensor = predict(model, images, trigger=trigger, only=others)
    return Rate(int(torch.isin(predicted, wanted).sum()), len(others))


def to_json(found: SuspectPurification, names: tuple[str, ...] | None) -> dict[str, Any]:
    """Returns what was found, and what was done, as JSON values; rates as fractions."""

    def rate(value: Rate) -> dict[str, Any]:
        return {"value": value.value, "interval": list(value.interval), "images": value.total}

    def model(value: Measured) -> dict[str, Any]:
        return {"clean_acc": rate(value.clean_acc), "inverted_trigger": rate(value.trigger)}

    inverted = found.inverted
    return {
        "standing_out": [
            {"class": index, "name": names[index] if names else None}
            for index in found.standing_out
        ],
        "candidates": list(inverted.candidates),
        "lead": inverted.lead,
        "margin_lead": inverted.margin_lead,
        "vote": inverted.vote,
        "pair_vote": inverted.pair_vote,
        "change": inverted.change,
        "before": model(found.before),
        "after": model(found.after) if found.after else None,
        "seconds": found.seconds,
    }
