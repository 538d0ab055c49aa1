"""Ways in which a store is damaged or incomplete, and a disk that is full."""

from __future__ import annotations

import os
from pathlib import Path

from tests.unit.grid.small import by_label

FT_BRANCH = [
    "badnets/seed0/ft",
    "badnets/seed0/ft/retuning-0",
    "badnets/seed0/ft/retuning-3",
    "badnets/seed0/ft/path",
]
"""The stages of the small spec that need fine-tuning, itself included."""


def without_ft(store: Path) -> None:
    """Removes the results of fine-tuning, and those that build upon them, from a store."""
    for label, record in by_label(store).items():
        if label in FT_BRANCH:
            (store / "records" / record.kind / f"{record.id}.json").unlink()
            for artefact in record.artefacts.values():
                (store / artefact.file).unlink()


def truncate(file: Path) -> None:
    """Cuts off the end of a file."""
    file.write_bytes(file.read_bytes()[:-7])


def flip(file: Path) -> None:
    """Flips a bit near the end of a file."""
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)


def empty(file: Path) -> None:
    """Leaves nothing of a file."""
    file.write_bytes(b"")


def strip(file: Path) -> None:
    """Leaves nothing of a record but its format."""
    file.write_text('{"format": 1}', encoding="utf-8")


class FullDisk:
    """A disk that takes some files and then has no space left."""

    def __init__(self, files: int, number: int) -> None:
        self.left, self.number, self.fsync = files, number, os.fsync

    def __call__(self, descriptor: int) -> None:
        if self.left == 0:
            raise OSError(self.number, os.strerror(self.number))
        self.left -= 1
        self.fsync(descriptor)
