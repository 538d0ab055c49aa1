"""The settings of a record are tables of methods with names; anything else is no record."""

from __future__ import annotations

import json
from typing import Any

import pytest

from remission.records import Record

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
