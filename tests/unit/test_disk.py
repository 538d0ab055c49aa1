"""A file is written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from remission.disk import obstacle, write_whole


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_the_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"

    def chunks() -> Iterator[bytes]:
        yield b"one "
        (part,) = names(tmp_path)
        assert part.startswith(".part-me-")
        yield b"two"

    write_whole(file, chunks(), writer="me")
    assert (names(tmp_path), file.read_bytes()) == (["a.txt"], b"one two")
    write_whole(file, [])
    assert (names(tmp_path), file.read_bytes()) == (["a.txt"], b"")


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt, ValueError])
def test_what_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, error: type[BaseException]
) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(b"old")

    def chunks() -> Iterator[bytes]:
        yield b"new"
        raise error

    with pytest.raises(error):
        write_whole(file, chunks())
    assert (names(tmp_path), file.read_bytes()) == (["a.txt"], b"old")


def test_a_link_is_replaced_and_what_it_leads_to_is_left_alone(tmp_path: Path) -> None:
    goal, link, twin = tmp_path / "goal", tmp_path / "link", tmp_path / "twin"
    goal.write_bytes(b"old")
    link.symlink_to(goal)
    twin.hardlink_to(goal)
    for file in (link, twin):
        write_whole(file, [b"new"])
        assert (file.read_bytes(), file.is_symlink()) == (b"new", False)
    assert goal.read_bytes() == b"old"


def test_a_new_file_may_be_read_by_whom_the_mask_allows(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "a", [b"x"])
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_what_keeps_a_file_from_being_written(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "old")
    os.mkfifo(tmp_path / "pipe")
    assert obstacle(tmp_path / "old") is None
    assert obstacle(tmp_path / "new") is None
    for name, words in {
        ".": "is a folder",
        "no/new": "does not exist",
        "old/new": "does not exist",
        "link": "is a link or a special file",
        "pipe": "is a link or a special file",
    }.items():
        found = obstacle(tmp_path / name)
        assert found is not None, name
        assert words in found[0]
    assert obstacle(Path("/dev/null")) is not None
    assert (tmp_path / "link").is_symlink()
