"""The ``details`` of the records of each kind: ``VictimDetails.of(record).losses``.

A field is None or empty where an older record lacks it, or a damaged one holds another type.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from typing import Any, ClassVar, Self, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from remission.records.cell import Json
from remission.records.record import Record

_STRICT = ConfigDict(strict=True, extra="ignore")


@dataclass(frozen=True, kw_only=True)
class Details:
    """What the details of all kinds have in common.

    Args:
        facts: what the method needs whose code the stage ran, and what
            :meth:`remission.method.Method.facts` says of it; empty where it ran no method.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    _written_as_null: ClassVar[tuple[str, ...]] = ()
    """Fields that are written even where they are None; a record lacks every other such field."""

    facts: Json = field(default_factory=dict)

    @classmethod
    def of(cls, record: Record) -> Self:
        """Reads the details of a record of the kind that the class is for."""
        return cls.from_json(record.details)

    @classmethod
    def from_json(cls, details: Mapping[str, Any]) -> Self:
        """Reads what :meth:`to_json` writes; a missing field, or one of another type, is empty."""
        return cls(**_fields_in(cls, details))

    def to_json(self) -> Json:
        """Returns the details as a record holds them."""
        values: Json = {}
        for entry in fields(self):
            value = getattr(self, entry.name)
            if value not in (None, [], {}) or entry.name in self._written_as_null:
                values[entry.name] = _as_json(value)
        return values


@dataclass(frozen=True, kw_only=True)
class StealthDetails:
    """How little a trigger changes, see :class:`remission.stealth.Stealth`."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    psnr: float | None = None
    ssim: float | None = None
    largest_change: float | None = None
    images: int = 0
    unchanged: int = 0


@dataclass(frozen=True, kw_only=True)
class VictimDetails(Details):
    """Details of a ``victim``.

    Args:
        classes: the names of the classes, in the order of their indices.
        poisoned: number of poisoned training images.
        losses: mean training loss of each epoch.
        stealth: how visible the trigger is.
        preview_count: images in each of its pictures.
        split: the name of each set of images -> number of images.
        test_classes: ``number`` of classes, and share in (0, 1] of the ``largest`` among the test
            images.
    """

    classes: list[str] = field(default_factory=list)
    poisoned: int | None = None
    losses: list[float] = field(default_factory=list)
    stealth: StealthDetails | None = None
    preview_count: int | None = None
    split: dict[str, int] = field(default_factory=dict)
    test_classes: dict[str, int | float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ControlDetails(Details):
    """Details of a ``control``.

    Args:
        classes: the names of the classes, in the order of their indices.
        losses: mean training loss of each epoch.
    """

    classes: list[str] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class InversionAnswer(Details):
    """What an inversion says about one model, also where it names no class.

    It is what a record holds of a :class:`remission.inversion.Inverted`.

    Args:
        target: the class that it takes for the attacker's; None if it moves no image.
        target_name: the name of that class.
        target_share: share in [0, 1] of the images of other classes that its trigger sends there.
        change: root mean square of what its trigger changes, in [0, 1].
        lead: how many times as large a change the next class needs; None where the inversion
            compares no classes.
        margin_lead: how many times as far its maximum margin stands above the references' as that
            of the next class; None where the inversion compares no margins.
        vote: the sum of the logarithms of both leads, each in standard deviations on models that
            nobody attacked; None where the inversion takes no vote.
        pair_vote: the lesser vote of two candidates, each counted without the other.
        candidates: the classes that it suspects where it abstains from naming one.
    """

    _written_as_null: ClassVar[tuple[str, ...]] = ("target",)

    target: int | None = None
    target_name: str | None = None
    target_share: float | None = None
    change: float | None = None
    lead: float | None = None
    margin_lead: float | None = None
    vote: float | None = None
    pair_vote: float | None = None
    candidates: list[int] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class InversionDetails(InversionAnswer):
    """Details of an ``inversion``.

    Args:
        true_target: the attacker's class, or ``"all-to-all"``; None where nobody attacked.
        true_target_name: the name of that class.
        preview_count: images in each of its pictures.
        reference_seconds: wall-clock seconds of the training of the models that it compared with;
            None where it compares with none.
        reference_cpu_seconds: the processor seconds of the same.
    """

    _written_as_null: ClassVar[tuple[str, ...]] = ("target", "true_target")

    true_target: int | str | None = None
    true_target_name: str | None = None
    preview_count: int | None = None
    reference_seconds: float | None = None
    reference_cpu_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class PurifiedDetails(Details):
    """Details of a ``purified`` model: what the inversions of further rounds said, in order."""

    later_inversions: list[InversionAnswer] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class InnocentDetails(PurifiedDetails):
    """Details of an ``innocent`` model; ``inversion`` is what the first inversion said."""

    inversion: InversionAnswer | None = None


@dataclass(frozen=True, kw_only=True)
class ReactivatedDetails(Details):
    """Details of a ``reactivated`` model; those of a reactivation that changes weights are empty.

    Args:
        control_clean_acc: clean accuracy of the control on perturbed images.
        victim_asr: ASR of the victim on perturbed images, see :class:`remission.records.Cell`.
        victim_asr_clean: the same on perturbed images without the trigger.
        victim_clean_acc: clean accuracy of the victim on perturbed images.
        preview_count: images in each of its pictures.
    """

    control_clean_acc: float | None = None
    victim_asr: float | None = None
    victim_asr_clean: float | None = None
    victim_clean_acc: float | None = None
    preview_count: int | None = None


Layer = tuple[str, float, float | None]
"""A layer's name, the distance of its weights, and the same relative to their norm at the start;
None where that norm is 0."""


@dataclass(frozen=True, kw_only=True)
class PathDetails(Details):
    """Details of a ``path``.

    Args:
        layers: the name of a straight line, see ``PathCurve.walk`` -> its layers in order.
        plane: why there is no plane where one was asked for.
        barriers: only older records hold them; :meth:`remission.records.PathCurve.barrier`
            computes them from the curves.
    """

    layers: dict[str, list[Layer]] = field(default_factory=dict)
    plane: str | None = None
    barriers: dict[str, dict[str, float]] = field(default_factory=dict)

    @classmethod
    def from_json(cls, details: Mapping[str, Any]) -> Self:
        """Reads what :meth:`to_json` writes: ``layers, line`` is the key of one line's layers."""
        layers = {
            key.removeprefix(_LAYERS): value
            for key, value in details.items()
            if key.startswith(_LAYERS)
        }
        return super().from_json({**details, "layers": layers})

    def to_json(self) -> Json:
        """Returns the details as a record holds them."""
        values = super().to_json()
        layers = values.pop("layers", {})
        return values | {f"{_LAYERS}{path}": rows for path, rows in layers.items()}


_LAYERS = "layers, "


@dataclass(frozen=True, kw_only=True)
class TriedModel:
    """A model that perturbations were tried on; its purifier identifies it."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    purifier: str = ""
    purifier_params: Json = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class AttackedDetails(Details):
    """Details that say, as a cell does, which backdoor and which seed they are about."""

    dataset: str | None = None
    arch: str | None = None
    attack: str | None = None
    attack_params: Json = field(default_factory=dict)
    poison_rate: float | None = None
    target: int | str | None = None
    target_name: str | None = None
    seed: int | None = None


def _as_json(value: Any) -> Any:  # noqa: ANN401 -- any field of details
    """Returns a field as a JSON value."""
    if isinstance(value, Details):
        return value.to_json()
    if isinstance(value, StealthDetails | TriedModel):
        return asdict(value)
    if isinstance(value, list | tuple):
        return [_as_json(item) for item in value]
    if isinstance(value, dict):
        return {key: _as_json(item) for key, item in value.items()}
    return value


def _fields_in(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns those fields of a class that ``values`` holds in the type that the class says."""
    readable: dict[str, Any] = {}
    for name, adapter in _adapters(cls).items():
        if name in values:
            with suppress(ValidationError, TypeError, ValueError):
                readable[name] = adapter.validate_json(json.dumps(values[name]), strict=True)
    return readable


@cache
def _adapters(cls: type) -> dict[str, TypeAdapter[Any]]:
    hints = get_type_hints(cls)
    return {entry.name: TypeAdapter(hints[entry.name]) for entry in fields(cls)}
