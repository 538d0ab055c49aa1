"""Small archives in the official formats, and a catalogue that expects them."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from remission.data import catalogue, fetch
from remission.data.download import UnavailableError
from remission.data.gtsrb import CLASSES
from remission.data.source import Source

Contents = dict[str, bytes]

TRAIN = {"cifar10": 50, "cifar100": 200, "gtsrb": 86, "tiny-imagenet": 12}
TEST = {"cifar10": 20, "cifar100": 100, "gtsrb": 43, "tiny-imagenet": 6}
KINDS = ("n01443537", "n01629819", "n01641577")


def pixels(*shape: int, seed: int = 0) -> np.ndarray:
    """Returns random bytes."""
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def cifar10() -> dict[str, Contents]:
    """Returns five training files and a test file, with a label byte and 3072 pixels per record."""
    members = {"batches.meta.txt": "\n".join(f"class {i}" for i in range(10)).encode() + b"\n\n"}
    for i, name in enumerate([*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]):
        count = 20 if name.startswith("test") else 10
        rows = pixels(count, 3073, seed=i)
        rows[:, 0] = np.arange(count) % 10
        members[name] = rows.tobytes()
    inside = {f"cifar-10-batches-bin/{name}": content for name, content in members.items()}
    return {"cifar-10-binary.tar.gz": inside}


def cifar100() -> dict[str, Contents]:
    """Returns a training and a test file, with two label bytes and 3072 pixels per record."""
    members = {
        "fine_label_names.txt": "\n".join(f"fine_{i}" for i in range(100)).encode(),
        "coarse_label_names.txt": "\n".join(f"coarse_{i}" for i in range(20)).encode(),
    }
    for name, count in (("train.bin", 200), ("test.bin", 100)):
        rows = pixels(count, 3074, seed=count)
        rows[:, 1] = np.arange(count) % 100
        rows[:, 0] = rows[:, 1] // 5
        members[name] = rows.tobytes()
    inside = {f"cifar-100-binary/{name}": content for name, content in members.items()}
    return {"cifar-100-binary.tar.gz": inside}


def image(height: int, width: int, value: int, kind: str, mode: str = "RGB") -> bytes:
    """Returns an image file of one colour: (value, 255 - value, value // 2), or grey."""
    colour = value if mode == "L" else (value, 255 - value, value // 2)
    stream = io.BytesIO()
    Image.new(mode, (width, height), colour).save(stream, format=kind)
    return stream.getvalue()


def gtsrb() -> dict[str, Contents]:
    """Returns two training images and one test image per class, of several sizes."""
    columns = "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId"
    train: Contents = {}
    for label in range(43):
        folder, table = f"GTSRB/Final_Training/Images/{label:05d}", [columns]
        for i in range(2):
            file = f"00000_{i:05d}.ppm"
            train[f"{folder}/{file}"] = image(29 + i, 30 + label, 5 * label + i, "PPM")
            table.append(f"{file};{30 + label};{29 + i};5;6;24;25;{label}")
        train[f"{folder}/GT-{label:05d}.csv"] = "\r\n".join(table).encode() + b"\r\n"
    test, rows = {}, [columns]
    for i in range(43):
        test[f"GTSRB/Final_Test/Images/{i:05d}.ppm"] = image(40, 40, 42 - i, "PPM")
        rows.append(f"{i:05d}.ppm;40;40;5;5;35;35;{42 - i}")
    test["GTSRB/Final_Test/Images/GT-final_test.test.csv"] = b"not needed"
    return {
        "GTSRB_Final_Training_Images.zip": train,
        "GTSRB_Final_Test_Images.zip": test,
        "GTSRB_Final_Test_GT.zip": {"GT-final_test.csv": "\r\n".join(rows).encode()},
    }


def tiny_imagenet() -> dict[str, Contents]:
    """Returns four training and two validation images of three classes; one of them is grey."""
    root = "tiny-imagenet-200/"
    members = {
        f"{root}wnids.txt": "\n".join(reversed(KINDS)).encode(),
        f"{root}words.txt": b"n01443537\tgoldfish, Carassius auratus\nn00000001\tx\n"
        b"n01629819\tEuropean fire salamander\nn01641577\tbullfrog, Rana\n",
        f"{root}test/images/test_0.JPEG": b"not needed",
    }
    for label, kind in enumerate(KINDS):
        for i in range(4):
            mode = "L" if i == 3 else "RGB"
            content = image(64, 64, 40 * label + 10 * i, "JPEG", mode)
            members[f"{root}train/{kind}/images/{kind}_{i}.JPEG"] = content
    told = []
    for i in range(6):
        members[f"{root}val/images/val_{i}.JPEG"] = image(64, 64, 40 * (i % 3), "JPEG")
        told.append(f"val_{i}.JPEG\t{KINDS[i % 3]}\t0\t0\t63\t63\n")
    members[f"{root}val/val_annotations.txt"] = "".join(told).encode()
    return {"tiny-imagenet-200.zip": members}


MAKERS = {
    "cifar10": cifar10,
    "cifar100": cifar100,
    "gtsrb": gtsrb,
    "tiny-imagenet": tiny_imagenet,
}


def packed(name: str, members: Mapping[str, bytes]) -> bytes:
    """Packs an archive; its name gives the format."""
    stream = io.BytesIO()
    if name.endswith(".zip"):
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, content in members.items():
                archive.writestr(member, content)
    else:
        with tarfile.open(fileobj=stream, mode="w:gz") as archive:
            for member, content in members.items():
                info = tarfile.TarInfo(member)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def expect(
    monkeypatch: pytest.MonkeyPatch, name: str, files: Mapping[str, bytes], limit: int = 10**7
) -> Source:
    """Replaces the data set of that name in the catalogue by one published as ``files``."""
    published = catalogue.CATALOGUE[name]
    archives = tuple(
        dataclasses.replace(
            archive,
            size=len(files[archive.name]),
            checksum=f"md5:{hashlib.md5(files[archive.name]).hexdigest()}",
            limit=limit,
        )
        for archive in published.archives
    )
    source = dataclasses.replace(
        published,
        archives=archives,
        train=TRAIN[name],
        test=TEST[name],
        classes={"tiny-imagenet": 3, "gtsrb": len(CLASSES)}.get(name, published.classes),
    )
    monkeypatch.setitem(catalogue.CATALOGUE, name, source)
    monkeypatch.setattr(fetch, "download", _unavailable)
    return source


def _unavailable(source: Source, scratch: Path) -> Path:
    raise UnavailableError("switched off in tests")


def official(name: str) -> dict[str, bytes]:
    """Returns the small archives of a data set, packed."""
    return {file: packed(file, members) for file, members in MAKERS[name]().items()}


def changed(name: str, file: str, change: Callable[[Contents], None]) -> dict[str, bytes]:
    """Returns the official archives after a change of the members of one of them."""
    archives = MAKERS[name]()
    change(archives[file])
    return {file: packed(file, members) for file, members in archives.items()}
