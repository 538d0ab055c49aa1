"""SIG: a sinusoid over images of the target class (Barni, Kallas, Tondi, ICIP 2019).

v(i, j) = Delta * sin(2 pi j f / m), 1 <= j <= m, the same in all rows i and channels; m columns.
Labels stay as they are: the victim learns that the signal speaks for the target class.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor

from remission.attacks.base import CleanLabel, Setting
from remission.errors import SpecError
from remission.method import field, method
from remission.seeding import Seed
from remission.triggers import Additive


@method
class SIG(CleanLabel):
    """A horizontal sinusoid added to images of the target class; labels stay true."""

    name: ClassVar[str] = "sig"
    paper: ClassVar[str] = "Barni et al., arXiv 1902.11237"

    delta: float = field(default=20.0, gt=0, le=255)
    """Delta, the amplitude in training images, in 255ths (paper: 20; BackdoorBench: 40)."""
    frequency: int = field(default=6, ge=1)
    """f, the number of periods over the image's width (6 in the paper and in BackdoorBench)."""
    test_gain: float = field(default=1.0, gt=0, le=255)
    """Amplitude of the trigger at test time, as a multiple of delta (the paper also uses more)."""

    def trigger(self, shape: tuple[int, int, int], seed: Seed) -> Additive:
        """Returns the sinusoid as it is added at test time; the seed is not used.

        Raises:
            SpecError: the images are too narrow for the frequency.
        """
        del seed
        if 2 * self.frequency >= shape[2]:
            raise SpecError(
                f"[attack] {self.name}: 'frequency' is {self.frequency}, and a sinusoid of so many "
                f"periods has nothing left in {shape[2]} pixels",
                "use a frequency below half the images' width",
            )
        return Additive(self.test_gain * self.signal(shape))

    def craft(self, setting: Setting) -> Additive:
        """Returns the sinusoid as it is added to training images."""
        return Additive(self.signal(setting.data.shape)).to(setting.data.labels.device)

    def signal(self, shape: tuple[int, int, int]) -> Tensor:
        """Returns v, (C, H, W) in [-delta / 255, delta / 255]."""
        m = shape[2]
        j = torch.arange(1, m + 1, dtype=torch.float64)
        v = self.delta / 255 * torch.sin(2 * math.pi * j * self.frequency / m)
        return v.float().expand(shape).contiguous()
