"""Parts that the transformers share: attention, the two-layer perceptron, first weights."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


def heads_of(channels: int, size: int) -> int:
    """Returns how many heads of about ``size`` channels divide ``channels``, at least 1."""
    wanted = max(1, channels // size)
    return next(heads for heads in range(wanted, 0, -1) if channels % heads == 0)


class Attention(nn.Module):
    """Multi-head self-attention (Vaswani et al., NeurIPS 2017) over sets of tokens.

    It is written out, since the gradients of torch's fused kernels are not reproducible on every
    device.

    Args:
        channels: D, the number of channels of a token.
        heads: the number of heads, a divisor of ``channels``.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, tokens: Tensor, bias: Tensor | None = None) -> Tensor:
        """softmax(q k / sqrt(D / heads) + bias) v for each of B sets of L tokens.

        Args:
            tokens: (B, L, D).
            bias: (b, heads, L, L), added to the logits of attention, where b divides B; set i gets
                bias i mod b. None: no bias.

        Returns:
            (B, L, D).
        """
        sets, length, channels = tokens.shape
        split = self.qkv(tokens).view(sets, length, 3, self.heads, channels // self.heads)
        q, k, v = split.permute(2, 0, 3, 1, 4)  # each (B, heads, L, D / heads)
        logits = (q * (channels // self.heads) ** -0.5) @ k.transpose(-2, -1)
        if bias is not None:
            logits = (logits.unflatten(0, (-1, len(bias))) + bias).flatten(0, 1)
        weights = logits.softmax(-1)
        out = weights.to(v.dtype) @ v
        mixed: Tensor = self.proj(out.transpose(1, 2).reshape(sets, length, channels))
        return mixed


class Perceptron(nn.Module):
    """Two linear layers with a GELU between them, where it is four times as wide."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, 4 * channels)
        self.fc2 = nn.Linear(4 * channels, channels)

    def forward(self, tokens: Tensor) -> Tensor:
        """(..., D) -> (..., D)."""
        out: Tensor = self.fc2(F.gelu(self.fc1(tokens)))
        return out


def first_weights(model: nn.Module) -> None:
    """Draws linear weights uniformly as Glorot and Bengio do, for every width; sets biases to 0."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def padded(x: Tensor, multiple: int) -> Tensor:
    """Pads maps (N, D, h, w) with zeros right and below, until ``multiple`` divides h and w."""
    down, right = -x.shape[2] % multiple, -x.shape[3] % multiple
    return F.pad(x, (0, right, 0, down)) if down or right else x
