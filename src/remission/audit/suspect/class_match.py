"""Which class of a model each folder of images is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from remission.errors import DataError, closest
from remission.names import composed, printable


@dataclass(frozen=True, kw_only=True)
class ClassMatch:
    """The class of a model that each folder is.

    Args:
        indices: the class of each folder, in the order of the folders.
        by: how they were found: ``"name"``, ``"number"`` or ``"order"``.
        missing: number of classes of the model without a folder.
    """

    indices: tuple[int, ...]
    by: str
    missing: int

    @property
    def sentence(self) -> str:
        """Says how the classes were found, and how many of the model's have no images."""
        ways = {
            "name": "folders and classes have the same names",
            "number": "the names of the folders are the numbers of the classes",
            "order": "the folders are taken in their order, since the model names no classes",
        }
        without = f"; {self.missing} classes of the model have no images" if self.missing else ""
        return f"{ways[self.by]}{without}"

    def labels(self, folders: Tensor) -> Tensor:
        """Returns the class of each image, (N,), from the index of its folder, (N,)."""
        return torch.tensor(self.indices, device=folders.device)[folders]


def match_classes(
    folders: Sequence[str], classes: int, names: Sequence[str] | None = None
) -> ClassMatch:
    """Finds the class of each folder.

    Where the model names its classes, a folder must have one of the names; case is ignored, and
    hyphens and underscores count as spaces. Else, or where two classes have one name, a folder may
    have the number of its class as its name; and as many folders as classes are taken in their
    order.

    Args:
        folders: the names of the folders, in the order of the data set.
        classes: number of classes of the model.
        names: their names; None: the model does not name them.

    Raises:
        DataError: a folder is no class of the model, two folders name one class, two classes have
            one name, or folders that are to be taken in their order are not as many as the classes.
    """
    unique = names is not None and len(set(map(_plain, names))) == len(names)
    numbered = not unique and _are_numbers(folders, classes)
    if names is not None and not _are_numbers(names, classes) and not numbered:
        return _by_name(folders, names)
    if _are_numbers(folders, classes):
        indices = tuple(int(folder) for folder in folders)
        return ClassMatch(indices=indices, by="number", missing=classes - len(folders))
    if len(folders) != classes:
        raise DataError(
            f"the model has {classes} classes and names none, and there are {len(folders)} folders",
            "give each folder the number of its class as its name, from 0",
        )
    return ClassMatch(indices=tuple(range(classes)), by="order", missing=0)


def _are_numbers(texts: Sequence[str], classes: int) -> bool:
    """Returns whether all are different numbers of classes."""
    if not all(text.isascii() and text.isdigit() and int(text) < classes for text in texts):
        return False
    return len({int(text) for text in texts}) == len(texts)


def _by_name(folders: Sequence[str], names: Sequence[str]) -> ClassMatch:
    known = {_plain(name): index for index, name in enumerate(names)}
    if len(known) < len(names):
        raise DataError(
            "the model has two classes of the same name", "name the folders by their numbers"
        )
    indices: list[int] = []
    for folder in folders:
        index = known.get(_plain(folder))
        if index is None:
            raise DataError(f"the model has no class '{printable(folder)}'", closest(folder, names))
        if index in indices:
            raise DataError(f"two folders are class '{printable(names[index])}'", "merge them")
        indices.append(index)
    return ClassMatch(indices=tuple(indices), by="name", missing=len(names) - len(folders))


def _plain(name: str) -> str:
    """Returns a name without case, and with one space for all that parts words."""
    return " ".join(composed(name).casefold().replace("_", " ").replace("-", " ").split())
