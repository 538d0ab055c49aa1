"""TrojanNN: a patch optimised to excite neurons (Liu et al., Trojaning attack, NDSS 2018).

On a clean model of the attacker's own, the neurons with the strongest connections are chosen,

    t = argmax over t of sum over j of |W[j, t]|,

W the weight between the neurons' layer and its neighbour. Here W is the weight of the last linear
layer, and its inputs are the neurons, as in BackdoorBench. Pixels p inside the mask m are moved
until these neurons have the wanted value,

    p <- clip(p - lr * sign(d cost / d p) * [m > 0]),
    cost = mean over x of sum over the t of (target_value - neuron_t((1 - m) x + m p))^2,

and images with the patch are labelled as the attacker wants. In the paper the cost is that of the
patch alone. There a rectified neuron may be silent and have no gradient, so x are some clean images
here. The paper reverse-engineers training images and retrains a published model; here, as in
BackdoorBench, the victim is trained from its first weights on poisoned data.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor

from remission.attacks.base import DirtyLabel, Setting
from remission.method import field, method
from remission.models import Classifier, watching_final_inputs
from remission.progress import tracked
from remission.seeding import Seed
from remission.triggers import Patch


@method
class TrojanNN(DirtyLabel):
    """A patch optimised to excite neurons of the attacker's own model; poisoned labels."""

    name: ClassVar[str] = "trojannn"
    paper: ClassVar[str] = "Liu et al., NDSS 2018"

    area: float = field(default=0.07, gt=0, le=1)
    """Share of the image that the patch in the lower right corner covers (paper: 4, 7, 10 %)."""
    transparency: float = field(default=0.0, ge=0, lt=1)
    """How much of the image shows through the patch, from 0 (0 to 0.7 in the paper)."""
    neurons: int = field(default=2, ge=1)
    """Number of neurons that are excited (2 in BackdoorBench)."""
    target_value: float = field(default=100.0, gt=0)
    """Activation that the neurons shall have (100 in BackdoorBench)."""
    steps: int = field(default=1000, ge=1)
    """Number of optimisation steps (1000 in BackdoorBench)."""
    images: int = field(default=16, ge=1)
    """Number of clean images that carry the patch while it is optimised."""
    lr: float = field(default=0.1, gt=0, le=1)
    """Change of a pixel per step, with pixels in [0, 1] (0.1 in BackdoorBench)."""

    def trigger(self, shape: tuple[int, int, int], seed: Seed) -> Patch:
        """Returns the mask with noise from the seed inside, with which the optimisation begins."""
        _, height, width = shape
        rows, columns = (max(1, round(math.sqrt(self.area) * n)) for n in (height, width))
        mask = torch.zeros(1, height, width)
        mask[:, -rows:, -columns:] = 1 - self.transparency
        noise = torch.rand(shape, generator=seed.generator())
        return Patch(mask, noise * (mask > 0))

    def prepare(self, setting: Setting) -> None:
        """Optimises the pattern and keeps the best of all steps."""
        model, trigger = setting.surrogate().requires_grad_(False), setting.trigger
        assert isinstance(trigger, Patch)
        chosen = most_connected(model, self.neurons)
        order = torch.randperm(len(setting.data), generator=setting.seed.child("x").generator())
        x = setting.data.floats(order[: self.images])
        p, best, lowest = trigger.pattern.clone(), trigger.pattern, math.inf
        inside = trigger.mask > 0
        for _ in tracked(range(self.steps), "trigger", self.steps):
            p.requires_grad_(True)
            neuron = activations(model, Patch(trigger.mask, p)(x))[:, chosen]
            cost = ((self.target_value - neuron) ** 2).sum(1).mean()
            (grad,) = torch.autograd.grad(cost, p)
            p, reached = p.detach(), float(cost.detach())
            if reached < lowest:
                best, lowest = p, reached
            p = (p - self.lr * grad.sign() * inside).clamp(0, 1)
        trigger.pattern.copy_(best)


def most_connected(model: Classifier, count: int) -> Tensor:
    """Returns the inputs t of the last linear layer with the largest sum of |W[j, t]|, (count,)."""
    strength = model.final_linear.weight.abs().sum(0)
    return strength.topk(min(count, len(strength))).indices


def activations(model: Classifier, images: Tensor) -> Tensor:
    """Returns the inputs of the last linear layer, (N, D), for images (N, C, H, W)."""
    neurons: list[Tensor] = []
    with watching_final_inputs(model, neurons.append):
        model(images)
    return neurons[0].float()
