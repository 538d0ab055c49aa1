"""RA, the retuning attack (Min, Qin, Zhang, Shen, Cheng, NeurIPS 2024, section 3).

A few of the attacker's clean images get the trigger and the label of the target, and the purified
model is fine-tuned on all of the attacker's images for a few epochs.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import NonNegativeInt
from torch import Tensor

from remission.attacks.base import poison
from remission.errors import SpecError
from remission.method import field, method
from remission.metrics import counted
from remission.models import Classifier
from remission.reactivations.base import Poisoning, WeightReactivation
from remission.seeding import Seed
from remission.training import Recipe, fit
from remission.training.batches import Augment
from remission.training.stacked import StackedModels
from remission.triggers import Trigger
from remission.types import LabelledImages, Target


@method
class Retuning(Poisoning, WeightReactivation):
    """Fine-tuning on the attacker's images, of which a few are poisoned: the relapse curve."""

    name: ClassVar[str] = "retuning"
    paper: ClassVar[str] = "Min et al., NeurIPS 2024, arXiv 2410.09838"
    needs: ClassVar[tuple[str, ...]] = ("weights", "clean images", "true trigger")

    budgets: tuple[NonNegativeInt, ...] = field(default=(1, 5, 20, 100), min_length=1, strict=False)
    """Numbers of poisoned images, with one retuning for each (5 in the paper). The images of a
    smaller budget are among those of a larger one."""
    epochs: int = field(default=5, ge=1)
    """Passes over the attacker's images (5 in the paper)."""
    layers: Literal["all", "head"] = "all"
    """The layers that are trained: all, as in the paper; or head, the last linear layer alone, on
    features in eval mode, as the model is used."""
    optimizer: Literal["sgd", "adam"] = "sgd"
    """sgd, as in the paper; or adam, which needs a learning rate of about 0.001."""
    lr: float = field(default=0.01, gt=0)
    """Learning rate, constant (0.01 in the paper)."""
    momentum: float = field(default=0.9, ge=0, lt=1)
    """Momentum of SGD (0.9 in the paper); Adam does not use it."""
    batch_size: int = field(default=128, ge=2)
    """Images per batch (128 in the paper)."""
    augment: Augment = "none"
    """Augmentation of the attacker's images."""

    def reactivate(
        self,
        model: Classifier,
        images: LabelledImages,
        trigger: Trigger,
        target: Target,
        *,
        budget: int,
        seed: Seed,
    ) -> Classifier:
        """Minimises the cross entropy of all layers in train mode, or of the head alone."""
        chosen, wanted = self._chosen(images, target, model.classes, budget, seed)
        data = poison(images, chosen, trigger, wanted)
        self._freeze(model)

        def loss(images: Tensor, labels: Tensor) -> Tensor:
            model.train(self.layers == "all")
            return F.cross_entropy(model(images), labels)

        fit(model, data, self._recipe, seed=seed, what=f"retuning n={budget}", loss=loss)
        return model

    def all_at_once(
        self,
        model: Classifier,
        images: LabelledImages,
        trigger: Trigger,
        target: Target,
        *,
        budgets: Sequence[int],
        seed: Seed,
    ) -> list[Classifier]:
        """Returns the result of a call for each of ``budgets``, in the quicker way.

        On an accelerator in fp32 this is :meth:`batch_job`; otherwise it is one call after the
        other, since a processor needs more time for the batch job (``make bench`` says how much),
        and autocast to bf16 does not reach into it. Other arguments and errors are those of a call.
        """
        if model.precision == "fp32" and model.mean.device.type != "cpu":
            return self.batch_job(model, images, trigger, target, budgets=budgets, seed=seed)
        return [
            self(model, images, trigger, target, budget=budget, seed=seed) for budget in budgets
        ]

    def batch_job(
        self,
        model: Classifier,
        images: LabelledImages,
        trigger: Trigger,
        target: Target,
        *,
        budgets: Sequence[int],
        seed: Seed,
    ) -> list[Classifier]:
        """Returns the result of a call for each of ``budgets``, by stacked weights; fp32 only.

        Every budget sees the same images in the same order; an image is poisoned for the budgets
        that are larger than its place among the chosen images. Sums may be taken in another order
        than by a call, and training amplifies the difference. So a grid computes every cell by a
        call, which makes it independent of the other cells.
        """
        chosen, wanted = self._chosen(images, target, model.classes, max(budgets), seed)
        poisoned = poison(images, chosen, trigger, wanted)
        place = torch.full_like(images.labels, len(images))
        place[chosen] = torch.arange(len(chosen), device=place.device)
        counts = torch.tensor(budgets, device=place.device)[:, None]
        both = torch.cat([images.images, poisoned.images], 1)
        pairs = LabelledImages(both, torch.arange(len(images), device=place.device))
        copies = StackedModels(
            self._freeze(copy.deepcopy(model).requires_grad_(True)), len(budgets)
        )

        def by_budget(pair: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
            clean, stamped = pair.chunk(2, 1)
            stamp = place[index] < counts
            labels = torch.where(stamp, poisoned.labels[index], images.labels[index])
            return torch.where(stamp[..., None, None, None], stamped, clean), labels

        def loss(images: Tensor, labels: Tensor) -> Tensor:
            copies.train(self.layers == "all")
            logits = copies(images).flatten(0, 1)
            return len(budgets) * F.cross_entropy(logits, labels.flatten())

        what = f"retuning n={', '.join(map(str, budgets))}"
        fit(copies, pairs, self._recipe, seed=seed, what=what, transform=by_budget, loss=loss)
        return [retuned.eval() for retuned in copies.models()]

    def _chosen(
        self, images: LabelledImages, target: Target, classes: int, budget: int, seed: Seed
    ) -> tuple[Tensor, Tensor]:
        """Draws the images to poison; returns their indices and new labels, both (budget,).

        Raises:
            SpecError: the attacker has fewer images outside the target class than the budget.
        """
        others, _, wanted = counted(images.labels, target, classes)
        if budget > len(others):
            raise SpecError(
                f"retuning: a budget of {budget} poisoned images, and the attacker has "
                f"{len(others)} images outside the target class",
                "use smaller budgets, or give the attacker more images in [split]",
            )
        order = torch.randperm(len(others), generator=seed.child("chosen").generator())
        first = order[:budget].to(others.device)
        return others[first], wanted[first]

    @property
    def _recipe(self) -> Recipe:
        return Recipe(
            epochs=self.epochs,
            lr=self.lr,
            optimizer=self.optimizer,
            momentum=self.momentum,
            batch_size=self.batch_size,
            augment=self.augment,
        )

    def _freeze(self, model: Classifier) -> Classifier:
        """Lets only the layers that are trained require gradients; returns ``model``."""
        if self.layers == "head":
            model.requires_grad_(False).final_linear.requires_grad_(True)
        return model
