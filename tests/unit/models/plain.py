"""Networks as users write them, each with another way to compute logits."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def convolution(channels_in: int, channels: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )


def sequential() -> nn.Module:
    return nn.Sequential(
        convolution(3, 4), convolution(4, 6, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(6, 10),
    )  # fmt: skip


class Residual(nn.Module):
    """Global pooling by ``mean``, a skip connection, a channel gate with a pooling of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.block = convolution(3, 6), convolution(6, 6)
        self.gate, self.fc = nn.Conv2d(6, 6, 1), nn.Linear(6, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits for images."""
        x = self.stem(x)
        gate = self.gate(x.mean((2, 3), keepdim=True)).sigmoid()
        x = x + self.block(x) * gate
        logits: Tensor = self.fc(x.mean([-2, -1]))
        return logits


class Flattening(nn.Module):
    """No pooling at all: the map itself goes into the first of two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(convolution(3, 4, 2), convolution(4, 4, 2))
        self.fc1, self.fc2 = nn.Linear(4 * 4 * 4, 9), nn.Linear(9, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits for images."""
        x = self.body(x).view(x.size(0), -1)
        logits: Tensor = self.fc2(F.relu(self.fc1(x)))
        return logits


class ChannelsBehind(nn.Module):
    """(N, h, w, D) inside, as in some transformers."""

    def __init__(self) -> None:
        super().__init__()
        self.cut, self.mix = nn.Conv2d(3, 6, 4, 4), nn.Linear(6, 6)
        self.norm, self.fc = nn.LayerNorm(6), nn.Linear(6, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits for images."""
        x = self.cut(x).permute(0, 2, 3, 1)
        x = self.norm(x + self.mix(x).relu())
        logits: Tensor = self.fc(x.mean((1, 2)))
        return logits


class ClassToken(nn.Module):
    """Tokens with a class token, which alone is classified."""

    def __init__(self) -> None:
        super().__init__()
        self.cut = nn.Conv2d(3, 6, 4, 4)
        self.token = nn.Parameter(torch.zeros(1, 1, 6))
        self.layer = nn.TransformerEncoderLayer(6, 2, 12, dropout=0.1, batch_first=True)
        self.norm, self.head = nn.LayerNorm(6), nn.Linear(6, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits for images."""
        x = self.cut(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], dim=1)
        logits: Tensor = self.head(self.norm(self.layer(x))[:, 0])
        return logits


class PooledTokens(nn.Module):
    """Tokens turned to (N, D, L) and pooled adaptively; a fixed buffer is added to them."""

    place: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.cut, self.norm, self.fc = nn.Conv2d(3, 6, 4, 4), nn.LayerNorm(6), nn.Linear(6, 10)
        self.pool = nn.AdaptiveAvgPool1d(1)
        self.register_buffer("place", torch.linspace(0, 1, 16).view(1, 16, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits for images."""
        x = self.norm(self.cut(x).flatten(2).transpose(1, 2) + self.place)
        logits: Tensor = self.fc(torch.flatten(self.pool(x.transpose(1, 2)), 1))
        return logits


class FlatMean(nn.Module):
    """The map is written in three dimensions before its mean; average pooling on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.pool = convolution(3, 5), nn.AvgPool2d(2)
        self.more, self.fc = convolution(5, 6), nn.Linear(6, 10, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits for images."""
        x = self.more(self.pool(self.body(x)))
        logits: Tensor = self.fc(x.flatten(2).mean(-1))
        return logits


class TwoFaced(nn.Module):
    """Another forward pass in training than in eval mode, with dropout in both notations."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.drop, self.fc = convolution(3, 6), nn.Dropout(0.5), nn.Linear(6, 10)
        self.drop_rate = 0.5

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits for images."""
        x = self.body(x)
        if self.training:
            x = x * 2
        x = F.adaptive_avg_pool2d(x, 1).flatten(1)
        x = F.dropout(self.drop(x), self.drop_rate, training=self.training)
        logits: Tensor = self.fc(x)
        return logits


class StochasticDepth(nn.Module):
    """Leaves whole images out, as torchvision's layer of this name."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Returns a tensor of the same shape, (N, ...)."""
        if not self.training or self.p == 0.0:
            return x
        return x * (torch.rand(len(x), 1, 1, 1) > self.p)


class Stochastic(nn.Module):
    """With stochastic depth."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.depth = convolution(3, 6), StochasticDepth(0.5)
        self.pool, self.fc = nn.AdaptiveMaxPool2d(1), nn.Linear(6, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits for images."""
        x = self.body(x)
        logits: Tensor = self.fc(torch.flatten(self.pool(x + self.depth(x)), 1))
        return logits


class Declared(nn.Module):
    """With ``forward_features`` and ``forward_head``, and control flow that is not traced."""

    num_features = 6

    def __init__(self) -> None:
        super().__init__()
        self.cut, self.norm, self.head = nn.Conv2d(3, 6, 4, 4), nn.LayerNorm(6), nn.Linear(6, 10)

    def forward_features(self, x: Tensor) -> Tensor:
        """Returns features (N, h, w, D) of images."""
        x = self.cut(x).permute(0, 2, 3, 1)
        return self.norm(x) if x.is_meta or bool(x.abs().sum() >= 0) else x

    def forward_head(self, x: Tensor) -> Tensor:
        """Returns logits for features (N, h, w, D)."""
        logits: Tensor = self.head(x.mean((1, 2)))
        return logits

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits for images."""
        return self.forward_head(self.forward_features(x))
