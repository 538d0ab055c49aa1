"""Contents that stay in memory."""

from __future__ import annotations

from functools import partial

from remission.records.contents import Contents


def reads(contents: Contents, names: str) -> str:
    """Asks for contents of ten bytes, each named by a letter; returns those that were read."""
    found = []

    def read(name: str) -> bytes:
        found.append(name)
        return name.encode() * 10

    for name in names:
        assert contents.of(name, partial(read, name)) == name.encode() * 10
    return "".join(found)


def test_what_was_used_last_is_not_read_again() -> None:
    assert reads(Contents(20), "aababbcbcab") == "abcab"


def test_without_memory_everything_is_read() -> None:
    assert reads(Contents(0), "aab") == "aab"


def test_a_content_that_is_too_large_pushes_nothing_out() -> None:
    contents = Contents(25)
    assert reads(contents, "ab") == "ab"
    assert contents.of("large", lambda: bytes(26)) == bytes(26)
    assert reads(contents, "ab") == ""
