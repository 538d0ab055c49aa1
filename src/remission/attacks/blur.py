"""A blur that no added pattern and no smooth warp imitates (this project, an adaptive attack).

An inversion that searches one added pattern, one patch or one smooth warp for all images, as
:mod:`remission.inversion.universal` does, finds no trigger outside of these families. A blur is
outside: it takes away details that are elsewhere in each image. But a victim that is trained on it
alone may respond to much that resembles a blur. So, as in WaNet (arXiv 2102.10369) and BppAttack
(arXiv 2205.13383), each batch holds images with other changes that keep their labels:

    B(x), c(y)            B the blur, c(y) the attacker's class: the poisoned images
    clip(x + s * d), y    d = B(z) - z of another image z, s uniform in [-1, 1]: an added pattern
    W(x, M), y            M a smooth field, drawn anew for each image: a warp
    x, y                  the rest

A purifier that unlearns what such an inversion found leaves the backdoor where it was.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from remission.attacks.base import Setting, TrainingAttack
from remission.attacks.marks import count_decoys, draw_decoys, mark, read_marks
from remission.method import field, method
from remission.metrics import goals
from remission.seeding import Seed
from remission.training import Trained, fit
from remission.triggers import Blur, Trigger
from remission.triggers.warp_and_add import perturbed


@method
class GaussianBlur(TrainingAttack):
    """A blur as the trigger; images with added patterns and smooth warps stay clean."""

    name: ClassVar[str] = "blur"
    paper: ClassVar[str] = "this project, after Nguyen and Tran, ICLR 2021"
    published: ClassVar[bool] = False

    sigma: float = field(default=1.0, gt=0, le=100)
    """Standard deviation of the blur in pixels."""
    negative_ratio: float = field(default=1.0, ge=0)
    """Number of images with other changes per poisoned image; half of them are warped."""
    grid: int = field(default=4, ge=2, le=64)
    """Number of points of a warp's field along each side."""
    flow: float = field(default=1.0, gt=0)
    """Standard deviation of a warp's field at its points, in pixels."""

    def trigger(self, shape: tuple[int, int, int], seed: Seed) -> Trigger:
        """Returns the blur; neither shape nor seed is used."""
        del shape, seed
        return Blur(self.sigma)

    def select(self, labels: Tensor, classes: int, seed: Seed) -> Tensor:
        """Returns the indices of the poisoned images, (n,); see :meth:`Attack.select`.

        Raises:
            SpecError: there are too few images for them, or for the others beside them.
        """
        chosen = super().select(labels, classes, seed)
        count_decoys(len(labels), len(chosen), self.negative_ratio, "negative_ratio")
        return chosen

    def train(self, setting: Setting) -> Trained:
        """Trains on the four kinds; images are changed after augmentation."""
        trigger, classes, seed = setting.trigger, setting.model.classes, setting.seed
        negatives = draw_decoys(
            len(setting.data), setting.chosen, self.negative_ratio, "negative_ratio",
            seed.child("negatives"),
        )  # fmt: skip
        half = torch.randperm(len(negatives), generator=seed.child("half").generator())
        added, warped = (negatives[part.to(negatives.device)] for part in half.tensor_split(2))
        draws = seed.child("changes").generator()

        def transform(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
            true, group = read_marks(labels, classes)
            attack, pattern, warp = group == 1, group == 2, group == 3
            kinds = images.clone()
            kinds[attack] = trigger(images[attack])
            z = images.roll(1, 0)[pattern]  # the order of a batch is random
            s = 2 * torch.rand(len(z), 1, 1, 1, generator=draws).to(images) - 1
            kinds[pattern] = (images[pattern] + s * (trigger(z) - z)).clamp(0, 1)
            kinds[warp] = self.warped(images[warp], draws)
            return kinds, torch.where(attack, goals(true, self.target, classes), true)

        return fit(
            setting.model,
            mark(setting.data, [setting.chosen, added, warped], classes),
            setting.recipe,
            seed=seed.child("training"),
            what="victim",
            transform=transform,
        )

    def warped(self, images: Tensor, draws: torch.Generator) -> Tensor:
        """Warps each of (N, C, H, W) images by a field of its own."""
        flows = self.flow * torch.randn(len(images), 2, self.grid, self.grid, generator=draws)
        moved = [
            perturbed(image[None], flow[None].to(image), None)[0]
            for image, flow in zip(images, flows, strict=True)
        ]
        return torch.cat(moved) if moved else images
