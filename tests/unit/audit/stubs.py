"""Models that answer by a rule, and models that nobody had to open."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast

from torch import Tensor, nn

from remission.audit.suspect.class_match import ClassMatch
from remission.audit.suspect.opening import OpenedModel
from remission.audit.suspicion import Suspect
from remission.models import Classifier
from remission.types import LabelledImages, Shape


class Answering(Classifier):
    """A model without layers; its answers to images as they are are those of ``forward``."""

    def __init__(self, classes: int, shape: Shape) -> None:
        zeros, ones = (0.0,) * shape[0], (1.0,) * shape[0]
        super().__init__(arch="answering", classes=classes, shape=shape, mean=zeros, std=ones)

    def feature_map(self, normal: Tensor) -> Tensor:
        raise AssertionError("there are no features")

    @property
    def final_linear(self) -> nn.Linear:
        raise AssertionError("there are no layers")


def suspect(
    model: Classifier, clean: LabelledImages | None = None, folders: Sequence[str] = ()
) -> Suspect:
    """Returns a suspect model whose folders are its first classes."""
    match = ClassMatch(indices=tuple(range(len(folders))), by="order", missing=0)
    opened = cast("OpenedModel", SimpleNamespace(model=model, clean=clean, match=match))
    return Suspect(opened=opened, held_out=cast("LabelledImages", clean), folders=folders)
