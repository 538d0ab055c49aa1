"""SSBA: the hidden message, the errors of encoder and decoder, against slow ones in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from remission.attacks import SSBA
from remission.attacks.ssba import Decoder, hiding_errors
from remission.seeding import Seed
from remission.triggers import Steganography


def encoder_for(shape: tuple[int, int, int], bound: float = 0.1) -> Steganography:
    made = SSBA(bits=5, filters=2, bound=bound).trigger(shape, Seed(0))
    assert isinstance(made, Steganography)
    return made.double()


def images(count: int, shape: tuple[int, int, int]) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(count, *shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 17, 11), (1, 28, 28)])
def test_the_message_is_spread_over_the_image(shape: tuple[int, int, int]) -> None:
    encoder, x = encoder_for(shape), images(3, shape)
    bits = torch.tensor([[0, 1, 1, 0, 1], [1, 1, 0, 0, 0], [0, 0, 0, 0, 1]]).double()
    encoder.requires_grad_(False)
    found = encoder.hide(x, bits)
    channels, height, width = shape
    rows, columns = math.ceil(height / 8), math.ceil(width / 8)
    for n in range(3):
        values = encoder.spread.weight @ (bits[n] - 0.5) + encoder.spread.bias
        message = torch.zeros(2, height, width, dtype=torch.float64)
        for f in range(2):
            for i in range(height):
                for j in range(width):
                    cell = (f * rows + i * rows // height) * columns + j * columns // width
                    message[f, i, j] = max(0.0, float(values[cell]))
        both = torch.cat([x[n] - 0.5, message])[None]
        residual = encoder.network.rewrite(both)[0]
        for c in range(channels):
            wanted = x[n, c] + 0.1 * residual[c].tanh()
            torch.testing.assert_close(found[n, c], wanted, rtol=1e-9, atol=1e-12)


def test_the_trigger_hides_its_code_within_the_bound() -> None:
    encoder, x = encoder_for((3, 9, 9), bound=0.03), images(4, (3, 9, 9))
    assert set(encoder.code.tolist()) == {0.0, 1.0}
    with torch.no_grad():
        for parameter in encoder.parameters():  # far beyond any training: tanh is saturated
            parameter.mul_(20)
        found = encoder(x)
        wanted = encoder.hide(x, torch.stack([encoder.code] * 4)).clamp(0, 1)
    assert torch.equal(found, wanted)
    assert 0.02 < float((found - x).abs().max()) <= 0.03 + 1e-12


def test_each_image_is_changed_in_its_own_way() -> None:
    encoder, x = encoder_for((1, 16, 16)), images(2, (1, 16, 16)) / 2 + 0.25
    with torch.no_grad():
        change = encoder(x) - x
    assert float((change[0] - change[1]).abs().max()) > 1e-4


def test_the_errors() -> None:
    shape = (1, 9, 9)
    encoder, x = encoder_for(shape), images(4, shape)
    with Seed(2).initialising():
        decoder = Decoder(shape, 5, 3).double()
    bits = torch.randint(2, (4, 5), generator=torch.Generator().manual_seed(3)).double()
    image_error, bit_error = hiding_errors(encoder, decoder, x, bits)

    squares, entropies = [], []
    with torch.no_grad():
        hidden = encoder.hide(x, bits)
        for n in range(4):
            kept = torch.zeros(shape, dtype=torch.float64)
            for i in range(9):
                for j in range(9):
                    value = min(1.0, max(0.0, float(hidden[n, 0, i, j])))
                    squares.append((value - float(x[n, 0, i, j])) ** 2)
                    kept[0, i, j] = round(255 * value) / 255
            for k, logit in enumerate(decoder(kept[None])[0].tolist()):
                p = 1 / (1 + math.exp(-logit))
                entropies.append(-math.log(p if bits[n, k] == 1 else 1 - p))
    assert float(image_error.detach()) == pytest.approx(sum(squares) / len(squares), rel=1e-9)
    assert float(bit_error.detach()) == pytest.approx(sum(entropies) / len(entropies), rel=1e-9)


def test_rounding_lets_the_gradient_through() -> None:
    """The bit error moves the encoder as it would without rounding."""
    shape = (1, 8, 8)
    encoder, x = encoder_for(shape), images(2, shape) / 2 + 0.25  # nothing is clipped
    reader = nn.Sequential(nn.Flatten(), nn.Linear(64, 5)).double()
    _, bit_error = hiding_errors(encoder, reader, x, torch.ones(2, 5).double())
    (found,) = torch.autograd.grad(bit_error, [encoder.network.out.weight])
    hidden = encoder.hide(x, torch.ones(2, 5).double())
    seen = (hidden.detach() * 255).round() / 255
    p = reader(seen).sigmoid()  # d BCE / d logit = (p - 1) / 10
    slope = ((p - 1) / 10) @ reader[1].weight
    (wanted,) = torch.autograd.grad(
        (hidden.flatten(1) * slope.detach()).sum(), [encoder.network.out.weight]
    )
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 33, 47), (3, 224, 224)])
def test_the_decoder_reads_images_of_any_size(shape: tuple[int, int, int]) -> None:
    decoder = Decoder(shape, 7, 2)
    assert decoder(torch.rand(2, *shape)).shape == (2, 7)
    assert sum(p.numel() for p in decoder.parameters()) < 20_000
