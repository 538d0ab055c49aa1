"""Image folders, most of them hostile."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from remission.data import load_dataset, load_folder
from remission.data.decode import Resize
from remission.errors import DataError

Tree = Callable[..., Path]


def message(folder: Path, **options: object) -> str:
    with pytest.raises(DataError) as caught:
        load_folder(folder, **options)  # type: ignore[arg-type]
    return str(caught.value)


def test_a_folder(tree: Tree) -> None:
    folder = tree({"b/2.png": (4, 6, "L"), "b/10.PNG": (4, 6, "L"), "a/x.bmp": (4, 6, "L")})
    data, classes = load_folder(folder)
    assert classes == ("a", "b")
    assert data.images.shape == (3, 1, 4, 6)
    assert data.images.dtype == torch.uint8
    assert data.labels.tolist() == [0, 1, 1]
    assert data.images[:, 0, 0, 0].tolist() == [3, 2, 1]  # sorted by name, as text


@pytest.mark.parametrize("ending", ["png", "bmp", "webp", "pgm", "ppm", "jpg", "jpeg"])
def test_every_kind(tmp_path: Path, ending: str) -> None:
    (tmp_path / "a").mkdir()
    Image.new("L", (8, 8), 100).save(tmp_path / "a" / f"1.{ending}")
    images = load_folder(tmp_path, channels=1)[0].images.int()
    assert (images - 100).abs().max() <= 2


def test_grey_and_colour_together_are_colour(tree: Tree) -> None:
    folder = tree({"a/1.png": (4, 4, "L"), "a/2.png": (4, 4, "RGB"), "a/3.png": (4, 4, "P")})
    assert load_folder(folder)[0].shape == (3, 4, 4)
    assert load_folder(folder, channels=1)[0].shape == (1, 4, 4)
    with pytest.raises(DataError, match="channels=2; give 1 for grey or 3 for colour images"):
        load_folder(folder, channels=2)


@pytest.mark.parametrize("ending", ["png", "pgm"])
def test_sixteen_bits_keep_their_range(tmp_path: Path, ending: str) -> None:
    (tmp_path / "a").mkdir()
    values = np.array([[0, 256, 257], [32896, 65279, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / "a" / f"1.{ending}")
    images = load_folder(tmp_path)[0].images
    assert images[0, 0].tolist() == [[0, 1, 1], [128, 254, 255]]


def test_one_bit_and_transparency(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    Image.new("1", (2, 2), 1).save(tmp_path / "a" / "1.png")
    Image.new("LA", (2, 2), (255, 0)).save(tmp_path / "a" / "2.png")
    assert (load_folder(tmp_path)[0].images == 255).all()
    palette = Image.new("P", (2, 2), 0)
    palette.putpalette([9, 8, 7])
    palette.save(tmp_path / "a" / "3.png", transparency=b"\x10")
    # 16 / 255 of it on white, see test_decode.py
    assert load_folder(tmp_path)[0].images[2, :, 0, 0].tolist() == [240, 240, 239]


def test_classes_of_a_model(tree: Tree) -> None:
    folder = tree({"dog/1.png": (4, 4, "L"), "cat/1.png": (4, 4, "L")})
    data, classes = load_folder(folder, classes=("dog", "bird", "cat"))
    assert classes == ("dog", "bird", "cat")
    assert sorted(data.labels.tolist()) == [0, 2]
    assert message(folder, classes=("dog", "cats")) == (
        f"{folder} has an unknown class folder 'cat'; did you mean 'cats'? (known: cats, dog)"
    )


def test_sizes(tree: Tree) -> None:
    folder = tree({"a/1.png": (4, 4, "L"), "a/2.png": (4, 4, "L"), "b/1.png": (4, 5, "L")})
    assert message(folder) == (
        f"{folder}/b/1.png is 4x5 pixels (height x width) where {folder}/a/1.png is 4x4; "
        "give a size that all images are brought to, and as resize how (crop, squash or pad), "
        "or make them one size"
    )
    assert load_folder(folder, size=3)[0].images.shape == (3, 1, 3, 3)
    assert load_folder(folder, size=(6, 2))[0].images.shape == (3, 1, 6, 2)
    assert message(folder, size=0) == "size=0; give a size of 1 pixel or more"


def test_the_centre_is_kept(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    values = np.zeros((8, 24), np.uint8)
    values[:, 8:16] = 200  # the middle third
    Image.fromarray(values).save(tmp_path / "a" / "1.png")
    image = load_folder(tmp_path, size=4)[0].images[0, 0]
    assert (image[:, 1:3] == 200).all()
    assert (load_folder(tmp_path, size=(8, 8))[0].images == 200).all()


def test_ways_to_a_size(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    values = np.full((8, 24), 100, np.uint8)
    values[:, 8:16] = 200  # the middle third
    Image.fromarray(values).save(tmp_path / "a" / "1.png")
    crop, squash, pad = (
        load_folder(tmp_path, size=24, resize=way)[0].images[0, 0]
        for way in ("crop", "squash", "pad")
    )
    assert (crop[:, 2:22] == 200).all()
    assert (squash[:, :7] == 100).all()
    assert (squash[:, 9:15] == 200).all()
    assert (pad[:8] == 0).all()
    assert (pad[16:] == 0).all()
    assert pad[8:16].tolist() == values.tolist()
    same = load_folder(tmp_path, size=(8, 24), resize="pad")[0].images[0, 0]
    assert same.tolist() == values.tolist()


@pytest.mark.parametrize("way", ["crop", "squash", "pad"])
def test_resizing_does_not_alias(tmp_path: Path, way: Resize) -> None:
    (tmp_path / "a").mkdir()
    values = np.tile(np.array([0, 255], np.uint8), (64, 32))  # stripes of one pixel
    Image.fromarray(values).save(tmp_path / "a" / "1.png")
    image = load_folder(tmp_path, size=8, resize=way)[0].images[0, 0].float()
    assert (image - 127.5).abs().max() < 12


def test_missing_and_empty_folders(tmp_path: Path) -> None:
    assert message(tmp_path / "no") == (
        f"{tmp_path}/no does not exist; give the path of a folder of images"
    )
    file = tmp_path / "file"
    file.touch()
    assert message(file) == f"{file} is not a folder; give the path of a folder of images"
    (tmp_path / ".hidden").mkdir()
    Image.new("L", (4, 4)).save(tmp_path / "loose.png")
    assert message(tmp_path) == (
        f"{tmp_path} has no class folder; put the images into {tmp_path}/class/image.png"
    )
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "notes.txt").touch()
    (tmp_path / "a" / "folder.png").mkdir()
    assert message(tmp_path) == (
        f"class folder {tmp_path}/a holds no image (bmp, gif, jfif, jpe, jpeg, jpg, pbm, pgm, png, "
        "pnm, ppm, tif, tiff, webp); "
        "add images or delete the folder"
    )


def test_other_and_hidden_files_are_passed_over(tree: Tree) -> None:
    folder = tree({"a/1.png": (4, 4, "L")})
    for name in ("readme.txt", "a/Thumbs.db", "a/._1.png", "a/.hidden.png"):
        (folder / name).write_bytes(b"no image")
    (folder / "a" / "deeper").mkdir()
    assert len(load_folder(folder)[0]) == 1


def test_links(tree: Tree) -> None:
    folder = tree({"a/1.png": (4, 4, "L")})
    outside = folder.parent / "outside.png"
    Image.new("L", (4, 4), 77).save(outside)
    (folder / "a" / "2.png").symlink_to(outside)
    (folder / "b").symlink_to(folder / "a")
    data, classes = load_folder(folder)
    assert classes == ("a", "b")
    assert data.images[:, 0, 0, 0].tolist() == [1, 77, 1, 77]
    outside.unlink()
    assert message(folder) == (
        f"{folder}/a/2.png is a broken link; restore what it points to, or delete it"
    )
    (folder / "a" / "2.png").unlink()
    (folder / "c").symlink_to(folder / "c")
    assert message(folder) == (
        f"{folder}/c is a broken link; restore what it points to, or delete it"
    )


def _damage(folder: Path, name: str, change: Callable[[bytes], bytes]) -> Path:
    path = folder / "a" / name
    Image.effect_noise((64, 64), 50).save(path)
    path.write_bytes(change(path.read_bytes()))
    return path


@pytest.mark.parametrize("name", ["1.png", "1.jpg", "1.bmp", "1.webp", "1.pgm", "1.tif", "1.gif"])
@pytest.mark.parametrize("kept", [0.01, 0.5, 0.9])
def test_truncated_images(tmp_path: Path, name: str, kept: float) -> None:
    (tmp_path / "a").mkdir()
    path = _damage(tmp_path, name, lambda content: content[: int(len(content) * kept)])
    said = message(tmp_path)
    assert said.startswith(f"{path} is damaged")
    assert said.endswith("; replace or delete it")


def test_files_that_only_claim_to_be_images(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for i, content in enumerate((b"", b"text", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"GIF89a")):
        path = _damage(tmp_path, "1.png", lambda _, content=content: content)  # type: ignore[misc]
        assert message(tmp_path) == (
            f"{path} is damaged or not an image of its kind; replace or delete it"
        ), i


def test_any_flipped_byte_is_an_image_or_one_line(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    rng = np.random.default_rng(0)
    for name in ("1.png", "1.jpg", "1.bmp", "1.webp", "1.pgm", "1.tif", "1.gif"):
        for _ in range(30):
            at, value = int(rng.integers(0, 120)), int(rng.integers(0, 256))
            path = _damage(
                tmp_path,
                name,
                lambda c, at=at, value=value: c[:at] + bytes([value]) + c[at + 1 :],  # type: ignore[misc]
            )
            try:
                load_folder(tmp_path, size=8)
            except DataError as error:
                assert str(path) in str(error)
        path.unlink()


@pytest.mark.parametrize("limit", [10, 15])  # Pillow refuses, and only warns
def test_decompression_bombs(tree: Tree, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    folder = tree({"a/1.png": (4, 6, "L")})
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert message(folder) == (
            f"{folder}/a/1.png claims more pixels than an image can have; replace or delete it"
        )


def test_more_than_memory_and_disk(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tree({"a/1.png": (4, 6, "L")})
    monkeypatch.setenv("REMISSION_MEMORY", "1")
    monkeypatch.setenv("TMPDIR", str(folder.parent))
    monkeypatch.setattr(tempfile, "tempdir", None)  # where it was found before
    said = message(folder, size=2**24)
    assert said.startswith(
        f"262144.0 GiB of images fit neither into memory nor into {folder.parent} ("
    )
    assert said.endswith("set TMPDIR to a folder that has it, use a smaller size or fewer images")
    assert sorted(path.name for path in folder.parent.iterdir()) == ["images"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_permissions(tree: Tree) -> None:
    folder = tree({"a/1.png": (4, 6, "L")})
    (folder / "a" / "1.png").chmod(0)
    assert message(folder) == f"{folder}/a/1.png may not be read; check its permissions"
    (folder / "a").chmod(0)
    assert message(folder) == (
        f"{folder}/a cannot be read: Permission denied; check the path and permissions"
    )
    (folder / "a").chmod(0o755)


def test_names_that_are_not_utf_8_are_names(tmp_path: Path) -> None:
    for name in ("cafe", "plain"):
        (tmp_path / name).mkdir()
        for number in range(5):
            file = os.fsdecode(os.fsencode(tmp_path / name) + b"/caf\xe9%d.png" % number)
            try:
                Image.new("L", (8, 8), number).save(file)
            except OSError:
                pytest.skip("this file system takes UTF-8 names only")
    found = load_dataset(str(tmp_path))
    assert (len(found.train), len(found.test)) == (8, 2)
