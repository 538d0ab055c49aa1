"""Several backdoors at once, of different kinds and targets (this project, after BadNets).

Every kind k has a trigger T_k and a target class t_k. A share ``poison_rate`` of all training
images gets T_k and the label t_k, other images for each k. One backdoor, ``measured``, is the
attack as everything else sees it: its trigger is stored, its ASR is measured, ``ep`` unlearns it
and a retuning brings it back. The others lie ``beside`` it; only the attacker knows of them.

A purifier has to remove all of them, and one ASR says nothing about the others. A spec that wants
them all lists the attack once per backdoor, each time with another one measured:

    measured = "badnets"   target = 0   beside = ["blended", "wanet"]   beside_targets = [3, 7]
    measured = "blended"   target = 3   beside = ["badnets", "wanet"]   beside_targets = [0, 7]
    measured = "wanet"     target = 7   beside = ["badnets", "blended"] beside_targets = [0, 3]

Nothing that is drawn or trained depends on which one is measured: these are three records of the
same victim, which is trained three times.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import NonNegativeInt
from torch import Tensor

from remission.attacks.badnets import BadNets
from remission.attacks.base import Attack, DirtyLabel, Setting, train_on
from remission.attacks.blended import Blended
from remission.attacks.poison_rate import possible_rates
from remission.attacks.poisoning import poison
from remission.attacks.sig import SIG
from remission.attacks.wanet import WaNet
from remission.errors import SpecError
from remission.method import field, method
from remission.seeding import Seed
from remission.training import Trained
from remission.triggers import Trigger

TriggerKind = Literal["badnets", "blended", "sig", "wanet"]
"""An attack whose trigger is used. All are implanted with labels changed, as BadNets is."""


@method
class SeveralBackdoors(DirtyLabel):
    """Two to four triggers of different kinds, each with its own target; one is measured."""

    name: ClassVar[str] = "several"
    paper: ClassVar[str] = "this project, after Gu et al., arXiv 1708.06733"
    published: ClassVar[bool] = False

    target: NonNegativeInt = 0
    """The class that images with the measured trigger shall get."""
    poison_rate: float = field(default=0.05, gt=0, lt=1)
    """Share of all training images that are poisoned for each backdoor, other images for each."""
    measured: TriggerKind = "badnets"
    """The attack whose trigger is measured."""
    beside: tuple[TriggerKind, ...] = field(
        default=("blended", "wanet"), min_length=1, max_length=3, strict=False
    )
    """The attacks whose triggers are implanted besides; their order does not matter."""
    beside_targets: tuple[NonNegativeInt, ...] = field(default=(3, 7), min_length=1, strict=False)
    """Their target classes, in the same order."""
    size: int = field(default=3, ge=1)
    """Side of the patch of ``badnets`` in pixels (3 on 28x28 and 32x32 images)."""
    alpha: float = field(default=0.2, gt=0, le=1)
    """Share of the pattern of ``blended`` (0.2 in the paper)."""
    s: float = field(default=1.0, gt=0)
    """Strength of the warp of ``wanet``; see there."""
    delta: float = field(default=20.0, gt=0, le=255)
    """Amplitude of the sinusoid of ``sig``, in 255ths; see there."""

    def trigger(self, shape: tuple[int, int, int], seed: Seed) -> Trigger:
        """Returns the measured trigger.

        Raises:
            SpecError: a backdoor is listed twice or without a target, two have one target, or a
                trigger does not fit into the images.
        """
        self.check()
        made = {kind: self.trigger_of(kind, shape, seed) for kind in self.targets()}
        return made[self.measured]

    def check(self) -> None:
        """Raises SpecError if the lists do not fit together."""
        if len(self.beside) != len(self.beside_targets):
            raise SpecError(
                f"[attack] {self.name}: 'beside' lists {len(self.beside)} backdoors, "
                f"'beside_targets' {len(self.beside_targets)} classes",
                "write one class for each",
            )
        kinds, targets = (self.measured, *self.beside), (self.target, *self.beside_targets)
        if len(set(kinds)) < len(kinds):
            raise SpecError(
                f"[attack] {self.name}: a backdoor is listed twice in {', '.join(kinds)}",
                "list in 'beside' other ones than 'measured', each once",
            )
        if len(set(targets)) < len(targets):
            raise SpecError(
                f"[attack] {self.name}: two backdoors have one target in "
                f"{', '.join(map(str, targets))}",
                "give each its own class in 'target' and 'beside_targets'",
            )

    def targets(self) -> dict[TriggerKind, int]:
        """Returns every backdoor's target; their order does not depend on the measured one."""
        pairs = dict(zip(self.beside, self.beside_targets, strict=True))
        pairs[self.measured] = self.target
        return dict(sorted(pairs.items()))

    def trigger_of(self, kind: TriggerKind, shape: tuple[int, int, int], seed: Seed) -> Trigger:
        """Returns the trigger of one backdoor; ``seed`` is that of all triggers."""
        attacks: dict[TriggerKind, Attack] = {
            "badnets": BadNets(size=self.size),
            "blended": Blended(alpha=self.alpha),
            "sig": SIG(delta=self.delta),
            "wanet": WaNet(s=self.s),
        }
        return attacks[kind].trigger(shape, seed.child(kind))

    def select(self, labels: Tensor, classes: int, seed: Seed) -> Tensor:
        """Returns the indices of the images with the measured trigger; see :meth:`Attack.select`.

        Raises:
            SpecError: there are too few images for all backdoors, or there is no such class.
        """
        super().select(labels, classes, seed)  # refuses what no backdoor at all could have
        return self.select_all(labels, classes, seed)[self.measured]

    def select_all(self, labels: Tensor, classes: int, seed: Seed) -> dict[TriggerKind, Tensor]:
        """Draws the images of every backdoor, (n,) indices each, ascending; none has two.

        Raises:
            SpecError: there are too few images, or no such class.
        """
        if max(self.beside_targets) >= classes:
            raise SpecError(
                f"'beside_targets' has {max(self.beside_targets)}, the data set has {classes} "
                "classes",
                f"use targets from 0 to {classes - 1}",
            )
        count, free = round(self.poison_rate * len(labels)), torch.ones_like(labels).bool()
        chosen: dict[TriggerKind, Tensor] = {}
        for kind, target in self.targets().items():
            allowed = (free & (labels != target)).nonzero().flatten()
            if count > len(allowed):
                possible = (labels != target).sum().item() // len(self.targets())
                raise SpecError(
                    f"poison_rate {self.poison_rate} means {count} of {len(labels)} images for "
                    f"each of {len(self.targets())} backdoors, and {len(allowed)} are left for "
                    f"'{kind}'",
                    possible_rates(len(labels), int(possible), classes),
                )
            order = torch.randperm(len(allowed), generator=seed.child(kind).generator())
            chosen[kind] = allowed[order[:count].to(allowed.device)].sort().values
            free[chosen[kind]] = False
        return chosen

    def train(self, setting: Setting) -> Trained:
        """Poisons a copy of the data with every trigger and trains on it as the control."""
        data, model, seed = setting.data, setting.model, setting.seed
        chosen = self.select_all(data.labels, model.classes, seed.child("selection"))
        for kind, target in self.targets().items():
            trigger = self.trigger_of(kind, data.shape, seed.child("trigger"))
            labels = torch.full_like(chosen[kind], target)
            data = poison(data, chosen[kind], trigger.to(labels.device), labels)
        return train_on(setting, data)
