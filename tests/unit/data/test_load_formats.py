"""CIFAR, GTSRB and Tiny ImageNet: small archives in the official formats."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from remission.data import download, fetch, load_dataset
from remission.data.catalogue import CATALOGUE
from remission.data.fetch import fetch_into_cache
from remission.data.source import Source
from remission.errors import DataError
from remission.progress import listening
from tests.unit.data.archives import MAKERS, TEST, TRAIN, expect, official, packed

NAMES = tuple(MAKERS)
CIFAR10 = "cifar-10-binary.tar.gz"
SIGNS = "GTSRB_Final_Training_Images.zip"


@pytest.mark.parametrize("name", NAMES)
def test_counts_shapes_and_places(name: str, put: Callable[..., Source]) -> None:
    source = put(name, official(name))
    assert source.found() == str(source.cache)
    dataset = load_dataset(name, fetch=False)
    assert dataset.train.images.shape == (TRAIN[name], *source.shape)
    assert dataset.test.images.shape == (TEST[name], *source.shape)
    assert dataset.train.images.dtype == dataset.test.images.dtype == torch.uint8
    assert len(dataset.classes) == len(set(dataset.classes)) == source.classes
    assert set(dataset.train.labels.tolist()) == set(range(source.classes))
    assert set(dataset.test.labels.tolist()) == set(range(source.classes))
    floats = dataset.train.images.double() / 255
    assert dataset.mean == pytest.approx(floats.mean((0, 2, 3)).tolist())
    assert dataset.std == pytest.approx(floats.std((0, 2, 3), correction=0).tolist())
    assert sorted(p.name for p in source.cache.iterdir()) == sorted(source.names)


@pytest.mark.parametrize("name", NAMES)
def test_an_unpacked_folder_is_the_same(name: str, put: Callable[..., Source]) -> None:
    source = put(name, official(name))
    whole = load_dataset(name, fetch=False)
    for file, members in MAKERS[name]().items():
        (source.cache / file).unlink()
        for member, content in members.items():
            (source.cache / member).parent.mkdir(parents=True, exist_ok=True)
            (source.cache / member).write_bytes(content)
    assert source.found() == str(source.cache)
    assert fetch_into_cache(source) == source.cache
    found = load_dataset(name, fetch=False)
    assert torch.equal(found.train.images, whole.train.images)
    assert torch.equal(found.test.labels, whole.test.labels)


def test_cifar_pixels_are_planes(put: Callable[..., Source]) -> None:
    put("cifar10", official("cifar10"))
    found = load_dataset("cifar10", fetch=False)
    members = MAKERS["cifar10"]()[CIFAR10]
    second = np.frombuffer(members["cifar-10-batches-bin/data_batch_2.bin"], np.uint8)
    assert found.train.labels[10:20].tolist() == list(range(10))
    assert found.train.images[10].flatten().tolist() == second[1:3073].tolist()
    assert found.classes[3] == "class 3"


def test_cifar100_has_the_fine_labels(put: Callable[..., Source]) -> None:
    put("cifar100", official("cifar100"))
    found = load_dataset("cifar100", fetch=False)
    assert found.train.labels[95:105].tolist() == [95, 96, 97, 98, 99, 0, 1, 2, 3, 4]
    assert found.classes[42] == "fine_42"


def test_gtsrb_is_resized_whole(put: Callable[..., Source]) -> None:
    archives = MAKERS["gtsrb"]()
    halves = np.zeros((30, 120, 3), np.uint8)
    halves[:, 60:] = 200
    header = b"P6\n120 30\n255\n"
    archives[SIGNS]["GTSRB/Final_Training/Images/00007/00000_00000.ppm"] = header + halves.tobytes()
    put("gtsrb", {file: packed(file, members) for file, members in archives.items()})
    found = load_dataset("gtsrb", fetch=False)
    (first, second) = (found.train.labels == 7).nonzero().flatten().tolist()
    assert (found.train.images[first, :, :, :14] == 0).all()
    assert (found.train.images[first, :, :, 18:] == 200).all()  # a crop would have lost the halves
    assert found.train.images[second, :, 0, 0].tolist() == [36, 219, 18]
    assert found.test.labels.tolist() == list(range(42, -1, -1))
    assert found.test.images[0, :, 9, 9].tolist() == [42, 213, 21]
    assert found.classes[14] == "Stop"


def test_tiny_imagenet_classes_are_sorted_and_grey_becomes_colour(
    put: Callable[..., Source],
) -> None:
    put("tiny-imagenet", official("tiny-imagenet"))
    found = load_dataset("tiny-imagenet", fetch=False)
    assert found.classes == ("goldfish", "European fire salamander", "bullfrog")
    assert found.train.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert found.test.labels.tolist() == [0, 1, 2] * 2
    grey = found.train.images[3].int()
    assert (grey[0] == grey[1]).all()
    assert (grey - 30).abs().max() <= 2
    red = found.train.images[:, 0].int().float().mean((1, 2))
    assert red.tolist() == pytest.approx([40 * k + 10 * i for k in range(3) for i in range(4)], 0.1)


@pytest.fixture
def served(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serve: Callable[[Path], str]
) -> Callable[[str], Source]:
    """Serves the official archives of a data set; the cache has nothing."""

    def start(name: str) -> Source:
        files = official(name)
        folder = tmp_path / "served"
        folder.mkdir()
        for file, content in files.items():
            (folder / file).write_bytes(content)
        source = dataclasses.replace(expect(monkeypatch, name, files), address=serve(folder))
        monkeypatch.setitem(CATALOGUE, name, source)
        monkeypatch.setattr(fetch, "download", download.download)
        return source

    return start


@pytest.mark.parametrize("name", NAMES)
def test_fetched_from_a_server(name: str, served: Callable[[str], Source]) -> None:
    source, heard = served(name), []
    with listening(lambda what, done, total: heard.append((what, done, total))):
        assert fetch_into_cache(source) == source.cache
    assert sorted(path.name for path in source.cache.iterdir()) == sorted(source.names)
    assert {what for what, done, total in heard if done == total} == set(source.names)
    assert len(load_dataset(name, fetch=False).train) == TRAIN[name]


def test_what_a_server_sends_wrong_is_not_kept(
    served: Callable[[str], Source], tmp_path: Path
) -> None:
    source = served("gtsrb")
    file = tmp_path / "served" / "GTSRB_Final_Test_GT.zip"
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"GTSRB_Final_Test_GT.zip has .* bytes instead of "):
        load_dataset("gtsrb")
    file.write_bytes(bytes(300_000))
    with pytest.raises(DataError, match=r"GTSRB_Final_Test_GT.zip is longer than the published"):
        load_dataset("gtsrb")
    assert not source.cache.exists()
