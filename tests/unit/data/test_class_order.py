"""The order of class folders, which decides what target 2 is."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from remission.data import load_dataset, load_folder
from remission.data.class_order import class_order
from remission.errors import DataError


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (map(str, range(12)), [*map(str, range(12))]),
        ((f"{i:03}" for i in range(12)), [f"{i:03}" for i in range(12)]),
        (["10", "9", "1"], ["1", "9", "10"]),
        (["1", "01", "0"], ["0", "01", "1"]),
        (["1", "-1", "-10", "0", "+5"], ["-10", "-1", "0", "1", "+5"]),
        (["٢", "١٠", "٠", "1"], ["٠", "1", "٢", "١٠"]),
        (["0", "10", "2", "bag"], ["0", "10", "2", "bag"]),
        (["0", "10", "2.5"], ["0", "10", "2.5"]),
        (["2", "1²", "10"], ["10", "1²", "2"]),
        (["2", "1 0", "1_0"], ["1 0", "1_0", "2"]),
        (["2", "-", "10"], ["-", "10", "2"]),
        (["n02", "n10", "n1"], ["n02", "n1", "n10"]),
        (["b", "B", "a"], ["B", "a", "b"]),
        ([], []),
    ],
)
def test_the_order(names: list[str], wanted: list[str]) -> None:
    given = list(names)
    assert class_order(given) == wanted
    assert class_order(reversed(given)) == wanted


def test_names_are_composed() -> None:
    assert class_order([unicodedata.normalize("NFD", "café"), "bar"]) == ["bar", "café"]
    with pytest.raises(DataError, match="two class folders are called 'café'"):
        class_order(["café", unicodedata.normalize("NFD", "café")])


def test_a_folder_of_numbers_has_labels_of_these_numbers(tree: Callable[..., Path]) -> None:
    images = {f"{i}/{n}.png": (4, 4, "L") for i in range(12) for n in range(2)}
    data, classes = load_folder(tree(images))
    assert classes == tuple(map(str, range(12)))
    assert data.images[:, 0, 0, 0].tolist() == list(range(1, 25))  # drawn in that order
    assert data.labels.tolist() == [i // 2 for i in range(24)]


def test_both_parts_of_a_data_set_have_one_order(tree: Callable[..., Path]) -> None:
    images = {f"{part}/{i}/1.png": (4, 4, "L") for part in ("train", "test") for i in range(11)}
    dataset = load_dataset(str(tree(images)))
    assert dataset.classes == tuple(map(str, range(11)))
    assert dataset.train.labels.tolist() == dataset.test.labels.tolist() == [*range(11)]


def test_parts_whose_folders_read_alike(tree: Callable[..., Path]) -> None:
    cafe = unicodedata.normalize("NFD", "café")
    names = ("train/café", "train/bar", f"test/{cafe}", "test/bar")
    dataset = load_dataset(str(tree({f"{name}/1.png": (4, 4, "L") for name in names})))
    assert dataset.classes == ("bar", "café")
    assert dataset.test.labels.tolist() == [0, 1]


@pytest.mark.parametrize("given", ["NFC", "NFD"])
@pytest.mark.parametrize("stored", ["NFC", "NFD"])
def test_classes_of_a_model_that_read_alike(
    tree: Callable[..., Path], given: str, stored: str
) -> None:
    one, other = (unicodedata.normalize(form, "café") for form in (given, stored))  # type: ignore[arg-type]
    data, classes = load_folder(tree({f"{other}/1.png": (4, 4, "L")}), classes=("bar", one))
    assert classes == ("bar", one)
    assert data.labels.tolist() == [1]
