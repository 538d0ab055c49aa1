"""What was measured between models, along walks and on planes of weight space. No torch here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from remission.records.cell import Fraction, Json

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Place = Annotated[float, Field(allow_inf_nan=False)]
Quantity = Literal["backdoor_error", "clean_error", "backdoor_loss", "clean_loss"]


@dataclass(frozen=True, kw_only=True)
class PathCurve:
    """What was measured on a walk in weight space; t = 0 backdoored, t = 1 purified.

    ``walk`` says which: ``"line"``, the straight line; ``"bezier"``, a quadratic Bezier curve that
    was trained on the defender's images; ``"retuned"``, the straight line from the purified model
    (t = 0) to the same after a retuning (t = 1).
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    id: str
    dataset: str
    arch: str
    attack: str
    attack_params: Json
    poison_rate: Fraction
    target: int | Literal["all-to-all"]
    target_name: str | None = None
    """As in :class:`remission.records.Cell`."""
    seed: int
    purifier: str
    purifier_params: Json
    batchnorm: Literal["interpolated", "recalibrated"]
    t: list[Fraction]
    asr: list[Fraction]
    clean_acc: list[Fraction]
    n_clean: int
    n_triggered: int
    walk: Literal["line", "bezier", "retuned"] = "line"
    clean_loss: list[Amount] | None = None
    """Cross entropy of clean test images and their labels. None in older records, as below."""
    backdoor_loss: list[Amount] | None = None
    """Cross entropy of the triggered images behind the ASR and the attacker's classes."""
    distance: Amount | None = None
    """Euclidean distance of the ends, over all trainable parameters; None for a curve."""
    relative_distance: Amount | None = None
    """The same as a share of the norm of the model at t = 0."""

    def __post_init__(self) -> None:
        losses = [each for each in (self.clean_loss, self.backdoor_loss) if each is not None]
        lengths = {len(values) for values in (self.t, self.asr, self.clean_acc, *losses)}
        if len(lengths) > 1 or not self.t:
            raise ValueError("a path whose lists differ in length")

    def values(self, of: Quantity) -> list[float] | None:
        """One number a position; None where it was not measured."""
        if of == "backdoor_error":
            return [1 - rate for rate in self.asr]
        if of == "clean_error":
            return [1 - rate for rate in self.clean_acc]
        return self.clean_loss if of == "clean_loss" else self.backdoor_loss

    def barrier(self, of: Quantity) -> float | None:
        """See :func:`barrier`; None where it was not measured."""
        values = self.values(of)
        return None if values is None else barrier(self.t, values)

    @property
    def t_back(self) -> float | None:
        """See :func:`way_back`; the purified end of a ``"retuned"`` walk is its start."""
        if self.walk == "retuned":
            return way_back([1 - place for place in reversed(self.t)], self.asr[::-1])
        return way_back(self.t, self.asr)

    @property
    def mean_backdoor_error(self) -> float:
        """Of 1 - ASR over t in [0, 1], by the trapezoidal rule."""
        t, error = self.t, [1 - rate for rate in self.asr]
        steps = range(1, len(t))
        area = math.fsum((t[k] - t[k - 1]) * (error[k] + error[k - 1]) / 2 for k in steps)
        return area / (t[-1] - t[0]) if t[-1] > t[0] else error[0]


def barrier(t: Sequence[float], values: Sequence[float]) -> float:
    """Height of the barrier between the ends of a walk: of an error, or of a loss.

    The largest excess over the straight line between the values at the ends,

        max_t  L(w_t) - ((1 - t) L(w_0) + t L(w_1)),

    as Entezari et al. (ICLR 2022, arXiv 2110.06296) define it; at least 0, at the ends themselves.
    Frankle et al. (ICML 2020, arXiv 1912.05671) subtract the mean of the two ends instead, which is
    the same where the ends are equally good; a backdoored and a purified model are not, as to the
    backdoor, and with the mean a steady rise would count as a barrier. For Lubana et al. (ICML
    2023, arXiv 2211.08422) a barrier on the line says that two models use different mechanisms.
    """
    return max(
        value - ((1 - place) * values[0] + place * values[-1])
        for place, value in zip(t, values, strict=True)
    )


def way_back(t: Sequence[float], asr: Sequence[float], level: float = 0.5) -> float | None:
    """How far from the purified end, in t, the backdoor is back: ASR above ``level``, interpolated.

    0 where the purified model itself is above it; None where no position is.
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
    """The plane through the backdoored, the purified and the retuned model, on a grid.

    Lists of lists are rows of one ``y`` each, of as many numbers as ``x`` has.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    x: list[Place]
    """Distance from the backdoored model towards the purified one, in weight space."""
    y: list[Place]
    """Distance at right angles to that, towards the retuned model."""
    models: dict[Literal["victim", "purified", "retuned"], tuple[Place, Place]]
    budget: int
    """Poisoned images of the retuning."""
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
