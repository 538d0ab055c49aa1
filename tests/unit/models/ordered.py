"""Networks in which the order of some channels matters."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv(channels_in: int, channels: int, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels, 3, padding=1, groups=groups)


class Net(nn.Module):
    """A network with a first and a last layer, and layers of a test between them."""

    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.first, self.fc = conv(3, 6), nn.Linear(width, 10)

    def middle(self, x: Tensor) -> Tensor:
        return x

    def forward(self, x: Tensor) -> Tensor:
        x = self.middle(F.relu(self.first(x)))
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


class Depthwise(Net):
    """A depthwise layer, whose filters move with their channels."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.depth = nn.BatchNorm2d(6), conv(6, 6, groups=6)

    def middle(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.depth(x))
        return y


class Grouped(Net):
    """A grouped convolution, whose channels must stay in their groups."""

    def __init__(self) -> None:
        super().__init__()
        self.grouped, self.more = conv(6, 6, groups=2), conv(6, 6)

    def middle(self, x: Tensor) -> Tensor:
        return F.relu(self.more(F.relu(self.grouped(x))))


class Twice(Net):
    """A layer applied to its own result, so that inputs and outputs are the same channels."""

    def __init__(self) -> None:
        super().__init__()
        self.again = conv(6, 6)

    def middle(self, x: Tensor) -> Tensor:
        return F.relu(self.again(F.relu(self.again(x))))


class Shared(Net):
    """Two layers with one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = conv(6, 6), conv(6, 6)
        self.b.weight = self.a.weight

    def middle(self, x: Tensor) -> Tensor:
        return F.relu(self.b(F.relu(self.a(x))))


class Bare(Net):
    """A layer whose weight is used outside it, too."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = conv(6, 6), conv(6, 6)

    def middle(self, x: Tensor) -> Tensor:
        return F.relu(self.b(F.relu(self.a(x))))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = super().forward(x) + self.a.weight[0, 1].sum()
        return logits


class Joined(Net):
    """Concatenations, which are summed first with equal parts, then with unequal ones."""

    def __init__(self) -> None:
        super().__init__(12)
        self.a, self.b, self.c = conv(6, 6), conv(6, 12), conv(12, 12)

    def middle(self, x: Tensor) -> Tensor:
        y = torch.cat([x, self.a(x)], dim=1) + torch.cat([self.a(x), x], 1)
        joined: Tensor = self.c(F.relu(y)) + self.b(x) * 0.5 + y
        return joined


class Shuffled(Net):
    """A shuffle of channels by their positions."""

    def __init__(self) -> None:
        super().__init__()
        self.a = conv(6, 6)

    def middle(self, x: Tensor) -> Tensor:
        shuffled: Tensor = self.a(x.flip(1)) + self.a(x)[:, [1, 0, 2, 3, 4, 5]]
        return shuffled


class Placed(Net):
    """A parameter of its own for each channel, a softmax over channels, a mean over them."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.scale = conv(6, 6), nn.Parameter(torch.arange(6.0).view(1, 6, 1, 1))

    def middle(self, x: Tensor) -> Tensor:
        y = F.relu(self.a(x * self.scale).softmax(1))
        return y * x.mean(1, keepdim=True)


class Weighted(Net):
    """The convolution's weight is made of two other tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.utils.parametrizations.weight_norm(conv(6, 6))
        self.b = conv(6, 6)

    def middle(self, x: Tensor) -> Tensor:
        return F.relu(self.b(F.relu(self.a(x))))
