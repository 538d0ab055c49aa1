"""Pictures of PIL inside a checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from remission.checkpoints import Opaque, image_of, read_checkpoint
from remission.errors import CheckpointError


@pytest.mark.parametrize("protocol", [2, 5])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_pixels(mode: str, protocol: int, tmp_path: Path) -> None:
    shape = (5, 4) if mode == "L" else (5, 4, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    picture = Image.fromarray(pixels)
    picture.save(tmp_path / "p.png")
    opened = Image.open(tmp_path / "p.png")
    value = {"bd_test": {0: {"path": picture, "other_info": (3, 0)}, 1: {"path": opened}}}
    torch.save(value, tmp_path / "attack_result.pt", pickle_protocol=protocol)
    tree = read_checkpoint(tmp_path / "attack_result.pt").tree
    assert isinstance(tree, dict)
    expected = torch.from_numpy(pixels.reshape(5, 4, -1)).permute(2, 0, 1)
    for place in (0, 1):
        found = image_of(tree["bd_test"][place]["path"])
        assert torch.equal(found, expected)
        assert found.dtype == torch.uint8


def picture(*state: object, module: str = "PIL.Image") -> Opaque:
    return Opaque(module, "Image", (), list(state))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (3, "is no picture"),
        (picture({}, "L", (1, 1), None, b"1", module="os"), "is no picture"),
        (picture({}, "L", (1, 1)), "has no pixels"),
        (picture({}, "P", (1, 1), None, b"1"), "mode 'P'"),
        (picture({}, 3, (1, 1), None, b"1"), "mode 3"),
        (picture({}, "L", (1, 1), None, "1"), "no size or no pixels"),
        (picture({}, "L", (1, 0), None, b""), "no size"),
        (picture({}, "L", (1, -1), None, b"1"), "no size"),
        (picture({}, "RGB", (2, 2), None, b"1" * 11), "11 bytes for 2 x 2 pixels"),
        (picture({}, "L", (1 << 62, 1 << 62), None, b"1"), "1 bytes for"),
    ],
)
def test_what_is_no_picture(value: object, words: str) -> None:
    with pytest.raises(CheckpointError, match=words):
        image_of(value)
