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
from remission.method import LATER
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

    @model_serializer(mode="wrap")
    def _without_left_out(self, handler: SerializerFunctionWrapHandler) -> TomlTable:
        """Leaves keys out that are younger than some stored results, whose identities must stay."""
        left_out = self._left_out()
        return {key: value for key, value in handler(self).items() if key not in left_out}

    def _left_out(self) -> set[str]:
        """Returns the keys that are marked as younger and have their defaults."""
        return {
            name
            for name, declared in type(self).model_fields.items()
            if declared.json_schema_extra == LATER and getattr(self, name) == declared.default
        }


class VictimSection(_Section):
    """How victim and control are trained; the defaults are the paper's."""

    epochs: Count = 100
    """Passes over the victim's images."""
    optimizer: Literal["sgd", "adam"] = Field(default="sgd", json_schema_extra=LATER)
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


class SplitSection(_Section):
    """Sizes of the disjoint sets: shares of the training images, or counts."""

    defender: Several | Share = 0.05
    """Clean images for every purifier."""
    attacker: Several | Share = 0.02
    """Images for every reactivation, which uses some as they are and poisons others."""
    victim: Several | None = None
    """Largest number of the remaining images that the victim is trained on; None: all of them."""
    validation: int = Field(default=0, ge=0, json_schema_extra=LATER)
    """Training images, given to nobody, on which victims, controls and purified models are measured
    as well, so that a choice among them needs no test image; 0: none."""
    test: Count | None = None
    """Test images behind every cell, stratified; None: all."""


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
    statistics: Annotated[int, Field(ge=2)] | None = Field(default=None, json_schema_extra=LATER)
    """How many of the defender's images are used to collect running statistics at a position (a
    stratified sample); None: all."""
    retuned: Annotated[int, Field(ge=0)] | None = Field(default=None, json_schema_extra=LATER)
    """Number of poisoned images of a retuning. The path continues from the purified model to the
    same model after the spec's first retuning with this number, which need not be one of its
    budgets; None: the path ends at the purified model."""
    plane: int = Field(default=0, ge=0, le=201, json_schema_extra=LATER)
    """Number of points along each side of a grid on the plane through the backdoored, the purified
    and the retuned model (needs `retuned`), drawn as a contour picture; 0: none."""
    plane_test: Annotated[int, Field(ge=50)] = 500
    """Number of test images behind every point of that grid (a stratified sample), at most as many
    as behind a cell."""
    curve: int = Field(default=0, ge=0, json_schema_extra=LATER)
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

    def _left_out(self) -> set[str]:
        """Returns the keys as every section does; without a plane, its number of images as well."""
        return super()._left_out() | (set() if self.plane else {"plane_test"})
