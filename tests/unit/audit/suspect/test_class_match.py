"""Folders and classes: by name, by number, by order; what does not fit is refused."""

from __future__ import annotations

import pytest

from remission.audit.suspect.class_match import match_classes
from remission.errors import DataError

NAMES = ["T-shirt", "ankle boot", "Bag"]


@pytest.mark.parametrize(
    ("folders", "names", "indices", "by", "missing"),
    [
        (["Bag", "T-shirt", "ankle boot"], NAMES, (2, 0, 1), "name", 0),
        (["bag", "t_shirt"], NAMES, (2, 0), "name", 1),
        (["ankle-boot"], NAMES, (1,), "name", 2),
        (["0", "1", "2"], None, (0, 1, 2), "number", 0),
        (["0", "2"], None, (0, 2), "number", 1),
        (["00", "01"], None, (0, 1), "number", 1),
        (["2", "1"], ["0", "1", "2"], (2, 1), "number", 1),
        (["ant", "bee", "cow"], None, (0, 1, 2), "order", 0),
        (["1", "2", "3"], None, (0, 1, 2), "order", 0),
        (["ant", "bee", "cow"], ["0", "1", "2"], (0, 1, 2), "order", 0),
        (["2", "0"], ["crane", "Crane", "cow"], (2, 0), "number", 1),
    ],
)
def test_match(
    folders: list[str], names: list[str] | None, indices: tuple[int, ...], by: str, missing: int
) -> None:
    found = match_classes(folders, 3, names)
    assert (found.indices, found.by, found.missing) == (indices, by, missing)
    assert ("no images" in found.sentence) == (missing > 0)


@pytest.mark.parametrize(
    ("folders", "names", "message"),
    [
        (["Bag", "boot"], NAMES, "no class 'boot'; did you mean 'ankle boot'"),
        (["Bag", "bag"], NAMES, "two folders are class 'Bag'"),
        (["Bag"], ["Bag", "bag", "BAG"], "two classes of the same name"),
        (["ant", "bee"], None, "3 classes and names none, and there are 2 folders"),
        (["ant", "bee", "cow", "dog"], None, "there are 4 folders"),
        (["0", "3"], None, "there are 2 folders"),
        (["0", "00"], None, "there are 2 folders"),
    ],
)
def test_what_does_not_fit_is_refused(
    folders: list[str], names: list[str] | None, message: str
) -> None:
    with pytest.raises(DataError) as caught:
        match_classes(folders, 3, names)
    assert message in str(caught.value)
