"""The triggers that an audit teaches: the suspected ones, and two kinds beside them.

- A *fresh* trigger, which no model ever saw, leads to the same class and has the same kind and
  size: a patch elsewhere with other pixels, or a pattern or flow with the same amplitude at
  each spatial frequency and the phases of white noise (surrogate data after Theiler et al.,
  Physica D 1992). It is as hard to learn for a model that knows neither.
- The trigger of *another class* was sought in the same way, and is brought to the size of the
  suspected one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from remission.audit.sought_triggers import Sought
from remission.intervals import Rate
from remission.inversion.perturbations import Tried, size
from remission.metrics import counted
from remission.models import Classifier
from remission.reactivations import Retuning
from remission.records.suspect import TriggerRole
from remission.seeding import Seed
from remission.training import predict
from remission.triggers import Patch, Trigger, Unchanged
from remission.triggers.warp_and_add import WarpAndAdd
from remission.types import LabelledImages, Shape, rounded


@dataclass(frozen=True, kw_only=True, eq=False)
class TriedTrigger:
    """A trigger with the class to which it shall lead.

    Args:
        name: in words.
        target: the class.
        role: see :data:`remission.records.suspect.TriggerRole`.
        beside: the name of the suspected trigger that a fresh one is like; empty for others.
        change: images (N, C, H, W) in [0, 1] -> triggered images; None: there are only images.
        poisons: triggered images, labelled by ``target``, that a retuning may use; None: it makes
            some by ``change``.
        shown: triggered images of other classes on which success is measured; None: ``change``
            makes them from held-out images.
        searched: whether a whole audit also seeks the worst retuning and a small perturbation for
            it.
    """

    name: str
    target: int
    role: TriggerRole
    beside: str = ""
    change: Trigger | None = None
    poisons: LabelledImages | None = None
    shown: LabelledImages | None = None
    searched: bool = True

    def success(self, model: Classifier, held_out: LabelledImages) -> Rate:
        """Returns the rate of triggered images of other classes that get the target's class.

        They are ``shown`` where it is given, else held-out images, rounded to 8 bits as in a file.
        """
        if self.shown is not None:
            predicted = predict(model, self.shown)
            return Rate(int((predicted == self.target).sum()), len(self.shown))
        indices = counted(held_out.labels, self.target, model.classes).indices
        predicted = predict(model, held_out, trigger=self._rounded, only=indices)
        return Rate(int((predicted == self.target).sum()), len(indices))

    def _rounded(self, images: Tensor) -> Tensor:
        assert self.change is not None
        return rounded(self.change(images))

    def retuned(
        self, retuning: Retuning, model: Classifier, images: LabelledImages, budget: int, seed: Seed
    ) -> Classifier:
        """Returns a copy of a model, retuned with ``budget`` poisoned images of this trigger."""
        change = self.change or Unchanged()
        return retuning(
            model, images, change, self.target, budget=budget, seed=seed, crafted=self.poisons
        )

    def most(self, images: LabelledImages, classes: int) -> int:
        """Returns the largest budget that a retuning on ``images`` allows."""
        others = len(counted(images.labels, self.target, classes).indices)
        return others if self.poisons is None else min(others, len(self.poisons))


def triggers_of(
    sought: Sought,
    shape: Shape,
    grid: int,
    seed: Seed,
    *,
    copies: int,
    searched: int,
    kind: str = "",
) -> list[TriedTrigger]:
    """Returns the suspected trigger, fresh copies of it, and the triggers of other classes.

    Args:
        sought: theta of all of them.
        shape: (C, H, W) of the images.
        grid: number of points of a flow along each side.
        seed: the source of the copies.
        copies: number of fresh copies.
        searched: so many of them get the dear searches of a whole audit, too.
        kind: what is said before the kind of change, as "second ".
    """
    family, (target, *others) = sought.family, sought.classes.tolist()
    theta, *their = sought.theta
    kind = f"{kind}{_KINDS[family]}"
    name = f"{kind} to class {target}"

    def tried(name: str, to: int, content: Tensor, role: TriggerRole) -> TriedTrigger:
        change = change_of(family, content, shape, grid)
        return TriedTrigger(name=name, target=to, role=role, change=change)

    made = [tried(name, target, theta, "suspected")]
    for number in range(copies):
        content = fresh_copy(family, theta, seed.child("copy", number))
        fresh = tried(f"fresh {kind} {number + 1} to class {target}", target, content, "fresh")
        made.append(replace(fresh, beside=name, searched=number < searched))
    for other, content in zip(others, their, strict=True):
        equal = scaled(family, content, theta)
        made.append(tried(f"{kind} to class {other}", other, equal, "other"))
    return made


_KINDS: dict[Tried, str] = {"additive": "pattern", "warp": "warp", "patch": "patch"}


def change_of(family: Tried, theta: Tensor, shape: Shape, grid: int) -> Trigger:
    """Returns the change of images that theta makes.

    Args:
        family: the kind of change.
        theta: a pattern (C, H, W), a flow (2, grid, grid), or the logits of a mask and of the
            pattern behind it (1 + C, H, W).
        shape: (C, H, W) of the images.
        grid: number of points of a flow along each side.
    """
    if family == "patch":
        return Patch(theta[:1].sigmoid(), theta[1:].sigmoid())
    change = WarpAndAdd(shape, grid).to(theta.device)
    change.become(family, theta)
    return change


def fresh_copy(family: Tried, theta: Tensor, seed: Seed) -> Tensor:
    """Returns theta of a trigger of the same kind and size that no model ever saw.

    A patch comes to another position, with white and black pixels behind its mask at random; a
    pattern or flow becomes :func:`phase_randomised`.
    """
    if family != "patch":
        return phase_randomised(theta, seed)
    draws = seed.generator()
    moves = [
        int(torch.randint(side // 4, side - side // 4 + 1, (), generator=draws))
        for side in theta.shape[1:]
    ]
    pattern = torch.rand(theta[1:].shape, generator=draws).round().to(theta)
    mask = theta[:1].roll(moves, (1, 2))
    return torch.cat([mask, _CERTAIN * (2 * pattern - 1)])


def with_first(theta: Tensor, patch: Patch) -> Tensor:
    """Returns the logits of patches (k, 1 + C, H, W) with a given patch as the first of them."""
    given = torch.cat([patch.mask, patch.pattern]).to(theta).clamp(1e-6, 1 - 1e-6).logit()
    return torch.cat([given[None], theta[1:]])


_CERTAIN = 12.0
"""The logit of a pixel that is white; that of a black one is its negative."""


def phase_randomised(theta: Tensor, seed: Seed) -> Tensor:
    """Returns a pattern or flow (C, H, W) with the same amplitude at each spatial frequency.

    All channels are turned by the same phases, so that their relations stay. The root mean square
    stays, too.
    """
    noise = torch.randn(theta.shape[1:], generator=seed.generator()).to(theta)
    turned = torch.fft.rfft2(noise).angle()
    spectrum = torch.fft.rfft2(theta) * torch.polar(torch.ones_like(turned), turned)
    copy: Tensor = torch.fft.irfft2(spectrum, s=theta.shape[1:])
    return copy


def scaled(family: Tried, theta: Tensor, like: Tensor) -> Tensor:
    """Returns ``theta`` at the size of ``like``: a fainter or stronger mask, pattern or flow."""
    times = size(like[None], family) / size(theta[None], family).clamp_min(1e-12)
    if family != "patch":
        return theta * times
    mask = (theta[:1].sigmoid() * times).clamp(1e-6, 1 - 1e-6)
    return torch.cat([mask.logit(), theta[1:]])
