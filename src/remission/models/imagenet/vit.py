"""Vision transformer (Dosovitskiy et al., ICLR 2021), in the published form with a class token."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from remission.models.attention import first_weights
from remission.models.classifier import Classifier
from remission.models.vit import TransformerBlock

Pooled = Literal["token", "mean", "mean, then norm"]
"""What is classified: the normalised class token; the mean of the other tokens after layer
normalisation; or their mean, which is normalised then."""
WIDER_HEADS = {1152: 16, 1280: 16, 1408: 16, 1664: 16}
"""Width -> number of heads of the published ones whose heads have more than 64 channels: So400m,
ViT-H, ViT-g and ViT-G."""


class ImageNetViT(Classifier):
    """A vision transformer with learnt positions, whose images have one size.

    Args:
        depth: number of blocks; 12 in ViT-B.
        width: D, the number of channels of a token; 768 in ViT-B. Heads have 64 channels
            unless :data:`WIDER_HEADS` names the width.
        patch: side of the patches in pixels.
        token: whether a class token precedes the tokens of patches.
        pooled: see :data:`Pooled`.
        eps: what layer normalisation adds to the variance; 1e-12 in transformers.
        common: the arguments of :class:`Classifier`.
    """

    def __init__(
        self,
        *,
        depth: int,
        width: int,
        patch: int,
        token: bool,
        pooled: Pooled,
        eps: float = 1e-6,
        **common: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**common)
        assert token or pooled != "token", "without a class token it cannot be classified"
        self.pooled: Pooled = pooled
        self.before = int(token)
        tokens = (self.shape[1] // patch) * (self.shape[2] // patch) + self.before
        if token:
            self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.empty(1, tokens, width))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(self.shape[0], width, patch, patch)})
        heads = WIDER_HEADS.get(width, 0)
        self.blocks = nn.Sequential(*(TransformerBlock(width, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head_linear = nn.Linear(width, self.classes)
        first_weights(self)
        for layer in self.modules():
            if isinstance(layer, nn.LayerNorm):
                layer.eps = eps
        nn.init.trunc_normal_(self.pos_embed, std=0.02)

    def feature_map(self, normal: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, width, L, 1): the tokens, of which the class token is the first."""
        patches = self.patch_embed["proj"](normal)
        tokens: Tensor = patches.flatten(2).transpose(1, 2)  # (N, L, D)
        if self.before:
            tokens = torch.cat([self.cls_token.expand(tokens.shape[0], -1, -1), tokens], dim=1)
        tokens = self.blocks(tokens + self.pos_embed)
        if self.pooled != "mean, then norm":
            tokens = self.norm(tokens)
        return tokens.transpose(1, 2).unsqueeze(3)

    def head(self, features: Tensor) -> Tensor:
        """(N, width, L, 1) -> (N, K) logits."""
        tokens = features.squeeze(3)
        pooled = tokens[:, :, 0] if self.pooled == "token" else tokens[:, :, self.before :].mean(2)
        if self.pooled == "mean, then norm":
            pooled = self.norm(pooled)
        logits: Tensor = self.head_linear(pooled)
        return logits

    @property
    def final_linear(self) -> nn.Linear:
        """The last linear layer."""
        return self.head_linear
