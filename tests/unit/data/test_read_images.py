"""Many image files at once: depths that disagree, and every file that cannot be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from remission.data import load_dataset, load_folder
from remission.errors import DataError
from tests.unit.data.pictures import png

TWELVE = np.linspace(0, 4000, 64).astype(np.uint16).reshape(8, 8)
EIGHT = np.linspace(0, 255, 64).astype(np.uint8).reshape(8, 8)


def folder_of(root: Path, files: dict[str, np.ndarray]) -> Path:
    """Returns a folder of classes a and b with the same files, except for one pixel."""
    for i, name in enumerate(("a", "b")):
        (root / name).mkdir(exist_ok=True)
        for file, values in files.items():
            changed = values.copy()
            changed[0, 0] = i
            Image.fromarray(changed).save(root / name / file)
    return root


def notes(folder: Path, **options: object) -> str:
    return "\n".join(load_dataset(str(folder), **options).notes)  # type: ignore[arg-type]


def test_twelve_of_sixteen_bits_are_said(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"1.png": TWELVE, "2.png": TWELVE + 5})
    assert (
        "4 of 4 images have 16 bits per channel and no value above 4005 of 65535 (as "
        f"{folder}/a/2.png) and are nearly black: write white = 4095 if that value stands for white"
    ) in notes(folder)
    dataset = load_dataset(str(folder))
    assert int(dataset.train.images.max()) <= 16
    right = load_dataset(str(folder), white=4095)
    assert int(right.train.images.max()) == round(4000 * 255 / 4095)
    assert "16 bits" not in "\n".join(right.notes)


def test_images_that_are_equal_only_since_they_are_nearly_black(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {f"{i}.png": TWELVE // 64 + i for i in range(5)})
    with pytest.raises(DataError, match=r"holds copies only .* \(10 of 10 .*write white = 127 if"):
        load_dataset(str(folder))
    assert len(load_dataset(str(folder), white=127).train) == 8


@pytest.mark.parametrize("colour", [False, True])
def test_dark_sixteen_bits_beside_eight_bits(tmp_path: Path, colour: bool) -> None:
    folder = folder_of(tmp_path, {"1.png": EIGHT, "2.png": TWELVE})
    if colour:
        values = TWELVE[..., None].repeat(3, 2)
        for name in ("a", "b"):
            (folder / name / "2.png").write_bytes(png(values, 2))
    with pytest.raises(DataError) as caught:
        load_dataset(str(folder))
    message = str(caught.value)
    largest = 3855 if colour else 4000  # Pillow keeps the upper 8 bits of colours only
    assert message.startswith(
        f"2 of 4 images have 16 bits per channel and no value above {largest} of 65535 (as "
    )
    assert "beside the others they would be nearly black" in message
    assert ("save them with 8 bits" in message) is colour
    assert ("write white = 4095" in message) is not colour
    if not colour:
        right = load_dataset(str(folder), white=4095)
        assert int(right.train.images.max()) >= 249
    else:
        with pytest.raises(DataError, match="in colour, which white is not for; save such"):
            load_dataset(str(folder), white=4095)


def test_full_sixteen_bits_beside_eight_bits(tmp_path: Path) -> None:
    full = (TWELVE.astype(np.uint32) * 16).astype(np.uint16)
    folder = folder_of(tmp_path, {"1.png": EIGHT, "2.png": full})
    assert "16 bits" not in notes(folder)


def test_dark_eight_bits_agree_with_dark_sixteen_bits(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"1.png": EIGHT // 16, "2.png": TWELVE})
    assert "2 of 4 images have 16 bits per channel" in notes(folder)


def test_a_white_that_no_image_needs(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"1.png": EIGHT, "2.png": EIGHT + 1})
    with pytest.raises(DataError, match="white = 4095, and none of the 4 images has 16 bits per"):
        load_dataset(str(folder), white=4095)
    with pytest.raises(DataError, match="white=4095 with data set 'digits'; give it with folders"):
        load_dataset("digits", white=4095)


def test_a_file_that_states_its_white_needs_no_other(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"1.png": TWELVE})
    values = np.full((8, 8), 2048, ">u2")
    for name in ("a", "b"):
        (folder / name / "2.pgm").write_bytes(b"P5 8 8 4095\n" + values.tobytes())
    images = load_folder(folder, white=4000)[0].images
    assert images[0].max() == 255
    assert (images[1] == 128).all()
    assert (images[3] == 128).all()


def test_all_damaged_files_are_named(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {f"{i:02}.png": EIGHT + i for i in range(8)})
    bad = [folder / "a" / f"{i:02}.png" for i in range(3)]
    content = bad[0].read_bytes()
    bad[0].write_bytes(b"")  # its header is damaged already
    bad[1].write_bytes(content[:-30])  # its pixels are
    bad[2].write_bytes(content[:60])
    with pytest.raises(DataError) as caught:
        load_folder(folder)
    message = str(caught.value)
    assert message.startswith("3 files cannot be used: ")
    assert all(str(path) in message for path in bad)
    assert message.endswith("; of each: replace or delete it")
    for path in sorted(folder.glob("*/*.png")):
        path.write_bytes(b"no image")
    with pytest.raises(DataError) as caught:
        load_folder(folder)
    message = str(caught.value)
    assert message.startswith("16 files cannot be used: ")
    assert message.count(" is damaged or not an image of its kind") == 10
    assert ", and 6 more; of each: " in message


def test_all_other_sizes_are_counted(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {f"{i}.png": EIGHT + i for i in range(4)})
    for name in ("a/2.png", "b/1.png", "b/3.png"):
        Image.new("L", (9, 8)).save(folder / name)
    with pytest.raises(DataError) as caught:
        load_folder(folder)
    assert str(caught.value).startswith(
        f"{folder}/a/2.png is 8x9 pixels (height x width) where {folder}/a/0.png is 8x8, and 2 "
        "more are of another size; give a size"
    )


@pytest.mark.parametrize("ending", ["gif", "tif", "webp", "png"])
def test_the_first_of_several_frames(tmp_path: Path, ending: str) -> None:
    folder = folder_of(tmp_path, {"1.png": EIGHT, "2.png": EIGHT + 1})
    frames = [Image.new("L", (8, 8), value) for value in (100, 200, 30)]
    options = {"lossless": True} if ending == "webp" else {}
    path = folder / "a" / f"3.{ending}"
    frames[0].save(path, save_all=True, append_images=frames[1:], **options)  # type: ignore[arg-type]
    assert f"1 of 5 files hold several frames, of which the first one is read (as {path})" in notes(
        folder
    )
    images = load_folder(folder, channels=1)[0].images
    assert torch.equal(images[2], torch.full((1, 8, 8), 100, dtype=torch.uint8))
