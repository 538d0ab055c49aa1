"""How little a trigger changes an image: PSNR, SSIM and the largest change of a pixel.

Images are rounded to 8 bits, as in a file, and have pixels in [0, 1]. SSIM is that of Wang et al.
(IEEE TIP 2004) with a uniform window and the sample covariance, as scikit-image computes it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from remission.types import LabelledImages, as_bytes

WINDOW = 7
"""Side in pixels of the uniform window of SSIM; smaller images have no SSIM."""
_AT_ONCE = 100  # images that are triggered together
_C1, _C2 = 0.01**2, 0.03**2
"""The constants of SSIM for pixels in [0, 1]."""


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
        one, other = _rounded(clean), _rounded(triggered)
        changes = (one - other).abs().flatten(1)  # (N, C * H * W)
        largest = max(largest, float(changes.max()))
        errors = changes.square().mean(1)
        psnr += (-10 * errors[errors > 0].log10()).tolist()
        if min(one.shape[2:]) >= WINDOW:
            ssim += _ssim(one, other).tolist()
    return Stealth(
        psnr=fmean(psnr) if psnr else None,
        ssim=fmean(ssim) if ssim else None,
        largest_change=largest,
        images=len(images),
        unchanged=len(images) - len(psnr),
    )


def _rounded(images: Tensor) -> Tensor:
    """Returns images in [0, 1] in float64, rounded to multiples of 1/255, on the processor."""
    return as_bytes(images).cpu().double().div_(255)


def _ssim(one: Tensor, other: Tensor) -> Tensor:
    """Returns the SSIM of each pair of images (N, C, H, W): its mean over channels and windows."""
    count = WINDOW**2
    sample = count / (count - 1)
    a, b = _means(one), _means(other)
    variances = sample * (_means(one * one) - a * a + _means(other * other) - b * b)
    covariance = sample * (_means(one * other) - a * b)
    above = (2 * a * b + _C1) * (2 * covariance + _C2)
    return (above / ((a * a + b * b + _C1) * (variances + _C2))).flatten(1).mean(1)


def _means(values: Tensor) -> Tensor:
    """Returns the mean of each window that lies within the image."""
    return avg_pool2d(values, WINDOW, stride=1)
