"""Triggers pixel by pixel, and which images an attack poisons."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from remission.attacks import BadNets, Blended
from remission.attacks.poisoning import poison
from remission.data import image_uri
from remission.errors import SpecError
from remission.seeding import Seed
from remission.triggers import Blend, Patch, checkerboard
from remission.types import LabelledImages


def images(count: int = 5, shape: tuple[int, int, int] = (3, 9, 7)) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, *shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(("size", "margin"), [(1, 0), (2, 0), (3, 1), (4, 3), (7, 0)])
def test_the_checkerboard(size: int, margin: int) -> None:
    x = images()
    found = checkerboard((3, 9, 7), size, margin)(x)
    for i in range(9):
        for j in range(7):
            up, left = 9 - margin - 1 - i, 7 - margin - 1 - j  # counted from the patch's corner
            if 0 <= up < size and 0 <= left < size:
                corner_distance = (size - 1 - up) + (size - 1 - left)  # from its upper left
                wanted = torch.full_like(x[:, :, i, j], float(corner_distance % 2 == 0))
            else:
                wanted = x[:, :, i, j]
            assert torch.equal(found[:, :, i, j], wanted), (i, j)


def test_a_patch_with_a_soft_mask() -> None:
    x = images()
    generator = torch.Generator().manual_seed(1)
    m = torch.rand(1, 9, 7, generator=generator, dtype=torch.float64)
    p = torch.rand(3, 9, 7, generator=generator, dtype=torch.float64)
    found = Patch(m, p)(x)
    for c in range(3):
        wanted = (1 - m[0]) * x[:, c] + m[0] * p[c]
        torch.testing.assert_close(found[:, c], wanted, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("alpha", [0.1, 0.2, 1.0])
def test_the_blend(alpha: float) -> None:
    x = images()
    p = torch.rand(3, 9, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = Blend(p, alpha)(x)
    for n in range(len(x)):
        wanted = (1 - alpha) * x[n] + alpha * p
        torch.testing.assert_close(found[n], wanted, rtol=1e-12, atol=1e-15)


def test_values_beyond_the_range_are_clipped() -> None:
    x = images()
    found = Blend(torch.full((3, 9, 7), 3.0, dtype=torch.float64), 0.5)(x)
    torch.testing.assert_close(found, (0.5 * x + 1.5).clip(0, 1))
    assert float(found.max()) == 1.0
    found = Patch(torch.ones(1, 9, 7), torch.full((3, 9, 7), -2.0))(x)
    assert float(found.min()) == float(found.max()) == 0.0


def test_the_trigger_of_an_attack_depends_on_its_seed_alone() -> None:
    shape, x = (1, 8, 8), images(2, (1, 8, 8)).float()
    blended = Blended()
    assert torch.equal(blended.trigger(shape, Seed(1))(x), blended.trigger(shape, Seed(1))(x))
    assert not torch.equal(blended.trigger(shape, Seed(1))(x), blended.trigger(shape, Seed(2))(x))
    one, two = (BadNets().trigger(shape, Seed(n))(x) for n in (1, 2))
    assert torch.equal(one, two)


def test_a_patch_that_does_not_fit_is_the_users_mistake() -> None:
    with pytest.raises(SpecError, match="smaller size or margin"):
        BadNets(size=7, margin=2).trigger((1, 8, 8), Seed(0))


def picture(shape: tuple[int, int, int], folder: Path) -> tuple[str, torch.Tensor]:
    """Returns random pixels as the URI of a file, and as values in [0, 1]."""
    generator = torch.Generator().manual_seed(4)
    pixels = torch.randint(256, shape, generator=generator).to(torch.uint8)
    shown = pixels.permute(1, 2, 0).numpy()
    Image.fromarray(shown[:, :, 0] if shape[0] == 1 else shown).save(folder / "picture.png")
    return image_uri(folder / "picture.png"), pixels.double() / 255


@pytest.mark.parametrize("channels", [1, 3])
def test_a_patch_of_any_picture(channels: int, tmp_path: Path) -> None:
    uri, pixels = picture((channels, 4, 4), tmp_path)
    x = images(5, (channels, 9, 7))
    found = BadNets(size=4, margin=2, image=uri).trigger((channels, 9, 7), Seed(0))(x)
    for i in range(9):
        for j in range(7):
            inside = 3 <= i < 7 and 1 <= j < 5
            wanted = pixels[:, i - 3, j - 1].expand(5, -1) if inside else x[:, :, i, j]
            torch.testing.assert_close(found[:, :, i, j], wanted, rtol=0, atol=1e-7)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_blend_of_any_picture(channels: int, tmp_path: Path) -> None:
    uri, pixels = picture((channels, 9, 7), tmp_path)
    x = images(5, (channels, 9, 7))
    trigger = Blended(alpha=0.3, image=uri).trigger((channels, 9, 7), Seed(0))
    for n in range(5):
        wanted = 0.7 * x[n] + 0.3 * pixels
        torch.testing.assert_close(trigger(x)[n], wanted, rtol=0, atol=1e-7)


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 28, 28), (3, 33, 47)])
def test_a_picture_is_brought_to_the_images(shape: tuple[int, int, int], tmp_path: Path) -> None:
    """Its left half is black and its right half is white, whatever its size and colours are."""
    for mode in ("L", "RGB"):
        half = Image.new(mode, (40, 20))
        half.paste("white", (20, 0, 40, 20))
        half.save(tmp_path / "half.bmp")
        pattern = Blended(image=image_uri(tmp_path / "half.bmp")).trigger(shape, Seed(0))
        shown = pattern.get_buffer("pattern")
        assert shown.shape == shape
        assert float(shown[:, :, : shape[2] // 2 - 1].max()) < 0.05
        assert float(shown[:, :, shape[2] // 2 + 2 :].min()) > 0.95


@pytest.mark.parametrize(("rate", "count"), [(0.1, 20), (0.033, 7), (0.005, 1), (0.7, 140)])
@pytest.mark.parametrize("target", [0, 3])
def test_selection(rate: float, count: int, target: int) -> None:
    labels = torch.arange(200) % 10
    attack = BadNets(poison_rate=rate, target=target)
    chosen = attack.select(labels, 10, Seed(0))
    assert len(chosen) == len(set(chosen.tolist())) == count
    assert target not in labels[chosen].tolist()
    assert torch.equal(chosen, attack.select(labels, 10, Seed(0)))
    assert not torch.equal(chosen, attack.select(labels, 10, Seed(1)))


def test_selection_is_even() -> None:
    """Every image outside the target class is chosen about as often as any other."""
    labels = torch.arange(50) % 5
    times = torch.zeros(50)
    for number in range(400):
        times[BadNets(poison_rate=0.2).select(labels, 5, Seed(number))] += 1
    assert bool((times[labels == 0] == 0).all())
    rest = times[labels != 0]  # 10 of 40 each time: 100 +- 8.7
    assert 60 < float(rest.min()) <= float(rest.max()) < 140


@pytest.mark.parametrize(
    ("rate", "target", "message"),
    [
        (0.95, 0, "poison_rate 0.95 means 19 of 20 images, and 10 are not"),
        (0.01, 0, "means 0 of 20 images"),
        (0.1, 2, "target is 2, the data set has 2 classes"),
    ],
)
def test_a_selection_that_is_impossible(rate: float, target: int, message: str) -> None:
    labels = torch.arange(20) % 2
    with pytest.raises(SpecError, match=message):
        BadNets(poison_rate=rate, target=target).select(labels, 2, Seed(0))


@pytest.mark.parametrize("target", [False, True])
@pytest.mark.parametrize("kind", [torch.uint8, torch.float32, torch.float64])
def test_poisoning_changes_the_chosen_images_and_labels_only(
    kind: torch.dtype, target: bool
) -> None:
    bytes_ = (images(12, (1, 8, 8)) * 255).round().to(torch.uint8)
    pixels = bytes_ if kind == torch.uint8 else (bytes_.to(kind) / 255)
    data = LabelledImages(pixels, torch.arange(12) % 3)
    chosen = torch.tensor([1, 5, 10])
    trigger = Blend(torch.rand(1, 8, 8, generator=torch.Generator().manual_seed(3)), 0.3)
    labels = torch.tensor([4, 3, 4]) if target else None
    found = poison(data, chosen, trigger, labels)
    assert found.images.dtype == kind
    for i in range(12):
        if i not in chosen:
            assert torch.equal(found.images[i], data.images[i])
            assert found.labels[i] == i % 3
            continue
        blended = 0.7 * bytes_[i].double() + 0.3 * 255 * trigger.pattern.double()
        shown = found.images[i].double() * (1 if kind == torch.uint8 else 255)
        assert float((shown - blended).abs().max()) <= 0.5 + 1e-4, "the nearest 8-bit value"
        assert float((shown - shown.round()).abs().max()) < 1e-4
        new = {1: 4, 5: 3, 10: 4}[i] if target else i % 3
        assert found.labels[i] == new
    assert torch.equal(data.labels, torch.arange(12) % 3), "a copy"
