"""The settings of a record are tables of methods with names; anything else is no record."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remission.records import Record, Store
from remission.records.claims import Claims, claims_in

WHOLE = Record(
    id="0" * 16,
    kind="purified",
    label="badnets/seed0/ft",
    status="done",
    settings={"purifier": {"method": "ft", "lr": 0.1}, "context": {"seed": 0}, "budget": 5},
    parents={},
)


def with_settings(**values: Any) -> str:  # noqa: ANN401 -- JSON values
    content = json.loads(WHOLE.to_json())
    return json.dumps({**content, "settings": {**content["settings"], **values}})


def test_a_record_comes_back() -> None:
    assert Record.from_json(WHOLE.to_json()) == WHOLE


@pytest.mark.parametrize("name", ["attack", "purifier", "inversion", "reactivation", "retuning"])
@pytest.mark.parametrize("table", [[], [1], "ft", 3, None, {"method": []}, {"method": 3}])
def test_what_is_no_table_of_a_method_is_refused(name: str, table: object) -> None:
    with pytest.raises(ValueError, match=name):
        Record.from_json(with_settings(**{name: table}))


@pytest.mark.parametrize("context", [[], "x", 0])
def test_a_context_is_a_table(context: object) -> None:
    with pytest.raises(ValueError, match="context"):
        Record.from_json(with_settings(context=context))


ODD, SPELLED = "file \udcff is bad", "file \\udcff is bad"


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("error", ODD, SPELLED),
        ("label", ODD, SPELLED),
        ("details", {"log": ["whole", ODD], ODD: 1}, {"log": ["whole", SPELLED], SPELLED: 1}),
        ("environment", {"host": ODD}, {"host": SPELLED}),
        ("settings", {"context": {"data": ODD}}, {"context": {"data": SPELLED}}),
        ("error", "\N{GRINNING FACE} and \x00", "\N{GRINNING FACE} and \x00"),
    ],
)
def test_bytes_that_are_no_text_come_back_spelled_out(
    field: str, value: object, expected: object
) -> None:
    record = replace(WHOLE, **{field: value})  # type: ignore[arg-type]
    assert getattr(record, field) == expected
    assert Record.from_json(record.to_json()) == record


def test_a_record_with_lone_surrogates_of_an_older_remission_is_read() -> None:
    content = {**json.loads(WHOLE.to_json()), "status": "failed", "error": ODD}
    assert "\\udcff" in json.dumps(content)
    assert Record.from_json(json.dumps(content)).error == SPELLED


def test_a_claim_says_what_is_done_to_a_file_of_an_odd_name(tmp_path: Path) -> None:
    store = Store(tmp_path)
    claims = Claims(store.folder)
    assert claims.take(WHOLE.id, WHOLE.kind, ODD)
    (claim,) = claims_in(store.folder)
    assert claim.label == SPELLED
    claims.release_all()
