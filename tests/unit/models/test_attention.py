"""Attention against torch's own, and window attention pair by pair."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from remission.models.attention import Attention, heads_of
from remission.models.swin import Merging, WindowAttention, patch_size, window_size
from remission.models.vit import patch_size as vit_patch_size
from tests.unit.models.zoo import built


def drawn(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(("channels", "heads"), [(6, 1), (12, 3)])
def test_attention_is_that_of_torch(channels: int, heads: int) -> None:
    layer, tokens = Attention(channels, heads).double(), drawn(4, 5, channels)
    q, k, v = (
        part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in layer.qkv(tokens).chunk(3, -1)
    )
    plain = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
    torch.testing.assert_close(layer(tokens), layer.proj(plain))
    bias = drawn(2, heads, 5, 5, seed=1)  # sets 0 and 2 get the first, 1 and 3 the second
    biased = F.scaled_dot_product_attention(q, k, v, bias.repeat(2, 1, 1, 1))
    found = layer(tokens, bias)
    torch.testing.assert_close(found, layer.proj(biased.transpose(1, 2).flatten(2)))


@pytest.mark.parametrize(
    ("height", "width", "window", "shift"),
    [(8, 8, 4, 0), (8, 8, 4, 2), (7, 10, 4, 2), (6, 9, 3, 1), (14, 7, 7, 3), (2, 9, 4, 2)],
)
def test_window_attention_pair_by_pair(height: int, width: int, window: int, shift: int) -> None:
    """Token p sees q where (p - shift) // M agrees along both sides; the bias is that of p - q."""
    heads, channels = 2, 6
    layer = WindowAttention(channels, heads, window).double()
    with torch.no_grad():
        layer.relative_position_bias_table.copy_(drawn((2 * window - 1) ** 2, heads))
    x = drawn(3, height, width, channels)
    places = [(i, j) for i in range(height) for j in range(width)]
    mask = torch.full((heads, len(places), len(places)), -torch.inf, dtype=torch.float64)
    table = layer.relative_position_bias_table.detach()
    for a, (i, j) in enumerate(places):
        for b, (k, m) in enumerate(places):
            if (i - shift) // window == (k - shift) // window and (j - shift) // window == (
                m - shift
            ) // window:
                row = (i - k + window - 1) * (2 * window - 1) + j - m + window - 1
                mask[:, a, b] = table[row]
    q, k, v = (
        part.unflatten(-1, (heads, -1)).transpose(1, 2)
        for part in layer.qkv(x.flatten(1, 2)).chunk(3, -1)
    )
    plain = F.scaled_dot_product_attention(q, k, v, mask).transpose(1, 2).flatten(2)
    expected = layer.proj(plain).view(x.shape)
    torch.testing.assert_close(layer.within(x, shift), expected)


def test_merging_takes_the_four_corners_of_each_square() -> None:
    layer, x = Merging(2).double(), drawn(1, 3, 4, 2)
    filled = F.pad(x, (0, 0, 0, 0, 0, 1))
    for i in range(2):
        for j in range(2):
            square = filled[0, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]  # (2, 2, D)
            corners = torch.cat([square[0, 0], square[1, 0], square[0, 1], square[1, 1]])
            expected = layer.reduction(layer.norm(corners))
            torch.testing.assert_close(layer(x)[0, i, j], expected)


@pytest.mark.parametrize(
    ("side", "patch", "small_patch", "window"),
    [(8, 2, 1, 4), (16, 2, 1, 4), (28, 4, 2, 7), (32, 4, 2, 4), (64, 8, 4, 4), (224, 16, 4, 7)],
)
def test_patches_and_windows_fit_the_image(
    side: int, patch: int, small_patch: int, window: int
) -> None:
    shape = (3, side, side)
    assert vit_patch_size(shape) == patch
    assert patch_size(shape) == small_patch
    tokens = -(-side // small_patch)
    assert window_size(tokens, tokens) == window


@pytest.mark.parametrize(
    ("channels", "size", "heads"),
    [(192, 64, 3), (96, 32, 3), (768, 32, 24), (12, 64, 1), (200, 64, 2)],
)
def test_heads_divide_the_channels(channels: int, size: int, heads: int) -> None:
    assert heads_of(channels, size) == heads


def test_places_of_a_vision_transformer_matter() -> None:
    model = built("vit_tiny:12", (3, 16, 16)).eval()
    images = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    moved = images.roll((4, 4), (2, 3))  # whole patches
    with torch.no_grad():
        assert float((model(images) - model(moved)).abs().max()) > 1e-3
