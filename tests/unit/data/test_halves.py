"""Training and test images of a folder with copies: disjoint by content."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from remission.data import load_dataset, split_dataset
from remission.errors import DataError
from remission.grid.stages.datasets import digest_of
from remission.seeding import Seed
from remission.types import LabelledImages

HELD = {"a/0.png", "a/8.png", "b/0.png", "b/3.png"}
"""What was held out of the classes a and b of ten files before copies were known of."""


def noise(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 256, (8, 8), dtype=np.uint8)
    Image.fromarray(values).save(path)


def contents(part: LabelledImages) -> set[bytes]:
    return {image.tobytes() for image in part.images.numpy()}


def thrice(root: Path) -> Path:
    """Returns two classes of noise, each picture saved three times, once in another format."""
    for label, name in enumerate(("a", "b")):
        for i in range(20):
            noise(root / name / f"{i:02}.png", 100 * label + i)
            shutil.copy(root / name / f"{i:02}.png", root / name / f"{i:02} (copy).png")
            with Image.open(root / name / f"{i:02}.png") as image:
                image.save(root / name / f"z{i:02}.bmp")
    return root


def test_copies_are_held_out_together(tmp_path: Path) -> None:
    dataset = load_dataset(str(thrice(tmp_path)))
    assert (len(dataset.train), len(dataset.test)) == (96, 24)
    assert not contents(dataset.train) & contents(dataset.test)
    assert dataset.train.labels.bincount().tolist() == [48, 48]
    assert dataset.test.labels.bincount().tolist() == [12, 12]
    assert dataset.copies is not None
    assert len(set(dataset.copies.tolist())) == len(contents(dataset.train)) == 32
    (note,) = (note for note in dataset.notes if note.startswith("copies"))
    assert "80 of 120 images have the pixels of an earlier one (as " in note


def test_the_four_sets_are_disjoint_by_content(tmp_path: Path) -> None:
    dataset = load_dataset(str(thrice(tmp_path)))
    for number in range(5):
        split = split_dataset(dataset, Seed(number), defender=10, attacker=0.1)
        sets = [split.defender, split.attacker, split.victim, split.test]
        assert [len(part) for part in sets[:2]] == [10, 10]
        distinct = [contents(part) for part in sets]
        assert len(set.union(*distinct)) == sum(map(len, distinct))
        for part in sets:
            counts = part.labels.bincount()
            assert abs(int(counts[0] - counts[1])) <= 2


def test_copies_that_only_a_size_makes_equal(tmp_path: Path) -> None:
    for i in range(10):
        noise(tmp_path / "a" / f"{i}.png", i)
        values = np.full((16, 16), 10 * i + 3, np.uint8)
        (tmp_path / "b").mkdir(exist_ok=True)
        Image.fromarray(values).save(tmp_path / "b" / f"{i}.png")
        Image.fromarray(values[:12, :12]).save(tmp_path / "b" / f"{i}-small.png")
    dataset = load_dataset(str(tmp_path), size=8)
    assert not contents(dataset.train) & contents(dataset.test)
    assert len(contents(dataset.train)) + len(contents(dataset.test)) == 20


def test_without_copies_nothing_changes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for i in range(10):
            noise(tmp_path / name / f"{i}.png", i + 50 * (name == "b"))
    dataset = load_dataset(str(tmp_path))
    assert dataset.copies is None
    # Which files these are follows from their names alone, on every computer.
    assert {
        f"{path.parent.name}/{path.name}"
        for path in tmp_path.glob("*/*.png")
        if pixels(path) in contents(dataset.test)
    } == HELD


def pixels(path: Path) -> bytes:
    with Image.open(path) as image:
        return image.tobytes()


def test_a_class_of_copies_of_one_picture(tmp_path: Path) -> None:
    for i in range(5):
        noise(tmp_path / "a" / f"{i}.png", i)
        noise(tmp_path / "b" / f"{i}.png", 77)
    with pytest.raises(DataError) as caught:
        load_dataset(str(tmp_path))
    assert str(caught.value).startswith(f"{tmp_path}/b holds copies only of images that are needed")


def test_a_picture_in_two_classes(tmp_path: Path) -> None:
    for i in range(10):
        noise(tmp_path / "a" / f"{i}.png", i)
        noise(tmp_path / "b" / f"{i}.png", i if i < 2 else 50 + i)
    dataset = load_dataset(str(tmp_path))
    assert not contents(dataset.train) & contents(dataset.test)
    note = dataset.notes[-1]
    pairs = [f"{tmp_path}/a/{i}.png and {tmp_path}/b/{i}.png" for i in range(2)]
    assert note in [f"pictures that stand in more than one class: 2 (as {pair})" for pair in pairs]


def halves(root: Path, shared: int) -> Path:
    for i in range(10):
        for label, name in enumerate(("a", "b")):
            noise(root / "train" / name / f"{i}.png", 100 * label + i)
            same = i < shared
            noise(root / "test" / name / f"t{i}.png", 100 * label + i + (0 if same else 50))
    return root


def test_training_images_that_are_test_images_are_left_out(tmp_path: Path) -> None:
    dataset = load_dataset(str(halves(tmp_path, 3)))
    assert len(dataset.test) == 20
    assert dataset.train.labels.tolist() == [0] * 7 + [1] * 7
    assert not contents(dataset.train) & contents(dataset.test)
    assert (
        "left out, since their pixels are those of a test image: 6 of 20 training images (as "
        f"{tmp_path}/train/a/0.png and {tmp_path}/test/a/t0.png)"
    ) in dataset.notes
    assert dataset.notes[0].endswith("34 images of 2 classes, 14 for training and 20 for testing")


def test_a_test_folder_that_is_the_training_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        load_dataset(str(halves(tmp_path, 10)))
    assert str(caught.value) == (
        f"every training image of class 'a' is a test image too (as {tmp_path}/train/a/0.png and "
        f"{tmp_path}/test/a/t0.png); give it training images of its own"
    )


def test_halves_that_share_nothing_are_as_they_lie(tmp_path: Path) -> None:
    dataset = load_dataset(str(halves(tmp_path, 0)))
    assert (len(dataset.train), len(dataset.test)) == (20, 20)
    assert len(dataset.notes) == 1


def test_results_of_a_split_that_parted_copies_are_not_taken_for_new_ones(tmp_path: Path) -> None:
    """The images are the same, and the split is another: so is the data's digest."""
    root = halves(tmp_path, 0)
    shutil.copy(root / "train/a/0.png", root / "train/a/1.png")
    dataset = load_dataset(str(root))
    assert dataset.copies is not None
    unaware = type(dataset)(**{**vars(dataset), "copies": None})
    assert torch.equal(dataset.train.images, unaware.train.images)
    assert digest_of(dataset) != digest_of(unaware)
