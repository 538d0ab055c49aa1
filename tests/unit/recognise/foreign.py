"""Networks of other packages, written once more: as formulas over the names of their tensors.

A formula asks a :class:`Tape` for each layer by its name. On the first pass the tape draws the
layer's tensors, in the order of use; from then on it computes with them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from remission.seeding import Seed

Formula = Callable[["Tape", Tensor], Tensor]


class Tape:
    """A state dict that grows on the first pass."""

    def __init__(
        self, formula: Formula, shape: tuple[int, int, int], names: tuple[tuple[str, str], ...] = ()
    ) -> None:
        self.state: dict[str, Tensor] = {}
        self.formula, self.shape = formula, shape
        self._names = names  # (pattern, what replaces it): names of the formula -> of the state
        self._generator = Seed(7).generator()
        self(self.images())

    def images(self, count: int = 2) -> Tensor:
        return torch.rand(count, *self.shape, generator=Seed(8).generator())

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        return self.formula(self, images)

    def tensor(self, key: str, *shape: int, around: float = 0.0, spread: float = 0.3) -> Tensor:
        key = self._named(key)
        if key not in self.state:
            drawn = torch.rand(shape, generator=self._generator) - 0.5
            self.state[key] = around + spread * 2 * drawn
        assert tuple(self.state[key].shape) == shape, key
        return self.state[key]

    def _named(self, key: str) -> str:
        for pattern, replacement in self._names:
            key = re.sub(pattern, replacement, key)
        return key

    def conv(
        self,
        x: Tensor,
        key: str,
        out: int,
        side: int,
        stride: int = 1,
        pad: int | None = None,
        groups: int = 1,
        bias: bool = False,
        gain: float = 1.0,
    ) -> Tensor:
        inputs = x.shape[1] // groups
        spread = 2.5 * gain / math.sqrt(inputs * side**2)
        weight = self.tensor(f"{key}.weight", out, inputs, side, side, spread=spread)
        shift = self.tensor(f"{key}.bias", out) if bias else None
        return F.conv2d(x, weight, shift, stride, side // 2 if pad is None else pad, 1, groups)

    def norm(self, x: Tensor, key: str, eps: float = 1e-5) -> Tensor:
        n = x.shape[1]
        scale, shift = self.tensor(f"{key}.weight", n, around=1), self.tensor(f"{key}.bias", n)
        mean = self.tensor(f"{key}.running_mean", n)
        var = self.tensor(f"{key}.running_var", n, around=1)
        self.state.setdefault(self._named(f"{key}.num_batches_tracked"), torch.tensor(5))
        return F.batch_norm(x, mean, var, scale, shift, eps=eps)

    def linear(self, x: Tensor, key: str, out: int, bias: bool = True) -> Tensor:
        n = x.shape[-1]
        weight = self.tensor(f"{key}.weight", out, n, spread=2.5 / math.sqrt(n))
        return F.linear(x, weight, self.tensor(f"{key}.bias", out) if bias else None)

    def layer_norm(self, x: Tensor, key: str, eps: float) -> Tensor:
        n = x.shape[-1]
        scale, shift = self.tensor(f"{key}.weight", n, around=1), self.tensor(f"{key}.bias", n)
        return F.layer_norm(x, (n,), scale, shift, eps)


def residual(
    blocks: tuple[int, ...], width: int, *, names: tuple[str, str], deep: bool, stem: str = "3x3"
) -> Formula:
    """ResNet, with the names of shortcuts and of the last layer."""
    cut, last = names

    def block(t: Tape, x: Tensor, key: str, channels: int, stride: int) -> Tensor:
        out = channels * 4 if deep else channels
        first, second = (1, stride) if deep else (stride, 1)
        y = t.norm(t.conv(x, f"{key}.conv1", channels, 1 if deep else 3, first), f"{key}.bn1")
        y = t.norm(t.conv(y.relu(), f"{key}.conv2", channels, 3, second), f"{key}.bn2")
        if deep:
            y = t.norm(t.conv(y.relu(), f"{key}.conv3", out, 1), f"{key}.bn3")
        if stride > 1 or x.shape[1] != out:
            x = t.norm(t.conv(x, f"{key}.{cut}.0", out, 1, stride), f"{key}.{cut}.1")
        return (x + y).relu()

    def formula(t: Tape, x: Tensor) -> Tensor:
        side, stride = (7, 2) if stem == "7x7" else (3, 1)
        x = t.norm(t.conv(x, "conv1", width, side, stride), "bn1").relu()
        if stem != "3x3":
            x = F.max_pool2d(x, 3, 2, 1)
        for stage, count in enumerate(blocks):
            for i in range(count):
                stride = 2 if stage and not i else 1
                x = block(t, x, f"layer{stage + 1}.{i}", width * 2**stage, stride)
        return t.linear(x.mean((2, 3)), last, 7)

    return formula


def preactivated(t: Tape, x: Tensor) -> Tensor:
    """PreActResNet18 of the CIFAR implementation, at width 3."""
    x = t.conv(x, "conv1", 3, 3)
    for stage in range(4):
        for i in range(2):
            key, out = f"layer{stage + 1}.{i}", 3 * 2**stage
            stride = 2 if stage and not i else 1
            y = t.norm(x, f"{key}.bn1").relu()
            cut = t.conv(y, f"{key}.shortcut.0", out, 1, stride) if stride > 1 else x
            y = t.conv(y, f"{key}.conv1", out, 3, stride)
            x = t.conv(t.norm(y, f"{key}.bn2").relu(), f"{key}.conv2", out, 3) + cut
    return t.linear(x.mean((2, 3)), "linear", 7)


def vgg(plan: str, heads: dict[str, int], side: int, norm: bool = True) -> Formula:
    """VGG: digits of ``plan`` are channels / 3, M is pooling; heads: name -> outputs."""

    def formula(t: Tape, x: Tensor) -> Tensor:
        place = 0
        for step in plan:
            if step == "M":
                x, place = F.max_pool2d(x, 2), place + 1
                continue
            x = t.conv(x, f"features.{place}", 3 * int(step), 3, bias=True)
            x = (t.norm(x, f"features.{place + 1}") if norm else x).relu()
            place += 3 if norm else 2
        x = F.adaptive_avg_pool2d(x, side).flatten(1)
        for name, out in heads.items():
            x = t.linear(x.relu(), name, out)
        return x

    return formula


def dense_cifar(t: Tape, x: Tensor) -> Tensor:
    """DenseNet of the CIFAR implementation, with growth 2."""
    x = t.conv(x, "conv1", 4, 3)
    for block, count in enumerate((2, 3, 1, 2), start=1):
        for i in range(count):
            key = f"dense{block}.{i}"
            y = t.conv(t.norm(x, f"{key}.bn1").relu(), f"{key}.conv1", 8, 1)
            x = torch.cat([t.conv(t.norm(y, f"{key}.bn2").relu(), f"{key}.conv2", 2, 3), x], 1)
        if block < 4:
            y = t.norm(x, f"trans{block}.bn").relu()
            x = F.avg_pool2d(t.conv(y, f"trans{block}.conv", x.shape[1] // 2, 1), 2)
    return t.linear(t.norm(x, "bn").relu().mean((2, 3)), "linear", 7)


def dense_torchvision(t: Tape, x: Tensor) -> Tensor:
    """DenseNet of torchvision, with growth 2."""
    x = F.max_pool2d(t.norm(t.conv(x, "features.conv0", 4, 7, 2), "features.norm0").relu(), 3, 2, 1)
    for block, count in enumerate((2, 1, 2, 1), start=1):
        for i in range(1, count + 1):
            key = f"features.denseblock{block}.denselayer{i}"
            y = t.conv(t.norm(x, f"{key}.norm1").relu(), f"{key}.conv1", 8, 1)
            x = torch.cat([x, t.conv(t.norm(y, f"{key}.norm2").relu(), f"{key}.conv2", 2, 3)], 1)
        if block < 4:
            key = f"features.transition{block}"
            y = t.norm(x, f"{key}.norm").relu()
            x = F.avg_pool2d(t.conv(y, f"{key}.conv", x.shape[1] // 2, 1), 2)
    return t.linear(t.norm(x, "features.norm5").relu().mean((2, 3)), "classifier", 7)


def mobilenet(t: Tape, x: Tensor) -> Tensor:
    """MobileNetV2 of torchvision, an eighth as wide."""
    x = F.relu6(t.norm(t.conv(x, "features.0.0", 4, 3, 2), "features.0.1"))
    table = [(1, 2, 1, 1), (6, 3, 2, 2), (6, 4, 3, 2), (6, 8, 4, 2), (6, 12, 3, 1)]
    number = 0
    for expand, out, repeats, first in [*table, (6, 20, 3, 2), (6, 40, 1, 1)]:
        for i in range(repeats):
            number += 1
            key, hidden, y, place = f"features.{number}.conv", x.shape[1] * expand, x, 0
            if expand > 1:
                y = F.relu6(t.norm(t.conv(y, f"{key}.0.0", hidden, 1), f"{key}.0.1"))
                place = 1
            stride = first if not i else 1
            y = t.conv(y, f"{key}.{place}.0", hidden, 3, stride, groups=hidden)
            y = F.relu6(t.norm(y, f"{key}.{place}.1"))
            y = t.norm(t.conv(y, f"{key}.{place + 1}", out, 1), f"{key}.{place + 2}")
            x = x + y if stride == 1 and x.shape[1] == out else y
    x = F.relu6(t.norm(t.conv(x, "features.18.0", 48, 1), "features.18.1"))
    return t.linear(x.mean((2, 3)), "classifier.1", 7)


def efficientnet(repeats: Sequence[int], eps: float = 1e-5) -> Formula:
    """EfficientNet of torchvision, narrow, with so many blocks per stage."""
    table = [(1, 3, 1, 2), (6, 3, 2, 3), (6, 5, 2, 5), (6, 3, 2, 10), (6, 5, 1, 14), (6, 5, 2, 24)]

    def network(t: Tape, x: Tensor) -> Tensor:
        def norm(y: Tensor, key: str) -> Tensor:
            return t.norm(y, key, eps)

        x = F.silu(norm(t.conv(x, "features.0.0", 4, 3, 2), "features.0.1"))
        for stage, (count, (expand, side, first, out)) in enumerate(
            zip(repeats, [*table, (6, 3, 1, 40)], strict=True), start=1
        ):
            for i in range(count):
                key, hidden, y, place = f"features.{stage}.{i}.block", x.shape[1] * expand, x, 0
                if expand > 1:
                    y = F.silu(norm(t.conv(y, f"{key}.0.0", hidden, 1), f"{key}.0.1"))
                    place = 1
                stride = first if not i else 1
                y = t.conv(y, f"{key}.{place}.0", hidden, side, stride, groups=hidden)
                y = F.silu(norm(y, f"{key}.{place}.1"))
                gate = y.mean((2, 3), keepdim=True)
                gate = t.conv(gate, f"{key}.{place + 1}.fc1", max(1, x.shape[1] // 4), 1, bias=True)
                gate = t.conv(F.silu(gate), f"{key}.{place + 1}.fc2", hidden, 1, bias=True)
                y = t.conv(y * gate.sigmoid(), f"{key}.{place + 2}.0", out, 1, gain=3)
                y = norm(y, f"{key}.{place + 2}.1")
                x = x + y if stride == 1 and x.shape[1] == out else y
        x = F.silu(norm(t.conv(x, "features.8.0", 48, 1), "features.8.1"))
        return t.linear(x.mean((2, 3)), "classifier.1", 7)

    return network
