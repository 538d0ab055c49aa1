"""A table with a ``sweep`` stands for one table per combination of its values."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from remission.errors import SpecError
from remission.grid.plan.planner import make_plan
from remission.grid.spec.spec import parse_spec, read_spec
from remission.grid.spec.sweeps import with_sweeps
from tests.unit.grid.small import SPEC, write_spec


def test_the_parameter_that_is_written_first_changes_slowest() -> None:
    table = {"method": "ft", "sweep": {"lr": [0.1, 0.2], "epochs": [1, 2]}, "seeds": [0]}
    base = {"method": "ft", "seeds": [0]}
    assert with_sweeps({"purifier": [{"method": "ep"}, table]})["purifier"] == [
        {"method": "ep"},
        {**base, "lr": 0.1, "epochs": 1},
        {**base, "lr": 0.1, "epochs": 2},
        {**base, "lr": 0.2, "epochs": 1},
        {**base, "lr": 0.2, "epochs": 2},
    ]


def stages(**sections: Any) -> set[str]:  # noqa: ANN401  # tables of any section
    """Returns the identities of the small grid with other tables."""
    table = tomllib.loads(SPEC)
    table["split"]["validation"] = 50  # which an ensemble needs
    spec = parse_spec({**table, **sections})
    return {stage.id for stage in make_plan(spec, "0123456789abcdef")}


@pytest.mark.parametrize(
    ("section", "base", "key", "values"),
    [
        ("purifier", {"method": "ft", "epochs": 2}, "lr", [0.1, 0.2]),
        ("attack", {"method": "badnets", "poison_rate": 0.1}, "target", [3, 7]),
        ("reactivation", {"method": "retuning", "budgets": [3]}, "lr", [0.1, 0.2]),
        ("ensemble", {"budgets": [3]}, "lr", [0.1, 0.2]),
    ],
)
def test_a_sweep_and_its_tables_are_the_same_plan(
    section: str, base: dict[str, Any], key: str, values: list[Any]
) -> None:
    swept = stages(**{section: [{**base, "sweep": {key: values}}]})
    written = stages(**{section: [{**base, key: value} for value in values]})
    assert swept == written
    assert swept != stages(**{section: [{**base, key: values[0]}]})


def test_classes_and_pictures_in_a_sweep(tmp_path: Path) -> None:
    for name, grey in (("a.png", 0), ("b.png", 255)):
        Image.new("L", (4, 4), grey).save(tmp_path / name)
    file = write_spec(
        tmp_path,
        (
            'method = "badnets"\nsize = 2',
            'method = "badnets"\nsize = 2\n'
            'sweep = { target = ["3", 7], image = ["a.png", "b.png"] }',
        ),
    )
    spec = read_spec(file)
    images = [table["image"] for table in spec.attack]
    assert images == [images[0], images[1]] * 2
    assert images[0] != images[1]
    assert all(image.startswith("data:image/png;base64,") for image in images)
    named = spec.with_targets(tuple("abc3456789"))
    assert [table["target"] for table in named.attack] == [3, 3, 7, 7]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"sweep": 3}, "[purifier] ft: 'sweep' is 3; write a table of lists"),
        ({"sweep": {}}, "[purifier] ft: 'sweep' is {}; write a table of lists"),
        ({"sweep": {"lr": 0.1}}, "[purifier] ft: 'sweep.lr' is 0.1; give a list"),
        ({"sweep": {"lr": []}}, "[purifier] ft: 'sweep.lr' is []; give a list"),
        ({"lr": 0.1, "sweep": {"lr": [0.2]}}, "[purifier] ft: 'lr' is in the table and in its"),
        ({"sweep": {"method": ["ep"]}}, "[purifier] ft: 'method' is in the table and in its"),
        ({"sweep": {"a": [0] * 40, "b": [0] * 40}}, "[purifier] ft: the sweep stands for 1600"),
    ],
)
def test_mistakes_in_a_sweep(table: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        with_sweeps({"purifier": [{"method": "ft", **table}]})
    assert str(caught.value).startswith(message)


def test_a_wrong_value_in_a_sweep_is_named_as_any_other() -> None:
    with pytest.raises(SpecError, match=r"\[purifier\] ft: 'lr' is -1"):
        stages(purifier=[{"method": "ft", "sweep": {"lr": [0.1, -1.0]}}])
