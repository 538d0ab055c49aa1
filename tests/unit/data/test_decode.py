"""One image file: a model gets the pixels that a viewer shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from remission.data import load_dataset, load_folder
from remission.data.picture import image_pixels, image_uri
from remission.errors import DataError
from tests.unit.data.pictures import ORIENTATION, blocks, chunk, png, save_turned


def read(path: Path, **options: object) -> torch.Tensor:
    """Returns (C, H, W), the only image of a folder of one class."""
    return load_folder(path.parent.parent, **options)[0].images[0]  # type: ignore[arg-type]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Returns a class folder."""
    (tmp_path / "images" / "a").mkdir(parents=True)
    return tmp_path / "images" / "a"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif"])
def test_every_orientation_is_upright(place: Path, ending: str, orientation: int) -> None:
    upright = blocks(32, 48)
    path = place / f"1.{ending}"
    save_turned(upright, orientation, path)
    with Image.open(path) as image:  # the file states it, or this test would test nothing
        assert ending == "tif" or image.getexif()[ORIENTATION] == orientation
    pixels = read(path, channels=1)[0].int()
    assert pixels.shape == (32, 48)
    assert (pixels - torch.from_numpy(upright).int()).abs().max() <= 2


def test_sizes_are_those_of_upright_pictures(place: Path) -> None:
    for orientation in range(1, 9):
        save_turned(blocks(32, 48), orientation, place / f"{orientation}.png")
    data, _ = load_folder(place.parent)
    assert data.shape == (1, 32, 48)
    assert (data.images == data.images[0]).all()
    cut = load_folder(place.parent, size=(16, 16))[0].images  # cropped from what is shown
    assert (cut == cut[0]).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif"])
def test_pictures_of_triggers_are_upright(place: Path, ending: str, orientation: int) -> None:
    upright = blocks(32, 48)
    save_turned(upright, orientation, place / f"1.{ending}")
    shown = image_pixels(image_uri(place / f"1.{ending}"), (1, 32, 48))[0] * 255
    assert float((shown - torch.from_numpy(upright)).abs().max()) <= 2


@pytest.mark.parametrize("exif", [b"Exif\0\0", b"Exif\0\0II*\0\x08\0\0\0\xff\xff", b"nonsense"])
def test_unreadable_exif_leaves_a_picture_as_it_lies(place: Path, exif: bytes) -> None:
    upright = blocks(16, 24)
    Image.fromarray(upright).save(place / "1.png", exif=exif)
    assert torch.equal(read(place / "1.png")[0], torch.from_numpy(upright))


def hidden_pairs() -> dict[str, tuple[bytes, bytes]]:
    """PNG files that look alike in pairs: they differ only where they are fully transparent."""
    rng = np.random.default_rng(1)
    pairs = {}
    for name, colour, channels, kind in (
        ("grey", 4, 1, np.uint8),
        ("colour", 6, 3, np.uint8),
        ("grey of 16 bits", 4, 1, np.uint16),
        ("colour of 16 bits", 6, 3, np.uint16),
    ):
        top = np.iinfo(kind).max
        one, other = (rng.integers(0, top, (8, 8, channels + 1)).astype(kind) for _ in "ab")
        one[..., -1] = 0
        one[2:5, 3:7, -1] = top
        one[0, 0] = top
        seen = one[..., -1] == top
        other[seen] = one[seen]
        other[..., -1] = one[..., -1]
        pairs[name] = (png(one, colour), png(other, colour))
    return pairs


@pytest.mark.parametrize("name", list(hidden_pairs()))
def test_hidden_colours_do_not_reach_a_model(place: Path, name: str) -> None:
    files = hidden_pairs()[name]
    assert files[0] != files[1]
    for i, content in enumerate(files):
        (place / f"{i}.png").write_bytes(content)
    for size in (None, 5):
        images = load_folder(place.parent, size=size)[0].images
        assert torch.equal(images[0], images[1])
    assert len(set(images.flatten().tolist())) > 1
    assert image_uri(place / "0.png") == image_uri(place / "1.png")


@pytest.mark.parametrize("ending", ["png", "webp", "tif"])
def test_transparency_is_laid_on_white(place: Path, ending: str) -> None:
    pixels = np.zeros((2, 3, 4), np.uint8)
    pixels[0] = [(200, 100, 0, 255), (200, 100, 0, 0), (200, 100, 0, 51)]
    options = {"lossless": True, "exact": True} if ending == "webp" else {}
    Image.fromarray(pixels).save(place / f"1.{ending}", **options)  # type: ignore[arg-type]
    image = read(place / f"1.{ending}")
    assert image[:, 0, 0].tolist() == [200, 100, 0]
    assert image[:, 0, 1].tolist() == [255, 255, 255]
    assert image[:, 0, 2].tolist() == [244, 224, 204]  # a fifth of it on four fifths of white
    assert (image[:, 1] == 255).all()


def test_transparent_entries_of_a_palette(place: Path) -> None:
    for name, transparency, shown in (
        ("1.png", b"\x00\x80", [(255, 255, 255), (127, 127, 255)]),
        ("2.png", 0, [(255, 255, 255), (0, 0, 255)]),
        ("3.gif", 1, [(9, 8, 7), (255, 255, 255)]),
    ):
        image = Image.new("P", (2, 1))
        image.putpalette([9, 8, 7, 0, 0, 255])
        image.putdata([0, 1])
        image.save(place / name, transparency=transparency)
        pixels = read(place / name, channels=3)
        assert [tuple(pixels[:, 0, x].tolist()) for x in range(2)] == shown
        (place / name).unlink()


def test_one_colour_that_is_transparent(place: Path) -> None:
    grey = png(np.array([[[7], [9]]], np.uint8), 0, chunk(b"tRNS", b"\0\x07"))
    deep = png(np.array([[[700], [257 * 9]]], np.uint16), 0, chunk(b"tRNS", b"\x02\xbc"))
    colour = png(
        np.array([[[7, 7, 8], [9, 9, 9]]], np.uint8), 2, chunk(b"tRNS", b"\0\x07\0\x07\0\x08")
    )
    for content in (grey, deep, colour):
        (place / "1.png").write_bytes(content)
        assert read(place / "1.png", channels=1)[0, 0].tolist() == [255, 9]
    both = np.array([[[7, 7, 8], [9, 9, 9]]], np.uint16)
    (place / "1.png").write_bytes(png(both, 2, chunk(b"tRNS", b"\0\x07\0\x07\0\x08")))
    with pytest.raises(DataError, match=r"has a transparent colour of 16 bits .*save it with 8"):
        read(place / "1.png")


def test_a_transparent_picture_of_a_trigger(place: Path) -> None:
    pixels = np.full((4, 4, 4), (250, 10, 10, 0), np.uint8)
    pixels[1:3, 1:3, 3] = 255
    Image.fromarray(pixels).save(place / "1.png")
    shown = image_pixels(image_uri(place / "1.png"), (3, 4, 4)) * 255
    assert shown[:, 0, 0].tolist() == [255, 255, 255]
    assert shown[:, 1, 1].tolist() == [250, 10, 10]


@pytest.mark.parametrize(
    ("array", "ending"),
    [
        (np.zeros((4, 4), np.float32), "tif"),
        (np.zeros((4, 4), np.int32), "tif"),
    ],
)
def test_kinds_of_pixels_that_are_not_read(place: Path, array: np.ndarray, ending: str) -> None:
    Image.fromarray(array).save(place / f"1.{ending}")
    with pytest.raises(DataError) as caught:
        read(place / f"1.{ending}")
    assert "has pixels of a kind that is not read" in str(caught.value)
    assert "damaged" not in str(caught.value)


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_twelve_of_sixteen_bits(place: Path, ending: str) -> None:
    values = np.array([[0, 1000, 2048, 4095]], np.uint16)
    Image.fromarray(values).save(place / f"1.{ending}")
    assert read(place / f"1.{ending}", white=4095)[0, 0].tolist() == [0, 62, 128, 255]
    with pytest.raises(DataError) as caught:
        read(place / f"1.{ending}", white=4000)
    assert str(caught.value) == (
        f"{place}/1.{ending} holds the value 4095, above white = 4000; "
        "give as white the value that stands for white in all files"
    )


def test_a_file_that_states_its_white(place: Path) -> None:
    (place / "1.pgm").write_bytes(b"P5 3 1 4095\n" + np.array([0, 2048, 4095], ">u2").tobytes())
    assert read(place / "1.pgm")[0, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("colour", [0, 2])
def test_a_nearly_black_picture_of_a_trigger_is_refused(place: Path, colour: int) -> None:
    values = np.full((4, 4, 1 if colour == 0 else 3), 4095, np.uint16)
    (place / "1.png").write_bytes(png(values, colour))
    with pytest.raises(DataError, match=r"no value above \d+ of 65535: it is nearly black; save"):
        image_uri(place / "1.png")


def test_published_archives_are_read_as_before() -> None:
    """No orientation, no background: their digests are those of stored results."""
    from remission.data.decode import decode_published
    from tests.unit.data.archives import image

    content = image(40, 60, 90, "PPM")
    found = decode_published(content, size=(32, 32), kind="PPM", largest=100)
    assert found.shape == (3, 32, 32)
    assert found[:, 0, 0].tolist() == [90, 165, 45]


def test_trained_data_sets_get_upright_images_too(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 2)):
        (tmp_path / name).mkdir()
        for orientation in range(1, 9):
            picture = blocks(16, 24, seed * 10 + orientation)
            save_turned(picture, orientation, tmp_path / name / f"{orientation}.jpg")
    dataset = load_dataset(str(tmp_path))
    assert dataset.train.shape == (1, 16, 24)
