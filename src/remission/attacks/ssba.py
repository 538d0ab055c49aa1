"""Sample-specific backdoor attack (Li, Li, Wu, Li, He, Lyu, ICCV 2021, arXiv 2012.03816).

An encoder E and a decoder D learn, on clean images x and random bits s, to hide s in x:

    x' = E(x, s),    min  w_x * MSE(x, x') + w_s * BCE(D(x'), s),

in the first epochs of BCE alone. The trigger hides one fixed s in every image. The authors add a
perceptual loss that uses a network pretrained on ImageNet; here a bound on the change of a pixel
replaces it, so that nothing has to be downloaded. D reads x' in 8 bits, as poisoned images are.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from remission.attacks.base import DirtyLabel, Setting
from remission.method import field, method
from remission.seeding import Seed
from remission.training import Recipe, fit
from remission.training.loop import Loss
from remission.triggers import Steganography, Trigger, check_levels


class Decoder(nn.Module):
    """D: reads the bits that an image hides, by strided convolutions down to 4x4 and two layers.

    Args:
        shape: (C, H, W) of the images.
        bits: number of bits of a message.
        filters: channels of the first convolution; the others have twice as many.
    """

    def __init__(self, shape: tuple[int, int, int], bits: int, filters: int) -> None:
        super().__init__()
        channels, height, width = shape
        layers: list[nn.Module] = []
        before, after = channels, filters
        while max(height, width) > 4:
            layers += [nn.Conv2d(before, after, 3, 2, padding=1), nn.ReLU()]
            before, after = after, 2 * filters
            height, width = -(-height // 2), -(-width // 2)
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.read = nn.Sequential(
            nn.Linear(before * height * width, 128), nn.ReLU(), nn.Linear(128, bits)
        )

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) in [0, 1] -> (N, bits) logits."""
        logits: Tensor = self.read(self.layers(images - 0.5))
        return logits


@method
class SSBA(DirtyLabel):
    """A hidden message that changes each image in its own way; poisoned labels."""

    name: ClassVar[str] = "ssba"
    paper: ClassVar[str] = "Li et al., ICCV 2021"

    bits: int = field(default=20, ge=1, le=1000)
    """Number of bits of the hidden message (20 in the authors' BackdoorBox)."""
    bound: float = field(default=0.1, gt=0, le=1)
    """Largest change of a pixel, in [0, 1]; the paper has a perceptual loss instead of a bound."""
    image_weight: float = field(default=2.0, ge=0)
    """w_x, weight of the image error (BackdoorBox)."""
    bit_weight: float = field(default=1.5, gt=0)
    """w_s, weight of the bit error (BackdoorBox)."""
    share: float = field(default=1.0, gt=0, le=1)
    """Share of the training images that encoder and decoder are trained on."""
    bit_epochs: int = field(default=2, ge=0)
    """Number of first epochs of encoder and decoder, on the bit error alone (BackdoorBox)."""
    epochs: int = field(default=18, ge=1)
    """Number of further epochs of encoder and decoder, on both errors (BackdoorBox)."""
    lr: float = field(default=1e-4, gt=0)
    """Learning rate of encoder and decoder (Adam; paper)."""
    batch_size: int = field(default=32, ge=2)
    """Images per batch, for encoder and decoder (BackdoorBox)."""
    filters: int = field(default=32, ge=1, le=1024)
    """Channels of encoder and decoder at full resolution (StegaStamp)."""
    levels: int = field(default=3, ge=1, le=6)
    """Number of resolutions of the encoder (BackdoorBox)."""

    def trigger(self, shape: tuple[int, int, int], seed: Seed) -> Trigger:
        """Makes the untrained encoder with the message of the trigger.

        Raises:
            SpecError: the images are too small for so many levels.
        """
        check_levels(shape, self.levels, f"[attack] {self.name}")
        code = torch.randint(2, (self.bits,), generator=seed.child("code").generator()).float()
        with seed.initialising():
            return Steganography(
                shape, code, filters=self.filters, levels=self.levels, bound=self.bound
            )

    def prepare(self, setting: Setting) -> None:
        """Trains the encoder on clean images, with a decoder that is thrown away in the end."""
        encoder, seed = setting.trigger, setting.seed.child("encoder")
        assert isinstance(encoder, Steganography)
        with seed.initialising():
            decoder = Decoder(setting.data.shape, self.bits, self.filters)
        both = nn.ModuleList([encoder, decoder.to(setting.data.labels.device)])
        count = max(2, math.ceil(self.share * len(setting.data)))
        order = torch.randperm(len(setting.data), generator=seed.child("images").generator())
        clean = setting.data[order[:count]]
        draws = seed.child("messages").generator()

        def errors(images: Tensor) -> tuple[Tensor, Tensor]:
            messages = torch.randint(2, (len(images), self.bits), generator=draws)
            return hiding_errors(encoder, decoder, images, messages.float().to(images.device))

        def both_errors(images: Tensor, labels: Tensor) -> Tensor:
            del labels
            image_error, bit_error = errors(images)
            return self.image_weight * image_error + self.bit_weight * bit_error

        def train(epochs: int, loss: Loss, name: str) -> None:
            recipe = Recipe(epochs=epochs, lr=self.lr, optimizer="adam", batch_size=self.batch_size)
            fit(
                both, clean, recipe, seed=seed.child(name), what=f"encoder, {name}", loss=loss,
                beside=(draws,),
            )  # fmt: skip

        if self.bit_epochs:
            train(self.bit_epochs, lambda images, _: errors(images)[1], "bits")
        train(self.epochs, both_errors, "bits and images")


def hiding_errors(
    encoder: Steganography, decoder: nn.Module, images: Tensor, messages: Tensor
) -> tuple[Tensor, Tensor]:
    """Returns MSE(x, x') and BCE(D(x'), s), x' clipped.

    D reads x' rounded to 8 bits; gradients pass through the rounding unchanged.

    Args:
        encoder: E.
        decoder: D, images -> logits of bits.
        images: x, (N, C, H, W) in [0, 1].
        messages: s, (N, bits) zeros and ones.
    """
    raw = encoder.hide(images, messages)
    hidden = raw.clamp(0, 1)
    seen = hidden + (hidden.mul(255).round() / 255 - hidden).detach()
    return F.mse_loss(hidden, images), F.binary_cross_entropy_with_logits(decoder(seen), messages)
