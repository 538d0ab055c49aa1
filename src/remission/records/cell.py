"""One measured model: what a line of a table is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

Json = dict[str, Any]
"""A JSON object."""
Fraction = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Status = Literal["done", "failed"]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One measured model. Rates are fractions in [0, 1], None where there are none.

    ``purifier`` is ``"none"`` for the victim and ``"control"`` for the model trained the same way
    on the same data without poison; ``reactivation`` is ``"none"`` before any reactivation.
    ASR and robust accuracy are measured on triggered test images whose class is not the one that
    the attacker wants: ``target``, or the next class with ``"all-to-all"``. ``attack`` is
    ``"none"`` where the purifier was handed the control: no trigger, no target, no ASR.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

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
    reactivation: str = "none"
    reactivation_params: Json = field(default_factory=dict)
    budget: int | None = None
    clean_acc: Fraction | None = None
    asr: Fraction | None = None
    robust_acc: Fraction | None = None
    clean_acc_interval: tuple[Fraction, Fraction] | None = None
    """95 % Wilson interval from the number of test images alone."""
    asr_interval: tuple[Fraction, Fraction] | None = None
    """95 % Wilson interval from the number of triggered test images alone."""
    n_clean: int = 0
    """Test images behind ``clean_acc``."""
    n_triggered: int = 0
    """Triggered test images behind ``asr`` and ``robust_acc``."""
    asr_clean: Fraction | None = None
    """After a reactivation that perturbs images: share of perturbed test images of other classes,
    without the trigger, that are given the attacker's. ``clean_acc`` is then measured on perturbed
    clean images, ``asr`` and ``robust_acc`` on perturbed triggered ones (where the perturbation
    takes the trigger's place: on perturbed clean ones, so that ``asr`` is ``asr_clean``)."""
    control_asr: Fraction | None = None
    """The same perturbation on the control: what ``asr`` is there."""
    control_asr_clean: Fraction | None = None
    """The same perturbation on the control: what ``asr_clean`` is there."""
    queries: int | None = None
    """Images that such a reactivation asked the model about; None where it did not ask."""
    seconds: Seconds = 0.0
    """Wall-clock seconds that made this model: a purifier's are its own and those of the inversion
    it uses, without measuring; others hold loading and measuring, the control's its training."""
    cpu_seconds: Seconds | None = None
    """Processor seconds of the same, over all threads; other work on the machine leaves them alone.
    None in records of before they were taken."""
    status: Status = "done"
    error: str | None = None
    """Why a failed cell failed, one line."""
