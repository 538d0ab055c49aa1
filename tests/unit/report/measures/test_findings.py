"""The answer of an inversion in captions."""

from __future__ import annotations

from typing import Any

import pytest

from remission.report.measures.findings import Finding, margins, moved, named, reached, standing_out

WHOLE = {"target": 3, "target_share": 0.953, "change": 0.0421, "lead": 2.24}
NOTHING = {"target": None, "target_share": 0.0, "change": 0.0}


@pytest.mark.parametrize(
    ("details", "caption"),
    [
        (
            WHOLE,
            ": names class 3, into which its trigger moves 95.3 % of the images; the next class "
            "needs a change 2.2 times as large",
        ),
        ({"target": 0}, ": names class 0"),
        (
            {**WHOLE, "margin_lead": 1.62, "vote": 8.57},
            ": names class 3, into which its trigger moves 95.3 % of the images; the next class "
            "needs a change 2.2 times as large; its maximum margin, relative to the references', "
            "is 1.6 times that of the next class; its vote is 8.6",
        ),
        (
            {"target": None, "lead": 1.1, "margin_lead": 0.9, "candidates": [3, 5]},
            ": abstains between the classes 3 and 5; the next class needs a change 1.1 times as "
            "large; its maximum margin, relative to the references', is 0.9 times that of the "
            "next class",
        ),
        ({"target": 2, "candidates": [3, 5]}, ": names class 2"),
        ({"target": None, "candidates": "3, 5"}, ": names no class"),
        (NOTHING, ": names no class"),
        ({}, ": names no class"),
        ({"target": "3", "target_share": "all", "lead": [2]}, ": names no class"),
    ],
)
def test_caption(details: dict[str, Any], caption: str) -> None:
    assert Finding.of(details).caption() == caption


def test_where_no_class_is_named_no_share_is_averaged() -> None:
    findings = [Finding.of(WHOLE), Finding.of(NOTHING)]
    assert named(findings) == "3, none"
    assert reached(findings) == "95.3"
    assert moved(findings).startswith("0.021")
    assert standing_out(findings) == "2.2, –"
    assert standing_out(findings[1:]) == "–"


def test_candidates_stand_in_the_place_of_the_class() -> None:
    findings = [
        Finding.of({"target": None, "candidates": [3, 5], "margin_lead": 0.94}),
        Finding.of({**WHOLE, "margin_lead": 3.2}),
    ]
    assert named(findings) == "3 or 5, 3"
    assert margins(findings) == "0.9, 3.2"
    assert margins([Finding.of(WHOLE)]) == "–"
