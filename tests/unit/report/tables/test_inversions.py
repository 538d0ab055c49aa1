"""The table of the answers of inversions."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from remission.records import Record
from remission.report.tables.inversions import grid_inversions
from remission.report.tables.render import render
from tests.unit.report.report_factory import cell, records


def inverted(
    number: str,
    victim: str,
    *,
    details: dict[str, Any],
    **purified: Any,  # noqa: ANN401  # any field
) -> list[Record]:
    """Returns the records of an inversion and of a purified model that builds upon it."""
    (user,) = records(cell(purifier="pam", purifier_params={"trigger": "inverted"}, **purified))
    made = dataclasses.replace(user, parents={"victim": victim, "inversion": number})
    found = dataclasses.replace(
        user,
        id=number,
        kind="inversion",
        cell=None,
        details=details,
        settings={"inversion": {"method": "universal", "steps": 100}},
    )
    return [found, made]


SEEN = {"target": 3, "target_share": 0.953, "change": 0.0421, "lead": 2.24}
"""Of a victim whose true target is 0."""


def test_the_class_named_stands_beside_the_true_one() -> None:
    found = inverted("i0", "v0", details=SEEN, target=0)
    text = render(found, "inversions", "text")
    (line,) = [line for line in text.splitlines() if "universal" in line]
    assert line.split() == ["badnets", "universal", "3", "0", "95.3", "0.042", "2.2"]
    assert render(found, "summary", "text").endswith(text)


def test_seeds_share_a_line_and_say_each_class() -> None:
    other = {**SEEN, "target": 0, "target_share": 0.853}
    found = [
        *inverted("i0", "v0", details=SEEN, seed=0, id="p0"),
        *inverted("i1", "v1", details=other, seed=1, id="p1"),
    ]
    text = render(found, "inversions", "text")
    (line,) = [line for line in text.splitlines() if "universal" in line]
    assert "3, 0" in line
    assert "90.3 ± 63.5" in line
    assert [one.cell.seed for one in grid_inversions(list(reversed(found)))] == [0, 1]


def test_a_model_that_was_never_backdoored_has_no_true_class() -> None:
    found = inverted("i0", "c0", details=SEEN, attack="none", attack_params={}, target=None)
    assert "none: never backdoored" in render(found, "inversions", "text")
    (one,) = json.loads(render(found, "inversions", "json"))
    assert one["true_target"] is None
    assert (one["target"], one["share"]) == (3, 0.953)


def test_what_an_inversion_does_not_say_is_left_open() -> None:
    found = inverted("i0", "v0", details={"target": None})
    text = render(found, "inversions", "text")
    (line,) = [line for line in text.splitlines() if "universal" in line]
    assert line.split() == ["badnets", "universal", "none", "0", "–", "–", "–"]
    assert json.loads(render(found, "inversions", "json"))[0]["lead"] is None


def test_inversions_that_failed_or_that_nothing_rests_on_are_not_listed() -> None:
    failed, user = inverted("i0", "v0", details=SEEN)
    assert grid_inversions([dataclasses.replace(failed, status="failed"), user]) == []
    assert grid_inversions([failed]) == []
    assert render([failed], "inversions", "text") == ""
