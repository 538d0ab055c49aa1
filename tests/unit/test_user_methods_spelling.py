"""Files of methods in other encodings, and names that read alike."""

from __future__ import annotations

import sys
import unicodedata
from pathlib import Path
from typing import Literal

import pytest

from remission import registry
from remission import user_methods as own
from remission.errors import SpecError
from remission.grid.plan.planner import make_plan
from remission.grid.plan.select import select
from remission.grid.spec.spec import read_spec
from tests.unit.grid.small import write_spec
from tests.unit.test_user_methods import DERIVED, TABLE, change, halving

__all__ = ["halving"]

pytestmark = pytest.mark.usefixtures("forgotten_methods")

Form = Literal["NFC", "NFD"]


@pytest.mark.parametrize("typed", ["NFC", "NFD"])
@pytest.mark.parametrize("stored", ["NFC", "NFD"])
def test_a_name_that_reads_alike_is_the_method_s(
    halving: Path, tmp_path: Path, typed: Form, stored: Form
) -> None:
    name = unicodedata.normalize(stored, "moitié")
    change(halving, 'name: ClassVar[str] = "halving"', f'name: ClassVar[str] = "{name}"')
    assert own.use_methods(halving) == ["moitié"]
    table = {"method": unicodedata.normalize(typed, "moitié"), "factor": 0.25}
    assert registry.make_purifier(table).name == "moitié"
    spec = write_spec(tmp_path, more=TABLE.replace("halving", "moitié"))
    plan = make_plan(read_spec(spec), "digest")
    labels = [s.label for s in select(plan, unicodedata.normalize(typed, "*/moitié"))]
    assert labels[-1] == "badnets/seed0/moitié"


def test_a_file_whose_name_reads_alike_is_found(tmp_path: Path) -> None:
    file = tmp_path / unicodedata.normalize("NFD", "é.py")
    file.write_text(DERIVED, encoding="utf-8")
    assert own.use_methods(tmp_path / "é.py") == ["gentle"]


LATIN = '# -*- coding: latin-1 -*-\nWORD = "café"\n'


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + DERIVED.encode(),
        DERIVED.replace("\n", "\r\n").encode(),
        (LATIN + DERIVED).encode("latin-1"),
        (LATIN.replace("latin-1", "utf-8") + DERIVED).encode(),
    ],
)
def test_encodings_that_python_reads(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "mine.py"
    file.write_bytes(content)
    assert own.use_methods(file) == ["gentle"]
    (text,) = [one.text for one in own.used()]
    assert ('WORD = "café"' in text) == (b"WORD" in content)
    module = sys.modules[registry.known("purifier")["gentle"].__module__]
    assert getattr(module, "WORD", "café") == "café"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (DERIVED.encode("utf-16"), "it is written in UTF-16"),
        (DERIVED.encode("utf-16-be"), "zero bytes"),
        ((DERIVED + "# é").encode("latin-1"), "byte 0xe9, which is no UTF-8"),
    ],
)
def test_encodings_that_python_does_not_read(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "mine.py"
    file.write_bytes(content)
    with pytest.raises(SpecError) as caught:
        own.use_methods(file)
    assert words in caught.value.problem
    assert caught.value.remedy == "save it as UTF-8"
