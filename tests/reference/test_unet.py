"""The two U-Nets against their descriptions, in float64 and plain loops."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from remission.triggers import BottleneckUNet, UNet

LEVELS, WIDTH = 2, 3


def convolved(x: Tensor, weight: Tensor) -> Tensor:
    """A 3x3 convolution with zeros around the image."""
    n, _, height, width = x.shape
    padded = torch.zeros(n, x.shape[1], height + 2, width + 2, dtype=torch.float64)
    padded[:, :, 1:-1, 1:-1] = x
    result = torch.zeros(n, len(weight), height, width, dtype=torch.float64)
    for i in range(height):
        for j in range(width):
            window = padded[:, None, :, i : i + 3, j : j + 3]
            result[:, :, i, j] = (window * weight).sum((2, 3, 4))
    return result


def leaky(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0.01 * x)


def normalised(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Each channel of each image on its own, with the biased variance."""
    mean = x.sum((2, 3), keepdim=True) / x[0, 0].numel()
    variance = (x - mean).square().sum((2, 3), keepdim=True) / x[0, 0].numel()
    normal = (x - mean) / (variance + 1e-5).sqrt()
    return normal * scale.view(1, -1, 1, 1) + shift.view(1, -1, 1, 1)


def block(state: dict[str, Tensor], place: str, x: Tensor, slope: float = 0.01) -> Tensor:
    """Two times: convolution, normalisation, ReLU with a slope below 0."""
    for first in (0, 3):
        x = convolved(x, state[f"{place}.{first}.weight"])
        norm = f"{place}.{first + 1}"
        x = normalised(x, state[f"{norm}.weight"], state[f"{norm}.bias"])
        x = torch.where(x > 0, x, slope * x)
    return x


def halved(x: Tensor, *, whole: bool = False) -> Tensor:
    """The largest of each 2x2 pixels, of fewer at an odd edge; ``whole`` drops the odd edge."""
    height, width = (side // 2 if whole else -(-side // 2) for side in x.shape[2:])
    result = torch.zeros(*x.shape[:2], height, width, dtype=torch.float64)
    for i in range(height):
        for j in range(width):
            result[:, :, i, j] = x[:, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].amax((2, 3))
    return result


def enlarged(x: Tensor, weight: Tensor, bias: Tensor, height: int, width: int) -> Tensor:
    """Each pixel adds a 3x3 patch, centred at twice its place."""
    result = bias.view(1, -1, 1, 1).repeat(len(x), 1, height, width)
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            for a in range(3):
                for b in range(3):
                    at, to = 2 * i + a - 1, 2 * j + b - 1
                    if 0 <= at < height and 0 <= to < width:
                        result[:, :, at, to] += x[:, :, i, j] @ weight[:, :, a, b]
    return result


def by_hand(state: dict[str, Tensor], x: Tensor) -> Tensor:
    skips = []
    for level in range(LEVELS):
        x = block(state, f"down.{level}", x)
        skips.append(x)
        x = halved(x)
    x = block(state, f"down.{LEVELS}", x)
    for turn in range(LEVELS):
        skip = skips.pop()
        place = f"enlarge.{turn}"
        up = enlarged(x, state[f"{place}.weight"], state[f"{place}.bias"], *skip.shape[2:])
        x = block(state, f"up.{turn}", torch.cat([leaky(up), skip], dim=1))
    mixed = torch.einsum("nchw,oc->nohw", x, state["out.weight"][:, :, 0, 0])
    return mixed + state["out.bias"].view(1, -1, 1, 1)


@pytest.mark.parametrize(("height", "width"), [(8, 12), (6, 5)])
def test_the_published_generator(height: int, width: int) -> None:
    generator = torch.Generator().manual_seed(3)
    network = BottleneckUNet(2, WIDTH, LEVELS).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator))
    images = torch.rand(2, 2, height, width, generator=generator, dtype=torch.float64)
    wanted = by_hand(dict(network.state_dict()), images)
    found = network.rewrite(images).detach()
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-10)
    assert float(wanted.min()) < 0, "the output has no activation"
    assert float(wanted.max()) > 1
    torch.testing.assert_close(network(images).detach(), wanted.clamp(0, 1), rtol=0, atol=1e-9)


def mixed(state: dict[str, Tensor], place: str, x: Tensor) -> Tensor:
    """A 1x1 convolution."""
    sums = torch.einsum("nchw,oc->nohw", x, state[f"{place}.weight"][:, :, 0, 0])
    return sums + state[f"{place}.bias"].view(1, -1, 1, 1)


def repeated(x: Tensor, height: int, width: int) -> Tensor:
    """Each pixel of the result is the one at its place in the smaller image, rounded down."""
    result = torch.zeros(*x.shape[:2], height, width, dtype=torch.float64)
    for i in range(height):
        for j in range(width):
            result[:, :, i, j] = x[:, :, i * x.shape[2] // height, j * x.shape[3] // width]
    return result


@pytest.mark.parametrize(("height", "width"), [(8, 12), (10, 9)])
def test_the_small_network(height: int, width: int) -> None:
    generator = torch.Generator().manual_seed(4)
    network = UNet(2, WIDTH, LEVELS + 1, out=1).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    state = network.state_dict()
    image = torch.rand(2, 2, height, width, generator=generator).double()
    skips, x = [], image
    for level in range(LEVELS + 1):
        x = block(state, f"down.{level}", x if not level else halved(x, whole=True), slope=0)
        skips.append(x)
    skips.pop()
    for turn in range(LEVELS):
        skip = skips.pop()
        up = mixed(state, f"reduce.{turn}", repeated(x, *skip.shape[2:]))
        x = block(state, f"up.{turn}", torch.cat([skip, up], dim=1), slope=0)
    torch.testing.assert_close(network.rewrite(image), mixed(state, "out", x), rtol=1e-9, atol=1e-9)
    assert network(image).min() >= 0
    assert network(image).max() <= 1
