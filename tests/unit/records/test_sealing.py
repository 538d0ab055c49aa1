"""A sealed text is read back unchanged; one with any other byte is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remission.records.sealing import is_sealed, sealed, sealed_json, unsealed

TEXT = json.dumps({"a": 1, "b": "é", "deep": {"list": [1.5, None]}}, indent=1)


def test_a_sealed_text_is_json_with_one_line_more() -> None:
    whole = sealed(TEXT)
    assert unsealed(whole) == TEXT
    assert {**json.loads(TEXT), "checksum": json.loads(whole)["checksum"]} == json.loads(whole)
    assert is_sealed(whole)
    assert not is_sealed(TEXT)


def test_what_was_never_sealed_is_read_as_it_is() -> None:
    assert unsealed(TEXT) == TEXT
    assert unsealed("") == ""
    assert sealed_json({}) == "{}"


@given(st.data())
def test_no_byte_changes_unnoticed(data: st.DataObject) -> None:
    content = bytearray(sealed(TEXT).encode())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ValueError):
        json.loads(unsealed(content.decode()))
