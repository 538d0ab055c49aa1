"""A trigger that the user has: a picture with a mask, or triggered images."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from remission.audit.given_trigger import given_trigger
from remission.audit.suspicion import Suspect
from remission.errors import DataError
from remission.seeding import Seed
from remission.triggers import Patch
from remission.types import LabelledImages
from tests.unit.audit.stubs import Answering, suspect

SIZE = 6


class Corner(Answering):
    """Gives class 2 where the lower right pixel is white, else class 0 or 1 by the first pixel."""

    def forward(self, images: Tensor) -> Tensor:
        first, last = images[:, 0, 0, 0], images[:, 0, -1, -1]
        return torch.stack([0.5 - first, first - 0.5, 4 * last - 2], 1)


def ready() -> Suspect:
    """Returns the model with images of its first two classes."""
    images = torch.zeros(40, 1, SIZE, SIZE)
    images[::2, 0, 0, 0] = 1
    clean = LabelledImages(images, images[:, 0, 0, 0].long())
    return suspect(Corner(3, (1, SIZE, SIZE)).eval(), clean, ("first", "second"))


def transparent(file: Path, size: int = SIZE) -> Path:
    picture = Image.new("RGBA", (size, size), (255, 255, 255, 0))
    picture.putpixel((size - 1, size - 1), (255, 255, 255, 255))
    picture.save(file)
    return file


def test_a_transparent_picture_is_a_patch_and_its_class_is_found(tmp_path: Path) -> None:
    found = given_trigger(transparent(tmp_path / "t.png"), ready(), Seed(0))
    assert isinstance(found.change, Patch)
    assert found.target == 2
    assert found.role == "suspected"
    mask = torch.zeros(1, SIZE, SIZE)
    mask[0, -1, -1] = 1
    assert torch.equal(found.change.mask, mask)
    assert float(found.change.pattern[0, -1, -1]) == 1


def test_what_shows_through_keeps_its_colour(tmp_path: Path) -> None:
    """Half transparent black is black at half strength, not grey."""
    picture = Image.new("RGBA", (SIZE, SIZE), (255, 255, 255, 0))
    picture.putpixel((0, 0), (0, 0, 0, 128))
    picture.putpixel((SIZE - 1, SIZE - 1), (255, 255, 255, 255))
    picture.save(tmp_path / "t.png")
    found = given_trigger(tmp_path / "t.png", ready(), Seed(0))
    assert isinstance(found.change, Patch)
    assert float(found.change.pattern[0, 0, 0]) == 0
    assert float(found.change.mask[0, 0, 0]) == pytest.approx(128 / 255)


def test_a_mask_that_is_white_on_nothing_covers_what_is_white(tmp_path: Path) -> None:
    Image.new("L", (SIZE, SIZE), 255).save(tmp_path / "pattern.png")
    mask = Image.new("RGBA", (SIZE, SIZE), (255, 255, 255, 0))
    mask.putpixel((SIZE - 1, SIZE - 1), (255, 255, 255, 255))
    mask.save(tmp_path / "mask.png")
    found = given_trigger(tmp_path, ready(), Seed(0))
    assert isinstance(found.change, Patch)
    assert float(found.change.mask.sum()) == 1


def test_pattern_and_mask_are_two_files(tmp_path: Path) -> None:
    Image.new("L", (SIZE, SIZE), 255).save(tmp_path / "pattern.png")
    mask = Image.new("L", (SIZE, SIZE), 0)
    mask.putpixel((SIZE - 1, SIZE - 1), 230)
    mask.save(tmp_path / "mask.png")
    found = given_trigger(tmp_path, ready(), Seed(0))
    assert isinstance(found.change, Patch)
    assert float(found.change.mask[0, -1, -1]) == pytest.approx(230 / 255)
    assert found.change.pattern.shape == (1, SIZE, SIZE)


def test_triggered_images_are_halved(tmp_path: Path) -> None:
    for number in range(130):
        folder = tmp_path / ("first", "second")[number % 2]
        folder.mkdir(exist_ok=True)
        picture = Image.new("L", (SIZE, SIZE), 0)
        picture.putpixel((0, 0), 255 * (number % 2))
        picture.putpixel((SIZE - 1, SIZE - 1), 255)
        picture.putpixel((2, 2), number)
        picture.save(folder / f"{number}.png")
    found = given_trigger(tmp_path, ready(), Seed(0))
    assert found.change is None
    assert found.target == 2
    assert found.poisons is not None
    assert found.shown is not None
    assert len(found.poisons) == len(found.shown) == 65
    assert set(found.poisons.labels.tolist()) == {2}
    marks = [set(part.images[:, 0, 2, 2].tolist()) for part in (found.poisons, found.shown)]
    assert not marks[0] & marks[1], "no image retunes and measures"


@pytest.mark.parametrize("what", ["missing", "opaque", "size", "few", "unknown"])
def test_what_is_no_trigger_is_refused_in_one_line(what: str, tmp_path: Path) -> None:
    path = tmp_path / "t.png"
    if what == "opaque":
        Image.new("RGB", (SIZE, SIZE)).save(path)
    if what == "size":
        transparent(path, 9)
    if what == "few":
        path = tmp_path / "few"
        (path / "first").mkdir(parents=True)
        white = Image.new("L", (SIZE, SIZE), 255)
        white.save(path / "first" / "a.png")
    if what == "unknown":
        path = tmp_path / "unknown"
        (path / "third").mkdir(parents=True)
        Image.new("L", (SIZE, SIZE)).save(path / "third" / "a.png")
    wanted = {
        "missing": "there is no trigger",
        "opaque": "hides every pixel",
        "size": "9x9 pixels",
        "few": "holds 1 triggered images",
        "unknown": "a folder 'third', and the clean images have none",
    }
    with pytest.raises(DataError, match=wanted[what]):
        given_trigger(path, ready(), Seed(0))
