"""What an inversion says of a model of unknown origin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from remission.audit.suspect.opening import FoundModel, OpenedModel, open_model, relabelled
from remission.audit.suspect.preprocessing import Preprocessing
from remission.intervals import Rate
from remission.inversion import Inverted, Voted
from remission.models import Classifier, compute_exactly
from remission.previews import previews
from remission.records.suspect import (
    ModelClass,
    ModelReading,
    NormalisationTrial,
    SuspectRates,
    Suspicion,
)
from remission.seeding import Seed
from remission.training import clean_accuracy, predict
from remission.types import Dataset, LabelledImages, rounded


@dataclass(frozen=True, kw_only=True, eq=False)
class Suspect:
    """A model of unknown origin with images, and names for its classes.

    Args:
        opened: the model with the images that inversion, purification and retuning get.
        held_out: images that only measure, labelled by the classes of the model.
        folders: the names of the folders of images.
    """

    opened: OpenedModel
    held_out: LabelledImages
    folders: Sequence[str]

    @property
    def model(self) -> Classifier:
        """The classifier."""
        return self.opened.model

    @property
    def clean(self) -> LabelledImages:
        """The images that inversion, purification and retuning get."""
        return self.opened.clean

    def named(self, index: int) -> ModelClass:
        """Returns a class with the name of its folder."""
        indices = self.opened.match.indices
        name = self.folders[indices.index(index)] if index in indices else None
        return ModelClass(index=index, name=name)

    def pictures(self, change: nn.Module, target: int) -> tuple[bytes, bytes]:
        """Returns strips of held-out images of other classes as PNG files: clean and changed.

        Args:
            change: images (N, C, H, W) in [0, 1] -> triggered images.
            target: the class to which they shall lead.
        """
        strips = previews(self.held_out, "triggered", change, target, self.model.classes)
        clean, triggered = strips.values()
        return clean, triggered

    def reading(self) -> ModelReading:
        """Returns how the model was read."""
        opened, found = self.opened, self.opened.found
        return ModelReading(
            file=str(found.path),
            place=found.network.state.place,
            arch=opened.model.arch,
            classes=opened.model.classes,
            shape=opened.model.shape,
            match=opened.match.sentence,
            normalisations=tuple(
                NormalisationTrial(name=one.normalisation.name, clean_acc=one.clean_acc)
                for one in opened.attempts
            ),
            used=len(opened.clean),
            held_out=len(self.held_out),
            stated=found.declared.arch or "",
        )


def with_images(
    found: FoundModel,
    dataset: Dataset,
    device: torch.device,
    *,
    given: Preprocessing | None = None,
    like: Suspect | None = None,
) -> Suspect:
    """Builds a model that was found, and shows it the two halves of a data set.

    Arguments and errors are those of :func:`remission.audit.suspect.opening.open_model`.
    """
    compute_exactly(device)
    opened = open_model(
        found,
        dataset.train.to(device),
        dataset.classes,
        given=given,
        like=like.opened if like else None,
    )
    held_out = relabelled(dataset.test.to(device), opened)
    return Suspect(opened=opened, held_out=held_out, folders=dataset.classes)


def standing_out(inverted: Inverted, threshold: float) -> tuple[int, ...]:
    """Returns the classes that stand out: the one that is named, or two that hide each other.

    Of two classes an inversion names one in any case; it stands out by its vote alone.
    """
    if inverted.target is not None:
        named = inverted.vote is None or inverted.vote >= threshold
        return (inverted.target,) if named else ()
    both = inverted.pair_vote is not None and inverted.pair_vote >= threshold
    return inverted.candidates if both else ()


def suspicion_of(suspect: Suspect, inverted: Inverted, inversion: Voted) -> Suspicion:
    """Returns what an inversion says, as a record.

    Args:
        suspect: names the classes.
        inverted: the result of the inversion.
        inversion: the method, with its threshold.
    """
    standing = standing_out(inverted, inversion.threshold)
    return Suspicion(
        inversion=inversion.name,
        standing_out=tuple(map(suspect.named, standing)),
        likeliest=tuple(map(suspect.named, () if standing else inverted.suspects)),
        threshold=inversion.threshold,
        vote=inverted.vote,
        pair_vote=inverted.pair_vote,
        lead=inverted.lead,
        margin_lead=inverted.margin_lead,
        change=inverted.change,
    )


def invert(suspect: Suspect, inversion: Voted, seed: Seed) -> Inverted:
    """Inverts a trigger on the suspect model."""
    return inversion(suspect.model, suspect.clean, seed=seed.child("inversion", inversion.name))


def rates_of(model: Classifier, held_out: LabelledImages, inverted: Inverted) -> SuspectRates:
    """Measures a model on held-out images, without the inverted trigger and, in 8 bits, with it."""
    return SuspectRates(
        clean_acc=clean_accuracy(model, held_out),
        trigger=arriving(
            model,
            held_out,
            lambda images: rounded(inverted.generator(images)),
            inverted.suspects,
        ),
    )


def arriving(
    model: Classifier,
    images: LabelledImages,
    trigger: Callable[[Tensor], Tensor],
    targets: tuple[int, ...],
) -> Rate:
    """Returns how many images of other classes a trigger sends to one of some classes.

    Where all classes are among ``targets``, as two of a model with two, all images count, and
    arrive where they leave their own class.

    Args:
        model: the classifier.
        images: with true labels, on its device.
        trigger: images (N, C, H, W) in [0, 1] -> triggered images.
        targets: at least one class.
    """
    wanted = torch.tensor(targets, device=images.labels.device, dtype=torch.int64)
    others = (~torch.isin(images.labels, wanted)).nonzero()[:, 0]
    if len(others):
        predicted = predict(model, images, trigger=trigger, only=others)
        return Rate(int(torch.isin(predicted, wanted).sum()), len(others))
    predicted = predict(model, images, trigger=trigger)
    away: Tensor = torch.isin(predicted, wanted) & (predicted != images.labels)
    return Rate(int(away.sum()), len(images))
