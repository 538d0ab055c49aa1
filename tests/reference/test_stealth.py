"""PSNR, SSIM and the largest change against slow float64 versions of their formulas."""

from __future__ import annotations

import math

import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from remission.stealth import Stealth, measure_stealth
from remission.triggers import Blend
from remission.types import LabelledImages


def images(count: int = 3, channels: int = 1, side: int = 10) -> LabelledImages:
    generator = torch.Generator().manual_seed(7)
    shape = (count, channels, side, side + 1)
    pixels = torch.randint(256, shape, generator=generator, dtype=torch.uint8)
    return LabelledImages(pixels, torch.zeros(count, dtype=torch.int64))


def blend(ratio: float, like: LabelledImages) -> Blend:
    pattern = torch.rand(like.shape, generator=torch.Generator().manual_seed(3))
    return Blend(pattern, ratio)


def rounded(value: float) -> float:
    return round(255 * min(1.0, max(0.0, value))) / 255


def psnr_by_hand(one: list[list[list[float]]], other: list[list[list[float]]]) -> float:
    squares = [
        (other[c][y][x] - one[c][y][x]) ** 2
        for c in range(len(one))
        for y in range(len(one[0]))
        for x in range(len(one[0][0]))
    ]
    return -10 * math.log10(math.fsum(squares) / len(squares))


def ssim_by_hand(one: list[list[list[float]]], other: list[list[list[float]]]) -> float:
    """Returns the mean over channels and all 7 x 7 windows within the image."""
    c1, c2, n = 0.01**2, 0.03**2, 49
    found = []
    for a, b in zip(one, other, strict=True):
        for top in range(len(a) - 6):
            for left in range(len(a[0]) - 6):
                places = [(top + i, left + j) for i in range(7) for j in range(7)]
                mean_a = math.fsum(a[y][x] for y, x in places) / n
                mean_b = math.fsum(b[y][x] for y, x in places) / n
                var_a = math.fsum((a[y][x] - mean_a) ** 2 for y, x in places) / (n - 1)
                var_b = math.fsum((b[y][x] - mean_b) ** 2 for y, x in places) / (n - 1)
                both = math.fsum((a[y][x] - mean_a) * (b[y][x] - mean_b) for y, x in places)
                above = (2 * mean_a * mean_b + c1) * (2 * both / (n - 1) + c2)
                found.append(above / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)))
    return math.fsum(found) / len(found)


@pytest.mark.parametrize("channels", [1, 3])
def test_psnr_ssim_and_largest_change_by_hand(channels: int) -> None:
    data = images(channels=channels)
    trigger = blend(0.2, data)
    pairs: list[tuple[list[list[list[float]]], list[list[list[float]]]]] = []
    for one in data.images:
        clean = (one.double() / 255).tolist()
        changed = [
            [
                [
                    rounded(0.8 * value + 0.2 * float(trigger.pattern[c, y, x]))
                    for x, value in enumerate(row)
                ]
                for y, row in enumerate(rows)
            ]
            for c, rows in enumerate(clean)
        ]
        pairs.append((clean, changed))
    found = measure_stealth(data, trigger)
    assert found.psnr == pytest.approx(sum(psnr_by_hand(*p) for p in pairs) / 3, abs=1e-9)
    assert found.ssim == pytest.approx(sum(ssim_by_hand(*p) for p in pairs) / 3, abs=1e-9)
    largest = max(
        abs(b - a)
        for one, other in pairs
        for plane, changed in zip(one, other, strict=True)
        for row, new in zip(plane, changed, strict=True)
        for a, b in zip(row, new, strict=True)
    )
    assert found.largest_change == pytest.approx(largest, abs=1e-12)
    assert (found.images, found.unchanged) == (3, 0)


def test_a_trigger_that_changes_nothing_a_file_can_hold() -> None:
    found = measure_stealth(images(), lambda x: (x + 0.4 / 255).clamp(0, 1))
    assert found == Stealth(psnr=None, ssim=1.0, largest_change=0.0, images=3, unchanged=3)


def test_unchanged_images_are_counted_and_not_averaged() -> None:
    data = images(count=4)

    def some(x: Tensor) -> Tensor:
        changed = x.clone()
        changed[:2] = 1 - x[:2]
        return changed

    found = measure_stealth(data, some)
    alone = measure_stealth(data[:2], some)
    assert (found.images, found.unchanged) == (4, 2)
    assert found.psnr == pytest.approx(alone.psnr)
    assert alone.ssim is not None
    assert found.ssim == pytest.approx((1 + alone.ssim) / 2)
    assert found.largest_change == alone.largest_change == 1.0


def test_a_stronger_blend_is_seen_better() -> None:
    data = images()
    weak, strong = (measure_stealth(data, blend(ratio, data)) for ratio in (0.05, 0.3))
    assert weak.psnr is not None
    assert strong.psnr is not None
    assert weak.psnr > strong.psnr + 10  # six times the change: 15.6 dB
    assert weak.ssim is not None
    assert strong.ssim is not None
    assert 1 > weak.ssim > strong.ssim
    assert weak.largest_change < strong.largest_change


def test_images_below_the_window_have_no_ssim() -> None:
    data = images(side=6)
    found = measure_stealth(data, blend(0.2, data))
    assert found.ssim is None
    assert found.psnr is not None


@pytest.mark.parametrize("side", [7, 8, 28, 33])
@pytest.mark.parametrize("channels", [1, 3])
def test_both_are_scikit_images(channels: int, side: int) -> None:
    data = images(5, channels, side)
    trigger = blend(0.2, data)
    found = measure_stealth(data, trigger)
    clean = data.floats(torch.arange(5))
    pairs = [
        tuple(x.mul(255).round().double().div(255).permute(1, 2, 0).numpy() for x in pair)
        for pair in zip(clean, trigger(clean), strict=True)
    ]
    psnr = [peak_signal_noise_ratio(a, b, data_range=1) for a, b in pairs]
    ssim = [
        structural_similarity(a, b, win_size=7, data_range=1, channel_axis=-1) for a, b in pairs
    ]
    assert found.psnr == pytest.approx(sum(psnr) / 5, rel=1e-12)
    assert found.ssim == pytest.approx(sum(ssim) / 5, rel=1e-12)
