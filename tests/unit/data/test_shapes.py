"""The data set that the program draws for itself: the same everywhere, neither easy nor empty."""

from __future__ import annotations

import hashlib
import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.linear_model import RidgeClassifier

from remission.data import load_dataset
from remission.data.catalogue import CATALOGUE
from remission.data.shapes import CLASSES, TEST, TRAIN, draw_shapes
from remission.errors import DataError
from remission.types import Dataset, LabelledImages


@pytest.fixture(scope="module")
def shapes() -> Dataset:
    """Returns the whole data set."""
    return load_dataset("shapes", fetch=False)


def digest(data: LabelledImages) -> str:
    return hashlib.sha256(data.images.numpy().tobytes() + data.labels.numpy().tobytes()).hexdigest()


def test_what_the_catalogue_says(shapes: Dataset) -> None:
    source = CATALOGUE["shapes"]
    assert source.found() == "with remission"
    assert (len(shapes.train), len(shapes.test)) == (source.train, source.test) == (TRAIN, TEST)
    assert shapes.train.shape == shapes.test.shape == source.shape
    assert shapes.classes == CLASSES
    assert len(set(CLASSES)) == source.classes
    for part in (shapes.train, shapes.test):
        assert set(part.labels.bincount().tolist()) == {len(part) // 10}
        assert len(set(part.labels[:100].tolist())) == 10  # shuffled
    # Part of the definition: recorded results would change silently if this did.
    assert digest(shapes.train)[:16] == "af4c7ac92fb1f8c7"
    assert digest(shapes.test)[:16] == "327625e32a8ecbde"


def test_bits_do_not_depend_on_threads_or_the_process() -> None:
    code = (
        "import os, hashlib; os.cpu_count = lambda: 1\n"
        "from remission.data.shapes import draw_shapes; d = draw_shapes(700, 24, 5)\n"
        "print(hashlib.sha256(d.images.numpy().tobytes() + d.labels.numpy().tobytes()).hexdigest())"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert told.strip() == digest(draw_shapes(700, 24, 5))
    assert told.strip() != digest(draw_shapes(700, 24, 6))


def test_the_table_of_cosines_is_far_from_every_rounding() -> None:
    values = [4096 * math.cos(2 * math.pi * i / 256) for i in range(256)]
    assert min(abs(value - math.floor(value) - 0.5) for value in values) > 1e-4


def test_no_image_is_twice(shapes: Dataset) -> None:
    every = torch.cat((shapes.train.images, shapes.test.images)).flatten(1).numpy()
    assert len({row.tobytes() for row in every}) == TRAIN + TEST


def accuracy(found: np.ndarray, shapes: Dataset) -> float:
    return float((found == shapes.test.labels.numpy()).mean())


def nearest_mean(train: np.ndarray, labels: np.ndarray, test: np.ndarray) -> np.ndarray:
    means = np.stack([train[labels == c].mean(0) for c in range(10)])
    return np.asarray(((test[:, None] - means[None]) ** 2).sum(-1).argmin(1))


def test_neither_colours_nor_lines_decide_the_class(shapes: Dataset) -> None:
    """A convolutional network has 0.9 after four epochs; a model blind to shape must be worse."""
    train = shapes.train.images[:8000].numpy().astype(np.float32) / 255
    test = shapes.test.images.numpy().astype(np.float32) / 255
    labels = shapes.train.labels[:8000].numpy()
    colours = [np.concatenate((x.mean((2, 3)), x.std((2, 3))), 1) for x in (train, test)]
    assert accuracy(nearest_mean(colours[0], labels, colours[1]), shapes) < 0.2
    flat = [x.reshape(len(x), -1) for x in (train, test)]
    assert accuracy(nearest_mean(flat[0], labels, flat[1]), shapes) < 0.25
    linear = RidgeClassifier(alpha=100.0).fit(flat[0], labels)
    assert 0.1 < accuracy(linear.predict(flat[1]), shapes) < 0.25


def test_other_sizes() -> None:
    data = draw_shapes(40, 64, 1)
    assert data.images.shape == (40, 3, 64, 64)
    assert data.labels.bincount().tolist() == [4] * 10
    assert draw_shapes(7, 16, 1).images.shape == (7, 3, 16, 16)
    for size in (15, 257, (32, 32)):
        with pytest.raises(DataError, match=r"with data set 'shapes'; give one number from 16 to"):
            load_dataset("shapes", size=size)
