"""Alternative triggers: other perturbations that activate the feature of the same backdoor.

In the backdoored model the trigger T moves the pooled last feature map h in one direction,

    v = m / ||m||,  m = mean over x of h(T(x)) - h(x).

A universal perturbation delta of clean images is trained to move h there without the trigger,

    max over |delta| <= epsilon of the mean over x of <h(clip(x + delta)) - h(x), v> / ||m||,

where 1 is as far as the trigger moves it; x are images of other classes than the target. Then delta
is applied to images of the purified model, which the attacker never sees. If these reach the target
although triggered images do not, the purifier unlearned the trigger and not the feature behind it.
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
from remission.reactivations.perturbations import Perturbation, UniversalPerturbation
from remission.seeding import Seed
from remission.training import Recipe, batches, fit
from remission.types import LabelledImages, Shape

_AT_ONCE = 250  # images per forward pass


@method
class Alternative(InputReactivation):
    """One perturbation that activates the victim's backdoor feature without the trigger."""

    name: ClassVar[str] = "alternative"
    paper: ClassVar[str] = (
        "this project; asks what Min et al., NeurIPS 2024, arXiv 2410.09838 leave open"
    )
    published: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ("clean images", "true trigger", "victim")
    triggered: ClassVar[bool] = False

    epochs: int = field(default=20, ge=1)
    """Passes over the attacker's images."""
    lr: float = field(default=0.005, gt=0)
    """Learning rate of Adam, with pixels in [0, 1]; it falls to 0 along a cosine."""
    batch_size: int = field(default=128, ge=2)
    """Images per batch."""

    def access(self) -> Access:
        """Returns that the method sees nothing of the model under attack."""
        return Access("nothing")

    def borrows(self) -> tuple[Other, ...]:
        """Returns that the method needs the backdoored model."""
        return ("victim",)

    def perturbation(self, shape: Shape, seed: Seed) -> Perturbation:
        """Makes a perturbation that starts as uniform noise."""
        return UniversalPerturbation(shape, self.epsilon, seed)

    def learn(
        self,
        perturbation: Perturbation,
        model: Classifier | Oracle | None,
        attacker: Attacker,
        *,
        budget: int | None,
        seed: Seed,
    ) -> None:
        """Trains the perturbation by gradient ascent on the projection above."""
        del model, budget
        victim = attacker.victim
        assert victim is not None
        assert isinstance(perturbation, UniversalPerturbation)
        clean = attacker.images[attacker.others()]
        before = pooled(victim, clean)
        m = pooled(victim, attacker.triggered()) - before
        length = torch.linalg.vector_norm(m).clamp_min(1e-12)
        towards = m / length

        def loss(images: Tensor, labels: Tensor) -> Tensor:
            del labels
            after = victim.features(perturbation(images)).mean((2, 3)).to(towards.dtype)
            # the mean of h(x) over all images and not over the batch: it has no gradient
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
    """Returns the last feature map, averaged over positions and images, (D,), in eval mode."""
    parts = batches(data, _AT_ONCE, generator=None)
    summed = torch.zeros((), dtype=model.mean.dtype, device=model.mean.device)
    for images, _ in tracked(parts, "", -(-len(data) // _AT_ONCE)):
        summed = summed + model.features(images).mean((2, 3)).sum(0)
    return summed / len(data)
