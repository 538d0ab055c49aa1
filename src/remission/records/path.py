"""Measurements between models, along paths and on planes of weight space. No torch here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from remission.records.cell import Fraction, Subject

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Place = Annotated[float, Field(allow_inf_nan=False)]
Quantity = Literal["backdoor_error", "clean_error", "backdoor_loss", "clean_loss"]


@dataclass(frozen=True, kw_only=True)
class PathCurve(Subject):
    """Measurements along one path in weight space, at positions t from 0 to 1.

    ``walk`` says which path: ``"line"``, the straight line from the backdoored model (t = 0) to the
    purified one (t = 1); ``"bezier"``, a quadratic Bezier curve between the same models, which was
    trained on the defender's images; ``"retuned"``, the straight line from the purified model
    (t = 0) to the same model after a retuning (t = 1).
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    target: int | Literal["all-to-all"]
    batchnorm: Literal["interpolated", "recalibrated"]
    t: list[Fraction]
    asr: list[Fraction]
    clean_acc: list[Fraction]
    n_clean: int
    n_triggered: int
    walk: Literal["line", "bezier", "retuned"] = "line"
    clean_loss: list[Amount] | None = None
    """The mean cross entropy of clean test images. None in older records; so are the
    fields below."""
    backdoor_loss: list[Amount] | None = None
    """The mean cross entropy of the triggered images, with the attacker's classes as labels."""
    distance: Amount | None = None
    """The Euclidean distance of the ends, over all trainable parameters; None for a curve."""
    relative_distance: Amount | None = None
    """The distance divided by the norm of the model at t = 0."""

    def __post_init__(self) -> None:
        losses = [loss for loss in (self.clean_loss, self.backdoor_loss) if loss is not None]
        lengths = {len(values) for values in (self.t, self.asr, self.clean_acc, *losses)}
        if len(lengths) > 1 or not self.t:
            raise ValueError("a path whose lists differ in length")

    def values(self, of: Quantity) -> list[float] | None:
        """Returns one number per position; None where the quantity was not measured."""
        if of == "backdoor_error":
            return [1 - rate for rate in self.asr]
        if of == "clean_error":
            return [1 - rate for rate in self.clean_acc]
        return self.clean_loss if of == "clean_loss" else self.backdoor_loss

    def barrier(self, of: Quantity) -> float | None:
        """Returns the height of :func:`barrier`; None where the quantity was not measured."""
        values = self.values(of)
        return None if values is None else barrier(self.t, values)

    @property
    def t_back(self) -> float | None:
        """The result of :func:`way_back`; a ``"retuned"`` path begins at its purified end."""
        if self.walk == "retuned":
            return way_back([1 - t for t in reversed(self.t)], self.asr[::-1])
        return way_back(self.t, self.asr)

    @property
    def mean_backdoor_error(self) -> float:
        """The mean of 1 - ASR over t in [0, 1], by the trapezoidal rule."""
        t, error = self.t, [1 - rate for rate in self.asr]
        steps = range(1, len(t))
        area = math.fsum((t[k] - t[k - 1]) * (error[k] + error[k - 1]) / 2 for k in steps)
        return area / (t[-1] - t[0]) if t[-1] > t[0] else error[0]


def barrier(t: Sequence[float], values: Sequence[float]) -> float:
    """Returns the height of the barrier of an error, or of a loss, between the ends of a path.

    It is the largest excess over the straight line between the values at the ends,

        max_t  L(w_t) - ((1 - t) L(w_0) + t L(w_1)),

    as Entezari et al. (ICLR 2022, arXiv 2110.06296) define it. It is at least 0, since the excess
    is 0 at the ends. Frankle et al. (ICML 2020, arXiv 1912.05671) subtract the mean of the two ends
    instead, which is the same where the ends are equally good. The backdoor error of a backdoored
    and of a purified model differ, so that with the mean a steady rise would count as a barrier.
    For Lubana et al. (ICML 2023, arXiv 2211.08422) a barrier on the line shows that two models use
    different mechanisms.

    Args:
        t: increasing positions from 0 to 1.
        values: one error or loss per position.
    """
    return max(
        value - ((1 - position) * values[0] + position * values[-1])
        for position, value in zip(t, values, strict=True)
    )


def way_back(t: Sequence[float], asr: Sequence[float], level: float = 0.5) -> float | None:
    """Returns how far from the purified end, in t, the ASR first exceeds ``level``.

    Between positions the ASR is interpolated linearly.

    Args:
        t: increasing positions; the last one is the purified model.
        asr: one ASR per position, a fraction in [0, 1].
        level: a fraction in [0, 1].

    Returns:
        A distance in t: 0 where the ASR of the purified model itself is above ``level``, None where
        it is above ``level`` at no position.
    """
    if asr[-1] > level:
        return 0.0
    for k in reversed(range(len(t) - 1)):
        if asr[k] > level:
            share = (level - asr[k + 1]) / (asr[k] - asr[k + 1])
            return t[-1] - (t[k + 1] + share * (t[k] - t[k + 1]))
    return None


@dataclass(frozen=True, kw_only=True)
class Plane:
    """Measurements on a grid in the plane through backdoored, purified and retuned model.

    Each list of lists has one row per entry of ``y``, with one number per entry of ``x``.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    x: list[Place]
    """Distances from the backdoored model towards the purified one, in weight space."""
    y: list[Place]
    """Distances at right angles to that, towards the retuned model."""
    models: dict[Literal["victim", "purified", "retuned"], tuple[Place, Place]]
    budget: int
    """The number of poisoned images that the retuning used."""
    clean_loss: list[list[Amount]]
    backdoor_loss: list[list[Amount]]
    asr: list[list[Fraction]]
    clean_acc: list[list[Fraction]]
    n_clean: int
    n_triggered: int

    def __post_init__(self) -> None:
        for rows in (self.clean_loss, self.backdoor_loss, self.asr, self.clean_acc):
            if len(rows) != len(self.y) or any(len(row) != len(self.x) for row in rows):
                raise ValueError("a plane whose lists differ in length")
