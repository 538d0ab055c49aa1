"""Grond: a backdoor without outlying channels (Xu, Liu, Koffas, Picek, CCS 2025, arXiv 2501.05928).

The trigger is a targeted universal adversarial perturbation (UPGD) against a clean model f of the
attacker's own. Each step takes a batch of images x and goes down the loss of the target class t:

    delta <- Proj( delta - alpha * sign( grad of mean over x of CE(f(clip(x + delta)), t) ) ),

Proj onto |delta| <= epsilon. Images of class t get it and keep their label. After each epoch of the
victim's training follows *adversarial backdoor injection*: the attacker plays the defender CLP. In
every batch norm behind a convolution, a channel k whose Lipschitz bound is outlying,

    sigma_k > mean(sigma) + u * std(sigma),

see :mod:`remission.models.tracing.lipschitz`, gets the mean scale and the mean shift of its batch
norm. So the backdoor is spread over many channels, and pruning cannot find it. As in the authors'
code, which keeps the weights as they were before the last correction, the last epoch has none.
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from remission.attacks.base import CleanLabel, Setting
from remission.method import field, method
from remission.models import Classifier
from remission.models.tracing.lipschitz import channel_lipschitz, outliers
from remission.models.tracing.structure import normalised_convolutions
from remission.progress import enough, tracked
from remission.seeding import Seed
from remission.training import Trained, fit
from remission.training.loop import updates_per_epoch
from remission.triggers import Additive
from remission.types import LabelledImages


@method
class Grond(CleanLabel):
    """An adversarial perturbation, learned without outlying channels; labels stay true."""

    name: ClassVar[str] = "grond"
    paper: ClassVar[str] = "Xu et al., CCS 2025, arXiv 2501.05928"
    needs: ClassVar[tuple[str, ...]] = ("training process", "batch norm", "convolutions")

    poison_rate: float = field(default=0.05, gt=0, lt=1)
    """Share of all training images that are poisoned (paper: 0.05, half of one class of ten)."""
    epsilon: float = field(default=8.0, gt=0, le=255)
    """Largest change of a pixel by the perturbation, in 255ths (8 in the paper)."""
    steps: int = field(default=500, ge=1)
    """Steps of the perturbation, each of epsilon / 5 (500 in the authors' code)."""
    batch_size: int = field(default=256, ge=2)
    """Images per step (256 in the authors' code)."""
    u: float = field(default=3.0, ge=0)
    """Number of standard deviations above the mean from which a channel is outlying (3 in the
    authors' code). Of n channels none lies further out than (n - 1) / sqrt(n)."""

    def trigger(self, shape: tuple[int, int, int], seed: Seed) -> Additive:
        """Returns the perturbation before its first step, which changes nothing."""
        del seed
        return Additive(torch.zeros(shape))

    def prepare(self, setting: Setting) -> None:
        """Searches the perturbation against a clean model."""
        f, trigger = setting.surrogate().requires_grad_(False), setting.trigger
        assert isinstance(trigger, Additive)
        data, draws = setting.data, setting.seed.child("perturbation").generator()
        for _ in tracked(range(self.steps), "trigger", self.steps):
            index = torch.randperm(len(data), generator=draws)[: enough(self.batch_size)]
            trigger.pattern.copy_(self.step(f, data.floats(index), trigger.pattern))

    def step(self, f: Classifier, images: Tensor, delta: Tensor) -> Tensor:
        """Returns delta (C, H, W) after one step on images (B, C, H, W) in [0, 1]."""
        epsilon = self.epsilon / 255
        delta = delta.detach().clone().requires_grad_(True)
        with torch.enable_grad():
            logits = f((images + delta).clamp(0, 1))
            goal = torch.full((len(images),), self.target, device=images.device)
            loss = F.cross_entropy(logits, goal)
        (g,) = torch.autograd.grad(loss, delta)
        return (delta.detach() - epsilon / 5 * g.sign()).clamp(-epsilon, epsilon)

    def train_victim(self, setting: Setting, data: LabelledImages) -> Trained:
        """Trains on the poisoned images, and corrects the victim after each epoch but the last."""
        model, recipe = setting.model, setting.recipe
        per_epoch = updates_per_epoch(len(data), recipe.batch_size)
        pairs, updates = normalised_convolutions(model), Counter()

        def correct() -> None:
            epoch, rest = divmod(updates.next(), per_epoch)
            if rest == 0 and epoch < recipe.epochs:
                for conv, norm in pairs:
                    level_outliers(conv, norm, self.u)

        seed = setting.seed.child("training")
        return fit(
            model, data, recipe, seed=seed, what="victim", after_step=correct, beside=(updates,)
        )


class Counter(nn.Module):
    """Counts; a module, so that the number lies in the snapshots of a training."""

    def __init__(self) -> None:
        super().__init__()
        self.count: Tensor
        self.register_buffer("count", torch.tensor(0))

    def next(self) -> int:
        """Returns 1, then 2, and so on."""
        self.count += 1
        return int(self.count)


@torch.no_grad()
def level_outliers(conv: nn.Conv2d, norm: _BatchNorm, u: float) -> None:
    """Gives channels with an outlying bound the mean scale and shift of their batch norm."""
    outlying = outliers(channel_lipschitz(conv, norm), u)
    norm.weight[outlying] = norm.weight.mean()
    norm.bias[outlying] = norm.bias.mean()
