"""A model of 76 weights, and the same model written out by hand on one flat float64 vector.

Nothing here calls the functions under test: a training is replayed from the batches that the model
saw, with plain loops and ``torch.autograd.grad``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from remission.models import Classifier
from remission.triggers import Patch
from remission.types import LabelledImages

C, SIDE, FEATURES, K = 2, 5, 3, 4
"""Channels and side of the images, channels of the feature map, classes."""


class Toy(Classifier):
    """Convolution, batch norm, ReLU, mean, linear.

    ``seen`` are the images that it saw, ``visited`` the weights that it had then.
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__(
            arch="toy", classes=K, shape=(C, SIDE, SIDE), mean=(0.4, 0.6), std=(0.25, 0.5)
        )
        self.conv = nn.Conv2d(C, FEATURES, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(FEATURES)
        self.linear = nn.Linear(FEATURES, K)
        self.seen: list[Tensor] = []
        self.visited: list[Tensor] = []
        self.double()
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(0.7 * torch.randn(parameter.shape, generator=generator))
            self.bn.weight.add_(1.5)
            self.bn.running_mean = torch.randn(FEATURES, generator=generator).double()
            self.bn.running_var = 0.5 + torch.rand(FEATURES, generator=generator).double()

    def features(self, images: Tensor) -> Tensor:
        """Keeps a copy of the images and of the weights."""
        self.seen.append(images.detach().clone())
        self.visited.append(flat(self))
        return super().features(images)

    def feature_map(self, normal: Tensor) -> Tensor:
        """(N, 2, 5, 5) -> (N, 3, 5, 5)."""
        return F.relu(self.bn(self.conv(normal)))

    def head(self, features: Tensor) -> Tensor:
        """Mean over positions, then the linear layer."""
        logits: Tensor = self.linear(features.mean((2, 3)))
        return logits

    @property
    def final_linear(self) -> nn.Linear:
        """The last linear layer."""
        return self.linear


def flat(model: Toy) -> Tensor:
    """Returns all weights of ``model`` as one vector, in the order of :class:`Slow`."""
    ordered = (
        model.conv.weight,
        model.bn.weight,
        model.bn.bias,
        model.linear.weight,
        model.linear.bias,
    )
    return torch.cat([weight.detach().reshape(-1) for weight in ordered])


CONV = slice(0, FEATURES * C * 9)
SCALE = slice(CONV.stop, CONV.stop + FEATURES)
SHIFT = slice(SCALE.stop, SCALE.stop + FEATURES)
HEAD = slice(SHIFT.stop, SHIFT.stop + K * FEATURES)
BIAS = slice(HEAD.stop, HEAD.stop + K)


@dataclass
class Slow:
    """The toy model by hand: the running statistics are kept here, the weights are passed in."""

    image_mean: Tensor
    image_std: Tensor
    running_mean: Tensor
    running_var: Tensor

    @classmethod
    def like(cls, model: Toy) -> Slow:
        """Returns the model by hand with the constants and statistics of ``model``."""
        assert model.bn.running_mean is not None
        assert model.bn.running_var is not None
        return cls(
            model.mean.flatten(),
            model.std.flatten(),
            model.bn.running_mean.clone(),
            model.bn.running_var.clone(),
        )

    def features(self, w: Tensor, x: Tensor, *, train: bool = True, collect: bool = True) -> Tensor:
        """(N, 2, 5, 5) -> h(x), (N, 3, 5, 5); in train mode with the batch's own statistics."""
        z = self.convolved(w, x)
        if train:
            mean, var = moments(z)
            if collect:
                count = z.numel() // FEATURES
                unbiased = var * count / (count - 1)
                self.running_mean = 0.9 * self.running_mean + 0.1 * mean.detach()
                self.running_var = 0.9 * self.running_var + 0.1 * unbiased.detach()
        else:
            mean, var = self.running_mean, self.running_var
        channels = [
            w[SCALE][k] * (z[:, k] - mean[k]) / (var[k] + 1e-5).sqrt() + w[SHIFT][k]
            for k in range(FEATURES)
        ]
        return torch.stack(channels, dim=1).clamp(min=0)

    def convolved(self, w: Tensor, x: Tensor) -> Tensor:
        """Returns the batch norm's input, (N, 3, 5, 5): sums over neighbouring positions."""
        kernel = w[CONV].view(FEATURES, C, 3, 3)
        padded = torch.zeros(len(x), C, SIDE + 2, SIDE + 2, dtype=torch.float64)
        for c in range(C):
            padded[:, c, 1:-1, 1:-1] = (x[:, c] - self.image_mean[c]) / self.image_std[c]
        z = torch.zeros(len(x), FEATURES, SIDE, SIDE, dtype=torch.float64)
        for k in range(FEATURES):
            for c in range(C):
                for i in range(3):
                    for j in range(3):
                        window = padded[:, c, i : i + SIDE, j : j + SIDE]
                        z[:, k] = z[:, k] + kernel[k, c, i, j] * window
        return z

    def classify(self, w: Tensor, h: Tensor) -> Tensor:
        """H(x) -> logits (N, 4)."""
        pooled = h.sum((2, 3)) / SIDE**2
        return pooled @ w[HEAD].view(K, FEATURES).T + w[BIAS]

    def logits(self, w: Tensor, x: Tensor, *, train: bool = True, collect: bool = True) -> Tensor:
        """Images -> logits (N, 4)."""
        return self.classify(w, self.features(w, x, train=train, collect=collect))


def moments(z: Tensor) -> tuple[Tensor, Tensor]:
    """Returns mean and biased variance of each channel of (N, D, h, w)."""
    count = z.numel() // z.shape[1]
    mean = z.sum((0, 2, 3)) / count
    return mean, (z - mean.view(1, -1, 1, 1)).pow(2).sum((0, 2, 3)) / count


def cross_entropy(logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
    """Returns the mean over images of the cross entropy with (1 - s) * onehot + s / K."""
    total = torch.zeros((), dtype=torch.float64)
    for row, label in zip(logits, labels.tolist(), strict=True):
        log_p = row - row.exp().sum().log()
        for k in range(len(row)):
            wanted = (1 - smoothing) * (k == label) + smoothing / len(row)
            total = total - wanted * log_p[k]
    return total / len(labels)


def grad(loss: Callable[[Tensor], Tensor], w: Tensor) -> Tensor:
    """Returns the gradient of ``loss`` at ``w``."""
    at = w.detach().clone().requires_grad_(True)
    return torch.autograd.grad(loss(at), at)[0]


def schedule(name: str, step: int, total: int) -> float:
    """Returns the share of the highest learning rate at step ``step`` of ``total``."""
    done = step / total
    if name == "constant":
        return 1.0
    if name == "cosine":
        return (1 + math.cos(math.pi * done)) / 2
    if done < 0.3:
        return 0.04 + (1 - 0.04) * (done / 0.3)  # linear up
    return (1 + math.cos(math.pi * (done - 0.3) / 0.7)) / 2  # cosine down


@dataclass
class SlowSGD:
    """v <- mu * v + (g + decay * w);  w <- w - lr * v."""

    lr: float
    momentum: float = 0.0
    decay: float = 0.0
    v: Tensor | None = field(default=None)

    def step(self, w: Tensor, g: Tensor, share: float = 1.0) -> Tensor:
        """Returns the weights after one step at ``share`` of the learning rate."""
        g = g + self.decay * w
        self.v = g if self.v is None else self.momentum * self.v + g
        return w - self.lr * share * self.v


def toy_data(count: int = 11, seed: int = 1) -> LabelledImages:
    """Returns different images in float64, with values of 8-bit images, and labels."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(256, (count, C, SIDE, SIDE), generator=generator).float() / 255
    return LabelledImages(images.double(), torch.randint(K, (count,), generator=generator))


def corner() -> Patch:
    """Returns a trigger: a white and a black pixel at the lower right, on both channels."""
    mask, pattern = torch.zeros(1, SIDE, SIDE), torch.zeros(C, SIDE, SIDE)
    mask[:, -1, -2:] = 1
    pattern[:, -1, -1] = 1
    return Patch(mask, pattern)


def by_hand(images: Tensor) -> Tensor:
    """Applies :func:`corner` to images, written out."""
    images = images.clone()
    images[:, :, SIDE - 1, SIDE - 1] = 1.0
    images[:, :, SIDE - 1, SIDE - 2] = 0.0
    return images


def recognise(batch: Tensor, data: LabelledImages) -> tuple[list[int], list[bool]]:
    """Returns which image of ``data`` each image is, and whether it carries the trigger."""
    stamped = by_hand(data.images)
    which, triggered = [], []
    for image in batch:
        for i in range(len(data)):
            if torch.equal(image, data.images[i]) or torch.equal(image, stamped[i]):
                which.append(i)
                triggered.append(torch.equal(image, stamped[i]))
                break
        else:
            raise AssertionError("an image that is neither a clean nor a triggered one")
    return which, triggered


def assert_same(model: Toy, w: Tensor, slow: Slow) -> None:
    """Checks that weights and running statistics agree to 1e-9."""
    assert model.bn.running_mean is not None
    assert model.bn.running_var is not None
    torch.testing.assert_close(flat(model), w, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(model.bn.running_mean, slow.running_mean, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(model.bn.running_var, slow.running_var, rtol=1e-9, atol=1e-12)
