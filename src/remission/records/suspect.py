"""What was found in a model of unknown origin, and what its purification did. No torch here."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal

from remission.intervals import Rate
from remission.names import class_text
from remission.records.cell import Json
from remission.records.path import barrier, way_back


@dataclass(frozen=True, kw_only=True)
class ModelClass:
    """One class of a model.

    Args:
        index: from 0.
        name: the name of its folder of images; None: it has no images.
    """

    index: int
    name: str | None = None

    def __str__(self) -> str:
        """Returns the index, and the name where it says more."""
        return class_text(self.index, self.name)


@dataclass(frozen=True, kw_only=True)
class NormalisationTrial:
    """The clean accuracy of a model under one normalisation of its images."""

    name: str
    clean_acc: Rate


@dataclass(frozen=True, kw_only=True)
class ModelReading:
    """How a model of unknown origin was read.

    Args:
        file: the file or folder, as the user named it.
        place: the keys that lead to the network in the file, joined by dots; empty: the whole file.
        arch: its architecture.
        classes: number of its classes K.
        shape: (C, H, W) of its images.
        match: how folders of images and classes belong together, in words.
        normalisations: all that were tried; the first one is used.
        used: number of images that inversion, purification and retuning get.
        held_out: number of images that only measure.
        stated: the architecture that the file states, in its authors' words; empty: it states none.
    """

    file: str
    place: str
    arch: str
    classes: int
    shape: tuple[int, int, int]
    match: str
    normalisations: tuple[NormalisationTrial, ...]
    used: int
    held_out: int
    stated: str = ""


@dataclass(frozen=True, kw_only=True)
class Suspicion:
    """What an inversion says of a model.

    Args:
        inversion: the name of the method.
        standing_out: the classes that stand out as targets of backdoors: none, one or two.
        likeliest: the classes whose trigger is sought where none stands out.
        threshold: the least vote with which a class is named.
        vote: see :mod:`remission.inversion.voted`; of the first class.
        pair_vote: the lesser vote of two classes, each counted without the other; None: one class
            is named.
        lead: how many times as large a perturbation the next class needs.
        margin_lead: how many times as far the maximum margin stands above that of references.
        change: root mean square change of a pixel by the inverted trigger, in [0, 1].
    """

    inversion: str
    standing_out: tuple[ModelClass, ...]
    likeliest: tuple[ModelClass, ...]
    threshold: float
    vote: float | None
    pair_vote: float | None
    lead: float | None
    margin_lead: float | None
    change: float

    @property
    def suspects(self) -> tuple[ModelClass, ...]:
        """The classes to which the inverted trigger leads."""
        return self.standing_out or self.likeliest


@dataclass(frozen=True, kw_only=True)
class SuspectRates:
    """The rates of one model on held-out images.

    Args:
        clean_acc: clean accuracy.
        trigger: share of the images of other classes that the inverted trigger sends to one of the
            suspected classes.
    """

    clean_acc: Rate
    trigger: Rate


@dataclass(frozen=True, kw_only=True)
class SuspectPurification:
    """The purification of a model of unknown origin.

    Args:
        model: how it was read.
        suspicion: what the inversion says.
        purifier: the method and all its parameters.
        before: the model as it was.
        after: the purified model.
        output: the file of its weights.
        seconds: wall-clock seconds of inversion and purification.
    """

    model: ModelReading
    suspicion: Suspicion
    purifier: Json
    before: SuspectRates
    after: SuspectRates
    output: str
    seconds: float


TriggerRole = Literal["suspected", "fresh", "other"]
"""A suspected or given trigger; a fresh one of its kind and size to the same class, which no model
ever saw; or the trigger that was sought in the same way for another class."""


@dataclass(frozen=True, kw_only=True)
class AuditedTrigger:
    """One trigger that an audit tries on the purified model.

    Args:
        name: in words.
        target: the class to which it shall lead.
        role: see :data:`TriggerRole`.
        beside: the name of the suspected trigger that a fresh one is like; empty for others.
        on_suspect: its success on the suspect model.
        as_purified: its success on the purified model as it is; None: no purified model was given.
        budgets: numbers of poisoned images of a retuning; 0: clean images alone.
        success: its success after the retuning with each budget.
        clean_acc: clean accuracy after the same.
        worst: the retuning of a grid that brings it the largest success, of those that cost at most
            ``most_lost`` of :class:`SuspectAudit`; None: none was tried, or each cost more.
        perturbed: its success together with the best small perturbation of all triggered images;
            None: none was sought.
    """

    name: str
    target: ModelClass
    role: TriggerRole
    on_suspect: Rate
    beside: str = ""
    as_purified: Rate | None = None
    budgets: tuple[int, ...] = ()
    success: tuple[Rate, ...] = ()
    clean_acc: tuple[Rate, ...] = ()
    worst: WorstRetuning | None = None
    perturbed: Rate | None = None


@dataclass(frozen=True, kw_only=True)
class WorstRetuning:
    """The retuning of a grid that brings a trigger the largest success.

    Args:
        setting: how the model is retuned, in words.
        budget: number of poisoned images.
        success: of the trigger.
        clean_acc: of the retuned model.
        tried: number of retunings in the grid.
    """

    setting: str
    budget: int
    success: Rate
    clean_acc: Rate
    tried: int


@dataclass(frozen=True, kw_only=True)
class AuditedLine:
    """Measurements on the straight line from the suspect model (t = 0) to the purified one (t = 1).

    Args:
        batchnorm: where running statistics come from: ``"interpolated"`` or ``"recalibrated"``.
        t: positions.
        success: success of the first suspected trigger at each position, in [0, 1].
        clean_acc: clean accuracy at each position, in [0, 1].
    """

    batchnorm: str
    t: tuple[float, ...]
    success: tuple[float, ...]
    clean_acc: tuple[float, ...]

    @property
    def t_back(self) -> float | None:
        """See :func:`remission.records.path.way_back`."""
        return way_back(self.t, self.success)

    @property
    def clean_barrier(self) -> float:
        """The barrier in clean error, see :func:`remission.records.path.barrier`."""
        return barrier(self.t, [1 - rate for rate in self.clean_acc])


@dataclass(frozen=True, kw_only=True)
class SuspectAudit:
    """The audit of a model of unknown origin, and of what somebody made of it.

    Args:
        suspect: how the suspect model was read.
        purified: how the purified model was read; None: there is none.
        exact: whether the trigger was given; else it is inverted.
        suspicion: what the inversion says.
        clean_acc: clean accuracy of the suspect model on the held-out images.
        purified_clean_acc: of the purified model.
        alone: the largest success, on the suspect model, of the triggers that were sought on it
            alone, or the success of the given trigger.
        alone_on_purified: the largest success of these on the purified model.
        triggers: the suspected triggers first; without a purified model only
            their success on the suspect model is known.
        most_lost: the clean accuracy that a worst retuning may cost.
        lines: see :class:`AuditedLine`; empty where the weights of the models
            differ by name or shape, or where there are only triggered images.
        relative_distance: the distance of both models in weight space over the norm of the suspect.
        left_out: what a quick audit leaves out, in words.
        seconds: wall-clock seconds.
    """

    suspect: ModelReading
    purified: ModelReading | None
    exact: bool
    suspicion: Suspicion
    clean_acc: Rate
    purified_clean_acc: Rate | None
    alone: Rate
    triggers: tuple[AuditedTrigger, ...]
    most_lost: float
    alone_on_purified: Rate | None = None
    lines: tuple[AuditedLine, ...] = ()
    relative_distance: float | None = None
    left_out: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def suspected(self) -> list[AuditedTrigger]:
        """The triggers that are suspected, or were given."""
        return [one for one in self.triggers if one.role == "suspected"]

    @property
    def fresh(self) -> list[AuditedTrigger]:
        """The triggers that no model ever saw."""
        return [one for one in self.triggers if one.role == "fresh"]

    @property
    def others(self) -> list[AuditedTrigger]:
        """The triggers of classes that are not suspected."""
        return [one for one in self.triggers if one.role == "other"]


def as_json(value: object) -> Any:  # noqa: ANN401  # whatever the fields hold
    """Returns records as JSON values: rates as fractions with their interval and their images."""
    if isinstance(value, Rate):
        return {"value": value.value, "interval": list(value.interval), "images": value.total}
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: as_json(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, dict):
        return {str(key): as_json(one) for key, one in value.items()}
    if isinstance(value, tuple | list):
        return [as_json(one) for one in value]
    return value
