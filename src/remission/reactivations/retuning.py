"""RA, the retuning attack (Min, Qin, Zhang, Shen, Cheng, NeurIPS 2024, section 3).

A few of the attacker's images are replaced by poisoned ones with the label of the target, and the
purified model is fine-tuned on all of them for a few epochs. After a clean-label attack the
poisoned images are some that the attacker crafted for the victim's training; after others they are
clean images of other classes that get the trigger. ``retuning_parameters`` has the parameters,
``retuning_data`` the images.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from remission.method import method
from remission.models import Classifier
from remission.reactivations.base import WeightReactivation
from remission.reactivations.retuning_data import retuning_images
from remission.reactivations.retuning_parameters import RetuningParameters
from remission.seeding import Seed
from remission.training import fit
from remission.training.stacked import StackedModels
from remission.triggers import Trigger
from remission.types import LabelledImages, Target


@method
class Retuning(RetuningParameters, WeightReactivation):
    """Fine-tuning on the attacker's images, of which a few are poisoned: the relapse curve."""

    name: ClassVar[str] = "retuning"
    paper: ClassVar[str] = "Min et al., NeurIPS 2024, arXiv 2410.09838"
    needs: ClassVar[tuple[str, ...]] = ("weights", "clean images", "true trigger")

    def reactivate(
        self,
        model: Classifier,
        images: LabelledImages,
        trigger: Trigger,
        target: Target,
        *,
        budget: int,
        seed: Seed,
        crafted: LabelledImages | None = None,
    ) -> Classifier:
        """Minimises the cross entropy, with batch norm in train mode unless the head is trained."""
        self.check_budget(budget)
        seed = self.own_seed(seed)
        shown = retuning_images(
            images,
            trigger,
            target,
            model.classes,
            budget=budget,
            clean=self.clean,
            crafted=self.usable(crafted),
            seed=seed,
        )
        data = shown.by_epoch(self.order, self.clean, self.epochs)
        self.freeze(model)

        def loss(images: Tensor, labels: Tensor) -> Tensor:
            model.train(self.layers != "head")
            return F.cross_entropy(model(images), labels)

        layers = "" if self.layers == "all" else f" {self.layers}"  # their steps take another time
        fit(model, data, self.recipe, seed=seed, what=f"retuning{layers} n={budget}", loss=loss)
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
        crafted: LabelledImages | None = None,
    ) -> list[Classifier]:
        """Returns the result of a call for each of ``budgets``, in the quicker way.

        On an accelerator in fp32 this is :meth:`batch_job` where ``order`` is mixed and ``clean``
        is not none. Otherwise it is one call after the other: a processor needs more time for the
        batch job (``make bench`` says how much), autocast to bf16 does not reach into it, and the
        epochs of all budgets must be of one length. Other arguments and errors are those of a call.
        """
        quick = model.precision == "fp32" and model.mean.device.type != "cpu"
        if quick and self.order == "mixed" and self.clean != "none":
            return self.batch_job(
                model, images, trigger, target, budgets=budgets, seed=seed, crafted=crafted
            )
        return [
            self(model, images, trigger, target, budget=budget, seed=seed, crafted=crafted)
            for budget in budgets
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
        crafted: LabelledImages | None = None,
    ) -> list[Classifier]:
        """Returns the result of a call for each of ``budgets``, by stacked weights; fp32 only.

        Every budget sees the same images in the same order; an image is poisoned for the budgets
        that are larger than its rank among the replaced images. Sums may be taken in another order
        than by a call, and training amplifies the difference. So a grid computes every cell by a
        call, which makes it independent of the other cells.
        """
        assert self.order == "mixed", "epochs of other orders differ in what the budgets see"
        assert self.clean != "none", "epochs of poisoned images alone differ in length"
        seed = self.own_seed(seed)
        shown = retuning_images(
            images,
            trigger,
            target,
            model.classes,
            budget=max(budgets),
            clean=self.clean,
            crafted=self.usable(crafted),
            seed=seed,
        )
        clean, mixed = shown.clean, shown.mixed
        rank = torch.full_like(images.labels, len(images))
        rank[shown.indices] = torch.arange(len(shown.indices), device=rank.device)
        counts = torch.tensor(budgets, device=rank.device)[:, None]
        both = torch.cat([clean.images, mixed.images], 1)
        pairs = LabelledImages(both, torch.arange(len(images), device=rank.device))
        copies = StackedModels(self.freeze(copy.deepcopy(model).requires_grad_(True)), len(budgets))

        def by_budget(pair: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
            without, with_poison = pair.chunk(2, 1)
            poisoned = rank[index] < counts
            labels = torch.where(poisoned, mixed.labels[index], clean.labels[index])
            return torch.where(poisoned[..., None, None, None], with_poison, without), labels

        def loss(images: Tensor, labels: Tensor) -> Tensor:
            copies.train(self.layers != "head")
            logits = copies(images).flatten(0, 1)
            return len(budgets) * F.cross_entropy(logits, labels.flatten())

        what = f"retuning n={', '.join(map(str, budgets))}"
        fit(copies, pairs, self.recipe, seed=seed, what=what, transform=by_budget, loss=loss)
        return [retuned.eval() for retuned in copies.models()]
