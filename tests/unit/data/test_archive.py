"""Changed or harmful archives give one line and leave no files."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from remission.data import load_dataset
from remission.data.catalogue import CATALOGUE
from remission.data.source import Source
from remission.errors import DataError
from tests.unit.data.archives import MAKERS, Contents, changed, image, official

NAMES = tuple(MAKERS)
CIFAR10 = "cifar-10-binary.tar.gz"
TINY = "tiny-imagenet-200.zip"
SIGNS = "GTSRB_Final_Training_Images.zip"
TRUTH = "GTSRB_Final_Test_GT.zip"
HOMES = {CIFAR10: "cifar10", SIGNS: "gtsrb", TRUTH: "gtsrb", TINY: "tiny-imagenet"}


def message(name: str, source: Source) -> str:
    """Returns the one line that loading gives; checks that the cache is unchanged."""
    before = sorted(source.cache.rglob("*"))
    with pytest.raises(DataError) as caught:
        load_dataset(name, fetch=False)
    assert sorted(source.cache.rglob("*")) == before
    line = str(caught.value)
    assert "\n" not in line
    return line


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_pickles_are_refused_with_the_reason(name: str, cache: Path) -> None:
    wrong = f"cifar-{name[5:]}-python.tar.gz"
    (cache / name).mkdir(parents=True)
    (cache / name / wrong).write_bytes(b"")
    with pytest.raises(DataError) as caught:
        load_dataset(name, fetch=False)
    right = CATALOGUE[name].archives[0].name
    assert f"{wrong} holds pickles, which can run code when they are read, so that {right}" in str(
        caught.value
    )
    assert caught.value.remedy == f"run: remission data fetch {name}"


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_checksum(name: str, put: Callable[..., Source]) -> None:
    source = put(name, official(name))
    file = source.cache / source.archives[0].name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))
    assert f"{file.name} has a wrong checksum" in message(name, source)
    file.write_bytes(bytes(content)[:-1])
    size = len(content)
    assert f"{file.name} has {size - 1} bytes instead of {size}" in message(name, source)


@pytest.mark.parametrize("name", NAMES)
def test_truncated_archives_with_a_matching_checksum(name: str, put: Callable[..., Source]) -> None:
    files = official(name)
    file = next(iter(files))
    files[file] = files[file][: len(files[file]) // 2]
    line = message(name, put(name, files))
    assert f"{file} cannot be read: " in line
    assert line.endswith(f"; delete it and run: remission data fetch {name}")


ESCAPES = ["../evil", "/etc/evil", "a/../../evil", "C:evil", "..\\evil"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("escape", ESCAPES)
def test_names_that_lead_outside(
    name: str, escape: str, put: Callable[..., Source], tmp_path: Path
) -> None:
    file = next(iter(MAKERS[name]()))
    source = put(name, changed(name, file, lambda members: members.update({escape: b"x"})))
    assert "outside of itself; delete it and run: " in message(name, source)
    assert not list(tmp_path.rglob("evil"))


LINKS = [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]


@pytest.mark.parametrize("kind", LINKS)
def test_links_and_devices_in_a_tar(kind: bytes, put: Callable[..., Source]) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        info = tarfile.TarInfo("cifar-10-batches-bin/test_batch.bin")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    source = put("cifar10", {CIFAR10: stream.getvalue()})
    assert "'cifar-10-batches-bin/test_batch.bin' that is a link or a d" in message(
        "cifar10", source
    )


def test_links_in_a_zip(put: Callable[..., Source]) -> None:
    stream = io.BytesIO(official("tiny-imagenet")[TINY])
    with zipfile.ZipFile(stream, "a") as archive:
        info = zipfile.ZipInfo("tiny-imagenet-200/more")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    source = put("tiny-imagenet", {TINY: stream.getvalue()})
    assert "'tiny-imagenet-200/more' that is a link or a device" in message("tiny-imagenet", source)


def test_two_members_of_one_name(put: Callable[..., Source]) -> None:
    stream = io.BytesIO(official("tiny-imagenet")[TINY])
    with (
        pytest.warns(UserWarning, match="Duplicate name"),
        zipfile.ZipFile(stream, "a") as archive,
    ):
        archive.writestr("tiny-imagenet-200/wnids.txt", "other")
    source = put("tiny-imagenet", {TINY: stream.getvalue()})
    assert "has two members of the same name" in message("tiny-imagenet", source)


@pytest.mark.parametrize("name", NAMES)
def test_bombs_are_not_unpacked_to_their_end(name: str, put: Callable[..., Source]) -> None:
    file = next(iter(MAKERS[name]()))
    files = changed(name, file, lambda members: members.update({"bomb": bytes(20_000_000)}))
    assert len(files[file]) < 1_000_000
    assert f"{file} unpacks to more than 2000000 bytes" in message(
        name, put(name, files, limit=2_000_000)
    )


def test_a_zip_that_lies_about_sizes(put: Callable[..., Source]) -> None:
    member = "tiny-imagenet-200/wnids.txt"
    files = changed("tiny-imagenet", TINY, lambda m: m.update({member: bytes(9_000_000)}))
    lying = bytearray(files[TINY])
    real, said = (9_000_000).to_bytes(4, "little"), (30).to_bytes(4, "little")
    while (at := lying.find(real)) >= 0:
        lying[at : at + 4] = said
    line = message("tiny-imagenet", put("tiny-imagenet", {TINY: bytes(lying)}))
    assert f"has a damaged {member}: " in line


def test_an_endless_tar_header(put: Callable[..., Source]) -> None:
    """A name that is longer than the archive may be."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("a" * 5_000_000))
    line = message("cifar10", put("cifar10", {CIFAR10: stream.getvalue()}, limit=1_000_000))
    assert "unpacks to more than 1000000 bytes" in line


FOLDERS = {
    CIFAR10: "cifar-10-batches-bin/",
    SIGNS: "GTSRB/Final_Training/Images/00003/",
    TRUTH: "",
    TINY: "tiny-imagenet-200/",
}
CHANGES: list[tuple[str, str, bytes | None, str]] = [
    (CIFAR10, "data_batch_3.bin", None, "has no cifar-10-batches"),
    (
        CIFAR10,
        "data_batch_3.bin",
        bytes(30_729),
        "has a data_batch_3.bin of 30729 bytes instead of 30730",
    ),
    (CIFAR10, "data_batch_3.bin", bytes(30_731), "data_batch_3.bin of more than 30730 bytes"),
    (CIFAR10, "data_batch_3.bin", b"\x0a" + bytes(30_729), "holds the label 10"),
    (CIFAR10, "batches.meta.txt", b"one\ntwo\n", "names 2 classes instead of 10"),
    (SIGNS, "GT-00003.csv", None, "has no GTSRB/Final"),
    (SIGNS, "00000_00001.ppm", None, "has no GTSRB/Final_Training/Images/00003/00000_00001.ppm"),
    (SIGNS, "00000_00001.ppm", b"junk", "00003/00000_00001.ppm that is no PPM image"),
    (
        SIGNS,
        "00000_00001.ppm",
        b"P6\n30 30\n255\n" + bytes(100),
        "00003/00000_00001.ppm that is damaged: ",
    ),
    (
        SIGNS,
        "00000_00001.ppm",
        b"P5\n1 2000\n255\n" + bytes(2000),
        "that is damaged: claims 2000x1 pixels",
    ),
    (SIGNS, "00000_00001.ppm", bytes(2_000_000), "of more than 1000000 bytes"),
    (
        SIGNS,
        "GT-00003.csv",
        b"Filename;ClassId\n../x.ppm;3\n",
        "with a row that names '../x.ppm' and class '3'",
    ),
    (
        SIGNS,
        "GT-00003.csv",
        b"Filename;ClassId\n00000_00000.ppm;4",
        "has 00000_00000.ppm of class 4 in GTSRB/Final_Training/Images/00003",
    ),
    (
        SIGNS,
        "GT-00003.csv",
        b"Filename;ClassId\n00000_00000.ppm;3",
        "has tables of 85 images instead of 86",
    ),
    (TRUTH, "GT-final_test.csv", b"Filename;ClassId\n00000.ppm;43", "holds the class 43"),
    (TINY, "words.txt", None, "has no tiny-imagenet-200/words"),
    (
        TINY,
        "wnids.txt",
        b"n01443537\n../../etc\nn01641577",
        "has a wnids.txt that does not name 3 classes",
    ),
    (
        TINY,
        "val/val_annotations.txt",
        b"../val_0.JPEG\tn01443537\t0\n",
        "has a val_annotations.txt with the line '../val_0.JPEG",
    ),
    (
        TINY,
        "val/val_annotations.txt",
        b"val_0.JPEG\tn01443537\n",
        "has a val_annotations.txt of other than 6 images",
    ),
    (
        TINY,
        "val/images/val_4.JPEG",
        image(65, 64, 0, "JPEG"),
        "val_4.JPEG that is damaged: claims 65x64 pixels",
    ),
    (TINY, "val/images/val_4.JPEG", image(64, 64, 0, "PNG"), "val_4.JPEG that is no JPEG image"),
]


@pytest.mark.parametrize(("file", "member", "content", "problem"), CHANGES)
def test_what_is_not_as_published(
    file: str, member: str, content: bytes | None, problem: str, put: Callable[..., Source]
) -> None:
    def apply(members: Contents) -> None:
        members.pop(FOLDERS[file] + member)
        if content is not None:
            members[FOLDERS[file] + member] = content

    name = HOMES[file]
    line = message(name, put(name, changed(name, file, apply)))
    assert f"/{file} " in line
    assert problem in line
    assert line.endswith(f"; delete it and run: remission data fetch {name}")


def test_an_unpacked_folder_that_lacks_something(cache: Path) -> None:
    (cache / "cifar10/cifar-10-batches-bin").mkdir(parents=True)
    (cache / "cifar10/cifar-10-batches-bin/test_batch.bin").write_bytes(b"x")
    with pytest.raises(DataError) as caught:
        load_dataset("cifar10", fetch=False)
    assert str(caught.value) == (
        f"{cache}/cifar10 has no cifar-10-batches-bin/batches.meta.txt; "
        "unpack cifar-10-binary.tar.gz there again"
    )


def test_a_compressed_file_that_is_no_tar(put: Callable[..., Source]) -> None:
    source = put("cifar10", {CIFAR10: gzip.compress(b"<html>not found</html>" * 99)})
    assert f"{CIFAR10} cannot be read: " in message("cifar10", source)
