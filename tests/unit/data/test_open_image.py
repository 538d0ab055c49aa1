"""Text in PNG files, which no pixel depends on."""

from __future__ import annotations

import base64
import resource
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from remission.data import load_folder
from remission.data.picture import image_pixels
from remission.errors import DataError
from tests.unit.data.pictures import chunk, png

VALUES = np.arange(64, dtype=np.uint8).reshape(8, 8, 1)
LONG = b"a" * (3 << 20)
PACKED = zlib.compress(LONG)
TEXTS = {
    "zTXt": chunk(b"zTXt", b"Comment\0\0" + PACKED),
    "iTXt": chunk(b"iTXt", b"Comment\0\x01\0\0\0" + PACKED),
    "iCCP": chunk(b"iCCP", b"profile\0\0" + PACKED),
    "much tEXt": chunk(b"tEXt", b"Comment\0" + LONG) * 30,
    "several": chunk(b"tEXt", b"a\0b") + chunk(b"zTXt", b"Comment\0\0" + PACKED) * 3,
}


@pytest.mark.parametrize("where", ["before", "after"])
@pytest.mark.parametrize("name", list(TEXTS))
def test_long_text_in_a_good_png(tmp_path: Path, name: str, where: str) -> None:
    (tmp_path / "a").mkdir()
    text = TEXTS[name]
    before, after = ((text,), b"") if where == "before" else ((), text)
    (tmp_path / "a" / "1.png").write_bytes(png(VALUES, 0, *before, after=after))
    image = load_folder(tmp_path)[0].images[0, 0]
    assert torch.equal(image, torch.from_numpy(VALUES[..., 0].copy()))


def test_a_bomb_of_text_is_not_unpacked(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    packer = zlib.compressobj()
    bomb = b"".join(packer.compress(bytes(1 << 24)) for _ in range(64)) + packer.flush()  # 1 GiB
    (tmp_path / "a" / "1.png").write_bytes(png(VALUES, 0, chunk(b"zTXt", b"Comment\0\0" + bomb)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert len(load_folder(tmp_path)[0]) == 1
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 100 << 10  # KiB


def test_a_damaged_png_with_long_text_stays_damaged(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    content = png(VALUES, 0, TEXTS["zTXt"])
    path = tmp_path / "a" / "1.png"
    for damaged in (content[:-40], content.replace(b"IDAT", b"IDOT")):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"1\.png is damaged"):
            load_folder(tmp_path)


def test_a_uri_with_long_text() -> None:
    content = png(VALUES, 0, TEXTS["zTXt"])
    uri = "data:image/png;base64," + base64.b64encode(content).decode()
    assert torch.equal(
        image_pixels(uri, (1, 8, 8))[0] * 255, torch.from_numpy(VALUES[..., 0].copy()).float()
    )
