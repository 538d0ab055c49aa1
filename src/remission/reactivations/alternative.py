"""Alternative triggers: other images that fire the feature of the same backdoor.

In the backdoored model the trigger T moves the pooled last feature map h in one direction,

    v = m / ||m||,  m = mean over x of h(T(x)) - h(x).

A universal perturbation of clean images is trained to move it there without the trigger,

    max over |delta| <= epsilon of the mean over x of <h(clip(x + delta)) - h(x), v> / ||m||,

so that 1 is as far as the trigger itself moves it, and then shown to the purified model, which is
never asked. If it reaches the target there although the trigger does not, then the purifier
unlearned the trigger and not what lay behind it. Images of classes other than the target.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from remission.method import field, method
from remission.models import Classifier
from remission.progress import tracked
from remission.reactivations.access import Access, Oracle
from remission.reactivations.attacker import Attacker, Other
from remission.reactivations.base import InputReactivation
from remission.reactivations.perturbations import Perturbation, Shape, Universal
from remission.seeding import Seed
from remission.training import Recipe, batches, fit
from remission.types import LabelledImages

_AT_ONCE = 250  # images a forward pass


@method
class Alternative(InputReactivation):
    """One perturbation of clean images that fires the victim's backdoor feature, trigger unseen."""

    name: ClassVar[str] = "alternative"
    paper: ClassVar[str] = "ours; asks what Min et al., NeurIPS 2024, arXiv 2410.09838 leave open"
    needs: ClassVar[tuple[str, ...]] = ("clean images", "true trigger", "victim")
    triggered: ClassVar[bool] = False

    epochs: int = field(default=20, ge=1)
    """Passes over the attacker's images."""
    lr: float = field(default=0.005, gt=0)
    """Learning rate of Adam, in units of the images' range [0, 1]; falls to 0 along a cosine."""
    batch_size: int = field(default=128, ge=2)
    """Images a batch."""

    def access(self) -> Access:
        """None at all."""
        return Access("nothing")

    def borrows(self) -> tuple[Other, ...]:
        """The backdoored model."""
        return ("victim",)

    def perturbation(self, shape: Shape, seed: Seed) -> Perturbation:
        """Uniform noise."""
        return Universal(shape, self.epsilon, seed)

    def learn(
        self,
        perturbation: Perturbation,
        model: Classifier | Oracle | None,
        attacker: Attacker,
        *,
        budget: int | None,
        seed: Seed,
    ) -> None:
        """Gradient ascent on the projection."""
        del model, budget
        victim = attacker.victim
        assert victim is not None
        assert isinstance(perturbation, Universal)
        clean = attacker.images[attacker.others()]
        m = pooled(victim, attacker.triggered()) - pooled(victim, clean)
        length = torch.linalg.vector_norm(m).clamp_min(1e-12)
        towards = m / length

        def loss(images: Tensor, labels: Tensor) -> Tensor:
            del labels
            with torch.no_grad():
                before = victim.features(images).mean((2, 3)).to(towards.dtype)
            after = victim.features(perturbation(images)).mean((2, 3)).to(towards.dtype)
            gain: Tensor = ((after - before) @ towards).mean() / length
            return -gain

        recipe = Recipe(
            epochs=self.epochs,
            lr=self.lr,
            optimizer="adam",
            schedule="cosine",
            batch_size=self.batch_size,
        )
        fit(
            perturbation,
            clean,
            recipe,
            seed=seed,
            what=f"{self.name}: perturbation",
            loss=loss,
            after_step=perturbation.project,
        )


@torch.no_grad()
def pooled(model: Classifier, data: LabelledImages) -> Tensor:
    """(D,) the last feature map of a model in eval mode, averaged over positions and images."""
    parts = batches(data, _AT_ONCE, generator=None)
    summed = torch.zeros(
        model.final_linear.in_features, dtype=model.mean.dtype, device=model.mean.device
    )
    for images, _ in tracked(parts, "", -(-len(data) // _AT_ONCE)):
        summed += model.features(images).mean((2, 3)).sum(0)
    return summed / len(data)
