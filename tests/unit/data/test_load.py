"""Data sets by name and by path."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

import remission.data
from remission.data import load_dataset
from remission.data.catalogue import CATALOGUE
from remission.data.idx import parse_idx
from remission.data.source import Source
from remission.errors import DataError
from remission.grid.stages.datasets import digest_of
from tests.unit.data.conftest import TEST, TRAIN, contents, idx, write


def test_fashion_mnist(small: Source) -> None:
    write(small.cache, contents())
    dataset = load_dataset("fashion-mnist", fetch=False)
    assert dataset.train.images.shape == (TRAIN, 1, 28, 28)
    assert dataset.test.images.shape == (TEST, 1, 28, 28)
    assert dataset.train.images.dtype == torch.uint8
    assert dataset.train.labels.tolist() == [i % 10 for i in range(TRAIN)]
    assert len(dataset.classes) == 10
    floats = dataset.train.images.double() / 255
    assert dataset.mean == pytest.approx([floats.mean().item()])
    assert dataset.std == pytest.approx([floats.std(correction=0).item()])
    raw = contents()["train-images-idx3-ubyte.gz"][16 : 16 + 28]
    assert bytes(dataset.train.images[0, 0, 0].tolist()) == raw


def test_the_digits_that_are_shipped_are_scikit_learns() -> None:
    bunch, folder = load_digits(), Path(remission.data.__file__).parent
    for name, dims, wanted in (("images-idx3", 3, bunch.images), ("labels-idx1", 1, bunch.target)):
        content = gzip.decompress((folder / f"digits-{name}-ubyte.gz").read_bytes())
        assert np.array_equal(parse_idx(content, name, dims=dims), wanted)


def test_the_digest_of_digits_is_that_of_stored_results() -> None:
    assert digest_of(load_dataset("digits")) == "80b3e293b636af50"


def test_digits() -> None:
    dataset = load_dataset("digits", fetch=False)
    again = load_dataset("digits", fetch=False)
    source = CATALOGUE["digits"]
    assert (len(dataset.train), len(dataset.test)) == (source.train, source.test)
    assert dataset.train.shape == source.shape
    assert sorted(set(dataset.train.images.flatten().tolist())) == [
        round(v * 255 / 16) for v in range(17)
    ]
    assert torch.equal(dataset.test.images, again.test.images)
    shares = dataset.train.labels.bincount() / (
        dataset.train.labels.bincount() + dataset.test.labels.bincount()
    )
    assert (shares - 0.8).abs().max() < 0.01
    # Part of the definition: recorded results would change silently if this did.
    assert dataset.test.labels[:12].tolist() == [5, 2, 7, 8, 5, 6, 8, 1, 3, 3, 4, 6]


def test_unknown_names() -> None:
    with pytest.raises(DataError) as caught:
        load_dataset("digit")
    assert str(caught.value) == (
        "unknown data set 'digit'; did you mean 'digits'? (known: cifar10, cifar100, digits, "
        "fashion-mnist, gtsrb, shapes, tiny-imagenet), or give an image folder by its path"
    )
    with pytest.raises(DataError, match="unknown data set 'xxx"):
        load_dataset("x" * 5000)
    with pytest.raises(DataError, match="cannot be read: File name too long; check the path and"):
        load_dataset("./" + "x" * 5000)
    with pytest.raises(DataError, match="~nobody-of-that-name does not exist"):
        load_dataset("~nobody-of-that-name")
    with pytest.raises(DataError, match=r"^/.*/nowhere/at all does not exist; give the path"):
        load_dataset("nowhere/at all")


def test_a_size_for_a_data_set_that_has_one() -> None:
    with pytest.raises(
        DataError, match=r"size=32 with data set 'digits'; give a size with folders"
    ):
        load_dataset("digits", size=32)


def test_a_way_to_a_size_that_nobody_asked_for(tree: Callable[..., Path]) -> None:
    folder = tree({"train/a/1.png": (4, 6, "L"), "test/a/1.png": (4, 6, "L")})
    for name, size in ((str(folder), None), ("digits", None), ("shapes", 32)):
        with pytest.raises(DataError) as caught:
            load_dataset(name, size=size, resize="pad")
        assert str(caught.value) == (
            f"resize='pad' with data set '{name}' and size={size}; "
            "give it together with a size, and with folders only"
        )
    found = load_dataset(str(folder), size=6, resize="pad")
    assert found.train.images[0, 0, 0].tolist() == [0] * 6
    assert found.test.images[0, 0, 1].tolist() == [2] * 6


def test_a_folder_with_train_and_test(tree: Callable[..., Path]) -> None:
    folder = tree(
        {
            "train/cat/1.png": (4, 6, "RGB"),
            "train/dog/1.png": (4, 6, "RGB"),
            "train/dog/2.png": (4, 6, "RGB"),
            "test/dog/1.png": (4, 6, "RGB"),
        }
    )
    dataset = load_dataset(str(folder))
    assert dataset.classes == ("cat", "dog")
    assert dataset.train.images.shape == (3, 3, 4, 6)
    assert dataset.train.labels.tolist() == [0, 1, 1]
    assert dataset.test.labels.tolist() == [1]
    assert dataset.train.images[:, 0, 0, 0].tolist() == [1, 2, 3]
    assert dataset.test.images[0, 0, 0, 0] == 4
    assert dataset.mean == pytest.approx([2 / 255, 0, 0])
    assert dataset.std[1:] == (1.0, 1.0)  # never varies: models divide by it


def test_a_folder_without_a_split(
    tree: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    images = {f"{name}/{i:02}.png": (4, 4, "L") for name in ("a", "b") for i in range(10)}
    folder = tree(images)
    dataset = load_dataset(str(folder))
    assert dataset.train.labels.bincount().tolist() == [8, 8]
    assert dataset.test.labels.bincount().tolist() == [2, 2]
    values = torch.cat((dataset.train.images, dataset.test.images))[:, 0, 0, 0]
    assert sorted(values.tolist()) == list(range(1, 21))
    # By its own name only: the same wherever the folder lies, and however it is called.
    monkeypatch.chdir(folder.parent)
    for name in ("./images", "images"):
        assert torch.equal(load_dataset(name).test.images, dataset.test.images)
    tree(images, root="elsewhere")
    assert torch.equal(load_dataset("elsewhere").test.images, dataset.test.images)


def test_a_class_called_train(tree: Callable[..., Path]) -> None:
    folder = tree({f"{name}/{i}.png": (4, 4, "L") for name in ("car", "train") for i in range(2)})
    assert load_dataset(str(folder)).classes == ("car", "train")


def test_a_known_name_wins_over_a_folder(
    tree: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tree({"a/1.png": (4, 4, "L"), "a/2.png": (4, 4, "L")}, root="digits")
    monkeypatch.chdir(folder.parent)
    assert load_dataset("digits").train.shape == (1, 8, 8)
    assert load_dataset("./digits").train.shape == (1, 4, 4)


def test_a_path_is_always_a_folder(
    tree: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tree({f"{c}/{i}.png": (4, 6, "L") for c in "ab" for i in range(5)}, root="digits")
    monkeypatch.chdir(folder.parent)
    for path in (folder, Path("digits")):
        assert load_dataset(path).classes == ("a", "b")
    with pytest.raises(DataError, match="nowhere does not exist"):
        load_dataset(Path("nowhere"))


def test_train_without_test(tree: Callable[..., Path]) -> None:
    folder = tree({"train/a/1.png": (4, 4, "L")})
    with pytest.raises(DataError) as caught:
        load_dataset(str(folder))
    assert str(caught.value) == (
        f"{folder} has a folder train and no folder test; put test images into "
        f"{folder}/test/class, or give {folder}/train to have a fifth held out"
    )


def test_a_test_class_that_is_not_trained(tree: Callable[..., Path]) -> None:
    folder = tree({"train/cat/1.png": (4, 4, "L"), "test/cats/1.png": (4, 4, "L")})
    with pytest.raises(DataError) as caught:
        load_dataset(str(folder))
    assert str(caught.value) == (
        f"{folder}/test has an unknown class folder 'cats'; did you mean 'cat'? (known: cat)"
    )


def test_a_class_too_small_to_split(tree: Callable[..., Path]) -> None:
    folder = tree({"a/1.png": (4, 4, "L")})
    with pytest.raises(DataError) as caught:
        load_dataset(str(folder))
    assert str(caught.value) == (
        f"{folder}/a holds one image, too few for a training and a test image; "
        "add images, or give folders train and test"
    )


def test_folder_sizes(tree: Callable[..., Path]) -> None:
    folder = tree({"train/a/1.png": (4, 4, "L"), "test/a/1.png": (4, 5, "L")})
    with pytest.raises(DataError, match=r"test/a/1.png is 4x5 pixels .* give a size"):
        load_dataset(str(folder))
    assert load_dataset(str(folder), size=3).test.images.shape == (1, 1, 3, 3)


GOOD = idx(np.zeros((2, 3), np.uint8))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "x.gz starts with nothing where"),
        (GOOD[:7], "x.gz starts with 00 00 08 02 where"),
        (b"\x00\x00\x0d\x02" + GOOD[4:], "x.gz starts with 00 00 0d 02 where an IDX file of bytes"),
        (b"\x00\x00\x08\x03" + GOOD[4:], "x.gz starts with 00 00 08 03 where"),
        (GOOD[:-1], "x.gz holds 5 values where its header says 6; fetch the file again"),
        (GOOD + b"\x00", "x.gz holds 7 values where its header says 6"),
        (b"\x00\x00\x08\x02" + b"\xff" * 8, "x.gz holds 0 values where its header says 18446744"),
    ],
)
def test_idx_is_strict(content: bytes, problem: str) -> None:
    with pytest.raises(DataError) as caught:
        parse_idx(content, "x.gz", dims=2)
    assert str(caught.value).startswith(problem)


def test_idx() -> None:
    values = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert np.array_equal(parse_idx(idx(values), "x.gz", dims=2), values)
