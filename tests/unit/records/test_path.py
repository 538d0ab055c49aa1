"""Barriers, the distance back to the backdoor, and older records without them."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remission.records import PathCurve, Plane, Record
from remission.records.path import barrier, way_back

KEYS: dict[str, Any] = {
    "id": "x",
    "dataset": "digits",
    "arch": "resnet18:2",
    "attack": "badnets",
    "attack_params": {},
    "poison_rate": 0.1,
    "target": 0,
    "seed": 0,
    "purifier": "ft",
    "purifier_params": {},
    "batchnorm": "recalibrated",
    "n_clean": 60,
    "n_triggered": 54,
}


def curve(t: list[float], asr: list[float], **more: Any) -> PathCurve:  # noqa: ANN401  # any field
    return PathCurve(**KEYS | {"t": t, "asr": asr, "clean_acc": [0.9] * len(t)} | more)


def test_a_barrier_by_hand() -> None:
    assert barrier([0, 0.5, 1], [0.1, 0.5, 0.3]) == pytest.approx(0.5 - 0.2)
    assert barrier([0, 0.25, 1], [0.0, 0.5, 1.0]) == pytest.approx(0.25)
    assert barrier([0, 0.5, 1], [0.1, 0.2, 0.3]) == pytest.approx(0)
    assert barrier([0, 0.5, 1], [0.5, 0.0, 0.5]) == 0, "a valley is no barrier"


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=8), st.floats(-1, 1), st.floats(-1, 1))
def test_a_barrier_does_not_see_what_rises_steadily(
    values: list[float], height: float, slope: float
) -> None:
    t = [k / (len(values) - 1) for k in range(len(values))]
    found = barrier(t, values)
    assert found >= 0
    tilted = [value + height + slope * place for place, value in zip(t, values, strict=True)]
    assert barrier(t, tilted) == pytest.approx(found, abs=1e-9)
    assert barrier(t, values[::-1]) == pytest.approx(found, abs=1e-9)


def test_the_way_back_by_hand() -> None:
    assert way_back([0, 0.5, 1], [1.0, 0.9, 0.1]) == pytest.approx(0.25)
    assert way_back([0, 0.5, 1], [1.0, 0.5, 0.1]) == pytest.approx(0.5), "above, not at"
    assert way_back([0, 0.5, 1], [1.0, 0.9, 0.6]) == 0
    assert way_back([0, 0.5, 1], [0.4, 0.3, 0.1]) is None
    # the first return, seen from the purified end
    assert way_back([0, 0.25, 0.5, 0.75, 1], [1, 0, 1, 0, 0]) == pytest.approx(0.375)


def test_numbers_of_a_curve() -> None:
    found = curve([0, 0.5, 1], [1.0, 0.5, 0.0], clean_acc=[0.9, 0.7, 0.9])
    assert found.mean_backdoor_error == pytest.approx(0.5)
    assert found.barrier("clean_error") == pytest.approx(0.2)
    assert found.barrier("backdoor_error") == pytest.approx(0)
    assert found.barrier("clean_loss") is None, "as in records of before losses were measured"
    assert found.t_back == pytest.approx(0.5)
    onward = curve([0, 0.5, 1], [0.1, 0.3, 0.7], walk="retuned")
    assert onward.t_back == pytest.approx(0.75), "from the purified end, which is its start"


def test_lists_of_different_length() -> None:
    with pytest.raises(ValueError, match="differ in length"):
        curve([0, 1], [1.0, 0.0], clean_loss=[0.1])
    with pytest.raises(ValueError, match="differ in length"):
        curve([], [])
    plane: dict[str, Any] = {
        "x": [0.0, 1.0],
        "y": [0.0],
        "models": {},
        "budget": 5,
        "n_clean": 1,
        "n_triggered": 1,
    }
    rows: dict[str, Any] = {
        key: [[0.5, 0.5]] for key in ("clean_loss", "backdoor_loss", "asr", "clean_acc")
    }
    Plane(**plane, **rows)
    with pytest.raises(ValueError, match="differ in length"):
        Plane(**plane, **rows | {"asr": [[0.5]]})


def test_an_older_record_still_loads() -> None:
    path = curve([0, 1], [1.0, 0.0])
    record = Record(
        id="x", kind="path", label="x", status="done", settings={}, parents={}, paths=(path,)
    )
    content = json.loads(record.to_json())
    del content["plane"]
    for key in ("walk", "clean_loss", "backdoor_loss", "distance", "relative_distance"):
        del content["paths"][0][key]
    assert Record.from_json(json.dumps(content)) == record


def test_what_is_new_comes_back_from_a_file() -> None:
    square = [[0.1, 0.2], [0.3, 0.4]]
    plane = Plane(
        x=[0.0, 1.0],
        y=[0.0, 1.0],
        models={"victim": (0.0, 0.0), "purified": (1.0, 0.0), "retuned": (0.5, 1.0)},
        budget=5,
        clean_loss=square,
        backdoor_loss=square,
        asr=square,
        clean_acc=square,
        n_clean=10,
        n_triggered=9,
    )
    path = curve([0, 1], [1.0, 0.0], walk="retuned", clean_loss=[0.1, 2.5], distance=3.0)
    record = Record(
        id="x",
        kind="path",
        label="x",
        status="done",
        settings={},
        parents={},
        paths=(path,),
        plane=plane,
    )
    assert Record.from_json(record.to_json()) == record
    broken = dataclasses.replace(record, plane=dataclasses.replace(plane, asr=[[2.0, 0], [0, 0]]))
    with pytest.raises(ValueError, match="asr"):
        Record.from_json(broken.to_json())
