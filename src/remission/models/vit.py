"""Vision transformer (Dosovitskiy et al., ICLR 2021), in the tiny form of DeiT (Touvron et al.).

Small images are cut into small patches. There is no class token: the mean of all tokens is
classified (Beyer, Zhai, Kolesnikov, arXiv 2205.01580). There is no dropout. Layers have the names
of public implementations (``patch_embed.proj``, ``pos_embed``, ``blocks.0.attn.qkv``, ...,
``norm``), and the last one is ``linear``. Weights published for images of 224 pixels have a class
token and do not fit; for those there is ``timm:NAME``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from remission.models.attention import Attention, Perceptron, first_weights, heads_of, padded
from remission.models.classifier import Classifier


class TransformerBlock(nn.Module):
    """Attention and a perceptron, each after layer normalisation and around a shortcut.

    Args:
        channels: D, the number of channels of a token.
        heads: number of heads of the attention; 0: as many as have about 64 channels.
    """

    def __init__(self, channels: int, heads: int = 0) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, eps=1e-6)
        self.attn = Attention(channels, heads or heads_of(channels, 64))
        self.norm2 = nn.LayerNorm(channels, eps=1e-6)
        self.mlp = Perceptron(channels)

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, L, D) -> (N, L, D)."""
        tokens = tokens + self.attn(self.norm1(tokens))
        out: Tensor = tokens + self.mlp(self.norm2(tokens))
        return out


def patch_size(shape: tuple[int, int, int]) -> int:
    """Returns the side of a patch in pixels: an eighth of the image's longer side, from 2 to 16.

    An image of 32x32 is cut into 8x8 patches of 4x4, one of 224x224 into the published 14x14.
    """
    return min(16, max(2, -(-max(shape[1:]) // 8)))


class ViT(Classifier):
    """A vision transformer over patches of an eighth of the image's longer side.

    Args:
        depth: number of blocks; 12 in ViT-Tiny.
        width: D, the number of channels of a token; 192 in ViT-Tiny. Heads have about 64 channels.
        common: the arguments of :class:`Classifier`.
    """

    def __init__(self, *, depth: int, width: int, **common: Any) -> None:  # noqa: ANN401
        super().__init__(**common)
        self.patch = patch_size(self.shape)
        tokens = -(-self.shape[1] // self.patch) * -(-self.shape[2] // self.patch)
        self.patch_embed = nn.ModuleDict(
            {"proj": nn.Conv2d(self.shape[0], width, self.patch, self.patch)}
        )
        self.pos_embed = nn.Parameter(torch.empty(1, tokens, width))
        self.blocks = nn.Sequential(*(TransformerBlock(width) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.linear = nn.Linear(width, self.classes)
        first_weights(self)
        # as large as tokens, so that a few epochs suffice to tell positions apart
        nn.init.trunc_normal_(self.pos_embed)

    def feature_map(self, normal: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, width, H / patch, W / patch), rounded up: the tokens as a map."""
        patches = self.patch_embed["proj"](padded(normal, self.patch))
        tokens = patches.flatten(2).transpose(1, 2) + self.pos_embed  # (N, L, D)
        normal_tokens: Tensor = self.norm(self.blocks(tokens))
        return normal_tokens.transpose(1, 2).reshape(patches.shape)

    @property
    def final_linear(self) -> nn.Linear:
        """The last linear layer."""
        return self.linear
