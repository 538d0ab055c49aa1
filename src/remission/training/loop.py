"""The only training loop. A method passes its own loss, gradient or step after each update."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, chain
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from remission.errors import DivergedError
from remission.progress import tracked
from remission.seeding import Seed
from remission.training.batches import Augment, batches
from remission.training.snapshots import Snapshots, Stateful
from remission.types import LabelledImages

Schedule = Literal["constant", "cosine", "one_cycle"]
Optimizer = Literal["sgd", "adam", "adamw"]
Backward = Callable[[], Tensor]
"""Computes the loss at the present weights, adds its gradients to ``.grad``, returns it."""
Transform = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""(images, labels) of a batch -> the images and labels that take their place."""
Loss = Callable[[Tensor, Tensor], Tensor]
"""(images, labels) of a batch -> a scalar."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to optimise.

    Args:
        epochs: passes over the data.
        lr: the highest learning rate.
        optimizer: ``"sgd"``, ``"adam"`` or ``"adamw"``.
        momentum: the momentum of SGD.
        weight_decay: L2 penalty on all parameters; with AdamW it shrinks the weights themselves,
            by the learning rate times this number in each step (Loshchilov, Hutter, ICLR 2019).
        schedule: how the learning rate changes after every batch: ``"constant"``; ``"cosine"``
            down to 0; ``"one_cycle"``: linear up over the first 30 %, cosine down to 0.
        warmup: share of all steps, in [0, 1), in which the learning rate rises linearly to the
            beginning of the schedule; the schedule takes the others.
        batch_size: images per batch.
        augment: see :func:`remission.training.batches.batches`.
    """

    epochs: int
    lr: float
    optimizer: Optimizer = "sgd"
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: Schedule = "constant"
    warmup: float = 0.0
    batch_size: int = 128
    augment: Augment = "none"


@dataclass(frozen=True, eq=False)
class Trained:
    """The result of a training beside the weights: the mean loss of each epoch."""

    losses: list[float]


def learning_rate(schedule: Schedule, done: float) -> float:
    """Returns the share of the highest rate after a share ``done`` of all steps, in [0, 1]."""
    if schedule == "constant":
        return 1.0
    if schedule == "one_cycle":
        if done < 0.3:
            return 0.04 + 0.96 * done / 0.3
        done = (done - 0.3) / 0.7
    return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def rate_at(recipe: Recipe, step: int, total: int) -> float:
    """Returns the share of the highest rate at a step, in [0, 1].

    With w = warmup * total, rounded, it is (step + 1) / (w + 1) for the first w steps; the schedule
    then takes the other total - w steps.

    Args:
        recipe: has the schedule and the warm-up.
        step: 0 for the first.
        total: number of steps.
    """
    w = min(round(recipe.warmup * total), total - 1)
    if step < w:
        return (step + 1) / (w + 1)
    return learning_rate(recipe.schedule, (step - w) / (total - w))


def make_optimizer(parameters: list[nn.Parameter], recipe: Recipe) -> torch.optim.Optimizer:
    """Makes torch's SGD, Adam or AdamW over ``parameters``, in the fused form."""
    if recipe.optimizer != "sgd":
        adam = torch.optim.Adam if recipe.optimizer == "adam" else torch.optim.AdamW
        return adam(parameters, recipe.lr, weight_decay=recipe.weight_decay, fused=True)
    return torch.optim.SGD(
        parameters, recipe.lr, recipe.momentum, weight_decay=recipe.weight_decay, fused=True
    )


def updates_per_epoch(images: int, batch_size: int) -> int:
    """Returns the number of batches of one epoch; a last batch of a single image is left out."""
    return max(1, images // batch_size + (images % batch_size > 1))


def fit(
    model: nn.Module,
    data: LabelledImages | Sequence[LabelledImages],
    recipe: Recipe,
    *,
    seed: Seed,
    what: str = "training",
    transform: Transform | None = None,
    loss: Loss | None = None,
    gradient: Callable[[Backward], Tensor] | None = None,
    after_step: Callable[[], None] | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    beside: Sequence[Stateful] | None = None,
) -> Trained:
    """Trains ``model`` in place, in train mode, on the parameters that require gradients.

    Args:
        model: images in [0, 1] -> logits.
        data: training images with labels, on the model's device; or those of each epoch in turn,
            as many as the recipe has epochs.
        recipe: how to optimise.
        seed: the source of order and augmentation.
        what: the name of this training, shown as progress and in errors.
        transform: changes a batch once, before any gradient; None: the batch stays as it is.
        loss: the loss of a batch; None: cross entropy of ``model``.
        gradient: leaves in ``.grad`` what the optimiser shall use, and returns the loss; it may
            call its argument several times, at moved weights. None: one backward pass.
        after_step: called after each update, for example to project weights.
        optimizer: an optimiser that goes on with its state of an earlier training; None: a new one,
            by the recipe.
        beside: what the three functions change in each step beside the weights. A training that
            was killed goes on where it is known, see :mod:`remission.training.snapshots`.

    Raises:
        DivergedError: the loss of an epoch, or a weight at the end, is not finite.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = optimizer or make_optimizer(parameters, recipe)
    parts = [data] * recipe.epochs if isinstance(data, LabelledImages) else data
    assert len(parts) == recipe.epochs, "images for each epoch"
    counts = [updates_per_epoch(len(part), recipe.batch_size) for part in parts]
    schedule = _schedule(optimizer, recipe, sum(counts))
    stream = _stream(parts, recipe, seed.child("batches").generator())
    losses = _EpochLosses(counts, parts[0].labels.device, what)
    known = beside is not None or not (loss or gradient or after_step)
    snapshots = Snapshots(model, optimizer, what, beside or ()) if known else None
    loss = loss or (lambda images, labels: F.cross_entropy(model(images), labels))
    model.train()
    begun = snapshots.restore(schedule, losses.means, losses.summed) if snapshots else 0
    for done, (images, labels) in enumerate(tracked(stream, what, sum(counts)), start=1):
        batch = transform(images, labels) if transform else (images, labels)
        if done <= begun:  # drawn again for the sake of what is drawn later
            continue
        optimizer.zero_grad()

        def backward(batch: tuple[Tensor, Tensor] = batch) -> Tensor:
            value = loss(*batch)
            value.backward()  # type: ignore[no-untyped-call]
            return value.detach()

        losses.add(gradient(backward) if gradient else backward(), done)
        optimizer.step()
        schedule.step()
        if after_step:
            after_step()
        if snapshots:
            snapshots.maybe_keep(done, losses.means, losses.summed)
    check_finite(model, what)
    return Trained(losses.means)


class _EpochLosses:
    """The mean loss of each epoch; within an epoch the sum stays on the device.

    Args:
        counts: number of steps of each epoch.
        device: where the losses are.
        what: the name of the training.
    """

    def __init__(self, counts: Sequence[int], device: torch.device, what: str) -> None:
        self.means: list[float] = []
        self.summed = torch.zeros((), device=device)
        self._steps_at = dict(zip(accumulate(counts), counts, strict=True))  # at an epoch's last
        self._what = what

    def add(self, loss: Tensor, done: int) -> None:
        """Adds the loss of step ``done``, 1 for the first.

        Raises:
            DivergedError: an epoch ended, and its mean loss is not finite.
        """
        self.summed += loss
        if steps := self._steps_at.get(done):
            self.means.append(float(self.summed) / steps)
            self.summed.zero_()
            if not math.isfinite(self.means[-1]):
                raise DivergedError(
                    f"{self._what}: the loss is {self.means[-1]} in epoch {len(self.means)}; use a "
                    "smaller lr"
                )


def _schedule(
    optimizer: torch.optim.Optimizer, recipe: Recipe, total: int
) -> torch.optim.lr_scheduler.LambdaLR:
    """Returns what sets the learning rate of each of ``total`` steps."""
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_at(recipe, step, total))


def _stream(
    parts: Sequence[LabelledImages], recipe: Recipe, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yields the batches of all epochs; those of each epoch are drawn when it begins."""
    epoch = partial(
        batches, batch_size=recipe.batch_size, generator=generator, augment=recipe.augment
    )
    return chain.from_iterable(map(epoch, parts))


def check_finite(model: nn.Module, what: str) -> None:
    """Raises DivergedError if a weight or a running statistic of ``model`` is not finite."""
    for key, value in model.state_dict().items():
        if not bool(torch.isfinite(value).all()):
            raise DivergedError(
                f"{what}: '{key}' is not finite; use a smaller lr, or check what is computed"
            )
