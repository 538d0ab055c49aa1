"""Places are tried in order and verified; wrong files are skipped and never used."""

from __future__ import annotations

import gzip
import logging
from pathlib import Path

import pytest

from remission.data import fetch
from remission.data.catalogue import CATALOGUE, find_source
from remission.data.fetch import fetch_into_cache, obtain
from remission.data.source import Source, cache_folder
from remission.errors import DataError
from tests.unit.data.conftest import contents, write

IMAGES = "train-images-idx3-ubyte.gz"


def test_the_cache_is_first(small: Source) -> None:
    write(small.cache, contents())
    assert obtain(small) == contents()
    assert small.found() == str(small.cache)


def test_the_system_s_package_is_second_and_any_compression_will_do(small: Source) -> None:
    assert small.folder is not None
    write(small.folder, contents(), level=1)
    assert obtain(small, fetch=False) == contents()
    assert small.found() == str(small.folder)
    assert not small.cache.exists()


def test_fetch_into_cache_copies_from_the_system_s_package(small: Source) -> None:
    assert small.folder is not None
    write(small.folder, contents())
    assert fetch_into_cache(small) == small.cache
    assert sorted(p.name for p in small.cache.iterdir()) == sorted(contents())
    assert fetch_into_cache(small) == small.cache


@pytest.mark.parametrize("way", ["unpack_package", "download"])
def test_what_is_brought_is_kept(small: Source, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    def bring(source: Source, scratch: Path) -> Path:
        write(scratch, contents())
        return scratch

    monkeypatch.setattr(fetch, way, bring)
    assert obtain(small) == contents()
    assert obtain(small, fetch=False) == contents()
    assert (small.cache / IMAGES).stat().st_mode & 0o777 == 0o644


def test_nowhere(small: Source) -> None:
    with pytest.raises(DataError) as caught:
        obtain(small)
    assert caught.value.problem == (
        "data set 'fashion-mnist' was found nowhere "
        f"({small.cache}: {IMAGES} is not there, then "
        f"{small.folder}: {IMAGES} is not there, then "
        "apt-get download dataset-fashion-mnist: switched off in tests, then "
        f"{small.address}: switched off in tests)"
    )
    assert caught.value.remedy == (
        "install the package dataset-fashion-mnist, or put train-images-idx3-ubyte.gz, "
        "train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz, t10k-labels-idx1-ubyte.gz "
        f"into {small.cache}"
    )


def test_nothing_is_fetched_unasked(small: Source) -> None:
    with pytest.raises(DataError, match="is not on this computer") as caught:
        obtain(small, fetch=False)
    assert caught.value.remedy == "run: remission data fetch fashion-mnist"


def test_a_wrong_checksum_is_skipped_with_a_note(
    small: Source, caplog: pytest.LogCaptureFixture
) -> None:
    assert small.folder is not None
    wrong = contents()
    wrong[IMAGES] = wrong[IMAGES][:-1] + bytes([wrong[IMAGES][-1] ^ 1])
    write(small.cache, wrong)
    write(small.folder, contents())
    with caplog.at_level(logging.WARNING):
        assert obtain(small) == contents()
    assert caplog.messages == [f"skipped {small.cache}: {IMAGES} has a wrong checksum"]
    fetch_into_cache(small)
    assert obtain(small, fetch=False) == contents()


def test_longer_files_and_bombs_are_not_decompressed_to_the_end(small: Source) -> None:
    longer = contents()
    longer[IMAGES] += bytes(10_000_000)
    write(small.cache, longer)
    with pytest.raises(DataError, match=f"{IMAGES} has a wrong checksum"):
        obtain(small, fetch=False)


def test_a_truncated_file(small: Source) -> None:
    write(small.cache, contents())
    whole = gzip.compress(contents()[IMAGES])
    (small.cache / IMAGES).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=f"{IMAGES} cannot be read: Compressed file ended"):
        obtain(small, fetch=False)


def test_a_file_that_is_not_compressed(small: Source) -> None:
    write(small.cache, contents())
    (small.cache / IMAGES).write_bytes(b"<html>not found</html>")
    with pytest.raises(DataError, match=f"{IMAGES} cannot be read: Not a gzipped file"):
        obtain(small, fetch=False)


def test_a_wrong_download_is_not_kept(small: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    def bring(source: Source, scratch: Path) -> Path:
        write(scratch, dict.fromkeys(contents(), b"login page"))
        return scratch

    monkeypatch.setattr(fetch, "download", bring)
    with pytest.raises(DataError, match=r"amazonaws.com/: train-images.* has a wrong checksum"):
        obtain(small)
    assert not small.cache.exists()


def test_a_cache_that_cannot_be_written(small: Source, tmp_path: Path) -> None:
    assert small.folder is not None
    write(small.folder, contents())
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(DataError, match=r"cannot write to the cache .*: ") as caught:
        fetch_into_cache(small)
    assert caught.value.remedy == (
        "make room or set REMISSION_DATA to a folder that can be written"
    )


def test_a_full_disk_leaves_no_half_file(small: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    assert small.folder is not None
    write(small.folder, contents())

    def full(self: Path, goal: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(DataError, match="No space left on device"):
        fetch_into_cache(small)
    assert list(small.cache.iterdir()) == []


def test_the_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.delenv("REMISSION_DATA", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == Path("/home/someone/.cache/remission")
    monkeypatch.setenv("XDG_CACHE_HOME", "/common")
    assert cache_folder() == Path("/common/remission")
    monkeypatch.setenv("REMISSION_DATA", "~/own")
    assert cache_folder() == Path("/home/someone/own")


def test_an_unknown_name() -> None:
    with pytest.raises(DataError) as caught:
        find_source("fashion_mnist")
    assert str(caught.value) == (
        "unknown data set 'fashion_mnist'; did you mean 'fashion-mnist'? (known: cifar10, "
        "cifar100, digits, fashion-mnist, gtsrb, shapes, tiny-imagenet), "
        "or give an image folder by its path"
    )


def test_the_catalogue_is_complete() -> None:
    for name, source in CATALOGUE.items():
        assert source.name == name
        assert source.bundled or len(source.files) == 4 or source.archives
        for archive in source.archives:
            algorithm, _, digits = archive.checksum.partition(":")
            assert len(digits) == {"md5": 32, "sha256": 64}[algorithm]
            assert archive.size < archive.limit
        assert source.places()
