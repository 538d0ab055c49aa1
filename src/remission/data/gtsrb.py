"""The German Traffic Sign Recognition Benchmark (Stallkamp et al., Neural Networks 32, 2012).

There are three archives: training images in a folder per class with a table in each, test images,
and the table of their classes. Images are PPM files of 15x15 to 250x250 pixels with a margin of
about a tenth around the sign. They are resized as a whole, with their margin, to 32x32 without
regard to proportions, bilinear with antialiasing, as BackdoorBench does; the region of interest in
the tables is not used.
"""

from __future__ import annotations

import csv
import io
import re

import torch

from remission.data.archive import Members
from remission.data.decode import decode_published
from remission.data.read_images import in_threads
from remission.data.source import Source
from remission.mapped_tensors import allocate
from remission.types import LabelledImages

_TABLE, _IMAGE = 4_000_000, 1_000_000  # bytes, at most
_LARGEST = 1000  # side in pixels
_TRAIN = "GTSRB/Final_Training/Images"
_TEST = "GTSRB/Final_Test/Images"
_COLUMNS = ("Filename", "ClassId")

CLASSES = (
    "Speed limit (20km/h)",
    "Speed limit (30km/h)",
    "Speed limit (50km/h)",
    "Speed limit (60km/h)",
    "Speed limit (70km/h)",
    "Speed limit (80km/h)",
    "End of speed limit (80km/h)",
    "Speed limit (100km/h)",
    "Speed limit (120km/h)",
    "No passing",
    "No passing for vehicles over 3.5 metric tons",
    "Right-of-way at the next intersection",
    "Priority road",
    "Yield",
    "Stop",
    "No vehicles",
    "Vehicles over 3.5 metric tons prohibited",
    "No entry",
    "General caution",
    "Dangerous curve to the left",
    "Dangerous curve to the right",
    "Double curve",
    "Bumpy road",
    "Slippery road",
    "Road narrows on the right",
    "Road work",
    "Traffic signals",
    "Pedestrians",
    "Children crossing",
    "Bicycles crossing",
    "Beware of ice/snow",
    "Wild animals crossing",
    "End of all speed and passing limits",
    "Turn right ahead",
    "Turn left ahead",
    "Ahead only",
    "Go straight or right",
    "Go straight or left",
    "Keep right",
    "Keep left",
    "Roundabout mandatory",
    "End of no passing",
    "End of no passing by vehicles over 3.5 metric tons",
)


def read_gtsrb(
    members: list[Members], source: Source
) -> tuple[LabelledImages, LabelledImages, tuple[str, ...]]:
    """Reads the training images, the test images and the names of the classes.

    Args:
        members: the members of three archives: of the training images, of the test images, and of
            the classes of the test images.
        source: its counts say how many images and classes there must be.

    Raises:
        DataError: the archives hold anything else.
    """
    train, test, truth = members
    names, labels = [], []
    for label in range(source.classes):
        folder = f"{_TRAIN}/{label:05d}"
        for file, stated in _rows(train, f"{folder}/GT-{label:05d}.csv", r"\d{5}_\d{5}\.ppm"):
            if stated != label:
                raise train.bad(f"has {file} of class {stated} in {folder}")
            names.append(f"{folder}/{file}")
            labels.append(label)
    rows = list(_rows(truth, "GT-final_test.csv", r"\d{5}\.ppm"))
    for _, label in rows:
        if not 0 <= label < source.classes:
            raise truth.bad(f"holds the class {label}")
    return (
        _read(train, names, labels, source.train, source),
        _read(
            test, [f"{_TEST}/{file}" for file, _ in rows], [c for _, c in rows], source.test, source
        ),
        CLASSES[: source.classes],
    )


def _rows(archive: Members, table: str, pattern: str) -> list[tuple[str, int]]:
    """Returns (file, class) for each row of a table whose columns are parted by semicolons."""
    text = archive.read(table, _TABLE).decode("utf-8-sig", "replace")
    rows = []
    for row in csv.DictReader(io.StringIO(text, newline=""), delimiter=";"):
        file, label = (str(row.get(column)) for column in _COLUMNS)
        if not re.fullmatch(pattern, file) or not re.fullmatch(r"\d{1,3}", label):
            raise archive.bad(f"has a {table} with a row that names {file!r} and class {label!r}")
        rows.append((file, int(label)))
    return rows


def _read(
    archive: Members, names: list[str], labels: list[int], count: int, source: Source
) -> LabelledImages:
    if len(names) != count or len(set(names)) != count:
        raise archive.bad(f"has tables of {len(set(names))} images instead of {count}")
    images = allocate((count, *source.shape))
    array = images.numpy()

    def fill(i: int) -> None:
        content = archive.read(names[i], _IMAGE)
        try:
            array[i] = decode_published(
                content, size=source.shape[1:], kind="PPM", largest=_LARGEST
            )
        except ValueError as error:
            raise archive.bad(f"has a {names[i]} that {error}") from None

    in_threads(fill, count, f"reading {source.name}")
    return LabelledImages(images, torch.tensor(labels))
