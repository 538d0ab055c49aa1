"""Label-consistent attack: hard images of the target class (Turner, Tsipras, Madry, 1912.02771).

An image x of the target class y is first made hard to recognise, with the attacker's own model f,

    x <- clip(Proj(x + alpha * step(grad_x CE(f(x), y)))),

clip into [0, 1], Proj onto a ball of radius epsilon about the image. This is projected gradient
descent away from the label; step is g / |g| in the l2 ball and sign g in the l_inf ball. Then the
image gets the trigger, small patches in the corners. The label stays true; to learn it, the victim
has to rely on the patches. At test time the patches alone are the trigger. As in the paper, f is
trained adversarially in the same ball, since the gradients of such a model change what an image
shows.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from remission.attacks.base import CleanLabel, Setting
from remission.attacks.poisoning import Change
from remission.errors import SpecError
from remission.method import field, method
from remission.models import Classifier
from remission.progress import tracked
from remission.seeding import Seed
from remission.triggers import Additive

RIGHT = ((-1, -1, 1), (-1, 1, -1), (1, -1, 1))
"""The patch in the right corners, +1 white and -1 black (authors' code); the left is mirrored."""


@method
class LabelConsistent(CleanLabel):
    """Adversarially perturbed images of the target class with corner patches; labels stay true."""

    name: ClassVar[str] = "label_consistent"
    paper: ClassVar[str] = "Turner et al., arXiv 1912.02771"

    norm: Literal["l2", "linf"] = "l2"
    """Ball of the adversarial perturbation (the paper tries both)."""
    epsilon: float = field(default=300.0, gt=0, le=1e6)
    """Radius of the ball in 255ths (paper, 3x32x32 images: l2 300, 600, 1200; linf 8, 16, 32)."""
    steps: int = field(default=20, ge=1)
    """Steps of projected gradient descent, each 2.5 * epsilon / steps long (Madry et al., 2018)."""
    robust_steps: int = field(default=7, ge=0)
    """Steps in the adversarial training of the attacker's model (7 in Madry et al., 2018); 0: the
    model is trained on clean images."""
    corners: Literal["all", "lower_right"] = "all"
    """Where the patches are. In all corners they survive flips and crops (paper)."""
    amplitude: float = field(default=1.0, gt=0, le=1)
    """What the patch adds or subtracts in poisoned training images, in [0, 1] (paper: 16, 32 or
    64 / 255, or 1)."""
    test_amplitude: float = field(default=1.0, gt=0, le=1)
    """What the patch adds or subtracts at test time; 1 replaces pixels by black and white."""

    def trigger(self, shape: tuple[int, int, int], seed: Seed) -> Additive:
        """Returns the patches as they are added at test time; the seed is not used.

        Raises:
            SpecError: the images are smaller than 6x6.
        """
        del seed
        if min(shape[1:]) < 6:
            raise SpecError(
                f"patches of 3x3 in the corners overlap in images of {shape[1]}x{shape[2]}",
                "use images of at least 6x6",
            )
        return Additive(self.test_amplitude * self.patches(shape))

    def craft(self, setting: Setting) -> Change:
        """Returns what perturbs images away from their label and adds the patches."""
        train = self.robust_steps
        f = setting.surrogate(
            (lambda f, x, y: self.perturb(f, x, y, train)) if train else None
        ).requires_grad_(False)
        patches = Additive(self.amplitude * self.patches(setting.data.shape))
        patches = patches.to(setting.data.labels.device)

        def change(images: Tensor) -> Tensor:
            labels = torch.full((len(images),), self.target, device=images.device)
            changed: Tensor = patches(self.perturb(f, images, labels, self.steps))
            return changed

        return change

    def perturb(self, f: Classifier, images: Tensor, labels: Tensor, steps: int) -> Tensor:
        """Moves images uphill on the loss of ``f``, within the ball and within [0, 1].

        Args:
            f: a model in eval mode.
            images: (B, C, H, W) in [0, 1].
            labels: (B,) their true classes.
            steps: number of steps.
        """
        epsilon = self.epsilon / 255
        alpha = 2.5 * epsilon / steps
        x = images
        for _ in tracked(range(steps), "", steps):
            x = x.detach().requires_grad_(True)
            # summed: each image's gradient is then its own, whatever else is in the batch
            with torch.enable_grad():
                loss = F.cross_entropy(f(x), labels, reduction="sum")
            (g,) = torch.autograd.grad(loss, x)
            step = g.sign() if self.norm == "linf" else g / length(g)
            delta = x.detach() + alpha * step - images
            if self.norm == "linf":
                delta = delta.clamp(-epsilon, epsilon)
            else:
                delta = delta * (epsilon / length(delta)).clamp(max=1)
            x = (images + delta).clamp(0, 1)
        return x

    def patches(self, shape: tuple[int, int, int]) -> Tensor:
        """Returns the patches at full amplitude, (C, H, W) in {-1, 0, 1}."""
        right = torch.tensor(RIGHT, dtype=torch.float32)
        pattern = torch.zeros(shape)
        pattern[:, -3:, -3:] = right
        if self.corners == "all":
            pattern[:, :3, -3:] = right
            pattern[:, :3, :3] = pattern[:, -3:, :3] = right.flip(1)
        return pattern


def length(vectors: Tensor) -> Tensor:
    """Returns the l2 norm of each of B vectors (B, C, H, W) as (B, 1, 1, 1), never 0."""
    norm: Tensor = torch.linalg.vector_norm(vectors, dim=(1, 2, 3), keepdim=True)
    return norm.clamp_min(1e-30)
