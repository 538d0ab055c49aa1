"""The files of a folder that are read, and warnings for all others."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from remission.data import load_dataset, load_folder
from remission.data.scan import PassedOver, scan_classes
from remission.errors import DataError

Tree = Callable[..., Path]

CLASSES = {f"{name}/{i}.png": (4, 4, "L") for name in ("ant", "bee", "cow") for i in range(5)}


def notes(folder: Path) -> list[str]:
    return list(load_dataset(str(folder)).notes)


def test_a_tidy_folder_has_one_note(tree: Tree) -> None:
    folder = tree(CLASSES)
    assert notes(folder) == [f"{folder}: 15 images of 3 classes, 12 for training and 3 for testing"]


def test_everything_that_is_passed_over_is_counted(tree: Tree) -> None:
    folder = tree({**CLASSES, "loose.png": (4, 4, "L"), "ant/more/deep/x.png": (4, 4, "L")})
    for name in ("ant/a.txt", "bee/b.TXT", "bee/c.avif", "cow/noending", ".DS_Store", "ant/._0"):
        (folder / name).touch()
    (folder / ".git").mkdir()
    os.mkfifo(folder / "cow" / "pipe.png")
    passed = notes(folder)[1]
    assert passed == (
        "passed over: 3 hidden files (as .DS_Store), 1 image outside of the class folders "
        "(loose.png), 2 files ending in .txt (as ant/a.txt), 1 folder within a class (ant/more), "
        "1 image in such a folder (ant/more/deep/x.png), 1 file ending in .avif (bee/c.avif), "
        "1 file without an ending (cow/noending), 1 special file (cow/pipe.png)"
    )


def test_load_folder_warns(tree: Tree, caplog: pytest.LogCaptureFixture) -> None:
    folder = tree({**CLASSES, "ant/more/x.png": (4, 4, "L")})
    with caplog.at_level(logging.WARNING, logger="remission.data"):
        load_folder(folder)
    assert caplog.messages == [
        f"{folder}: passed over: 1 folder within a class (ant/more), 1 image in such a folder "
        "(ant/more/x.png)"
    ]


def test_what_lies_beside_train_and_test(tree: Tree) -> None:
    folder = tree(
        {
            **{f"train/{name}": shape for name, shape in CLASSES.items()},
            "test/ant/0.png": (4, 4, "L"),
            "val/ant/0.png": (4, 4, "L"),
            "train/loose.png": (4, 4, "L"),
        }
    )
    (folder / "labels.csv").touch()
    assert notes(folder)[1:] == [
        "passed over: 1 file ending in .csv (labels.csv), 1 folder beside train and test (val), "
        "1 image outside of the class folders (train/loose.png)",
        "2 of 3 classes have no test image (bee, cow)",
    ]


def test_more_endings_are_read(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    formats = {"jfif": "JPEG", "jpe": "JPEG", "tif": "TIFF", "tiff": "TIFF", "gif": "GIF"}
    formats |= {"pnm": "PPM", "pbm": "PPM"}
    for i, (ending, kind) in enumerate(formats.items()):
        image = Image.new("1" if ending == "pbm" else "L", (8, 8), 255 if ending == "pbm" else 40)
        image.save(tmp_path / "a" / f"{i}.{ending.upper() if i % 2 else ending}", format=kind)
    images = load_folder(tmp_path, channels=1)[0].images
    assert sorted(images[:, 0, 3, 3].tolist()) == [40] * 6 + [255]


@pytest.mark.parametrize("place", ["", "train/"])
def test_a_class_that_is_a_broken_link(tree: Tree, place: str) -> None:
    folder = tree(
        {
            **{place + name: shape for name, shape in CLASSES.items()},
            **({"test/ant/9.png": (4, 4, "L")} if place else {}),
        }
    )
    (folder / place / "bat").symlink_to(folder / "gone")
    with pytest.raises(DataError) as caught:
        load_dataset(str(folder))
    assert str(caught.value) == (
        f"{folder / place}/bat is a broken link; restore what it points to, or delete it"
    )


@pytest.mark.parametrize("half", ["train", "test"])
def test_a_half_that_is_a_broken_link(tree: Tree, half: str) -> None:
    other = "test" if half == "train" else "train"
    folder = tree({f"{other}/{name}": shape for name, shape in CLASSES.items()})
    (folder / half).symlink_to(folder / "gone")
    with pytest.raises(DataError, match=rf"/{half} is a broken link; restore what it points to"):
        load_dataset(str(folder))


def test_all_broken_links_and_empty_classes_are_named(tree: Tree) -> None:
    folder = tree(CLASSES)
    for name in ("ant/8.png", "ant/9.png"):
        (folder / name).symlink_to(folder / "gone")
    with pytest.raises(DataError) as caught:
        load_folder(folder)
    assert str(caught.value) == (
        f"2 files cannot be used: {folder}/ant/8.png is a broken link, {folder}/ant/9.png is a "
        "broken link; of each: restore what it points to, or delete it"
    )
    for path in folder.glob("ant/*"):
        path.unlink()
    (folder / "dog").mkdir()
    with pytest.raises(DataError, match=r"^2 files .*/ant holds no image .*/dog holds no image"):
        load_folder(folder)


def test_notes_are_single_lines_whatever_a_file_is_called(tree: Tree) -> None:
    folder = tree(CLASSES)
    shutil.copy(folder / "ant" / "0.png", folder / "ant" / "a\nb\x1b[31m.png")
    (folder / "ant" / "no\nending").touch()
    _, passed, copies = notes(folder)
    assert passed == r"passed over: 1 file without an ending (ant/no\nending)"
    assert r"ant/a\nb\x1b[31m.png" in copies
    assert copies.isprintable()


def test_a_class_whose_name_no_record_can_hold_is_refused(tree: Tree) -> None:
    folder = tree(CLASSES)
    (folder / "bee").rename(folder / os.fsdecode(b"b\xffe"))
    with pytest.raises(DataError, match=r"b.udcffe is no UTF-8; give the folder a name") as caught:
        load_dataset(str(folder))
    assert str(caught.value).isprintable()


def test_two_classes_that_unicode_writes_in_two_ways_are_refused(tmp_path: Path) -> None:
    for name in ("caf\u00e9", "cafe\u0301", "tea"):
        (tmp_path / name).mkdir()
        Image.new("L", (8, 8)).save(tmp_path / name / "0.png")
    if len(list(tmp_path.iterdir())) == 3:  # some disks hold the two to be one
        with pytest.raises(DataError, match="two class folders are called 'caf\u00e9'"):
            scan_classes(tmp_path, PassedOver(tmp_path))
