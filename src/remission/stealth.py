"""How little a trigger changes an image: PSNR, SSIM and the largest change of a pixel.

Images are rounded to 8 bits, as in a file, and have pixels in [0, 1]. PSNR and SSIM (Wang et al.,
IEEE TIP 2004) are scikit-image's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from remission.types import LabelledImages, as_bytes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WINDOW = 7
"""Side in pixels of the uniform window of SSIM; smaller images have no SSIM."""
_AT_ONCE = 100  # images that are triggered together


@dataclass(frozen=True, kw_only=True)
class Stealth:
    """How much a trigger changes several images.

    Args:
        psnr: peak signal-to-noise ratio in dB, the mean over the images that the trigger changes
            (for the others it is infinite); None if it changes none.
        ssim: structural similarity in [-1, 1] with a uniform 7 x 7 window, the mean over all
            images; None for images smaller than the window.
        largest_change: the largest change of any pixel of any image in any channel, in [0, 1].
        images: number of images.
        unchanged: number of images that the trigger does not change.
    """

    psnr: float | None
    ssim: float | None
    largest_change: float
    images: int
    unchanged: int


def measure_stealth(images: LabelledImages, trigger: Callable[[Tensor], Tensor]) -> Stealth:
    """Compares images with themselves under a trigger.

    Args:
        images: at least one image; labels are not used.
        trigger: images (N, C, H, W) in [0, 1] -> triggered images.
    """
    psnr, ssim, largest = [], [], 0.0
    for part in torch.split(torch.arange(len(images)), _AT_ONCE):
        clean = images.floats(part)
        with torch.inference_mode():
            triggered = trigger(clean)
        for one, other in zip(_channels_last(clean), _channels_last(triggered), strict=True):
            if change := float(abs(one - other).max()):
                psnr.append(_psnr(one, other))
                largest = max(largest, change)
            if min(one.shape[:2]) >= WINDOW:
                ssim.append(_ssim(one, other))
    return Stealth(
        psnr=fmean(psnr) if psnr else None,
        ssim=fmean(ssim) if ssim else None,
        largest_change=largest,
        images=len(images),
        unchanged=len(images) - len(psnr),
    )


def _channels_last(images: Tensor) -> NDArray[np.float64]:
    """(N, C, H, W) in [0, 1] -> (N, H, W, C) in float64, rounded to multiples of 1/255."""
    rounded = as_bytes(images).cpu().permute(0, 2, 3, 1)
    return rounded.double().div_(255).numpy()


def _psnr(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    from skimage.metrics import peak_signal_noise_ratio

    return float(peak_signal_noise_ratio(one, other, data_range=1))


def _ssim(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    from skimage.metrics import structural_similarity

    return float(structural_similarity(one, other, win_size=WINDOW, data_range=1, channel_axis=-1))
