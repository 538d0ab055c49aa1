"""Names that read alike, and the hint for one that is mistyped."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from remission.errors import UserError, closest
from remission.names import class_text, composed, find_name, on_disk, printable

NFD = unicodedata.normalize("NFD", "café")


@pytest.mark.parametrize("typed", ["café", NFD])
def test_a_name_is_found_however_it_is_written(typed: str) -> None:
    assert composed(typed) == "café"
    assert find_name(typed, ["bar", NFD]) == NFD
    assert find_name(typed, ["bar", "café"]) == "café"
    assert find_name(typed, [NFD, "café"]) == typed, "the identical one first"
    assert find_name(typed, ["cafe"]) is None


def test_a_path_is_spelled_as_the_disk_spells_it(tmp_path: Path) -> None:
    file = tmp_path / NFD / NFD
    file.parent.mkdir()
    file.touch()
    assert on_disk(tmp_path / "café" / "café").samefile(file)
    for absent in (tmp_path / "cafe", tmp_path / "café" / "no", tmp_path / ("x" * 5000)):
        assert on_disk(absent).name == absent.name
        assert not list(tmp_path.glob(absent.name[:100]))
    assert on_disk(Path("/")) == Path("/")


def test_the_hint_for_a_mistyped_name() -> None:
    assert closest("Baq", ["Bag", "Coat"]) == "did you mean 'Bag'? (known: Bag, Coat)"
    assert closest("cafè", [NFD]).startswith(f"did you mean '{NFD}'?")
    assert closest("zzz", ["Bag"]) == "use one that exists (known: Bag)"
    assert closest("zzz", []) == "there is none that could be named"
    assert closest("zzz", map(str, range(60))).endswith("and 10 more)")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("café 猫", "café 猫"),
        ("a\nb", "a\\nb"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\x85\u202eb", "a\\x85\\u202eb"),
        ("\udcff", "\\udcff"),
    ],
)
def test_no_name_can_break_a_line_or_steer_a_terminal(name: str, shown: str) -> None:
    assert printable(name) == shown
    error = str(UserError(f"there is no '{name}'", "use one that exists"))
    assert error.isprintable()
    assert error.startswith("there is no '")


@pytest.mark.parametrize(
    ("index", "name", "wanted"),
    [
        (2, "bag", "2 (bag)"),
        (0, "T-shirt/top", "0 (T-shirt/top)"),
        (3, "3", "3"),
        (2, "3", "2 (3)"),
        (2, None, "2"),
        ("all-to-all", None, "all-to-all"),
        (None, None, "None"),
        (1, "a\nb", "1 (a\\nb)"),
    ],
)
def test_a_class_for_people(index: int | str | None, name: str | None, wanted: str) -> None:
    assert class_text(index, name) == wanted
