"""The training and test images of an image folder.

Either the folder parts them itself, or a fifth of each class is held out.

Images with equal pixels are never on both sides.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from remission.data.copies import as_tensor, groups_of, hold_out, parted
from remission.data.decode import Resize
from remission.data.read_images import NAMED, ReadImages, read_images
from remission.errors import DataError
from remission.names import composed
from remission.types import LabelledImages


@dataclass(frozen=True, eq=False)
class FolderDataset:
    """The content of an image folder.

    Args:
        train: training images, uint8 (N, C, H, W).
        test: test images, of which none has the pixels of a training image.
        classes: names of the classes.
        copies: (N,) int64, equal for training images with equal pixels; None where no two are.
        notes: sentences on what was read, what was not, and what a user might not expect.
    """

    train: LabelledImages
    test: LabelledImages
    classes: tuple[str, ...]
    copies: Tensor | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class ReadingOptions:
    """How the images of a folder are read, see :func:`remission.data.load_folder`."""

    size: tuple[int, int] | None
    resize: Resize
    white: int | None

    def read(self, paths: Sequence[Path]) -> ReadImages:
        """Reads the files, grey if all are grey, else in colour."""
        return read_images(
            paths, size=self.size, channels=None, resize=self.resize, white=self.white
        )


@dataclass(frozen=True)
class ClassFiles:
    """Image files, and the class of each."""

    paths: list[Path]
    labels: list[int]

    def __getitem__(self, index: Sequence[int]) -> ClassFiles:
        return ClassFiles([self.paths[i] for i in index], [self.labels[i] for i in index])

    def ranks(self) -> list[bytes]:
        """Returns what decides which files are held out: hashes of their names."""
        return [
            hashlib.sha256(os.fsencode(composed(f"{path.parent.name}/{path.name}"))).digest()
            for path in self.paths
        ]


def read_and_hold_out(
    files: ClassFiles, names: tuple[str, ...], how: ReadingOptions
) -> FolderDataset:
    """Reads a folder without a split; a fifth of each class becomes the test images."""
    for label, count in sorted(Counter(files.labels).items()):
        if count < 2:
            raise _too_few(files, label, "one image")
    every = range(len(files.paths))
    held = _sides(files, every)
    # Training images first, so that both parts are slices of one tensor.
    files = files[sorted(every, key=lambda i: held[i])]
    read, cut = how.read(files.paths), held.count(False)
    whole = LabelledImages(read.images, torch.tensor(files.labels))
    groups = groups_of(read.digests)
    notes = (*read.notes, *_copies_notes(files, groups))
    if not parted(groups, [i >= cut for i in every]):
        copies = as_tensor(groups[:cut])
        return FolderDataset(whole[:cut], whole[cut:], names, copies, notes)
    held = _sides(files, groups, read.notes)
    in_order = sorted(every, key=lambda i: (files.labels[i], composed(files.paths[i].name)))
    train, test = ([i for i in in_order if held[i] is side] for side in (False, True))
    copies = as_tensor([groups[i] for i in train])
    return FolderDataset(
        whole[torch.tensor(train)], whole[torch.tensor(test)], names, copies, notes
    )


def _sides(files: ClassFiles, groups: Sequence[int], notes: Sequence[str] = ()) -> list[bool]:
    """Returns whether each file is held out, see :func:`remission.data.copies.hold_out`."""
    held = hold_out(files.labels, files.ranks(), groups)
    if isinstance(held, int):
        what = "copies only of images that are needed on one side"
        # Nearly black images may be equal for that reason alone.
        raise _too_few(files, held, f"{what} ({'; '.join(notes)})" if notes else what)
    return held


def _too_few(files: ClassFiles, label: int, what: str) -> DataError:
    folder = files.paths[files.labels.index(label)].parent
    return DataError(
        f"{folder} holds {what}, too few for a training and a test image",
        "add images, or give folders train and test",
    )


def read_halves(
    train: ClassFiles, test: ClassFiles, names: tuple[str, ...], how: ReadingOptions
) -> FolderDataset:
    """Reads the folders train and test; training images that are test images too are left out."""
    # Together, so that one size and one number of channels hold for both.
    read, cut = how.read([*train.paths, *test.paths]), len(train.paths)
    training = LabelledImages(read.images[:cut], torch.tensor(train.labels))
    testing = LabelledImages(read.images[cut:], torch.tensor(test.labels))
    where = dict(zip(read.digests[cut:], test.paths, strict=True))
    own = [i for i in range(cut) if read.digests[i] not in where]
    notes = [*read.notes, *_untested_note(test, names)]
    if len(own) < cut:
        shared = next(i for i in range(cut) if read.digests[i] in where)
        pair = f"{train.paths[shared]} and {where[read.digests[shared]]}"
        missing = set(train.labels) - {train.labels[i] for i in own}
        if missing:
            raise DataError(
                f"every training image of class '{names[min(missing)]}' is a test image too (as "
                f"{pair})",
                "give it training images of its own",
            )
        notes.append(
            f"left out, since their pixels are those of a test image: {cut - len(own)} of {cut} "
            f"training images (as {pair})"
        )
        train, training = train[own], training[torch.tensor(own)]
    groups = groups_of([read.digests[i] for i in own])
    notes += _copies_notes(train, groups)
    return FolderDataset(training, testing, names, as_tensor(groups), tuple(notes))


def _copies_notes(files: ClassFiles, groups: Sequence[int]) -> list[str]:
    """Says how many images are copies of others, and how many stand in several classes."""
    first: dict[int, int] = {}
    pairs, torn = list[tuple[int, int]](), dict[int, tuple[int, int]]()
    for i, group in enumerate(groups):
        j = first.setdefault(group, i)
        if j != i:
            pairs.append((j, i))
        if files.labels[j] != files.labels[i]:
            torn.setdefault(group, (j, i))
    if not pairs:
        return []
    notes = [
        f"copies, which stay on one side of every split: {len(pairs)} of {len(groups)} images have "
        f"the pixels of an earlier one (as {_pair(files, pairs[0])})"
    ]
    if torn:
        example = _pair(files, next(iter(torn.values())))
        notes.append(f"pictures that stand in more than one class: {len(torn)} (as {example})")
    return notes


def _pair(files: ClassFiles, pair: tuple[int, int]) -> str:
    return " and ".join(str(files.paths[i]) for i in pair)


def _untested_note(test: ClassFiles, names: tuple[str, ...]) -> list[str]:
    tested = set(test.labels)
    missing = [name for label, name in enumerate(names) if label not in tested]
    if not missing:
        return []
    shown = ", ".join(missing[:NAMED]) + (", ..." if len(missing) > NAMED else "")
    return [f"{len(missing)} of {len(names)} classes have no test image ({shown})"]
