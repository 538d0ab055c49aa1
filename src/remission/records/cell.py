"""One measured model, as a line of a table shows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

Json = dict[str, Any]
"""A JSON object."""
Fraction = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Status = Literal["done", "failed"]


ATTACKED = ("dataset", "arch", "attack", "attack_params", "poison_rate", "target")
"""The fields that say which backdoor a measurement is about."""
SUBJECT = (*ATTACKED, "seed", "purifier", "purifier_params")
"""The fields that say which model a measurement is about."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What a cell and a path have in common: the model that they are about."""

    id: str
    dataset: str
    arch: str
    attack: str
    attack_params: Json
    poison_rate: Fraction
    target: int | Literal["all-to-all"] | None
    target_name: str | None = None
    """The name of that class; None in older records, and where there is no single target."""
    seed: int
    purifier: str
    purifier_params: Json

    def subject(self, *names: str) -> Json:
        """Returns the columns that say what was measured: ``names``, or all of ``SUBJECT``."""
        return {name: getattr(self, name) for name in names or SUBJECT}


@dataclass(frozen=True, kw_only=True)
class Cell(Subject):
    """One measured model. Rates are fractions in [0, 1], None where there are none.

    ``purifier`` is ``"none"`` for the victim and ``"control"`` for the model trained the same way
    on the same data without poison; ``reactivation`` is ``"none"`` before any reactivation.
    ASR and robust accuracy are measured on triggered test images whose class is not the one that
    the attacker wants: ``target``, or the next class with ``"all-to-all"``. ``attack`` is
    ``"none"`` where the purifier was given the control: then there is no trigger, no target and no
    ASR.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    reactivation: str = "none"
    reactivation_params: Json = field(default_factory=dict)
    budget: int | None = None
    clean_acc: Fraction | None = None
    asr: Fraction | None = None
    robust_acc: Fraction | None = None
    clean_acc_interval: tuple[Fraction, Fraction] | None = None
    """The 95 % Wilson interval of ``clean_acc``, which covers the choice of test images only."""
    asr_interval: tuple[Fraction, Fraction] | None = None
    """The 95 % Wilson interval of ``asr``, which covers the choice of test images only."""
    n_clean: int = 0
    """The number of test images behind ``clean_acc``."""
    n_triggered: int = 0
    """The number of triggered test images behind ``asr`` and ``robust_acc``."""
    validation_clean_acc: Fraction | None = None
    """``clean_acc`` on the validation images; None where the split has none, and after a
    reactivation that perturbs images."""
    validation_asr: Fraction | None = None
    """``asr`` on the same images."""
    n_validation: int = 0
    """The number of images behind ``validation_clean_acc``."""
    n_validation_triggered: int = 0
    """The number of triggered images behind ``validation_asr``."""
    asr_clean: Fraction | None = None
    """After a reactivation that perturbs images: the share of perturbed test images of other
    classes, without the trigger, that the model assigns to the attacker's class. ``clean_acc`` is
    then measured on perturbed clean images, ``asr`` and ``robust_acc`` on perturbed triggered ones.
    Where the perturbation replaces the trigger, these too are measured on perturbed clean images,
    so that ``asr`` equals ``asr_clean``."""
    control_asr: Fraction | None = None
    """What ``asr`` is when the same perturbation is tried on the control."""
    control_asr_clean: Fraction | None = None
    """What ``asr_clean`` is when the same perturbation is tried on the control."""
    queries: int | None = None
    """The number of images whose class such a reactivation asked the model for; None where the
    reactivation asks for none."""
    applied: bool | None = None
    """For a model that a purifier returned: whether any of its weights or buffers differs from the
    model that the purifier was given. False where all are equal, bit for bit: the purifier was not
    applied. None for all other models (the victim, the control, and models after a reactivation)
    and in older records, which do not say."""
    seconds: Seconds = 0.0
    """Wall-clock seconds that this model took. For a purified model they are those of the purifier
    and of the inversion that it uses, without measuring. For other models they include loading and
    measuring, and for the control its training."""
    cpu_seconds: Seconds | None = None
    """Processor seconds of the same work, summed over all threads. Other work on the machine does
    not change them. None in older records, which lack them."""
    status: Status = "done"
    error: str | None = None
    """Why the cell failed, in one line; None where it did not."""
