"""Input-aware backdoor: another trigger for each image (Nguyen, Tran, NeurIPS 2020, 2010.08138).

Networks make a mask m(x) and a pattern g(x), x' = (1 - m(x)) * x + m(x) * g(x). First the mask's
network is trained alone, then the pattern's together with the classifier f:

    min  lambda_norm * mean relu(m(x) - density) + lambda_div * L_div(m)
    min  mean CE(f(x~), y~) + lambda_div * L_div(g)

where each image of a batch is of one of three kinds: (x~, y~) is (x, y), or (x', c(y)), or (x with
the trigger of another image z, y), c(y) the attacker's class. Images of the third kind make a
trigger work on its own image only. L_div(g) = mean of |x - z| / (|g(x) - g(z)| + 1e-7) over pairs
of images, |.| the root mean square; in the second loss a pair is an image of the second kind and a
z of the third.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from remission.attacks.base import Setting, TrainingAttack
from remission.attacks.marks import count_decoys, draw_decoys, mark, read_marks
from remission.method import field, method
from remission.metrics import goals
from remission.seeding import Seed
from remission.training import Recipe, Trained, fit
from remission.training.loop import check_finite
from remission.triggers import Generated, Trigger, check_levels


@method
class InputAware(TrainingAttack):
    """A mask and a pattern for each image, made by networks that the attacker trains."""

    name: ClassVar[str] = "input_aware"
    paper: ClassVar[str] = "Nguyen and Tran, NeurIPS 2020, arXiv 2010.08138"

    mask_density: float = field(default=0.032, gt=0, lt=1)
    """Share of an image that its mask may cover (0.032 in the authors' code)."""
    mask_epochs: int = field(default=25, ge=1)
    """Epochs of the mask's network, before the victim's training (25 in the authors' code)."""
    cross_ratio: float = field(default=1.0, ge=0)
    """Number of images with another image's trigger per poisoned image: rho_c / rho_b, 0.1 / 0.1 in
    the paper."""
    lambda_div: float = field(default=1.0, ge=0)
    """Weight of the diversity losses (1 in the paper)."""
    lambda_norm: float = field(default=100.0, ge=0)
    """Weight of the mask's density (100 in the authors' code)."""
    generator_lr: float = field(default=0.01, gt=0)
    """Learning rate of both networks (Adam; 0.01 in the paper)."""
    filters: int = field(default=32, ge=1, le=1024)
    """Channels of the networks' first level (32 in the paper; 16 on MNIST)."""
    levels: int = field(default=4, ge=1, le=6)
    """Number of resolutions of the networks (4 in the paper; 3 on MNIST)."""

    def trigger(self, shape: tuple[int, int, int], seed: Seed) -> Trigger:
        """Makes the two networks, untrained.

        Raises:
            SpecError: the images are too small for so many levels.
        """
        check_levels(shape, self.levels, self.name)
        with seed.initialising():
            return Generated(shape[0], self.filters, self.levels)

    def select(self, labels: Tensor, classes: int, seed: Seed) -> Tensor:
        """Returns the indices of the poisoned images, (n,); see :meth:`Attack.select`.

        Raises:
            SpecError: there are too few images for them, or for the decoys beside them.
        """
        chosen = super().select(labels, classes, seed)
        count_decoys(len(labels), len(chosen), self.cross_ratio, "cross_ratio")
        return chosen

    def prepare(self, setting: Setting) -> None:
        """Trains the mask's network on all images; it stays as it is afterwards."""
        trigger = setting.trigger
        assert isinstance(trigger, Generated)
        recipe = Recipe(
            epochs=self.mask_epochs, lr=self.generator_lr, optimizer="adam", schedule="cosine",
            batch_size=setting.recipe.batch_size, augment=setting.recipe.augment,
        )  # fmt: skip
        fit(
            trigger.masks,
            setting.data,
            recipe,
            seed=setting.seed.child("masks"),
            what="masks",
            loss=lambda images, _: self.mask_loss(images, trigger.mask(images)),
            beside=(),
        )
        trigger.masks.requires_grad_(False)

    def crossed(self, setting: Setting) -> Tensor:
        """Draws the images that get another image's trigger; returns their indices, (m,)."""
        return draw_decoys(
            len(setting.data), setting.chosen, self.cross_ratio, "cross_ratio",
            setting.seed.child("crossed"),
        )  # fmt: skip

    def mask_loss(self, images: Tensor, masks: Tensor) -> Tensor:
        """lambda_norm * mean relu(m(x) - density) + lambda_div * L_div(m), z the image before x."""
        density = F.relu(masks - self.mask_density).mean()
        div = diversity_loss(images, images.roll(1, 0), masks, masks.roll(1, 0))
        return self.lambda_norm * density + self.lambda_div * div

    def train(self, setting: Setting) -> Trained:
        """Trains the pattern's network and the classifier on the same loss."""
        model, trigger, classes = setting.model, setting.trigger, setting.model.classes
        assert isinstance(trigger, Generated)
        crossed = self.crossed(setting)
        patterns = list(trigger.patterns.parameters())
        optimizer = torch.optim.Adam(patterns, self.generator_lr, betas=(0.5, 0.9))

        def loss(images: Tensor, labels: Tensor) -> Tensor:
            true, group = read_marks(labels, classes)
            attack, cross = group == 1, group == 2
            targets = torch.where(attack, goals(true, self.target, classes), true)
            shown, div = self.batch(trigger, images, attack, cross)
            return F.cross_entropy(model(shown), targets) + self.lambda_div * div

        def step_patterns() -> None:
            optimizer.step()
            optimizer.zero_grad()

        trained = fit(
            model,
            mark(setting.data, [setting.chosen, crossed], classes),
            setting.recipe,
            seed=setting.seed.child("training"),
            what="victim",
            loss=loss,
            after_step=step_patterns,
            beside=(trigger, optimizer),
        )
        check_finite(trigger, "patterns")
        return trained

    def batch(
        self, trigger: Generated, images: Tensor, attack: Tensor, cross: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Returns the images as the classifier sees them, (B, C, H, W), and L_div(g), a scalar.

        Args:
            trigger: both networks.
            images: (B, C, H, W).
            attack: (B,) bool: images that get their own trigger.
            cross: (B,) bool: images that get the trigger of z, the image before them.
        """
        own, z = images[attack], images.roll(1, 0)[cross]  # the order of a batch is random
        if not len(own) + len(z):
            return images, images.new_zeros(())
        sources = torch.cat([own, z])
        g, m = trigger.pattern(sources), trigger.mask(sources)
        shown = images.clone()
        shown[attack] = trigger.merge(own, g[: len(own)], m[: len(own)])
        shown[cross] = trigger.merge(images[cross], g[len(own) :], m[len(own) :])
        pairs = min(len(own), len(z))
        if not pairs:
            return shown, images.new_zeros(())
        others = slice(len(own), len(own) + pairs)
        return shown, diversity_loss(own[:pairs], z[:pairs], g[:pairs], g[others])


def diversity_loss(x: Tensor, z: Tensor, of_x: Tensor, of_z: Tensor) -> Tensor:
    """Returns the mean of ||x - z|| / (||a(x) - a(z)|| + 1e-7) over pairs, norms as RMS.

    Args:
        x: (N, C, H, W) images.
        z: (N, C, H, W), the other image of each pair.
        of_x: a(x), (N, ...), the output of a network.
        of_z: a(z), (N, ...).
    """

    def norm(a: Tensor) -> Tensor:
        flat = a.flatten(1)
        lengths: Tensor = torch.linalg.vector_norm(flat, dim=1)
        return lengths / math.sqrt(flat.shape[1])

    return (norm(x - z) / (norm(of_x - of_z) + 1e-7)).mean()
