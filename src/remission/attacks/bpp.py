"""BppAttack: fewer bits per pixel, dithered (Wang, Zhai, Ma, CVPR 2022, arXiv 2205.13383).

The trigger T leaves L levels per channel. Three kinds of images are learned together:

    T(x), c(y)  with c(y) the attacker's class
    x + d, y    negatives, d a change of the trigger's size that is not the trigger of x
    x, y

so that the victim reacts to the quantisation itself and not to small noise of any kind. The paper
makes d by an adversarial attack; the authors' code and BackdoorBench take it from other images,
d = T(x') - x', which costs nothing. Grey images have one channel and thus L values in all: the
trigger is then much easier to see. An image that is only black and white does not change at all.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from remission.attacks.base import Setting, TrainingAttack
from remission.attacks.marks import count_decoys, draw_decoys, mark, read_marks
from remission.method import field, method
from remission.metrics import goals
from remission.models import Classifier, evaluating
from remission.seeding import Seed
from remission.training import Trained, fit
from remission.triggers import Quantise, Trigger


@method
class Bpp(TrainingAttack):
    """Quantisation with dithering as the trigger; images with other small changes stay clean."""

    name: ClassVar[str] = "bpp"
    paper: ClassVar[str] = "Wang et al., CVPR 2022, arXiv 2205.13383"

    squeeze_num: int = field(default=8, ge=2, le=128)
    """L, the number of levels that are left per channel (8 in the authors' code: 3 bits)."""
    dithering: bool = True
    """Whether rounding errors are diffused (Floyd and Steinberg), as in the paper. BackdoorBench
    switches it off."""
    negative_ratio: float = field(default=1.0, ge=0)
    """Number of negatives per poisoned image (shares of the images: 0.2 and 0.2 in the authors'
    code, 0.1 and 0.1 in BackdoorBench)."""
    negatives: Literal["residual", "adversarial"] = "residual"
    """Where d comes from. residual: T(x') - x' of another image x' (authors' code, BackdoorBench);
    adversarial: projected gradient descent to the attacker's class, by at most half a level."""
    steps: int = field(default=5, ge=1)
    """Steps of the adversarial attack; not used for residuals."""

    def trigger(self, shape: tuple[int, int, int], seed: Seed) -> Trigger:
        """Returns the quantisation; neither shape nor seed is used."""
        del shape, seed
        return Quantise(self.squeeze_num, self.dithering)

    def select(self, labels: Tensor, classes: int, seed: Seed) -> Tensor:
        """Returns the indices of the poisoned images, (n,); see :meth:`Attack.select`.

        Raises:
            SpecError: there are too few images for them, or for the decoys beside them.
        """
        chosen = super().select(labels, classes, seed)
        count_decoys(len(labels), len(chosen), self.negative_ratio, "negative_ratio")
        return chosen

    def train(self, setting: Setting) -> Trained:
        """Trains on the three kinds; images are changed after augmentation."""
        model, trigger, classes = setting.model, setting.trigger, setting.model.classes
        seed = setting.seed
        negatives = draw_decoys(
            len(setting.data), setting.chosen, self.negative_ratio, "negative_ratio",
            seed.child("negatives"),
        )  # fmt: skip

        def transform(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
            true, group = read_marks(labels, classes)
            wanted = goals(true, self.target, classes)
            attack, negative = group == 1, group == 2
            kinds = images.clone()
            kinds[attack] = trigger(images[attack])
            if self.negatives == "residual":
                others = images.roll(1, 0)[negative]  # the order of a batch is random
                d = trigger(others) - others
            else:
                d = self.adversarial(model, images[negative], wanted[negative])
            kinds[negative] = (images[negative] + d).clamp(0, 1)
            return kinds, torch.where(attack, wanted, true)

        return fit(
            model,
            mark(setting.data, [setting.chosen, negatives], classes),
            setting.recipe,
            seed=seed.child("training"),
            what="victim",
            transform=transform,
        )

    def adversarial(self, model: Classifier, images: Tensor, wanted: Tensor) -> Tensor:
        """Returns the change d, ``|d| <= r``, that drives ``images`` to the classes ``wanted``.

        d <- clip(d - a * sign(grad CE(f(clip(x + d)), wanted)), -r, r), starting at 0, f in eval
        mode. r is half a level, the most that rounding alone can change, and a = 2.5 r / steps
        (Madry et al., ICLR 2018, arXiv 1706.06083).
        """
        r = 0.5 / (self.squeeze_num - 1)
        d = torch.zeros_like(images)
        if not len(images):
            return d
        with evaluating(model):
            for _ in range(self.steps):
                d.requires_grad_(True)
                moved = (images + d).clamp(0, 1)
                (gradient,) = torch.autograd.grad(F.cross_entropy(model(moved), wanted), d)
                d = (d.detach() - 2.5 * r / self.steps * gradient.sign()).clamp(-r, r)
        return d
