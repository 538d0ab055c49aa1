"""Pictures as values: what a URI holds, and what is refused."""

from __future__ import annotations

import base64
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import remission
from remission.data.picture import LARGEST, image_pixels, image_uri
from remission.errors import DataError
from remission.records import brief

PREFIX = "data:image/png;base64,"


def noise(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize(("shape", "channels"), [((6, 9), 1), ((6, 9, 3), 3), ((256, 256, 3), 3)])
def test_pixels_come_back_as_they_were(
    shape: tuple[int, ...], channels: int, tmp_path: Path
) -> None:
    pixels = noise(*shape)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    uri = image_uri(tmp_path / "a.png")
    found = image_pixels(uri, (channels, *shape[:2]))  # type: ignore[arg-type]
    wanted = torch.from_numpy(pixels).view(*shape[:2], channels).permute(2, 0, 1)
    assert torch.equal(found, wanted.float() / 255)


def test_it_is_public(tmp_path: Path) -> None:
    Image.fromarray(noise(4, 4)).save(tmp_path / "a.png")
    assert remission.data.image_uri(str(tmp_path / "a.png")).startswith(PREFIX)


def test_the_uri_depends_on_the_pixels_alone(tmp_path: Path) -> None:
    pixels = noise(8, 8, 3)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray(pixels).save(tmp_path / "b.bmp")
    other = pixels.copy()
    other[3, 3, 1] ^= 1
    Image.fromarray(other).save(tmp_path / "c.png")
    a, b, c = (image_uri(tmp_path / name) for name in ("a.png", "b.bmp", "c.png"))
    assert a == b != c
    assert brief(a) == brief(b) != brief(c)
    assert brief(a).startswith("png:")
    assert len(brief(a)) == 12


def test_a_large_picture_is_made_smaller(tmp_path: Path) -> None:
    Image.new("RGB", (4000, 1000), (10, 200, 90)).save(tmp_path / "a.jpg")
    uri = image_uri(tmp_path / "a.jpg")
    content = base64.b64decode(uri.removeprefix(PREFIX))
    assert struct.unpack(">II", content[16:24]) == (LARGEST, LARGEST // 4)
    found = image_pixels(uri, (3, 5, 5)) * 255
    for channel, value in enumerate((10, 200, 90)):
        assert float((found[channel] - value).abs().max()) <= 3


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    deep = np.array([[0, 257, 65535, 32896]], np.uint16)
    Image.fromarray(deep).save(tmp_path / "a.png")
    found = image_pixels(image_uri(tmp_path / "a.png"), (1, 1, 4))
    assert (found * 255).flatten().tolist() == [0, 1, 255, 128]


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n", b"%!PS\n"])
def test_a_file_that_is_no_image(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        image_uri(tmp_path / "a.png")


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no image '.*a\.png'; check its path"):
        image_uri(tmp_path / "a.png")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int) -> str:
    """Returns a URI whose header claims a number of pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    content += chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    return PREFIX + base64.b64encode(content).decode()


@pytest.mark.parametrize(
    "uri",
    [
        PREFIX,
        PREFIX + "AAAA",
        PREFIX + "not base64!",
        PREFIX + base64.b64encode(b"GIF89a" + bytes(50)).decode(),
        png(257, 3),
        png(10_000, 10_000),  # Pillow warns
        png(60_000, 60_000),  # Pillow refuses
        png(30, 30),  # fewer pixels than it claims
    ],
)
def test_a_uri_that_holds_no_picture(uri: str) -> None:
    with pytest.raises(DataError, match="'image' is a URI that holds no picture"):
        image_pixels(uri, (3, 4, 4))


@pytest.mark.parametrize("uri", ["", "a.png", "/etc/passwd", "data:image/gif;base64,AAAA"])
def test_what_is_no_uri(uri: str) -> None:
    with pytest.raises(DataError, match=r"in Python remission\.data\.image_uri"):
        image_pixels(uri, (3, 4, 4))


def test_a_long_uri_is_refused_in_one_short_line() -> None:
    with pytest.raises(DataError) as caught:
        image_pixels(PREFIX + "A" * 10**6, (3, 4, 4))
    assert len(str(caught.value)) < 250


def test_pictures_in_any_json_value_are_shortened() -> None:
    uri = PREFIX + "AAAA"
    value = {"attack": {"image": uri, "size": 3}, "list": [uri, 1, None, "data:image"]}
    assert brief(value) == {
        "attack": {"image": brief(uri), "size": 3},
        "list": [brief(uri), 1, None, "data:image"],
    }
