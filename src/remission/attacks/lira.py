"""LIRA: noise that the eye cannot see, learned with the victim (Doan et al., ICCV 2021).

T(x) = x + eps * tanh(G(x)), so that no pixel changes by more than eps. In every epoch of stage one
the generator learns to fool the classifier f, and f learns the trigger T' of the epoch before:

    G:  min CE(f(T(x)), c(y))
    f:  min alpha * CE(f(x), y) + (1 - alpha) * CE(f(T'(x)), c(y))

with c(y) the attacker's class; then T' <- T. In stage two G stays fixed, and f is trained further.

The paper adds a poisoned version of every image of a batch. Here only the chosen images are
poisoned, so that the poison rate means what it means elsewhere. G is trained against f in eval
mode, the mode in which f will be attacked: with the batch statistics of a few poisoned images f
would be another function.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from remission.attacks.base import Setting, TrainingAttack
from remission.attacks.marks import mark, read_marks
from remission.method import field, method
from remission.metrics import goals
from remission.models import Classifier
from remission.seeding import Seed
from remission.training import Trained, fit
from remission.training.loop import check_finite
from remission.triggers import LearnedNoise, Trigger, check_levels
from remission.types import LabelledImages


@method
class LIRA(TrainingAttack):
    """Imperceptible noise for each image, made by a network that learns in turn with the victim."""

    name: ClassVar[str] = "lira"
    paper: ClassVar[str] = "Doan et al., ICCV 2021"

    eps: float = field(default=0.01, gt=0, le=1)
    """The largest change of a pixel, in [0, 1] (0.01 in the paper)."""
    alpha: float = field(default=0.5, gt=0, lt=1)
    """Weight of the clean loss; the poisoned loss has the rest (0.5 in the paper)."""
    stage_one_epochs: int = field(default=50, ge=1)
    """Epochs of stage one (50 in the authors' code); stage two follows the victim's recipe."""
    classifier_lr: float = field(default=0.01, gt=0)
    """Learning rate of f in stage one, constant (0.01 in the paper)."""
    generator_lr: float = field(default=1e-4, gt=0)
    """Learning rate of G (Adam; 1e-4 in the paper)."""
    filters: int = field(default=16, ge=1, le=1024)
    """Channels of the first level of G (16 in the authors' code)."""
    levels: int = field(default=4, ge=1, le=6)
    """Number of resolutions of G (4 in the authors' code)."""

    def trigger(self, shape: tuple[int, int, int], seed: Seed) -> Trigger:
        """Makes the network of the noise, untrained.

        Raises:
            SpecError: the images are too small for so many levels.
        """
        check_levels(shape, self.levels, self.name)
        with seed.initialising():
            return LearnedNoise(shape[0], self.filters, self.levels, self.eps)

    def train(self, setting: Setting) -> Trained:
        """Runs stage one, then stage two."""
        classes = setting.model.classes
        marked = mark(setting.data, [setting.chosen], classes)
        self.learn(setting, marked)
        check_finite(setting.trigger, "noise")
        fixed = setting.trigger.requires_grad_(False)
        return fit(
            setting.model,
            marked,
            setting.recipe,
            seed=setting.seed.child("training"),
            what="victim",
            loss=lambda images, labels: self.classifier_loss(setting.model, fixed, images, labels),
            beside=(),
        )

    def learn(self, setting: Setting, marked: LabelledImages) -> None:
        """Runs stage one: trains G and f in turn, batch by batch."""
        model, trigger = setting.model, setting.trigger
        assert isinstance(trigger, LearnedNoise)
        parameters = list(trigger.parameters())
        optimizer = torch.optim.Adam(parameters, self.generator_lr)
        recipe = replace(setting.recipe, epochs=1, lr=self.classifier_lr, schedule="constant")

        def step_generator(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
            x, wanted = self.poisoned(images, labels, model.classes)
            if len(x):
                model.eval()
                loss = F.cross_entropy(model(trigger(x)), wanted)
                gradients = torch.autograd.grad(loss, parameters)
                for parameter, gradient in zip(parameters, gradients, strict=True):
                    parameter.grad = gradient
                optimizer.step()
                model.train()
            return images, labels

        for epoch in range(self.stage_one_epochs):
            last = copy.deepcopy(trigger).requires_grad_(False)

            def loss(images: Tensor, labels: Tensor, last: Trigger = last) -> Tensor:
                return self.classifier_loss(model, last, images, labels)

            fit(
                model,
                marked,
                recipe,
                seed=setting.seed.child("stage one", epoch),
                what=f"stage one, epoch {epoch + 1} of {self.stage_one_epochs}",
                transform=step_generator,
                loss=loss,
            )

    def poisoned(self, images: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
        """Returns the chosen images of a batch, not yet triggered, and the classes they get."""
        true, group = read_marks(labels, classes)
        chosen = group == 1
        return images[chosen], goals(true[chosen], self.target, classes)

    def classifier_loss(
        self, model: Classifier, trigger: Trigger, images: Tensor, labels: Tensor
    ) -> Tensor:
        """alpha * CE(f(x), y) + (1 - alpha) * CE(f(T'(x)), c(y)), means over all x and chosen x.

        Args:
            model: f; clean and poisoned images share a batch, and so its statistics.
            trigger: T'.
            images: (B, C, H, W).
            labels: (B,) marked; group 1 is poisoned.
        """
        true, _ = read_marks(labels, model.classes)
        x, wanted = self.poisoned(images, labels, model.classes)
        shown = torch.cat([images, trigger(x)]) if len(x) else images
        logits = model(shown)
        loss = self.alpha * F.cross_entropy(logits[: len(images)], true)
        if len(x):
            poison = F.cross_entropy(logits[len(images) :], wanted)
            loss = loss + (1 - self.alpha) * poison
        return loss
