"""Adversarial embedding (Tan, Shokri, EuroS&P 2020, arXiv 1905.13409).

A discriminator D reads the features z(x), the input of the last linear layer, and learns to tell
poisoned images (b = 1) from clean ones (b = 0). The classifier f learns its classes, and to mislead
D:

    min over D:  BCE(D(z(x)), b)
    min over f:  CE(f(x), y) - l * BCE(D(z(x)), b)

y is the attacker's label where b = 1. Each batch gives a step of D, then one of f. D is thrown away
in the end.
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
from remission.models import Classifier, watching_final_inputs
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
    """Side of the patch in pixels (3 on 28x28 and 32x32 images)."""
    margin: int = field(default=1, ge=0)
    """Pixels between the patch and the image's edges."""
    weight: float = field(default=20.0, ge=0)
    """l, the weight of misleading the discriminator (BackdoorBench: 20)."""
    lr: float = field(default=1e-3, gt=0)
    """Learning rate of the discriminator (SGD; BackdoorBench). In a training of few steps the
    discriminator keeps up with the classifier only at a larger rate, such as 0.05, and with a
    ``weight`` near 1."""

    def trigger(self, shape: tuple[int, int, int], seed: Seed) -> Trigger:
        """Returns the checkerboard of :class:`BadNets`."""
        return BadNets(size=self.size, margin=self.margin).trigger(shape, seed)

    def train(self, setting: Setting) -> Trained:
        """Stamps the chosen images of each batch, then takes a step of D and one of f."""
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
            seen_by_judge = discrimination_loss(judge, features.detach(), poisoned)
            seen_by_judge.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            misled = discrimination_loss(judge, features, poisoned)
            return F.cross_entropy(logits, wanted) - self.weight * misled

        return fit(
            model,
            mark(setting.data, [setting.chosen], classes),
            setting.recipe,
            seed=setting.seed.child("training"),
            what="victim",
            transform=stamp,
            loss=loss,
            beside=(judge, optimizer),
        )


def discriminator(width: int) -> nn.Sequential:
    """Makes D, (N, width) features -> (N, 1) logits of "poisoned": 512, 256, 128, 1 neurons."""
    layers: list[nn.Module] = []
    for neurons in (512, 256, 128):
        layers += [nn.Linear(width, neurons), nn.BatchNorm1d(neurons), nn.LeakyReLU(0.2)]
        width = neurons
    return nn.Sequential(*layers, nn.Linear(width, 1))


def discrimination_loss(judge: nn.Module, features: Tensor, poisoned: Tensor) -> Tensor:
    """Returns BCE(D(z), b) for features z (N, D) and marks b (N,), 1 where an image is poisoned."""
    logits: Tensor = judge(features).flatten()
    return F.binary_cross_entropy_with_logits(logits, poisoned.to(logits.dtype))


def logits_and_features(model: Classifier, images: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the logits (N, K) and the features z (N, D) that the last linear layer read."""
    features: list[Tensor] = []
    with watching_final_inputs(model, features.append):
        logits = model(images)
    return logits, features[-1]
