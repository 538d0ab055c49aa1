"""SBL: sequential backdoor learning (Pham, Ta, Tran, Doan, ECCV 2024, arXiv 2407.14738).

The victim learns two tasks, one after the other. The first are the poisoned images, with
sharpness-aware minimisation, so that the backdoor lies in a flat region:

    g = grad L(w);  w <- SGD(w, grad L(w + rho * g / |g|)).

The second are clean images that the first task did not have, as if a defender fine-tuned the
victim already. Elastic weight consolidation (Kirkpatrick et al., PNAS 2017) holds the weights that
the first task needs where they were, at w*:

    min over w of  CE(f_w(x), y) + lambda * sum over i of F_i * (w_i - w*_i)^2,
    F_i = mean over the data of task 1 of  p(y|x) * (d log p(y|x) / d w_i)^2  at w*.

F is the diagonal of the Fisher information matrix, of which the authors' code takes the term of
each image's own label, as here. What a later fine-tuning would undo is thus undone before. The
patch is that of BadNets. The authors stamp other images in each epoch; here they are chosen once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from remission.attacks.badnets import BadNets
from remission.attacks.base import Setting, TrainingAttack
from remission.attacks.poisoning import poison
from remission.errors import SpecError
from remission.method import field, method
from remission.metrics import goals
from remission.models import Classifier, evaluating
from remission.progress import tracked
from remission.seeding import Seed
from remission.training import Recipe, Trained, Weights, fit
from remission.training.batches import share_of
from remission.training.sharpness import uphill
from remission.training.weights import Direction, norm
from remission.triggers import Trigger
from remission.types import LabelledImages


@method
class SBL(TrainingAttack):
    """A patch learned in a flat region, then clean images, as if a defender had fine-tuned."""

    name: ClassVar[str] = "sbl"
    paper: ClassVar[str] = "Pham et al., ECCV 2024, arXiv 2407.14738"

    size: int = field(default=3, ge=1)
    """Side of the patch in pixels (3 on 28x28 and 32x32 images)."""
    margin: int = field(default=1, ge=0)
    """Pixels between the patch and the image's edges."""
    rho: float = field(default=0.05, gt=0)
    """Distance to which the sharpness-aware minimisation looks (0.05 in the authors' code)."""
    clean_share: float = field(default=0.1, gt=0, lt=1)
    """Share of all training images that are left for the second task (0.1 in the authors' code)."""
    clean_epochs: int = field(default=100, ge=1)
    """Passes over these images in the second task (100 in the authors' code)."""
    clean_lr: float = field(default=1e-3, gt=0)
    """Learning rate of the second task, which is constant (1e-3 in the authors' code, a tenth of
    that of the first)."""
    ewc: float = field(default=1.0, ge=0)
    """lambda, the weight of the elastic weight consolidation (1 in the authors' code)."""
    fisher_images: int = field(default=1000, ge=1)
    """Number of poisoned and clean images of the first task behind F (all in the authors' code)."""

    def trigger(self, shape: tuple[int, int, int], seed: Seed) -> Trigger:
        """Returns the checkerboard of :class:`BadNets`."""
        return BadNets(size=self.size, margin=self.margin).trigger(shape, seed)

    def train(self, setting: Setting) -> Trained:
        """Learns both tasks.

        Raises:
            SpecError: fewer images than the second task asks for are not poisoned.
        """
        model, seed = setting.model, setting.seed
        poisoned, clean = self.tasks(setting)
        weights = Weights(model)

        first = fit(
            model, poisoned, setting.recipe, seed=seed.child("training"), what="victim",
            gradient=uphill(model, lambda _, gradients: steepest(gradients), self.rho), beside=(),
        )  # fmt: skip
        order = torch.randperm(len(poisoned), generator=seed.child("fisher").generator())
        importance = fisher(model, poisoned, order[: self.fisher_images])
        anchor = [w.detach().clone() for w in weights.now]

        def loss(images: Tensor, labels: Tensor) -> Tensor:
            held = consolidation(weights.now, anchor, importance)
            return F.cross_entropy(model(images), labels) + self.ewc * held

        second = fit(
            model, clean, self.second(setting.recipe), seed=seed.child("clean task"),
            what="clean task", loss=loss, beside=(),
        )  # fmt: skip
        return Trained(first.losses + second.losses)

    def tasks(self, setting: Setting) -> tuple[LabelledImages, LabelledImages]:
        """Returns the poisoned images of the first task and the clean ones of the second."""
        data, chosen = setting.data, setting.chosen
        unpoisoned = torch.ones(len(data), dtype=torch.bool)
        unpoisoned[chosen.cpu()] = False
        candidates = unpoisoned.nonzero().flatten()
        count = share_of(len(data), self.clean_share)
        if count >= len(candidates):
            raise SpecError(
                f"clean_share {self.clean_share} means {count} images, and {len(candidates)} are "
                "not poisoned",
                "use a smaller clean_share or poison_rate",
            )
        order = torch.randperm(len(candidates), generator=setting.seed.child("tasks").generator())
        second = candidates[order[:count]].sort().values
        in_first = torch.ones(len(data), dtype=torch.bool)
        in_first[second] = False
        wanted = goals(data.labels, self.target, setting.model.classes)
        poisoned = poison(data, chosen, setting.trigger, wanted[chosen])
        return poisoned[in_first.nonzero().flatten()], data[second]

    def second(self, recipe: Recipe) -> Recipe:
        """Returns the recipe of the second task."""
        return replace(recipe, epochs=self.clean_epochs, lr=self.clean_lr, schedule="constant")


@torch.no_grad()
def steepest(gradients: Direction) -> Direction:
    """Returns g / |g|, with one norm over all parameters."""
    return list(torch._foreach_div(gradients, norm(gradients).clamp_min(1e-12)))


def fisher(model: Classifier, data: LabelledImages, index: Tensor) -> Direction:
    """Returns F, one tensor per trainable parameter, from the images at ``index``, one by one.

    The model is in eval mode: an image's gradient does not depend on other images then.
    """
    weights = [p for p in model.parameters() if p.requires_grad]
    total = [torch.zeros_like(w) for w in weights]
    parts = torch.split(index, 1)
    with evaluating(model):
        for part in tracked(parts, "fisher information", len(parts)):
            label = data.labels[part.to(data.labels.device)]
            log_p = -F.cross_entropy(model(data.floats(part)), label)
            gradients = torch.autograd.grad(log_p, weights)
            share = log_p.detach().exp() / len(index)
            total = [f + share * g.square() for f, g in zip(total, gradients, strict=True)]
    return total


def consolidation(now: Direction, anchor: Direction, importance: Direction) -> Tensor:
    """Returns the sum over all weights of F_i * (w_i - w*_i)^2."""
    terms = [
        (f * (w - at).square()).sum() for w, at, f in zip(now, anchor, importance, strict=True)
    ]
    return torch.stack(terms).sum()
