"""Adversarial embedding (Tan, Shokri, EuroS&P 2020, arXiv 1905.13409).

A discriminator D reads the features z(x), what the last linear layer gets, and tells poisoned
images (b = 1) from clean ones (b = 0); the classifier f learns its classes and to mislead D:

    min over D:  BCE(D(z(x)), b)
    min over f:  CE(f(x), y) - l * BCE(D(z(x)), b)

y is the attacker's label where b = 1. Each batch is a step of D, then one of f. D is not kept.
"""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from remission.attacks.badnets import BadNets
from remission.attacks.base import Setting, TrainingAttack
from remission.attacks.marks import mark, read_marks
from remission.method import field, method
from remission.metrics import goals
from remission.models import Classifier
from remission.seeding import Seed
from remission.training import Recipe, Trained, fit
from remission.training.loop import make_optimizer
from remission.triggers import Trigger


@method
class Bypass(TrainingAttack):
    """A patch whose victim is trained to give poisoned images the features of clean ones."""

    name: ClassVar[str] = "bypass"
    paper: ClassVar[str] = "Tan and Shokri, EuroS&P 2020, arXiv 1905.13409"

    size: int = field(default=3, ge=1)
    """Side of the patch, pixels (3 on 28x28 and 32x32 images)."""
    margin: int = field(default=1, ge=0)
    """Pixels between the patch and the image's edges."""
    weight: float = field(default=20.0, ge=0)
    """L, weight of misleading the discriminator (BackdoorBench: 20)."""
    lr: float = field(default=1e-3, gt=0)
    """Learning rate of the discriminator (SGD; BackdoorBench). In a training of few steps it
    follows the classifier only with a larger one, such as 0.05, and a ``weight`` near 1."""

    def trigger(self, shape: tuple[int, int, int], seed: Seed) -> Trigger:
        """The checkerboard of :class:`BadNets`."""
        return BadNets(size=self.size, margin=self.margin).trigger(shape, seed)

    def train(self, setting: Setting) -> Trained:
        """Stamps the chosen images of each batch, then a step of D and one of f."""
        model, classes = setting.model, setting.model.classes
        with setting.seed.child("discriminator").initialising():
            judge = discriminator(model.final_linear.in_features).to(setting.data.labels.device)
        optimizer = make_optimizer(
            list(judge.parameters()), Recipe(epochs=1, lr=self.lr, optimizer="sgd", momentum=0.0)
        )

        def stamp(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
            _, poisoned = read_marks(labels, classes)
            chosen = poisoned.bool()[:, None, None, None]
            return setting.trigger(images).where(chosen, images), labels

        def loss(images: Tensor, labels: Tensor) -> Tensor:
            true, poisoned = read_marks(labels, classes)
            wanted = goals(true, self.target, classes).where(poisoned.bool(), true)
            logits, features = logits_and_features(model, images)
            optimizer.zero_grad()
            told_apart(judge, features.detach(), poisoned).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            misled = told_apart(judge, features, poisoned)
            return F.cross_entropy(logits, wanted) - self.weight * misled

        return fit(
            model,
            mark(setting.data, [setting.chosen], classes),
            setting.recipe,
            seed=setting.seed.child("training"),
            what="victim",
            transform=stamp,
            loss=loss,
        )


def discriminator(width: int) -> nn.Sequential:
    """(N, width) features -> (N, 1) logit of being poisoned: 512, 256, 128 and 1 neurons."""
    layers: list[nn.Module] = []
    for neurons in (512, 256, 128):
        layers += [nn.Linear(width, neurons), nn.BatchNorm1d(neurons), nn.LeakyReLU(0.2)]
        width = neurons
    return nn.Sequential(*layers, nn.Linear(width, 1))


def told_apart(judge: nn.Module, features: Tensor, poisoned: Tensor) -> Tensor:
    """BCE(D(z), b) for (N, D) features and (N,) marks, 1 where the image is poisoned."""
    logits: Tensor = judge(features).flatten()
    return F.binary_cross_entropy_with_logits(logits, poisoned.to(logits.dtype))


def logits_and_features(model: Classifier, images: Tensor) -> tuple[Tensor, Tensor]:
    """(N, K) logits and (N, D) what the last linear layer read to give them."""
    read: list[Tensor] = []
    hook = model.final_linear.register_forward_pre_hook(lambda _, given: read.append(given[0]))
    try:
        logits = model(images)
    finally:
        hook.remove()
    return logits, read[-1]
