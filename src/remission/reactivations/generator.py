"""Code that both forms of QRA share: the generator's parameters, images, teacher and training.

    min over G of  alpha * KL(teacher(x) || f(x')) + CE(clean(x'), y),
    x' = clip(x + epsilon * tanh(G(x))),

with f the model through which the generator is trained, teacher a model in which the backdoor
works, clean a model without backdoor, and y the true class of x, which is a clean image, or a
triggered image of another class than the target. All models are frozen and in eval mode.
"""

from __future__ import annotations

from abc import ABC
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from remission.attacks.poisoning import poison
from remission.method import field, method
from remission.models import Classifier
from remission.progress import tracked
from remission.reactivations.attacker import Attacker
from remission.reactivations.base import CraftedPoisoning, InputReactivation
from remission.reactivations.perturbations import Generator, Perturbation
from remission.reactivations.retuning import Retuning
from remission.seeding import Seed
from remission.training import Recipe, batches, fit
from remission.training.batches import share_of
from remission.triggers import check_levels
from remission.types import LabelledImages, Shape

_AT_ONCE = 250  # images per forward pass


@method
class GeneratorReactivation(CraftedPoisoning, InputReactivation, ABC):
    """A reactivation that trains a generator of perturbations, with a retuned model as teacher."""

    generator: Literal["mlp", "conv"] = "mlp"
    """The network G: mlp, as in the paper, or conv, a small U-Net."""
    width: int = field(default=1024, ge=1)
    """Number of units of each hidden layer of the mlp (1024 in the paper)."""
    filters: int = field(default=16, ge=1, le=1024)
    """Channels of the first level of the U-Net."""
    alpha: float = field(default=0.2, ge=0)
    """Weight of the divergence from the teacher (0.2 in the paper)."""
    epochs: int = field(default=50, ge=1)
    """Passes over the images in which the generator is trained (50 in the paper)."""
    lr: float = field(default=0.1, gt=0)
    """Learning rate of the generator, constant (0.1 in the paper)."""
    momentum: float = field(default=0.9, ge=0, lt=1)
    """Momentum of SGD (0.9 in the paper)."""
    batch_size: int = field(default=128, ge=2)
    """Images per batch, for generator and teacher (128 in the paper)."""
    share: float = field(default=0.5, gt=0, le=1)
    """Share of the images that carry the trigger, if so many are outside the target class (500 of
    1,000 in the paper)."""
    teacher_epochs: int = field(default=5, ge=1)
    """Passes over the images in which the teacher is retuned (5 in the paper)."""
    teacher_lr: float = field(default=0.01, gt=0)
    """Learning rate of that retuning (0.01 in the paper)."""

    def perturbation(self, shape: Shape, seed: Seed) -> Perturbation:
        """Makes the generator, untrained.

        Raises:
            SpecError: the images are too small for the U-Net.
        """
        if self.generator == "conv":
            check_levels(shape, 2, self.name)
        width = self.width if self.generator == "mlp" else self.filters
        return Generator(shape, self.epsilon, self.generator, width, seed)

    def images(self, attacker: Attacker, seed: Seed) -> LabelledImages:
        """Returns the attacker's images with true labels, a share of them triggered."""
        others = attacker.others()
        count = min(len(others), share_of(len(attacker.images), self.share))
        order = torch.randperm(len(others), generator=seed.child("triggered").generator())
        chosen = others[order[:count].to(others.device)]
        return poison(attacker.images, chosen, attacker.trigger, None)

    def teacher(
        self, model: Classifier, attacker: Attacker, *, budget: int | None, seed: Seed
    ) -> Classifier:
        """Retunes a copy of ``model``, so that its backdoor works; returns it frozen."""
        assert budget is not None, f"{self.name} retunes with a budget of poisoned images"
        retune = Retuning(
            epochs=self.teacher_epochs,
            lr=self.teacher_lr,
            batch_size=self.batch_size,
            poisons=self.poisons,
        )
        teacher = retune(
            model,
            attacker.images,
            attacker.trigger,
            attacker.target,
            budget=budget,
            seed=seed.child("teacher"),
            crafted=attacker.crafted,
        )
        return teacher.requires_grad_(False)

    def train(
        self,
        perturbation: Perturbation,
        model: Classifier,
        teacher: Classifier,
        control: Classifier,
        data: LabelledImages,
        *,
        seed: Seed,
    ) -> None:
        """Trains the generator through ``model``, f above; the teacher answers once per image."""
        wanted = outputs(teacher, data).log_softmax(1)
        numbered = LabelledImages(data.images, torch.arange(len(data), device=wanted.device))

        def loss(images: Tensor, numbers: Tensor) -> Tensor:
            changed = perturbation(images)
            log_p = model(changed).log_softmax(1)
            apart = F.kl_div(log_p, wanted[numbers], reduction="batchmean", log_target=True)
            return self.alpha * apart + F.cross_entropy(control(changed), data.labels[numbers])

        recipe = Recipe(
            epochs=self.epochs, lr=self.lr, momentum=self.momentum, batch_size=self.batch_size
        )
        seed = seed.child("generator")
        fit(perturbation, numbered, recipe, seed=seed, what=f"{self.name}: generator", loss=loss)


@torch.no_grad()
def outputs(model: Classifier, data: LabelledImages) -> Tensor:
    """Returns the logits (N, K) of a model in eval mode."""
    logits = torch.zeros(len(data), model.classes, dtype=model.mean.dtype, device=model.mean.device)
    parts = torch.split(logits, _AT_ONCE)
    pairs = zip(parts, batches(data, _AT_ONCE, generator=None), strict=True)
    for part, (images, _) in tracked(pairs, "", len(parts)):
        part[: len(images)] = model(images)
    return logits
