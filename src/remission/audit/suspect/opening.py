"""A model of unknown origin, opened: recognised, with its classes and its normalisation found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from remission.audit.suspect.class_match import ClassMatch, match_classes
from remission.audit.suspect.declared import Declared, declared
from remission.audit.suspect.folder_files import model_files
from remission.audit.suspect.preprocessing import (
    Preprocessing,
    PreprocessingAttempt,
    candidates,
    measure,
    take_best,
)
from remission.audit.suspect.states import Network, find_network
from remission.checkpoints import Container, read_checkpoint
from remission.errors import CheckpointError
from remission.models import Classifier, resolve_precision
from remission.recognise import ArchitectureError, build, from_code, strip_prefixes
from remission.types import LabelledImages


@dataclass(frozen=True, kw_only=True, eq=False)
class FoundModel:
    """The network of a file, before any image was shown to it.

    Args:
        path: the file or folder, as the user named it.
        file: the file of weights.
        container: how it is built.
        tree: its content, inert.
        network: the network and its architecture.
        declared: what is said about it.
    """

    path: Path
    file: Path
    container: Container
    tree: object
    network: Network
    declared: Declared


@dataclass(frozen=True, kw_only=True, eq=False)
class OpenedModel:
    """A model with images of its classes.

    Args:
        found: where it comes from.
        model: the classifier, in eval mode.
        clean: the images, labelled by the classes of the model.
        match: how folders and classes belong together.
        attempts: the clean accuracy under each normalisation that was tried, the best first; it is
            the one that the model has now.
    """

    found: FoundModel
    model: Classifier
    clean: LabelledImages
    match: ClassMatch
    attempts: Sequence[PreprocessingAttempt]


def find_model(path: Path, *, place: str = "", arch: str = "", option: str = "--key") -> FoundModel:
    """Finds the network of a file or folder; nothing in it is executed.

    Args:
        path: a file of weights, or a folder with one.
        place: the keys that lead to the network in the file, where there are several.
        arch: the name of its architecture, where its tensors fit several.
        option: the option by which the user gives ``place``.

    Raises:
        CheckpointError: it cannot be read, or holds not one network that is recognised.
    """
    files = model_files(path)
    loaded = read_checkpoint(files.weights)
    return FoundModel(
        path=path,
        file=files.weights,
        container=loaded.container,
        tree=loaded.tree,
        network=find_network(loaded, origin=f"'{path}'", place=place, arch=arch, option=option),
        declared=declared(loaded.tree, files),
    )


def image_size(found: FoundModel) -> tuple[int, int] | None:
    """Returns (H, W) of the images that a model takes, where the file says it."""
    sizes = [one.size for one in found.network.fitting if one.size]
    return sizes[0] if sizes else found.declared.size


def image_channels(found: FoundModel) -> int | None:
    """Returns the number of channels that a model takes; None: only its owner's code says it."""
    return found.network.fitting[0].channels if found.network.fitting else None


def open_model(
    found: FoundModel,
    images: LabelledImages,
    folders: Sequence[str],
    *,
    given: Preprocessing | None = None,
    like: OpenedModel | None = None,
) -> OpenedModel:
    """Builds the network and finds out how its images are normalised.

    What was given by hand comes first, then a normalisation layer among the weights, then what the
    configuration says; else all candidates are measured. In each case the clean accuracy under it
    must be clearly above chance. Of several architectures that fit the most accurate is taken.

    Args:
        found: the network.
        images: clean images, labelled by their folders, on the device of the model.
        folders: the names of the folders.
        given: the normalisation, where the user says it.
        like: the model that this one was made of. Its classes are matched in the same way; a
            network of the same architecture normalises in the same way.

    Raises:
        CheckpointError: the images have other channels than the model's, or the model is not
            clearly better than chance on them.
        DataError: folders and classes do not belong together.
        ArchitectureError: the network takes no images of this size.
        SpecError: the owner's code cannot be read, or fails.
    """
    if channels := image_channels(found):
        images = _as_colour(images, channels)
        if channels != images.shape[0]:
            raise CheckpointError(
                f"'{found.file}' takes images of {channels} channels, and these have "
                f"{images.shape[0]}",
                "give images of the kind that it was trained on",
            )
    opened = list[OpenedModel]()
    for model, inside in _built(found, images):
        match = _match(found, folders, model, like)
        clean = LabelledImages(images.images, match.labels(images.labels))
        tried = [given] if given else _ways(inside, model, found.declared, clean)
        if like and not given and like.model.arch == model.arch:
            tried = [like.attempts[0].normalisation]
        attempts = measure(model, _some(clean), tried)
        opened.append(
            OpenedModel(found=found, model=model, clean=clean, match=match, attempts=attempts)
        )
    if like and any(one.model.arch == like.model.arch for one in opened):
        opened = [one for one in opened if one.model.arch == like.model.arch]
    best = max(opened, key=lambda one: one.attempts[0].clean_acc.hits)
    take_best(best.model, best.attempts, f"'{found.file}'", len(folders))
    return best


def _match(
    found: FoundModel, folders: Sequence[str], model: Classifier, like: OpenedModel | None
) -> ClassMatch:
    """Returns which class each folder is."""
    if like and like.model.classes == model.classes:
        return like.match
    return match_classes(folders, model.classes, _names(found.declared, model.classes))


_MEASURED = 1000
"""So many images decide on architecture and normalisation at most."""


def _some(clean: LabelledImages) -> LabelledImages:
    """Returns evenly spaced images, since those of a folder are sorted by class."""
    if len(clean) <= _MEASURED:
        return clean
    return clean[torch.arange(_MEASURED) * len(clean) // _MEASURED]


def _built(found: FoundModel, images: LabelledImages) -> Iterator[tuple[Classifier, bool]]:
    """Yields every network that fits, and whether a layer in it normalises the images."""
    (channels, *size), device = images.shape, images.labels.device
    precision = resolve_precision("auto", device)
    unit = ((0.0,) * channels, (1.0,) * channels)
    network = found.network
    if network.code:
        inside = strip_prefixes(network.state.tensors).mean is not None
        code, state, (mean, std) = network.code, network.state.tensors, unit
        model = from_code(code, state, shape=images.shape, mean=mean, std=std, precision=precision)
        yield model.to(device), inside
    refused: ArchitectureError | None = None
    built = 0
    for recognised in network.fitting:
        inside = recognised.mean is not None
        none, one = (None, None) if inside else unit
        try:
            model = build(
                recognised, size=(size[0], size[1]), mean=none, std=one, precision=precision
            )
            _try(model.to(device))
        except ArchitectureError as error:
            refused = refused or error
            continue
        built += 1
        yield model, inside
    if refused and not built:
        raise refused


@torch.inference_mode()
def _try(model: Classifier) -> None:
    """Shows a network one grey image.

    Raises:
        ArchitectureError: it takes no images of this size.
    """
    try:
        model(torch.full((1, *model.shape), 0.5, device=model.mean.device))
    except RuntimeError as error:
        _, height, width = model.shape
        raise ArchitectureError(
            f"{model.arch} takes no images of {height}x{width} pixels",
            "give the size that it was trained with: --size PIXELS",
        ) from error


def relabelled(images: LabelledImages, opened: OpenedModel) -> LabelledImages:
    """Returns other images of the same folders, labelled by the classes of the model."""
    images = _as_colour(images, opened.model.shape[0])
    return LabelledImages(images.images, opened.match.labels(images.labels))


def _as_colour(images: LabelledImages, channels: int) -> LabelledImages:
    """Returns grey images with equal channels where the model takes colour."""
    if images.shape[0] == 1 and channels == 3:
        return LabelledImages(images.images.expand(-1, 3, -1, -1), images.labels)
    return images


def _names(said: Declared, classes: int) -> tuple[str, ...] | None:
    """Returns the names of the classes, if there is one for each."""
    return said.names if said.names and len(said.names) == classes else None


def _ways(
    inside: bool, model: Classifier, said: Declared, clean: LabelledImages
) -> list[Preprocessing]:
    """Returns the normalisations that are tried."""
    if inside:
        mean, std = (tuple(value.flatten().tolist()) for value in (model.mean, model.std))
        return [Preprocessing(name="a layer of the network", mean=mean, std=std)]
    if said.mean and said.std:
        channels = clean.shape[0]
        mean, std = (
            values * channels if len(values) == 1 else values for values in (said.mean, said.std)
        )
        if len(mean) == len(std) == channels and min(std) > 0:
            return [Preprocessing(name="its configuration", mean=mean, std=std)]
    return list(candidates(clean))
