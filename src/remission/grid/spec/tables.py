"""The tables [victim], [split] and [path] of a spec, checked."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from remission.errors import SpecError
from remission.training.batches import Augment
from remission.training.loop import Schedule

TomlTable = dict[str, Any]
Count = Annotated[int, Field(ge=1)]
Several = Annotated[int, Field(ge=2)]
Share = Annotated[float, Field(gt=0, lt=1)]


STRICT = ConfigDict(
    extra="forbid", strict=True, frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
)
"""Unknown keys and values of another type are refused."""


class _Section(BaseModel):
    model_config = STRICT


class VictimSection(_Section):
    """How victim and control are trained; the defaults are the paper's."""

    epochs: Count = 100
    """Passes over the victim's images."""
    optimizer: Literal["sgd", "adam"] = "sgd"
    """sgd, or adam: transformers from random weights learn little by SGD (use lr = 0.001)."""
    lr: float = Field(default=0.1, gt=0)
    """Highest learning rate."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Momentum of SGD; Adam does not use it."""
    weight_decay: float = Field(default=5e-4, ge=0)
    """L2 penalty on all parameters."""
    schedule: Schedule = "cosine"
    """constant, cosine (down to 0) or one_cycle (up over the first 30 %, cosine down to 0)."""
    batch_size: int = Field(default=128, ge=2)
    """Images per batch."""
    augment: Augment = "crop_flip"
    """none, crop (zero padding by an eighth of the side) or crop_flip."""

    @model_serializer(mode="wrap")
    def _without_default_optimizer(self, handler: SerializerFunctionWrapHandler) -> TomlTable:
        """Leaves SGD out: the key is younger than stored results, whose identities must stay."""
        dumped: TomlTable = handler(self)
        if dumped["optimizer"] == "sgd":
            del dumped["optimizer"]
        return dumped


class SplitSection(_Section):
    """Sizes of the disjoint sets: shares of the training images, or counts."""

    defender: Several | Share = 0.05
    """Clean images for every purifier."""
    attacker: Several | Share = 0.02
    """Images for every reactivation, which uses some as they are and poisons others."""
    victim: Several | None = None
    """Largest number of the remaining images that the victim is trained on; None: all of them."""
    validation: Annotated[int, Field(ge=0)] = 0
    """Training images, given to nobody, on which victims, controls and purified models are measured
    as well, so that a choice among them needs no test image; 0: none."""
    test: Count | None = None
    """Test images behind every cell, stratified; None: all."""

    @model_serializer(mode="wrap")
    def _without_empty_validation(self, handler: SerializerFunctionWrapHandler) -> TomlTable:
        """Leaves 0 out: the key is younger than stored results, whose identities must stay."""
        dumped: TomlTable = handler(self)
        if not dumped["validation"]:
            del dumped["validation"]
        return dumped


class PathSection(_Section):
    """The path from the backdoored to the purified model in weight space."""

    points: int = Field(default=21, ge=2, le=10001)
    """Number of positions, evenly spaced, both ends included."""
    batchnorm: list[Literal["interpolated", "recalibrated"]] = Field(
        default=["interpolated", "recalibrated"], min_length=1, max_length=2
    )
    """Running statistics of batch normalisation: interpolated like weights, or collected anew at
    every position. The path is measured once for each."""
    test: Annotated[int, Field(ge=50)] | None = None
    """Number of test images behind every point, at most as many as behind a cell; None: as many."""
    statistics: Annotated[int, Field(ge=2)] | None = None
    """How many of the defender's images are used to collect running statistics at a position (a
    stratified sample); None: all."""
    retuned: Annotated[int, Field(ge=0)] | None = None
    """Number of poisoned images of a retuning. The path continues from the purified model to the
    same model after the spec's first retuning with this number, which need not be one of its
    budgets; None: the path ends at the purified model."""
    plane: Annotated[int, Field(ge=0, le=201)] = 0
    """Number of points along each side of a grid on the plane through the backdoored, the purified
    and the retuned model (needs `retuned`), drawn as a contour picture; 0: none."""
    plane_test: Annotated[int, Field(ge=50)] = 500
    """Number of test images behind every point of that grid (a stratified sample), at most as many
    as behind a cell."""
    curve: Annotated[int, Field(ge=0)] = 0
    """Number of passes over the defender's images that train a quadratic Bezier curve of low clean
    loss from the backdoored to the purified model, which is then measured as well;
    0: none."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.plane and self.retuned is None:
            raise SpecError(
                "[path]: plane without a retuned model",
                "add the number of poisoned images: retuned",
            )
        if self.plane == 1:
            raise SpecError("[path]: plane is 1", "give 0 or at least 2 points per side")
        if len(set(self.batchnorm)) < len(self.batchnorm):
            raise SpecError("[path]: batchnorm names one policy twice", "name each once")
        return self

    @model_serializer(mode="wrap")
    def _without_later_keys(self, handler: SerializerFunctionWrapHandler) -> TomlTable:
        """Leaves out defaults of keys that are younger than some stored results.

        The identities of those results must stay.
        """
        dumped: TomlTable = handler(self)
        if not self.plane:
            del dumped["plane"], dumped["plane_test"]
        if self.retuned is None:
            del dumped["retuned"]
        if not self.curve:
            del dumped["curve"]
        if self.statistics is None:
            del dumped["statistics"]
        return dumped
